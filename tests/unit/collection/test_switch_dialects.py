"""What each network operating system is asked and told, word by word."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.palebluedot.gpu.plugins.module_utils import errors, options
from ansible_collections.palebluedot.gpu.plugins.module_utils.switch.dialects import DIALECTS, dialect
from ansible_collections.palebluedot.gpu.plugins.module_utils.switch.dialects.base import PortVlans, Vlan, Vnis
from ansible_collections.palebluedot.gpu.plugins.module_utils.switch.gnmi import Change, Reading


def asked(reading: Reading) -> list[str]:
    return [query.path for query in reading.queries]


def test_a_task_may_name_each_dialect_and_no_other() -> None:
    assert options.switch()["switch_dialect"]["choices"] == sorted(
        DIALECTS, key=lambda name: (name != "openconfig", name)
    )
    with pytest.raises(errors.InvalidInput) as caught:
        dialect("cumulus")
    assert caught.value.code == "switch_dialect_unknown"


@pytest.mark.parametrize(
    ("name", "port", "encoding", "origin", "target", "most"),
    [
        ("openconfig", 9339, "json_ietf", "openconfig", "", None),
        ("eos", 6030, "json_ietf", "openconfig", "", None),
        ("nxos", 50051, "json", "", "", 20),
        ("sonic", 8080, "json_ietf", "", "OC-YANG", None),
        ("srlinux", 57400, "json_ietf", "", "", None),
    ],
)
def test_what_the_service_wants(
    name: str, port: int, encoding: str, origin: str, target: str, most: int | None
) -> None:
    spoken = DIALECTS[name]
    found = (spoken.port, spoken.encoding, spoken.origin, spoken.target, spoken.most_paths)
    assert found == (port, encoding, origin, target, most)


@pytest.mark.parametrize(
    ("name", "given", "spelt"),
    [
        ("openconfig", "Ethernet7", "Ethernet7"),
        ("nxos", "Ethernet1/7", "eth1/7"),
        ("nxos", "eth1/7", "eth1/7"),
        ("nxos", "ethernet1/7/2", "eth1/7/2"),
        ("srlinux", "ethernet-1/7", "ethernet-1/7"),
        ("sonic", "Ethernet4", "Ethernet4"),
    ],
)
def test_a_port_is_spelt_as_the_switch_does(name: str, given: str, spelt: str) -> None:
    assert DIALECTS[name].interface(given) == spelt


@pytest.mark.parametrize(
    ("name", "given"),
    [("openconfig", "a=b"), ("eos", "Ethernet1]"), ("nxos", "Ethernet7"), ("nxos", "Po7"), ("srlinux", "Ethernet1")],
)
def test_what_is_no_port_is_refused(name: str, given: str) -> None:
    with pytest.raises(errors.InvalidInput, match="not the name of an interface"):
        DIALECTS[name].interface(given)


# --- Arista EOS and OpenConfig

SWITCHED = "/interfaces/interface[name=Ethernet7]/ethernet/switched-vlan"


def test_openconfig_replaces_the_narrow_container() -> None:
    spoken = DIALECTS["openconfig"]
    reading = spoken.port_vlans("Ethernet7")
    assert asked(reading) == [f"{SWITCHED}/config"]
    old = reading.parse(
        {"interface-mode": "openconfig-vlan-types:TRUNK", "native-vlan": 5, "trunk-vlans": ["7..9", 11]}
    )
    assert old == PortVlans("trunk", 5, ("7..9", 11))
    assert spoken.move("Ethernet7", old, 1207, Vlan(1207)) == [
        Change(
            replace=((f"{SWITCHED}/config", {"interface-mode": "ACCESS", "access-vlan": 1207}),),
            update=(
                (
                    "/network-instances/network-instance[name=default]/vlans/vlan[vlan-id=1207]/config",
                    {"vlan-id": 1207, "status": "ACTIVE"},
                ),
            ),
        )
    ]
    (back,) = spoken.put_back("Ethernet7", old, 1207, unmake=True)
    assert back.delete == ("/network-instances/network-instance[name=default]/vlans/vlan[vlan-id=1207]",)
    assert back.replace == ((f"{SWITCHED}/config", old.raw),)


def test_openconfig_believes_the_state_before_the_configuration() -> None:
    reading = DIALECTS["openconfig"].port_state("Ethernet7")
    new, old = {"interface-mode": "ACCESS", "access-vlan": 5}, {"interface-mode": "ACCESS", "access-vlan": 6}
    assert reading.parse({"config": new, "state": old}) == PortVlans("access", 6)
    assert reading.parse({"config": new}) == PortVlans("access", 5)
    assert reading.parse(None) is None


def test_eos_takes_a_stale_map_away_in_the_same_set() -> None:
    spoken = DIALECTS["eos"]
    maps = "/interfaces/interface[name=Vxlan1]/arista-exp-eos-vxlan:arista-vxlan/config/vlan-to-vnis"
    found = spoken.vnis().parse({"vlan-to-vni": [{"vlan": 5, "vni": 77}, {"vlan": 6, "vni": 78}]})
    assert found == {5: 77, 6: 78}
    (change,) = spoken.make_vlan(Vlan(7, "t", True, 77), None, found.only({5}))
    assert change.delete == (f"{maps}/vlan-to-vni[vlan=5]",)
    assert change.update[-1] == (maps, {"vlan-to-vni": [{"vlan": 7, "vni": 77}]})


def test_openconfig_knows_no_vni() -> None:
    with pytest.raises(errors.Unsupported, match="no path for a VLAN's VNI") as caught:
        DIALECTS["openconfig"].vnis()
    assert caught.value.code == "vni_unsupported"


# --- Cisco NX-OS

NX_PORT = "/System/intf-items/phys-items/PhysIf-list[id=eth1/7]"


def nx(**more: Any) -> dict[str, Any]:
    """A port as a Nexus shows it."""
    base = {"id": "eth1/7", "layer": "Layer2", "mode": "access", "accessVlan": "vlan-666", "nativeVlan": "vlan-1"}
    return {**base, "trunkVlans": "1-4094", **more}


def test_nxos_reads_a_port() -> None:
    read = DIALECTS["nxos"].port_vlans("eth1/7").parse
    assert read(nx()) == PortVlans("access", 666)
    assert read(nx(mode="trunk", trunkVlans="5,7-9", nativeVlan="vlan-5")) == PortVlans("trunk", 5, (5, "7..9"))
    assert read(nx(layer="Layer3")).mode == "routed"
    assert read(nx(accessVlan="unknown")) == PortVlans("access", None)
    assert read(None) is None


def test_nxos_believes_the_operational_vlan() -> None:
    read = DIALECTS["nxos"].port_state("eth1/7").parse
    late = nx(accessVlan="vlan-5", **{"phys-items": {"operMode": "access", "accessVlan": "vlan-666"}})
    assert read(late) == PortVlans("access", 666)


def test_nxos_moves_and_takes_a_trunk_apart() -> None:
    spoken = DIALECTS["nxos"]
    trunk = spoken.port_vlans("eth1/7").parse(nx(mode="trunk", trunkVlans="5"))
    (change,) = spoken.move("eth1/7", trunk, 1207, Vlan(1207))
    bridge = "/System/bd-items/bd-items/BD-list[fabEncap=vlan-1207]"
    wanted = {"id": "eth1/7", "mode": "access", "accessVlan": "vlan-1207"}
    assert change.update == (
        (bridge, {"fabEncap": "vlan-1207", "adminSt": "active"}),
        (NX_PORT, {**wanted, "nativeVlan": "vlan-1", "trunkVlans": "1-4094"}),
    )
    (back,) = spoken.put_back("eth1/7", trunk, 1207, unmake=True)
    assert back.delete == (bridge,)
    assert back.update == ((NX_PORT, nx(mode="trunk", trunkVlans="5")),)


def test_a_default_trunk_does_not_keep_every_vlan_of_nxos() -> None:
    members = DIALECTS["nxos"].members(1207).parse
    rows = [nx(id="eth1/1", mode="trunk"), nx(id="eth1/2", mode="trunk", trunkVlans="1200-1300"), nx(id="eth1/3")]
    assert members({"PhysIf-list": rows}) == ["eth1/2"]


def test_nxos_frees_a_vni_and_keeps_its_tunnel_entry() -> None:
    spoken = DIALECTS["nxos"]
    rows = [{"fabEncap": "vlan-5", "accEncap": "vxlan-77"}, {"fabEncap": "vlan-6", "accEncap": "unknown"}]
    found = spoken.vnis().parse({"BD-list": rows})
    assert found == {5: 77}
    (change,) = spoken.make_vlan(Vlan(7, None, True, 77), None, found)
    assert change.delete == ("/System/bd-items/bd-items/BD-list[fabEncap=vlan-5]/accEncap",)
    tunnels = "/System/eps-items/epId-items/Ep-list[epId=1]/nws-items/vni-items"
    assert change.update[1] == (f"{tunnels}/Nw-list[vni=77]", {"vni": 77})


# --- Nokia SR Linux


def srl(*rows: dict[str, Any], tagging: bool = False) -> dict[str, Any]:
    return {"name": "ethernet-1/7", "vlan-tagging": tagging, "subinterface": list(rows)}


def bridges(**members: str) -> list[dict[str, Any]]:
    return [{"name": name.replace("_", "-"), "interface": [{"name": member}]} for name, member in members.items()]


def test_srlinux_reads_a_port_from_its_subinterface_and_its_instance() -> None:
    reading = DIALECTS["srlinux"].port_vlans("ethernet-1/7")
    assert asked(reading) == ["/interface[name=ethernet-1/7]", "/network-instance[name=*]/interface"]
    bridged = {"index": 0, "type": "bridged"}
    read = reading.parse
    assert read(srl(bridged), bridges(mac_vrf_666="ethernet-1/7.0")) == PortVlans("access", 666)
    assert read(srl(bridged), bridges(mac_vrf_666="ethernet-1/70.0")) == PortVlans("access", None)
    assert read(srl(bridged), bridges(blue="ethernet-1/7.0")) == PortVlans("access", None, bridge="blue")
    assert read(srl({"index": 0, "type": "routed"}), []).mode == "routed"
    tagged = {"index": 4, "type": "bridged", "vlan": {"encap": {"single-tagged": {"vlan-id": 4}}}}
    native = {"index": 1, "type": "bridged", "vlan": {"encap": {"untagged": {}}}}
    port = srl(native, tagged, tagging=True)
    assert read(port, bridges(mac_vrf_666="ethernet-1/7.1")) == PortVlans("trunk", 666, (4,))
    assert read(None, []) is None


def test_srlinux_leaves_one_instance_and_enters_the_other_in_one_set() -> None:
    spoken = DIALECTS["srlinux"]
    row = {"index": 3, "type": "bridged", "admin-state": "enable"}
    old = spoken.port_vlans("ethernet-1/7").parse(srl(row), bridges(mac_vrf_666="ethernet-1/7.3"))
    (change,) = spoken.move("ethernet-1/7", old, 1207, None)
    assert change.delete == (
        "/network-instance[name=mac-vrf-666]/interface[name=ethernet-1/7.3]",
        "/interface[name=ethernet-1/7]/subinterface[index=3]",
    )
    assert change.update == (
        ("/interface[name=ethernet-1/7]", {"vlan-tagging": False}),
        ("/interface[name=ethernet-1/7]/subinterface[index=0]", {"type": "bridged", "admin-state": "enable"}),
        ("/network-instance[name=mac-vrf-1207]/interface[name=ethernet-1/7.0]", {"name": "ethernet-1/7.0"}),
    )
    (back,) = spoken.put_back("ethernet-1/7", old, 1207, unmake=False)
    assert back.delete == (
        "/interface[name=ethernet-1/7]/subinterface",
        "/network-instance[name=mac-vrf-1207]/interface[name=ethernet-1/7.0]",
    )
    assert back.update[1:] == (
        ("/interface[name=ethernet-1/7]/subinterface[index=3]", row),
        ("/network-instance[name=mac-vrf-666]/interface[name=ethernet-1/7.3]", {"name": "ethernet-1/7.3"}),
    )


def test_srlinux_switches_a_port_on_that_nobody_has_configured() -> None:
    spoken = DIALECTS["srlinux"]
    exists = spoken.port_exists("ethernet-1/7")
    assert exists is not None
    assert exists.parse("disable")
    fresh = PortVlans("access")
    (change,) = spoken.move("ethernet-1/7", fresh, 1207, None)
    assert change.delete == ()
    assert change.update[0] == ("/interface[name=ethernet-1/7]", {"vlan-tagging": False, "admin-state": "enable"})
    (back,) = spoken.put_back("ethernet-1/7", fresh, 1207, unmake=False)
    assert back.delete[-1] == "/interface[name=ethernet-1/7]"
    assert back.update == ()


def test_srlinux_joins_tunnel_and_instance() -> None:
    spoken = DIALECTS["srlinux"]
    tunnels = [{"index": 77, "ingress": {"vni": 77}}, {"index": 78, "ingress": {"vni": 78}}]
    instances = [{"name": "mac-vrf-5", "vxlan-interface": [{"name": "vxlan1.77"}]}, {"name": "default"}]
    found = spoken.vnis().parse(tunnels, instances)
    assert found == {5: 77}
    (change,) = spoken.drop_vlan(5, found)
    assert change.delete == (
        "/network-instance[name=mac-vrf-5]",
        "/network-instance[name=mac-vrf-5]/vxlan-interface[name=vxlan1.77]",
        "/tunnel-interface[name=vxlan1]/vxlan-interface[index=77]",
    )


# --- SONiC

SONIC = "/openconfig-interfaces:interfaces/interface[name=Ethernet4]"
SONIC_CONFIG = f"{SONIC}/openconfig-if-ethernet:ethernet/openconfig-vlan:switched-vlan/config"


def test_sonic_takes_the_old_membership_away_first() -> None:
    spoken = DIALECTS["sonic"]
    old = spoken.port_vlans("Ethernet4").parse({"interface-mode": "ACCESS", "access-vlan": 666})
    (change,) = spoken.move("Ethernet4", old, 1207, None)
    wanted = {"openconfig-vlan:config": {"interface-mode": "ACCESS", "access-vlan": 1207}}
    assert change == Change(delete=(SONIC_CONFIG,), update=((SONIC_CONFIG, wanted),))
    (fresh,) = spoken.move("Ethernet4", PortVlans("access"), 1207, None)
    assert fresh.delete == ()
    trunk = {"interface-mode": "TRUNK", "access-vlan": 10, "trunk-vlans": [20, 30]}
    assert spoken.port_vlans("Ethernet4").parse(trunk) == PortVlans("trunk", 10, (20, 30))


def test_a_vlan_of_sonic_is_an_interface() -> None:
    spoken = DIALECTS["sonic"]
    assert asked(spoken.vlan(1207)) == ["/openconfig-interfaces:interfaces/interface[name=Vlan1207]"]
    assert spoken.vlan(1207).parse({"config": {"name": "Vlan1207", "enabled": False}}) == Vlan(1207, None, False)
    (change,) = spoken.make_vlan(Vlan(1207, "t"), None, Vnis())
    entry = {"name": "Vlan1207", "config": {"name": "Vlan1207", "enabled": True, "description": "t"}}
    assert change.update[0][1] == {"openconfig-interfaces:interface": [entry]}


def test_a_vni_of_sonic_is_a_second_set_in_another_model() -> None:
    spoken = DIALECTS["sonic"]
    rows = {"tun0|map_77_Vlan5": {"vlan": "Vlan5", "vni": "77"}}
    found = spoken.vnis().parse(rows, {"tun0": {"src_ip": "10.0.0.1"}})
    assert (found, found.tunnel) == ({5: 77}, "tun0")
    vlan, vni = spoken.make_vlan(Vlan(7, None, True, 77), None, found)
    assert (vlan.origin, vni.origin, vni.target) == (None, "sonic-db", "")
    assert vni.delete == ("/CONFIG_DB/localhost/VXLAN_TUNNEL_MAP/tun0|map_77_Vlan5",)
    row = {"vlan": "Vlan7", "vni": "77"}
    assert vni.update == (("/CONFIG_DB/localhost/VXLAN_TUNNEL_MAP/tun0|map_77_Vlan7", row),)
    first, second = spoken.drop_vlan(5, found)
    assert (first.origin, second.origin) == ("sonic-db", None), "a VLAN goes after its map"


def test_a_sonic_without_a_tunnel_says_so() -> None:
    with pytest.raises(errors.Unsupported, match="no VXLAN tunnel") as caught:
        DIALECTS["sonic"].vnis().parse(None, None)
    assert caught.value.code == "vni_unsupported"


def test_a_read_only_sonic_is_told_its_build_flags() -> None:
    advice = DIALECTS["sonic"].no_writes
    assert "ENABLE_TRANSLIB_WRITE" in advice
    assert "ENABLE_NATIVE_WRITE" in advice
