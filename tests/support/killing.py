"""`kill -9` at a chosen moment of a workflow, seen in the ledger as it is written."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import select

from fleet import db
from fleet.models import Workflow, WorkflowStep
from tests.support.site import ENDED

ALLOCATE = [
    "reserve",
    "network_provisioning",
    "hardware_check",
    "provision",
    "gpu_health",
    "network_tenant",
    "verify_reach",
    "hand_over",
]
RELEASE = [
    "stop_monitoring",
    "network_quarantine",
    "secure_erase",
    "hardware_profile",
    "bmc_reset_tenant",
    "gpu_reset",
    "verify_clean",
    "return_to_pool",
]


def moments(steps: list[str]) -> list[tuple[str, str]]:
    """Before the first step, and during and after every one; after a step is before the next."""
    return [("before", steps[0]), *((when, step) for step in steps for when in ("during", "after"))]


def reached(workflow_id: str, when: str, step: str) -> bool:
    """Whether the workflow is at that moment (or past it)."""
    with db.reading() as session:
        rows = session.execute(
            select(WorkflowStep.step, WorkflowStep.status).where(WorkflowStep.workflow_id == workflow_id)
        ).all()
        if when == "before":
            workflow = session.get_one(Workflow, workflow_id)
            return workflow.status == "running" or bool(rows)
    statuses = [status for name, status in rows if name == step]
    if when == "during":
        return bool(statuses)
    return any(status in ("succeeded", "skipped") for status in statuses)


def playbook_of(workflow_id: str) -> int | None:
    """The ansible-playbook that works on that workflow: the eldest process that names both."""
    eldest: tuple[int, int] | None = None
    for directory in Path("/proc").iterdir():
        if not directory.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            command = (directory / "cmdline").read_bytes()
            if b"ansible-playbook" in command and workflow_id.encode() in command:
                started = int((directory / "stat").read_text().rsplit(")", 1)[1].split()[19])
                eldest = min(eldest or (started, int(directory.name)), (started, int(directory.name)))
    return eldest[1] if eldest else None


def kill_playbook(workflow_id: str) -> bool:
    """SIGKILL; False when there was none."""
    pid = playbook_of(workflow_id)
    if pid is None:
        return False
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
        return True
    return False


@dataclass
class Trap:
    """A thread that waits for a moment of a workflow and kills its playbook then, once."""

    workflow_id: str
    when: str
    step: str
    killed: bool = False
    thread: threading.Thread = field(init=False)

    def __post_init__(self) -> None:
        self.thread = threading.Thread(target=self._wait, daemon=True)
        self.thread.start()

    def _wait(self) -> None:
        deadline = time.monotonic() + 180
        while time.monotonic() < deadline:
            # a claim comes a moment before its process
            if reached(self.workflow_id, self.when, self.step) and kill_playbook(self.workflow_id):
                self.killed = True
                return
            with db.reading() as session:
                if session.get_one(Workflow, self.workflow_id).status in ENDED:
                    return
            time.sleep(0.01)
