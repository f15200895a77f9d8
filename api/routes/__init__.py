"""The routes, one subject a file: validated arguments → one operation → a dumped schema."""

from __future__ import annotations

from api.blueprint import Blueprint
from api.routes import allocations, auth, enrolment, fleet, gpus, health, ingest, servers, users, workflows

BLUEPRINTS: tuple[Blueprint, ...] = (
    auth.blp,
    users.blp,
    gpus.blp,
    allocations.blp,
    workflows.blp,
    servers.blp,
    enrolment.blp,
    fleet.blp,
    ingest.blp,
    health.blp,
)
