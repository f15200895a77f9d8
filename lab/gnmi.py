"""A leaf switch's gNMI target: Capabilities, Get, Set and Subscribe ONCE over TLS.

One Set is one transaction: deletes, then replaces, then updates, all or nothing. Values are JSON_IETF.

Faults of layer ``gnmi``: ``status`` (value: name or number of a gRPC status), ``latency`` (value: real seconds),
``hang`` (no answer ever), ``drop`` (ends as a broken connection does, nothing done), ``lost`` (the Set is done, its
answer is not given). Their method is the RPC's name, their path the first OpenConfig path of the request, and their
machine the one cabled to the port of that path (else the switch's name).
"""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
import time
from collections.abc import AsyncIterator, Iterable
from typing import Any

import grpc
from pygnmi.spec.v080 import gnmi_pb2, gnmi_pb2_grpc

from lab import openconfig
from lab.fabric import Fabric, Switch
from lab.faults import FaultSet
from lab.log import WriteLog
from lab.openconfig import Change, OpenConfigError, Path, Step, Tree

logger = logging.getLogger(__name__)

GNMI_VERSION = "0.8.0"
_JSON_IETF = 4
_ORIGINS = ("", "openconfig")
_STATUS = {
    "invalid": grpc.StatusCode.INVALID_ARGUMENT,
    "missing": grpc.StatusCode.NOT_FOUND,
    "precondition": grpc.StatusCode.FAILED_PRECONDITION,
}
_DATA_TYPES = {0: None, 1: "state", 2: "config", 3: "config"}  # Get's type → the containers it leaves out


