"""The living bodies of one replayed BMC: a copy of what was written to over the capture that several may share."""

from __future__ import annotations

import copy
import re
import time
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from lab.redfish.errors import RedfishError
from lab.replay.tree import ROOT, Body, Tree

# What no BMC lets one write, whatever the resource (DSP0268: readonly in every schema that has them).
READ_ONLY = frozenset(
    {
        "Id", "Name", "Description", "Status", "Links", "Actions", "PowerState", "SerialNumber", "UUID", "Model",
        "Manufacturer", "PartNumber", "Members", "ProcessorSummary", "MemorySummary", "BiosVersion", "FirmwareVersion",
        "SecureBootCurrentBoot", "SecureBootMode", "AttributeRegistry",
    }
)  # fmt: skip
# What may be written though a body does not list it: settings objects are empty where nothing is pending, and a
# password is never shown.
_UNSHOWN = frozenset({"Attributes", "Password", "OldPassword"})


class Store:
    """Bodies by path. Two paths of one resource (iLO answers in any case) share one body."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self._written: dict[str, Body | None] = {}
        self._owners: dict[str, str] | None = None

    # -- reading

    def canonical(self, path: str) -> str:
        """The path under which a resource is kept: what its own @odata.id says where only the case differs."""
        path = self.tree.spelled(path)
        if path not in self.tree:
            return path
        own = str((self.tree.get(path) or {}).get("@odata.id") or "").rstrip("/")
        return own if own != path and own.lower() == path.lower() and own in self.tree else path

    def get(self, path: str) -> Body | None:
        """The body as it is now; None where there is none (any more)."""
        path = self.canonical(path)
        return self._written[path] if path in self._written else self.tree.get(path)

    def link(self, body: Mapping[str, Any] | None, *names: str) -> str | None:
        """The @odata.id at the end of a row of properties."""
        found: Any = body
        for name in names:
            found = found.get(name) if isinstance(found, Mapping) else None
        path = found.get("@odata.id") if isinstance(found, Mapping) else None
        return str(path).rstrip("/") if path else None

    def links(self, body: Mapping[str, Any] | None, *names: str) -> list[str]:
        """The @odata.ids of a list at the end of a row of properties."""
        found: Any = body
        for name in names:
            found = found.get(name) if isinstance(found, Mapping) else None
        items = found if isinstance(found, list) else []
        return [str(item["@odata.id"]).rstrip("/") for item in items if isinstance(item, dict) and "@odata.id" in item]

    def members(self, path: str | None) -> list[str]:
        return self.links(self.get(path), "Members") if path else []

    def root(self) -> Body:
        return self.get(ROOT) or {}

    def of_root(self, name: str) -> str:
        """Where a service or collection of the root is: linked, or else where the specification puts it."""
        return self.link(self.root(), name) or f"{ROOT}/{ {'Tasks': 'TaskService'}.get(name, name) }"

    def owner(self, settings: str) -> str | None:
        """The resource whose @Redfish.Settings point to that settings object."""
        if self._owners is None:
            self._owners = {}
            for path in self.tree.mentions('"@Redfish.Settings"'):
                target = self.link(self.tree.get(path), "@Redfish.Settings", "SettingsObject")
                if target:
                    self._owners.setdefault(self.canonical(target), self.canonical(path))
        return self._owners.get(self.canonical(settings))

    def settings(self, path: str) -> str | None:
        """The settings object of a resource, when the capture has it."""
        target = self.link(self.get(path), "@Redfish.Settings", "SettingsObject")
        return self.canonical(target) if target and self.get(target) is not None else None

    def action(self, target: str) -> tuple[str, str, Body] | None:
        """``(resource, action, description)`` of the action with that target."""
        target = target.rstrip("/")
        guess = self.canonical(target.split("/Actions/")[0])
        for path in [guess, *self._written, *self.tree.mentions(target)]:
            for name, description in _actions(self.get(path)):
                if str(description["target"]).rstrip("/") == target:
                    return self.canonical(path), name, description
        return None

    # -- writing

    def put(self, path: str, body: Body) -> None:
        """Keep a body; its ETag moves on when it had one, in the style that it had."""
        path = self.canonical(path)
        if "@odata.etag" in body:
            body["@odata.etag"] = _next_etag(str(body["@odata.etag"]))
        self._written[path] = body

    def change(self, path: str, **properties: Any) -> None:
        """Set properties of a resource, merging dictionaries; a resource that is not there stays so."""
        body = self.get(path)
        if body is not None:
            self.put(path, merged(body, properties))

    def remove(self, path: str) -> None:
        self._written[self.canonical(path)] = None

    def add_member(self, collection: str, body: Body) -> str:
        """A new resource in a collection, with a path of its own. Answers that path."""
        path = f"{collection}/{quote(str(body['Id']), safe='')}"
        self._written[path] = {"@odata.id": path, **body}
        listed = copy.deepcopy(self.get(collection) or {})
        listed.setdefault("Members", []).append({"@odata.id": path})
        self._count(listed)
        self.put(collection, listed)
        return path

    def remove_member(self, collection: str, path: str) -> None:
        self.remove(path)
        listed = copy.deepcopy(self.get(collection) or {})
        listed["Members"] = [m for m in listed.get("Members", []) if str(m.get("@odata.id")).rstrip("/") != path]
        self._count(listed)
        self.put(collection, listed)

    @staticmethod
    def _count(listed: Body) -> None:
        if "Members@odata.count" in listed:
            listed["Members@odata.count"] = len(listed["Members"])


def merged(body: Body, changes: Mapping[str, Any]) -> Body:
    """A copy of ``body`` with the changes in it; dictionaries are merged, all else is replaced."""
    result = copy.deepcopy(body)
    for name, value in changes.items():
        here = result.get(name)
        result[name] = merged(here, value) if isinstance(here, dict) and isinstance(value, Mapping) else value
    return result


def check(changes: Mapping[str, Any], body: Body, beside: Body | None = None, at: str = "") -> None:
    """Raise RedfishError for what a PATCH may not do to a body.

    :param beside: the other half of a resource with a settings object: what one of the two shows may be written.
    """
    beside = beside or {}
    for name, value in changes.items():
        if name.startswith("@"):
            continue
        where = f"{at}/{name}".lstrip("/")
        if not at and name in READ_ONLY:
            raise RedfishError("PropertyNotWritable", where)
        if name not in body and name not in beside:
            if name in _UNSHOWN:
                continue
            raise RedfishError("PropertyUnknown", where)
        _check_value(name, value, {**beside, **body}, where)
        here, there = body.get(name), beside.get(name)
        if isinstance(value, Mapping) and (isinstance(here, dict) or isinstance(there, dict)):
            here, there = (part if isinstance(part, dict) else {} for part in (here, there))
            if here or there:
                check(value, here, there, where)


def _check_value(name: str, value: Any, body: Body, where: str) -> None:
    allowed = body.get(f"{name}@Redfish.AllowableValues")
    if isinstance(allowed, list) and value is not None and value not in allowed:
        raise RedfishError("PropertyValueNotInList", str(value), where)
    here = body.get(name)
    if here is None or value is None:
        return
    kinds = (bool, str, list, dict)
    for kind in kinds:
        if isinstance(here, kind) != isinstance(value, kind):
            raise RedfishError("PropertyValueTypeError", str(value), where)


def _actions(body: Body | None) -> Iterator[tuple[str, Body]]:
    """Every action of a body, standard and OEM (iLO keeps its own under Oem/Hpe/Actions)."""

    def below(found: Any) -> Iterator[tuple[str, Body]]:
        if not isinstance(found, dict):
            return
        for name, value in found.items():
            if "#" in name and isinstance(value, dict) and "target" in value:
                yield name.rpartition("#")[2], value
            else:
                yield from below(value)

    if body is not None:
        yield from below(body.get("Actions"))
        yield from below(body.get("Oem"))


def _next_etag(tag: str) -> str:
    """The next tag: a time stays a time, a hexadecimal digest stays one; weak stays weak."""
    match = re.fullmatch(r'(W/)?"?([^"]*)"?', tag)
    weak, value = (match[1] or "", match[2]) if match else ("", tag)
    if value.isdigit():
        moved = str(max(int(value) + 1, int(time.time()) if len(value) == 10 else 0)).zfill(len(value))
    elif re.fullmatch(r"[0-9A-Fa-f]+", value):
        moved = f"{(int(value, 16) + 1) % 16 ** len(value):0{len(value)}X}"
    else:
        moved = f"{value}+"
    return f'{weak}"{moved}"' if '"' in tag else f"{weak}{moved}"
