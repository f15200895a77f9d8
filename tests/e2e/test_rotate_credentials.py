"""New passwords for BMCs; and runs that are killed in the middle of it, and run again."""

from __future__ import annotations

import base64
import subprocess

import pytest
import requests
from ansible_collections.palebluedot.gpu.plugins.module_utils.tinkerbell.kube import Kube
from sqlalchemy import select

from fleet import db
from fleet.actor import SYSTEM
from fleet.models import AuditEntry
from fleet.operations import credentials
from tests.support.site import Site

pytestmark = pytest.mark.e2e
SITE = {"servers": 3, "environment": {"PALEBLUEDOT_COLLECT_INTERVAL_S": "0"}}

ACCOUNT = "/redfish/v1/AccountService/Accounts/"


def rotate(site: Site, server: str, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    return site.playbook("rotate_credentials.yml", "-e", f"target={server}", *arguments, check=check)


def on_record(site: Site, server: str) -> credentials.Secret:
    with db.transaction() as session:
        return credentials.of_server(session, SYSTEM, server)


def opens(site: Site, server: str, username: str, password: str) -> bool:
    """Whether the pair opens the machine's BMC: one login, of a client that is not ours."""
    entry = next(item for item in site.stage.fleet_document()["servers"] if item["name"] == server)
    url = f"https://{entry['bmc_address']}:{entry['bmc_port']}/redfish/v1/SessionService/Sessions"
    answer = requests.post(
        url, json={"UserName": username, "Password": password}, verify=entry["bmc_ca_path"], timeout=10
    )
    return answer.status_code == 201


def changes(site: Site, server: str, since: int) -> int:
    """How many times the password was written at the BMC."""
    return len([entry for entry in site.log(server, since) if entry["action"].startswith(f"PATCH {ACCOUNT}")])


def fault(site: Site, server: str, match: str, kind: str) -> None:
    site.lab("POST", "/faults", {"machine": server, "layer": "redfish", "match": match, "kind": kind, "count": None})


def test_a_rotation_changes_the_bmc_the_record_and_tinkerbells_secret(site: Site) -> None:
    before = on_record(site, "gpu-001")
    with Kube(site.stage.facts["kubeconfig"]) as kube:
        kube.create(
            "/apis/bmc.tinkerbell.org/v1alpha1/namespaces/tinkerbell/machines",
            {
                "apiVersion": "bmc.tinkerbell.org/v1alpha1",
                "kind": "Machine",
                "metadata": {"name": "gpu-001", "namespace": "tinkerbell"},
                "spec": {
                    "connection": {
                        "host": "127.0.0.1",
                        "authSecretRef": {"name": "bmc-gpu-001", "namespace": "tinkerbell"},
                        "insecureTLS": True,
                    }
                },
            },
        )
        mark = site.mark()
        planned = rotate(site, "gpu-001", "--check").stdout
        assert "failed=0" in planned
        assert changes(site, "gpu-001", mark) == 0
        assert on_record(site, "gpu-001").proposed_password is None

        said = rotate(site, "gpu-001").stdout
        after = on_record(site, "gpu-001")
        assert after.password != before.password and after.proposed_password is None and after.rotated_at is not None
        assert changes(site, "gpu-001", mark) == 1
        assert opens(site, "gpu-001", after.username, after.password)
        assert not opens(site, "gpu-001", before.username, before.password)
        secret = kube.get("/api/v1/namespaces/tinkerbell/secrets/bmc-gpu-001")["data"]
        assert base64.b64decode(secret["password"]).decode() == after.password
        assert after.password not in said and before.password not in said

        # lately changed: left alone; and what uses the record finds the way in
        assert "changed=0" in rotate(site, "gpu-001", "-e", "older_than_days=30").stdout
        assert on_record(site, "gpu-001").password == after.password
        site.playbook("power.yml", "-e", "target=gpu-001", "-e", "state=on")
    with db.reading() as session:
        actions = set(session.scalars(select(AuditEntry.action).where(AuditEntry.action.like("credential.%"))))
    assert {"credential.propose", "credential.confirm"} <= actions


def test_killed_before_the_bmc_has_the_new_password(site: Site) -> None:
    before = on_record(site, "gpu-002")
    mark = site.mark()
    fault(site, "gpu-002", f"PATCH {ACCOUNT}*", "hang")
    try:
        site.killed(
            "rotate_credentials.yml", "-e", "target=gpu-002", when=lambda: on_record(site, "gpu-002").proposed_password
        )
    finally:
        site.lab("DELETE", "/faults")
    between = on_record(site, "gpu-002")
    assert between.password == before.password and between.proposed_password
    assert opens(site, "gpu-002", before.username, before.password)
    # killed before or after it took hands off: neither stops the next run, and that puts them back
    rotate(site, "gpu-002")
    assert "gpu-002" not in site.hands_off()
    after = on_record(site, "gpu-002")
    assert after.password == between.proposed_password, "the proposal that stood, and no second one"
    assert changes(site, "gpu-002", mark) == 1
    assert opens(site, "gpu-002", after.username, after.password)


def test_killed_after_the_bmc_has_the_new_password_and_before_anybody_knows(site: Site) -> None:
    before = on_record(site, "gpu-003")
    mark = site.mark()
    # the login with the new password never gets to its end, so the run stands there until it is killed
    fault(site, "gpu-003", "DELETE /redfish/v1/SessionService/Sessions/*", "hang")
    try:
        site.killed("rotate_credentials.yml", "-e", "target=gpu-003", when=lambda: changes(site, "gpu-003", mark))
    finally:
        site.lab("DELETE", "/faults")
    between = on_record(site, "gpu-003")
    assert between.password == before.password and between.proposed_password
    assert opens(site, "gpu-003", between.username, between.proposed_password)
    # what is in force on record does not open the BMC now: no workflow comes, and the same command puts that right
    assert site.hands_off()["gpu-003"].endswith(") changes its password")
    assert "hands are off" in site.playbook("power.yml", "-e", "target=gpu-003", "-e", "state=on", check=False).stdout
    rotate(site, "gpu-003")
    assert "gpu-003" not in site.hands_off()
    after = on_record(site, "gpu-003")
    assert after.password == between.proposed_password and after.proposed_password is None
    assert changes(site, "gpu-003", mark) == 1, "it had it already"
    assert opens(site, "gpu-003", after.username, after.password)
    assert not site.lab("GET", "/machines/gpu-003").get("locked")


def test_hands_off_and_a_bmc_that_takes_no_such_password(site: Site) -> None:
    site.client.set_server_flags("gpu-002", {"hands_off": True, "reason": "on loan to the vendor"})
    try:
        before = on_record(site, "gpu-002")
        assert rotate(site, "gpu-002", check=False).returncode != 0
        assert on_record(site, "gpu-002") == before
    finally:
        site.client.set_server_flags("gpu-002", {"hands_off": False, "reason": None})
    with db.transaction() as session:
        credentials.propose(session, SYSTEM, "gpu-002", credentials.Proposal(password="too short"))
    done = rotate(site, "gpu-002", check=False)
    assert done.returncode != 0 and "13 to 20" in done.stdout
    after = on_record(site, "gpu-002")
    assert after.password == before.password and after.proposed_password is None, "withdrawn: it was never sent"
    assert opens(site, "gpu-002", after.username, after.password)
    assert "gpu-002" not in site.hands_off(), "what opens it is known"


def test_hands_stay_off_while_it_is_not_known_which_password_opens_the_bmc(site: Site) -> None:
    mark = site.mark()
    fault(site, "gpu-001", f"PATCH {ACCOUNT}*", "drop")
    try:
        done = rotate(site, "gpu-001", check=False)
    finally:
        site.lab("DELETE", "/faults")
    assert done.returncode != 0
    assert site.hands_off()["gpu-001"].startswith("rotate_credentials.yml was broken off: ")
    rotate(site, "gpu-001")
    assert changes(site, "gpu-001", mark) == 1 and "gpu-001" not in site.hands_off()
