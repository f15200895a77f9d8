# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""Nokia SR Linux in its native model. A VLAN is the MAC-VRF ``mac-vrf-N``; a port is in it by a bridged subinterface.

Sources: Nokia "SR Linux Interfaces" (an untagged port has vlan-tagging false and one bridged subinterface; only one
untagged subinterface an interface), "EVPN-VXLAN" (tunnel-interface, vxlan-interface, ingress vni), "gNMI" (57400);
srl_nokia-interfaces, -network-instance, -tunnel-interfaces, -lldp.
"""

from __future__ import annotations

from typing import Any

from ansible_collections.palebluedot.gpu.plugins.module_utils.switch.dialects.base import (
    ACCESS,
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

_PREFIX = "mac-vrf-"
_TUNNEL = "vxlan1"
_INDEX = 0  # the subinterface of an access port
_UNCONFIGURED: Json = {"subinterfaces": [], "bridges": {}, "tagging": False}


class SrLinux(Dialect):
    """Nokia SR Linux. EVPN (bgp-evpn, bgp-vpn) is the fabric's business and is not touched."""

    name = "srlinux"
    port = 57400
    interface_pattern = r"(ethernet-\d+(/\d+){1,2}|lag\d+)"
    interface_example = "ethernet-1/7"
    no_writes = "Give the account gNMI write rights on this SR Linux (`system aaa authorization role`)."

    @staticmethod
    def _port(interface: str) -> str:
        return f"/interface[name={quoted(interface)}]"

    @staticmethod
    def _vlan(vlan: int) -> str:
        return f"/network-instance[name={_PREFIX}{vlan}]"

    # -- one port ----------------------------------------------------------------------------------------------------

    def neighbors(self, interface: str) -> Reading:
        path = f"/system/lldp/interface[name={quoted(interface)}]"
        return Reading((Query(path),), lambda found: _neighbors(below(found, "neighbor")))

    def port_vlans(self, interface: str) -> Reading:
        return self._vlans(interface, "config")

    def aggregate(self, interface: str) -> Reading:
        query = Query(self._port(interface), "config")
        return Reading((query,), lambda port: below(port, "ethernet", "aggregate-id") or None)

    def port_state(self, interface: str) -> Reading:
        # SR Linux has configuration and state in one tree; what was committed is what is forwarded.
        return self._vlans(interface, "all")

    def _vlans(self, interface: str, datatype: str) -> Reading:
        def judge(port: Any, instances: Any) -> PortVlans | None:
            return _port_vlans(interface, port, _bridges(instances)) if port else None

        queries = (Query(self._port(interface), datatype), Query("/network-instance[name=*]/interface", datatype))
        return Reading(queries, judge)

    def port_exists(self, interface: str) -> Reading | None:
        # A port that nobody has configured is in the state alone.
        return Reading((Query(f"{self._port(interface)}/admin-state"),), bool)

    def move(self, interface: str, before: PortVlans, vlan: int, make: Vlan | None) -> list[Change]:
        old = before.raw or _UNCONFIGURED
        member = f"{interface}.{_INDEX}"
        gone = [
            f"/network-instance[name={quoted(bridge)}]/interface[name={name}]"
            for name, bridge in old["bridges"].items()
        ]
        gone += [f"{self._port(interface)}/subinterface[index={row['index']}]" for row in old["subinterfaces"]]
        made = [] if make is None else [self._vlan_update(make)]
        port: Json = {"vlan-tagging": False}
        if not before.raw:
            port["admin-state"] = "enable"  # SR Linux's default is off
        updates: list[tuple[str, Any]] = [
            *made,
            (self._port(interface), port),
            (f"{self._port(interface)}/subinterface[index={_INDEX}]", {"type": "bridged", "admin-state": "enable"}),
            (f"{self._vlan(vlan)}/interface[name={member}]", {"name": member}),
        ]
        return [Change(delete=tuple(gone), update=tuple(updates))]

    def put_back(self, interface: str, before: PortVlans, vlan: int, unmake: bool) -> list[Change]:
        if not before.raw:
            gone: tuple[str, ...] = (f"{self._vlan(vlan)}/interface[name={interface}.{_INDEX}]", self._port(interface))
            return [Change(delete=(*gone, self._vlan(vlan)) if unmake else gone)]
        old = before.raw
        member = f"{interface}.{_INDEX}"
        gone = (
            f"{self._port(interface)}/subinterface",
            f"{self._vlan(vlan)}/interface[name={member}]",
        )
        if unmake:
            gone = (*gone, self._vlan(vlan))
        updates: list[tuple[str, Any]] = [(self._port(interface), {"vlan-tagging": old["tagging"]})]
        for row in old["subinterfaces"]:
            updates.append((f"{self._port(interface)}/subinterface[index={row['index']}]", row))
        for name, bridge in old["bridges"].items():
            updates.append((f"/network-instance[name={quoted(bridge)}]/interface[name={name}]", {"name": name}))
        return [Change(delete=gone, update=tuple(updates))]

    # -- VLANs -------------------------------------------------------------------------------------------------------

    def _vlan_update(self, vlan: Vlan) -> tuple[str, Json]:
        instance: Json = {"type": "mac-vrf", "admin-state": "enable" if vlan.active else "disable"}
        if vlan.name is not None:
            instance["description"] = vlan.name
        return self._vlan(vlan.id), instance

    def vlan(self, vlan: int) -> Reading:
        def judge(found: Any) -> Vlan | None:
            # an instance's interfaces alone are no instance: an answer may be cut so
            if not found or not found.get("type"):
                return None
            active = found.get("admin-state", "enable") == "enable"
            return Vlan(vlan, found.get("description") or None, active)

        return Reading((Query(self._vlan(vlan), "config"),), judge)

    def vnis(self) -> Reading:
        def judge(tunnels: Any, instances: Any) -> Vnis:
            by_name = {f"{_TUNNEL}.{row['index']}": below(row, "ingress", "vni") for row in entries(tunnels)}
            found = Vnis()
            for instance in entries(instances):
                vlan = _vlan_of(str(instance.get("name")))
                for row in entries(instance.get("vxlan-interface")):
                    vni = number(by_name.get(str(row.get("name"))))
                    if vlan is not None and vni is not None:
                        found[vlan] = vni
            return found

        queries = (
            Query(f"/tunnel-interface[name={_TUNNEL}]/vxlan-interface[index=*]", "config"),
            Query("/network-instance[name=*]/vxlan-interface", "config"),
        )
        return Reading(queries, judge)

    def make_vlan(self, vlan: Vlan, before: Vlan | None, stale: Vnis) -> list[Change]:
        updates: list[tuple[str, Any]] = [self._vlan_update(vlan)]
        if vlan.vni is not None and (before is None or before.vni != vlan.vni):
            tunnel = f"/tunnel-interface[name={_TUNNEL}]/vxlan-interface[index={vlan.vni}]"
            updates.append((tunnel, {"type": "bridged", "ingress": {"vni": vlan.vni}}))
            name = f"{_TUNNEL}.{vlan.vni}"
            updates.append((f"{self._vlan(vlan.id)}/vxlan-interface[name={name}]", {"name": name}))
        return [Change(delete=self._drop_maps(stale), update=tuple(updates))]

    def drop_vlan(self, vlan: int, vnis: Vnis) -> list[Change]:
        return [Change(delete=(self._vlan(vlan), *self._drop_maps(vnis)))]

    def _drop_maps(self, vnis: Vnis) -> tuple[str, ...]:
        gone = []
        for vlan, vni in vnis.items():
            gone.append(f"{self._vlan(vlan)}/vxlan-interface[name={_TUNNEL}.{vni}]")
            gone.append(f"/tunnel-interface[name={_TUNNEL}]/vxlan-interface[index={vni}]")
        return tuple(gone)

    def members(self, vlan: int) -> Reading:
        def judge(found: Any) -> list[str]:
            return [str(row.get("name", "")).rpartition(".")[0] for row in entries(below(found, "interface"))]

        return Reading((Query(self._vlan(vlan), "config"),), judge)

    # -- all ports ---------------------------------------------------------------------------------------------------

    def ports(self, interfaces: list[str] | None) -> Reading:
        members = Query("/network-instance[name=*]/interface")
        if interfaces is None:
            return Reading(
                (Query("/interface[name=*]"), members),
                lambda all, instances: _infos(entries(all), _bridges(instances)),
            )
        queries = tuple(Query(self._port(interface)) for interface in interfaces)
        return Reading(
            (members, *queries),
            lambda instances, *found: _infos([row for row in found if row], _bridges(instances)),
        )

    def all_neighbors(self) -> Reading:
        def judge(found: Any) -> dict[str, list[Json]]:
            return {str(row.get("name")): _neighbors(row.get("neighbor")) for row in entries(found)}

        return Reading((Query("/system/lldp/interface[name=*]"),), judge)

    def macs(self) -> Reading:
        def judge(found: Any) -> list[tuple[str, str, int | None]]:
            rows = []
            for instance in entries(found):
                vlan = _vlan_of(str(instance.get("name")))
                for row in entries(below(instance, "bridge-table", "mac-table", "mac")):
                    interface = str(row.get("destination", "")).rpartition(".")[0]
                    rows.append((interface, str(row.get("address")), vlan))
            return rows

        return Reading((Query("/network-instance[name=*]/bridge-table/mac-table"),), judge)


