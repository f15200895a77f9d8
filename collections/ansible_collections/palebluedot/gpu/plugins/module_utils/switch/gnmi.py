# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""A gNMI session: pygnmi, under our own deadline.

What pygnmi 0.8.15 leaves to its caller, and what is done about it here:

* its RPCs have no deadline (``gnmi_timeout`` is for connecting only): a timer closes the channel, which ends the RPC;
* when connecting takes long it sets ``GRPC_SSL_CIPHER_SUITES`` for the whole process and tries once more:
  ``connect(timeout=0)`` goes straight to the first RPC;
* without a CA it downloads the switch's certificate and trusts it: a CA is always given;
* it takes the encoding ``json`` before ``json_ietf``: the encoding is always given;
* a ``str`` value is sent unquoted: values are dicts;
* a key with ``=`` or ``]`` breaks its path parser: refused before;
* it logs to stdout, which belongs to Ansible: silenced.
"""

from __future__ import annotations

import logging
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import (
    AuthenticationError,
    BadAnswer,
    Busy,
    DeadlineExceeded,
    InvalidInput,
    NotFound,
    PaleBlueDotError,
    Unreachable,
    Unsupported,
)
from ansible_collections.palebluedot.gpu.plugins.module_utils.packages import need
from ansible_collections.palebluedot.gpu.plugins.module_utils.switch.dialects import Dialect

MISSING: ImportError | None = None
try:
    import grpc
    from pygnmi.client import gNMIclient, gNMIException
except ImportError as problem:
    MISSING = problem

Json = dict[str, Any]

_log = logging.getLogger("pygnmi.client")
_log.handlers.clear()
_log.addHandler(logging.NullHandler())
_log.propagate = False

_CODES: dict[str, type[PaleBlueDotError]] = {
    "ABORTED": Busy,
    "CANCELLED": Unreachable,
    "DEADLINE_EXCEEDED": DeadlineExceeded,
    "FAILED_PRECONDITION": Busy,
    "INVALID_ARGUMENT": InvalidInput,
    "NOT_FOUND": NotFound,
    "OUT_OF_RANGE": InvalidInput,
    "PERMISSION_DENIED": AuthenticationError,
    "RESOURCE_EXHAUSTED": Busy,
    "UNAUTHENTICATED": AuthenticationError,
    "UNAVAILABLE": Unreachable,
    "UNIMPLEMENTED": Unsupported,
}


class Session:
    """One connection to one switch.

    :param seconds: how long each request may take.
    """

    def __init__(
        self,
        address: str,
        port: int,
        dialect: Dialect,
        *,
        username: str,
        password: str,
        ca_path: str | None,
        seconds: float,
    ) -> None:
        need("pygnmi", MISSING)
        self.address = address
        self.dialect = dialect
        self._seconds = seconds
        self._target = (address, port)
        self._client = gNMIclient(
            target=(f"[{address}]" if ":" in address else address, port),
            username=username,
            password=password,
            path_cert=_authorities(ca_path),
            # A management network is reached directly, whatever proxy the environment names.
            grpc_options=[("grpc.enable_http_proxy", 0)],
        )

    def connect(self) -> None:
        """Open the connection, which is proved by the Capabilities that pygnmi asks for."""
        self._bounded(lambda: self._client.connect(timeout=0), "Capabilities")

    def close(self) -> None:
        """Close the connection; harmless when there is none."""
        # before connect() there is no channel, and pygnmi has no way to ask
        try:
            self._client.close()
        except AttributeError:
            return

    def read(self, path: str, datatype: str = "all") -> Any:
        """The value at one path (RFC 7951 JSON, names without their module); None when nothing is there."""
        try:
            answer = self._bounded(
                lambda: self._client.get(
                    path=[self._with_origin(path)], datatype=datatype, encoding=self.dialect.encoding
                ),
                f"Get {path}",
            )
        except NotFound:
            return None
        values = [
            update.get("val")
            for notification in (answer or {}).get("notification", [])
            for update in notification.get("update", [])
        ]
        if len(values) > 1:
            raise BadAnswer(
                "the switch answered with several values where one was asked for",
                host=self.address,
                tried=f"Get {path}",
                answer=f"{len(values)} updates",
                next="Report the switch's model and version: its gNMI splits containers.",
            )
        return plain(values[0]) if values else None

    def write(self, *, replace: list[tuple[str, Json]], update: list[tuple[str, Json]]) -> None:
        """One Set, which is one transaction."""
        touched = ", ".join(path for path, _value in [*replace, *update])
        self._bounded(
            lambda: self._client.set(
                replace=[(self._with_origin(path), value) for path, value in replace],
                update=[(self._with_origin(path), value) for path, value in update],
                encoding=self.dialect.encoding,
            ),
            f"Set {touched}",
        )

    def _with_origin(self, path: str) -> str:
        return f"{self.dialect.origin}:{path.lstrip('/')}"

    def _bounded(self, call: Callable[[], Any], tried: str) -> Any:
        """Run a call of pygnmi under the deadline, and give its errors types."""
        started = time.monotonic()
        over = threading.Event()

        def end() -> None:
            over.set()
            self.close()

        timer = threading.Timer(self._seconds, end)
        timer.daemon = True
        timer.start()
        try:
            return call()
        except Exception as problem:
            if over.is_set():
                raise DeadlineExceeded(
                    f"the switch did not answer within {time.monotonic() - started:.0f} s",
                    host=self.address,
                    tried=tried,
                    next="Check that the switch's gNMI service is up, and switch_grpc_port.",
                ) from problem
            raise self._typed(problem, tried) from problem
        finally:
            timer.cancel()

    def _typed(self, problem: Exception, tried: str) -> PaleBlueDotError:
        original = problem.orig_exc if isinstance(problem, gNMIException) else problem
        if isinstance(original, grpc.RpcError):
            code: grpc.StatusCode = original.code()
            details = str(original.details() or "")
            if code is grpc.StatusCode.UNAVAILABLE and ("SSL" in details or "certificate" in details.lower()):
                return Unreachable(
                    "the switch's certificate is not trusted",
                    code="certificate_untrusted",
                    host=self.address,
                    tried=tried,
                    answer=details,
                    next="Set switch_ca_path to the authority that signed it; the address must be in the certificate.",
                    retryable=False,
                )
            kind = _CODES.get(code.name, BadAnswer)
            return kind(
                _WORDS.get(kind, "the switch refused the request"),
                host=self.address,
                tried=tried,
                answer=f"{code.name}: {details}",
                next=_ADVICE.get(kind),
            )
        if isinstance(problem, ValueError) and "ncoding" in str(problem):
            return Unsupported(
                f"the switch does not speak {self.dialect.encoding}",
                host=self.address,
                tried=tried,
                answer=str(problem),
                next="Check switch_dialect.",
            )
        return BadAnswer(
            "the switch's answer makes no sense",
            host=self.address,
            tried=tried,
            answer=f"{type(problem).__name__}: {problem}",
            next="Check that switch_grpc_port is the gNMI port.",
        )


_WORDS: dict[type[PaleBlueDotError], str] = {
    AuthenticationError: "the switch refused the credentials",
    Busy: "the switch cannot take the request now",
    InvalidInput: "the switch refused the request as invalid",
    NotFound: "the switch has no such path",
    Unreachable: "the switch cannot be reached",
    Unsupported: "the switch does not offer this over gNMI",
}
_ADVICE: dict[type[PaleBlueDotError], str] = {
    AuthenticationError: "Check switch_username and switch_password, or what switch_credential stands for.",
    Busy: "Try again; somebody else may hold the configuration lock.",
    InvalidInput: "Check interface, vlan and switch_dialect.",
    Unreachable: "Check switch_address and switch_grpc_port, and that the gNMI service is up.",
    Unsupported: "SONiC needs a build with gNMI writes; NX-OS, SR Linux and Cumulus do not take OpenConfig VLANs.",
}


@contextmanager
def session(
    address: str,
    port: int,
    dialect: Dialect,
    *,
    username: str,
    password: str,
    ca_path: str | None,
    seconds: float,
) -> Iterator[Session]:
    """A connected session, closed at the end."""
    opened = Session(address, port, dialect, username=username, password=password, ca_path=ca_path, seconds=seconds)
    try:
        opened.connect()
        yield opened
    finally:
        opened.close()


def plain(value: Any) -> Any:
    """JSON_IETF with module names taken off its keys and identities left as they are."""
    if isinstance(value, dict):
        return {str(key).rpartition(":")[2]: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


def _authorities(ca_path: str | None) -> str:
    path = ca_path or ssl.get_default_verify_paths().cafile
    if path is None or not Path(path).is_file():
        raise InvalidInput(
            f"switch_ca_path {ca_path} is no file" if ca_path else "this machine has no file of trusted authorities",
            code="ca_missing",
            next="Set switch_ca_path to the authority that signed the switch's certificate.",
        )
    return path
