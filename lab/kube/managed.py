"""Who manages which field: ``metadata.managedFields`` and server-side apply.

Lists and scalars are owned whole, objects field by field, except objects marked ``x-kubernetes-map-type: atomic``: what
Kubernetes does for custom resources whose schemas declare no keyed lists, as Tinkerbell's. An object itself (the path
ends in ``.``) belongs to whoever made it by a plain write; who applies owns the fields only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lab.kube.document import clone
from lab.kube.errors import apply_conflict
from lab.kube.schema import Schema

FieldPath = tuple[str, ...]
# set by the API server, never owned by anyone
_SERVER_FIELDS = frozenset(
    {
        "name", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp",
        "deletionGracePeriodSeconds", "managedFields", "selfLink", "generateName",
    }
)  # fmt: skip


@dataclass(frozen=True)
class Writer:
    """Who writes, how, and to which subresource ("" is the main resource)."""

    manager: str
    operation: str = "Update"  # or Apply
    subresource: str = ""


def leaves(obj: dict[str, Any], schema: Schema | None, objects: bool = False) -> dict[FieldPath, Any]:
    """Every ownable field of an object with its value; ``objects`` adds the objects in between."""
    found: dict[FieldPath, Any] = {}
    for key, value in obj.items():
        if key in ("apiVersion", "kind"):
            continue
        if key == "metadata":
            for name, item in value.items():
                if name not in _SERVER_FIELDS:
                    _collect(item, {}, ("metadata", name), found, objects)
        else:
            _collect(value, _property(schema, key), (key,), found, objects)
    return found


def _property(schema: Schema | None, key: str) -> Schema:
    schema = schema or {}
    found: Schema = schema.get("properties", {}).get(key) or schema.get("additionalProperties") or {}
    return found


def _collect(value: Any, schema: Schema, path: FieldPath, found: dict[FieldPath, Any], objects: bool) -> None:
    if isinstance(value, dict) and value and schema.get("x-kubernetes-map-type") != "atomic":
        if objects:
            found[(*path, ".")] = None
        for key, item in value.items():
            _collect(item, _property(schema, key), (*path, key), found, objects)
    else:
        found[path] = value


def record_update(
    old: dict[str, Any] | None, new: dict[str, Any], writer: Writer, schema: Schema | None, at: str, api_version: str
) -> None:
    """Give the fields that ``writer`` changed to it; ``new`` carries the managedFields of ``old`` and is amended."""
    objects = writer.operation != "Apply"
    before = leaves(old, schema, objects) if old else {}
    after = leaves(new, schema, objects)
    changed = {path for path, value in after.items() if path not in before or before[path] != value}
    owners = _decode(new)
    for other in owners:
        owners[other] = {path for path in owners[other] if _stands(new, path) and path not in changed}
    if changed:
        owners.setdefault(writer, set()).update(changed)
    _encode(new, owners, {writer} if changed else set(), at, api_version)


def apply(
    live: dict[str, Any],
    applied: dict[str, Any],
    writer: Writer,
    force: bool,
    schema: Schema | None,
    at: str,
    api_version: str,
) -> dict[str, Any]:
    """``live`` after server-side apply of ``applied``. Raises ApiError 409 where another's field would change."""
    wanted = leaves(applied, schema)
    present = leaves(live, schema)
    owners = _decode(live)
    conflicts = [
        (other.manager, path)
        for other, fields in owners.items()
        if other != writer
        for path in sorted(fields)
        if path in wanted and present.get(path) != wanted[path]
    ]
    if conflicts and not force:
        raise apply_conflict([(manager, "." + ".".join(path)) for manager, path in conflicts])
    result = clone(live)
    for path in sorted(owners.get(writer, set()) - wanted.keys(), key=len, reverse=True):
        kept_by_others = any(path in fields for other, fields in owners.items() if other != writer)
        below_wanted = any(other[: len(path)] == path for other in wanted)
        if not kept_by_others and not below_wanted and path[-1] != ".":
            _remove(result, path, {p[:-1] for fields in owners.values() for p in fields if p[-1] == "."})
    for path, value in wanted.items():
        _put(result, path, clone(value))
        for other, fields in owners.items():
            if other != writer and present.get(path) != value:
                fields.discard(path)
    before = owners.get(writer)
    owners[writer] = set(wanted)
    touched = {writer} if before != owners[writer] or result != live else set()
    _encode(result, owners, touched, at, api_version)
    return result


def _put(obj: dict[str, Any], path: FieldPath, value: Any) -> None:
    node = obj
    for key in path[:-1]:
        child = node.get(key)
        if not isinstance(child, dict):
            child = node[key] = {}
        node = child
    if value == {} and isinstance(node.get(path[-1]), dict):
        return  # an empty object asks for an object to be there, not for its fields to go
    node[path[-1]] = value


def _stands(obj: dict[str, Any], path: FieldPath) -> bool:
    node: Any = obj
    for key in path:
        if key == ".":
            return isinstance(node, dict)
        if not isinstance(node, dict) or key not in node:
            return False
        node = node[key]
    return True


def _remove(obj: dict[str, Any], path: FieldPath, owned: set[FieldPath]) -> None:
    """Drop a field, and the objects that it leaves empty: not spec or metadata themselves, nor what is ``owned``."""
    chain: list[dict[str, Any]] = [obj]
    for key in path[:-1]:
        child = chain[-1].get(key)
        if not isinstance(child, dict):
            return
        chain.append(child)
    chain[-1].pop(path[-1], None)
    for depth in range(len(chain) - 1, 1, -1):
        if not chain[depth] and path[:depth] not in owned:
            chain[depth - 1].pop(path[depth - 1], None)


def _decode(obj: dict[str, Any]) -> dict[Writer, set[FieldPath]]:
    owners: dict[Writer, set[FieldPath]] = {}
    for entry in obj["metadata"].get("managedFields", []):
        writer = Writer(entry["manager"], entry["operation"], entry.get("subresource", ""))
        owners[writer] = set(_paths(entry["fieldsV1"], ()))
    return owners


def _paths(fields: dict[str, Any], prefix: FieldPath) -> list[FieldPath]:
    found: list[FieldPath] = []
    for key, below in fields.items():
        path = (*prefix, key.removeprefix("f:"))
        found += _paths(below, path) if below else [path]
    return found


def _encode(
    obj: dict[str, Any], owners: dict[Writer, set[FieldPath]], touched: set[Writer], at: str, api_version: str
) -> None:
    times = {
        Writer(entry["manager"], entry["operation"], entry.get("subresource", "")): entry["time"]
        for entry in obj["metadata"].get("managedFields", [])
    }
    entries: list[dict[str, Any]] = []
    for writer, paths in owners.items():
        if not paths:
            continue
        entry = {
            "manager": writer.manager,
            "operation": writer.operation,
            "apiVersion": api_version,
            "time": at if writer in touched else times.get(writer, at),
            "fieldsType": "FieldsV1",
            "fieldsV1": _tree(paths),
        }
        if writer.subresource:
            entry["subresource"] = writer.subresource
        entries.append(entry)
    if entries:
        obj["metadata"]["managedFields"] = entries
    else:
        obj["metadata"].pop("managedFields", None)


def _tree(paths: set[FieldPath]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for path in sorted(paths):
        node = tree
        for key in path:
            node = node.setdefault(key if key == "." else f"f:{key}", {})
    return tree
