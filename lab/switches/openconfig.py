"""OpenConfig as written, and Arista EOS, which adds its VXLAN interface to it.

Covered is what moving a machine between networks needs: interfaces with their switched-vlan (openconfig-interfaces,
openconfig-if-ethernet, openconfig-vlan), the VLANs and MAC table of the default network instance
(openconfig-network-instance) and LLDP neighbours (openconfig-lldp).
"""

from __future__ import annotations

from typing import Any

from lab.fabric import DEFAULT_VLAN, Port, Switch, Vlan
from lab.switches.base import (
    ASCII,
    JSON,
    JSON_IETF,
    NetworkOs,
    PortSettings,
    Settings,
    View,
    only_known,
    require,
    with_default,
)
from lab.yang import (
    COUNTER,
    FLAG,
    TEXT,
    VLAN_ID,
    Container,
    Leaf,
    List,
    Model,
    Node,
    Tree,
    YangError,
    number,
    one_of,
    state,
    vlan_ranges,
)

VXLAN = "Vxlan1"

_SWITCHED_VLAN = {
    "interface-mode": Leaf(one_of("ACCESS", "TRUNK")),
    "access-vlan": VLAN_ID,
    "native-vlan": VLAN_ID,
    "trunk-vlans": Leaf(vlan_ranges),
}
_INTERFACE = {
    "name": TEXT,
    "type": Leaf(one_of("ethernetCsmacd")),
    "description": TEXT,
    "enabled": FLAG,
}
_COUNTERS = ("in-octets", "out-octets", "in-errors", "out-errors", "carrier-transitions")
_VLAN = {"vlan-id": VLAN_ID, "name": TEXT, "status": Leaf(one_of("ACTIVE", "SUSPENDED"))}
_INSTANCE = {"name": TEXT, "type": Leaf(one_of("DEFAULT_INSTANCE"))}
_NEIGHBOR: dict[str, Node] = dict.fromkeys(
    (
        "id",
        "system-name",
        "system-description",
        "chassis-id",
        "chassis-id-type",
        "port-id",
        "port-id-type",
        "port-description",
    ),
    TEXT,
)
_FDB_ENTRY = {"mac-address": TEXT, "vlan": VLAN_ID, "entry-type": TEXT}


def schema(vxlan: bool = False) -> Container:
    return Container(
        {
            "interfaces": Container(
                {
                    "interface": List(
                        ("name",),
                        Container(
                            {
                                "name": TEXT,
                                "config": Container(dict(_INTERFACE)),
                                "state": state(
                                    {
                                        **_INTERFACE,
                                        "ifindex": Leaf(number(0, 2**32 - 1)),
                                        "admin-status": TEXT,
                                        "oper-status": TEXT,
                                        "last-change": COUNTER,
                                        "counters": state(dict.fromkeys(_COUNTERS, COUNTER)),
                                    }
                                ),
                                **(
                                    {
                                        "arista-vxlan": Container(
                                            {
                                                "config": Container(
                                                    {
                                                        "vlan-to-vnis": Container(
                                                            {
                                                                "vlan-to-vni": List(
                                                                    ("vlan",),
                                                                    Container(
                                                                        {
                                                                            "vlan": VLAN_ID,
                                                                            "vni": Leaf(number(1, 2**24 - 1)),
                                                                        }
                                                                    ),
                                                                )
                                                            }
                                                        )
                                                    }
                                                )
                                            },
                                            module="arista-exp-eos-vxlan",
                                        )
                                    }
                                    if vxlan
                                    else {}
                                ),
                                "ethernet": Container(
                                    {
                                        "config": Container({"aggregate-id": TEXT}),
                                        "switched-vlan": Container(
                                            {
                                                "config": Container(dict(_SWITCHED_VLAN)),
                                                "state": state(dict(_SWITCHED_VLAN)),
                                            },
                                            module="openconfig-vlan",
                                        ),
                                    },
                                    module="openconfig-if-ethernet",
                                ),
                            }
                        ),
                    )
                },
                module="openconfig-interfaces",
            ),
            "network-instances": Container(
                {
                    "network-instance": List(
                        ("name",),
                        Container(
                            {
                                "name": TEXT,
                                "config": Container(dict(_INSTANCE)),
                                "state": state(dict(_INSTANCE)),
                                "vlans": Container(
                                    {
                                        "vlan": List(
                                            ("vlan-id",),
                                            Container(
                                                {
                                                    "vlan-id": VLAN_ID,
                                                    "config": Container(dict(_VLAN)),
                                                    "state": state(dict(_VLAN)),
                                                }
                                            ),
                                        )
                                    }
                                ),
                                "fdb": state(
                                    {
                                        "mac-table": state(
                                            {
                                                "entries": state(
                                                    {
                                                        "entry": List(
                                                            ("mac-address", "vlan"),
                                                            state(
                                                                {
                                                                    "mac-address": TEXT,
                                                                    "vlan": VLAN_ID,
                                                                    "state": state(dict(_FDB_ENTRY)),
                                                                    "interface": state(
                                                                        {
                                                                            "interface-ref": state(
                                                                                {
                                                                                    "state": state(
                                                                                        {
                                                                                            "interface": TEXT,
                                                                                            "subinterface": Leaf(
                                                                                                number(0, 2**32 - 1)
                                                                                            ),
                                                                                        }
                                                                                    )
                                                                                }
                                                                            )
                                                                        }
                                                                    ),
                                                                }
                                                            ),
                                                        )
                                                    }
                                                )
                                            }
                                        )
                                    }
                                ),
                            }
                        ),
                    )
                },
                module="openconfig-network-instance",
            ),
            "lldp": Container(
                {
                    "state": state({"enabled": FLAG, "system-name": TEXT}),
                    "interfaces": Container(
                        {
                            "interface": List(
                                ("name",),
                                Container(
                                    {
                                        "name": TEXT,
                                        "state": state({"name": TEXT, "enabled": FLAG}),
                                        "neighbors": state(
                                            {
                                                "neighbor": List(
                                                    ("id",), state({"id": TEXT, "state": state(dict(_NEIGHBOR))})
                                                )
                                            }
                                        ),
                                    }
                                ),
                            )
                        }
                    ),
                },
                module="openconfig-lldp",
            ),
        }
    )


