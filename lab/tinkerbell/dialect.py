"""The two shapes in which Tinkerbell writes a Workflow's status.

Sources: the CRDs of tink v0.12.2 and of tinkerbell/tinkerbell v0.25, and their controllers' behaviour.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from lab.kube.crds import DialectName

State = Literal["", "PENDING", "PREPARING", "RUNNING", "POST", "SUCCESS", "FAILED", "TIMEOUT"]
TERMINAL = ("SUCCESS", "FAILED", "TIMEOUT")


@dataclass(frozen=True)
class Dialect:
    """Names of one dialect: state prefix, and the fields that were renamed."""

    name: DialectName
    prefix: str
    owner: str  # status.tasks[].…: who runs the task
    action_state: str  # status.tasks[].actions[].…
    rendering: str  # status.…
    condition: str  # prefix of the BMC job conditions

    @property
    def mono(self) -> bool:
        return self.name == "mono"

    def write(self, state: State) -> str:
        """A state as it stands in a status."""
        return self.prefix + state if state else ""

    def read(self, text: str | None) -> str:
        """A state as the controller knows it; a stored ``STATE_`` prefix is accepted in both dialects."""
        return (text or "").removeprefix("STATE_")

    def state_of(self, workflow: dict[str, Any]) -> str:
        return self.read((workflow.get("status") or {}).get("state"))

    def job_name(self, job: str, workflow: str) -> str:
        """BMC jobs carry the workflow's name since the mono-repo; before, one served them all."""
        return f"{job}-{workflow}" if self.mono else job


MONO = Dialect("mono", "", "agentID", "state", "templateRendering", "BootJob")
TINK_0_12_2 = Dialect("0.12.2", "STATE_", "worker", "status", "templateRending", "NetbootJob")
_BY_NAME = {dialect.name: dialect for dialect in (MONO, TINK_0_12_2)}


def dialect_named(name: DialectName) -> Dialect:
    """Raises KeyError for a name that is none."""
    return _BY_NAME[name]
