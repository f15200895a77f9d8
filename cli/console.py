"""Where the command line prints: results on standard output, everything else on standard error."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)
# rich takes a pipe for a terminal of 80 columns, and would cut ids that `grep` and `awk` are to find
for _console in (out, err):
    if not _console.is_terminal:
        _console.width = 1000

# One colour for each kind of state, whichever entity it belongs to.
_STATE_STYLES = {
    "green": {"active", "available", "ok", "ready", "released", "succeeded"},
    "yellow": {
        "claimed", "cleaning", "held", "inspecting", "pending", "provisioning", "releasing", "reserved", "running",
        "scheduled", "suspended", "waiting", "warn",
    },
    "red": {"cancelled", "fail", "failed", "quarantined", "rejected", "timed_out"},
}  # fmt: skip


def state(value: object) -> Text:
    """A state in its colour."""
    word = "–" if value is None else str(value)
    style = next((style for style, words in _STATE_STYLES.items() if word in words), "")
    return Text(word, style=style)


def table(rows: Iterable[Mapping[str, Any]], columns: Sequence[str], *, title: str | None = None) -> Table:
    """Rows as a table; a column named ``state`` or ``status`` is coloured."""
    answer = Table(title=title, box=None, pad_edge=False, header_style="bold")
    for column in columns:
        answer.add_column(column.replace("_", " ").upper(), no_wrap=column in {"id", "name"}, overflow="fold")
    for row in rows:
        answer.add_row(
            *(
                state(row.get(column))
                if column in {"state", "status"}
                else Text("–" if row.get(column) is None else str(row[column]))
                for column in columns
            )
        )
    return answer


def print_json(value: object) -> None:
    """One document on standard output, for programs."""
    click.echo(json.dumps(value, indent=2, default=str))


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
