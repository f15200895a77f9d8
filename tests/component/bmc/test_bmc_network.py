"""The BMC's own network: what stays, what moves, and a BMC that is not found again."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.operations import bmc_network as network
from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import (
    BadAnswer,
    InvalidInput,
    NotFound,
    Unreachable,
    Unsupported,
)

from lab.config import VENDORS

STAYS = {
    "hostname": "bmc-dgx-01",
    "ntp_servers": ["192.0.2.123", "ntp.example.net"],
    "dns_servers": ["192.0.2.53"],
    "vlan": 42,
    "ipmi_enabled": False,
}


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """The lab's BMCs move at once."""
    monkeypatch.setattr(network, "_STAYS_AFTER_S", 0.5)


def ask(bmc: Any, check_mode: bool = False, **options: Any) -> dict[str, Any]:
    return network.run(bmc.params(**{"wait_timeout": 10, **options}), check_mode)


@pytest.mark.parametrize("vendor", VENDORS)
def test_names_servers_vlan_and_ipmi_are_planned_set_and_then_already_so(start_lab: Any, vendor: str) -> None:
    bmc = start_lab(vendor)
    planned = ask(bmc, check_mode=True, **STAYS)
    assert planned["changed"] and not bmc.writes()
    done = ask(bmc, **STAYS)
    assert done["changed"] and done["diff"] == planned["diff"]
    assert {name: done["network"][name] for name in STAYS} == STAYS
    state = bmc.machine.bmc.network
    assert (state.hostname, state.vlan, state.ipmi_enabled, state.ntp_enabled) == ("bmc-dgx-01", 42, False, True)
    wrote = len(bmc.writes())
    assert not ask(bmc, **STAYS)["changed"] and len(bmc.writes()) == wrote
    off = ask(bmc, ntp_servers=[], vlan=0)
    assert (off["network"]["ntp_servers"], off["network"]["vlan"]) == ([], 0)
    assert not state.ntp_enabled


def test_nothing_wanted_reads(lab_bmc: Any) -> None:
    found = ask(lab_bmc)
    assert not found["changed"] and found["network"]["address"] == "127.0.0.1" and found["network"]["dhcp"] is False


def test_a_new_address_is_read_back_there(lab_bmc: Any) -> None:
    # its certificate is for the old address
    done = ask(lab_bmc, address="127.0.0.77", netmask="255.255.255.0", gateway="127.0.0.254", bmc_validate_certs=False)
    assert done["changed"] and done["found_at"] == "127.0.0.77"
    assert done["network"]["address"] == "127.0.0.77" and done["network"]["netmask"] == "255.255.255.0"
    again = ask(lab_bmc, bmc_address="127.0.0.77", address="127.0.0.77", bmc_validate_certs=False)
    assert not again["changed"]
    assert len([action for action in lab_bmc.writes() if "EthernetInterfaces" in action]) == 1, "in one write"


def test_what_stays_is_written_before_what_moves(lab_bmc: Any) -> None:
    ask(lab_bmc, hostname="bmc-x", address="127.0.0.78", ntp_servers=["192.0.2.1"], bmc_validate_certs=False)
    entries = lab_bmc._loop.call(lambda: lab_bmc.machine.world.log.select(lab_bmc.machine.name, "redfish"))
    bodies = [set(entry.detail["body"]) for entry in entries if entry.action.startswith("PATCH")]
    assert bodies == [{"NTP"}, {"HostName"}, {"IPv4Addresses"}]


@pytest.mark.parametrize(
    ("wanted", "place"), [({"address": "192.0.2.99"}, "192.0.2.99"), ({"dhcp": True}, "127.0.0.1")]
)
def test_a_bmc_that_is_not_found_again_is_reported(lab_bmc: Any, wanted: dict[str, Any], place: str) -> None:
    with pytest.raises(Unreachable) as caught:
        ask(lab_bmc, wait_timeout=2, bmc_timeout=2, **wanted)
    assert caught.value.code == "moved_away" and place in (caught.value.tried or "")
    assert "record" in (caught.value.next or "") and not caught.value.retryable


def test_a_certificate_for_the_old_address_is_named(lab_bmc: Any) -> None:
    with pytest.raises(Unreachable, match="certificate") as caught:
        ask(lab_bmc, wait_timeout=1, address="127.0.0.79")
    assert caught.value.code == "moved_away"


