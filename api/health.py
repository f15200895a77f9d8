"""Readiness: the database answers, and its schema is the one this version was written for."""

from __future__ import annotations

from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from fleet import db
from fleet.db import Database
from fleet.errors import Unavailable


class Readiness:
    """Knows the schema revision that the code needs; reads the script directory once."""

    EXTENSION = "palebluedot-readiness"

    def __init__(self, database: Database) -> None:
        self._database = database
        self._wanted = ScriptDirectory.from_config(db.alembic_config(database.url)).get_current_head()

    def check(self) -> str:
        """The revision of the database's schema.

        Raises:
            Unavailable: 503, when the database does not answer or has another revision.
        """
        with self._database.reading() as session:
            found = MigrationContext.configure(session.connection()).get_current_revision()
        if found is None or found != self._wanted:
            raise Unavailable(
                f"The database has schema revision {found or 'none'}; this version needs {self._wanted or 'none'}.",
                tried="read alembic_version",
                next="Run `palebluedot db upgrade`.",
            )
        return found
