"""The committed results: one JSON file a source under docs/compatibility, and the runner that makes them."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from tests.conformance.operations import OPERATIONS, Operation, Outcome, Subject, attempt
from tests.conformance.sources import SOURCES, Source

ROOT = Path(__file__).resolve().parents[2]
# What a detail has to hold to name what is missing: a resource, a property, a protocol, or the vendor's own way
NAMED = re.compile(
    r"/redfish/v1|[A-Z][a-z]+[A-Z]\w*|[a-z]+_[a-z]+"
    r"|IPMI|protocol|profile \w+|[A-Z][a-z]+\.[A-Z]\w+"
)

FOLDER = ROOT / "docs" / "compatibility"


@contextmanager
def subjects(source: Source) -> Iterator[Callable[[Operation], Outcome]]:
    """A function that tries an operation: on a fresh BMC, but for a foreign server, which is started once."""
    if source.kind != "peer":

        def fresh(operation: Operation) -> Outcome:
            with source.start() as subject:
                return attempt(operation, subject)

        yield fresh
        return
    with ExitStack() as stack:
        subject: Subject = stack.enter_context(source.start())
        yield lambda operation: attempt(operation, subject)


def path_of(source: Source) -> Path:
    return FOLDER / f"{source.name}.json"


def read(source: Source) -> dict[str, dict[str, Any]]:
    """The committed results of a source, by operation; empty where there are none yet."""
    path = path_of(source)
    if not path.is_file():
        return {}
    return {row["operation"]: row for row in json.loads(path.read_text())["results"]}


def write(source: Source, rows: list[dict[str, Any]]) -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    body = {"source": source.name, "kind": source.kind, "vendor": source.vendor, "title": source.title, "results": rows}
    path_of(source).write_text(json.dumps(body, indent=2, ensure_ascii=False) + "\n")


def measure(source: Source, date: str, commit: str, say: Callable[[str], None]) -> list[dict[str, Any]]:
    """Run every operation whose module is there."""
    rows = []
    with subjects(source) as run:
        for operation in OPERATIONS:
            if not operation.available:
                continue
            started = time.monotonic()
            outcome = run(operation)
            say(
                f"{time.monotonic() - started:5.1f} s "
                f"{source.name:24} {operation.id:40} {outcome.outcome:12} {outcome.detail}"
            )
            rows.append(
                {
                    "operation": operation.id,
                    "module": operation.module,
                    "outcome": outcome.outcome,
                    "detail": outcome.detail,
                    "date": date,
                    "commit": commit,
                }
            )
    return rows


def committed() -> Iterator[tuple[Source, dict[str, dict[str, Any]]]]:
    for source in SOURCES:
        rows = read(source)
        if rows:
            yield source, rows