class GnmiTarget(gnmi_pb2_grpc.gNMIServicer):  # type: ignore[misc]
    """Serves one switch. ``start`` listens and returns the port; credentials are those of the switch's config."""

    def __init__(self, switch: Switch, fabric: Fabric, log: WriteLog, faults: FaultSet) -> None:
        self.switch = switch
        self._fabric = fabric
        self._log = log
        self._faults = faults
        self._server: Any = None
        self.port = 0

    async def start(self, certificate_pem: bytes, key_pem: bytes, host: str = "127.0.0.1", port: int = 0) -> int:
        self._server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        gnmi_pb2_grpc.add_gNMIServicer_to_server(self, self._server)
        credentials = grpc.ssl_server_credentials([(key_pem, certificate_pem)])
        self.port = self._server.add_secure_port(f"{host}:{port}", credentials)
        await self._server.start()
        return self.port

    async def stop(self) -> None:
        if self._server is not None:
            await self._server.stop(grace=0.2)
            self._server = None

    # --- the service

    async def Capabilities(self, request: Any, context: Any) -> Any:
        await self._admit(context, "Capabilities", [])
        models = [
            gnmi_pb2.ModelData(name=name, organization="OpenConfig working group", version=version)
            for name, version in openconfig.MODULES.items()
        ]
        return gnmi_pb2.CapabilityResponse(
            supported_models=models, supported_encodings=[_JSON_IETF], gNMI_version=GNMI_VERSION
        )

    async def Get(self, request: Any, context: Any) -> Any:
        paths = await self._paths(context, request.prefix, request.path)
        await self._admit(context, "Get", paths)
        await self._check_encoding(context, request.encoding)
        drop = _DATA_TYPES[request.type]
        try:
            notifications = [_notification(self._read(path, drop, request.type == 1), path) for path in paths or [()]]
        except OpenConfigError as error:
            await self._refuse(context, error)
        return gnmi_pb2.GetResponse(notification=notifications)

    async def Set(self, request: Any, context: Any) -> Any:
        deletes = await self._paths(context, request.prefix, request.delete)
        replaces = await self._paths(context, request.prefix, [update.path for update in request.replace])
        updates = await self._paths(context, request.prefix, [update.path for update in request.update])
        touched = [*deletes, *replaces, *updates]
        lost = await self._admit(context, "Set", touched)
        if request.HasField("prefix") and request.prefix.target not in ("", self.switch.name):
            await context.abort(grpc.StatusCode.NOT_FOUND, f"this target is {self.switch.name}")
        try:
            replace_values = [_value(update) for update in request.replace]
            update_values = [_value(update) for update in request.update]
            candidate = openconfig.read_config(self.switch)
            for path in deletes:
                openconfig.delete(candidate, path)
            for path, value in zip(replaces, replace_values, strict=True):
                openconfig.replace(candidate, path, value)
            for path, value in zip(updates, update_values, strict=True):
                openconfig.update(candidate, path, value)
            changes = openconfig.commit(self.switch, candidate, self._fabric.clock)
        except OpenConfigError as error:
            await self._refuse(context, error)
        self._record(changes, touched)
        if changes:
            self._fabric.notify()
        if lost:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "Connection reset by peer")
        operation = gnmi_pb2.UpdateResult.Operation
        results = [
            *(gnmi_pb2.UpdateResult(path=path, op=operation.Value("DELETE")) for path in request.delete),
            *(gnmi_pb2.UpdateResult(path=update.path, op=operation.Value("REPLACE")) for update in request.replace),
            *(gnmi_pb2.UpdateResult(path=update.path, op=operation.Value("UPDATE")) for update in request.update),
        ]
        return gnmi_pb2.SetResponse(prefix=request.prefix, response=results, timestamp=time.time_ns())

    async def Subscribe(self, requests: AsyncIterator[Any], context: Any) -> AsyncIterator[Any]:
        async for request in requests:
            wanted = request.subscribe
            if not request.HasField("subscribe") or wanted.mode != 1:
                await context.abort(grpc.StatusCode.UNIMPLEMENTED, "only subscriptions of mode ONCE are served")
            paths = await self._paths(context, wanted.prefix, [entry.path for entry in wanted.subscription])
            await self._admit(context, "Subscribe", paths)
            await self._check_encoding(context, wanted.encoding)
            try:
                found = [_notification(self._read(path, None, False), path) for path in paths]
            except OpenConfigError as error:
                await self._refuse(context, error)
            for notification in found:
                yield gnmi_pb2.SubscribeResponse(update=notification)
            yield gnmi_pb2.SubscribeResponse(sync_response=True)
            return

    # --- what they share

    async def _admit(self, context: Any, rpc: str, paths: list[Path]) -> bool:
        """Check the credentials and let a fault strike. Returns whether the answer is to be lost."""
        metadata = {key.lower(): value for key, value in context.invocation_metadata() or ()}
        config = self.switch.config
        known = hmac.compare_digest(str(metadata.get("username", "")).encode(), config.username.encode())
        right = hmac.compare_digest(str(metadata.get("password", "")).encode(), config.password.encode())
        if not (known and right):
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, "authentication failed: wrong username or password")
        machine = next((name for path in paths if (name := self._machine_at(path))), self.switch.name)
        path = openconfig.show(paths[0]) if paths else "/"
        fault = self._faults.pick(machine, "gnmi", rpc, path)
        if fault is None:
            return False
        if fault.kind == "latency":
            await asyncio.sleep(float(fault.value or 1))
        elif fault.kind == "hang":
            await asyncio.Event().wait()
        elif fault.kind == "drop":
            await context.abort(grpc.StatusCode.UNAVAILABLE, "Connection reset by peer")
        elif fault.kind == "status":
            await context.abort(_status_code(fault.value), f"{rpc} {path}: refused by the lab's fault {fault.id}")
        return fault.kind == "lost"

    async def _paths(self, context: Any, prefix: Any, paths: Iterable[Any]) -> list[Path]:
        result: list[Path] = []
        for path in paths:
            origin = path.origin or prefix.origin
            if origin not in _ORIGINS:
                await context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"unknown origin {origin!r}")
            result.append(tuple(_step(element) for element in (*prefix.elem, *path.elem)))
        return result

    async def _check_encoding(self, context: Any, encoding: int) -> None:
        if encoding != _JSON_IETF:
            name = gnmi_pb2.Encoding.Name(encoding)
            await context.abort(grpc.StatusCode.UNIMPLEMENTED, f"encoding {name} is not supported, JSON_IETF is")

    @staticmethod
    async def _refuse(context: Any, error: OpenConfigError) -> None:
        await context.abort(_STATUS[error.kind], str(error))

    def _read(self, path: Path, drop: Any, keep_config_only: bool) -> list[tuple[Path, Any]]:
        """The values at a path as JSON. Raises OpenConfigError when the path is wrong or nothing is there."""
        node, config, module = openconfig.find_node(path)
        tree = openconfig.read_all(self.switch, self._fabric.clock)
        found: list[tuple[Path, Any]] = []
        excluded = (keep_config_only and not config) or any(step.name == drop for step in path)
        for way, value in () if excluded else openconfig.select(tree, path):
            kept = openconfig.without(value, node, drop) if drop else value
            found.append((way, openconfig.encode(kept, node, module)))
        if not found and not _has_wildcard(path):
            raise OpenConfigError(f"{openconfig.show(path)}: nothing there", "missing")
        return found

    def _machine_at(self, path: Path) -> str | None:
        """The machine cabled to the port that a path is about."""
        for step in path:
            if step.name == "interface" and step.keys:
                port = self.switch.ports.get(step.keys.get("name", ""))
                return port.machine.name if port is not None and port.machine is not None else None
        return None

    def _record(self, changes: list[Change], touched: list[Path]) -> None:
        """The write log: every port and VLAN that changed, and every port that was set to what it was."""
        for change in changes:
            if change.kind == "vlan":
                action = "create" if change.before is None else "delete" if change.after is None else "update"
                self._log.add(self.switch.name, "gnmi", f"vlan.{action}", vlan=int(change.name), after=change.after)
            else:
                self._log_port(change.name, changed=True, before=change.before, after=change.after)
        changed = {change.name for change in changes if change.kind == "port"}
        named = {
            step.keys.get("name", "") for path in touched for step in path if step.name == "interface" and step.keys
        }
        for name in sorted(named - changed):
            self._log_port(name, changed=False)

    def _log_port(self, name: str, changed: bool, before: Tree | None = None, after: Tree | None = None) -> None:
        port = self.switch.ports[name]
        machine = port.machine.name if port.machine is not None else self.switch.name
        self._log.add(
            machine,
            "gnmi",
            "port.set",
            switch=self.switch.name,
            port=name,
            vlan=port.untagged_vlan,
            changed=changed,
            before=before,
            after=after,
        )


