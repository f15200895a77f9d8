# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""Logs by Redfish (DSP0268: LogService, LogEntry)."""

from __future__ import annotations

import re
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc import xids
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.base import Refused
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.deadline import Deadline
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.facets.logs import (
    BEGINNING,
    LogEntry,
    LogPage,
    Logs,
    created_of,
    order_of,
    skew_of,
    window,
)
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.values import (
    dig,
    leaf,
    link,
    tables,
    text,
    texts,
)
from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import (
    BadAnswer,
    NotFound,
    Unsupported,
)

if TYPE_CHECKING:
    from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.redfish.client import RedfishBmc

Resource = dict[str, Any]
_MOST_PAGES = 1000


class RedfishLogs(Logs):
    """Logs of one Redfish service."""

    def __init__(self, bmc: RedfishBmc) -> None:
        self._bmc = bmc

    def read(self, log: str, after: str | None, limit: int) -> LogPage:
        deadline = self._bmc.deadline()
        path, service = self._service(log, deadline)
        now = datetime.now(UTC)
        skew = skew_of(service.get("DateTime"), now)
        page = LogPage(log, path, cursor=after or BEGINNING, clock_skew_s=skew)
        found = self._entries(link(service, "Entries") or f"{path}/Entries", after, limit, log == "xid", deadline)
        if log == "xid":
            self._xids(page, found, after, limit, now)
        else:
            chosen, page.more, page.restarted = window(found, _id_of, after, limit)
            page.entries = [_entry(log, self._whole(member, deadline), now, skew) for member in chosen]
            if page.entries:
                page.cursor = page.entries[-1].id
        if page.restarted and not found:
            page.cursor = BEGINNING
        return page

    def _xids(self, page: LogPage, found: list[Resource], after: str | None, limit: int, now: datetime) -> None:
        """Of all that is new in the baseboard's log, what the drivers reported.

        The HMC's clock is not set, so no date of its own is passed on: the driver's stands in ``xid``.
        """
        new, _more, page.restarted = window(found, _id_of, after, len(found))
        reports = []
        for member in new:
            report = xids.parse(texts(member.get("MessageArgs")), text(member.get("Message")))
            if report is not None:
                reports.append(_entry("xid", member, now, None, asdict(report)))
        page.more = after is not None and len(reports) > limit
        page.entries = reports[:limit] if after is not None else reports[-limit:]
        if page.more:
            page.cursor = page.entries[-1].id
        elif new:
            page.cursor = _id_of(new[-1])

    # -- finding a log ------------------------------------------------------------------------------------------------

    def _service(self, log: str, deadline: Deadline) -> tuple[str, Resource]:
        """The path and the resource of the LogService that a profile names for this log."""
        transport = self._bmc.transport
        profile = self._bmc.profile(deadline)
        if log == "xid":
            for path in profile.xid_logs:
                service = transport.get_optional(path, deadline)
                if service is not None:
                    return path, service
            raise self._missing(log, profile.xid_logs or ("no LogService is known for this product",), [])
        wanted = profile.sel_logs if log == "sel" else profile.lifecycle_logs
        offered = self._services(deadline)
        for name in wanted:
            for path in offered:
                if leaf(path).lower() == name.lower():
                    return path, transport.get(path, deadline)
        raise self._missing(log, wanted, offered)

    def _services(self, deadline: Deadline) -> list[str]:
        """Paths of the LogServices of the host and its BMC; links may be missing, and places are fixed in practice."""
        found: dict[str, None] = {}
        for owner in (self._bmc.manager(deadline) or {}, self._bmc.system(deadline)):
            own = text(owner.get("@odata.id"))
            place = link(owner, "LogServices") or (f"{own}/LogServices" if own else None)
            found |= dict.fromkeys(self._bmc.transport.members(place, deadline))
        return list(found)

    def _missing(self, log: str, wanted: tuple[str, ...], offered: list[str]) -> Unsupported:
        return Unsupported(
            f"the BMC has no log '{log}'",
            host=self._bmc.host,
            tried=f"LogService {' or '.join(wanted)}",
            answer=f"LogServices: {', '.join(offered) or 'none found'}",
            next="Leave this log out for this server, or read it with redfish_request.",
        )

    # -- reading entries ----------------------------------------------------------------------------------------------

    def _entries(self, path: str, after: str | None, limit: int, whole: bool, deadline: Deadline) -> list[Resource]:
        """Entries that may be new, in any order, without those that are known not to be.

        :param whole: every entry is wanted, and none may be left out because of the limit.
        """
        profile = self._bmc.profile(deadline)
        if after not in (None, BEGINNING) and after.isdigit() and profile.log_filter:
            # "ge" and not "gt": an answer without the cursor's own entry tells of a log that was cleared
            found = self._queried(path, f"$filter=Id%20ge%20{after}", deadline)
            if found is not None and any(_id_of(member) == after for member in found):
                return found
        if after is None and not whole and profile.log_top:
            found = self._queried(path, f"$top={limit}", deadline)
            if found is not None:
                return found
        return self._pages(path, after, None if whole else limit, deadline)

    def _queried(self, path: str, query: str, deadline: Deadline) -> list[Resource] | None:
        """One page with a query; None where this firmware does not take it after all."""
        try:
            return self._members(self._bmc.transport.get(f"{path}?{query}", deadline))
        except (BadAnswer, Unsupported, Refused, NotFound):
            return None

    def _pages(self, path: str, after: str | None, limit: int | None, deadline: Deadline) -> list[Resource]:
        """All pages, or as many as are needed when the newest entries come first."""
        found: dict[str, Resource] = {}
        seen: set[str] = set()
        next_page: str | None = path
        while next_page is not None and next_page not in seen and len(seen) < _MOST_PAGES:
            seen.add(next_page)
            body = self._bmc.transport.get(next_page, deadline)
            members = self._members(body)
            found |= {_id_of(member): member for member in members}
            ids = [order_of(_id_of(member)) for member in members]
            if len(ids) > 1 and ids == sorted(ids, reverse=True):
                if after not in (None, BEGINNING) and after in found:
                    break
                if after is None and limit is not None and len(found) >= limit:
                    break
            count = body.get("Members@odata.count")
            whole = isinstance(count, int) and len(found) >= count
            next_page = None if whole or not members else text(body.get("Members@odata.nextLink"))
        return list(found.values())

    @staticmethod
    def _members(body: Resource) -> list[Resource]:
        return [member for member in tables(body.get("Members")) if _id_of(member)]

    def _whole(self, member: Resource, deadline: Deadline) -> Resource:
        """The entry; some firmware lists only links."""
        path = link(member)
        if path is None or not set(member) <= {"@odata.id", "Id"}:
            return member
        return self._bmc.transport.get_optional(path, deadline) or member


def _id_of(member: Resource) -> str:
    return text(member.get("Id")) or leaf(text(member.get("@odata.id")) or "")


def _entry(
    log: str, member: Resource, now: datetime, skew: float | None, xid: dict[str, Any] | None = None
) -> LogEntry:
    raw = member.get("Created")
    kind = text(member.get("SensorType"))
    number = text(member.get("SensorNumber"))
    return LogEntry(
        log=log,
        id=_id_of(member),
        created=None if xid is not None else created_of(raw, now, skew),
        created_raw=raw if isinstance(raw, str) else None,
        severity=text(member.get("Severity")),
        message=_one_line(text(member.get("Message"))),
        message_id=text(member.get("MessageId")),
        message_args=texts(member.get("MessageArgs")),
        sensor=" ".join(part for part in (kind, number) if part) or None,
        origin=text(dig(member, "Links", "OriginOfCondition", "@odata.id")),
        xid=xid,
    )


def _one_line(message: str | None) -> str | None:
    return None if message is None else re.sub(r"\s+", " ", message)
