"""A site under test: lab, service, an operator, a user, and the record read back as plain data."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import requests
from sqlalchemy import select

from cli import children
from cli.stage import Person, Stage
from fleet import db
from fleet.models import (
    Allocation,
    AllocationServer,
    AuditEntry,
    Event,
    Gpu,
    GpuAllocation,
    IpAddress,
    MachineReport,
    Server,
    Workflow,
    WorkflowStep,
)

ENDED = {"succeeded", "failed", "cancelled", "timed_out"}
Json = dict[str, Any]


class Site:
    """Use as a context manager. ``operator`` may run playbooks, ``ada`` is a user with a quota of ``quota`` GPUs.

    Without ``discover`` the record knows networks and switches, and no server. ``switches`` is what each switch runs,
    ``vendor`` what the BMCs are (several with commas: in turns).
    """

    def __init__(
        self,
        directory: Path,
        *,
        servers: int = 8,
        delays: str = "none",
        quota: int = 64,
        environment: dict[str, str] | None = None,
        discover: bool = True,
        switches: tuple[str, ...] = (),
        vendor: str = "ami",
        ipmi: bool = False,
    ) -> None:
        self.stage = Stage(directory, servers=servers, delays=delays, switches=switches, vendor=vendor, ipmi=ipmi)
        self.quota = quota
        self.discover = discover
        self.settings = environment or {}
        self.operator: Person
        self.ada: Person

    def __enter__(self) -> Self:
        self._environment = dict(os.environ)
        self.stage.__enter__()
        try:
            self.stage.start_lab()
            self.stage.prepare_record()
            os.environ.update(self.settings)
            self.stage.environment.update(self.settings)
            self.operator = self.stage.add_person("operator", "operator", gpus=self.quota)
            self.ada = self.stage.add_person("ada", "user", gpus=self.quota)
            self.stage.start_service()
            self.client = self.stage.client(self.operator)
            self.user = self.stage.client(self.ada)
            fleet = self.stage.fleet_document()
            self.client.import_fleet(fleet if self.discover else {**fleet, "servers": []})
            if self.discover:
                self.playbook("discover.yml")
        except BaseException:
            self.stage.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        left = self.stage.stop()
        os.environ.clear()
        os.environ.update(self._environment)
        assert not left, f"processes that would not end: {left}"

    # -- doing ---------------------------------------------------------------------------------------------------

    def playbook(
        self, name: str, *arguments: str, check: bool = True, environment: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """A run by hand, as the operator."""
        done = subprocess.run(
            ["ansible-playbook", f"playbooks/{name}", *arguments],
            cwd=children.ROOT,
            env={**self.playbook_environment(), **(environment or {})},
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        if check and done.returncode != 0:
            raise AssertionError(f"{name} ended with {done.returncode}\n{done.stdout[-6000:]}\n{done.stderr[-2000:]}")
        return done

    def killed(self, name: str, *arguments: str, when: Callable[[], Any]) -> None:
        """A run by hand that is killed, with everything that it started, as soon as ``when`` says so."""
        run = subprocess.Popen(
            ["ansible-playbook", f"playbooks/{name}", *arguments],
            cwd=children.ROOT,
            env=self.playbook_environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            self.until(when, 60)
        finally:
            os.killpg(run.pid, signal.SIGKILL)
            run.wait()

    def playbook_environment(self) -> dict[str, str]:
        """What a person at a terminal has set."""
        return {
            **self.stage.environment,
            "PALEBLUEDOT_URL": self.stage.url,
            "PALEBLUEDOT_TOKEN_FILE": str(self.operator.token_file),
            "ANSIBLE_NOCOLOR": "1",
        }

    def wait(self, workflow_id: str, timeout_s: float = 120) -> Json:
        """The workflow when it has ended; AssertionError with its steps when it does not."""
        return self.until(lambda: self._ended(workflow_id), timeout_s, lambda: str(self.client.workflow(workflow_id)))

    def _ended(self, workflow_id: str) -> Json | None:
        workflow = self.client.workflow(workflow_id)
        return workflow if workflow["status"] in ENDED else None

    def until(self, look: Callable[[], Any], timeout_s: float = 60, explain: Callable[[], str] = lambda: "") -> Any:
        """What ``look`` answers as soon as it is truthy."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if answer := look():
                return answer
            time.sleep(0.1)
        raise AssertionError(f"did not come true within {timeout_s:.0f} s: {explain()}")

    def hands_off(self) -> dict[str, str]:
        """Why hands are off a server, of those where they are."""
        return {server["name"]: server["hands_off_reason"] for server in self.client.servers() if server["hands_off"]}

    def ready(self) -> bool:
        """Whether the API answers that it can work."""
        try:
            return requests.get(f"{self.stage.url}/readyz", timeout=2).ok
        except requests.RequestException:
            return False

    # -- the lab -------------------------------------------------------------------------------------------------

    def lab(self, method: str, path: str, body: Json | None = None) -> Any:
        """A call of the lab's control API."""
        answer = requests.request(method, self.stage.facts["control_url"] + path, json=body, timeout=10)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def log(self, machine: str | None = None, since: int = 0) -> list[Json]:
        """Every write to every device after that sequence number."""
        answer = self.lab("GET", f"/log?since={since}" + (f"&machine={machine}" if machine else ""))
        return list(answer["items"] if isinstance(answer, dict) else answer)

    def mark(self) -> int:
        """The sequence number of the latest write."""
        return max((entry["seq"] for entry in self.log()), default=0)

    def deeds(self, machine: str, since: int = 0) -> Counter[str]:
        """How often which write reached that machine since then, by ``layer action``; names of objects left out."""
        named = re.compile(r"(?<=/Sessions/)[^/]+")
        return Counter(f"{entry['layer']} {named.sub('…', entry['action'])}" for entry in self.log(machine, since))

    # -- the record ----------------------------------------------------------------------------------------------

    def record(self, allocation_id: str) -> Json:
        """What the record holds of an allocation, without names, ids and times: equal for equal work."""
        with db.reading() as session:
            allocation = session.get_one(Allocation, allocation_id)
            servers = session.scalars(
                select(AllocationServer).where(AllocationServer.allocation_id == allocation_id)
            ).all()
            workflows = session.scalars(
                select(Workflow).where(Workflow.allocation_id == allocation_id).order_by(Workflow.created_at)
            ).all()
            of_workflows = [workflow.id for workflow in workflows]
            subjects = [allocation_id, *of_workflows, *(row.id for row in servers), *(row.server_id for row in servers)]
            steps = session.scalars(select(WorkflowStep).where(WorkflowStep.workflow_id.in_(of_workflows))).all()
            return {
                "allocation": allocation.status,
                "template": (allocation.template.name, allocation.template.version),
                "servers": sorted(row.state for row in servers),
                "server_status": sorted(session.get_one(Server, row.server_id).status for row in servers),
                "gpus": Counter(
                    session.scalars(
                        select(GpuAllocation.status).where(GpuAllocation.allocation_id == allocation_id)
                    ).all()
                ),
                "addresses": len(
                    session.scalars(select(IpAddress.id).where(IpAddress.allocation_id == allocation_id)).all()
                ),
                "workflows": [(workflow.kind, workflow.status, workflow.attempt) for workflow in workflows],
                "steps": sorted((step.step, step.attempt, step.status) for step in steps),
                "reports": sorted(
                    kind
                    for kind in session.scalars(
                        select(MachineReport.kind).where(
                            MachineReport.workflow_id.in_(of_workflows), MachineReport.received_at.is_not(None)
                        )
                    )
                ),
                "events": Counter(
                    session.scalars(
                        select(Event.type).where(Event.subject.in_(subjects[: 1 + len(of_workflows)]))
                    ).all()
                ),
                "audit": sorted(
                    set(session.scalars(select(AuditEntry.action).where(AuditEntry.subject == allocation_id)).all())
                ),
            }

    def held(self) -> list[tuple[str, str, int]]:
        """Who holds how many GPUs of which server: (allocation, server's name, GPUs that are not available)."""
        with db.reading() as session:
            rows = session.execute(
                select(GpuAllocation.allocation_id, Server.name, Gpu.status)
                .join(Gpu, Gpu.id == GpuAllocation.gpu_id)
                .join(Server, Server.id == Gpu.server_id)
                .where(GpuAllocation.released_at.is_(None))
            ).all()
            free = session.scalars(select(Gpu.id).where(Gpu.status == "available")).all()
            every = session.scalars(select(Gpu.id)).all()
        counted = Counter((allocation, name) for allocation, name, status in rows if status != "available")
        held = [(allocation, name, count) for (allocation, name), count in sorted(counted.items())]
        # a GPU that nobody holds and that is not offered would be lost
        assert len(free) + sum(count for _, _, count in held) == len(every), (len(free), held, len(every))
        return held
