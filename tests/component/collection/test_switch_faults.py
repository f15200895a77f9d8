"""switch_port on every network operating system, when everything works and when the switch misbehaves."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.palebluedot.gpu.plugins.module_utils import errors
from ansible_collections.palebluedot.gpu.plugins.module_utils.switch import port as switch_port
from ansible_collections.palebluedot.gpu.plugins.module_utils.switch.dialects import DIALECTS
from ansible_collections.palebluedot.gpu.plugins.module_utils.switch.dialects.base import PortVlans
from ansible_collections.palebluedot.gpu.plugins.module_utils.switch.gnmi import Session
from ansible_collections.palebluedot.gpu.plugins.module_utils.switch.port import run
from ansible_collections.palebluedot.gpu.plugins.module_utils.waiting import Waiter

from tests.component.collection.leaf import MAC, Leaf


@pytest.fixture(params=sorted(DIALECTS))
def leaf(request: pytest.FixtureRequest, loop: Any, tmp_path: Path) -> Iterator[Leaf]:
    served = Leaf(loop, tmp_path, request.param)
    yield served
    served.close()


def test_a_move_is_one_set_and_reads_back(leaf: Leaf) -> None:
    check = run(leaf.params(), True)
    assert leaf.writes() == []
    result = run(leaf.params(), False)
    assert check == result
    assert result["changed"]
    assert result["diff"]["before"] == {"port": {"mode": "access", "vlan": 666}, "vlan": None}
    assert result["diff"]["after"] == {"port": {"mode": "access", "vlan": 1207}, "vlan": {"id": 1207, "active": True}}
    assert result["port"]["neighbor"]["system_name"] == "gpu-001"
    assert leaf.vlan() == 1207
    assert leaf.writes() == ["vlan.create", "port.set"]
    again = run(leaf.params(), False)
    assert not again["changed"]
    assert again["diff"]["before"] == again["diff"]["after"] == result["diff"]["after"]
    assert leaf.writes() == ["vlan.create", "port.set"]
    back = run(leaf.params(vlan=666, network="quarantine"), False)
    assert back["diff"]["before"]["port"] == {"mode": "access", "vlan": 1207}
    assert leaf.vlan() == 666


def test_a_trunk_becomes_access_and_keeps_nothing(leaf: Leaf) -> None:
    port = leaf.switch.ports[leaf.first]
    leaf.switch.vlans[4] = type(leaf.switch.vlans[100])(4, "storage")
    port.mode, port.access_vlan, port.native_vlan, port.trunk_vlans = "TRUNK", None, 666, (4, 100)
    result = run(leaf.params(vlan=100), False)
    before = result["diff"]["before"]["port"]
    assert (before["mode"], before["vlan"], sorted(before["trunk_vlans"])) == ("trunk", 666, [4, 100])
    assert (port.mode, port.native_vlan, port.trunk_vlans) == ("ACCESS", None, ())
    assert leaf.vlan() == 100


def test_a_trunk_that_was_left_half_way_is_a_trunk_again(leaf: Leaf) -> None:
    port = leaf.switch.ports[leaf.first]
    leaf.switch.vlans[4] = type(leaf.switch.vlans[100])(4, "storage")
    port.mode, port.access_vlan, port.native_vlan, port.trunk_vlans = "TRUNK", None, 666, (4, 100)
    leaf.fault(match="Set *", kind="half", value=HALF[leaf.dialect], count=1)
    with pytest.raises(errors.PaleBlueDotError, match=r"put back: it is a trunk \(untagged 666, tagged 4, 100\) again"):
        run(leaf.params(), False)
    assert (port.mode, port.native_vlan, port.trunk_vlans) == ("TRUNK", 666, (4, 100))
    assert 1207 not in leaf.switch.vlans


def test_a_suspended_vlan_is_made_active_and_keeps_its_name(leaf: Leaf) -> None:
    leaf.switch.vlans[100].status = "SUSPENDED"
    assert run(leaf.params(vlan=100), False)["changed"]
    assert leaf.switch.vlans[100].status == "ACTIVE"
    assert leaf.switch.vlans[100].name == "provisioning"


def test_the_wrong_neighbour_keeps_hands_off(leaf: Leaf) -> None:
    leaf.fault(kind="lldp_wrong", value="gpu-777")
    with pytest.raises(errors.Conflict, match="leads to gpu-777") as caught:
        run(leaf.params(), False)
    assert caught.value.code == "neighbor_differs"
    assert leaf.writes() == []


def test_a_silent_neighbour_is_waited_for_and_then_refused(leaf: Leaf) -> None:
    leaf.fault(kind="lldp_silent")
    with pytest.raises(errors.DeadlineExceeded) as caught:
        run(leaf.params(wait_timeout=1), False)
    assert caught.value.code == "neighbor_missing"
    assert leaf.writes() == []


@pytest.mark.parametrize("network", ["provisioning", "tenant"])
def test_a_network_is_not_opened_to_whoever_may_be_there(leaf: Leaf, network: str) -> None:
    with pytest.raises(errors.InvalidInput) as caught:
        run(leaf.params(switch_grpc_port=1, network=network, expect_neighbor=None), False)
    assert caught.value.code == "neighbor_needed"


def test_quarantine_needs_no_neighbour(leaf: Leaf) -> None:
    leaf.switch.ports[leaf.first].access_vlan = 100
    leaf.fault(kind="lldp_silent")
    assert run(leaf.params(vlan=666, network="quarantine", expect_neighbor=None), False)["changed"]
    assert leaf.vlan() == 666


def test_an_interface_that_is_not_there(leaf: Leaf) -> None:
    absent = leaf.second.rstrip("0123456789") + "99"
    with pytest.raises(errors.NotFound) as caught:
        run(leaf.params(interface=absent, expect_neighbor=None), False)
    assert caught.value.code == "interface_missing"


def test_a_set_whose_answer_is_lost_is_found_done(leaf: Leaf) -> None:
    leaf.fault(match="Set *", kind="lost", count=1)
    assert run(leaf.params(), False)["changed"]
    assert leaf.writes() == ["vlan.create", "port.set"]
    assert leaf.vlan() == 1207


def test_a_set_that_never_arrived_is_sent_again(leaf: Leaf) -> None:
    leaf.fault(match="Set *", kind="drop", count=1)
    assert run(leaf.params(), False)["changed"]
    assert leaf.writes() == ["vlan.create", "port.set"]


@pytest.mark.parametrize("done", [1, -1])
def test_a_set_done_by_half_is_put_back(leaf: Leaf, done: int) -> None:
    """Whichever half: the port is where it was, and no VLAN is left behind."""
    leaf.fault(match="Set *", kind="half", value=done, count=1)
    vlans = set(leaf.switch.vlans)
    try:
        run(leaf.params(), False)
    except errors.PaleBlueDotError as problem:
        assert leaf.vlan() == 666
        assert set(leaf.switch.vlans) == vlans
        assert "VLAN 666" in problem.message
        assert problem.code in ("port_rolled_back", "busy", "invalid_input")
    else:
        # the first half alone was refused as a whole, and the second attempt went through
        assert leaf.vlan() == 1207


# How many edits of a move, from the front or the end, leave a port or a VLAN half-set there.
HALF = {"nxos": 1, "openconfig": -1, "eos": -1, "sonic": 1, "srlinux": 1}


def test_a_half_set_port_is_put_back_and_the_error_says_so(leaf: Leaf) -> None:
    """The edits that take the port out of its VLAN, or make the VLAN, and nothing more."""
    leaf.fault(match="Set *", kind="half", value=HALF[leaf.dialect], count=1)
    with pytest.raises(errors.PaleBlueDotError, match="was put back: it is in VLAN 666 again") as caught:
        run(leaf.params(), False)
    assert caught.value.code == "port_rolled_back"
    assert caught.value.retryable
    assert leaf.vlan() == 666
    assert 1207 not in leaf.switch.vlans
    assert run(leaf.params(), False)["changed"]
    assert leaf.vlan() == 1207


def test_a_port_that_cannot_be_put_back_is_named_as_half_set(leaf: Leaf) -> None:
    leaf.fault(match="Set *", kind="half", value=HALF[leaf.dialect], count=1)
    leaf.fault(match="Set *", kind="status", value="INTERNAL", count=1)
    with pytest.raises(errors.PaleBlueDotError, match="could not be put back") as caught:
        run(leaf.params(), False)
    assert caught.value.code == "port_half_set"
    assert not caught.value.retryable


def test_without_rollback_the_error_says_how_the_port_was_left(leaf: Leaf) -> None:
    leaf.fault(match="Set *", kind="half", value=HALF[leaf.dialect], count=1)
    with pytest.raises(errors.PaleBlueDotError, match="it was in VLAN 666") as caught:
        run(leaf.params(rollback=False), False)
    assert caught.value.code == "port_half_set"


def test_a_change_that_is_confirmed_and_not_done_is_no_success(leaf: Leaf) -> None:
    leaf.fault(match="Set *", kind="ignored", count=1)
    with pytest.raises(errors.PaleBlueDotError, match="although the switch took the change") as caught:
        run(leaf.params(wait_timeout=1), False)
    assert caught.value.code == "port_not_moved"
    assert leaf.vlan() == 666


def test_a_slow_commit_is_waited_for(leaf: Leaf) -> None:
    if leaf.dialect == "srlinux":
        pytest.skip("SR Linux has one tree: what is committed is what is shown")
    leaf.fault(match="Set *", kind="slow", value=1, count=1)
    started = time.monotonic()
    assert run(leaf.params(), False)["changed"]
    assert time.monotonic() - started >= 0.9


def test_a_commit_that_takes_too_long_is_put_back(leaf: Leaf) -> None:
    if leaf.dialect == "srlinux":
        pytest.skip("SR Linux has one tree: what is committed is what is shown")
    leaf.fault(match="Set *", kind="slow", value=30, count=1)
    with pytest.raises(errors.PaleBlueDotError, match="put back: it is in VLAN 666 again") as caught:
        run(leaf.params(wait_timeout=1), False)
    assert caught.value.code == "port_not_moved"
    assert leaf.switch.ports[leaf.first].access_vlan == 666
    assert 1207 not in leaf.switch.vlans


def test_a_neighbour_that_is_heard_at_the_deadline_leaves_the_commit_its_time(
    leaf: Leaf, monkeypatch: pytest.MonkeyPatch
) -> None:
    if leaf.dialect == "srlinux":
        pytest.skip("SR Linux has one tree: what is committed is what is shown")

    class Patience(Waiter):
        def pause(self, at_least: float = 0.0, *, whole: bool = False) -> bool:
            if not leaf.faults.standing("*", "gnmi", "lldp_silent"):
                return super().pause(at_least, whole=whole)
            time.sleep(self.left)
            leaf.faults.clear()
            leaf.fault(match="Set *", kind="slow", value=1.0, count=1)
            return True

    monkeypatch.setattr(switch_port, "Waiter", Patience)
    leaf.fault(kind="lldp_silent")
    assert run(leaf.params(wait_timeout=1), False)["changed"]
    assert leaf.vlan() == 1207
    assert leaf.writes() == ["vlan.create", "port.set"]


def test_a_vlan_that_others_have_come_into_is_not_taken_away_with_ours(leaf: Leaf) -> None:
    if leaf.dialect == "srlinux":
        pytest.skip("SR Linux has one tree: what is committed is what is shown")
    leaf.fault(match="Set *", kind="slow", value=30, count=1)
    other = leaf.switch.ports[leaf.second]
    timer = threading.Timer(0.4, setattr, (other, "access_vlan", 1207))
    timer.start()
    with pytest.raises(errors.PaleBlueDotError, match="put back: it is in VLAN 666 again"):
        run(leaf.params(wait_timeout=1), False)
    timer.join()
    assert 1207 in leaf.switch.vlans
    assert (other.access_vlan, leaf.switch.ports[leaf.first].access_vlan) == (1207, 666)


def test_a_set_that_is_done_after_the_deadline_is_found(leaf: Leaf) -> None:
    leaf.fault(match="Set *", kind="late", value=5.0, count=1)
    assert run(leaf.params(switch_timeout=4, wait_timeout=15), False)["changed"]
    assert leaf.vlan() == 1207
    assert leaf.writes() == ["vlan.create", "port.set"]


@pytest.mark.parametrize(("kind", "value"), [("late", 3.0), ("lost", None)])
def test_a_commit_between_two_readings_is_not_put_back(
    leaf: Leaf, monkeypatch: pytest.MonkeyPatch, kind: str, value: float | None
) -> None:
    """The port is read before the commit and the VLAN after it: the move looks half done, and is whole."""
    old = PortVlans("access", 666)
    torn: list[object] = []
    real = Session.read

    def read(session: Session, *readings: Any) -> list[Any]:
        found = real(session, *readings)
        if len(readings) == 2 and not torn and found[1] is not None:
            torn.append(found[0])
            found[0] = old
        return found

    monkeypatch.setattr(Session, "read", read)
    leaf.fault(match="Set *", kind=kind, value=value, count=1)
    assert run(leaf.params(switch_timeout=2, wait_timeout=15), False)["changed"]
    assert torn == [PortVlans("access", 1207)]
    assert leaf.vlan() == 1207
    assert leaf.writes() == ["vlan.create", "port.set"]


@pytest.mark.parametrize("rpc", ["Get *", "Set *"])
def test_a_switch_that_hangs_is_left_at_the_deadline(leaf: Leaf, rpc: str) -> None:
    leaf.fault(match=rpc, kind="hang", count=1)
    started = time.monotonic()
    with pytest.raises(errors.DeadlineExceeded, match="did not answer within") as caught:
        run(leaf.params(switch_timeout=3), False)
    assert time.monotonic() - started < 30.0, "it would hang for ever"
    assert rpc.split()[0] in str(caught.value.tried)
    assert leaf.vlan() == 666
    if rpc == "Set *":
        assert "is still in VLAN 666" in caught.value.message


def test_a_set_that_hangs_and_a_switch_that_stays_silent(leaf: Leaf) -> None:
    """Nobody knows what became of the port, and the error says that."""
    leaf.fault(match="Set *", kind="hang")
    original = leaf.target._admit

    async def admit(context: Any, rpc: str, paths: Any) -> Any:
        if rpc == "Set":
            leaf.fault(match="Get *", kind="hang")
        return await original(context, rpc, paths)

    leaf.target._admit = admit  # type: ignore[method-assign]
    with pytest.raises(errors.DeadlineExceeded, match=r"what became of .* is not known"):
        run(leaf.params(switch_timeout=3), False)


def test_a_read_only_switch_says_what_to_do(leaf: Leaf) -> None:
    leaf.fault(kind="read_only")
    with pytest.raises(errors.Unsupported) as caught:
        run(leaf.params(), False)
    assert caught.value.code == "unsupported"
    assert caught.value.next
    if leaf.dialect == "sonic":
        assert "ENABLE_TRANSLIB_WRITE" in caught.value.next
        assert "ENABLE_NATIVE_WRITE" in caught.value.next
    assert leaf.vlan() == 666


def test_garbage_is_a_bad_answer(leaf: Leaf) -> None:
    leaf.fault(match="Get *", kind="garbage")
    with pytest.raises(errors.BadAnswer, match="not JSON"):
        run(leaf.params(), False)


def test_a_busy_switch_is_tried_again(leaf: Leaf) -> None:
    leaf.fault(match="Set *", kind="status", value="RESOURCE_EXHAUSTED", count=1)
    assert run(leaf.params(), False)["changed"]


@pytest.mark.parametrize("wrong", sorted(DIALECTS))
def test_a_wrong_dialect_touches_nothing(leaf: Leaf, wrong: str) -> None:
    """EOS takes plain OpenConfig, as it should; every other mistake is a typed error before any Set."""
    if wrong == leaf.dialect or {wrong, leaf.dialect} == {"eos", "openconfig"}:
        pytest.skip("is right")
    name = {"nxos": "eth1/1", "srlinux": "ethernet-1/1"}.get(wrong, "Ethernet0" if wrong == "sonic" else "Ethernet1")
    with pytest.raises(errors.PaleBlueDotError) as caught:
        run(leaf.params(switch_dialect=wrong, interface=name, wait_timeout=0), False)
    assert caught.value.code in ("unsupported", "invalid_input", "interface_missing", "neighbor_missing", "not_found")
    assert leaf.writes() == []
    assert leaf.vlan() == 666


def test_the_machine_is_known_by_its_mac_however_it_is_written(leaf: Leaf) -> None:
    assert run(leaf.params(expect_neighbor=MAC.upper().replace(":", "-")), True)["changed"]


def test_a_member_of_an_aggregate_is_not_touched(leaf: Leaf) -> None:
    """Its own VLANs do not count: it would be a success that moves no traffic."""
    name = {"nxos": "po7", "srlinux": "lag7"}.get(leaf.dialect, "PortChannel7")
    leaf.switch.ports[leaf.first].aggregate = name
    for check in (True, False):
        with pytest.raises(errors.Conflict, match=f"is a member of {name}") as caught:
            run(leaf.params(), check)
        assert caught.value.code == "port_in_aggregate"
    assert leaf.writes() == []
    leaf.switch.ports[leaf.first].aggregate = None
    leaf.switch.ports[leaf.second].aggregate = name
    assert run(leaf.params(), False)["changed"]
    assert leaf.switch.ports[leaf.second].aggregate == name


def test_a_port_that_is_configured_and_not_there_is_no_success(leaf: Leaf) -> None:
    """A task after one that failed: the configuration is as it should be, and the port is not."""
    if leaf.dialect == "srlinux":
        pytest.skip("SR Linux has one tree: what is committed is what is shown")
    run(leaf.params(), False)
    port = leaf.switch.ports[leaf.first]
    port.former, port.former_until = replace(port, access_vlan=666), time.monotonic() + 30
    wrote = leaf.writes()
    assert not run(leaf.params(), True)["changed"]
    with pytest.raises(errors.PaleBlueDotError, match="although it is configured so: it is in VLAN 666") as caught:
        run(leaf.params(wait_timeout=1), False)
    assert caught.value.code == "port_not_moved"
    assert (port.access_vlan, leaf.writes()) == (1207, wrote), "nothing is put back that this task has not done"
    port.former_until = time.monotonic() + 0.5
    assert not run(leaf.params(), False)["changed"]


def hang_after_set(leaf: Leaf, **fault: Any) -> None:
    """Gets are not answered from the first Set on."""
    original = leaf.target._admit

    async def admit(context: Any, rpc: str, paths: Any) -> Any:
        found = await original(context, rpc, paths)
        if rpc == "Set":
            leaf.fault(match="Get *", kind="hang", **fault)
        return found

    leaf.target._admit = admit  # type: ignore[method-assign]


def test_a_switch_that_falls_silent_after_the_set_is_asked_again(leaf: Leaf) -> None:
    hang_after_set(leaf, count=1)
    assert run(leaf.params(switch_timeout=3, wait_timeout=5), False)["changed"]
    assert leaf.writes() == ["vlan.create", "port.set"]


def test_a_switch_that_stays_silent_after_the_set_leaves_the_port_unknown(leaf: Leaf) -> None:
    hang_after_set(leaf)
    with pytest.raises(errors.DeadlineExceeded, match=r"took the change, and what .* is not known") as caught:
        run(leaf.params(switch_timeout=3, wait_timeout=1), False)
    assert caught.value.details == {"port": None}
    assert leaf.vlan() == 1207
