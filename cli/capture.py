"""``palebluedot lab capture``: a real BMC, walked into a directory that can be replayed."""

from __future__ import annotations

import os
import re
import shutil
import warnings
from pathlib import Path

import click
from urllib3.exceptions import InsecureRequestWarning

from cli import console
from cli.paths import data_dir
from cli.problems import EXIT_UNREACHABLE, Problem
from lab.capture import Limits, Pseudonyms, StillThere, Walk, WalkError, write
from lab.capture.ipmi import IpmiError, summary


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--address", required=True, help="The BMC: a name or an address.")
@click.option("--port", type=click.IntRange(1, 65535), default=443, show_default=True, help="Its HTTPS port.")
@click.option("--username", required=True, envvar="PALEBLUEDOT_BMC_USERNAME", help="An account that may read all.")
@click.option("--ca-path", type=click.Path(exists=True, dir_okay=False), help="Who signed the BMC's certificate.")
@click.option("--insecure", is_flag=True, help="Do not check the certificate.")
@click.option("--ipmi/--no-ipmi", default=True, show_default=True, help="Ask for device id, FRU and sensors by IPMI.")
@click.option("--ipmi-port", type=click.IntRange(1, 65535), default=623, show_default=True, help="Its IPMI port.")
@click.option("--hide", multiple=True, help="Something more to be replaced everywhere; may be repeated.")
@click.option("--as-is", is_flag=True, help="Write everything as it comes: nothing is replaced.")
@click.option("--depth", type=click.IntRange(1), default=20, show_default=True, help="Path segments below the root.")
@click.option("--resources", type=click.IntRange(1), default=20_000, show_default=True, help="At most so many.")
@click.option("--seconds", type=click.FloatRange(1), default=7_200.0, show_default=True, help="Then it pauses.")
def capture(
    folder: Path,
    address: str,
    port: int,
    username: str,
    ca_path: str | None,
    insecure: bool,
    ipmi: bool,
    ipmi_port: int,
    hide: tuple[str, ...],
    as_is: bool,
    depth: int,
    resources: int,
    seconds: float,
) -> None:
    """Read a BMC's whole Redfish tree and write it to DIR, with other serial numbers, MACs, names and secrets.

    It only reads, one request at a time. Interrupted, or out of time, it goes on where it ended when it is started
    again; until then, what came from the BMC is kept as it came in the data directory, readable by its owner only. The
    password is that of PALEBLUEDOT_BMC_PASSWORD, or asked for.

    \b
    Examples:
      palebluedot lab capture --address bmc-r3-u14.example.net --username root --ca-path site-ca.pem captures/r3-u14
      palebluedot lab capture --address 192.0.2.10 --username admin --insecure --hide "Rack 3" captures/dgx
    """
    if any(len(value.strip()) < 2 for value in hide):
        raise click.BadParameter("it takes two characters or more", param_hint="--hide")
    # an option would show it to every user of the machine
    password = os.environ.get("PALEBLUEDOT_BMC_PASSWORD") or click.prompt("Password", hide_input=True)
    kept = data_dir() / "captures" / re.sub(r"[^A-Za-z0-9.-]", "_", f"{address}-{port}")
    host = f"[{address}]" if ":" in address else address
    with console.out.status("") as status, warnings.catch_warnings():
        if insecure:  # the user asked for it; every request would say so again
            warnings.simplefilter("ignore", InsecureRequestWarning)
        walk = Walk(
            f"https://{host}:{port}",
            username,
            password,
            kept / "answers",
            verify=False if insecure else ca_path or True,
            limits=Limits(depth, resources, seconds),
            say=lambda number, path: status.update(f"{number} {path}"),
        )
        try:
            walk.run()
        except WalkError as error:
            raise Problem(
                "The BMC could not be walked",
                answer=str(error),
                next="Check address, login and certificate (--ca-path, --insecure).",
                exit_code=EXIT_UNREACHABLE,
            ) from error
        found = list(walk.answers())
        if not walk.complete and len(found) < resources:
            console.out.print(f"{len(found)} resources are read and kept in {kept}", soft_wrap=True)
            console.out.print("It is not all: run the same command again, and it goes on from here.")
            return
        facts = None
        if ipmi:
            status.update("IPMI")
            try:
                facts = summary(address, ipmi_port, username, password)
            except IpmiError as error:
                facts = None
                console.out.print(f"IPMI gave nothing: {error}", soft_wrap=True)
    pseudonyms = None if as_is else Pseudonyms()
    if pseudonyms is not None:
        pseudonyms.login(address, username, password)
        pseudonyms.hide(*hide)
    try:
        number = write(folder, found, pseudonyms, walk.sessions, facts)
    except StillThere as error:
        raise Problem(
            "The capture is not fit to be passed on",
            tried=str(folder),
            answer=str(error),
            next="Look at that file. Started again into another folder, the command takes other pseudonyms.",
        ) from error
    shutil.rmtree(kept)
    console.out.print(f"{number} resources are in {folder}", soft_wrap=True)
    console.out.print(
        f"Look through it before you pass it on. Serve it: palebluedot lab replay {folder}", soft_wrap=True
    )
