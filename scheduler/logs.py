# SPDX-License-Identifier: Apache-2.0
"""The scheduler's log: one ECS JSON document a line on standard error, from every process of the chain."""

from __future__ import annotations

import logging
import sys

import ecs_logging
import structlog


def configure() -> None:
    """Write to standard error, unless whoever runs this process has said otherwise already."""
    root = logging.getLogger()
    if root.handlers:
        return
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(ecs_logging.StdlibFormatter(exclude_fields=["log.origin", "log.original", "process.thread"]))
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    # the record logs through structlog: into the same lines
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.processors.format_exc_info,
            structlog.processors.KeyValueRenderer(key_order=["event"]),
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
