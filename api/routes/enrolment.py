"""Enrolment: the delivery list and what was found of it, rules, exchanged parts, adoption, topology."""

from __future__ import annotations

from collections import Counter
from typing import Any

from sqlalchemy.orm import Session

from api import ids, listing
from api.auth import current_actor, requires
from api.blueprint import Blueprint
from api.records import reading, record, writing
from api.schemas.allocations import AllocationSchema
from api.schemas.enrolment import (
    AdoptSchema,
    ExpectedListSchema,
    ExpectedPageSchema,
    ExpectedQuery,
    HeardAnswerSchema,
    HeardSchema,
    ReconciliationQuery,
    ReconciliationSchema,
    ReplacementPageSchema,
    ReplacementSchema,
    ReplacePartSchema,
    RulesAnswerSchema,
    RulesCheckSchema,
    RulesSchema,
    TopologySchema,
    VerdictSchema,
)
from api.schemas.servers import ImportedSchema
from api.views import allocation_fields
from fleet.enrolment import adopt, expected, inspection, parts, rules, topology
from fleet.settings import get_settings

blp = Blueprint("enrolment", __name__, url_prefix="/api/v1", description="How machines join the fleet")

READERS = ("operator", "admin", "auditor", "automation")
STAFF = ("operator", "admin", "automation")
OPERATORS = ("operator", "admin")


@blp.route("/expected-machines", "listExpectedMachines")
@requires(*READERS)
@blp.arguments(ExpectedQuery, location="query")
@reading
@blp.response(200, ExpectedPageSchema)
def list_expected(session: Session, query: dict[str, Any]) -> Any:
    """The delivery list."""
    return listing.expected_machines(session, query)


@blp.route("/expected-machines", "importExpectedMachines", method="POST")
@requires(*STAFF, keyed=True)
@blp.arguments(ExpectedListSchema)
@blp.response(200, ImportedSchema)
def import_expected(body: dict[str, Any]) -> Any:
    """Say which machines are expected, by serial number; what is known already is updated.

    Everything is checked before anything is written; machines are then written some hundreds at a time.
    """
    return expected.load(record(), current_actor(), body["machines"], body["replace"])


@blp.route("/expected-machines/<serial_number>", "deleteExpectedMachine", method="DELETE")
@requires(*STAFF)
@writing
@blp.response(204)
def delete_expected(session: Session, serial_number: str) -> None:
    """Expect a machine no longer."""
    expected.remove(session, current_actor(), serial_number)


@blp.route("/reconciliation", "getReconciliation")
@requires(*READERS)
@blp.arguments(ReconciliationQuery, location="query")
@reading
@blp.response(200, ReconciliationSchema)
def reconciliation(session: Session, query: dict[str, Any]) -> Any:
    """The delivery list held against what was found: missing, unexpected, wrong serial number, another place."""
    found = expected.reconcile(session, current_actor())
    wanted = query.get("status")
    return {
        "counts": Counter(line.status for line in found),
        "items": [line for line in found if wanted in (None, line.status)],
    }


@blp.route("/enrolment-rules", "getEnrolmentRules")
@requires(*READERS)
@reading
@blp.response(200, RulesAnswerSchema)
def get_rules(session: Session) -> Any:
    """The rule file in force."""
    row = rules.newest(session)
    if row is not None:
        return {
            "version": row.version,
            "content": row.content,
            "created_by": row.created_by,
            "created_at": row.created_at,
            "source": "record",
        }
    path = get_settings().enrolment_rules_file
    return {
        "version": 0,
        "content": rules.read_file(path) if path is not None else None,
        "created_by": None,
        "created_at": None,
        "source": str(path) if path is not None else "none",
    }


@blp.route("/enrolment-rules", "setEnrolmentRules", method="PUT")
@requires(*OPERATORS)
@blp.arguments(RulesSchema)
@writing
@blp.response(200, RulesAnswerSchema)
def set_rules(session: Session, body: dict[str, Any]) -> Any:
    """Keep a rule file as the newest version; it holds from the next inspection on."""
    row = rules.store(session, current_actor(), body["content"])
    return {
        "version": row.version,
        "content": row.content,
        "created_by": row.created_by,
        "created_at": row.created_at,
        "source": "record",
    }


@blp.route("/enrolment-rules/schema", "getEnrolmentRulesSchema")
@requires(*READERS)
@blp.response(200)
def rules_schema() -> Any:
    """The JSON schema of the rule file."""
    return rules.SCHEMA


@blp.route("/enrolment-rules/check", "checkEnrolmentRules", method="POST")
@requires(*OPERATORS)
@blp.arguments(RulesCheckSchema)
@reading
@blp.response(200, VerdictSchema)
def check_rules(session: Session, body: dict[str, Any]) -> Any:
    """What the rules make of a server's last inspection, rule by rule.

    Takes no Idempotency-Key: nothing is written, and a repetition sees the server as it is then.
    """
    server = ids.require_or_name(body["server"], "srv")
    return inspection.explain(session, current_actor(), server, body.get("content"))


@blp.route("/servers/<server>/replace-part", "replacePart", method="POST")
@requires(*OPERATORS, keyed=True)
@blp.arguments(ReplacePartSchema)
@writing
@blp.response(200, ReplacementSchema)
def replace_part(session: Session, body: dict[str, Any], server: str) -> Any:
    """Announce that a part is exchanged: the next inspection accepts exactly that."""
    return parts.announce(
        session,
        current_actor(),
        ids.require_or_name(server, "srv"),
        body["kind"],
        body["old_serial"],
        body.get("new_serial"),
        body["reason"],
    )


@blp.route("/servers/<server>/replacements", "listReplacements")
@requires(*READERS)
@reading
@blp.response(200, ReplacementPageSchema)
def list_replacements(session: Session, server: str) -> Any:
    """The exchanges of parts of a server, newest first."""
    found = parts.of_server(session, current_actor(), ids.require_or_name(server, "srv"))
    return {"items": found, "next_cursor": None}


@blp.route("/servers/<server>/adopt", "adoptServer", method="POST")
@requires(*OPERATORS, keyed=True)
@blp.arguments(AdoptSchema)
@writing
@blp.response(200, AllocationSchema)
def adopt_server(session: Session, body: dict[str, Any], server: str) -> Any:
    """Make an enrolled server that is in use somebody's active allocation, without doing anything to it."""
    request = adopt.AdoptRequest(**body)
    found = adopt.adopt(session, current_actor(), ids.require_or_name(server, "srv"), request)
    session.expire(found)
    return allocation_fields(found)


@blp.route("/topology", "getTopology")
@requires(*READERS)
@reading
@blp.response(200, TopologySchema)
def get_topology(session: Session) -> Any:
    """Racks, NVLink domains, switch ports, and what contradicts itself."""
    return topology.read(session, current_actor())


@blp.route("/switches/<switch>/neighbors", "storeNeighbors", method="PUT")
@requires(*STAFF)
@blp.arguments(HeardSchema)
@writing
@blp.response(200, HeardAnswerSchema)
def store_neighbours(session: Session, body: dict[str, Any], switch: str) -> Any:
    """What a switch hears over LLDP, port by port."""
    return topology.heard_by_switch(session, current_actor(), ids.require_or_name(switch, "sw"), body["ports"])
