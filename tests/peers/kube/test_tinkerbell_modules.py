"""The tinkerbell_* operations against a real kube-apiserver with the published CRDs, in both generations.

Nothing behind the API server works on the objects, so the test plays Tinkerbell's controller and writes their status.
"""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import NotFound, PaleBlueDotError
from ansible_collections.palebluedot.gpu.plugins.module_utils.tinkerbell import simple, workflow

pytestmark = pytest.mark.peers
Json = dict[str, Any]

TEMPLATE = """\
version: "0.1"
name: peer
global_timeout: 600
tasks:
  - name: os
    worker: "{{.device_1}}"
    actions:
      - {name: stream, image: quay.io/tinkerbell/actions/image2disk:latest, timeout: 60}
"""
MAC = "02:00:00:00:00:01"
SPEC: Json = {
    "disks": [{"device": "/dev/nvme0n1"}],
    "interfaces": [
        {
            "dhcp": {
                "mac": MAC,
                "arch": "x86_64",
                "uefi": True,
                "ip": {"address": "192.0.2.10", "netmask": "255.255.255.0"},
            },
            "netboot": {"allowPXE": True, "allowWorkflow": True},
        }
    ],
    "userData": "#cloud-config\n{}\n",
}


class Controller:
    """The API server as Tinkerbell's controller sees it."""

    def __init__(self, kubeconfig: Path) -> None:
        document = yaml.safe_load(kubeconfig.read_text())
        cluster = document["clusters"][0]["cluster"]
        self.url = f"{cluster['server']}/apis/tinkerbell.org/v1alpha1/namespaces/tinkerbell"
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.verify = cluster["certificate-authority"]
        self.session.headers["Authorization"] = f"Bearer {document['users'][0]['user']['token']}"
        schema = self.session.get(
            f"{cluster['server']}/apis/apiextensions.k8s.io/v1/customresourcedefinitions/workflows.tinkerbell.org",
            timeout=10,
        ).json()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
        self.old = "currentAction" in schema["properties"]["status"]["properties"]

    def read(self, plural: str, name: str) -> Json:
        answer = self.session.get(f"{self.url}/{plural}/{name}".rstrip("/"), timeout=10)
        answer.raise_for_status()
        return dict(answer.json())

    def set_state(self, name: str, state: str) -> None:
        """As the controller writes it: prefixed in tink 0.12."""
        answer = self.session.patch(
            f"{self.url}/workflows/{name}/status",
            json={"status": {"state": f"STATE_{state}" if self.old else state}},
            headers={"Content-Type": "application/merge-patch+json"},
            timeout=10,
        )
        answer.raise_for_status()
        said = answer.json()["status"]["state"]
        assert said == (f"STATE_{state}" if self.old else state)

    def play(self, name: str, *states: str) -> threading.Thread:
        """Walk the workflow through states, a moment apart, once it exists."""

        def walk() -> None:
            deadline = time.monotonic() + 30
            while time.monotonic() < deadline:
                if self.session.get(f"{self.url}/workflows/{name}", timeout=10).ok:
                    break
                time.sleep(0.05)
            for state in states:
                time.sleep(0.2)
                self.set_state(name, state)

        thread = threading.Thread(target=walk, daemon=True)
        thread.start()
        return thread


@pytest.fixture
def controller(kubeconfig: Path) -> Controller:
    return Controller(kubeconfig)


@pytest.fixture
def common(kubeconfig: Path) -> Json:
    return {"kubeconfig": str(kubeconfig), "context": None, "namespace": "tinkerbell", "state": "present"}


def test_hardware_check_apply_repeat_change_remove(common: Json, controller: Controller) -> None:
    params = {**common, "name": "hw-1", "spec": SPEC, "labels": {"rack": "r1"}}
    assert simple.run_hardware(params, True)["changed"]
    assert controller.session.get(f"{controller.url}/hardware/hw-1", timeout=10).status_code == 404
    assert simple.run_hardware(params, False)["changed"]
    stored = controller.read("hardware", "hw-1")
    assert stored["spec"]["interfaces"][0]["dhcp"]["mac"] == MAC
    assert not simple.run_hardware(params, False)["changed"]
    # a label that somebody else has put there stays
    controller.session.patch(
        f"{controller.url}/hardware/hw-1",
        json={"metadata": {"labels": {"theirs": "yes"}}},
        headers={"Content-Type": "application/merge-patch+json"},
        timeout=10,
    ).raise_for_status()
    closed = {**SPEC, "userData": ""}
    assert simple.run_hardware({**params, "spec": closed}, False)["changed"]
    stored = controller.read("hardware", "hw-1")
    assert not stored["spec"].get("userData")
    assert stored["metadata"]["labels"] == {"rack": "r1", "theirs": "yes"}
    assert simple.run_hardware({**params, "state": "absent"}, False)["changed"]
    assert not simple.run_hardware({**params, "state": "absent"}, False)["changed"]


def test_the_schema_refuses_what_it_does_not_know_with_a_typed_error(common: Json) -> None:
    broken = {**SPEC, "interfaces": [{"dhcp": {"mac": 5}}]}
    with pytest.raises(PaleBlueDotError) as caught:
        simple.run_hardware({**common, "name": "hw-2", "spec": broken, "labels": None}, False)
    assert "mac" in f"{caught.value.message} {caught.value.answer}"
    assert caught.value.tried


