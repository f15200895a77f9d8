"""A leaf switch as OpenConfig sees it: the schema, the tree read out of a switch, and the tree written back.

Covered is what moving a machine between networks needs: interfaces with their switched-vlan (openconfig-interfaces,
openconfig-if-ethernet, openconfig-vlan), the VLANs and MAC table of the default network instance
(openconfig-network-instance) and LLDP neighbours (openconfig-lldp).

Inside, a tree is nested dicts; a list is a dict by its key values. Outside it is RFC 7951 JSON, in which 64-bit numbers
are strings and a name carries its module where the module changes.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from lab.clock import Clock
from lab.fabric import DEFAULT_VLAN, Port, Switch, Vlan, VlanRange

Tree = dict[Any, Any]
Keys = tuple[str, ...]


class OpenConfigError(Exception):
    """A request that the model does not bear. ``kind`` is invalid, missing (nothing there) or precondition."""

    def __init__(self, message: str, kind: Literal["invalid", "missing", "precondition"] = "invalid") -> None:
        super().__init__(message)
        self.kind = kind


@dataclass(frozen=True)
class Leaf:
    """``check`` returns the value to store or raises ValueError. ``wide`` numbers are 64 bits: strings in JSON."""

    check: Callable[[Any], Any]
    wide: bool = False


@dataclass(frozen=True)
class Container:
    children: dict[str, Node]
    module: str = ""  # where it differs from the parent's
    config: bool = True


@dataclass(frozen=True)
class List:
    keys: Keys
    entry: Container


Node = Leaf | Container | List


@dataclass(frozen=True)
class Step:
    """One element of a path. ``keys`` is None where none were given; '*' stands for any."""

    name: str
    keys: dict[str, str] | None = None

    def __str__(self) -> str:
        return self.name + "".join(f"[{key}={value}]" for key, value in (self.keys or {}).items())


Path = tuple[Step, ...]


def show(path: Path) -> str:
    return "/" + "/".join(map(str, path))


# --- leaf types


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("is not a string")
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("is not a boolean")
    return value


def _number(least: int, most: int) -> Callable[[Any], int]:
    def check(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise ValueError(f"is not a number from {least} to {most}")
        return value

    return check


def _one_of(*choices: str) -> Callable[[Any], str]:
    def check(value: Any) -> str:
        name = _text(value).rpartition(":")[2]  # an identity may carry its module
        if name not in choices:
            raise ValueError(f"is none of {', '.join(choices)}")
        return name

    return check


_vlan_id = _number(1, 4094)


def _vlan_ranges(value: Any) -> list[VlanRange]:
    if not isinstance(value, list):
        raise ValueError("is not a list")
    return [_vlan_range(item) for item in value]


def _vlan_range(value: Any) -> VlanRange:
    if isinstance(value, str):
        first, dots, last = value.partition("..")
        if dots and first.isdigit() and last.isdigit() and _vlan_id(int(first)) < _vlan_id(int(last)):
            return value
        raise ValueError(f'has {value!r}, which is no range such as "3..6"')
    return _vlan_id(value)


_TEXT = Leaf(_text)
_FLAG = Leaf(_flag)
_COUNTER = Leaf(_number(0, 2**64 - 1), wide=True)
_VLAN_ID = Leaf(_vlan_id)

_SWITCHED_VLAN = {
    "interface-mode": Leaf(_one_of("ACCESS", "TRUNK")),
    "access-vlan": _VLAN_ID,
    "native-vlan": _VLAN_ID,
    "trunk-vlans": Leaf(_vlan_ranges),
}
_INTERFACE = {
    "name": _TEXT,
    "type": Leaf(_one_of("ethernetCsmacd")),
    "description": _TEXT,
    "enabled": _FLAG,
}
_COUNTERS = ("in-octets", "out-octets", "in-errors", "out-errors", "carrier-transitions")
_VLAN = {"vlan-id": _VLAN_ID, "name": _TEXT, "status": Leaf(_one_of("ACTIVE", "SUSPENDED"))}
_INSTANCE = {"name": _TEXT, "type": Leaf(_one_of("DEFAULT_INSTANCE"))}
_NEIGHBOR = dict.fromkeys(
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
    _TEXT,
)
_FDB_ENTRY = {"mac-address": _TEXT, "vlan": _VLAN_ID, "entry-type": _TEXT}


def _state(leaves: dict[str, Node]) -> Container:
    return Container(leaves, config=False)


SCHEMA = Container(
    {
        "interfaces": Container(
            {
                "interface": List(
                    ("name",),
                    Container(
                        {
                            "name": _TEXT,
                            "config": Container(dict(_INTERFACE)),
                            "state": _state(
                                {
                                    **_INTERFACE,
                                    "ifindex": Leaf(_number(0, 2**32 - 1)),
                                    "admin-status": _TEXT,
                                    "oper-status": _TEXT,
                                    "last-change": _COUNTER,
                                    "counters": _state(dict.fromkeys(_COUNTERS, _COUNTER)),
                                }
                            ),
                            "ethernet": Container(
                                {
                                    "switched-vlan": Container(
                                        {
                                            "config": Container(dict(_SWITCHED_VLAN)),
                                            "state": _state(dict(_SWITCHED_VLAN)),
                                        },
                                        module="openconfig-vlan",
                                    )
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
                            "name": _TEXT,
                            "config": Container(dict(_INSTANCE)),
                            "state": _state(dict(_INSTANCE)),
                            "vlans": Container(
                                {
                                    "vlan": List(
                                        ("vlan-id",),
                                        Container(
                                            {
                                                "vlan-id": _VLAN_ID,
                                                "config": Container(dict(_VLAN)),
                                                "state": _state(dict(_VLAN)),
                                            }
                                        ),
                                    )
                                }
                            ),
                            "fdb": _state(
                                {
                                    "mac-table": _state(
                                        {
                                            "entries": _state(
                                                {
                                                    "entry": List(
                                                        ("mac-address", "vlan"),
                                                        _state(
                                                            {
                                                                "mac-address": _TEXT,
                                                                "vlan": _VLAN_ID,
                                                                "state": _state(dict(_FDB_ENTRY)),
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
                "state": _state({"enabled": _FLAG, "system-name": _TEXT}),
                "interfaces": Container(
                    {
                        "interface": List(
                            ("name",),
                            Container(
                                {
                                    "name": _TEXT,
                                    "state": _state({"name": _TEXT, "enabled": _FLAG}),
                                    "neighbors": _state(
                                        {
                                            "neighbor": List(
                                                ("id",), _state({"id": _TEXT, "state": _state(dict(_NEIGHBOR))})
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
    "openconfig-vlan": "3.2.2",
    "openconfig-network-instance": "4.0.3",
    "openconfig-lldp": "0.2.1",
}


# --- the tree of a switch


def read_config(switch: Switch) -> Tree:
    """The configuration."""
    return {
        "interfaces": {"interface": {(port.name,): _port_config(port) for port in switch.ports.values()}},
        "network-instances": {
            "network-instance": {
                ("default",): {
                    "name": "default",
                    "config": {"name": "default", "type": "DEFAULT_INSTANCE"},
                    "vlans": {
                        "vlan": {
                            (str(vlan.id),): {"vlan-id": vlan.id, "config": _vlan_leaves(vlan)}
                            for vlan in switch.vlans.values()
                        }
                    },
                }
            }
        },
    }


def read_all(switch: Switch, clock: Clock) -> Tree:
    """Configuration and state."""
    tree = read_config(switch)
    interfaces = tree["interfaces"]["interface"]
    lldp: Tree = {}
    fdb: Tree = {}
    for port in switch.ports.values():
        entry = interfaces[(port.name,)]
        entry["state"] = _port_state(port, clock)
        switched = entry["ethernet"]["switched-vlan"]
        switched["state"] = dict(switched["config"])
        state = {"name": port.name, "enabled": True}
        lldp[(port.name,)] = {"name": port.name, "state": state, "neighbors": {"neighbor": _neighbors(port)}}
        vlan = port.untagged_vlan
        if port.machine is not None and port.up and port.machine.power == "On" and vlan in switch.vlans:
            mac = {"mac-address": port.machine.mac, "vlan": vlan}
            fdb[(port.machine.mac, str(vlan))] = mac | {"state": mac | {"entry-type": "DYNAMIC"}}
    instance = tree["network-instances"]["network-instance"][("default",)]
    instance["state"] = dict(instance["config"])
    for entry in instance["vlans"]["vlan"].values():
        entry["state"] = dict(entry["config"])
    instance["fdb"] = {"mac-table": {"entries": {"entry": fdb}}}
    tree["lldp"] = {"state": {"enabled": True, "system-name": switch.name}, "interfaces": {"interface": lldp}}
    return tree


def _port_config(port: Port) -> Tree:
    config = {"name": port.name, "type": "ethernetCsmacd", "enabled": port.enabled}
    if port.description:
        config["description"] = port.description
    vlan: Tree = {"interface-mode": port.mode}
    for name, value in (("access-vlan", port.access_vlan), ("native-vlan", port.native_vlan)):
        if value is not None:
            vlan[name] = value
    if port.trunk_vlans:
        vlan["trunk-vlans"] = list(port.trunk_vlans)
    return {"name": port.name, "config": config, "ethernet": {"switched-vlan": {"config": vlan}}}


def _port_state(port: Port, clock: Clock) -> Tree:
    changed = clock.now().timestamp() - (clock.elapsed() - port.changed_at)
    counted = port.counters
    counters = {
        "in-octets": counted.in_octets,
        "out-octets": counted.out_octets,
        "in-errors": 0,
        "out-errors": 0,
        "carrier-transitions": counted.carrier_transitions,
    }
    config: Tree = _port_config(port)["config"]
    return config | {
        "ifindex": port.index,
        "admin-status": "UP" if port.enabled else "DOWN",
        "oper-status": "UP" if port.up else "DOWN",
        "last-change": int(changed * 1e9),
        "counters": counters,
    }


def _neighbors(port: Port) -> Tree:
    machine = port.machine
    if machine is None or not port.up:
        return {}
    state = {
        "id": "1",
        "system-name": machine.name,
        "system-description": f"GPU server {machine.serial_number}",
        "chassis-id": machine.mac,
        "chassis-id-type": "MAC_ADDRESS",
        "port-id": machine.mac,
        "port-id-type": "MAC_ADDRESS",
        "port-description": "eth0",
    }
    return {("1",): {"id": "1", "state": state}}


def _vlan_leaves(vlan: Vlan) -> Tree:
    return {"vlan-id": vlan.id, "name": vlan.name, "status": vlan.status}


@dataclass(frozen=True)
class Change:
    """What a commit did to a port or a VLAN: its leaves before and after (None: absent)."""

    kind: Literal["port", "vlan"]
    name: str
    before: Tree | None
    after: Tree | None


def commit(switch: Switch, candidate: Tree, clock: Clock) -> list[Change]:
    """Make ``candidate`` the switch's configuration, all of it or nothing. Raises OpenConfigError."""
    vlans = _vlans_of(candidate)
    entries = (candidate.get("interfaces") or {}).get("interface") or {}
    if strangers := [keys[0] for keys in entries if keys[0] not in switch.ports]:
        raise OpenConfigError(f"{switch.name} has no interface {', '.join(strangers)}", "missing")
    ports = {name: _port_of(port, entries.get((name,), {}), vlans) for name, port in switch.ports.items()}
    before = read_config(switch)
    changes = [
        Change("vlan", str(id), _vlan_leaves(switch.vlans[id]) if id in switch.vlans else None,
               _vlan_leaves(vlans[id]) if id in vlans else None)
        for id in sorted(vlans.keys() | switch.vlans.keys())
        if vlans.get(id) != switch.vlans.get(id)
    ]  # fmt: skip
    switch.vlans = vlans
    for name, new in ports.items():
        port = switch.ports[name]
        old = before["interfaces"]["interface"][(name,)]
        if _port_config(new) == old:
            continue
        changes.append(Change("port", name, _port_leaves(old), _port_leaves(_port_config(new))))
        if new.enabled != port.enabled:
            port.changed_at = clock.elapsed()
            port.counters.carrier_transitions += 1
        port.description, port.enabled, port.mode = new.description, new.enabled, new.mode
        port.access_vlan, port.native_vlan, port.trunk_vlans = new.access_vlan, new.native_vlan, new.trunk_vlans
    return changes


