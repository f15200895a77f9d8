"""Placement: filters, a score, and the ledger that explains. Everything is asked of the database in single queries."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from fleet.errors import Invalid, NoCapacity
from fleet.models import Server
from fleet.placement import filters, ledger, scores


def sizes(session: Session, gpu_model: str | None) -> list[int]:
    """GPUs per server that the fleet offers, of this model, largest first."""
    query = select(Server.gpu_count).where(Server.gpu_count > 0, Server.status.not_in(("retired", "enrolled")))
    if gpu_model is not None:
        query = query.where(filters.model_matches(gpu_model))
    return sorted({size for size in session.scalars(query.distinct()) if size}, reverse=True)


def models(session: Session) -> list[str]:
    """GPU models that the fleet has."""
    query = select(Server.gpu_model).where(Server.gpu_model.is_not(None), Server.status != "retired").distinct()
    return sorted(model for model in session.scalars(query) if model)


def shape(
    session: Session, gpu_count: int | None, server_count: int | None, gpu_model: str | None
) -> list[tuple[int, int]]:
    """Ways to serve the request, `[(servers, GPUs per server)]`, fewest servers first.

    Raises Invalid, naming the nearest sizes, when whole servers cannot make up `gpu_count`; NoCapacity when the
    fleet has no inspected servers at all.
    """
    if gpu_count is not None and gpu_count < 1:
        raise Invalid("gpu_count must be at least 1", code="invalid_gpu_count")
    if server_count is not None and server_count < 1:
        raise Invalid("server_count must be at least 1", code="invalid_server_count")
    if gpu_count is None and server_count is None:
        raise Invalid("say gpu_count or server_count", code="invalid_gpu_count")
    offered = sizes(session, gpu_model)
    if not offered:
        known = models(session)
        if gpu_model is not None and known:
            raise Invalid(
                f"no server has GPUs of the model {gpu_model}",
                code="unknown_gpu_model",
                answer=f"models of this fleet: {', '.join(known)}",
                next="name one of them, or leave gpu_model out",
            )
        raise NoCapacity(
            "the fleet has no inspected servers yet", next="an operator imports servers and runs playbooks/discover.yml"
        )
    if gpu_count is None:
        assert server_count is not None
        return [(server_count, size) for size in offered]
    fitting = [
        (gpu_count // size, size)
        for size in offered
        if gpu_count % size == 0 and server_count in (None, gpu_count // size)
    ]
    if fitting:
        return fitting
    if server_count is not None:
        raise Invalid(
            f"{gpu_count} GPUs cannot be had as {server_count} whole servers",
            code="invalid_gpu_count",
            answer=f"servers of this fleet have {_words(offered)} GPUs",
            next="leave server_count out, or make gpu_count a multiple of it",
            detail={"sizes": offered},
        )
    near = sorted(
        {near for size in offered for near in (gpu_count // size * size, (gpu_count // size + 1) * size)} - {0}
    )
    below = [size for size in near if size < gpu_count][-1:]
    above = [size for size in near if size > gpu_count][:1]
    raise Invalid(
        f"bare metal is handed out by the server: {gpu_count} GPUs are no multiple of {_words(offered)}",
        code="invalid_gpu_count",
        next=f"ask for {_words(below + above)}",
        detail={"nearest": below + above, "sizes": offered},
    )


def choose(
    session: Session, ways: list[tuple[int, int]], gpu_model: str | None
) -> tuple[list[Server], int, dict[str, Any]]:
    """Lock the servers to take: `(servers, GPUs per server, ledger)`.

    PostgreSQL passes over rows that another reservation is taking at this moment; SQLite has one writer anyway.
    Raises NoCapacity with the ledger of the first way when none can be served.
    """
    refused: dict[str, Any] | None = None
    for server_count, size in ways:
        score = scores.binpack(server_count)
        chain = filters.for_request(size, gpu_model)
        lines = ledger.explain(session, chain)
        chosen: list[Server] = []
        if lines[-1]["left"] >= server_count:
            query = (
                select(Server)
                .where(*(entry.condition for entry in chain))
                .order_by(*score.order, Server.rack, Server.name)
                .limit(server_count)
                .with_for_update(skip_locked=True, of=Server)
                .execution_options(populate_existing=True)
            )
            chosen = list(session.scalars(query))
        explanation = ledger.document(lines, score, server_count, size, chosen)
        if len(chosen) == server_count:
            return chosen, size, explanation
        refused = refused or explanation
    assert refused is not None
    wanted = refused["wanted"]
    raise NoCapacity(
        f"{wanted['servers']} free servers of {wanted['gpus_per_server']} GPUs cannot be had now",
        answer=ledger.sentence(refused["filters"]),
        next="ask for less, or again later; GET /api/v1/gpu/available lists what is free",
        detail={"placement": refused},
    )


def _words(numbers: list[int]) -> str:
    return " or ".join(str(number) for number in numbers)
