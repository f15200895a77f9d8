"""``palebluedot expected``: the delivery list, and what was found of it."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import click
import yaml

from cli import client, console
from cli.problems import Problem

COLUMNS = (
    "serial_number", "name", "bmc_address", "rack", "rack_unit", "pool", "nvlink_domain", "model_class", "tags",
)  # fmt: skip


def read_list(path: Path) -> list[dict[str, Any]]:
    """The machines of a CSV file (columns as `COLUMNS`, tags separated by ``;``) or of a YAML list."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise Problem(f"{path} cannot be read", answer=str(error), next="Give a CSV or YAML file in UTF-8") from error
    if path.suffix.lower() == ".csv":
        return _read_csv(text, path)
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise Problem(f"{path} is no YAML", answer=str(error)) from error
    machines = document.get("machines") if isinstance(document, dict) else document
    if not isinstance(machines, list) or not all(isinstance(machine, dict) for machine in machines):
        raise Problem(f"{path} is no list of machines", next=f"Each is a mapping with {', '.join(COLUMNS)}")
    return machines


def _read_csv(text: str, path: Path) -> list[dict[str, Any]]:
    rows = csv.DictReader(text.splitlines())
    header = [name.strip() for name in rows.fieldnames or []]
    if unknown := [name for name in header if name not in COLUMNS]:
        raise Problem(
            f"{path} has columns that mean nothing here: {', '.join(unknown)}", next=f"Known: {', '.join(COLUMNS)}"
        )
    if "serial_number" not in header:
        raise Problem(f"{path} lacks the column serial_number", next=f"Known: {', '.join(COLUMNS)}")
    machines = []
    for number, row in enumerate(rows, start=2):
        if None in row or None in row.values():
            raise Problem(f"{path}, line {number}: as many cells as columns are expected ({len(header)})")
        cells: dict[str, Any] = {name.strip(): value.strip() for name, value in row.items() if value.strip()}
        if "rack_unit" in cells:
            if not cells["rack_unit"].isdigit():
                raise Problem(f"{path}, line {number}: rack_unit is {cells['rack_unit']!r}, not a number")
            cells["rack_unit"] = int(cells["rack_unit"])
        if "tags" in cells:
            cells["tags"] = [tag.strip() for tag in cells["tags"].split(";") if tag.strip()]
        if cells:
            machines.append(cells)
    return machines


@click.group()
def expected() -> None:
    """Machines that were ordered: import, list, reconcile."""


@expected.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--replace", is_flag=True, help="Machines that FILE does not name are expected no longer.")
@console.json_option
def import_(file: Path, replace: bool, as_json: bool) -> None:
    """Say which machines are expected, from a CSV or YAML FILE. Importing again updates.

    Columns: serial_number, and optionally name, bmc_address, rack, rack_unit, pool, nvlink_domain, model_class, tags
    (separated by ;).

    \b
    Example:
      palebluedot expected import delivery.csv
    """
    machines = read_list(file)
    with client.service() as api:
        answer = api.import_expected(machines, replace=replace)
    if as_json:
        console.print_json(answer)
        return
    console.out.print(f"{len(machines)} machines are expected; look: palebluedot expected reconcile", soft_wrap=True)


@expected.command("list")
@click.option("--rack", help="Only this rack.")
@console.json_option
def list_(rack: str | None, as_json: bool) -> None:
    """The expected machines."""
    with client.service() as api:
        rows = list(api.expected_machines(rack=rack))
    if as_json:
        console.print_json(rows)
        return
    console.out.print(
        console.table(rows, ["serial_number", "name", "rack", "rack_unit", "pool", "nvlink_domain", "model_class"])
    )


@expected.command()
@click.option(
    "--status",
    type=click.Choice(["present", "differs", "missing", "wrong_serial", "unexpected"]),
    help="Only lines of this status.",
)
@console.json_option
@click.pass_context
def reconcile(context: click.Context, status: str | None, as_json: bool) -> None:
    """What was found of the list: missing, unexpected, another serial number in the place, another place.

    Exit status 1 when anything is not as the list has it.
    """
    with client.service() as api:
        found = api.reconciliation(status)
    if as_json:
        console.print_json(found)
    else:
        rows = [line for line in found["items"] if status or line["status"] != "present"]
        if rows:
            console.out.print(console.table(rows, ["status", "serial_number", "text"]))
        counts = ", ".join(f"{number} {name.replace('_', ' ')}" for name, number in sorted(found["counts"].items()))
        console.out.print(counts or "Nothing is expected: palebluedot expected import FILE")
    if set(found["counts"]) - {"present"}:
        context.exit(1)