def _port_leaves(entry: Tree) -> Tree:
    leaves: Tree = entry["ethernet"]["switched-vlan"]["config"]
    return leaves | {"enabled": entry["config"]["enabled"]}


def _vlans_of(candidate: Tree) -> dict[int, Vlan]:
    instances = (candidate.get("network-instances") or {}).get("network-instance") or {}
    if others := [keys[0] for keys in instances if keys != ("default",)]:
        raise OpenConfigError(f"network instance {', '.join(others)} is not supported, only default is")
    vlans: dict[int, Vlan] = {}
    for (key,), entry in ((instances.get(("default",)) or {}).get("vlans", {}).get("vlan") or {}).items():
        config = entry.get("config") or {}
        id = int(key)
        if config.get("vlan-id", id) != id:
            raise OpenConfigError(f"vlan[vlan-id={key}]/config/vlan-id is {config['vlan-id']}, not {key}")
        vlans[id] = Vlan(id, config.get("name", f"VLAN{id:04d}"), config.get("status", "ACTIVE"))
    vlans.setdefault(DEFAULT_VLAN, Vlan(DEFAULT_VLAN, "default"))  # cannot be removed
    return vlans


def _port_of(port: Port, entry: Tree, vlans: dict[int, Vlan]) -> Port:
    """The port as configured in a candidate; what the candidate leaves out has its default."""
    config = entry.get("config") or {}
    if config.get("name", port.name) != port.name:
        raise OpenConfigError(f"interface[name={port.name}]/config/name is {config['name']}")
    vlan = ((entry.get("ethernet") or {}).get("switched-vlan") or {}).get("config") or {}
    mode = vlan.get("interface-mode", "ACCESS")
    new = Port(
        port.name,
        port.index,
        description=config.get("description", ""),
        enabled=config.get("enabled", True),
        mode=mode,
        access_vlan=vlan.get("access-vlan", DEFAULT_VLAN if mode == "ACCESS" else None),
        native_vlan=vlan.get("native-vlan"),
        trunk_vlans=tuple(vlan.get("trunk-vlans", ())),
    )
    for leaf, id in (("access-vlan", new.access_vlan), ("native-vlan", new.native_vlan)):
        if id is not None and id not in vlans:
            raise OpenConfigError(f"{port.name}: {leaf} {id}: no such VLAN on this switch", "precondition")
    return new


