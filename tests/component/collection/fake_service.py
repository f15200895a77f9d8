"""A small service that keeps state: enough of the API to run modules twice and see the difference."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

Json = dict[str, Any]
Answer = tuple[int, Any]
TOKEN = "pbd_component-test-token"
PASSWORD = "bmc-p4ssw0rd"


class FakeService(ThreadingHTTPServer):
    """Start it, use ``url``, look into its attributes, ``close`` it."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.said: list[str] = []
        self.away = False
        self.allocations: dict[str, Json] = {}
        self.workflows: dict[str, Json] = {}
        self.ledger: list[Json] = []
        self.servers: dict[str, Json] = {}
        self.without_credential: set[str] = set()
        self.password = PASSWORD
        self.lock = threading.Lock()
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self.shutdown()
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that was killed is no error worth printing."""

    def add_server(self, name: str, **more: Any) -> None:
        self.servers[name] = {
            "id": f"srv_{name}",
            "name": name,
            "state": "available",
            "watched": True,
            "hands_off": False,
            "hands_off_reason": None,
            "rack": "r-1",
            "pool": "training",
            "model": "DGX H100",
            "manufacturer": None,
            "bmc_address": "10.0.0.1",
            "bmc_port": None,
            "bmc_protocol": "redfish",
            "bmc_validate_certs": True,
            "gpus": [],
            **more,
        }

    # -- routes ----------------------------------------------------------------------------------------------------

    def answer(self, method: str, path: str, query: dict[str, str], body: Any) -> Answer:
        for pattern, handler in self._routes():
            match = re.fullmatch(pattern, f"{method} {path.removeprefix('/api/v1')}")
            if match:
                with self.lock:
                    return handler(query, body, *match.groups())
        return 404, problem(404, "unknown_route")

    def _routes(self) -> list[tuple[str, Callable[..., Answer]]]:
        return [
            (r"GET /users/profile", lambda q, b: (200, {"id": "usr_1", "username": "ada"})),
            (r"GET /fleet/freeze", lambda q, b: (200, {"frozen": False, "reason": None})),
            (r"POST /gpu/allocate", self._allocate),
            (r"GET /allocations", lambda q, b: (200, page([a for a in self.allocations.values() if _fits(a, q)]))),
            (r"GET /allocations/(\w+)", lambda q, b, i: _one(self.allocations, i)),
            (r"DELETE /gpu/(\w+)/release", self._release),
            (r"GET /workflows/(\w+)", lambda q, b, i: _one(self.workflows, i)),
            (r"GET /workflows/(\w+)/run", self._document),
            (r"POST /workflows/(\w+)/claim", self._claim),
            (r"PUT /workflows/(\w+)/steps/(\w+)/servers/([\w-]+)/attempts/(\d+)", self._step),
            (r"GET /servers", self._list),
            (r"GET /servers/([\w-]+)", lambda q, b, i: _one(self.servers, i)),
            (r"PATCH /servers/([\w-]+)/flags", self._flags),
            (r"GET /servers/([\w-]+)/credential", self._credential),
        ]

    def _credential(self, query: Any, body: Any, server: str) -> Answer:
        if server in self.without_credential:
            return 404, {**problem(404, "no_credential"), "host": server}
        return 200, {"username": "admin", "password": self.password}

    def _allocate(self, query: Any, body: Json) -> Answer:
        number = len(self.allocations) + 1
        allocation, workflow = f"alloc_{number}", f"wf_{number}"
        self.allocations[allocation] = {
            "id": allocation,
            "status": "reserved",
            "user_id": "usr_1",
            "username": "ada",
            "workflow_id": workflow,
            "servers": [],
            **body,
        }
        self._new_workflow(workflow, allocation, "allocate")
        return 202, {"allocation_id": allocation, "workflow_id": workflow, "status": "reserved", "links": {}}

    def _new_workflow(self, workflow: str, allocation: str, kind: str) -> None:
        self.workflows[workflow] = {
            "id": workflow,
            "kind": kind,
            "status": "pending",
            "allocation_id": allocation,
            "fence": 0,
            "attempt": 0,
            "claimed_by": None,
            "steps": [],
        }

    def _release(self, query: Any, body: Any, allocation: str) -> Answer:
        workflow = f"{self.allocations[allocation]['workflow_id']}r"
        self._new_workflow(workflow, allocation, "release")
        self.allocations[allocation].update(status="releasing", workflow_id=workflow)
        return 202, {"allocation_id": allocation, "workflow_id": workflow, "status": "releasing", "links": {}}

    def _document(self, query: Any, body: Any, workflow: str) -> Answer:
        return 200, {"workflow": self.workflows[workflow], "allocation": None, "steps": [], "servers": []}

    def _claim(self, query: Any, body: Json, workflow: str) -> Answer:
        known = self.workflows[workflow]
        if known["claimed_by"] and body.get("takeover_fence") != known["fence"]:
            held = {"holder": known["claimed_by"], "claim_expires_at": "2026-11-21T12:00:00Z", "fence": known["fence"]}
            return 409, {**problem(409, "claim_held"), **held}
        known.update(
            claimed_by=body["claimant"], fence=known["fence"] + 1, attempt=known["attempt"] + 1, status="running"
        )
        return 200, {"workflow_id": workflow, "fence": known["fence"], "attempt": known["attempt"]}

    def _step(self, query: Any, body: Json, workflow: str, step: str, server: str, attempt: str) -> Answer:
        if body["fence"] != self.workflows[workflow]["fence"]:
            return 409, problem(409, "stale_fence")
        self.ledger.append({"step": step, "server": server, "attempt": int(attempt), **body})
        return 200, {"action": "run", "reason": None, "previous": None}

    def _list(self, query: dict[str, str], body: Any) -> Answer:
        fitting = [server for server in self.servers.values() if _fits(server, query)]
        start = int(query.get("cursor", 0))
        size = min(int(query.get("limit", 2)), 2)
        more = start + size < len(fitting)
        return 200, {"items": fitting[start : start + size], "next_cursor": str(start + size) if more else None}

    def _flags(self, query: Any, body: Json, server: str) -> Answer:
        self.servers[server].update(hands_off=body["hands_off"], hands_off_reason=body.get("reason"))
        return 200, self.servers[server]


def problem(status: int, code: str) -> Json:
    return {"type": "about:blank", "status": status, "title": code, "detail": f"{code}.", "code": code}


def page(items: list[Json]) -> Json:
    return {"items": items, "next_cursor": None}


def _one(things: dict[str, Json], name: str) -> Answer:
    return (200, things[name]) if name in things else (404, problem(404, "not_found"))


def _fits(thing: Json, query: dict[str, str]) -> bool:
    return all(thing.get(name) == value for name, value in query.items() if name not in ("cursor", "limit"))


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: FakeService

    def _serve(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        self.server.said.append(f"{self.command} {self.path}")
        if self.server.away:
            status, answer = 503, problem(503, "service_unavailable")
        elif self.headers.get("Authorization") != f"Bearer {TOKEN}":
            status, answer = 401, problem(401, "invalid_token")
        else:
            status, answer = self.server.answer(self.command, parts.path, query, body)
        content = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve

    def log_message(self, *_args: Any) -> None:
        return
