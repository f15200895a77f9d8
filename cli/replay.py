"""``palebluedot lab replay``: a capture of a real BMC, served until Ctrl-C."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import signal
import tempfile
from pathlib import Path

import click

from cli import console
from cli.problems import Problem
from lab.pki import CertificateAuthority
from lab.replay import NotACapture, ReplayBmc, Tree


@click.command()
@click.argument("source", metavar="DIR", type=click.Path(exists=True, path_type=Path))
@click.option("--address", default="127.0.0.1", show_default=True, help="Where it listens.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="0 or left out: a free one.")
@click.option("--username", help="Who may log in; without it the capture's first administrator.")
@click.option("--timings", is_flag=True, help="Answer as slowly as the real BMC did, where the capture says.")
@console.json_option
def replay(source: Path, address: str, port: int, username: str | None, timings: bool, as_json: bool) -> None:
    """Serve the capture in DIR (or a .tar.xz of one) as a BMC that can be written to, until Ctrl-C.

    What is written is kept in memory: the capture stays as it is. What the capture lacks is 404. The password is that
    of PALEBLUEDOT_REPLAY_PASSWORD; without it one is made up and printed.

    \b
    Examples:
      palebluedot lab replay captures/rack-3-u14
      palebluedot lab replay captures/r750.tar.xz --port 8443 --username root --timings
    """
    try:
        tree = Tree.read(source)
    except (NotACapture, OSError) as error:
        raise Problem(
            "That is no capture",
            tried=str(source),
            answer=str(error),
            next="Name a folder with redfish/v1 in it, or make one: palebluedot lab capture --help",
        ) from error
    # an option would show it to every user of the machine
    password = os.environ.get("PALEBLUEDOT_REPLAY_PASSWORD") or secrets.token_urlsafe(12)
    with tempfile.TemporaryDirectory(prefix="palebluedot-replay-") as folder:
        authority = CertificateAuthority()
        ca_path = Path(folder) / "ca.pem"
        ca_path.write_bytes(authority.pem)
        context = authority.server_context(Path(folder), "bmc")
        bmc = ReplayBmc(tree, context, password=password, username=username, timings=timings)
        asyncio.run(_serve(bmc, address, port, ca_path, password, as_json))


async def _serve(bmc: ReplayBmc, address: str, port: int, ca_path: Path, password: str, as_json: bool) -> None:
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    try:
        await bmc.start(address, port)
    except OSError as error:
        raise Problem(
            f"Nothing can listen on {address} port {port}", answer=os.strerror(error.errno or 0), next="Use another one"
        ) from error
    facts = {
        "bmc_address": address,
        "bmc_port": bmc.port,
        "bmc_username": bmc.username,
        "bmc_password": password,
        "bmc_ca_path": str(ca_path),
    }
    if as_json:
        click.echo(json.dumps(facts))
    else:
        console.out.print(f"{len(list(bmc.tree))} resources are served until Ctrl-C")
        for name, value in facts.items():
            console.out.print(f"  {name}: {value}", soft_wrap=True)
    try:
        await ended.wait()
    finally:
        await bmc.close()
