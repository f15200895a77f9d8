"""``palebluedot key``: the SSH keys that are put on the servers one is given."""

from __future__ import annotations

from pathlib import Path

import click

from cli import client, console


@click.group()
def key() -> None:
    """Your SSH keys: they are let in on every server that you are given from then on."""


@key.command("add")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--name", help="What to call it; the file's name if not given.")
def add(file: Path, name: str | None) -> None:
    """Add the public key in FILE.

    \b
    Example:
      palebluedot key add ~/.ssh/id_ed25519.pub
    """
    with client.service() as api:
        added = api.add_ssh_key(name or file.stem, file.read_text().strip())
    console.out.print(f"{added['id']}: {added['name']}", soft_wrap=True)


@key.command("list")
@console.json_option
def list_keys(as_json: bool) -> None:
    """What keys you have."""
    with client.service() as api:
        keys = api.ssh_keys()
    if as_json:
        console.print_json(keys)
    else:
        console.out.print(console.table(keys, ["id", "name", "fingerprint"]))


@key.command("remove")
@click.argument("key_id")
def remove(key_id: str) -> None:
    """Remove a key. Servers that you have already keep it."""
    with client.service() as api:
        api.delete_ssh_key(key_id)
    console.out.print(f"{key_id} is removed")
