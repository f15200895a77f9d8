"""The lab's Kubernetes API beside a real one: the same requests, the same answers.

What must differ (uids, times, resource versions) is taken out before the answers are compared.
"""

from __future__ import annotations

import asyncio
import base64
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import requests
import yaml

from lab.clock import Clock
from lab.faults import FaultSet
from lab.kube.crds import tinkerbell_resources
from lab.kube.server import KubeServer
from lab.kube.store import Store
from lab.log import WriteLog
from lab.pki import CertificateAuthority

pytestmark = pytest.mark.peers

BASE = "/apis/tinkerbell.org/v1alpha1/namespaces/tinkerbell"
MERGE = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
APPLY = "application/apply-patch+yaml"


class Ask(NamedTuple):
    method: str
    path: str
    body: Any = None
    content_type: str = "application/json"


class Api:
    def __init__(self, url: str, ca: str, token: str) -> None:
        self.url = url
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.verify = ca
        self._session.headers["Authorization"] = f"Bearer {token}"

    def ask(self, ask: Ask) -> requests.Response:
        data = ask.body if isinstance(ask.body, str) or ask.body is None else None
        return self._session.request(
            ask.method,
            self.url + ask.path,
            data=data,
            json=ask.body if data is None and ask.body is not None else None,
            headers={"Content-Type": ask.content_type},
            timeout=20,
        )

    def close(self) -> None:
        self._session.close()


@pytest.fixture(scope="module")
def real(kubeconfig: Path) -> Iterator[Api]:
    document = yaml.safe_load(kubeconfig.read_text())
    cluster = document["clusters"][0]["cluster"]
    api = Api(cluster["server"], cluster["certificate-authority"], document["users"][0]["user"]["token"])
    yield api
    api.close()


@pytest.fixture(scope="module")
def dialect(real: Api) -> Any:
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/workflows.tinkerbell.org"
    (version,) = real.ask(Ask("GET", path)).json()["spec"]["versions"]
    status = version["schema"]["openAPIV3Schema"]["properties"]["status"]["properties"]
    return "mono" if "currentState" in status else "0.12.2"


