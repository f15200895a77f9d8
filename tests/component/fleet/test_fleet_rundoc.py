"""The run document, the reports of machines, the template library, the timeline and the outbox."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from sqlalchemy import select

from fleet import clock, errors, events, rundoc
from fleet.actor import SYSTEM, Actor
from fleet.enrolment import values
from fleet.models import Event, Image, MachineReport, Template, Workflow, WorkflowEvent
from fleet.operations import register, release, reports, templates, timeline, users
from tests.component.fleet.support import KEY, OS_TEMPLATE, Site

SHARED = Path(os.environ.get("PALEBLUEDOT_SHARED", Path(__file__).resolve().parents[4] / "shared"))


def document(site: Site, workflow: Workflow, actor: Actor = SYSTEM) -> dict[str, Any]:
    with site.database.reading() as session:
        return rundoc.build(session, actor, workflow.id)


def releasing(site: Site) -> Workflow:
    allocation = site.active()
    with site.database.transaction() as session:
        release.start_release(session, site.ada, allocation)
    return site.claim_next()


def test_the_document_of_an_allocation(fleet: Site) -> None:
    with fleet.database.transaction() as session:
        users.add_ssh_key(session, fleet.ada, "laptop", KEY)
    allocation = fleet.reserve(request="mine", gpu_count=16, parameters={"timezone": "Europe/Berlin"})
    workflow = fleet.claim_next()
    run = document(fleet, workflow)
    assert run == document(fleet, workflow), "asked again it is the same"
    assert run["workflow"] == {
        "id": workflow.id, "kind": "allocate", "attempt": 1, "fence": 1, "executor": "service", "status": "running",
    }  # fmt: skip
    assert run["allocation"] == {
        "id": allocation, "request": "mine", "user": "ada", "gpu_count": 16, "template": "ubuntu-24.04",
        "template_version": "1",
    }  # fmt: skip
    assert run["steps"][2] == {
        "name": "provision", "needs": ["network_provisioning"], "destructive": True, "timeout_s": 1800,
    }  # fmt: skip
    assert [(server["name"], server["rank"]) for server in run["servers"]] == [("gpu-02", 0), ("gpu-03", 1)]
    server = run["servers"][0]
    assert server["bmc_address"] == "192.0.2.12" and server["bmc_credential"] == "service:gpu-02"
    assert server["nics"] == [
        {
            "mac": "02:00:00:00:00:02",
            "switch_port": "Ethernet2",
            "switch": {
                "name": "leaf-1",
                "switch_address": "192.0.2.1",
                "switch_grpc_port": 9339,
                "switch_dialect": "openconfig",
                "switch_ca_path": None,
                "credential": "service:switch/leaf-1",
            },
        }
    ]
    assert server["networks"]["provisioning"] == {
        "name": "provisioning", "vlan": 10, "cidr": "10.10.0.0/24", "prefix": 24, "netmask": "255.255.255.0",
        "gateway": "10.10.0.1", "address": "10.10.0.2",
    }  # fmt: skip
    assert set(server["networks"]) == {"provisioning", "quarantine", "tenant"}
    assert len(server["gpus"]) == 8 and server["gpus"][0]["serial_number"] == "GPU000201"
    assert server["hardware_profile"] == {"bios": {"SriovGlobalEnable": "Enabled"}, "boot_order": ["pxe", "hdd"]}
    text = str(run)
    assert "bmc-secret" not in text and "switch-secret" not in text


def test_tinkerbells_objects(fleet: Site) -> None:
    with fleet.database.transaction() as session:
        users.add_ssh_key(session, fleet.ada, "laptop", KEY)
    allocation = fleet.reserve(parameters={"timezone": "Europe/Berlin"})
    workflow = fleet.claim_next()
    tinkerbell = document(fleet, workflow)["servers"][0]["tinkerbell"]
    spec = tinkerbell["hardware_spec"]
    assert spec["interfaces"] == [
        {
            "dhcp": {
                "mac": "02:00:00:00:00:01",
                "hostname": "gpu-01",
                "ip": {"address": "10.10.0.2", "netmask": "255.255.255.0", "gateway": "10.10.0.1", "family": 4},
                "arch": "x86_64",
                "uefi": True,
                "lease_time": 86400,
            },
            "netboot": {"allowPXE": True, "allowWorkflow": True},
        }
    ]
    assert spec["disks"] == [{"device": "/dev/nvme0n1"}, {"device": "/dev/nvme1n1"}]
    data = yaml.safe_load(tinkerbell["template_data"].replace("{{.device_1}}", "D").replace("{{ index", "I"))
    action = data["tasks"][0]["actions"][0]["environment"]
    assert action["ADDRESS"] == "127.30.0.2/28" and action["IMG_URL"] == "http://images.example/ubuntu.raw.gz"
    assert '"{{.device_1}}"' in tinkerbell["template_data"], "Tinkerbell's own templates pass through"
    user_data = yaml.safe_load(spec["userData"])
    assert spec["userData"].startswith("#cloud-config\n")
    assert (user_data["hostname"], user_data["timezone"]) == ("gpu-01", "Europe/Berlin")
    assert user_data["ssh_authorized_keys"] == [KEY]
    assert user_data["phone_home"]["url"].startswith("http://service.example:8080/api/v1/ingest/first-boot/")
    assert tinkerbell["hardware"] == "gpu-01" and tinkerbell["hardware_map"] == {"device_1": "02:00:00:00:00:01"}
    assert tinkerbell["labels"] == {
        "palebluedot.io/workflow": workflow.id,
        "palebluedot.io/server": "gpu-01",
        "palebluedot.io/allocation": allocation,
    }
    for name in (tinkerbell["template_name"], tinkerbell["workflow_name"]):
        assert values.DNS_LABEL.fullmatch(name)
    assert fleet.workflow(workflow.id).tinkerbell_id == tinkerbell["workflow_name"]


def test_a_release_has_the_erase_template_and_no_user_data(fleet: Site) -> None:
    workflow = releasing(fleet)
    tinkerbell = document(fleet, workflow)["servers"][0]["tinkerbell"]
    assert "userData" not in tinkerbell["hardware_spec"]
    assert tinkerbell["hardware_spec"]["interfaces"][0]["dhcp"]["ip"]["address"] == "10.20.0.2", "quarantine"
    assert "/api/v1/ingest/erase/" in tinkerbell["template_data"]


def test_a_clean_has_no_allocation(fleet: Site) -> None:
    with fleet.database.transaction() as session:
        register.set_state(session, SYSTEM, "gpu-03", "quarantined", "odd")
        release.start_clean(session, SYSTEM, "gpu-03")
    run = document(fleet, fleet.claim_next())
    assert run["allocation"] is None
    assert set(run["servers"][0]["networks"]) == {"provisioning", "quarantine"}
    assert "palebluedot.io/allocation" not in run["servers"][0]["tinkerbell"]["labels"]


def test_only_those_who_may_run_it_read_it(fleet: Site) -> None:
    fleet.reserve()
    workflow = fleet.claim_next()
    for actor in (fleet.ada, Actor("usr_x", "eve", "auditor"), Actor("usr_x", "job", "automation", "wf_other")):
        with pytest.raises(errors.Forbidden):
            document(fleet, workflow, actor)
    assert document(fleet, workflow, Actor("usr_x", "job", "automation", workflow.id))


def test_a_server_without_a_nic_cannot_be_run(fleet: Site) -> None:
    fleet.reserve()
    workflow = fleet.claim_next()
    with fleet.database.transaction() as session:
        register.import_fleet(session, SYSTEM, {"servers": [{"name": "gpu-01", "nics": []}]})
    with pytest.raises(errors.StateConflict, match="cannot boot"):
        document(fleet, workflow)


@pytest.mark.parametrize("generation", ["tink-v0.12.2", "tinkerbell-v0.25.0"])
def test_the_hardware_is_what_tinkerbells_own_schema_allows(fleet: Site, generation: str) -> None:
    found = sorted((SHARED / "data" / "tinkerbell" / generation).rglob("tinkerbell.org_hardware.yaml"))
    if not found:
        pytest.skip(f"the CRDs of {generation} are not here (PALEBLUEDOT_SHARED)")
    crd = yaml.safe_load(found[0].read_text())
    schema = _closed(crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"])
    fleet.reserve()
    for workflow in (fleet.claim_next(),):
        spec = document(fleet, workflow)["servers"][0]["tinkerbell"]["hardware_spec"]
        assert [error.message for error in Draft202012Validator(schema).iter_errors(spec)] == []
    assert list(Draft202012Validator(schema).iter_errors({"disks": [{"path": "/dev/sda"}]})), "the schema is closed"


def _closed(schema: Any) -> Any:
    """The schema with unknown fields refused: a Kubernetes API would drop them in silence."""
    if isinstance(schema, list):
        return [_closed(entry) for entry in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: _closed(value) for key, value in schema.items()}
    open_object = closed.get("x-kubernetes-preserve-unknown-fields") or "additionalProperties" in closed
    if isinstance(closed.get("properties"), dict) and closed.get("type") == "object" and not open_object:
        closed["additionalProperties"] = False
    return closed


def test_a_report_is_taken_once_from_whoever_has_its_token(fleet: Site) -> None:
    fleet.reserve()
    workflow = fleet.claim_next()
    url = yaml.safe_load(document(fleet, workflow)["servers"][0]["tinkerbell"]["hardware_spec"]["userData"])
    token = url["phone_home"]["url"].rpartition("/")[2]

    def read(actor: Actor = SYSTEM) -> MachineReport:
        with fleet.database.reading() as session:
            return reports.get(session, actor, workflow.id, "first-boot", "gpu-01")

    with pytest.raises(errors.NotFound) as caught:
        read()
    assert caught.value.code == "report_not_received"
    with fleet.database.transaction() as session:
        assert token not in str([vars(row) for row in session.scalars(select(MachineReport))])
        for kind, wrong in (("erase", token), ("first-boot", "x" + token)):
            with pytest.raises(errors.NotFound):
                reports.receive(session, kind, wrong, {})
        reports.receive(session, "first-boot", token, {"hostname": "gpu-01", "root_password": "x"}, "10.10.0.2")
        reports.receive(session, "first-boot", token, {"hostname": "forged"})
    row = read()
    assert row.body == {"hostname": "gpu-01", "root_password": "***"} and row.remote_addr == "10.10.0.2"
    with pytest.raises(errors.Forbidden):
        read(fleet.ada)
    fleet.finish(workflow)
    with pytest.raises(errors.NotFound), fleet.database.transaction() as session:
        reports.receive(session, "first-boot", token, {})
    assert read().received_at is not None


def test_seeding_again_changes_nothing_and_used_versions_never_change(fleet: Site) -> None:
    with fleet.database.transaction() as session:
        assert {seeded.outcome for seeded in templates.seed(session)} == {"unchanged"}
        changed = OS_TEMPLATE.replace("Ubuntu for tests", "Ubuntu, changed")
        assert templates.store(session, SYSTEM, changed).outcome == "updated"
        assert templates.store(session, SYSTEM, OS_TEMPLATE).outcome == "updated"
        with pytest.raises(errors.Forbidden):
            templates.store(session, fleet.ada, changed)
    fleet.reserve()
    with pytest.raises(errors.Conflict) as caught, fleet.database.transaction() as session:
        templates.store(session, SYSTEM, changed)
    assert caught.value.code == "template_immutable"
    with fleet.database.transaction() as session:
        templates.store(session, SYSTEM, changed.replace('version: "1"', 'version: "2"'))
        assert templates.find(session, "ubuntu-24.04").version == "2"
        assert templates.find(session, "ubuntu-24.04", "1").description == "Ubuntu for tests"
        image = session.scalars(select(Image)).one()
        assert (image.url, image.sha256, image.os) == ("http://images.example/ubuntu.raw.gz", "aa", "ubuntu 24.04")
        assert session.scalars(select(Template.serial).order_by(Template.serial)).all() == [1, 1, 2]


def test_a_wrong_template_file_is_named(fleet: Site, tmp_path: Path) -> None:
    (tmp_path / "broken.yml").write_text(OS_TEMPLATE.replace("provision, needs", "teleport, needs"))
    unregistered = pytest.raises(errors.Invalid, match=r"broken\.yml.*teleport is not registered")
    with unregistered, fleet.database.transaction() as session:
        templates.seed(session, tmp_path)


def test_events_of_the_runner_are_kept_once_and_bounded(fleet: Site) -> None:
    workflow = fleet.workflow_of(fleet.reserve())
    events_ = [
        {"counter": 1, "event": "playbook_on_start"},
        {"counter": 2, "event": "runner_on_ok", "host": "gpu-01", "task": "x" * 300, "data": {"a": "y" * 5000}},
    ]
    with fleet.database.transaction() as session:
        assert timeline.store(session, workflow, 1, events_) == 2
        assert timeline.store(session, workflow, 1, [*events_, {"counter": 3, "event": "playbook_on_stats"}]) == 1
        assert timeline.store(session, workflow, 2, events_[:1]) == 1
    with fleet.database.reading() as session:
        rows = session.scalars(select(WorkflowEvent).order_by(WorkflowEvent.attempt, WorkflowEvent.counter)).all()
        assert [(row.attempt, row.counter) for row in rows] == [(1, 1), (1, 2), (1, 3), (2, 1)]
        assert rows[1].data is not None and rows[1].data["cut"] and len(rows[1].task or "") == 255


def test_the_outbox_is_relayed_in_order_at_least_once(fleet: Site) -> None:
    fleet.reserve()
    seen: list[dict[str, Any]] = []

    def fails_at_the_fourth(event: dict[str, Any]) -> None:
        if len(seen) == 3:
            raise ConnectionError
        seen.append(event)

    with fleet.database.reading() as session:
        total = len(session.scalars(select(Event.seq)).all())
    with fleet.database.transaction() as session:
        assert events.relay(session, fails_at_the_fourth) == 3
    with pytest.raises(ConnectionError), fleet.database.transaction() as session:
        events.relay(session, fails_at_the_fourth)
    rest: list[dict[str, Any]] = []
    with fleet.database.transaction() as session:
        while events.relay(session, rest.append, limit=50):
            pass
    sequence = [event["data"]["seq"] for event in seen + rest]
    assert sequence == sorted(set(sequence)) and len(sequence) == total
    first = seen[0]
    assert first["specversion"] == "1.0" and first["type"] == "palebluedot.server.enrolled.v1"
    assert set(first["data"]) == {"id", "state", "previous", "reason", "actor", "workflow_id", "seq"}
    with fleet.database.transaction() as session:
        assert events.prune(session, timedelta(days=7)) == 0
        with clock.travel(timedelta(days=8)):
            assert events.prune(session, timedelta(days=7)) == total
