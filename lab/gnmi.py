"""A leaf switch's gNMI target: Capabilities, Get, Set and Subscribe (ONCE, POLL) over TLS.

One Set is one transaction: deletes, then replaces, then updates, all or nothing. What the models, origins and encodings
are is the business of the switch's network operating system (:mod:`lab.switches`).

Faults of layer ``gnmi``. Their method is the RPC's name, their path the first path of the request, and their machine
the one cabled to the port of that path (else the switch's name):

- ``status`` (value: name or number of a gRPC status), ``latency`` (value: real seconds), ``hang`` (no answer ever),
  ``drop`` (ends as a broken connection does, nothing done), ``garbage`` (Get: the value is no JSON)
- of Set alone: ``lost`` (done, its answer is not given), ``half`` (value: how many of its edits are done before it
  fails; a negative number: so many from the end alone), ``ignored`` (confirmed, and nothing is done), ``late`` (value:
  real seconds after which it is done, whether somebody still waits or not), ``slow`` (value: real seconds until state
  follows)

and as conditions, until they are removed: ``read_only`` (Set is not implemented: a SONiC without its build flags),
``vlan_kept`` (a VLAN that is removed stays), and those of :class:`lab.switches.base.View`.
"""

from __future__ import annotations

import asyncio
import copy
import hmac
import json
import logging
import time
from collections.abc import AsyncIterator, Iterable
from typing import Any, NamedTuple

import grpc
from pygnmi.spec.v080 import gnmi_pb2, gnmi_pb2_grpc

from lab import yang
from lab.fabric import Fabric, Switch
from lab.faults import Fault, FaultSet
from lab.log import WriteLog
from lab.switches import SYSTEMS, NetworkOs
from lab.switches.base import Change, View, commit, has_wildcard, pruned
from lab.yang import Path, Step, Tree, YangError

logger = logging.getLogger(__name__)

GNMI_VERSION = "0.8.0"
_STATUS = {
    "invalid": grpc.StatusCode.INVALID_ARGUMENT,
    "missing": grpc.StatusCode.NOT_FOUND,
    "precondition": grpc.StatusCode.FAILED_PRECONDITION,
}
_DATA_TYPES = {0: None, 1: "state", 2: "config", 3: "config"}  # Get's type → the containers it leaves out
_SLOWEST_ANSWER_S = 60.0


class Edit(NamedTuple):
    """One edit of a Set. ``value`` is what the request carries for a replace or an update."""

    kind: str
    path: Path
    value: Any


