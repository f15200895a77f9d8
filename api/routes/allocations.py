"""Asking for GPUs, reading what one got, giving back."""

from __future__ import annotations

from typing import Any

from flask import current_app
from sqlalchemy.orm import Session

from api import ids, listing, protocol
from api.auth import EVERYBODY, current_actor, requires
from api.blueprint import Blueprint
from api.records import reading, record, writing
from api.schemas.allocations import (
    AcceptedSchema,
    AllocateHeaders,
    AllocateSchema,
    AllocationPageSchema,
    AllocationQuery,
    AllocationSchema,
    PreferHeaders,
    ReleaseQuery,
)
from api.views import accepted, allocation_fields
from api.waiting import Waiters, preferred_wait
from fleet.operations import lookup, release
from fleet.operations.allocate import AllocateRequest, reserve
from fleet.states import WORKFLOW_ENDED

blp = Blueprint("allocations", __name__, url_prefix="/api/v1", description="Allocations of GPUs")

ALLOCATORS = ("user", "operator", "admin", "automation")


@blp.route("/allocations", "createAllocation", method="POST")
@blp.route("/gpu/allocate", "allocateGpu", method="POST")
@requires(*ALLOCATORS)
@blp.arguments(AllocateHeaders, location="headers")
@blp.arguments(AllocateSchema)
@writing
@blp.response(202, AcceptedSchema, description="Reserved; the workflow prepares the servers.")
def allocate(session: Session, headers: dict[str, Any], body: dict[str, Any]) -> Any:
    """Reserve GPUs: quota, servers, network and addresses in one transaction, or nothing."""
    protocol.check()
    wish = AllocateRequest(**{"request": headers.get("idempotency_key"), **body})
    return accepted(reserve(session, current_actor(), wish))


@blp.route("/allocations", "listAllocations")
@requires(*EVERYBODY, job=True)
@blp.arguments(AllocationQuery, location="query")
@reading
@blp.response(200, AllocationPageSchema)
def list_allocations(session: Session, query: dict[str, Any]) -> Any:
    """Your allocations (all of them for staff and auditors), newest first."""
    page = listing.allocations(session, current_actor(), query)
    return {**page, "items": [allocation_fields(item) for item in page["items"]]}


@blp.route("/allocations/<allocation_id>", "getAllocation")
@requires(*EVERYBODY, job=True)
@reading
@blp.response(200, AllocationSchema)
def get_allocation(session: Session, allocation_id: str) -> Any:
    """One allocation with its servers."""
    return allocation_fields(lookup.allocation(session, current_actor(), ids.require(allocation_id, "alloc")))


@blp.route("/allocations/<id>", "deleteAllocation", method="DELETE")
@blp.route("/gpu/<id>", "deleteGpu", method="DELETE")
@blp.route("/gpu/<id>/release", "releaseGpu", method="DELETE")
@requires(*ALLOCATORS)
@blp.arguments(ReleaseQuery, location="query")
@blp.arguments(PreferHeaders, location="headers")
@blp.alt_response(200, schema=AcceptedSchema, description="Released within the preferred wait.")
@blp.response(202, AcceptedSchema, description="The release has started; `failed` where it has ended without success.")
def release_allocation(query: dict[str, Any], headers: dict[str, Any], id: str) -> Any:
    """Give an allocation back (`alloc_…`): the servers are wiped, verified and offered again."""
    ids.require(id, "alloc", "gpu")
    actor = current_actor()
    with record().transaction() as session:
        workflow = release.start_release(session, actor, id, executor=query["executor"])
        workflow_id, allocation_id = workflow.id, workflow.allocation_id

    def status() -> str:
        with record().reading() as session:
            return lookup.workflow(session, actor, workflow_id).status

    waiters: Waiters = current_app.extensions[Waiters.EXTENSION]
    wait = preferred_wait(headers.get("prefer", ""))
    # a release that failed is waited for no longer, and is no success
    released = waiters.wait_until(lambda: status() in WORKFLOW_ENDED, wait) and status() == "succeeded"
    with record().reading() as session:
        answer = accepted(lookup.allocation(session, actor, allocation_id or ""), workflow_id=workflow_id)
    return answer, 200 if released else 202, {"Preference-Applied": f"wait={wait}"} if wait else {}
