# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""One connection to the service: TLS, tokens, deadlines, what is tried again, and errors with a type.

It imports neither Ansible nor anything outside the standard library: ``http.client`` and ``ssl`` cost about 30 ms to
import, a third of what an HTTP library with sessions costs.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import select
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode, urlsplit

from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import (
    AuthenticationError,
    BadAnswer,
    Busy,
    Conflict,
    DeadlineExceeded,
    InvalidInput,
    NotFound,
    PaleBlueDotError,
    Unreachable,
)
from ansible_collections.palebluedot.gpu.plugins.module_utils.waiting import Waiter

# What this client speaks; the service serves older numbers or refuses them clearly (`X-Palebluedot-Protocol`).
PROTOCOL = 1
BASE = "/api/v1"

_TRIES = 4
_LARGEST_ANSWER = 64 * 1024 * 1024
_PAGES_AT_MOST = 1000

# The service, or what stands in front of it, is away or overloaded: the request was not carried out.
_TRANSIENT = frozenset({429, 502, 503, 504})
_KINDS: dict[int, type[PaleBlueDotError]] = {
    400: InvalidInput,
    401: AuthenticationError,
    403: AuthenticationError,
    404: NotFound,
    409: Conflict,
    410: NotFound,
    412: Conflict,
    413: InvalidInput,
    415: InvalidInput,
    422: InvalidInput,
    429: Busy,
    502: Unreachable,
    503: Busy,
    504: Unreachable,
}

Json = dict[str, Any]


def is_away(problem: Exception) -> bool:
    """Whether an error means that the service itself could not be reached, rather than that it said no."""
    if isinstance(problem, Unreachable | DeadlineExceeded):
        # an untrusted certificate does not mend itself
        return problem.retryable
    return isinstance(problem, PaleBlueDotError) and problem.details.get("status") in _TRANSIENT


