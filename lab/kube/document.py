"""JSON documents."""

from __future__ import annotations

from typing import TypeVar

T = TypeVar("T")


def clone(document: T) -> T:
    """A deep copy of a JSON document. ``copy.deepcopy`` takes five times as long, and was half of what a write cost."""
    if isinstance(document, dict):
        return {key: clone(value) for key, value in document.items()}  # type: ignore[return-value]
    if isinstance(document, list):
        return [clone(item) for item in document]  # type: ignore[return-value]
    return document
