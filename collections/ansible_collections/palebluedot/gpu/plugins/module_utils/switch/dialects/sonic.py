# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""SONiC: OpenConfig through its management framework, the rest through its databases.

Sources: sonic-gnmi (prefix target OC-YANG, values inside an object of their own name, "GNMI is in read-only mode");
the SONiC design documents "OpenConfig support for VLAN interface and VLAN member" (a VLAN is the interface VlanN;
network instances are not there) and "SONiC VXLAN" (VXLAN_TUNNEL_MAP).
"""

from __future__ import annotations

from typing import Any

from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import Unsupported
from ansible_collections.palebluedot.gpu.plugins.module_utils.switch.dialects.base import (
    Change,
    Json,
    PortVlans,
    Vlan,
    Vnis,
    below,
    entries,
    number,
    quoted,
)
from ansible_collections.palebluedot.gpu.plugins.module_utils.switch.dialects.openconfig import (
    OpenConfig,
    _neighbors,
    _vlans_of,
    is_in,
)
from ansible_collections.palebluedot.gpu.plugins.module_utils.switch.gnmi import Query, Reading

_DB = "sonic-db"
_CONFIG = "/CONFIG_DB/localhost"
_STATE = "/STATE_DB/localhost"


class Sonic(OpenConfig):
    """SONiC built with gNMI writes. A VNI is a second Set: one request cannot hold both models."""

    name = "sonic"
    port = 8080
    origin = ""
    target = "OC-YANG"
    maps_vnis = True
    interface_example = "Ethernet4"
    no_writes = (
        "This SONiC is built without gNMI writes: build it with ENABLE_TRANSLIB_WRITE=y (OpenConfig) and "
        "ENABLE_NATIVE_WRITE=y (VNIs), or start telemetry with --gnmi_translib_write and --gnmi_native_write."
    )

    def _port(self, interface: str) -> str:
        return f"/openconfig-interfaces:interfaces/interface[name={quoted(interface)}]"

    def _ethernet(self, interface: str) -> str:
        return f"{self._port(interface)}/openconfig-if-ethernet:ethernet"

    def _switched(self, interface: str) -> str:
        return f"{self._ethernet(interface)}/openconfig-vlan:switched-vlan"

    def _vlan(self, vlan: int) -> str:
        return self._port(f"Vlan{vlan}")

    def neighbors(self, interface: str) -> Reading:
        path = f"/openconfig-lldp:lldp/interfaces/interface[name={quoted(interface)}]/neighbors"
        return Reading((Query(path),), lambda found: _neighbors(below(found, "neighbor")))

    def move(self, interface: str, before: PortVlans, vlan: int, make: Vlan | None) -> list[Change]:
        # A port's old membership does not go with a new one: VLAN_MEMBER rows are taken away first, in the same Set.
        config = f"{self._switched(interface)}/config"
        wanted = {"openconfig-vlan:config": {"interface-mode": "ACCESS", "access-vlan": vlan}}
        made = () if make is None else (self._vlan_update(make),)
        return [Change(delete=(config,) if before.raw else (), update=(*made, (config, wanted)))]

    def put_back(self, interface: str, before: PortVlans, vlan: int, unmake: bool) -> list[Change]:
        config = f"{self._switched(interface)}/config"
        gone = (config, self._vlan(vlan)) if unmake else (config,)
        back = ((config, {"openconfig-vlan:config": before.raw}),) if before.raw else ()
        return [Change(delete=gone, update=back)]

    # -- VLANs -------------------------------------------------------------------------------------------------------

    def _vlan_update(self, vlan: Vlan) -> tuple[str, Json]:
        config: Json = {"name": f"Vlan{vlan.id}", "enabled": vlan.active}
        if vlan.name is not None:
            config["description"] = vlan.name
        entry = {"name": f"Vlan{vlan.id}", "config": config}
        return self._vlan(vlan.id), {"openconfig-interfaces:interface": [entry]}

    def vlan(self, vlan: int) -> Reading:
        def judge(found: Any) -> Vlan | None:
            config = below(found, "config")
            return Vlan(vlan, config.get("description") or None, config.get("enabled", True)) if config else None

        return Reading((Query(self._vlan(vlan)),), judge)

    def vnis(self) -> Reading:
        tables = (f"{_CONFIG}/VXLAN_TUNNEL_MAP", f"{_CONFIG}/VXLAN_TUNNEL")
        queries = tuple(Query(path, "all", _DB, "") for path in tables)

        def judge(maps: Any, tunnels: Any) -> Vnis:
            if not tunnels:
                raise Unsupported(
                    "the switch has no VXLAN tunnel to map a VLAN into",
                    code="vni_unsupported",
                    tried=f"Get {tables[1]}",
                    next="Make the VTEP first (CONFIG_DB VXLAN_TUNNEL); that is the fabric's configuration.",
                )
            return Vnis(
                {int(str(row["vlan"]).removeprefix("Vlan")): int(row["vni"]) for row in (maps or {}).values()},
                tunnel=next(iter(tunnels)),
            )

        return Reading(queries, judge)

    def make_vlan(self, vlan: Vlan, before: Vlan | None, stale: Vnis) -> list[Change]:
        changes = []
        if before is None or (before.name, before.active) != (vlan.name, vlan.active):
            changes.append(Change(update=(self._vlan_update(vlan),)))
        wanted = vlan.vni is not None and (before is None or before.vni != vlan.vni)
        if stale or wanted:
            row = {"vlan": f"Vlan{vlan.id}", "vni": str(vlan.vni)}
            add = ((self._map(stale, vlan.id, vlan.vni), row),) if wanted else ()
            changes.append(Change(delete=self._drop_maps(stale), update=add, origin=_DB, target=""))
        return changes

    def drop_vlan(self, vlan: int, vnis: Vnis) -> list[Change]:
        # The map first: a VLAN that a tunnel still refers to cannot go.
        first = [Change(delete=self._drop_maps(vnis), origin=_DB, target="")] if vnis else []
        return [*first, Change(delete=(self._vlan(vlan),))]

    def _drop_maps(self, vnis: Vnis) -> tuple[str, ...]:
        return tuple(self._map(vnis, vlan, vni) for vlan, vni in vnis.items())

    @staticmethod
    def _map(vnis: Vnis, vlan: int, vni: int | None) -> str:
        return f"{_CONFIG}/VXLAN_TUNNEL_MAP/{vnis.tunnel}|map_{vni}_Vlan{vlan}"

    def members(self, vlan: int) -> Reading:
        def judge(found: Any) -> list[str]:
            rows = [(str(entry.get("name")), _vlans_of(entry)) for entry in entries(below(found, "interface"))]
            return [name for name, port in rows if port is not None and is_in(port, vlan)]

        return Reading((Query("/openconfig-interfaces:interfaces"),), judge)

    # -- all ports ---------------------------------------------------------------------------------------------------

    def ports(self, interfaces: list[str] | None) -> Reading:
        found = super().ports(interfaces)
        if interfaces is None:
            return found._replace(queries=(Query("/openconfig-interfaces:interfaces"),))
        return found

    def all_neighbors(self) -> Reading:
        return super().all_neighbors()._replace(queries=(Query("/openconfig-lldp:lldp/interfaces"),))

    def macs(self) -> Reading:
        def judge(table: Any) -> list[tuple[str, str, int | None]]:
            rows = []
            for key, row in (table or {}).items():
                name, _colon, mac = str(key).partition(":")
                rows.append((str(row.get("port", "")), mac, number(name.removeprefix("Vlan"))))
            return rows

        return Reading((Query(f"{_STATE}/FDB_TABLE", "all", _DB, ""),), judge)
