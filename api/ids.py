"""Identities in paths: a route says which kinds it takes, and anything else is told so."""

from __future__ import annotations

import re

from api.problems import ApiError
from fleet.ids import prefix

_NAMES = {
    "alloc": "an allocation",
    "gpu": "a GPU",
    "srv": "a server",
    "wf": "a workflow",
    "key": "an SSH key",
    "tok": "a token",
    "usr": "a user",
    "tpl": "a template",
    "net": "a network",
    "alert": "an alert",
    "sw": "a switch",
}
# RFC 1123: what a server or a switch may be called.
_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")


def require(identifier: str, *kinds: str) -> str:
    """The identifier, if its prefix is one of ``kinds``.

    Raises:
        ApiError: ``wrong_id_kind``, naming what the route takes.
    """
    if prefix(identifier) in kinds:
        return identifier
    raise _wrong(identifier, kinds, "")


def require_or_name(reference: str, kind: str) -> str:
    """The reference, if it is an id of that kind or could be a name (a DNS label)."""
    if prefix(reference) == kind or _LABEL.fullmatch(reference):
        return reference
    raise _wrong(reference, (kind,), " or its name")


def _wrong(identifier: str, kinds: tuple[str, ...], more: str) -> ApiError:
    wanted = " or ".join(f"{_NAMES[kind]} ({kind}_…)" for kind in kinds) + more
    known = _NAMES.get(prefix(identifier))
    found = f"{identifier!r} is {known}" if known else f"{identifier!r} is no such id"
    return ApiError("wrong_id_kind", f"This route takes the id of {wanted}; {found}.", next=f"Give the id of {wanted}.")
