# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""Cisco NX-OS in its native model: values as JSON, at most 20 paths a request.

Sources: Cisco "NX-OS Programmability Guide", gNMI (JSON, 20 paths, no wildcards in keys, port 50051);
Cisco-NX-OS-device.yang (System/bd-items, intf-items, eps-items, lldp-items, mac-items).
"""

from __future__ import annotations

import re
from typing import Any

from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import InvalidInput
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
)
from ansible_collections.palebluedot.gpu.plugins.module_utils.switch.dialects.openconfig import is_in
from ansible_collections.palebluedot.gpu.plugins.module_utils.switch.gnmi import Query, Reading

_BRIDGES = "/System/bd-items/bd-items"
_PORTS = "/System/intf-items/phys-items"
_VNIS = "/System/eps-items/epId-items/Ep-list[epId=1]/nws-items/vni-items"
_LLDP = "/System/lldp-items/inst-items/if-items"
_MACS = "/System/mac-items/table-items/vlan-items"
# What a port that was never a trunk holds.
_NO_TRUNK = {"nativeVlan": "vlan-1", "trunkVlans": "1-4094"}
_RAW = ("layer", "mode", "accessVlan", "nativeVlan", "trunkVlans")


class NxOs(Dialect):
    """Cisco NX-OS."""

    name = "nxos"
    port = 50051
    encoding = "json"
    most_paths = 20
    interface_example = "eth1/7"
    no_writes = "This NX-OS does not take Sets over gNMI: Nexus 9000 does, from 9.3(1) on, with `feature grpc`."

    def interface(self, name: str) -> str:
        found = re.fullmatch(r"(?:eth|ethernet)\s*(\d+(?:/\d+){1,2})", name, re.IGNORECASE)
        if not found:
            raise InvalidInput(
                f"{name!r} is not the name of an interface", next="On NX-OS one is called eth1/7 or Ethernet1/7."
            )
        return f"eth{found[1]}"

    def _port(self, interface: str) -> str:
        return f"{_PORTS}/PhysIf-list[id={interface}]"

    @staticmethod
    def _vlan(vlan: int) -> str:
        return f"{_BRIDGES}/BD-list[fabEncap=vlan-{vlan}]"

    # -- one port ----------------------------------------------------------------------------------------------------

    def neighbors(self, interface: str) -> Reading:
        path = f"{_LLDP}/If-list[id={interface}]/adj-items"
        return Reading((Query(path),), lambda found: _neighbors(below(found, "AdjEp-list")))

    def port_vlans(self, interface: str) -> Reading:
        return Reading((Query(self._port(interface)),), lambda found: _vlans(found) if found else None)

    def aggregate(self, interface: str) -> Reading:
        def judge(found: Any) -> str | None:
            channel = str(below(found, "rtmbrIfs-items", "tDn") or "")
            named = re.search(r"\bpo\d+", channel)
            return named[0] if named else channel or None

        return Reading((Query(self._port(interface)),), judge)

    def port_state(self, interface: str) -> Reading:
        def judge(found: Any) -> PortVlans | None:
            if not found:
                return None
            state = found.get("phys-items") or {}
            if "accessVlan" not in state:
                return _vlans(found)
            return _vlans({**found, "mode": state.get("operMode", found.get("mode")), **_vlan_leaves(state)})

        return Reading((Query(self._port(interface)),), judge)

    def move(self, interface: str, before: PortVlans, vlan: int, make: Vlan | None) -> list[Change]:
        wanted: Json = {"id": interface, "mode": "access", "accessVlan": f"vlan-{vlan}"}
        if before.mode == TRUNK:
            wanted |= _NO_TRUNK
        made = () if make is None else (self._vlan_update(make),)
        return [Change(update=(*made, (self._port(interface), wanted)))]

    def put_back(self, interface: str, before: PortVlans, vlan: int, unmake: bool) -> list[Change]:
        gone = (self._vlan(vlan),) if unmake else ()
        return [Change(delete=gone, update=((self._port(interface), {"id": interface, **(before.raw or {})}),))]

    # -- VLANs -------------------------------------------------------------------------------------------------------

    def _vlan_update(self, vlan: Vlan) -> tuple[str, Json]:
        bridge: Json = {"fabEncap": f"vlan-{vlan.id}", "adminSt": "active" if vlan.active else "suspend"}
        if vlan.name is not None:
            bridge["name"] = vlan.name
        if vlan.vni is not None:
            bridge["accEncap"] = f"vxlan-{vlan.vni}"
        return self._vlan(vlan.id), bridge

    def vlan(self, vlan: int) -> Reading:
        def judge(found: Any) -> Vlan | None:
            if not found:
                return None
            return Vlan(vlan, found.get("name") or None, found.get("adminSt", "active") == "active")

        return Reading((Query(self._vlan(vlan)),), judge)

    def vnis(self) -> Reading:
        def judge(found: Any) -> Vnis:
            rows = [(_id(row.get("fabEncap")), _id(row.get("accEncap"))) for row in entries(below(found, "BD-list"))]
            return Vnis({vlan: vni for vlan, vni in rows if vlan is not None and vni is not None})

        return Reading((Query(_BRIDGES),), judge)

    def make_vlan(self, vlan: Vlan, before: Vlan | None, stale: Vnis) -> list[Change]:
        updates: list[tuple[str, Any]] = [self._vlan_update(vlan)]
        gone = [f"{self._vlan(other)}/accEncap" for other in stale if other != vlan.id]
        if vlan.vni is not None and (before is None or before.vni != vlan.vni):
            updates.append((f"{_VNIS}/Nw-list[vni={vlan.vni}]", {"vni": vlan.vni}))
            # the tunnel's own entry stays when only the VLAN behind a VNI changes
            gone += [f"{_VNIS}/Nw-list[vni={vni}]" for vni in stale.values() if vni != vlan.vni]
        return [Change(delete=tuple(gone), update=tuple(updates))]

    def drop_vlan(self, vlan: int, vnis: Vnis) -> list[Change]:
        tunnels = tuple(f"{_VNIS}/Nw-list[vni={vni}]" for vni in vnis.values())
        return [Change(delete=(*tunnels, self._vlan(vlan)))]

    def members(self, vlan: int) -> Reading:
        def judge(found: Any) -> list[str]:
            rows = entries(below(found, "PhysIf-list"))
            # A trunk's default is "all VLANs": that alone is no reason to keep one.
            return [str(row.get("id")) for row in rows if _uses(_vlans(row), vlan)]

        return Reading((Query(_PORTS),), judge)

    # -- all ports ---------------------------------------------------------------------------------------------------

    def ports(self, interfaces: list[str] | None) -> Reading:
        def judge(*found: Any) -> list[PortInfo]:
            return [_info(row) for row in found if row]

        if interfaces is None:
            return Reading((Query(_PORTS),), lambda all: judge(*entries(below(all, "PhysIf-list"))))
        return Reading(tuple(Query(self._port(interface)) for interface in interfaces), judge)

    def all_neighbors(self) -> Reading:
        def judge(found: Any) -> dict[str, list[Json]]:
            rows = entries(below(found, "If-list"))
            return {str(row.get("id")): _neighbors(below(row, "adj-items", "AdjEp-list")) for row in rows}

        return Reading((Query(_LLDP),), judge)

    def macs(self) -> Reading:
        def judge(found: Any) -> list[tuple[str, str, int | None]]:
            rows = entries(below(found, "MacAddressEntry-list"))
            return [(str(row.get("port", "")), str(row.get("macAddress")), _id(row.get("vlan"))) for row in rows]

        return Reading((Query(_MACS),), judge)


def _vlans(row: Json) -> PortVlans:
    raw = {name: row[name] for name in _RAW if row.get(name) is not None}
    if str(row.get("layer", "Layer2")) == "Layer3":
        return PortVlans(ROUTED, raw=raw)
    if row.get("mode") == "trunk":
        tagged = [part for part in str(row.get("trunkVlans") or "").split(",") if part]
        return PortVlans(
            TRUNK,
            _id(row.get("nativeVlan")),
            tuple(int(part) if part.isdigit() else part.replace("-", "..") for part in tagged),
            raw=raw,
        )
    return PortVlans(ACCESS, _id(row.get("accessVlan")), raw=raw)


def _vlan_leaves(row: Json) -> Json:
    return {name: row[name] for name in ("accessVlan", "nativeVlan") if name in row}


def _uses(port: PortVlans, vlan: int) -> bool:
    if port.mode == TRUNK and port.trunk_vlans == ("1..4094",):
        return port.vlan == vlan
    return is_in(port, vlan)


def _info(row: Json) -> PortInfo:
    state = row.get("phys-items") or {}
    coming, going = row.get("dbgIfIn-items") or {}, row.get("dbgIfOut-items") or {}
    return PortInfo(
        interface=str(row.get("id")),
        vlans=_vlans(row),
        admin_status=row.get("adminSt"),
        oper_status=state.get("operSt"),
        counters={
            "in_octets": number(coming.get("octets")),
            "out_octets": number(going.get("octets")),
            "in_errors": number(coming.get("errors")),
            "out_errors": number(going.get("errors")),
            "carrier_transitions": number(state.get("resetCtr")),
        },
    )


def _neighbors(found: Any) -> list[Json]:
    return [neighbor(row.get("sysName"), row.get("chassisIdV"), row.get("portIdV")) for row in entries(found)]


def _id(encap: Any) -> int | None:
    """The number of ``vlan-100`` or ``vxlan-10100``; None for ``unknown`` and the like."""
    return number(str(encap or "").rpartition("-")[2])
