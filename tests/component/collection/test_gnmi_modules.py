"""gnmi_get, gnmi_set and gnmi_subscribe_info against the lab's leaves, and what pygnmi's client would have done."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.palebluedot.gpu.plugins.module_utils import errors
from ansible_collections.palebluedot.gpu.plugins.module_utils.switch import paths, raw
from ansible_collections.palebluedot.gpu.plugins.module_utils.switch.dialects import DIALECTS
from pygnmi.spec.v080 import gnmi_pb2

from lab.pki import CertificateAuthority
from tests.component.collection.leaf import Leaf

CONFIG = {
    "openconfig": "/interfaces/interface[name=Ethernet1]/config",
    "eos": "/interfaces/interface[name=Ethernet1]/config",
    "nxos": "/System/intf-items/phys-items/PhysIf-list[id=eth1/1]",
    "sonic": "/openconfig-interfaces:interfaces/interface[name=Ethernet0]/config",
    "srlinux": "/interface[name=ethernet-1/1]",
}
SPARE: dict[str, Any] = {
    "openconfig": {"description": "spare"},
    "eos": {"description": "spare"},
    "nxos": {"descr": "spare"},
    "sonic": {"openconfig-interfaces:config": {"description": "spare"}},
    "srlinux": {"description": "spare"},
}


@pytest.fixture(params=sorted(DIALECTS))
def leaf(request: pytest.FixtureRequest, loop: Any, tmp_path: Path) -> Iterator[Leaf]:
    served = Leaf(loop, tmp_path, request.param)
    yield served
    served.close()


@pytest.fixture
def plain(loop: Any, tmp_path: Path) -> Iterator[Leaf]:
    served = Leaf(loop, tmp_path)
    yield served
    served.close()


def get(leaf: Leaf, *wanted: str, **more: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = raw.get(leaf.asked(paths=list(wanted), datatype="all", **more), False)["values"]
    return found


def change(leaf: Leaf, *, check: bool = False, **more: Any) -> dict[str, Any]:
    return raw.set_(leaf.asked(**more), check)


# --- reading


def test_a_path_is_read_as_the_switch_cuts_it(leaf: Leaf) -> None:
    (value,) = get(leaf, CONFIG[leaf.dialect])
    assert value["path"].endswith(CONFIG[leaf.dialect].rpartition("/")[2])
    assert value["value"]


def test_a_path_that_is_not_there(leaf: Leaf) -> None:
    with pytest.raises(errors.NotFound):
        get(leaf, CONFIG[leaf.dialect].replace("1]", "99]").replace("Ethernet0", "Ethernet99"))


def test_more_paths_than_the_switch_takes_are_asked_in_several_requests(loop: Any, tmp_path: Path) -> None:
    leaf = Leaf(loop, tmp_path, "nxos")
    try:
        wanted = [f"/System/intf-items/phys-items/PhysIf-list[id=eth1/{n}]/mode" for n in range(1, 26)]
        assert [entry["value"] for entry in get(leaf, *wanted)] == ["access"] * 25
        edits = [{"path": path, "value": "trunk"} for path in wanted]
        with pytest.raises(errors.Unsupported, match="do not fit into one Set") as caught:
            change(leaf, update=edits)
    finally:
        leaf.close()
    assert caught.value.code == "too_many_paths"
    assert leaf.writes() == []


@pytest.mark.parametrize("wrong", ["/interfaces/interface[name=Ethernet1", "/interfaces/interface[name]", "/a[b=c]d"])
def test_what_is_no_path_is_refused_before_connecting(plain: Leaf, wrong: str) -> None:
    with pytest.raises(errors.InvalidInput, match="not a gNMI path"):
        get(plain, wrong, switch_grpc_port=1)


# --- writing


def test_set_checks_sets_and_reads_back(leaf: Leaf) -> None:
    path = CONFIG[leaf.dialect]
    wanted = {"update": [{"path": path, "value": SPARE[leaf.dialect]}]}
    check = change(leaf, check=True, **wanted)
    assert check["changed"]
    assert check["results"] == []
    assert leaf.writes() == []
    done = change(leaf, **wanted)
    assert done["diff"] == check["diff"]
    assert [(entry["op"]) for entry in done["results"]] == ["update"]
    assert leaf.switch.ports[leaf.first].description == "spare"
    again = change(leaf, **wanted)
    assert not again["changed"]
    assert again["results"] == []
    assert leaf.writes() == ["port.set"]


def test_delete_takes_away_once(leaf: Leaf) -> None:
    leaf.switch.ports[leaf.first].description = "old"
    leaves = {"nxos": "/descr", "sonic": "/description"}
    path = CONFIG[leaf.dialect] + leaves.get(leaf.dialect, "/description")
    assert change(leaf, delete=[path])["changed"]
    assert leaf.switch.ports[leaf.first].description == ""
    assert not change(leaf, delete=[path])["changed"]


def test_a_set_that_is_confirmed_and_not_done_is_no_success(leaf: Leaf) -> None:
    leaf.fault(match="Set *", kind="ignored", count=1)
    with pytest.raises(errors.PaleBlueDotError, match="does not show it") as caught:
        change(leaf, update=[{"path": CONFIG[leaf.dialect], "value": SPARE[leaf.dialect]}], wait_timeout=1)
    assert caught.value.code == "not_applied"


def test_a_lost_answer_is_found_done(leaf: Leaf) -> None:
    leaf.fault(match="Set *", kind="lost", count=1)
    assert change(leaf, update=[{"path": CONFIG[leaf.dialect], "value": SPARE[leaf.dialect]}])["changed"]
    assert leaf.writes() == ["port.set"]


def test_a_set_that_hangs_says_what_is_known(leaf: Leaf) -> None:
    wanted = {"update": [{"path": CONFIG[leaf.dialect], "value": SPARE[leaf.dialect]}], "switch_timeout": 1}
    leaf.fault(match="Set *", kind="hang", count=1)
    with pytest.raises(errors.DeadlineExceeded, match="nothing of it is done so far"):
        change(leaf, **wanted)
    leaf.fault(match="Set *", kind="late", value=0.5, count=1)
    assert change(leaf, **wanted)["changed"]


def test_a_read_only_switch(leaf: Leaf) -> None:
    leaf.fault(kind="read_only")
    with pytest.raises(errors.Unsupported) as caught:
        change(leaf, update=[{"path": CONFIG[leaf.dialect], "value": SPARE[leaf.dialect]}])
    assert caught.value.next == DIALECTS[leaf.dialect].no_writes


def test_replace_and_delete_in_one_transaction(plain: Leaf) -> None:
    vlan = "/network-instances/network-instance[name=default]/vlans/vlan[vlan-id={}]"
    port = "/interfaces/interface[name=Ethernet1]/ethernet/switched-vlan/config"
    result = change(
        plain,
        delete=[vlan.format(100)],
        replace=[{"path": port, "value": {"interface-mode": "ACCESS", "access-vlan": 5}}],
        update=[{"path": vlan.format(5) + "/config", "value": {"vlan-id": 5, "name": "five"}}],
    )
    assert result["diff"]["after"][vlan.format(100)] is None
    assert plain.vlan() == 5
    assert plain.writes() == ["vlan.create", "vlan.delete", "port.set"]


VLANS = "/network-instances/network-instance[name=default]/vlans"


def vlan_entry(id: int, name: str) -> dict[str, Any]:
    return {"vlan-id": id, "config": {"vlan-id": id, "name": name}}


def test_an_update_of_a_list_is_done_once(plain: Leaf) -> None:
    """The list holds more entries, and its entries more leaves, than are sent."""
    wanted = {"update": [{"path": VLANS, "value": {"vlan": [vlan_entry(5, "five"), vlan_entry(100, "boot")]}}]}
    check = change(plain, check=True, **wanted)
    done = change(plain, **wanted)
    assert (check["changed"], done["changed"]) == (True, True)
    assert check["diff"] == done["diff"]
    assert [entry["vlan-id"] for entry in done["diff"]["after"][VLANS]["vlan"]] == [1, 100, 666, 5]
    assert done["diff"]["after"][VLANS]["vlan"][1]["config"] == {"vlan-id": 100, "name": "boot", "status": "ACTIVE"}
    assert (plain.switch.vlans[5].name, plain.switch.vlans[100].name) == ("five", "boot")
    again = change(plain, **wanted)
    assert not again["changed"]
    assert again["results"] == []


def test_a_leaf_list_that_holds_more_is_not_as_it_was_sent(plain: Leaf) -> None:
    port = plain.switch.ports["Ethernet1"]
    port.mode, port.access_vlan, port.trunk_vlans = "TRUNK", None, (5, 6)
    path = "/interfaces/interface[name=Ethernet1]/ethernet/switched-vlan/config"
    wanted = {"update": [{"path": path, "value": {"trunk-vlans": [5]}}]}
    assert change(plain, **wanted)["changed"]
    assert port.trunk_vlans == (5,)
    assert not change(plain, **wanted)["changed"]


@pytest.mark.parametrize("kind", ["replace", "update"])
@pytest.mark.parametrize(
    ("gone", "path", "value"),
    [
        (f"{VLANS}/vlan[vlan-id=100]", f"{VLANS}/vlan[vlan-id=100]/config", {"name": "new"}),
        (f"{VLANS}/vlan", f"{VLANS}/vlan[vlan-id=100]/config/name", "new"),
        (f"{VLANS}/vlan[vlan-id=*]", f"{VLANS}/vlan[vlan-id=100]/config/name", "new"),
        (f"{VLANS}/vlan[vlan-id=100]/config/name", f"{VLANS}/vlan[vlan-id=100]/config", {"name": "new"}),
        (f"{VLANS}/vlan[vlan-id=100]", VLANS, {"vlan": [vlan_entry(100, "new")]}),
    ],
)
def test_what_a_request_deletes_it_does_not_write(plain: Leaf, kind: str, gone: str, path: str, value: Any) -> None:
    with pytest.raises(errors.InvalidInput, match="deletes in the same request") as caught:
        change(plain, delete=[gone], switch_grpc_port=1, **{kind: [{"path": path, "value": value}]})
    assert caught.value.code == "delete_and_write"


def test_a_path_may_be_emptied_and_filled_in_one_request(plain: Leaf) -> None:
    path = f"{VLANS}/vlan[vlan-id=100]/config"
    plain.switch.vlans[100].status = "SUSPENDED"
    wanted = {"delete": [path, f"{VLANS}/vlan[vlan-id=7]"], "update": [{"path": path, "value": {"name": "new"}}]}
    assert change(plain, **wanted)["changed"]
    assert (plain.switch.vlans[100].name, plain.switch.vlans[100].status) == ("new", "ACTIVE")


# --- subscribing


def test_a_subscription_once_ends_by_itself(leaf: Leaf) -> None:
    asked = leaf.asked(paths=[CONFIG[leaf.dialect]], mode="once", polls=1, interval=0.1, timeout=5)
    updates = raw.subscribe(asked, False)["updates"]
    assert [update["poll"] for update in updates] == [0]
    assert updates[0]["timestamp"] > 10**18


def test_a_subscription_is_polled(plain: Leaf) -> None:
    path = "/interfaces/interface[name=Ethernet1]/state/counters/in-octets"
    asked = plain.asked(paths=[path], mode="poll", polls=2, interval=0.2, timeout=5)
    plain.switch.ports["Ethernet1"].counters.in_octets = 7
    updates = raw.subscribe(asked, False)["updates"]
    assert [(update["poll"], update["value"]) for update in updates] == [(0, "7"), (1, "7"), (2, "7")]


def test_polls_that_do_not_fit_into_the_time_are_no_success(plain: Leaf) -> None:
    asked = plain.asked(paths=["/interfaces"], mode="poll", polls=100, interval=0.5, timeout=1)
    with pytest.raises(errors.DeadlineExceeded):
        raw.subscribe(asked, False)


def test_a_subscription_has_a_hard_deadline(plain: Leaf) -> None:
    plain.fault(match="Subscribe *", kind="hang")
    started = time.monotonic()
    with pytest.raises(errors.DeadlineExceeded):
        raw.subscribe(plain.asked(paths=["/interfaces"], mode="once", polls=1, interval=1.0, timeout=1), False)
    assert time.monotonic() - started < 8


def test_a_subscription_that_ends_too_early_is_no_answer(plain: Leaf, monkeypatch: pytest.MonkeyPatch) -> None:
    async def half(requests: Any, context: Any) -> Any:
        async for _request in requests:
            yield gnmi_pb2.SubscribeResponse(update=gnmi_pb2.Notification(timestamp=1))
            return

    plain.close()
    monkeypatch.setattr(plain.target, "Subscribe", half)
    certificate, key = CertificateAuthority().issue("leaf1")
    authority = CertificateAuthority()
    plain.ca_path.write_bytes(authority.pem)
    certificate, key = authority.issue("leaf1")
    plain.port = plain.loop.run(plain.target.start(certificate, key))
    with pytest.raises(errors.BadAnswer, match="before it had said"):
        raw.subscribe(plain.asked(paths=["/interfaces"], mode="once", polls=1, interval=1.0, timeout=5), False)


# --- pygnmi's traps


def test_a_request_that_hangs_ends_at_the_deadline(plain: Leaf) -> None:
    """pygnmi's gnmi_timeout is for connecting only: a Get may hang for ever."""
    plain.fault(match="Get *", kind="hang")
    started = time.monotonic()
    with pytest.raises(errors.DeadlineExceeded):
        get(plain, "/interfaces", switch_timeout=1)
    assert time.monotonic() - started < 8


