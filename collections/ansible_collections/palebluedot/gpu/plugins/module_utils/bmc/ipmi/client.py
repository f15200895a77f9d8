# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""A BMC through IPMI 2.0 (RMCP+), for servers without Redfish: power, boot device, identity, a few readings."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from importlib.util import find_spec
from typing import Any, NoReturn, TypeVar

from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.base import (
    AnswerLost,
    Bios,
    Bmc,
    BmcInfo,
    Boot,
    BootTarget,
    Metrics,
    PowerAction,
    PowerState,
    Refused,
    Sensor,
    Task,
    no_facet,
)
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.deadline import Deadline, wait_until
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.ipmi import pool as ipmi_pool
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.values import number, text
from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import (
    AuthenticationError,
    BadAnswer,
    Busy,
    DeadlineExceeded,
    PaleBlueDotError,
    Unreachable,
    Unsupported,
)
from ansible_collections.palebluedot.gpu.plugins.module_utils.packages import need

F = TypeVar("F")

# Only the processes of the pool import it, and what one says when it cannot is not heard.
MISSING = None if find_spec("pyghmi") else ImportError("No module named 'pyghmi'")

PORT = 623
HEALTHS = ("OK", "Warning", "Critical")  # from best to worst
LOGOUT_TIMEOUT_S = 2.0
# After an order a BMC may show the old state for another 5 to 10 seconds.
_SETTLES_WITHIN_S = 15.0
# IPMI's boot device selector (28.13, parameter 5) in pyghmi's words. It has no UEFI HTTP boot.
_DEVICES = {
    BootTarget.NONE: "default",
    BootTarget.PXE: "network",
    BootTarget.CD: "optical",
    BootTarget.HDD: "hd",
    BootTarget.BIOS: "setup",
}
_TARGETS = {device: target.value for target, device in _DEVICES.items()}
_KINDS: dict[str, tuple[type[PaleBlueDotError], str, str]] = {
    "authentication": (
        AuthenticationError,
        "the BMC refused the user name or password",
        "Check the credential and that the account may use IPMI over LAN as administrator.",
    ),
    "cipher": (
        Unsupported,
        "the BMC agrees to no cipher suite of ours",
        "Allow cipher suite 17 (or 3) on the BMC, or use Redfish.",
    ),
    "sessions": (
        Busy,
        "the BMC holds no more IPMI sessions",
        "Wait until some that nobody uses any more run out, a minute or so.",
    ),
    "unreachable": (
        Unreachable,
        "the BMC does not answer IPMI",
        "Check the address, UDP port 623 and that IPMI over LAN is switched on.",
    ),
    "unsupported": (Unsupported, "the BMC does not offer this over IPMI", "Use Redfish, where the BMC has it."),
    "refused": (Refused, "the BMC refused the command", "Compare the command with what the BMC allows."),
    "lost": (
        AnswerLost,
        "the BMC's answer to a command was lost, so it is not known whether it was carried out",
        "Read the state back before sending it again.",
    ),
    "internal": (BadAnswer, "the BMC's answer could not be understood", "Try again; restart the BMC if it goes on."),
}