def _step(element: Any) -> Step:
    prefix, _, name = element.name.rpartition(":")
    if prefix and prefix not in openconfig.MODULES:
        name = element.name  # which no schema knows
    return Step(name, dict(element.key) or None)


def _has_wildcard(path: Path) -> bool:
    return any("*" in (step.keys or {}).values() for step in path)


def _value(update: Any) -> Any:
    """The JSON value of an update. Raises OpenConfigError."""
    kind = update.val.WhichOneof("value")
    if kind == "json_ietf_val":
        try:
            return json.loads(update.val.json_ietf_val)
        except ValueError as error:
            raise OpenConfigError(f"the value is not JSON: {error}") from None
    if kind in ("string_val", "int_val", "uint_val", "bool_val"):
        return getattr(update.val, kind)
    raise OpenConfigError(f"a value of type {kind} is not supported, send json_ietf_val")


def _notification(found: list[tuple[Path, Any]], asked: Path) -> Any:
    updates = [
        gnmi_pb2.Update(
            path=gnmi_pb2.Path(elem=[gnmi_pb2.PathElem(name=step.name, key=step.keys or {}) for step in path]),
            val=gnmi_pb2.TypedValue(json_ietf_val=json.dumps(value).encode()),
        )
        for path, value in found
    ]
    return gnmi_pb2.Notification(timestamp=time.time_ns(), update=updates)


def _status_code(value: Any) -> grpc.StatusCode:
    """A gRPC status by name or number; Unavailable when the fault names none."""
    for code in grpc.StatusCode:
        if value in (code.name, code.name.lower(), code.value[0]):
            return code
    return grpc.StatusCode.UNAVAILABLE