class GnmiTarget(gnmi_pb2_grpc.gNMIServicer):  # type: ignore[misc]
    """Serves one switch. ``start`` listens and returns the port; credentials are those of the switch's config."""

    def __init__(self, switch: Switch, fabric: Fabric, log: WriteLog, faults: FaultSet) -> None:
        self.switch = switch
        self._fabric = fabric
        self._log = log
        self._faults = faults
        self.system: NetworkOs = SYSTEMS[switch.config.dialect]
        self._server: Any = None
        self._committing: set[asyncio.Task[object]] = set()
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
            gnmi_pb2.ModelData(name=name, organization=self.system.organization, version=version)
            for name, version in self.system.model.modules.items()
        ]
        return gnmi_pb2.CapabilityResponse(
            supported_models=models, supported_encodings=self.system.encodings, gNMI_version=GNMI_VERSION
        )

    async def Get(self, request: Any, context: Any) -> Any:
        system, paths = await self._paths(context, request.prefix, request.path)
        fault = await self._admit(context, "Get", paths)
        await self._check_request(context, system, request.encoding, paths)
        try:
            found = [self._notification(system, path, request.type, request.encoding) for path in paths or [()]]
        except YangError as error:
            await self._refuse(context, error)
        if fault is not None and fault.kind == "garbage":
            for update in (update for notification in found for update in notification.update):
                update.val.json_ietf_val = b"<html>not JSON</html>"
        return gnmi_pb2.GetResponse(notification=found)

    async def Set(self, request: Any, context: Any) -> Any:
        asked = [*request.delete, *(update.path for update in (*request.replace, *request.update))]
        system, paths = await self._paths(context, request.prefix, asked)
        fault = await self._admit(context, "Set", paths)
        if self._faults.standing(self.switch.name, "gnmi", "read_only"):
            await context.abort(grpc.StatusCode.UNIMPLEMENTED, "GNMI is in read-only mode")
        await self._check_request(context, system, None, paths)
        kind, value = (fault.kind, fault.value) if fault is not None else ("", None)
        try:
            edits = [Edit("delete", path, None) for path in paths[: len(request.delete)]]
            kinds = ["replace"] * len(request.replace) + ["update"] * len(request.update)
            sent = zip(kinds, paths[len(request.delete) :], (*request.replace, *request.update), strict=True)
            edits += [Edit(word, path, _value(system, path, update)) for word, path, update in sent]
            if kind == "half":
                count = int(value or 1)
                self._apply(system, edits[:count] if count > 0 else edits[count:])
                await context.abort(grpc.StatusCode.ABORTED, "the commit failed half-way")
            elif kind == "late":
                task = asyncio.get_running_loop().create_task(self._late(system, edits, float(value or 1)))
                self._committing.add(task)
                task.add_done_callback(self._committing.discard)
                await asyncio.shield(task)
            elif kind != "ignored":
                self._apply(system, edits, slow_s=float(value or 1) if kind == "slow" else 0)
        except YangError as error:
            await self._refuse(context, error)
        if kind == "lost":
            await context.abort(grpc.StatusCode.UNAVAILABLE, "Connection reset by peer")
        operation = gnmi_pb2.UpdateResult.Operation
        words = ["DELETE"] * len(request.delete) + [word.upper() for word in kinds]
        results = [
            gnmi_pb2.UpdateResult(path=path, op=operation.Value(word)) for path, word in zip(asked, words, strict=True)
        ]
        return gnmi_pb2.SetResponse(prefix=request.prefix, response=results, timestamp=time.time_ns())

    async def Subscribe(self, requests: AsyncIterator[Any], context: Any) -> AsyncIterator[Any]:
        wanted: Any = None
        async for request in requests:
            if wanted is None:
                wanted = request.subscribe
                if not request.HasField("subscribe") or wanted.mode not in (1, 2):
                    await context.abort(grpc.StatusCode.UNIMPLEMENTED, "only ONCE and POLL are served")
            elif not request.HasField("poll"):
                await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "a poll was expected")
            system, paths = await self._paths(context, wanted.prefix, [entry.path for entry in wanted.subscription])
            await self._admit(context, "Subscribe", paths)
            if wanted.encoding not in system.encodings:
                await self._check_request(context, system, wanted.encoding, [])
            try:
                found = [self._notification(system, path, 0, wanted.encoding) for path in paths]
            except YangError as error:
                await self._refuse(context, error)
            for notification in found:
                yield gnmi_pb2.SubscribeResponse(update=notification)
            yield gnmi_pb2.SubscribeResponse(sync_response=True)
            if wanted.mode == 1:
                return

    # --- edits

    async def _late(self, system: NetworkOs, edits: list[Edit], seconds: float) -> None:
        await asyncio.sleep(min(seconds, _SLOWEST_ANSWER_S))
        self._apply(system, edits)

    def _apply(self, system: NetworkOs, edits: list[Edit], slow_s: float = 0) -> None:
        """One transaction. Raises YangError, with nothing done."""
        candidate = system.configuration(self.switch)
        model = system.model
        for kind, path, value in edits:
            if kind == "delete":
                model.delete(candidate, path)
            elif kind == "replace":
                model.replace(candidate, path, value)
            else:
                model.update(candidate, path, value)
        wanted = system.settings(self.switch, candidate)
        former = {name: copy.copy(port) for name, port in self.switch.ports.items()} if slow_s else {}
        keep = bool(self._faults.standing(self.switch.name, "gnmi", "vlan_kept"))
        changes = commit(self.switch, wanted, self._fabric.clock, keep_vlans=keep)
        if slow_s:
            for change in changes:
                if change.kind == "port":
                    port = self.switch.ports[change.name]
                    port.former, port.former_until = former[change.name], time.monotonic() + slow_s
        self._record(system, changes, [edit.path for edit in edits])
        if changes:
            self._fabric.notify()

    # --- what they share

    async def _admit(self, context: Any, rpc: str, paths: list[Path]) -> Fault | None:
        """Check the credentials and let a fault strike. Returns the fault, for what comes later."""
        metadata = {key.lower(): value for key, value in context.invocation_metadata() or ()}
        config = self.switch.config
        known = hmac.compare_digest(str(metadata.get("username", "")).encode(), config.username.encode())
        right = hmac.compare_digest(str(metadata.get("password", "")).encode(), config.password.encode())
        if not (known and right):
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, "authentication failed: wrong username or password")
        machine = next((name for path in paths if (name := self._machine_at(path))), self.switch.name)
        path = yang.show(paths[0]) if paths else "/"
        fault = self._faults.pick(machine, "gnmi", rpc, path)
        if fault is None:
            return None
        if fault.kind == "latency":
            await asyncio.sleep(float(fault.value or 1))
        elif fault.kind == "hang":
            await asyncio.Event().wait()
        elif fault.kind == "drop":
            await context.abort(grpc.StatusCode.UNAVAILABLE, "Connection reset by peer")
        elif fault.kind == "status":
            await context.abort(_status_code(fault.value), f"{rpc} {path}: refused by the lab's fault {fault.id}")
        return fault

    async def _paths(self, context: Any, prefix: Any, paths: Iterable[Any]) -> tuple[NetworkOs, list[Path]]:
        """The paths, and the model that they are about: one for all of them."""
        result: list[Path] = []
        systems: list[NetworkOs] = []
        for path in paths:
            origin = path.origin or prefix.origin
            system = self.system.others.get(origin, self.system)
            if origin not in system.origins:
                await context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"unknown origin {origin!r}")
            if system.targets is not None and not origin and prefix.target not in system.targets:
                text = f"unsupported target {prefix.target!r}" if prefix.target else "Empty target data not supported"
                await context.abort(grpc.StatusCode.UNIMPLEMENTED, text)
            systems.append(system)
            if len({one.name for one in systems}) > 1:
                await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "paths of several origins in one request")
            result.append(tuple(_step(system, element) for element in (*prefix.elem, *path.elem)))
        system = systems[0] if systems else self.system
        if system.targets is None and prefix.target not in ("", self.switch.name):
            await context.abort(grpc.StatusCode.NOT_FOUND, f"this target is {self.switch.name}")
        return system, result

    async def _check_request(self, context: Any, system: NetworkOs, encoding: int | None, paths: list[Path]) -> None:
        if encoding is not None and encoding not in system.encodings:
            name = gnmi_pb2.Encoding.Name(encoding)
            spoken = ", ".join(map(gnmi_pb2.Encoding.Name, system.encodings))
            await context.abort(grpc.StatusCode.UNIMPLEMENTED, f"encoding {name} is not supported, {spoken} is")
        if system.most_paths is not None and len(paths) > system.most_paths:
            text = f"{len(paths)} paths in a request, at most {system.most_paths} are supported"
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, text)

    @staticmethod
    async def _refuse(context: Any, error: YangError) -> None:
        await context.abort(_STATUS[error.kind], str(error))

    def _notification(self, system: NetworkOs, asked: Path, datatype: int, encoding: int) -> Any:
        """The answer to one path. Raises YangError when the path is wrong or nothing is there."""
        drop: Any = _DATA_TYPES[datatype]
        model = system.model
        node, config, module = model.find_node(asked)
        wild = has_wildcard(model, asked)
        if not system.wildcards and any("*" in (step.keys or {}).values() for step in asked):
            raise YangError(f"{yang.show(asked)}: wildcards in keys are not supported")
        excluded = (datatype == 1 and not config) or any(step.name == drop for step in asked)
        tree = system.everything(View(self.switch, self._fabric.clock, self._faults))
        found = [] if excluded else list(model.select(tree, asked))
        if drop:
            found = [(way, yang.without(value, node, drop)) for way, value in found]
        if not found and not wild:
            raise YangError(f"{yang.show(asked)}: nothing there", "missing")
        if found and system.rooted(asked):
            encoded: list[tuple[Path, Any]] = [((), yang.encode(pruned(model, found), model.root, ""))]
        else:
            encoded = [(way, system.shown(way, yang.encode(value, node, module))) for way, value in found]
        return gnmi_pb2.Notification(
            timestamp=time.time_ns(), update=[_update(way, value, encoding) for way, value in encoded]
        )

    def _machine_at(self, path: Path) -> str | None:
        """The machine cabled to the port that a path is about."""
        port = self.switch.ports.get(self.system.port_at(path) or "")
        return port.machine.name if port is not None and port.machine is not None else None

    def _record(self, system: NetworkOs, changes: list[Change], touched: list[Path]) -> None:
        """The write log: every port, VLAN and VNI that changed, and every port that was set to what it was."""
        for change in changes:
            if change.kind == "port":
                self._log_port(change.name, changed=True, before=change.before, after=change.after)
            else:
                action = "create" if change.before is None else "delete" if change.after is None else "update"
                self._log.add(
                    self.switch.name, "gnmi", f"{change.kind}.{action}", vlan=int(change.name), after=change.after
                )
        changed = {change.name for change in changes if change.kind == "port"}
        named = {name for path in touched if (name := system.port_at(path)) in self.switch.ports}
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