class Connection:
    """One connection, kept alive, to one service. Not thread safe: one client a thread.

    :param url: ``https://host[:port]``, with or without ``/api/v1``; an IPv6 address stands in brackets.
    :param token: API token, job token or JWT.
    :param token_file: file that holds the token; read again when the service refuses the one in hand.
    :param ca_path: PEM file to verify the service with, instead of the system's authorities.
    :param timeout: seconds that one call may take, retries included.
    :param patient: wait for a service that is away until ``timeout``, instead of giving up after a few tries. For
        runs that would otherwise fail because the service is being restarted.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        token_file: str | None = None,
        ca_path: str | None = None,
        verify: bool = True,
        timeout: float = 30.0,
        patient: bool = False,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise InvalidInput(
                f"api_url {url!r} is not an http or https URL", next="Give it as https://host[:port], IPv6 in brackets."
            )
        self.url = url.rstrip("/")
        self.timeout = timeout
        self._patient = patient
        self._scheme = parts.scheme
        self._host = parts.hostname
        self._port = parts.port
        self._prefix = parts.path.rstrip("/").removesuffix(BASE)
        self._token = token
        self._token_file = token_file
        self._refresh_token: str | None = None
        self._ca_path = ca_path
        self._verify = verify
        self._connection: http.client.HTTPConnection | None = None

    # -- the connection ------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Close the connection; the next call opens another."""
        if self._connection is not None:
            with contextlib.suppress(OSError):
                self._connection.close()
            self._connection = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _context(self) -> ssl.SSLContext:
        if not self._verify:
            context = ssl.create_default_context()
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            return context
        try:
            return ssl.create_default_context(cafile=self._ca_path)
        except (OSError, ssl.SSLError) as problem:
            raise InvalidInput(
                f"api_ca_path {self._ca_path} cannot be used: {problem}", next="Point it at a readable PEM file."
            ) from problem

    def _connect(self, seconds: float) -> http.client.HTTPConnection:
        if self._scheme == "https":
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                self._host, self._port, timeout=seconds, context=self._context()
            )
        else:
            connection = http.client.HTTPConnection(self._host, self._port, timeout=seconds)
        connection.connect()
        return connection

    def _headers(self, extra: Mapping[str, str] | None) -> dict[str, str]:
        headers = {
            "Accept": "application/json, application/problem+json",
            "User-Agent": f"palebluedot-client/{PROTOCOL}",
            "X-Palebluedot-Protocol": str(PROTOCOL),
        }
        token = self._current_token()
        if token:
            headers["Authorization"] = f"Bearer {token}"
        headers.update(extra or {})
        return headers

    def _current_token(self) -> str | None:
        if self._token is None and self._token_file:
            try:
                self._token = Path(self._token_file).read_text(encoding="utf-8").strip()
            except OSError as problem:
                raise InvalidInput(
                    f"api_token_file {self._token_file} cannot be read: {problem.strerror}",
                    code="token_file_unreadable",
                    next="Point it at a file that holds an API token (`palebluedot` prints one with `token create`).",
                ) from problem
            if not self._token or "\n" in self._token:
                raise InvalidInput(
                    f"api_token_file {self._token_file} does not hold one token",
                    code="token_file_unreadable",
                    next="The file must hold the token and nothing else.",
                )
        return self._token

    def _exchange(
        self, method: str, path: str, payload: bytes | None, headers: dict[str, str], deadline: float
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        """Send one request and read its answer; OSError and HTTPException pass through."""
        kept = self._connection.sock if self._connection is not None else None
        if kept is not None and _says_something(kept):
            self.close()  # the service ended it while it was idle; found out by a POST, it would not be sent again
        if self._connection is None:
            self._connection = self._connect(_remaining(deadline))
        connection = self._connection
        sock = connection.sock
        sock.settimeout(_remaining(deadline))
        connection.request(method, path, body=payload, headers=headers)
        response = connection.getresponse()
        received = bytearray()
        while True:
            # The answer may close the connection, which takes `connection.sock` away; the socket itself lives on until
            # the answer has been read to its end.
            left = _remaining(deadline)
            if sock.fileno() >= 0:
                sock.settimeout(left)
            piece = response.read(65536)
            if not piece:
                break
            received += piece
            if len(received) > _LARGEST_ANSWER:
                raise http.client.HTTPException(f"answer of more than {_LARGEST_ANSWER} bytes")
        if response.length:  # what http.client itself is silent about when the answer is read piece by piece
            raise http.client.IncompleteRead(bytes(received), response.length)
        if not received and _breaks_off_in_its_head(response):
            raise http.client.IncompleteRead(b"")
        if response.will_close:
            self.close()
        return response.status, response.headers, bytes(received)

    def request(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        idempotent: bool | None = None,
        timeout: float | None = None,
    ) -> Any:
        """One call: the decoded JSON of a 2xx answer (None when it is empty).

        Reads, PUT, DELETE and whatever carries an ``Idempotency-Key`` are tried again after a dropped connection or
        an answer that says the service is away or overloaded. ``timeout`` bounds the whole call.

        :raises PaleBlueDotError: the subclass says what kind; ``details`` holds ``status`` and the problem document.
        """
        target = self._prefix + path
        if query:
            wanted = {name: _text(value) for name, value in query.items() if value is not None}
            if wanted:
                target += "?" + urlencode(wanted)
        payload = None
        extra = dict(headers or {})
        if body is not None:
            payload = json.dumps(body, separators=(",", ":")).encode()
            extra["Content-Type"] = "application/json"
        if idempotent is None:
            idempotent = method in ("GET", "HEAD", "PUT", "DELETE") or "Idempotency-Key" in extra
        tried = f"{method} {self.url}{path}"
        seconds = self.timeout if timeout is None else timeout
        deadline = time.monotonic() + seconds
        waiter = Waiter(seconds, first_pause_s=0.2, longest_pause_s=5.0, growth=2.0, sleep=time.sleep)
        renewed = False
        attempt = 0
        while True:
            attempt += 1
            asked = 0.0
            try:
                status, received, content = self._exchange(method, target, payload, self._headers(extra), deadline)
            except (OSError, http.client.HTTPException) as problem:
                self.close()
                failure = _connection_error(problem, tried, self._netloc(), seconds)
                # Failing to connect means that nothing was sent; anything later may have been carried out.
                unsent = isinstance(problem, ConnectionRefusedError)
                again = failure.retryable and (idempotent or unsent) and time.monotonic() < deadline
                cause: Exception | None = problem
            else:
                if 200 <= status < 300:
                    return _decode(content, tried, self._netloc(), status)
                if status == 401 and not renewed and self._renew(deadline):
                    renewed = True
                    continue
                failure = _problem(status, content, tried, self._netloc())
                again = status in _TRANSIENT and (idempotent or status in (429, 503))
                asked = _retry_after(received)
                cause = None
            if not again or (attempt >= _TRIES and not self._patient) or not waiter.pause(asked, whole=True):
                raise failure from cause

    def _netloc(self) -> str:
        return urlsplit(self.url).netloc

    def _renew(self, deadline: float) -> bool:
        """Try to get another token after a 401: the file may hold a newer one, a login may be refreshed."""
        if self._refresh_token:
            refresh, self._refresh_token, self._token = self._refresh_token, None, None
            with contextlib.suppress(PaleBlueDotError):
                answer = self.request(
                    "POST",
                    f"{BASE}/auth/refresh",
                    headers={"Authorization": f"Bearer {refresh}"},
                    timeout=max(1.0, deadline - time.monotonic()),
                )
                self._token = answer["access_token"]
                self._refresh_token = answer.get("refresh_token") or refresh
                return True
            return False
        if self._token_file:
            old, self._token = self._token, None
            return self._current_token() != old
        return False

    # -- lists ---------------------------------------------------------------------------------------------------

    def items(self, path: str, **query: Any) -> Iterator[Json]:
        """Every item of a list, page by page."""
        cursor: str | None = None
        for _page in range(_PAGES_AT_MOST):
            answer = self.request("GET", path, query={**query, "cursor": cursor})
            yield from answer["items"]
            cursor = answer.get("next_cursor")
            if not cursor:
                return
        raise BadAnswer(
            f"the list {path} did not end after {_PAGES_AT_MOST} pages", host=self._netloc(), tried=f"GET {path}"
        )

    def login(self, username: str, password: str) -> Json:
        """Log in; further calls carry the access token, which is refreshed when it expires."""
        answer: Json = self.request(
            "POST", f"{BASE}/auth/login", body={"username": username, "password": password}, idempotent=True
        )
        self._token = answer["access_token"]
        self._refresh_token = answer.get("refresh_token")
        return answer


def _says_something(sock: socket.socket) -> bool:
    """Whether there is something to read: on an idle connection, its end. For any descriptor, which select() is not."""
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))


