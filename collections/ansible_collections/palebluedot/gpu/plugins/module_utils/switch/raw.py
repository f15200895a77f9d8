# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""gNMI as it is: the operations of ``gnmi_get``, ``gnmi_set`` and ``gnmi_subscribe_info``."""

from __future__ import annotations

import copy
from typing import Any

from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import (
    DeadlineExceeded,
    InvalidInput,
    NotFound,
    PaleBlueDotError,
)
from ansible_collections.palebluedot.gpu.plugins.module_utils.switch.dialects import dialect
from ansible_collections.palebluedot.gpu.plugins.module_utils.switch.dialects.base import Json
from ansible_collections.palebluedot.gpu.plugins.module_utils.switch.gnmi import Change, Session, session
from ansible_collections.palebluedot.gpu.plugins.module_utils.switch.paths import (
    ANY,
    Path,
    Step,
    parse,
    pick,
    plain,
    plant,
)
from ansible_collections.palebluedot.gpu.plugins.module_utils.switch.trying import attempts
from ansible_collections.palebluedot.gpu.plugins.module_utils.waiting import Waiter


def get(params: Json, check_mode: bool) -> Json:
    """Operation of ``gnmi_get``: ``values`` [{path, value}] as the switch cuts them."""
    _paths(params["paths"])
    spoken = dialect(params["switch_dialect"])
    waiter = Waiter(float(params["switch_timeout"]), first_pause_s=0.2)
    found = attempts(
        params,
        spoken,
        waiter,
        lambda opened: opened.get(params["paths"], params["datatype"], params.get("encoding"), params.get("target")),
    )
    values = [{"path": update.path, "value": update.value} for update in found if not update.deleted]
    return {"changed": False, "values": values}


def subscribe(params: Json, check_mode: bool) -> Json:
    """Operation of ``gnmi_subscribe_info``: ``updates`` [{path, value, timestamp, deleted, poll}]."""
    _paths(params["paths"])
    if params["polls"] < 1 or params["timeout"] < 1:
        raise InvalidInput("polls and timeout are at least 1", host=params["switch_address"])
    # The deadline is the subscription's: one that ended half-way is told, not begun again.
    left = Waiter(
        float(params["timeout"]), first_pause_s=params["interval"], longest_pause_s=params["interval"], growth=1
    )
    with session(params, dialect(params["switch_dialect"])) as opened:
        found = opened.subscribe(
            params["paths"],
            seconds=float(params["timeout"]),
            polls=params["polls"] if params["mode"] == "poll" else None,
            pause=left.pause,
            encoding=params.get("encoding"),
            target=params.get("target"),
        )
    return {"changed": False, "updates": [update._asdict() for update in found]}


def set_(params: Json, check_mode: bool) -> Json:
    """Operation of ``gnmi_set``: ``changed``, ``diff`` by path, ``results`` [{path, op}]."""
    gone = tuple(params.get("delete") or ())
    replaces = tuple((entry["path"], entry["value"]) for entry in params.get("replace") or ())
    updates = tuple((entry["path"], entry["value"]) for entry in params.get("update") or ())
    change = Change(gone, replaces, updates, target=params.get("target"))
    if not change.paths:
        raise InvalidInput("there is nothing to set", next="Give delete, replace or update.")
    _paths(list(change.paths))
    _refuse_revival(change)
    spoken = dialect(params["switch_dialect"])
    setter = _Setter(change, params, check_mode)
    return attempts(params, spoken, setter.waiter, setter.attempt)


class _Setter:
    """One Set; survives the connections that it takes."""

    def __init__(self, change: Change, params: Json, check_mode: bool) -> None:
        self.change = change
        self.sent = _sent(change)
        self.address: str = params["switch_address"]
        self.encoding: str | None = params.get("encoding")
        self.check_mode = check_mode
        self.waiter = Waiter(float(params["wait_timeout"]), first_pause_s=0.2, longest_pause_s=2.0)
        self.before: Json | None = None
        self.results: list[Json] = []

    def attempt(self, opened: Session) -> Json:
        """Read, compare, set, read back."""
        now = self._read(opened)
        if self.before is None:
            self.before = now
        wanted = self._after(now)
        if now != wanted and not self.check_mode:
            try:
                self.results = opened.write(self.change, self.encoding)
            except DeadlineExceeded as problem:
                self._judge(opened, now, problem)
            self._confirm(opened)
        after = self._after(self.before)
        return {
            "changed": self.before != after,
            "diff": {"before": self.before, "after": after},
            "results": self.results,
        }

    def _read(self, opened: Session) -> Json:
        """The configuration at each path; None where nothing is."""
        return {path: self._value(opened, path) for path in self.change.paths}

    def _value(self, opened: Session, text: str) -> Any:
        try:
            found = opened.get([text], "config", self.encoding, self.change.target)
        except NotFound:
            return None
        tree: Json = {}
        for update in found:
            plant(tree, parse(update.path), update.value)
        return pick(tree, Path(parse(text).steps))

    def _after(self, before: Json) -> Json:
        """What the Set makes of it: deletes, then replaces, then updates."""
        after = copy.deepcopy(before)
        for path in self.change.delete:
            after[path] = None
        for path, value in self.change.replace:
            after[path] = _own(path, value)
        for path, value in self.change.update:
            after[path] = _merged(after[path], _own(path, value))
        return {path: _same(after[path], before[path]) for path in after}

    def _judge(self, opened: Session, now: Json, problem: DeadlineExceeded) -> None:
        """After a Set without an answer: return when it was done, else raise ``problem`` with what is known."""
        try:
            found = self._read(opened)
        except PaleBlueDotError:
            problem.message += "; what became of the Set is not known"
            raise problem from None
        if all(_holds(found[path], value) for path, value in self.sent.items()):
            return
        problem.message += "; nothing of it is done so far" if found == now else "; it was done by half"
        raise problem

    def _confirm(self, opened: Session) -> None:
        while True:
            found = self._read(opened)
            missing = [path for path, value in self.sent.items() if not _holds(found[path], value)]
            if not missing:
                return
            if not self.waiter.pause():
                break
        raise PaleBlueDotError(
            f"the switch took the change and does not show it at {', '.join(missing)}",
            code="not_applied",
            host=self.address,
            tried=f"Set, then Get {missing[0]} for {self.waiter.waited:.0f} s",
            answer=str(found[missing[0]]),
            next="Look at the switch's log; a value that it rewrites is never found as it was sent.",
            retryable=True,
        )


