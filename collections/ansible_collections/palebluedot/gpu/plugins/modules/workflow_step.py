#!/usr/bin/python
# Copyright (c) 2026 Pale Blue Dot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The step ledger."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: workflow_step
short_description: Begin or end a step in the ledger of a workflow
version_added: 0.1.0
description:
  - Writes the step ledger of the Pale Blue Dot service, synchronously and with the fence of the claim. The ledger is
    what
    makes resuming, retrying and cancelling the same thing whoever runs the playbook.
  - The module fails, with the code C(stopped), when the ledger says to stop, because the workflow is cancelled or held,
    the fleet is frozen, hands are off the server, or the claim was lost.
  - While the service is away the module waits, and says so. It fails with the code C(service_away) when it stays away,
    before the step is begun.
author:
  - Pale Blue Dot contributors (@palebluedot)
options:
  workflow_id:
    description:
      - The workflow.
    type: str
    required: true
  step:
    description:
      - Name of the step.
    type: str
    required: true
  server:
    description:
      - Name of the server that the step works on.
    type: str
    required: true
  attempt:
    description:
      - Attempt of the workflow, from the run document.
    type: int
    required: true
  fence:
    description:
      - Fence of the claim, from the run document. With an older one the module fails with RV(action=stop).
    type: int
    required: true
  phase:
    description:
      - Before the step, or after it.
    type: str
    choices: [begin, end]
    required: true
  status:
    description:
      - How the step ended. Needed with O(phase=end).
    type: str
    choices: [succeeded, failed, skipped]
  result:
    description:
      - What the step found or did.
    type: dict
  error:
    description:
      - Why it failed, in the shape of the C(error) of a failed module.
    type: dict
  destructive:
    description:
      - Whether the step destroys something. The error message says so when the service is away.
    type: bool
    default: false
  resume_command:
    description:
      - The command that goes on where this run was stopped, for the error message.
    type: str
  wait_timeout:
    description:
      - Seconds to wait for a service that is away.
    type: int
    default: 300
extends_documentation_fragment:
  - palebluedot.gpu.service
  - palebluedot.gpu.attributes
  - palebluedot.gpu.attributes.service
notes:
  - C(changed) is false always. The ledger keeps the books of what steps do, it is not what they do it to.
  - In check mode nothing is written, and the module goes on unless the claim was lost.
seealso:
  - module: palebluedot.gpu.allocation
"""

EXAMPLES = r"""
- name: Begin the step
  palebluedot.gpu.workflow_step:
    workflow_id: "{{ run.workflow.id }}"
    step: provision
    server: "{{ inventory_hostname }}"
    attempt: "{{ run.workflow.attempt }}"
    fence: "{{ run.workflow.fence }}"
    phase: begin
    destructive: true
  register: step

- name: End it
  palebluedot.gpu.workflow_step:
    workflow_id: "{{ run.workflow.id }}"
    step: provision
    server: "{{ inventory_hostname }}"
    attempt: "{{ run.workflow.attempt }}"
    fence: "{{ run.workflow.fence }}"
    phase: end
    status: succeeded
    result: {image: ubuntu-24.04}
  when: step.action == 'run'
"""

RETURN = r"""
action:
  description:
    - V(run) to go on, V(skip) where the ledger has the step ended well. V(stop), in a failed result, to end the work on
      this host now.
  returned: success, and when told to stop
  type: str
  sample: run
reason:
  description: Why to skip or stop.
  returned: success, and when told to stop
  type: str
  sample: the fleet is frozen
previous:
  description: What the ledger knows of an earlier attempt of this step on this server; null when there was none.
  returned: success
  type: dict
error:
  description:
    - What went wrong, with C(code), C(message), C(host), C(step), C(tried), C(answer), C(next) and C(retryable).
  returned: failure
  type: dict
"""

from ansible_collections.palebluedot.gpu.plugins.module_utils import options
from ansible_collections.palebluedot.gpu.plugins.module_utils.entry import execute
from ansible_collections.palebluedot.gpu.plugins.module_utils.service.step import run

SPEC = {
    "argument_spec": {
        "workflow_id": {"type": "str", "required": True},
        "step": {"type": "str", "required": True},
        "server": {"type": "str", "required": True},
        "attempt": {"type": "int", "required": True},
        "fence": {"type": "int", "required": True},
        "phase": {"type": "str", "choices": ["begin", "end"], "required": True},
        "status": {"type": "str", "choices": ["succeeded", "failed", "skipped"]},
        "result": {"type": "dict"},
        "error": {"type": "dict"},
        "destructive": {"type": "bool", "default": False},
        "resume_command": {"type": "str"},
        "wait_timeout": {"type": "int", "default": 300},
        **options.service(),
    },
    "required_if": [["phase", "end", ["status"]]],
    "supports_check_mode": True,
}


def main() -> None:
    """Run as a module."""
    execute(SPEC, run)


if __name__ == "__main__":
    main()
