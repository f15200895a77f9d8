"""JSON merge patch (RFC 7386) and JSON patch (RFC 6902)."""

from __future__ import annotations

from typing import Any

from lab.kube.document import clone
from lab.kube.errors import ApiError, bad_request


def merge_patch(target: Any, patch: Any) -> Any:
    """``target`` after the patch; the arguments are left alone."""
    if not isinstance(patch, dict):
        return clone(patch)
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge_patch(result.get(key), value)
    return result


def json_patch(target: Any, operations: Any) -> Any:
    """``target`` after the operations. Raises ApiError (400 for a malformed patch, 422 for one that does not apply)."""
    if not isinstance(operations, list) or not all(isinstance(op, dict) for op in operations):
        raise bad_request("error decoding patch: json: a JSON patch is a list of operations")
    document = {"": clone(target)}  # the root gets a parent, so that "" is a path like any other
    for operation in operations:
        try:
            _apply(document, operation)
        except (KeyError, IndexError, TypeError, ValueError) as error:
            op, path = operation.get("op"), operation.get("path")
            message = f"the server rejected our request due to an error in our request: {op} {path!r}: {error}"
            raise ApiError(422, "Invalid", message) from error
    return document[""]


def _apply(document: dict[str, Any], operation: dict[str, Any]) -> None:
    op, path = operation["op"], operation["path"]
    if op == "add":
        _add(document, path, clone(operation["value"]))
    elif op == "remove":
        _remove(document, path)
    elif op == "replace":
        _remove(document, path)
        _add(document, path, clone(operation["value"]))
    elif op == "move":
        _add(document, path, _remove(document, operation["from"]))
    elif op == "copy":
        _add(document, path, clone(_get(document, operation["from"])))
    elif op == "test":
        if _get(document, path) != operation["value"]:
            raise ValueError("testing value failed")
    else:
        raise ValueError(f"unknown operation {op!r}")


def _tokens(pointer: str) -> list[str]:
    if pointer and not pointer.startswith("/"):
        raise ValueError(f"{pointer!r} is no JSON pointer")
    return [token.replace("~1", "/").replace("~0", "~") for token in pointer.split("/")]


def _parent(document: dict[str, Any], pointer: str) -> tuple[Any, str]:
    *way, last = _tokens(pointer)
    node: Any = document
    for token in way:
        node = node[int(token)] if isinstance(node, list) else node[token]
    return node, last


def _get(document: dict[str, Any], pointer: str) -> Any:
    node, last = _parent(document, pointer)
    return node[int(last)] if isinstance(node, list) else node[last]


def _add(document: dict[str, Any], pointer: str, value: Any) -> None:
    node, last = _parent(document, pointer)
    if isinstance(node, list):
        index = len(node) if last == "-" else int(last)
        if not 0 <= index <= len(node):
            raise IndexError(f"index {last} is out of bounds")
        node.insert(index, value)
    else:
        node[last] = value


def _remove(document: dict[str, Any], pointer: str) -> Any:
    node, last = _parent(document, pointer)
    return node.pop(int(last)) if isinstance(node, list) else node.pop(last)