# --- paths and values


def find_node(path: Path) -> tuple[Node, bool, str]:
    """The schema node at a path, whether it can be configured, and its module. Raises OpenConfigError."""
    node: Node = SCHEMA
    config = True
    module = ""
    for number, step in enumerate(path):
        here = show(path[: number + 1])
        if isinstance(node, List):
            node = node.entry
        child = node.children.get(step.name) if isinstance(node, Container) else None
        if child is None:
            raise OpenConfigError(f"{here}: no such path")
        node = child
        if isinstance(node, List):
            unknown = set(step.keys or ()) - set(node.keys)
            if unknown:
                raise OpenConfigError(f"{here}: {step.name} has no key {', '.join(sorted(unknown))}")
            config = config and node.entry.config
        else:
            if step.keys:
                raise OpenConfigError(f"{here}: {step.name} is not a list")
            if isinstance(node, Container):
                config = config and node.config
                module = node.module or module
    return node, config, module


def select(tree: Tree, path: Path) -> Iterator[tuple[Path, Any]]:
    """What stands at a path, which may hold wildcards (or leave keys out, which is the same)."""
    found: list[tuple[Path, Any, Node]] = [((), tree, SCHEMA)]
    for step in path:
        following: list[tuple[Path, Any, Node]] = []
        for way, value, node in found:
            parent = node.entry if isinstance(node, List) else node
            assert isinstance(parent, Container)
            child = parent.children[step.name]
            if not isinstance(value, dict) or step.name not in value:
                continue
            below = value[step.name]
            if isinstance(child, List):
                for keys, entry in below.items():
                    named = dict(zip(child.keys, keys, strict=True))
                    if all(wanted in ("*", named[key]) for key, wanted in (step.keys or {}).items()):
                        following.append(((*way, Step(step.name, named)), entry, child))
            else:
                following.append(((*way, step), below, child))
        found = following
    for way, value, _ in found:
        yield way, value


