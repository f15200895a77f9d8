# SPDX-License-Identifier: Apache-2.0
"""What one run of a playbook is: its description, its outcome, and its private directory.

Imported by the supervisor before anything else, so it imports only the standard library.
"""

from __future__ import annotations

import contextlib
import dataclasses
import enum
import fcntl
import json
import os
import shutil
import tempfile
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from scheduler import processes

#: playbook of each kind of workflow
PLAYBOOKS = {"allocate": "allocate.yml", "release": "release.yml", "clean": "release.yml"}
COLLECT_PLAYBOOK = "collect.yml"

DIRECTORY_PREFIX = "palebluedot-job-"
_YOUNG_S = 60.0  # a directory is made and locked in two calls; nobody sweeps it in between


class Outcome(enum.StrEnum):
    """How a job ended, in the words of `fleet.operations.claim.surrender`."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"
    STOPPED = "stopped"  # this side ended it: a drain, a scheduler that died, a workflow that is over
    LOST = "lost"  # the claim could not be renewed in time
    KILLED = "killed"  # its supervisor did not live to say how


class Answer(NamedTuple):
    """The record's answer to a heartbeat: go on, or stop for `reason`."""

    run: bool
    reason: str | None = None


@dataclass(frozen=True)
class Job:
    """One run of one playbook. Travels to the supervisor as JSON over a pipe, never in argv or environment.

    `workflow_id` is None for a run that is no workflow (telemetry). `claimed_until` is on the system's monotonic
    clock, which all processes of one machine share. `claim_ttl_s` is how long one heartbeat keeps the claim.
    `deadline_s` counts from the start of the supervisor; None is no limit.
    """

    playbook: str
    project_dir: str
    extravars: dict[str, Any]
    token: str = field(repr=False)
    environment: dict[str, str]  # what the playbook is told; no secrets
    token_id: str | None = None
    workflow_id: str | None = None
    fence: int = 0
    attempt: int = 0
    claimed_until: float = 0.0
    claim_ttl_s: float = 30.0
    deadline_s: float | None = None
    grace_s: float = 10.0  # between SIGTERM and SIGKILL
    # the service's settings as environment variables, secrets among them
    settings: dict[str, str] = field(default_factory=dict, repr=False)
    id: str = field(default_factory=lambda: uuid.uuid4().hex)

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Job:
        return cls(**json.loads(text))

    @property
    def directory(self) -> Path:
        """Where the job's private directory stands while it runs."""
        return directory_base() / f"{DIRECTORY_PREFIX}{self.id}"


def directory_base() -> Path:
    """A tmpfs where there is one, so that neither token nor artefacts reach a disk."""
    shared_memory = Path("/dev/shm")  # noqa: S108 - the directory below it is made 0700 under an unguessable name
    if shared_memory.is_dir() and os.access(shared_memory, os.W_OK | os.X_OK):
        return shared_memory
    return Path(tempfile.gettempdir())


@contextlib.contextmanager
def private_directory(job: Job) -> Iterator[Path]:
    """A fresh 0700 directory, locked while this process lives, deleted at the end.

    Raises ``FileExistsError`` when it is there already: two supervisors for one job must not be.
    """
    directory = job.directory
    directory.mkdir(mode=0o700)
    try:
        with (directory / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def owner_alive(directory: Path) -> bool:
    """Whether a supervisor still holds the job directory. The kernel drops the lock when its holder dies."""
    try:
        with (directory / "lock").open("r") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def clean_up(directory: Path, job_id: str, grace_s: float) -> set[int]:
    """End what a dead supervisor left behind and delete its directory; returns the processes that would not end."""
    remaining = processes.end(lambda: processes.carrying(job_id), grace_s)
    shutil.rmtree(directory, ignore_errors=True)
    return remaining


def sweep(grace_s: float = 5.0) -> list[str]:
    """Clean up after every supervisor of this machine that was killed; returns the ids of their jobs.

    A scheduler does this when it starts: its predecessor and all supervisors may have been killed at one stroke.
    """
    left: dict[str, Path] = {}
    for _, environment in processes.jobs_alive():
        directory = Path(environment.get(processes.JOB_DIRECTORY_VARIABLE, ""))
        if directory.name.startswith(DIRECTORY_PREFIX) and not owner_alive(directory):
            left[environment[processes.JOB_VARIABLE]] = directory
    for directory in directory_base().glob(f"{DIRECTORY_PREFIX}*"):
        with contextlib.suppress(OSError):
            stat = directory.stat()
            mine_and_settled = stat.st_uid == os.getuid() and time.time() - stat.st_mtime > _YOUNG_S
            if mine_and_settled and not owner_alive(directory):
                left[directory.name.removeprefix(DIRECTORY_PREFIX)] = directory
    for job_id, directory in left.items():
        clean_up(directory, job_id, grace_s)
    return sorted(left)