MODULES = {
    "openconfig-interfaces": "3.0.2",
    "openconfig-if-ethernet": "2.12.2",
    "openconfig-if-aggregate": "2.4.4",
    "openconfig-vlan": "3.2.2",
    "openconfig-network-instance": "4.0.3",
    "openconfig-lldp": "0.2.1",
}


class OpenConfig(NetworkOs):
    """A switch that takes OpenConfig and nothing else."""

    name = "openconfig"

    def __init__(self) -> None:
        self.model = Model(schema(), MODULES)

    # --- out of the switch

    def configuration(self, switch: Switch) -> Tree:
        return {
            "interfaces": {"interface": {(name,): port_config(port) for name, port in switch.ports.items()}},
            "network-instances": {
                "network-instance": {
                    ("default",): {
                        "name": "default",
                        "config": {"name": "default", "type": "DEFAULT_INSTANCE"},
                        "vlans": {
                            "vlan": {
                                (str(vlan.id),): {"vlan-id": vlan.id, "config": vlan_leaves(vlan)}
                                for vlan in switch.vlans.values()
                            }
                        },
                    }
                }
            },
        }

    def everything(self, view: View) -> Tree:
        switch = view.switch
        tree = self.configuration(switch)
        interfaces = tree["interfaces"]["interface"]
        lldp: Tree = {}
        for port in switch.ports.values():
            entry = interfaces[(port.name,)]
            entry["state"] = port_state(port, view)
            switched = entry["ethernet"]["switched-vlan"]
            switched["state"] = switched_leaves(view.settings(port))
            said = {"name": port.name, "enabled": True}
            lldp[(port.name,)] = {"name": port.name, "state": said, "neighbors": {"neighbor": neighbors(port, view)}}
        fdb: Tree = {}
        for address, port_name, vlan in view.macs():
            mac = {"mac-address": address, "vlan": vlan}
            reference = {"interface-ref": {"state": {"interface": port_name, "subinterface": 0}}}
            fdb[(address, str(vlan))] = mac | {"state": mac | {"entry-type": "DYNAMIC"}, "interface": reference}
        instance = tree["network-instances"]["network-instance"][("default",)]
        instance["state"] = dict(instance["config"])
        for entry in instance["vlans"]["vlan"].values():
            entry["state"] = dict(entry["config"])
        instance["fdb"] = {"mac-table": {"entries": {"entry": fdb}}}
        tree["lldp"] = {"state": {"enabled": True, "system-name": switch.name}, "interfaces": {"interface": lldp}}
        return tree

    # --- into the switch

    def settings(self, switch: Switch, candidate: Tree) -> Settings:
        vlans = vlans_of(candidate)
        entries = (candidate.get("interfaces") or {}).get("interface") or {}
        only_known(switch, (keys[0] for keys in entries if keys[0] != self._tunnel))
        ports = {name: port_settings(port, entries.get((name,), {}), vlans) for name, port in switch.ports.items()}
        return Settings(vlans, ports, self._vnis(entries.get((self._tunnel,), {}), vlans))

    _tunnel: str | None = None

    def _vnis(self, tunnel: Tree, vlans: dict[int, Vlan]) -> dict[int, int]:
        return {}