def encode(value: Any, node: Node, module: str, top: bool = True) -> Any:
    """A tree as RFC 7951 JSON; the outermost names carry their module."""
    if isinstance(node, List):
        node = node.entry
    if isinstance(node, Leaf):
        return str(value) if node.wide else value
    result: Tree = {}
    for name, item in value.items():
        child = node.children[name]
        inner = child.module if isinstance(child, Container) and child.module else module
        shown = f"{inner}:{name}" if inner and (top or inner != module) else name
        if isinstance(child, List):
            result[shown] = [encode(entry, child, inner, top=False) for entry in item.values()]
        else:
            result[shown] = encode(item, child, inner, top=False)
    return result


def decode(value: Any, node: Node, where: str) -> Any:
    """JSON as a tree, every leaf checked. Raises OpenConfigError naming the first thing that is wrong."""
    if isinstance(node, Leaf):
        try:
            return node.check(value)
        except ValueError as error:
            raise OpenConfigError(f"{where}: {value!r} {error}") from None
    if isinstance(node, List):
        node = node.entry
    if not isinstance(value, dict):
        raise OpenConfigError(f"{where}: {type(value).__name__} instead of an object")
    tree: Tree = {}
    for full_name, item in value.items():
        prefix, _, name = full_name.rpartition(":")
        child = node.children.get(name)
        below = f"{where}/{name}"
        if child is None or (prefix and prefix not in MODULES):
            raise OpenConfigError(f"{where}/{full_name}: no such path")
        if isinstance(child, Container) and not child.config:
            raise OpenConfigError(f"{below}: cannot be configured")
        tree[name] = _decode_list(item, child, below) if isinstance(child, List) else decode(item, child, below)
    return tree


