# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""OpenConfig as written, and Arista EOS, which adds VXLAN to it.

Sources: openconfig-interfaces, -vlan, -network-instance, -lldp; IANA (9339 is gNMI's port); Arista "gNMI" (6030),
arista-exp-eos-vxlan.yang.
"""

from __future__ import annotations

from typing import Any

from ansible_collections.palebluedot.gpu.plugins.module_utils.switch.dialects.base import (
    ACCESS,
    COUNTERS,
    ROUTED,
    TRUNK,
    Change,
    Dialect,
    Json,
    PortInfo,
    PortVlans,
    Vlan,
    Vnis,
    below,
    entries,
    neighbor,
    number,
    quoted,
)
from ansible_collections.palebluedot.gpu.plugins.module_utils.switch.gnmi import Query, Reading

_INSTANCE = "/network-instances/network-instance[name=default]"


class OpenConfig(Dialect):
    """Any switch that takes OpenConfig's switched-vlan and the VLANs of the default network instance."""

    name = "openconfig"
    port = 9339
    origin = "openconfig"
    maps_vnis = False

    def _port(self, interface: str) -> str:
        return f"/interfaces/interface[name={quoted(interface)}]"

    def _ethernet(self, interface: str) -> str:
        return f"{self._port(interface)}/ethernet"

    def _switched(self, interface: str) -> str:
        return f"{self._ethernet(interface)}/switched-vlan"

    def _vlan(self, vlan: int) -> str:
        return f"{_INSTANCE}/vlans/vlan[vlan-id={vlan}]"

    # -- one port ----------------------------------------------------------------------------------------------------

    def neighbors(self, interface: str) -> Reading:
        path = f"/lldp/interfaces/interface[name={quoted(interface)}]/neighbors"
        return Reading((Query(path),), lambda found: _neighbors(below(found, "neighbor")))

    def port_vlans(self, interface: str) -> Reading:
        return Reading((Query(f"{self._switched(interface)}/config", "config"),), switched)

    def aggregate(self, interface: str) -> Reading:
        # the container, not the leaf: a switch without openconfig-if-aggregate refuses a path that it does not know
        query = Query(f"{self._ethernet(interface)}/config", "config")
        return Reading((query,), lambda found: below(found, "aggregate-id") or None)

    def port_state(self, interface: str) -> Reading:
        def judge(found: Any) -> PortVlans | None:
            # Not every switch has the state container; then its configuration is what can be known.
            return switched(below(found, "state")) or switched(below(found, "config"))

        return Reading((Query(self._switched(interface)),), judge)

    def port_exists(self, interface: str) -> Reading | None:
        return Reading((Query(f"{self._port(interface)}/config", "config"),), bool)

    def move(self, interface: str, before: PortVlans, vlan: int, make: Vlan | None) -> list[Change]:
        # Replace, of the narrow container: what is not said goes (native and trunk VLANs), and nothing beside it.
        wanted = {"interface-mode": "ACCESS", "access-vlan": vlan}
        made = () if make is None else (self._vlan_update(make),)
        return [Change(replace=((f"{self._switched(interface)}/config", wanted),), update=made)]

    def put_back(self, interface: str, before: PortVlans, vlan: int, unmake: bool) -> list[Change]:
        gone = (self._vlan(vlan),) if unmake else ()
        path = f"{self._switched(interface)}/config"
        if not before.raw:
            return [Change(delete=(*gone, path))]
        return [Change(delete=gone, replace=((path, before.raw),))]

    # -- VLANs -------------------------------------------------------------------------------------------------------

    def _vlan_update(self, vlan: Vlan) -> tuple[str, Json]:
        config: Json = {"vlan-id": vlan.id, "status": "ACTIVE" if vlan.active else "SUSPENDED"}
        if vlan.name is not None:
            config["name"] = vlan.name
        return f"{self._vlan(vlan.id)}/config", config

    def vlan(self, vlan: int) -> Reading:
        def judge(config: Any) -> Vlan | None:
            if not config:
                return None
            # A VLAN without a status is active (openconfig-vlan's default).
            return Vlan(vlan, config.get("name") or None, config.get("status", "ACTIVE") == "ACTIVE")

        return Reading((Query(f"{self._vlan(vlan)}/config", "config"),), judge)

    def make_vlan(self, vlan: Vlan, before: Vlan | None, stale: Vnis) -> list[Change]:
        return [Change(update=(self._vlan_update(vlan),))]

    def drop_vlan(self, vlan: int, vnis: Vnis) -> list[Change]:
        return [Change(delete=(self._vlan(vlan),))]

    def members(self, vlan: int) -> Reading:
        def judge(found: Any) -> list[str]:
            rows = [(str(entry.get("name")), _vlans_of(entry)) for entry in entries(found)]
            return [name for name, port in rows if port is not None and is_in(port, vlan)]

        return Reading((Query("/interfaces/interface[name=*]/ethernet/switched-vlan/config", "config"),), judge)

    # -- all ports ---------------------------------------------------------------------------------------------------

    def ports(self, interfaces: list[str] | None) -> Reading:
        if interfaces is None:
            return Reading((Query("/interfaces"),), lambda all: infos(entries(below(all, "interface"))))
        queries = tuple(Query(self._port(interface)) for interface in interfaces)
        return Reading(queries, lambda *found: infos([entry for entry in found if entry]))

    def all_neighbors(self) -> Reading:
        def judge(found: Any) -> dict[str, list[Json]]:
            rows = entries(below(found, "interface"))
            return {str(row.get("name")): _neighbors(below(row, "neighbors", "neighbor")) for row in rows}

        return Reading((Query("/lldp/interfaces"),), judge)

    def macs(self) -> Reading:
        def judge(found: Any) -> list[tuple[str, str, int | None]]:
            rows = []
            for entry in entries(below(found, "entry")):
                interface = below(entry, "interface", "interface-ref", "state", "interface")
                rows.append((str(interface or ""), str(entry.get("mac-address")), number(entry.get("vlan"))))
            return rows

        return Reading((Query(f"{_INSTANCE}/fdb/mac-table/entries"),), judge)


class Eos(OpenConfig):
    """Arista EOS: OpenConfig, and the VXLAN interface's own map of VLANs to VNIs.

    EVPN instances (route targets) are the fabric's business and are not touched.
    """

    name = "eos"
    port = 6030
    maps_vnis = True
    no_writes = "Arista EOS takes Sets when `management api gnmi` has a transport: check its configuration."

    _MAPS = "/interfaces/interface[name=Vxlan1]/arista-exp-eos-vxlan:arista-vxlan/config/vlan-to-vnis"

    def vnis(self) -> Reading:
        def judge(found: Any) -> Vnis:
            return Vnis({int(row["vlan"]): int(row["vni"]) for row in entries(below(found, "vlan-to-vni"))})

        return Reading((Query(self._MAPS, "config"),), judge)

    def make_vlan(self, vlan: Vlan, before: Vlan | None, stale: Vnis) -> list[Change]:
        updates: list[tuple[str, Any]] = [self._vlan_update(vlan)]
        if vlan.vni is not None and (before is None or before.vni != vlan.vni):
            updates.append((self._MAPS, {"vlan-to-vni": [{"vlan": vlan.id, "vni": vlan.vni}]}))
        return [Change(delete=self._drop_maps(stale), update=tuple(updates))]

    def drop_vlan(self, vlan: int, vnis: Vnis) -> list[Change]:
        return [Change(delete=(*self._drop_maps(vnis), self._vlan(vlan)))]

    def _drop_maps(self, vnis: Vnis) -> tuple[str, ...]:
        return tuple(f"{self._MAPS}/vlan-to-vni[vlan={vlan}]" for vlan in vnis)


def switched(config: Any) -> PortVlans | None:
    """A switched-vlan container's leaves; those that do not apply to its mode are left out."""
    if not isinstance(config, dict):
        return None
    mode = str(config.get("interface-mode", "")).rpartition(":")[2]
    if not mode and "access-vlan" not in config and "trunk-vlans" not in config:
        return None
    raw = {key: value for key, value in config.items() if value is not None}
    if mode == "TRUNK":
        # SONiC says the untagged VLAN of a trunk as its access-vlan.
        untagged = number(config.get("native-vlan")) or number(config.get("access-vlan"))
        tagged = tuple(int(v) if str(v).isdigit() else str(v) for v in config.get("trunk-vlans") or ())
        return PortVlans(TRUNK, untagged, tagged, raw=raw)
    return PortVlans(ACCESS, number(config.get("access-vlan")), raw=raw)


def is_in(port: PortVlans, vlan: int) -> bool:
    """Whether a port carries a VLAN, tagged or not."""
    if port.vlan == vlan:
        return True
    for tagged in port.trunk_vlans:
        first, _dots, last = str(tagged).replace("-", "..").partition("..")
        if first.isdigit() and int(first) <= vlan <= int(last or first):
            return True
    return False


def infos(rows: list[Json]) -> list[PortInfo]:
    """The physical ports among interfaces, with what the results say of them."""
    found = []
    for row in rows:
        state = row.get("state") or {}
        kind = str(state.get("type") or below(row, "config", "type") or "ethernetCsmacd").rpartition(":")[2]
        if kind != "ethernetCsmacd" or str(row.get("name", "")).startswith(
            ("Vlan", "Vxlan", "Loopback", "Port-Channel")
        ):
            continue
        counted = state.get("counters") or {}
        counters = {name: number(counted.get(name.replace("_", "-"))) for name in COUNTERS}
        counters["carrier_transitions"] = number(counted.get("carrier-transitions", state.get("carrier-transitions")))
        found.append(
            PortInfo(
                interface=str(row.get("name")),
                vlans=_vlans_of(row) or PortVlans(ROUTED),
                admin_status=_lower(state.get("admin-status")),
                oper_status=_lower(state.get("oper-status")),
                counters=counters,
            )
        )
    return found


def _vlans_of(interface: Json) -> PortVlans | None:
    container = below(interface, "ethernet", "switched-vlan")
    return switched(below(container, "config")) or switched(below(container, "state"))


def _neighbors(found: Any) -> list[Json]:
    states = [entry.get("state") or {} for entry in entries(found)]
    return [
        neighbor(state.get("system-name"), state.get("chassis-id"), state.get("port-id")) for state in states if state
    ]


def _lower(value: Any) -> str | None:
    return str(value).lower() if value else None
