# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""One VLAN of a switch, with its name and its VNI: the operation of ``switch_vlan``.

A VNI that still belongs to another VLAN is taken off it first, in the same transaction where the switch has one; a VLAN
that ports are in is never taken away, nor is the VNI of one.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import (
    Conflict,
    InvalidInput,
    PaleBlueDotError,
    Unsupported,
)
from ansible_collections.palebluedot.gpu.plugins.module_utils.switch.dialects import Dialect, dialect
from ansible_collections.palebluedot.gpu.plugins.module_utils.switch.dialects.base import Json, Vlan, Vnis
from ansible_collections.palebluedot.gpu.plugins.module_utils.switch.gnmi import Change, Session
from ansible_collections.palebluedot.gpu.plugins.module_utils.switch.port import VLAN_IDS
from ansible_collections.palebluedot.gpu.plugins.module_utils.switch.trying import attempts, settle
from ansible_collections.palebluedot.gpu.plugins.module_utils.waiting import Waiter

VNI_IDS = range(1, 2**24)


def run(params: Json, check_mode: bool) -> Json:
    """Operation of ``switch_vlan``: ``changed``, ``diff``, ``vlan`` {id, name, active, vni} or null."""
    where = params["switch_address"]
    if params["vlan"] not in VLAN_IDS:
        raise InvalidInput(f"{params['vlan']} is not a VLAN (1-4094)", host=where)
    if params.get("vni") is not None and params["vni"] not in VNI_IDS:
        raise InvalidInput(f"{params['vni']} is not a VNI (1-16777215)", host=where)
    if params["vlan"] == 1 and params["state"] == "absent":
        raise InvalidInput("VLAN 1 is the switch's own and cannot be removed", host=where)
    spoken = dialect(params["switch_dialect"])
    if params.get("vni") is not None and not spoken.maps_vnis:
        spoken.vnis()
    keeper = _Keeper(spoken, params, check_mode)
    return attempts(params, spoken, keeper.waiter, keeper.attempt)


