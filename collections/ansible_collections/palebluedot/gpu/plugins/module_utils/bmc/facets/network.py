# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""The BMC's own network: address, VLAN, names, time servers, IPMI."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

# What changes where the BMC is found, and is therefore written last.
MOVING = ("dhcp", "address", "netmask", "gateway", "vlan")


@dataclass(frozen=True)
class Network:
    """None where the BMC does not say; ``vlan`` 0 is no VLAN."""

    hostname: str | None = None
    dhcp: bool | None = None
    address: str | None = None
    netmask: str | None = None
    gateway: str | None = None
    vlan: int | None = None
    ntp_servers: tuple[str, ...] | None = None
    dns_servers: tuple[str, ...] | None = None
    ipmi_enabled: bool | None = None

    def as_dict(self) -> dict[str, Any]:
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}


class ManagerNetwork(ABC):
    """Reads and changes the network of one BMC."""

    @property
    @abstractmethod
    def host(self) -> str:
        """The address as it is shown in errors."""

    @abstractmethod
    def read(self) -> Network:
        """As it is."""

    @abstractmethod
    def check(self, changes: Mapping[str, Any], now: Network) -> None:
        """Raise `errors.Unsupported` for what this BMC cannot be told; nothing is written."""

    @abstractmethod
    def write(self, changes: Mapping[str, Any], now: Network) -> None:
        """Write changes of fields of `Network`; those of `MOVING` last, after which it may be elsewhere.

        :raises base.AnswerLost: it may have moved before it answered.
        """
