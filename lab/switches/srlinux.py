"""Nokia SR Linux in its native model: a VLAN is the network instance mac-vrf-N, a port is in it by a subinterface.

From Nokia's guides ("Interfaces": untagged means vlan-tagging false and one bridged subinterface; "EVPN-VXLAN": a
vxlan-interface of the tunnel carries the ingress VNI) and srl_nokia-interfaces, -network-instance, -tunnel-interfaces,
-lldp. What is read with a wildcard is answered from the root.
"""

from __future__ import annotations

from typing import Any

from lab.fabric import Port, Switch, Vlan
from lab.switches.base import NetworkOs, PortSettings, Settings, View, has_wildcard, only_known
from lab.yang import FLAG, TEXT, VLAN_ID, Container, Leaf, List, Model, Path, Tree, YangError, number, one_of, state

TUNNEL = "vxlan1"
PREFIX = "mac-vrf-"
_ENABLE = Leaf(one_of("enable", "disable"))
_SAID = Leaf(lambda value: value, config=False)
_WIDE = Leaf(number(0, 2**64 - 1), wide=True, config=False)
_SUBINTERFACE = List(
    ("index",),
    Container(
        {
            "index": Leaf(number(0, 9999)),
            "type": Leaf(one_of("routed", "bridged")),
            "admin-state": _ENABLE,
            "description": TEXT,
            "vlan": Container(
                {
                    "encap": Container(
                        {"untagged": Container({}), "single-tagged": Container({"vlan-id": VLAN_ID})},
                    )
                },
                module="srl_nokia-interfaces-vlans",
            ),
            "oper-state": _SAID,
        }
    ),
)
_COUNTERS = ("in-octets", "out-octets", "in-error-packets", "out-error-packets", "carrier-transitions")
_INTERFACE = List(
    ("name",),
    Container(
        {
            "name": TEXT,
            "admin-state": _ENABLE,
            "description": TEXT,
            "vlan-tagging": FLAG,
            "ethernet": Container({"aggregate-id": TEXT}),
            "oper-state": _SAID,
            "ifindex": _SAID,
            "statistics": state(dict.fromkeys(_COUNTERS, _WIDE)),
            "subinterface": _SUBINTERFACE,
        },
        module="srl_nokia-interfaces",
    ),
)
_MAC = List(("address",), state({"address": TEXT, "destination": _SAID, "type": _SAID}))
_INSTANCE = List(
    ("name",),
    Container(
        {
            "name": TEXT,
            "type": Leaf(one_of("default", "ip-vrf", "mac-vrf")),
            "admin-state": _ENABLE,
            "description": TEXT,
            "oper-state": _SAID,
            "interface": List(("name",), Container({"name": TEXT})),
            "vxlan-interface": List(("name",), Container({"name": TEXT})),
            "bridge-table": state({"mac-table": state({"mac": _MAC})}),
        },
        module="srl_nokia-network-instance",
    ),
)
_VXLAN = List(
    ("name",),
    Container(
        {
            "name": TEXT,
            "vxlan-interface": List(
                ("index",),
                Container(
                    {
                        "index": Leaf(number(0, 99_999_999)),
                        "type": Leaf(one_of("routed", "bridged")),
                        "ingress": Container({"vni": Leaf(number(1, 2**24 - 1))}),
                    }
                ),
            ),
        },
        module="srl_nokia-tunnel-interfaces",
    ),
)
_HEARD = ("id", "system-name", "system-description", "chassis-id", "chassis-id-type", "port-id", "port-id-type")
_LLDP = List(
    ("name",),
    Container({"name": TEXT, "neighbor": List(("id",), state({**dict.fromkeys(_HEARD, _SAID), "id": TEXT}))}),
)
_ROOT = Container(
    {
        "interface": _INTERFACE,
        "network-instance": _INSTANCE,
        "tunnel-interface": _VXLAN,
        "system": Container(
            {"lldp": Container({"interface": _LLDP}, module="srl_nokia-lldp")}, module="srl_nokia-system"
        ),
    }
)
_MODULES = dict.fromkeys(
    (
        "srl_nokia-interfaces",
        "srl_nokia-interfaces-vlans",
        "srl_nokia-network-instance",
        "srl_nokia-tunnel-interfaces",
        "srl_nokia-system",
        "srl_nokia-lldp",
    ),
    "2024-10-31",
)


