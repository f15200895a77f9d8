"""What a demo measured and saw, and whether that is what it should be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from cli.stage import GPUS_PER_SERVER


@dataclass
class Wipe:
    """The proof of erasure of one server: drives of the record, and those that the machine itself verified."""

    server: str
    drives: list[str]
    verified: list[str]


@dataclass
class States:
    """States as the API told them; counts of servers and GPUs by state."""

    servers_discovered: dict[str, int] = field(default_factory=dict)
    gpus_discovered: int = 0
    allocate_workflow: str | None = None
    allocation_active: str | None = None
    gpus_active: int = 0
    release_workflow: str | None = None
    allocation: str | None = None
    servers: dict[str, int] = field(default_factory=dict)
    gpus_available: int = 0
    wipes: list[Wipe] = field(default_factory=list)


@dataclass
class Figures:
    """Seconds and states of one demo."""

    servers: int
    gpus: int = 0
    discover_s: float = 0.0
    allocate_s: float = 0.0
    release_s: float = 0.0
    states: States = field(default_factory=States)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def wrong(self) -> list[str]:
        """Each state that is not what it should be, as `name: is, not should`."""
        seen = self.states
        everything = self.servers * GPUS_PER_SERVER
        expected: list[tuple[str, object, object]] = [
            ("servers after discovery", seen.servers_discovered, {"available": self.servers}),
            ("free GPUs after discovery", seen.gpus_discovered, everything),
            ("allocate workflow", seen.allocate_workflow, "succeeded"),
            ("allocation in use", seen.allocation_active, "active"),
            ("free GPUs in use", seen.gpus_active, everything - GPUS_PER_SERVER),
            ("release workflow", seen.release_workflow, "succeeded"),
            ("allocation at the end", seen.allocation, "released"),
            ("servers at the end", seen.servers, {"available": self.servers}),
            ("free GPUs at the end", seen.gpus_available, everything),
        ]
        answer = [f"{name}: {is_}, not {should}" for name, is_, should in expected if is_ != should]
        if not seen.wipes:
            answer.append("wipe: no proof")
        for wipe in seen.wipes:
            if not wipe.drives or set(wipe.drives) - set(wipe.verified):
                answer.append(f"wipe of {wipe.server}: verified {wipe.verified} of {wipe.drives}")
        return answer


def count_states(rows: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """How many of each state."""
    answer: dict[str, int] = {}
    for row in rows:
        answer[row["state"]] = answer.get(row["state"], 0) + 1
    return answer
