# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""``bmc_protocol=auto``: Redfish where there is a Redfish service, else IPMI."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, TypeVar

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
    ServerState,
    Task,
)
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.deadline import Deadline
from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import (
    BadAnswer,
    NotFound,
    PaleBlueDotError,
    Unreachable,
)

T = TypeVar("T")
F = TypeVar("F")


class RedfishOrIpmi(Bmc):
    """Asks Redfish first and stays with what answered.

    IPMI is only tried when there was no sign of a Redfish service. Never after a refused password (each try counts
    towards a lockout), a certificate that does not verify (which may be somebody in between), a dropped connection, or
    a lost answer to a write (which may have been carried out).

    :param open_ipmi: opens IPMI with the seconds that each operation may take.
    :param timeout: seconds that an operation may take in all, over both.
    """

    def __init__(self, redfish: Bmc, open_ipmi: Callable[[float], Bmc], timeout: float) -> None:
        self._redfish = redfish
        self._open_ipmi = open_ipmi
        self._timeout = timeout
        self._chosen: Bmc | None = None

    @property
    def protocol(self) -> str:  # type: ignore[override]
        return self._chosen.protocol if self._chosen else "auto"

    @property
    def host(self) -> str:
        return self._redfish.host

    def close(self) -> None:
        self._redfish.close()
        if self._chosen is not None and self._chosen is not self._redfish:
            self._chosen.close()

    def _do(self, operation: Callable[[Bmc], T]) -> T:
        if self._chosen is not None:
            return operation(self._chosen)
        deadline = Deadline(self._timeout)
        try:
            result = operation(self._redfish)
        except PaleBlueDotError as problem:
            if not _no_redfish(problem):
                self._chosen = self._redfish
                raise
            return self._over_ipmi(operation, problem, deadline)
        self._chosen = self._redfish
        return result

    def _over_ipmi(self, operation: Callable[[Bmc], T], redfish_problem: PaleBlueDotError, deadline: Deadline) -> T:
        if deadline.remaining() < 1:
            raise redfish_problem
        # a read that every BMC answers says whether there is IPMI at all
        probe = self._open_ipmi(deadline.remaining())
        try:
            with probe:
                probe.power_state()
        except PaleBlueDotError as problem:
            redfish_problem.answer = f"Redfish: {redfish_problem.answer}; IPMI: {problem.answer or problem.message}"
            raise redfish_problem from problem
        self._chosen = self._open_ipmi(self._timeout)
        return operation(self._chosen)

    def power_state(self) -> PowerState | None:
        return self._do(lambda bmc: bmc.power_state())

    def set_power(self, action: PowerAction, *, wait_timeout: float | None) -> Task | None:
        return self._do(lambda bmc: bmc.set_power(action, wait_timeout=wait_timeout))

    def check_power(self, action: PowerAction) -> None:
        self._do(lambda bmc: bmc.check_power(action))

    def info(self, subset: Collection[str]) -> BmcInfo:
        return self._do(lambda bmc: bmc.info(subset))

    def boot(self) -> Boot:
        return self._do(lambda bmc: bmc.boot())

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
        self._do(
            lambda bmc: bmc.set_boot(
                target=target,
                persistence=persistence,
                mode=mode,
                boot_order=boot_order,
                uefi_target=uefi_target,
                dry=dry,
            )
        )

    def resolve_uefi_target(self, wanted: str) -> str:
        return self._do(lambda bmc: bmc.resolve_uefi_target(wanted))

    def resolve_boot_order(self, wanted: Sequence[str]) -> list[str]:
        return self._do(lambda bmc: bmc.resolve_boot_order(wanted))

    def bios(self) -> Bios:
        return self._do(lambda bmc: bmc.bios())

    def check_bios(self, attributes: Mapping[str, Any], *, apply_time: str = "on_reset") -> None:
        self._do(lambda bmc: bmc.check_bios(attributes, apply_time=apply_time))

    def set_bios(self, attributes: Mapping[str, Any], *, apply_time: str) -> Task | None:
        return self._do(lambda bmc: bmc.set_bios(attributes, apply_time=apply_time))

    def facet(self, *, redfish: Callable[[Any], F] | None = None, ipmi: Callable[[Any], F] | None = None) -> F:
        if self._chosen is None:
            self.power_state()  # a harmless read settles which protocol it is before anything is written
        chosen = self._chosen or self._redfish
        return chosen.facet(redfish=redfish, ipmi=ipmi)

    def state(self) -> ServerState:
        return self._do(lambda bmc: bmc.state())

    def metrics(self) -> Metrics:
        return self._do(lambda bmc: bmc.metrics())

    def capabilities(self) -> dict[str, Any]:
        return self._do(lambda bmc: bmc.capabilities())


def _no_redfish(problem: PaleBlueDotError) -> bool:
    """Whether an error says that there is no Redfish service at this address."""
    if isinstance(problem, AnswerLost):
        return False
    if isinstance(problem, Unreachable):
        return problem.code in ("unreachable", "connect_timeout")
    # an old BMC's web console answers everything with its login page
    return isinstance(problem, BadAnswer | NotFound) and problem.code in ("no_redfish", "not_json")
