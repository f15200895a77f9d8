# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""Reads values out of what BMCs answer.

Vendors leave properties out, answer numbers as strings ("26.750000", "nan"), and fill in "N/A". Whatever cannot be
understood is None, never 0 or "".
"""

from __future__ import annotations

import copy
import math
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

_NOTHING = frozenset(
    """
    n/a|na|none|null|unknown|not specified|not available|default string|to be filled by o.e.m.
    """.strip().split("|")
) | {""}
_MARKETED = re.compile(r"(\d{2,4})\s?GB\b", re.IGNORECASE)
# Marketed memory of models whose name does not carry it (vendors' data sheets).
_MODEL_MEMORY_GB = {"H100": 80, "H200": 141, "H20": 96, "B200": 180, "MI300X": 192, "MI325X": 256, "L40S": 48}


def number(value: Any) -> float | None:
    """A finite number from a number or a numeric string."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        found = float(value)
    elif isinstance(value, str):
        try:
            found = float(value)
        except ValueError:
            return None
    else:
        return None
    return found if math.isfinite(found) else None


def integer(value: Any) -> int | None:
    found = number(value)
    return None if found is None else int(found)


def text(value: Any) -> str | None:
    """A string with something in it, stripped; a number is written out."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        return str(value)
    if not isinstance(value, str):
        return None
    found = value.strip()
    return None if found.lower() in _NOTHING else found


def table(value: Any) -> dict[str, Any]:
    """The object, or an empty one where there is none."""
    return value if isinstance(value, dict) else {}


def tables(value: Any) -> list[dict[str, Any]]:
    """The objects of a list; a lone object counts as a list of one (some firmware forgets the brackets)."""
    if isinstance(value, dict):
        return [value]
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def texts(value: Any) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def dig(resource: Any, *names: str) -> Any:
    """The value under nested names, or None where any of them is missing."""
    for name in names:
        if not isinstance(resource, dict):
            return None
        resource = resource.get(name)
    return resource


def selected(found: Any, wanted: Any) -> Any:
    """What a resource says of the properties that are to be changed."""
    if isinstance(wanted, Mapping) and isinstance(found, dict):
        return {name: selected(found.get(name), value) for name, value in wanted.items()}
    return copy.deepcopy(found)


def link(resource: Any, *names: str) -> str | None:
    """The ``@odata.id`` under nested names."""
    found = dig(resource, *names, "@odata.id")
    return found if isinstance(found, str) and found.startswith("/") else None


def links(resource: Any, *names: str) -> list[str]:
    """The ``@odata.id`` of each member of a list under nested names."""
    found = [member.get("@odata.id") for member in tables(dig(resource, *names))]
    return [path for path in found if isinstance(path, str) and path.startswith("/")]


def leaf(path: str) -> str:
    """The last segment of a resource's path: its id."""
    return unquote(path.split("?")[0].split("#")[0].rstrip("/").rsplit("/", 1)[-1])


def marketed_memory_gb(model: str | None, capacity_mib: float | None) -> int | None:
    """A GPU's memory as it is sold (H100 = 80), from its model name, else rounded from what it reports."""
    if model:
        found = _MARKETED.search(model)
        if found:
            return int(found.group(1))
        for name, memory_gb in _MODEL_MEMORY_GB.items():
            if re.search(rf"\b{name}\b", model):
                return memory_gb
    if capacity_mib is None or capacity_mib <= 0:
        return None
    # A GPU reports a little less than is sold: 81,559 MiB of 80 GiB
    return math.ceil(capacity_mib / 1024 / 4) * 4
