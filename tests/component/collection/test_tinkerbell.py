"""The tinkerbell modules against the lab's Kubernetes API, in both shapes of Tinkerbell's kinds."""

from __future__ import annotations

import base64
import copy
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.palebluedot.gpu.plugins.module_utils import errors
from ansible_collections.palebluedot.gpu.plugins.module_utils.tinkerbell import dialect, simple, workflow

from lab.clock import Clock
from lab.faults import FaultSet
from lab.kube.crds import tinkerbell_resources
from lab.kube.managed import Writer
from lab.kube.server import KubeServer
from lab.kube.store import Store
from lab.log import WriteLog
from lab.pki import CertificateAuthority

MAC = "02:47:50:14:00:01"
NAMESPACE = "tinkerbell"
CONTROLLER = Writer("controller", "Update", "status")

TEMPLATE = """\
version: "0.1"
name: ubuntu
global_timeout: 600
tasks:
  - name: os
    worker: "{{.device_1}}"
    actions:
      - {name: stream, image: image2disk, timeout: 300}
      - {name: boot, image: kexec, timeout: 90}
"""
SPEC: dict[str, Any] = {
    "disks": [{"device": "/dev/nvme0n1"}],
    "interfaces": [
        {
            "dhcp": {
                "mac": MAC,
                "arch": "x86_64",
                "uefi": True,
                "ip": {"address": "10.0.0.7", "netmask": "255.255.255.0"},
            },
            "netboot": {"allowPXE": False, "allowWorkflow": True},
        }
    ],
    "userData": "#cloud-config\npassword: hunter22222\n",
}


class Cluster:
    """A served store, and a controller as far as a test plays one."""

    def __init__(self, loop: Any, directory: Path, shape: str) -> None:
        self.loop = loop
        self.shape = shape
        self.faults = FaultSet()
        self.log = WriteLog(Clock())
        self.store = Store(tinkerbell_resources(shape))  # type: ignore[arg-type]
        authority = CertificateAuthority()
        context = authority.server_context(directory, "kube")
        self.server = KubeServer(self.store, "secret-token", context, self.log, self.faults)
        loop.run(self.server.start())
        self.kubeconfig = directory / "kubeconfig.yml"
        self.kubeconfig.write_text(yaml.safe_dump(self.server.kubeconfig(authority.pem)))
        loop.call(self._namespace)

    def _namespace(self) -> None:
        resource = self.store.resource("", "v1", "namespaces")
        assert resource is not None
        if not any(item["metadata"]["name"] == NAMESPACE for item in self.store.list(resource, "", lambda _o: True)):
            self.store.create(resource, "", {"metadata": {"name": NAMESPACE}}, CONTROLLER, False)

    def _resource(self, plural: str) -> Any:
        return self.store.resource("tinkerbell.org", "v1alpha1", plural)

    def find(self, plural: str) -> dict[str, dict[str, Any]]:
        items = self.loop.call(self.store.list, self._resource(plural), NAMESPACE, lambda _o: True)
        return {item["metadata"]["name"]: copy.deepcopy(item) for item in items}

    def status(self, name: str, **status: Any) -> None:
        """Write a Workflow's status, as the controller does: as soon as there is one."""
        deadline = time.monotonic() + 20
        while name not in self.find("workflows") and time.monotonic() < deadline:
            time.sleep(0.05)
        self.loop.call(
            self.store.patch,
            self._resource("workflows"),
            NAMESPACE,
            name,
            lambda item: {**item, "status": {**(item.get("status") or {}), **status}},
            CONTROLLER,
            False,
        )

    def state(self, name: str, state: str, **more: Any) -> None:
        self.status(name, state=f"STATE_{state}" if self.shape == "0.12.2" else state, **more)

    def fault(self, **fault: Any) -> None:
        self.faults.add("*", "kube", **fault)

    def params(self, **more: Any) -> dict[str, Any]:
        return {
            "kubeconfig": str(self.kubeconfig),
            "context": None,
            "namespace": NAMESPACE,
            "state": "present",
            "labels": None,
            **more,
        }

    def args(self, **more: Any) -> dict[str, Any]:
        return {"kubeconfig": str(self.kubeconfig), "namespace": NAMESPACE, **more}

    def workflow(self, **more: Any) -> dict[str, Any]:
        return self.params(
            **{
                "name": "install",
                "template_ref": "ubuntu",
                "hardware_ref": "gpu-001",
                "hardware_map": {"device_1": MAC},
                "boot_options": {"toggleAllowNetboot": True},
                "wait": True,
                "wait_timeout": 10,
                "start_timeout": 10,
                **more,
            }
        )

    def writes(self) -> list[str]:
        return [
            f"{entry.action} {entry.detail['name']}"
            for entry in self.log.select(layer="kube")
            if entry.detail["name"] != NAMESPACE
        ]


