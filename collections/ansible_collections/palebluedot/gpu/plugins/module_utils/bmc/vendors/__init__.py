# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""Vendors' differences as data: which profile a machine has, and which of several Systems is the host."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.values import dig, table, text
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.vendors import (
    ami,
    dell,
    hpe,
    lenovo,
    openbmc,
    supermicro,
)
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.vendors.generic import GENERIC
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.vendors.profile import Match, Profile

__all__ = ["GENERIC", "PROFILES", "Match", "Profile", "host_among", "profile_for", "vendor_of"]

# The first that matches is taken, so the narrower stand before the wider.
PROFILES: tuple[Profile, ...] = (
    *ami.PROFILES,
    *openbmc.PROFILES,
    *dell.PROFILES,
    *hpe.PROFILES,
    *lenovo.PROFILES,
    *supermicro.PROFILES,
)


def vendor_of(root: dict[str, Any]) -> str | None:
    """The root's Vendor, else its first Oem key."""
    return text(root.get("Vendor")) or next(iter(table(root.get("Oem"))), None)


def profile_for(root: dict[str, Any], system: dict[str, Any]) -> Profile:
    """The profile of a machine, from its service root and host system."""
    vendor = vendor_of(root) or ""
    described = " ".join(filter(None, (text(dig(system, name)) for name in ("Id", "Model", "Manufacturer"))))
    for profile in PROFILES:
        if re.search(profile.match.vendor, vendor, re.I) and re.search(profile.match.system, described, re.I):
            return profile
    return GENERIC


def host_among(ids: Sequence[str]) -> str | None:
    """The one of several System Ids that is the host, if the profiles know exactly one of them as such."""
    patterns = [pattern for profile in PROFILES for pattern in profile.host_systems]
    known = [name for name in ids if any(re.fullmatch(pattern, name) for pattern in patterns)]
    return known[0] if len(known) == 1 else None
