"""SONiC: OpenConfig through its management framework, and its databases as they are.

What differs (sonic-gnmi; SONiC's design documents "OpenConfig support for VLAN interface and VLAN member" and "VXLAN"):
a request names the target OC-YANG or the origin openconfig; a value is inside an object of its own name, both ways; a
VLAN is the interface VlanN, and there are no network instances; a port may be in no VLAN, and the untagged VLAN of a
trunk is its access-vlan; wildcards are for
subscriptions; VNIs are rows of VXLAN_TUNNEL_MAP (origin sonic-db), which a request cannot hold beside OpenConfig.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from lab.fabric import Switch, Vlan
from lab.switches.base import NetworkOs, Settings, View, only_known
from lab.switches.openconfig import MODULES, neighbors, port_config, port_settings, port_state, schema, switched_leaves
from lab.yang import Container, Leaf, List, Model, Node, Path, Tree, YangError, show

TUNNEL = "vtep"
_VLAN = "Vlan"
_SERVED = ("interfaces", "lldp")


class Sonic(NetworkOs):
    """The management framework's side."""

    name = "sonic"
    organization = "SONiC"
    targets = ("OC-YANG",)
    wildcards = False

    def __init__(self) -> None:
        whole = schema()
        served: dict[str, Node] = {name: whole.children[name] for name in _SERVED}
        self.model = Model(
            Container(served), {name: version for name, version in MODULES.items() if "network-instance" not in name}
        )
        self.others = {"sonic-db": SonicDb()}

    def configuration(self, switch: Switch) -> Tree:
        interfaces: Tree = {}
        for name, port in switch.ports.items():
            entry = interfaces[(name,)] = port_config(port)
            _untagged(entry["ethernet"]["switched-vlan"]["config"])
            if port.mode == "ACCESS" and port.access_vlan is None:
                del entry["ethernet"]["switched-vlan"]
            if not entry["ethernet"]:
                del entry["ethernet"]
        for vlan in switch.vlans.values():
            name = f"{_VLAN}{vlan.id}"
            config = {"name": name, "enabled": vlan.status == "ACTIVE"}
            if vlan.name:
                config["description"] = vlan.name
            interfaces[(name,)] = {"name": name, "config": config}
        return {"interfaces": {"interface": interfaces}}

    def everything(self, view: View) -> Tree:
        tree = self.configuration(view.switch)
        lldp: Tree = {}
        for (name,), entry in tree["interfaces"]["interface"].items():
            port = view.switch.ports.get(name)
            if port is None:
                entry["state"] = {**entry["config"], "admin-status": "UP"}
                continue
            entry["state"] = port_state(port, view)
            if "switched-vlan" in entry.get("ethernet", {}):
                entry["ethernet"]["switched-vlan"]["state"] = _untagged(switched_leaves(view.settings(port)))
            said = {"name": name, "enabled": True}
            lldp[(name,)] = {"name": name, "state": said, "neighbors": {"neighbor": neighbors(port, view)}}
        tree["lldp"] = {"interfaces": {"interface": lldp}}
        return tree

    def settings(self, switch: Switch, candidate: Tree) -> Settings:
        entries = (candidate.get("interfaces") or {}).get("interface") or {}
        vlans: dict[int, Vlan] = {}
        for (name,), entry in entries.items():
            if name.startswith(_VLAN) and name.removeprefix(_VLAN).isdigit():
                config = entry.get("config") or {}
                status = "ACTIVE" if config.get("enabled", True) else "SUSPENDED"
                id = int(name.removeprefix(_VLAN))
                vlans[id] = Vlan(id, config.get("description", ""), status)  # type: ignore[arg-type]
        only_known(switch, (keys[0] for keys in entries if not keys[0].startswith(_VLAN)))
        ports = {}
        for name, port in switch.ports.items():
            new = port_settings(port, entries.get((name,), {}), vlans, default=None)
            if new.mode == "TRUNK":
                new = replace(new, native_vlan=new.access_vlan, access_vlan=None)
            ports[name] = new
        if mapped := sorted(set(switch.vnis) - set(vlans)):
            raise YangError(f"{_VLAN}{mapped[0]} is used by VXLAN_TUNNEL_MAP", "precondition")
        return Settings(vlans, ports, dict(switch.vnis))

    def shown(self, path: Path, value: Any) -> Any:
        if not path:
            return value
        node, _config, module = self.model.find_node(path)
        if isinstance(node, List):
            return {f"{module}:{path[-1].name}": [_plain(value, module)]}
        return {f"{module}:{path[-1].name}": _plain(value, module)}

    def taken(self, path: Path, value: Any) -> Any:
        name = path[-1].name if path else ""
        wrapper = next(iter(value), "") if isinstance(value, dict) and len(value) == 1 else ""
        if wrapper.rpartition(":")[2] != name or ":" not in wrapper:
            raise YangError(f"{show(path)}: the value is not inside an object of its own name and module")
        inner = value[wrapper]
        if path[-1].keys:
            if not isinstance(inner, list) or len(inner) != 1:
                raise YangError(f"{show(path)}: one entry of the list was expected")
            return inner[0]
        return inner


