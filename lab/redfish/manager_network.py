"""The BMC's own network: its interface and the protocols that it speaks.

Its address really moves: the service stops listening on the old one. An address outside 127.0.0.0/8 cannot be reached
from here, so a BMC that gets one, or asks a DHCP server of which there is none, is away until somebody comes by.
"""

from __future__ import annotations

import asyncio
import ipaddress
from typing import TYPE_CHECKING, Any

from lab.redfish.errors import RedfishError
from lab.redfish.routes import AMI_OK, Answer, Body, Call, ami, routes
from lab.redfish.routes import members as member_list

if TYPE_CHECKING:
    from lab.bmc import ManagerNetwork
    from lab.redfish.service import RedfishBmc

BMC = "/Managers/BMC"
NIC, PROTOCOLS = f"{BMC}/EthernetInterfaces/eth0", f"{BMC}/NetworkProtocol"


@routes.get("/Managers/BMC/EthernetInterfaces")
def ethernet_interfaces(bmc: RedfishBmc) -> Body:
    return ami(
        f"{BMC}/EthernetInterfaces",
        "EthernetInterfaceCollection.EthernetInterfaceCollection",
        Description="Collection of Ethernet Interfaces for this Manager",
        **member_list([NIC]),
        Name="Ethernet Network Interface Collection",
    )


def _mac(bmc: RedfishBmc) -> str:
    """One below the host's own card."""
    return f"06{bmc.machine.mac[2:]}".upper()


def _hostname(bmc: RedfishBmc) -> str:
    return bmc.state.network.hostname or f"DGX{_mac(bmc).replace(':', '')}"


@routes.get("/Managers/BMC/EthernetInterfaces/eth0")
def ethernet_interface(bmc: RedfishBmc) -> Body:
    network = bmc.state.network
    return ami(
        NIC,
        "EthernetInterface.v1_6_2.EthernetInterface",
        AutoNeg=True,
        DHCPv4={"DHCPEnabled": network.dhcp},
        Description="Ethernet Interface eth0",
        FullDuplex=True,
        HostName=_hostname(bmc),
        IPv4Addresses=[
            {
                "Address": network.address,
                "AddressOrigin": "DHCP" if network.dhcp else "Static",
                "Gateway": network.gateway,
                "SubnetMask": network.netmask,
            }
        ],
        Id="eth0",
        InterfaceEnabled=True,
        LinkStatus="LinkUp",
        MACAddress=_mac(bmc),
        MTUSize=1500,
        Name="eth0",
        NameServers=[*network.dns_servers, *["::"] * (3 - len(network.dns_servers))],
        PermanentMACAddress=_mac(bmc),
        SpeedMbps=1000,
        Status=dict(AMI_OK),
        VLAN={"VLANEnable": network.vlan > 0, "VLANId": network.vlan},
    )


@routes.patch("/Managers/BMC/EthernetInterfaces/eth0")
async def change_interface(call: Call) -> Answer:
    """All of it or nothing; an address is moved to after the answer has gone out."""
    body, network = call.body, call.bmc.state.network
    for name in body:
        if name not in ("DHCPv4", "HostName", "IPv4Addresses", "IPv4StaticAddresses", "NameServers", "VLAN"):
            raise RedfishError("PropertyNotWritable", name)
    changes: dict[str, Any] = {}
    if "HostName" in body:
        changes["hostname"] = _text(body["HostName"], "HostName")
    if "DHCPv4" in body:
        changes["dhcp"] = _flag(_table(body["DHCPv4"], "DHCPv4").get("DHCPEnabled"), "DHCPv4/DHCPEnabled")
    if "VLAN" in body:
        vlan = _table(body["VLAN"], "VLAN")
        number = vlan.get("VLANId", network.vlan)
        if type(number) is not int or not 0 <= number <= 4094:
            raise RedfishError("PropertyValueFormatError", str(number), "VLAN/VLANId")
        changes["vlan"] = number if _flag(vlan.get("VLANEnable", network.vlan > 0), "VLAN/VLANEnable") else 0
    if "NameServers" in body:
        changes["dns_servers"] = [_address(item, "NameServers") for item in _list(body["NameServers"], "NameServers")]
    for name in ("IPv4Addresses", "IPv4StaticAddresses"):
        for entry in _list(body.get(name, []), name)[:1]:
            fields = {"Address": "address", "SubnetMask": "netmask", "Gateway": "gateway"}
            changes |= {fields[key]: _address(value, key) for key, value in entry.items() if key in fields}
    if "address" in changes and changes.get("dhcp", network.dhcp):
        raise RedfishError("PropertyNotWritable", "IPv4Addresses")
    _put(call.bmc, network, changes)
    return Answer()


