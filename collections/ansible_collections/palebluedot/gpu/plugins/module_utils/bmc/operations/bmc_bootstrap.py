# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""``bmc_bootstrap``: from a BMC that somebody else has set up, or nobody, to one that we can log in to.

The order of things is what makes it safe to be interrupted anywhere: a new secret is recorded before the BMC gets it,
and confirmed after a login with it. The factory's account is closed before the own one is confirmed, so that what still
has to be closed can be told from the record.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc import vendors
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.base import Bmc, Refused
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.bootstrap.candidates import (
    Candidate,
    Identity,
    candidates,
)
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.bootstrap.doors import Door, IpmiDoor, RedfishDoor
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.bootstrap.lockout import Tries, default_folder
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.bootstrap.passwords import new_password
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.bootstrap.vault import (
    CONFIRMED,
    PROPOSED,
    FileVault,
    ServiceVault,
    Vault,
)
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.deadline import Deadline
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.facets.accounts import Account, Accounts
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.values import dig, text
from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import (
    AuthenticationError,
    Busy,
    InvalidInput,
    LicenceMissing,
    NotFound,
    PaleBlueDotError,
    Unsupported,
)
from ansible_collections.palebluedot.gpu.plugins.module_utils.service.credentials import Credential, client_from

ACCEPTED_AFTER_S = 2.0  # a BMC that has just taken a password may need a moment until it lets one in with it
# What `done` says.
CHANGED = "password changed"
CHANGED_ON_DEMAND = "password changed, as the BMC demanded"
CONFIRMED_LATE = "confirmed what an earlier run had proposed"
MADE = "account made"
TAKEN_BACK = "account taken back"
CLOSED = "factory password replaced"
# These say for certain that a write was not carried out.
_NOT_DONE = (InvalidInput, LicenceMissing, NotFound, Refused, Unsupported)
Json = dict[str, Any]


def run(params: Json, check_mode: bool) -> Json:
    """Find the credential that opens the BMC, make the own account (or take over), and record it."""
    with _vault(params) as vault:
        return _Bootstrap(params, vault, check_mode).run()


@contextmanager
def _vault(params: Json) -> Iterator[Vault]:
    if bool(params["server"]) == bool(params["credential_file"]):
        raise InvalidInput(
            "the new secret needs one place to be recorded in",
            next="Give server (and the service in api_url), or credential_file.",
        )
    vault: Vault
    if params["credential_file"]:
        vault = FileVault(Path(params["credential_file"]))
    else:
        vault = ServiceVault(client_from(params), params["server"])
    try:
        yield vault
    finally:
        vault.close()


