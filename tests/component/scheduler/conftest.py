# SPDX-License-Identifier: Apache-2.0
"""Small playbooks of ansible.builtin only, and what a job leaves behind."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from scheduler import jobs, processes
from scheduler.events import Row
from scheduler.jobs import Answer, Job, Outcome

PLAYBOOKS = {
    "good": "- ansible.builtin.debug: {msg: 'attempt {{ attempt }}'}",
    "bad": "- {name: break, ansible.builtin.fail: {msg: the disk is on fire}}",
    "sleep": "- {name: long, ansible.builtin.command: sleep 300}",
    # leaves the process tree of ansible-playbook altogether
    "detach": "- {ansible.builtin.command: sleep 301, async: 600, poll: 0}\n    - ansible.builtin.command: sleep 300",
    "read_token": "- ansible.builtin.set_fact: {length: \"{{ lookup('file', lookup('env', 'PALEBLUEDOT_TOKEN_FILE')) "
    '| length }}"}\n    - ansible.builtin.assert: {that: length | int == 40}\n'
    "    - ansible.builtin.command: sleep {{ nap | default(300) }}",
    "rescue": "- block: [{name: long, ansible.builtin.command: sleep 300}]\n"
    "      rescue: [{ansible.builtin.file: {path: '{{ mark }}', state: touch}}]",
}


def command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def sleeping(job: Job) -> bool:
    """Whether this job's playbook has come to its long task; others of this machine are not the test's."""
    return any(command_line(pid).startswith("sleep 300") for pid in processes.carrying(job.id))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    directory = tmp_path / "project"
    directory.mkdir()
    (directory / "ansible.cfg").write_text("[defaults]\ninventory = hosts\ngathering = explicit\n")
    (directory / "hosts").write_text(
        "localhost ansible_connection=local ansible_python_interpreter='{{ ansible_playbook_python }}'\n"
    )
    for name, tasks in PLAYBOOKS.items():
        head = "- hosts: localhost\n  connection: local\n  gather_facts: false\n  tasks:\n    "
        (directory / f"{name}.yml").write_text(f"{head}{tasks}\n")
    (directory / "nonsense.yml").write_text("- hosts: [localhost\n")
    return directory


TOKEN = "pbd_" + "s3cr3t" * 6


@pytest.fixture
def make_job(project: Path) -> Iterator[Callable[..., Job]]:
    """Jobs of this test; whatever they leave running is ended, and is a failure."""
    made: list[Job] = []

    def make(playbook: str, **changes: Any) -> Job:
        values: dict[str, Any] = {
            "playbook": f"{playbook}.yml",
            "project_dir": str(project),
            "extravars": {"attempt": 1},
            "token": TOKEN,
            "environment": {},
            "workflow_id": "wf_1",
            "fence": 1,
            "attempt": 1,
            "claimed_until": time.monotonic() + 30,
            "claim_ttl_s": 30.0,
            **changes,
        }
        made.append(Job(**values))
        return made[-1]

    yield make
    left = {job.id: processes.carrying(job.id) for job in made}
    for job in made:
        jobs.clean_up(job.directory, job.id, 1.0)
    assert not any(left.values()), f"processes outlived their jobs: {left}"


class FakeRecord:
    """The record as a supervisor sees it, in memory."""

    def __init__(self) -> None:
        self.beats = 0
        self.answer = Answer(True)
        self.rows: list[Row] = []
        self.ended: list[tuple[Outcome, dict[str, Any] | None]] = []
        self.fail: Exception | None = None

    def heartbeat(self) -> Answer:
        self.beats += 1
        if self.fail:
            raise self.fail
        return self.answer

    def store_events(self, rows: list[Row]) -> None:
        self.rows += rows

    def surrender(self, outcome: Outcome, error: dict[str, Any] | None) -> None:
        self.ended.append((outcome, error))


@pytest.fixture
def record() -> FakeRecord:
    return FakeRecord()


@pytest.fixture
def eventually() -> Callable[..., Any]:
    def wait(condition: Callable[[], Any], limit_s: float = 40.0) -> Any:
        until = time.monotonic() + limit_s
        while not (value := condition()):
            assert time.monotonic() < until, "it did not come to pass"
            time.sleep(0.05)
        return value

    return wait