@routes.get("/Managers/BMC/NetworkProtocol")
def network_protocol(bmc: RedfishBmc) -> Body:
    network = bmc.state.network
    return ami(
        PROTOCOLS,
        "ManagerNetworkProtocol.v1_6_0.ManagerNetworkProtocol",
        Description="Network Protocol Details",
        HTTPS={"Port": bmc.port, "ProtocolEnabled": True},
        HostName=_hostname(bmc),
        IPMI={"Port": bmc.state.ipmi_port or 623, "ProtocolEnabled": network.ipmi_enabled},
        Id="NetworkProtocol",
        NTP={"NTPServers": list(network.ntp_servers), "Port": 123, "ProtocolEnabled": network.ntp_enabled},
        Name="Manager Network Protocol",
        SSH={"Port": 22, "ProtocolEnabled": False},
        Status=dict(AMI_OK),
        VirtualMedia={"Port": 443, "ProtocolEnabled": True},
    )


@routes.patch("/Managers/BMC/NetworkProtocol")
async def change_protocols(call: Call) -> Answer:
    body, changes = call.body, dict[str, Any]()
    for name in body:
        if name not in ("NTP", "IPMI"):
            raise RedfishError("PropertyNotWritable", name)
    if "NTP" in body:
        ntp = _table(body["NTP"], "NTP")
        if "NTPServers" in ntp:
            changes["ntp_servers"] = [_text(item, "NTPServers") for item in _list(ntp["NTPServers"], "NTPServers")]
        if "ProtocolEnabled" in ntp:
            changes["ntp_enabled"] = _flag(ntp["ProtocolEnabled"], "NTP/ProtocolEnabled")
    if "IPMI" in body:
        changes["ipmi_enabled"] = _flag(_table(body["IPMI"], "IPMI").get("ProtocolEnabled"), "IPMI/ProtocolEnabled")
    _put(call.bmc, call.bmc.state.network, changes)
    return Answer()


def _put(bmc: RedfishBmc, network: ManagerNetwork, changes: dict[str, Any]) -> None:
    before = (network.address, network.dhcp)
    for name, value in changes.items():
        setattr(network, name, value)
    if (network.address, network.dhcp) != before:
        bmc.go_on(_move(bmc))


async def _move(bmc: RedfishBmc) -> None:
    await asyncio.sleep(0.05)  # the answer goes out first
    network = bmc.state.network
    reachable = not network.dhcp and ipaddress.ip_address(network.address).is_loopback
    await bmc.move(network.address if reachable else None)


def _text(value: object, name: str) -> str:
    if not isinstance(value, str) or not value:
        raise RedfishError("PropertyValueTypeError", str(value), name)
    return value


def _address(value: object, name: str) -> str:
    try:
        return str(ipaddress.ip_address(_text(value, name)))
    except ValueError:
        raise RedfishError("PropertyValueFormatError", str(value), name) from None


def _flag(value: object, name: str) -> bool:
    if not isinstance(value, bool):
        raise RedfishError("PropertyValueTypeError", str(value), name)
    return value


def _table(value: object, name: str) -> Body:
    if not isinstance(value, dict):
        raise RedfishError("PropertyValueTypeError", str(value), name)
    return value


def _list(value: object, name: str) -> list[Any]:
    if not isinstance(value, list):
        raise RedfishError("PropertyValueTypeError", str(value), name)
    return value