@pytest.fixture(params=["mono", "0.12.2"])
def cluster(loop: Any, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Cluster]:
    served = Cluster(loop, tmp_path, request.param)
    yield served
    loop.run(served.server.stop())


@pytest.fixture
def mono(loop: Any, tmp_path: Path) -> Iterator[Cluster]:
    served = Cluster(loop, tmp_path, "mono")
    yield served
    loop.run(served.server.stop())


def later(seconds: float, *calls: Callable[[], Any]) -> threading.Thread:
    """Play the controller: the calls, one after another, each ``seconds`` after the one before."""

    def play() -> None:
        for call in calls:
            time.sleep(seconds)
            call()

    thread = threading.Thread(target=play, daemon=True)
    thread.start()
    return thread


def failed_task(shape: str, message: str) -> list[dict[str, Any]]:
    action = {"name": "stream", "image": "image2disk", "timeout": 300, "message": message}
    if shape == "mono":
        return [{"name": "os", "agentID": MAC, "id": "1", "actions": [{**action, "id": "1", "state": "FAILED"}]}]
    task = {"name": "os", "worker": MAC, "actions": [{**action, "status": "STATE_FAILED"}]}
    return [task]


# -- hardware and template ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("module", "args", "key"),
    [
        ("tinkerbell_hardware", {"name": "gpu-001", "spec": SPEC, "labels": {"rack": "r1"}}, "hardware"),
        ("tinkerbell_template", {"name": "ubuntu", "data": TEMPLATE, "labels": {"rack": "r1"}}, "template"),
        (
            "tinkerbell_workflow",
            {
                "name": "install",
                "template_ref": "ubuntu",
                "hardware_ref": "gpu-001",
                "wait": False,
                "labels": {"rack": "r1"},
            },
            "workflow",
        ),
    ],
)
def test_check_apply_repeat(plays: Any, mono: Cluster, module: str, args: dict[str, Any], key: str) -> None:
    ran = plays.life(module, mono.args(**args))
    check, apply, repeat = ran[0], ran[1], ran[2]
    assert (check["changed"], apply["changed"], repeat["changed"]) == (True, True, False), ran.output
    assert check["diff"] == apply["diff"]
    assert repeat["diff"]["before"] == repeat["diff"]["after"]
    assert check[key]["name"] == apply[key]["name"] == args["name"]
    assert apply[key]["labels"]["rack"] == "r1"
    assert len(mono.writes()) == 1
    assert "hunter22222" not in ran.output


def test_a_defaulted_field_is_no_difference(cluster: Cluster) -> None:
    """The CRD fills in disableDhcp: false; a repeated run must not see a change in it."""
    params = cluster.params(name="gpu-001", spec=SPEC)
    assert simple.run_hardware(params, False)["changed"]
    assert cluster.find("hardware")["gpu-001"]["spec"]["interfaces"][0]["disableDhcp"] is False
    cluster.fault(kind="status", value=403, match="PATCH *")
    assert not simple.run_hardware(params, False)["changed"], "and writes nothing"


