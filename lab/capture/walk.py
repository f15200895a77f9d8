"""Reading a BMC: every link once, one request in flight, within bounds, resumable.

Answers are kept in a private folder as they came, until the whole is written pseudonymised (`lab.capture.write`): only
then is it known which of the strings seen earlier are serial numbers.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests

ROOT = "/redfish/v1"
REQUEST_TIMEOUT_S = 60.0
TRIES = 3
MAX_ANSWER = 50_000_000
# What a later look may want to know of an answer; the rest is the web server's.
HEADERS = ("Allow", "ETag", "Link", "OData-Version", "Content-Type", "Retry-After", "Server", "Cache-Control")
# Schemas are the DMTF's and fill three quarters of some trees; what a session is called is nobody's business.
SKIPPED = ("/JsonSchemas/", "/SchemaStore/", "/schemastore/")


class WalkError(Exception):
    """The BMC cannot be walked: what was tried and what came back is in the message."""


@dataclass(frozen=True)
class Limits:
    """:param depth: path segments below /redfish/v1. :param seconds: of the whole walk, this time."""

    depth: int = 20
    resources: int = 20_000
    seconds: float = 7_200.0


@dataclass
class Answer:
    """One resource as it came. ``body`` is None where the BMC answered an error."""

    path: str
    status: int
    seconds: float
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = None
    text: str | None = None


class Walk:
    """:param kept: the private folder with what has been read so far; a second walk over it goes on where it ended."""

    def __init__(
        self,
        url: str,
        username: str,
        password: str,
        kept: Path,
        *,
        verify: str | bool = True,
        limits: Limits | None = None,
        say: Callable[[int, str], None] = lambda number, path: None,
    ) -> None:
        self._url = url.rstrip("/")
        self._login = (username, password)
        self._kept = kept
        self._verify = verify
        self._limits = limits or Limits()
        self._say = say
        self._http = requests.Session()
        self._http.trust_env = False
        self._http.headers["Accept-Encoding"] = "identity"  # gzip makes ETags weak on several BMCs
        self._session: str | None = None
        self.complete = False
        self.sessions = f"{ROOT}/SessionService/Sessions"

    def run(self) -> None:
        """Read what is not kept yet. Raises WalkError when the service root or the login is refused."""
        self._kept.mkdir(mode=0o700, parents=True, exist_ok=True)
        end = time.monotonic() + self._limits.seconds
        try:
            root = self._kept_answer(ROOT) or self._ask(ROOT)
            if not isinstance(root.body, dict):
                raise WalkError(f"GET {self._url}{ROOT} is answered {root.status} and no Redfish service root")
            self._log_in(root.body)
            self.complete = self._walk(end)
        finally:
            self._log_out()

    def _walk(self, end: float) -> bool:
        """Whether everything within the limits has been read."""
        waiting, seen, number = deque([ROOT]), {ROOT}, 0
        whole = True
        while waiting:
            path = waiting.popleft()
            answer = self._kept_answer(path)
            if answer is None:
                if time.monotonic() >= end:
                    return False
                answer = self._ask(path)
                self._keep(answer)
            number += 1
            self._say(number, path)
            for link in links(answer.body):
                if link in seen or not self._wanted(link):
                    continue
                if len(seen) >= self._limits.resources:
                    whole = False
                    continue
                seen.add(link)
                waiting.append(link)
        return whole

    def _wanted(self, path: str) -> bool:
        below = path.removeprefix(ROOT)
        if path.startswith(f"{self.sessions}/") or any(part in path for part in SKIPPED):
            return False
        return below.count("/") <= self._limits.depth

    # -- what is kept

    def answers(self) -> Iterator[Answer]:
        """Everything read so far."""
        for file in sorted(self._kept.glob("*.json")):
            yield Answer(**json.loads(file.read_text()))

    def _file(self, path: str) -> Path:
        return self._kept / f"{hashlib.sha256(path.encode()).hexdigest()[:32]}.json"

    def _kept_answer(self, path: str) -> Answer | None:
        try:
            return Answer(**json.loads(self._file(path).read_text()))
        except (FileNotFoundError, ValueError):
            return None  # a file cut short by a kill is read anew

    def _keep(self, answer: Answer) -> None:
        file = self._file(answer.path)
        whole = file.with_suffix(".part")
        whole.touch(mode=0o600)
        whole.write_text(json.dumps(asdict(answer)))
        whole.rename(file)

    # -- HTTP

    def _ask(self, path: str) -> Answer:
        """GET, tried again when the BMC is busy or says nothing. Raises WalkError when it cannot be reached at all."""
        problem = ""
        for attempt in range(TRIES):
            if attempt:
                time.sleep(2.0**attempt)
            started = time.monotonic()
            try:
                response = self._http.get(
                    self._url + path, timeout=REQUEST_TIMEOUT_S, verify=self._verify, allow_redirects=False
                )
            except requests.RequestException as error:
                problem = str(error)
                continue
            if response.status_code in (429, 500, 503) and attempt + 1 < TRIES:
                continue
            return _answer(path, response, time.monotonic() - started)
        if path == ROOT:
            raise WalkError(f"GET {self._url}{path}: {problem}")
        return Answer(path, 0, 0.0, {}, None, problem)

    def _log_in(self, root: dict[str, Any]) -> None:
        """A session where the BMC has them, else basic credentials."""
        linked = root.get("Links", {}).get("Sessions", {}) if isinstance(root.get("Links"), dict) else {}
        self.sessions = str(linked.get("@odata.id") or self.sessions).rstrip("/")
        username, password = self._login
        try:
            response = self._http.post(
                self._url + self.sessions,
                json={"UserName": username, "Password": password},
                timeout=REQUEST_TIMEOUT_S,
                verify=self._verify,
                allow_redirects=False,
            )
        except requests.RequestException as error:
            raise WalkError(f"POST {self._url}{self.sessions}: {error}") from error
        token = response.headers.get("X-Auth-Token")
        if response.status_code in (401, 403):
            raise WalkError(f"POST {self._url}{self.sessions}: {response.status_code}, the login is refused")
        if response.ok and token:
            self._http.headers["X-Auth-Token"] = token
            location = response.headers.get("Location") or ""
            self._session = urlsplit(location).path or None
        else:
            self._http.auth = self._login

    def _log_out(self) -> None:
        if self._session:
            with contextlib.suppress(requests.RequestException):  # it ends by itself
                self._http.delete(self._url + self._session, timeout=10, verify=self._verify)
            self._session = None
        self._http.close()


def _answer(path: str, response: requests.Response, seconds: float) -> Answer:
    headers = {name: response.headers[name] for name in HEADERS if name in response.headers}
    answer = Answer(path, response.status_code, round(seconds, 3), headers)
    if len(response.content) > MAX_ANSWER:
        answer.text = f"{len(response.content)} bytes"
    elif response.status_code == 200:
        try:
            answer.body = response.json()
        except ValueError:
            answer.text = response.text
    return answer


def links(body: Any) -> Iterator[str]:
    """Every path that a body refers to: links, next pages, action infos, and files of registries."""
    if isinstance(body, list):
        for part in body:
            yield from links(part)
    elif isinstance(body, dict):
        for name, value in body.items():
            if isinstance(value, str):
                if name in ("@odata.id", "@Redfish.ActionInfo", "Uri") or name.endswith("@odata.nextLink"):
                    path = _path(value)
                    if path:
                        yield path
            else:
                yield from links(value)


def _path(reference: str) -> str | None:
    """The path of a link, with its query (a page is a resource of its own) and without fragment; None for others."""
    path = reference.split("#")[0].rstrip("/")
    return path if path == ROOT or path.startswith(f"{ROOT}/") else None
