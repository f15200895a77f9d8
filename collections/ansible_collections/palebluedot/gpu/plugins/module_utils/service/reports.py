# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""Reports that machines post about themselves."""

from __future__ import annotations

import time
from typing import Any

from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import DeadlineExceeded, NotFound
from ansible_collections.palebluedot.gpu.plugins.module_utils.service.client import ServiceClient
from ansible_collections.palebluedot.gpu.plugins.module_utils.service.connection import is_away
from ansible_collections.palebluedot.gpu.plugins.module_utils.service.credentials import client_from
from ansible_collections.palebluedot.gpu.plugins.module_utils.waiting import Waiter


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Operation of ``machine_report_info``."""
    # a dry run waits for nothing: what would bring the report is not done either
    wait_s = 0.0 if check_mode else float(params["wait_timeout"])
    with client_from(params) as client:
        report = wait_for_report(client, params["workflow_id"], params["kind"], params["server"], wait_s)
    return {"changed": False, "report": report}


def wait_for_report(
    client: ServiceClient, workflow_id: str, kind: str, server: str, wait_s: float
) -> dict[str, Any] | None:
    """The report, as soon as it is there; a service that is away is waited for as well.

    :return: None when it is not there yet and ``wait_s`` is 0.
    :raises NotFound: there is no such workflow, server or kind of report.
    :raises DeadlineExceeded: it did not come within ``wait_s`` seconds.
    """
    waiter = Waiter(wait_s, first_pause_s=0.2, longest_pause_s=5.0)
    started = time.monotonic()
    while True:
        try:
            return client.report(workflow_id, kind, server)
        except NotFound as problem:
            if problem.code != "report_not_received":
                raise
            if wait_s <= 0:
                return None
            last = "no report yet"
        except Exception as problem:
            if not is_away(problem) or wait_s <= 0:
                raise
            last = str(problem)
        if not waiter.pause():
            raise DeadlineExceeded(
                f"{server} sent no {kind} report within {time.monotonic() - started:.0f} s",
                code="report_missing",
                host=server,
                tried=f"reports/{kind} of {workflow_id}",
                answer=last,
                next="Look at the machine's console: it may not have booted, or may not reach the service.",
            )
