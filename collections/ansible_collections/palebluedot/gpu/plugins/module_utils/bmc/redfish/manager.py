# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""Restarting a BMC over Redfish (DSP0268, Manager.Reset)."""

from __future__ import annotations

import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.base import Task
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.deadline import Deadline
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.facets.manager import Manager, ManagerState
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.redfish.away import Silence, is_slow
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.redfish.tasks import task_of
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.values import dig, leaf, table, tables, text, texts
from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import PaleBlueDotError, Unsupported

if TYPE_CHECKING:
    from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.redfish.client import RedfishBmc

# ResetTypes of a restart (Resource.ResetType), best first.
_WORDS = {"graceful": ("GracefulRestart",), "force": ("ForceRestart",)}
# A BMC that is away answers nothing for minutes, so a look is short.
_LOOK_S = 5.0


class RedfishManager(Manager):
    """The Manager that is the host's BMC."""

    def __init__(self, bmc: RedfishBmc) -> None:
        self._bmc = bmc
        self._path = ""
        self._last_reset: str | None = None
        self._silence = Silence()
        self._only_silent = False  # nothing but silence says that it was away

    @property
    def host(self) -> str:
        return self._bmc.host

    def _read(self, deadline: Deadline) -> dict[str, Any]:
        found = self._bmc.manager(deadline)
        if found is None:
            raise Unsupported(
                "the BMC shows no Manager",
                host=self.host,
                tried="Managers, and the System's link to its own",
                answer="none of type BMC",
                next="Use bmc_protocol=ipmi, or update the BMC's firmware.",
            )
        self._path = str(found["@odata.id"])
        return found

    def state(self) -> ManagerState:
        body = self._read(self._bmc.deadline())
        self._last_reset = text(body.get("LastResetTime"))
        return _state(self._path, body)

    def offered(self) -> dict[str, str]:
        deadline = self._bmc.deadline()
        body = self._read(deadline)
        action = table(dig(body, "Actions", "#Manager.Reset"))
        words = texts(action.get("ResetType@Redfish.AllowableValues"))
        if not words:
            info = self._bmc.transport.get_optional(text(action.get("@Redfish.ActionInfo")), deadline)
            for parameter in tables(dig(info, "Parameters")):
                if parameter.get("Name") == "ResetType":
                    words = texts(parameter.get("AllowableValues"))
        if not words and action:
            words = [word for names in _WORDS.values() for word in names]  # it says nothing: the specification's
        return {kind: word for kind, names in _WORDS.items() for word in names if word in words}

    def reset(self, word: str) -> Task | None:
        deadline = self._bmc.deadline()
        body = self._read(deadline)
        target = text(dig(body, "Actions", "#Manager.Reset", "target")) or f"{self._path}/Actions/Manager.Reset"
        return task_of(self._bmc.transport.post(target, {"ResetType": word}, deadline))

    def gone(self) -> bool:
        began = time.monotonic()
        try:
            status, body = self._bmc.transport.look(self._path, Deadline(_LOOK_S))
        except PaleBlueDotError as problem:
            if not is_slow(problem):
                return True
            status = 503
        if status == 401:  # it has forgotten our session
            return True
        if status == 503:
            self._only_silent = self._silence.goes_on(began)
            return self._only_silent
        self._silence.ends()
        restarted = text(body.get("LastResetTime"))
        return restarted is not None and self._last_reset is not None and restarted != self._last_reset

    def back(self) -> ManagerState | None:
        with closing(self._bmc.transport.anew()) as fresh:
            deadline = Deadline(min(self._bmc.timeout, 2 * _LOOK_S))
            try:
                fresh.log_in(deadline)
                body = fresh.get(self._path, deadline)
            except PaleBlueDotError as problem:
                # the password is right, it was before; a BMC that is starting may not know it yet
                if not problem.retryable and problem.code not in ("not_found", "forbidden"):
                    raise
                return None
        if self._only_silent and self._last_reset and text(body.get("LastResetTime")) == self._last_reset:
            return None  # it was slow, and the restart is still to come
        state = _state(self._path, body)
        return None if state.state in ("Starting", "Updating", "Disabled") else state


def _state(path: str, body: dict[str, Any]) -> ManagerState:
    return ManagerState(leaf(path), text(body.get("FirmwareVersion")), text(dig(body, "Status", "State")))
