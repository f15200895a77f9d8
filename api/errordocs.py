"""The catalogue of error codes, for ``docs/errors.md`` and for the documentation page.

``python -m api.errordocs`` writes the file; a test fails when it is out of date.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import fleet
import fleet.secrets  # an error class of its own
from api.problems import CODES, title_of
from fleet.errors import FleetError

PAGE = Path(__file__).resolve().parent.parent / "docs" / "errors.md"

SEE_NEXT = "See `next` of the answer."

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
    classes: list[type[FleetError]] = [FleetError, *_subclasses(FleetError)]
    kinds = {kind.__name__: kind for kind in classes}
    for kind in kinds.values():
        meaning = (inspect.getdoc(kind) or title_of(kind.code)).split("\n\n")[0].replace("\n", " ")
        entries.setdefault(kind.code, Entry(kind.code, kind.status, meaning, SEE_NEXT))
    for code, kind_name in _refined_codes():
        if kind_name in kinds:
            entries.setdefault(code, Entry(code, kinds[kind_name].status, f"{title_of(code)}.", SEE_NEXT))
    return sorted(entries.values())


def _subclasses(base: type[FleetError]) -> Iterator[type[FleetError]]:
    for kind in base.__subclasses__():
        if kind.__module__.partition(".")[0] == "fleet":
            yield kind
        yield from _subclasses(kind)


def _refined_codes() -> Iterator[tuple[str, str]]:
    """``(code, class)`` of every ``SomeError(…, code="more_exact")`` in the rules: an instance may refine its class."""
    for source in sorted(Path(fleet.__path__[0]).rglob("*.py")):
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                for keyword in node.keywords:
                    if keyword.arg == "code" and isinstance(keyword.value, ast.Constant):
                        yield str(keyword.value.value), node.func.id


def render() -> str:
    """The whole of ``docs/errors.md``."""
    rows = [f"| `{entry.code}` | {entry.status} | {entry.title} | {entry.next} |" for entry in catalogue()]
    return HEAD + "\n".join(rows) + "\n"


if __name__ == "__main__":
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(render(), encoding="utf-8")