def _decode_list(items: Any, node: List, where: str) -> Tree:
    if not isinstance(items, list):
        raise OpenConfigError(f"{where}: {type(items).__name__} instead of a list")
    tree: Tree = {}
    for item in items:
        entry = decode(item, node, where)
        missing = [key for key in node.keys if key not in entry]
        if missing:
            raise OpenConfigError(f"{where}: an entry without its key {', '.join(missing)}")
        tree[tuple(str(entry[key]) for key in node.keys)] = entry
    return tree


def without(tree: Any, node: Node, drop: Literal["config", "state"]) -> Any:
    """A tree without its ``config`` or its ``state`` containers (what Get's data types leave out)."""
    if isinstance(node, Leaf):
        return tree
    if isinstance(node, List):
        node = node.entry
    result: Tree = {}
    for name, item in tree.items():
        child = node.children[name]
        if name == drop:
            continue
        if isinstance(child, Container) and drop == "state" and not child.config:
            continue
        if isinstance(child, List):
            result[name] = {keys: without(entry, child, drop) for keys, entry in item.items()}
        else:
            result[name] = without(item, child, drop)
    return result


# --- edits


def delete(tree: Tree, path: Path) -> None:
    """Take away what stands at a path; nothing there is no error. Raises OpenConfigError."""
    _writable(path)
    if not path:
        tree.clear()
        return
    parent = _descend(tree, path[:-1], create=False)
    if parent is None or path[-1].name not in parent:
        return
    keys = _keys(path[-1], find_node(path)[0])
    if keys is None:
        del parent[path[-1].name]
    else:
        parent[path[-1].name].pop(keys, None)


