"""``palebluedot server``: what is in the fleet, what joins it, what is cleaned."""

from __future__ import annotations

import csv
import os
from pathlib import Path
from typing import Any

import click
import yaml

from cli import client, console
from cli.problems import Problem

# Columns of a CSV file, in the words of the import document. Only these two must be there.
REQUIRED_COLUMNS = {"name", "bmc_address"}
_TEXT_COLUMNS = (
    "name", "bmc_address", "bmc_protocol", "bmc_username", "bmc_password", "bmc_ca_path",
    "rack", "pool", "nvlink_domain",
)  # fmt: skip
COLUMNS = (*_TEXT_COLUMNS, "bmc_port", "bmc_validate_certs", "nics", "disks")
_BOOLEANS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def read_document(path: Path) -> dict[str, Any]:
    """The import document in a YAML file, or the `servers` of one in a CSV file."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise Problem(f"{path} cannot be read", answer=str(error), next="Give a CSV or YAML file in UTF-8") from error
    if path.suffix.lower() == ".csv":
        return {"servers": read_csv(text, str(path))}
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise Problem(
            f"{path} is no YAML", answer=str(error), next="Mend the file; a CSV file is named *.csv"
        ) from error
    if not isinstance(document, dict) or not set(document) & {"networks", "switches", "servers"}:
        raise Problem(
            f"{path} is no import document", next="It is a mapping with networks, switches and servers (docs/tour.md)"
        )
    return document


def read_csv(text: str, source: str = "CSV") -> list[dict[str, Any]]:
    """The rows of a CSV file as servers of the import document; an empty cell is left out.

    `nics` is ``MAC@SWITCH/PORT``, several separated by ``;`` and `disks` are device paths separated by ``;``.
    """
    rows = csv.DictReader(text.splitlines())
    header = [name.strip() for name in rows.fieldnames or []]
    if unknown := [name for name in header if name not in COLUMNS]:
        raise Problem(
            f"{source} has columns that mean nothing here: {', '.join(unknown)}", next=f"Known: {', '.join(COLUMNS)}"
        )
    if missing := REQUIRED_COLUMNS - set(header):
        raise Problem(f"{source} lacks the columns {', '.join(sorted(missing))}", next=f"Known: {', '.join(COLUMNS)}")
    servers = []
    for number, row in enumerate(rows, start=2):
        if None in row or None in row.values():
            raise Problem(f"{source}, line {number}: as many cells as columns are expected ({len(header)})")
        cells = {name.strip(): value.strip() for name, value in row.items() if value.strip()}
        if cells:
            servers.append(_server(cells, f"{source}, line {number}"))
    return servers


def _server(cells: dict[str, str], where: str) -> dict[str, Any]:
    if missing := REQUIRED_COLUMNS - set(cells):
        raise Problem(f"{where}: {', '.join(sorted(missing))} is empty")
    server: dict[str, Any] = {name: cells[name] for name in _TEXT_COLUMNS if name in cells}
    if "bmc_port" in cells:
        if not cells["bmc_port"].isdigit():
            raise Problem(f"{where}: bmc_port is {cells['bmc_port']!r}, not a number")
        server["bmc_port"] = int(cells["bmc_port"])
    if "bmc_validate_certs" in cells:
        word = cells["bmc_validate_certs"].lower()
        if word not in _BOOLEANS:
            raise Problem(f"{where}: bmc_validate_certs is {word!r}, not true or false")
        server["bmc_validate_certs"] = _BOOLEANS[word]
    if "nics" in cells:
        server["nics"] = [_nic(item.strip(), where) for item in cells["nics"].split(";") if item.strip()]
    if "disks" in cells:
        server["disks"] = [disk.strip() for disk in cells["disks"].split(";") if disk.strip()]
    return server


def _nic(text: str, where: str) -> dict[str, str]:
    mac, at, rest = text.partition("@")
    # an interface's name may itself hold slashes (Ethernet1/1), a switch's may not
    switch, slash, port = rest.partition("/")
    if not mac or (at and not (slash and switch and port)):
        raise Problem(f"{where}: the NIC {text!r} is not MAC or MAC@SWITCH/PORT")
    return {"mac": mac, "switch": switch, "port": port} if at else {"mac": mac}


@click.group()
def server() -> None:
    """Servers: import, list, clean."""


@server.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--bmc-password-env",
    metavar="NAME",
    help="Environment variable with the BMC password of every server that the file gives none for.",
)
@console.json_option
def import_(file: Path, bmc_password_env: str | None, as_json: bool) -> None:
    """Take servers, switches and networks from FILE into the record. Importing again updates.

    FILE is YAML (networks, switches, servers) or CSV (servers only). Columns of a CSV file: name and bmc_address, and
    optionally bmc_port, bmc_protocol (auto, redfish, ipmi), bmc_username, bmc_password, bmc_ca_path,
    bmc_validate_certs, rack, pool, nvlink_domain, nics (MAC@SWITCH/PORT;…), disks (/dev/nvme0n1;…).

    \b
    Examples:
      palebluedot server import fleet.yml
      palebluedot server import racks.csv --bmc-password-env FACTORY_PASSWORD
    """
    document = read_document(file)
    if bmc_password_env:
        password = os.environ.get(bmc_password_env)
        if not password:
            raise Problem(
                f"The environment variable {bmc_password_env} is not set", next=f"export {bmc_password_env}=…"
            )
        for row in document.get("servers") or []:
            row.setdefault("bmc_password", password)
    with client.service() as api:
        answer = api.import_fleet(document)
    if as_json:
        console.print_json(answer)
        return
    counts = ", ".join(f"{len(document.get(kind) or [])} {kind}" for kind in ("networks", "switches", "servers"))
    console.out.print(f"In the record: {counts}")
    console.out.print("Look at them through their BMCs: ansible-playbook playbooks/discover.yml", soft_wrap=True)


@server.command("list")
@click.option("--state", help="Only servers in this state.")
@click.option("--pool", help="Only this pool.")
@click.option("--rack", help="Only this rack.")
@console.json_option
def list_(state: str | None, pool: str | None, rack: str | None, as_json: bool) -> None:
    """The servers of the record."""
    with client.service() as api:
        rows = list(api.servers(state=state, pool=pool, rack=rack))
    if as_json:
        console.print_json(rows)
        return
    console.out.print(console.table(rows, ["name", "state", "model", "serial_number", "rack", "pool", "bmc_address"]))


@server.command()
@click.argument("name")
def clean(name: str) -> None:
    """Wipe a failed or quarantined server, and return it to the pool.

    \b
    Example:
      palebluedot server clean gpu-003
    """
    with client.service() as api:
        answer = api.clean_server(name)
    console.out.print(f"{name}: workflow {answer['workflow_id']}", soft_wrap=True)
    console.out.print(f"See how it goes: palebluedot status {answer['workflow_id']} --watch", soft_wrap=True)