def test_a_workflow_is_waited_for_and_adopted(common: Json, controller: Controller) -> None:
    params = {
        **common,
        "name": "wf-1",
        "template_ref": "tpl-1",
        "hardware_ref": "hw-3",
        "hardware_map": {"device_1": MAC},
        "boot_options": {"toggleAllowNetboot": True},
        "labels": {"for": "peer"},
        "wait": True,
        "wait_timeout": 40,
        "start_timeout": 20,
    }
    simple.run_template({**common, "name": "tpl-1", "data": TEMPLATE, "labels": None}, False)
    simple.run_hardware({**common, "name": "hw-3", "spec": SPEC, "labels": None}, False)
    player = controller.play("wf-1", "PENDING", "RUNNING", "POST", "SUCCESS")
    done = workflow.run(params, False)
    player.join(10)
    assert done["changed"]
    assert done["workflow"]["state"] == "SUCCESS"
    again = workflow.run(params, False)
    assert not again["changed"]
    assert again["workflow"]["name"] == "wf-1"
    assert workflow.run({**params, "state": "absent"}, False)["changed"]
    with pytest.raises(requests.HTTPError):
        controller.read("workflows", "wf-1")


def test_a_failed_workflow_is_replaced_by_the_next_of_its_series(common: Json, controller: Controller) -> None:
    params = {
        **common,
        "name": "wf-2",
        "template_ref": "tpl-2",
        "hardware_ref": "hw-4",
        "hardware_map": {"device_1": MAC},
        "boot_options": {"toggleAllowNetboot": True},
        "labels": None,
        "wait": True,
        "wait_timeout": 40,
        "start_timeout": 20,
    }
    simple.run_template({**common, "name": "tpl-2", "data": TEMPLATE, "labels": None}, False)
    simple.run_hardware({**common, "name": "hw-4", "spec": SPEC, "labels": None}, False)
    player = controller.play("wf-2", "RUNNING", "FAILED")
    with pytest.raises(PaleBlueDotError) as caught:
        workflow.run(params, False)
    player.join(10)
    assert caught.value.code == "workflow_failed"
    # Tinkerbell leaves the network boot open after a failure: it is closed
    assert controller.read("hardware", "hw-4")["spec"]["interfaces"][0]["netboot"]["allowPXE"] is False
    player = controller.play("wf-2-2", "RUNNING", "SUCCESS")
    done = workflow.run(params, False)
    player.join(10)
    assert done["workflow"]["name"] == "wf-2-2"
    assert controller.session.get(f"{controller.url}/workflows/wf-2", timeout=10).status_code == 404


def test_a_workflow_that_is_deleted_while_it_is_waited_for_says_so(common: Json, controller: Controller) -> None:
    params = {
        **common,
        "name": "wf-3",
        "template_ref": "tpl-3",
        "hardware_ref": "hw-5",
        "hardware_map": {},
        "boot_options": None,
        "labels": None,
        "wait": True,
        "wait_timeout": 30,
        "start_timeout": 20,
    }

    def delete() -> None:
        controller.play("wf-3", "PENDING").join(10)
        controller.session.delete(f"{controller.url}/workflows/wf-3", timeout=10)

    thread = threading.Thread(target=delete, daemon=True)
    thread.start()
    with pytest.raises(NotFound) as caught:
        workflow.run(params, False)
    thread.join(10)
    assert caught.value.code == "workflow_deleted"


def test_with_the_machine_off_what_was_under_way_is_replaced_and_others_go(
    common: Json, controller: Controller
) -> None:
    params = {
        **common,
        "name": "wf-6",
        "template_ref": "tpl-6",
        "hardware_ref": "hw-6",
        "hardware_map": {"device_1": MAC},
        "boot_options": None,
        "labels": None,
        "wait": False,
        "fresh": True,
    }
    for template in ("tpl-6", "tpl-6-given-up", "tpl-6-shared"):
        simple.run_template({**common, "name": template, "data": TEMPLATE, "labels": None}, False)
    simple.run_hardware({**common, "name": "hw-6", "spec": SPEC, "labels": None}, False)
    given_up = {**params, "fresh": False}
    workflow.run({**given_up, "name": "given-up", "template_ref": "tpl-6-given-up"}, False)
    workflow.run({**given_up, "name": "given-up-too", "template_ref": "tpl-6-shared"}, False)
    workflow.run({**given_up, "name": "elsewhere", "template_ref": "tpl-6-shared", "hardware_ref": "hw-7"}, False)
    assert workflow.run(params, False)["workflow"]["name"] == "wf-6"
    left = {item["metadata"]["name"] for item in controller.read("workflows", "")["items"]}
    assert left & {"given-up", "given-up-too", "elsewhere", "wf-6"} == {"elsewhere", "wf-6"}
    templates = {item["metadata"]["name"] for item in controller.read("templates", "")["items"]}
    assert templates >= {"tpl-6", "tpl-6-shared"}
    assert "tpl-6-given-up" not in templates
    # one that nobody has taken up is kept, one that was cut off is not
    controller.set_state("wf-6", "PENDING")
    assert not workflow.run(params, False)["changed"]
    controller.set_state("wf-6", "RUNNING")
    assert workflow.run(params, False)["workflow"]["name"] == "wf-6-2"
