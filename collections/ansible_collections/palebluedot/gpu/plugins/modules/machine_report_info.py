#!/usr/bin/python
# Copyright (c) 2026 Pale Blue Dot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a machine reported about itself."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: machine_report_info
short_description: Wait for what a machine reports about itself
version_added: 0.1.0
description:
  - Reads the report that a machine posts to the Pale Blue Dot service during a workflow, and waits for it to come.
author:
  - Pale Blue Dot contributors (@palebluedot)
options:
  workflow_id:
    description:
      - Workflow that the report belongs to.
    type: str
    required: true
  server:
    description:
      - Name of the server.
    type: str
    required: true
  kind:
    description:
      - V(first-boot) is posted by an installed operating system when it runs.
      - V(erase) is posted by the erase image when the drives are wiped.
    type: str
    required: true
    choices: [first-boot, erase]
  wait_timeout:
    description:
      - Seconds to wait for the report. With V(0), and in check mode, the answer comes at once.
    type: int
    default: 0
extends_documentation_fragment:
  - palebluedot.gpu.service
  - palebluedot.gpu.attributes.info
  - palebluedot.gpu.attributes.service
seealso:
  - module: palebluedot.gpu.workflow_step
"""

EXAMPLES = r"""
- name: Wait until the installed system has reported home
  palebluedot.gpu.machine_report_info:
    workflow_id: "{{ workflow_id }}"
    server: "{{ inventory_hostname }}"
    kind: first-boot
    wait_timeout: 600
  register: first_boot
"""

RETURN = r"""
report:
  description: The report; null when it has not come and was not waited for.
  returned: success
  type: dict
  contains:
    received_at:
      description: When the service received it, RFC 3339 in UTC.
      type: str
      sample: "2026-11-21T10:00:00Z"
    body:
      description: What the machine sent.
      type: dict
error:
  description:
    - What went wrong, with C(code), C(message), C(host), C(step), C(tried), C(answer), C(next) and C(retryable).
  returned: failure
  type: dict
"""

from ansible_collections.palebluedot.gpu.plugins.module_utils import options
from ansible_collections.palebluedot.gpu.plugins.module_utils.entry import execute
from ansible_collections.palebluedot.gpu.plugins.module_utils.service.reports import run

SPEC = {
    "argument_spec": {
        "workflow_id": {"type": "str", "required": True},
        "server": {"type": "str", "required": True},
        "kind": {"type": "str", "required": True, "choices": ["first-boot", "erase"]},
        "wait_timeout": {"type": "int", "default": 0},
        **options.service(),
    },
    "supports_check_mode": True,
}


def main() -> None:
    """Run as a module."""
    execute(SPEC, run)


if __name__ == "__main__":
    main()
