"""Processes, as the kernel tells of them."""

from __future__ import annotations

from pathlib import Path


def alive(pid: int) -> bool:
    """Whether a process still runs. A zombie does not: who inherits an orphan may be long in reading how it ended."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return text[text.rindex(")") + 2] not in "ZX"
