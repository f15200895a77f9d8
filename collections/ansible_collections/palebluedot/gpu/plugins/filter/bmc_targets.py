# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""Filter ``bmc_targets``: from the variables of hosts to the ``bmcs`` list of the bulk modules."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

_KEYS = (
    "address",
    "port",
    "protocol",
    "auth",
    "validate_certs",
    "ca_path",
    "fingerprint",
    "username",
    "password",
    "credential",
)


def bmc_targets(hosts: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """``[{name, address, port, credential, ...}]`` for every host with a ``bmc_address``, without unset values."""
    targets = []
    for host in hosts:
        if not host.get("bmc_address"):
            continue
        target = {key: host[f"bmc_{key}"] for key in _KEYS if host.get(f"bmc_{key}") is not None}
        if host.get("system_id"):
            target["system_id"] = host["system_id"]
        target["name"] = host["inventory_hostname"]
        targets.append(target)
    return targets


class FilterModule:
    """Ansible's way in."""

    def filters(self) -> dict[str, Any]:
        """Name to function."""
        return {"bmc_targets": bmc_targets}