def test_a_failed_handshake_leaves_the_process_as_it_was(plain: Leaf, tmp_path: Path) -> None:
    """pygnmi's sets GRPC_SSL_CIPHER_SUITES for everybody, and waits twice."""
    other = tmp_path / "other.pem"
    other.write_bytes(CertificateAuthority().pem)
    started = time.monotonic()
    with pytest.raises(errors.Unreachable) as caught:
        get(plain, "/interfaces", switch_ca_path=str(other))
    assert caught.value.code == "certificate_untrusted"
    assert time.monotonic() - started < 10
    assert "GRPC_SSL_CIPHER_SUITES" not in os.environ


def test_no_certificate_is_trusted_because_the_switch_sends_it(plain: Leaf) -> None:
    """pygnmi's, without a CA, downloads the switch's certificate and trusts it."""
    with pytest.raises((errors.Unreachable, errors.InvalidInput)) as caught:
        get(plain, "/interfaces", switch_ca_path=None)
    assert caught.value.code in ("certificate_untrusted", "ca_missing")


def test_json_ietf_is_spoken_where_both_are_offered(loop: Any, tmp_path: Path) -> None:
    """pygnmi's takes the first of json and json_ietf that it knows, which is json."""
    leaf = Leaf(loop, tmp_path, "eos")
    try:
        seen: list[int | None] = []
        original = leaf.target._check_request

        async def spy(context: Any, system: Any, encoding: int | None, paths: Any) -> None:
            seen.append(encoding)
            await original(context, system, encoding, paths)

        leaf.target._check_request = spy  # type: ignore[method-assign]
        get(leaf, "/interfaces/interface[name=Ethernet1]/config")
    finally:
        leaf.close()
    assert seen == [gnmi_pb2.JSON_IETF]