@pytest.mark.parametrize(
    "wrong", [{"address": "300.1.1.1"}, {"netmask": "/24"}, {"dhcp": True, "address": "127.0.0.5"}]
)
def test_what_makes_no_sense_is_refused(lab_bmc: Any, wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        ask(lab_bmc, **wrong)
    assert not lab_bmc.writes()


def test_an_interface_that_is_not_there(lab_bmc: Any) -> None:
    with pytest.raises(NotFound, match="eth9"):
        ask(lab_bmc, interface="eth9", hostname="x")


# -- what a BMC cannot be told, and what it does not show


def site(nic: dict[str, Any], protocols: dict[str, Any]) -> dict[str, Any]:
    manager = "/redfish/v1/Managers/1"
    return {
        "/redfish/v1": {"Vendor": "Somebody"},
        "/redfish/v1/Systems": {"Members": [{"@odata.id": "/redfish/v1/Systems/1"}]},
        "/redfish/v1/Systems/1": {"Id": "1", "Links": {"ManagedBy": [{"@odata.id": manager}]}},
        manager: {
            "Id": "1",
            "ManagerType": "BMC",
            "EthernetInterfaces": {"@odata.id": f"{manager}/EthernetInterfaces"},
            "NetworkProtocol": {"@odata.id": f"{manager}/NetworkProtocol"},
        },
        f"{manager}/EthernetInterfaces": {
            "Members": [{"@odata.id": f"{manager}/EthernetInterfaces/{name}"} for name in ("usb0", "eth0")]
        },
        f"{manager}/EthernetInterfaces/usb0": {"Id": "usb0", "IPv4Addresses": [{"Address": "169.254.0.17"}]},
        f"{manager}/EthernetInterfaces/eth0": {"Id": "eth0", "LinkStatus": "LinkUp", **nic},
        f"{manager}/NetworkProtocol": {"Id": "NetworkProtocol", **protocols},
    }


def test_what_the_bmc_cannot_be_told_is_refused_before_anything_is_written(start_replay: Any) -> None:
    bmc = start_replay(site({"HostName": "old"}, {"IPMI": {"ProtocolEnabled": True}}))
    for wanted, missing in (({"ntp_servers": ["192.0.2.1"]}, "NTP"), ({"vlan": 7}, "VLAN"), ({"dhcp": True}, "DHCPv4")):
        with pytest.raises(Unsupported, match=missing):
            ask(bmc, hostname="new", **wanted)
        with pytest.raises(Unsupported, match=missing):
            ask(bmc, check_mode=True, hostname="new", **wanted)
    assert not [asked for asked in bmc.asked if asked.method == "PATCH"]


def test_static_addresses_are_written_where_the_schema_has_them_and_the_rest_is_kept(start_replay: Any) -> None:
    nic = {
        "HostName": "old",
        "DHCPv4": {"DHCPEnabled": True},
        "IPv4Addresses": [{"Address": "127.0.0.1", "SubnetMask": "255.255.255.0", "Gateway": "127.0.0.254"}],
        "IPv4StaticAddresses": [],
        "StaticNameServers": ["0.0.0.0", "::"],
        "NameServers": ["192.0.2.7"],
    }
    tree = site(nic, {})

    def respond(asked: Any) -> Any:
        from replay import Reply

        if asked.method != "PATCH":
            return None
        held = tree[asked.path]
        held.update(asked.body)
        for entry in asked.body.get("IPv4StaticAddresses", []):
            held["IPv4Addresses"] = [entry]
        return Reply(200, {})

    bmc = start_replay(tree, respond)
    # as behind a translation of addresses: the BMC has another address now, and is reached at the same one
    done = ask(bmc, address="192.0.2.9", dns_servers=["192.0.2.53"], bmc_timeout=2, wait_timeout=20)
    assert done["found_at"] == "127.0.0.1" and done["network"]["address"] == "192.0.2.9"
    sent = [asked.body for asked in bmc.asked if asked.method == "PATCH"]
    whole = {"Address": "192.0.2.9", "SubnetMask": "255.255.255.0", "Gateway": "127.0.0.254"}
    assert sent == [
        {"StaticNameServers": ["192.0.2.53"]},
        {"DHCPv4": {"DHCPEnabled": False}, "IPv4StaticAddresses": [whole]},
    ]


def test_a_change_that_does_not_show_is_reported(start_replay: Any) -> None:
    from replay import Reply

    tree = site({"HostName": "old"}, {})
    bmc = start_replay(tree, lambda asked: Reply(200, {}) if asked.method == "PATCH" else None)
    with pytest.raises(BadAnswer) as caught:
        ask(bmc, hostname="new", wait_timeout=1)
    assert caught.value.code == "not_applied" and "bmc_reset" in (caught.value.next or "")


def test_the_captures_show_their_network(
    start_replay: Any, dgx_capture: Any, hpe_capture: Any, dell_capture: Any
) -> None:
    expected = [
        (dgx_capture, "SPR5CFF35FBE6E9", "192.168.49.221", ["192.168.4.3"], ["pool.ntp.org", "216.239.35.4"], True),
        (hpe_capture, "ILOMXQ302099S", "192.168.198.84", [], None, False),
        (dell_capture, "idrac-CLLV0R3", "192.168.132.202", ["192.168.126.14"], [], True),
    ]
    for capture, hostname, address, dns, ntp, ipmi in expected:
        found = ask(start_replay(capture))["network"]
        assert (found["hostname"], found["address"], found["dhcp"], found["vlan"]) == (hostname, address, True, 0)
        assert (found["dns_servers"], found["ntp_servers"], found["ipmi_enabled"]) == (dns, ntp, ipmi)


# -- over IPMI


def test_ipmi_sets_address_and_vlan_and_refuses_the_rest(ipmi_bmc: Any) -> None:
    wanted = {"address": "127.0.0.1", "netmask": "255.255.0.0", "gateway": "127.0.0.254", "vlan": 42}
    planned = ask(ipmi_bmc, check_mode=True, **wanted)
    done = ask(ipmi_bmc, wait_timeout=30, **wanted)
    assert done["changed"] and done["diff"] == planned["diff"]
    state = ipmi_bmc.machine.bmc.network
    assert (state.netmask, state.gateway, state.vlan) == ("255.255.0.0", "127.0.0.254", 42)
    assert not ask(ipmi_bmc, **wanted)["changed"]
    with pytest.raises(Unsupported) as caught:
        ask(ipmi_bmc, hostname="x")
    assert caught.value.code == "protocol_unsupported"


def test_a_bmc_that_does_not_speak_ipmi_any_more_does_not_answer_it(ipmi_bmc: Any) -> None:
    ipmi_bmc._loop.call(lambda: setattr(ipmi_bmc.machine.bmc.network, "ipmi_enabled", False))
    with pytest.raises(Unreachable):
        ask(ipmi_bmc, bmc_timeout=20)
