"""``palebluedot allocate``, ``release`` and ``status``: what a researcher does all day, by the API."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

import click

from cli import client, console
from cli.problems import EXIT_FAILED, Problem
from cli.timeline import FINAL, Timeline, failure

WAIT_S = 3600
ENDED = {"released", "rejected", "failed", "cancelled"}


def parse_parameters(ctx: click.Context, option: click.Parameter, values: tuple[str, ...]) -> dict[str, Any]:
    """``NAME=VALUE`` pairs; a VALUE that is JSON (a number, true, a list) is taken as such."""
    answer: dict[str, Any] = {}
    for pair in values:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise click.BadParameter(f"{pair!r} is not NAME=VALUE", ctx, option)
        try:
            answer[name] = json.loads(value)
        except ValueError:
            answer[name] = value
    return answer


def ssh_commands(allocation: dict[str, Any]) -> list[str]:
    """How each server of an allocation is reached."""
    answer = []
    for server in allocation.get("servers", []):
        if server.get("address"):
            port = f"-p {server['ssh_port']} " if server.get("ssh_port") not in (None, 22) else ""
            answer.append(f"ssh {port}{server.get('ssh_user') or 'root'}@{server['address']}")
    return answer


@click.command()
@click.option("--gpus", "gpu_count", type=click.IntRange(min=1), help="How many GPUs; whole servers are given.")
@click.option("--servers", "server_count", type=click.IntRange(min=1), help="How many servers, instead of --gpus.")
@click.option("--gpu-model", help="Part of the model's name, such as H100.")
@click.option("--template", required=True, help="Operating system template, such as ubuntu-24.04.")
@click.option(
    "--parameter", "parameters", multiple=True, callback=parse_parameters, help="NAME=VALUE for the template."
)
@click.option("--ssh-key", "ssh_keys", multiple=True, help="Name or id of one of your keys; all of them if not given.")
@click.option("--end", help="When the lease ends, RFC 3339.")
@click.option("--request", help="Name of the request: repeating it gives the same allocation, never a second one.")
@click.option("--external", is_flag=True, help="Only reserve: the playbook is run by hand or by AWX.")
@click.option("--wait/--no-wait", default=True, show_default=True, help="Show the steps until the servers are ready.")
@console.json_option
def allocate(
    gpu_count: int | None,
    server_count: int | None,
    gpu_model: str | None,
    template: str,
    parameters: dict[str, Any],
    ssh_keys: tuple[str, ...],
    end: str | None,
    request: str | None,
    external: bool,
    wait: bool,
    as_json: bool,
) -> None:
    """Ask for GPUs, and wait until the servers can be used.

    \b
    Examples:
      palebluedot allocate --gpus 8 --template ubuntu-24.04
      palebluedot allocate --servers 2 --template ubuntu-24.04 --request training-7 --no-wait
      palebluedot allocate --gpus 8 --template ubuntu-24.04 --parameter hostname=node1
    """
    if (gpu_count is None) == (server_count is None):
        raise click.UsageError("Say either --gpus or --servers.")
    fields: dict[str, Any] = {
        "gpu_count": gpu_count,
        "server_count": server_count,
        "gpu_model": gpu_model,
        "template": template,
        "parameters": parameters or None,
        "ssh_keys": list(ssh_keys) or None,
        "end": end,
        "request": request,
        "executor": "external" if external else None,
    }
    with client.service() as api:
        if not ssh_keys and not api.ssh_keys():
            console.err.print(
                "[yellow]You have no SSH key here, so nobody can log in to the servers[/]; "
                "first: palebluedot key add ~/.ssh/id_ed25519.pub",
                soft_wrap=True,
            )
        accepted = api.allocate({name: value for name, value in fields.items() if value is not None}, request=request)
        allocation_id, workflow_id = accepted["allocation_id"], accepted["workflow_id"]
        if wait and not external:
            console.err.print(f"{allocation_id}: workflow {workflow_id}")
            workflow = Timeline(allocation_id).follow(lambda: api.workflow(workflow_id), deadline_s=WAIT_S)
            if workflow["status"] != "succeeded":
                raise failure(workflow, next=f"palebluedot status {allocation_id}")
        allocation = api.allocation(allocation_id)
    if as_json:
        console.print_json(allocation)
        return
    console.out.print(f"{allocation_id} is", console.state(allocation["status"]))
    if allocation["status"] == "active":
        for line in ssh_commands(allocation):
            console.out.print(f"  {line}", soft_wrap=True)
        return
    if allocation["status"] in ENDED:
        raise Problem(
            f"{allocation_id} is {allocation['status']}",
            answer=allocation.get("end_reason"),
            next="A name is used once: ask again with another --request",
        )
    if external:
        console.out.print(
            f"Run it: ansible-playbook playbooks/allocate.yml -e workflow_id={workflow_id}", soft_wrap=True
        )
    elif not wait:
        console.out.print(f"See how it goes: palebluedot status {workflow_id}", soft_wrap=True)


@click.command()
@click.argument("allocation_id")
@click.option("--external", is_flag=True, help="Only start it: the playbook is run by hand or by AWX.")
@click.option("--wait/--no-wait", default=True, show_default=True, help="Show the steps until it is over.")
@console.json_option
def release(allocation_id: str, external: bool, wait: bool, as_json: bool) -> None:
    """Give an allocation back. Its servers' disks are erased before anybody else gets them.

    \b
    Examples:
      palebluedot release alloc_0198c2f0-…
      palebluedot release alloc_0198c2f0-… --no-wait
    """
    with client.service() as api:
        accepted = api.release(allocation_id, executor="external" if external else None)
        workflow_id = accepted["workflow_id"]
        if wait and not external and workflow_id:
            console.err.print(f"{allocation_id}: workflow {workflow_id}")
            workflow = Timeline(allocation_id).follow(lambda: api.workflow(workflow_id), deadline_s=WAIT_S)
            if workflow["status"] != "succeeded":
                raise failure(workflow, next=f"palebluedot status {workflow_id}")
        allocation = api.allocation(allocation_id)
    if as_json:
        console.print_json(allocation)
        return
    console.out.print(f"{allocation_id} is", console.state(allocation["status"]))
    if external:
        console.out.print(
            f"Run it: ansible-playbook playbooks/release.yml -e workflow_id={workflow_id}", soft_wrap=True
        )


def _overview(as_json: bool) -> None:
    with client.service() as api:
        profile, quota = api.profile(), api.quota()
        free = sum(1 for _ in api.items("/api/v1/gpu/available"))
        allocations = [a for a in api.allocations() if a["status"] not in ENDED]
        workflows = [w for w in api.workflows() if w["status"] not in FINAL]
        servers = list(api.servers()) if profile["role"] != "user" else None
        freeze = api.freeze()
    if as_json:
        answer: dict[str, Any] = {
            "user": profile,
            "quota": quota,
            "gpus_available": free,
            "allocations": allocations,
            "workflows": workflows,
            "servers": None if servers is None else dict(Counter(server["state"] for server in servers)),
            "freeze": freeze,
        }
        console.print_json(answer)
        return
    limit = quota["max_gpu_count"]
    console.out.print(
        f"{profile['username']} ({profile['role']}): {quota['used_gpu_count']} of {'any' if limit is None else limit} "
        f"GPUs in use; {free} GPUs are free"
    )
    if freeze.get("frozen"):
        console.out.print(f"[bold yellow]The fleet is frozen[/]: {freeze.get('reason') or 'no reason given'}")
    if servers is not None:
        counts = Counter(server["state"] for server in servers)
        console.out.print("servers: " + (", ".join(f"{n} {state}" for state, n in sorted(counts.items())) or "none"))
    if allocations:
        console.out.print(
            console.table(allocations, ["id", "status", "username", "gpu_count", "template", "workflow_id"])
        )
    if workflows:
        console.out.print(console.table(workflows, ["id", "kind", "status", "executor", "attempt"]))


def cannot(server: Mapping[str, Any]) -> list[str]:
    """What a server's BMC does not do for want of a licence, one line each."""
    missing = (server.get("capabilities") or {}).get("cannot") or {}
    return [f"cannot do {what.replace('_', ' ')}: {why}" for what, why in sorted(missing.items())]


