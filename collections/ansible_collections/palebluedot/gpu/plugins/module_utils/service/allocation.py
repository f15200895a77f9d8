# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""Reserving, finding, claiming and releasing: the operation of ``allocation``."""

from __future__ import annotations

import os
from typing import Any

from ansible_collections.palebluedot.gpu.plugins.module_utils import notices
from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import Conflict, InvalidInput, NotFound
from ansible_collections.palebluedot.gpu.plugins.module_utils.service import claimant as claimants
from ansible_collections.palebluedot.gpu.plugins.module_utils.service.client import ServiceClient
from ansible_collections.palebluedot.gpu.plugins.module_utils.service.credentials import client_from

Json = dict[str, Any]

# What a reservation may say (CONTRACTS: allocate fields); `executor` and `request` are handled apart.
FIELDS = (
    "gpu_count",
    "gpu_model",
    "kind",
    "server_count",
    "template",
    "template_version",
    "parameters",
    "ssh_keys",
    "start",
    "end",
    "on_behalf_of",
)
# Asking for the same name with other values of these is a mistake, not a resumption.
_IDENTITY = ("gpu_count", "gpu_model", "kind", "template", "template_version")

_WORKING = frozenset({"active", "suspended"})
_LEAVING = frozenset({"releasing"})
_ENDED = frozenset({"released"})
_LOST = frozenset({"rejected", "failed", "cancelled"})
_WORKFLOW_ENDED = frozenset({"succeeded", "failed", "cancelled", "timed_out"})


def run(params: Json, check_mode: bool) -> Json:
    """Operation of ``allocation``: ``changed``, ``diff``, ``allocation``, ``workflow``, ``run``, ``message``."""
    with client_from(params) as client:
        subject = _Allocation(client, params, check_mode)
        if params.get("fence") is not None:
            return subject.read_claimed()
        return subject.present() if params["state"] == "present" else subject.absent()


