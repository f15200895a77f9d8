"""GPUs: which are free, and how one is doing."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from api import ids, listing
from api.auth import EVERYBODY, current_actor, requires
from api.blueprint import Blueprint
from api.records import reading
from api.schemas.gpus import AvailableQuery, GpuPageSchema, GpuStatusSchema

blp = Blueprint("gpus", __name__, url_prefix="/api/v1", description="GPUs")


@blp.route("/gpu/available", "listAvailableGpus")
@requires(*EVERYBODY)
@blp.arguments(AvailableQuery, location="query")
@reading
@blp.response(200, GpuPageSchema)
def available(session: Session, query: dict[str, Any]) -> Any:
    """GPUs that a request could get now."""
    return listing.available_gpus(session, query)


@blp.route("/gpu/<gpu_id>/status", "getGpuStatus")
@requires(*EVERYBODY)
@reading
@blp.response(200, GpuStatusSchema)
def status(session: Session, gpu_id: str) -> Any:
    """One GPU: server, state, allocation (where you may know it), latest figures."""
    return listing.gpu_status(session, current_actor(), ids.require(gpu_id, "gpu"))
