"""What a network operating system is to the lab: a model over gNMI, in front of the same ports and VLANs."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar, Literal

from lab.clock import Clock
from lab.fabric import DEFAULT_VLAN, Port, PortMode, Switch, Vlan
from lab.faults import FaultSet
from lab.yang import List, Model, Path, Tree, VlanRange, YangError

JSON, JSON_IETF = 0, 4  # gnmi.Encoding
ASCII = 3


@dataclass(frozen=True)
class Neighbor:
    """What LLDP hears on a port."""

    name: str
    mac: str
    description: str


@dataclass(frozen=True)
class PortSettings:
    """What a configuration says of a port."""

    description: str = ""
    enabled: bool = True
    mode: PortMode = "ACCESS"
    access_vlan: int | None = None
    native_vlan: int | None = None
    trunk_vlans: tuple[VlanRange, ...] = ()
    aggregate: str | None = None

    @classmethod
    def of(cls, port: Port) -> PortSettings:
        vlans = (port.mode, port.access_vlan, port.native_vlan, port.trunk_vlans)
        return cls(port.description, port.enabled, *vlans, port.aggregate)

    def leaves(self) -> Tree:
        """For the write log."""
        found: Tree = {"interface-mode": self.mode}
        for name, value in (("access-vlan", self.access_vlan), ("native-vlan", self.native_vlan)):
            if value is not None:
                found[name] = value
        if self.trunk_vlans:
            found["trunk-vlans"] = list(self.trunk_vlans)
        if self.aggregate is not None:
            found["aggregate-id"] = self.aggregate
        return found | {"enabled": self.enabled}


@dataclass(frozen=True)
class Settings:
    """A whole configuration. ``extras`` is what only its operating system knows."""

    vlans: dict[int, Vlan]
    ports: dict[str, PortSettings]
    vnis: dict[int, int]
    extras: Any = None


@dataclass(frozen=True)
class Change:
    """What a commit did to a port, a VLAN or a map to a VNI: its leaves before and after (None: absent)."""

    kind: Literal["port", "vlan", "vni"]
    name: str
    before: Tree | None
    after: Tree | None


class View:
    """The state of a switch, with what faults make of it.

    Standing faults of layer ``gnmi``: ``lldp_silent``; ``lldp_wrong`` (value: the system name that is heard instead);
    ``stale_mac`` (value: a VLAN in which the machine's MAC address is still known, too).
    """

    def __init__(self, switch: Switch, clock: Clock, faults: FaultSet) -> None:
        self.switch = switch
        self.clock = clock
        self._faults = faults

    def settings(self, port: Port) -> PortSettings:
        """What the port really does: a commit can take its time."""
        if port.former is not None and time.monotonic() < port.former_until:
            return PortSettings.of(port.former)
        return PortSettings.of(port)

    def last_change(self, port: Port) -> int:
        """Nanoseconds since the epoch."""
        return int((self.clock.now().timestamp() - (self.clock.elapsed() - port.changed_at)) * 1e9)

    def neighbor(self, port: Port) -> Neighbor | None:
        machine = port.machine
        if machine is None or not port.up or self._faults.standing(machine.name, "gnmi", "lldp_silent"):
            return None
        for fault in self._faults.standing(machine.name, "gnmi", "lldp_wrong"):
            return Neighbor(str(fault.value or "stranger"), "02:00:00:00:ba:d0", "another machine")
        return Neighbor(machine.name, machine.mac, f"GPU server {machine.serial_number}")

    def macs(self) -> Iterator[tuple[str, str, int]]:
        """MAC address, port and VLAN."""
        for port in self.switch.ports.values():
            machine = port.machine
            if machine is None or not port.up:
                continue
            vlan = self.settings(port).access_vlan if port.mode == "ACCESS" else port.native_vlan
            if machine.power == "On" and vlan in self.switch.vlans:
                yield machine.mac, port.name, vlan
            for fault in self._faults.standing(machine.name, "gnmi", "stale_mac"):
                yield machine.mac, port.name, int(fault.value)


class NetworkOs(ABC):
    """One network operating system.

    ``origins`` and ``targets`` are what a path and a prefix may name, ``encodings`` by their number, ``most_paths`` how
    many a request may hold, ``wildcards`` whether Get takes them.
    """

    name: ClassVar[str]
    model: Model
    organization: ClassVar[str] = "OpenConfig working group"
    origins: ClassVar[tuple[str, ...]] = ("", "openconfig")
    targets: ClassVar[tuple[str, ...] | None] = None
    encodings: ClassVar[tuple[int, ...]] = (JSON_IETF,)
    most_paths: ClassVar[int | None] = None
    wildcards: ClassVar[bool] = True
    others: Mapping[str, NetworkOs] = MappingProxyType({})  # further models, by the origin that asks for them

    @abstractmethod
    def configuration(self, switch: Switch) -> Tree:
        """The configuration as a tree of the model."""

    @abstractmethod
    def everything(self, view: View) -> Tree:
        """Configuration and state."""

    @abstractmethod
    def settings(self, switch: Switch, candidate: Tree) -> Settings:
        """What a candidate configuration means. Raises YangError when it does not hold together."""

    def shown(self, path: Path, value: Any) -> Any:
        """A value as the switch puts it into an answer."""
        return value

    def taken(self, path: Path, value: Any) -> Any:
        """A value of a Set as the model has it. Raises YangError when the switch would not take it."""
        return value

    def rooted(self, path: Path) -> bool:
        """Whether an answer to this path is given as a tree from the root."""
        return False

    def port_at(self, path: Path) -> str | None:
        """The port that a path is about."""
        for step in path:
            if step.name in ("interface", "PhysIf-list", "If-list") and step.keys:
                return next(iter(step.keys.values())).partition(".")[0]
        return None


def commit(switch: Switch, wanted: Settings, clock: Clock, keep_vlans: bool = False) -> list[Change]:
    """Make ``wanted`` the switch's configuration. ``keep_vlans``: a VLAN that is taken away stays all the same."""
    vlans, vnis = dict(wanted.vlans), dict(wanted.vnis)
    if keep_vlans:
        vlans = {**switch.vlans, **vlans}
    changes = [
        Change("vlan", str(id), _vlan_leaves(switch.vlans.get(id)), _vlan_leaves(vlans.get(id)))
        for id in sorted(vlans.keys() | switch.vlans.keys())
        if vlans.get(id) != switch.vlans.get(id)
    ]
    changes += [
        Change("vni", str(id), _vni_leaves(switch.vnis.get(id)), _vni_leaves(vnis.get(id)))
        for id in sorted(vnis.keys() | switch.vnis.keys())
        if vnis.get(id) != switch.vnis.get(id)
    ]
    switch.vlans, switch.vnis, switch.extras = vlans, vnis, wanted.extras
    for name, new in wanted.ports.items():
        port = switch.ports[name]
        old = PortSettings.of(port)
        if new == old:
            continue
        changes.append(Change("port", name, old.leaves(), new.leaves()))
        if new.enabled != port.enabled:
            port.changed_at = clock.elapsed()
            port.counters.carrier_transitions += 1
        port.description, port.enabled, port.mode = new.description, new.enabled, new.mode
        port.access_vlan, port.native_vlan, port.trunk_vlans = new.access_vlan, new.native_vlan, new.trunk_vlans
        port.aggregate = new.aggregate
    return changes


def with_default(vlans: dict[int, Vlan]) -> dict[int, Vlan]:
    """VLAN 1 cannot be removed."""
    return {DEFAULT_VLAN: Vlan(DEFAULT_VLAN, "default"), **vlans}


def require(port: str, vlans: dict[int, Vlan], **leaves: int | None) -> None:
    """Raises YangError when a port is put into a VLAN that is not there."""
    for leaf, id in leaves.items():
        if id is not None and id not in vlans:
            raise YangError(f"{port}: {leaf.replace('_', '-')} {id}: no such VLAN on this switch", "precondition")


def only_known(switch: Switch, names: Iterator[str]) -> None:
    """Raises YangError when an interface is none of the switch's."""
    if strangers := [name for name in names if name not in switch.ports]:
        raise YangError(f"{switch.name} has no interface {', '.join(strangers)}", "missing")


def pruned(model: Model, found: list[tuple[Path, Any]]) -> Tree:
    """Values at their paths as one tree from the root."""
    tree: Tree = {}
    for way, value in found:
        node: Any = tree
        schema: Any = model.root
        for number, step in enumerate(way):
            child = (schema.entry if isinstance(schema, List) else schema).children[step.name]
            last = number == len(way) - 1
            if isinstance(child, List):
                keys = tuple((step.keys or {}).values())
                entries = node.setdefault(step.name, {})
                node = entries.setdefault(keys, dict(step.keys or {}))
                if last:
                    node.update(value)
            elif last:
                node[step.name] = value
            else:
                node = node.setdefault(step.name, {})
            schema = child
    return tree


def has_wildcard(model: Model, path: Path) -> bool:
    """Whether a path stands for several entries of a list: by ``*``, or by leaving the key out."""
    for number, step in enumerate(path):
        node = model.find_node(path[: number + 1])[0]
        if isinstance(node, List) and (not step.keys or "*" in step.keys.values()):
            return True
    return False


def _vlan_leaves(vlan: Vlan | None) -> Tree | None:
    return None if vlan is None else {"vlan-id": vlan.id, "name": vlan.name, "status": vlan.status}


def _vni_leaves(vni: int | None) -> Tree | None:
    return None if vni is None else {"vni": vni}
