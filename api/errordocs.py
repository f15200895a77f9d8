"""The catalogue of error codes, for ``docs/errors.md`` and for the documentation page.

``python -m api.errordocs`` writes the file; a test fails when it is out of date.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from api.problems import CODES, title_of
from fleet import errors as fleet_errors
from fleet.errors import FleetError

PAGE = Path(__file__).resolve().parent.parent / "docs" / "errors.md"

HEAD = """\
# Error codes

Every error of the HTTP service is a problem document (RFC 9457, `application/problem+json`) with these members:

| member | what it is |
|---|---|
| `type` | a link to the row of this table on the service's own documentation page |
| `title`, `status` | the kind of error and its HTTP status |
| `detail`, `instance` | what happened here, and the path that was asked |
| `code` | the stable name of the kind of error: program against this |
| `host`, `step` | the server and the workflow step it concerns, or null |
| `tried`, `answer` | what was tried and what came back, or null |
| `next` | what to do about it |
| `request_id` | the id under which the service's log has this request |
| `errors` | for `validation_failed`: a list of `{field, pointer, detail}` |

This table is written by `python -m api.errordocs`.

| code | status | means | what to do |
|---|---|---|---|
"""


@dataclass(frozen=True, order=True)
class Entry:
    code: str
    status: int
    title: str
    next: str


def catalogue() -> list[Entry]:
    """All codes that a problem document can carry, by name."""
    entries = {code: Entry(code, kind.status, kind.title, kind.next) for code, kind in CODES.items()}
    for kind in _subclasses(FleetError):
        entries.setdefault(kind.code, _entry(kind))
    return sorted(entries.values())


def _entry(kind: type[FleetError]) -> Entry:
    first_line = (inspect.getdoc(kind) or title_of(kind.code)).split("\n\n")[0].replace("\n", " ")
    return Entry(kind.code, kind.status, first_line, getattr(kind, "next", None) or "See `next` of the answer.")


def _subclasses(base: type[FleetError]) -> Iterator[type[FleetError]]:
    for kind in base.__subclasses__():
        if kind.__module__ == fleet_errors.__name__:
            yield kind
        yield from _subclasses(kind)


def render() -> str:
    """The whole of ``docs/errors.md``."""
    rows = [f"| `{entry.code}` | {entry.status} | {entry.title} | {entry.next} |" for entry in catalogue()]
    return HEAD + "\n".join(rows) + "\n"


if __name__ == "__main__":
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(render(), encoding="utf-8")