class IpmiBmc(Bmc):
    """One BMC over one session in a process of the pool."""

    protocol = "ipmi"

    def __init__(
        self,
        address: str,
        port: int | None,
        username: str,
        password: str,
        *,
        timeout: float,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._address = address.strip().strip("[]")
        self._port = port or PORT
        self._username = username
        self._password = password
        self._timeout = timeout
        self._sleep = sleep
        self._pool: ipmi_pool.IpmiPool | None = None
        self._worker: Any = None

    @property
    def host(self) -> str:
        return self._address if self._port == PORT else f"{self._address} port {self._port}"

    @property
    def username(self) -> str:
        return self._username

    def anew(self) -> IpmiBmc:
        """The same account in a session of its own."""
        return self.another(self._username, self._password)

    def another(self, username: str, password: str) -> IpmiBmc:
        """A connection of its own to the same BMC, for somebody else."""
        return IpmiBmc(self._address, self._port, username, password, timeout=self._timeout, sleep=self._sleep)

    def facet(self, *, redfish: Callable[[Any], F] | None = None, ipmi: Callable[[Any], F] | None = None) -> F:
        if ipmi is None:
            raise no_facet("IPMI", self.host, "redfish")
        return ipmi(self)

    def close(self) -> None:
        if self._worker is None or self._pool is None:
            return
        worker, self._worker = self._worker, None
        try:
            worker.ask(self._request("close", {}), Deadline(LOGOUT_TIMEOUT_S))
            self._pool.release(worker, usable=True)
        except ipmi_pool.WorkerLost:
            self._pool.release(worker, usable=False)

    # -- one command --------------------------------------------------------------------------------------------------

    def _request(self, operation: str, arguments: dict[str, Any]) -> dict[str, Any]:
        return {
            "op": operation,
            "address": self._address,
            "port": self._port,
            "username": str(self._username),
            "password": str(self._password),
            "arguments": arguments,
        }

    def ask(self, operation: str, within: float | None = None, **arguments: Any) -> Any:
        """Have a worker process carry out one of its ``OPERATIONS``; those that begin with ``set_`` write.

        :param within: seconds, where that is less than ``bmc_timeout``.
        :raises PaleBlueDotError: typed; `AnswerLost` when a write was sent and nothing came back.
        """
        deadline = Deadline(self._timeout if within is None else min(self._timeout, within))
        shown = {name: "***" if name == "password" else value for name, value in arguments.items()}
        tried = f"IPMI {operation}" + (f" {shown}" if shown else "")
        try:
            if self._worker is None:
                need("pyghmi", MISSING)
                self._pool = ipmi_pool.pool()
                self._worker = self._pool.acquire(f"{self._address}:{self._port}", deadline)
            answer = self._worker.ask(self._request(operation, arguments), deadline)
        except ipmi_pool.WorkerLost as lost:
            self._drop_worker()
            kind: type[PaleBlueDotError]
            kind = AnswerLost if operation.startswith("set_") else DeadlineExceeded if lost.timed_out else Unreachable
            raise kind(
                f"the BMC did not answer IPMI within {deadline.seconds:g} s" if lost.timed_out else "IPMI broke off",
                host=self.host,
                tried=tried,
                answer=str(lost),
                next="Check UDP port 623 and that IPMI over LAN is switched on; restart the BMC if it is.",
            ) from lost
        error = answer.get("error")
        if error is None:
            return answer["result"]
        if error["kind"] in ("unreachable", "lost", "internal", "cipher", "sessions"):
            self._drop_worker()  # the session is gone, and pyghmi cannot renew it in that process
        problem_kind, message, advice = _KINDS[error["kind"]]
        raise problem_kind(message, host=self.host, tried=tried, answer=error["text"], next=advice)

    def _drop_worker(self) -> None:
        if self._worker is not None and self._pool is not None:
            worker, self._worker = self._worker, None
            self._pool.release(worker, usable=False)

    # -- power --------------------------------------------------------------------------------------------------------

    def power_state(self) -> PowerState | None:
        return PowerState(self.ask("power_state"))

    def check_power(self, action: PowerAction) -> None:
        if action is PowerAction.AC_CYCLE:
            self._unsupported("taking away the mains")

    def set_power(self, action: PowerAction, *, wait_timeout: float | None) -> Task | None:
        self.check_power(action)
        on = self.power_state() is PowerState.ON
        if on is {PowerAction.ON: True, PowerAction.OFF: False, PowerAction.GRACEFUL: False}.get(action):
            return None  # somebody was quicker
        if action is PowerAction.ON or not on:
            self._control("on", PowerState.ON, wait_timeout)
        elif action is PowerAction.OFF:
            self._control("off", PowerState.OFF, wait_timeout)
        elif action is PowerAction.GRACEFUL:
            self._control("soft", PowerState.OFF, wait_timeout)
        elif action is PowerAction.RESET:
            self._control("reset", PowerState.ON, wait_timeout)
        else:
            # "power cycle" is optional in IPMI; off has to be seen before on may follow
            deadline = Deadline(wait_timeout if wait_timeout is not None else 60.0)
            self._control("off", PowerState.OFF, deadline.seconds)
            self._control("on", PowerState.ON, deadline.remaining() if wait_timeout is not None else None)
        return None

    def _control(self, command: str, state: PowerState, wait_timeout: float | None) -> None:
        patience = Deadline(_SETTLES_WITHIN_S * 2 if wait_timeout is None else wait_timeout)
        try:
            self.ask("set_power", action=command)
        except AnswerLost:
            if command == "reset" or not self._happened(command, state, patience):
                raise
        if wait_timeout is not None and not self._reached(state, patience.remaining()):
            raise DeadlineExceeded(
                f"the server is not {state.value} after {wait_timeout:g} s",
                host=self.host,
                step="power",
                tried=f"IPMI chassis control {command}, then reading the power state",
                answer="the other state",
                next="Raise wait_timeout; a shutdown that the OS ignores needs state=off.",
            )

    def _happened(self, command: str, state: PowerState, patience: Deadline) -> bool:
        """Whether what got no answer is carried out after all: one datagram that is lost is nothing unusual.

        On and off, which order a state, are ordered once more.
        """

        def shows(seconds: float) -> bool:
            with suppress(PaleBlueDotError):
                return self._reached(state, seconds)
            return False

        if shows(min(_SETTLES_WITHIN_S, patience.remaining() / 2)):
            return True
        if command != "soft":
            with suppress(PaleBlueDotError):
                self.ask("set_power", action=command)
        return shows(patience.remaining())

    def _reached(self, state: PowerState, seconds: float) -> bool:
        patience = Deadline(seconds)

        def read() -> PowerState:
            return PowerState(self.ask("power_state", within=max(patience.remaining(), 1.0)))

        return wait_until(read, lambda found: found is state, seconds, sleep=self._sleep)[0]

    # -- the rest -----------------------------------------------------------------------------------------------------

    def info(self, subset: Collection[str]) -> BmcInfo:
        found = BmcInfo(protocol=self.protocol)
        if "power" in subset:
            found.power_state = self.ask("power_state")
        if "system" in subset or "managers" in subset:
            known = self.ask("info")
            if "system" in subset:
                found.manufacturer = text(known["manufacturer"])
                found.model = text(known["model"])
                found.serial_number = text(known["serial_number"])
            if "managers" in subset:
                found.bmc_firmware_version = text(known["firmware"])
        if "health" in subset or "sensors" in subset:
            sensors = [Sensor(**reading) for reading in self.ask("sensors")]
            known = [sensor.health for sensor in sensors if sensor.health is not None]
            found.health = max(known, key=HEALTHS.index, default=None)
            found.sensors = sensors if "sensors" in subset else None
        if "capabilities" in subset:
            found.capabilities = self.capabilities()
        return found

    def capabilities(self) -> dict[str, Any]:
        return {
            "vendor": None,
            "profile": "ipmi",
            "redfish_version": None,
            "reset_types": sorted(action.value for action in PowerAction if action is not PowerAction.AC_CYCLE),
            "boot_targets": sorted(target.value for target in _DEVICES),
            "boot_order": False,
            "bios": False,
            "metric_reports": False,
            "event_service": False,
            "update_service": False,
        }

    def boot(self) -> Boot:
        answer = self.ask("boot")
        device = str(answer["bootdev"])
        target = _TARGETS.get(device, device)
        if target == BootTarget.NONE.value:
            return Boot(target, None, None, None)
        mode = None if answer["uefimode"] is None else "uefi" if answer["uefimode"] else "legacy"
        return Boot(target, "always" if answer["persistent"] else "once", mode, None)

    def set_boot(
        self,
        *,
        target: BootTarget | None = None,
        persistence: str = "once",
        mode: str | None = None,
        boot_order: Sequence[str] | None = None,
        uefi_target: str | None = None,
        dry: bool = False,
    ) -> None:
        if boot_order is not None:
            self._unsupported("a boot order")
        if target is None:
            return
        device = _DEVICES.get(target)
        if device is None:
            self._unsupported(f"booting from {target.value}")
        if not dry:
            self.ask("set_boot", device=device, persistent=persistence == "always", uefi=mode != "legacy")

    def resolve_uefi_target(self, wanted: str) -> str:
        self._unsupported("UEFI device paths")

    def resolve_boot_order(self, wanted: Sequence[str]) -> list[str]:
        self._unsupported("a boot order")

    def bios(self) -> Bios:
        self._unsupported("BIOS attributes")

    def check_bios(self, attributes: Mapping[str, Any], *, apply_time: str = "on_reset") -> None:
        self._unsupported("BIOS attributes")

    def set_bios(self, attributes: Mapping[str, Any], *, apply_time: str) -> Task | None:
        self._unsupported("BIOS attributes")

    def metrics(self) -> Metrics:
        read = self.ask("metrics")
        return Metrics(power_watts=number(read["power_watts"]), inlet_celsius=number(read["inlet_celsius"]))

    def _unsupported(self, what: str) -> NoReturn:
        raise Unsupported(
            f"IPMI does not know {what}",
            host=self.host,
            tried=what,
            answer="nothing was sent",
            next="Set bmc_protocol=redfish, where the BMC has it.",
        )
