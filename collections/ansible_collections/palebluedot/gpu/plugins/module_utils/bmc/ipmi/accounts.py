# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""Accounts over IPMI (2.0, 22.26 to 22.30): numbered slots with a name, a password and a privilege each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.base import Refused
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.facets.accounts import (
    Account,
    Accounts,
    PasswordRules,
)
from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import AuthenticationError, NotFound, Unsupported

if TYPE_CHECKING:
    from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.ipmi.client import IpmiBmc

# Channel privilege levels (table 6-2); no access is 15.
_PRIVILEGES = {"administrator": 4, "operator": 3, "readonly": 2}
_ROLES = {number: role for role, number in _PRIVILEGES.items()}
_LONGEST_NAME, _LONGEST_PASSWORD = 16, 20


class IpmiAccounts(Accounts):
    """The accounts of one BMC."""

    def __init__(self, bmc: IpmiBmc) -> None:
        self._bmc = bmc

    @property
    def host(self) -> str:
        return self._bmc.host

    def rules(self) -> PasswordRules:
        self._bmc.power_state()  # a login, as over Redfish; IPMI itself says nothing of limits
        return PasswordRules(shortest=1, longest=_LONGEST_PASSWORD, longest_username=_LONGEST_NAME)

    def known(self) -> list[Account]:
        return [_account(slot) for slot in self._slots() if slot["username"]]

    def _slots(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._bmc.ask("users")
        return found

    def create(self, username: str, password: str, role: str) -> None:
        # 1 is the nameless account
        free = next((slot for slot in self._slots() if not slot["username"] and slot["id"] > 1), None)
        if free is None:
            raise Refused(
                "the BMC has no free account",
                code="no_free_account",
                host=self.host,
                tried="looking for a slot without a name",
                answer="all are in use",
                next="Remove an account that nobody needs.",
            )
        self._bmc.ask("set_user_name", number=free["id"], username=username)
        self._bmc.ask("set_user_password", number=free["id"], password=password)
        self._bmc.ask("set_user_access", number=free["id"], privilege=_PRIVILEGES[role])
        self._bmc.ask("set_user_enabled", number=free["id"], enabled=True)

    def change(self, account: Account, changes: Mapping[str, Any]) -> None:
        number = int(account.id)
        if "role" in changes:
            self._bmc.ask("set_user_access", number=number, privilege=_PRIVILEGES[changes["role"]])
        if "enabled" in changes:
            self._bmc.ask("set_user_enabled", number=number, enabled=changes["enabled"])
        if "password" in changes:  # last: it may end this session
            self._bmc.ask("set_user_password", number=number, password=changes["password"])

    def remove(self, account: Account) -> None:
        number = int(account.id)
        self._bmc.ask("set_user_enabled", number=number, enabled=False)
        self._bmc.ask("set_user_access", number=number, privilege=None)
        self._bmc.ask("set_user_name", number=number, username="")

    def opens(self, username: str, password: str) -> bool:
        """One's own by a session with it; another's by the BMC's own comparison, which locks nobody out."""
        if username != self._bmc.username:
            number = next((int(found.id) for found in self.known() if found.username == username), None)
            if number is None:
                raise NotFound(
                    f"the BMC has no account {username}",
                    host=self.host,
                    tried="listing the accounts",
                    next="Run again.",
                )
            try:
                return bool(self._bmc.ask("user_password_is", number=number, password=password))
            except Unsupported:
                pass
        with self._bmc.another(username, password) as other:
            try:
                other.power_state()
            except AuthenticationError:
                return False
        return True


def _account(slot: Mapping[str, Any]) -> Account:
    return Account(
        id=str(slot["id"]),
        username=slot["username"],
        role=_ROLES.get(slot["privilege"], "none" if slot["privilege"] == 15 else str(slot["privilege"])),
        enabled=slot["enabled"],
    )
