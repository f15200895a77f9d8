"""The lab's clock: simulated time that can run faster than the wall's."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta


class Clock:
    """Simulated time. One simulated second takes ``1 / speed`` real seconds.

    Everything in the lab that lasts (POST, an image, an erase) sleeps here, so that one number makes the whole data
    centre faster. The speed may change while tasks sleep: they wake, count what has passed and sleep on.
    """

    def __init__(self, speed: float = 1.0, start: datetime | None = None) -> None:
        self._speed = _checked(speed)
        self._start = start or datetime.now(UTC)
        self._elapsed = 0.0  # simulated seconds up to _since
        self._since = time.monotonic()
        self._changed = asyncio.Event()

    @property
    def speed(self) -> float:
        return self._speed

    def set_speed(self, speed: float) -> None:
        """Change the speed for everyone, sleepers included."""
        speed = _checked(speed)
        self._elapsed = self.elapsed()
        self._since = time.monotonic()
        self._speed = speed
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def elapsed(self) -> float:
        """Simulated seconds since the clock was made. Monotonic."""
        return self._elapsed + (time.monotonic() - self._since) * self._speed

    def now(self) -> datetime:
        """Simulated wall-clock time, UTC."""
        return self._start + timedelta(seconds=self.elapsed())

    def timestamp(self) -> str:
        """``now()`` as RFC 3339 with microseconds."""
        return self.now().isoformat().replace("+00:00", "Z")

    async def sleep(self, simulated_seconds: float) -> None:
        """Return when that much simulated time has passed. Nothing to wait for still yields to the loop once."""
        deadline = self.elapsed() + simulated_seconds
        if simulated_seconds <= 0:
            await asyncio.sleep(0)
            return
        while (left := deadline - self.elapsed()) > 0:
            changed = self._changed
            try:
                async with asyncio.timeout(left / self._speed):
                    await changed.wait()
            except TimeoutError:
                continue


def _checked(speed: float) -> float:
    if not 0 < speed <= 1e6:
        raise ValueError(f"speed must be a positive number, at most 1e6, not {speed!r}")
    return float(speed)