def _breaks_off_in_its_head(response: http.client.HTTPResponse) -> bool:
    """Whether a success without a body neither has a length nor says that its end is the connection's: for
    ``http.client`` a head ends where the connection does."""
    if not 200 <= response.status < 300 or response.length is not None or response.chunked or response.version < 11:
        return False
    return (response.getheader("Connection") or "").lower() != "close"


def _remaining(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("deadline passed")
    return left


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _retry_after(received: http.client.HTTPMessage) -> float:
    value = received.get("Retry-After", "")
    return float(value) if value.isdigit() else 0.0


def _decode(content: bytes, tried: str, host: str, status: int) -> Any:
    if not content:
        return None
    try:
        return json.loads(content)
    except ValueError as problem:
        raise BadAnswer(
            "the service's answer is not JSON",
            host=host,
            tried=tried,
            answer=f"{status} {content[:200]!r}",
            next="Check that api_url points at the Pale Blue Dot service and not at a proxy's page.",
        ) from problem


def _connection_error(problem: Exception, tried: str, host: str, seconds: float) -> PaleBlueDotError:
    if isinstance(problem, ssl.SSLCertVerificationError):
        return Unreachable(
            "the service's certificate is not trusted",
            code="certificate_untrusted",
            host=host,
            tried=tried,
            answer=problem.verify_message,
            next="Set api_ca_path (PALEBLUEDOT_CA_PATH) to the authority that signed it.",
            retryable=False,
        )
    if isinstance(problem, TimeoutError):
        return DeadlineExceeded(
            f"the service did not answer within {seconds:g} s",
            host=host,
            tried=tried,
            next="Check that the service is up (GET /readyz) and not overloaded.",
        )
    return Unreachable(
        "the service cannot be reached",
        host=host,
        tried=tried,
        answer=f"{type(problem).__name__}: {problem}" if str(problem) else type(problem).__name__,
        next="Check api_url (PALEBLUEDOT_URL) and that the service is up.",
    )


def _problem(status: int, content: bytes, tried: str, host: str) -> PaleBlueDotError:
    """The typed error that a problem document (RFC 9457) stands for."""
    document: Json = {}
    with contextlib.suppress(ValueError):
        decoded = json.loads(content)
        if isinstance(decoded, dict):
            document = decoded
    kind = _KINDS.get(status, InvalidInput if 400 <= status < 500 else BadAnswer)
    message = (
        document.get("detail") or document.get("message") or document.get("title") or f"the service answered {status}"
    )
    answer = document.get("answer") or (f"{status} {document.get('title', '')}".strip())
    if not document and content:
        answer = f"{status} {content[:200]!r}"
    return kind(
        str(message),
        code=document.get("code"),
        host=document.get("host") or host,
        step=document.get("step"),
        tried=document.get("tried") or tried,
        answer=str(answer),
        next=document.get("next") or _ADVICE.get(status),
        retryable=document.get("retryable"),
        details={**document, "status": status},
    )


_ADVICE = {
    401: "Give a valid api_token or api_token_file; tokens expire.",
    403: "Ask for a token whose role may do this.",
    429: "Try again later; the service limits the rate of requests.",
}
