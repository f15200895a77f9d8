# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""Filter ``closed_hardware``: a Tinkerbell Hardware spec whose machine may not boot from the network any more."""

from __future__ import annotations

import copy
from typing import Any


def closed_hardware(spec: dict[str, Any]) -> dict[str, Any]:
    """The spec with network boot and workflows forbidden on every interface and the user data emptied."""
    closed = copy.deepcopy(dict(spec))
    closed["userData"] = ""
    for interface in closed.get("interfaces", []):
        netboot = interface.setdefault("netboot", {})
        netboot["allowPXE"] = False
        netboot["allowWorkflow"] = False
    return closed


class FilterModule:
    """Ansible's way in."""

    def filters(self) -> dict[str, Any]:
        """Name to function."""
        return {"closed_hardware": closed_hardware}
