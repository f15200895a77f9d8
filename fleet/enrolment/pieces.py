"""A long list enters the record piece by piece, so that nobody else waits long for it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sqlalchemy.orm import Session

from fleet import audit
from fleet.actor import Actor
from fleet.db import Database
from fleet.errors import FleetError

Entry = TypeVar("Entry")

# entries a transaction: SQLite's write lock is held for some tens of milliseconds
CHUNK = 200
YIELD_S = 0.11


@dataclass(slots=True)
class Imported:
    """How many rows of each kind (networks, switches, servers, machines) were created, updated, left as they were."""

    created: Counter[str] = field(default_factory=Counter)
    updated: Counter[str] = field(default_factory=Counter)
    unchanged: Counter[str] = field(default_factory=Counter)

    def count(self, kind: str, created: bool, changed: bool) -> None:
        """Count one row."""
        counter = self.created if created else self.updated if changed else self.unchanged
        counter[kind] += 1

    def add(self, other: Imported) -> None:
        """Count what another one counted."""
        self.created += other.created
        self.updated += other.updated
        self.unchanged += other.unchanged

    def audit(self, session: Session, actor: Actor, action: str) -> None:
        """Write the audit entry of these."""
        audit.record(session, actor, action, None, {"created": dict(self.created), "updated": dict(self.updated)})


def of(entries: Sequence[Entry]) -> Iterator[Sequence[Entry]]:
    """The pieces of a list; an empty list is one empty piece."""
    for start in range(0, len(entries) or 1, CHUNK):
        yield entries[start : start + CHUNK]


def write(
    database: Database,
    actor: Actor,
    action: str,
    kind: str,
    entries: Sequence[Entry],
    put: Callable[[Session, Sequence[Entry], Imported], None],
    written: Counter[str] | None = None,
) -> Imported:
    """`put` every piece in a transaction of its own, with its audit entry.

    What is refused half-way says how many entries are in, of this kind and of those that `written` counts already: the
    same list again then finishes it.
    """
    imported = Imported()
    written = Counter() if written is None else written
    written[kind] = 0
    for piece in of(entries):
        part = Imported()
        if written.total():
            # SQLite's waiters do not queue: they look again, at the longest after 100 ms
            time.sleep(YIELD_S)
        try:
            with database.transaction() as session:
                put(session, piece, part)
                part.audit(session, actor, action)
        except FleetError as error:
            error.detail = {**error.detail, **{f"{name}_written": count for name, count in written.items()}}
            there = " and ".join(f"{count} {name}" for name, count in written.items() if count)
            if there:
                half_way = f"{there} are in the record; mend this and import the same again"
                error.next = f"{error.next}; {half_way}" if error.next else half_way
            raise
        written[kind] += len(piece)
        imported.add(part)
    return imported


def amend(row: Any, wanted: dict[str, Any]) -> bool:
    """Set what differs; whether anything did."""
    changed = False
    for key, value in wanted.items():
        if getattr(row, key) != value:
            setattr(row, key, value)
            changed = True
    return changed