class _Keeper:
    """One VLAN on its way to what it should be; survives the connections that it takes."""

    def __init__(self, spoken: Dialect, params: Json, check_mode: bool) -> None:
        self.dialect = spoken
        self.address: str = params["switch_address"]
        self.id: int = params["vlan"]
        self.name: str | None = params.get("name")
        self.vni: int | None = params.get("vni")
        self.present = params["state"] == "present"
        self.check_mode = check_mode
        self.waiter = Waiter(float(params["wait_timeout"]), first_pause_s=0.2, longest_pause_s=2.0)
        self.before: tuple[Vlan | None, Vnis] | None = None

    def attempt(self, opened: Session) -> Json:
        """Look, write and look again over one connection."""
        vlan, maps = self._look(opened)
        if self.before is None:
            self.before = (vlan, maps)
        wanted = self._wanted(vlan)
        stale = self._stale(maps)
        if vlan != wanted or stale:
            if not self.present:
                self._refuse_members(opened, self.id, "vlan_in_use")
            for other in stale:
                if other != self.id:
                    self._refuse_members(opened, other, "vni_in_use")
            if not self.check_mode:
                self._write(opened, vlan, wanted, stale)
        return self._result(wanted)

    def _result(self, wanted: Vlan | None) -> Json:
        if self.before is None:
            raise AssertionError("the VLAN was not looked at")
        vlan, maps = self.before
        taken = sorted(set(self._stale(maps)) - {self.id})
        before = {"vlan": _shown(vlan), "vni_taken_from": taken}
        after = {"vlan": _shown(wanted), "vni_taken_from": []}
        return {"changed": before != after, "diff": {"before": before, "after": after}, "vlan": _shown(wanted)}

    def _wanted(self, vlan: Vlan | None) -> Vlan | None:
        if not self.present:
            return None
        # What the task does not say stays.
        found = vlan or Vlan(self.id)
        return replace(
            found,
            name=found.name if self.name is None else self.name,
            active=True,
            vni=found.vni if self.vni is None else self.vni,
        )

    def _stale(self, maps: Vnis) -> Vnis:
        """Maps that must go: of this VLAN to another VNI, of another VLAN to this VNI; all of a VLAN that goes."""
        if not self.present:
            return maps.only({self.id})
        if self.vni is None:
            return maps.only(())
        return maps.only({vlan for vlan, vni in maps.items() if (vlan == self.id) != (vni == self.vni)})

    def _look(self, opened: Session) -> tuple[Vlan | None, Vnis]:
        maps = Vnis()
        if self.vni is not None or (self.dialect.maps_vnis and not self.present):
            try:
                vlan, maps = opened.read(self.dialect.vlan(self.id), self.dialect.vnis())
            except Unsupported as problem:
                if self.present or problem.code != "vni_unsupported":
                    raise
                (vlan,) = opened.read(self.dialect.vlan(self.id))
        else:
            (vlan,) = opened.read(self.dialect.vlan(self.id))
        return (vlan and replace(vlan, vni=maps.get(self.id))), maps

    def _refuse_members(self, opened: Session, vlan: int, code: str) -> None:
        (members,) = opened.read(self.dialect.members(vlan))
        if members:
            what = "it is not removed" if code == "vlan_in_use" else f"VNI {self.vni} is not taken from it"
            raise Conflict(
                f"VLAN {vlan} has ports in it: {what}",
                code=code,
                host=self.address,
                answer=", ".join(sorted(members)),
                next="Move the ports first (switch_port).",
            )

    # -- the Sets and what became of them ----------------------------------------------------------------------------

    def _write(self, opened: Session, vlan: Vlan | None, wanted: Vlan | None, stale: Vnis) -> None:
        if wanted is None:
            changes = self.dialect.drop_vlan(self.id, stale)
        else:
            changes = self.dialect.make_vlan(wanted, vlan, stale)
        done = 0
        try:
            for change in changes:
                opened.write(change)
                done += 1
        except Unsupported as problem:
            # the switch may take one of two models only
            if done:
                self._undo(opened, vlan, problem)
            raise
        except PaleBlueDotError as problem:
            self._judge(opened, vlan, wanted, problem)
            return
        self._confirm(opened, wanted, changes)

    def _is_done(self, opened: Session, wanted: Vlan | None) -> tuple[bool, Vlan | None]:
        found, maps = self._look(opened)
        if found is not None and wanted is not None and self.name is None:
            # a switch names a VLAN that nobody names
            return replace(found, name=wanted.name) == wanted and not self._stale(maps), found
        return found == wanted and not self._stale(maps), found

    def _judge(self, opened: Session, vlan: Vlan | None, wanted: Vlan | None, problem: PaleBlueDotError) -> None:
        """After a Set that failed: return when it was done, raise ``problem`` when nothing was, else put back."""

        def look() -> tuple[bool, bool]:
            done, found = self._is_done(opened, wanted)
            return done, found == vlan

        try:
            done, untouched = settle(opened, problem, look)
        except PaleBlueDotError:
            problem.message += f"; what became of VLAN {self.id} is not known"
            raise problem from None
        if done:
            return
        if untouched:
            problem.message += f"; VLAN {self.id} is as it was"
            raise problem
        self._undo(opened, vlan, problem)

    def _confirm(self, opened: Session, wanted: Vlan | None, changes: list[Change]) -> None:
        while True:
            done, found = self._is_done(opened, wanted)
            if done:
                return
            if not self.waiter.pause():
                break
        word = "not as it should be" if self.present else "still there"
        raise PaleBlueDotError(
            f"VLAN {self.id} is {word} although the switch took the change",
            code="vlan_not_set" if self.present else "vlan_not_removed",
            host=self.address,
            tried=f"Set {', '.join(path for change in changes for path in change.paths)}",
            answer=str(_shown(found)),
            next="Look at the switch's log: another system may write to this VLAN.",
            retryable=True,
        )

    def _undo(self, opened: Session, vlan: Vlan | None, problem: PaleBlueDotError) -> None:
        """A change of two Sets stopped in the middle: a VLAN made by it is taken away again.

        :raises PaleBlueDotError: always.
        """
        facts: Json = {"host": self.address, "tried": problem.tried, "answer": problem.answer, "next": problem.next}
        told = problem.message.rstrip(".")
        if vlan is None and self.present:
            try:
                self._refuse_members(opened, self.id, "vlan_in_use")
                _found, maps = self._look(opened)
                for change in self.dialect.drop_vlan(self.id, maps.only({self.id})):
                    opened.write(change)
                found, _maps = self._look(opened)
            except PaleBlueDotError as second:
                raise PaleBlueDotError(
                    f"{told}; VLAN {self.id} was made by half and could not be removed ({second.message})",
                    code="vlan_half_set",
                    **facts,
                ) from problem
            if found is None:
                raise type(problem)(
                    f"{told}; VLAN {self.id} was removed again",
                    code=problem.code,
                    retryable=problem.retryable,
                    **facts,
                ) from problem
        raise PaleBlueDotError(
            f"{told}; VLAN {self.id} was changed by half",
            code="vlan_half_set",
            **{**facts, "next": "Run the task again: it does what is missing."},
            retryable=True,
        ) from problem


def _shown(vlan: Vlan | None) -> Any:
    return None if vlan is None else vlan.shown()
