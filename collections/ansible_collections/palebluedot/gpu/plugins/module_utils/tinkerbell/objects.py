# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""Tinkerbell's kinds as objects to be made so: get, compute, write, read back.

What is wanted is computed here rather than by server-side apply, so that check mode and diff say exactly what a real
run does, with no right to write.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar

from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import (
    Busy,
    Conflict,
    DeadlineExceeded,
    NotFound,
    PaleBlueDotError,
    Unreachable,
    Unsupported,
)
from ansible_collections.palebluedot.gpu.plugins.module_utils.tinkerbell.kube import Kube, segment
from ansible_collections.palebluedot.gpu.plugins.module_utils.waiting import Waiter

Json = dict[str, Any]
T = TypeVar("T")

GROUP, VERSION = "tinkerbell.org", "v1alpha1"
_CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
# How long conflicts and hiccups are ridden out before an operation gives up.
_PATIENCE_S = 30.0
_GONE_S = 60.0


class Kind(NamedTuple):
    """A kind and its collection's name."""

    name: str
    plural: str


HARDWARE = Kind("Hardware", "hardware")
TEMPLATE = Kind("Template", "templates")
WORKFLOW = Kind("Workflow", "workflows")


class Change(NamedTuple):
    """What an operation did, or in check mode would do. Each side is None where there is no object.

    ``planned`` is ``after`` without what the API server fills in by itself, so that a diff is the same in check mode.
    """

    before: Json | None
    after: Json | None
    planned: Json | None

    @property
    def changed(self) -> bool:
        """Whether both sides differ in what a user declares."""
        return declared(self.before) != declared(self.after)


def declared(item: Json | None) -> Json | None:
    """The part of an object that users write: labels and spec."""
    if item is None:
        return None
    return {"labels": item.get("metadata", {}).get("labels") or {}, "spec": item.get("spec") or {}}


class Objects:
    """The objects of one kind in one namespace."""

    def __init__(self, kube: Kube, kind: Kind, namespace: str) -> None:
        self.kube = kube
        self.kind = kind
        self.namespace = namespace
        self.collection = f"/apis/{GROUP}/{VERSION}/namespaces/{segment(namespace)}/{kind.plural}"

    def path(self, name: str) -> str:
        """Where one object is."""
        return f"{self.collection}/{segment(name)}"

    def find(self, name: str) -> Json | None:
        """The object, or None. Tried again while the API server has hiccups."""

        def attempt() -> Json | None:
            try:
                return self.kube.get(self.path(name))
            except NotFound as problem:
                self._must_serve_kind(problem)
                return None

        return patiently(attempt)

    def labelled(self, selector: str | None) -> list[Json]:
        """The objects that a label selector matches; all of the namespace without one."""
        query = {"labelSelector": selector} if selector else None

        def attempt() -> list[Json]:
            try:
                items: list[Json] = self.kube.get(self.collection, query=query)["items"]
            except NotFound as problem:
                self._must_serve_kind(problem)
                raise
            return items

        return patiently(attempt)

    def present(self, name: str, wanted: Callable[[Json | None], Json], check_mode: bool) -> Change:
        """Make the object what ``wanted(current)`` answers (``{"labels": …, "spec": …}``).

        A change by somebody else in between is a conflict: the object is read and computed again.
        """

        def attempt() -> Change:
            current = self.find(name)
            goal = wanted(current)
            if current is None:
                item = self._new(name, goal)
                return Change(None, item if check_mode else self._create(name, goal, item), item)
            patch = _difference(declared(current) or {}, goal)
            if not patch:
                return Change(current, current, current)
            planned = copy.deepcopy(current)
            merged = _patched(declared(current) or {}, patch)
            planned["metadata"]["labels"], planned["spec"] = merged["labels"], merged["spec"]
            if check_mode:
                return Change(current, planned, planned)
            metadata = {"resourceVersion": current["metadata"]["resourceVersion"]}
            if "labels" in patch:
                metadata["labels"] = patch["labels"]
            body: Json = {"metadata": metadata}
            if "spec" in patch:
                body["spec"] = patch["spec"]
            written = self.kube.merge_patch(self.path(name), body)
            self._took_all(name, goal, written)
            return Change(current, written, planned)

        return patiently(attempt, also=(Conflict,))

    def _new(self, name: str, goal: Json) -> Json:
        return {
            "apiVersion": f"{GROUP}/{VERSION}",
            "kind": self.kind.name,
            "metadata": {"name": name, "namespace": self.namespace, "labels": goal["labels"]},
            "spec": goal["spec"],
        }

    def _create(self, name: str, goal: Json, item: Json) -> Json:
        written = self.kube.create(self.collection, item)
        self._took_all(name, goal, written)
        return written

    def absent(self, name: str, check_mode: bool, *, uid: str | None = None) -> Change:
        """Delete the object and wait until it is gone."""
        current = self.find(name)
        if current is None or (uid and current["metadata"]["uid"] != uid):
            return Change(None, None, None)
        if check_mode:
            return Change(current, None, None)
        known = current["metadata"]["uid"]

        def attempt() -> None:
            try:
                self.kube.delete(self.path(name), uid=known)
            except (NotFound, Conflict):
                # gone already, or a namesake that is not ours to delete
                return

        patiently(attempt)
        waiter = Waiter(_GONE_S, first_pause_s=0.1, longest_pause_s=2.0)
        while True:
            left = self.find(name)
            if left is None or left["metadata"]["uid"] != known:
                return Change(current, None, None)
            if not waiter.pause():
                raise DeadlineExceeded(
                    f"{self.kind.name} {self.namespace}/{name} is not gone {_GONE_S:.0f} s after its deletion",
                    host=self.kube.host,
                    tried=f"DELETE {self.path(name)}",
                    answer=f"finalizers {left['metadata'].get('finalizers')}",
                    next="See who holds the finalizer (kubectl get -o yaml) and whether that controller runs.",
                )

    def _took_all(self, name: str, goal: Json, written: Json) -> None:
        """Fields that a CRD does not know are dropped without a word; here they are an error."""
        dropped = sorted(_missing(goal["spec"], written.get("spec") or {}))
        if dropped:
            raise Unsupported(
                f"the cluster's {self.kind.name} does not know {', '.join(dropped)}",
                code="field_dropped",
                host=self.kube.host,
                tried=f"{self.kind.name} {self.namespace}/{name}",
                answer="the fields are missing in what the API server stored",
                next="Leave them out, or install Tinkerbell's CRDs of a version that has them.",
            )

    def _must_serve_kind(self, problem: NotFound) -> None:
        """A 404 for an object names it; one for the kind does not, and needs words."""
        if (problem.details.get("object") or {}).get("name"):
            return
        if (
            problem.details.get("reason") == "NotFound"
            and "could not find the requested resource" not in problem.message
        ):
            return
        raise Unsupported(
            f"the cluster does not serve {GROUP}/{VERSION} {self.kind.plural}",
            code="tinkerbell_not_installed",
            host=self.kube.host,
            tried=problem.tried,
            answer=_served(self.kube, self.kind),
            next="Install Tinkerbell (its v1alpha1 CRDs). v1alpha2 is not supported: its controllers are not finished.",
        ) from problem


