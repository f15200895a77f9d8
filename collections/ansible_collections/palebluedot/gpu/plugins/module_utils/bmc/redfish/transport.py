# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""Requests to one Redfish service, on the DMTF ``redfish`` library, with typed errors.

The library builds requests, logs out and reads answers; what it leaves to its callers is here. It repeats every request
ten times by default, POST included, so it is told never to, and only reads are repeated, by us; it has no deadline; it
knows no ETags; and it raises one exception for everything. The connection below it is ours (``https.py``).
"""

from __future__ import annotations

import base64
import random
import re
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.client import HTTPException, IncompleteRead
from json import loads
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.base import AnswerLost, Refused
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.deadline import Deadline
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.redfish.https import (
    CONNECT_TIMEOUT_S,
    Elsewhere,
    HttpsSession,
    NotConnected,
    context_for,
    fingerprint_of,
)
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.redfish.patience import patiently
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.redfish.upload import Plain, Unreadable
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.values import dig, selected, table, tables, text
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.vendors.messages import (
    IN_POST,
    NO_MORE_SESSIONS,
    NOT_NOW,
)
from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import (
    AuthenticationError,
    BadAnswer,
    Busy,
    Conflict,
    DeadlineExceeded,
    InvalidInput,
    LicenceMissing,
    NotFound,
    PaleBlueDotError,
    Unreachable,
    Unsupported,
)
from ansible_collections.palebluedot.gpu.plugins.module_utils.packages import need

MISSING: ImportError | None = None
try:
    from redfish.rest.v1 import HttpClient, RestResponse, RetriesExhaustedError
except ImportError as missing:
    MISSING = missing

ROOT = "/redfish/v1/"
SYSTEMS = "/redfish/v1/Systems"
# Fixed by the Redfish specification since 1.6; older services link to it from the root.
SESSIONS = "/redfish/v1/SessionService/Sessions"
LOGOUT_TIMEOUT_S = 5.0
READ_TRIES = 3
# This part of an operation's time is not waited away while the BMC says "not now": what follows is to have it.
_KEPT = 0.2
# Basic among the challenges of WWW-Authenticate (RFC 9110, 11.6.1)
_BASIC = re.compile(r"(?:^|,)\s*Basic\b", re.IGNORECASE)


@dataclass(frozen=True)
class Answer:
    """What came back from a write: ``body`` is {} when there was none."""

    status: int
    body: dict[str, Any]
    location: str | None
    etag: str | None = None


class RedfishTransport:
    """One BMC's HTTPS connection, session and errors.

    :param address: name, IPv4 or IPv6 address.
    :param auth: ``session``, ``basic``, or ``auto``: basic until `use_session` is called or basic is refused.
    """

    def __init__(
        self,
        address: str,
        port: int | None,
        username: str,
        password: str,
        *,
        validate_certs: bool = True,
        ca_path: str | None = None,
        fingerprint: str | None = None,
        auth: str = "session",
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        need("redfish", MISSING)
        self.host = url_host(address) + (f":{port}" if port not in (None, 443) else "")
        self._username = username
        self._password = password
        self._auth = auth
        self._sleep = sleep
        self._logged_in = False
        self._session_path: str | None = None
        self._drop_identity: set[str] = set()
        pin = fingerprint_of(fingerprint) if fingerprint else None
        bare = address.strip().strip("[]")
        context = context_for(ca_path, validate_certs and pin is None)
        self._sibling: Callable[[str, str], RedfishTransport] = lambda name, word: RedfishTransport(
            address,
            port,
            name,
            word,
            validate_certs=validate_certs,
            ca_path=ca_path,
            fingerprint=fingerprint,
            auth="basic" if auth == "basic" else "session",
            sleep=sleep,
        )
        self._session = HttpsSession(bare, port or 443, context, pin)
        self._client = HttpClient(
            f"https://{self.host}", username=username, password=password, max_retry=0, check_connectivity=False
        )
        self._client._session.close()
        self._client._session = self._session

    # -- reading ------------------------------------------------------------------------------------------------------

    def get_public(self, path: str, deadline: Deadline) -> dict[str, Any]:
        """A resource that is shown to everybody, such as the service root: no credential is sent."""
        return self._body_of(self._send("GET", path, None, {}, deadline, login=True), "GET", path)

    def get(self, path: str, deadline: Deadline) -> dict[str, Any]:
        """The resource; read again when the connection drops or the BMC stumbles."""
        body, _response = self._get(path, deadline)
        return body

    def get_optional(self, path: str | None, deadline: Deadline) -> dict[str, Any] | None:
        """The resource, or None where this BMC has none (or there is no link to it)."""
        if path is None:
            return None
        try:
            return self.get(path, deadline)
        except (NotFound, Unsupported):
            return None

    def get_with_etag(self, path: str, deadline: Deadline) -> tuple[dict[str, Any], str | None]:
        """The resource and its ETag, from the header or else from the body."""
        body, response = self._get(path, deadline)
        return body, text(response.getheader("etag")) or text(body.get("@odata.etag"))

    def members(self, path: str | None, deadline: Deadline) -> list[str]:
        """Paths of a collection's members over all its pages; [] where there is no such collection."""
        found: dict[str, None] = {}
        pages: set[str] = set()
        while path is not None and path not in pages and len(pages) < 64:
            pages.add(path)
            page = self.get_optional(path, deadline)
            if page is None:
                break
            for member in tables(page.get("Members")):
                uri = member.get("@odata.id")
                if isinstance(uri, str) and uri.startswith("/"):
                    found[uri] = None
            count = page.get("Members@odata.count")
            # some firmware keeps a next link on a page that already holds everything
            path = None if isinstance(count, int) and len(found) >= count else text(page.get("Members@odata.nextLink"))
        return list(found)

    def _get(self, path: str, deadline: Deadline) -> tuple[dict[str, Any], RestResponse]:
        for tries_left in range(READ_TRIES - 1, -1, -1):
            try:
                response = self._send("GET", path, None, {}, deadline)
                body = self._body_of(response, "GET", path)
                if response.status in (301, 302, 307, 308) or not body:
                    raise BadAnswer(
                        "the BMC answered a read without a resource",
                        host=self.host,
                        tried=f"GET {path}",
                        answer=f"{response.status}, {len(response.read or b'')} bytes",
                        next="Check that the address is a Redfish service and not a proxy or a console.",
                    )
                return body, response
            except (Unreachable, BadAnswer) as problem:
                # a connection that times out has taken its share of the deadline; a second one would take the rest
                if not problem.retryable or not tries_left or problem.code == "connect_timeout":
                    raise
                self._pause(0.2 * 3 ** (READ_TRIES - 1 - tries_left), deadline, problem)
        raise AssertionError("not reached")

    # -- writing ------------------------------------------------------------------------------------------------------

    def post(self, path: str, body: Mapping[str, Any], deadline: Deadline) -> Answer:
        """POST once. Sent again only where the BMC says that it has not taken it: too busy, or the server in POST."""
        return self._patiently(lambda: self._write("POST", path, body, {}, deadline), deadline)

    def patch(self, path: str, body: Mapping[str, Any], deadline: Deadline, *, etag: str | None = None) -> Answer:
        """PATCH with If-Match where there is an ETag; again where the BMC says that it takes no change during POST.

        POST gives resources new tags. That is no change by somebody else while what is to be written reads as before.

        :raises Conflict: ``precondition_failed`` where somebody else has changed the resource meanwhile.
        """
        tag, shown = etag, None

        def send() -> Answer:
            nonlocal tag, shown
            if shown is not None:
                found, fresh = self.get_with_etag(path, deadline)
                tag = fresh if selected(found, body) == shown else tag
            try:
                return self._patch(path, body, deadline, tag)
            except PaleBlueDotError as problem:
                if shown is None and tag not in (None, "*") and _in_post(problem):
                    shown = selected(self.get(path, deadline), body)
                raise

        return self._patiently(send, deadline)

    def _patch(self, path: str, body: Mapping[str, Any], deadline: Deadline, etag: str | None) -> Answer:
        """AMI, Supermicro, HPE and Lenovo want an If-Match; some of them then compare a weak tag with a strong one and
        refuse what they handed out. So: as given, then without its ``W/``, then without If-Match; and only while the
        resource still has the tag that was refused, or none."""
        ladder: list[str | None] = [etag] if etag else []
        if etag and etag.startswith("W/"):
            ladder.append(etag[2:])
        ladder.append(None)
        for tag in ladder:
            try:
                return self._write("PATCH", path, body, {"If-Match": tag} if tag else {}, deadline)
            except Conflict as problem:
                if problem.code != "precondition_failed" or tag is None or self._is_changed(path, tag, deadline):
                    raise
        raise AssertionError("not reached")

    def _patiently(self, send: Callable[[], Answer], deadline: Deadline) -> Answer:
        return patiently(send, _in_post, deadline.remaining() - _KEPT * deadline.seconds, self._sleep)

    def _is_changed(self, path: str, tag: str, deadline: Deadline) -> bool:
        """Whether the resource has another tag by now. Header and body need not show the same one."""
        if tag == "*":
            return False
        try:
            body, response = self._get(path, deadline)
        except (NotFound, Unsupported):
            return False
        fresh = {text(response.getheader("etag")), text(body.get("@odata.etag"))} - {None, ""}
        return bool(fresh) and tag.removeprefix("W/") not in {str(one).removeprefix("W/") for one in fresh}

    def delete(self, path: str, deadline: Deadline, body: Mapping[str, Any] | None = None) -> Answer:
        """:param body: annotations such as ``@Redfish.OperationApplyTime``; nearly always there is none."""
        return self._patiently(lambda: self._write("DELETE", path, body, {}, deadline), deadline)

    def upload(self, path: str, content: Plain, deadline: Deadline) -> Answer:
        """POST a file, piece by piece and once only: not even "too busy, come again" sends it a second time.

        :param deadline: for the whole upload and its answer; ``bmc_timeout`` is too short for a firmware image.
        """
        self.use_session()
        self._authenticate(deadline)
        if deadline.remaining() <= 0:
            raise self._too_late("POST", path, deadline, "nothing was sent any more")
        self._session.deadline = deadline
        headers = {**self._client._get_req_headers({"Accept": "application/json"}), **content.headers}
        try:
            raw = self._session.request("POST", f"https://{self.host}{path}", data=content, headers=headers)
        except Unreadable as problem:
            raise InvalidInput(
                "the image cannot be read to its end",
                host=self.host,
                tried=f"POST {path}",
                answer=str(problem),
                next="Check the file and the disk that it is on; the BMC got a part of it and no more.",
            ) from problem
        except (Elsewhere, HTTPException, NotConnected, OSError) as problem:
            raise self._transport_problem(problem, "POST", path, deadline, harmless=False) from problem
        response = RestResponse(None, raw)
        if response.status >= 400:
            raise self._problem(response, "POST", path)
        return self._answer_of(response, "POST", path)

    def write(
        self, method: str, path: str, body: Mapping[str, Any] | None, headers: dict[str, str], deadline: Deadline
    ) -> Answer:
        """One write as it is given, with its own headers; for what the other methods do not do."""
        return self._write(method, path, body, headers, deadline)

    def _write(
        self, method: str, path: str, body: Mapping[str, Any] | None, headers: dict[str, str], deadline: Deadline
    ) -> Answer:
        return self._answer_of(self._send(method, path, body, headers, deadline), method, path)

    def _answer_of(self, response: RestResponse, method: str, path: str) -> Answer:
        location = response.getheader("location")
        if location:
            location = urlsplit(location).path
        try:
            answer = self._body_of(response, method, path)
        except BadAnswer:
            answer = {}  # it was accepted; what the BMC says about it is decoration
        return Answer(response.status, answer, location, text(response.getheader("etag")))

    # -- sessions -----------------------------------------------------------------------------------------------------

    def use_session(self) -> None:
        """From here on more than a read or two will follow: log in once instead of sending the password each time."""
        if self._auth == "auto":
            self._auth = "session"

    def use_basic(self) -> None:
        """From here on send user name and password with each request: for an account that gets no session."""
        self._auth = "basic"

    def another(self, username: str, password: str) -> RedfishTransport:
        """A connection of its own to the same BMC, for somebody else; the caller closes it."""
        return self._sibling(username, password)

    def anew(self) -> RedfishTransport:
        """The same account on a connection and session of its own."""
        return self._sibling(self._username, self._password)

    def look(self, path: str, deadline: Deadline) -> tuple[int, dict[str, Any]]:
        """Status and body of one read with the session that there is: none is opened.

        :raises PaleBlueDotError: no answer came, twice: some BMCs drop a connection that has been used before.
        """
        for last in (False, True):
            try:
                response = self._send_once("GET", path, None, {}, deadline, harmless=True)
                return response.status, self._body_of(response, "GET", path) if response.status == 200 else {}
            except PaleBlueDotError:
                if last:
                    raise
        raise AssertionError("not reached")

    def log_in(self, deadline: Deadline) -> None:
        """Prove who we are with one try, and do nothing else.

        :raises AuthenticationError: ``authentication_failed`` for a wrong pair.
        """
        self._authenticate(deadline)
        if not self._logged_in:  # basic: only a read shows whether it is accepted
            self.get(SYSTEMS, deadline)

    @property
    def username(self) -> str:
        return self._username

    @property
    def session_path(self) -> str | None:
        """Where this connection's own session is; None without one."""
        return self._session_path if self._logged_in else None

    def close(self) -> None:
        """Log out and close. Never raises: what happened before matters more."""
        try:
            if self._logged_in:
                self._logged_in = False
                # a BMC that has just used up an operation's whole time is told once more, and not waited for
                in_vain = self._session.deadline.expired
                self._session.deadline = Deadline(LOGOUT_TIMEOUT_S / 10 if in_vain else LOGOUT_TIMEOUT_S)
                self._client.logout()
        except Exception:
            # The session runs out by itself on the BMC; there is nobody to tell who could do something about it.
            return
        finally:
            self._session.close()

    def _authenticate(self, deadline: Deadline) -> None:
        if self._auth in ("basic", "auto"):
            if not self._client.get_authorization_key():
                pair = f"{self._username}:{self._password}".encode()
                self._client.set_authorization_key("Basic " + base64.b64encode(pair).decode("ascii"))
            return
        if not self._logged_in:
            self._log_in(deadline)

    def _log_in(self, deadline: Deadline) -> None:
        # Not HttpClient.login(): that reads the root first, and has no deadline and no Retry-After.
        self._client.set_authorization_key(None)
        self._client.set_session_key(None)
        credentials = {"UserName": self._username, "Password": self._password}
        path = SESSIONS
        try:
            response = self._send("POST", path, credentials, {}, deadline, login=True)
        except (NotFound, Unsupported):
            root = self._body_of(self._send("GET", ROOT, None, {}, deadline, login=True), "GET", ROOT)
            linked = dig(root, "Links", "Sessions", "@odata.id")
            if not isinstance(linked, str) or linked.rstrip("/") == SESSIONS:
                # no SessionService at all (some emulators and old firmware): basic is all there is
                self._auth = "basic"
                self._authenticate(deadline)
                return
            path = linked
            response = self._send("POST", path, credentials, {}, deadline, login=True)
        token = response.session_key
        body = self._body_of(response, "POST", path)
        location = response.getheader("location") or text(body.get("@odata.id"))
        if not token or not location:
            raise BadAnswer(
                "the BMC accepted the login and gave no session",
                host=self.host,
                tried=f"POST {path}",
                answer=f"{response.status}, X-Auth-Token {'present' if token else 'missing'}, "
                f"Location {'present' if location else 'missing'}",
                next="Try bmc_auth=basic, or restart the BMC.",
            )
        self._client.set_session_key(token)
        self._session_path = urlsplit(location).path
        self._client.set_session_location(self._session_path)
        self._logged_in = True

    # -- one request --------------------------------------------------------------------------------------------------

    def _send(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None,
        headers: dict[str, str],
        deadline: Deadline,
        *,
        login: bool = False,
    ) -> RestResponse:
        """Send one request until it is answered with something else than "later" or "log in again"."""
        renewed = False
        while True:
            if not login:
                self._authenticate(deadline)
            response = self._send_once(method, path, body, dict(headers), deadline, harmless=login or method == "GET")
            status = response.status
            if status < 400:
                return response
            if status == 401 and not login and not renewed and self._renew(response):
                renewed = True
                continue
            if status == 406 and path not in self._drop_identity:
                self._drop_identity.add(path)  # HPE serves its registries compressed or not at all
                continue
            problem = self._problem(response, method, path)
            after = response.retry_after if status in (409, 412, 429, 503) else None
            if after is not None:
                problem.details["retry_after"] = after
            if after is None or after < 0 or after >= deadline.remaining():
                raise problem
            # a refusal with a time is an invitation: nothing was done, so a write may be repeated too
            self._sleep(after + random.uniform(0, 0.1))  # noqa: S311  jitter

    def _renew(self, response: RestResponse) -> bool:
        """After a 401: whether another way of proving who we are is left."""
        if self._logged_in:  # the session ran out (30 s of silence on DGX and HPE)
            self._logged_in = False
            return True
        if self._auth == "auto" and not _BASIC.search(text(response.getheader("www-authenticate")) or ""):
            self._auth = "session"  # basic authentication is switched off here
            return True
        # where basic is offered the pair itself was refused: a login with it would count a second time
        return False

    def _send_once(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None,
        headers: dict[str, str],
        deadline: Deadline,
        *,
        harmless: bool,
    ) -> RestResponse:
        """:param harmless: whether it does no harm when it was carried out and nobody knows: reads and logins."""
        left = deadline.remaining()
        if left <= 0:
            raise self._too_late(method, path, deadline, "nothing was sent any more")
        if path in self._drop_identity:
            headers["Accept-Encoding"] = "gzip"
        headers.setdefault("Accept", "application/json")
        self._session.deadline = deadline
        try:
            # the library's own request method: its get() and post() are this with fewer arguments
            return self._client._rest_request(
                path,
                method=method,
                body=None if body is None else dict(body),
                headers=headers,
                allow_redirects=method == "GET",
                max_retry=0,
            )
        except RetriesExhaustedError as exhausted:
            problem = exhausted.__cause__ or exhausted
            raise self._transport_problem(problem, method, path, deadline, harmless) from problem

    # -- errors -------------------------------------------------------------------------------------------------------

    def _pause(self, seconds: float, deadline: Deadline, problem: PaleBlueDotError) -> None:
        if deadline.remaining() <= seconds:
            raise problem
        self._sleep(seconds)

    def _too_late(self, method: str, path: str, deadline: Deadline, answer: str) -> DeadlineExceeded:
        return DeadlineExceeded(
            f"the BMC did not answer within {deadline.seconds:g} s",
            host=self.host,
            tried=f"{method} {path}",
            answer=answer,
            next="Try again; if it stays silent, restart the BMC or raise bmc_timeout.",
        )

    def _transport_problem(
        self, problem: BaseException, method: str, path: str, deadline: Deadline, harmless: bool
    ) -> PaleBlueDotError:
        request = f"{method} {path}"
        answer = f"{type(problem).__name__}: {problem}"
        if isinstance(problem, ssl.SSLError) and not isinstance(problem, TimeoutError):
            return Unreachable(
                "the BMC's TLS certificate or protocol was not accepted",
                code="tls_failed",
                host=self.host,
                tried=request,
                answer=str(problem),
                next="Give the CA in bmc_ca_path, or pin the certificate with bmc_fingerprint.",
                retryable=False,
            )
        if isinstance(problem, Elsewhere):
            return BadAnswer(
                "the BMC sends the request elsewhere",
                host=self.host,
                tried=request,
                answer=f"redirected to {problem}",
                next="Give the address that it redirects to, if it is to be trusted.",
                retryable=False,
            )
        if isinstance(problem, NotConnected):
            silent = isinstance(problem.__cause__, TimeoutError)
            allowed = f", connecting for {min(CONNECT_TIMEOUT_S, deadline.seconds):g} s" if silent else ""
            return Unreachable(
                "the BMC cannot be reached",
                code="connect_timeout" if silent else "unreachable",
                host=self.host,
                tried=request + allowed,
                answer=str(problem),
                next="Check address and port, the management network, and that the BMC has power and a web service.",
            )
        timed_out = deadline.expired or isinstance(problem, TimeoutError)
        if not harmless:
            return AnswerLost(
                "the BMC's answer to a write was lost, so it is not known whether it was carried out",
                host=self.host,
                tried=request,
                answer=f"silence for {deadline.seconds:g} s" if timed_out else answer,
                next="Read the state back before sending it again.",
            )
        if timed_out:
            return self._too_late(method, path, deadline, "silence, or an answer that did not end")
        # RemoteDisconnected is a BadStatusLine too, and IncompleteRead says the same as a reset
        if isinstance(problem, HTTPException) and not isinstance(problem, ConnectionError | IncompleteRead):
            return BadAnswer(
                "the BMC does not speak HTTP",
                host=self.host,
                tried=request,
                answer=answer,
                next="Check that the port is the Redfish service's; restart the BMC if it is.",
            )
        return Unreachable(
            "the BMC dropped the connection",
            code="connection_dropped",
            host=self.host,
            tried=request,
            answer=answer,
            next="Try again; restart the BMC if it goes on.",
        )

    def _body_of(self, response: RestResponse, method: str, path: str) -> dict[str, Any]:
        raw = response.read
        if not raw:
            return {}
        try:
            body = loads(raw)
        except (ValueError, RecursionError) as error:
            raise BadAnswer(
                "the BMC's answer is not JSON",
                code="not_json",
                host=self.host,
                tried=f"{method} {path}",
                answer=f"{response.status}: {response.text[:200]}",
                next="Check that the address is a Redfish service; restart the BMC if it is.",
            ) from error
        if not isinstance(body, dict):
            raise BadAnswer(
                "the BMC's answer is not a Redfish resource",
                host=self.host,
                tried=f"{method} {path}",
                answer=f"{response.status}: {response.text[:200]}",
                next="Check that the address is a Redfish service; restart the BMC if it is.",
            )
        return body

    def _problem(self, response: RestResponse, method: str, path: str) -> PaleBlueDotError:
        """The typed error of a status of 400 and above, told from it and the message ids (DSP0268 Base registry)."""
        status = response.status
        try:
            body = self._body_of(response, method, path)
        except BadAnswer:
            body = {}
        ids, messages = _extended_info(body)
        said = "; ".join(messages) or text(dig(body, "error", "message")) or (response.text or "")[:300].strip()
        facts: dict[str, Any] = {
            "host": self.host,
            "tried": f"{method} {path}",
            "answer": f"{status} {said}".strip(),
            "details": {"status": status, "message_ids": sorted(ids)},
        }
        lowered = said.lower()
        if "PasswordChangeRequired" in ids:
            return AuthenticationError(
                "the BMC wants the account's password changed first",
                code="password_change_required",
                next="Change the password of this account once (bmc_user does), then run again.",
                **{**facts, "details": {**facts["details"], "account": _account_to_change(body)}},
            )
        if status in (400, 403, 500) and ("license" in lowered or "licence" in lowered):
            return LicenceMissing("the BMC wants a licence for this", next="Install the BMC's licence.", **facts)
        if status == 401 or "UnauthorizedLoginAttempt" in ids:  # iLO says 400 and this
            return AuthenticationError(
                "the BMC refused the user name or password",
                next="Check the credential; several tries lock the account on most BMCs.",
                **facts,
            )
        if status == 403:
            return AuthenticationError(
                "the BMC account may not do this",
                code="forbidden",
                next="Give the account the Operator or Administrator role.",
                **facts,
            )
        if status == 404:
            return NotFound("the BMC has no such resource", next="Check system_id and the firmware version.", **facts)
        if status in (405, 501) or ids & {"ActionNotSupported", "ActionParameterNotSupported", "PropertyUnknown"}:
            return Unsupported("the BMC does not offer this", next="Check the firmware version.", **facts)
        if status in (412, 428):
            return Conflict(
                "the resource changed on the BMC meanwhile",
                code="precondition_failed",
                next="Run again.",
                retryable=True,
                **facts,
            )
        if ids & NO_MORE_SESSIONS or (status == 503 and "SessionService" in path):
            return Busy(
                "the BMC holds no more sessions",
                code="sessions_exhausted",
                next="End sessions that nobody uses any more, or wait until they run out; BMCs hold 8 to 16 of them. "
                "bmc_auth=basic needs none.",
                **facts,
            )
        if status in (429, 503) or ids & {"ServiceTemporarilyUnavailable", "ServiceInUnknownState", "ResourceInUse"}:
            return Busy("the BMC is busy", next="Try again in a minute.", **facts)
        if status == 409 or ids & NOT_NOW:
            return Conflict(
                "the BMC cannot do this now",
                next="Wait until the server has passed POST, or raise bmc_timeout.",
                retryable=True,
                **facts,
            )
        if status >= 500:
            return BadAnswer("the BMC failed inside", next="Try again; restart the BMC if it goes on.", **facts)
        return Refused("the BMC refused the request", next="Compare the request with what the BMC allows.", **facts)


