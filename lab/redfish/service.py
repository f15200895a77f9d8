"""One BMC's HTTPS service: who may ask, which faults strike, ETags, and the way from a request to a resource."""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import gzip
import hashlib
import json
import logging
import ssl
import time
import weakref
from collections.abc import Awaitable
from dataclasses import replace
from typing import Any
from urllib.parse import unquote

from aiohttp import web

from lab.bmc import Account
from lab.machine import Machine
from lab.redfish import faulty, load_resources, protocol
from lab.redfish.errors import RedfishError
from lab.redfish.events import Subscriptions
from lab.redfish.multipart import read_form
from lab.redfish.query import apply_query
from lab.redfish.routes import ROOT, Answer, Body, Call
from lab.redfish.sessions import Sessions
from lab.redfish.tasks import TaskFailed, Tasks
from lab.redfish.vendors import Surface, vendor

logger = logging.getLogger(__name__)

MAX_BODY = 1_000_000
MAX_IMAGE = 419_627_008  # DGX H100 UpdateService.MaxImageSizeBytes
PUBLIC = {"", ROOT, "/redfish", ROOT + "/odata", ROOT + "/$metadata"}
# Properties that move with time and not by a change of the resource.
VOLATILE = ("DateTime", "LastResetTime")


class RedfishBmc:
    """State that only Redfish shows: sessions, tasks, subscriptions, ETags."""

    def __init__(self, machine: Machine, ssl_context: ssl.SSLContext) -> None:
        load_resources()
        self.machine = machine
        self.state = machine.bmc
        self.clock = machine.world.clock
        self.vendor = vendor(machine.config.vendor)
        self.seen: set[str] = set()  # paths that were read since the BMC started
        self.oem: dict[str, Any] = {}  # what only this vendor's BMC remembers
        self.sessions = Sessions(self.vendor.session_timeout_s, limit=self.vendor.max_sessions)
        self.tasks = Tasks(self.clock)
        self.subscriptions = Subscriptions(machine)
        self.indicator_led = "Off"
        self.asset_tag = "Free form asset tag"
        self.gpu_settings: dict[str, Body] = {}
        self._stamps: dict[str, tuple[str, int]] = {}
        self._stamp = int(time.time())
        self._ssl = ssl_context
        self._runner: web.ServerRunner | None = None
        self._site: web.SockSite | web.TCPSite | None = None
        self._resets = machine.bmc.resets
        self._used_at: weakref.WeakKeyDictionary[asyncio.BaseTransport, float] = weakref.WeakKeyDictionary()
        self._running: set[asyncio.Task[None]] = set()
        self.port = 0
        self.vendor.furnish(self)

    # --- listening

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        server = web.Server(self.handle, access_log=None, handler_cancellation=True)
        self._runner = web.ServerRunner(server, shutdown_timeout=0.2)
        await self._runner.setup()
        self.port = port
        await self._listen(host)
        self.machine.world.faults.watch(self._faults_changed)
        self.subscriptions.start()

    async def _listen(self, host: str = "127.0.0.1") -> None:
        assert self._runner is not None
        self._site = web.TCPSite(self._runner, host, self.port, ssl_context=self._ssl, backlog=64)
        await self._site.start()
        self.port = self._runner.addresses[0][1]

    async def move(self, host: str | None) -> None:
        """Listen on another address from now on, at the same port; None: on none that can be reached from here."""
        site, self._site = self._site, None
        if site is not None:
            await site.stop()
        self.sessions.clear()
        if host is not None:
            await self._listen(host)

    def _faults_changed(self) -> None:
        """A standing ``refuse`` closes the listening socket, so that the kernel itself refuses."""
        refused = bool(self.machine.world.faults.standing(self.machine.name, "redfish", "refuse"))
        if refused == (self._site is None):
            return
        if refused:
            site, self._site = self._site, None
            self._background = asyncio.ensure_future(site.stop())  # type: ignore[union-attr]
        else:
            self._background = asyncio.ensure_future(self._listen())

    async def close(self) -> None:
        self.machine.world.faults.unwatch(self._faults_changed)
        await self.subscriptions.close()
        await self.tasks.close()
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        if self._runner is not None:
            await self._runner.cleanup()

    # --- requests

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        path = unquote(request.path).rstrip("/") or "/"
        if self.state.resets != self._resets:  # restarted: nobody is logged in any more
            self._resets = self.state.resets
            self.sessions.clear()
            self.seen.clear()
        if self.state.away or self._idle_too_long(request):
            return _drop(request)
        fault = self.machine.world.faults.pick(self.machine.name, "redfish", request.method, path)
        if path == f"{ROOT}/$metadata" and request.method in ("GET", "HEAD") and fault is None:
            return web.Response(
                text=protocol.METADATA, content_type="application/xml", headers={"OData-Version": "4.0"}
            )
        try:
            early = await faulty.before(self, request, path, fault) if fault is not None else None
            if isinstance(early, web.Response):
                return early
            if early is None and request.method == "GET" and path == f"{ROOT}{self.vendor.event_stream}":
                return await self._stream_events(request)
            answer = early or await self._carried_out(request, path)
            if fault is not None and early is None:
                answer = faulty.after(self, request, fault, answer)
            response = self._respond(request, path, answer)
            if fault is not None and fault.kind in ("half", "trickle"):
                return await faulty.partly(request, response, fault)
        except faulty.Drop:
            return _drop(request)
        return response

    async def _stream_events(self, request: web.BaseRequest) -> web.StreamResponse:
        """Server-sent events, until the listener goes."""
        try:
            self.authenticate(request)
        except RedfishError as error:
            return _respond(request, Answer(error.status), self.vendor.error_body(error))
        stream = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"})
        await stream.prepare(request)
        await stream.write(b": stream opened\n\n")
        with contextlib.suppress(ConnectionError):
            async for event in self.subscriptions.stream():
                await stream.write(f"id: {event['Id']}\ndata: {json.dumps(event)}\n\n".encode())
        return stream

    async def _carried_out(self, request: web.BaseRequest, path: str) -> Answer:
        try:
            answer = await self._answer(request, path)
        except RedfishError as error:
            headers = {"WWW-Authenticate": 'Basic realm="Redfish"'} if error.status == 401 else {}
            return Answer(error.status, self.vendor.error_body(error), {**headers, **error.headers})
        except Exception:
            logger.exception("%s %s on %s", request.method, path, self.machine.name)
            return Answer(500, self.vendor.error_body(RedfishError("GeneralError")))
        if request.method == "GET":
            self.seen.add(path)
        return answer

    def _respond(self, request: web.BaseRequest, path: str, answer: Answer) -> web.Response:
        """The answer on its way out; what a vendor only sends compressed is 406 to who takes no gzip."""
        if answer.body is None or not path.removeprefix(ROOT).startswith(self.vendor.only_gzip or "\0"):
            return _respond(request, answer, answer.body)
        if "gzip" not in request.headers.get("Accept-Encoding", "gzip"):
            return _respond(request, Answer(406), self.vendor.error_body(RedfishError("GeneralError", status=406)))
        zipped = gzip.compress(json.dumps(answer.body).encode())
        return _respond(request, Answer(answer.status, None, {**answer.headers, "Content-Encoding": "gzip"}), zipped)

    def _idle_too_long(self, request: web.BaseRequest) -> bool:
        """Whether this connection was unused for longer than the vendor keeps one."""
        now, limit = time.monotonic(), self.vendor.idle_reset_s
        if limit is None or request.transport is None:
            return False
        last, self._used_at[request.transport] = self._used_at.get(request.transport), now
        return last is not None and now - last > limit

    async def _answer(self, request: web.BaseRequest, path: str) -> Answer:
        if path == "/redfish":
            return Answer(200, {"v1": ROOT + "/"})
        if not (path == ROOT or path.startswith(ROOT + "/")):
            raise RedfishError("ResourceMissingAtURI", path)
        login = request.method == "POST" and path in (
            ROOT + "/SessionService/Sessions",
            ROOT + "/SessionService/Sessions/Members",
        )
        if login:
            path = path.removesuffix("/Members")
        public = path in PUBLIC and request.method in ("GET", "HEAD")
        account = None if login or public else self.authenticate(request)
        if login and self.vendor.login_refuses_basic and "Authorization" in request.headers:
            raise RedfishError("NoValidSession")
        if account is not None and account.must_change:
            _only_own_password(self.vendor.account_path(account), path, request.method)
        methods, parameters = self.vendor.find(self, path)
        if not methods:
            raise RedfishError("ResourceMissingAtURI", path)
        protocol.check_request(request.headers, request.query)
        if request.method in ("GET", "HEAD"):
            return self._read(request, path, methods, parameters)
        return await self._write(request, path, account, methods, parameters)

    def _read(
        self, request: web.BaseRequest, path: str, methods: dict[str, Any], parameters: tuple[str, ...]
    ) -> Answer:
        if "GET" not in methods:
            raise protocol.not_allowed(methods)
        body, etag = self.tagged(path, methods, parameters)
        if body is None:
            raise RedfishError("ResourceMissingAtURI", path)
        headers = {**protocol.allow(methods), **protocol.described_by(body)}
        if etag:
            headers["ETag"] = etag
            if request.headers.get("If-None-Match") == etag:
                return Answer(304, None, headers)
        return Answer(200, apply_query(self, body, request.query), headers)

    async def _write(
        self,
        request: web.BaseRequest,
        path: str,
        account: Account | None,
        methods: dict[str, Any],
        parameters: tuple[str, ...],
    ) -> Answer:
        function = methods.get(request.method)
        if "GET" in methods and self.tagged(path, methods, parameters)[0] is None:
            raise RedfishError("ResourceMissingAtURI", path)
        if function is None:
            raise protocol.not_allowed(methods)
        if account is not None:
            _authorize(account, path, request.method, self.vendor)
        form = await read_form(request, MAX_IMAGE) if request.content_type == "multipart/form-data" else None
        call = Call(
            bmc=self,
            method=request.method,
            path=path,
            body=await _json_body(request) if form is None else form.parameters,
            account=account,
            empty=not request.body_exists,
            base_url=f"{request.scheme}://{request.host}",
            form=form,
        )
        if request.method == "PATCH":
            # after the body has come, so that nobody else writes between this look at the tag and the write
            etag = self.tagged(path, methods, parameters)[1] if "GET" in methods else None
            self.vendor.check_precondition(path, request.headers.get("If-Match"), etag)
        answer: Answer = self.vendor.finished(request.method, await function(call, *parameters))
        if answer.status == 201 and "Location" in answer.headers:
            made, tag = self.tagged(answer.headers["Location"])
            answer = replace(answer, body=protocol.with_etag(answer.body, (made or {}).get("@odata.etag") or tag))
        self.machine.world.log.add(
            self.machine.name,
            "redfish",
            f"{request.method} {path}",
            status=answer.status,
            by=account.username if account else None,
            body=_masked(call.body),
        )
        return answer

    def resource(
        self, path: str, methods: dict[str, Any] | None = None, parameters: tuple[str, ...] = ()
    ) -> Body | None:
        """The body of a resource with its ETag; None when it does not exist."""
        return self.tagged(path, methods, parameters)[0]

    def tagged(
        self, path: str, methods: dict[str, Any] | None = None, parameters: tuple[str, ...] = ()
    ) -> tuple[Body | None, str | None]:
        """The body of a resource, and the ETag of its answer's header."""
        if methods is None:
            methods, parameters = self.vendor.find(self, path)
        reader = methods.get("GET")
        body: Body | None = reader(self, *parameters) if reader else None
        return (None, None) if body is None else self.vendor.tag(body, *self._version(path, body))

    def _version(self, path: str, body: Body) -> tuple[str, int]:
        """The digest of a body, and the time of its last change. The times move by one at least, so that two changes
        within a second differ."""
        stable = {name: value for name, value in body.items() if name not in VOLATILE}
        digest = hashlib.blake2b(json.dumps(stable, default=str).encode(), digest_size=16).hexdigest()
        known = self._stamps.get(path)
        if known is None or known[0] != digest:
            if known is not None:
                self._stamp = max(self._stamp + 1, int(time.time()))
            self._stamps[path] = known = (digest, self._stamp)
        return known

    def authenticate(self, request: web.BaseRequest) -> Account:
        """The account of a session token or of basic credentials. Raises RedfishError 401."""
        if token := request.headers.get("X-Auth-Token"):
            session = self.sessions.use(token)
            if session is not None:
                return session.account
        elif (header := request.headers.get("Authorization", "")).startswith("Basic "):
            try:
                username, _, password = base64.b64decode(header[6:], validate=True).decode().partition(":")
            except (binascii.Error, UnicodeDecodeError):
                raise RedfishError("NoValidSession") from None
            if account := self.state.accounts.check(username, password):
                return account
        raise RedfishError("NoValidSession")

    def task_answer(self, name: str, work: Awaitable[object]) -> Answer:
        """Start a task and answer with it, as the vendor does."""
        return self.vendor.task_answer(self.tasks.start(name, work))

    def go_on(self, work: Awaitable[object]) -> None:
        """Carry something out after the answer, where the vendor shows no task for it."""

        async def carry_out() -> None:
            with contextlib.suppress(TaskFailed):
                await work

        task = asyncio.create_task(carry_out(), name=f"{self.machine.name}: after the answer")
        self._running.add(task)
        task.add_done_callback(self._running.discard)


