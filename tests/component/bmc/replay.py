"""A tiny HTTPS BMC that answers from a tree of Redfish resources and keeps what it was asked.

It is for conversations: a test says what each request is answered, and looks at what was asked. It knows sessions,
basic authentication and ETags, and nothing of servers: what a write changes is for the test to say. A capture that
behaves as a BMC when it is written to is `lab.replay` (tests/support/replaying.py starts one).
"""

from __future__ import annotations

import base64
import json
import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

USERNAME, PASSWORD = "admin", "correct horse"
SESSIONS = "/redfish/v1/SessionService/Sessions"


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    headers: Mapping[str, str]
    body: Any


@dataclass
class Reply:
    status: int
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)


Responder = Callable[[Asked], Reply | None]


class Replay:
    """:param resources: path → body; anything with ``get``. :param respond: asked first; None lets the tree answer."""

    def __init__(
        self, resources: Any, context: ssl.SSLContext, respond: Responder | None = None, host: str = "127.0.0.1"
    ) -> None:
        self.resources = resources
        self.respond = respond
        self.asked: list[Asked] = []
        self.sessions: dict[str, str] = {}
        self.opened = 0
        self.basic_allowed = True
        replay = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # a status line and a body in two packets would wait for the other side's delayed acknowledgement
            disable_nagle_algorithm = True
            wbufsize = -1

            def do(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                raw = self.rfile.read(length) if length else b""
                kind = self.headers.get("Content-Type", "application/json")
                body = (json.loads(raw) if raw else None) if "json" in kind else raw  # an upload stays what it is
                asked = Asked(self.command, self.path, dict(self.headers.items()), body)
                replay.asked.append(asked)
                reply = replay.answer(asked)
                if reply.status == 0:
                    self.close_connection = True
                    return
                payload = reply.body if isinstance(reply.body, bytes) else b""
                if reply.body is not None and not isinstance(reply.body, bytes):
                    payload = json.dumps(reply.body).encode()
                self.send_response(reply.status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(payload)))
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(payload)

            do_GET = do_POST = do_PATCH = do_DELETE = do_PUT = do

            def log_message(self, *args: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            address_family = __import__("socket").AF_INET6 if ":" in host else __import__("socket").AF_INET

            def get_request(self) -> Any:
                sock, address = super().get_request()
                return context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False), address

            def handle_error(self, request: Any, client_address: Any) -> None:
                pass

        self._server = Server((host, 0), Handler)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def requests(self, *methods: str) -> list[str]:
        return [f"{asked.method} {asked.path}" for asked in self.asked if not methods or asked.method in methods]

    # -- answering

    def answer(self, asked: Asked) -> Reply:
        path = asked.path.split("?")[0].rstrip("/")
        if self.respond is not None and (reply := self.respond(asked)) is not None:
            return reply
        if asked.method == "POST" and path == SESSIONS:
            return self._log_in(asked)
        if path != "/redfish/v1" and not self._known(asked):
            return Reply(401, error("Base.1.12.0.NoValidSession", "There is no valid session."))
        if asked.method == "DELETE" and path.startswith(SESSIONS):
            self.sessions = {token: uri for token, uri in self.sessions.items() if uri != path}
            return Reply(204)
        body = self.resources.get(asked.path) or self.resources.get(path)
        if body is None:
            return Reply(404, error("Base.1.12.0.ResourceMissingAtURI", f"There is nothing at {path}."))
        if asked.method == "GET":
            etag = body.get("@odata.etag")
            return Reply(200, body, {"ETag": etag} if etag else {})
        return Reply(405, error("Base.1.12.0.OperationNotAllowed", "The operation is not allowed."))

    def _log_in(self, asked: Asked) -> Reply:
        if asked.body != {"UserName": USERNAME, "Password": PASSWORD} or "Authorization" in asked.headers:
            return Reply(401, error("Base.1.12.0.NoValidSession", "Wrong."))
        self.opened += 1
        token, uri = f"token-{self.opened}", f"{SESSIONS}/{self.opened}"
        self.sessions[token] = uri
        return Reply(201, {"@odata.id": uri}, {"X-Auth-Token": token, "Location": uri})

    def _known(self, asked: Asked) -> bool:
        pair = base64.b64encode(f"{USERNAME}:{PASSWORD}".encode()).decode()
        if self.basic_allowed and asked.headers.get("Authorization") == f"Basic {pair}":
            return True
        return asked.headers.get("X-Auth-Token") in self.sessions


def error(message_id: str, message: str) -> dict[str, Any]:
    return {"error": {"code": message_id, "@Message.ExtendedInfo": [{"MessageId": message_id, "Message": message}]}}
