# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""The BMC's address and VLAN over IPMI (2.0, 23.1 and 23.2: LAN configuration parameters)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.facets.network import MOVING, ManagerNetwork, Network
from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import Unsupported

if TYPE_CHECKING:
    from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.ipmi.client import IpmiBmc


class IpmiNetwork(ManagerNetwork):
    """The channel that we talk through."""

    def __init__(self, bmc: IpmiBmc) -> None:
        self._bmc = bmc

    @property
    def host(self) -> str:
        return self._bmc.host

    def read(self) -> Network:
        found = self._bmc.ask("lan")
        return Network(
            dhcp=found["dhcp"],
            address=found["address"],
            netmask=found["netmask"],
            gateway=found["gateway"],
            vlan=found["vlan"],
        )

    def check(self, changes: Mapping[str, Any], now: Network) -> None:
        others = [name for name in changes if name not in MOVING]
        if others:
            raise Unsupported(
                "IPMI only knows address, netmask, gateway and VLAN",
                code="protocol_unsupported",
                host=self.host,
                tried=f"changing {', '.join(others)}",
                answer="nothing was sent",
                next="Use bmc_protocol=redfish.",
            )

    def write(self, changes: Mapping[str, Any], now: Network) -> None:
        # what cuts the connection comes last
        order = ("netmask", "gateway", "dhcp", "vlan", "address")
        for name in sorted(changes, key=order.index):
            self._bmc.ask("set_lan", name=name, value=changes[name])
