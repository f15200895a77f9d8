"""The fleet as a whole: freeze, figures, alerts, templates, images, networks."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from api import listing
from api.auth import EVERYBODY, current_actor, requires
from api.blueprint import Blueprint
from api.records import reading, writing
from api.schemas.base import PageQuery
from api.schemas.fleet import (
    AlertPageSchema,
    AlertQuery,
    FreezeAnswerSchema,
    FreezeSchema,
    ImagePageSchema,
    NetworkPageSchema,
    StoredSchema,
    TelemetrySchema,
    TemplatePageSchema,
)
from fleet.operations import fleetflags, register, telemetry

blp = Blueprint("fleet", __name__, url_prefix="/api/v1", description="The fleet as a whole")


@blp.route("/fleet/freeze", "getFreeze")
@requires(*EVERYBODY, job=True)
@reading
@blp.response(200, FreezeAnswerSchema)
def get_freeze(session: Session) -> Any:
    """Whether the fleet is frozen, and why."""
    flag = fleetflags.frozen(session)
    return {"frozen": flag is not None, "reason": flag.reason if flag else None}


@blp.route("/fleet/freeze", "setFreeze", method="PUT")
@requires("admin", "operator")
@blp.arguments(FreezeSchema)
@writing
@blp.response(200, FreezeAnswerSchema)
def set_freeze(session: Session, body: dict[str, Any]) -> Any:
    """Freeze the fleet: no door starts anything; or lift the freeze."""
    flag = register.set_freeze(session, current_actor(), body["frozen"], body.get("reason"))
    return {"frozen": flag.value, "reason": flag.reason}


@blp.route("/telemetry", "storeTelemetry", method="POST")
@requires("automation", "operator", "admin", keyed=True)
@blp.arguments(TelemetrySchema)
@writing
@blp.response(200, StoredSchema)
def store_telemetry(session: Session, body: dict[str, Any]) -> Any:
    """Store figures of servers and GPUs; those of machines nobody registered, or nobody watches now, are left out."""
    stored = telemetry.store(session, current_actor(), body["points"], body.get("sent_at"))
    return {"stored": stored, "unasked": telemetry.unasked(session, body["asked"]) if "asked" in body else None}


@blp.route("/alerts", "listAlerts")
@requires("operator", "admin", "auditor", "automation")
@blp.arguments(AlertQuery, location="query")
@reading
@blp.response(200, AlertPageSchema)
def list_alerts(session: Session, query: dict[str, Any]) -> Any:
    """Alerts, newest first; those not resolved unless you ask for a state."""
    return listing.alerts(session, query)


@blp.route("/templates", "listTemplates")
@requires(*EVERYBODY)
@blp.arguments(PageQuery, location="query")
@reading
@blp.response(200, TemplatePageSchema)
def list_templates(session: Session, query: dict[str, Any]) -> Any:
    """The template library."""
    return listing.templates(session, query)


@blp.route("/images", "listImages")
@requires(*EVERYBODY)
@blp.arguments(PageQuery, location="query")
@reading
@blp.response(200, ImagePageSchema)
def list_images(session: Session, query: dict[str, Any]) -> Any:
    """The operating-system images that templates name, by their digests."""
    return listing.images(session, query)


@blp.route("/networks", "listNetworks")
@requires("operator", "admin", "auditor", "automation")
@blp.arguments(PageQuery, location="query")
@reading
@blp.response(200, NetworkPageSchema)
def list_networks(session: Session, query: dict[str, Any]) -> Any:
    """The networks, and whose a tenant network is now."""
    return listing.networks(session, query)
