"""BMC and switch passwords: handing them out, and changing a BMC's in two phases; every time is audited.

A new password is *proposed* to the record before the BMC gets it, and *confirmed* after a login with it. Whoever breaks
off in between leaves both on record, and one of them opens the BMC.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from fleet import audit, clock, secrets
from fleet.actor import STAFF, Actor
from fleet.errors import Conflict, Forbidden, Invalid, NotFound
from fleet.ids import new_id
from fleet.models import Credential, Server, ServerNic, Switch
from fleet.operations import lookup, workflows


@dataclass(frozen=True, slots=True)
class Secret:
    """A user name with its password; passwords are in no repr.

    `proposed_*` is what a change that was begun and not ended wants, under the id `proposal`; after the end `proposal`
    is that of the last change.
    """

    username: str
    password: str = field(repr=False)
    rotated_at: datetime | None = None
    proposal: str | None = None
    proposed_username: str | None = None
    proposed_password: str | None = field(default=None, repr=False)
    proposed_at: datetime | None = None


def of_server(session: Session, actor: Actor, server: str) -> Secret:
    """The BMC's; a job's token only gets those of its own servers."""
    actor.require(*STAFF)
    row = lookup.server(session, server)
    workflows.require_own_server(session, actor, row)
    stored = session.scalar(select(Credential).where(Credential.server_id == row.id))
    audit.record(session, actor, "credential.read", row.id, {"server": row.name})
    return _open(stored, row.id, row.name)


def of_switch(session: Session, actor: Actor, switch: str) -> Secret:
    """The switch's; a job's token only gets those of switches that its servers are cabled to."""
    actor.require(*STAFF)
    row = session.scalar(select(Switch).where((Switch.name == switch) | (Switch.id == switch)))
    if row is None:
        raise lookup.missing("switch", switch)
    if actor.workflow_id is not None:
        servers = workflows.jobs_servers(session, actor.workflow_id)
        cabled = session.scalar(
            select(ServerNic.id).where(
                ServerNic.switch_id == row.id, ServerNic.server_id.in_([server.id for server in servers])
            )
        )
        if cabled is None:
            raise Forbidden(f"no server of {actor.workflow_id} is cabled to {row.name}", next=workflows.JOBS_REACH)
    stored = session.scalar(select(Credential).where(Credential.switch_id == row.id))
    audit.record(session, actor, "credential.read", row.id, {"switch": row.name})
    return _open(stored, row.id, row.name)


def _open(stored: Credential | None, owner: str, name: str) -> Secret:
    if stored is None:
        raise NotFound(
            f"the record has no credential of {name}",
            code="no_credential",
            host=name,
            next="import the fleet file again with username and password",
        )
    return Secret(
        stored.username,
        secrets.decrypt(stored.key_id, stored.nonce, stored.ciphertext, owner),
        rotated_at=stored.rotated_at,
        proposal=stored.proposal,
        proposed_username=stored.proposed_username,
        proposed_password=_proposed_password(stored, owner),
        proposed_at=stored.proposed_at,
    )


def _proposed_password(stored: Credential, owner: str) -> str | None:
    if stored.proposed_ciphertext is None:
        return None
    assert stored.proposed_key_id is not None and stored.proposed_nonce is not None
    return secrets.decrypt(stored.proposed_key_id, stored.proposed_nonce, stored.proposed_ciphertext, owner)


# -- changing a BMC's, in two phases


@dataclass(frozen=True, slots=True)
class Proposal:
    """What is wanted. Without `password` one of `length` characters is made up. `current` (with `username`) is what
    opens the BMC now, for a server of which the record has nothing yet. `older_than_s`: nothing is proposed when the
    password was changed less than so many seconds ago."""

    password: str | None = field(default=None, repr=False)
    username: str | None = None
    current: str | None = field(default=None, repr=False)
    length: int = 16
    older_than_s: int | None = None


def propose(session: Session, actor: Actor, server: str, wanted: Proposal) -> Secret:
    """Put a new password beside the one in force. A proposal that stands already is answered again: it may be at the
    BMC by now."""
    row, stored = _changing(session, actor, server)
    now = clock.now(session)
    if stored is None:
        if not wanted.username or not wanted.current:
            raise Invalid(
                f"the record has no credential of {row.name}, so it must be told what opens its BMC now",
                code="current_credential_needed",
                host=row.name,
                next="give username and current",
            )
        stored = Credential(server_id=row.id, username=wanted.username)
        stored.key_id, stored.nonce, stored.ciphertext = secrets.encrypt(wanted.current, row.id)
        session.add(stored)
    standing = _proposed_password(stored, row.id)
    if standing is not None:
        if wanted.password not in (None, standing) or wanted.username not in (None, _proposed_name(stored)):
            raise Conflict(
                f"another password is proposed for {row.name} already",
                code="credential_proposed",
                host=row.name,
                answer=f"proposal {stored.proposal} since {clock.rfc3339(stored.proposed_at)}",
                next="end that change first: confirm it after a login with it, or withdraw it",
            )
        return _answer_again(session, actor, row, stored)
    if _is_fresh(stored, now, wanted.older_than_s):
        return _answer_again(session, actor, row, stored)
    stored.proposal = new_id("prop")
    stored.proposed_at = now
    stored.proposed_username = None if wanted.username in (None, stored.username) else wanted.username
    password = wanted.password or secrets.new_device_password(wanted.length)
    stored.proposed_key_id, stored.proposed_nonce, stored.proposed_ciphertext = secrets.encrypt(password, row.id)
    session.flush()
    _audit(session, actor, "credential.propose", row, stored)
    return _open(stored, row.id, row.name)


def confirm(session: Session, actor: Actor, server: str, proposal: str) -> Secret:
    """The proposed password has opened the BMC: it is the one in force now. Said twice, it holds once."""
    row, stored = _changing(session, actor, server)
    found = _of_proposal(stored, row, proposal)
    password = _proposed_password(found, row.id)
    if password is None:
        return _answer_again(session, actor, row, found)
    if found.imported is None:
        old = secrets.decrypt(found.key_id, found.nonce, found.ciphertext, row.id)
        found.imported = secrets.fingerprint(f"{found.username}:{old}", row.id)
    found.username = _proposed_name(found)
    found.key_id, found.nonce, found.ciphertext = secrets.encrypt(password, row.id)
    found.rotated_at = clock.now(session)
    _forget_proposed(found)
    _audit(session, actor, "credential.confirm", row, found)
    return _open(found, row.id, row.name)


def withdraw(session: Session, actor: Actor, server: str, proposal: str) -> Secret:
    """The proposed password is not at the BMC and shall not get there; the one in force stays."""
    row, stored = _changing(session, actor, server)
    found = _of_proposal(stored, row, proposal)
    if found.proposed_ciphertext is None:
        return _answer_again(session, actor, row, found)
    _forget_proposed(found)
    _audit(session, actor, "credential.withdraw", row, found)
    found.proposal = None
    return _open(found, row.id, row.name)


def _answer_again(session: Session, actor: Actor, server: Server, stored: Credential) -> Secret:
    """Nothing changes, and the answer opens a secret all the same: that is a reading of it."""
    audit.record(session, actor, "credential.read", server.id, {"server": server.name})
    return _open(stored, server.id, server.name)


def _is_fresh(stored: Credential, now: datetime, older_than_s: int | None) -> bool:
    if older_than_s is None or stored.rotated_at is None:
        return False
    return stored.rotated_at > now - timedelta(seconds=older_than_s)


def _changing(session: Session, actor: Actor, server: str) -> tuple[Server, Credential | None]:
    actor.require(*STAFF)
    row = lookup.server(session, server)
    workflows.require_own_server(session, actor, row)
    # two that begin at once get the same proposal: the second one waits for the first one's transaction
    return row, session.scalar(select(Credential).where(Credential.server_id == row.id).with_for_update())


def _of_proposal(stored: Credential | None, server: Server, proposal: str) -> Credential:
    if stored is None or stored.proposal != proposal:
        raise Conflict(
            f"{proposal} is not the latest proposal for {server.name}",
            code="stale_proposal",
            host=server.name,
            answer=f"the latest is {stored.proposal}" if stored and stored.proposal else "there is none",
            next="read the credential again, and try both of its passwords before changing anything",
        )
    return stored


def _proposed_name(stored: Credential) -> str:
    return stored.proposed_username or stored.username


def _forget_proposed(stored: Credential) -> None:
    stored.proposed_at = stored.proposed_username = None
    stored.proposed_key_id = stored.proposed_nonce = stored.proposed_ciphertext = None


def _audit(session: Session, actor: Actor, action: str, server: Server, stored: Credential) -> None:
    audit.record(session, actor, action, server.id, {"server": server.name, "proposal": stored.proposal})
