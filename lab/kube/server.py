"""The Kubernetes API over HTTPS: what clients need for namespaces, secrets and custom resources.

Faults of layer ``kube``: ``status`` (value: HTTP status; 429 carries Retry-After), ``latency`` (value: real seconds),
``hang`` (no answer ever), ``drop`` (connection closed, nothing done), ``lost`` (the write is done, its answer is not
given), ``watch_gone`` (match ``WATCH *``: the watch ends with 410). Their method is the HTTP method, or WATCH; their
machine is the Hardware that the object belongs to, so requests for collections are struck by machine ``*`` only.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hmac
import json
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import yaml
from aiohttp import web

from lab.faults import Fault, FaultSet
from lab.kube import discovery
from lab.kube.errors import (
    ApiError,
    Cause,
    bad_option,
    bad_request,
    expired,
    method_not_allowed,
    not_found,
    unsupported_media_type,
)
from lab.kube.managed import Writer
from lab.kube.patches import json_patch, merge_patch
from lab.kube.schema import prune
from lab.kube.selectors import Predicate, field_selector, label_selector
from lab.kube.store import Event, Object, Resource, Store
from lab.log import WriteLog

BODY_LIMIT = 3 * 2**20  # as kube-apiserver
WATCH_LIMIT_S = 3600.0
_MERGE = "application/merge-patch+json"
_JSON_PATCH = "application/json-patch+json"
_APPLY = "application/apply-patch+yaml"
_STRATEGIC = "application/strategic-merge-patch+json"
_YAML = ("application/yaml", "application/apply-patch+yaml", "text/yaml")
_ACTIONS = {"ADDED": "create", "MODIFIED": "update", "DELETED": "delete"}


@dataclass(frozen=True)
class Target:
    """What a request path names. ``namespace`` is None for all of them; ``name`` is "" for a collection."""

    resource: Resource
    namespace: str | None
    name: str = ""
    subresource: str = ""

    @property
    def where(self) -> str:
        return self.namespace or ""


class _NoSuchPath(Exception):
    """Nothing is served at a path: not an API error, but a plain 404."""


def _page_not_found() -> web.Response:
    return web.Response(status=404, text="404 page not found\n")


def machine_of(obj: Object) -> str:
    """The machine an object is about: Hardware and BMC Machines carry its name, a Workflow refers to it."""
    kind = obj.get("kind")
    if kind in ("Hardware", "Machine"):
        return str(obj["metadata"].get("name", ""))
    if kind == "Workflow":
        return str((obj.get("spec") or {}).get("hardwareRef", ""))
    if kind == "Job":
        return str(((obj.get("spec") or {}).get("machineRef") or {}).get("name", ""))
    return ""


class KubeServer:
    """Serves a store. ``start`` listens; ``url`` and ``kubeconfig`` say where."""

    def __init__(self, store: Store, token: str, tls: ssl.SSLContext, log: WriteLog, faults: FaultSet) -> None:
        self.store = store
        self._token = token
        self._tls = tls
        self._log = log
        self._faults = faults
        self._runner: web.AppRunner | None = None
        self.host = ""
        self.port = 0
        store.listen(self._record)

    @property
    def url(self) -> str:
        return f"https://{self.host}:{self.port}"

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        app = web.Application(client_max_size=BODY_LIMIT)
        app.router.add_route("*", "/{path:.*}", self._handle)
        # handler_cancellation: a client that goes away ends its watch, and a hanging request
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port, ssl_context=self._tls)
        await site.start()
        self.host = host
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        self.store.close_watches()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def kubeconfig(self, ca_pem: bytes, namespace: str = "default") -> dict[str, Any]:
        """A kubeconfig document for this server."""
        name = "palebluedot-lab"
        ca_data = base64.b64encode(ca_pem).decode()
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": name, "cluster": {"server": self.url, "certificate-authority-data": ca_data}}],
            "users": [{"name": name, "user": {"token": self._token}}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": name, "namespace": namespace}}],
            "current-context": name,
        }

    # --- requests

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        try:
            self._authenticate(request)
            target = self._target(request.path)
            fault = await self._strike(request, target)
            if fault is not None and fault.kind == "drop":
                return self._drop(request)
            if target is None:
                return self._describe(request)
            if target.subresource not in ("", "status") or (target.subresource and not target.resource.has_status):
                raise not_found(target.resource.group, target.resource.plural, target.name)
            answer = await self._serve(request, target)
            return self._drop(request) if fault is not None and fault.kind == "lost" else answer
        except ApiError as error:
            headers = {"Retry-After": str(error.retry_after_s)} if error.retry_after_s is not None else None
            return web.json_response(error.status(), status=error.code, headers=headers)
        except _NoSuchPath:
            return _page_not_found()
        except web.HTTPRequestEntityTooLarge:
            too_large = ApiError(413, "RequestEntityTooLarge", f"Request entity too large: limit is {BODY_LIMIT}")
            return web.json_response(too_large.status(), status=413)

    def _authenticate(self, request: web.Request) -> None:
        if request.path in ("/healthz", "/livez", "/readyz", "/version"):
            return  # what system:public-info-viewer may see
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(token.strip().encode(), self._token.encode()):
            raise ApiError(401, "Unauthorized", "Unauthorized")

    async def _strike(self, request: web.Request, target: Target | None) -> Fault | None:
        """Let a fault strike, and return it; what ``drop`` and ``lost`` do is left to the caller."""
        machine = ""
        if target is not None and target.name:
            with contextlib.suppress(ApiError):
                machine = machine_of(self.store.get(target.resource, target.where, target.name))
        method = "WATCH" if _is_true(request.query.get("watch")) else request.method
        fault = self._faults.pick(machine, "kube", method, request.path)
        if fault is None:
            return None
        if fault.kind == "latency":
            await asyncio.sleep(float(fault.value or 1))
        elif fault.kind == "hang":
            await asyncio.Event().wait()
        elif fault.kind == "watch_gone":
            raise expired(int(request.query.get("resourceVersion") or 0), self.store.version)
        elif fault.kind == "status":
            raise _status_fault(fault)
        return fault

    @staticmethod
    def _drop(request: web.Request) -> web.Response:
        if request.transport is not None:
            request.transport.abort()
        return web.Response()  # nobody reads it

    def _target(self, path: str) -> Target | None:
        """What a path names; None for discovery and CRDs. Raises _NoSuchPath for a resource that is not served."""
        parts = [part for part in path.split("/") if part]
        if parts[:1] == ["api"] and len(parts) > 2:
            group, version, rest = "", parts[1], parts[2:]
        elif parts[:1] == ["apis"] and len(parts) > 3 and parts[1] != discovery.EXTENSIONS:
            group, version, rest = parts[1], parts[2], parts[3:]
        else:
            return None
        namespace: str | None = None
        if rest[0] == "namespaces" and len(rest) > 2 and rest[2] not in ("status", "finalize"):
            namespace, rest = rest[1], rest[2:]
        resource = self.store.resource(group, version, rest[0])
        if resource is None or len(rest) > 3 or (namespace is None and resource.namespaced and len(rest) > 1):
            raise _NoSuchPath
        name, subresource = [*rest[1:], "", ""][:2]
        return Target(resource, namespace if resource.namespaced else "", name, subresource)

    def _describe(self, request: web.Request) -> web.Response:
        """Discovery, version and CRDs."""
        if request.method not in ("GET", "HEAD"):
            raise method_not_allowed()
        path = "/" + request.path.strip("/")
        if path in ("/healthz", "/livez", "/readyz"):
            return web.Response(text="ok")
        document = discovery.document(self.store, path, f"{request.host}")
        if document is None:
            return _page_not_found()
        return web.json_response(document)

    async def _serve(self, request: web.Request, target: Target) -> web.StreamResponse:
        handlers: dict[str, Callable[[web.Request, Target], Awaitable[web.StreamResponse]]]
        if target.name:
            handlers = {"GET": self._get, "PUT": self._put, "PATCH": self._patch, "DELETE": self._delete}
        else:
            handlers = {"GET": self._list, "POST": self._post, "DELETE": self._delete_all}
        handler = handlers.get(request.method)
        if handler is None or (target.namespace is None and request.method != "GET"):
            raise method_not_allowed()
        return await handler(request, target)

    async def _get(self, request: web.Request, target: Target) -> web.StreamResponse:
        return web.json_response(self.store.get(target.resource, target.where, target.name))

    async def _list(self, request: web.Request, target: Target) -> web.StreamResponse:
        matches = _selector(request)
        if _is_true(request.query.get("watch")):
            return await self._watch(request, target, matches)
        body = {
            "apiVersion": target.resource.api_version,
            "kind": f"{target.resource.kind}List",
            "metadata": {"continue": "", "resourceVersion": str(self.store.version)},
            "items": self.store.list(target.resource, target.namespace, matches),
        }
        return web.json_response(body)

    async def _watch(self, request: web.Request, target: Target, matches: Predicate) -> web.StreamResponse:
        since = _number(request, "resourceVersion")
        limit = min(_number(request, "timeoutSeconds") or WATCH_LIMIT_S, WATCH_LIMIT_S)
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        try:
            watch = self.store.watch(target.resource, target.namespace, since, matches)
        except ApiError as error:
            # as the API server's watch cache: the stream opens, and its only event is the error
            await response.prepare(request)
            await _send(response, "ERROR", error.status())
            return response
        try:
            await response.prepare(request)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(limit):
                    async for kind, obj in watch:
                        await _send(response, kind, obj)
            if _is_true(request.query.get("allowWatchBookmarks")):
                meta = {"resourceVersion": str(self.store.version), "creationTimestamp": None}
                bookmark = {"apiVersion": target.resource.api_version, "kind": target.resource.kind, "metadata": meta}
                await _send(response, "BOOKMARK", bookmark)
            await response.write_eof()
        except ConnectionResetError:
            pass  # the client has gone
        finally:
            watch.close()
        return response

    async def _post(self, request: web.Request, target: Target) -> web.StreamResponse:
        body = await _read_object(request)
        headers = _unknown_fields(request, target, body)
        writer = _writer(request, target)
        obj = self.store.create(target.resource, target.where, body, writer, _dry_run(request))
        return web.json_response(obj, status=201, headers=headers)

    async def _put(self, request: web.Request, target: Target) -> web.StreamResponse:
        body = await _read_object(request)
        headers = _unknown_fields(request, target, body)
        writer = _writer(request, target)
        obj = self.store.update(target.resource, target.where, target.name, body, writer, _dry_run(request))
        return web.json_response(obj, headers=headers)

    async def _patch(self, request: web.Request, target: Target) -> web.StreamResponse:
        kind = request.content_type
        accepted = (_JSON_PATCH, _MERGE, _APPLY) if target.resource.group else (_JSON_PATCH, _MERGE, _STRATEGIC, _APPLY)
        if kind not in accepted:
            raise unsupported_media_type(accepted)
        patch = await _read(request)
        writer = _writer(request, target)
        dry_run = _dry_run(request)
        if kind == _APPLY:
            return self._apply(request, target, patch, dry_run)
        change: Callable[[Object], Object] = lambda obj: merge_patch(obj, patch)  # noqa: E731
        if kind == _JSON_PATCH:
            change = lambda obj: json_patch(obj, patch)  # noqa: E731
        elif not isinstance(patch, dict):
            raise bad_request("a merge patch is an object")
        headers = _unknown_fields(request, target, patch) if isinstance(patch, dict) else {}
        obj = self.store.patch(target.resource, target.where, target.name, change, writer, dry_run)
        return web.json_response(obj, headers=headers)

    def _apply(self, request: web.Request, target: Target, body: Any, dry_run: bool) -> web.StreamResponse:
        manager = request.query.get("fieldManager")
        if not manager:
            cause = Cause("FieldValueRequired", "Required value: is required for apply patch", "fieldManager")
            raise bad_option("PatchOptions", "fieldManager", cause)
        if not isinstance(body, dict):
            raise bad_request("an apply patch is an object")
        for required in ("apiVersion", "kind"):
            if required not in body:
                raise bad_request(f"an apply patch must hold {required}")
        headers = _unknown_fields(request, target, body)
        writer = Writer(manager, "Apply", target.subresource)
        force = _is_true(request.query.get("force"))
        obj, created = self.store.apply(target.resource, target.where, target.name, body, writer, force, dry_run)
        return web.json_response(obj, status=201 if created else 200, headers=headers)

    async def _delete(self, request: web.Request, target: Target) -> web.StreamResponse:
        if target.subresource:
            raise method_not_allowed()
        options = await _read_options(request)
        obj, gone = self.store.delete(
            target.resource,
            target.where,
            target.name,
            _writer(request, target),
            options.get("preconditions"),
            _dry_run(request) or "All" in (options.get("dryRun") or []),
        )
        if not gone:
            return web.json_response(obj)
        details = {
            "name": target.name,
            "group": target.resource.group,
            "kind": target.resource.plural,
            "uid": obj["metadata"]["uid"],
        }
        status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}
        return web.json_response(status)

    async def _delete_all(self, request: web.Request, target: Target) -> web.StreamResponse:
        await _read_options(request)
        items = [
            self.store.delete(target.resource, target.where, obj["metadata"]["name"], _writer(request, target))[0]
            for obj in self.store.list(target.resource, target.namespace, _selector(request))
        ]
        meta = {"resourceVersion": str(self.store.version)}
        kind = f"{target.resource.kind}List"
        return web.json_response(
            {"apiVersion": target.resource.api_version, "kind": kind, "metadata": meta, "items": items}
        )

    def _record(self, event: Event, manager: str) -> None:
        """The write log. Contents stay out of it: user data and secrets have no place in a log."""
        obj = event.obj
        state = (obj.get("status") or {}).get("state")
        extra = {"state": state} if state else {}
        self._log.add(
            machine_of(obj),
            "kube",
            f"{event.resource.singular}.{_ACTIONS[event.type]}",
            namespace=obj["metadata"].get("namespace", ""),
            name=obj["metadata"]["name"],
            version=event.version,
            by=manager,
            **extra,
        )


def _status_fault(fault: Fault) -> ApiError:
    code = int(fault.value or 503)
    reasons = {
        401: "Unauthorized",
        403: "Forbidden",
        404: "NotFound",
        409: "Conflict",
        429: "TooManyRequests",
        500: "InternalError",
        503: "ServiceUnavailable",
        504: "Timeout",
    }
    message = (
        "too many requests, please try again later"
        if code == 429
        else "the server is currently unable to handle the request"
    )
    return ApiError(code, reasons.get(code, "Unknown"), message, retry_after_s=1 if code == 429 else None)


async def _send(response: web.StreamResponse, kind: str, obj: Object) -> None:
    await response.write(json.dumps({"type": kind, "object": obj}).encode() + b"\n")


def _selector(request: web.Request) -> Predicate:
    by_label = label_selector(request.query.get("labelSelector", ""))
    by_field = field_selector(request.query.get("fieldSelector", ""))
    return lambda obj: by_label(obj) and by_field(obj)


def _number(request: web.Request, name: str) -> int | None:
    text = request.query.get(name)
    if not text:
        return None
    try:
        return int(text)
    except ValueError:
        # kube-apiserver says 500 here, and gives no reason
        message = f'{name}: Invalid value: "{text}": strconv.ParseUint: parsing "{text}": invalid syntax'
        raise ApiError(500, "", message) from None


def _is_true(text: str | None) -> bool:
    return text is not None and text.lower() in ("true", "1", "")


def _dry_run(request: web.Request) -> bool:
    wanted = request.query.getall("dryRun", [])
    if any(value != "All" for value in wanted):
        kind = {"POST": "Create", "PUT": "Update", "PATCH": "Patch"}.get(request.method, "Delete") + "Options"
        text = f'Unsupported value: {json.dumps(wanted)}: supported values: "All"'
        raise bad_option(kind, "dryRun", Cause("FieldValueNotSupported", text, "dryRun"))
    return bool(wanted)


def _writer(request: web.Request, target: Target) -> Writer:
    agent = request.headers.get("User-Agent", "unknown").split("/")[0].split(" ")[0]
    return Writer(request.query.get("fieldManager") or agent, "Update", target.subresource)


def _unknown_fields(request: web.Request, target: Target, body: Object) -> dict[str, str]:
    """fieldValidation: a Warning header for unknown fields, or 400 when it is Strict."""
    mode = request.query.get("fieldValidation", "Warn")
    if target.resource.schema is None or mode == "Ignore":
        return {}
    _, unknown = prune(body, target.resource.schema)
    if unknown and mode == "Strict":
        problems = ", ".join(f'unknown field "{path}"' for path in unknown)
        kind = target.resource.kind
        refusal = f'{kind} in version "{target.resource.version}" cannot be handled as a {kind}'
        raise bad_request(f"{refusal}: strict decoding error: {problems}")
    return {"Warning": ", ".join(f'299 - "unknown field \\"{path}\\""' for path in unknown)} if unknown else {}


async def _read(request: web.Request) -> Any:
    text = await request.text()
    try:
        return yaml.safe_load(text) if request.content_type in _YAML else json.loads(text)
    except (ValueError, yaml.YAMLError) as error:
        raise bad_request(f"the object provided is unrecognized: couldn't get version/kind; {error}") from None


async def _read_object(request: web.Request) -> Object:
    if request.content_type not in ("application/json", "application/octet-stream", *_YAML):
        raise unsupported_media_type(("application/json", "application/yaml"))
    body = await _read(request)
    if not isinstance(body, dict):
        raise bad_request("the object provided is unrecognized: couldn't get version/kind; it is not an object")
    return body


async def _read_options(request: web.Request) -> dict[str, Any]:
    text = await request.text()
    if not text.strip():
        return {}
    options = await _read(request)
    if not isinstance(options, dict):
        raise bad_request("DeleteOptions must be an object")
    return options
