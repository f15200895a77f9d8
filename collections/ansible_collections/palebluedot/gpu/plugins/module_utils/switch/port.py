# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""The network of one switch port: the operation of ``switch_port``.

The port's neighbour is looked at before anything is touched: a VLAN on the wrong port cuts off, or lets in, somebody
else. VLAN and port are written in one Set, which is one transaction. A switch may still do half of it, do it late or
not at all while it says yes: what happened is read back, and what is neither the old state nor the new one is put back.
"""

from __future__ import annotations

import re
from typing import Any

from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import (
    AuthenticationError,
    Busy,
    Conflict,
    DeadlineExceeded,
    InvalidInput,
    NotFound,
    PaleBlueDotError,
    Unreachable,
    Unsupported,
)
from ansible_collections.palebluedot.gpu.plugins.module_utils.switch.dialects import Dialect, dialect
from ansible_collections.palebluedot.gpu.plugins.module_utils.switch.dialects.base import (
    ACCESS,
    ROUTED,
    Json,
    PortVlans,
    Vlan,
)
from ansible_collections.palebluedot.gpu.plugins.module_utils.switch.gnmi import Change, Session
from ansible_collections.palebluedot.gpu.plugins.module_utils.switch.trying import attempts, settle
from ansible_collections.palebluedot.gpu.plugins.module_utils.waiting import Waiter

VLAN_IDS = range(1, 4095)
# On these nothing of a Set was done.
_UNTOUCHED = (AuthenticationError, Unsupported)
# After these a switch may answer the next question.
_PASSING = (Busy, DeadlineExceeded, Unreachable)


def run(params: Json, check_mode: bool) -> Json:
    """Operation of ``switch_port``: ``changed``, ``diff``, ``port`` {interface, vlan, mode, network, neighbor}."""
    if params["vlan"] not in VLAN_IDS:
        raise InvalidInput(f"{params['vlan']} is not a VLAN (1-4094)", host=params["switch_address"])
    if params.get("network") in ("provisioning", "tenant") and not params.get("expect_neighbor"):
        raise InvalidInput(
            f"a port is put into the {params['network']} network only when it is known who is at its other end",
            code="neighbor_needed",
            host=params["switch_address"],
            next="Set expect_neighbor to the server's system name or MAC address.",
        )
    spoken = dialect(params["switch_dialect"])
    move = Move(spoken, params, check_mode)
    return attempts(params, spoken, move.waiter, move.attempt)


class Move:
    """One port on its way into one VLAN; survives the connections that it takes."""

    def __init__(self, spoken: Dialect, params: Json, check_mode: bool) -> None:
        self.dialect = spoken
        self.address: str = params["switch_address"]
        self.interface = spoken.interface(params["interface"])
        self.vlan: int = params["vlan"]
        self.network: str | None = params.get("network")
        self.expected: str | None = params.get("expect_neighbor")
        self.rollback: bool = params.get("rollback", True)
        self.check_mode = check_mode
        self.waiter = Waiter(float(params["wait_timeout"]), first_pause_s=0.2, longest_pause_s=2.0)
        self.wanted = PortVlans(ACCESS, self.vlan)
        self.before: tuple[PortVlans, Vlan | None] | None = None

    def attempt(self, opened: Session) -> Json:
        """Look, move and look again over one connection."""
        neighbor, port, vlan, state = self._look(opened)
        if self.before is None:
            self.before = (port, vlan)
        if self.check_mode:
            return self._result(neighbor)
        if self._is_done(port, vlan):
            if state != self.wanted:
                self._confirm(opened, "although it is configured so", undo=False)
            return self._result(neighbor)
        make = None if vlan is not None and vlan.active else Vlan(self.vlan)
        if not self._write(opened, self.dialect.move(self.interface, port, self.vlan, make)):
            self._confirm(opened, "although the switch took the change", undo=True)
        return self._result(neighbor)

    def _result(self, neighbor: Json | None) -> Json:
        if self.before is None:
            raise AssertionError("the port was not looked at")
        before = {"port": self.before[0].shown(), "vlan": _shown(self.before[1])}
        after = {"port": self.wanted.shown(), "vlan": {"id": self.vlan, "active": True}}
        port = {"interface": self.interface, "vlan": self.vlan, "mode": ACCESS, "network": self.network}
        return {
            "changed": before != after,
            "diff": {"before": before, "after": after},
            "port": {**port, "neighbor": neighbor},
        }

    def _is_done(self, port: PortVlans, vlan: Vlan | None) -> bool:
        return port == self.wanted and vlan is not None and vlan.active

    # -- before the Set ----------------------------------------------------------------------------------------------

    def _look(self, opened: Session) -> tuple[Json | None, PortVlans, Vlan | None, PortVlans | None]:
        """Neighbour, port, VLAN and the port's state in one round trip; a neighbour that is expected is waited for."""
        spoken = self.dialect
        readings = (
            spoken.neighbors(self.interface),
            spoken.port_vlans(self.interface),
            spoken.vlan(self.vlan),
            spoken.aggregate(self.interface),
            spoken.port_state(self.interface),
        )
        while True:
            seen, port, vlan, aggregate, state = opened.read(*readings)
            if aggregate is not None:
                raise Conflict(
                    f"{self.interface} is a member of {aggregate}, whose VLANs count and not its own: "
                    "it was not touched",
                    code="port_in_aggregate",
                    host=self.address,
                    tried=f"Get {readings[3].queries[0].path}",
                    answer=str(aggregate),
                    next=f"Take the port out of {aggregate}, or set the VLAN of {aggregate} by hand.",
                )
            if port is None:
                port = self._no_vlans(opened)
            if seen or self.expected is None:
                break
            if not self.waiter.pause():
                raise DeadlineExceeded(
                    f"nothing is heard over LLDP on {self.interface}, where {self.expected} should be",
                    code="neighbor_missing",
                    host=self.address,
                    tried=f"LLDP of {self.interface} for {self.waiter.waited:.0f} s",
                    next="Check the cable, and that LLDP runs on both ends; without expect_neighbor nobody looks.",
                )
        neighbor = self._neighbor(seen)
        if port.mode == ROUTED:
            raise Conflict(
                f"{self.interface} is a routed port: it was not touched",
                code="port_routed",
                host=self.address,
                next="Check the port; make it a switched port by hand if it is the right one.",
            )
        return neighbor, port, vlan, state

    def _no_vlans(self, opened: Session) -> PortVlans:
        """A port that is there and in no VLAN.

        :raises NotFound: when it is not there.
        """
        exists = self.dialect.port_exists(self.interface)
        if exists is None or not opened.read(exists)[0]:
            raise NotFound(
                f"the switch has no interface {self.interface}",
                code="interface_missing",
                host=self.address,
                tried=f"Get {self.dialect.port_vlans(self.interface).queries[0].path}",
                next="Check the interface's name as the switch spells it.",
            )
        return PortVlans(ACCESS)

    def _neighbor(self, seen: list[Json]) -> Json | None:
        if self.expected is None:
            return seen[0] if seen else None
        for neighbor in seen:
            if is_neighbor(neighbor, self.expected):
                return neighbor
        raise Conflict(
            f"{self.interface} leads to {_named(seen[0])} and not to {self.expected}: the port was not touched",
            code="neighbor_differs",
            host=self.address,
            tried=f"LLDP of {self.interface}",
            answer="; ".join(map(_named, seen)),
            next="Correct the cabling, or the port in the record.",
        )

    # -- the Set and what became of it -------------------------------------------------------------------------------

    def _write(self, opened: Session, changes: list[Change]) -> bool:
        """Set. True when it got no proper answer and has been found done all the same."""
        try:
            for change in changes:
                opened.write(change)
        except _UNTOUCHED:
            raise
        except PaleBlueDotError as problem:
            self._judge(opened, problem)
            return True
        return False

    def _judge(self, opened: Session, problem: PaleBlueDotError) -> None:
        """After a Set that failed: return when it was done, raise ``problem`` when nothing was, else put back."""
        if self.before is None:
            raise AssertionError("the port was not looked at")
        old_port, old_vlan = self.before
        port = old_port

        def look() -> tuple[bool, bool]:
            nonlocal port
            found, vlan = opened.read(self.dialect.port_state(self.interface), self.dialect.vlan(self.vlan))
            port = found or PortVlans(ACCESS)
            return self._is_done(port, vlan), port == old_port and _shown(vlan) == _shown(old_vlan)

        try:
            done, untouched = settle(opened, problem, look)
        except PaleBlueDotError:
            problem.message += f"; what became of {self.interface} is not known"
            problem.details["port"] = None
            raise problem from None
        if done:
            return
        if untouched:
            problem.message += f"; {self.interface} is still {port.said()}"
            raise problem
        self._undo(opened, problem, port)

    def _confirm(self, opened: Session, although: str, *, undo: bool) -> None:
        """Read until the port is there: neither the answer to a Set nor the configuration says that it is."""
        if self.before is None:
            raise AssertionError("the port was not looked at")
        # however long the neighbour was waited for: a commit has its time, or a move that is right is taken back
        patience = Waiter(max(self.waiter.left, opened.seconds), first_pause_s=0.2, longest_pause_s=2.0)
        while True:
            try:
                (port,) = opened.read(self.dialect.port_state(self.interface))
            except PaleBlueDotError as silence:
                if isinstance(silence, _PASSING) and patience.pause():
                    continue
                told = "the switch took the change" if undo else f"{self.interface} is configured for VLAN {self.vlan}"
                silence.message += f"; {told}, and what {self.interface} is in now is not known"
                silence.details["port"] = None
                raise
            if port == self.wanted:
                return
            if not patience.pause():
                break
        problem = PaleBlueDotError(
            f"{self.interface} is not in VLAN {self.vlan} {although}",
            code="port_not_moved",
            host=self.address,
            tried=f"{'Set, then ' if undo else ''}Get of {self.interface} for {patience.waited:.0f} s",
            answer=(port or PortVlans(ACCESS)).said(),
            next="Look at the switch's log: another system may write to this port.",
            retryable=True,
        )
        if not undo:
            problem.message += f": it is {(port or PortVlans(ACCESS)).said()}"
            raise problem
        self._undo(opened, problem, port or PortVlans(ACCESS))

    def _undo(self, opened: Session, problem: PaleBlueDotError, port: PortVlans) -> None:
        """Put the port back to what it was, and raise ``problem`` with what it is now.

        :raises PaleBlueDotError: always.
        """
        if self.before is None:
            raise AssertionError("the port was not looked at")
        old, old_vlan = self.before
        told = f"{problem.message.rstrip('.')}; {self.interface} is {port.said()}"
        facts: Json = {"host": self.address, "tried": problem.tried, "answer": problem.answer}
        if not self.rollback:
            raise PaleBlueDotError(
                f"{told} (it was {old.said()})",
                code="port_half_set" if problem.code != "port_not_moved" else problem.code,
                next="Run the task again, or set the port by hand: rollback is off.",
                **facts,
            ) from problem
        try:
            unmake = old_vlan is None and self._is_ours_alone(opened)
            for change in self.dialect.put_back(self.interface, old, self.vlan, unmake=unmake):
                opened.write(change)
            found, _vlan = opened.read(self.dialect.port_vlans(self.interface), self.dialect.vlan(self.vlan))
        except PaleBlueDotError as second:
            raise PaleBlueDotError(
                f"{told} and could not be put back ({second.message}); it was {old.said()}",
                code="port_half_set",
                next="Shut the port down or set it by hand: until then it may let in, or cut off, somebody.",
                **facts,
            ) from problem
        found = found or PortVlans(ACCESS)
        if found != old:
            raise PaleBlueDotError(
                f"{told} and did not go back: it is {found.said()}, and was {old.said()}",
                code="port_half_set",
                next="Shut the port down or set it by hand: until then it may let in, or cut off, somebody.",
                **facts,
            ) from problem
        raise PaleBlueDotError(
            f"{problem.message.rstrip('.')}; {self.interface} was put back: it is {old.said()} again",
            code=problem.code if problem.code == "port_not_moved" else "port_rolled_back",
            next=problem.next or "Run the task again.",
            retryable=True,
            **facts,
        ) from problem

    def _is_ours_alone(self, opened: Session) -> bool:
        """Whether no other port has come into the VLAN that this task made: another task may have moved one there."""
        (members,) = opened.read(self.dialect.members(self.vlan))
        return not set(members) - {self.interface}


def _shown(vlan: Vlan | None) -> Json | None:
    """What of a VLAN matters to a port."""
    return None if vlan is None else {"id": vlan.id, "active": vlan.active}


def is_neighbor(neighbor: Json, expected: str) -> bool:
    """Whether a neighbour is the one meant: by system name (with or without its domain) or by a MAC address."""
    mac = mac_digits(expected)
    if mac is not None:
        return mac in (mac_digits(neighbor["chassis_id"]), mac_digits(neighbor["port_id"]))
    name = str(neighbor["system_name"] or "").lower()
    wanted = expected.lower()
    return bool(name) and (name == wanted or name.partition(".")[0] == wanted or name == wanted.partition(".")[0])


def mac_digits(text: Any) -> str | None:
    """The twelve hexadecimal digits of a MAC address, however it is written; None when it is none."""
    digits = re.sub(r"[:.\-]", "", str(text or "")).lower()
    return digits if re.fullmatch(r"[0-9a-f]{12}", digits) else None


def _named(neighbor: Json) -> str:
    return f"{neighbor['system_name'] or 'a nameless system'} ({neighbor['chassis_id']})"
