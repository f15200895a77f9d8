# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""Accounts over Redfish: AccountService and ManagerAccount (DSP0268).

Where accounts are fixed slots (iDRAC, some XCC), a new one is written into an empty slot, and one that is removed is
disabled and its name blanked.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from typing import TYPE_CHECKING, Any

from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.base import Refused
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.deadline import Deadline
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.facets.accounts import (
    Account,
    Accounts,
    PasswordRules,
)
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.redfish.transport import SESSIONS
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.values import dig, integer, leaf, link, text
from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import (
    AuthenticationError,
    NotFound,
    PaleBlueDotError,
    Unsupported,
)

if TYPE_CHECKING:
    from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.redfish.client import RedfishBmc

SERVICE = "/redfish/v1/AccountService"
# The standard roles (DSP0266, 13.2).
_ROLE_IDS = {"administrator": "Administrator", "operator": "Operator", "readonly": "ReadOnly"}
_ROLES = {word: role for role, word in _ROLE_IDS.items()}


class RedfishAccounts(Accounts):
    """The accounts of one BMC."""

    def __init__(self, bmc: RedfishBmc) -> None:
        self._bmc = bmc

    @property
    def host(self) -> str:
        return self._bmc.host

    # -- reading ------------------------------------------------------------------------------------------------------

    def rules(self) -> PasswordRules:
        service = self._service(self._bmc.deadline())
        return PasswordRules(
            shortest=integer(service.get("MinPasswordLength")) or 0,
            longest=integer(service.get("MaxPasswordLength")) or None,
            tries=integer(service.get("AccountLockoutThreshold")) or None,  # 0: never locks
        )

    def known(self) -> list[Account]:
        deadline = self._bmc.deadline()
        return [_account(path, body) for path, body in self._slots(deadline) if text(body.get("UserName"))]

    def _service(self, deadline: Deadline) -> dict[str, Any]:
        path = link(self._bmc.root(deadline), "AccountService") or SERVICE
        service = self._bmc.transport.get_optional(path, deadline)
        if service is None:
            raise Unsupported(
                "the BMC shows no accounts",
                host=self.host,
                tried=f"GET {path}",
                answer="404",
                next="Use bmc_protocol=ipmi, or update the BMC's firmware.",
            )
        return service

    def _collection(self, deadline: Deadline) -> str:
        return link(self._service(deadline), "Accounts") or f"{SERVICE}/Accounts"

    def _slots(self, deadline: Deadline) -> list[tuple[str, dict[str, Any]]]:
        transport = self._bmc.transport
        paths = transport.members(self._collection(deadline), deadline)
        return [(path, found) for path in paths if (found := transport.get_optional(path, deadline)) is not None]

    # -- writing ------------------------------------------------------------------------------------------------------

    def create(self, username: str, password: str, role: str) -> None:
        deadline = self._bmc.deadline()
        wanted = {"UserName": username, "Password": password, "RoleId": _ROLE_IDS[role]}
        if self._bmc.profile(deadline).account_slots_from is not None:
            self._fill_slot(wanted, deadline)
            return
        try:
            self._bmc.transport.post(self._collection(deadline), wanted, deadline)
        except Unsupported:
            self._fill_slot(wanted, deadline)  # 405: slots that nobody has told us of

    def _fill_slot(self, wanted: dict[str, Any], deadline: Deadline) -> None:
        first = self._bmc.profile(deadline).account_slots_from or 0
        for path, body in self._slots(deadline):
            if not text(body.get("UserName")) and (integer(leaf(path)) or 0) >= first:
                self._patch(path, body, {**wanted, "Enabled": True}, deadline)
                return
        raise Refused(
            "the BMC has no free account",
            code="no_free_account",
            host=self.host,
            tried=f"looking for an empty slot in {self._collection(deadline)}",
            answer="all are in use",
            next="Remove an account that nobody needs.",
        )

    def change(self, account: Account, changes: Mapping[str, Any]) -> None:
        deadline = self._bmc.deadline()
        body: dict[str, Any] = {}
        if "role" in changes:
            body["RoleId"] = _ROLE_IDS[changes["role"]]
        if "enabled" in changes:
            body["Enabled"] = changes["enabled"]
        if "password" in changes:
            body["Password"] = changes["password"]
        path, current = self._find(account, deadline)
        self._patch(path, current, body, deadline)

    def remove(self, account: Account) -> None:
        deadline = self._bmc.deadline()
        path, current = self._find(account, deadline)
        if self._bmc.profile(deadline).account_slots_from is None:
            try:
                self._bmc.transport.delete(path, deadline)
                return
            except Unsupported:
                pass  # 405: a slot that stays
        self._patch(path, current, {"Enabled": False, "UserName": ""}, deadline)

    def _find(self, account: Account, deadline: Deadline) -> tuple[str, dict[str, Any]]:
        for path, body in self._slots(deadline):
            if leaf(path) == account.id:
                return path, body
        raise NotFound(
            f"the account {account.username} is gone",
            host=self.host,
            tried=f"account {account.id}",
            answer="no such member",
            next="Run again.",
        )

    def _patch(self, path: str, current: dict[str, Any], body: dict[str, Any], deadline: Deadline) -> None:
        etag = self._bmc.profile(deadline).account_if_match or text(current.get("@odata.etag"))
        self._bmc.transport.patch(path, body, deadline, etag=etag)

    # -- logins -------------------------------------------------------------------------------------------------------

    def opens(self, username: str, password: str) -> bool:
        with closing(self._bmc.transport.another(username, password)) as other:
            try:
                other.log_in(self._bmc.deadline())
            except AuthenticationError as problem:
                if problem.code == "password_change_required":
                    return True
                if problem.code == "authentication_failed":
                    return False
                raise
        return True

    def change_forced(self, where: str | None, password: str) -> None:
        deadline = self._bmc.deadline()
        # a login that is good for nothing else may not even give a session
        self._bmc.transport.use_basic()
        path = where or self._own_path(deadline)
        self._bmc.transport.patch(path, {"Password": password}, deadline, etag="*")

    def _own_path(self, deadline: Deadline) -> str:
        """Some firmware names no account in its refusal, and shows the collection all the same."""
        for path in self._bmc.transport.members(f"{SERVICE}/Accounts", deadline):
            found = self._bmc.transport.get_optional(path, deadline) or {}
            if found.get("UserName") == self._bmc.transport.username:
                return path
        raise NotFound(
            "the BMC wants a new password and does not say of which account",
            host=self.host,
            tried=f"GET {SERVICE}/Accounts",
            answer=f"no account {self._bmc.transport.username}",
            next="Change it once in the BMC's web pages.",
        )

    def end_sessions(self, username: str) -> int:
        deadline = self._bmc.deadline()
        transport = self._bmc.transport
        own = transport.session_path
        collection = link(self._bmc.root(deadline), "Links", "Sessions") or SESSIONS
        ended = 0
        for path in transport.members(collection, deadline):
            if own is not None and leaf(path) == leaf(own):
                continue
            found = transport.get_optional(path, deadline) or {}
            if found.get("UserName") != username:
                continue
            try:
                transport.delete(path, deadline)
                ended += 1
            except (NotFound, Unsupported):
                continue  # it has run out meanwhile
        return ended


def _account(path: str, body: dict[str, Any]) -> Account:
    word = text(body.get("RoleId")) or leaf(link(body, "Links", "Role") or "") or None
    enabled, locked = body.get("Enabled"), body.get("Locked")
    return Account(
        id=leaf(path),
        username=text(body.get("UserName")) or "",
        role=_ROLES.get(word or "", word),
        enabled=enabled if isinstance(enabled, bool) else None,
        locked=locked if isinstance(locked, bool) else None,
    )


def account_of(problem: PaleBlueDotError) -> str | None:
    """The account's path in a refusal that wants its password changed (Base registry, PasswordChangeRequired)."""
    found = dig(problem.details, "account")
    return found if isinstance(found, str) else None
