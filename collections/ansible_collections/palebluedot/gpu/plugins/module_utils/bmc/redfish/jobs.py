# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""The queue of configuration jobs that an iDRAC has: BIOS attributes are staged in one, and one at a time.

What is PATCHed is not yet going to happen: it does when its job has run, and a second change is refused until then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.base import Task
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.deadline import Deadline
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.redfish.tasks import ENDED
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.values import integer, leaf, tables, text
from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import BadAnswer, Conflict

if TYPE_CHECKING:
    from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.redfish.client import RedfishBmc

_BIOS = "BIOSConfiguration"
# An iDRAC keeps 256 jobs and shows 50 of them in a page.
_MOST_PAGES = 16


def check_queue(bmc: RedfishBmc, deadline: Deadline) -> None:
    """Raise `Conflict` (``job_pending``) while an earlier BIOS job waits or runs."""
    waiting = _waiting(bmc, deadline)
    if waiting is None:
        return
    name = text(waiting.get("Id")) or leaf(str(waiting.get("@odata.id")))
    raise Conflict(
        f"the BMC has a BIOS job that has not ended, {name}, and takes one at a time",
        code="job_pending",
        host=bmc.host,
        tried=f"GET {bmc.profile(deadline).bios_jobs}",
        answer=f"{name}: {waiting.get('JobState')}, {waiting.get('Name')}",
        next="Restart the server so that it runs, or delete it from the job queue (redfish_request: "
        f"DellJobService.DeleteJobQueue with JobID {name}), and run again.",
        retryable=True,
    )


def of_staged(bmc: RedfishBmc, deadline: Deadline) -> Task | None:
    """The job of attributes that were accepted without naming one; None where the BMC has no queue.

    :raises BadAnswer: there is no such job, so that nothing would ever apply them.
    """
    path = bmc.profile(deadline).bios_jobs
    if path is None:
        return None
    waiting = _waiting(bmc, deadline)
    if waiting is None:
        raise BadAnswer(
            "the BMC staged the BIOS attributes and made no job that would apply them",
            code="not_applied",
            host=bmc.host,
            tried=f"GET {path}",
            answer=f"no job of type {_BIOS} waits",
            next="Clear the pending BIOS attributes on the BMC, and run again.",
            retryable=False,
        )
    state, percent = text(waiting.get("JobState")), integer(waiting.get("PercentComplete"))
    return Task(str(waiting["@odata.id"]), state, percent)


def _waiting(bmc: RedfishBmc, deadline: Deadline) -> dict[str, Any] | None:
    """The BIOS job that has not ended, if there is one."""
    path = bmc.profile(deadline).bios_jobs
    if path is None:
        return None
    found = _expanded(bmc, path, deadline)
    if found is None:
        members = [bmc.transport.get_optional(uri, deadline) or {} for uri in bmc.transport.members(path, deadline)]
        found = [{"@odata.id": f"{path}/{member.get('Id')}", **member} for member in members if member]
    for job in found:
        if text(job.get("JobType")) == _BIOS and text(job.get("JobState")) not in ENDED:
            return job
    return None


def _expanded(bmc: RedfishBmc, path: str, deadline: Deadline) -> list[dict[str, Any]] | None:
    """The whole queue by a read for each page instead of one for each job; None where that does not show all of it."""
    found: dict[str, dict[str, Any]] = {}
    seen: set[str] = set()
    count: int | None = None
    page_path: str | None = f"{path}?$expand=*($levels=1)"
    while page_path is not None and page_path not in seen and len(seen) < _MOST_PAGES:
        seen.add(page_path)
        page = bmc.transport.get_optional(page_path, deadline) or {}
        members = tables(page.get("Members"))
        if not all("JobState" in member for member in members):
            return None
        found.update({str(member.get("@odata.id") or member.get("Id")): member for member in members})
        count = integer(page.get("Members@odata.count")) or count
        # some firmware keeps a next link on a page that already holds everything
        whole = count is not None and len(found) >= count
        page_path = None if whole else text(page.get("Members@odata.nextLink"))
    return None if page_path is not None or len(found) < (count or 0) else list(found.values())
