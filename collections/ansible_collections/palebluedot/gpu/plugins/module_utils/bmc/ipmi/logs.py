# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""The system event log by IPMI (2.0, chapter 31 and 32)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.base import no_facet
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.facets.logs import (
    BEGINNING,
    LogEntry,
    LogPage,
    Logs,
    created_of,
)

if TYPE_CHECKING:
    from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.ipmi.client import IpmiBmc


class IpmiLogs(Logs):
    """IPMI has one log, and its records follow one another by Id in the BMC's own order."""

    def __init__(self, bmc: IpmiBmc) -> None:
        self._bmc = bmc

    def read(self, log: str, after: str | None, limit: int) -> LogPage:
        if log != "sel":
            raise no_facet("IPMI", self._bmc.host, "redfish")
        started = int(after) if after is not None and after.isdigit() else 0
        answer = self._bmc.ask("sel", after=started)
        now = datetime.now(UTC)
        clock = answer["time"]
        skew = None if clock is None else clock - now.timestamp()
        records: list[dict[str, Any]] = answer["records"]
        page = LogPage("sel", "IPMI SEL", cursor=after or BEGINNING, clock_skew_s=skew)
        page.restarted = bool(started and answer["restarted"])
        page.more = after is not None and len(records) > limit
        chosen = records[-limit:] if after is None else records[:limit]
        page.entries = [_entry(record, now, skew) for record in chosen]
        if page.entries:
            page.cursor = page.entries[-1].id
        elif page.restarted:
            page.cursor = BEGINNING
        return page


def _entry(record: dict[str, Any], now: datetime, skew: float | None) -> LogEntry:
    seconds = record["seconds"]
    raw = None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat()
    return LogEntry(
        log="sel",
        id=str(record["id"]),
        created=created_of(raw, now, skew),
        created_raw=raw,
        severity=record["severity"],
        message=record["message"],
        message_id=record["event"],
        message_args=[],
        sensor=record["sensor"],
        origin=None,
    )
