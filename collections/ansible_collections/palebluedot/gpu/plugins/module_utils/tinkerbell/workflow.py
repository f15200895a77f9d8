# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""Workflow: started once, adopted while it lives, waited for, and replaced after a failure. ``tinkerbell_workflow``.

Tinkerbell never runs a workflow twice: terminal means terminal (v1alpha1 has no retry). So a name stands for a series
of attempts, ``<name>``, ``<name>-2``, ``<name>-3`` …, of which one at most exists: a failed one would keep the agent
from being served the next. A label holds them together.
"""

from __future__ import annotations

import hashlib
import re
import time
from typing import Any

from ansible_collections.palebluedot.gpu.plugins.module_utils import notices
from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import (
    BadAnswer,
    Busy,
    Conflict,
    DeadlineExceeded,
    InvalidInput,
    NotFound,
    PaleBlueDotError,
    Unreachable,
)
from ansible_collections.palebluedot.gpu.plugins.module_utils.tinkerbell import dialect
from ansible_collections.palebluedot.gpu.plugins.module_utils.tinkerbell.kube import Expired, Kube, segment
from ansible_collections.palebluedot.gpu.plugins.module_utils.tinkerbell.objects import (
    HARDWARE,
    TEMPLATE,
    WORKFLOW,
    Change,
    Objects,
    merged_labels,
    patiently,
)
from ansible_collections.palebluedot.gpu.plugins.module_utils.waiting import Waiter

Json = dict[str, Any]

# Which series a Workflow belongs to. A label's value has 63 characters at most, a name has more: so a digest.
SERIES_LABEL = "palebluedot.gpu/series"
_ATTEMPT = re.compile(r"-([1-9][0-9]*)\Z")
# tink refuses 200 characters and more; the suffix needs room.
_NAME_LENGTH = 190
_WATCH_S = 60.0
# A Workflow may be seen by the controller before its Template or Hardware; it tries again by itself.
_RENDERING_GRACE_S = 20.0
_BMC_JOBS = "/apis/bmc.tinkerbell.org/v1alpha1/namespaces/{namespace}/jobs/{name}"


def run(params: Json, check_mode: bool) -> Json:
    """Operation of ``tinkerbell_workflow``: ``changed``, ``diff``, ``workflow``."""
    if len(params["name"]) > _NAME_LENGTH:
        raise InvalidInput(f"the workflow name has more than {_NAME_LENGTH} characters", next="Shorten it.")
    with Kube(params.get("kubeconfig"), params.get("context")) as kube:
        series = Series(kube, params["namespace"], params["name"])
        if params["state"] == "absent":
            return series.absent(check_mode)
        return series.present(params, check_mode)


def series_label(name: str) -> str:
    """The label's value for a series."""
    return hashlib.sha256(name.encode()).hexdigest()[:32]