def _port_vlans(interface: str, port: Json, bridges: dict[str, str]) -> PortVlans:
    """:param bridges: by the name of a subinterface, the network instance it is in."""
    rows = entries(port.get("subinterface"))
    tagging = bool(port.get("vlan-tagging", False))
    configured = [
        {key: row[key] for key in ("index", "type", "admin-state", "description", "vlan") if key in row} for row in rows
    ]
    mine = {name: bridge for name, bridge in bridges.items() if name.rpartition(".")[0] == interface}
    raw = {"subinterfaces": configured, "bridges": mine, "tagging": tagging}
    if any(row.get("type", "routed") == "routed" for row in rows):
        return PortVlans(ROUTED, raw=raw)
    untagged = [row for row in rows if not tagging or "untagged" in (below(row, "vlan", "encap") or {})]
    bridge = mine.get(f"{interface}.{untagged[0]['index']}") if untagged else None
    vlan = _vlan_of(bridge or "")
    if not tagging:
        return PortVlans(ACCESS, vlan, bridge=bridge if vlan is None else None, raw=raw)
    tagged = []
    for row in rows:
        if row not in untagged:
            name = mine.get(f"{interface}.{row['index']}") or ""
            tagged.append(_vlan_of(name) or number(below(row, "vlan", "encap", "single-tagged", "vlan-id")) or name)
    return PortVlans(TRUNK, vlan, tuple(tagged), bridge=bridge if vlan is None else None, raw=raw)