class _Bootstrap:
    def __init__(self, params: Json, vault: Vault, check_mode: bool) -> None:
        self._params = params
        self._vault = vault
        self._check_mode = check_mode
        self._door: Door[Any] = (IpmiDoor if params["bmc_protocol"] == "ipmi" else RedfishDoor)(params)
        self._patience = Deadline(float(params["wait_timeout"]))
        self._tried: list[str] = []
        self._done: list[str] = []

    def run(self) -> Json:
        host, root = self._door.meet()
        profile = self._profile(root)
        self._tries = Tries(
            Path(self._params["tries_dir"]) if self._params["tries_dir"] else default_folder(),
            host,
            profile.lockout_tries,
            profile.lockout_window_s,
        )
        identity = Identity(
            address=self._params["bmc_address"],
            uuid=text(root.get("UUID")),
            serial_number=(text(dig(root, *profile.serial_in_root)) if profile.serial_in_root else None)
            or self._params["serial_number"],
            mac=self._params["mac"],
        )
        offered = candidates(
            self._vault.known(),
            self._params["credentials"],
            profile.factory_accounts if self._params["factory_defaults"] else (),
            identity,
        )
        if not offered:
            raise AuthenticationError(
                "there is no credential to try",
                code="credential_unknown",
                host=host,
                tried=f"entries for {_shown(identity)}; the factory's of profile {profile.name}",
                answer="none",
                next="Give one in credentials, by serial_number, uuid, mac or address.",
            )
        self._factory = [Credential(*pair) for pair in profile.factory_accounts]
        self._to_close = [each.credential for each in offered if each.credential in self._factory]
        before, opened, must_change = self._find(offered, host)
        try:
            after = self._settle(before, opened, must_change)
        finally:
            opened.close()
        return self._result(before, after, root, profile, identity)

    def _profile(self, root: Json) -> vendors.Profile:
        """The vendor's profile. Before the login only the root says what this is, unless the caller knows more."""
        named = self._params["profile"]
        if not named:
            return vendors.profile_for(root, {})
        known = {profile.name: profile for profile in (*vendors.PROFILES, vendors.GENERIC)}
        if named not in known:
            raise InvalidInput(f"there is no profile {named}", next=f"Take one of {', '.join(sorted(known))}.")
        return known[named]

    # -- finding the credential -----------------------------------------------------------------------------------

    def _find(self, offered: list[Candidate], host: str) -> tuple[Candidate, Bmc, str | None]:
        """The first candidate that opens the BMC, logged in, and the account that has to change its password first
        ("" when the BMC does not name it)."""
        left = len(offered)
        for candidate in offered:
            try:
                self._tries.take(self._patience)
            except Busy as problem:
                problem.answer = f"{problem.answer}; {left} credentials are left to try"
                raise
            self._tried.append(candidate.source)
            left -= 1
            found = self._door.log_in(candidate.credential)
            if found is not None:
                self._tries.forget()
                return candidate, *found
        raise AuthenticationError(
            "none of the credentials opens the BMC",
            code="credential_unknown",
            host=host,
            tried=", ".join(self._tried),
            answer="each was refused",
            next=f"{self._door.refused}Add the right one to credentials, or reset the BMC's accounts at the machine.",
        )

    # -- making it ours -------------------------------------------------------------------------------------------

    def _settle(self, found: Candidate, bmc: Bmc, must_change: str | None) -> Candidate:
        """What opens the BMC at the end, recorded."""
        wanted = self._params["account"] if not self._params["take_over"] else found.credential.username
        standing = self._vault.standing()
        if standing == found.credential:
            # a record that was empty takes its first proposal as what opens the BMC, too
            found = replace(found, source=PROPOSED)
        ours = found.source == CONFIRMED and found.credential.username == wanted
        if ours and must_change is None:
            return found
        if must_change is None:
            self._check_machine(bmc)
        if self._check_mode:
            self._plan(found, bmc, wanted, must_change)
            return Candidate(Credential(wanted, ""), "check mode")
        if found.source == PROPOSED:
            # an earlier run was ended after the BMC had taken it
            if found.credential.username == wanted and must_change is None:
                self._close_left_open(found.credential, bmc)
            self._vault.confirm(found.credential)
            self._done.append(CONFIRMED_LATE)
            if found.credential.username == wanted and must_change is None:
                return found
        secret = self._params["new_password"] or (standing.password if standing else None) or new_password()
        held = found
        if must_change is not None:
            held = self._replace(
                Credential(found.credential.username, secret),
                lambda: self._door.accounts(bmc).change_forced(must_change or None, secret),
            )
            self._done.append(CHANGED_ON_DEMAND)
        elif self._params["take_over"]:
            self._door.accounts(bmc).rules().check(bmc.host, found.credential.username, secret)
            held = self._replace(
                Credential(found.credential.username, secret),
                lambda: _set_password(self._door.accounts(bmc), found.credential.username, secret),
            )
            self._done.append(CHANGED)
        if held.credential.username == wanted:
            return held
        return self._own_account(found, held, wanted, secret)

    def _plan(self, found: Candidate, bmc: Bmc, wanted: str, must_change: str | None) -> None:
        """Note what would be done, in the words in which it is noted when it is done."""
        if found.source == PROPOSED:
            if found.credential.username == wanted and must_change is None:
                self._close_left_open(found.credential, bmc)
            self._done.append(CONFIRMED_LATE)
        if must_change is not None:
            self._done.append(CHANGED_ON_DEMAND)
        elif self._params["take_over"]:
            self._done.append(CHANGED)
        if found.credential.username == wanted:
            return
        existing = must_change is None and _account(self._door.accounts(bmc), wanted) is not None
        self._done.append(TAKEN_BACK if existing else MADE)
        if self._closes(found, must_change is not None):
            self._done.append(CLOSED)

    def _closes(self, found: Candidate, changed: bool) -> bool:
        """Whether the account that was found still has its factory password, and shall not keep it."""
        return found.credential in self._factory and not changed and bool(self._params["close_factory"])

    def _close_left_open(self, own: Credential, bmc: Bmc) -> None:
        """What an earlier run was ended before: the factory's accounts that still open get the own secret."""
        if not self._params["close_factory"]:
            return
        accounts = self._door.accounts(bmc)
        for factory in self._to_close:
            account = _account(accounts, factory.username)
            if account is None or account.enabled is False or factory.username == own.username:
                continue
            self._tries.take(self._patience)
            with self._closing(self._door.log_in(factory)) as opened:
                if not opened:
                    continue
                self._tries.forget()
            if not self._check_mode:
                accounts.change(account, {"password": own.password})
            self._done.append(CLOSED)

    def _own_account(self, found: Candidate, held: Candidate, wanted: str, secret: str) -> Candidate:
        """Make the own account with what is held now; a leftover of an earlier run gets the new password."""
        with closing(self._door.open(held.credential)) as bmc:
            if held is not found:
                self._check_machine(bmc)
            accounts = self._door.accounts(bmc)
            accounts.rules().check(bmc.host, wanted, secret)
            existing = _account(accounts, wanted)

            def make() -> None:
                if existing is None:
                    accounts.create(wanted, secret, "administrator")
                else:
                    accounts.change(existing, {"password": secret, "role": "administrator", "enabled": True})

            def close_factory() -> None:
                self._done.append(MADE if existing is None else TAKEN_BACK)
                if self._closes(found, held is not found):
                    _set_password(accounts, found.credential.username, secret)
                    self._done.append(CLOSED)

            return self._replace(Credential(wanted, secret), make, close_factory)

    def _replace(
        self, credential: Credential, write: Callable[[], None], opened_first: Callable[[], None] | None = None
    ) -> Candidate:
        """Record as proposed, let the BMC have it, log in with it, do ``opened_first``, confirm."""
        standing = self._vault.standing()
        if standing is not None and standing != credential:
            self._vault.withdraw()
        self._vault.propose(credential)
        lost: PaleBlueDotError | None = None
        try:
            write()
        except _NOT_DONE:
            with suppress(PaleBlueDotError):
                self._vault.withdraw()
            raise
        except PaleBlueDotError as problem:
            lost = problem  # it may have been carried out, whatever the BMC answers: the login tells
        for last in (False, True):
            self._tries.take(self._patience)
            with self._closing(self._door.log_in(credential)) as opened:
                if opened:
                    self._tries.forget()
                    if opened_first is not None:
                        opened_first()
                    self._vault.confirm(credential)
                    return Candidate(credential, CONFIRMED)
            if lost is not None:
                raise lost
            if not last:
                self._pause(ACCEPTED_AFTER_S)
        raise Refused(
            "the BMC took the new password and does not let anybody in with it",
            code="new_password_refused",
            host=self._params["bmc_address"],
            tried=f"a login as {credential.username}",
            answer="refused twice",
            next="Run again: the old and the new secret are both recorded, and both are tried.",
        )

    @contextmanager
    def _closing(self, found: tuple[Bmc, str | None] | None) -> Iterator[bool]:
        try:
            yield found is not None
        finally:
            if found is not None:
                found[0].close()

    def _pause(self, seconds: float) -> None:
        time.sleep(min(seconds, self._patience.remaining()))

    def _check_machine(self, bmc: Bmc) -> None:
        """Before anything is written: is this the machine that the caller means?"""
        expected = self._params["serial_number"]
        if not expected:
            return
        found = self._door.serial_number(bmc)
        if found is not None and found.casefold() != expected.strip().casefold():
            raise InvalidInput(
                "this is another machine",
                code="wrong_serial",
                host=bmc.host,
                tried=f"comparing the serial number with {expected}",
                answer=f"the BMC says {found}; nothing was written",
                next="Correct the list, or the cabling of the management network.",
            )

    # -- the answer -----------------------------------------------------------------------------------------------

    def _result(
        self, before: Candidate, after: Candidate, root: Mapping[str, Any], profile: vendors.Profile, identity: Identity
    ) -> Json:
        return {
            "changed": bool(self._done),
            "credential": {"username": after.credential.username, "reference": self._vault.reference},
            "opened_by": before.source,
            "done": self._done,
            "tried": self._tried,
            "bmc": {
                "vendor": vendors.vendor_of(dict(root)),
                "profile": profile.name,
                "uuid": identity.uuid,
                "serial_number": identity.serial_number,
            },
            "diff": {
                "before": {"account": before.credential.username, "opened_by": before.source},
                "after": {
                    "account": after.credential.username,
                    "opened_by": CONFIRMED if self._done else before.source,
                },
            },
        }


def _account(accounts: Accounts, username: str) -> Account | None:
    return next((account for account in accounts.known() if account.username == username), None)


def _set_password(accounts: Accounts, username: str, password: str) -> None:
    account = _account(accounts, username)
    if account is None:
        raise Refused(
            "the BMC does not list the account that is logged in",
            host=accounts.host,
            tried=f"looking for {username} among the accounts",
            answer="it is not there: it may be an account of a directory service",
            next="Give the credential of a local account.",
        )
    accounts.change(account, {"password": password})


def _shown(identity: Identity) -> str:
    known = {name: getattr(identity, name) for name in ("address", "uuid", "serial_number", "mac")}
    return ", ".join(f"{name} {value}" for name, value in known.items() if value)
