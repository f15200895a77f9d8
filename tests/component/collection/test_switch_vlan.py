"""switch_vlan and switch_port_info on every network operating system of the lab."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.palebluedot.gpu.plugins.module_utils import errors
from ansible_collections.palebluedot.gpu.plugins.module_utils.switch import port, port_info, vlan
from ansible_collections.palebluedot.gpu.plugins.module_utils.switch.dialects import DIALECTS

from tests.component.collection.leaf import MAC, Leaf

VXLAN = sorted(name for name, spoken in DIALECTS.items() if spoken.maps_vnis)


@pytest.fixture(params=sorted(DIALECTS))
def leaf(request: pytest.FixtureRequest, loop: Any, tmp_path: Path) -> Iterator[Leaf]:
    served = Leaf(loop, tmp_path, request.param)
    yield served
    served.close()


@pytest.fixture(params=VXLAN)
def vxlan(request: pytest.FixtureRequest, loop: Any, tmp_path: Path) -> Iterator[Leaf]:
    served = Leaf(loop, tmp_path, request.param)
    yield served
    served.close()


def keep(leaf: Leaf, *, check: bool = False, **more: Any) -> dict[str, Any]:
    given = {"vlan": 1207, "name": None, "vni": None, "state": "present", **more}
    return vlan.run(leaf.asked(**given), check)


def test_a_vlan_comes_and_goes(leaf: Leaf) -> None:
    check = keep(leaf, check=True, name="tenant-207")
    assert leaf.writes() == []
    made = keep(leaf, name="tenant-207")
    assert made == check
    assert made["changed"]
    assert made["vlan"] == {"id": 1207, "name": "tenant-207", "active": True, "vni": None}
    assert leaf.switch.vlans[1207].name == "tenant-207"
    again = keep(leaf, name="tenant-207")
    assert not again["changed"]
    assert not keep(leaf)["changed"]  # the name that is not said stays
    assert leaf.writes() == ["vlan.create"]
    assert keep(leaf, check=True, state="absent")["changed"]
    assert 1207 in leaf.switch.vlans
    gone = keep(leaf, state="absent")
    assert (gone["changed"], gone["vlan"]) == (True, None)
    assert 1207 not in leaf.switch.vlans
    assert not keep(leaf, state="absent")["changed"]
    assert leaf.writes() == ["vlan.create", "vlan.delete"]


def test_a_suspended_vlan_is_made_active(leaf: Leaf) -> None:
    leaf.switch.vlans[100].status = "SUSPENDED"
    assert keep(leaf, vlan=100)["changed"]
    assert leaf.switch.vlans[100].status == "ACTIVE"
    assert leaf.switch.vlans[100].name == "provisioning"


def test_a_vlan_with_ports_in_it_is_not_removed(leaf: Leaf) -> None:
    with pytest.raises(errors.Conflict, match="has ports in it") as caught:
        keep(leaf, vlan=666, state="absent")
    assert caught.value.code == "vlan_in_use"
    assert leaf.first in str(caught.value.answer)
    assert leaf.writes() == []


def test_a_vlan_that_is_not_reaped_is_no_success(leaf: Leaf) -> None:
    keep(leaf)
    leaf.fault(kind="vlan_kept")
    with pytest.raises(errors.PaleBlueDotError, match="still there") as caught:
        keep(leaf, state="absent", wait_timeout=1)
    assert caught.value.code == "vlan_not_removed"


def test_a_vlan_that_is_confirmed_and_not_made_is_no_success(leaf: Leaf) -> None:
    leaf.fault(match="Set *", kind="ignored", count=1)
    with pytest.raises(errors.PaleBlueDotError, match="not as it should be") as caught:
        keep(leaf, wait_timeout=1)
    assert caught.value.code == "vlan_not_set"


def test_a_lost_answer_is_found_done(leaf: Leaf) -> None:
    leaf.fault(match="Set *", kind="lost", count=1)
    assert keep(leaf)["changed"]
    assert leaf.writes() == ["vlan.create"]


def test_a_set_that_is_done_after_the_deadline_is_found(leaf: Leaf) -> None:
    leaf.fault(match="Set *", kind="late", value=3.0, count=1)
    assert keep(leaf, switch_timeout=2)["changed"]
    assert leaf.writes() == ["vlan.create"]


@pytest.mark.parametrize(
    "wrong", [{"vlan": 0}, {"vlan": 4095}, {"vni": 0}, {"vni": 2**24}, {"vlan": 1, "state": "absent"}]
)
def test_nonsense_is_refused_before_connecting(leaf: Leaf, wrong: dict[str, Any]) -> None:
    with pytest.raises(errors.InvalidInput):
        keep(leaf, switch_grpc_port=1, **wrong)


# --- VNIs


def test_openconfig_has_no_path_for_a_vni(loop: Any, tmp_path: Path) -> None:
    leaf = Leaf(loop, tmp_path, "openconfig")
    try:
        with pytest.raises(errors.Unsupported, match="no path for a VLAN's VNI") as caught:
            keep(leaf, vni=11207)
    finally:
        leaf.close()
    assert caught.value.code == "vni_unsupported"
    assert leaf.writes() == []


def test_a_vni_comes_and_goes_with_its_vlan(vxlan: Leaf) -> None:
    made = keep(vxlan, name="tenant-207", vni=11207)
    assert made["vlan"] == {"id": 1207, "name": "tenant-207", "active": True, "vni": 11207}
    assert vxlan.switch.vnis == {1207: 11207}
    assert not keep(vxlan, name="tenant-207", vni=11207)["changed"]
    other = keep(vxlan, vni=22207)
    assert other["diff"]["before"]["vlan"]["vni"] == 11207
    assert vxlan.switch.vnis == {1207: 22207}
    assert not keep(vxlan)["changed"]  # a VNI that is not said stays
    assert keep(vxlan, state="absent")["changed"]
    assert vxlan.switch.vnis == {}
    assert 1207 not in vxlan.switch.vlans


def test_a_stale_map_is_removed_before_its_vni_is_used_again(vxlan: Leaf) -> None:
    keep(vxlan, vlan=1100, vni=11207)
    writes = len(vxlan.writes())
    taken = keep(vxlan, vni=11207)
    assert taken["diff"]["before"]["vni_taken_from"] == [1100]
    assert vxlan.switch.vnis == {1207: 11207}
    assert 1100 in vxlan.switch.vlans
    assert len(vxlan.writes()) == writes + 3  # the VLAN, the map that goes, the map that comes
    assert not keep(vxlan, vni=11207)["changed"]


def test_a_vni_is_not_taken_from_a_vlan_with_ports(vxlan: Leaf) -> None:
    keep(vxlan, vlan=666, vni=11207)
    with pytest.raises(errors.Conflict) as caught:
        keep(vxlan, vni=11207)
    assert caught.value.code == "vni_in_use"
    assert vxlan.switch.vnis == {666: 11207}
    assert 1207 not in vxlan.switch.vlans


def test_a_second_set_that_fails_takes_the_first_one_back(loop: Any, tmp_path: Path) -> None:
    """SONiC alone wants two: the VLAN in OpenConfig, its VNI in a database."""
    leaf = Leaf(loop, tmp_path, "sonic")
    try:
        leaf.fault(match="Set /CONFIG_DB*", kind="status", value="INTERNAL", count=1)
        with pytest.raises(errors.PaleBlueDotError, match="VLAN 1207 was removed again"):
            keep(leaf, vni=11207)
        assert leaf.writes() == ["vlan.create", "vlan.delete"]
        leaf.fault(match="Set /CONFIG_DB*", kind="status", value="UNIMPLEMENTED", count=1)
        with pytest.raises(errors.Unsupported, match="VLAN 1207 was removed again") as caught:
            keep(leaf, vni=11207)
        assert "ENABLE_NATIVE_WRITE" in str(caught.value.next)
        assert 1207 not in leaf.switch.vlans
        assert keep(leaf, vni=11207)["changed"]
        assert leaf.switch.vnis == {1207: 11207}
    finally:
        leaf.close()


# --- what the ports say


def test_a_port_says_all_of_itself(leaf: Leaf) -> None:
    leaf.switch.ports[leaf.first].counters.in_octets = 2**40
    (found,) = port_info.run(leaf.asked(interfaces=[leaf.first]), False)["ports"]
    counters = found.pop("counters")
    assert (counters["in_octets"], counters["out_octets"], counters["carrier_transitions"]) == (2**40, 0, 1)
    neighbor = found["neighbors"][0]
    assert neighbor["system_name"] == "gpu-001"
    assert neighbor["chassis_id"].lower() == MAC
    assert {**found, "neighbors": []} == {
        "interface": leaf.first,
        "mode": "access",
        "vlan": 666,
        "trunk_vlans": [],
        "admin_status": "up",
        "oper_status": "up",
        "neighbors": [],
        "macs": [{"mac": MAC, "vlan": 666, "stale": False}],
    }


def test_without_names_all_physical_ports_are_told(leaf: Leaf) -> None:
    found = port_info.run(leaf.asked(interfaces=None), False)["ports"]
    assert [entry["interface"] for entry in found] == list(leaf.switch.ports)
    assert [entry["neighbors"] != [] for entry in found] == [True] + [False] * 31
    assert {entry["oper_status"] for entry in found[1:]} == {"down"}
    assert found[0]["macs"] == [{"mac": MAC, "vlan": 666, "stale": False}]


def test_a_stale_mac_is_told(leaf: Leaf) -> None:
    port.run(leaf.params(), False)
    leaf.fault(kind="stale_mac", value=666)
    (found,) = port_info.run(leaf.asked(interfaces=[leaf.first]), False)["ports"]
    assert sorted((entry["vlan"], entry["stale"]) for entry in found["macs"]) == [(666, True), (1207, False)]


def test_a_port_that_is_not_there_is_named(leaf: Leaf) -> None:
    absent = leaf.second.rstrip("0123456789") + "99"
    with pytest.raises(errors.NotFound, match="99") as caught:
        port_info.run(leaf.asked(interfaces=[leaf.first, absent]), False)
    assert caught.value.code == "interface_missing"


def test_the_modules_themselves(plays: Any, loop: Any, tmp_path: Path) -> None:
    """In the worker and as real modules: check, apply, repeat; then the port."""
    leaf = Leaf(loop, tmp_path, "eos")
    try:
        ran = plays.life("switch_vlan", leaf.args(vlan=1207, name="tenant-207", vni=11207))
        assert [ran[n]["changed"] for n in range(3)] == [True, True, False], ran.output
        assert ran[0]["diff"] == ran[1]["diff"]
        ran = plays.run([{"palebluedot.gpu.switch_port_info": leaf.args(interfaces=["Ethernet1"])}])
        assert ran[0]["ports"][0]["vlan"] == 666, ran.output
    finally:
        leaf.close()
