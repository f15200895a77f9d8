"""The write log: every write to every device of the lab, in one order.

Tests read it to assert that nothing destructive happened twice.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

from lab.clock import Clock


@dataclass(frozen=True)
class Entry:
    """One write: ``layer`` is where it was made (redfish, ipmi, gnmi, kube, agent, machine, disk, system)."""

    seq: int
    at: str
    machine: str
    layer: str
    action: str
    detail: dict[str, Any] = field(default_factory=dict)


class WriteLog:
    """Entries in memory, and one JSON line each in a file when a path is given. Passwords must not be passed in."""

    def __init__(self, clock: Clock, path: Path | None = None) -> None:
        self._clock = clock
        self._entries: list[Entry] = []
        self._file: IO[str] | None = path.open("a", encoding="utf-8", buffering=1) if path else None

    def add(self, machine: str, layer: str, action: str, /, **detail: Any) -> Entry:
        """Record a write. ``machine`` is the machine's name, or the switch's or object's for writes to those."""
        entry = Entry(len(self._entries) + 1, self._clock.timestamp(), machine, layer, action, detail)
        self._entries.append(entry)
        if self._file:
            self._file.write(json.dumps(asdict(entry), default=str) + "\n")
        return entry

    def select(self, machine: str | None = None, layer: str | None = None, since: int = 0) -> list[Entry]:
        """Entries with ``seq > since``, of one machine and one layer when named."""
        return [
            entry
            for entry in self._entries[max(since, 0) :]
            if (machine is None or entry.machine == machine) and (layer is None or entry.layer == layer)
        ]

    def __iter__(self) -> Iterator[Entry]:
        return iter(tuple(self._entries))

    def __len__(self) -> int:
        return len(self._entries)

    def close(self) -> None:
        if self._file:
            self._file.close()
            self._file = None
