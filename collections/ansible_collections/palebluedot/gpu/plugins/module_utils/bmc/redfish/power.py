# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""Power by Redfish: ResetTypes, the mains, and what to believe when a BMC says that it did not work."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.base import (
    AnswerLost,
    PowerAction,
    PowerState,
    Refused,
    Task,
)
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.deadline import Deadline, wait_until
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.redfish.away import Silence, is_slow
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.redfish.patience import patiently
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.redfish.tasks import task_of, wait_for
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.values import dig, integer, leaf, table, text, texts
from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import (
    BadAnswer,
    Busy,
    Conflict,
    DeadlineExceeded,
    InvalidInput,
    NotFound,
    PaleBlueDotError,
    Unsupported,
)

if TYPE_CHECKING:
    from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.redfish.client import RedfishBmc
    from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.vendors import Profile
    from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.vendors.profile import AcCycle

CHASSIS = "/redfish/v1/Chassis"
# A BMC that says no may need this long to show that it was a yes.
_SHOWS_WITHIN_S = 2.0
# One that says nothing is obeyed at its own pace: many show the old state for another 5 to 10 seconds.
_SETTLES_WITHIN_S = 15.0
# A restart is seen within this time, or not at all: many servers show On from beginning to end.
_SIGN_WITHIN_S = 3.0
# Without waiting for the state "not now" is still tried again: after an off several BMCs refuse an on for seconds.
_PATIENCE_S = 60.0
# After a restart of the mains a server comes on by itself, or its power restore policy leaves it off.
_COMES_ON_WITHIN_S = 60.0
_ONE_LOOK_S = 5.0


_END = {PowerAction.ON: PowerState.ON, PowerAction.OFF: PowerState.OFF, PowerAction.GRACEFUL: PowerState.OFF}


@dataclass(frozen=True)
class _Server:
    """The host as it was when the operation began."""

    profile: Profile
    target: str
    offered: tuple[str, ...]
    state: PowerState | None
    reset_at: str | None  # LastResetTime

    @property
    def on(self) -> bool:
        return self.state is not PowerState.OFF