def test_a_text_is_sent_as_json(plain: Leaf) -> None:
    """pygnmi's sends a str unquoted, which is no JSON."""
    path = "/interfaces/interface[name=Ethernet1]/config/description"
    assert change(plain, update=[{"path": path, "value": "rack 4"}])["changed"]
    assert plain.switch.ports["Ethernet1"].description == "rack 4"
    assert not change(plain, update=[{"path": path, "value": "rack 4"}])["changed"]


def test_a_module_in_front_of_the_first_name_is_no_origin(plain: Leaf) -> None:
    """pygnmi's takes what stands before the first colon for an origin."""
    (value,) = get(plain, "/openconfig-interfaces:interfaces/interface[name=Ethernet1]/config/enabled")
    assert value["value"] is True
    (value,) = get(plain, "openconfig:/interfaces/interface[name=Ethernet1]/config/enabled")
    assert value["value"] is True
    with pytest.raises(errors.Unsupported, match="does not offer this"):
        get(plain, "openconfig-interfaces:/interfaces/interface[name=Ethernet1]/config/enabled")


@pytest.mark.parametrize("key", ["a=b", "a]b", "a[b]c", "a\\b", "a/b", "a=b]/c"])
def test_any_key_can_be_named(plain: Leaf, key: str) -> None:
    """pygnmi's parser breaks at = and ]."""
    text = f"/interfaces/interface[name={paths.quoted(key)}]/config"
    parsed = paths.parse(text)
    assert parsed.steps[1].keys == (("name", key),)
    assert str(parsed) == text
    with pytest.raises(errors.NotFound) as caught:
        get(plain, text)
    assert key in str(caught.value.answer)


