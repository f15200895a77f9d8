"""A service that follows a script: each test reads like a conversation (expected request, canned reply)."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from ansible_collections.palebluedot.gpu.plugins.module_utils.service.client import ServiceClient


@dataclass
class Exchange:
    """One expected request and its answer.

    ``status`` None drops the connection instead of answering, ``broken_off`` after so many bytes of the answer's body,
    or, below 0, within its head.
    """

    method: str
    path: str
    status: int | None
    answer: Any
    headers: dict[str, str] = field(default_factory=dict)
    delay_s: float = 0.0
    broken_off: int | None = None
    body: Any = None
    seen_headers: dict[str, str] = field(default_factory=dict)
    client_port: int = 0


class Conversation:
    """The script, and what was really said."""

    def __init__(self) -> None:
        self.expected: list[Exchange] = []
        self.done: list[Exchange] = []
        self.surprises: list[str] = []
        self.url = ""

    def expect(
        self,
        method: str,
        path: str,
        status: int | None = 200,
        answer: Any = None,
        headers: dict[str, str] | None = None,
        delay_s: float = 0.0,
        broken_off: int | None = None,
    ) -> Exchange:
        exchange = Exchange(method, path, status, answer, headers or {}, delay_s, broken_off)
        self.expected.append(exchange)
        return exchange

    def problem(self, method: str, path: str, status: int, code: str, **more: Any) -> Exchange:
        document = {"status": status, "code": code, "title": code, "detail": f"{code}.", **more}
        return self.expect(method, path, status, document)

    def client(self, **options: Any) -> ServiceClient:
        return ServiceClient(self.url, **{"token": "t0ken", "timeout": 5.0, **options})

    def params(self, **more: Any) -> dict[str, Any]:
        return {"api_url": self.url, "api_token": "t0ken", "api_token_file": None, "api_ca_path": None, **more}


def _handler(talk: Conversation) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def _answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            said = f"{self.command} {self.path}"
            if not talk.expected:
                talk.surprises.append(said)
                self.send_error(500, "the script is over")
                return
            exchange = talk.expected.pop(0)
            if said != f"{exchange.method} {exchange.path}":
                talk.surprises.append(f"{said}, expected {exchange.method} {exchange.path}")
            exchange.body = body
            exchange.seen_headers = dict(self.headers.items())
            exchange.client_port = self.client_address[1]
            talk.done.append(exchange)
            if exchange.delay_s:
                threading.Event().wait(exchange.delay_s)
            if exchange.status is None:
                self.close_connection = True
                self.connection.close()
                return
            content = exchange.answer if isinstance(exchange.answer, bytes) else b""
            if exchange.answer is not None and not content:
                content = json.dumps(exchange.answer).encode()
            self.send_response(exchange.status)
            for name, value in exchange.headers.items():
                self.send_header(name, value)
            if exchange.broken_off is not None and exchange.broken_off < 0:
                self.flush_headers()
            else:
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content[: exchange.broken_off])
            if exchange.broken_off is not None:
                self.close_connection = True

        do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = _answer

        def log_message(self, *_args: Any) -> None:
            return

    return Handler


class QuietServer(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up (deadline tests) is no error worth printing."""


@pytest.fixture
def serve() -> Iterator[Callable[..., ThreadingHTTPServer]]:
    servers: list[ThreadingHTTPServer] = []

    def start(
        handler: type[BaseHTTPRequestHandler], host: str = "127.0.0.1", prepare: Any = None
    ) -> ThreadingHTTPServer:
        kind = type("Server", (QuietServer,), {"address_family": __import__("socket").AF_INET6 if ":" in host else 2})
        server: ThreadingHTTPServer = kind((host, 0), handler)
        if prepare is not None:
            prepare(server)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def talk(serve: Callable[..., ThreadingHTTPServer]) -> Iterator[Conversation]:
    """The service of the test; at the end everything expected must have been said, and nothing else."""
    conversation = Conversation()
    server = serve(_handler(conversation))
    conversation.url = f"http://127.0.0.1:{server.server_port}"
    yield conversation
    assert conversation.surprises == []
    assert [f"{e.method} {e.path}" for e in conversation.expected] == [], "expected, and never asked"


@pytest.fixture
def scripted_handler() -> Callable[[Conversation], type[BaseHTTPRequestHandler]]:
    return _handler


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Sleeping in the collection takes no time; the list holds how long it would have been."""
    slept: list[float] = []
    monkeypatch.setattr("time.sleep", slept.append)
    return slept
