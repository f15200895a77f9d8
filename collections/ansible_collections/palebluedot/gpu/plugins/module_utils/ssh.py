# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""Whether an SSH server answers: the operation of ``ssh_info``."""

from __future__ import annotations

import socket
import time
from typing import Any

from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import DeadlineExceeded
from ansible_collections.palebluedot.gpu.plugins.module_utils.text import printable
from ansible_collections.palebluedot.gpu.plugins.module_utils.waiting import Waiter

# A connection that has said nothing by then will not: a server sends its identification string at once.
_TRY_S = 5.0
# RFC 4253, 4.2: a line of 255 characters at most, which other lines may precede.
_LONGEST = 4096


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Operation of ``ssh_info``: ``banner``, ``elapsed_s``."""
    host, port = str(params["host"]).strip("[]"), int(params["port"])
    wait_s = 0.0 if check_mode else float(params["wait_timeout"])
    waiter = Waiter(wait_s, first_pause_s=0.1, longest_pause_s=2.0)
    while True:
        answer, found = _banner(host, port, min(_TRY_S, max(waiter.left, 1.0)))
        if found or wait_s <= 0:
            return {"changed": False, "banner": answer if found else None, "elapsed_s": round(waiter.waited, 1)}
        if not waiter.pause():
            raise DeadlineExceeded(
                f"no SSH server answered within {wait_s:g} s",
                code="unreachable",
                host=host,
                tried=f"reading the identification string from port {port}",
                answer=answer,
                next="See the machine's console, and that the network between here and there lets TCP through.",
            )


def _banner(host: str, port: int, seconds: float) -> tuple[str, bool]:
    """What came back (the identification string, or why there was none), and whether it is one."""
    give_up = time.monotonic() + seconds
    received = b""
    try:
        with socket.create_connection((host, port), timeout=seconds) as connection:
            while len(received) < _LONGEST:
                connection.settimeout(max(give_up - time.monotonic(), 0.01))
                chunk = connection.recv(512)
                if not chunk:
                    break
                received += chunk
                for line in received.split(b"\n")[:-1]:
                    if line.startswith(b"SSH-2.0-"):
                        return printable(line.decode("ascii", "replace").strip()), True
    except OSError as problem:
        return f"{type(problem).__name__}: {problem}", False
    return f"no identification string in {received[:80]!r}", False