def _step(system: NetworkOs, element: Any) -> Step:
    prefix, _, name = element.name.rpartition(":")
    if prefix and prefix not in system.model.modules:
        name = element.name  # which no schema knows
    return Step(name, dict(element.key) or None)


def _value(system: NetworkOs, path: Path, update: Any) -> Any:
    """The value of an update as the model has it. Raises YangError."""
    kind = update.val.WhichOneof("value")
    kinds = {0: "json_val", 4: "json_ietf_val"}
    if kind in (kinds.get(encoding) for encoding in system.encodings):
        try:
            return system.taken(path, json.loads(getattr(update.val, kind)))
        except ValueError as error:
            raise YangError(f"the value is not JSON: {error}") from None
    if kind in ("string_val", "int_val", "uint_val", "bool_val"):
        return getattr(update.val, kind)
    wanted = " or ".join(kinds[encoding] for encoding in system.encodings if encoding in kinds)
    raise YangError(f"a value of type {kind} is not supported (encoding), send {wanted}")


def _update(way: Path, value: Any, encoding: int) -> Any:
    text = json.dumps(value).encode()
    path = gnmi_pb2.Path(elem=[gnmi_pb2.PathElem(name=step.name, key=step.keys or {}) for step in way])
    typed = gnmi_pb2.TypedValue(json_val=text) if encoding == 0 else gnmi_pb2.TypedValue(json_ietf_val=text)
    return gnmi_pb2.Update(path=path, val=typed)


def _status_code(value: Any) -> grpc.StatusCode:
    """A gRPC status by name or number; Unavailable when the fault names none."""
    for code in grpc.StatusCode:
        if value in (code.name, code.name.lower(), code.value[0]):
            return code
    return grpc.StatusCode.UNAVAILABLE
