# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""Reading back after a restart of the server: POST takes minutes, in which a BMC shows old values, or none."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.deadline import wait_until
from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import (
    BadAnswer,
    Conflict,
    NotFound,
    PaleBlueDotError,
    Unsupported,
)


@contextmanager
def about(name: str) -> Iterator[None]:
    """Errors say which part of what was wanted they are about."""
    try:
        yield
    except PaleBlueDotError as problem:
        problem.step = problem.step or name
        raise


def read_back(host: str, parts: Mapping[str, Callable[[], bool]], seconds: float) -> None:
    """Wait until every part holds.

    :param parts: by its name, what reads a part again and says whether it is as wanted.
    :raises BadAnswer: ``not_applied``: it is not so after ``seconds``.
    """
    problems: list[PaleBlueDotError] = []

    def missing() -> list[str]:
        found = []
        problems.clear()
        for name, read in parts.items():
            try:
                with about(name):
                    holds = read()
            except (NotFound, Unsupported, Conflict) as problem:
                # resources come and go while the server is in POST, and a BMC that is starting has none
                problems.append(problem)
                holds = False
            if not holds:
                found.append(name)
        return found

    done, names = wait_until(missing, lambda names: not names, seconds)
    if problems:
        raise problems[-1]
    if not done:
        raise BadAnswer(
            f"what was set does not hold: {', '.join(names)}",
            code="not_applied",
            host=host,
            step=names[0],
            tried=f"reading it back for {seconds:.0f} s",
            answer=f"not as wanted: {', '.join(names)}",
            next="See whether the server came through POST, and what its BIOS and the BMC's event log say.",
            retryable=False,
        )
