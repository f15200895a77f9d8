# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""Which credentials may open a BMC, best first."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.palebluedot.gpu.plugins.module_utils.service.credentials import Credential

SELECTORS = ("serial_number", "uuid", "mac", "address")


@dataclass(frozen=True)
class Identity:
    """What is known of a BMC before anybody has logged in; None is unknown."""

    address: str
    uuid: str | None = None
    serial_number: str | None = None
    mac: str | None = None

    def matches(self, entry: Mapping[str, Any]) -> bool:
        """Whether every selector that the entry has is known of this BMC and the same."""
        return all(
            (mine := getattr(self, name)) is not None and _same(name, str(entry[name]), mine)
            for name in SELECTORS
            if entry.get(name)
        )


@dataclass(frozen=True)
class Candidate:
    """A credential to try and where it is from: recorded, proposed, ``list entry 3``, factory."""

    credential: Credential = field(repr=False)
    source: str


def candidates(
    recorded: Sequence[tuple[str, Credential]],
    entries: Sequence[Mapping[str, Any]],
    factory: Iterable[tuple[str, str]],
    identity: Identity,
) -> list[Candidate]:
    """Each credential once: what was recorded, then the list's (those made for this machine first), then the factory's.

    :param recorded: what the record holds, as (source, credential).
    :param entries: dictionaries with ``username``, ``password`` and any of `SELECTORS`; none of them means every BMC.
    """
    found: dict[Credential, Candidate] = {}
    for candidate in _in_order(recorded, entries, factory, identity):
        found.setdefault(candidate.credential, candidate)
    return list(found.values())


def _in_order(
    recorded: Sequence[tuple[str, Credential]],
    entries: Sequence[Mapping[str, Any]],
    factory: Iterable[tuple[str, str]],
    identity: Identity,
) -> Iterator[Candidate]:
    for source, credential in recorded:
        yield Candidate(credential, source)
    matching = [(number, entry) for number, entry in enumerate(entries, 1) if identity.matches(entry)]
    for number, entry in sorted(matching, key=lambda each: -sum(bool(each[1].get(name)) for name in SELECTORS)):
        yield Candidate(Credential(str(entry["username"]), str(entry["password"])), f"list entry {number}")
    for username, password in factory:
        yield Candidate(Credential(username, password), "factory")


def _same(name: str, one: str, other: str) -> bool:
    return _plain(name, one) == _plain(name, other)


def _plain(name: str, value: str) -> str:
    """A selector's value without what people write differently."""
    bare = value.strip().strip("[]").casefold()
    if name in ("mac", "uuid"):
        return re.sub(r"[^0-9a-z]", "", bare)
    if name == "address":
        try:
            return str(ipaddress.ip_address(bare))
        except ValueError:
            return bare.rstrip(".")
    return bare
