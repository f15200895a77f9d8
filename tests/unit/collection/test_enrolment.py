"""Enrolment without a BMC: the list against the scan, the import, and a secret on record in two phases."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.palebluedot.gpu.plugins.filter.enrolment import enrolment
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.bootstrap.vault import ServiceVault
from ansible_collections.palebluedot.gpu.plugins.module_utils.service import fleet_import
from ansible_collections.palebluedot.gpu.plugins.module_utils.service.credentials import Credential


def bmc(address: str = "10.0.0.1", **more: Any) -> dict[str, Any]:
    found = {"address": address, "port": 443, "protocol": "redfish", "name": None, "fingerprint": "ab" * 32}
    return {**found, "mac": None, "serial_number": None, "uuid": None, **more}


def row(name: str = "dgx-01", **more: Any) -> dict[str, Any]:
    return {"name": name, **more}


# -- the list against the scan


@pytest.mark.parametrize(
    ("machine", "found"),
    [
        ({"bmc_address": "10.0.0.1"}, {}),
        ({"bmc_address": "10.0.0.1", "bmc_port": 8443}, {"port": 8443}),
        ({"bmc_address": "[FD00:0::1]"}, {"address": "fd00::1"}),
        ({"bmc_address": "DGX-01-bmc.example.com."}, {"name": "dgx-01-bmc.example.com"}),
        ({"bmc_mac": "5C-FF-35-E2-00-11"}, {"mac": "5c:ff:35:e2:00:11"}),
        ({"serial_number": "7xq4m92"}, {"serial_number": "7XQ4M92"}),
        ({"serial_number": "7XQ4M92", "bmc_mac": "5c:ff:35:e2:00:11"}, {"mac": "5c:ff:35:e2:00:11"}),
    ],
)
def test_a_machine_of_the_list_is_recognised(machine: dict[str, Any], found: dict[str, Any]) -> None:
    plan = enrolment([bmc(**found)], [row(**machine)])
    assert [server["name"] for server in plan["servers"]] == ["dgx-01"]
    assert plan["missing"] == plan["unexpected"] == plan["known"] == []


@pytest.mark.parametrize(
    ("machine", "found"),
    [
        ({"bmc_address": "10.0.0.2"}, {}),
        ({"bmc_address": "10.0.0.1", "bmc_port": 8443}, {}),
        ({"serial_number": "7XQ4M92"}, {}),
        ({"serial_number": "7XQ4M92"}, {"serial_number": "9ZZ"}),
        ({"serial_number": "7XQ4M92", "bmc_mac": "00:00:00:00:00:01"}, {"serial_number": "7XQ4M92", "mac": "other"}),
        ({}, {}),
    ],
)
def test_another_machine_is_missing_there_and_unexpected_here(machine: dict[str, Any], found: dict[str, Any]) -> None:
    plan = enrolment([bmc(**found)], [row(**machine)])
    assert plan["servers"] == [] and plan["missing"] == ["dgx-01"] and len(plan["unexpected"]) == 1


def test_first_credentials_go_to_the_login_and_never_to_the_record() -> None:
    machine = row(bmc_address="10.0.0.1", bmc_username="ADMIN", bmc_password="label", serial_number="A1", rack="a1")
    plan = enrolment([bmc()], [machine])
    assert "label" not in json.dumps(plan["servers"]) and plan["servers"][0]["rack"] == "a1"
    (host,) = plan["hosts"]
    assert host["first_login"] == {
        "credentials": [{"username": "ADMIN", "password": "label"}],
        "serial_number": "A1",
        "mac": None,
    }


@pytest.mark.parametrize(("options", "protocol"), [({"bootstrap": False}, "redfish"), ({}, "ipmi")])
def test_where_no_account_is_made_the_lists_credential_is_recorded(options: dict[str, Any], protocol: str) -> None:
    machine = row(bmc_address="10.0.0.1", bmc_username="ADMIN", bmc_password="label", serial_number="A1")
    plan = enrolment([bmc(protocol=protocol)], [machine], **options)
    (server,) = plan["servers"]
    assert (server["bmc_username"], server["bmc_password"]) == ("ADMIN", "label") and "serial_number" not in server
    assert plan["hosts"][0]["bootstrap"] is False


def test_the_certificate_seen_is_pinned_unless_an_authority_is_named() -> None:
    (plain,) = enrolment([bmc()], [row(bmc_address="10.0.0.1")])["servers"]
    assert plain["bmc_fingerprint"] == "ab" * 32
    for more in ({"bmc_ca_path": "/etc/ca.pem"}, {"bmc_validate_certs": False}):
        (signed,) = enrolment([bmc()], [row(bmc_address="10.0.0.1", **more)])["servers"]
        assert "bmc_fingerprint" not in signed


def test_what_the_record_has_and_the_list_has_not_is_left_alone() -> None:
    known = [{"bmc_address": "10.0.0.1", "bmc_port": None}, {"inventory_hostname": "localhost"}]
    plan = enrolment([bmc(), bmc("10.0.0.2")], [], known)
    assert [each["address"] for each in plan["known"]] == ["10.0.0.1"]
    assert [each["address"] for each in plan["unexpected"]] == ["10.0.0.2"] and plan["servers"] == []


def test_one_machine_of_the_list_can_be_taken_first() -> None:
    machines = [row("dgx-01", bmc_address="10.0.0.1"), row("dgx-02", bmc_address="10.0.0.2"), row("dgx-03", uuid="x")]
    plan = enrolment([bmc(), bmc("10.0.0.2")], machines, only="dgx-02")
    assert [server["name"] for server in plan["servers"]] == ["dgx-02"]
    assert plan["missing"] == plan["unexpected"] == []
    assert enrolment([bmc()], machines, only="dgx-01, dgx-03")["missing"] == ["dgx-03"]


def test_a_machine_at_two_addresses_is_one() -> None:
    plan = enrolment([bmc(mac="m1"), bmc("fd00::1", mac="m1")], [row(bmc_mac="m1")])
    assert [server["bmc_address"] for server in plan["servers"]] == ["10.0.0.1"] and plan["unexpected"] == []


@pytest.mark.parametrize(
    ("found", "name"),
    [
        (bmc("10.20.0.17"), "bmc-10-20-0-17"),
        (bmc("10.20.0.17", port=8443), "bmc-10-20-0-17-8443"),
        (bmc("fd00::17"), "bmc-fd00-17"),
        (bmc("10.0.0.1", name="x-bmc.example.com"), "bmc-x-bmc-example-com"),
    ],
)
def test_the_unlisted_are_enrolled_only_when_told(found: dict[str, Any], name: str) -> None:
    assert enrolment([found], [], unlisted=True)["servers"][0]["name"] == name
    assert enrolment([found], [])["servers"] == []


# -- the import


def importing(talk: Any, *servers: dict[str, Any]) -> dict[str, Any]:
    params: dict[str, Any] = talk.params(servers=list(servers), switches=[], networks=[], neighbors=[])
    return params


def test_a_new_server_is_created(talk: Any) -> None:
    talk.problem("GET", "/api/v1/servers/dgx-01", 404, "not_found")
    sent = talk.expect("POST", "/api/v1/servers", 200, {"created": {"servers": 1}, "updated": {}})
    talk.expect("GET", "/api/v1/servers/dgx-01", 200, {"name": "dgx-01", "rack": "a1", "bmc_address": "10.0.0.1"})
    result = fleet_import.run(importing(talk, row(rack="a1", bmc_address="10.0.0.1")), False)
    assert sent.body == {"servers": [{"name": "dgx-01", "rack": "a1", "bmc_address": "10.0.0.1"}]}
    assert result["changed"] and result["counts"]["created"] == {"servers": 1}
    assert result["diff"] == {
        "before": {"dgx-01": None},
        "after": {"dgx-01": {"rack": "a1", "bmc_address": "10.0.0.1"}},
    }


def test_check_mode_says_the_same_and_sends_no_document(talk: Any) -> None:
    talk.problem("GET", "/api/v1/servers/dgx-01", 404, "not_found")
    result = fleet_import.run(importing(talk, row(rack="a1")), True)
    assert result["changed"] and result["diff"]["after"] == {"dgx-01": {"rack": "a1"}}
    talk.expect("GET", "/api/v1/servers/dgx-01", 200, {"name": "dgx-01", "rack": "a1"})
    assert not fleet_import.run(importing(talk, row(rack="a1", bmc_password="p")), True)["changed"]


def test_a_server_that_is_there_already_is_unchanged(talk: Any) -> None:
    known = {"name": "dgx-01", "rack": "a1"}
    talk.expect("GET", "/api/v1/servers/dgx-01", 200, known)
    talk.expect("POST", "/api/v1/servers", 200, {"created": {}, "updated": {}})
    talk.expect("GET", "/api/v1/servers/dgx-01", 200, known)
    result = fleet_import.run(importing(talk, row(rack="a1")), False)
    assert not result["changed"] and result["diff"] == {"before": {}, "after": {}}


def test_what_a_switch_hears_is_told_by_mac_address(talk: Any) -> None:
    heard = {"system_name": "dgx-01", "chassis_id": "5c:ff:35:e2:10:00", "port_id": "5c:ff:35:e2:10:01"}
    named = {"system_name": "spine", "chassis_id": "spine-1", "port_id": "Ethernet1"}
    ports = [
        {"interface": "Ethernet1", "neighbors": [heard]},
        {"interface": "Ethernet2", "neighbors": [named]},
        {"interface": "Ethernet3", "neighbors": None},
    ]
    params = talk.params(servers=[], switches=[], networks=[], neighbors=[{"switch": "leaf-01", "ports": ports}])
    talk.expect("GET", "/api/v1/topology", 200, {"ports": []})
    told = talk.expect("PUT", "/api/v1/switches/leaf-01/neighbors", 200, {"stored": 1, "unknown_macs": []})
    talk.expect("GET", "/api/v1/topology", 200, {"ports": [{"switch": "leaf-01", "port": "Ethernet1"}]})
    result = fleet_import.run(params, False)
    macs = ["5c:ff:35:e2:10:01", "5c:ff:35:e2:10:00"]
    assert told.body == {"ports": [{"interface": "Ethernet1", "macs": macs}]}
    assert result["changed"] and result["heard"] == {"leaf-01": {"stored": 1, "unknown_macs": []}}


# -- a secret on record in two phases

CREDENTIAL = "/api/v1/servers/dgx-01/credential"
OWN = Credential("palebluedot", "new secret")


def test_a_secret_is_proposed_then_confirmed(talk: Any) -> None:
    vault = ServiceVault(talk.client(), "dgx-01")
    talk.problem("GET", CREDENTIAL, 404, "no_credential")
    assert vault.known() == []
    proposing = talk.expect("PUT", CREDENTIAL, 200, {"proposal": "prop_1"})
    vault.propose(OWN)
    assert proposing.body == {
        "phase": "propose", "username": "palebluedot", "password": "new secret", "current": "new secret",
    }  # fmt: skip
    confirming = talk.expect("PUT", CREDENTIAL, 200, {"proposal": "prop_1"})
    vault.confirm(OWN)
    assert confirming.body == {"phase": "confirm", "proposal": "prop_1"}
    assert vault.reference == "service:dgx-01"


def test_both_secrets_of_an_unfinished_change_are_known(talk: Any) -> None:
    vault = ServiceVault(talk.client(), "dgx-01")
    kept = {"username": "admin", "password": "old", "proposal": "prop_7", "proposed_username": "palebluedot"}
    talk.expect("GET", CREDENTIAL, 200, {**kept, "proposed_password": "new secret"})
    assert vault.known() == [("recorded", Credential("admin", "old")), ("proposed", OWN)]
    withdrawing = talk.expect("PUT", CREDENTIAL, 200, {})
    vault.withdraw()
    assert withdrawing.body == {"phase": "withdraw", "proposal": "prop_7"}


def test_a_server_that_is_not_on_record_is_an_error_and_not_an_empty_vault(talk: Any) -> None:
    talk.problem("GET", CREDENTIAL, 404, "not_found")
    with pytest.raises(Exception, match="not_found"):
        ServiceVault(talk.client(), "dgx-01").known()
