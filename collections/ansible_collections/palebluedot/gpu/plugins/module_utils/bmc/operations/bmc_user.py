# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""``bmc_user``: an account of the BMC, and its password in two phases."""

from __future__ import annotations

import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Any

from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.base import AnswerLost, Bmc
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.connect import open_bmc
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.facets.accounts import (
    Account,
    Accounts,
    PasswordRules,
)
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.ipmi.accounts import IpmiAccounts
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.redfish.accounts import RedfishAccounts, account_of
from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import AuthenticationError, BadAnswer, InvalidInput

Params = dict[str, Any]

# A new password may take a moment to hold. More than two logins with it are never tried: the strictest BMC known locks
# after three (Supermicro).
_LOGIN_TRIES = 2
_LOGIN_PAUSE_S = 2.0


@dataclass
class _Opened:
    """A BMC that was logged in to. ``with_new``: the wanted password was it, so it is set already. ``forced``: the BMC
    had to be given it before it did anything else."""

    accounts: Accounts
    rules: PasswordRules
    with_new: bool = False
    forced: bool = False


def run(params: Params, check_mode: bool) -> dict[str, Any]:
    """Bring one account to its wanted state, and see that its password opens the BMC."""
    username = params.get("username")
    if not username:
        raise InvalidInput(
            "it is not said which account",
            host=params["bmc_address"],
            next="Give username, or credential, whose user name is taken.",
        )
    with ExitStack() as stack:
        opened = _open(stack, params, check_mode)
        if opened is None:  # a forced change of the password, planned
            return _result(username, None, {"password": params["password"]}, None, check_mode)
        before = _find(opened.accounts, username)
        if params["state"] == "absent":
            return _absent(opened.accounts, before, params, check_mode)
        return _present(stack, opened, before, params, check_mode)


# -- logging in ------------------------------------------------------------------------------------------------------


def _open(stack: ExitStack, params: Params, check_mode: bool) -> _Opened | None:
    """Log in, with one try for each password that may be the right one."""
    session = _session(params)
    own = params["username"] == params.get("bmc_username") and params["state"] == "present"
    password = params.get("password")
    bmc = stack.enter_context(open_bmc(session))
    try:
        return _accounts_of(bmc)
    except AuthenticationError as problem:
        other = own and bool(password) and password != params.get("bmc_password")
        if problem.code == "password_change_required" and other:
            if check_mode:
                return None
            _facet(bmc).change_forced(account_of(problem), str(password))
        elif problem.code != "authentication_failed" or not other or not params["rotate"]:
            raise
        refused = problem
    renewed = stack.enter_context(open_bmc({**session, "bmc_password": password}))
    try:
        opened = _accounts_of(renewed)
    except AuthenticationError as problem:
        if problem.code != "authentication_failed":
            raise
        raise AuthenticationError(
            "neither the present nor the new password opens the BMC",
            host=renewed.host,
            tried="one login with each",
            answer=problem.answer,
            next="Wait until a lockout has passed, then enter the right password in the record by hand.",
        ) from problem
    opened.with_new = True
    opened.forced = refused.code == "password_change_required"
    return opened


def _session(params: Params) -> Params:
    """With ``bmc_auth=auto`` a wrong password is tried twice, and each try counts towards a lockout."""
    return {**params, "bmc_auth": "basic" if params.get("bmc_auth") == "basic" else "session"}


def _facet(bmc: Bmc) -> Accounts:
    accounts: Accounts = bmc.facet(redfish=RedfishAccounts, ipmi=IpmiAccounts)
    return accounts


def _accounts_of(bmc: Bmc) -> _Opened:
    accounts = _facet(bmc)
    return _Opened(accounts, accounts.rules())


def _find(accounts: Accounts, username: str) -> Account | None:
    return next((account for account in accounts.known() if account.username == username), None)


# -- absent ----------------------------------------------------------------------------------------------------------


def _absent(accounts: Accounts, before: Account | None, params: Params, check_mode: bool) -> dict[str, Any]:
    if before is None:
        return _result(params["username"], None, {}, None, check_mode)
    if before.username == params.get("bmc_username"):
        raise InvalidInput(
            "an account does not remove itself",
            code="own_account",
            host=accounts.host,
            tried=f"removing {before.username}",
            answer="nothing was sent",
            next="Log in with another account.",
        )
    if not check_mode:
        with suppress(AnswerLost):
            accounts.remove(before)
        left = _find(accounts, before.username)
        if left is not None:
            raise _not_applied(accounts, f"removing {before.username}", f"it is still there as {left.as_dict()}")
    return _result(params["username"], before, {"removed": True}, None, check_mode)


# -- present ---------------------------------------------------------------------------------------------------------


