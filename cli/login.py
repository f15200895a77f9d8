"""``palebluedot login`` and ``logout``: a token of one's own, kept in a file that nobody else can read."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import click

from cli import client, console
from cli.problems import Problem

TOKEN_LIFE_S = 30 * 24 * 3600


def read_secret(what: str, file: Path | None, variable: str, *, confirm: bool = False) -> str:
    """A secret from a file, the environment or a prompt, in that order; never from the command line."""
    if file is not None:
        try:
            secret = file.read_text(encoding="utf-8").rstrip("\r\n")
        except OSError as error:
            raise Problem(
                f"{file} cannot be read", answer=error.strerror, next=f"Give a file with the {what}"
            ) from error
    elif os.environ.get(variable):
        secret = os.environ[variable]
    else:
        secret = str(click.prompt(what.capitalize(), hide_input=True, confirmation_prompt=confirm, err=True))
    if not secret:
        raise Problem(f"The {what} is empty", next=f"Set {variable}, or use the file option, or type it when asked")
    return secret


def keep(secret: str, path: Path) -> None:
    """Write a secret so that it is never, not even for a moment, readable by others."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(secret + "\n")
    partial.replace(path)


password_file_option = click.option(
    "--password-file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="File with the password."
)


@click.command()
@click.option("--username", prompt=True, help="Who you are.")
@password_file_option
def login(username: str, password_file: Path | None) -> None:
    """Log in, and keep an API token for the commands that follow (30 days).

    The password is asked for, or taken from PALEBLUEDOT_PASSWORD or --password-file.

    \b
    Example:
      palebluedot login --username ada
    """
    password = read_secret("password", password_file, "PALEBLUEDOT_PASSWORD")
    with client.service(anonymous=True) as api:
        api.login(username, password)
        minted = api.mint_token(f"palebluedot on {socket.gethostname()}"[:200], TOKEN_LIFE_S)
    keep(minted["token"], client.token_path())
    console.out.print(f"{username} is logged in at {client.service_url()}", soft_wrap=True)


@click.command()
def logout() -> None:
    """Forget the token that `login` keeps. `palebluedot token revoke` ends one for good."""
    client.token_path().unlink(missing_ok=True)
    console.out.print("Nobody is logged in")
