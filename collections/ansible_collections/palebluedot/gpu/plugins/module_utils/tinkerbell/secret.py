# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""The Secret with which Tinkerbell's own BMC controller (Rufio) logs in: the operation of ``tinkerbell_secret``."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import BadAnswer, InvalidInput, NotFound
from ansible_collections.palebluedot.gpu.plugins.module_utils.tinkerbell.kube import Kube, segment
from ansible_collections.palebluedot.gpu.plugins.module_utils.tinkerbell.objects import HARDWARE, Objects, patiently

Json = dict[str, Any]

_MACHINES = "/apis/bmc.tinkerbell.org/v1alpha1/namespaces"


def run(params: Json, check_mode: bool) -> Json:
    """Bring user name and password of the Secret in step, where the Hardware has a Machine that uses one."""
    username, password = params.get("username"), params.get("password")
    if not username or not password:
        raise InvalidInput("it is not said which user name and password", next="Give credential, or both.")
    with Kube(params.get("kubeconfig"), params.get("context")) as kube:
        where = _secret_of(kube, params["namespace"], params["hardware"])
        if where is None:
            return {"changed": False, "secret": None, "diff": {"before": {}, "after": {}}}
        namespace, name = where
        path = f"/api/v1/namespaces/{segment(namespace)}/secrets"
        wanted = {"username": username, "password": password}
        current = patiently(lambda: _optional(kube, f"{path}/{segment(name)}"))
        differing = sorted(key for key, value in wanted.items() if _plain(current, key) != value)
        if differing and not check_mode:
            _write(kube, path, name, namespace, current, wanted)
            after = patiently(lambda: _optional(kube, f"{path}/{segment(name)}"))
            if any(_plain(after, key) != value for key, value in wanted.items()):
                raise BadAnswer(
                    "the Kubernetes API accepted the Secret and does not show it",
                    code="not_applied",
                    host=kube.host,
                    tried=f"writing {path}/{name}",
                    answer="read back, it has other values",
                    next="See who else writes it.",
                )
    side = dict.fromkeys(wanted, "in step")
    before = {**side, **dict.fromkeys(differing, "another" if current else "missing")}
    return {
        "changed": bool(differing),
        "secret": {"name": name, "namespace": namespace},
        "diff": {"before": before, "after": side},
    }


def _secret_of(kube: Kube, namespace: str, hardware: str) -> tuple[str, str] | None:
    """Namespace and name of the Secret; None where Tinkerbell does not manage this machine's BMC."""
    found = Objects(kube, HARDWARE, namespace).find(hardware)
    reference = ((found or {}).get("spec") or {}).get("bmcRef") or {}
    machine_path = f"{_MACHINES}/{segment(namespace)}/machines/{segment(reference.get('name') or hardware)}"
    machine = patiently(lambda: _optional(kube, machine_path))
    secret = (((machine or {}).get("spec") or {}).get("connection") or {}).get("authSecretRef") or {}
    if not secret.get("name"):
        return None
    return str(secret.get("namespace") or namespace), str(secret["name"])


def _write(kube: Kube, path: str, name: str, namespace: str, current: Json | None, wanted: dict[str, str]) -> None:
    data = {key: base64.b64encode(value.encode()).decode() for key, value in wanted.items()}
    if current is None:
        metadata = {"name": name, "namespace": namespace}
        kube.create(path, {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "Opaque", "data": data})
        return
    version = current["metadata"].get("resourceVersion")
    kube.merge_patch(f"{path}/{segment(name)}", {"metadata": {"resourceVersion": version}, "data": data})


def _optional(kube: Kube, path: str) -> Json | None:
    try:
        return kube.get(path)
    except NotFound:
        return None


def _plain(secret: Json | None, key: str) -> str | None:
    encoded = ((secret or {}).get("data") or {}).get(key)
    try:
        return base64.b64decode(encoded).decode() if encoded else None
    except (binascii.Error, UnicodeDecodeError):
        return None
