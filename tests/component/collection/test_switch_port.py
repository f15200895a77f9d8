"""switch_port against the lab's leaf switch: an OpenConfig one."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.palebluedot.gpu.plugins.module_utils import errors
from ansible_collections.palebluedot.gpu.plugins.module_utils.switch import port as switch_port

from lab.pki import CertificateAuthority
from tests.component.collection.leaf import MAC, Leaf


@pytest.fixture
def leaf(loop: Any, tmp_path: Path) -> Iterator[Leaf]:
    served = Leaf(loop, tmp_path)
    yield served
    served.close()


def test_check_apply_repeat(plays: Any, leaf: Leaf) -> None:
    ran = plays.life("switch_port", leaf.move())
    check, apply, repeat = ran[0], ran[1], ran[2]
    assert (check["changed"], apply["changed"], repeat["changed"]) == (True, True, False), ran.output
    assert check["diff"] == apply["diff"]
    assert apply["diff"]["before"] == {"port": {"mode": "access", "vlan": 666}, "vlan": None}
    assert repeat["diff"]["before"] == repeat["diff"]["after"] == apply["diff"]["after"]
    assert apply["port"] == {
        "interface": "Ethernet1",
        "vlan": 1207,
        "mode": "access",
        "network": None,
        "neighbor": {"system_name": "gpu-001", "chassis_id": MAC, "port_id": MAC},
    }
    assert leaf.switch.ports["Ethernet1"].access_vlan == 1207
    # one Set made the VLAN and moved the port; check and repeat wrote nothing
    assert leaf.writes() == ["vlan.create", "port.set"]


def test_the_password_is_never_shown(plays: Any, leaf: Leaf) -> None:
    task = {"palebluedot.gpu.switch_port": leaf.move(switch_username="s3cret-leaf")}
    ran = plays.run([task], options=("-vvv",))
    assert ran[0]["failed"]
    assert "s3cret-leaf" not in ran.output.replace(str(leaf.ca_path), "")


def test_a_trunk_becomes_access_and_keeps_nothing(leaf: Leaf) -> None:
    port = leaf.switch.ports["Ethernet1"]
    port.mode, port.native_vlan, port.trunk_vlans = "TRUNK", 666, (100, "3..6")
    result = switch_port.run(leaf.params(vlan=100), False)
    assert result["changed"]
    assert result["diff"]["before"]["port"] == {
        "mode": "trunk",
        "vlan": 666,
        "trunk_vlans": [100, "3..6"],
    }
    assert (port.mode, port.access_vlan, port.native_vlan, port.trunk_vlans) == ("ACCESS", 100, None, ())


def test_a_suspended_vlan_is_made_active(leaf: Leaf) -> None:
    leaf.switch.vlans[100].status = "SUSPENDED"
    assert switch_port.run(leaf.params(vlan=100), False)["changed"]
    assert leaf.switch.vlans[100].status == "ACTIVE"
    assert leaf.switch.vlans[100].name == "provisioning"


@pytest.mark.parametrize("expected", ["gpu-001", "GPU-001.example.com", MAC.upper().replace(":", "-")])
def test_the_neighbour_is_known_by_name_or_mac(leaf: Leaf, expected: str) -> None:
    assert switch_port.run(leaf.params(expect_neighbor=expected), True)["changed"]


def test_the_wrong_neighbour_keeps_hands_off(leaf: Leaf) -> None:
    with pytest.raises(errors.Conflict, match="leads to gpu-001") as caught:
        switch_port.run(leaf.params(expect_neighbor="02:47:50:14:00:99"), False)
    assert caught.value.code == "neighbor_differs"
    assert leaf.writes() == []


def test_a_silent_port_is_waited_for_and_then_refused(leaf: Leaf) -> None:
    with pytest.raises(errors.DeadlineExceeded) as caught:
        switch_port.run(leaf.params(interface="Ethernet2", wait_timeout=1), False)
    assert caught.value.code == "neighbor_missing"
    assert leaf.writes() == []


def test_an_interface_that_is_not_there(leaf: Leaf) -> None:
    with pytest.raises(errors.NotFound) as caught:
        switch_port.run(leaf.params(interface="Ethernet99", expect_neighbor=None), False)
    assert caught.value.code == "interface_missing"


@pytest.mark.parametrize(
    ("field", "value"), [("vlan", 0), ("vlan", 4095), ("interface", "Ethernet1]"), ("interface", "a=b")]
)
def test_nonsense_is_refused_before_connecting(leaf: Leaf, field: str, value: Any) -> None:
    with pytest.raises(errors.InvalidInput):
        switch_port.run(leaf.params(switch_grpc_port=1, **{field: value}), False)


def test_a_set_whose_answer_is_lost_is_not_done_twice(leaf: Leaf) -> None:
    leaf.fault(match="Set *", kind="lost", count=1)
    result = switch_port.run(leaf.params(), False)
    assert result["port"]["vlan"] == 1207
    assert leaf.writes() == ["vlan.create", "port.set"]


def test_a_dropped_connection_is_tried_again(leaf: Leaf) -> None:
    leaf.fault(match="Get *", kind="drop", count=1)
    assert switch_port.run(leaf.params(), False)["changed"]


@pytest.mark.parametrize("rpc", ["Get *", "Set *"])
def test_a_switch_that_hangs_is_left_at_the_deadline(leaf: Leaf, rpc: str) -> None:
    leaf.fault(match=rpc, kind="hang", count=1)
    started = time.monotonic()
    with pytest.raises(errors.DeadlineExceeded, match="did not answer within") as caught:
        switch_port.run(leaf.params(switch_timeout=1), False)
    assert time.monotonic() - started < 9
    assert caught.value.host == "127.0.0.1"
    assert rpc.split()[0] in str(caught.value.tried)


def test_wrong_credentials(leaf: Leaf) -> None:
    with pytest.raises(errors.AuthenticationError):
        switch_port.run(leaf.params(switch_password="wrong"), False)


def test_a_certificate_of_somebody_else_is_refused(leaf: Leaf, tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    other.write_bytes(CertificateAuthority().pem)
    with pytest.raises(errors.Unreachable) as caught:
        switch_port.run(leaf.params(switch_ca_path=str(other)), False)
    assert caught.value.code == "certificate_untrusted"
    assert not caught.value.retryable


def test_nobody_listening(leaf: Leaf) -> None:
    with pytest.raises(errors.Unreachable, match="cannot be reached"):
        switch_port.run(leaf.params(switch_grpc_port=1, wait_timeout=0), False)


def test_a_switch_without_writes_says_so(leaf: Leaf) -> None:
    leaf.fault(match="Set *", kind="status", value="UNIMPLEMENTED")
    with pytest.raises(errors.Unsupported, match="does not offer this"):
        switch_port.run(leaf.params(), False)


def test_an_unknown_dialect(leaf: Leaf) -> None:
    with pytest.raises(errors.InvalidInput, match="dialect"):
        switch_port.run(leaf.params(switch_dialect="tin"), False)
