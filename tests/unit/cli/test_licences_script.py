"""The licence check: what counts as permissive, and that a stranger is named."""

from __future__ import annotations

from email.message import Message
from importlib.metadata import Distribution
from pathlib import Path
from typing import Any, cast

import pytest

from tests import licences


class Package:
    def __init__(self, *fields: tuple[str, str]) -> None:
        self.metadata = Message()
        for name, value in fields:
            self.metadata[name] = value


def found(*fields: tuple[str, str]) -> set[str]:
    return licences.licences(cast(Distribution, Package(*fields)))


@pytest.mark.parametrize(
    ("fields", "answer"),
    [
        ([("License-Expression", "MIT")], {"MIT"}),
        ([("License-Expression", "Apache-2.0 AND MIT")], {"Apache-2.0", "MIT"}),
        ([("License-Expression", "GPL-3.0-only OR MIT")], {"MIT"}),
        ([("License-Expression", "MIT AND (GPL-2.0-only OR GPL-3.0-only)")], {"MIT", "(GPL-2.0-only OR GPL-3.0-only)"}),
        ([("License", 'BSD 3-clause "New" or "Revised License"')], {"BSD-3-Clause"}),
        ([("License", "UNKNOWN"), ("Classifier", "License :: OSI Approved :: MIT License")], {"MIT"}),
        ([("License", "x" * 500), ("Classifier", "License :: OSI Approved :: ISC License (ISCL)")], {"ISC"}),
        ([], set()),
    ],
)
def test_reads_every_way_a_package_names_its_licence(fields: list[tuple[str, str]], answer: set[str]) -> None:
    assert found(*fields) == answer


def test_names_what_may_not_ship(monkeypatch: pytest.MonkeyPatch) -> None:
    packages: dict[str, Any] = {
        "fine": Package(("License-Expression", "MIT")),
        "copyleft": Package(("License-Expression", "AGPL-3.0-only")),
        "silent": Package(),
    }
    monkeypatch.setattr(licences, "distribution", packages.__getitem__)
    lines = licences.complaints(["fine", "copyleft", "silent"])
    assert [line.partition(":")[0] for line in lines] == ["copyleft", "silent"]


def test_everything_that_ships_is_allowed() -> None:
    root = Path(__file__).resolve().parents[3]
    assert licences.complaints(licences.locked(root / "requirements.lock")) == []
