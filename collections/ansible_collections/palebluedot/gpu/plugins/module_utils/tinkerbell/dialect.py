# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""The two shapes of ``tinkerbell.org/v1alpha1``, and one way to read both.

========================  ==========================  =============================
                          tink 0.12.2                 tinkerbell/tinkerbell (mono)
========================  ==========================  =============================
``status.state``          ``STATE_RUNNING``           ``RUNNING`` (since v0.17)
current position          ``status.currentAction``    ``status.currentState``
an action's outcome       ``status``                  ``state``
template status           ``templateRending`` (sic)   ``templateRendering``
boot mode of an ISO       ``iso``                     ``isoboot`` (``iso`` is deprecated)
hold a workflow           not possible                ``spec.disabled``
========================  ==========================  =============================

Source: the CRDs of tink v0.12.2 and tinkerbell v0.25.0. Which one a cluster has is read from the CRD; where the account
may not read CRDs, the objects tell.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import (
    AuthenticationError,
    InvalidInput,
    NotFound,
    Unsupported,
)
from ansible_collections.palebluedot.gpu.plugins.module_utils.tinkerbell.kube import Kube
from ansible_collections.palebluedot.gpu.plugins.module_utils.tinkerbell.objects import VERSION, WORKFLOW, crd

Json = dict[str, Any]

TINK, MONO = "tink-0.12", "mono"

NOT_STARTED = frozenset({"", "PENDING", "PREPARING"})
TAKEN_UP = frozenset({"RUNNING", "POST"})
FAILED = frozenset({"FAILED", "TIMEOUT"})
SUCCESS = "SUCCESS"


class Failure(NamedTuple):
    """Where a workflow failed, as far as its status tells."""

    task: str | None
    action: str | None
    message: str | None


def detect(kube: Kube) -> str | None:
    """``TINK`` or ``MONO`` by the Workflow CRD; None where the account may not read it.

    :raises Unsupported: the cluster has Tinkerbell's kinds in another version only.
    """
    try:
        versions = crd(kube, WORKFLOW)["spec"]["versions"]
    except (AuthenticationError, NotFound):
        return None
    for version in versions:
        if version["name"] == VERSION:
            status = version.get("schema", {}).get("openAPIV3Schema", {}).get("properties", {}).get("status", {})
            properties = status.get("properties", {})
            if "currentState" in properties:
                return MONO
            return TINK if "currentAction" in properties else None
    raise Unsupported(
        f"the cluster's Tinkerbell has no {VERSION} Workflow",
        code="tinkerbell_version_unsupported",
        host=kube.host,
        answer=f"versions: {', '.join(version['name'] for version in versions)}",
        next="Install the v1alpha1 CRDs: v1alpha2 is not supported, its controllers are not finished.",
    )


def judge(workflow: Json) -> str | None:
    """The same by an object; None when it shows neither's marks (a fresh one)."""
    status = workflow.get("status") or {}
    tasks = status.get("tasks") or []
    if str(status.get("state", "")).startswith("STATE_") or "currentAction" in status or "templateRending" in status:
        return TINK
    if status.get("state") or "currentState" in status or "templateRendering" in status:
        return MONO
    if any("worker" in task for task in tasks):
        return TINK
    return MONO if any("agentID" in task for task in tasks) else None


def state(workflow: Json) -> str:
    """The workflow's state without prefix; ``""`` when the controller has not looked at it yet."""
    return str((workflow.get("status") or {}).get("state") or "").removeprefix("STATE_")


def rendering_failure(workflow: Json) -> str | None:
    """Why the template cannot be rendered; None when it can, or nobody tried yet."""
    status = workflow.get("status") or {}
    rendering = status.get("templateRendering") or status.get("templateRending")
    condition = next((c for c in status.get("conditions") or [] if c.get("type") == "TemplateRenderedSuccess"), None)
    if rendering != "failed" and (condition is None or condition.get("status") != "False"):
        return None
    return str((condition or {}).get("message") or "the controller does not say why")


def current_action(workflow: Json) -> str | None:
    """The name of the action that runs now, or ran last."""
    status = workflow.get("status") or {}
    return (status.get("currentState") or {}).get("actionName") or status.get("currentAction") or None


def failure(workflow: Json) -> Failure:
    """The action that failed or timed out, with its message; a condition's message where no action has one."""
    status = workflow.get("status") or {}
    for task in status.get("tasks") or []:
        for action in task.get("actions") or []:
            outcome = str(action.get("state") or action.get("status") or "").removeprefix("STATE_")
            if outcome in FAILED:
                return Failure(task.get("name"), action.get("name"), action.get("message") or outcome.lower())
    for condition in status.get("conditions") or []:
        kind, value = str(condition.get("type", "")), condition.get("status")
        if value == "True" and kind.endswith(("JobFailed", "JobSetupFailed")):
            return Failure(None, None, f"{kind}: {condition.get('message') or condition.get('reason')}")
    return Failure(None, current_action(workflow), None)


def boot_options(options: Json | None, dialect: str | None) -> Json:
    """``spec.bootOptions`` in the cluster's words.

    :raises InvalidInput: the cluster has no such boot mode.
    """
    spoken = dict(options or {})
    mode = spoken.get("bootMode")
    if dialect == TINK:
        if mode == "isoboot":
            spoken["bootMode"] = "iso"
        elif mode == "customboot":
            raise InvalidInput(
                "tink 0.12 has no boot mode customboot", next="Use netboot or iso, or a newer Tinkerbell."
            )
    elif dialect == MONO and mode == "iso":
        spoken["bootMode"] = "isoboot"
    return spoken


def boot_jobs(workflow: Json, dialect: str | None) -> list[str]:
    """Names of the bmc Jobs that a workflow with a boot mode leaves behind (mono; tink 0.12 reuses one name)."""
    if dialect != MONO or not ((workflow.get("spec") or {}).get("bootOptions") or {}).get("bootMode"):
        return []
    name = workflow["metadata"]["name"]
    return [f"{job}-{name}" for job in ("netboot", "iso-mount", "iso-eject", "customboot-preparing", "customboot-post")]
