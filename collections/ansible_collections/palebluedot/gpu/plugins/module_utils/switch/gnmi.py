# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""A gNMI session: pygnmi's messages and stub, under our own calls.

pygnmi 0.8.15 brings the protocol; its client is left out, because of what it does on its own:

* its RPCs have no deadline (``gnmi_timeout`` is for connecting only): here every call carries one;
* when connecting takes long it sets ``GRPC_SSL_CIPHER_SUITES`` for the whole process and tries once more;
* without a CA it downloads the switch's certificate and trusts it: here a CA is always given;
* it takes the encoding ``json`` before ``json_ietf``: here the dialect says which;
* a ``str`` value is sent unquoted: here every value is JSON;
* ``openconfig-interfaces:interfaces`` becomes an *origin*, and a key with ``=`` or ``]`` breaks its parser: see
  ``paths.py``;
* connecting asks for the Capabilities each time, and fails when there are none: here nobody needs them, which saves a
  round trip;
* it logs to stdout, which belongs to Ansible.
"""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path as File
from typing import TYPE_CHECKING, Any, NamedTuple

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
from ansible_collections.palebluedot.gpu.plugins.module_utils.switch.paths import Path, Step, parse, pick, plant

if TYPE_CHECKING:
    from ansible_collections.palebluedot.gpu.plugins.module_utils.switch.dialects.base import Dialect

MISSING: ImportError | None = None
try:
    import grpc
    from pygnmi.spec.v080 import gnmi_pb2 as pb
    from pygnmi.spec.v080.gnmi_pb2_grpc import gNMIStub
except ImportError as problem:
    MISSING = problem

Json = dict[str, Any]

# A leaf's whole interface tree is a few megabytes; gRPC's own limit is four.
_LARGEST_ANSWER = 64 * 1024 * 1024

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


class Query(NamedTuple):
    """One thing to read. ``origin`` and ``target`` are the dialect's where they are None."""

    path: str
    datatype: str = "all"
    origin: str | None = None
    target: str | None = None


class Reading(NamedTuple):
    """Queries that are asked at the same time, and what their values mean together."""

    queries: tuple[Query, ...]
    parse: Callable[..., Any]


class Change(NamedTuple):
    """One Set, which is one transaction: deletes, then replaces, then updates."""

    delete: tuple[str, ...] = ()
    replace: tuple[tuple[str, Any], ...] = ()
    update: tuple[tuple[str, Any], ...] = ()
    origin: str | None = None
    target: str | None = None

    @property
    def paths(self) -> tuple[str, ...]:
        """Everything it touches."""
        return (*self.delete, *(path for path, _value in (*self.replace, *self.update)))


class Update(NamedTuple):
    """One value of an answer or a subscription. ``deleted`` says that it is gone; ``poll`` counts from 0."""

    path: str
    value: Any
    timestamp: int
    deleted: bool = False
    poll: int = 0