def test_capabilities_are_not_needed(plain: Leaf) -> None:
    """pygnmi's asks for them first, and fails with a TypeError when there are none."""
    plain.fault(match="Capabilities *", kind="status", value="UNIMPLEMENTED")
    assert get(plain, "/interfaces/interface[name=Ethernet1]/config/enabled")


def test_nothing_is_printed(plain: Leaf, capfd: pytest.CaptureFixture[str]) -> None:
    """pygnmi's logs errors to stdout, which belongs to Ansible."""
    plain.fault(match="Get *", kind="status", value="INTERNAL")
    with pytest.raises(errors.PaleBlueDotError):
        get(plain, "/interfaces")
    sys.stdout.flush()
    assert capfd.readouterr().out == ""


def test_a_password_that_gnmi_cannot_carry_is_refused(plain: Leaf) -> None:
    with pytest.raises(errors.InvalidInput) as caught:
        get(plain, "/interfaces", switch_password="pässword")
    assert caught.value.code == "credential_not_ascii"
    assert "pässword" not in str(caught.value)


@pytest.mark.parametrize(
    ("cut", "answer"),
    [
        ("whole", [("/a/b[k=1]", {"k": "1", "c": {"d": 2}})]),
        ("leaves", [("/a/b[k=1]/k", "1"), ("/a/b[k=1]/c/d", 2)]),
        ("from the root", [("/", {"m:a": {"b": [{"k": "1", "c": {"d": 2}}]}})]),
        ("in its own name", [("/a/b[k=1]", {"m:b": [{"k": "1", "m:c": {"d": 2}}]})]),
    ],
)
def test_an_answer_means_the_same_however_it_is_cut(cut: str, answer: list[tuple[str, Any]]) -> None:
    tree: dict[str, Any] = {}
    for path, value in answer:
        paths.plant(tree, paths.parse(path), value)
    assert paths.pick(tree, paths.parse("/a/b[k=1]")) == {"k": "1", "c": {"d": 2}}
    assert paths.pick(tree, paths.parse("/a/b[k=1]/c/d")) == 2
    assert paths.pick(tree, paths.parse("/a/b[k=*]/c")) == [{"k": "1", "c": {"d": 2}}]
    assert paths.pick(tree, paths.parse("/a/b[k=2]")) is None


def test_the_modules_themselves(plays: Any, loop: Any, tmp_path: Path) -> None:
    """In the worker and as real modules."""
    leaf = Leaf(loop, tmp_path, "srlinux")
    path = CONFIG["srlinux"]
    try:
        ran = plays.life("gnmi_set", leaf.args(update=[{"path": path, "value": {"description": "spare"}}]))
        assert [ran[n]["changed"] for n in range(3)] == [True, True, False], ran.output
        ran = plays.run(
            [
                {"palebluedot.gpu.gnmi_get": leaf.args(paths=[f"{path}/description"])},
                {"palebluedot.gpu.gnmi_subscribe_info": leaf.args(paths=[f"{path}/description"])},
            ]
        )
        assert ran[0]["values"][0]["value"] == "spare", ran.output
        assert ran[1]["updates"][0]["value"] == "spare", ran.output
    finally:
        leaf.close()
