"""The workflow controller: it renders templates, prepares hardware, watches the clock and finishes workflows.

The states are Tinkerbell's (tink v0.12.2; tinkerbell/tinkerbell v0.25):

    "" -> PREPARING (toggleAllowNetboot or a bootMode) -> PENDING -> RUNNING -> POST -> SUCCESS
                                                                        \\-> FAILED, TIMEOUT

A template that cannot be rendered leaves the state "" and is tried again when Template or Hardware change. FAILED and
TIMEOUT skip POST: allowPXE stays true. The global timeout runs from the first action's start, and 0 is none at all, so
that the workflow times out at once. BMC jobs (bootMode) are created and waited for; who runs them is not our concern.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime
from typing import Any

from lab.clock import Clock
from lab.kube.document import clone
from lab.kube.errors import ApiError
from lab.kube.managed import Writer
from lab.kube.store import Event, Key, Object, Store
from lab.tinkerbell.dialect import Dialect, State
from lab.tinkerbell.gotemplate import TemplateError
from lab.tinkerbell.rendering import render_plan, status_tasks

logger = logging.getLogger(__name__)

_MANAGER = "tink-controller"


class Controller:
    """Reconciles every Workflow of a store. ``run`` it as a task."""

    def __init__(self, store: Store, clock: Clock, dialect: Dialect) -> None:
        self._store = store
        self._clock = clock
        self._dialect = dialect
        self._workflows = store.kind("tinkerbell.org", "Workflow")
        self._templates = store.kind("tinkerbell.org", "Template")
        self._hardware = store.kind("tinkerbell.org", "Hardware")
        self._jobs = store.kind("bmc.tinkerbell.org", "Job")
        self._queue: asyncio.Queue[Key] = asyncio.Queue()
        self._queued: set[Key] = set()
        self._deadlines: dict[Key, dict[str, float]] = {}  # what runs out when, by clock.elapsed()
        self._timers: dict[Key, asyncio.Task[None]] = {}
        store.listen(self._on_event)

    async def run(self) -> None:
        """Reconcile until cancelled."""
        try:
            while True:
                key = await self._queue.get()
                self._queued.discard(key)
                try:
                    self._reconcile(key)
                except Exception:
                    logger.exception("workflow %s/%s: reconciling failed", *key)
        finally:
            for timer in self._timers.values():
                timer.cancel()

    def _on_event(self, event: Event, manager: str) -> None:
        namespace, name = event.obj["metadata"].get("namespace", ""), event.obj["metadata"]["name"]
        if event.resource == self._workflows:
            self._enqueue((namespace, name))
        elif event.resource in (self._templates, self._hardware, self._jobs) and event.type != "DELETED":
            waiting = "PREPARING" if event.resource == self._jobs else ""
            states = (waiting, "POST") if event.resource == self._jobs else (waiting,)
            for workflow in self._store.list(self._workflows, namespace):
                if self._dialect.state_of(workflow) in states:
                    self._enqueue((namespace, workflow["metadata"]["name"]))

    def _enqueue(self, key: Key) -> None:
        if key not in self._queued:
            self._queued.add(key)
            self._queue.put_nowait(key)

    def _reconcile(self, key: Key) -> None:
        try:
            workflow = self._store.get(self._workflows, *key)
        except ApiError:
            self._forget(key)
            return
        if workflow["metadata"].get("deletionTimestamp"):
            return
        status = clone(workflow.get("status") or {})
        state = self._dialect.state_of(workflow)
        if state == "":
            self._new(workflow, status)
        elif state == "PREPARING":
            self._prepare(workflow, status)
        elif state == "RUNNING":
            self._watch_clock(key, workflow, status)
        elif state == "POST":
            self._post(workflow, status)
        else:
            self._forget(key)
        if status != (workflow.get("status") or {}):
            writer = Writer(_MANAGER, subresource="status")
            self._store.patch(self._workflows, *key, lambda obj: obj | {"status": status}, writer)

    # --- "" and PREPARING

    def _new(self, workflow: Object, status: dict[str, Any]) -> None:
        spec = workflow.get("spec") or {}
        namespace = workflow["metadata"]["namespace"]
        try:
            template = self._find(self._templates, namespace, spec.get("templateRef", ""), "template not found")
            hardware = None
            if reference := spec.get("hardwareRef"):
                told = f'hardware not found: hardware.tinkerbell.org "{reference}" not found'
                hardware = self._find(self._hardware, namespace, reference, told)
            schema = self._hardware.schema
            assert schema is not None
            text = (template.get("spec") or {}).get("data", "")
            try:
                plan = render_plan(text, spec.get("hardwareMap") or {}, hardware, schema, self._dialect)
            except TemplateError as error:
                raise TemplateError(f"error rendering template: {error}") from None
        except TemplateError as error:
            status[self._dialect.rendering] = "failed"
            self._condition(status, "TemplateRenderedSuccess", False, "Error", str(error))
            return
        tasks = status_tasks(plan, self._dialect)
        if self._dialect.mono:
            status["agentID"] = tasks[0]["agentID"]
            if spec.get("disabled"):
                return
        status["tasks"] = tasks
        status["globalTimeout"] = plan.global_timeout_s
        status[self._dialect.rendering] = "successful"
        self._condition(status, "TemplateRenderedSuccess", True, "Complete", "template rendered successfully")
        boot = spec.get("bootOptions") or {}
        prepare = boot.get("toggleAllowNetboot") or boot.get("bootMode")
        status["state"] = self._dialect.write("PREPARING" if prepare else "PENDING")

    def _find(self, resource: Any, namespace: str, name: str, missing: str) -> Object:
        try:
            return self._store.get(resource, namespace, name)
        except ApiError:
            raise TemplateError(missing) from None

    def _prepare(self, workflow: Object, status: dict[str, Any]) -> None:
        if not self._toggle(workflow, status, True):
            self._enter(status, "FAILED")
            return
        boot = (workflow.get("spec") or {}).get("bootOptions") or {}
        mode = boot.get("bootMode", "")
        job, actions = "", []
        uefi = self._uefi(workflow)
        if mode == "netboot":
            job = "netboot"
            actions = [{"powerAction": "off"}, _once("pxe", uefi), {"powerAction": "on"}]
        elif mode in ("iso", "isoboot"):
            job = "iso-mount"
            mount = [_medium(""), _medium(boot.get("isoURL", ""))]
            actions = [{"powerAction": "off"}, *mount, _once("cdrom", uefi), {"powerAction": "on"}]
        elif mode == "customboot":
            job = "customboot-preparing"
            actions = (boot.get("custombootConfig") or {}).get("preparingActions") or []
        if mode in ("iso", "isoboot") and not boot.get("isoURL"):
            self._enter(status, "FAILED")
            return
        self._through_job(workflow, status, job, actions, "PENDING")

    def _toggle(self, workflow: Object, status: dict[str, Any], allow: bool) -> bool:
        """allowPXE of all the Hardware's interfaces, once. Returns False when that cannot be done."""
        boot = (workflow.get("spec") or {}).get("bootOptions") or {}
        word = "True" if allow else "False"
        toggled = status.setdefault("bootOptions", {}).setdefault("allowNetboot", {})
        if not boot.get("toggleAllowNetboot") or toggled.get(f"toggled{word}"):
            return True
        namespace = workflow["metadata"]["namespace"]
        name = (workflow.get("spec") or {}).get("hardwareRef", "")

        def change(hardware: Object) -> Object:
            for interface in (hardware.get("spec") or {}).get("interfaces", []):
                interface.setdefault("netboot", {})["allowPXE"] = allow
            return hardware

        try:
            self._store.patch(self._hardware, namespace, name, change, Writer(_MANAGER))
        except ApiError as error:
            told = f"error setting allowPXE to {allow}: {error.message}"
            self._condition(status, f"AllowNetboot{word}", False, "Error", told)
            return False
        toggled[f"toggled{word}"] = True
        told = f"set allowPXE to {str(allow).lower()}"
        self._condition(status, f"AllowNetboot{word}", True, "Complete", told)
        return True

    def _through_job(
        self, workflow: Object, status: dict[str, Any], job: str, actions: list[dict[str, Any]], then: State
    ) -> None:
        """Create a BMC job and go on to state ``then`` when it has completed; without actions, at once."""
        if not actions:
            self._enter(status, then)
            return
        prefix = self._dialect.condition
        namespace = workflow["metadata"]["namespace"]
        name = self._dialect.job_name(job, workflow["metadata"]["name"])
        jobs = status.setdefault("bootOptions", {}).setdefault("jobs", {})
        record = jobs.setdefault(name, {})
        if not record.get("uid"):
            try:
                record["uid"] = self._create_job(workflow, namespace, name, actions)
            except ApiError as error:
                self._condition(status, f"{prefix}SetupFailed", True, "Error", error.message)
                self._enter(status, "FAILED")
                return
            record["existingJobDeleted"] = True
            self._condition(status, f"{prefix}SetupComplete", True, "Created", f"job {name} created")
        try:
            found = self._store.get(self._jobs, namespace, name)
        except ApiError:
            return  # taken away by somebody: wait, as the real one does
        conditions = {c["type"]: c["status"] for c in (found.get("status") or {}).get("conditions", [])}
        if conditions.get("Failed") == "True":
            self._condition(status, f"{prefix}Failed", True, "Error", f"job {name} failed")
            self._enter(status, "FAILED")
        elif conditions.get("Completed") == "True":
            record["complete"] = True
            self._condition(status, f"{prefix}Complete", True, "Complete", f"job {name} completed")
            self._enter(status, then)
        else:
            self._condition(status, f"{prefix}Running", True, "Running", f"job {name} running")

    def _create_job(self, workflow: Object, namespace: str, name: str, actions: list[dict[str, Any]]) -> str:
        """Put a job in the place of one that may be left over. Raises ApiError."""
        writer = Writer(_MANAGER)
        hardware = self._store.get(self._hardware, namespace, (workflow.get("spec") or {}).get("hardwareRef", ""))
        machine = ((hardware.get("spec") or {}).get("bmcRef") or {}).get("name")
        if not machine:
            raise ApiError(404, "NotFound", f"hardware {hardware['metadata']['name']} has no bmcRef")
        if any(job["metadata"]["name"] == name for job in self._store.list(self._jobs, namespace)):
            self._store.delete(self._jobs, namespace, name, writer)
        body = {
            "metadata": {
                "name": name,
                "labels": {"tink-controller-auto-created": "true"},
                "annotations": {"tink-controller-auto-created": "true"},
            },
            "spec": {"machineRef": {"name": machine, "namespace": namespace}, "tasks": actions},
        }
        return str(self._store.create(self._jobs, namespace, body, writer)["metadata"]["uid"])

    def _uefi(self, workflow: Object) -> bool:
        try:
            name = (workflow.get("spec") or {}).get("hardwareRef", "")
            hardware = self._store.get(self._hardware, workflow["metadata"]["namespace"], name)
        except ApiError:
            return False
        interfaces = (hardware.get("spec") or {}).get("interfaces", [])
        return any((interface.get("dhcp") or {}).get("uefi") for interface in interfaces)

    # --- RUNNING

    def _watch_clock(self, key: Key, workflow: Object, status: dict[str, Any]) -> None:
        """Set the deadlines that are not set yet, and end the workflow when one is over."""
        uid = workflow["metadata"]["uid"]
        now = self._clock.elapsed()
        deadlines = self._deadlines.setdefault(key, {})
        wanted = {f"{uid} global": now + status.get("globalTimeout", 0)}
        running = self._running_action(status)
        if running is not None and not self._dialect.mono:
            # only the old controller minds an action's timeout; with the mono-repo that is the agent's business
            action_id, action = running
            wanted[f"{uid} {action_id}"] = now + action.get("timeout", 0)
        for name in deadlines.keys() - wanted.keys():
            del deadlines[name]
        for name, at in wanted.items():
            deadlines.setdefault(name, at)
        if self._dialect.mono and "globalExecutionStop" not in status:
            stop = self._clock.now().timestamp() + status.get("globalTimeout", 0)
            status["globalExecutionStop"] = _stamp(stop)
        soonest = min(deadlines.values())
        if soonest <= now:
            self._enter(status, "TIMEOUT")
            if running is not None and not self._dialect.mono:
                running[1]["status"] = self._dialect.write("TIMEOUT")
            self._forget(key)
            return
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.cancel()
        self._timers[key] = asyncio.get_running_loop().create_task(self._wake(key, soonest - now))

    async def _wake(self, key: Key, seconds: float) -> None:
        await self._clock.sleep(seconds)
        self._timers.pop(key, None)
        self._enqueue(key)

    def _running_action(self, status: dict[str, Any]) -> tuple[str, dict[str, Any]] | None:
        for number, task in enumerate(status.get("tasks", [])):
            for action in task["actions"]:
                if self._dialect.read(action.get(self._dialect.action_state)) == "RUNNING":
                    return f"{number}/{action['name']}", action
        return None

    def _forget(self, key: Key) -> None:
        self._deadlines.pop(key, None)
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.cancel()

    # --- POST

    def _post(self, workflow: Object, status: dict[str, Any]) -> None:
        if not self._toggle(workflow, status, False):
            self._enter(status, "FAILED")
            return
        boot = (workflow.get("spec") or {}).get("bootOptions") or {}
        mode = boot.get("bootMode", "")
        job, actions = "", []
        if mode in ("iso", "isoboot"):
            job, actions = "iso-eject", [_medium("")]
        elif mode == "customboot":
            job, actions = "customboot-post", (boot.get("custombootConfig") or {}).get("postActions") or []
        self._through_job(workflow, status, job, actions, "SUCCESS")

    # --- small things

    def _enter(self, status: dict[str, Any], state: State) -> None:
        status["state"] = self._dialect.write(state)

    def _condition(self, status: dict[str, Any], kind: str, met: bool, reason: str, message: str) -> None:
        """Set a condition; one that says the same already keeps its time."""
        said = {"type": kind, "status": str(met), "reason": reason, "message": message}
        conditions = status.setdefault("conditions", [])
        for condition in conditions:
            if condition["type"] == kind:
                if {key: condition.get(key) for key in said} != said:
                    condition.update(said, time=_stamp(self._clock.now().timestamp()))
                return
        conditions.append(said | {"time": _stamp(self._clock.now().timestamp())})


def _once(device: str, uefi: bool) -> dict[str, Any]:
    return {"oneTimeBootDeviceAction": {"device": [device], "efiBoot": uefi}}


def _medium(url: str) -> dict[str, Any]:
    return {"virtualMediaAction": {"mediaURL": url, "kind": "CD"}}


def _stamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
