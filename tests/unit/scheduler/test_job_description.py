# SPDX-License-Identifier: Apache-2.0
"""What a job is told, what its playbook sees, and the directory it lives in."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from scheduler import command, jobs, processes
from scheduler.jobs import Job


@pytest.fixture(autouse=True)
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(jobs, "directory_base", lambda: tmp_path)
    return tmp_path


def a_job(**changes: Any) -> Job:
    values: dict[str, Any] = {
        "playbook": "playbooks/allocate.yml",
        "project_dir": "/checkout",
        "extravars": {"workflow_id": "wf_1", "fence": 3},
        "token": "pbd_secret",
        "environment": {"PALEBLUEDOT_URL": "http://127.0.0.1:1"},
        "settings": {"PALEBLUEDOT_DATABASE_URL": "postgresql://u:hush@db/x"},
        **changes,
    }
    return Job(**values)


def test_a_job_survives_the_pipe_and_hides_its_secrets_in_logs() -> None:
    job = a_job()
    assert Job.from_json(job.to_json()) == job
    assert "pbd_secret" not in repr(job)
    assert "hush" not in repr(job)


def test_the_playbook_sees_paths_and_addresses_but_no_secret(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PALEBLUEDOT_DATABASE_URL", "postgresql://u:hush@db/x")
    monkeypatch.setenv("HOME", "/home/somebody")
    assert command.inherited(os.environ)["HOME"] == "/home/somebody"
    (tmp_path / "ansible.cfg").touch()
    job = a_job(project_dir=str(tmp_path))
    environment = command.playbook_environment(job, base / "dir")
    assert environment["PALEBLUEDOT_TOKEN_FILE"] == str(base / "dir" / "token")
    assert environment["ANSIBLE_CONFIG"] == str(tmp_path / "ansible.cfg")
    assert environment["PATH"].startswith(str(Path(sys.executable).parent))
    assert environment["ANSIBLE_HOST_KEY_CHECKING"] == "True"
    text = " ".join([*environment.values(), *command.inherited(os.environ).values()])
    assert "pbd_secret" not in text
    assert "hush" not in text


def test_the_command_is_the_wrapped_ansible_playbook_of_this_installation() -> None:
    argv = command.playbook_command(a_job())
    assert argv[0] == sys.executable
    assert argv[3].endswith("scheduler/with_parent.py")
    assert argv[4:7] == [
        str(os.getpid()),
        str(Path(sys.executable).parent / "ansible-playbook"),
        "playbooks/allocate.yml",
    ]
    assert argv[7:] == ["-e", '{"workflow_id": "wf_1", "fence": 3}']
    assert "-e" not in command.playbook_command(a_job(extravars={}))


def test_the_directory_is_private_locked_and_deleted(base: Path) -> None:
    job = a_job()
    with jobs.private_directory(job) as directory:
        assert directory == job.directory
        assert directory.stat().st_mode & 0o777 == 0o700
        assert jobs.owner_alive(directory)
    assert not directory.exists()
    assert not jobs.owner_alive(directory)


def test_sweep_removes_what_is_old_and_nobodys(base: Path) -> None:
    old, young = (base / f"{jobs.DIRECTORY_PREFIX}{name}" for name in ("old", "young"))
    other = base / "somebody-elses"
    for directory in (old, young, other):
        directory.mkdir()
        (directory / "token").touch()
    os.utime(old, (time.time() - 3600,) * 2)
    job = a_job()
    with jobs.private_directory(job) as living:
        os.utime(living, (time.time() - 3600,) * 2)
        assert jobs.sweep() == ["old"]
        assert living.exists()
    assert not old.exists()
    assert young.exists()
    assert other.exists()


def test_without_shared_memory_the_temporary_directory_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(Path, "is_dir", lambda _self: False)
    monkeypatch.setenv("TMPDIR", "/tmp")
    assert jobs.directory_base() == Path("/tmp")
    assert processes.JOB_VARIABLE == "PALEBLUEDOT_JOB"
