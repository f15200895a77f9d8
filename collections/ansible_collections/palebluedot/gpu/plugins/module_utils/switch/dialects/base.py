# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""What the modules ask of a network operating system, in words that all of them share.

A dialect turns "which VLAN is this port in" into paths (a ``Reading``: what to ask and what the answer means), and
"put it there" into one or more ``Change`` (a Set each, which is one transaction). It never talks to a switch itself.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import InvalidInput, Unsupported
from ansible_collections.palebluedot.gpu.plugins.module_utils.switch.gnmi import Change, Reading
from ansible_collections.palebluedot.gpu.plugins.module_utils.switch.paths import quoted

Json = dict[str, Any]

ACCESS, TRUNK, ROUTED = "access", "trunk", "routed"

__all__ = ["ACCESS", "ROUTED", "TRUNK", "Change", "Dialect", "Json", "PortInfo", "PortVlans", "Vlan", "Vnis", "quoted"]


class Vnis(dict[int, int]):
    """VLAN → VNI, and the name of the tunnel that maps them where a switch has several (SONiC)."""

    def __init__(self, maps: Mapping[int, int] | None = None, tunnel: str = "") -> None:
        super().__init__(maps or {})
        self.tunnel = tunnel

    def only(self, vlans: Collection[int]) -> Vnis:
        """The maps of some VLANs."""
        return Vnis({vlan: vni for vlan, vni in self.items() if vlan in vlans}, self.tunnel)


@dataclass(frozen=True)
class PortVlans:
    """Which VLANs a port is in.

    :param vlan: that of frames without a tag; None when there is none.
    :param bridge: the bridge domain of such frames where it is no VLAN's by its name (SR Linux).
    :param raw: what the dialect needs to put the port back to exactly this.
    """

    mode: str
    vlan: int | None = None
    trunk_vlans: tuple[int | str, ...] = ()
    bridge: str | None = None
    raw: Any = field(default=None, compare=False, repr=False)

    def shown(self) -> Json:
        """As in ``diff`` and results."""
        shown: Json = {"mode": self.mode, "vlan": self.vlan}
        if self.mode == TRUNK:
            shown["trunk_vlans"] = list(self.trunk_vlans)
        if self.bridge is not None:
            shown["bridge"] = self.bridge
        return shown

    def said(self) -> str:
        """In a sentence, after "is"."""
        if self.mode == ROUTED:
            return "a routed port"
        if self.mode == TRUNK:
            tagged = ", ".join(map(str, self.trunk_vlans)) or "none"
            return f"a trunk (untagged {self.vlan or 'none'}, tagged {tagged})"
        if self.vlan is None:
            return f"in the bridge domain {self.bridge}" if self.bridge else "in no VLAN"
        return f"in VLAN {self.vlan}"


@dataclass(frozen=True)
class Vlan:
    """One VLAN of a switch. ``name`` and ``vni`` are None where there is none, or where it was not read."""

    id: int
    name: str | None = None
    active: bool = True
    vni: int | None = None

    def shown(self) -> Json:
        """As in ``diff`` and results."""
        return {"id": self.id, "name": self.name, "active": self.active, "vni": self.vni}


@dataclass(frozen=True)
class PortInfo:
    """All that ``switch_port_info`` says of a port, but for its neighbours and MAC addresses."""

    interface: str
    vlans: PortVlans
    admin_status: str | None = None
    oper_status: str | None = None
    counters: Json = field(default_factory=dict)


COUNTERS = ("in_octets", "out_octets", "in_errors", "out_errors", "carrier_transitions")