def _paths(texts: list[str]) -> None:
    if not texts:
        raise InvalidInput("there is no path to ask for", next="Give paths.")
    for text in texts:
        parse(text)


def _own(path: str, value: Any) -> Any:
    """A value to be set, as an answer has it: without modules, and not in an object of its own name."""
    tree: Json = {}
    steps = parse(path).steps
    plant(tree, Path(steps), value)
    return pick(tree, Path(steps)) if steps else plain(value)


def _sent(change: Change) -> Json:
    """What must be found at each path when all is done; None: nothing."""
    sent: Json = dict.fromkeys(change.delete)
    sent.update((path, _own(path, value)) for path, value in change.replace)
    for path, value in change.update:
        sent[path] = _merged(sent.get(path), _own(path, value))
    return sent


def _refuse_revival(change: Change) -> None:
    """:raises InvalidInput: when a replace or update writes to what the same request deletes by another path."""
    for gone in change.delete:
        steps = parse(gone).steps
        for path, value in (*change.replace, *change.update):
            tree: Json = {}
            plant(tree, Path(parse(path).steps), value)
            if path != gone and _reaches(tree, steps):
                raise InvalidInput(
                    f"{path} writes to what {gone} deletes in the same request",
                    code="delete_and_write",
                    next=f"Replace {gone} as a whole, or delete it in a task of its own.",
                )


def _reaches(node: Any, steps: tuple[Step, ...]) -> bool:
    """Whether anything stands at a path, which may hold wildcards or leave keys out."""
    if not steps:
        return node is not None
    if not isinstance(node, dict) or steps[0].plain not in node:
        return False
    below = node[steps[0].plain]
    if not isinstance(below, list) or (len(steps) == 1 and not steps[0].keys):
        return _reaches(below, steps[1:])
    return any(
        all(wanted in (ANY, str(entry.get(key))) for key, wanted in steps[0].keys) and _reaches(entry, steps[1:])
        for entry in below
        if isinstance(entry, dict)
    )


def _merged(old: Any, new: Any) -> Any:
    """What an update makes of a value; ``old`` itself where all that is sent is there already."""
    if old is not None and _holds(old, new, whole=True):
        return old
    if isinstance(old, dict) and isinstance(new, dict):
        return {**old, **{key: _merged(old.get(key), item) for key, item in new.items()}}
    if _is_list(old) and _is_list(new):
        return _merged_list(old, new)
    return new


def _merged_list(old: list[Json], new: list[Json]) -> list[Json]:
    merged = list(old)
    for entry in new:
        key = _key(old, entry)
        same = [n for n, have in enumerate(merged) if key is not None and _equal(entry[key], have.get(key))]
        if same:
            merged[same[0]] = _merged(merged[same[0]], entry)
        elif not any(_holds(have, entry, whole=True) for have in merged):
            merged.append(entry)
    return merged


def _key(entries: list[Json], sent: Json) -> str | None:
    """The list's key, as far as a switch shows without its model: the first leaf sent that tells all entries apart."""
    for name, value in sent.items():
        there = [str(entry[name]) for entry in entries if name in entry and not isinstance(entry[name], (dict, list))]
        if not isinstance(value, (dict, list)) and len(set(there)) == len(entries):
            return name
    return None


def _is_list(value: Any) -> bool:
    """Whether it is a list of entries, and not a leaf-list."""
    return isinstance(value, list) and all(isinstance(entry, dict) for entry in value)


def _same(new: Any, old: Any) -> Any:
    """``old`` where ``new`` says the same in other words: a 64-bit number as text, what a switch adds to an entry."""
    return old if _equal(new, old) else new


def _equal(new: Any, old: Any) -> bool:
    if isinstance(new, dict) and isinstance(old, dict):
        return new.keys() == old.keys() and all(_equal(new[key], old[key]) for key in new)
    if isinstance(new, list) and isinstance(old, list):
        return len(new) == len(old) and all(map(_equal, new, old))
    if isinstance(new, bool) or isinstance(old, bool) or new is None or old is None:
        return new is old
    return new == old or str(new) == str(old).rpartition(":")[2] or str(new).rpartition(":")[2] == str(old)


def _holds(found: Any, wanted: Any, *, whole: bool = False) -> bool:
    """Whether what is there has all that was wanted; a switch may add defaults.

    ``whole``: a leaf-list must have nothing else, because switches differ in whether an update adds to one.
    """
    if wanted is None:
        return found in (None, {}, [])
    if isinstance(wanted, dict):
        return isinstance(found, dict) and all(
            _holds(found.get(key), item, whole=whole) for key, item in wanted.items()
        )
    if isinstance(wanted, list):
        if not isinstance(found, list) or (whole and not _is_list(wanted) and len(found) != len(wanted)):
            return False
        return all(any(_holds(have, item, whole=whole) for have in found) for item in wanted)
    return _equal(wanted, found)
