"""A record of one's own for each test of the command line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result


class Palebluedot:
    """The command, called in this process on a record of its own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def __call__(self, *arguments: str, stdin: str | None = None, **environment: str) -> Result:
        from cli.main import cli

        return CliRunner().invoke(cli, list(arguments), input=stdin, env=environment)


@pytest.fixture
def palebluedot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Palebluedot]:
    """The command with an empty data directory; nothing of the caller's own set-up reaches it."""
    import os

    from cli import database

    for name in [name for name in os.environ if name.startswith("PALEBLUEDOT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PALEBLUEDOT_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    database.reset()
    yield Palebluedot(tmp_path)
    database.reset()
