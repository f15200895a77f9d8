# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""Lets an operation that waits say so.

``run`` knows no Ansible. Inside a worker the action plugin sets ``listener`` to Display; in a real module nobody
listens.
"""

from __future__ import annotations

from collections.abc import Callable

listener: Callable[[str], None] | None = None


def say(message: str) -> None:
    """Tell whoever watches, once; ``message`` must hold no secret."""
    if listener is not None:
        listener(message)