def _present(
    stack: ExitStack, opened: _Opened, before: Account | None, params: Params, check_mode: bool
) -> dict[str, Any]:
    accounts, rules = opened.accounts, opened.rules
    username, password = params["username"], params.get("password")
    misses = 0
    if before is None:
        if not password:
            raise InvalidInput(
                f"the BMC has no account {username}, and a new one needs a password",
                host=accounts.host,
                next="Give password.",
            )
        changes: dict[str, Any] = {"role": params.get("role") or "administrator", "enabled": True, "password": password}
    else:
        changes = {}
        if params.get("role") and params["role"] != before.role:
            changes["role"] = params["role"]
        if before.enabled is False:
            changes["enabled"] = True
        wanted, misses = _password_differs(opened, before, params)
        if wanted:
            changes["password"] = password
    if "password" in changes:
        rules.check(accounts.host, username, str(password))
    after = before
    ended = 0
    if changes and not check_mode:
        _apply(accounts, before, username, changes)
        if "password" in changes:
            _log_in(opened, username, str(password), misses)
            if username == params.get("bmc_username"):  # the session that changed it may be over
                accounts = _facet(stack.enter_context(open_bmc({**_session(params), "bmc_password": password})))
        after = _read_back(accounts, username, changes)
        if params["rotate"] and "password" in changes:
            ended = accounts.end_sessions(username)
    return _result(username, before, changes, after, check_mode, forced=opened.forced, ended=ended)


def _apply(accounts: Accounts, before: Account | None, username: str, changes: dict[str, Any]) -> None:
    with suppress(AnswerLost):  # whether it was carried out is what a login and the reading back say
        if before is None:
            accounts.create(username, changes["password"], changes["role"])
        else:
            accounts.change(before, changes)


def _read_back(accounts: Accounts, username: str, changes: dict[str, Any]) -> Account:
    after = _find(accounts, username)
    if after is not None and after.enabled is False and changes.get("enabled"):
        accounts.change(after, {"enabled": True})  # some firmware makes accounts that are disabled
        after = _find(accounts, username)
    if after is None or after.role != changes.get("role", after.role) or after.enabled is False:
        raise _not_applied(accounts, f"setting {_shown(changes)}", f"read back {after.as_dict() if after else None}")
    return after


def _password_differs(opened: _Opened, account: Account, params: Params) -> tuple[bool, int]:
    """Whether the account has another password than the wanted one, and how many wrong tries that cost."""
    password = params.get("password")
    always = params["update_password"] == "always"  # noqa: S105  no password
    if not password or not (always or params["rotate"]) or opened.with_new:
        return False, 0
    if account.username == params.get("bmc_username"):
        return password != params.get("bmc_password"), 0
    if account.enabled is False or account.locked or opened.rules.tries == 1:
        return True, 0  # a try would say nothing, or be one too many
    opens = opened.accounts.opens(account.username, password)
    return not opens, 0 if opens else 1


def _log_in(opened: _Opened, username: str, password: str, misses: int) -> None:
    """The new password counts when it has opened the BMC, and not before."""
    allowed = _LOGIN_TRIES if opened.rules.tries is None else max(1, opened.rules.tries - 1 - misses)
    for left in range(min(_LOGIN_TRIES, allowed), 0, -1):
        if opened.accounts.opens(username, password):
            return
        if left > 1:
            time.sleep(_LOGIN_PAUSE_S)
    raise _not_applied(
        opened.accounts, f"a login as {username} with the new password", "refused: the old one may still be in force"
    )


# -- the result ------------------------------------------------------------------------------------------------------


def _shown(changes: dict[str, Any]) -> dict[str, Any]:
    return {name: "***" if name == "password" else value for name, value in changes.items()}


def _state(account: Account | None, changes: dict[str, Any]) -> dict[str, Any]:
    """The account as ``diff`` shows it, with changes that it is to have."""
    if changes.get("removed") or (account is None and not changes):
        return {"state": "absent"}
    known: dict[str, Any] = {"role": account.role, "enabled": account.enabled} if account else {}
    wanted: dict[str, Any] = {name: changes[name] for name in ("role", "enabled") if name in changes}
    return {"state": "present", **known, **wanted, **({"password": "new"} if "password" in changes else {})}


def _result(
    username: str,
    before: Account | None,
    changes: dict[str, Any],
    after: Account | None,
    check_mode: bool,
    *,
    forced: bool = False,
    ended: int = 0,
) -> dict[str, Any]:
    shown = after.as_dict() if after else None
    if check_mode and changes and not changes.get("removed"):
        known: dict[str, Any] = before.as_dict() if before else {"id": None, "locked": None}
        wanted: dict[str, Any] = {name: changes[name] for name in ("role", "enabled") if name in changes}
        shown = {"username": username, **known, **wanted}
    return {
        "changed": bool(changes) or forced,
        "user": shown,
        "password_changed": "password" in changes or forced,
        "sessions_ended": ended,
        "diff": {
            "before": _state(before, {}),
            "after": _state(before, {**changes, **({"password": "new"} if forced else {})}),
        },
    }


def _not_applied(accounts: Accounts, tried: str, answer: str) -> BadAnswer:
    return BadAnswer(
        "the BMC accepted the change of an account and does not show it",
        code="not_applied",
        host=accounts.host,
        tried=tried,
        answer=answer,
        next="Run again; update the BMC's firmware if it stays so.",
    )
