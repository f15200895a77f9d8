"""``python -m lab run``: a simulated data centre in the foreground."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
from pathlib import Path

from lab.config import DELAYS, MAX_SERVERS, PORT_NAMES, VENDORS, make_config
from lab.datacentre import Datacentre, claim_block

PARENT_CHECK_S = 1.0


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m lab", description="A simulated data centre of GPU servers")
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="run in the foreground until SIGTERM or SIGINT")
    run.add_argument("--dir", type=Path, required=True, help="where lab.json, fleet.yml, kubeconfig.yml, ca.pem go")
    run.add_argument("--servers", type=int, default=8, help=f"how many (1 to {MAX_SERVERS})")
    run.add_argument("--speed", type=float, default=1.0, help="how much faster than real time")
    run.add_argument("--delays", choices=sorted(DELAYS), default="demo", help="how long things take")
    run.add_argument("--ipmi", action="store_true", help="an IPMI BMC beside each Redfish one")
    run.add_argument("--vendor", default="ami", help=f"of {', '.join(VENDORS)}; several with commas: a mixed fleet")
    run.add_argument(
        "--switches", default="", metavar="DIALECT,…", help=f"what each switch runs: {', '.join(PORT_NAMES)}"
    )
    run.add_argument("--parent", type=int, metavar="PID", help="end when that process is gone")
    return parser.parse_args(argv)


async def _run(arguments: argparse.Namespace) -> int:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    block, lock = claim_block()
    with lock:
        try:
            config = make_config(
                arguments.dir,
                arguments.servers,
                arguments.speed,
                arguments.delays,
                arguments.ipmi,
                block,
                arguments.vendor,
                dialects=[word.strip() for word in arguments.switches.split(",") if word.strip()],
            )
        except ValueError as error:
            print(f"lab: {error}", file=sys.stderr)
            return 2
        datacentre = Datacentre(config)
        watching = loop.create_task(_outlive_nobody(arguments.parent, ended)) if arguments.parent else None
        try:
            await datacentre.start()
            await ended.wait()
        finally:
            if watching is not None:
                watching.cancel()
            await datacentre.close()
    return 0


async def _outlive_nobody(parent: int, ended: asyncio.Event) -> None:
    """End the lab when a process is gone. (The kernel's own signal for that follows the thread that started us, not
    the process.)"""
    while True:
        try:
            os.kill(parent, 0)
        except ProcessLookupError:
            ended.set()
            return
        except PermissionError:
            pass  # it is there and somebody else's
        await asyncio.sleep(PARENT_CHECK_S)


def main(argv: list[str] | None = None) -> int:
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    return asyncio.run(_run(_arguments(argv)))


if __name__ == "__main__":
    sys.exit(main())
