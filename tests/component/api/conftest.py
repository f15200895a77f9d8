"""The whole service without its sockets: Flask's test client over a SQLite file, prepared once and copied per test."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from api.app import create_app
from api.records import record
from fleet import db
from fleet.actor import ROLES, SYSTEM
from fleet.operations import lookup, templates, users
from fleet.settings import get_settings
from tests.component.api.support import PASSWORD, SERVERS, Caller, fleet_document, inspection


@dataclass(frozen=True)
class Prepared:
    """A migrated database with a user of every role, an API token each, and the template library."""

    database: Path
    data_dir: Path
    tokens: dict[str, str]


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prepared]:
    data_dir = tmp_path_factory.mktemp("api-data")
    path = data_dir / "prepared.db"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PALEBLUEDOT_DATA_DIR", str(data_dir))
        patch.setenv("PALEBLUEDOT_DATABASE_URL", f"sqlite:///{path}")
        get_settings.cache_clear()
        db.upgrade()
        database = db.Database(get_settings().database_url)
        tokens: dict[str, str] = {}
        with database.transaction() as session:
            templates.seed(session)
            for role in ROLES:
                users.create_user(session, SYSTEM, role, PASSWORD, role=role)
            users.create_user(session, SYSTEM, "neighbour", PASSWORD)
            for name in (*ROLES, "neighbour"):
                row = lookup.user(session, name)
                actor = users.actor_of(session, row.id)
                tokens[name] = users.mint_token(session, actor, "tests").token
                users.set_quota(session, SYSTEM, name, max_gpu_count=8, max_memory_gb=None, max_storage_gb=None)
        database.dispose()  # SQLite folds the write-ahead log into the file when its last connection closes
        yield Prepared(path, data_dir, tokens)
    get_settings.cache_clear()


@contextmanager
def serving(prepared: Prepared, path: Path | None = None, url: str = "", **environment: str) -> Iterator[Flask]:
    """The app on the SQLite file at ``path``, or on the database at ``url``."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PALEBLUEDOT_DATA_DIR", str(prepared.data_dir))
        patch.setenv("PALEBLUEDOT_DATABASE_URL", url or f"sqlite:///{path}")
        patch.setenv("PALEBLUEDOT_RATE_LIMIT", "100000 per minute")
        for name, value in environment.items():
            patch.setenv(name, value)
        get_settings.cache_clear()
        application = create_app()
        db.set_database(record(application))
        yield application
        db.set_database(None)
        record(application).dispose()
    get_settings.cache_clear()


@pytest.fixture(scope="session")
def discovered(prepared: Prepared, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The prepared database with three discovered servers of eight GPUs."""
    path = tmp_path_factory.mktemp("api-fleet") / "discovered.db"
    shutil.copy(prepared.database, path)
    with serving(prepared, path) as application:
        automation = Caller(application.test_client(), prepared.tokens["automation"])
        answer = automation.post("/servers", fleet_document())
        assert answer.status_code == 200, answer.text
        for n in range(SERVERS):
            answer = automation.put(f"/servers/gpu-{n:02}/inspection", inspection(n))
            assert answer.status_code == 200, answer.text
    return path


@pytest.fixture
def app(request: pytest.FixtureRequest, prepared: Prepared, discovered: Path, tmp_path: Path) -> Iterator[Flask]:
    path = tmp_path / "record.db"
    shutil.copy(discovered if "fleet" in request.fixturenames else prepared.database, path)
    with serving(prepared, path) as application:
        yield application


@pytest.fixture
def anybody(app: Flask) -> Caller:
    """Without a token."""
    return Caller(app.test_client())


def _caller(name: str) -> Any:
    @pytest.fixture(name=name)
    def caller(app: Flask, prepared: Prepared) -> Caller:
        return Caller(app.test_client(), prepared.tokens[name])

    return caller


admin = _caller("admin")
operator = _caller("operator")
user = _caller("user")
auditor = _caller("auditor")
automation = _caller("automation")
neighbour = _caller("neighbour")


@pytest.fixture
def fleet() -> list[str]:
    """Names of three discovered servers of eight GPUs (`app` looks for this fixture's name)."""
    return [f"gpu-{n:02}" for n in range(SERVERS)]
