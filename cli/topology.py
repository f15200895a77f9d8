"""``palebluedot topology``: where things stand, how they are cabled, and what contradicts itself."""

from __future__ import annotations

import click

from cli import client, console


@click.command()
@console.json_option
@click.pass_context
def topology(context: click.Context, as_json: bool) -> None:
    """Racks, NVLink domains, switch ports by the record and by LLDP.

    Exit status 1 when something contradicts itself.
    """
    with client.service() as api:
        found = api.topology()
    if as_json:
        console.print_json(found)
    else:
        for rack, members in found["racks"].items():
            names = ", ".join(
                f"{member['name']} (U{member['rack_unit']})" if member["rack_unit"] else member["name"]
                for member in members
            )
            console.out.print(f"rack {rack}: {names}", markup=False, soft_wrap=True)
        for domain, names in found["nvlink_domains"].items():
            console.out.print(f"NVLink domain {domain}: {', '.join(names)}", markup=False, soft_wrap=True)
        if found["ports"]:
            console.out.print(console.table(found["ports"], ["switch", "port", "server", "mac", "source"]))
        for conflict in found["conflicts"]:
            console.err.print(f"conflict: {conflict}", markup=False, soft_wrap=True)
    if found["conflicts"]:
        context.exit(1)
