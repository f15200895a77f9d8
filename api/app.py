"""The application factory: puts the parts of the service together."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version

from flask import Flask
from sqlalchemy.orm import Session
from werkzeug.middleware.proxy_fix import ProxyFix

from api import auth, limits, listing, logs, openapi, problems, requests
from api.health import Readiness
from api.metrics import Counts, Metrics
from api.records import EXTENSION
from api.routes import BLUEPRINTS
from api.settings import ApiSettings
from api.waiting import Waiters
from fleet.db import Database
from fleet.settings import Settings, get_settings


def create_app(settings: Settings | None = None, options: ApiSettings | None = None) -> Flask:
    """The Flask application of one service process.

    Args:
        settings: what the whole service is told; default: the process's own (the rules read those by themselves, so
            tests set the environment rather than pass other ones).
        options: what only the HTTP side is told; default: from the environment.
    """
    settings = settings or get_settings()
    options = options or ApiSettings()
    app = Flask("api", static_folder=None)
    app.config.from_mapping(MAX_CONTENT_LENGTH=settings.request_limit_bytes)
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.url_map.merge_slashes = False  # an id that begins with a slash is wrong, not elsewhere
    database = Database(settings.database_url)
    app.extensions[EXTENSION] = database
    app.extensions[Waiters.EXTENSION] = Waiters(options.threads // 2)
    app.extensions[Readiness.EXTENSION] = Readiness(database)
    if options.proxy_count:
        count = options.proxy_count
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=count, x_proto=count, x_host=count)  # type: ignore[method-assign]

    # after_request hooks run in reverse order: the log line and the metrics see the finished response
    logs.init_app(app)
    metrics = Metrics()
    metrics.init_app(app, _gauges(database))
    requests.init_app(app)
    problems.init_app(app)
    auth.init_app(app, settings)
    api = openapi.create_api(app, installed_version())
    for blueprint in BLUEPRINTS:
        api.register_blueprint(blueprint)
    limits.init_app(
        app, default=settings.rate_limit, login=settings.login_rate_limit, storage=options.rate_limit_storage
    )
    return app


def _gauges(database: Database) -> dict[str, tuple[str, Counts]]:
    def count(reader: Callable[[Session], dict[str, int]]) -> Counts:
        def counts() -> dict[str, int]:
            with database.reading() as session:
                return reader(session)

        return counts

    return {
        "palebluedot_workflows": ("Workflows in the record, by state.", count(listing.workflows_by_status)),
        "palebluedot_servers": ("Servers in the record, by state.", count(listing.servers_by_status)),
    }


def installed_version() -> str:
    """The version of the installed distribution, or 0 when run from a bare checkout."""
    try:
        return version("palebluedot")
    except PackageNotFoundError:
        return "0"