def patiently(attempt: Callable[[], T], *, also: tuple[type[PaleBlueDotError], ...] = ()) -> T:
    """Repeat what is safe to repeat while the API server is busy or out of reach (and on ``also``)."""
    waiter = Waiter(_PATIENCE_S, first_pause_s=0.1, longest_pause_s=3.0, growth=2.0)
    while True:
        try:
            return attempt()
        except PaleBlueDotError as problem:
            hiccup = isinstance(problem, Busy | Unreachable) and problem.retryable
            if not (hiccup or isinstance(problem, also)) or not waiter.pause():
                raise


def crd(kube: Kube, kind: Kind) -> Json:
    """The CustomResourceDefinition of a kind. :raises NotFound, AuthenticationError:"""
    return kube.get(f"{_CRDS}/{kind.plural}.{GROUP}")


def _served(kube: Kube, kind: Kind) -> str:
    try:
        versions = [version["name"] for version in crd(kube, kind)["spec"]["versions"] if version.get("served")]
    except PaleBlueDotError:
        return f"no CRD {kind.plural}.{GROUP}"
    return f"served versions: {', '.join(versions)}"


def merged_labels(current: Json | None, labels: Mapping[str, Any] | None) -> Json:
    """The object's labels with ``labels`` set; a None value removes one."""
    merged = dict((current or {}).get("metadata", {}).get("labels") or {})
    for name, value in (labels or {}).items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = str(value)
    return merged


def _difference(current: Any, goal: Any) -> Json:
    """The merge patch that makes ``current`` what ``goal`` says; empty when it is that already."""
    patch: Json = {}
    for name in goal:
        if name not in current:
            patch[name] = goal[name]
        elif isinstance(goal[name], dict) and isinstance(current[name], dict):
            inner = _difference(current[name], goal[name])
            if inner:
                patch[name] = inner
        elif not _same(current[name], goal[name]):
            patch[name] = goal[name]
    for name in current:
        # What the CRD fills in by default is not a difference (Hardware: disableDhcp false).
        if name not in goal and not _is_default(current[name]):
            patch[name] = None
    return patch


def _patched(item: Json, patch: Json) -> Json:
    """RFC 7386, section 2."""
    result = dict(item)
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        elif isinstance(value, dict):
            inner = result.get(name)
            result[name] = _patched(inner if isinstance(inner, dict) else {}, value)
        else:
            result[name] = value
    return result


def _same(current: Any, goal: Any) -> bool:
    if isinstance(current, dict) and isinstance(goal, dict):
        return not _difference(current, goal)
    if isinstance(current, list) and isinstance(goal, list):
        return len(current) == len(goal) and all(map(_same, current, goal))
    return bool(current == goal and isinstance(current, bool) == isinstance(goal, bool))


def _is_default(value: Any) -> bool:
    if isinstance(value, dict):
        return all(map(_is_default, value.values()))
    return value in (None, False, 0, "") or value == []


def _missing(goal: Any, stored: Any, where: str = "spec") -> set[str]:
    if isinstance(goal, dict):
        if not isinstance(stored, dict):
            return {where}
        missing: set[str] = set()
        for name, value in goal.items():
            if name not in stored:
                # an empty value may be stored as absence
                if not _is_default(value):
                    missing.add(f"{where}.{name}")
            else:
                missing |= _missing(value, stored[name], f"{where}.{name}")
        return missing
    if isinstance(goal, list) and isinstance(stored, list):
        missing = set()
        for number, (wanted, kept) in enumerate(zip(goal, stored, strict=False)):
            missing |= _missing(wanted, kept, f"{where}[{number}]")
        return missing
    return set()
