"""The acts of the demo: discover, allocate, visit, release. Each is what a real user of that door would do."""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING, Any

import asyncssh
from rich.console import Console
from rich.text import Text

from cli import gpu
from cli.demo import visit
from cli.demo.figures import Figures, Wipe, count_states
from cli.problems import Problem
from cli.stage import GPUS_PER_SERVER, Person, Stage
from cli.timeline import Timeline, failure

if TYPE_CHECKING:
    from ansible_collections.palebluedot.gpu.plugins.module_utils.service.client import ServiceClient

TEMPLATE = "ubuntu-24.04"
WORKFLOW_DEADLINE_S = {"none": 120.0, "demo": 180.0, "real": 3600.0}


class Acts:
    """One performance on one stage."""

    def __init__(self, stage: Stage, console: Console) -> None:
        self.stage = stage
        self.console = console
        self.figures = Figures(servers=stage.servers)
        self.started = time.monotonic()
        self._deadline_s = WORKFLOW_DEADLINE_S[stage.delays]

    def say(self, text: str) -> None:
        self.console.print(Text(f"{time.monotonic() - self.started:7.1f} s  {text}"), soft_wrap=True)

    def heading(self, number: int, text: str) -> None:
        self.console.print(f"\n[bold]{number}. {text}[/]")

    def perform(self) -> Figures:
        """All acts; raises a `Problem` at the first that fails."""
        stage = self.stage
        self.console.print(f"[bold]Pale Blue Dot[/]: {stage.servers} GPU servers, simulated, from nothing and back")
        self.heading(1, "A data centre and a service")
        stage.start_lab()
        self.say(
            f"the lab runs: {stage.servers} servers with Redfish BMCs, a gNMI leaf switch, Tinkerbell on Kubernetes"
        )
        stage.prepare_record()
        operator = stage.add_person("operator", "operator")
        # a password that somebody types, so that logging in is part of what is shown
        ada = stage.add_person("ada", "user", gpus=GPUS_PER_SERVER, password=secrets.token_urlsafe(12))
        self.say("the record is an SQLite file; users are operator, and ada with a quota of 8 GPUs")
        stage.start_service()
        self.say(f"API and scheduler run: {stage.url}/api/v1/docs")
        with stage.client(operator) as operators_api, stage.client() as api:
            self.discover(operators_api, operator)
            allocation, key = self.allocate(api, operators_api, ada)
            self.visit(allocation, api.workflow(allocation["workflow_id"]), key)
            self.release(api, operators_api, allocation)
        return self.figures

    # -- infrastructure team -------------------------------------------------------------------------------------

    def discover(self, api: ServiceClient, operator: Person) -> None:
        """Import the fleet file, and look at every server through its BMC."""
        self.heading(2, "The infrastructure team discovers the fleet")
        began = time.monotonic()
        api.import_fleet(self.stage.fleet_document())
        self.say("palebluedot server import fleet.yml: addresses and credentials are in the record")
        self.stage.playbook("discover.yml", operator)
        self.say("ansible-playbook playbooks/discover.yml: every BMC was asked what it is")
        self.figures.discover_s = round(time.monotonic() - began, 2)
        servers = list(api.servers())
        states = self.figures.states
        states.servers_discovered = count_states(servers)
        states.gpus_discovered = self.figures.gpus = self._free_gpus(api)
        models = sorted({str(server.get("model")) for server in servers})
        self.say(f"{len(servers)} servers ({', '.join(models)}), {states.gpus_discovered} GPUs are free")
        self._stop_if_wrong("servers after discovery", "free GPUs after discovery")

    # -- a researcher --------------------------------------------------------------------------------------------

    def allocate(
        self, api: ServiceClient, operators_api: ServiceClient, ada: Person
    ) -> tuple[dict[str, Any], asyncssh.SSHKey]:
        """Log in, register a key, ask for eight GPUs, watch them come."""
        self.heading(3, "Ada asks for 8 GPUs")
        api.login(ada.username, ada.password)
        key, public_key = visit.make_key()
        api.add_ssh_key("demo", public_key)
        self.say("POST /api/v1/auth/login and /ssh-keys: ada is logged in, her key is known")
        began = time.monotonic()
        accepted = api.allocate({"gpu_count": GPUS_PER_SERVER, "template": TEMPLATE}, request="demo")
        self.say(f"POST /api/v1/gpu/allocate: 202, {accepted['allocation_id']}")
        timeline = Timeline("allocate", console=self.console)
        workflow = timeline.follow(lambda: api.workflow(accepted["workflow_id"]), deadline_s=self._deadline_s)
        allocation = api.allocation(accepted["allocation_id"])
        self.figures.allocate_s = round(time.monotonic() - began, 2)
        states = self.figures.states
        states.allocate_workflow = str(workflow["status"])
        states.allocation_active = str(allocation["status"])
        states.gpus_active = self._free_gpus(operators_api)
        if workflow["status"] != "succeeded":
            raise failure(workflow)
        self._stop_if_wrong("allocate workflow", "allocation in use", "free GPUs in use")
        self.say(f"the allocation is active after {self.figures.allocate_s:.1f} s")
        return allocation, key

    def visit(self, allocation: dict[str, Any], workflow: dict[str, Any], key: asyncssh.SSHKey) -> None:
        """Log in to the server over SSH and look at the GPUs."""
        self.heading(4, "Ada uses the server")
        server = allocation["servers"][0]
        for line in gpu.ssh_commands(allocation):
            self.say(line)
        result = next((s.get("result") or {} for s in workflow["steps"] if s["step"] == "hand_over"), {})
        hostname, listing = visit.visit(
            server["address"],
            server["ssh_port"],
            server["ssh_user"],
            key,
            result.get("ssh_host_key"),
            "hostname",
            "nvidia-smi -L",
        )
        gpus = [line for line in listing.splitlines() if line.startswith("GPU ")]
        self.say(f"{hostname}$ nvidia-smi -L")
        for line in gpus:
            self.console.print(Text(f"           {line}"), soft_wrap=True)
        if hostname != server["name"] or len(gpus) != GPUS_PER_SERVER:
            raise Problem(
                f"Not what was handed over answers: {hostname} with {len(gpus)} GPUs",
                host=server["address"],
                answer=listing,
            )

    def release(self, api: ServiceClient, operators_api: ServiceClient, allocation: dict[str, Any]) -> None:
        """Give it back; see the proof of erasure and the servers in the pool."""
        self.heading(5, "Ada gives it back, and nobody gets it before it is wiped")
        began = time.monotonic()
        accepted = api.release(allocation["id"])
        self.say(f"DELETE /api/v1/gpu/{allocation['id']}/release: 202")
        workflow_id = accepted["workflow_id"]
        timeline = Timeline("release", console=self.console)
        workflow = timeline.follow(lambda: api.workflow(workflow_id), deadline_s=self._deadline_s)
        self.figures.release_s = round(time.monotonic() - began, 2)
        states = self.figures.states
        states.release_workflow = str(workflow["status"])
        states.allocation = str(api.allocation(allocation["id"])["status"])
        states.servers = count_states(operators_api.servers())
        states.gpus_available = self._free_gpus(operators_api)
        if workflow["status"] != "succeeded":
            raise failure(workflow)
        drives = {row["name"]: row["disks"] for row in self.stage.fleet_document()["servers"]}
        for server in allocation["servers"]:
            report = operators_api.report(workflow_id, "erase", server["name"])["body"]
            verified = [disk["device"] for disk in report["disks"] if disk.get("verified")]
            states.wipes.append(Wipe(server["name"], drives[server["name"]], verified))
            self.say(f"proof of erasure that {server['name']} itself sent:")
            for disk in report["disks"]:
                words = [disk["device"], disk.get("serial_number") or disk.get("serial"), disk.get("method")]
                words.append("verified" if disk.get("verified") else "NOT VERIFIED")
                self.console.print(Text("           " + "  ".join(str(word) for word in words if word)), soft_wrap=True)
        if wrong := self.figures.wrong():
            raise Problem("Not every state is what it should be", code="wrong_state", answer="; ".join(wrong))
        self.say(
            f"released after {self.figures.release_s:.1f} s: {states.servers['available']} servers are in the pool, "
            f"{states.gpus_available} GPUs are free"
        )

    # -- helpers -------------------------------------------------------------------------------------------------

    def _free_gpus(self, api: ServiceClient) -> int:
        return len(list(api.items("/api/v1/gpu/available", limit=200)))

    def _stop_if_wrong(self, *names: str) -> None:
        """Stop at the first wrong state: what follows would only hide it."""
        if wrong := [line for line in self.figures.wrong() if line.partition(":")[0] in names]:
            raise Problem("Not every state is what it should be", code="wrong_state", answer="; ".join(wrong))
