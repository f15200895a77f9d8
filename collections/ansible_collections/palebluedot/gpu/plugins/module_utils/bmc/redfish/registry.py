# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""Checks BIOS attributes against the registry that the BMC publishes (Redfish AttributeRegistry, DSP8010)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.deadline import Deadline
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.values import dig, leaf, number, tables, text
from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import InvalidInput

REGISTRIES = "/redfish/v1/Registries"
_VERSION = re.compile(r"\.v?\d+([._]\d+)*$")


class Reader(Protocol):
    """What reading a Redfish tree takes; `transport.RedfishTransport` is one."""

    def get_optional(self, path: str | None, deadline: Deadline) -> dict[str, Any] | None: ...

    def members(self, path: str | None, deadline: Deadline) -> list[str]: ...


def registry_paths(reader: Reader, name: str, deadline: Deadline) -> Iterator[str]:
    """Paths at which the registry's body may be read, English first.

    :param name: what Bios calls it; the collection's member has that name, perhaps with another version or none.
    """
    for path in reader.members(REGISTRIES, deadline):
        member = leaf(path)
        # an iDRAC's Bios calls it BiosAttributeRegistry.v1_0_3, and the collection has it as v1_0_0
        if member != name and _VERSION.sub("", member) != _VERSION.sub("", name):
            continue
        file = reader.get_optional(path, deadline) or {}
        if file.get("RegistryEntries"):
            yield path  # iDRAC links straight to the body
        places = tables(file.get("Location"))
        for place in sorted(places, key=lambda item: not str(item.get("Language", "en")).startswith("en")):
            uri = text(place.get("Uri"))
            if uri is not None and uri.startswith("/"):
                yield uri


def check_attributes(
    registry: Mapping[str, Any], attributes: Mapping[str, Any], *, host: str, registry_name: str
) -> None:
    """Raise `InvalidInput` for the first attribute that the registry knows and whose value it rules out."""
    entries = {entry.get("AttributeName"): entry for entry in tables(dig(registry, "RegistryEntries", "Attributes"))}
    for name, value in attributes.items():
        entry = entries.get(name)
        reason = _ruled_out(entry, value) if entry else None
        if reason is not None:
            raise InvalidInput(
                f"BIOS attribute {name} cannot be {value!r}: {reason}",
                host=host,
                tried=f"attribute registry {registry_name}",
                next="Correct the attribute.",
            )


def _ruled_out(entry: dict[str, Any], value: Any) -> str | None:
    """Why this value is impossible, or None."""
    if entry.get("ReadOnly") is True:
        return "it is read only"
    kind = entry.get("Type")
    if kind == "Enumeration":
        allowed = [item.get("ValueName") for item in tables(entry.get("Value"))]
        if allowed and value not in allowed:
            return f"it takes {', '.join(map(str, allowed))}"
    elif kind == "Integer":
        if isinstance(value, bool) or not isinstance(value, int):
            return "it takes an integer"
        lowest, highest = number(entry.get("LowerBound")), number(entry.get("UpperBound"))
        if (lowest is not None and value < lowest) or (highest is not None and value > highest):
            return f"it takes {entry.get('LowerBound')} to {entry.get('UpperBound')}"
    elif kind == "Boolean":
        if not isinstance(value, bool):
            return "it takes true or false"
    elif kind in ("String", "Password"):
        if not isinstance(value, str):
            return "it takes a string"
        shortest, longest = number(entry.get("MinLength")), number(entry.get("MaxLength"))
        if (shortest is not None and len(value) < shortest) or (longest is not None and len(value) > longest):
            return f"it takes {entry.get('MinLength')} to {entry.get('MaxLength')} characters"
    return None
