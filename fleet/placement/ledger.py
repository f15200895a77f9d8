"""The explanation of a placement: how many servers each filter left, and who was chosen why."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, and_, case, func, select
from sqlalchemy.orm import Session

from fleet.models import Server
from fleet.placement.filters import Filter
from fleet.placement.scores import Score


def explain(session: Session, filters: list[Filter]) -> list[dict[str, Any]]:
    """`[{filter, left, removed, why}]`: one query counts what is left after each filter, in their order."""
    columns: list[ColumnElement[int]] = [func.count(Server.id)]
    for index in range(1, len(filters) + 1):
        passed = and_(*(entry.condition for entry in filters[:index]))
        columns.append(func.coalesce(func.sum(case((passed, 1), else_=0)), 0))
    total, *counts = session.execute(select(*columns).where(Server.status != "retired")).one()
    lines: list[dict[str, Any]] = [{"filter": "fleet", "left": total, "removed": 0, "why": "servers in the record"}]
    left = int(total)
    for entry, count in zip(filters, counts, strict=True):
        lines.append({"filter": entry.name, "left": int(count), "removed": left - int(count), "why": entry.why})
        left = int(count)
    return lines


def document(
    lines: list[dict[str, Any]], score: Score, wanted: int, gpus_per_server: int, chosen: list[Server]
) -> dict[str, Any]:
    """What is kept on the allocation and what a refusal carries."""
    return {
        "policy": score.name,
        "order": score.why,
        "wanted": {"servers": wanted, "gpus_per_server": gpus_per_server},
        "filters": lines,
        "chosen": [{"server": server.name, "rack": server.rack, "pool": server.pool} for server in chosen],
    }


def sentence(lines: list[dict[str, Any]]) -> str:
    """`8 servers; 6 left out because they are not available; 2 left`."""
    parts = [f"{lines[0]['left']} servers"]
    parts += [f"{line['removed']} left out because {line['why']}" for line in lines[1:] if line["removed"]]
    return "; ".join([*parts, f"{lines[-1]['left']} left"])
