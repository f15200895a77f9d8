"""From an empty folder to the first users: db, user, token, quota."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

from sqlalchemy import select

from fleet import db
from fleet.models import Template, User, UserQuota
from fleet.operations import users

if TYPE_CHECKING:
    from tests.component.cli.conftest import Palebluedot

PASSWORD = "correct horse battery"


def test_db_upgrade_makes_the_schema_and_takes_in_the_templates(palebluedot: Palebluedot) -> None:
    for _ in range(2):  # safe to repeat
        ran = palebluedot("db", "upgrade")
        assert ran.exit_code == 0, ran.output
    with db.reading() as session:
        assert "ubuntu-24.04" in set(session.scalars(select(Template.name)))


def test_without_db_upgrade_the_error_says_to_run_it(palebluedot: Palebluedot) -> None:
    ran = palebluedot("user", "create", "ada", PALEBLUEDOT_PASSWORD=PASSWORD)
    assert ran.exit_code != 0
    assert "palebluedot db upgrade" in str(getattr(ran.exception, "next", ""))


def test_user_token_and_quota(palebluedot: Palebluedot) -> None:
    palebluedot("db", "upgrade")
    ran = palebluedot("user", "create", "ada", stdin=f"{PASSWORD}\n{PASSWORD}\n")
    assert ran.exit_code == 0, ran.output
    assert PASSWORD not in ran.output
    ran = palebluedot("quota", "set", "ada", "--gpus", "16")
    assert ran.exit_code == 0, ran.output
    ran = palebluedot("token", "create", "ada", "--days", "1")
    token = ran.output.strip()
    with db.reading() as session:
        assert users.verify_token(session, token).username == "ada"
        user = session.scalars(select(User)).one()
        assert session.get(UserQuota, user.id).max_gpu_count == 16
    with db.transaction() as session:
        assert users.try_login(session, "ada", PASSWORD).error is None


def test_a_new_password_replaces_the_old(palebluedot: Palebluedot) -> None:
    palebluedot("db", "upgrade")
    palebluedot("user", "create", "ada", PALEBLUEDOT_PASSWORD=PASSWORD)
    secret = palebluedot.directory / "password"
    secret.write_text("another password\n")
    assert palebluedot("user", "passwd", "ada", "--password-file", str(secret)).exit_code == 0
    with db.transaction() as session:
        assert users.try_login(session, "ada", PASSWORD).actor is None
        assert users.try_login(session, "ada", "another password").actor is not None


def test_a_token_file_is_readable_by_its_owner_alone(palebluedot: Palebluedot) -> None:
    palebluedot("db", "upgrade")
    palebluedot("user", "create", "ci", "--role", "automation", "--no-password")
    path = palebluedot.directory / "deep" / "token"
    ran = palebluedot("token", "create", "ci", "--output", str(path))
    assert ran.exit_code == 0, ran.output
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_text().strip() not in ran.output


def test_no_option_takes_a_secret() -> None:
    """Whatever is in argv, every user of the machine can read."""
    from collections.abc import Iterator

    import click

    from cli.main import cli

    def options(command: click.Command) -> Iterator[click.Parameter]:
        yield from command.params
        for inner in getattr(command, "commands", {}).values():
            yield from options(inner)

    secretive = {"password", "token", "secret"}
    assert not [o for o in options(cli) if o.name in secretive and not isinstance(o.type, click.Path)]