@click.command()
@click.argument("thing", required=False)
@click.option("--watch", is_flag=True, help="For a workflow: show its steps until it is over.")
@console.json_option
def status(thing: str | None, watch: bool, as_json: bool) -> None:
    """How things stand: yours, or one THING's (alloc_…, wf_…, gpu_…, srv_… or a server's name).

    \b
    Examples:
      palebluedot status
      palebluedot status wf_0198c2f0-… --watch
      palebluedot status gpu-003
    """
    if thing is None:
        _overview(as_json)
        return
    with client.service() as api:
        if thing.startswith("wf_"):
            timeline = Timeline(thing, started=time.monotonic())
            workflow = dict(
                timeline.follow(lambda: api.workflow(thing), deadline_s=WAIT_S) if watch else api.workflow(thing)
            )
            if as_json:
                console.print_json(workflow)
            elif not watch:
                console.out.print(f"{thing}: {workflow['kind']}, attempt {workflow.get('attempt')},", end=" ")
                console.out.print(console.state(workflow["status"]))
                rows = [{**step, "error": (step.get("error") or {}).get("message")} for step in workflow["steps"]]
                console.out.print(console.table(rows, ["step", "server", "attempt", "status", "error"]))
            if workflow["status"] in FINAL - {"succeeded"}:
                raise failure(workflow)
            return
        if thing.startswith("alloc_"):
            found = api.allocation(thing)
        elif thing.startswith("gpu_"):
            found = api.gpu_status(thing)
        else:
            found = api.server(thing)
    if as_json:
        console.print_json(found)
        return
    rows = [{"field": name, "value": value} for name, value in found.items() if not isinstance(value, list | dict)]
    console.out.print(console.table(rows, ["field", "value"]))
    for line in cannot(found):
        console.out.print(f"[yellow]{line}[/]", soft_wrap=True)
    if thing.startswith("alloc_"):
        console.out.print(console.table(found["servers"], ["name", "state", "rank", "address", "ssh_port", "ssh_user"]))
        if found["status"] == "failed":
            raise Problem(f"{thing} has failed", answer=found.get("end_reason"), exit_code=EXIT_FAILED)


@click.command()
@click.option("--reason", required=True, help="Why; everybody who is refused reads it.")
def freeze(reason: str) -> None:
    """Stop every destructive step in the fleet, whichever door it came in by.

    \b
    Example:
      palebluedot freeze --reason "cooling failure in row 3"
    """
    with client.service() as api:
        api.set_freeze(True, reason)
    console.out.print("The fleet is frozen. Thaw it: palebluedot unfreeze")


@click.command()
def unfreeze() -> None:
    """Let the fleet work again."""
    with client.service() as api:
        api.set_freeze(False)
    console.out.print("The fleet works again")
