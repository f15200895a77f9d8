# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""Any request to a Redfish service, with the session, ETags, deadline and errors that everything else has."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.base import Task
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.redfish.tasks import task_of, wait_for
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.redfish.transport import Answer
from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import (
    Conflict,
    InvalidInput,
    NotFound,
    Unsupported,
)

if TYPE_CHECKING:
    from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.redfish.client import RedfishBmc

_WRITTEN = re.compile(r"/redfish/[\x21-\x7e]*")


def checked_path(path: str, host: str) -> str:
    """The path, when it is one of a Redfish service and stays there.

    :raises InvalidInput: for another place, and for what a server may resolve to one.
    """
    bare = path.split("?", 1)[0].lower()
    leaves = ".." in bare.split("/") or "%2e" in bare or "%2f" in bare or "\\" in bare or "//" in bare
    if leaves or "#" in path or not _WRITTEN.fullmatch(path):
        raise InvalidInput(
            "the path is not one of a Redfish service",
            host=host,
            tried=f"path {path!r}",
            answer="nothing was sent",
            next="Give a path that begins with /redfish/, as @odata.id has it; a space is %20.",
        )
    return path


class RedfishAnything:
    """Requests to one BMC. Each call has the time of one operation."""

    def __init__(self, bmc: RedfishBmc) -> None:
        self._bmc = bmc

    @property
    def host(self) -> str:
        return self._bmc.host

    def get(self, path: str) -> tuple[dict[str, Any], str | None]:
        """The resource and its ETag."""
        return self._bmc.transport.get_with_etag(path, self._bmc.deadline())

    def peek(self, path: str) -> tuple[dict[str, Any], str | None] | None:
        """The same, or None where nothing can be read there (an action's target, a resource that is not there)."""
        try:
            return self.get(path)
        except (NotFound, Unsupported):
            return None

    def write(self, method: str, path: str, body: Mapping[str, Any] | None, *, etag: str | None, exact: bool) -> Answer:
        """Send one write.

        :param etag: for If-Match.
        :param exact: the tag is the caller's condition, and is not weakened when the BMC does not take it.
        """
        transport, deadline = self._bmc.transport, self._bmc.deadline()
        if method == "POST" and body is None:
            body = {}  # an action without parameters has an empty object; some firmware takes nothing less
        if method == "PATCH" and not exact:
            return transport.patch(path, body or {}, deadline, etag=etag)
        tags = [etag] if exact or not etag else [etag, None]
        for tag in tags:
            try:
                return transport.write(method, path, body, {"If-Match": tag} if tag else {}, deadline)
            except Conflict as problem:
                if problem.code != "precondition_failed" or tag is tags[-1]:
                    raise
        raise AssertionError("not reached")

    def task(self, answer: Answer, wait_timeout: float | None) -> Task | None:
        """The task of an answer, ended when there is a ``wait_timeout`` in seconds."""
        task = task_of(answer)
        return task if task is None or wait_timeout is None else wait_for(self._bmc, task, wait_timeout)