class SonicDb(NetworkOs):
    """The databases' side: tables of rows of texts."""

    name = "sonic-db"
    origins = ("sonic-db",)
    wildcards = False

    def __init__(self) -> None:
        self.model = _Tables()

    def configuration(self, switch: Switch) -> Tree:
        config: Tree = {
            "VLAN": {f"{_VLAN}{id}": {"vlanid": str(id)} for id in switch.vlans},
            "VXLAN_TUNNEL": {TUNNEL: {"src_ip": "10.255.0.1"}},
        }
        if switch.vnis:
            config["VXLAN_TUNNEL_MAP"] = {
                f"{TUNNEL}|map_{vni}_{_VLAN}{vlan}": {"vlan": f"{_VLAN}{vlan}", "vni": str(vni)}
                for vlan, vni in switch.vnis.items()
            }
        return {"CONFIG_DB": {"localhost": config}}

    def everything(self, view: View) -> Tree:
        macs = {f"{_VLAN}{vlan}:{mac}": {"port": port, "type": "dynamic"} for mac, port, vlan in view.macs()}
        return {**self.configuration(view.switch), "STATE_DB": {"localhost": {"FDB_TABLE": macs} if macs else {}}}

    def settings(self, switch: Switch, candidate: Tree) -> Settings:
        from lab.switches.base import PortSettings

        rows = candidate["CONFIG_DB"]["localhost"].get("VXLAN_TUNNEL_MAP") or {}
        maps: dict[int, int] = {}
        for key, row in rows.items():
            try:
                vlan, vni = int(str(row["vlan"]).removeprefix(_VLAN)), int(row["vni"])
            except (KeyError, TypeError, ValueError):
                raise YangError(f"VXLAN_TUNNEL_MAP|{key}: vlan and vni are needed") from None
            if vlan not in switch.vlans:
                raise YangError(f"VXLAN_TUNNEL_MAP|{key}: no such VLAN", "precondition")
            if vlan in maps or vni in maps.values():
                raise YangError(f"VXLAN_TUNNEL_MAP|{key}: VNI or VLAN is mapped already", "precondition")
            maps[vlan] = vni
        ports = {name: PortSettings.of(port) for name, port in switch.ports.items()}
        return Settings(dict(switch.vlans), ports, maps)


def _untagged(switched: Tree) -> Tree:
    """The untagged VLAN of a trunk is its access-vlan, too."""
    if "native-vlan" in switched:
        switched["access-vlan"] = switched.pop("native-vlan")
    return switched


def _plain(value: Any, module: str) -> Any:
    """The outermost names without the module, which their wrapper carries."""
    if isinstance(value, dict):
        return {name.removeprefix(f"{module}:"): item for name, item in value.items()}
    return value


class _Tables(Model):
    """No schema: names and texts."""

    _anything = Leaf(lambda value: value)

    def __init__(self) -> None:
        super().__init__(Container({}), {})

    def find_node(self, path: Path) -> tuple[Node, bool, str]:
        if path and path[0].name not in ("CONFIG_DB", "STATE_DB"):
            raise YangError(f"{show(path)}: no such database")
        return self._anything, not path or path[0].name == "CONFIG_DB", ""

    def select(self, tree: Tree, path: Path) -> Iterator[tuple[Path, Any]]:
        node: Any = tree
        for step in path:
            if not isinstance(node, dict) or step.name not in node:
                return
            node = node[step.name]
        yield path, node

    def delete(self, tree: Tree, path: Path) -> None:
        self._writable(path)
        parent: Any = tree
        for step in path[:-1]:
            parent = parent.get(step.name, {})
        parent.pop(path[-1].name, None)

    def update(self, tree: Tree, path: Path, value: Any) -> None:
        self._writable(path)
        node: Any = tree
        for step in path[:-1]:
            node = node.setdefault(step.name, {})
        old = node.get(path[-1].name)
        node[path[-1].name] = {**old, **value} if isinstance(old, dict) and isinstance(value, dict) else value
