"""``palebluedot user``, ``token`` and ``quota``: the first people of an installation, straight into the record.

These go to the database, not to the API: on a new installation there is nobody yet whom the API could let in.
"""

from __future__ import annotations

from pathlib import Path

import click

from cli import console, login

ROLES = ("admin", "operator", "user", "auditor", "automation")
DAY_S = 24 * 3600


def bootstrap(username: str, role: str, password: str, *, gpus: int | None = None) -> str:
    """A user with a quota, in one transaction; the secret of an API token of theirs."""
    from fleet import db
    from fleet.actor import SYSTEM, Actor
    from fleet.operations import users

    with db.transaction() as session:
        user = users.create_user(session, SYSTEM, username, password, role)
        if gpus is not None:
            users.set_quota(session, SYSTEM, username, max_gpu_count=gpus)
        minted = users.mint_token(session, Actor(user.id, username, role), "bootstrap", DAY_S)
    return minted.token


@click.group()
def user() -> None:
    """People and programs that may use the service."""


@user.command()
@click.argument("username")
@click.option("--role", type=click.Choice(ROLES), default="user", show_default=True, help="What they may do.")
@click.option("--email", help="Where notifications go.")
@click.option("--no-password", is_flag=True, help="Only tokens open the door: for programs.")
@login.password_file_option
def create(username: str, role: str, email: str | None, no_password: bool, password_file: Path | None) -> None:
    """Create USERNAME. The password is asked for, or taken from PALEBLUEDOT_PASSWORD or --password-file.

    \b
    Examples:
      palebluedot user create ada
      palebluedot user create awx --role automation --no-password
    """
    from fleet import db
    from fleet.actor import SYSTEM
    from fleet.operations import users

    password = None
    if not no_password:
        password = login.read_secret("password", password_file, "PALEBLUEDOT_PASSWORD", confirm=True)
    with db.transaction() as session:
        found = users.create_user(session, SYSTEM, username, password, role, email)
        identifier = found.id
    console.out.print(f"{username} ({role}) is {identifier}")


@user.command()
@click.argument("username")
@login.password_file_option
def passwd(username: str, password_file: Path | None) -> None:
    """Set the password of USERNAME; whoever is logged in with the old one is logged out.

    The password is asked for, or taken from PALEBLUEDOT_PASSWORD or --password-file.
    """
    from fleet import db
    from fleet.actor import SYSTEM
    from fleet.operations import users

    password = login.read_secret("password", password_file, "PALEBLUEDOT_PASSWORD", confirm=True)
    with db.transaction() as session:
        users.set_password(session, SYSTEM, username, password)
    console.out.print(f"{username} has a new password")


@click.group()
def token() -> None:
    """API tokens, for programs and playbooks."""


@token.command("create")
@click.argument("username")
@click.option("--name", default="palebluedot", show_default=True, help="What the token is for.")
@click.option("--days", type=click.IntRange(1, 366), default=90, show_default=True, help="How long it is valid.")
@click.option(
    "--output", type=click.Path(dir_okay=False, path_type=Path), help="Write here (mode 0600), not to stdout."
)
def create_token(username: str, name: str, days: int, output: Path | None) -> None:
    """A token of USERNAME; it is shown once.

    \b
    Examples:
      palebluedot token create operator --output ~/.palebluedot-token
      PALEBLUEDOT_TOKEN=$(palebluedot token create awx --days 30) palebluedot status
    """
    from fleet import db
    from fleet.actor import Actor
    from fleet.operations import lookup, users

    with db.transaction() as session:
        owner = lookup.user(session, username)
        minted = users.mint_token(session, Actor(owner.id, owner.username, owner.role), name, days * DAY_S)
    if output is None:
        click.echo(minted.token)
        return
    login.keep(minted.token, output)
    console.err.print(f"The token is in {output}", soft_wrap=True)


@click.group()
def quota() -> None:
    """What somebody may hold at once."""


@quota.command("set")
@click.argument("username")
@click.option("--gpus", type=click.IntRange(min=0), help="GPUs.")
@click.option("--memory-gb", type=click.IntRange(min=0), help="Memory of the servers.")
@click.option("--storage-gb", type=click.IntRange(min=0), help="Local storage.")
def set_quota(username: str, gpus: int | None, memory_gb: int | None, storage_gb: int | None) -> None:
    """Set ceilings of USERNAME; what is not named stays as it is.

    \b
    Example:
      palebluedot quota set ada --gpus 16
    """
    from fleet import db
    from fleet.actor import SYSTEM
    from fleet.operations import users

    wanted = {"max_gpu_count": gpus, "max_memory_gb": memory_gb, "max_storage_gb": storage_gb}
    given = {name: value for name, value in wanted.items() if value is not None}
    if not given:
        raise click.UsageError("Name at least one of --gpus, --memory-gb, --storage-gb.")
    with db.transaction() as session:
        users.set_quota(session, SYSTEM, username, **given)
    console.out.print(f"{username}: " + ", ".join(f"{name} {value}" for name, value in given.items()))
