"""`controller.yml` against modules that only write down what they are told: what a launch by AWX knows."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]
ANSIBLE = str(Path(sys.executable).with_name("ansible-playbook"))
TOLD = """#!/usr/bin/python
# WANT_JSON
import json, os, sys

with open(sys.argv[1]) as given, open(os.environ["TOLD"], "a") as told:
    arguments = {name: value for name, value in json.load(given).items() if not name.startswith("_ansible")}
    told.write(json.dumps(arguments | {"module": "MODULE"}) + "\\n")
print(json.dumps({"changed": True}))
"""
Told = list[dict[str, Any]]


@pytest.fixture
def define(tmp_path: Path) -> Any:
    """Run the playbook, and give what each module was told."""
    modules = tmp_path / "ansible_collections/awx/awx/plugins/modules"
    modules.mkdir(parents=True)
    for name in set(re.findall(r"awx\.awx\.(\w+):", (ROOT / "playbooks/controller.yml").read_text())):
        (modules / f"{name}.py").write_text(TOLD.replace("MODULE", name))

    def run(*arguments: str, **environment: str) -> Told:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PALEBLUEDOT_", "ANSIBLE_"))}
        done = subprocess.run(
            [
                ANSIBLE,
                "-i",
                "localhost,",
                "playbooks/controller.yml",
                "-e",
                "project_url=https://git.example/p.git",
                "-e",
                "ansible_connection=local",
                "-e",
                f"ansible_python_interpreter={sys.executable}",
                *arguments,
            ],
            cwd=ROOT,
            env={
                **kept,
                "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
                "ANSIBLE_COLLECTIONS_PATH": str(tmp_path),
                "TOLD": str(tmp_path / "told"),
                **environment,
            },
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert "pbd_secret" not in done.stdout + done.stderr
        return [json.loads(line) for line in (tmp_path / "told").read_text().splitlines()]

    return run


def of(told: Told, module: str) -> Told:
    return [entry for entry in told if entry["module"] == module]


def test_a_launch_knows_service_cluster_and_image(define: Any, tmp_path: Path) -> None:
    (tmp_path / "kubeconfig").write_text("apiVersion: v1\n")
    told = define(
        "-e",
        "execution_environment_image=registry.example/ee:1",
        PALEBLUEDOT_URL="https://gpu.example.net",
        PALEBLUEDOT_TOKEN="pbd_secret",
        PALEBLUEDOT_KUBECONFIG=str(tmp_path / "kubeconfig"),
    )
    service, cluster = of(told, "credential")
    assert service["inputs"] == {"url": "https://gpu.example.net", "token": "pbd_secret"}
    assert cluster["inputs"] == {"kubeconfig": "apiVersion: v1"}
    (image,) = of(told, "execution_environment")
    assert image["image"] == "registry.example/ee:1"
    # each credential fills in the inputs of its type, which hands them on as what the playbooks read
    types = {entry["name"]: entry for entry in of(told, "credential_type")}
    for credential in (service, cluster):
        fields = {field["id"] for field in types[credential["credential_type"]]["inputs"]["fields"]}
        assert fields == set(credential["inputs"])
    assert set(types[service["credential_type"]]["injectors"]["env"]) == {"PALEBLUEDOT_URL", "PALEBLUEDOT_TOKEN"}
    assert set(types[cluster["credential_type"]]["injectors"]["env"]) == {"PALEBLUEDOT_KUBECONFIG"}

    (source,) = of(told, "inventory_source")
    assert (source["credential"], source["execution_environment"]) == (service["name"], image["name"])
    with_cluster = set()
    for template in of(told, "job_template"):
        assert template["execution_environment"] == image["name"]
        assert template["credentials"][0] == service["name"]
        if cluster["name"] in template["credentials"]:
            with_cluster.add(template["playbook"])
    assert with_cluster == {f"playbooks/{name}.yml" for name in ("allocate", "release", "discover")}
    # nothing is named before it is there
    order = [entry["module"] for entry in told]
    assert max(order.index("credential"), order.index("execution_environment")) < order.index("inventory_source")


def test_credentials_that_the_controller_has_are_named_and_left_alone(define: Any) -> None:
    told = define(
        "-e", "service_credential=ours", "-e", "tinkerbell_credential=theirs", "-e", "execution_environment=ee"
    )
    assert of(told, "credential") == of(told, "execution_environment") == []
    (source,) = of(told, "inventory_source")
    assert (source["credential"], source["execution_environment"]) == ("ours", "ee")
    allocate = of(told, "job_template")[0]
    assert (allocate["credentials"], allocate["execution_environment"]) == (["ours", "theirs"], "ee")
