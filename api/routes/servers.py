"""Servers: reading, importing, inspecting, flags, cleaning, and the credentials of their hardware."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from api import ids, listing
from api.auth import current_actor, requires
from api.blueprint import Blueprint
from api.records import reading, record, writing
from api.schemas.allocations import AcceptedSchema
from api.schemas.servers import (
    CredentialChangeSchema,
    CredentialSchema,
    FlagsSchema,
    ImportedSchema,
    ImportSchema,
    InspectionSchema,
    ServerDetailSchema,
    ServerPageSchema,
    ServerQuery,
    ServerSchema,
    StateSchema,
)
from api.views import server_detail, server_fields, started
from fleet.enrolment import importing
from fleet.operations import credentials, lookup, register, release, workflows

blp = Blueprint("servers", __name__, url_prefix="/api/v1", description="Servers and switches")

READERS = ("operator", "admin", "auditor", "automation")
STAFF = ("operator", "admin", "automation")


@blp.route("/servers", "listServers")
@blp.route("/hardware/servers", "listHardwareServers")
@requires(*READERS, job=True)
@blp.arguments(ServerQuery, location="query")
@reading
@blp.response(200, ServerPageSchema)
def list_servers(session: Session, query: dict[str, Any]) -> Any:
    """Servers, in order of enrolment; a job's token sees those of its workflow."""
    page = listing.servers(session, current_actor(), query)
    return {**page, "items": [server_fields(server) for server in page["items"]]}


@blp.route("/servers", "importServers", method="POST")
@requires(*STAFF, keyed=True)
@blp.arguments(ImportSchema)
@blp.response(200, ImportedSchema)
def import_servers(body: dict[str, Any]) -> Any:
    """Register networks, switches and servers from an import document; what is there already is updated.

    Everything is checked before anything is written; servers are then written some hundreds at a time.
    """
    return importing.import_document(record(), current_actor(), body)


@blp.route("/servers/<server>", "getServer")
@requires(*READERS, job=True)
@reading
@blp.response(200, ServerDetailSchema)
def get_server(session: Session, server: str) -> Any:
    """One server by id or name."""
    found = lookup.server(session, ids.require_or_name(server, "srv"))
    workflows.require_own_server(session, current_actor(), found)
    return server_detail(session, found)


@blp.route("/servers/<server>/inspection", "recordInspection", method="PUT")
@requires(*STAFF, job=True)
@blp.arguments(InspectionSchema)
@writing
@blp.response(200, ServerSchema)
def record_inspection(session: Session, body: dict[str, Any], server: str) -> Any:
    """Store what an inspection of the hardware found."""
    return server_fields(register.record_inspection(session, current_actor(), ids.require_or_name(server, "srv"), body))


@blp.route("/servers/<server>/flags", "setServerFlags", method="PATCH")
@requires(*STAFF)
@blp.arguments(FlagsSchema)
@writing
@blp.response(200, ServerSchema)
def set_flags(session: Session, body: dict[str, Any], server: str) -> Any:
    """Take the service's hands off a server, or put them back on; automation says `owner` and reaches its own flags."""
    return server_fields(
        register.set_flags(
            session,
            current_actor(),
            ids.require_or_name(server, "srv"),
            body["hands_off"],
            body.get("reason"),
            body.get("owner"),
        )
    )


@blp.route("/servers/<server>/state", "setServerState", method="PUT")
@requires("operator", "admin")
@blp.arguments(StateSchema)
@writing
@blp.response(200, ServerSchema)
def set_state(session: Session, body: dict[str, Any], server: str) -> Any:
    """Take a server that nobody uses out of use, or end its maintenance: the next inspection offers it again."""
    return server_fields(
        register.set_state(session, current_actor(), ids.require_or_name(server, "srv"), body["state"], body["reason"])
    )


@blp.route("/servers/<server>/clean", "cleanServer", method="POST")
@requires("operator", "admin", keyed=True)
@writing
@blp.response(202, AcceptedSchema)
def clean(session: Session, server: str) -> Any:
    """Wipe and verify a server that is failed, quarantined or in maintenance, so that it is offered again."""
    workflow = release.start_clean(session, current_actor(), ids.require_or_name(server, "srv"))
    return started(workflow.id, workflow.allocation_id, workflow.status)


@blp.route("/servers/<server>/credential", "getServerCredential")
@requires(*STAFF, job=True)
@writing
@blp.response(200, CredentialSchema)
def server_credential(session: Session, server: str) -> Any:
    """User and password of the server's BMC; who asked is audited."""
    return credentials.of_server(session, current_actor(), ids.require_or_name(server, "srv"))


@blp.route("/servers/<server>/credential", "changeServerCredential", method="PUT")
@requires(*STAFF, job=True)
@blp.arguments(CredentialChangeSchema)
@writing
@blp.response(200, CredentialSchema)
def change_server_credential(session: Session, body: dict[str, Any], server: str) -> Any:
    """Change the BMC's password on record, in two phases; whoever breaks off in between leaves both on record."""
    name, actor = ids.require_or_name(server, "srv"), current_actor()
    if body["phase"] == "confirm":
        return credentials.confirm(session, actor, name, body["proposal"])
    if body["phase"] == "withdraw":
        return credentials.withdraw(session, actor, name, body["proposal"])
    wanted = {key: value for key, value in body.items() if key not in ("phase", "proposal") and value is not None}
    return credentials.propose(session, actor, name, credentials.Proposal(**wanted))


@blp.route("/switches/<switch>/credential", "getSwitchCredential")
@requires(*STAFF, job=True)
@writing
@blp.response(200, CredentialSchema)
def switch_credential(session: Session, switch: str) -> Any:
    """User and password of a switch; who asked is audited."""
    return credentials.of_switch(session, current_actor(), ids.require_or_name(switch, "sw"))
