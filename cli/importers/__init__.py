"""Exports of other systems, as import documents: NetBox, MAAS, Ironic.

Fields that mean nothing here are left out. What an export cannot hold (passwords above all) is named, so that nobody
looks for it later.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cli.importers import ironic, maas, netbox
from cli.importers.converted import Converted
from cli.problems import Problem

SOURCES: dict[str, Callable[[Any], Converted]] = {
    "netbox": netbox.convert,
    "maas": maas.convert,
    "ironic": ironic.convert,
}


def read_export(path: Path, source: str) -> Converted:
    """The servers of an export file (JSON, of NetBox also CSV)."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise Problem(f"{path} cannot be read", answer=str(error), next="Give the export in UTF-8") from error
    content: Any
    if path.suffix.lower() == ".csv":
        if source != "netbox":
            raise Problem(f"{path}: {source} exports JSON", next=f"Give what {source} writes as JSON")
        content = list(csv.DictReader(text.splitlines()))
    else:
        try:
            content = json.loads(text)
        except ValueError as error:
            raise Problem(
                f"{path} is no JSON", answer=str(error), next=f"Give what {source} exports as JSON"
            ) from error
    try:
        converted = SOURCES[source](content)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise Problem(
            f"{path} is no export of {source} as it is known here", answer=f"{type(error).__name__}: {error}"
        ) from error
    if not converted.servers:
        raise Problem(
            f"{path}: no server in it can be imported",
            answer="; ".join(converted.notes[:5]) or None,
            next=f"Compare it with what {source} exports (tests/unit/cli/exports has small ones)",
        )
    return converted
