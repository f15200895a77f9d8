# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""The BMC's own network over Redfish (DSP0268: EthernetInterface and NetworkProtocol of a Manager)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.deadline import Deadline
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.facets.network import MOVING, ManagerNetwork, Network
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.values import (
    dig,
    integer,
    leaf,
    link,
    table,
    tables,
    text,
    texts,
)
from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import NotFound, Unsupported

if TYPE_CHECKING:
    from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.redfish.client import RedfishBmc

# What firmware fills unused places with.
_NOWHERE = ("0.0.0.0", "::", "")  # noqa: S104
_ADDRESS_FIELDS = {"address": "Address", "netmask": "SubnetMask", "gateway": "Gateway"}


class RedfishNetwork(ManagerNetwork):
    """The network of the Manager that is the host's BMC.

    :param address: as the BMC was reached: the interface that has it is the one that is meant.
    :param interface: Id of the interface, where it matters which.
    """

    def __init__(self, bmc: RedfishBmc, address: str, interface: str | None) -> None:
        self._bmc = bmc
        self._address = address
        self._interface = interface

    @property
    def host(self) -> str:
        return self._bmc.host

    # -- reading ------------------------------------------------------------------------------------------------------

    def read(self) -> Network:
        deadline = self._bmc.deadline()
        _path, nic, _etag = self._nic(deadline)
        _protocol_path, protocols, _protocol_etag = self._protocols(deadline)
        ip = next(iter(tables(nic.get("IPv4Addresses"))), {})
        vlan = table(nic.get("VLAN"))
        origin = text(ip.get("AddressOrigin"))
        dhcp = dig(nic, "DHCPv4", "DHCPEnabled")
        ipmi = dig(protocols, "IPMI", "ProtocolEnabled")
        ntp = table(protocols.get("NTP"))
        return Network(
            hostname=text(nic.get("HostName")) or text(protocols.get("HostName")),
            dhcp=dhcp if isinstance(dhcp, bool) else None if origin is None else origin == "DHCP",
            address=text(ip.get("Address")),
            netmask=text(ip.get("SubnetMask")),
            gateway=text(ip.get("Gateway")),
            vlan=(integer(vlan.get("VLANId")) or 0) if vlan.get("VLANEnable") else 0 if vlan else None,
            ntp_servers=_addresses(ntp.get("NTPServers")) if ntp.get("ProtocolEnabled", True) else () if ntp else None,
            dns_servers=_addresses(nic.get(_dns_property(nic))),
            ipmi_enabled=ipmi if isinstance(ipmi, bool) else None,
        )

    def _manager(self, deadline: Deadline) -> dict[str, Any]:
        manager = self._bmc.manager(deadline)
        if manager is None:
            raise self._unsupported("its own network", "Managers", "none of type BMC")
        return manager

    def _nic(self, deadline: Deadline) -> tuple[str, dict[str, Any], str | None]:
        transport = self._bmc.transport
        paths = transport.members(link(self._manager(deadline), "EthernetInterfaces"), deadline)
        if self._interface is not None:
            paths = [path for path in paths if leaf(path) == self._interface]
        found = [(path, *transport.get_with_etag(path, deadline)) for path in paths]
        if not found:
            raise NotFound(
                "the BMC shows no such interface of its own",
                host=self.host,
                tried=f"interface {self._interface}" if self._interface else "EthernetInterfaces of the Manager",
                answer="not among its members" if self._interface else "no members",
                next="Leave interface out, or give the Id of one that bmc_network shows.",
            )
        return max(found, key=lambda candidate: self._likelihood(candidate[1]))

    def _likelihood(self, nic: dict[str, Any]) -> tuple[bool, bool, bool, bool]:
        """The interface that we talk to; else one that is on, has a link, and does not only lead to the host."""
        addresses = [text(ip.get("Address")) for ip in tables(nic.get("IPv4Addresses"))]
        return (
            self._address in addresses,
            nic.get("InterfaceEnabled") is not False,
            "DHCPv4" in nic or "HostName" in nic,
            nic.get("LinkStatus") == "LinkUp",
        )

    def _protocols(self, deadline: Deadline) -> tuple[str, dict[str, Any], str | None]:
        path = link(self._manager(deadline), "NetworkProtocol")
        if path is None:
            return "", {}, None
        return (path, *self._bmc.transport.get_with_etag(path, deadline))

    # -- writing ------------------------------------------------------------------------------------------------------

    def check(self, changes: Mapping[str, Any], now: Network) -> None:
        deadline = self._bmc.deadline()
        _path, nic, _etag = self._nic(deadline)
        _protocol_path, protocols, _protocol_etag = self._protocols(deadline)
        self._nic_body(changes, nic, now)
        self._protocol_body(changes, protocols)

    def write(self, changes: Mapping[str, Any], now: Network) -> None:
        deadline = self._bmc.deadline()
        protocol_path, protocols, etag = self._protocols(deadline)
        if body := self._protocol_body(changes, protocols):
            self._bmc.transport.patch(protocol_path, body, deadline, etag=etag)
        staying = {name: value for name, value in changes.items() if name not in MOVING}
        moving = {name: value for name, value in changes.items() if name in MOVING}
        for part in (staying, moving):
            path, nic, etag = self._nic(deadline)
            if body := self._nic_body(part, nic, now):
                self._bmc.transport.patch(path, body, deadline, etag=etag)

    def _nic_body(self, changes: Mapping[str, Any], nic: dict[str, Any], now: Network) -> dict[str, Any]:
        body: dict[str, Any] = {}
        if "hostname" in changes:
            self._needs(nic, "HostName")
            body["HostName"] = changes["hostname"]
        if "dns_servers" in changes:
            self._needs(nic, _dns_property(nic))
            body[_dns_property(nic)] = list(changes["dns_servers"])
        if "vlan" in changes:
            self._needs(nic, "VLAN")
            number = changes["vlan"]
            body["VLAN"] = {"VLANEnable": True, "VLANId": number} if number else {"VLANEnable": False}
        addressing = any(name in changes for name in _ADDRESS_FIELDS)
        if "dhcp" in changes and ("DHCPv4" in nic or not addressing):
            self._needs(nic, "DHCPv4")
            body["DHCPv4"] = {"DHCPEnabled": changes["dhcp"]}
        if addressing:
            whole = {name: changes.get(name, getattr(now, name)) for name in _ADDRESS_FIELDS}
            entry = {_ADDRESS_FIELDS[name]: value for name, value in whole.items() if value is not None}
            # IPv4StaticAddresses came with schema 1.4; before, and on a DGX, IPv4Addresses is written
            body["IPv4StaticAddresses" if "IPv4StaticAddresses" in nic else "IPv4Addresses"] = [entry]
        return body

    def _protocol_body(self, changes: Mapping[str, Any], protocols: dict[str, Any]) -> dict[str, Any]:
        body: dict[str, Any] = {}
        if "ntp_servers" in changes:
            self._needs(protocols, "NTP")
            servers = list(changes["ntp_servers"])
            body["NTP"] = {"ProtocolEnabled": True, "NTPServers": servers} if servers else {"ProtocolEnabled": False}
        if "ipmi_enabled" in changes:
            self._needs(protocols, "IPMI")
            body["IPMI"] = {"ProtocolEnabled": changes["ipmi_enabled"]}
        return body

    def _needs(self, resource: dict[str, Any], name: str) -> None:
        if name not in resource:
            where = text(resource.get("@odata.id")) or "the Manager's NetworkProtocol"
            raise self._unsupported(f"changing {name}", where, f"it has no {name}")

    def _unsupported(self, what: str, tried: str, answer: str) -> Unsupported:
        return Unsupported(
            f"the BMC does not offer {what}",
            host=self.host,
            tried=tried,
            answer=answer,
            next="Leave it out, or set it in the BMC's own pages.",
        )


def _dns_property(nic: dict[str, Any]) -> str:
    return "StaticNameServers" if "StaticNameServers" in nic else "NameServers"


def _addresses(value: Any) -> tuple[str, ...] | None:
    if not isinstance(value, list):
        return None
    return tuple(item.strip() for item in texts(value) if item.strip() not in _NOWHERE)