class Series:
    """The attempts that one name stands for."""

    def __init__(self, kube: Kube, namespace: str, name: str) -> None:
        self.kube = kube
        self.name = name
        self.objects = Objects(kube, WORKFLOW, namespace)
        self.hardware = Objects(kube, HARDWARE, namespace)
        self.templates = Objects(kube, TEMPLATE, namespace)
        self.dialect: str | None = None

    # -- verbs -------------------------------------------------------------------------------------------------------

    def present(self, params: Json, check_mode: bool) -> Json:
        """Adopt the attempt that lives or succeeded, else start one; then wait, when asked to."""
        self.dialect = dialect.detect(self.kube)
        goal = self._goal(params)
        attempts = self.attempts()
        current = attempts[-1] if attempts else None
        if current is not None and self.dialect is None:
            self.dialect = dialect.judge(current)
        before, planned, created = current, current, False
        fresh = bool(params.get("fresh"))
        if fresh and not check_mode:
            self._clear_others(params["hardware_ref"])
        if current is None or self._ended_badly(current) or (fresh and self._cut_off(current)):
            number = self._number(current) + 1 if current else 1
            if not check_mode:
                for stale in attempts:
                    self._clear_away(stale)
            made = self._create(number, goal, check_mode)
            current, planned, created = made.after or {}, made.planned, True
        else:
            self._must_match(current, goal)
        if params["wait"] and not check_mode:
            current = self._wait(current, float(params["wait_timeout"]), float(params["start_timeout"]))
        return self._result(Change(before, current, planned), created, changed=created)

    def absent(self, check_mode: bool) -> Json:
        """Delete every attempt, with what it left open."""
        attempts = self.attempts()
        if not check_mode:
            for attempt in attempts:
                self._clear_away(attempt)
        newest = attempts[-1] if attempts else None
        return self._result(Change(newest, None, None), created=False, changed=bool(attempts))

    # -- the series --------------------------------------------------------------------------------------------------

    def attempts(self) -> list[Json]:
        """The attempts that exist, oldest first; one that was made without our label counts by its name."""
        found = {
            item["metadata"]["name"]: item
            for item in self.objects.labelled(f"{SERIES_LABEL}={series_label(self.name)}")
        }
        if self.name not in found:
            plain = self.objects.find(self.name)
            if plain is not None:
                found[self.name] = plain
        return sorted(found.values(), key=self._number)

    def _number(self, item: Json) -> int:
        name = str(item["metadata"]["name"])
        match = _ATTEMPT.match(name[len(self.name) :]) if name.startswith(self.name) else None
        return int(match[1]) if match else 1

    def _ended_badly(self, item: Json) -> bool:
        if dialect.state(item) in dialect.FAILED:
            return True
        return not dialect.state(item) and dialect.rendering_failure(item) is not None

    def _cut_off(self, item: Json) -> bool:
        """Whether an agent had taken it up: with the machine off it never comes back to it."""
        return dialect.state(item) in dialect.TAKEN_UP

    def _clear_others(self, hardware: str) -> None:
        """Remove every other Workflow of this machine, with the Template that nothing else uses.

        Tink serves an agent whichever of its workflows the API lists first: an installation that was given up would be
        run before, or instead of, the one that is wanted now.
        """
        mine = {item["metadata"]["name"] for item in self.attempts()}
        everything = self.objects.labelled(None)
        for item in everything:
            name = item["metadata"]["name"]
            if item["spec"].get("hardwareRef") != hardware or name in mine:
                continue
            notices.say(f"Tinkerbell workflow {name} of {hardware} is removed: it was {dialect.state(item) or 'new'}")
            self._clear_away(item)
            template = item["spec"].get("templateRef")
            others = [each for each in everything if each is not item and each["spec"].get("templateRef") == template]
            if template and not others:
                self.templates.absent(template, check_mode=False)

    def _goal(self, params: Json) -> Json:
        spec: Json = {
            "templateRef": params["template_ref"],
            "hardwareRef": params["hardware_ref"],
            "hardwareMap": {key: str(value) for key, value in (params.get("hardware_map") or {}).items()},
        }
        options = dialect.boot_options(params.get("boot_options"), self.dialect)
        if options:
            spec["bootOptions"] = options
        labels = merged_labels(None, params.get("labels")) | {SERIES_LABEL: series_label(self.name)}
        return {"labels": labels, "spec": spec}

    def _must_match(self, current: Json, goal: Json) -> None:
        """An attempt is adopted for what it does, not for its name alone."""
        differing = [
            f"{name} {current['spec'].get(name)!r}, wanted {goal['spec'][name]!r}"
            for name in ("templateRef", "hardwareRef", "hardwareMap")
            if (current["spec"].get(name) or None) != (goal["spec"][name] or None)
        ]
        if differing:
            raise Conflict(
                f"Workflow {current['metadata']['name']} does something else: {'; '.join(differing)}",
                code="workflow_differs",
                host=self.kube.host,
                tried=f"adopt {self.objects.path(current['metadata']['name'])}",
                answer=f"it is {dialect.state(current) or 'new'}",
                next="Use another name, or remove it first (state: absent).",
            )

    def _create(self, number: int, goal: Json, check_mode: bool) -> Change:
        name = self.name if number == 1 else f"{self.name}-{number}"
        return self.objects.present(name, lambda _current: goal, check_mode)

    def _clear_away(self, item: Json) -> None:
        """Delete an attempt, and put back what a failed one leaves open."""
        name = item["metadata"]["name"]
        if dialect.state(item) != dialect.SUCCESS:
            self._close_netboot(item)
        self.objects.absent(name, check_mode=False, uid=item["metadata"]["uid"])
        for job in dialect.boot_jobs(item, self.dialect):
            path = _BMC_JOBS.format(namespace=segment(self.objects.namespace), name=segment(job))
            try:
                self.kube.delete(path)
            except NotFound:
                continue
            except PaleBlueDotError as problem:
                notices.say(f"the bmc Job {job} stays behind: {problem.message}")

    def _close_netboot(self, item: Json) -> None:
        """allowPXE false, which Tinkerbell itself does in POST only: after a failure it stays true."""
        if not (item["spec"].get("bootOptions") or {}).get("toggleAllowNetboot"):
            return
        name = item["spec"].get("hardwareRef")
        if not name:
            return

        def attempt() -> None:
            hardware = self.hardware.find(name)
            if hardware is None:
                return
            interfaces = hardware["spec"].get("interfaces") or []
            open_ones = [each for each in interfaces if (each.get("netboot") or {}).get("allowPXE")]
            if not open_ones:
                return
            for each in open_ones:
                each["netboot"]["allowPXE"] = False
            version = hardware["metadata"]["resourceVersion"]
            patch = {"metadata": {"resourceVersion": version}, "spec": {"interfaces": interfaces}}
            self.kube.merge_patch(self.hardware.path(name), patch)

        patiently(attempt, also=(Conflict,))

    # -- waiting -----------------------------------------------------------------------------------------------------

    def _wait(self, item: Json, wait_s: float, start_s: float) -> Json:
        """The workflow when it has succeeded.

        It is watched, and read anew whenever a watch ends, for whatever reason: a watch only saves time.

        :raises PaleBlueDotError: ``workflow_failed``, ``workflow_timeout``, ``template_not_rendered``,
            ``workflow_not_started`` (no agent came within ``start_s``), ``deadline_exceeded``.
        """
        name = item["metadata"]["name"]
        waiter = Waiter(wait_s, first_pause_s=0.5, longest_pause_s=10.0)
        began, seen = time.monotonic(), ""
        while True:
            state = dialect.state(item)
            if state != seen:
                seen = state
                notices.say(f"Tinkerbell workflow {name}: {state or 'new'}")
            if state == dialect.SUCCESS:
                return item
            if state in dialect.FAILED:
                raise self._failed(item)
            elapsed = time.monotonic() - began
            if not state and dialect.rendering_failure(item) and elapsed > min(_RENDERING_GRACE_S, start_s):
                raise self._not_rendered(item)
            if elapsed >= wait_s:
                raise self._too_late(item, wait_s)
            limit = wait_s
            if state in dialect.NOT_STARTED:
                if elapsed >= start_s:
                    raise self._not_started(item, start_s)
                limit = min(wait_s, start_s)
                if not state and dialect.rendering_failure(item):
                    limit = min(limit, _RENDERING_GRACE_S + 1.0)
            item = self._next(item, min(_WATCH_S, max(1.0, limit - elapsed)), waiter)

    def _next(self, item: Json, seconds: float, waiter: Waiter) -> Json:
        """The object after its next change, or after ``seconds`` without one."""
        name, uid = item["metadata"]["name"], item["metadata"]["uid"]
        query = {
            "fieldSelector": f"metadata.name={name}",
            "resourceVersion": item["metadata"]["resourceVersion"],
            "allowWatchBookmarks": "true",
        }
        try:
            for kind, changed in self.kube.watch(self.objects.collection, query=query, seconds=seconds):
                if kind in ("ADDED", "MODIFIED") and changed["metadata"].get("uid") == uid:
                    return changed
                if kind == "DELETED":
                    break
        except Expired:
            pass
        except (BadAnswer, Busy, DeadlineExceeded, Unreachable) as problem:
            if not problem.retryable:
                raise
            # Polling goes on where watching does not.
            waiter.pause()
        try:
            current = self.objects.find(name)
        except (Busy, DeadlineExceeded, Unreachable):
            if not waiter.pause():
                raise
            return item
        if current is None or current["metadata"]["uid"] != uid:
            raise NotFound(
                f"Workflow {name} was deleted while it was waited for",
                code="workflow_deleted",
                host=self.kube.host,
                tried=f"watch {self.objects.path(name)}",
                next="See who deleted it. Repeating the run starts it anew.",
            )
        return current

    # -- errors and results ------------------------------------------------------------------------------------------

    def _failed(self, item: Json) -> PaleBlueDotError:
        state, name = dialect.state(item), item["metadata"]["name"]
        where = dialect.failure(item)
        self._close_netboot(item)
        at = f" in action {where.action!r}" if where.action else ""
        at += f" of task {where.task!r}" if where.task else ""
        verb = "timed out" if state == "TIMEOUT" else "failed"
        return PaleBlueDotError(
            f"Tinkerbell workflow {name} {verb}{at}" + (f": {where.message}" if where.message else ""),
            code="workflow_timeout" if state == "TIMEOUT" else "workflow_failed",
            host=item["spec"].get("hardwareRef"),
            step=where.action,
            tried=f"Workflow {self.objects.namespace}/{name}",
            answer=where.message or state,
            next="Read the action's log on the machine's console. Repeating the run starts a new attempt.",
            retryable=True,
        )

    def _not_rendered(self, item: Json) -> PaleBlueDotError:
        name = item["metadata"]["name"]
        return InvalidInput(
            f"Tinkerbell cannot render the template of workflow {name}",
            code="template_not_rendered",
            host=item["spec"].get("hardwareRef"),
            tried=f"Template {item['spec'].get('templateRef')} with Hardware {item['spec'].get('hardwareRef')}",
            answer=dialect.rendering_failure(item),
            next="Correct the template, or the hardware_map and Hardware that it refers to.",
        )

    def _not_started(self, item: Json, start_s: float) -> PaleBlueDotError:
        state, name = dialect.state(item), item["metadata"]["name"]
        return DeadlineExceeded(
            f"no agent took up Tinkerbell workflow {name} within {start_s:.0f} s",
            code="workflow_not_started",
            host=item["spec"].get("hardwareRef"),
            tried=f"Workflow {self.objects.namespace}/{name}",
            answer=f"its state is {state or 'empty: the controller did not look at it'}",
            next=(
                "See on the console whether the machine boots from the network into the agent, and whether its MAC is "
                "the one in hardware_map."
            ),
        )

    def _too_late(self, item: Json, wait_s: float) -> PaleBlueDotError:
        state, name = dialect.state(item), item["metadata"]["name"]
        return DeadlineExceeded(
            f"Tinkerbell workflow {name} did not end within {wait_s:.0f} s",
            host=item["spec"].get("hardwareRef"),
            step=dialect.current_action(item),
            tried=f"Workflow {self.objects.namespace}/{name}",
            answer=f"its state is {state or 'empty'}, its action {dialect.current_action(item)!r}",
            next="Look at the machine's console. A repeated run goes on waiting for the same workflow.",
        )

    def _result(self, change: Change, created: bool, *, changed: bool) -> Json:
        return {
            "changed": changed,
            "diff": {"before": _side(change.before), "after": _side(change.planned)},
            "workflow": self._shown(change, created),
        }

    def _shown(self, change: Change, created: bool) -> Json | None:
        item = change.after
        if item is None:
            return None
        status = item.get("status") or {}
        replaced = change.before if created else None
        return {
            "name": item["metadata"]["name"],
            "namespace": self.objects.namespace,
            "state": dialect.state(item),
            "created": created,
            "attempt": self._number(item),
            "replaced": {"name": replaced["metadata"]["name"], "state": dialect.state(replaced)} if replaced else None,
            "current_action": dialect.current_action(item),
            "agent": status.get("agentID") or next((t.get("worker") for t in status.get("tasks") or []), None),
            "labels": item["metadata"].get("labels") or {},
            "dialect": self.dialect or dialect.judge(item),
        }


def _side(item: Json | None) -> Json:
    if item is None:
        return {}
    return {"name": item["metadata"]["name"], "labels": item["metadata"].get("labels") or {}, "spec": item["spec"]}
