# SPDX-License-Identifier: Apache-2.0
"""What the scheduler asks of the record: the one module of this package that calls `fleet`'s operations."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import subprocess
import time
from datetime import timedelta
from importlib import metadata
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from sqlalchemy import or_, select

from fleet import clock, db, events
from fleet.actor import SYSTEM, Actor
from fleet.models import Workflow
from fleet.operations import claim, leader, settle, telemetry, timeline, users
from fleet.settings import Settings
from scheduler import command, jobs
from scheduler.events import Row
from scheduler.jobs import Answer, Job, Outcome

log = logging.getLogger(__name__)
published = logging.getLogger("palebluedot.events")

LEASE = "scheduler"
COLLECT_ROUNDS = 20  # of one run of collect.yml: BMC sessions live that long
EVENTS_KEPT = timedelta(days=7)
# When there is work that may not begin yet: a release that is asked for at once waits a moment for the allocation's job
# to end, a frozen fleet waits for days, and each look takes the write lock.
BLOCKED_PAUSES_S = (0.2, 0.2, 0.2, 0.5, 1.0)
DEADLINE_SLACK_S = 10.0  # the reaper comes first; the job's own deadline is for a site without a leader
TOKEN_SLACK_S = 300.0  # a token outlives the deadline of its job by this: the last step still reports


def as_environment(settings: Settings) -> dict[str, str]:
    """The settings as the environment variables that give the same settings to another process."""
    prefix = settings.model_config.get("env_prefix", "")
    variables = {}
    for name, value in settings:
        if value is None:
            continue
        if isinstance(value, SecretStr):
            text = value.get_secret_value()
        else:
            text = json.dumps(value) if isinstance(value, dict | list | bool) else str(value)
        variables[f"{prefix}{name}".upper()] = text
    return variables


def playbook_commit(directory: Path) -> str | None:
    """The commit that is checked out where the playbooks lie, or else the version that is installed.

    Asked for every run: a checkout may move on while the service runs.
    """
    # the second name is there only if the commit holds the playbooks, and not just the folder that they were put into
    asked = ["git", "-C", str(directory), "rev-parse", "HEAD", "HEAD:./"]
    try:
        done = subprocess.run(asked, capture_output=True, text=True, timeout=5, check=False)
        if done.returncode == 0:
            return done.stdout.split()[0]
    except (OSError, subprocess.TimeoutExpired) as error:
        log.debug("which commit %s is: %s", directory, error)
    try:
        return metadata.version("palebluedot")
    except metadata.PackageNotFoundError:
        return None


def _counts(result: Any) -> dict[str, int]:
    """The numbers in a result of `fleet` that are not zero, by name."""
    return {name: value for name, value in dataclasses.asdict(result).items() if isinstance(value, int) and value}


class SchedulerRecord:
    """The record as the scheduler sees it; `claimant` is its name in claims and leases."""

    def __init__(self, settings: Settings, claimant: str) -> None:
        self._settings = settings
        self._claimant = claimant
        self._service_environment = as_environment(settings)
        self._blocked_until = 0.0
        self._blocked = 0  # looks in a row that found only such work
        self._overdue: set[tuple[str, str]] = set()

    # -- workflows

    def claim_next(self) -> Job | None:
        """Claim the next workflow for the service and make its job, with a token of its own."""
        if time.monotonic() < self._blocked_until:
            return None
        # most polls find nothing: those take no write lock
        with db.reading() as session:
            due = or_(Workflow.not_before.is_(None), Workflow.not_before <= clock.now(session))
            waiting = select(Workflow.id).where(Workflow.status == "pending", Workflow.executor == "service", due)
            if session.scalar(waiting.limit(1)) is None:
                return None
        commit = playbook_commit(self._settings.playbooks_dir)
        asked = time.monotonic()
        with db.transaction() as session:
            workflow = claim.claim_next(session, self._claimant, self._settings.claim_ttl_s, commit)
            if workflow is None:  # frozen, or behind another workflow
                pause = BLOCKED_PAUSES_S[min(self._blocked, len(BLOCKED_PAUSES_S) - 1)]
                self._blocked_until, self._blocked = time.monotonic() + pause, self._blocked + 1
                return None
            self._blocked = 0
            now = clock.now(session)
            left_s = (workflow.deadline_at - now).total_seconds() if workflow.deadline_at else None
            token = users.mint_token(
                session,
                SYSTEM,
                f"job {workflow.id} {workflow.attempt}",
                expires_in_s=max(left_s or self._settings.workflow_deadline_s, 0.0) + TOKEN_SLACK_S,
                workflow_id=workflow.id,
            )
            return Job(
                playbook=self._playbook(jobs.PLAYBOOKS[workflow.kind]),
                project_dir=self._project_dir,
                extravars={"workflow_id": workflow.id, "fence": workflow.fence, "attempt": workflow.attempt},
                token=token.token,
                token_id=token.id,
                environment=self._playbook_environment(),
                claimed_until=asked + self._settings.claim_ttl_s,
                claim_ttl_s=self._settings.claim_ttl_s,
                deadline_s=None if left_s is None else left_s + DEADLINE_SLACK_S,
                settings=self._service_environment,
                workflow_id=workflow.id,
                fence=workflow.fence,
                attempt=workflow.attempt,
            )

    def surrender(self, job: Job, outcome: Outcome, error: dict[str, Any] | None) -> None:
        """For a job that cannot do it itself: say how it ended."""
        JobRecord(job).surrender(outcome, error)

    def collect_job(self) -> Job:
        """A run of the telemetry playbook, which is no workflow."""
        interval_s = self._settings.collect_interval_s
        limit_s = COLLECT_ROUNDS * interval_s + 120
        with db.transaction() as session:
            user = users.service_user(session)
            actor = Actor(user.id, user.username, user.role)
            token = users.mint_token(session, actor, "job collect", expires_in_s=limit_s + TOKEN_SLACK_S)
        return Job(
            playbook=self._playbook(jobs.COLLECT_PLAYBOOK),
            project_dir=self._project_dir,
            extravars={"rounds": COLLECT_ROUNDS, "interval": interval_s},
            token=token.token,
            token_id=token.id,
            environment=self._playbook_environment(),
            deadline_s=limit_s,
        )

    @property
    def _project_dir(self) -> str:
        """Where ansible.cfg, roles and inventory are: playbooks run from there."""
        return str(self._settings.playbooks_dir.parent)

    def _playbook(self, name: str) -> str:
        return f"{self._settings.playbooks_dir.name}/{name}"

    def _playbook_environment(self) -> dict[str, str]:
        environment = command.inherited(os.environ)
        environment["PALEBLUEDOT_URL"] = self._settings.api_url
        if self._settings.kubeconfig is not None:
            environment["PALEBLUEDOT_KUBECONFIG"] = str(self._settings.kubeconfig)
        return environment

    # -- the leader

    def take_lease(self, ttl_s: float) -> bool:
        """Take or renew the leader's lease; whether it is ours now."""
        with db.transaction() as session:
            return leader.acquire(session, LEASE, self._claimant, ttl_s)

    def free_lease(self) -> None:
        """Give the lease up, if it is ours."""
        with db.transaction() as session:
            leader.release(session, LEASE, self._claimant)

    # -- the leader's timers

    def reap(self) -> dict[str, int]:
        """Settle claims, waits, deadlines and leases that have run out; the counts that are not zero.

        What stays too long in a state is named once, not every round.
        """
        with db.transaction() as session:
            counts = settle.reap(session)
            late = settle.overdue(session) if counts.pop("overdue", 0) else []
        overdue = {(entry["id"], entry["state"]): entry for entry in late}
        for key in overdue.keys() - self._overdue:
            log.warning("%(entity)s %(id)s is %(state)s for %(seconds).0f s already", overdue[key])
        self._overdue = set(overdue)
        return {name: count for name, count in counts.items() if count}

    def relay(self) -> None:
        """Publish what the outbox holds. Without a broker, publishing is a line in the service's log."""
        with db.transaction() as session:
            events.relay(session, lambda event: published.info("%s", json.dumps(event, separators=(",", ":"))))

    def evaluate_alerts(self) -> dict[str, int]:
        """Raise and resolve alerts from the latest figures; the counts that are not zero."""
        with db.transaction() as session:
            return _counts(telemetry.evaluate_alerts(session))

    def prune(self) -> dict[str, int]:
        """Delete what nobody needs any more, a bounded number of rows at a time."""
        with db.transaction() as session:
            counts = {"events": events.prune(session, EVENTS_KEPT), "figures": telemetry.prune(session)}
        return {name: count for name, count in counts.items() if count}


class JobRecord:
    """The record as one job sees it, on the process's database."""

    def __init__(self, job: Job) -> None:
        self._job = job

    def heartbeat(self) -> Answer:
        job = self._job
        assert job.workflow_id is not None
        with db.transaction() as session:
            answer = claim.heartbeat(session, job.workflow_id, job.fence, job.claim_ttl_s)
        return Answer(answer.run, answer.reason)

    def store_events(self, rows: list[Row]) -> None:
        assert self._job.workflow_id is not None
        with db.transaction() as session:
            timeline.store(session, self._job.workflow_id, self._job.attempt, rows)

    def surrender(self, outcome: Outcome, error: dict[str, Any] | None) -> None:
        """Give the claim back with how it ended; the job's token ends with it."""
        job = self._job
        with db.transaction() as session:
            if job.token_id is not None:
                users.revoke_token(session, SYSTEM, job.token_id)
            if job.workflow_id is not None:
                claim.surrender(session, job.workflow_id, job.fence, outcome.value, error)