def replace(tree: Tree, path: Path, value: Any) -> None:
    """Put ``value`` (JSON) in place of what stands at a path. Raises OpenConfigError."""
    delete(tree, path)
    update(tree, path, value)


def update(tree: Tree, path: Path, value: Any) -> None:
    """Merge ``value`` (JSON) into what stands at a path. Raises OpenConfigError."""
    node = _writable(path)
    if isinstance(node, List) and not path[-1].keys:
        decoded = _decode_list(value, node, show(path))
    else:
        decoded = decode(value, node, show(path))
    if not path:
        _merge(tree, decoded)
        return
    parent = _descend(tree, path[:-1], create=True)
    assert parent is not None
    last = path[-1]
    keys = _keys(last, node)
    if keys is not None and isinstance(node, List):
        entry = parent.setdefault(last.name, {}).setdefault(keys, {})
        _merge(entry, _key_leaves(node, keys))
        given = {key: str(decoded[key]) for key in node.keys if key in decoded}
        if any(given[key] != keys[node.keys.index(key)] for key in given):
            raise OpenConfigError(f"{show(path)}: the keys in the value ({given}) are not those of the path")
        _merge(entry, decoded)
    elif isinstance(decoded, dict):
        _merge(parent.setdefault(last.name, {}), decoded)
    else:
        parent[last.name] = decoded


def _writable(path: Path) -> Node:
    node, config, _ = find_node(path)
    if not config:
        raise OpenConfigError(f"{show(path)}: cannot be configured")
    return node


def _keys(step: Step, node: Node) -> Keys | None:
    """The key values of the list entry that a step names; None for the whole list, or no list."""
    if not isinstance(node, List) or not step.keys:
        return None
    missing = [key for key in node.keys if step.keys.get(key, "*") == "*"]
    if missing:
        raise OpenConfigError(f"{step}: needs a value for {', '.join(missing)}")
    return tuple(step.keys[key] for key in node.keys)


def _key_leaves(node: List, keys: Keys) -> Tree:
    leaves: Tree = {}
    for name, text in zip(node.keys, keys, strict=True):
        leaf = node.entry.children[name]
        number = text.isdigit() and leaf is not _TEXT
        leaves[name] = decode(int(text) if number else text, leaf, f"[{name}={text}]")
    return leaves


def _descend(tree: Tree, path: Path, create: bool) -> Tree | None:
    node: Tree = tree
    for number, step in enumerate(path):
        schema = find_node(path[: number + 1])[0]
        if step.name not in node and not create:
            return None
        node = node.setdefault(step.name, {})
        if isinstance(schema, List):
            keys = _keys(step, schema)
            if keys is None:
                raise OpenConfigError(f"{show(path[: number + 1])}: needs a value for {', '.join(schema.keys)}")
            if keys not in node and not create:
                return None
            node = node.setdefault(keys, _key_leaves(schema, keys))
    return node


def _merge(into: Tree, tree: Tree) -> None:
    for key, value in tree.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = copy.deepcopy(value)
