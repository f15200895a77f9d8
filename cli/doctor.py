"""``palebluedot doctor``: is this installation whole, from Python to the BMCs?"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import click
from rich.text import Text

from cli import children, client, console, paths
from cli.problems import EXIT_FAILED, Problem

Level = Literal["ok", "warn", "fail"]

PROGRAM_TIMEOUT_S = 60
NETWORK_TIMEOUT_S = 5.0
BMC_TIMEOUT_S = 3.0
BMC_CONCURRENCY = 64
# where a BMC answers when the record names no port
DEFAULT_BMC_PORT = 443
_NAMED_AT_MOST = 5


@dataclass(frozen=True)
class Check:
    """One line of the diagnosis; `next` says what to do about it."""

    name: str
    level: Level
    detail: str
    next: str | None = None


def _names(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED_AT_MOST} more" if len(names) > _NAMED_AT_MOST else ""
    return ", ".join(names[:_NAMED_AT_MOST]) + more


def _run(*argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        argv,
        cwd=paths.ROOT,
        env={**children.environment(), "ANSIBLE_CONFIG": str(paths.ROOT / "ansible.cfg")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PROGRAM_TIMEOUT_S,
        check=False,
    )


def _program(name: str) -> str:
    beside = Path(sys.executable).with_name(name)
    return str(beside) if beside.exists() else name


def check_python() -> Check:
    version = ".".join(str(part) for part in sys.version_info[:3])
    if sys.prefix == sys.base_prefix:
        return Check("python", "warn", f"{version}, outside a virtual environment", "Use what is locked: make setup")
    return Check("python", "ok", f"{version} in {sys.prefix}")


def check_ansible() -> Check:
    ran = _run(_program("ansible-playbook"), "--version")
    if ran.returncode != 0:
        return Check("ansible", "fail", ran.stderr.strip()[-300:], "Install what is locked: make setup")
    return Check("ansible", "ok", ran.stdout.splitlines()[0])


def check_collection() -> Check:
    ran = _run(_program("ansible-doc"), "--type", "module", "--json", "palebluedot.gpu.bmc_power")
    if ran.returncode != 0 or "bmc_power" not in ran.stdout:
        said = (ran.stderr or ran.stdout).strip()[-300:]
        return Check("collection", "fail", said, f"Is {paths.COLLECTIONS} whole? git status; ansible.cfg names it")
    return Check("collection", "ok", "palebluedot.gpu loads")


def check_database() -> Check:
    from cli import database
    from fleet.settings import get_settings

    current, head = database.revisions()
    where = database.describe(get_settings().database_url)
    if current != head:
        return Check(
            "database",
            "fail",
            f"{where} is at {current or 'nothing'}, the code is at {head}",
            "Bring it up to date: palebluedot db upgrade",
        )
    return Check("database", "ok", f"{where} is at {head}")


def check_api() -> Check:
    with client.make_client(anonymous=True, timeout_s=NETWORK_TIMEOUT_S) as api:
        api.readyz()
        return Check("api", "ok", f"{api.url} is ready")


def check_scheduler() -> Check:
    from sqlalchemy import select

    from fleet import clock, db
    from fleet.models import LeaderLease

    with db.reading() as session:
        now = clock.now(session)
        leases = session.scalars(select(LeaderLease)).all()
        alive = [lease for lease in leases if lease.expires_at > now]
    start = "Start it: palebluedot scheduler (or serve)"
    if not leases:
        return Check("scheduler", "fail", "none has ever led on this database", start)
    if not alive:
        last = max(lease.expires_at for lease in leases)
        return Check("scheduler", "fail", f"the last leader's lease ended at {clock.rfc3339(last)}", start)
    return Check("scheduler", "ok", f"{alive[0].holder} leads")


def check_kubernetes() -> Check:
    from fleet.settings import get_settings

    path = get_settings().kubeconfig or os.environ.get("KUBECONFIG")
    point = "Point PALEBLUEDOT_KUBECONFIG at the cluster that runs Tinkerbell"
    if not path:
        return Check("tinkerbell", "warn", "no kubeconfig is set: nothing can be installed or erased", point)
    from kubernetes import client as kubernetes_client
    from kubernetes import config as kubernetes_config

    api = kubernetes_config.new_client_from_config(str(path))
    try:
        groups = kubernetes_client.ApisApi(api).get_api_versions(_request_timeout=NETWORK_TIMEOUT_S)
    finally:
        api.close()
    if "tinkerbell.org" not in {group.name for group in groups.groups}:
        return Check(
            "tinkerbell", "fail", f"{api.configuration.host} serves no tinkerbell.org kinds", "Install Tinkerbell"
        )
    return Check("tinkerbell", "ok", f"{api.configuration.host} serves its kinds")


def check_bmcs() -> Check:
    from sqlalchemy import select

    from fleet import db
    from fleet.models import Server

    with db.reading() as session:
        rows = session.execute(
            select(Server.name, Server.bmc_ip, Server.bmc_port).where(Server.status != "retired")
        ).all()
    if not rows:
        return Check("bmcs", "warn", "the record holds no servers", "palebluedot server import FILE")

    def reach(row: Any) -> tuple[str, str] | None:
        try:
            socket.create_connection((row.bmc_ip, row.bmc_port or DEFAULT_BMC_PORT), BMC_TIMEOUT_S).close()
        except OSError as error:
            return row.name, error.strerror or str(error)
        return None

    with ThreadPoolExecutor(BMC_CONCURRENCY) as pool:
        silent = [answer for answer in pool.map(reach, rows) if answer]
    if not silent:
        return Check("bmcs", "ok", f"all {len(rows)} answer")
    level: Level = "fail" if len(silent) == len(rows) else "warn"
    return Check(
        "bmcs",
        level,
        f"{len(silent)} of {len(rows)} do not answer: {_names([f'{name} ({why})' for name, why in silent])}",
        "Is the management network reachable from here? Addresses: palebluedot server list",
    )


def check_ports() -> Check:
    """Servers that placement never chooses, because the record does not know the port it would move."""
    from sqlalchemy import select

    from fleet import db
    from fleet.models import Server
    from fleet.placement import filters

    network = filters.network()
    with db.reading() as session:
        left_out = session.scalars(
            select(Server.name).where(Server.status != "retired", ~network.condition).order_by(Server.name)
        ).all()
    if not left_out:
        return Check("ports", "ok", "every server can be put on a network")
    return Check(
        "ports",
        "warn",
        f"{len(left_out)} servers are offered to nobody, because {network.why}: {_names(left_out)}",
        "Import their nics, the one that boots first, or have the switches asked: discover.yml -e @FILE with switches",
    )


CHECKS: tuple[Callable[[], Check], ...] = (
    check_python,
    check_ansible,
    check_collection,
    check_database,
    check_api,
    check_scheduler,
    check_kubernetes,
    check_bmcs,
    check_ports,
)


def examine(checks: Iterable[Callable[[], Check]]) -> Iterable[Check]:
    """Each check's answer; a check that itself fails is an answer too, so that one never hides the others."""
    for check in checks:
        name = check.__name__.removeprefix("check_")
        try:
            yield check()
        except subprocess.TimeoutExpired as error:
            yield Check(name, "fail", f"{error.cmd[0]} was not over after {error.timeout:.0f} s", "Run it by hand")
        except Exception as error:
            problem = error if isinstance(error, Problem) else Problem.of(error)
            detail = problem.message + (f" ({problem.answer})" if problem.answer else "")
            yield Check(name, "fail", detail.splitlines()[0][:400], problem.next)


@click.command()
@console.json_option
def doctor(as_json: bool) -> None:
    """Check this installation from end to end; each line says what to do next.

    Exit status 1 when something fails; a warning does not count.

    \b
    Example:
      palebluedot doctor --json | jq '.[] | select(.level != "ok")'
    """
    found = []
    for check in examine(CHECKS):
        found.append(check)
        if as_json:
            continue
        console.out.print(
            Text.assemble(console.state(check.level), f"{'':{5 - len(check.level)}}{check.name:<12}{check.detail}"),
            soft_wrap=True,
        )
        if check.next and check.level != "ok":
            console.out.print(Text(f"{'':17}→ {check.next}", style="dim"), soft_wrap=True)
    if as_json:
        console.print_json([asdict(check) for check in found])
    if any(check.level == "fail" for check in found):
        raise click.exceptions.Exit(EXIT_FAILED)