class Session:
    """One connection to one switch; opened by the first call.

    :param seconds: how long each call may take.
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
        self.seconds = seconds
        if not (username + password).isascii():
            raise InvalidInput(
                "gNMI carries user name and password as ASCII, and one of them is not", code="credential_not_ascii"
            )
        self._metadata = [("username", username), ("password", password)]
        self._channel = grpc.secure_channel(
            f"[{address}]:{port}" if ":" in address else f"{address}:{port}",
            grpc.ssl_channel_credentials(_authorities(ca_path)),
            [
                # A management network is reached directly, whatever proxy the environment names.
                ("grpc.enable_http_proxy", 0),
                # Else a second session inherits the first one's back-off after a refused connection.
                ("grpc.use_local_subchannel_pool", 1),
                ("grpc.max_receive_message_length", _LARGEST_ANSWER),
            ],
        )
        self._stub = gNMIStub(self._channel)

    def close(self) -> None:
        """Close the connection and end what is still asked."""
        self._channel.close()

    # -- reading -----------------------------------------------------------------------------------------------------

    def capabilities(self) -> Json:
        """``gnmi_version``, ``encodings`` and ``models`` as the switch names them."""
        answer = self._wait(self._stub.Capabilities, pb.CapabilityRequest(), "Capabilities")
        return {
            "gnmi_version": answer.gNMI_version,
            "encodings": [pb.Encoding.Name(number).lower() for number in answer.supported_encodings],
            "models": [{"name": model.name, "version": model.version} for model in answer.supported_models],
        }

    def read(self, *readings: Reading) -> list[Any]:
        """Ask all queries of all readings at the same time: one round trip. What several ask is asked once."""
        queries = list(dict.fromkeys(query for reading in readings for query in reading.queries))
        requests = [self._get_request([query.path], query.datatype, query.origin, query.target) for query in queries]
        calls = [self._stub.Get.future(request, timeout=self.seconds, metadata=self._metadata) for request in requests]
        started = time.monotonic()
        values: dict[Query, Any] = {}
        try:
            for query, call in zip(queries, calls, strict=True):
                values[query] = self._tree_value(query, call, started)
        finally:
            for call in calls:
                call.cancel()
        return [reading.parse(*(values[query] for query in reading.queries)) for reading in readings]

    def get(
        self, paths: Sequence[str], datatype: str = "all", encoding: str | None = None, target: str | None = None
    ) -> list[Update]:
        """The values at some paths as the switch cuts them, in as few requests as it bears."""
        most = self.dialect.most_paths or max(1, len(paths))
        found: list[Update] = []
        for first in range(0, len(paths), most):
            some = list(paths[first : first + most])
            request = self._get_request(some, datatype, None, target, encoding)
            answer = self._wait(self._stub.Get, request, f"Get {', '.join(some)}")
            for notification in answer.notification:
                found += self._updates(notification, f"Get {', '.join(some)}")
        return found

    def _tree_value(self, query: Query, call: Any, started: float) -> Any:
        tried = f"Get {query.path}"
        try:
            answer = call.result()
        except grpc.RpcError as problem:
            error = self._typed(problem, tried, time.monotonic() - started)
            if isinstance(error, NotFound):
                return None
            raise error from problem
        tree: Json = {}
        for notification in answer.notification:
            for update in self._updates(notification, tried):
                plant(tree, parse(update.path), update.value)
        return pick(tree, Path(parse(query.path).steps))

    # -- writing -----------------------------------------------------------------------------------------------------

    def write(self, change: Change, encoding: str | None = None) -> list[Json]:
        """One Set; ``[{path, op}]`` as the switch confirms it."""
        most = self.dialect.most_paths
        if most and len(change.paths) > most:
            raise Unsupported(
                f"{len(change.paths)} paths do not fit into one Set of this switch, which takes {most}",
                code="too_many_paths",
                host=self.address,
                next="Set less at once; a change that is cut in two would no longer be one transaction.",
            )
        encoding = encoding or self.dialect.encoding
        request = pb.SetRequest(
            prefix=self._prefix(change.target),
            delete=[self._path(path, change.origin) for path in change.delete],
            replace=[self._update(path, value, encoding, change.origin) for path, value in change.replace],
            update=[self._update(path, value, encoding, change.origin) for path, value in change.update],
        )
        answer = self._wait(self._stub.Set, request, f"Set {', '.join(change.paths)}")
        return [
            {"path": _text(result.path, answer.prefix), "op": pb.UpdateResult.Operation.Name(result.op).lower()}
            for result in answer.response
        ]

    # -- subscribing -------------------------------------------------------------------------------------------------

    def subscribe(
        self,
        paths: Sequence[str],
        *,
        seconds: float,
        polls: int | None = None,
        pause: Callable[[], bool] = lambda: True,
        encoding: str | None = None,
        target: str | None = None,
    ) -> list[Update]:
        """The values at some paths by a subscription that ends: mode ONCE, or POLL with so many ``polls``.

        ``seconds`` is the deadline of all of it; ``pause`` waits between polls and is False when time is over.
        """
        tried = f"Subscribe {', '.join(paths)}"
        mode = "ONCE" if polls is None else "POLL"
        wanted = pb.SubscriptionList(
            prefix=self._prefix(target),
            subscription=[pb.Subscription(path=self._path(path, None)) for path in paths],
            mode=pb.SubscriptionList.Mode.Value(mode),
            encoding=self._encoding(encoding),
        )
        asked = _Requests(pb.SubscribeRequest(subscribe=wanted))
        started = time.monotonic()
        call = self._stub.Subscribe(asked, timeout=seconds, metadata=self._metadata)
        found: list[Update] = []
        synced = done = 0
        try:
            for answer in call:
                if answer.HasField("update"):
                    found += [update._replace(poll=synced) for update in self._updates(answer.update, tried)]
                    continue
                if not answer.sync_response:
                    continue
                synced += 1
                if done >= (polls or 0):
                    return found
                if not pause():
                    raise DeadlineExceeded(
                        f"time was over after {done} of {polls} polls",
                        host=self.address,
                        tried=tried,
                        next="Raise timeout, or ask for fewer polls.",
                    )
                done += 1
                asked.put(pb.SubscribeRequest(poll=pb.Poll()))
        except grpc.RpcError as problem:
            raise self._typed(problem, tried, time.monotonic() - started) from problem
        finally:
            asked.close()
            call.cancel()
        if not synced:
            raise BadAnswer(
                "the switch ended the subscription before it had said that this is all",
                host=self.address,
                tried=tried,
                answer=f"{len(found)} updates, no sync_response",
            )
        return found

    # -- messages ----------------------------------------------------------------------------------------------------

    def _get_request(
        self,
        paths: list[str],
        datatype: str,
        origin: str | None,
        target: str | None,
        encoding: str | None = None,
    ) -> Any:
        return pb.GetRequest(
            prefix=self._prefix(target),
            path=[self._path(path, origin) for path in paths],
            type=pb.GetRequest.DataType.Value(datatype.upper()),
            encoding=self._encoding(encoding),
        )

    def _prefix(self, target: str | None) -> Any:
        return pb.Path(target=self.dialect.target if target is None else target)

    def _path(self, text: str, origin: str | None) -> Any:
        path = parse(text)
        if path.origin is None:
            path = path._replace(origin=self.dialect.origin if origin is None else origin)
        return pb.Path(
            origin=path.origin or "",
            elem=[pb.PathElem(name=step.name, key=dict(step.keys)) for step in path.steps],
        )

    def _encoding(self, encoding: str | None) -> int:
        return int(pb.Encoding.Value((encoding or self.dialect.encoding).upper()))

    def _update(self, path: str, value: Any, encoding: str, origin: str | None) -> Any:
        # JSON text always, strings too: an unquoted one is no JSON, and a switch reads it as it likes.
        if encoding == "ascii":
            typed = pb.TypedValue(ascii_val=str(value))
        else:
            typed = pb.TypedValue(**{f"{encoding}_val": json.dumps(value).encode()})
        return pb.Update(path=self._path(path, origin), val=typed)

    def _updates(self, notification: Any, tried: str) -> Iterator[Update]:
        for path in notification.delete:
            yield Update(_text(path, notification.prefix), None, notification.timestamp, deleted=True)
        for update in notification.update:
            value = self._value(update.val, tried)
            yield Update(_text(update.path, notification.prefix), value, notification.timestamp)

    def _value(self, typed: Any, tried: str) -> Any:
        kind = typed.WhichOneof("value")
        if kind is None:
            return None
        value = getattr(typed, kind)
        if kind in ("json_ietf_val", "json_val"):
            try:
                return json.loads(value) if value else None
            except ValueError as problem:
                raise BadAnswer(
                    "the switch sent a value that is not JSON",
                    host=self.address,
                    tried=tried,
                    answer=value[:200].decode("utf-8", "replace"),
                ) from problem
        if kind == "leaflist_val":
            return [self._value(element, tried) for element in value.element]
        if kind == "decimal_val":
            return value.digits / 10**value.precision
        if kind in ("bytes_val", "proto_bytes"):
            return value.hex()
        return str(value) if kind == "any_val" else value

    # -- calls and their errors --------------------------------------------------------------------------------------

    def _wait(self, call: Any, request: Any, tried: str) -> Any:
        started = time.monotonic()
        try:
            return call(request, timeout=self.seconds, metadata=self._metadata)
        except grpc.RpcError as problem:
            raise self._typed(problem, tried, time.monotonic() - started) from problem

    def _typed(self, problem: Any, tried: str, waited: float) -> PaleBlueDotError:
        code: Any = problem.code()
        details = str(problem.details() or "")
        if code is grpc.StatusCode.DEADLINE_EXCEEDED:
            return DeadlineExceeded(
                f"the switch did not answer within {waited:.0f} s",
                host=self.address,
                tried=tried,
                next="Check that the switch's gNMI service is up, and switch_grpc_port.",
            )
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
        advice = _ADVICE.get(kind)
        if kind is Unsupported and tried.startswith("Set"):
            advice = self.dialect.no_writes
        elif kind is Unsupported or (kind is InvalidInput and ("origin" in details or "ncoding" in details)):
            kind, advice = (
                Unsupported,
                f"The switch does not speak the dialect {self.dialect.name}: check switch_dialect.",
            )
        return kind(
            _WORDS.get(kind, "the switch could not do it"),
            host=self.address,
            tried=tried,
            answer=f"{code.name}: {details}",
            next=advice,
        )


class _Requests:
    """The client's side of a subscription: an iterator that ends when told."""

    def __init__(self, first: Any) -> None:
        # not at module level: a queue's lock must not be shared over a fork
        import queue

        self._queue: Any = queue.SimpleQueue()
        self._queue.put(first)

    def put(self, request: Any) -> None:
        self._queue.put(request)

    def close(self) -> None:
        self._queue.put(None)

    def __iter__(self) -> _Requests:
        return self

    def __next__(self) -> Any:
        request = self._queue.get()
        if request is None:
            raise StopIteration
        return request


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
    BadAnswer: "Check that switch_grpc_port is the gNMI port.",
    Busy: "Try again; somebody else may hold the configuration lock.",
    InvalidInput: "Check the interface, the VLAN and switch_dialect.",
    Unreachable: "Check switch_address and switch_grpc_port, and that the gNMI service is up.",
}


@contextmanager
def session(params: Json, dialect: Dialect) -> Iterator[Session]:
    """A session to the switch that a module's parameters name, closed at the end."""
    opened = Session(
        params["switch_address"],
        params.get("switch_grpc_port") or dialect.port,
        dialect,
        username=params.get("switch_username") or "",
        password=params.get("switch_password") or "",
        ca_path=params.get("switch_ca_path"),
        seconds=float(params["switch_timeout"]),
    )
    try:
        yield opened
    finally:
        opened.close()


def _text(path: Any, prefix: Any) -> str:
    elements = (*prefix.elem, *path.elem)
    steps = tuple(Step(element.name, tuple(element.key.items())) for element in elements)
    return str(Path(steps, path.origin or prefix.origin or None))


def _authorities(ca_path: str | None) -> bytes:
    path = ca_path or ssl.get_default_verify_paths().cafile
    if path is None or not File(path).is_file():
        raise InvalidInput(
            f"switch_ca_path {ca_path} is no file" if ca_path else "this machine has no file of trusted authorities",
            code="ca_missing",
            next="Set switch_ca_path to the authority that signed the switch's certificate.",
        )
    return File(path).read_bytes()