class Eos(OpenConfig):
    """Arista EOS: also speaks JSON and ASCII, and has Vxlan1 (its origins cli and eos_native are not served)."""

    name = "eos"
    organization = "Arista Networks, Inc."
    encodings = (JSON, JSON_IETF, ASCII)
    _tunnel = VXLAN

    def __init__(self) -> None:
        self.model = Model(schema(vxlan=True), {**MODULES, "arista-exp-eos-vxlan": "2020-05-06"})

    def configuration(self, switch: Switch) -> Tree:
        tree = super().configuration(switch)
        maps = {(str(vlan),): {"vlan": vlan, "vni": vni} for vlan, vni in switch.vnis.items()}
        tree["interfaces"]["interface"][(VXLAN,)] = {
            "name": VXLAN,
            "config": {"name": VXLAN, "type": "ethernetCsmacd", "enabled": True},
            "arista-vxlan": {"config": {"vlan-to-vnis": {"vlan-to-vni": maps}}},
        }
        return tree

    def _vnis(self, tunnel: Tree, vlans: dict[int, Vlan]) -> dict[int, int]:
        config = (tunnel.get("arista-vxlan") or {}).get("config") or {}
        rows = ((config.get("vlan-to-vnis") or {}).get("vlan-to-vni") or {}).values()
        maps = {row["vlan"]: row["vni"] for row in rows if "vni" in row}
        twice = sorted({vni for vni in maps.values() if list(maps.values()).count(vni) > 1})
        if twice:
            raise YangError(f"{VXLAN}: VNI {twice[0]} is mapped to another VLAN already", "precondition")
        return maps


# --- pieces that SONiC uses too


def switched_leaves(settings: PortSettings) -> Tree:
    return {name: value for name, value in settings.leaves().items() if name not in ("aggregate-id", "enabled")}


def port_config(port: Port) -> Tree:
    config: Tree = {"name": port.name, "type": "ethernetCsmacd", "enabled": port.enabled}
    if port.description:
        config["description"] = port.description
    ethernet: Tree = {"switched-vlan": {"config": switched_leaves(PortSettings.of(port))}}
    if port.aggregate is not None:
        ethernet["config"] = {"aggregate-id": port.aggregate}
    return {"name": port.name, "config": config, "ethernet": ethernet}


def port_state(port: Port, view: View) -> Tree:
    counted = port.counters
    counters = {
        "in-octets": counted.in_octets,
        "out-octets": counted.out_octets,
        "in-errors": 0,
        "out-errors": 0,
        "carrier-transitions": counted.carrier_transitions,
    }
    config: Tree = port_config(port)["config"]
    return config | {
        "ifindex": port.index,
        "admin-status": "UP" if port.enabled else "DOWN",
        "oper-status": "UP" if port.up else "DOWN",
        "last-change": view.last_change(port),
        "counters": counters,
    }


def neighbors(port: Port, view: View) -> Tree:
    heard = view.neighbor(port)
    if heard is None:
        return {}
    state = {
        "id": "1",
        "system-name": heard.name,
        "system-description": heard.description,
        "chassis-id": heard.mac,
        "chassis-id-type": "MAC_ADDRESS",
        "port-id": heard.mac,
        "port-id-type": "MAC_ADDRESS",
        "port-description": "eth0",
    }
    return {("1",): {"id": "1", "state": state}}


def vlan_leaves(vlan: Vlan) -> Tree:
    return {"vlan-id": vlan.id, "name": vlan.name, "status": vlan.status}


def vlans_of(candidate: Tree) -> dict[int, Vlan]:
    instances = (candidate.get("network-instances") or {}).get("network-instance") or {}
    if others := [keys[0] for keys in instances if keys != ("default",)]:
        raise YangError(f"network instance {', '.join(others)} is not supported, only default is")
    vlans: dict[int, Vlan] = {}
    for (key,), entry in ((instances.get(("default",)) or {}).get("vlans", {}).get("vlan") or {}).items():
        config = entry.get("config") or {}
        id = int(key)
        if config.get("vlan-id", id) != id:
            raise YangError(f"vlan[vlan-id={key}]/config/vlan-id is {config['vlan-id']}, not {key}")
        vlans[id] = Vlan(id, config.get("name", f"VLAN{id:04d}"), config.get("status", "ACTIVE"))
    return with_default(vlans)


def port_settings(port: Port, entry: Tree, vlans: dict[int, Vlan], default: int | None = DEFAULT_VLAN) -> PortSettings:
    """The port as configured in a candidate; what the candidate leaves out has its default."""
    config = entry.get("config") or {}
    if config.get("name", port.name) != port.name:
        raise YangError(f"interface[name={port.name}]/config/name is {config['name']}")
    ethernet = entry.get("ethernet") or {}
    vlan: dict[str, Any] = (ethernet.get("switched-vlan") or {}).get("config") or {}
    mode = vlan.get("interface-mode", "ACCESS")
    new = PortSettings(
        description=config.get("description", ""),
        enabled=config.get("enabled", True),
        mode=mode,
        access_vlan=vlan.get("access-vlan", default if mode == "ACCESS" else None),
        native_vlan=vlan.get("native-vlan"),
        trunk_vlans=tuple(vlan.get("trunk-vlans", ())),
        aggregate=(ethernet.get("config") or {}).get("aggregate-id"),
    )
    require(port.name, vlans, access_vlan=new.access_vlan, native_vlan=new.native_vlan)
    return new