def test_what_is_not_declared_any_more_goes(cluster: Cluster) -> None:
    simple.run_hardware(cluster.params(name="gpu-001", spec=SPEC), False)
    wanted = {**SPEC, "userData": ""}
    result = simple.run_hardware(cluster.params(name="gpu-001", spec=wanted), False)
    assert result["changed"]
    without = {name: value for name, value in SPEC.items() if name != "userData"}
    simple.run_hardware(cluster.params(name="gpu-001", spec=SPEC), False)
    assert simple.run_hardware(cluster.params(name="gpu-001", spec=without), False)["changed"]
    assert "userData" not in cluster.find("hardware")["gpu-001"]["spec"]


def test_labels_are_merged_and_spec_is_kept(cluster: Cluster) -> None:
    simple.run_hardware(cluster.params(name="gpu-001", spec=SPEC, labels={"rack": "r1", "old": "x"}), False)
    simple.run_hardware(cluster.params(name="gpu-001", spec=None, labels={"tenant": "a", "old": None}), False)
    item = cluster.find("hardware")["gpu-001"]
    assert item["metadata"]["labels"] == {"rack": "r1", "tenant": "a"}
    assert item["spec"]["disks"] == SPEC["disks"]


def test_user_data_is_shown_as_a_digest(mono: Cluster) -> None:
    result = simple.run_hardware(mono.params(name="gpu-001", spec=SPEC), True)
    assert result["hardware"]["spec"]["userData"].startswith("sha256:")
    assert result["diff"]["after"]["spec"]["userData"].startswith("sha256:")


def test_a_field_that_the_cluster_does_not_know_is_an_error(mono: Cluster) -> None:
    spec = {**SPEC, "warpDrive": {"speed": 9}}
    with pytest.raises(errors.Unsupported, match=r"does not know spec\.warpDrive"):
        simple.run_hardware(mono.params(name="gpu-001", spec=spec), False)


def test_a_change_in_between_is_computed_anew(mono: Cluster) -> None:
    simple.run_hardware(mono.params(name="gpu-001", spec=SPEC), False)
    mono.fault(kind="status", value=409, match="PATCH *", count=2)
    mono.fault(kind="status", value=503, match="GET *", count=1)
    assert simple.run_hardware(mono.params(name="gpu-001", spec={**SPEC, "userData": "x"}), False)["changed"]
    assert mono.find("hardware")["gpu-001"]["spec"]["userData"] == "x"


def test_a_write_whose_answer_is_lost_is_not_done_twice(mono: Cluster) -> None:
    mono.fault(kind="lost", match="POST *", count=1)
    result = simple.run_template(mono.params(name="ubuntu", data=TEMPLATE), False)
    assert result["template"]["name"] == "ubuntu"
    assert mono.writes() == ["template.create ubuntu"]


def test_absent(cluster: Cluster) -> None:
    simple.run_template(cluster.params(name="ubuntu", data=TEMPLATE), False)
    params = cluster.params(name="ubuntu", state="absent", data=None)
    assert simple.run_template(params, True)["changed"]
    assert "ubuntu" in cluster.find("templates")
    assert simple.run_template(params, False)["changed"]
    assert cluster.find("templates") == {}
    assert not simple.run_template(params, False)["changed"]


def test_a_template_that_would_not_run_is_not_created(mono: Cluster) -> None:
    with pytest.raises(errors.InvalidInput, match="global_timeout"):
        simple.run_template(mono.params(name="ubuntu", data=TEMPLATE.replace("600", "0")), False)
    assert mono.writes() == []


def test_bad_credentials_and_no_server(mono: Cluster, tmp_path: Path) -> None:
    document = yaml.safe_load(mono.kubeconfig.read_text())
    document["users"][0]["user"]["token"] = "wrong"
    other = tmp_path / "other.yml"
    other.write_text(yaml.safe_dump(document))
    with pytest.raises(errors.AuthenticationError):
        simple.run_template(mono.params(name="u", data=TEMPLATE, kubeconfig=str(other)), False)
    with pytest.raises(errors.InvalidInput) as caught:
        simple.run_template(mono.params(name="u", data=TEMPLATE, kubeconfig=str(tmp_path / "none")), False)
    assert caught.value.code == "kubeconfig_missing"
    other.write_text("nonsense: [")
    with pytest.raises(errors.InvalidInput) as caught:
        simple.run_template(mono.params(name="u", data=TEMPLATE, kubeconfig=str(other)), False)
    assert caught.value.code == "kubeconfig_unusable"


