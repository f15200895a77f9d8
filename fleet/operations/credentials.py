"""Handing out BMC and switch passwords to those who may have them; every time is audited."""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlalchemy import select
from sqlalchemy.orm import Session

from fleet import audit, secrets
from fleet.actor import STAFF, Actor
from fleet.errors import Forbidden, NotFound
from fleet.models import Credential, ServerNic, Switch
from fleet.operations import lookup, workflows


@dataclass(frozen=True, slots=True)
class Secret:
    """A user name with its password; the password is in no repr."""

    username: str
    password: str = field(repr=False)


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
            raise Forbidden(f"no server of {actor.workflow_id} is cabled to {row.name}")
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
    return Secret(stored.username, secrets.decrypt(stored.key_id, stored.nonce, stored.ciphertext, owner))
