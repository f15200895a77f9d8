"""The lab's Kubernetes API, spoken to by the official Python client."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import kubernetes
import pytest
import urllib3
from kubernetes import watch as kubernetes_watch
from kubernetes.client import ApiException

from lab.clock import Clock
from lab.faults import FaultSet
from lab.kube.crds import tinkerbell_resources
from lab.kube.managed import Writer
from lab.kube.server import KubeServer
from lab.kube.store import HISTORY, Store
from lab.log import WriteLog

GROUP = ("tinkerbell.org", "v1alpha1", "default")


class Api:
    """A served store, and clients of it."""

    def __init__(self, loop_thread: Any, certificate: Any, dialect: str = "mono") -> None:
        self.loop_thread = loop_thread
        self.faults = FaultSet()
        self.log = WriteLog(Clock())
        self.store = Store(tinkerbell_resources(dialect))  # type: ignore[arg-type]
        self.server = KubeServer(self.store, "secret-token", certificate.context, self.log, self.faults)
        loop_thread.run(self.server.start())
        self.client = kubernetes.config.new_client_from_config_dict(self.server.kubeconfig(certificate.pem))
        self.objects = kubernetes.client.CustomObjectsApi(self.client)
        self.core = kubernetes.client.CoreV1Api(self.client)

    def create(self, plural: str, name: str, spec: dict[str, Any], **meta: Any) -> Any:
        kind = {"hardware": "Hardware", "templates": "Template", "workflows": "Workflow"}[plural]
        body = {
            "apiVersion": "tinkerbell.org/v1alpha1",
            "kind": kind,
            "metadata": {"name": name, **meta},
            "spec": spec,
        }
        return self.objects.create_namespaced_custom_object(*GROUP, plural, body)

    def get(self, plural: str, name: str) -> Any:
        return self.objects.get_namespaced_custom_object(*GROUP, plural, name)

    def raw(
        self, method: str, path: str, body: Any = None, content_type: str = "application/json", timeout: float = 5
    ) -> Any:
        headers = {"Authorization": "Bearer secret-token", "Content-Type": content_type}
        data = body if isinstance(body, (bytes, str)) or body is None else json.dumps(body)
        pool = self.client.rest_client.pool_manager
        return pool.request(method, self.server.url + path, body=data, headers=headers, timeout=timeout, retries=False)

    def close(self) -> None:
        self.client.close()
        self.loop_thread.run(self.server.stop())


@pytest.fixture
def api(loop_thread: Any, certificate: Any) -> Iterator[Api]:
    served = Api(loop_thread, certificate)
    yield served
    served.close()


def status_of(error: ApiException) -> dict[str, Any]:
    status: dict[str, Any] = json.loads(error.body)
    assert status["kind"] == "Status"
    assert status["apiVersion"] == "v1"
    assert status["status"] == "Failure"
    assert status["code"] == error.status
    return status


def test_an_object_goes_through_its_life(api: Api) -> None:
    created = api.create("templates", "t1", {"data": "version: '0.1'"}, labels={"team": "a"})
    meta = created["metadata"]
    assert meta["uid"] and meta["creationTimestamp"] and meta["generation"] == 1
    assert created == api.get("templates", "t1")

    created["spec"]["data"] = "version: '0.2'"
    replaced = api.objects.replace_namespaced_custom_object(*GROUP, "templates", "t1", created)
    assert replaced["metadata"]["generation"] == 2
    assert int(replaced["metadata"]["resourceVersion"]) > int(meta["resourceVersion"])
    assert replaced["metadata"]["uid"] == meta["uid"]

    patched = api.objects.patch_namespaced_custom_object(
        *GROUP, "templates", "t1", {"metadata": {"labels": {"team": None, "rack": "r1"}}}
    )
    assert patched["metadata"]["labels"] == {"rack": "r1"}
    assert patched["metadata"]["generation"] == 2  # labels are no content

    gone = api.objects.delete_namespaced_custom_object(*GROUP, "templates", "t1")
    assert gone["status"] == "Success"
    assert gone["details"] == {"name": "t1", "group": "tinkerbell.org", "kind": "templates", "uid": meta["uid"]}
    with pytest.raises(ApiException) as missing:
        api.get("templates", "t1")
    status = status_of(missing.value)
    assert status["reason"] == "NotFound"
    assert status["message"] == 'templates.tinkerbell.org "t1" not found'
    assert status["details"] == {"name": "t1", "group": "tinkerbell.org", "kind": "templates"}
    assert [entry.action for entry in api.log if entry.detail["name"] == "t1"] == [
        "template.create",
        "template.update",
        "template.update",
        "template.delete",
    ]


def test_what_exists_cannot_be_created_again(api: Api) -> None:
    api.create("templates", "t1", {"data": "x"})
    with pytest.raises(ApiException) as error:
        api.create("templates", "t1", {"data": "y"})
    status = status_of(error.value)
    assert (error.value.status, status["reason"]) == (409, "AlreadyExists")
    assert status["message"] == 'templates.tinkerbell.org "t1" already exists'


def test_a_stale_resource_version_is_a_conflict(api: Api) -> None:
    first = api.create("templates", "t1", {"data": "x"})
    api.objects.patch_namespaced_custom_object(*GROUP, "templates", "t1", {"spec": {"data": "y"}})
    first["spec"]["data"] = "z"
    with pytest.raises(ApiException) as error:
        api.objects.replace_namespaced_custom_object(*GROUP, "templates", "t1", first)
    status = status_of(error.value)
    assert (error.value.status, status["reason"]) == (409, "Conflict")
    assert "the object has been modified" in status["message"]
    stale = {"metadata": {"resourceVersion": first["metadata"]["resourceVersion"]}, "spec": {"data": "z"}}
    with pytest.raises(ApiException) as patched:
        api.objects.patch_namespaced_custom_object(*GROUP, "templates", "t1", stale)
    assert patched.value.status == 409
    assert api.get("templates", "t1")["spec"]["data"] == "y"


def test_a_replacement_without_a_resource_version_is_refused(api: Api) -> None:
    created = api.create("templates", "t1", {"data": "x"})
    del created["metadata"]["resourceVersion"]
    with pytest.raises(ApiException) as error:
        api.objects.replace_namespaced_custom_object(*GROUP, "templates", "t1", created)
    assert error.value.status == 422
    assert "metadata.resourceVersion" in status_of(error.value)["message"]


def test_a_write_that_changes_nothing_makes_no_new_version(api: Api) -> None:
    created = api.create("templates", "t1", {"data": "x"})
    again = api.objects.patch_namespaced_custom_object(*GROUP, "templates", "t1", {"spec": {"data": "x"}})
    assert again["metadata"]["resourceVersion"] == created["metadata"]["resourceVersion"]


def test_unknown_fields_are_pruned_and_defaults_filled_in(api: Api) -> None:
    created = api.create("hardware", "h1", {"interfaces": [{"dhcp": {"mac": "02:00:00:00:00:01"}}], "colour": "blue"})
    assert created["spec"] == {"interfaces": [{"dhcp": {"mac": "02:00:00:00:00:01"}, "disableDhcp": False}]}


def test_a_strict_request_with_unknown_fields_is_refused(api: Api) -> None:
    body = {"apiVersion": "tinkerbell.org/v1alpha1", "kind": "Template", "metadata": {"name": "t"}, "spec": {"x": 1}}
    path = "/apis/tinkerbell.org/v1alpha1/namespaces/default/templates"
    strict = api.raw("POST", path + "?fieldValidation=Strict", body)
    assert strict.status == 400
    assert 'strict decoding error: unknown field "spec.x"' in strict.json()["message"]
    warned = api.raw("POST", path, body)
    assert warned.status == 201
    assert warned.headers["Warning"] == '299 - "unknown field \\"spec.x\\""'


def test_an_invalid_object_is_answered_with_its_causes(api: Api) -> None:
    with pytest.raises(ApiException) as error:
        api.create(
            "workflows",
            "w1",
            {"templateRef": 5, "bootOptions": {"bootMode": "floppy", "toggleAllowNetboot": "yes"}},
        )
    status = status_of(error.value)
    assert (error.value.status, status["reason"]) == (422, "Invalid")
    assert status["details"]["kind"] == "Workflow"
    causes = {cause["field"]: cause for cause in status["details"]["causes"]}
    assert causes["spec.templateRef"]["reason"] == "FieldValueTypeInvalid"
    assert causes["spec.bootOptions.toggleAllowNetboot"]["message"] == (
        'Invalid value: "string": spec.bootOptions.toggleAllowNetboot in body must be of type boolean: "string"'
    )
    assert causes["spec.bootOptions.bootMode"]["message"] == (
        'Unsupported value: "floppy": supported values: "netboot", "isoboot", "iso", "customboot"'
    )
    assert status["message"].startswith('Workflow.tinkerbell.org "w1" is invalid: [')


def test_a_required_field_and_a_limit_are_checked(api: Api) -> None:
    body = {
        "apiVersion": "bmc.tinkerbell.org/v1alpha1",
        "kind": "Job",
        "metadata": {"name": "j1"},
        "spec": {"machineRef": {"name": "m1"}, "tasks": [{"powerAction": "on", "bootDevice": {"device": "pxe"}}]},
    }
    with pytest.raises(ApiException) as error:
        api.objects.create_namespaced_custom_object("bmc.tinkerbell.org", "v1alpha1", "default", "jobs", body)
    reasons = {cause["field"]: cause["reason"] for cause in status_of(error.value)["details"]["causes"]}
    assert reasons == {
        "spec.machineRef.namespace": "FieldValueRequired",
        "spec.tasks[0]": "FieldValueTooMany",
    }


def test_a_bad_name_is_refused(api: Api) -> None:
    with pytest.raises(ApiException) as error:
        api.create("templates", "Not_A_Name", {"data": "x"})
    assert error.value.status == 422
    assert status_of(error.value)["details"]["causes"][0]["field"] == "metadata.name"


def test_the_status_is_a_world_of_its_own(api: Api) -> None:
    api.create("hardware", "h1", {"userData": "x"})
    api.objects.patch_namespaced_custom_object(*GROUP, "hardware", "h1", {"status": {"state": "ready"}})
    assert "status" not in api.get("hardware", "h1")
    api.objects.patch_namespaced_custom_object_status(
        *GROUP, "hardware", "h1", {"status": {"state": "ready"}, "spec": {"userData": "y"}}
    )
    found = api.get("hardware", "h1")
    assert found["status"] == {"state": "ready"}
    assert found["spec"]["userData"] == "x"
    assert found["metadata"]["generation"] == 1
    found["spec"]["userData"] = "z"
    del found["status"]
    replaced = api.objects.replace_namespaced_custom_object(*GROUP, "hardware", "h1", found)
    assert replaced["status"] == {"state": "ready"}


def apply(api: Api, name: str, spec: dict[str, Any], manager: str, force: bool = False) -> Any:
    body = {"apiVersion": "tinkerbell.org/v1alpha1", "kind": "Hardware", "metadata": {"name": name}, "spec": spec}
    path = f"/apis/tinkerbell.org/v1alpha1/namespaces/default/hardware/{name}?fieldManager={manager}"
    return api.raw("PATCH", path + ("&force=true" if force else ""), body, "application/apply-patch+yaml")


def test_apply_creates_changes_and_takes_back_what_its_manager_owned(api: Api) -> None:
    created = apply(api, "h1", {"userData": "x", "vendorData": "v"}, "pbd")
    assert created.status == 201
    again = apply(api, "h1", {"userData": "x", "vendorData": "v"}, "pbd")
    assert again.status == 200
    assert again.json()["metadata"]["resourceVersion"] == created.json()["metadata"]["resourceVersion"]
    changed = apply(api, "h1", {"userData": "y"}, "pbd").json()
    assert changed["spec"] == {"userData": "y"}
    assert changed["metadata"]["managedFields"][0]["fieldsV1"] == {"f:spec": {"f:userData": {}}}
    assert changed["metadata"]["managedFields"][0]["operation"] == "Apply"


def test_apply_leaves_the_fields_of_others_alone(api: Api) -> None:
    apply(api, "h1", {"userData": "x"}, "pbd")
    api.objects.patch_namespaced_custom_object(
        *GROUP, "hardware", "h1", {"metadata": {"labels": {"by": "hand"}}, "spec": {"vendorData": "hand"}}
    )
    found = apply(api, "h1", {"userData": "y"}, "pbd").json()
    assert found["spec"] == {"userData": "y", "vendorData": "hand"}
    assert found["metadata"]["labels"] == {"by": "hand"}


def test_apply_over_anothers_field_is_a_conflict_unless_forced(api: Api) -> None:
    apply(api, "h1", {"userData": "x"}, "pbd")
    refused = apply(api, "h1", {"userData": "z"}, "other")
    assert refused.status == 409
    status = refused.json()
    assert status["reason"] == "Conflict"
    assert status["details"]["causes"] == [
        {"reason": "FieldManagerConflict", "message": 'conflict with "pbd"', "field": ".spec.userData"}
    ]
    assert apply(api, "h1", {"userData": "z"}, "other", force=True).json()["spec"] == {"userData": "z"}
    assert apply(api, "h1", {}, "pbd").json()["spec"] == {"userData": "z"}  # owned by the other now


def test_apply_needs_a_manager(api: Api) -> None:
    body = {"apiVersion": "tinkerbell.org/v1alpha1", "kind": "Hardware", "metadata": {"name": "h"}}
    path = "/apis/tinkerbell.org/v1alpha1/namespaces/default/hardware/h"
    refused = api.raw("PATCH", path, body, "application/apply-patch+yaml")
    assert refused.status == 422
    assert "fieldManager" in refused.json()["message"]


def test_a_json_patch_tests_and_changes(api: Api) -> None:
    api.create("templates", "t1", {"data": "x"})
    path = "/apis/tinkerbell.org/v1alpha1/namespaces/default/templates/t1"
    patch = [{"op": "test", "path": "/spec/data", "value": "x"}, {"op": "replace", "path": "/spec/data", "value": "y"}]
    assert api.raw("PATCH", path, patch, "application/json-patch+json").json()["spec"]["data"] == "y"
    assert api.raw("PATCH", path, patch, "application/json-patch+json").status == 422
    assert api.raw("PATCH", path, {}, "application/strategic-merge-patch+json").status == 415


def test_labels_select(api: Api) -> None:
    for name, labels in (("a", {"rack": "r1"}), ("b", {"rack": "r2", "gpu": "h100"}), ("c", {})):
        api.create("templates", name, {"data": name}, labels=labels)

    def select(selector: str) -> list[str]:
        found = api.objects.list_namespaced_custom_object(*GROUP, "templates", label_selector=selector)
        return [item["metadata"]["name"] for item in found["items"]]

    assert select("rack=r1") == ["a"]
    assert select("rack!=r1") == ["b", "c"]
    assert select("rack in (r1, r2),gpu") == ["b"]
    assert select("!gpu,rack notin (r2)") == ["a", "c"]
    found = api.objects.list_cluster_custom_object(
        "tinkerbell.org", "v1alpha1", "templates", field_selector="metadata.name=c"
    )
    assert [item["metadata"]["name"] for item in found["items"]] == ["c"]


def follow(api: Api, seen: list[tuple[str, str]], since: str, **options: Any) -> None:
    watch = kubernetes_watch.Watch()
    for event in watch.stream(
        api.objects.list_namespaced_custom_object, *GROUP, "templates", resource_version=since, **options
    ):
        seen.append((event["type"], event["object"]["metadata"]["name"]))
        if event["type"] == "DELETED":
            watch.stop()


def test_a_watch_resumes_where_the_list_ended(api: Api) -> None:
    api.create("templates", "before", {"data": "x"})
    since = api.objects.list_namespaced_custom_object(*GROUP, "templates")["metadata"]["resourceVersion"]
    api.create("templates", "between", {"data": "x"})
    seen: list[tuple[str, str]] = []
    follower = threading.Thread(target=follow, args=(api, seen, since), kwargs={"timeout_seconds": 10})
    follower.start()
    deadline = time.monotonic() + 5
    while not seen and time.monotonic() < deadline:
        time.sleep(0.02)
    api.objects.patch_namespaced_custom_object(*GROUP, "templates", "before", {"spec": {"data": "y"}})
    api.objects.delete_namespaced_custom_object(*GROUP, "templates", "between")
    follower.join(10)
    assert seen == [("ADDED", "between"), ("MODIFIED", "before"), ("DELETED", "between")]


def test_a_watch_by_label_sees_objects_come_and_go(api: Api) -> None:
    api.create("templates", "a", {"data": "x"})
    since = str(api.store.version)
    api.objects.patch_namespaced_custom_object(*GROUP, "templates", "a", {"metadata": {"labels": {"on": "1"}}})
    api.objects.patch_namespaced_custom_object(*GROUP, "templates", "a", {"metadata": {"labels": {"on": None}}})
    seen: list[tuple[str, str]] = []
    follow(api, seen, since, label_selector="on=1", timeout_seconds=5)
    assert seen == [("ADDED", "a"), ("DELETED", "a")]


def test_a_watch_from_too_long_ago_is_gone(api: Api) -> None:
    api.create("templates", "a", {"data": "0"})
    since = str(api.store.version)
    for number in range(HISTORY + 2):
        template = api.store.kind("tinkerbell.org", "Template")
        api.store.patch(
            template,
            "default",
            "a",
            lambda obj, text=str(number): obj | {"spec": {"data": text + "!"}},  # type: ignore[misc]
            Writer("test"),
        )
    with pytest.raises(ApiException) as error:
        follow(api, [], since, timeout_seconds=5)
    assert error.value.status == 410


def test_finalizers_hold_an_object_back(api: Api) -> None:
    api.create("templates", "a", {"data": "x"}, finalizers=["palebluedot.test/hold"])
    held = api.objects.delete_namespaced_custom_object(*GROUP, "templates", "a")
    assert held["metadata"]["deletionTimestamp"]
    assert api.get("templates", "a")
    api.objects.patch_namespaced_custom_object(*GROUP, "templates", "a", {"metadata": {"finalizers": None}})
    with pytest.raises(ApiException):
        api.get("templates", "a")


def test_a_delete_may_name_the_object_it_means(api: Api) -> None:
    api.create("templates", "a", {"data": "x"})
    body = kubernetes.client.V1DeleteOptions(preconditions=kubernetes.client.V1Preconditions(uid="another"))
    with pytest.raises(ApiException) as error:
        api.objects.delete_namespaced_custom_object(*GROUP, "templates", "a", body=body)
    assert error.value.status == 409
    assert api.get("templates", "a")


def test_a_dry_run_checks_and_leaves_nothing(api: Api) -> None:
    body = {"apiVersion": "tinkerbell.org/v1alpha1", "kind": "Template", "metadata": {"name": "t"}, "spec": {}}
    answer = api.objects.create_namespaced_custom_object(*GROUP, "templates", body, dry_run="All")
    assert answer["metadata"]["uid"]
    with pytest.raises(ApiException):
        api.get("templates", "t")
    assert not [entry for entry in api.log if entry.detail["name"] == "t"]


def test_crds_say_which_dialect_is_served(api: Api) -> None:
    extensions = kubernetes.client.ApiextensionsV1Api(api.client)
    crd = extensions.read_custom_resource_definition("workflows.tinkerbell.org")
    schema = crd.spec.versions[0].schema.open_apiv3_schema
    assert "currentState" in schema.properties["status"].properties
    names = {item.metadata.name for item in extensions.list_custom_resource_definition().items}
    assert {"hardware.tinkerbell.org", "machines.bmc.tinkerbell.org", "workflowrulesets.tinkerbell.org"} <= names
    with pytest.raises(ApiException) as error:
        extensions.read_custom_resource_definition("nothing.tinkerbell.org")
    assert error.value.status == 404


def test_the_old_dialect_is_served_too(loop_thread: Any, certificate: Any) -> None:
    old = Api(loop_thread, certificate, "0.12.2")
    try:
        extensions = kubernetes.client.ApiextensionsV1Api(old.client)
        crd = extensions.read_custom_resource_definition("workflows.tinkerbell.org")
        assert "currentAction" in crd.spec.versions[0].schema.open_apiv3_schema.properties["status"].properties
        with pytest.raises(ApiException) as error:
            old.create("workflows", "w", {"bootOptions": {"bootMode": "isoboot"}})
        assert error.value.status == 422
    finally:
        old.close()


def test_discovery_serves_the_dynamic_client(api: Api) -> None:
    dynamic = kubernetes.dynamic.DynamicClient(api.client)
    hardware = dynamic.resources.get(api_version="tinkerbell.org/v1alpha1", kind="Hardware")
    created = hardware.create(body={"kind": "Hardware", "metadata": {"name": "h"}, "spec": {}}, namespace="default")
    assert created.metadata.uid
    assert dynamic.version["kubernetes"]["major"] == "1"


def test_namespaces_and_secrets(api: Api) -> None:
    namespace = kubernetes.client.V1Namespace(metadata=kubernetes.client.V1ObjectMeta(name="tenant"))
    api.core.create_namespace(namespace)
    secret = kubernetes.client.V1Secret(
        metadata=kubernetes.client.V1ObjectMeta(name="bmc"), string_data={"username": "admin"}
    )
    api.core.create_namespaced_secret("tenant", secret)
    read = api.core.read_namespaced_secret("bmc", "tenant")
    assert read.data == {"username": "YWRtaW4="}
    assert read.type == "Opaque"
    assert "YWRtaW4" not in str(list(api.log))
    api.core.delete_namespace("tenant")
    with pytest.raises(ApiException):
        api.core.read_namespaced_secret("bmc", "tenant")
    with pytest.raises(ApiException) as error:
        api.core.create_namespaced_secret("nowhere", secret)
    assert status_of(error.value)["message"] == 'namespaces "nowhere" not found'


def test_a_wrong_token_is_unauthorized(api: Api, certificate: Any) -> None:
    config = api.server.kubeconfig(certificate.pem)
    config["users"][0]["user"]["token"] = "guess"
    with kubernetes.config.new_client_from_config_dict(config) as stranger, pytest.raises(ApiException) as error:
        kubernetes.client.CoreV1Api(stranger).list_namespace()
    assert error.value.status == 401
    assert status_of(error.value)["reason"] == "Unauthorized"


def test_malformed_and_misplaced_requests(api: Api) -> None:
    path = "/apis/tinkerbell.org/v1alpha1/namespaces/default/templates"
    assert api.raw("POST", path, b"{nonsense").json()["reason"] == "BadRequest"
    assert api.raw("POST", path, b"[]").status == 400
    assert api.raw("POST", path, {"kind": "Workflow", "metadata": {"name": "x"}}).status == 422
    assert api.raw("POST", path, b"<x/>", "text/html").status == 415
    assert api.raw("POST", path, b'"' + b"x" * (4 * 2**20) + b'"').status == 413
    assert api.raw("DELETE", "/version").status == 405
    assert api.raw("GET", "/apis/tinkerbell.org/v1alpha1/namespaces/default/teapots").status == 404
    assert api.raw("GET", path + "?labelSelector=a%20b%20c").status == 400


def test_faults_strike_as_switched_on(api: Api) -> None:
    api.create("hardware", "gpu-001", {})
    api.faults.add("*", "kube", "status", match="GET */hardware*", value=429, count=1)
    busy = api.raw("GET", "/apis/tinkerbell.org/v1alpha1/namespaces/default/hardware")
    assert (busy.status, busy.json()["reason"]) == (429, "TooManyRequests")
    assert busy.headers["Retry-After"] == "1"
    assert busy.json()["details"]["retryAfterSeconds"] == 1
    api.faults.add("gpu-001", "kube", "status", value=503, count=1)
    with pytest.raises(ApiException) as away:
        api.get("hardware", "gpu-001")
    assert away.value.status == 503
    api.faults.add("*", "kube", "drop", match="POST *", count=1)
    with pytest.raises(urllib3.exceptions.ProtocolError):
        api.raw("POST", "/apis/tinkerbell.org/v1alpha1/namespaces/default/hardware", {"metadata": {"name": "no"}})
    api.faults.add("*", "kube", "lost", match="POST *", count=1)
    with pytest.raises(urllib3.exceptions.ProtocolError):
        api.raw("POST", "/apis/tinkerbell.org/v1alpha1/namespaces/default/hardware", {"metadata": {"name": "yes"}})
    names = [
        item["metadata"]["name"] for item in api.objects.list_namespaced_custom_object(*GROUP, "hardware")["items"]
    ]
    assert names == ["gpu-001", "yes"]
    api.faults.add("*", "kube", "hang", count=1)
    with pytest.raises(urllib3.exceptions.ReadTimeoutError):
        api.raw("GET", "/apis/tinkerbell.org/v1alpha1/namespaces/default/hardware", timeout=0.3)
    api.faults.add("*", "kube", "watch_gone", match="WATCH *", count=1)
    with pytest.raises(ApiException) as gone:
        follow(api, [], "1", timeout_seconds=3)
    assert gone.value.status == 410
