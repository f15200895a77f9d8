"""``palebluedot db``: the record's schema, and what ships in it."""

from __future__ import annotations

import click

from cli import console


def describe(url: str) -> str:
    """A database URL without its password."""
    from sqlalchemy import make_url

    return make_url(url).render_as_string(hide_password=True)


def reset() -> None:
    """Forget the settings and connections of this process: the environment has changed."""
    from fleet import db
    from fleet.settings import get_settings

    db.set_database(None)
    get_settings.cache_clear()


def revisions() -> tuple[str | None, str | None]:
    """Which migration the database is at, and which one the code is at."""
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory

    from fleet import db

    head = ScriptDirectory.from_config(db.alembic_config()).get_current_head()
    with db.reading() as session:
        current = MigrationContext.configure(session.connection()).get_current_revision()
    return current, head


def upgrade() -> None:
    """Bring the schema to the code's revision, and take in the shipped templates that are new."""
    from fleet import db
    from fleet.operations import templates

    db.upgrade()
    with db.transaction() as session:
        templates.seed(session)


@click.group("db")
def group() -> None:
    """The record's database."""


@group.command("upgrade")
def upgrade_command() -> None:
    """Create or migrate the schema, and take in the shipped templates. Safe to repeat.

    \b
    Examples:
      palebluedot db upgrade
      PALEBLUEDOT_DATABASE_URL=postgresql://palebluedot@db/palebluedot palebluedot db upgrade
    """
    from fleet.settings import get_settings

    upgrade()
    current, _ = revisions()
    console.out.print(f"{describe(get_settings().database_url)} is at {current}", soft_wrap=True)