class SrLinux(NetworkOs):
    """A 7220 IXR. Extras: subinterfaces and instances' members as they are configured, by port and by instance."""

    name = "srlinux"
    organization = "Nokia"
    origins = ("", "native")

    def __init__(self) -> None:
        self.model = Model(_ROOT, _MODULES)

    def rooted(self, path: Path) -> bool:
        return has_wildcard(self.model, path)

    # --- out of the switch

    def configuration(self, switch: Switch) -> Tree:
        instances: Tree = {("default",): {"name": "default", "type": "default", "admin-state": "enable"}}
        for vlan in switch.vlans.values():
            instance: Tree = {
                "name": f"{PREFIX}{vlan.id}",
                "type": "mac-vrf",
                "admin-state": "enable" if vlan.status == "ACTIVE" else "disable",
            }
            if vlan.name:
                instance["description"] = vlan.name
            if vlan.id in switch.vnis:
                name = f"{TUNNEL}.{switch.vnis[vlan.id]}"
                instance["vxlan-interface"] = {(name,): {"name": name}}
            instances[(instance["name"],)] = instance
        interfaces: Tree = {}
        for port in switch.ports.values():
            interfaces[(port.name,)] = _interface(port, instances)
        vnis = {*switch.vnis.values(), *_tunnels(switch)}
        tunnels = {(str(vni),): {"index": vni, "type": "bridged", "ingress": {"vni": vni}} for vni in sorted(vnis)}
        return {
            "interface": interfaces,
            "network-instance": instances,
            "tunnel-interface": {(TUNNEL,): {"name": TUNNEL, "vxlan-interface": tunnels}},
        }

    def everything(self, view: View) -> Tree:
        tree = self.configuration(view.switch)
        heard: Tree = {}
        for (name,), entry in tree["interface"].items():
            port = view.switch.ports[name]
            counted = port.counters
            entry |= {
                "oper-state": "up" if port.up else "down",
                "ifindex": port.index,
                "statistics": {
                    "in-octets": counted.in_octets,
                    "out-octets": counted.out_octets,
                    "in-error-packets": 0,
                    "out-error-packets": 0,
                    "carrier-transitions": counted.carrier_transitions,
                },
            }
            neighbor = view.neighbor(port)
            entries: Tree = {}
            if neighbor is not None:
                said = {"system-name": neighbor.name, "system-description": neighbor.description}
                said |= {"chassis-id": neighbor.mac.upper(), "chassis-id-type": "MAC_ADDRESS"}
                said |= {"port-id": neighbor.mac.upper(), "port-id-type": "MAC_ADDRESS"}
                entries[(neighbor.mac,)] = {"id": neighbor.mac, **said}
            heard[(name,)] = {"name": name, "neighbor": entries}
        for mac, name, vlan in view.macs():
            instance = tree["network-instance"].get((f"{PREFIX}{vlan}",))
            if instance is not None:
                table = instance.setdefault("bridge-table", {"mac-table": {"mac": {}}})["mac-table"]["mac"]
                table[(mac.upper(),)] = {"address": mac.upper(), "destination": f"{name}.0", "type": "learnt"}
        tree["system"] = {"lldp": {"interface": heard}}
        return tree

    # --- into the switch

    def settings(self, switch: Switch, candidate: Tree) -> Settings:
        interfaces, instances = candidate.get("interface") or {}, candidate.get("network-instance") or {}
        only_known(switch, (keys[0] for keys in interfaces))
        vlans: dict[int, Vlan] = {}
        bridges: dict[str, int] = {}
        for (name,), instance in instances.items():
            members = instance.get("interface") or {}
            if not name.startswith(PREFIX) or not name.removeprefix(PREFIX).isdigit():
                if members:
                    raise YangError(f"network-instance {name}: the lab bridges only in {PREFIX}<VLAN>")
                continue
            if instance.get("type") != "mac-vrf":
                raise YangError(f"network-instance {name}: type is mandatory, and mac-vrf here")
            id = int(name.removeprefix(PREFIX))
            status = "ACTIVE" if instance.get("admin-state", "enable") == "enable" else "SUSPENDED"
            vlans[id] = Vlan(id, instance.get("description", ""), status)  # type: ignore[arg-type]
            for (member,) in members:
                port, _dot, index = member.rpartition(".")
                if (index,) not in ((interfaces.get((port,)) or {}).get("subinterface") or {}):
                    raise YangError(f"network-instance {name}: there is no subinterface {member}", "precondition")
                if member in bridges:
                    raise YangError(f"{member} is in {PREFIX}{bridges[member]} and in {name}", "precondition")
                bridges[member] = id
        ports = {name: _settings(name, interfaces.get((name,)) or {}, bridges) for name in switch.ports}
        tunnels = ((candidate.get("tunnel-interface") or {}).get((TUNNEL,)) or {}).get("vxlan-interface") or {}
        vnis: dict[int, int] = {}
        by_index = {keys[0]: (row.get("ingress") or {}).get("vni") for keys, row in tunnels.items()}
        for (name,), instance in instances.items():
            for (member,) in instance.get("vxlan-interface") or {}:
                vni = by_index.get(member.removeprefix(f"{TUNNEL}."))
                if vni is None:
                    raise YangError(f"network-instance {name}: there is no {member}", "precondition")
                if vni in vnis.values():
                    raise YangError(f"{member} is in another network instance already", "precondition")
                vnis[int(name.removeprefix(PREFIX))] = vni
        extras = tuple(vni for vni in by_index.values() if vni is not None)
        return Settings(vlans, ports, vnis, extras)