def _respond(request: web.BaseRequest, answer: Answer, body: Any) -> web.Response:
    headers = {"OData-Version": "4.0", "Cache-Control": "no-cache", **answer.headers}
    if body is None or request.method == "HEAD":
        return web.Response(status=answer.status, headers=headers)
    if isinstance(body, bytes):
        return web.Response(status=answer.status, body=body, headers=headers, content_type="application/json")
    return web.Response(
        status=answer.status, body=json.dumps(body).encode(), headers=headers, content_type="application/json"
    )


def _drop(request: web.BaseRequest) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=503)  # reaches nobody


def _authorize(account: Account, path: str, method: str, vendor: Surface) -> None:
    """Raises RedfishError 403 when the role may not make this write. An Operator may write below ``operator_paths``,
    the rest is for an Administrator."""
    if account.role == "Administrator" or path.startswith(ROOT + "/SessionService/Sessions/"):
        return
    if account.role == "Operator" and path.startswith(vendor.operator_paths):
        return
    if method == "PATCH" and path == vendor.account_path(account):
        return  # one's own password
    raise RedfishError("InsufficientPrivilege")


def _only_own_password(own: str, path: str, method: str) -> None:
    """Raises RedfishError 403 for everything but what a first login is for (DSP0266, "Password change required")."""
    if (path == own and method in ("GET", "HEAD", "PATCH")) or path.startswith(ROOT + "/SessionService/Sessions/"):
        return
    raise RedfishError("PasswordChangeRequired", own)


async def _json_body(request: web.BaseRequest) -> Body:
    raw = b""
    async for chunk in request.content.iter_chunked(65_536):  # a long body comes in several pieces
        raw += chunk
        if len(raw) > MAX_BODY:
            raise RedfishError("MalformedJSON", status=413)
    if not raw.strip():
        return {}
    try:
        body = json.loads(raw)
    except ValueError:
        raise RedfishError("MalformedJSON") from None
    if not isinstance(body, dict):
        raise RedfishError("MalformedJSON")
    return body


def _masked(body: Body) -> Body:
    return {name: "********" if "password" in name.lower() else value for name, value in body.items()}
