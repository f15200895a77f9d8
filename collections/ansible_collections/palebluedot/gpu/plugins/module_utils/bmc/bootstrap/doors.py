# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""How a BMC is met that nobody has logged in to yet: over Redfish, or over IPMI where it has nothing else."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import closing
from typing import Any, Generic, TypeVar

from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.base import Bmc
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.connect import open_bmc
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.deadline import Deadline
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.facets.accounts import Accounts
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.ipmi.accounts import IpmiAccounts
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.ipmi.client import IpmiBmc
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.redfish.accounts import RedfishAccounts
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.redfish.client import RedfishBmc
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.redfish.transport import ROOT, SYSTEMS
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.values import text
from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import AuthenticationError
from ansible_collections.palebluedot.gpu.plugins.module_utils.service.credentials import Credential

B = TypeVar("B", bound=Bmc)


class Door(ABC, Generic[B]):
    """The logins at one BMC. :param params: the module's options; those of the account are not looked at."""

    # what else may be the matter when every credential was refused
    refused = ""

    def __init__(self, params: Mapping[str, Any]) -> None:
        self._params = params
        self._timeout = float(params["bmc_timeout"])

    @abstractmethod
    def open(self, credential: Credential) -> B:
        """A connection with this credential; nothing is sent yet."""

    @abstractmethod
    def meet(self) -> tuple[str, dict[str, Any]]:
        """The BMC's address as it is shown in errors, and what it tells everybody: its service root."""

    def log_in(self, credential: Credential) -> tuple[B, str | None] | None:
        """One login: the open BMC and the account that has to change its password first ("" when the BMC does not name
        it); None when it was the wrong one.

        What goes wrong on the wire is no wrong password, but the BMC may have counted it as one: the try stays noted.
        """
        bmc = self.open(credential)
        try:
            self._enter(bmc)
        except AuthenticationError as problem:
            if problem.code == "password_change_required":
                return bmc, text(problem.details.get("account")) or ""
            bmc.close()
            if problem.code == "authentication_failed":
                return None
            raise
        except BaseException:
            bmc.close()
            raise
        return bmc, None

    @abstractmethod
    def _enter(self, bmc: B) -> None:
        """One login, so that a wrong password counts once."""

    @abstractmethod
    def accounts(self, bmc: B) -> Accounts:
        """The accounts of the BMC that is open."""

    @abstractmethod
    def serial_number(self, bmc: B) -> str | None:
        """The server's, as the BMC that is open says."""


class RedfishDoor(Door[RedfishBmc]):
    """Over Redfish."""

    def open(self, credential: Credential) -> RedfishBmc:
        auth = "basic" if self._params["bmc_auth"] == "basic" else "session"
        opened = open_bmc({**_of(self._params, credential), "bmc_protocol": "redfish", "bmc_auth": auth})
        if not isinstance(opened, RedfishBmc):
            raise AssertionError("bmc_protocol=redfish opens a RedfishBmc")
        return opened

    def meet(self) -> tuple[str, dict[str, Any]]:
        with closing(self.open(Credential("", ""))) as stranger:
            return stranger.host, stranger.transport.get_public(ROOT, Deadline(self._timeout))

    def _enter(self, bmc: RedfishBmc) -> None:
        deadline = Deadline(self._timeout)
        bmc.transport.log_in(deadline)
        bmc.transport.get_optional(SYSTEMS, deadline)  # a session is given before the change, and nothing else

    def accounts(self, bmc: RedfishBmc) -> Accounts:
        return RedfishAccounts(bmc)

    def serial_number(self, bmc: RedfishBmc) -> str | None:
        return text(bmc.system(bmc.deadline()).get("SerialNumber"))


class IpmiDoor(Door[IpmiBmc]):
    """Over IPMI, which tells a stranger nothing of the product."""

    refused = "A BMC that demands a new password first lets nobody in over IPMI until then: use bmc_protocol=redfish. "

    def open(self, credential: Credential) -> IpmiBmc:
        opened = open_bmc({**_of(self._params, credential), "bmc_protocol": "ipmi"})
        if not isinstance(opened, IpmiBmc):
            raise AssertionError("bmc_protocol=ipmi opens an IpmiBmc")
        return opened

    def meet(self) -> tuple[str, dict[str, Any]]:
        return self.open(Credential("", "")).host, {}

    def _enter(self, bmc: IpmiBmc) -> None:
        bmc.power_state()

    def accounts(self, bmc: IpmiBmc) -> Accounts:
        return IpmiAccounts(bmc)

    def serial_number(self, bmc: IpmiBmc) -> str | None:
        return bmc.info({"system"}).serial_number


def _of(params: Mapping[str, Any], credential: Credential) -> dict[str, Any]:
    return {**params, "bmc_username": credential.username or "-", "bmc_password": credential.password}
