# SPDX-License-Identifier: Apache-2.0
"""Every process of the scheduler writes ECS lines, the record's among them."""

from __future__ import annotations

import json
import subprocess
import sys

CODE = """
import logging
import structlog
from scheduler import logs
record = structlog.get_logger("fleet.operations.settle")
logs.configure()
logs.configure()
logging.getLogger("scheduler.service").info("starts with %d slots", 8)
record.error("reap_failed", workflow_id="wf_1")
record.debug("not at this level")
"""


def test_one_json_document_a_line_for_our_own_and_the_records_logs() -> None:
    answer = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    assert answer.stdout == ""
    lines = [json.loads(line) for line in answer.stderr.splitlines()]
    assert [(line["log.level"], line["message"]) for line in lines] == [
        ("info", "starts with 8 slots"),
        ("error", "event='reap_failed' workflow_id='wf_1'"),
    ]
    assert all(line["ecs.version"] and line["@timestamp"] for line in lines)


def test_a_log_that_is_configured_is_left_alone() -> None:
    code = (
        "import logging; logging.basicConfig(format='mine %(message)s', level='INFO')\n" + CODE.partition("record.")[0]
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stderr == "mine starts with 8 slots\n"