def url_host(address: str) -> str:
    """The address as it stands in a URL: IPv6 in brackets."""
    bare = address.strip().strip("[]")
    return f"[{bare}]" if ":" in bare else bare


def _in_post(problem: PaleBlueDotError) -> bool:
    """Whether the BMC has refused a write for as long as the server is in POST, so that it certainly was not done."""
    return bool(IN_POST & set(problem.details.get("message_ids", ())))


def _account_to_change(body: dict[str, Any]) -> str | None:
    """The first argument of Base.PasswordChangeRequired: the account's path."""
    for item in tables(dig(body, "error", "@Message.ExtendedInfo")) + tables(body.get("@Message.ExtendedInfo")):
        if str(item.get("MessageId", "")).endswith(".PasswordChangeRequired"):
            arguments = item.get("MessageArgs")
            named = arguments[0] if isinstance(arguments, list) and arguments else None
            if isinstance(named, str) and named.startswith("/redfish/"):
                return named
    return None


def _extended_info(body: dict[str, Any]) -> tuple[set[str], list[str]]:
    """Message ids (last part) and messages of an error body."""
    found = tables(dig(body, "error", "@Message.ExtendedInfo")) or tables(table(body).get("@Message.ExtendedInfo"))
    ids = {str(item.get("MessageId", "")).rsplit(".", 1)[-1] for item in found}
    return ids - {""}, [message for item in found if (message := text(item.get("Message")))]
