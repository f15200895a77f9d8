# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""Asks many addresses at once who is there, without a credential.

One process and one event loop. An address costs a TCP connection attempt; only where that is accepted follow a TLS
handshake, which is what costs CPU, and one GET of the Redfish service root, which every service shows to everybody
(DSP0266, 9.5.1). IPMI is one UDP packet: the RMCP presence ping (ASF 2.0, 3.2.4.2), which needs no session and counts
as no login anywhere.

Certificates are not checked: nothing secret is sent, and the fingerprint that is returned is there to be pinned.
"""

from __future__ import annotations

import asyncio
import errno
import functools
import hashlib
import resource
import ssl
import struct
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from json import loads
from pathlib import Path
from typing import Any

from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.discovery.targets import Address, Target
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.values import dig, table, text
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.vendors import profile_for, vendor_of
from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import PaleBlueDotError
from ansible_collections.palebluedot.gpu.plugins.module_utils.text import printable

IPMI_PORT = 623
ROOT = "/redfish/v1/"
# A service root has 2 to 4 KiB; whoever sends more is no BMC.
LARGEST_ANSWER_BYTES = 256 * 1024
# A SYN that got lost is sent again after 1 s (RFC 6298), and a BMC behind a slow switch answers that one.
CONNECT_TIMEOUT_S = 2.0
# Handshakes at a time: more of them only wait for each other's CPU, and each keeps its deadline meanwhile.
HANDSHAKES = 64
# RMCP header (version 6, no acknowledge wanted, class ASF), IANA number of ASF, presence ping (80h), tag, no data
_PING = struct.pack(">BBBBIBBBB", 6, 0, 0xFF, 6, 4542, 0x80, 0, 0, 0)
_PONG = 0x40
_SENDS = 3
_ARP = Path("/proc/net/arp")


@dataclass(frozen=True)
class Found:
    """A BMC that answered; None is what it did not say.

    ``ipmi`` is whether it answered the presence ping too. ``profile`` is the vendor profile as far as the root tells.
    """

    address: str
    port: int
    protocol: str
    name: str | None = None
    vendor: str | None = None
    product: str | None = None
    profile: str | None = None
    redfish_version: str | None = None
    uuid: str | None = None
    serial_number: str | None = None
    fingerprint: str | None = None
    tls: str | None = None
    mac: str | None = None
    ipmi: bool = False

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Other:
    """An address that accepts connections and is no Redfish service, or a BMC that hangs; ``answer`` says which."""

    address: str
    port: int
    answer: str


@dataclass
class Scan:
    """What a scan found, and what became of every address: the `OUTCOMES` in ``counts`` add up to its addresses."""

    found: list[Found]
    others: list[Other]
    counts: dict[str, int]


# From the best to the worst: what an address with several ports counts as.
OUTCOMES = ("redfish", "ipmi", "other", "refused", "silent", "unreachable")


class _NotRedfish(Exception):
    """Something answered, and it is no Redfish service; the argument says what it was."""


def scan(targets: Sequence[Target], *, concurrency: int, timeout: float, ipmi_port: int | None = IPMI_PORT) -> Scan:
    """Ask every target.

    :param concurrency: how many addresses are asked at a time.
    :param timeout: seconds that one port of an address may take in all, waiting for its handshake's turn apart.
    :param ipmi_port: where to send the presence ping; None: send none.
    """
    return asyncio.run(_Scanner(concurrency, timeout, ipmi_port).run(targets))


class _Scanner:
    def __init__(self, concurrency: int, timeout: float, ipmi_port: int | None) -> None:
        # each address in work holds one socket; what else this process has open needs some too
        soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        self._concurrency = max(1, min(concurrency, soft - 128 if soft != resource.RLIM_INFINITY else concurrency))
        self._timeout = timeout
        self._ipmi_port = ipmi_port
        self._tls = _context()
        self._others: list[Other] = []

    async def run(self, targets: Sequence[Target]) -> Scan:
        self._handshakes = asyncio.Semaphore(HANDSHAKES)
        pings = asyncio.create_task(self._ping_all([target.address for target in targets]))
        todo = iter(targets)
        answered: dict[Address, list[Found]] = {}
        outcomes: dict[Address, str] = {}

        async def work() -> None:
            for target in todo:
                found, outcome = await self._ask(target)
                outcomes[target.address] = outcome
                answered[target.address] = found

        await asyncio.gather(*(work() for _worker in range(min(self._concurrency, len(targets)))))
        ponged = await pings
        macs = _neighbours()
        everything: list[Found] = []
        counts: Counter[str] = Counter()
        for target in targets:
            found = answered[target.address]
            extra = {"name": target.name, "mac": macs.get(str(target.address)), "ipmi": target.address in ponged}
            if not found and target.address in ponged:
                found = [Found(str(target.address), self._ipmi_port or IPMI_PORT, "ipmi")]
                outcomes[target.address] = "ipmi"
            everything += [_with(each, extra) for each in found]
            counts[outcomes[target.address]] += 1
        return Scan(everything, self._others, {"addresses": len(targets), **{name: counts[name] for name in OUTCOMES}})

    # -- Redfish --------------------------------------------------------------------------------------------------

    async def _ask(self, target: Target) -> tuple[list[Found], str]:
        """The Redfish services of one address, and the outcome: the best of its ports'."""
        found: list[Found] = []
        outcomes: list[str] = []
        for port in target.ports:
            try:
                connection = await self._connect(target.address, port)
            except TimeoutError:
                outcomes.append("silent")
                break  # nobody is there, and the other ports would only take their timeout too
            except ConnectionRefusedError:
                outcomes.append("refused")
                continue
            except OSError as problem:
                if problem.errno in (errno.EMFILE, errno.ENFILE):
                    raise PaleBlueDotError(
                        "this machine has no sockets left",
                        code="too_many_sockets",
                        tried=f"asking {self._concurrency} addresses at a time",
                        answer=str(problem),
                        next="Lower concurrency, or raise the limit of open files (ulimit -n).",
                    ) from problem
                outcomes.append("unreachable")
                continue
            try:
                found.append(await self._talk(target.address, port, *connection))
                outcomes.append("redfish")
            except TimeoutError:
                self._other(target.address, port, f"silence for {self._timeout:g} s after it took the connection")
                outcomes.append("other")
            except (_NotRedfish, OSError) as problem:
                self._other(target.address, port, str(problem))
                outcomes.append("other")
        return found, min(outcomes, key=OUTCOMES.index)

    def _other(self, address: Address, port: int, answer: str) -> None:
        self._others.append(Other(str(address), port, printable(answer[:200])))

    async def _connect(self, address: Address, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """TCP alone: of a range most addresses end here, and no handshake's memory is made for them."""
        async with asyncio.timeout(min(CONNECT_TIMEOUT_S, self._timeout)):
            return await asyncio.open_connection(str(address), port)

    async def _talk(
        self, address: Address, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> Found:
        try:
            async with self._handshakes, asyncio.timeout(self._timeout):
                await writer.start_tls(self._tls, server_hostname="")
                secured: ssl.SSLObject = writer.get_extra_info("ssl_object")
                certificate = secured.getpeercert(binary_form=True)
                tls = secured.version()
                writer.write(
                    f"GET {ROOT} HTTP/1.1\r\nHost: {_host(address, port)}\r\nAccept: application/json\r\n"
                    "OData-Version: 4.0\r\nUser-Agent: palebluedot\r\nConnection: close\r\n\r\n".encode()
                )
                status, headers, body = await _read_answer(reader)
        finally:
            writer.transport.abort()
        root = _root(status, headers, body)
        profile = profile_for(root, {})
        return Found(
            address=str(address),
            port=port,
            protocol="redfish",
            vendor=_clean(vendor_of(root)),
            product=_clean(root.get("Product")),
            profile=profile.name,
            redfish_version=_clean(root.get("RedfishVersion")),
            uuid=_clean(root.get("UUID")),
            serial_number=_clean(dig(root, *profile.serial_in_root)) if profile.serial_in_root else None,
            fingerprint=hashlib.sha256(certificate).hexdigest() if certificate else None,
            tls=tls,
        )

    # -- IPMI -----------------------------------------------------------------------------------------------------

    async def _ping_all(self, addresses: Sequence[Address]) -> set[Address]:
        """The addresses that answer the presence ping."""
        if self._ipmi_port is None or not addresses:
            return set()
        loop = asyncio.get_running_loop()
        ponged: set[Address] = set()
        for version, wildcard in ((4, "0.0.0.0"), (6, "::")):  # noqa: S104  a client's socket, bound for the answers
            mine = [address for address in addresses if address.version == version]
            if not mine:
                continue
            pongs = _Pongs({str(address): address for address in mine}, ponged, self._ipmi_port)
            transport, _protocol = await loop.create_datagram_endpoint(
                functools.partial(_itself, pongs), local_addr=(wildcard, 0)
            )
            try:
                # UDP has nobody who sends again, so we do, to those that have not answered
                for _round in range(_SENDS):
                    for number, address in enumerate(mine):
                        if address in ponged:
                            continue
                        transport.sendto(_PING, (str(address), self._ipmi_port))
                        if number % 64 == 63:
                            await asyncio.sleep(0.01)  # the sender's queue and a switch's ARP have their limits
                    await asyncio.sleep(min(CONNECT_TIMEOUT_S, self._timeout) / _SENDS)
            finally:
                transport.close()
        return ponged


class _Pongs(asyncio.DatagramProtocol):
    """Notes who answers; what is no pong, or comes from somebody who was not asked, is nothing."""

    def __init__(self, waiting: dict[str, Address], ponged: set[Address], port: int) -> None:
        self._waiting = waiting
        self._ponged = ponged
        self._port = port

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        address = self._waiting.get(str(addr[0]).split("%", maxsplit=1)[0])
        if address is None or addr[1] != self._port or not is_ipmi_pong(data):
            return
        self._ponged.add(address)

    def error_received(self, exc: Exception) -> None:
        """An ICMP "unreachable" of one address is that address' answer, and no end for the others."""


def _itself(pongs: _Pongs) -> _Pongs:
    return pongs


def is_ipmi_pong(data: bytes) -> bool:
    """Whether a datagram is a presence pong of a device that speaks IPMI (ASF 2.0, 3.2.4.3: entity bit 7)."""
    if len(data) < 22 or data[:1] != b"\x06" or data[3] & 0x1F != 6:
        return False
    return data[4:8] == _PING[4:8] and data[8] == _PONG and bool(data[20] & 0x80)


def _context() -> ssl.SSLContext:
    """One that shakes hands with whatever an old BMC has: nothing secret will pass through it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    return context


async def _read_answer(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], bytes]:
    """Status, headers (names in lower case) and body of one answer; :raises _NotRedfish: it is no HTTP."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        version, status, *_reason = head[0].split(" ")
        if not version.startswith("HTTP/1.") or not (status.isascii() and status.isdigit()):
            raise _NotRedfish("no HTTP")
        headers = {
            name.strip().lower(): value.strip() for name, _colon, value in (line.partition(":") for line in head[1:])
        }
        if headers.get("transfer-encoding", "").lower() == "chunked":
            body = await _chunks(reader)
        elif headers.get("content-length", "").isdigit():
            length = int(headers["content-length"])
            if length > LARGEST_ANSWER_BYTES:
                raise _NotRedfish("an answer of many bytes")
            body = await reader.readexactly(length)
        else:
            body = await _rest(reader)
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError) as problem:
        raise _NotRedfish(str(problem)) from problem
    return int(status), headers, body


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while size := int((await reader.readuntil(b"\r\n")).split(b";")[0].strip(), 16):
        if size < 0 or len(body) + size > LARGEST_ANSWER_BYTES:
            raise _NotRedfish("an answer of many bytes")
        body += await reader.readexactly(size)
        await reader.readexactly(2)
    return body


async def _rest(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while more := await reader.read(65536):
        body += more
        if len(body) > LARGEST_ANSWER_BYTES:
            raise _NotRedfish("an answer of many bytes")
    return body


def _root(status: int, headers: dict[str, str], body: bytes) -> dict[str, Any]:
    """The service root; {} of a service that shows it to nobody without a login (the specification forbids that)."""
    if status in (401, 403) and (
        "odata-version" in headers or "redfish" in headers.get("www-authenticate", "").lower()
    ):
        return {}
    try:
        root = table(loads(body))
    except (ValueError, RecursionError) as problem:
        raise _NotRedfish("no JSON") from problem
    if status != 200 or not (text(root.get("RedfishVersion")) or "ServiceRoot" in str(root.get("@odata.type"))):
        raise _NotRedfish("no service root")
    return root


def _clean(value: Any) -> str | None:
    """A short, printable string: whatever listens at an address may write anything into our results."""
    found = text(value)
    return printable(found[:200]) if found else None


def _host(address: Address, port: int) -> str:
    bare = f"[{address}]" if address.version == 6 else str(address)
    return bare if port == 443 else f"{bare}:{port}"


def _neighbours() -> dict[str, str]:
    """MAC addresses of the neighbours in one's own network segment, as the kernel learnt them by asking (IPv4)."""
    try:
        lines = _ARP.read_text().splitlines()[1:]
    except OSError:
        return {}
    rows = [line.split() for line in lines]
    return {row[0]: row[3] for row in rows if len(row) >= 6 and row[3] != "00:00:00:00:00:00"}


def _with(found: Found, extra: dict[str, Any]) -> Found:
    return Found(**{**asdict(found), **extra})