def test_keys_inside_the_kubeconfig_are_not_left_on_disk(
    mono: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The official loader writes them to files, and removes those when a process exits: a forked worker never does."""
    certificate, key = CertificateAuthority().issue("somebody")
    document = yaml.safe_load(mono.kubeconfig.read_text())
    user = document["users"][0]["user"]
    user["client-certificate-data"] = base64.b64encode(certificate).decode()
    user["client-key-data"] = base64.b64encode(key).decode()
    mono.kubeconfig.write_text(yaml.safe_dump(document))
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    assert simple.run_template(mono.params(name="ubuntu", data=TEMPLATE), False)["changed"]
    assert list(scratch.iterdir()) == []


def test_a_certificate_that_is_none_is_told(mono: Cluster) -> None:
    document = yaml.safe_load(mono.kubeconfig.read_text())
    document["clusters"][0]["cluster"]["certificate-authority-data"] = base64.b64encode(b"nonsense").decode()
    mono.kubeconfig.write_text(yaml.safe_dump(document))
    with pytest.raises(errors.InvalidInput) as caught:
        simple.run_template(mono.params(name="ubuntu", data=TEMPLATE), False)
    assert caught.value.code == "kubeconfig_unusable"


def test_a_certificate_of_somebody_else_is_refused(mono: Cluster) -> None:
    document = yaml.safe_load(mono.kubeconfig.read_text())
    other = base64.b64encode(CertificateAuthority().pem).decode()
    document["clusters"][0]["cluster"]["certificate-authority-data"] = other
    mono.kubeconfig.write_text(yaml.safe_dump(document))
    with pytest.raises(errors.Unreachable) as caught:
        simple.run_template(mono.params(name="ubuntu", data=TEMPLATE), False)
    assert (caught.value.code, caught.value.retryable) == ("certificate_untrusted", False)


def test_a_cluster_without_tinkerbell_says_so(loop: Any, tmp_path: Path) -> None:
    served = Cluster(loop, tmp_path, "mono")
    resources = [resource for resource in tinkerbell_resources("mono") if resource.group != "tinkerbell.org"]
    served.server.store = served.store = Store(tuple(resources))
    try:
        with pytest.raises(errors.Unsupported, match="does not serve") as caught:
            simple.run_template(served.params(name="ubuntu", data=TEMPLATE), False)
        assert caught.value.code == "tinkerbell_not_installed"
    finally:
        loop.run(served.server.stop())


# -- workflow ----------------------------------------------------------------------------------------------------------


def test_a_workflow_is_watched_to_its_end(cluster: Cluster) -> None:
    threads = later(
        0.4,
        lambda: cluster.state("install", "PENDING"),
        lambda: cluster.state("install", "RUNNING"),
        lambda: cluster.state("install", "POST"),
        lambda: cluster.state("install", "SUCCESS"),
    )
    started = time.monotonic()
    result = workflow.run(cluster.workflow(wait_timeout=60, start_timeout=60), False)
    threads.join()
    assert time.monotonic() - started < 30.0, "a watch sees a change when it happens, and does not wait for its end"
    assert result["changed"]
    shown = result["workflow"]
    assert (shown["name"], shown["state"], shown["created"], shown["attempt"]) == ("install", "SUCCESS", True, 1)
    assert shown["dialect"] == ("mono" if cluster.shape == "mono" else "tink-0.12")
    spec = cluster.find("workflows")["install"]["spec"]
    assert spec["hardwareMap"] == {"device_1": MAC}
    assert spec["bootOptions"] == {"toggleAllowNetboot": True}


@pytest.mark.parametrize("state", ["PENDING", "RUNNING", "POST", "SUCCESS"])
def test_a_live_or_successful_one_is_adopted(mono: Cluster, state: str) -> None:
    workflow.run(mono.workflow(wait=False), False)
    mono.state("install", state)
    result = workflow.run(mono.workflow(wait=False), False)
    assert not result["changed"]
    assert (result["workflow"]["created"], result["workflow"]["state"]) == (False, state)
    assert mono.writes().count("workflow.create install") == 1


def test_a_namesake_that_does_something_else_is_not_adopted(mono: Cluster) -> None:
    workflow.run(mono.workflow(wait=False), False)
    with pytest.raises(errors.Conflict, match="templateRef 'ubuntu', wanted 'erase'") as caught:
        workflow.run(mono.workflow(wait=False, template_ref="erase"), False)
    assert caught.value.code == "workflow_differs"


def test_a_failure_names_its_action_and_closes_the_network_boot(cluster: Cluster) -> None:
    simple.run_hardware(cluster.params(name="gpu-001", spec=SPEC), False)
    opened = copy.deepcopy(SPEC)
    opened["interfaces"][0]["netboot"]["allowPXE"] = True
    later(
        0.2,
        lambda: cluster.state("install", "PENDING"),
        lambda: simple.run_hardware(cluster.params(name="gpu-001", spec=opened), False),
        lambda: cluster.state("install", "FAILED", tasks=failed_task(cluster.shape, "no space left")),
    )
    with pytest.raises(errors.PaleBlueDotError, match="failed in action 'stream' of task 'os'") as caught:
        workflow.run(cluster.workflow(), False)
    assert caught.value.code == "workflow_failed"
    assert caught.value.step == "stream"
    assert caught.value.host == "gpu-001"
    assert caught.value.retryable
    if cluster.shape == "mono":
        assert "no space left" in str(caught.value)
    assert cluster.find("hardware")["gpu-001"]["spec"]["interfaces"][0]["netboot"]["allowPXE"] is False
    # a failure that nobody waited for is tidied up when the next attempt takes its place
    simple.run_hardware(cluster.params(name="gpu-001", spec=opened), False)
    workflow.run(cluster.workflow(wait=False), False)
    assert cluster.find("hardware")["gpu-001"]["spec"]["interfaces"][0]["netboot"]["allowPXE"] is False


def test_after_a_failure_the_next_attempt_has_another_name(cluster: Cluster) -> None:
    for number, ended in ((1, "FAILED"), (2, "TIMEOUT")):
        workflow.run(cluster.workflow(wait=False), False)
        cluster.state("install" if number == 1 else f"install-{number}", ended)
    seen = workflow.run(cluster.workflow(wait=False), True)
    assert seen["changed"]
    assert set(cluster.find("workflows")) == {"install-2"}, "check mode changes nothing"
    result = workflow.run(cluster.workflow(wait=False), False)
    for answer in (seen, result):
        assert answer["workflow"]["name"] == "install-3"
        assert answer["workflow"]["state"] == ""
        assert answer["workflow"]["replaced"] == {"name": "install-2", "state": "TIMEOUT"}
    assert set(cluster.find("workflows")) == {"install-3"}, "a failed one would keep the agent from being served"


def test_absent_removes_every_attempt(mono: Cluster) -> None:
    workflow.run(mono.workflow(wait=False), False)
    mono.state("install", "FAILED")
    workflow.run(mono.workflow(wait=False), False)
    workflow.run(mono.workflow(name="install-2-other", wait=False), False)
    params = mono.params(name="install", state="absent")
    assert workflow.run(params, True)["changed"]
    assert workflow.run(params, False)["changed"]
    assert set(mono.find("workflows")) == {"install-2-other"}
    assert not workflow.run(params, False)["changed"]


def test_an_agent_that_never_comes(cluster: Cluster) -> None:
    workflow.run(cluster.workflow(wait=False), False)
    cluster.state("install", "PENDING")
    started = time.monotonic()
    with pytest.raises(errors.DeadlineExceeded, match="no agent took up") as caught:
        workflow.run(cluster.workflow(start_timeout=1, wait_timeout=30), False)
    assert caught.value.code == "workflow_not_started"
    assert "PENDING" in str(caught.value.answer)
    assert time.monotonic() - started < 30


def test_a_workflow_that_never_ends(mono: Cluster) -> None:
    workflow.run(mono.workflow(wait=False), False)
    mono.state("install", "RUNNING", currentState={"actionName": "stream"})
    with pytest.raises(errors.DeadlineExceeded, match="did not end within 1 s") as caught:
        workflow.run(mono.workflow(wait_timeout=1), False)
    assert caught.value.step == "stream"


def test_post_is_not_success(mono: Cluster) -> None:
    workflow.run(mono.workflow(wait=False), False)
    mono.state("install", "POST")
    with pytest.raises(errors.DeadlineExceeded):
        workflow.run(mono.workflow(wait_timeout=1), False)


def test_a_template_that_cannot_be_rendered(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workflow, "_RENDERING_GRACE_S", 0.5)
    field = "templateRendering" if cluster.shape == "mono" else "templateRending"
    condition = {
        "type": "TemplateRenderedSuccess",
        "status": "False",
        "reason": "Error",
        "message": "map has no entry for key device_2",
        "time": "2026-11-21T10:00:00Z",
    }
    later(0.1, lambda: cluster.status("install", **{field: "failed"}, conditions=[condition]))
    with pytest.raises(errors.InvalidInput, match="cannot render") as caught:
        workflow.run(cluster.workflow(), False)
    assert "device_2" in str(caught.value.answer)
    # repaired, it is tried anew and not adopted as it is
    assert workflow.run(cluster.workflow(wait=False), False)["workflow"]["name"] == "install-2"


def test_a_watch_that_is_gone_is_resumed(mono: Cluster) -> None:
    mono.fault(kind="watch_gone", match="WATCH *", count=2)
    later(0.3, lambda: mono.state("install", "RUNNING"), lambda: mono.state("install", "SUCCESS"))
    assert workflow.run(mono.workflow(), False)["workflow"]["state"] == "SUCCESS"


@pytest.mark.parametrize("fault", [{"kind": "drop"}, {"kind": "status", "value": 503}])
def test_polling_goes_on_where_watching_does_not(mono: Cluster, fault: dict[str, Any]) -> None:
    mono.fault(match="WATCH *", **fault)
    later(0.3, lambda: mono.state("install", "RUNNING"), lambda: mono.state("install", "SUCCESS"))
    assert workflow.run(mono.workflow(), False)["workflow"]["state"] == "SUCCESS"


def test_a_workflow_deleted_while_waited_for(mono: Cluster) -> None:
    later(0.3, lambda: workflow.run(mono.params(name="install", state="absent"), False))
    with pytest.raises(errors.NotFound) as caught:
        workflow.run(mono.workflow(), False)
    assert caught.value.code == "workflow_deleted"


def test_boot_modes_are_translated(cluster: Cluster) -> None:
    options = {"bootMode": "isoboot" if cluster.shape == "0.12.2" else "iso", "isoURL": "http://boot/hook.iso"}
    workflow.run(cluster.workflow(wait=False, boot_options=options), False)
    spoken = cluster.find("workflows")["install"]["spec"]["bootOptions"]["bootMode"]
    assert spoken == ("iso" if cluster.shape == "0.12.2" else "isoboot")


def test_the_shape_is_judged_by_objects_where_crds_may_not_be_read(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(*_args: Any) -> Any:
        raise errors.AuthenticationError("forbidden", code="forbidden")

    workflow.run(cluster.workflow(wait=False), False)
    cluster.state("install", "RUNNING")
    monkeypatch.setattr(dialect, "crd", forbidden)
    result = workflow.run(cluster.workflow(wait=False), False)
    assert result["workflow"]["dialect"] == ("mono" if cluster.shape == "mono" else "tink-0.12")
    assert result["workflow"]["state"] == "RUNNING"
