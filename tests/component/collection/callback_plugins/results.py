# Copyright (c) 2026 Pale Blue Dot contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: E402  (Ansible wants DOCUMENTATION before the imports)
"""Writes every task's result as a line of JSON, for the tests that start ansible-playbook."""

from __future__ import annotations

DOCUMENTATION = """
name: results
type: aggregate
short_description: Results of tasks as lines of JSON
description: For tests.
"""

import json
import os
from pathlib import Path

from ansible.plugins.callback import CallbackBase


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "results"

    def _write(self, outcome, result):
        line = {
            "outcome": outcome,
            "host": result.host.get_name(),
            "task": result.task.get_name(),
            "result": json.loads(json.dumps(result.result, default=str)),
        }
        with Path(os.environ["RESULTS_FILE"]).open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(line) + "\n")

    def v2_runner_on_ok(self, result):
        self._write("ok", result)

    def v2_runner_on_failed(self, result, ignore_errors=False):
        self._write("failed", result)

    def v2_runner_on_unreachable(self, result):
        self._write("unreachable", result)
