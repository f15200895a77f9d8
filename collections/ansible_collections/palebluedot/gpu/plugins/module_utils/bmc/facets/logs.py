# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""A BMC's logs, read by cursor."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.values import text

T = TypeVar("T")

LOGS = ("sel", "lifecycle", "xid")
BEGINNING = "0"  # the cursor before every entry

_EARLIEST = datetime(2001, 1, 1, tzinfo=UTC)  # 1970 and 2000-01-01 are what a clock shows that was never set
_LARGEST_SKEW = timedelta(days=1)


@dataclass(frozen=True)
class LogEntry:
    """One entry. ``created`` is RFC 3339, None where the BMC's date cannot be right; ``created_raw`` is as it came.

    ``xid`` holds the fields of `xids.Xid` in the log xid, and is None in the others.
    """

    log: str
    id: str
    created: str | None
    created_raw: str | None
    severity: str | None
    message: str | None
    message_id: str | None
    message_args: list[str]
    sensor: str | None
    origin: str | None
    xid: dict[str, Any] | None = None

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass
class LogPage:
    """What was read of one log.

    :param entries: oldest first.
    :param cursor: Id of the last entry that was looked at; with it the next reading goes on.
    :param more: entries follow that the limit left out.
    :param restarted: the cursor's entry is not in the log any more (cleared, or written over), so entries may have been
        missed, and what is returned begins with the log's oldest.
    :param clock_skew_s: the BMC's clock against ours; None where it does not say.
    """

    log: str
    path: str
    entries: list[LogEntry] = field(default_factory=list)
    cursor: str = BEGINNING
    more: bool = False
    restarted: bool = False
    clock_skew_s: float | None = None

    def summary(self) -> dict[str, Any]:
        return {
            "path": self.path,
            "more": self.more,
            "restarted": self.restarted,
            "clock_skew_s": self.clock_skew_s,
        }


class Logs(ABC):
    """The logs of one BMC."""

    @abstractmethod
    def read(self, log: str, after: str | None, limit: int) -> LogPage:
        """Entries of a log.

        :param log: one of `LOGS`.
        :param after: the cursor of an earlier reading: what came since, at most ``limit``, oldest first. None: the
            newest ``limit``.
        :raises errors.Unsupported: this BMC has no such log.
        """


def order_of(id: str) -> tuple[tuple[int, int | str], ...]:
    """Sorts Ids as they were given: numbers by value (BMCs list 1, 1001, 140), also within texts (1689163423_2)."""
    return tuple((0, int(part)) if part.isdigit() else (1, part) for part in re.findall(r"\d+|\D+", id))


def window(
    entries: Sequence[T], id_of: Callable[[T], str], after: str | None, limit: int
) -> tuple[list[T], bool, bool]:
    """What a reading returns of all entries of a log.

    :returns: the entries, oldest first; whether more follow; whether the cursor's entry is gone.
    """
    ordered = sorted(entries, key=lambda entry: order_of(id_of(entry)))
    if after is None:
        return ordered[-limit:], False, False
    gone = after != BEGINNING and all(id_of(entry) != after for entry in ordered)
    if not gone:
        ordered = [entry for entry in ordered if order_of(id_of(entry)) > order_of(after)]
    return ordered[:limit], len(ordered) > limit, gone


def moment_of(raw: object) -> datetime | None:
    """A date and time as BMCs write it; None for 0000-00-00, a time without a date, no text at all."""
    written = text(raw)
    if written is None:
        return None
    written = re.sub(r"([+-]\d\d)(\d\d)$", r"\1:\2", written)  # iDRAC: -0600
    try:
        found = datetime.fromisoformat(written)
    except ValueError:
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def skew_of(bmc_time: object, now: datetime) -> float | None:
    """Seconds by which a BMC's clock is ahead of ours; None where it does not say what time it has."""
    found = moment_of(bmc_time)
    try:
        return None if found is None else (found - now).total_seconds()
    except OverflowError:
        return None


def created_of(raw: object, now: datetime, skew_s: float | None) -> str | None:
    """An entry's date, RFC 3339, unless it cannot be right: a clock that was never set, or that is days off now."""
    found = moment_of(raw)
    if found is None or (skew_s is not None and abs(skew_s) > _LARGEST_SKEW.total_seconds()):
        return None
    try:
        return found.isoformat() if _EARLIEST < found <= now + _LARGEST_SKEW else None
    except OverflowError:
        return None
