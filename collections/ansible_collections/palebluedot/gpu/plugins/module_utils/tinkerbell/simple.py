# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""Hardware and Template: declared, and left to Tinkerbell. The operations of their two modules."""

from __future__ import annotations

import copy
import hashlib
from typing import Any

from ansible_collections.palebluedot.gpu.plugins.module_utils.tinkerbell import templatedata
from ansible_collections.palebluedot.gpu.plugins.module_utils.tinkerbell.kube import Kube
from ansible_collections.palebluedot.gpu.plugins.module_utils.tinkerbell.objects import (
    HARDWARE,
    TEMPLATE,
    Change,
    Objects,
    merged_labels,
)

Json = dict[str, Any]

# May hold keys, tokens and password hashes of a tenant: shown as a digest only.
_PRIVATE = ("userData", "vendorData")


def run_hardware(params: Json, check_mode: bool) -> Json:
    """Operation of ``tinkerbell_hardware``: ``changed``, ``diff``, ``hardware``."""
    name = params["name"]

    def wanted(current: Json | None) -> Json:
        known = (current or {}).get("spec") or {}
        spec = known if params.get("spec") is None else params["spec"]
        return {"labels": merged_labels(current, params.get("labels")), "spec": spec}

    with Kube(params.get("kubeconfig"), params.get("context")) as kube:
        objects = Objects(kube, HARDWARE, params["namespace"])
        if params["state"] == "absent":
            change = objects.absent(name, check_mode)
        else:
            change = objects.present(name, wanted, check_mode)
    return {**_outcome(change), "hardware": _shown(change.after)}


def run_template(params: Json, check_mode: bool) -> Json:
    """Operation of ``tinkerbell_template``: ``changed``, ``diff``, ``template``."""
    name = params["name"]

    def wanted(current: Json | None) -> Json:
        return {"labels": merged_labels(current, params.get("labels")), "spec": {"data": params["data"]}}

    if params["state"] == "present":
        templatedata.check(name, params["data"])
    with Kube(params.get("kubeconfig"), params.get("context")) as kube:
        objects = Objects(kube, TEMPLATE, params["namespace"])
        if params["state"] == "absent":
            change = objects.absent(name, check_mode)
        else:
            change = objects.present(name, wanted, check_mode)
    shown = _shown(change.after)
    if shown:
        shown["digest"] = digest(shown.pop("spec")["data"])
    return {**_outcome(change), "template": shown}


def digest(text: str) -> str:
    """``sha256:…`` of a text, short enough to compare by eye."""
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()[:16]


def _outcome(change: Change) -> Json:
    return {
        "changed": change.changed,
        "diff": {"before": _side(change.before), "after": _side(change.planned)},
    }


def _side(item: Json | None) -> Json:
    shown = _shown(item)
    return {"labels": shown["labels"], "spec": shown["spec"]} if shown else {}


def _shown(item: Json | None) -> Json | None:
    """An object as it is returned: what is declared, with private texts as digests."""
    if item is None:
        return None
    spec = copy.deepcopy(item.get("spec") or {})
    for name in _PRIVATE:
        if spec.get(name):
            spec[name] = digest(spec[name])
    instance = (spec.get("metadata") or {}).get("instance") or {}
    for name in ("userdata", "crypted_root_password"):
        if instance.get(name):
            instance[name] = digest(instance[name])
    metadata = item["metadata"]
    return {
        "name": metadata["name"],
        "namespace": metadata.get("namespace"),
        "labels": metadata.get("labels") or {},
        "spec": spec,
    }
