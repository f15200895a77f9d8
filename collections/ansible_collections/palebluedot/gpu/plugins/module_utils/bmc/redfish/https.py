# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""One kept HTTPS connection to a BMC: verified, bounded in time and size as a whole, and cheap.

The DMTF library sends through a ``requests`` session. This is what it asks of one, and no more, because that one

* bounds each read instead of the whole answer: a BMC that sends one byte every few seconds holds a worker for ever;
* takes CA bundles, proxies and ``~/.netrc`` from the environment, over what it was told;
* follows a redirect to another host with the session's token;
* costs a freshly forked Ansible worker as much CPU as the TLS handshake and the requests together (7 of 14 ms).
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import hmac
import re
import select
import socket
import ssl
import time
import zlib
from collections.abc import Iterable
from email.message import Message
from functools import lru_cache
from http.client import HTTPException, HTTPResponse, HTTPSConnection
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.deadline import Deadline
from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import InvalidInput

CONNECT_TIMEOUT_S = 10.0
# The largest things that a BMC sends, a BIOS attribute registry or an event log, have a few MiB.
LARGEST_ANSWER_BYTES = 32 * 1024 * 1024
_REDIRECTS = (301, 302, 303, 307, 308)
# A write goes over a connection that was used within this time, or over a new one.
_WRITE_IDLE_S = 0.5
_MOST_REDIRECTS = 3


class NotConnected(Exception):
    """No connection came about, so nothing was sent; the cause is the operating system's error."""


class Elsewhere(Exception):
    """The BMC redirects to another place."""


class BoundedSocket(ssl.SSLSocket):
    """Gives every read and write no more time than the request's deadline leaves."""

    deadline: Deadline | None = None

    def _bound(self) -> None:
        if self.deadline is not None:
            left = self.deadline.remaining()
            if left <= 0:
                raise TimeoutError("the deadline has passed")
            self.settimeout(left)

    def read(self, len: int = 1024, buffer: Any = None) -> Any:
        self._bound()
        return super().read(len, buffer)

    def send(self, data: Any, flags: int = 0) -> int:
        self._bound()
        return super().send(data, flags)


