# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""Keeps the number of wrong passwords below what locks an account.

A BMC counts wrong passwords, whoever sends them, and so the tries of every run on this machine are kept in one small
file for each BMC. A try is written down before it is made: a run that is killed has made it.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.deadline import Deadline
from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import Busy, PaleBlueDotError

# What is added to a window, because the BMC's clock begins when it has worked out that the password is wrong.
_MARGIN_S = 2.0


def default_folder() -> Path:
    """Where the tries of this user are kept (XDG base directory specification)."""
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "palebluedot" / "bmc-tries"


class Tries:
    """The tries at one BMC.

    :param bmc: what the BMC is told apart by: its address and port.
    :param threshold: wrong tries that lock; one less is made in any window.
    :param window_s: how long a wrong try counts.
    :param clock: the time of day in seconds, which other processes see too.
    """

    def __init__(
        self,
        folder: Path,
        bmc: str,
        threshold: int,
        window_s: float,
        *,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._bmc = bmc
        self._file = folder / f"{hashlib.sha256(bmc.encode()).hexdigest()[:32]}.json"
        self._allowed = max(1, threshold - 1)
        self._window_s = window_s + _MARGIN_S
        self._clock = clock
        self._sleep = sleep
        self._last: float | None = None

    def take(self, patience: Deadline) -> None:
        """Note one try, when the window has room for it; wait for that no longer than ``patience``.

        :raises Busy: ``lockout_near``: nothing was tried.
        """
        while True:
            with self._kept() as times:
                now = self._clock()
                # a time in the future is a clock that was set back: it counts, and not for ever
                times[:] = [at for at in times if abs(now - at) < self._window_s]
                if len(times) < self._allowed:
                    times.append(now)
                    self._last = now
                    return
                wait_s = max(0.05, sorted(times)[len(times) - self._allowed] + self._window_s - now)
            if wait_s > patience.remaining():
                raise Busy(
                    "one more wrong password might lock the account",
                    code="lockout_near",
                    host=self._bmc,
                    tried=f"{len(times)} passwords within {self._window_s:g} s",
                    answer=f"the next may follow in {wait_s:.0f} s",
                    next="Run again then, or raise wait_timeout; better, give the credential of this very machine.",
                )
            self._sleep(wait_s)

    def forget(self) -> None:
        """The last try was no wrong one."""
        with self._kept() as times:
            if self._last in times:
                times.remove(self._last)

    @contextmanager
    def _kept(self) -> Iterator[list[float]]:
        """The times of the tries, to be changed in place; nobody else has them meanwhile."""
        try:
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with os.fdopen(os.open(self._file, os.O_RDWR | os.O_CREAT, 0o600), "r+") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                times = _times(file.read())
                yield times
                file.seek(0)
                file.truncate()
                json.dump(times, file)
        except OSError as problem:
            raise PaleBlueDotError(
                "the tries at this BMC cannot be counted, so none is made",
                code="tries_not_kept",
                host=self._bmc,
                tried=str(self._file),
                answer=str(problem),
                next="Make the folder writable, or name another in tries_dir.",
            ) from problem


def _times(text: str) -> list[float]:
    try:
        found = json.loads(text or "[]")
    except ValueError:
        return []
    return [float(at) for at in found if isinstance(at, int | float)] if isinstance(found, list) else []
