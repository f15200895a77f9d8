"""Cisco NX-OS: its native model only (origin device or none), values as JSON, 20 paths a request, no wildcards in keys.

From the NX-OS Programmability Guide (gNMI) and Cisco-NX-OS-device.yang: bridge domains (bd-items), physical ports
(intf-items), the tunnel's VNIs (eps-items), LLDP (lldp-items), the MAC table (mac-items).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from lab.fabric import DEFAULT_VLAN, Port, Switch, Vlan
from lab.switches.base import JSON, NetworkOs, PortSettings, Settings, View, only_known, with_default
from lab.yang import TEXT, Container, Leaf, List, Model, Tree, VlanRange, YangError, number, one_of, state

_ALL = "1-4094"


def _encap(kind: str, *others: str) -> Callable[[Any], str]:
    def check(value: Any) -> str:
        if value in others or (isinstance(value, str) and re.fullmatch(rf"{kind}-\d+", value)):
            return str(value)
        raise ValueError(f"is not like {kind}-100")

    return check


def _said(check: Callable[[Any], Any]) -> Leaf:
    return Leaf(check, config=False)


_ANY = _said(lambda value: value)
_VLAN = Leaf(_encap("vlan", "unknown"))
_BRIDGE = List(
    ("fabEncap",),
    Container(
        {
            "fabEncap": Leaf(_encap("vlan")),
            "id": _ANY,
            "name": TEXT,
            "adminSt": Leaf(one_of("active", "suspend")),
            "accEncap": Leaf(_encap("vxlan", "unknown")),
            "operSt": _ANY,
        }
    ),
)
_PORT = List(
    ("id",),
    Container(
        {
            "id": TEXT,
            "descr": TEXT,
            "adminSt": Leaf(one_of("up", "down")),
            "layer": Leaf(one_of("Layer2", "Layer3")),
            "mode": Leaf(one_of("access", "trunk")),
            "accessVlan": _VLAN,
            "nativeVlan": _VLAN,
            "trunkVlans": TEXT,
            # which port channel it is a member of, said by the channel
            "rtmbrIfs-items": state({"tDn": _ANY}),
            "phys-items": state(dict.fromkeys(("operSt", "operMode", "accessVlan", "nativeVlan", "resetCtr"), _ANY)),
            "dbgIfIn-items": state(dict.fromkeys(("octets", "errors"), _ANY)),
            "dbgIfOut-items": state(dict.fromkeys(("octets", "errors"), _ANY)),
        }
    ),
)
_TUNNEL = List(
    ("epId",),
    Container(
        {
            "epId": Leaf(number(1, 1)),
            "nws-items": Container(
                {
                    "vni-items": Container(
                        {"Nw-list": List(("vni",), Container({"vni": Leaf(number(1, 2**24 - 1)), "suppressARP": TEXT}))}
                    )
                }
            ),
        }
    ),
)
_NEIGHBOR = ("index", "sysName", "sysDesc", "chassisIdT", "chassisIdV", "portIdT", "portIdV", "portDesc")
_ADJACENCY = state({"AdjEp-list": List(("index",), state({**dict.fromkeys(_NEIGHBOR, _ANY), "index": TEXT}))})
_MAC = List(
    ("vlan", "macAddress"),
    state({"vlan": TEXT, "macAddress": TEXT, "port": _ANY, "type": _ANY, "static": _ANY}),
)
_ROOT = Container(
    {
        "System": Container(
            {
                "bd-items": Container({"bd-items": Container({"BD-list": _BRIDGE})}),
                "intf-items": Container({"phys-items": Container({"PhysIf-list": _PORT})}),
                "eps-items": Container({"epId-items": Container({"Ep-list": _TUNNEL})}),
                "lldp-items": state(
                    {
                        "inst-items": state(
                            {
                                "if-items": state(
                                    {"If-list": List(("id",), state({"id": TEXT, "adj-items": _ADJACENCY}))}
                                )
                            }
                        )
                    }
                ),
                "mac-items": state({"table-items": state({"vlan-items": state({"MacAddressEntry-list": _MAC})})}),
            }
        )
    }
)


class NxOs(NetworkOs):
    """A Nexus 9000."""

    name = "nxos"
    organization = "Cisco Systems, Inc."
    origins = ("", "device")
    encodings = (JSON,)
    most_paths = 20
    wildcards = False

    def __init__(self) -> None:
        self.model = Model(_ROOT, {"Cisco-NX-OS-device": "2023-07-28"})

    def configuration(self, switch: Switch) -> Tree:
        bridges = {(f"vlan-{vlan.id}",): _bridge(vlan, switch.vnis.get(vlan.id)) for vlan in switch.vlans.values()}
        # the tunnel's VNIs are entries of their own: what was taken off a VLAN is still there until it is removed
        vnis = sorted(switch.extras) if isinstance(switch.extras, tuple) else []
        tunnel = {"epId": 1, "nws-items": {"vni-items": {"Nw-list": {(str(vni),): {"vni": vni} for vni in vnis}}}}
        return {
            "System": {
                "bd-items": {"bd-items": {"BD-list": bridges}},
                "intf-items": {
                    "phys-items": {"PhysIf-list": {(name,): _port(port) for name, port in switch.ports.items()}}
                },
                "eps-items": {"epId-items": {"Ep-list": {("1",): tunnel}}},
            }
        }

    def everything(self, view: View) -> Tree:
        tree = self.configuration(view.switch)
        system = tree["System"]
        for (encap,), bridge in system["bd-items"]["bd-items"]["BD-list"].items():
            bridge |= {"id": int(encap.removeprefix("vlan-")), "operSt": "up"}
        heard: Tree = {}
        for (name,), entry in system["intf-items"]["phys-items"]["PhysIf-list"].items():
            port = view.switch.ports[name]
            entry |= _port_state(port, view.settings(port))
            if port.aggregate is not None:
                channel = f"/System/intf-items/aggr-items/AggrIf-list[id='{port.aggregate}']"
                entry["rtmbrIfs-items"] = {"tDn": channel}
            neighbor = view.neighbor(port)
            adjacent: Tree = {}
            if neighbor is not None:
                said = {"sysName": neighbor.name, "sysDesc": neighbor.description, "portDesc": "eth0"}
                said |= {"chassisIdT": "mac", "chassisIdV": neighbor.mac, "portIdT": "mac", "portIdV": neighbor.mac}
                adjacent[("1",)] = {"index": "1", **said}
            heard[(name,)] = {"id": name, "adj-items": {"AdjEp-list": adjacent}}
        system["lldp-items"] = {"inst-items": {"if-items": {"If-list": heard}}}
        macs: Tree = {}
        for mac, name, vlan in view.macs():
            key = (f"vlan-{vlan}", mac.upper())
            macs[key] = {"vlan": key[0], "macAddress": key[1], "port": name, "type": "primary", "static": False}
        system["mac-items"] = {"table-items": {"vlan-items": {"MacAddressEntry-list": macs}}}
        return tree

    def settings(self, switch: Switch, candidate: Tree) -> Settings:
        system = candidate.get("System") or {}
        bridges = _list(system, "bd-items", "bd-items", "BD-list")
        ports = _list(system, "intf-items", "phys-items", "PhysIf-list")
        only_known(switch, (keys[0] for keys in ports))
        vlans: dict[int, Vlan] = {}
        maps: dict[int, int] = {}
        for (encap,), bridge in bridges.items():
            id = _id(encap)
            assert id is not None
            status = "ACTIVE" if bridge.get("adminSt", "active") == "active" else "SUSPENDED"
            vlans[id] = Vlan(id, bridge.get("name", f"VLAN{id:04d}"), status)  # type: ignore[arg-type]
            vni = _id(bridge.get("accEncap"))
            if vni is not None:
                if vni in maps.values():
                    raise YangError(f"{encap}: vxlan-{vni} is mapped to another VLAN already", "precondition")
                maps[id] = vni
        tunnel = _list(system, "eps-items", "epId-items", "Ep-list").get(("1",)) or {}
        extras = tuple(row["vni"] for row in _list(tunnel, "nws-items", "vni-items", "Nw-list").values())
        wanted = {
            name: replace(_settings(ports.get((name,), {})), aggregate=port.aggregate)
            for name, port in switch.ports.items()
        }
        return Settings(with_default(vlans), wanted, maps, extras)


def _bridge(vlan: Vlan, vni: int | None) -> Tree:
    status = "active" if vlan.status == "ACTIVE" else "suspend"
    bridge: Tree = {"fabEncap": f"vlan-{vlan.id}", "name": vlan.name, "adminSt": status}
    return bridge if vni is None else bridge | {"accEncap": f"vxlan-{vni}"}


def _port(port: Port) -> Tree:
    entry: Tree = {
        "id": port.name,
        "adminSt": "up" if port.enabled else "down",
        "layer": "Layer2",
        "mode": port.mode.lower(),
        "accessVlan": f"vlan-{port.access_vlan or DEFAULT_VLAN}",
        "nativeVlan": f"vlan-{port.native_vlan or DEFAULT_VLAN}",
        "trunkVlans": ",".join(str(part).replace("..", "-") for part in port.trunk_vlans) or _ALL,
    }
    return entry | {"descr": port.description} if port.description else entry


def _port_state(port: Port, now: PortSettings) -> Tree:
    counted = port.counters
    return {
        "phys-items": {
            "operSt": "up" if port.up else "down",
            "operMode": now.mode.lower(),
            "accessVlan": f"vlan-{now.access_vlan or DEFAULT_VLAN}",
            "nativeVlan": f"vlan-{now.native_vlan or DEFAULT_VLAN}",
            "resetCtr": counted.carrier_transitions,
        },
        "dbgIfIn-items": {"octets": counted.in_octets, "errors": 0},
        "dbgIfOut-items": {"octets": counted.out_octets, "errors": 0},
    }


def _settings(entry: Tree) -> PortSettings:
    """A VLAN that is not there is taken; the port forwards nothing then, as a real one."""
    trunk = str(entry.get("trunkVlans", _ALL))
    native = _id(entry.get("nativeVlan"))
    tagged: tuple[VlanRange, ...] = ()
    if trunk not in (_ALL, ""):
        tagged = tuple(int(part) if part.isdigit() else part.replace("-", "..") for part in trunk.split(","))
    return PortSettings(
        description=entry.get("descr", ""),
        enabled=entry.get("adminSt", "up") == "up",
        mode="TRUNK" if entry.get("mode", "access") == "trunk" else "ACCESS",
        access_vlan=_id(entry.get("accessVlan")) or DEFAULT_VLAN,
        native_vlan=None if native in (None, DEFAULT_VLAN) else native,
        trunk_vlans=tagged,
    )


def _list(tree: Tree, *names: str) -> Tree:
    for name in names:
        tree = tree.get(name) or {}
    return tree


def _id(encap: Any) -> int | None:
    digits = str(encap or "").rpartition("-")[2]
    return int(digits) if digits.isdigit() else None
