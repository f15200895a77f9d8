# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""Restarting a BMC over IPMI (2.0, 20.2 and 20.3): cold and warm reset."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.base import Task
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.facets.manager import Manager, ManagerState
from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import PaleBlueDotError

if TYPE_CHECKING:
    from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.ipmi.client import IpmiBmc

_LOOK_S = 5.0


class IpmiManager(Manager):
    """One BMC."""

    def __init__(self, bmc: IpmiBmc) -> None:
        self._bmc = bmc

    @property
    def host(self) -> str:
        return self._bmc.host

    def state(self) -> ManagerState:
        return ManagerState(None, str(self._bmc.ask("firmware")))

    def offered(self) -> dict[str, str]:
        # that a BMC lacks the warm one shows only when it is ordered
        return {"force": "cold", "graceful": "warm"}

    def choose(self, kind: str | None) -> tuple[str, str]:
        return super().choose(kind or "force")

    def reset(self, word: str) -> Task | None:
        self._bmc.ask("set_reset", warm=word == "warm")
        return None

    def gone(self) -> bool:
        """Its sessions are over with a restart."""
        try:
            self._bmc.ask("power_state", within=_LOOK_S)
        except PaleBlueDotError:
            return True
        return False

    def back(self) -> ManagerState | None:
        with closing(self._bmc.anew()) as fresh:
            try:
                return ManagerState(None, str(fresh.ask("firmware", within=2 * _LOOK_S)))
            except PaleBlueDotError:
                return None
