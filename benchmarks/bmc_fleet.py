"""A fleet of BMCs for the benchmarks: one process, an address of 127.78.0.0/16 and a certificate for each.

Every BMC answers from the same Redfish tree: the capture of a DGX H100 where the folder with captures is beside the
checkout (PALEBLUEDOT_SHARED names it), else a few resources of the same shape. It is as cheap as a TLS server in Python
can be, because it shares the machine with what is measured. Some addresses can be dead: they take the connection and
never say a word, which is the dearest way of being dead.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import datetime
import ipaddress
import json
import os
import ssl
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

ROOT = Path(__file__).resolve().parent.parent
RANGE = ipaddress.ip_network("127.78.0.0/16")
SYSTEM = "/redfish/v1/Systems/DGX"
FEW: dict[str, Any] = {
    "/redfish/v1": {"@odata.id": "/redfish/v1", "Vendor": "AMI", "Systems": {"@odata.id": "/redfish/v1/Systems"}},
    "/redfish/v1/Systems": {
        "Members": [{"@odata.id": SYSTEM}, {"@odata.id": "/redfish/v1/Systems/HGX_Baseboard_0"}],
        "Members@odata.count": 2,
    },
    SYSTEM: {"@odata.id": SYSTEM, "Id": "DGX", "Model": "DGXH100", "PowerState": "On", "Status": {"Health": "OK"}},
    "/redfish/v1/Systems/HGX_Baseboard_0": {"@odata.id": "/redfish/v1/Systems/HGX_Baseboard_0", "PowerState": "On"},
}
SESSIONS = "/redfish/v1/SessionService/Sessions"


@dataclass(frozen=True)
class Fleet:
    """Where the BMCs are, and how to speak to them."""

    addresses: list[str]
    dead: list[str]
    port: int
    ca_path: str
    source: str


@contextlib.contextmanager
def fleet(count: int, dead: int = 0) -> Iterator[Fleet]:
    """The process, until the block is left."""
    with tempfile.TemporaryDirectory(prefix="palebluedot-bench-fleet-") as folder:
        command = [sys.executable, "-m", "benchmarks.bmc_fleet", str(count), "--dead", str(dead), "--folder", folder]
        server = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            assert server.stdout is not None
            line = server.stdout.readline()
            if not line:
                sys.exit("the fleet of BMCs could not be started")
            yield Fleet(**json.loads(line))
        finally:
            server.communicate("")


def resources() -> tuple[dict[str, bytes], str]:
    """Path → body of what every BMC shows, and where it comes from."""
    shared = Path(os.environ.get("PALEBLUEDOT_SHARED") or ROOT.parent / "shared")
    archive = shared / "data" / "redfish" / "nvidia_viking.tar.xz"
    if not archive.is_file():
        return {path: json.dumps(body).encode() for path, body in FEW.items()}, "a few resources"
    found: dict[str, bytes] = {}
    with tarfile.open(archive) as tar:
        for member in tar:
            _before, inside, path = member.name.partition("redfish/v1")
            if member.isfile() and inside and path.endswith("/index.json"):
                file = tar.extractfile(member)
                assert file is not None
                found["/redfish/v1" + path.removesuffix("/index.json")] = file.read()
    return found, archive.name


class Bmcs:
    """The server side."""

    def __init__(self, tree: dict[str, bytes]) -> None:
        self._tree = tree
        self._open: set[asyncio.StreamWriter] = set()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, kept until the client closes it."""
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, ssl.SSLError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                method, path = head.split(" ", 2)[:2]
                for line in head.split("\r\n"):
                    if line.lower().startswith("content-length:"):
                        await reader.readexactly(int(line.split(":")[1]))
                writer.write(self._reply(method, path.split("?")[0].rstrip("/")))
                await writer.drain()
        writer.close()

    def _reply(self, method: str, path: str) -> bytes:
        extra = b""
        if method == "POST" and path == SESSIONS:
            status, body = b"201 Created", b'{"@odata.id": "/redfish/v1/SessionService/Sessions/1"}'
            extra = b"X-Auth-Token: token\r\nLocation: /redfish/v1/SessionService/Sessions/1\r\n"
        elif method == "DELETE":
            status, body = b"204 No Content", b""
        else:
            found = self._tree.get(path)
            status, body = (b"200 OK", found) if found is not None else (b"404 Not Found", b'{"error": {}}')
        return b"HTTP/1.1 %s\r\nContent-Type: application/json\r\n%sContent-Length: %d\r\n\r\n%s" % (
            status,
            extra,
            len(body),
            body,
        )

    async def silence(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A BMC whose web server hangs: connected, and not a word."""
        self._open.add(writer)
        with contextlib.suppress(OSError):
            while await reader.read(4096):
                pass
        writer.close()


class Authority:
    """Signs a certificate for each address; they share one key, which costs time to make and says nothing here."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._now = datetime.datetime.now(datetime.UTC)
        self._ca_key = ec.generate_private_key(ec.SECP256R1())
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "benchmark CA")])
        ca = (
            self._builder(self._name, self._ca_key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(self._ca_key, hashes.SHA256())
        )
        self.ca_path = folder / "ca.pem"
        self.ca_path.write_bytes(ca.public_bytes(serialization.Encoding.PEM))
        self._key_pem = self._key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(self._now - datetime.timedelta(hours=1))
            .not_valid_after(self._now + datetime.timedelta(days=1))
        )

    def context(self, address: str) -> ssl.SSLContext:
        """The server's side of TLS for one address."""
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, address)])
        names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))])
        leaf = self._builder(subject, self._key.public_key()).add_extension(names, critical=False)
        file = self._folder / "leaf.pem"
        signed = leaf.sign(self._ca_key, hashes.SHA256())
        file.write_bytes(signed.public_bytes(serialization.Encoding.PEM) + self._key_pem)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return context


async def serve(count: int, dead: int, folder: Path) -> None:
    """Listen, say where in one line of JSON, and go on until standard input ends."""
    tree, source = resources()
    authority = Authority(folder)
    bmcs = Bmcs(tree)
    addresses = [str(RANGE[number]) for number in range(1, count + dead + 1)]
    # the dead lie among the living, where a fleet has them
    every = (count + dead) // dead if dead else 0
    silent = addresses[:: max(every, 1)][:dead] if dead else []
    living = [address for address in addresses if address not in set(silent)]
    first = await asyncio.start_server(bmcs.answer, living[0], 0, ssl=authority.context(living[0]), backlog=128)
    port = first.sockets[0].getsockname()[1]
    for address in living[1:]:
        await asyncio.start_server(bmcs.answer, address, port, ssl=authority.context(address), backlog=128)
    for address in silent:
        await asyncio.start_server(bmcs.silence, address, port, backlog=128)
    facts = {
        "addresses": living,
        "dead": silent,
        "port": port,
        "ca_path": str(authority.ca_path),
        "source": source,
    }
    print(json.dumps(facts), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


def main() -> None:
    """Be the process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", type=int)
    parser.add_argument("--dead", type=int, default=0)
    parser.add_argument("--folder", type=Path, required=True)
    options = parser.parse_args()
    asyncio.run(serve(options.count, options.dead, options.folder))


if __name__ == "__main__":
    main()
