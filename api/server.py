"""Runs the service under gunicorn: one process, many threads, TLS where a certificate is given.

One worker process is deliberate: metrics and rate limits live in its memory, and more capacity is had by running more
instances of the service on one database. The worker ends when its parent does, SIGTERM lets running requests finish.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import ecs_logging
import gunicorn.app.base  # type: ignore[import-untyped]
import gunicorn.glogging  # type: ignore[import-untyped]
from flask import Flask

from api import logs
from api.app import create_app
from api.records import record
from api.settings import ApiSettings
from api.waiting import Waiters
from fleet.settings import Settings, get_settings

# Seconds that running requests get when the service is told to stop; those that only wait are answered at once.
GRACE_S = 30
# Idle seconds after which a kept-alive connection is dropped: more than the pauses of a client that polls.
KEEPALIVE_S = 30

Ready = Callable[[str], None]


class _Server(gunicorn.app.base.BaseApplication):  # type: ignore[misc]  # gunicorn has no type information
    """gunicorn configured from code alone; neither its command line nor its configuration files are read."""

    def __init__(self, app: Flask, options: dict[str, Any]) -> None:
        self.app, self.options = app, options
        super().__init__()

    def load_config(self) -> None:
        for name, value in self.options.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        return self.app


class EcsLogger(gunicorn.glogging.Logger):  # type: ignore[misc]
    """gunicorn's own (rare) lines in the same ECS JSON as everything else."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        for handler in self.error_log.handlers:
            handler.setFormatter(ecs_logging.StdlibFormatter())


def serve(
    settings: Settings | None = None,
    ready: Ready | None = None,
    *,
    options: ApiSettings | None = None,
    host: str | None = None,
    port: int | None = None,
    port_file: Path | None = None,
) -> int:
    """Serve until SIGTERM or SIGINT; must run in the main thread of its process.

    Args:
        settings: what to serve, and where unless ``host`` or ``port`` say otherwise. Port 0 takes a free one.
        ready: called once, in this process, with the service's URL when the socket listens.
        options: threads and TLS (default: from the environment, see `api.settings`).
        port_file: written (whole or not at all) with the bound port at the same moment.

    Returns:
        The exit status for the process: 0 after an ordered stop.

    Raises:
        Exception: when the app cannot be made from these settings; nothing listens then.
    """
    settings = settings or get_settings()
    options = options or ApiSettings()
    app = create_app(settings, options)
    record(app).dispose()  # a connection must not cross the fork
    logs.to_stderr()

    def when_ready(arbiter: Any) -> None:
        bound_host, bound_port = arbiter.LISTENERS[0].sock.getsockname()[:2]
        if port_file is not None:
            partial = port_file.with_suffix(".partial")
            partial.write_text(f"{bound_port}\n", encoding="utf-8")
            partial.replace(port_file)
        if ready is not None:
            scheme = "https" if options.tls_cert_file else "http"
            ready(f"{scheme}://{bracketed(bound_host)}:{bound_port}")

    where = f"{bracketed(host or settings.api_host)}:{settings.api_port if port is None else port}"
    try:
        _Server(app, {**_gunicorn_options(where, options), "when_ready": when_ready}).run()
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    return 0


def _gunicorn_options(where: str, options: ApiSettings) -> dict[str, Any]:
    return {
        "bind": [where],
        "worker_class": "gthread",
        "workers": 1,
        "threads": options.threads,
        "timeout": 120,
        "graceful_timeout": GRACE_S,
        "keepalive": KEEPALIVE_S,
        "preload_app": True,
        "control_socket_disable": True,
        "certfile": str(options.tls_cert_file) if options.tls_cert_file else None,
        "keyfile": str(options.tls_key_file) if options.tls_key_file else None,
        "loglevel": "warning",
        "logger_class": EcsLogger,
        "post_worker_init": _end_waits_on_sigterm,
        "proc_name": "palebluedot-api",
    }


def _end_waits_on_sigterm(worker: Any) -> None:
    """Requests that wait for a release hold threads for up to a minute; a stop must not wait for them."""
    waiters: Waiters = worker.app.app.extensions[Waiters.EXTENSION]
    gunicorns = signal.getsignal(signal.SIGTERM)

    def on_sigterm(number: int, frame: FrameType | None) -> None:
        waiters.stop()
        if callable(gunicorns):
            gunicorns(number, frame)

    signal.signal(signal.SIGTERM, on_sigterm)


def bracketed(host: str) -> str:
    """An IPv6 address as it stands in a URL."""
    return f"[{host}]" if ":" in host and not host.startswith("[") else host