@pytest.fixture(scope="module")
def ours(dialect: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    directory = tmp_path_factory.mktemp("lab-kube")
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    authority = CertificateAuthority()
    store = Store(tinkerbell_resources(dialect))
    server = KubeServer(store, "token", authority.server_context(directory, "kube"), WriteLog(Clock()), FaultSet())
    asyncio.run_coroutine_threadsafe(server.start(), loop).result(10)
    ca = directory / "ca.pem"
    ca.write_bytes(
        base64.b64decode(server.kubeconfig(authority.pem)["clusters"][0]["cluster"]["certificate-authority-data"])
    )
    api = Api(server.url, str(ca), "token")
    yield api
    api.close()
    asyncio.run_coroutine_threadsafe(server.stop(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)


def template(name: str, data: Any = "x", **meta: Any) -> dict[str, Any]:
    return {
        "apiVersion": "tinkerbell.org/v1alpha1",
        "kind": "Template",
        "metadata": {"name": name, **meta},
        "spec": {"data": data},
    }


def hardware(name: str, **spec: Any) -> dict[str, Any]:
    return {"apiVersion": "tinkerbell.org/v1alpha1", "kind": "Hardware", "metadata": {"name": name}, "spec": spec}


def workflow(name: str, **spec: Any) -> dict[str, Any]:
    return {"apiVersion": "tinkerbell.org/v1alpha1", "kind": "Workflow", "metadata": {"name": name}, "spec": spec}


def job(name: str, **spec: Any) -> dict[str, Any]:
    return {"apiVersion": "bmc.tinkerbell.org/v1alpha1", "kind": "Job", "metadata": {"name": name}, "spec": spec}


def machine(name: str, **connection: Any) -> dict[str, Any]:
    spec = {"connection": connection}
    return {"apiVersion": "bmc.tinkerbell.org/v1alpha1", "kind": "Machine", "metadata": {"name": name}, "spec": spec}


TEMPLATES, HARDWARE, WORKFLOWS = f"{BASE}/templates", f"{BASE}/hardware", f"{BASE}/workflows"
JOBS = "/apis/bmc.tinkerbell.org/v1alpha1/namespaces/tinkerbell/jobs"
MACHINES = "/apis/bmc.tinkerbell.org/v1alpha1/namespaces/tinkerbell/machines"

CONVERSATIONS: dict[str, list[Ask]] = {
    "create, read, change, delete": [
        Ask("POST", TEMPLATES, template("a", labels={"x": "1"})),
        Ask("GET", f"{TEMPLATES}/a"),
        Ask("POST", TEMPLATES, template("a")),
        Ask("PATCH", f"{TEMPLATES}/a", {"spec": {"data": "y"}, "metadata": {"labels": {"x": None}}}, MERGE),
        Ask("PATCH", f"{TEMPLATES}/a", {"spec": {"data": "y"}}, MERGE),
        Ask("PATCH", f"{TEMPLATES}/a", [{"op": "replace", "path": "/spec/data", "value": "z"}], JSON_PATCH),
        Ask("PATCH", f"{TEMPLATES}/a", {"metadata": {"resourceVersion": "1"}, "spec": {"data": "q"}}, MERGE),
        Ask("PUT", f"{TEMPLATES}/a", template("a", "no version")),
        Ask("PUT", f"{TEMPLATES}/a", template("a", "stale", resourceVersion="1")),
        Ask("PUT", f"{TEMPLATES}/a", template("b", "name", resourceVersion="1")),
        Ask("GET", f"{TEMPLATES}?labelSelector=x%3D1"),
        Ask("DELETE", f"{TEMPLATES}/a"),
        Ask("GET", f"{TEMPLATES}/a"),
        Ask("DELETE", f"{TEMPLATES}/a"),
        Ask("PATCH", f"{TEMPLATES}/a", {"spec": {"data": "y"}}, MERGE),
    ],
    "what is wrong with an object": [
        Ask("POST", TEMPLATES, template("t", 5)),
        Ask("POST", TEMPLATES, template("t", None)),
        Ask("POST", TEMPLATES, template("t", ["a"])),
        Ask("POST", TEMPLATES, template("Upper")),
        Ask("POST", TEMPLATES, template("")),
        Ask("POST", TEMPLATES, template("t", labels={"x": "not a label"})),
        Ask("POST", HARDWARE, hardware("h", interfaces=[{"dhcp": {"mac": "NO"}}])),
        Ask("POST", HARDWARE, hardware("h", interfaces=[{"dhcp": {"lease_time": "1", "vlan_id": "x"}}])),
        Ask("POST", HARDWARE, hardware("h", interfaces={})),
        Ask("POST", HARDWARE, hardware("h", interfaces=[{"netboot": {"allowPXE": "true"}}])),
        Ask("POST", HARDWARE, hardware("h", bmcRef={"kind": "Machine"})),
        Ask("POST", HARDWARE, hardware("h", resources={"cpu": "four"})),
        Ask("POST", WORKFLOWS, workflow("w", bootOptions={"bootMode": "floppy"})),
        Ask("POST", WORKFLOWS, workflow("w", bootOptions={"toggleAllowNetboot": 1})),
        Ask("POST", WORKFLOWS, workflow("w", hardwareMap={"device_1": 1})),
        Ask("POST", JOBS, job("j", machineRef={"name": "m"}, tasks=[])),
        Ask("POST", JOBS, job("j", machineRef={"name": "m", "namespace": "n"}, tasks=[{"powerAction": "up"}])),
        Ask(
            "POST",
            JOBS,
            job(
                "j",
                machineRef={"name": "m", "namespace": "n"},
                tasks=[{"powerAction": "on", "virtualMediaAction": {"kind": "CD"}}],
            ),
        ),
        Ask("POST", MACHINES, machine("m", host="", insecureTLS=True)),
        Ask("POST", MACHINES, machine("m", host="h")),
        Ask(
            "POST",
            MACHINES,
            machine("m", host="h", insecureTLS=True, providerOptions={"preferredOrder": ["x"], "intelAMT": {}}),
        ),
        Ask("POST", MACHINES, machine("m", host="h", insecureTLS=True, providerOptions={"intelAMT": {}})),
        Ask("DELETE", f"{MACHINES}/m"),
    ],
    "unknown fields": [
        Ask(
            "POST", HARDWARE, hardware("h", colour="blue", interfaces=[{"dhcp": {"mac": "02:00:00:00:00:01"}, "x": 1}])
        ),
        Ask("POST", f"{HARDWARE}?fieldValidation=Strict", hardware("h2", colour="blue")),
        Ask("DELETE", f"{HARDWARE}/h"),
    ],
    "malformed requests": [
        Ask("POST", TEMPLATES, "{nonsense"),
        Ask("POST", TEMPLATES, "[]"),
        Ask("POST", TEMPLATES, workflow("w")),
        Ask("POST", TEMPLATES, template("t", namespace="other")),
        Ask("POST", "/apis/tinkerbell.org/v1alpha1/namespaces/nowhere/templates", template("t")),
        Ask("PATCH", f"{TEMPLATES}/t", {}, "application/strategic-merge-patch+json"),
        Ask("GET", f"{BASE}/teapots"),
        Ask("GET", f"{BASE}/teapots/t"),
        Ask("GET", f"{TEMPLATES}?labelSelector=a%20b"),
        Ask("POST", TEMPLATES, template("t") | {"apiVersion": "tinkerbell.org/v1alpha2"}),
        Ask("GET", f"{TEMPLATES}?fieldSelector=status.state%3Dx"),
    ],
    "the status subresource": [
        Ask("POST", HARDWARE, hardware("h", userData="x") | {"status": {"state": "no"}}),
        Ask("PATCH", f"{HARDWARE}/h", {"status": {"state": "no"}}, MERGE),
        Ask("PATCH", f"{HARDWARE}/h/status", {"status": {"state": "yes"}, "spec": {"userData": "no"}}, MERGE),
        Ask("PATCH", f"{HARDWARE}/h/status", {"status": {"state": 5}}, MERGE),
        Ask("GET", f"{HARDWARE}/h/status"),
        Ask("GET", f"{HARDWARE}/h/other"),
        Ask("DELETE", f"{HARDWARE}/h"),
    ],
    "server-side apply": [
        Ask("PATCH", f"{HARDWARE}/h?fieldManager=one", hardware("h", userData="x", vendorData="v"), APPLY),
        Ask("PATCH", f"{HARDWARE}/h?fieldManager=one", hardware("h", userData="x", vendorData="v"), APPLY),
        Ask("PATCH", f"{HARDWARE}/h", {"spec": {"tinkVersion": 1}}, MERGE),
        Ask("PATCH", f"{HARDWARE}/h?fieldManager=one", hardware("h", userData="y"), APPLY),
        Ask("PATCH", f"{HARDWARE}/h?fieldManager=two", hardware("h", userData="z"), APPLY),
        Ask("PATCH", f"{HARDWARE}/h?fieldManager=two&force=true", hardware("h", userData="z"), APPLY),
        Ask("PATCH", f"{HARDWARE}/h?fieldManager=one", hardware("h"), APPLY),
        Ask(
            "PATCH",
            f"{HARDWARE}/h?fieldManager=one",
            hardware("h", metadata={"instance": {"id": "i"}}, interfaces=[{"dhcp": {"mac": "02:00:00:00:00:01"}}]),
            APPLY,
        ),
        Ask("PATCH", f"{HARDWARE}/h?fieldManager=one", hardware("h", metadata={"instance": {"hostname": "n"}}), APPLY),
        Ask("PATCH", f"{HARDWARE}/h?fieldManager=one", hardware("other"), APPLY),
        Ask("PATCH", f"{HARDWARE}/h", hardware("h"), APPLY),
        Ask("DELETE", f"{HARDWARE}/h"),
    ],
    "finalizers and dry runs": [
        Ask("POST", f"{TEMPLATES}?dryRun=All", template("d")),
        Ask("GET", f"{TEMPLATES}/d"),
        Ask("POST", f"{TEMPLATES}?dryRun=Some", template("d")),
        Ask("POST", TEMPLATES, template("f", finalizers=["palebluedot.test/hold"])),
        Ask("DELETE", f"{TEMPLATES}/f"),
        Ask("PATCH", f"{TEMPLATES}/f", {"metadata": {"finalizers": None}}, MERGE),
        Ask("GET", f"{TEMPLATES}/f"),
        Ask("POST", TEMPLATES, template("p")),
        Ask("DELETE", f"{TEMPLATES}/p", {"preconditions": {"uid": "other"}}),
        Ask("DELETE", f"{TEMPLATES}/p?propagationPolicy=Background", {"propagationPolicy": "Background"}),
    ],
    "watching": [
        Ask("GET", f"{TEMPLATES}?watch=true&resourceVersion=x"),
        Ask("GET", f"{TEMPLATES}?watch=true&timeoutSeconds=1"),
    ],
}

_TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")


def comparable(answer: requests.Response) -> dict[str, Any]:
    """Status, and body without what no two servers share."""
    try:
        body = answer.json()
    except requests.JSONDecodeError:
        body = answer.text.strip()
    warning = answer.headers.get("Warning") if answer.ok else None
    return {"code": answer.status_code, "warning": warning, "body": _plain(body)}


# said where a CRD has CEL rules, which the lab leaves out
_CEL = "some validation rules were not checked because the object was invalid"


def _plain(value: Any, key: str = "") -> Any:
    if isinstance(value, dict):
        kept = {name: _plain(item, name) for name, item in value.items() if name not in ("uid", "resourceVersion")}
        if "fieldsV1" in kept:
            kept.pop("time", None)  # who owns nothing any more has none
            kept["fieldsV1"].get("f:metadata", {}).pop("f:finalizers", None)  # a set, which the lab takes for a list
            kept["fieldsV1"] = {name: item for name, item in kept["fieldsV1"].items() if item or name != "f:metadata"}
        if kept.get("reason") == "Invalid":
            kept["message"] = kept["message"].partition(" is invalid: ")[0]  # the rest lists the causes in any order
        return kept
    if isinstance(value, list):
        items = [_plain(item) for item in value if not (isinstance(item, dict) and _CEL in str(item.get("message")))]
        if key == "managedFields":
            return sorted(items, key=lambda entry: (entry["manager"], entry["operation"], entry.get("subresource", "")))
        return sorted(items, key=lambda cause: cause["field"]) if key == "causes" else items
    if isinstance(value, str):
        if _TIME.match(value):
            return "TIME"
        value = re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "UID", value)
        # the words of Go's parsers, and how status errors name a field in its message
        value = re.sub(r"(couldn't get version/kind|unable to parse requirement).*", r"\1", value)
        value = re.sub(r" \(must be of type \w+\)", "", value)
        return re.sub(r": (status\.)?(state in body)", r": \2", value)
    return value


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_the_lab_answers_as_kube_apiserver_does(real: Api, ours: Api, name: str) -> None:
    differences: list[str] = []
    for number, ask in enumerate(CONVERSATIONS[name]):
        theirs, mine = comparable(real.ask(ask)), comparable(ours.ask(ask))
        if mine != theirs:
            differences.append(f"{number}: {ask.method} {ask.path}\n    real: {theirs}\n    ours: {mine}")
    assert not differences, "\n".join(["", *differences])
