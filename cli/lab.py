"""``palebluedot lab``: the simulated data centre, and its control API."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import click
import requests
from rich.text import Text

from cli import children, console
from cli.capture import capture
from cli.paths import data_dir
from cli.problems import EXIT_UNREACHABLE, Problem
from cli.replay import replay
from lab.config import VENDORS

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 15.0
CONTROL_TIMEOUT_S = 10.0


def lab_dir() -> Path:
    return data_dir() / "lab"


def read_facts(directory: Path) -> dict[str, Any] | None:
    """What the lab wrote when everything listened; None when it never did."""
    try:
        return cast(dict[str, Any], json.loads((directory / "lab.json").read_text()))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise Problem(
            f"{directory / 'lab.json'} is no JSON", answer=str(error), next="Remove it and start the lab again"
        ) from error


def is_lab(pid: int, directory: Path) -> bool:
    """Whether that process is the lab of this directory: process ids are used again by others."""
    try:
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    words = [os.fsdecode(argument) for argument in arguments]
    if "lab" not in words or "run" not in words:
        return False
    given = [Path(word).resolve() for word in words if os.sep in word]
    return directory.resolve() in given


def running(directory: Path) -> dict[str, Any] | None:
    """The facts of the lab, if it runs."""
    facts = read_facts(directory)
    return facts if facts and is_lab(int(facts["pid"]), directory) else None


def start_lab(
    directory: Path,
    options: list[str],
    *,
    env: Mapping[str, str] | None = None,
    with_parent: bool = False,
    timeout_s: float = START_TIMEOUT_S,
) -> dict[str, Any]:
    """Start the lab and wait until everything in it listens; its facts. It outlives us unless `with_parent`."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "lab.json").unlink(missing_ok=True)
    log = directory / "lab.log"
    child = children.start(
        "lab",
        [sys.executable, "-m", "lab", "run", "--dir", str(directory), *options],
        env=env,
        log=log,
        with_parent=with_parent,
    )
    try:
        return _wait_until_ready(child, directory, timeout_s)
    except BaseException:
        children.stop(child, 5)
        raise


def _wait_until_ready(child: children.Child, directory: Path, timeout_s: float) -> dict[str, Any]:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if child.process.poll() is not None:
            raise Problem(
                "The lab ended while it started",
                tried=" ".join(child.argv),
                answer=child.log_tail() or f"exit status {child.process.returncode}",
                next=f"Its whole output is in {child.log}",
            )
        if (facts := running(directory)) is not None:
            return facts
        time.sleep(0.05)
    raise Problem(
        f"The lab was not ready after {timeout_s:.0f} s and was stopped",
        code="deadline_exceeded",
        tried=" ".join(child.argv),
        answer=child.log_tail(),
        next=f"Its whole output is in {child.log}",
    )


def stop_lab(directory: Path, *, timeout_s: float = STOP_TIMEOUT_S) -> bool:
    """End the lab; False when none ran. Only ever signals a process that is this directory's lab."""
    facts = running(directory)
    if facts is None:
        return False
    pid = int(facts["pid"])
    for signum in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signum)
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            ended = not is_lab(pid, directory)  # a process that is ending has no command line any more
            try:
                reaped = os.waitpid(pid, os.WNOHANG)[0] == pid
            except ChildProcessError:
                reaped = True  # not ours to reap: another process started it
            if ended and reaped:
                (directory / "lab.json").unlink(missing_ok=True)
                return True
            time.sleep(0.05)
    raise Problem(f"The lab (process {pid}) does not end", next=f"Look at it: ps -o pid,stat,wchan,args -p {pid}")


def control(method: str, path: str, **request: Any) -> Any:
    """One request to the control API of the running lab; the decoded answer."""
    facts = running(lab_dir())
    if facts is None:
        raise Problem(
            "No lab is running",
            code="unreachable",
            tried=str(lab_dir() / "lab.json"),
            next="Start it: palebluedot lab start",
        )
    url = facts["control_url"].rstrip("/") + path
    try:
        answer = requests.request(method, url, timeout=CONTROL_TIMEOUT_S, **request)
    except requests.RequestException as error:
        raise Problem(
            "The lab does not answer",
            tried=f"{method} {url}",
            answer=str(error),
            next=f"Its output is in {lab_dir() / 'lab.log'}",
            exit_code=EXIT_UNREACHABLE,
        ) from error
    if not answer.ok:
        raise Problem(
            "The lab refused",
            tried=f"{method} {url}",
            answer=f"{answer.status_code} {answer.text[:500]}",
            next="palebluedot lab fault --help shows what a fault is made of",
        )
    return answer.json() if answer.content else None


@click.group()
def lab() -> None:
    """A data centre on this machine: servers with BMCs, a switch, Tinkerbell.

    \b
    Examples:
      palebluedot lab start --servers 8
      palebluedot lab fault add gpu-003 redfish --match 'POST /redfish/*' --kind status --value 503 --count 2
      palebluedot lab log --machine gpu-003
      palebluedot lab stop
    """


lab.add_command(capture)
lab.add_command(replay)


