# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""The network of one switch port: the operation of ``switch_port``.

The port's neighbour is looked at before anything is touched: a VLAN on the wrong port cuts off, or lets in, somebody
else.
VLAN and port are written in one Set, which is one transaction; there is no moment at which half of it holds.
"""

from __future__ import annotations

import re
from typing import Any

from ansible_collections.palebluedot.gpu.plugins.module_utils import notices
from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import (
    Busy,
    Conflict,
    DeadlineExceeded,
    InvalidInput,
    NotFound,
    PaleBlueDotError,
    Unreachable,
)
from ansible_collections.palebluedot.gpu.plugins.module_utils.switch.dialects import dialect
from ansible_collections.palebluedot.gpu.plugins.module_utils.switch.gnmi import Session, session
from ansible_collections.palebluedot.gpu.plugins.module_utils.waiting import Waiter

Json = dict[str, Any]

_VLAN_IDS = range(1, 4095)
_ACCESS = "ACCESS"
# A Set that got no answer may have been done or not: the state is read, and what is missing is written again.
_TRIES = 3


def run(params: Json, check_mode: bool) -> Json:
    """Operation of ``switch_port``: ``changed``, ``diff``, ``port`` {interface, vlan, mode, neighbor}."""
    interface, vlan = params["interface"], params["vlan"]
    if vlan not in _VLAN_IDS:
        raise InvalidInput(f"{vlan} is not a VLAN (1-4094)", host=params["switch_address"])
    if re.search(r"[\[\]=]", interface):
        raise InvalidInput(f"{interface!r} is not the name of an interface", host=params["switch_address"])
    spoken = dialect(params["switch_dialect"])
    tries = Waiter(float(params["wait_timeout"]), first_pause_s=0.5, longest_pause_s=2.0)
    attempt = 0
    while True:
        attempt += 1
        try:
            with session(
                params["switch_address"],
                params.get("switch_grpc_port") or spoken.port,
                spoken,
                username=params.get("switch_username") or "",
                password=params.get("switch_password") or "",
                ca_path=params.get("switch_ca_path"),
                seconds=float(params["switch_timeout"]),
            ) as opened:
                return Port(opened, interface).access(vlan, params.get("expect_neighbor"), tries, check_mode)
        except (Busy, Unreachable) as problem:
            if not problem.retryable or attempt >= _TRIES or not tries.pause():
                raise
            notices.say(f"{params['switch_address']}: {problem.message}, trying again")


class Port:
    """One port of a switch."""

    def __init__(self, opened: Session, interface: str) -> None:
        self.session = opened
        self.interface = interface
        self._port = f"interfaces/interface[name={interface}]"
        self._switched = f"{self._port}/ethernet/switched-vlan"

    def access(self, vlan: int, expect_neighbor: str | None, waiter: Waiter, check_mode: bool) -> Json:
        """Make the port an untagged member of ``vlan`` and of nothing else."""
        neighbor = self._neighbor(expect_neighbor, waiter)
        before = {"port": self._read_port(), "vlan": self._read_vlan(vlan)}
        after = {
            "port": {"interface-mode": _ACCESS, "access-vlan": vlan},
            "vlan": {"vlan-id": vlan, "status": "ACTIVE"},
        }
        changed = before != after
        if changed and not check_mode:
            update = [] if before["vlan"] == after["vlan"] else [(self._vlan_path(vlan), after["vlan"])]
            # Replace, of the narrow container: what is not said goes (native and trunk VLANs), and nothing beside it.
            self.session.write(replace=[(f"{self._switched}/config", after["port"])], update=update)
            self._confirm(vlan, waiter)
        return {
            "changed": changed,
            "diff": {"before": before, "after": after},
            "port": {"interface": self.interface, "vlan": vlan, "mode": "access", "neighbor": neighbor},
        }

    # -- reading -----------------------------------------------------------------------------------------------------

    def _read_port(self) -> Json:
        config = self.session.read(f"{self._switched}/config", "config")
        if config is None and self.session.read(f"{self._port}/config", "config") is None:
            raise NotFound(
                f"the switch has no interface {self.interface}",
                code="interface_missing",
                host=self.session.address,
                tried=f"Get {self._port}",
                next="Check the interface's name as the switch spells it.",
            )
        return _relevant(config or {})

    def _read_vlan(self, vlan: int) -> Json | None:
        config = self.session.read(self._vlan_path(vlan), "config")
        # A VLAN without a status is active (openconfig-vlan's default).
        return {"vlan-id": vlan, "status": config.get("status", "ACTIVE")} if config else None

    def _vlan_path(self, vlan: int) -> str:
        instance = self.session.dialect.network_instance
        return f"network-instances/network-instance[name={instance}]/vlans/vlan[vlan-id={vlan}]/config"

    def _neighbor(self, expected: str | None, waiter: Waiter) -> Json | None:
        """The LLDP neighbour; with ``expected`` it must be the one, and is waited for while there is none."""
        while True:
            seen = self._neighbors()
            if expected is None or seen:
                break
            if not waiter.pause():
                raise DeadlineExceeded(
                    f"nothing is heard over LLDP on {self.interface}, where {expected} should be",
                    code="neighbor_missing",
                    host=self.session.address,
                    tried=f"LLDP of {self.interface} for {waiter.waited:.0f} s",
                    next="Check the cable, and that LLDP runs on both ends; without expect_neighbor nobody looks.",
                )
        if expected is None:
            return _short(seen[0]) if seen else None
        for neighbor in seen:
            if _is(neighbor, expected):
                return _short(neighbor)
        raise Conflict(
            f"{self.interface} leads to {_named(seen[0])} and not to {expected}: the port was not touched",
            code="neighbor_differs",
            host=self.session.address,
            tried=f"LLDP of {self.interface}",
            answer="; ".join(map(_named, seen)),
            next="Correct the cabling, or the port in the record.",
        )

    def _neighbors(self) -> list[Json]:
        found = self.session.read(f"lldp/interfaces/interface[name={self.interface}]/neighbors")
        entries = (found or {}).get("neighbor") or []
        return [entry["state"] for entry in entries if entry.get("state")]

    # -- after the Set -----------------------------------------------------------------------------------------------

    def _confirm(self, vlan: int, waiter: Waiter) -> None:
        """Read back: the answer to a Set says that it was accepted, not that the port is there."""
        while True:
            state = _relevant(self.session.read(f"{self._switched}/state") or {})
            if not state:
                # Not every switch has the state container; then its configuration is what can be known.
                state = _relevant(self.session.read(f"{self._switched}/config", "config") or {})
            if state == {"interface-mode": _ACCESS, "access-vlan": vlan}:
                return
            if not waiter.pause():
                raise PaleBlueDotError(
                    f"{self.interface} is not in VLAN {vlan} although the switch took the change",
                    code="port_not_moved",
                    host=self.session.address,
                    tried=f"Set, then Get of {self._switched} for {waiter.waited:.0f} s",
                    answer=str(state),
                    next="Look at the switch's log: another system may write to this port.",
                    retryable=True,
                )


def _relevant(config: Json) -> Json:
    """The leaves that say which VLANs a port is in; those that do not apply to its mode are left out."""
    mode = str(config.get("interface-mode", "")).rpartition(":")[2]
    if not mode and "access-vlan" not in config:
        return {}
    kept: Json = {"interface-mode": mode or _ACCESS}
    names = ("access-vlan",) if kept["interface-mode"] == _ACCESS else ("native-vlan", "trunk-vlans")
    kept.update({name: config[name] for name in names if config.get(name) is not None})
    return kept


def _is(neighbor: Json, expected: str) -> bool:
    """Whether a neighbour is the one meant: by system name (with or without its domain) or by a MAC address."""
    mac = _mac(expected)
    if mac is not None:
        return mac in (_mac(neighbor.get("chassis-id")), _mac(neighbor.get("port-id")))
    name = str(neighbor.get("system-name") or "").lower()
    wanted = expected.lower()
    return bool(name) and (name == wanted or name.partition(".")[0] == wanted or name == wanted.partition(".")[0])


def _mac(text: Any) -> str | None:
    digits = re.sub(r"[:.\-]", "", str(text or "")).lower()
    return digits if re.fullmatch(r"[0-9a-f]{12}", digits) else None


def _short(neighbor: Json) -> Json:
    return {
        "system_name": neighbor.get("system-name"),
        "chassis_id": neighbor.get("chassis-id"),
        "port_id": neighbor.get("port-id"),
    }


def _named(neighbor: Json) -> str:
    return f"{neighbor.get('system-name') or 'a nameless system'} ({neighbor.get('chassis-id')})"