def _infos(rows: list[Json], bridges: dict[str, str]) -> list[PortInfo]:
    found = []
    for row in rows:
        interface = str(row.get("name"))
        if not interface.startswith("ethernet-"):
            continue
        counted = row.get("statistics") or {}
        found.append(
            PortInfo(
                interface=interface,
                vlans=_port_vlans(interface, row, bridges),
                admin_status={"enable": "up", "disable": "down"}.get(str(row.get("admin-state"))),
                oper_status=row.get("oper-state"),
                counters={
                    "in_octets": number(counted.get("in-octets")),
                    "out_octets": number(counted.get("out-octets")),
                    "in_errors": number(counted.get("in-error-packets")),
                    "out_errors": number(counted.get("out-error-packets")),
                    "carrier_transitions": number(counted.get("carrier-transitions")),
                },
            )
        )
    return found


def _bridges(instances: Any) -> dict[str, str]:
    found = {}
    for instance in entries(instances):
        for row in entries(instance.get("interface")):
            found[str(row.get("name"))] = str(instance.get("name"))
    return found


def _neighbors(found: Any) -> list[Json]:
    return [neighbor(row.get("system-name"), row.get("chassis-id"), row.get("port-id")) for row in entries(found)]


def _vlan_of(instance: str) -> int | None:
    return number(instance.removeprefix(_PREFIX)) if instance.startswith(_PREFIX) else None