@lab.command()
@click.option("--servers", type=click.IntRange(1, 960), default=8, show_default=True, help="How many servers.")
@click.option("--speed", type=float, default=1.0, show_default=True, help="How much faster than real time.")
@click.option(
    "--delays",
    type=click.Choice(["none", "demo", "real"]),
    default="demo",
    show_default=True,
    help="How long power, POST, boot and installation take.",
)
@click.option("--ipmi", is_flag=True, help="IPMI BMCs beside the Redfish ones.")
@click.option(
    "--vendor", default="ami", show_default=True, help=f"BMCs, of {', '.join(VENDORS)}; commas: taking turns."
)
@click.option("--switches", default="", help="What each switch runs: openconfig, eos, nxos, sonic, srlinux (commas).")
def start(servers: int, speed: float, delays: str, ipmi: bool, vendor: str, switches: str) -> None:
    """Start the lab; it runs until `lab stop`. Facts are written under the data directory."""
    directory = lab_dir()
    if (facts := running(directory)) is not None:
        raise Problem(
            f"A lab runs already (process {facts['pid']})", next="Use it, or end it first: palebluedot lab stop"
        )
    options = ["--servers", str(servers), "--speed", str(speed), "--delays", delays, *(["--ipmi"] if ipmi else [])]
    options += ["--vendor", vendor]
    options += ["--switches", switches] if switches else []
    facts = start_lab(directory, options)
    console.out.print(f"The lab runs: {servers} servers, process {facts['pid']}")
    console.out.print(f"  fleet file   {facts['fleet_file']}", soft_wrap=True)
    console.out.print(f"  kubeconfig   {facts['kubeconfig']}", soft_wrap=True)
    console.out.print(f"  control API  {facts['control_url']}", soft_wrap=True)
    console.out.print(f"Take it into the record: palebluedot server import {facts['fleet_file']}", soft_wrap=True)


@lab.command()
def stop() -> None:
    """End the lab."""
    if stop_lab(lab_dir()):
        console.out.print("The lab has ended")
    else:
        console.out.print("No lab was running")


@lab.command()
@console.json_option
def status(as_json: bool) -> None:
    """Every machine as it physically is, whatever the record says."""
    machines = control("GET", "/machines")
    rows = machines["items"] if isinstance(machines, dict) and "items" in machines else machines
    if as_json:
        console.print_json(rows)
        return
    for row in rows:
        row["boots"] = ", ".join(boot["device"] for boot in row.get("boots", []))
    columns = [name for name in ("name", "power", "running", "vlan", "boots") if any(name in row for row in rows)]
    console.out.print(console.table(rows, columns))


@lab.command()
@click.option("--machine", help="Only what was done to this machine.")
@click.option("--layer", help="Only this layer: redfish, ipmi, gnmi, kube, agent, machine, …")
@click.option("--since", type=int, default=0, help="Only entries after this sequence number.")
@click.option("--follow", is_flag=True, help="Go on printing until interrupted.")
@console.json_option
def log(machine: str | None, layer: str | None, since: int, follow: bool, as_json: bool) -> None:
    """Every write that any device of the lab received."""

    def entries() -> Iterator[dict[str, Any]]:
        last = since
        while True:
            wanted = {"machine": machine, "layer": layer, "since": last}
            for entry in control("GET", "/log", params={k: v for k, v in wanted.items() if v is not None}):
                last = max(last, int(entry["seq"]))
                yield entry
            if not follow:
                return
            time.sleep(0.5)

    for entry in entries():
        if as_json:
            click.echo(json.dumps(entry))
            continue
        console.out.print(
            Text.assemble(
                (f"{entry['seq']:>6} ", "dim"),
                f"{entry.get('machine') or '–':12} ",
                (f"{entry['layer']:9} ", "cyan"),
                f"{entry['action']} ",
                (json.dumps(entry.get("detail")) if entry.get("detail") else "", "dim"),
            ),
            soft_wrap=True,
        )


@lab.group()
def fault() -> None:
    """Break a device, look at what is broken, mend it.

    \b
    Examples:
      palebluedot lab fault add gpu-001 redfish --kind hang
      palebluedot lab fault add '*' kube --match 'PATCH *' --kind status --value 409 --count 1
      palebluedot lab fault list
      palebluedot lab fault clear
    """


@fault.command("add")
@click.argument("machine")
@click.argument("layer")
@click.option("--match", default="*", show_default=True, help="Which requests: METHOD and path, with wildcards.")
@click.option("--kind", required=True, help="status, latency, drop, hang, garbage, wrong, …")
@click.option("--value", help="What the kind needs: a status, seconds, an answer (JSON or text).")
@click.option("--count", type=click.IntRange(1), help="How often; without it until cleared.")
def add_fault(machine: str, layer: str, match: str, kind: str, value: str | None, count: int | None) -> None:
    """Switch a fault on for MACHINE ("*" for all) in LAYER."""
    body: dict[str, Any] = {"machine": machine, "layer": layer, "match": match, "kind": kind}
    if value is not None:
        try:
            body["value"] = json.loads(value)
        except ValueError:
            body["value"] = value
    if count is not None:
        body["count"] = count
    console.print_json(control("POST", "/faults", json=body))


@fault.command("list")
def list_faults() -> None:
    """Which faults are on, and how often each has struck."""
    console.print_json(control("GET", "/faults"))


@fault.command("clear")
def clear_faults() -> None:
    """Mend everything."""
    control("DELETE", "/faults")
    console.out.print("No fault is on")