class Dialect(ABC):
    """One network operating system.

    Class attributes are what its gNMI service wants: ``port`` where it listens by default, ``encoding`` of values,
    ``origin`` of paths, ``target`` of the prefix, ``most_paths`` in one request (None: no limit). ``no_writes`` is the
    advice when its Set is not implemented.
    """

    name: ClassVar[str]
    port: ClassVar[int]
    encoding: ClassVar[str] = "json_ietf"
    origin: ClassVar[str] = ""
    target: ClassVar[str] = ""
    most_paths: ClassVar[int | None] = None
    no_writes: ClassVar[str] = "The switch's gNMI service is read-only, or switch_dialect is wrong."
    interface_pattern: ClassVar[str] = r"[^\[\]=\\]+"
    interface_example: ClassVar[str] = "Ethernet7"

    def interface(self, name: str) -> str:
        """The port's name as the switch spells it.

        :raises InvalidInput: when no port of such a switch is called so.
        """
        if not re.fullmatch(self.interface_pattern, name):
            raise InvalidInput(
                f"{name!r} is not the name of an interface",
                next=f"On a switch of the dialect {self.name} one is called {self.interface_example}.",
            )
        return name

    # -- one port ----------------------------------------------------------------------------------------------------

    @abstractmethod
    def neighbors(self, interface: str) -> Reading:
        """Who LLDP hears there: dicts of ``system_name``, ``chassis_id``, ``port_id``."""

    @abstractmethod
    def port_vlans(self, interface: str) -> Reading:
        """The configuration: PortVlans, or None when the switch has no such port (see ``port_exists``)."""

    @abstractmethod
    def aggregate(self, interface: str) -> Reading:
        """The name of the aggregate (LAG, port channel) that the port is a member of, or None."""

    @abstractmethod
    def port_state(self, interface: str) -> Reading:
        """What the port really is in, as far as the switch says so beside its configuration: PortVlans or None."""

    def port_exists(self, interface: str) -> Reading | None:
        """Asked when ``port_vlans`` found nothing: a truth value; None where that says enough."""
        return None

    @abstractmethod
    def move(self, interface: str, before: PortVlans, vlan: int, make: Vlan | None) -> list[Change]:
        """Make a port an untagged member of one VLAN only, and first the VLAN where ``make`` is one."""

    @abstractmethod
    def put_back(self, interface: str, before: PortVlans, vlan: int, unmake: bool) -> list[Change]:
        """Undo ``move``: the port is exactly what it was (``before.raw``); the VLAN goes when it was made for it."""

    # -- VLANs -------------------------------------------------------------------------------------------------------

    @abstractmethod
    def vlan(self, vlan: int) -> Reading:
        """One VLAN without its VNI, or None."""

    @abstractmethod
    def make_vlan(self, vlan: Vlan, before: Vlan | None, stale: Vnis) -> list[Change]:
        """Create or change a VLAN; ``stale`` are maps of its VNI, or of it, that go first."""

    @abstractmethod
    def drop_vlan(self, vlan: int, vnis: Vnis) -> list[Change]:
        """Remove a VLAN and its maps."""

    @abstractmethod
    def members(self, vlan: int) -> Reading:
        """Names of the ports that are in a VLAN."""

    def vnis(self) -> Reading:
        """Which VLAN is mapped to which VNI.

        :raises Unsupported: where the dialect has no path for it.
        """
        raise Unsupported(
            f"the dialect {self.name} has no path for a VLAN's VNI",
            code="vni_unsupported",
            next="OpenConfig has none (openconfig/public#918): use switch_dialect eos, nxos, srlinux or sonic.",
        )

    maps_vnis: ClassVar[bool] = True

    # -- all ports ---------------------------------------------------------------------------------------------------

    @abstractmethod
    def ports(self, interfaces: list[str] | None) -> Reading:
        """PortInfo of some ports, or of all: list; those that are not there are left out."""

    @abstractmethod
    def all_neighbors(self) -> Reading:
        """Neighbours of all ports: by interface."""

    @abstractmethod
    def macs(self) -> Reading:
        """The MAC table: list of (interface, MAC address, VLAN or None)."""


def neighbor(system_name: Any, chassis_id: Any, port_id: Any) -> Json:
    """One LLDP neighbour, in the words of the results."""
    return {"system_name": system_name or None, "chassis_id": chassis_id or None, "port_id": port_id or None}


def number(value: Any) -> int | None:
    """A counter, which 64-bit JSON_IETF writes as a string."""
    try:
        return int(value)
    except (TypeError, ValueError):
        return None


def entries(value: Any) -> list[Json]:
    """A list of a model, whether it was answered as a list, as one entry or not at all."""
    if value is None:
        return []
    return [entry for entry in (value if isinstance(value, list) else [value]) if isinstance(entry, dict)]


def below(value: Any, *names: str) -> Any:
    """What stands under a chain of containers; None where one is missing."""
    for name in names:
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    return value
