"""Models and migrations say the same, on both databases; and the door to them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect, select, text
from sqlalchemy.exc import DBAPIError

from fleet import clock, db, errors, settings
from fleet.actor import SYSTEM
from fleet.models import Allocation, AllocationServer, Base, LeaderLease, Server, User
from fleet.operations import leader, lookup, templates, users
from tests.component.fleet.conftest import Backend
from tests.component.fleet.support import Site, build, users_of


def test_the_migrations_make_what_the_models_say(database: db.Database) -> None:
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []
        tables = set(inspect(connection).get_table_names())
        keys = inspect(connection).get_foreign_keys("allocations")
    assert tables - {"alembic_version"} == set(Base.metadata.tables)
    assert "workflows" in {key["referred_table"] for key in keys}


def test_upgrading_twice_and_going_back_to_nothing(backend: Backend, site: settings.Settings) -> None:
    url = backend.copy("empty", db.upgrade)
    db.upgrade(url)
    command.downgrade(db.alembic_config(url), "base")
    record = db.Database(url)
    with record.engine.connect() as connection:
        assert set(inspect(connection).get_table_names()) == {"alembic_version"}
    record.dispose()
    db.upgrade(url)
    backend.drop(url)


def test_servers_that_were_in_use_before_the_record_knew_of_cleans_need_one(
    backend: Backend, site: settings.Settings
) -> None:
    url = backend.copy("empty", db.upgrade)
    record = db.Database(url)
    build(record, inspect=False)
    kept = users_of(record)
    with record.transaction() as session:
        for number, state in enumerate(("active", "maintenance", "quarantined", "available"), 1):
            server = lookup.server(session, f"gpu-{number:02d}")
            server.status = state
            if state in ("maintenance", "available"):
                allocation = Allocation(user_id=kept.ada.id, status="released", template_id=templates.find(
                    session, "ubuntu-24.04", None, kind="os").id, requested_by=kept.ada.id, gpu_count=8, server_count=1,
                    memory_gb=0, storage_gb=0, parameters={}, ssh_keys=[], kind="server", executor="service",
                    start_time=clock.utcnow())  # fmt: skip
                session.add(allocation)
                session.flush()
                session.add(AllocationServer(allocation_id=allocation.id, server_id=server.id, rank=0,
                                             state="released", released_at=clock.utcnow()))  # fmt: skip
    record.dispose()
    command.downgrade(db.alembic_config(url), "0003_enrolment")
    db.upgrade(url)
    record = db.Database(url)
    with record.reading() as session:
        found = {row.name: row.needs_clean for row in session.scalars(select(Server))}
    assert found == {"gpu-01": True, "gpu-02": True, "gpu-03": False, "gpu-04": False}
    record.dispose()
    backend.drop(url)


def test_an_exception_undoes_everything(database: db.Database) -> None:
    with pytest.raises(RuntimeError), database.transaction() as session:
        users.create_user(session, SYSTEM, "ada", None)
        raise RuntimeError
    with database.reading() as session:
        assert session.scalars(select(User)).all() == []


def test_a_reading_session_cannot_write_and_leaves_no_trace_on_its_connection(database: db.Database) -> None:
    with pytest.raises((errors.Unavailable, DBAPIError)) as caught, database.reading() as session:
        session.execute(text("DELETE FROM users"))
    said = getattr(caught.value, "answer", None) or str(caught.value)
    assert re.search(r"read-?only", said)
    with database.transaction() as session:
        users.create_user(session, SYSTEM, "ada", None)


def test_a_unique_index_is_a_conflict_with_advice(database: db.Database) -> None:
    with pytest.raises(errors.Conflict) as caught, database.transaction() as session:
        session.add_all([User(username="twin", role="user"), User(username="twin", role="user")])
    assert caught.value.next and caught.value.answer


def test_a_foreign_key_is_kept(database: db.Database) -> None:
    with pytest.raises(errors.Conflict), database.transaction() as session:
        session.execute(text("INSERT INTO user_quotas (user_id, created_at, updated_at) VALUES ('usr_none', :t, :t)"),
                        {"t": "2026-01-01 00:00:00"})  # fmt: skip


def test_an_unprepared_database_says_what_to_do(tmp_path: object, site: settings.Settings) -> None:
    record = db.Database(f"sqlite:///{tmp_path}/new.db")
    with pytest.raises(errors.Unavailable, match="not prepared") as caught, record.reading() as session:
        session.scalars(select(User)).all()
    assert "db upgrade" in (caught.value.next or "")
    record.dispose()


def test_an_in_memory_database_is_refused() -> None:
    with pytest.raises(ValueError, match="database file"):
        db.Database("sqlite://")


def test_times_come_back_as_they_went_in(database: db.Database) -> None:
    moment = datetime(2026, 3, 29, 1, 30, 0, 123000, tzinfo=UTC)
    with database.transaction() as session:
        session.add(LeaderLease(name="x", holder="y", expires_at=moment))
    with database.reading() as session:
        assert session.get_one(LeaderLease, "x").expires_at == moment
    with pytest.raises(Exception, match="zone"), database.transaction() as session:
        session.add(LeaderLease(name="z", holder="y", expires_at=datetime(2026, 1, 1)))


def test_the_databases_clock_is_utc_and_can_be_moved(database: db.Database) -> None:
    with database.reading() as session:
        now = clock.now(session)
        assert abs((now - datetime.now(UTC)).total_seconds()) < 5
        with clock.travel(timedelta(hours=1)):
            assert timedelta(minutes=59) < clock.now(session) - now < timedelta(minutes=61)


def test_the_process_wide_door_follows_the_settings(
    backend: Backend, site: settings.Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = backend.copy("empty", db.upgrade)
    monkeypatch.setenv("PALEBLUEDOT_DATABASE_URL", url)
    settings.get_settings.cache_clear()
    db.set_database(None)
    with db.transaction() as session:
        users.create_user(session, SYSTEM, "ada", None)
    with db.reading() as session:
        assert users.quota_row(session, session.scalars(select(User.id)).one()).max_gpu_count == 8
    db.set_database(None)
    backend.drop(url)


def test_a_lease_is_kept_renewed_lost_and_given_up(fleet: Site) -> None:
    def acquire(holder: str) -> bool:
        with fleet.database.transaction() as session:
            return leader.acquire(session, "timers", holder, 10)

    assert acquire("a") and acquire("a") and not acquire("b")
    with clock.travel(timedelta(seconds=11)):
        assert acquire("b") and not acquire("a")
        with fleet.database.transaction() as session:
            leader.release(session, "timers", "a")
            leader.release(session, "timers", "b")
        assert acquire("a")
        with fleet.database.reading() as session:
            assert session.get_one(LeaderLease, "timers").fence == 3
