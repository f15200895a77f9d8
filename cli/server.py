"""``palebluedot server``: what is in the fleet, what joins it, what is cleaned."""

from __future__ import annotations

import csv
import os
from collections import Counter
from pathlib import Path
from typing import Any

import click
import yaml

from cli import client, console
from cli.importers import SOURCES, read_export
from cli.problems import Problem

# servers a request: the service takes bodies of a megabyte
PIECE = 1000
# Columns of a CSV file, in the words of the import document. Only these two must be there.
REQUIRED_COLUMNS = {"name", "bmc_address"}
_TEXT_COLUMNS = (
    "name", "bmc_address", "bmc_protocol", "bmc_username", "bmc_password", "bmc_ca_path",
    "rack", "pool", "nvlink_domain", "model_class",
)  # fmt: skip
COLUMNS = (*_TEXT_COLUMNS, "bmc_port", "rack_unit", "bmc_validate_certs", "nics", "disks", "tags")
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
    for name in ("bmc_port", "rack_unit"):
        if name in cells:
            if not cells[name].isdigit():
                raise Problem(f"{where}: {name} is {cells[name]!r}, not a number")
            server[name] = int(cells[name])
    if "bmc_validate_certs" in cells:
        word = cells["bmc_validate_certs"].lower()
        if word not in _BOOLEANS:
            raise Problem(f"{where}: bmc_validate_certs is {word!r}, not true or false")
        server["bmc_validate_certs"] = _BOOLEANS[word]
    if "nics" in cells:
        server["nics"] = [_nic(item.strip(), where) for item in cells["nics"].split(";") if item.strip()]
    for name in ("disks", "tags"):
        if name in cells:
            server[name] = [item.strip() for item in cells[name].split(";") if item.strip()]
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
    "--from",
    "source",
    type=click.Choice(sorted(SOURCES)),
    help="FILE is an export of that system, not an import document.",
)
@click.option("--bmc-username", help="User of every BMC that the file gives none for.")
@click.option(
    "--bmc-password-env",
    metavar="NAME",
    help="Environment variable with the BMC password of every server that the file gives none for.",
)
@click.option("--dry-run", is_flag=True, help="Print the import document (without passwords) and import nothing.")
@console.json_option
def import_(
    file: Path,
    source: str | None,
    bmc_username: str | None,
    bmc_password_env: str | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Take servers, switches and networks from FILE into the record. Importing again updates.

    FILE is YAML (networks, switches, servers) or CSV (servers only). Columns of a CSV file: name and bmc_address, and
    optionally bmc_port, bmc_protocol (auto, redfish, ipmi), bmc_username, bmc_password, bmc_ca_path,
    bmc_validate_certs, rack, rack_unit, pool, nvlink_domain, model_class, tags (a;b), nics (MAC@SWITCH/PORT;…),
    disks (/dev/nvme0n1;…).

    \b
    Examples:
      palebluedot server import fleet.yml
      palebluedot server import racks.csv --bmc-password-env FACTORY_PASSWORD
      palebluedot server import devices.json --from netbox --bmc-username admin --bmc-password-env FACTORY_PASSWORD
      palebluedot server import maas.json --from maas     (machines and power-parameters: docs/enrolment.md)
      openstack baremetal node list --long -f json > nodes.json; palebluedot server import nodes.json --from ironic
    """
    document = _converted(file, source) if source is not None else read_document(file)
    _fill_in(document, bmc_username, bmc_password_env)
    if dry_run:
        click.echo(yaml.safe_dump(_without_secrets(document), sort_keys=False), nl=False)
        return
    if unknown := [row["name"] for row in document.get("servers") or [] if not row.get("bmc_password")]:
        console.err.print(
            f"No BMC password for {len(unknown)} servers: {_some(unknown)}. One that the record has stays; "
            "else give --bmc-password-env, or let bmc_bootstrap set them",
            soft_wrap=True,
        )
    answer = _import_in_pieces(document)
    if as_json:
        console.print_json(answer)
        return
    counts = ", ".join(f"{len(document.get(kind) or [])} {kind}" for kind in ("networks", "switches", "servers"))
    console.out.print(f"In the record: {counts}")
    console.out.print("Look at them through their BMCs: ansible-playbook playbooks/discover.yml", soft_wrap=True)


def _converted(file: Path, source: str) -> dict[str, Any]:
    converted = read_export(file, source)
    for note in converted.notes:
        console.err.print(note, markup=False, soft_wrap=True)
    if converted.in_use:
        console.err.print(
            f"In use by {source}'s word: {_some(converted.in_use)}. Do not offer them: "
            "ansible-playbook playbooks/discover.yml -e enrol=false, then palebluedot server adopt NAME --user USER",
            markup=False,
            soft_wrap=True,
        )
    return {"servers": converted.servers}


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 10} more" if len(names) > 10 else ""
    return ", ".join(names[:10]) + more


def _fill_in(document: dict[str, Any], username: str | None, password_env: str | None) -> None:
    password = None
    if password_env:
        password = os.environ.get(password_env)
        if not password:
            raise Problem(f"The environment variable {password_env} is not set", next=f"export {password_env}=…")
    for row in document.get("servers") or []:
        if username:
            row.setdefault("bmc_username", username)
        if password:
            row.setdefault("bmc_password", password)


def _without_secrets(document: dict[str, Any]) -> dict[str, Any]:
    def shown(row: dict[str, Any]) -> dict[str, Any]:
        return {key: "********" if key in ("bmc_password", "password") else value for key, value in row.items()}

    return {kind: [shown(row) for row in rows or []] for kind, rows in document.items()}


def _import_in_pieces(document: dict[str, Any]) -> dict[str, dict[str, int]]:
    """Import a document that one request could not hold in several; networks and switches come first."""
    servers = document.get("servers") or []
    pieces: list[dict[str, Any]] = [
        {"servers": servers[start : start + PIECE]} for start in range(0, len(servers), PIECE)
    ] or [{}]
    pieces[0] = {**{kind: rows for kind, rows in document.items() if kind != "servers"}, **pieces[0]}
    total: dict[str, Counter[str]] = {}
    done = 0
    try:
        with client.service() as api:
            for piece in pieces:
                answer = api.import_fleet(piece)
                done += len(piece.get("servers") or [])
                for outcome, counts in answer.items():
                    total.setdefault(outcome, Counter()).update(counts)
    except Problem as problem:
        if done:
            problem.next = f"{done} servers are in the record; {problem.next or 'mend the rest'}, and import again"
        raise
    return {outcome: dict(counts) for outcome, counts in total.items()}


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
    columns = ["name", "state", "model", "serial_number", "rack", "pool", "bmc_address", "notes"]
    console.out.print(console.table([{**row, "notes": _notes(row)} for row in rows], columns))


def _notes(row: dict[str, Any]) -> str:
    """What keeps a server from being offered whatever its state: a wipe that is due, hands off."""
    notes = []
    if row["needs_clean"]:
        notes.append("to be wiped")
    if row["hands_off"]:
        notes.append(f"hands off: {row['hands_off_reason'] or 'no reason given'}")
    return "; ".join(notes)


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


@server.command("replace-part")
@click.argument("name")
@click.option(
    "--kind", type=click.Choice(["gpu", "board", "dimm", "drive", "nic"]), required=True, help="What is exchanged."
)
@click.option("--old-serial", required=True, help="The part that goes; of a NIC also its MAC address.")
@click.option("--new-serial", help="The part that comes, where it is known.")
@click.option("--reason", required=True, help="Why; it stands in the audit.")
def replace_part(name: str, kind: str, old_serial: str, new_serial: str | None, reason: str) -> None:
    """Announce that a part is exchanged: the next inspection accepts exactly that.

    \b
    Example:
      palebluedot server replace-part gpu-003 --kind gpu --old-serial 1652923003067 --reason "RMA 4711"
    """
    with client.service() as api:
        api.replace_part(name, kind, old_serial, new_serial, reason=reason)
        state = api.server(name)["state"]
    console.out.print(f"{name} ({state}): the exchange of {kind} {old_serial} is announced", soft_wrap=True)
    console.out.print(f"When it is in: ansible-playbook playbooks/discover.yml -e target={name}", soft_wrap=True)


@server.command()
@click.argument("name")
@click.option("--user", required=True, help="Who uses it.")
@click.option("--template", help="What runs there, if it is one of the templates.")
@click.option("--network", help="The tenant network that it is on, if the record manages it.")
@click.option("--address", help="Its address there.")
@click.option("--waive-quota", is_flag=True, help="Whatever the quota says (administrators).")
@console.json_option
def adopt(
    name: str,
    user: str,
    template: str | None,
    network: str | None,
    address: str | None,
    waive_quota: bool,
    as_json: bool,
) -> None:
    """Make a server that is in use somebody's allocation. Nothing is done to it.

    It was imported and inspected without being offered: ansible-playbook playbooks/discover.yml -e enrol=false

    \b
    Example:
      palebluedot server adopt gpu-003 --user ada
    """
    with client.service() as api:
        found = api.adopt_server(
            name, user, template=template, network=network, address=address, waive_quota=waive_quota
        )
    if as_json:
        console.print_json(found)
        return
    console.out.print(f"{name} is {user}'s: {found['id']}, {found['gpu_count']} GPUs", soft_wrap=True)


@server.command()
@click.argument("name")
@click.argument("to", type=click.Choice(["maintenance", "quarantined", "retired", "inspecting"]))
@click.option("--reason", required=True, help="Why; it stands in the audit.")
def state(name: str, to: str, reason: str) -> None:
    """Take a server out of the pool, or end its maintenance (inspecting: the next inspection offers it again).

    \b
    Example:
      palebluedot server state gpu-003 maintenance --reason "new fan"
    """
    with client.service() as api:
        found = api.set_server_state(name, to, reason)
    console.out.print(f"{name} is {found['state']}", soft_wrap=True)