class _Allocation:
    """One request, found or made, and its current workflow."""

    def __init__(self, client: ServiceClient, params: Json, check_mode: bool) -> None:
        self.client = client
        self.params = params
        self.check_mode = check_mode
        self.request: str | None = params.get("request")

    # -- the three ways in -----------------------------------------------------------------------------------------

    def read_claimed(self) -> Json:
        """Launched by the dispatcher: reserved and claimed already, so nothing but reading is left."""
        workflow = self.client.workflow(self.params["workflow_id"])
        document = self.client.run_document(workflow["id"])
        _see_that_it_holds(int(self.params["fence"]), workflow, document)
        allocation = self.client.allocation(workflow["allocation_id"]) if workflow.get("allocation_id") else None
        return _result(False, allocation, workflow, document, f"{workflow['id']} is claimed by its launcher")

    def present(self) -> Json:
        """Find or reserve; then claim, unless there is nothing left to do."""
        if self.params.get("workflow_id"):
            return self._claim_by_id()
        allocation = self._find()
        if allocation is None:
            return self._reserve()
        self._same_wish(allocation)
        status = allocation["status"]
        if status in _WORKING:
            done = self._current_workflow(allocation)
            return _result(False, allocation, done, None, f"{self._name(allocation)} is {status}: nothing to do")
        if status in _LEAVING | _ENDED | _LOST:
            reason = f" ({allocation['end_reason']})" if allocation.get("end_reason") else ""
            raise Conflict(
                f"{self._name(allocation)} is {status}{reason}",
                code="request_ended",
                tried=f"resume {allocation['id']}",
                answer=status,
                next="A name is used once: allocate anew with another name (-e request=<new name>).",
                details={"allocation": allocation},
            )
        current = self._current_workflow(allocation)
        if current is None:
            return _result(
                False, allocation, None, None, f"{self._name(allocation)} is {status}, without a workflow yet"
            )
        return self._claim(allocation, current, changed=False, before=allocation)

    def absent(self) -> Json:
        """Start the release, or find the one that is under way; then claim it."""
        if self.params.get("workflow_id"):
            return self._claim_by_id()
        allocation = self._find()
        if allocation is None:
            return _result(False, None, None, None, f"there is no {self._name(None)}: nothing to release")
        status = allocation["status"]
        if status in _ENDED | _LOST:
            return _result(False, allocation, None, None, f"{self._name(allocation)} is {status}: nothing to release")
        if status in _LEAVING:
            current = self._current_workflow(allocation)
            if current is None:
                raise NotFound(
                    f"{allocation['id']} is releasing and has no workflow",
                    next="Look at GET /api/v1/workflows of the service.",
                )
            return self._claim(allocation, current, changed=False, before=allocation)
        if self.check_mode:
            after = {**allocation, "status": "releasing"}
            return _result(True, after, None, None, f"would release {self._name(allocation)}", before=allocation)
        started = self.client.release(allocation["id"], executor=self._executor())
        after = self.client.allocation(allocation["id"])
        workflow = self.client.workflow(started["workflow_id"])
        return self._claim(after, workflow, changed=True, before=allocation)

    def _claim_by_id(self) -> Json:
        workflow = self.client.workflow(self.params["workflow_id"])
        known = self.client.allocation(workflow["allocation_id"]) if workflow.get("allocation_id") else None
        return self._claim(known, workflow, changed=False, before=known)

    # -- find and reserve --------------------------------------------------------------------------------------------

    def _find(self) -> Json | None:
        if self.params.get("allocation_id"):
            return self.client.allocation(self.params["allocation_id"])
        # A name is used once per user, and an operator sees every user's.
        named = [each for each in self.client.allocations(request=self.request) if each["request"] == self.request]
        if not named:
            return None
        owner = self.params.get("on_behalf_of") or self.client.profile()["id"]
        own = [each for each in named if owner in (each["user_id"], each["username"])]
        if own:
            return own[0]
        if self.params.get("on_behalf_of") or self._wishes():
            # somebody else's request of the same name: this one is new
            return None
        if len(named) > 1:
            raise Conflict(
                f"{len(named)} users have a {self._name(None)}, and none of them is you",
                code="request_ambiguous",
                answer=", ".join(f"{each['id']} of {each['username']}" for each in named),
                next="Say which: allocation_id, or on_behalf_of.",
            )
        return named[0]

    def _wishes(self) -> bool:
        """Whether the task says enough to reserve anew, rather than only to find."""
        if self.params["state"] == "absent" or not self.params.get("template"):
            return False
        return bool(self.params.get("gpu_count") or self.params.get("server_count"))

    def _same_wish(self, allocation: Json) -> None:
        differing = {
            name: (allocation[name], self.params[name])
            for name in _IDENTITY
            if self.params.get(name) is not None
            and allocation.get(name) is not None
            and allocation[name] != self.params[name]
            # the record holds the model's full name, the wish a part of it
            and not (name == "gpu_model" and str(self.params[name]).lower() in str(allocation[name]).lower())
        }
        if differing:
            listing = ", ".join(f"{name} {had!r}, now {wanted!r}" for name, (had, wanted) in differing.items())
            raise Conflict(
                f"{self._name(allocation)} was asked for with other values: {listing}",
                code="idempotency_mismatch",
                answer=f"{allocation['id']} is {allocation['status']}",
                next="Repeat the request as it was, or use another name (-e request=<new name>).",
            )

    def _reserve(self) -> Json:
        fields = {name: self.params[name] for name in FIELDS if self.params.get(name) is not None}
        if not self._wishes():
            raise InvalidInput(
                f"there is no {self._name(None)}, and a new one needs gpu_count (or server_count) and template",
                code="request_incomplete",
                next="Give them: -e gpu_count=8 -e template=ubuntu-24.04. To resume, check the name.",
            )
        fields |= {"request": self.request, "executor": self._executor()}
        if self.check_mode:
            predicted = {"id": None, "status": "pending", "servers": [], **fields}
            return _result(True, predicted, None, None, f"would reserve {self._name(None)}", before=None)
        made = self.client.allocate(fields, request=self.request)
        allocation = self.client.allocation(made["allocation_id"])
        workflow = self.client.workflow(made["workflow_id"]) if made.get("workflow_id") else None
        if workflow is None:
            return _result(
                True, allocation, None, None, f"{self._name(allocation)} is {allocation['status']}", before=None
            )
        return self._claim(allocation, workflow, changed=True, before=None)

    def _current_workflow(self, allocation: Json) -> Json | None:
        return self.client.workflow(allocation["workflow_id"]) if allocation.get("workflow_id") else None

    def _executor(self) -> str:
        return self.params.get("executor") or "external"

    def _name(self, allocation: Json | None) -> str:
        name = (allocation or {}).get("request") or self.request
        if name:
            return f"request {name!r}"
        return str((allocation or {}).get("id") or self.params.get("allocation_id"))

    # -- the claim ---------------------------------------------------------------------------------------------------

    def _claim(self, allocation: Json | None, workflow: Json, *, changed: bool, before: Json | None) -> Json:
        if workflow["status"] in _WORKFLOW_ENDED:
            return _result(
                changed, allocation, workflow, None, f"{workflow['id']} has {workflow['status']}: nothing to do", before
            )
        if not self.params.get("claim") or self.check_mode:
            # Reading the run document claims nothing: with it, check mode can walk the steps' own checks.
            document = self.client.run_document(workflow["id"])
            would = "would claim" if self.params.get("claim") else "leaves unclaimed"
            changed = changed or bool(self.params.get("claim"))
            message = f"{workflow['id']} is {workflow['status']}; {would} it"
            return _result(changed, allocation, workflow, document, message, before)
        taken = self._take(workflow["id"])
        document = self.client.run_document(workflow["id"])
        workflow = self.client.workflow(workflow["id"])
        _see_that_it_holds(int(taken["fence"]), workflow, document)
        if allocation is not None:
            allocation = self.client.allocation(allocation["id"])
        message = f"{workflow['id']} is claimed by this run (attempt {workflow['attempt']})"
        return _result(True, allocation, workflow, document, message, before)

    def _take(self, workflow_id: str) -> Json:
        me = self.params.get("claimant") or str(claimants.claimant_of(os.getppid()))
        commit = self.params.get("playbook_commit")
        try:
            return self.client.claim(workflow_id, me, playbook_commit=commit)
        except Conflict as problem:
            if problem.code != "claim_held":
                raise
            holder, fence = problem.details.get("holder"), problem.details.get("fence")
            if fence is None or not self._may_take_over(me, holder):
                raise self._held(workflow_id, problem) from problem
            # The fence says which claim is meant: should somebody else have been faster, this fails as well.
            try:
                return self.client.claim(workflow_id, me, takeover_fence=int(fence), playbook_commit=commit)
            except Conflict as lost:
                raise (self._held(workflow_id, lost) if lost.code == "claim_held" else lost) from lost

    def _may_take_over(self, me: str, holder: str | None) -> bool:
        if self.params.get("takeover"):
            notices.say(f"taking the claim over from {holder}, as asked")
            return True
        if holder == me:
            # An earlier claim of this very run whose answer got lost.
            return True
        other = claimants.parse(holder)
        if other is not None and claimants.is_gone(other):
            notices.say(f"taking the claim over from process {other.pid} of this machine, which is gone")
            return True
        return False

    def _held(self, workflow_id: str, problem: Conflict) -> Conflict:
        holder = problem.details.get("holder") or "somebody else"
        until = problem.details.get("claim_expires_at")
        return Conflict(
            f"{workflow_id} is claimed by {holder}" + (f" until {until}" if until else ""),
            code="claim_held",
            host=problem.host,
            tried=f"claim {workflow_id}",
            answer=problem.message,
            next=(
                "Wait until the claim ends, or, when you know that this run is dead, take it over with takeover: true "
                "(-e takeover=true)."
            ),
            retryable=True,
            details=problem.details,
        )


def _see_that_it_holds(fence: int, workflow: Json, document: Json) -> None:
    """The steps are walked with the fence of the run document: with somebody else's, two runs would work at once."""
    if document["workflow"]["fence"] != fence:
        raise Conflict(
            f"the claim of {workflow['id']} was lost",
            code="stale_fence",
            tried=f"fence {fence}",
            answer=f"it is at fence {document['workflow']['fence']}, held by {workflow.get('claimed_by')}",
            next="Nothing: whoever holds the claim now does the work.",
        )


def _result(
    changed: bool,
    allocation: Json | None,
    workflow: Json | None,
    document: Json | None,
    message: str,
    before: Json | None = None,
) -> Json:
    return {
        "changed": changed,
        "allocation": allocation,
        "workflow": workflow,
        "run": document,
        "message": message,
        "diff": {"before": _seen(before), "after": _seen(allocation)},
    }


def _seen(allocation: Json | None) -> Json:
    """What the diff shows: the wish and its state, not time stamps."""
    if allocation is None:
        return {}
    names = ("id", "request", "status", "gpu_count", "gpu_model", "template", "workflow_id")
    return {name: allocation.get(name) for name in names}
