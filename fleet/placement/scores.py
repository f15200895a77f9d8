"""Which of the servers that can be taken is taken first."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import ColumnElement, case, func, select
from sqlalchemy.orm import aliased

from fleet.models import Server


@dataclass(frozen=True, slots=True)
class Score:
    """Servers are taken in ascending order of the expressions; `why` says what that means."""

    name: str
    why: str
    order: tuple[ColumnElement[int], ...]


def binpack(server_count: int) -> Score:
    """Fill the racks that are fullest, so that whole racks stay free for requests of many servers.

    A rack that holds the whole request goes before one that would tear it apart.
    """
    other = aliased(Server)
    free_in_rack = (
        select(func.count(other.id))
        .where(func.coalesce(other.rack, "") == func.coalesce(Server.rack, ""), other.status == "available")
        .correlate(Server)
        .scalar_subquery()
    )
    tears = case((free_in_rack >= server_count, 0), else_=1)
    return Score("binpack", "the rack with the fewest free servers that still holds the request", (tears, free_in_rack))
