# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""Text that came from a device, made fit for logs, terminals and the record."""

from __future__ import annotations

from typing import Any

_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def printable(text: str) -> str:
    """The text without control characters and halves of surrogate pairs: a sick BMC may answer anything.

    Line ends and tabs stay. PostgreSQL takes no NUL, JSON over UTF-8 no lone surrogate, and a terminal obeys escapes.
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or char in "\n\t" else _REPLACEMENT for char in text)


def clean(value: Any) -> Any:
    """`printable` on every string inside a JSON value."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, dict):
        return {printable(str(key)): clean(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [clean(item) for item in value]
    return value