class RedfishPower:
    """Power of one server."""

    def __init__(self, bmc: RedfishBmc) -> None:
        self._bmc = bmc

    def check(self, action: PowerAction) -> None:
        """Raise `Unsupported` for what this server does not offer."""
        server = self._server()
        if action is PowerAction.AC_CYCLE:
            self._way(server.profile)
        elif action is not PowerAction.CYCLE:
            self._kind(server, action)

    def carry_out(self, action: PowerAction, wait_timeout: float | None) -> Task | None:
        """See `base.Bmc.set_power`."""
        server = self._server()
        patience = Deadline(wait_timeout if wait_timeout is not None else max(self._bmc.timeout, _PATIENCE_S))
        if action is PowerAction.AC_CYCLE:
            return self._ac_cycle(server, patience, wait_timeout is not None)
        if server.state is _END.get(action):
            return None  # somebody was quicker
        at_once = {PowerAction.RESET: server.profile.restart, PowerAction.CYCLE: server.profile.power_cycle}.get(action)
        if action is PowerAction.ON or not server.on:
            state = PowerState.ON
            task = self._reset(server, self._kind(server, PowerAction.ON), state, patience)
        elif action in (PowerAction.OFF, PowerAction.GRACEFUL):
            state = PowerState.OFF
            task = self._reset(server, self._kind(server, action), state, patience)
        elif any(kind in server.offered for kind in at_once or ()):
            task = self._reset(server, self._kind(server, action), None, patience)
            return task if wait_timeout is None else self._restarted(server, task, patience)
        else:
            # No such ResetType here: off has to be seen before on may follow, whether the caller would wait or not.
            state = PowerState.ON
            task = self._off_and_on(server, patience)
        if wait_timeout is None:
            return task
        self._wait_for(state, task, patience)
        return self._finished(task)

    # -- what there is ------------------------------------------------------------------------------------------------

    def _server(self) -> _Server:
        deadline = self._bmc.deadline()
        system = self._bmc.system(deadline)
        profile = self._bmc.profile(deadline, system)
        target, offered = self._bmc.reset_action(system, profile, deadline)
        return _Server(profile, target, offered, power_state_of(system), text(system.get("LastResetTime")))

    def _kind(self, server: _Server, action: PowerAction) -> str:
        """The ResetType of an action."""
        wanted = {
            PowerAction.ON: ("On", "ForceOn"),
            PowerAction.OFF: ("ForceOff",),
            PowerAction.GRACEFUL: ("GracefulShutdown",),
            PowerAction.RESET: server.profile.restart or ("ForceOff",),
            PowerAction.CYCLE: server.profile.power_cycle,
        }[action]
        kind = next((name for name in wanted if name in server.offered), None)
        if kind is None:
            raise Unsupported(
                f"the BMC cannot do power '{action.value}'",
                host=self._bmc.host,
                tried=f"ResetType {' or '.join(wanted)}",
                answer=f"offered: {', '.join(server.offered)}",
                next="Use another state, or add the ResetType to the vendor's profile.",
            )
        return kind

    # -- one command --------------------------------------------------------------------------------------------------

    def _off_and_on(self, server: _Server, patience: Deadline) -> Task | None:
        off = self._reset(server, self._kind(server, PowerAction.OFF), PowerState.OFF, patience)
        self._wait_for(PowerState.OFF, off, patience)
        if server.profile.pause_after_off_s:
            self._bmc.sleep(min(server.profile.pause_after_off_s, patience.remaining()))
        return self._reset(server, self._kind(server, PowerAction.ON), PowerState.ON, patience)

    def _reset(self, server: _Server, kind: str, reach: PowerState | None, patience: Deadline) -> Task | None:
        """POST one ResetType, and look at the server before believing that it failed.

        BMCs answer 409 or 400 when it is so already, 500 when it worked, or nothing at all. A refusal for now (POST, an
        on just after an off, a BMC that is busy) is tried again with growing pauses. After a lost answer the server is
        looked at for as long as there is time; meanwhile On and ForceOff, which order a state, are ordered once more.
        """
        body = {"ResetType": kind}

        def send() -> Task | None:
            try:
                return self._order(server.target, body)
            except AnswerLost:
                if self._happened(server, reach, min(_SETTLES_WITHIN_S, patience.remaining() / 2)):
                    return None
                if reach is None:
                    raise
                if kind != "GracefulShutdown":
                    with suppress(PaleBlueDotError):
                        return self._order(server.target, body)
                if self._happened(server, reach, patience.remaining()):
                    return None
                raise
            except (BadAnswer, Busy, Conflict, Refused):
                if self._happened(server, reach, _SHOWS_WITHIN_S):
                    return None
                raise

        return self._patiently(send, patience)

    def _order(self, target: str, body: dict[str, Any]) -> Task | None:
        """POST once: whether it is sent again is for this class to say, which looks at the server in between."""
        return task_of(self._bmc.transport.write("POST", target, body, {}, self._bmc.deadline()))

    def _patiently(self, send: Callable[[], Task | None], patience: Deadline) -> Task | None:
        def for_now(problem: PaleBlueDotError) -> bool:
            return problem.retryable and isinstance(problem, Busy | Conflict)

        return patiently(send, for_now, patience.remaining(), self._bmc.sleep)

    def _happened(self, server: _Server, reach: PowerState | None, seconds: float) -> bool:
        """Whether the server comes to show what was asked of it: the state, or for a restart a new time of it."""

        def shows(system: dict[str, Any]) -> bool:
            if reach is not None:
                return text(system.get("PowerState")) == reach.value
            return self._new_time(server, system)

        if reach is None and server.reset_at is None:
            return False
        try:
            return wait_until(self._look, shows, seconds, sleep=self._bmc.sleep)[0]
        except PaleBlueDotError:
            return False

    def _look(self, patience: Deadline | None = None) -> dict[str, Any]:
        """The System, read in no more time than the wait has left (a second at least, for a last look)."""
        left = self._bmc.timeout if patience is None else max(patience.remaining(), 1.0)
        return self._bmc.system(Deadline(min(self._bmc.timeout, left)))

    # -- waiting ------------------------------------------------------------------------------------------------------

    def _wait_for(self, state: PowerState, task: Task | None, patience: Deadline) -> None:
        reached, last = wait_until(
            lambda: text(self._look(patience).get("PowerState")),
            lambda read: read == state.value,
            patience.remaining(),
            sleep=self._bmc.sleep,
        )
        if not reached:
            raise DeadlineExceeded(
                f"the server is not {state.value} after {patience.seconds:g} s",
                host=self._bmc.host,
                step="power",
                tried=f"reading PowerState until it is {state.value}",
                answer=f"PowerState {last or 'unknown'}" + (f", task {task.uri}" if task and task.uri else ""),
                next="Raise wait_timeout; a shutdown that the OS ignores needs state=off.",
            )

    def _restarted(self, server: _Server, task: Task | None, patience: Deadline) -> Task | None:
        """Wait for the end of a restart: a server that is On may not have begun with it.

        :raises Refused: its task failed.
        """
        if task is not None and task.uri is not None:
            task = wait_for(self._bmc, task, patience.remaining())
        elif self._seen_to_restart(server, patience):
            return task
        self._wait_for(PowerState.ON, task, patience)
        return task

    def _seen_to_restart(self, server: _Server, patience: Deadline) -> bool:
        """Whether it is On and has a new LastResetTime; False, at the latest in seconds, for any other sign or none."""

        def sign(system: dict[str, Any]) -> bool:
            return self._new_time(server, system) or power_state_of(system) is not PowerState.ON

        try:
            seconds = min(_SIGN_WITHIN_S, patience.remaining())
            _seen, system = wait_until(lambda: self._look(patience), sign, seconds, sleep=self._bmc.sleep)
        except PaleBlueDotError:
            return False
        return self._new_time(server, system) and power_state_of(system) is PowerState.ON

    @staticmethod
    def _new_time(server: _Server, system: dict[str, Any]) -> bool:
        started = text(system.get("LastResetTime"))
        return None not in (started, server.reset_at) and started != server.reset_at

    def _finished(self, task: Task | None) -> Task | None:
        """The task as it stands after the wait, as far as the BMC still knows it."""
        if task is None or task.uri is None:
            return task
        try:
            found = self._bmc.transport.get_optional(task.uri, self._bmc.deadline())
        except PaleBlueDotError:
            found = None
        if found is None:
            return task
        return Task(task.uri, text(found.get("TaskState")), integer(found.get("PercentComplete")))

    # -- the mains ----------------------------------------------------------------------------------------------------

    def _way(self, profile: Profile) -> tuple[AcCycle, str | None]:
        """The first of the profile's ways that this machine has, and its action's target (None: by the BIOS)."""
        looked: list[str] = []
        for way in profile.ac_cycle:
            if way.bios is not None:
                name, value = way.bios
                problem = self._bios_problem(name, value)
                if problem is None:
                    return way, None
                looked.append(f"BIOS attribute {name}: {problem}")
                continue
            target, problem = self._action(way)
            if target is not None:
                return way, target
            looked.append(f"{way.action}: {problem}")
        raise Unsupported(
            "the BMC cannot take the mains away",
            host=self._bmc.host,
            tried=", ".join(way.action or f"BIOS attribute {(way.bios or ('',))[0]}" for way in profile.ac_cycle)
            or f"profile {profile.name}",
            answer="; ".join(looked) or "no way is known for this product",
            next="Use state=cycle, or switch the outlet of the rack's power distribution unit.",
        )

    def _action(self, way: AcCycle) -> tuple[str | None, str]:
        """The target of an action of the System or of a Chassis, or why there is none."""
        deadline = self._bmc.deadline()
        if way.chassis is None:
            owners = [self._bmc.system(deadline)]
        else:
            paths = self._bmc.transport.members(CHASSIS, deadline)
            fitting = [path for path in paths if re.fullmatch(way.chassis, leaf(path))]
            if not fitting:
                return None, f"no Chassis {way.chassis.replace(chr(92), '')} among {len(paths)}"
            owners = [self._bmc.transport.get_optional(path, deadline) or {} for path in fitting]
        for owner in owners:
            # where the specification puts it, and where iLO does
            places = [dig(owner, "Actions", "Oem"), *(dig(oem, "Actions") for oem in table(owner.get("Oem")).values())]
            for place in places:
                action = table(table(place).get(way.action))
                target = text(action.get("target"))
                if target is None:
                    continue
                for name, value in way.parameters:
                    allowed = texts(action.get(f"{name}@Redfish.AllowableValues"))
                    if allowed and value not in allowed:
                        return None, f"{name} takes {', '.join(allowed)}, not {value}"
                return target, ""
        return None, f"it is no action of {'the Chassis' if way.chassis else 'the System'}"

    def _bios_problem(self, name: str, value: str) -> str | None:
        """Why a BIOS attribute cannot be set, or None."""
        try:
            if name not in self._bmc.bios().current:
                return "the BIOS has none"
            self._bmc.check_bios({name: value})
        except (NotFound, Unsupported, InvalidInput) as problem:
            return problem.message
        return None

    def _ac_cycle(self, server: _Server, patience: Deadline, wait: bool) -> Task | None:
        way, target = self._way(server.profile)
        booted = self._manager_reset_at()
        if target is None:
            if way.bios is None:
                raise AssertionError("a way without a target is one by a BIOS attribute")
            name, value = way.bios
            self._bmc.set_bios({name: value}, apply_time="on_reset")
            action = PowerAction.RESET if server.on else PowerAction.ON
            task = self._reset(server, self._kind(server, action), None, patience)
        else:
            if way.off_first and server.on:
                off = self._reset(server, self._kind(server, PowerAction.OFF), PowerState.OFF, patience)
                self._wait_for(PowerState.OFF, off, patience)
            task = self._mains(target, dict(way.parameters), patience)
        if not wait:
            return task
        off_before = way.off_first or not server.on
        self._see_it_gone(off_before, booted, patience)
        self._see_it_back(server, task, patience)
        return task

    def _mains(self, target: str, body: dict[str, Any], patience: Deadline) -> Task | None:
        """POST it once, again only where the BMC says "not now".

        The BMC is on the same mains, so an answer that never comes is nothing unusual: what follows tells.
        """
        with suppress(AnswerLost):
            return self._patiently(lambda: self._order(target, body), patience)
        return None

    def _manager_reset_at(self) -> str | None:
        try:
            return text((self._bmc.manager(self._bmc.deadline()) or {}).get("LastResetTime"))
        except PaleBlueDotError:
            return None

    def _see_it_gone(self, off_before: bool, booted: str | None, patience: Deadline) -> None:
        """Wait for a sign that the mains were away: the BMC is silent or has started anew, or the power changes.

        One that is only silent may be slow: its LastResetTime tells, where it has one.
        """
        sign = PowerState.ON if off_before else PowerState.OFF
        silence = Silence()
        was_silent = False

        def gone() -> bool:
            nonlocal was_silent
            began = time.monotonic()
            short = Deadline(min(_ONE_LOOK_S, self._bmc.timeout, max(patience.remaining(), 1.0)))
            try:
                if text(self._bmc.system(short).get("PowerState")) == sign.value:
                    return True
            except PaleBlueDotError as problem:
                if not is_slow(problem):
                    return True
                was_silent = silence.goes_on(began) or was_silent
                return was_silent and booted is None
            silence.ends()
            if booted is None:
                return False
            started = self._manager_reset_at()
            return was_silent if started is None else started != booted

        if not wait_until(gone, bool, patience.remaining(), sleep=self._bmc.sleep)[0]:
            raise DeadlineExceeded(
                f"nothing shows after {patience.seconds:g} s that the mains were away",
                host=self._bmc.host,
                step="ac_cycle",
                tried="waiting for the BMC to fall silent or the power to change",
                answer="the BMC answers as before",
                next="Raise wait_timeout: where the BIOS does it, it comes minutes later, with the next POST.",
            )

    def _see_it_back(self, server: _Server, task: Task | None, patience: Deadline) -> None:
        """Wait for the BMC, and for the power where there was some: switch on what stays off."""

        def read() -> str | None:
            short = Deadline(min(_ONE_LOOK_S * 2, self._bmc.timeout, max(patience.remaining(), 1.0)))
            try:
                return text(self._bmc.system(short).get("PowerState"))
            except PaleBlueDotError:
                return None  # a BMC that is starting answers all kinds of things

        answers, _state = wait_until(read, lambda state: state is not None, patience.remaining(), sleep=self._bmc.sleep)
        if not answers:
            raise DeadlineExceeded(
                f"the BMC does not answer {patience.seconds:g} s after its mains were taken away",
                host=self._bmc.host,
                step="ac_cycle",
                tried="reading PowerState until there is an answer",
                answer="none",
                next="Look at the machine: a BMC takes some minutes to start. Raise wait_timeout.",
            )
        if not server.on:
            return
        grace = min(_COMES_ON_WITHIN_S, patience.remaining() / 2)
        if wait_until(read, lambda state: state == PowerState.ON.value, grace, sleep=self._bmc.sleep)[0]:
            return
        self._reset(server, self._kind(server, PowerAction.ON), PowerState.ON, patience)
        self._wait_for(PowerState.ON, task, patience)


def power_state_of(system: dict[str, Any]) -> PowerState | None:
    """The System's PowerState; None where it says nothing that is known."""
    word = text(system.get("PowerState"))
    try:
        return PowerState(word) if word else None
    except ValueError:
        return None