def _interface(port: Port, instances: Tree) -> Tree:
    """A port as it is configured, and its subinterfaces put into their network instances."""
    rows: Tree = {}
    members: dict[int, int | None] = {}
    if port.mode == "ACCESS":
        if port.access_vlan is not None:
            rows[("0",)] = {"index": 0, "type": "bridged", "admin-state": "enable"}
            members[0] = port.access_vlan
    else:
        if port.native_vlan is not None:
            rows[("0",)] = {"index": 0, "type": "bridged", "admin-state": "enable", "vlan": {"encap": {"untagged": {}}}}
            members[0] = port.native_vlan
        for vlan in _each(port.trunk_vlans):
            tagged = {"encap": {"single-tagged": {"vlan-id": vlan}}}
            rows[(str(vlan),)] = {"index": vlan, "type": "bridged", "admin-state": "enable", "vlan": tagged}
            members[vlan] = vlan
    for index, bridge in members.items():
        instance = instances.get((f"{PREFIX}{bridge}",))
        if instance is not None:
            name = f"{port.name}.{index}"
            instance.setdefault("interface", {})[(name,)] = {"name": name}
    entry: Tree = {
        "name": port.name,
        "admin-state": "enable" if port.enabled else "disable",
        "vlan-tagging": port.mode == "TRUNK",
    }
    if port.description:
        entry["description"] = port.description
    if port.aggregate is not None:
        entry["ethernet"] = {"aggregate-id": port.aggregate}
    return entry | {"subinterface": rows} if rows else entry


def _settings(name: str, entry: Tree, bridges: dict[str, int]) -> PortSettings:
    tagging = bool(entry.get("vlan-tagging", False))
    rows = list((entry.get("subinterface") or {}).values())
    if any(row.get("type", "routed") != "bridged" for row in rows):
        raise YangError(f"{name}: the lab has bridged subinterfaces only")
    untagged = [row for row in rows if not tagging or "untagged" in ((row.get("vlan") or {}).get("encap") or {})]
    if len(untagged) > 1:
        raise YangError(f"{name}: only one untagged subinterface is possible", "precondition")
    vlan = bridges.get(f"{name}.{untagged[0]['index']}") if untagged else None
    tagged = [row for row in rows if row not in untagged]
    found = tuple(id for row in tagged if (id := bridges.get(f"{name}.{row['index']}")) is not None)
    return PortSettings(
        description=entry.get("description", ""),
        enabled=entry.get("admin-state", "enable") == "enable",
        mode="TRUNK" if tagging else "ACCESS",
        access_vlan=None if tagging else vlan,
        native_vlan=vlan if tagging else None,
        trunk_vlans=found,
        aggregate=(entry.get("ethernet") or {}).get("aggregate-id"),
    )


def _each(ranges: tuple[Any, ...]) -> list[int]:
    found: list[int] = []
    for part in ranges:
        first, _dots, last = str(part).partition("..")
        found += range(int(first), int(last or first) + 1)
    return found


def _tunnels(switch: Switch) -> tuple[int, ...]:
    """VNIs of the tunnel's interfaces, those included that no network instance uses."""
    return switch.extras if isinstance(switch.extras, tuple) else ()
