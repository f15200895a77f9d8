"""``bmc_discover`` over a /22 with 100 live BMCs and 922 addresses that drop packets (target: 10 s).

An address that drops is a listening socket whose accept queue is full: the kernel throws the SYN away and answers
nothing, as a firewall or an unused address behind a router does, and the client's kernel sends it again (tcp(7),
listen(2)). It needs no root. That it drops is checked before anything is measured. For the presence ping each has a UDP
socket that nobody reads.

The live BMCs are one asyncio process with TLS. It runs on the same cores, so its share of the handshakes is in the wall
time; the CPU seconds are the client's alone: ``ansible-playbook`` with its worker. Prints one line of JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import ipaddress
import json
import os
import resource
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
HELPERS = ROOT / "tests" / "component" / "bmc"
RANGE = ipaddress.ip_network("127.77.0.0/22")
LIVE = 100
SERVICE_ROOT = {
    "@odata.id": "/redfish/v1",
    "@odata.type": "#ServiceRoot.v1_13_0.ServiceRoot",
    "Id": "RootService",
    "Name": "Root Service",
    "Vendor": "AMI",
    "Product": "AMI Redfish Server",
    "RedfishVersion": "1.11.0",
    **{name: {"@odata.id": f"/redfish/v1/{name}"} for name in ("Systems", "Chassis", "Managers", "AccountService")},
}


class Neighbourhood:
    """The addresses of a range: some with a BMC, the others dropping whatever they are sent."""

    def __init__(self, addresses: list[str], live: int, context: ssl.SSLContext) -> None:
        every = len(addresses) // live
        self.live = set(addresses[::every][:live])
        self.silent = [address for address in addresses if address not in self.live]
        self._context = context
        self._kept: list[socket.socket] = []
        # any free port of the first address; it is free on the others too, or this ends here
        with socket.create_server((addresses[0], 0)) as probe:
            self.port: int = probe.getsockname()[1]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            udp.bind((addresses[0], 0))
            self.ipmi_port: int = udp.getsockname()[1]

    async def open(self) -> None:
        for address in self.silent:
            self._drop(address)
        for address in self.live:
            await asyncio.start_server(self._answer, address, self.port, ssl=self._context, backlog=64)

    def _drop(self, address: str) -> None:
        listener = socket.socket()
        listener.bind((address, self.port))
        listener.listen(0)  # room for one connection that nobody accepts
        filler = socket.create_connection((address, self.port), 5)
        unread = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        unread.bind((address, self.ipmi_port))
        self._kept += [listener, filler, unread]

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            own = ipaddress.ip_address(writer.get_extra_info("sockname")[0])
            body = json.dumps({**SERVICE_ROOT, "UUID": f"00000000-0000-4000-8000-{int(own):012x}"}).encode()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body))
            writer.write(body)
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


def drops(address: str, port: int) -> bool:
    """Whether a connection attempt is answered by nothing at all."""
    try:
        socket.create_connection((address, port), 1.2).close()  # longer than the first repetition of a SYN
    except TimeoutError:
        return True
    except OSError:
        return False
    return False


def serve(live: int) -> None:
    """The server process: says where, then lives until its standard input ends."""
    sys.path.insert(0, str(HELPERS))
    import certificates

    async def run() -> None:
        with tempfile.TemporaryDirectory() as folder:
            made = certificates.make(Path(folder))
            neighbourhood = Neighbourhood([str(address) for address in RANGE.hosts()], live, made.server_context())
        await neighbourhood.open()
        facts = {"port": neighbourhood.port, "ipmi_port": neighbourhood.ipmi_port, "silent": neighbourhood.silent[:3]}
        print(json.dumps(facts), flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)

    asyncio.run(run())


def playbook(folder: Path, facts: dict[str, Any]) -> Path:
    task = {
        "ranges": [str(RANGE)],
        "ports": [facts["port"]],
        "ipmi_port": facts["ipmi_port"],
    }
    counted = {"content": "{{ scan.counts | to_json }}", "dest": str(folder / "counts.json"), "mode": "0600"}
    play = {
        "hosts": "localhost",
        "vars": {"ansible_python_interpreter": sys.executable},
        "gather_facts": False,
        "tasks": [
            {"name": "scan", "palebluedot.gpu.bmc_discover": task, "register": "scan"},
            {"name": "keep", "ansible.builtin.copy": counted},
        ],
    }
    path = folder / "discover.yml"
    path.write_text(json.dumps([play]))
    return path


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--serve", type=int, metavar="LIVE", help="be the server process")
    options = parser.parse_args()
    if options.serve:
        serve(options.serve)
        return
    server = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.bmc_discover", "--serve", str(LIVE)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        with tempfile.TemporaryDirectory() as name:
            print(json.dumps(measure(server, Path(name))))
    finally:
        server.communicate("")


def measure(server: subprocess.Popen[str], folder: Path) -> dict[str, Any]:
    assert server.stdout is not None
    line = server.stdout.readline()
    if not line:
        sys.exit("the addresses could not be opened")
    facts = json.loads(line)
    for address in facts["silent"]:
        if not drops(address, facts["port"]):
            sys.exit(f"{address}:{facts['port']} answers: nothing would be measured")
    book = playbook(folder, facts)
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run(
        [Path(sys.executable).with_name("ansible-playbook"), "-i", "localhost,", "-c", "local", book],
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "PALEBLUEDOT_INPROC": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    wall_s, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        sys.exit(f"the scan failed:\n{done.stdout[-3000:]}\n{done.stderr[-1000:]}")
    counts = json.loads((folder / "counts.json").read_text())
    if counts["redfish"] != LIVE or counts["silent"] != counts["addresses"] - LIVE:
        sys.exit(f"the scan did not find what is there: {counts}")
    return {
        "benchmark": "bmc_discover",
        "addresses": counts["addresses"],
        "live": counts["redfish"],
        "silent": counts["silent"],
        "wall_s": round(wall_s, 2),
        "cpu_s": round(after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime, 2),
        "target_wall_s": 10,
    }


if __name__ == "__main__":
    main()
