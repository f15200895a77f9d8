"""``palebluedot inventory``: what is needed to reach the machines while the service is away."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import yaml

from cli import client, console, login

# Host variables that the modules of palebluedot.gpu.bmc take as options of the same name.
_BMC_VARIABLES = ("bmc_address", "bmc_port", "bmc_protocol", "bmc_validate_certs", "bmc_ca_path", "bmc_fingerprint")


def static_inventory(servers: list[dict[str, Any]], credentials: dict[str, dict[str, str]]) -> dict[str, Any]:
    """A static Ansible inventory; `credentials` maps a server's name to `{username, password}` where they are known."""
    hosts: dict[str, Any] = {}
    children: dict[str, Any] = {}
    for server in servers:
        name = server["name"]
        hosts[name] = {key: server[key] for key in _BMC_VARIABLES if server.get(key) is not None}
        if name in credentials:
            hosts[name] |= {
                "bmc_username": credentials[name]["username"],
                "bmc_password": credentials[name]["password"],
            }
        else:
            # user:password in this variable of the environment; the service cannot be asked
            hosts[name]["bmc_credential"] = "env:PALEBLUEDOT_BMC_LOGIN"
        for kind in ("pool", "rack"):
            if server.get(kind):
                group = f"{kind}_{server[kind]}".replace("-", "_")
                children.setdefault(group, {"hosts": {}})["hosts"][name] = None
    return {"all": {"hosts": hosts, "children": children}}


@click.group()
def inventory() -> None:
    """The fleet as Ansible sees it."""


@inventory.command()
@click.option(
    "--output", type=click.Path(dir_okay=False, path_type=Path), help="Write here (mode 0600), not to stdout."
)
@click.option(
    "--with-credentials",
    is_flag=True,
    help="Put each BMC's password into the file; every one asked for is audited. Needs --output.",
)
def export(output: Path | None, with_credentials: bool) -> None:
    """A static inventory of the whole fleet: power and console go on working while the service is away.

    \b
    Examples:
      palebluedot inventory export --output emergency.yml
      palebluedot inventory export --with-credentials --output emergency.yml && ansible-vault encrypt emergency.yml
      ansible-playbook -i emergency.yml playbooks/power.yml -e target=gpu-003 -e state=off
    """
    if with_credentials and output is None:
        raise click.UsageError("--with-credentials needs --output: passwords are not printed.")
    credentials = {}
    with client.service() as api:
        servers = list(api.servers())
        if with_credentials:
            credentials = {server["name"]: api.server_credential(server["name"]) for server in servers}
    text = yaml.safe_dump(static_inventory(servers, credentials), sort_keys=False)
    if output is None:
        click.echo(text, nl=False)
        return
    login.keep(text.rstrip("\n"), output)
    console.out.print(f"{len(servers)} servers in {output}", soft_wrap=True)
    if with_credentials:
        console.err.print(f"It holds passwords: ansible-vault encrypt {output}", soft_wrap=True)
