# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""TLS to a BMC: verified against a CA file or a pinned certificate, and bounded in time and size as a whole.

The timeouts of ``requests`` bound each read, so a BMC that sends one byte every few seconds would hold a worker for
ever. Here every read, write and handshake of the socket gets no more than what is left of the deadline of the request
that this thread is making.
"""

from __future__ import annotations

import re
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.deadline import Deadline
from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import InvalidInput
from requests.adapters import HTTPAdapter
from requests.exceptions import InvalidURL
from requests.models import PreparedRequest, Response

# The largest thing a BMC sends is a BIOS attribute registry or an event log: a few MiB.
LARGEST_ANSWER_BYTES = 32 * 1024 * 1024


class _Bounds(threading.local):
    deadline: Deadline | None = None
    bytes_left: int = LARGEST_ANSWER_BYTES


_bounds = _Bounds()


@contextmanager
def bounded(deadline: Deadline) -> Iterator[None]:
    """Bound what this thread's sockets do inside the block."""
    before = _bounds.deadline
    _bounds.deadline, _bounds.bytes_left = deadline, LARGEST_ANSWER_BYTES
    try:
        yield
    finally:
        _bounds.deadline = before


class _BoundedSocket(ssl.SSLSocket):
    def _bound(self) -> None:
        deadline = _bounds.deadline
        if deadline is not None:
            left = deadline.remaining()
            if left <= 0:
                raise TimeoutError("the deadline has passed")
            self.settimeout(left)

    def read(self, len: int = 1024, buffer: Any = None) -> Any:
        self._bound()
        got = super().read(len, buffer)
        _bounds.bytes_left -= got if isinstance(got, int) else got.__len__()
        if _bounds.bytes_left < 0:
            raise OSError(f"the answer is larger than {LARGEST_ANSWER_BYTES} bytes")
        return got

    def send(self, data: Any, flags: int = 0) -> int:
        self._bound()
        return super().send(data, flags)

    def do_handshake(self, block: bool = False) -> None:
        self._bound()
        super().do_handshake(block)


@lru_cache(maxsize=64)
def context_for(ca_path: str | None, verify: bool) -> ssl.SSLContext:
    """The context to speak to BMCs with; one per CA in a process, because loading a CA bundle costs 10-30 ms of CPU.

    :param ca_path: file or folder of CA certificates; None means the system's.
    :param verify: whether the certificate is checked against them.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.sslsocket_class = _BoundedSocket
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


class BmcAdapter(HTTPAdapter):
    """Speaks to one BMC only, with one connection, the given TLS context and nothing from the environment.

    ``requests`` would take CA bundles from the environment and, given ``verify``, build a new context for each
    connection; and it would follow a redirect to another host with the session's token.
    """

    def __init__(self, base_url: str, context: ssl.SSLContext, fingerprint: str | None) -> None:
        self._base_url = base_url
        self._context = context
        self._fingerprint = fingerprint
        super().__init__(pool_connections=1, pool_maxsize=1, max_retries=0)

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **more: Any) -> None:
        super().init_poolmanager(
            connections, maxsize, block, ssl_context=self._context, assert_fingerprint=self._fingerprint, **more
        )

    def get_connection_with_tls_context(self, request: PreparedRequest, *_: Any, **__: Any) -> Any:
        return self.poolmanager.connection_from_url(self._base_url)

    def get_connection(self, url: Any, proxies: Any = None) -> Any:  # requests before 2.32
        return self.poolmanager.connection_from_url(self._base_url)

    def cert_verify(self, *_: Any, **__: Any) -> None:
        """The pool's own context decides, not the ``verify`` of a single call."""

    def send(self, request: PreparedRequest, *args: Any, **more: Any) -> Response:
        url = request.url or ""
        if url != self._base_url and not url.startswith(f"{self._base_url}/"):
            raise InvalidURL(f"the BMC redirects to {url.split('?')[0]}, which is not {self._base_url}")
        return super().send(request, *args, **more)