@lru_cache(maxsize=64)
def context_for(ca_path: str | None, verify: bool) -> ssl.SSLContext:
    """The context to speak to BMCs with; one per CA in a process, because the system's bundle costs 30 ms to load.

    :param ca_path: file or folder of CA certificates; None means the system's.
    :param verify: whether the certificate is checked against them.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.sslsocket_class = BoundedSocket
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif ca_path is None:
        context.load_default_certs()
    else:
        try:
            if Path(ca_path).is_dir():
                context.load_verify_locations(capath=ca_path)
            else:
                context.load_verify_locations(cafile=ca_path)
        except (OSError, ssl.SSLError) as error:
            raise InvalidInput(
                "the CA file of the BMC cannot be read",
                tried=f"bmc_ca_path={ca_path}",
                answer=str(error),
                next="Give a PEM file that this machine can read, or pin the certificate with bmc_fingerprint.",
            ) from error
    return context


def warm_up() -> None:
    """Let OpenSSL load what a first handshake needs, without a network.

    A process that is going to fork pays these 2.5 ms once; every forked worker would pay most of them again.
    """
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="bmc")
    with contextlib.suppress(ssl.SSLWantReadError):  # there is nobody to answer the hello
        tls.do_handshake()


def fingerprint_of(value: str) -> str:
    """A SHA-256 fingerprint as 64 hexadecimal digits, from what ``openssl x509 -fingerprint -sha256`` prints."""
    digits = re.sub(r"(?i)^sha-?256\s*(fingerprint)?\s*[=:]\s*", "", value.strip()).replace(":", "").lower()
    if not re.fullmatch(r"[0-9a-f]{64}", digits):
        raise InvalidInput(
            "bmc_fingerprint is not a SHA-256 fingerprint",
            tried=f"bmc_fingerprint={value}",
            next="Give the 64 hexadecimal digits that 'openssl x509 -noout -fingerprint -sha256' prints.",
        )
    return digits


class Response:
    """What ``redfish.rest.v1.RestResponse`` reads of an answer."""

    __slots__ = ("content", "headers", "reason", "status_code")

    def __init__(self, status_code: int, reason: str, headers: Message, content: bytes) -> None:
        self.status_code = status_code
        self.reason = reason
        self.headers = headers
        self.content = content


class _Connection(HTTPSConnection):
    def __init__(self, host: str, port: int, context: ssl.SSLContext, fingerprint: str | None) -> None:
        super().__init__(host, port, context=context)
        self._tls = context
        self._fingerprint = fingerprint
        self.deadline = Deadline(0)

    def connect(self) -> None:
        try:
            plain = self._reach()
        except OSError as problem:
            raise NotConnected(str(problem)) from problem
        try:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            plain.settimeout(max(self.deadline.remaining(), 0.001))
            self.sock = self._tls.wrap_socket(plain, server_hostname=self.host)
            if self._fingerprint is not None:
                self._check_fingerprint(self.sock)
        except TimeoutError as problem:
            plain.close()
            raise NotConnected("TLS handshake: silence") from problem
        except BaseException:
            plain.close()
            self.close()
            raise

    def _reach(self) -> socket.socket:
        """Connect to the first address that answers, within the deadline over all of them."""
        problem: OSError = TimeoutError("timed out")
        for family, kind, protocol, _name, address in socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM):
            left = min(CONNECT_TIMEOUT_S, self.deadline.remaining())
            if left <= 0:
                break
            sock = socket.socket(family, kind, protocol)
            try:
                sock.settimeout(left)
                sock.connect(address)
                return sock
            except OSError as error:
                problem = error
                sock.close()
        raise problem

    def _check_fingerprint(self, sock: ssl.SSLSocket) -> None:
        presented = hashlib.sha256(sock.getpeercert(binary_form=True) or b"").hexdigest()
        if not hmac.compare_digest(presented, self._fingerprint or ""):
            raise ssl.SSLCertVerificationError(f"the certificate presented has the SHA-256 fingerprint {presented}")


class HttpsSession:
    """The session that the DMTF library's client sends through.

    Set ``deadline`` before each request: it bounds connecting, sending and the whole answer together.
    """

    def __init__(self, host: str, port: int, context: ssl.SSLContext, fingerprint: str | None) -> None:
        self.deadline = Deadline(0)
        self._connection = _Connection(host, port, context, fingerprint)
        self._used_at = time.monotonic()

    def close(self) -> None:
        self._connection.close()

    def request(
        self,
        method: str,
        url: str,
        data: str | bytes | Iterable[bytes] | None = None,
        headers: dict[str, str] | None = None,
        allow_redirects: bool = True,
        params: str | None = None,
        **_: Any,
    ) -> Response:
        """Send one request and read its whole answer.

        :param data: pieces are sent as they come; ``Content-Length`` has to be among the headers then.

        :raises NotConnected: nothing was sent.
        :raises OSError, http.client.HTTPException: anything may have happened.
        """
        base = urlsplit(url)
        target = base.path + (f"?{base.query or params}" if base.query or params else "")
        body = data.encode() if isinstance(data, str) else data
        for _redirect in range(_MOST_REDIRECTS + 1):
            response = self._exchange(method, target, body, headers or {})
            location = response.headers.get("Location")
            if not (allow_redirects and method == "GET" and response.status_code in _REDIRECTS and location):
                return response
            there = urlsplit(urljoin(url, location))
            if (there.scheme, there.netloc) != (base.scheme, base.netloc):
                raise Elsewhere(f"{there.scheme}://{there.netloc}{there.path}")
            target = there.path + (f"?{there.query}" if there.query else "")
        raise Elsewhere(f"{target}, in a circle")

    def _exchange(
        self, method: str, target: str, body: bytes | Iterable[bytes] | None, headers: dict[str, str]
    ) -> Response:
        connection = self._connection
        connection.deadline = self.deadline
        idle = time.monotonic() - self._used_at
        if connection.sock is not None and (_readable(connection.sock) or (method != "GET" and idle > _WRITE_IDLE_S)):
            # The BMC has closed it meanwhile, or (HPE's iLO) resets it as soon as it is used again: a read is repeated
            # then, and a write must not find that out halfway.
            connection.close()
        try:
            if connection.sock is None:
                connection.connect()
            if not isinstance(connection.sock, BoundedSocket):
                raise TypeError("the TLS context is not one of context_for: nothing would bound the answer")
            connection.sock.deadline = self.deadline
            try:
                answer = _answered(connection, method, target, body, headers)
            except (ssl.SSLEOFError, ssl.SSLZeroReturnError) as broken:
                raise ConnectionResetError(str(broken)) from broken  # TLS had been agreed: it was dropped, not refused
            content = answer.read(LARGEST_ANSWER_BYTES + 1)
        except BaseException:
            connection.close()  # what is left of a broken exchange must not be read as the next answer
            raise
        if len(content) > LARGEST_ANSWER_BYTES:
            connection.close()
            raise HTTPException(f"the answer is larger than {LARGEST_ANSWER_BYTES} bytes")
        missing = answer.length
        if missing and method != "HEAD":
            connection.close()
            raise ConnectionResetError(f"the answer broke off {missing} bytes before its end")
        self._used_at = time.monotonic()
        if answer.headers.get("Content-Encoding", "").lower() == "gzip":
            content = _unpacked(content)
        return Response(answer.status, answer.reason, answer.headers, content)


def _answered(
    connection: HTTPSConnection, method: str, target: str, body: bytes | Iterable[bytes] | None, headers: dict[str, str]
) -> HTTPResponse:
    try:
        connection.request(method, target, body=body, headers=headers)
    except TimeoutError:
        raise
    except OSError as broken:
        if body is None or isinstance(body, bytes) or connection.sock is None:
            raise
        # A BMC that will not have an upload answers and closes before its end: what it said is worth more than that.
        try:
            return connection.getresponse()
        except (OSError, HTTPException):
            raise broken from None
    return connection.getresponse()


def _readable(sock: socket.socket) -> bool:
    return bool(select.select([sock], [], [], 0)[0])


def _unpacked(content: bytes) -> bytes:
    try:
        return gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as problem:
        raise HTTPException(f"the answer says that it is compressed and is not: {problem}") from problem
