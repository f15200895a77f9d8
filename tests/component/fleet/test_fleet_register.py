"""Import, inspection, flags and credentials."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from fleet import errors, secrets
from fleet.actor import SYSTEM, Actor
from fleet.models import AuditEntry, Credential, Gpu, HardwareConfig, Network, Server, ServerNic, Switch
from fleet.operations import claim, credentials, register, users
from fleet.operations.register import Imported
from tests.component.fleet.support import Site, bmc_facts, fleet_document


def load(site: Site, document: dict[str, Any], actor: Actor = SYSTEM) -> Imported:
    with site.database.transaction() as session:
        return register.import_fleet(session, actor, document)


def inspect(site: Site, server: str, facts: dict[str, Any]) -> Server:
    with site.database.transaction() as session:
        return register.record_inspection(session, SYSTEM, server, facts)


def gpus(site: Site, server: str = "gpu-01") -> dict[str, tuple[str | None, str]]:
    """slot -> (serial number, state)."""
    with site.database.reading() as session:
        rows = session.scalars(select(Gpu).join(Server, Server.id == Gpu.server_id).where(Server.name == server))
        return {row.slot: (row.serial_number, row.status) for row in rows}


def test_importing_again_changes_nothing(fleet: Site) -> None:
    again = load(fleet, fleet_document(4))
    assert (dict(again.created), dict(again.updated)) == ({}, {})
    assert dict(again.unchanged) == {"networks": 10, "switches": 1, "servers": 4}


def test_what_is_imported_is_what_is_kept(fleet: Site) -> None:
    with fleet.database.reading() as session:
        server = session.scalars(select(Server).where(Server.name == "gpu-02")).one()
        assert (server.bmc_ip, server.bmc_port, server.bmc_protocol, server.bmc_username) == (
            "192.0.2.12",
            443,
            "redfish",
            "admin",
        )
        assert (server.rack, server.pool, server.disks) == ("r1", "default", ["/dev/nvme0n1", "/dev/nvme1n1"])
        nic = server.nics[0]
        assert nic.switch is not None
        assert (nic.mac, nic.switch.name, nic.switch_port) == ("02:00:00:00:00:02", "leaf-1", "Ethernet2")
        assert server.hardware_profile is not None
        assert server.hardware_profile.bios == {"SriovGlobalEnable": "Enabled"}


def test_a_change_is_an_update_and_what_is_left_out_stays(fleet: Site) -> None:
    document = {"servers": [{"name": "gpu-01", "rack": "r9", "bmc_validate_certs": "no", "memory_gb": "1024"}]}
    assert dict(load(fleet, document).updated) == {"servers": 1}
    with fleet.database.reading() as session:
        server = session.scalars(select(Server).where(Server.name == "gpu-01")).one()
        assert (server.rack, server.bmc_validate_certs, server.memory_gb) == ("r9", False, 1024)
        assert (server.bmc_ip, len(server.nics)) == ("192.0.2.11", 1)


def test_cables_can_be_moved(fleet: Site) -> None:
    nics = [{"mac": "02-00-00-00-00-AA", "switch": "leaf-1", "port": "Ethernet90"}]
    load(fleet, {"servers": [{"name": "gpu-01", "nics": nics}]})
    with fleet.database.reading() as session:
        rows = session.scalars(select(ServerNic).join(Server).where(Server.name == "gpu-01")).all()
        assert [(row.mac, row.switch_port) for row in rows] == [("02:00:00:00:00:aa", "Ethernet90")]


@pytest.mark.parametrize(
    ("document", "what"),
    [
        ({"rockets": []}, "unknown parts"),
        ({"servers": {}}, "list of mappings"),
        ({"servers": [{"name": "Not A Label", "bmc_address": "x"}]}, "no DNS label"),
        ({"servers": [{"name": "a", "bmc_address": "x"}] * 2}, "listed twice"),
        ({"servers": [{"name": "a"}]}, "bmc_address missing"),
        ({"servers": [{"name": "a", "bmc_address": "x", "colour": "red"}]}, "unknown fields colour"),
        ({"servers": [{"name": "a", "bmc_address": "x", "bmc_port": 70000}]}, "not within"),
        ({"servers": [{"name": "a", "bmc_address": "x", "bmc_port": "https"}]}, "no number"),
        ({"servers": [{"name": "a", "bmc_address": "x", "bmc_protocol": "snmp"}]}, "bmc_protocol is one of"),
        ({"servers": [{"name": "a", "bmc_address": "x", "bmc_validate_certs": "maybe"}]}, "neither true nor false"),
        ({"servers": [{"name": "a", "bmc_address": "x", "disks": [1]}]}, "disks is a list"),
        ({"servers": [{"name": "a", "bmc_address": "x", "hardware_profile": {"raid": 1}}]}, "hardware_profile"),
        ({"servers": [{"name": "a", "bmc_address": "x", "nics": [{"mac": "1"}]}]}, "no MAC address"),
        (
            {"servers": [{"name": "a", "bmc_address": "x", "nics": [{"mac": "02:00:00:00:00:01"}]}]},
            "is that of gpu-01",
        ),
        (
            {
                "servers": [
                    {"name": "a", "bmc_address": "x", "nics": [{"mac": "02:00:00:00:0a:01", "switch": "leaf-9"}]}
                ]
            },
            "leaf-9 is not in the record",
        ),
        (
            {
                "servers": [
                    {
                        "name": "a",
                        "bmc_address": "x",
                        "nics": [{"mac": "02:00:00:00:0a:01", "switch": "leaf-1", "port": "Ethernet1"}],
                    }
                ]
            },
            "cabled to gpu-01",
        ),
        ({"networks": [{"name": "n", "purpose": "tenant", "vlan": 900}]}, "cidr missing"),
        ({"networks": [{"name": "n", "purpose": "fun", "vlan": 900, "cidr": "10.9.0.0/24"}]}, "purpose"),
        ({"networks": [{"name": "n", "purpose": "tenant", "vlan": 10, "cidr": "10.9.0.0/24"}]}, "that of provisioning"),
        ({"networks": [{"name": "n", "purpose": "tenant", "vlan": 5000, "cidr": "10.9.0.0/24"}]}, "not within"),
        ({"networks": [{"name": "n", "purpose": "tenant", "vlan": 900, "cidr": "10.9.0.1/24"}]}, "CIDR"),
        (
            {
                "networks": [
                    {"name": "n", "purpose": "tenant", "vlan": 900, "cidr": "10.9.0.0/24", "gateway": "10.8.0.1"}
                ]
            },
            "not in 10.9.0.0/24",
        ),
        ({"switches": [{"name": "s"}]}, "address missing"),
    ],
)
def test_a_wrong_document_is_refused_whole(fleet: Site, document: dict[str, Any], what: str) -> None:
    good = {"networks": [{"name": "spare", "purpose": "tenant", "vlan": 4000, "cidr": "10.99.0.0/24"}]}
    merged = {**document, "networks": [*good["networks"], *document.get("networks", [])]}
    with pytest.raises(errors.Invalid, match=what):
        load(fleet, merged)
    with fleet.database.reading() as session:
        assert session.scalars(select(Network).where(Network.name == "spare")).first() is None


@pytest.mark.parametrize(
    "server",
    [
        {"bmc_address": {}},
        {"rack": ["r1"]},
        {"pool": True},
        {"bmc_username": "x" * 129},
        {"bmc_password": {"a": 1}},
        {"nics": "02:00:00:00:00:01"},
        {"nics": ["02:00:00:00:00:01"]},
        {"hardware_profile": {"bios": [1]}},
        {"hardware_profile": {"boot_order": {"a": 1}}},
        {"memory_gb": 1.5e99},
    ],
)
def test_values_of_the_wrong_kind_are_refused(fleet: Site, server: dict[str, Any]) -> None:
    with pytest.raises(errors.Invalid):
        load(fleet, {"servers": [{"name": "odd", "bmc_address": "192.0.2.70", **server}]})


@pytest.mark.parametrize(
    "facts",
    [
        {"serial_number": {}},
        {"model": "x" * 129},
        {"memory_gb": "much"},
        {"memory_gb": -1},
        {"capabilities": []},
        {"disks": "sda"},
        {"gpus": {}},
        {"gpus": ["H100"]},
        {"gpus": [{"id": 1}]},
        {"gpus": [{"id": "a", "memory_gb": True}]},
        {"gpus": [{"id": "a", "serial_number": "1"}, {"id": "b", "serial_number": "1"}]},
        {"gpus": [{"id": "a"}, {"id": "a"}]},
    ],
)
def test_facts_of_the_wrong_kind_are_refused(fleet: Site, facts: dict[str, Any]) -> None:
    with pytest.raises(errors.Invalid) as caught:
        inspect(fleet, "gpu-01", facts)
    assert caught.value.host == "gpu-01"


def test_users_do_not_import(fleet: Site) -> None:
    with pytest.raises(errors.Forbidden):
        load(fleet, {}, fleet.ada)


def test_a_network_in_use_keeps_its_shape(fleet: Site) -> None:
    fleet.reserve()
    with pytest.raises(errors.Conflict, match="in use"):
        load(fleet, {"networks": [{"name": "provisioning", "cidr": "10.66.0.0/24", "gateway": "10.66.0.1"}]})
    load(fleet, {"networks": [{"name": "provisioning", "vni": 7}]})
    load(fleet, {"networks": [{"name": "tenant-7", "cidr": "10.66.0.0/24", "gateway": ""}]})


def test_passwords_are_encrypted_and_only_staff_reads_them(fleet: Site) -> None:
    with fleet.database.transaction() as session:
        stored = session.scalars(select(Credential).join(Server, Server.id == Credential.server_id)).first()
        assert stored is not None
        assert b"bmc-secret" not in stored.ciphertext
        secret = credentials.of_server(session, fleet.admin, "gpu-01")
        assert (secret.username, secret.password) == ("admin", "bmc-secret-1")
        assert "bmc-secret" not in repr(secret)
        assert credentials.of_switch(session, fleet.admin, "leaf-1").password == "switch-secret"
        for actor in (fleet.ada, Actor("usr_x", "eve", "auditor")):
            with pytest.raises(errors.Forbidden):
                credentials.of_server(session, actor, "gpu-01")
        reads = session.scalars(select(AuditEntry).where(AuditEntry.action == "credential.read")).all()
        assert len(reads) == 2
        for name in ("gpu-99", "leaf-99"):
            with pytest.raises(errors.NotFound):
                (credentials.of_switch if name.startswith("leaf") else credentials.of_server)(session, SYSTEM, name)


def test_a_ciphertext_opens_only_for_its_owner(fleet: Site) -> None:
    with fleet.database.transaction() as session:
        first, second = session.scalars(select(Credential).where(Credential.server_id.is_not(None)).limit(2)).all()
        first.ciphertext, first.nonce = second.ciphertext, second.nonce
        session.flush()
        name = session.get_one(Server, first.server_id).name
        with pytest.raises(secrets.SecretError, match="does not open"):
            credentials.of_server(session, SYSTEM, name)


def test_a_new_password_replaces_the_old_one(fleet: Site) -> None:
    document = fleet_document(1)
    document["servers"][0]["bmc_password"] = "rotated"
    assert dict(load(fleet, {"servers": document["servers"]}).updated) == {"servers": 1}
    with fleet.database.transaction() as session:
        assert credentials.of_server(session, SYSTEM, "gpu-01").password == "rotated"


def test_a_jobs_token_gets_only_what_its_servers_need(fleet: Site) -> None:
    fleet.reserve()
    workflow = fleet.claim_next()
    load(fleet, {"switches": [{"name": "leaf-2", "address": "192.0.2.2", "username": "u", "password": "p"}]})
    with fleet.database.transaction() as session:
        job = users.verify_token(session, users.mint_token(session, SYSTEM, "job", 60, workflow.id).token)
        assert credentials.of_server(session, job, "gpu-01").password == "bmc-secret-1"
        assert credentials.of_switch(session, job, "leaf-1").password == "switch-secret"
        with pytest.raises(errors.Forbidden):
            credentials.of_server(session, job, "gpu-02")
        with pytest.raises(errors.Forbidden):
            credentials.of_switch(session, job, "leaf-2")
        with pytest.raises(errors.Forbidden):
            register.record_inspection(session, job, "gpu-02", {})
        with pytest.raises(errors.Forbidden):
            register.set_freeze(session, job, True)


def test_a_server_without_a_password_says_so(fleet: Site) -> None:
    load(fleet, {"servers": [{"name": "bare", "bmc_address": "[2001:db8::7]"}]})
    with fleet.database.transaction() as session:
        assert session.scalars(select(Server).where(Server.name == "bare")).one().bmc_ip == "2001:db8::7"
        with pytest.raises(errors.NotFound) as caught:
            credentials.of_server(session, SYSTEM, "bare")
    assert caught.value.code == "no_credential"


def test_an_inspection_makes_a_server_available(fleet: Site) -> None:
    load(fleet, {"servers": [{"name": "new", "bmc_address": "192.0.2.99"}]})
    assert fleet.server_states()["new"] == "enrolled"
    nics = [{"mac": "02:00:00:00:00:01", "neighbor": "leaf-1"}]
    server = inspect(fleet, "new", {"bmc": bmc_facts(9), "nics": nics})
    assert (server.status, server.serial_number, server.gpu_count, server.gpu_model, server.gpu_memory_gb) == (
        "available",
        "SN0009",
        8,
        "NVIDIA H100 80GB HBM3",
        80,
    )
    assert server.bmc_protocol == "redfish"
    assert set(gpus(fleet, "new").values()) == {(f"GPU0009{slot:02d}", "available") for slot in range(1, 9)}
    with fleet.database.reading() as session:
        config = session.scalars(select(HardwareConfig).where(HardwareConfig.server_id == server.id)).one()
        assert (config.bios_version, config.bmc_firmware_version) == ("1.0", "24.01")
        assert config.network_config == {"nics": nics}


def test_a_server_in_use_gets_facts_and_keeps_its_state(fleet: Site) -> None:
    fleet.reserve()
    assert inspect(fleet, "gpu-01", {**bmc_facts(1), "bios_version": "2.0"}).status == "reserved"
    assert {state for _, state in gpus(fleet).values()} == {"reserved"}


def test_unknown_never_overwrites_known(fleet: Site) -> None:
    server = inspect(fleet, "gpu-01", {"serial_number": None, "model": None, "gpus": None})
    assert (server.serial_number, server.model, server.gpu_count) == ("SN0001", "DGXH100", 8)


def test_another_machine_behind_the_address_is_noticed(fleet: Site) -> None:
    with pytest.raises(errors.Conflict) as caught:
        inspect(fleet, "gpu-01", {**bmc_facts(1), "serial_number": "OTHER"})
    assert (caught.value.code, caught.value.host) == ("serial_number_changed", "gpu-01")
    load(fleet, {"servers": [{"name": "twin", "bmc_address": "192.0.2.211"}]})
    with pytest.raises(errors.Conflict, match="that of gpu-01"):
        inspect(fleet, "twin", bmc_facts(1))
    assert fleet.server_states()["twin"] == "enrolled"


def test_a_gpu_that_is_gone_is_absent_and_its_server_is_smaller(fleet: Site) -> None:
    facts = bmc_facts(1)
    lost = facts["gpus"].pop(3)
    assert inspect(fleet, "gpu-01", facts).gpu_count == 7
    assert gpus(fleet)[lost["id"]] == (lost["serial_number"], "absent")
    assert inspect(fleet, "gpu-01", bmc_facts(1)).gpu_count == 8
    assert gpus(fleet)[lost["id"]] == (lost["serial_number"], "available")


def test_another_board_in_the_slot_that_nobody_announced_quarantines(fleet: Site) -> None:
    before = gpus(fleet)
    facts = bmc_facts(1)
    facts["gpus"][0]["serial_number"] = "FRESH"
    server = inspect(fleet, "gpu-01", facts)
    assert (server.status, server.gpu_count) == ("quarantined", 8)
    assert "GPU 1: serial number FRESH instead of GPU000101" in (server.status_reason or "")
    # the record goes on knowing the one that it knows
    assert gpus(fleet) == {slot: (serial, "quarantined") for slot, (serial, _state) in before.items()}


def test_a_board_that_changed_its_slot_is_the_same_gpu(fleet: Site) -> None:
    facts = bmc_facts(1)
    facts["gpus"][0]["id"], facts["gpus"][1]["id"] = facts["gpus"][1]["id"], facts["gpus"][0]["id"]
    inspect(fleet, "gpu-01", facts)
    serials = sorted(serial or "" for serial, state in gpus(fleet).values() if state == "available")
    assert serials == [f"GPU0001{slot:02d}" for slot in range(1, 9)]


def test_gpus_without_serial_numbers_are_known_by_slot(fleet: Site) -> None:
    load(fleet, {"servers": [{"name": "ipmi-only", "bmc_address": "192.0.2.98"}]})
    facts = {"gpus": [{"id": "GPU1", "model": "H100"}, {"id": "GPU2", "model": "H100"}]}
    assert inspect(fleet, "ipmi-only", facts).gpu_count == 2
    assert inspect(fleet, "ipmi-only", facts).gpu_count == 2
    assert len(gpus(fleet, "ipmi-only")) == 2


def test_facts_that_are_none_are_refused(fleet: Site) -> None:
    with pytest.raises(errors.Invalid):
        inspect(fleet, "gpu-01", {"bmc": "yes"})


def test_an_operator_takes_a_server_out(fleet: Site) -> None:
    with fleet.database.transaction() as session:
        register.set_state(session, fleet.admin, "gpu-01", "maintenance", "new fan")
        for state in ("available", "flying"):
            with pytest.raises(errors.Invalid):
                register.set_state(session, fleet.admin, "gpu-01", state, "no")
        with pytest.raises(errors.StateConflict):
            register.set_state(session, fleet.admin, "gpu-01", "retired", "no")
        with pytest.raises(errors.Forbidden):
            register.set_state(session, fleet.ada, "gpu-02", "retired", "no")
        register.set_state(session, fleet.admin, "gpu-02", "retired", "scrap")
    assert {state for _, state in gpus(fleet).values()} == {"maintenance"}
    # looking at a server that somebody works on does not put it back into the pool
    assert inspect(fleet, "gpu-01", bmc_facts(1)).status == "maintenance"
    with fleet.database.transaction() as session:
        register.set_state(session, fleet.admin, "gpu-01", "inspecting", "the fan is in")
    assert inspect(fleet, "gpu-01", bmc_facts(1)).status == "available"
    with pytest.raises(errors.Conflict, match="retired"):
        inspect(fleet, "gpu-02", bmc_facts(2))


def test_lifting_one_obstacle_does_not_lift_the_other(fleet: Site) -> None:
    fleet.reserve()
    workflow = fleet.claim_next()
    fleet.step(workflow, "reserve")
    with fleet.database.transaction() as session:
        register.set_freeze(session, SYSTEM, True, "a")
        register.set_flags(session, SYSTEM, "gpu-01", True, "b")
    fleet.begin(workflow, "network_provisioning")
    with fleet.database.transaction() as session:
        claim.surrender(session, workflow.id, workflow.fence, "stopped")
    with fleet.database.transaction() as session:
        register.set_freeze(session, SYSTEM, False)
    assert fleet.workflow(workflow.id).status == "held"
    with fleet.database.transaction() as session:
        register.set_flags(session, SYSTEM, "gpu-01", False)
    assert fleet.workflow(workflow.id).status == "pending"


def test_hands_off_of_somebody_else_is_replaced_only_without_owner(fleet: Site) -> None:
    def flag(hands_off: bool, reason: str | None, owner: str | None) -> str | None:
        with fleet.database.transaction() as session:
            return register.set_flags(session, SYSTEM, "gpu-01", hands_off, reason, owner).hands_off_reason

    flag(False, None, "power.yml")  # nobody keeps it: nothing to say
    flag(True, "power.yml switches it", "power.yml")
    assert flag(True, "power.yml was broken off", "power.yml") == "power.yml was broken off"
    for hands_off in (True, False):
        with pytest.raises(errors.HandsOffHeld) as caught:
            flag(hands_off, "firmware.yml", "firmware.yml")
        assert caught.value.answer == "power.yml was broken off"
    assert flag(True, "on loan", None) == "on loan"
    with pytest.raises(errors.HandsOffHeld, match=r"not by power\.yml"):
        flag(False, None, "power.yml")
    assert flag(False, None, None) is None


def test_a_server_without_interfaces_on_record_is_noted_with_those_its_bmc_shows(fleet: Site) -> None:
    load(fleet, {"servers": [{"name": "gpu-01", "nics": []}]})
    shown = [{"id": "eth0", "mac": "02:00:00:00:0d:01"}, {"id": "usb0", "mac": "02:00:00:00:0d:02"}, {"id": "x"}]
    for facts, words in (
        ({}, "on record: nobody"),
        ({"nics": shown}, "(its BMC shows 02:00:00:00:0d:01, 02:00:00:00:0d:02):"),
    ):
        inspect(fleet, "gpu-01", {**bmc_facts(1), **facts})
        with fleet.database.reading() as session:
            row = session.scalars(select(Server).where(Server.name == "gpu-01")).one()
            config = session.scalars(select(HardwareConfig).where(HardwareConfig.server_id == row.id)).one()
            assert (row.status, row.nics, config.findings) == ("available", [], [])
            assert [words in note for note in config.notes or []] == [True]
    load(fleet, {"servers": [{"name": "gpu-01", "nics": [{"mac": "02:00:00:00:0d:01"}]}]})
    inspect(fleet, "gpu-01", bmc_facts(1))
    with fleet.database.reading() as session:
        assert session.scalars(select(HardwareConfig).join(Server).where(Server.name == "gpu-01")).one().notes == []


def test_automation_sets_and_lifts_its_own_flags_and_nobody_elses(fleet: Site) -> None:
    awx = Actor(id="user_awx", username="awx", role="automation")

    def flag(actor: Actor, hands_off: bool, reason: str | None, owner: str | None) -> bool:
        with fleet.database.transaction() as session:
            return register.set_flags(session, actor, "gpu-01", hands_off, reason, owner).hands_off

    for owner in (None, ""):
        with pytest.raises(errors.Forbidden, match="only flags of its own"):
            flag(awx, True, "power.yml switches it", owner)
    with pytest.raises(errors.Invalid, match=r"does not begin with its owner 'power\.yml'"):
        flag(awx, True, None, "power.yml")
    assert flag(awx, True, "power.yml switches it", "power.yml")
    assert not flag(awx, False, None, "power.yml")
    flag(SYSTEM, True, "on loan", None)
    with pytest.raises(errors.HandsOffHeld):
        flag(awx, False, None, "power.yml")
    with pytest.raises(errors.Forbidden):
        flag(awx, False, None, None)
    with pytest.raises(errors.Forbidden):
        flag(Actor(id="user_ada", username="ada", role="user"), True, "power.yml", "power.yml")


def test_the_switch_is_kept(fleet: Site) -> None:
    with fleet.database.reading() as session:
        switch = session.scalars(select(Switch)).one()
        assert (switch.name, switch.address, switch.grpc_port, switch.username) == ("leaf-1", "192.0.2.1", 9339, "gnmi")
