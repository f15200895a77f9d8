"""Leaf switches: their ports, their VLANs and the machines cabled to them.

A machine is on a network when the port at the other end of its cable is: that is all the rest of the lab may ask.
:mod:`lab.gnmi` is the way in from outside.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal, Protocol

from lab.clock import Clock
from lab.config import SERVERS_PER_SWITCH, Network, SwitchConfig, port_name

PortMode = Literal["ACCESS", "TRUNK"]
VlanRange = int | str  # a VLAN, or "first..last"
DEFAULT_VLAN = 1
WITHOUT_DEFAULT = ("sonic", "srlinux")  # a port of theirs may be in no VLAN, and there is no VLAN 1
BOOT_PURPOSES = ("provisioning", "quarantine")


class Cabled(Protocol):
    """What the fabric knows of a machine."""

    name: str
    serial_number: str
    mac: str
    switch: str
    switch_port: str
    power: Literal["On", "Off"]


@dataclass
class Counters:
    """Traffic since the lab started, seen from the switch: ``in`` is what the machine sent."""

    in_octets: int = 0
    out_octets: int = 0
    carrier_transitions: int = 0


@dataclass
class Port:
    """One port. ``access_vlan`` counts in mode ACCESS, ``native_vlan`` and ``trunk_vlans`` in mode TRUNK."""

    name: str
    index: int
    description: str = ""
    enabled: bool = True
    mode: PortMode = "ACCESS"
    access_vlan: int | None = DEFAULT_VLAN
    native_vlan: int | None = None
    trunk_vlans: tuple[VlanRange, ...] = ()
    aggregate: str | None = None  # the LAG that it is a member of
    machine: Cabled | None = None
    counters: Counters = field(default_factory=Counters)
    changed_at: float = 0.0  # clock.elapsed() when the link last changed
    former: Port | None = None  # what it still is until former_until (time.monotonic()), while a commit takes its time
    former_until: float = 0.0

    @property
    def up(self) -> bool:
        """Link: a network card keeps it on standby power, so a machine that is off does not take it down."""
        return self.enabled and self.machine is not None

    @property
    def untagged_vlan(self) -> int | None:
        """The VLAN of frames without a tag."""
        return self.access_vlan if self.mode == "ACCESS" else self.native_vlan


@dataclass
class Vlan:
    id: int
    name: str
    status: Literal["ACTIVE", "SUSPENDED"] = "ACTIVE"


class Switch:
    """One leaf. It knows VLAN 1 (where its operating system has one), the boot networks' and the management VLAN; those
    of tenants are for its clients to make. ``vnis`` maps VLANs to VNIs; ``extras`` is its operating system's own."""

    def __init__(self, config: SwitchConfig, networks: Iterable[Network], ports: int = SERVERS_PER_SWITCH) -> None:
        self.config = config
        self.name = config.name
        known = [network for network in networks if network.purpose != "tenant"]
        quarantine = next((network.vlan for network in known if network.purpose == "quarantine"), DEFAULT_VLAN)
        self.vlans = {} if config.dialect in WITHOUT_DEFAULT else {DEFAULT_VLAN: Vlan(DEFAULT_VLAN, "default")}
        self.vlans |= {network.vlan: Vlan(network.vlan, network.name) for network in known}
        self.vnis: dict[int, int] = {}
        self.extras: object = None
        names = [port_name(config.dialect, number) for number in range(1, ports + 1)]
        self.ports = {name: Port(name, n, access_vlan=quarantine) for n, name in enumerate(names, 1)}

    def port_of(self, mac: str) -> Port | None:
        return next((port for port in self.ports.values() if port.machine and port.machine.mac == mac), None)


class Fabric:
    """All switches and networks of the lab."""

    def __init__(self, clock: Clock, networks: Iterable[Network], switches: Iterable[SwitchConfig]) -> None:
        self.clock = clock
        self.networks = tuple(networks)
        self.switches = {config.name: Switch(config, self.networks) for config in switches}
        self._boot_vlans = frozenset(n.vlan for n in self.networks if n.purpose in BOOT_PURPOSES)
        self._changed = asyncio.Event()

    def connect(self, machine: Cabled) -> Port:
        """Plug a machine's cable in where the machine says it is. Raises KeyError when there is no such port."""
        port = self.switches[machine.switch].ports[machine.switch_port]
        port.machine = machine
        port.counters.carrier_transitions += 1
        port.changed_at = self.clock.elapsed()
        self.notify()
        return port

    def move(self, machine: Cabled, switch: str, port: str) -> Port:
        """Plug the cable in somewhere else: what a wrong cabling is made with. Raises KeyError as connect."""
        wanted = self.switches[switch].ports[port]
        old = self.port(machine)
        if old is not None:
            old.machine = None
            old.changed_at = self.clock.elapsed()
        wanted.machine = machine
        wanted.counters.carrier_transitions += 1
        wanted.changed_at = self.clock.elapsed()
        self.notify()
        return wanted

    def port(self, machine: Cabled) -> Port | None:
        """The port at the other end of a machine's cable."""
        return next((port for s in self._nearest_first(machine) if (port := s.port_of(machine.mac))), None)

    def vlan(self, machine: Cabled) -> int | None:
        """The VLAN a machine is in; None when its link is down, or its VLAN is not there or not active."""
        for switch in self._nearest_first(machine):
            port = switch.port_of(machine.mac)
            if port is not None:
                vlan = switch.vlans.get(port.untagged_vlan or 0)
                return vlan.id if port.up and vlan is not None and vlan.status == "ACTIVE" else None
        return None

    def boot_network(self, machine: Cabled) -> bool:
        """Whether boot services reach the machine: its VLAN is a provisioning or a quarantine network."""
        return self.vlan(machine) in self._boot_vlans

    def tenant_vlan_of(self, address: str) -> int | None:
        """VLAN of the tenant network an address belongs to."""
        try:
            wanted = ipaddress.ip_address(address)
        except ValueError:
            return None
        return next((n.vlan for n in self.networks if n.purpose == "tenant" and wanted in n.cidr), None)

    def count(self, machine: Cabled, received: int = 0, sent: int = 0) -> None:
        """Count octets that a machine ``received`` and ``sent``."""
        port = self.port(machine)
        if port is not None:
            port.counters.out_octets += received
            port.counters.in_octets += sent

    def notify(self) -> None:
        """Something about ports or VLANs changed."""
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def wait_for_change(self) -> None:
        await self._changed.wait()

    def _nearest_first(self, machine: Cabled) -> list[Switch]:
        """The switch where the machine is meant to be, then the others."""
        switches = list(self.switches.values())
        switches.sort(key=lambda switch: switch.name != machine.switch)
        return switches
