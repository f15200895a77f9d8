"""One replayed BMC's HTTPS service: who may ask, what is read from the capture, and which writes are carried out."""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import logging
import secrets
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from aiohttp import BodyPartReader, web

from lab.redfish.errors import RedfishError
from lab.redfish.query import page
from lab.redfish.routes import Answer
from lab.replay import manners
from lab.replay.machine import Machine
from lab.replay.store import Store
from lab.replay.tree import ROOT, Body, Tree

logger = logging.getLogger(__name__)

MAX_BODY = 600_000_000  # an image; everything else is refused from a megabyte on
MAX_JSON = 1_000_000
CHUNK = 65_536
MAX_SESSIONS = 16
PAGE = 75  # members that a narrowed collection shows at once
METADATA = f"{ROOT}/$metadata"
PUBLIC = ("", "/redfish", ROOT, f"{ROOT}/odata", METADATA)
# The tool that made a capture leaves these in; they are not the BMC's.
_OF_THE_TOOL = ("@Redfish.Copyright",)


@dataclass(frozen=True)
class Asked:
    """A request as it was answered."""

    method: str
    path: str
    status: int
    body: Any = None


@dataclass
class _Session:
    path: str
    account: str
    token: str = field(repr=False)
    used_at: float = 0.0


class ReplayBmc:
    """A BMC made of a capture.

    :param username: who may log in as administrator; None: the first enabled administrator of the capture. A name that
        no account of the capture has is given to that one.
    :param timings: answer as slowly as the real BMC did, where the capture says how slowly.
    :param keep_asked: remember requests in ``asked``, for tests.
    :param behaves: the manners; None: those of the vendor that the capture names.
    """

    def __init__(
        self,
        tree: Tree,
        ssl_context: ssl.SSLContext,
        *,
        password: str,
        username: str | None = None,
        power_s: float = 0.1,
        task_s: float = 0.3,
        away_s: float = 1.0,
        timings: bool = False,
        keep_asked: bool = False,
        behaves: manners.Manners | None = None,
    ) -> None:
        self.tree = tree
        self.store = Store(tree)
        self.manners = behaves or manners.of(self.store.root())
        self.machine = Machine(self.store, self.manners, power_s, task_s, away_s)
        self.asked: list[Asked] = []
        self.sessions: dict[str, _Session] = {}
        self.opened = 0
        self.port = 0
        self._ssl = ssl_context
        self._timings = timings
        self._keep_asked = keep_asked
        self._restarts = 0
        self._failures: dict[str, int] = {}
        self._locked_until: dict[str, float] = {}
        self._lone_account = ("", "")
        self.username = self._take_over(username, password)
        self._runner: web.ServerRunner | None = None

    def _take_over(self, username: str | None, password: str) -> str:
        """Give the first enabled administrator that name and password; without accounts they stand for themselves."""
        administrators = [
            path
            for path in self._accounts()
            if (account := self.store.get(path) or {}).get("RoleId") == "Administrator"
            and account.get("Enabled", True)
            and account.get("UserName")
        ]
        named = [path for path in administrators if (self.store.get(path) or {}).get("UserName") == username]
        if not administrators:
            self._lone_account = (username or "admin", password)
            return self._lone_account[0]
        path = (named or administrators)[0]
        if username and not named:
            self.store.change(path, UserName=username)
        self.machine.passwords[path] = password
        return str((self.store.get(path) or {})["UserName"])

    # -- listening

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        self._runner = web.ServerRunner(web.Server(self.handle, access_log=None), shutdown_timeout=0.2)
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port, ssl_context=self._ssl, backlog=64).start()
        self.port = self._runner.addresses[0][1]

    async def close(self) -> None:
        await self.machine.close()
        if self._runner is not None:
            await self._runner.cleanup()

    # -- requests

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if self.machine.away:
            return _drop(request)
        if self.machine.restarts != self._restarts:
            self._restarts = self.machine.restarts
            self.sessions.clear()
        path = request.raw_path.split("?")[0].rstrip("/")
        if unquote(path) == METADATA and request.method in ("GET", "HEAD"):
            metadata = self.tree.raw(METADATA)
            return web.Response(status=200 if metadata else 404, body=metadata, content_type="application/xml")
        body: Any = None
        try:
            answer, body = await self._answer(request, path)
        except RedfishError as error:
            headers = {"WWW-Authenticate": 'Basic realm="Redfish"'} if error.status == 401 else {}
            answer = Answer(error.status, error.body(), headers)
        except Exception:
            logger.exception("%s %s", request.method, path)
            answer = Answer(500, RedfishError("GeneralError").body())
        if self._keep_asked:
            self.asked.append(Asked(request.method, request.raw_path, answer.status, body))
        return _respond(request, answer)

    def requests(self, *methods: str) -> list[str]:
        """What was asked, as "GET /redfish/v1/Systems"."""
        return [f"{asked.method} {asked.path}" for asked in self.asked if not methods or asked.method in methods]

    def writes(self) -> list[str]:
        """What was written, sessions apart."""
        return [ask for ask in self.requests("POST", "PATCH", "PUT", "DELETE") if "/Sessions" not in ask]

    async def _answer(self, request: web.BaseRequest, path: str) -> tuple[Answer, Any]:
        reading = request.method in ("GET", "HEAD")
        if path == "/redfish":
            return Answer(200, {"v1": f"{ROOT}/"}), None
        sessions = self._sessions_path()
        if request.method == "POST" and path in (sessions, f"{sessions}/Members"):
            return self._log_in(request, await _json(request)), None
        account = None if reading and unquote(path) in PUBLIC else self.authenticate(request, path)
        if reading:
            return await self._read(request, path), None
        if account is not None:
            self._authorize(account, path, request.method)
        if request.method in ("POST", "PUT") and path in self.machine.push_uris():
            return await self._push(request), None
        body = await _json(request)
        return self._write(request, path, body), _masked(body)

    async def _read(self, request: web.BaseRequest, path: str) -> Answer:
        if self._timings and (seconds := self.tree.seconds(path)):
            await asyncio.sleep(seconds)
        # a page of a long collection was captured under its whole address
        whole = self.store.get(request.raw_path) if "?" in request.raw_path else None
        body = whole if whole is not None else self._body(path)
        if body is None:
            raise RedfishError("ResourceMissingAtURI", path)
        body = {name: value for name, value in body.items() if name not in _OF_THE_TOOL}
        headers = {name: value for name, value in self.tree.headers(path).items() if name in ("Allow", "Link")}
        if etag := body.get("@odata.etag"):
            headers["ETag"] = str(etag)
            if request.headers.get("If-None-Match") == etag:
                return Answer(304, None, headers)
        return Answer(200, body if whole is not None else self._queried(body, request.query), headers)

    def _body(self, path: str) -> Body | None:
        """A resource; the sessions are those that are open here, whoever had one while the capture was made."""
        sessions = self._sessions_path()
        if path == sessions:
            listed = self.store.get(path)
            open_ = [{"@odata.id": session.path} for session in self._open_sessions()]
            return {**listed, "Members": open_, "Members@odata.count": len(open_)} if listed is not None else None
        if path.startswith(f"{sessions}/"):
            session = next((session for session in self._open_sessions() if session.path == path), None)
            return self._session_body(session) if session is not None else None
        return self.store.get(path)

    def _queried(self, body: Body, query: Mapping[str, str]) -> Body:
        """The query parameters that the service root claims."""
        features = self.store.root().get("ProtocolFeaturesSupported")
        features = features if isinstance(features, dict) else {}
        if "Members" in body:
            known = {name: text for name, text in query.items() if name in ("$top", "$skip")}
            if features.get("FilterQuery") and "$filter" in query:
                known["$filter"] = query["$filter"]
            if known:
                body = page(self._expanded(body) if "$filter" in known else body, known, PAGE)
        expand = features.get("ExpandQuery")
        if "$expand" in query and isinstance(expand, dict) and any(expand.values()):
            body = self._expanded(body)
        if features.get("SelectQuery") and (names := query.get("$select")):
            wanted = set(names.split(","))
            body = {name: value for name, value in body.items() if name.startswith("@odata") or name in wanted}
        return body

    def _expanded(self, body: Body) -> Body:
        def whole(member: Any) -> Any:
            alone = isinstance(member, dict) and set(member) == {"@odata.id"}
            return (self.store.get(member["@odata.id"]) or member) if alone else member

        return {
            name: [whole(member) for member in value] if name == "Members" and isinstance(value, list) else value
            for name, value in body.items()
        }

    def _write(self, request: web.BaseRequest, path: str, body: Body) -> Answer:
        sessions = self._sessions_path()
        if request.method == "DELETE" and path.startswith(f"{sessions}/"):
            if not self._log_out(path):
                raise RedfishError("ResourceMissingAtURI", path)
            return self.machine.done()
        if request.method == "POST" and "/Actions/" in path:
            found = self.store.action(path)
            if found is None:
                raise RedfishError("ResourceMissingAtURI", path)
            resource, action, description = found
            return self.machine.act(resource, action, description, body)
        path = self.store.canonical(path)
        current = self.store.get(path)
        if current is None:
            raise RedfishError("ResourceMissingAtURI", path)
        if request.method == "PATCH" and "Members" not in current:
            self._check_precondition(request.headers.get("If-Match"), path, current)
            return self.machine.patch(path, body)
        if request.method == "POST" and "Members" in current:
            return self.machine.create(path, body)
        if request.method == "DELETE":
            collection = path.rpartition("/")[0]
            if path in self.store.members(collection):
                account = path in self._accounts()
                answer = self.machine.delete(path, collection)
                if account:
                    self.sessions = {token: s for token, s in self.sessions.items() if s.account != path}
                return answer
        raise RedfishError("OperationNotAllowed")

    async def _push(self, request: web.BaseRequest) -> Answer:
        """An image pushed over HTTP: multipart with UpdateParameters (DSP0266 12.2), or the bare bytes."""
        image, parameters, size = "", {}, 0
        if request.content_type.startswith("multipart/"):
            async for part in await request.multipart():
                if not isinstance(part, BodyPartReader):
                    continue
                if part.name == "UpdateParameters":
                    parameters = _parsed(await part.read())
                    continue
                image = image or part.filename or ""
                while chunk := await part.read_chunk():
                    size += len(chunk)
        else:
            async for chunk in request.content.iter_chunked(CHUNK):
                size += len(chunk)
        limit = (self.store.get(self.store.of_root("UpdateService")) or {}).get("MaxImageSizeBytes")
        if not size or size > min(limit or MAX_BODY, MAX_BODY):
            raise RedfishError("PropertyValueFormatError", f"{size} bytes", "UpdateFile")
        return self.machine.update(image, [str(target) for target in parameters.get("Targets") or []])

    def _check_precondition(self, given: str | None, path: str, current: Body) -> None:
        etag = current.get("@odata.etag")
        if etag is None:
            return
        if self.manners.account_star and path in self._accounts():
            if given != "*":
                raise RedfishError("PreconditionRequired" if given is None else "PreconditionFailed")
            return
        if given is None:
            if self.manners.precondition:
                raise RedfishError("PreconditionRequired")
            return
        if given != "*" and etag not in [tag.strip() for tag in given.split(",")]:
            raise RedfishError("PreconditionFailed")

    # -- who may

    def _accounts(self) -> list[str]:
        service = self.store.get(self.store.of_root("AccountService"))
        return self.store.members(self.store.link(service, "Accounts"))

    def authenticate(self, request: web.BaseRequest, path: str) -> str:
        """The account (its path) of a session token or of basic credentials. Raises RedfishError."""
        account: str | None = None
        if token := request.headers.get("X-Auth-Token"):
            self._open_sessions()
            session = self.sessions.get(token)
            if session is not None:
                session.used_at = time.monotonic()
                account = session.account
        elif (header := request.headers.get("Authorization", "")).startswith("Basic "):
            try:
                username, _, password = base64.b64decode(header[6:], validate=True).decode().partition(":")
            except (binascii.Error, UnicodeDecodeError):
                raise RedfishError("NoValidSession") from None
            account = self._check(username, password)
        if account is None:
            raise RedfishError("NoValidSession")
        if (self.store.get(account) or {}).get("PasswordChangeRequired") and path != account:
            raise RedfishError("PasswordChangeRequired", account)
        return account

    def _check(self, username: str, password: str) -> str | None:
        """The account when name and password fit; wrong ones count towards the captured lockout."""
        if self._lone_account[0]:
            return "/" if (username, password) == self._lone_account else None
        for path in self._accounts():
            account = self.store.get(path) or {}
            if account.get("UserName") != username or not account.get("Enabled", True) or not username:
                continue
            if self._locked_until.get(path, 0.0) > time.monotonic():
                return None
            known = self.machine.passwords.get(path)
            if known is not None and secrets.compare_digest(known.encode(), password.encode()):
                self._failures.pop(path, None)
                return path
            self._count_failure(path)
        return None

    def _count_failure(self, path: str) -> None:
        service = self.store.get(self.store.of_root("AccountService")) or {}
        threshold, seconds = service.get("AccountLockoutThreshold"), service.get("AccountLockoutDuration")
        self._failures[path] = self._failures.get(path, 0) + 1
        if threshold and seconds and self._failures[path] >= threshold:
            self._failures[path] = 0
            self._locked_until[path] = time.monotonic() + seconds

    def _authorize(self, account: str, path: str, method: str) -> None:
        role = (self.store.get(account) or {}).get("RoleId", "Administrator")
        own = path == account or path.startswith(f"{self._sessions_path()}/")
        if role in ("ReadOnly", "None", "NoAccess") and not own:
            raise RedfishError("InsufficientPrivilege")
        if role == "Operator" and not own and path.startswith(self.store.of_root("AccountService")):
            raise RedfishError("InsufficientPrivilege")

    # -- sessions

    def _sessions_path(self) -> str:
        return self.store.link(self.store.root(), "Links", "Sessions") or f"{ROOT}/SessionService/Sessions"

    def _timeout(self) -> float:
        service = self.store.get(self.store.of_root("SessionService")) or {}
        return float(service.get("SessionTimeout") or 1800)

    def _open_sessions(self) -> list[_Session]:
        oldest = time.monotonic() - self._timeout()
        self.sessions = {token: session for token, session in self.sessions.items() if session.used_at >= oldest}
        return list(self.sessions.values())

    def _log_in(self, request: web.BaseRequest, body: Body) -> Answer:
        if "Authorization" in request.headers:
            raise RedfishError("NoValidSession")  # several BMCs take no session from who shows basic credentials
        for name in ("UserName", "Password"):
            if name not in body:
                raise RedfishError("PropertyMissing", name)
        account = self._check(str(body["UserName"]), str(body["Password"]))
        if account is None:
            raise RedfishError("NoValidSession")
        if len(self._open_sessions()) >= MAX_SESSIONS:
            raise RedfishError("SessionLimitExceeded")
        self.opened += 1
        session = _Session(
            f"{self._sessions_path()}/{self.opened}", account, secrets.token_urlsafe(24), time.monotonic()
        )
        self.sessions[session.token] = session
        shown = self._session_body(session)
        if (self.store.get(account) or {}).get("PasswordChangeRequired"):
            shown["@Message.ExtendedInfo"] = RedfishError("PasswordChangeRequired", account).body()["error"][
                "@Message.ExtendedInfo"
            ]
        return Answer(201, shown, {"X-Auth-Token": session.token, "Location": session.path})

    def _session_body(self, session: _Session) -> Body:
        return {
            "@odata.id": session.path,
            "@odata.type": "#Session.v1_3_0.Session",
            "Id": session.path.rpartition("/")[2],
            "Name": "User Session",
            "UserName": (self.store.get(session.account) or {}).get("UserName", self._lone_account[0]),
        }

    def _log_out(self, path: str) -> bool:
        left = {token: session for token, session in self.sessions.items() if session.path != path}
        found = len(left) != len(self.sessions)
        self.sessions = left
        return found


async def _json(request: web.BaseRequest) -> Body:
    raw = b""
    async for chunk in request.content.iter_chunked(CHUNK):
        raw += chunk
        if len(raw) > MAX_JSON:
            raise RedfishError("MalformedJSON", status=413)
    return _parsed(raw) if raw.strip() else {}


def _parsed(raw: bytes) -> Body:
    try:
        body = json.loads(raw)
    except ValueError:
        raise RedfishError("MalformedJSON") from None
    if not isinstance(body, dict):
        raise RedfishError("MalformedJSON")
    return body


def _respond(request: web.BaseRequest, answer: Answer) -> web.Response:
    headers = {"OData-Version": "4.0", "Cache-Control": "no-cache", **answer.headers}
    if answer.body is None or request.method == "HEAD":
        return web.Response(status=answer.status, headers=headers)
    raw = json.dumps(answer.body).encode()
    return web.Response(status=answer.status, body=raw, headers=headers, content_type="application/json")


def _drop(request: web.BaseRequest) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=503)  # reaches nobody


def _masked(body: Body) -> Body:
    return {name: "********" if "password" in name.lower() else value for name, value in body.items()}
