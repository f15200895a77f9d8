#!/usr/bin/python
# Copyright (c) 2026 Pale Blue Dot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reserve GPU servers, claim the work on them, release them."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: allocation
short_description: Reserve GPU servers, claim the work on them, release them
version_added: 0.1.0
description:
  - Reserves servers through the Pale Blue Dot service, or finds the reservation of the same name, and claims its
    workflow.
  - A request is named by O(request). The same name finds the same allocation again, whatever became of it; a new name
    allocates anew.
  - Only who holds the claim may work on the servers. A claim of a run on this machine that was killed is taken over by
    itself; any other is respected until it ends, unless O(takeover=true).
author:
  - Pale Blue Dot contributors (@palebluedot)
options:
  state:
    description:
      - V(present) reserves or finds.
      - V(absent) starts the release, or finds the one under way. That there is no such allocation is no error.
    type: str
    choices: [present, absent]
    default: present
  request:
    description:
      - Name of the request, unique for its user. It is the C(Idempotency-Key) of the reservation.
    type: str
  allocation_id:
    description:
      - The allocation, where its id is known.
    type: str
  workflow_id:
    description:
      - The workflow, where its id is known.
      - With O(fence), the workflow is claimed already (the dispatcher launched this run); the module only reads.
    type: str
  fence:
    description:
      - Fence of the claim that the launcher made. A workflow that has moved on is an error.
    type: int
  claim:
    description:
      - Claim the workflow for this run. The step ledger takes entries of the holder only.
    type: bool
    default: false
  claimant:
    description:
      - Who claims. The default says which C(ansible-playbook) of which machine it is.
    type: str
  takeover:
    description:
      - Take over a claim that somebody else still holds. Only right when that run is known to be dead.
    type: bool
    default: false
  playbook_commit:
    description:
      - The git commit of the playbooks of this run, for the record of the workflow that is claimed.
    type: str
  gpu_count:
    description:
      - GPUs wanted. A new request needs O(template) and this or O(server_count).
    type: int
  gpu_model:
    description:
      - Part of the GPU's model name, such as V(H100).
    type: str
  kind:
    description:
      - V(server) takes whole servers, V(shared) takes GPUs of a shared one.
    type: str
    choices: [server, shared]
  server_count:
    description:
      - Servers wanted, instead of O(gpu_count).
    type: int
  template:
    description:
      - Name of the template, such as V(ubuntu-24.04).
    type: str
  template_version:
    description:
      - Version of the template; the newest when not set.
    type: str
  parameters:
    description:
      - Parameters that the template declares.
    type: dict
  ssh_keys:
    description:
      - Keys that may log in, as ids, names or public key lines; all of the user's when not set.
    type: list
    elements: str
  start:
    description:
      - When the lease begins (RFC 3339); now when not set.
    type: str
  end:
    description:
      - When the lease ends (RFC 3339).
    type: str
  on_behalf_of:
    description:
      - User who gets the servers. Operators and automation may say so.
    type: str
  executor:
    description:
      - Who does the work of a new reservation or release.
      - V(external) is a run by hand, such as this one. V(service) leaves it to the service's dispatcher.
      - V(awx) is for a service that launches AWX's job templates itself, and is refused where none does.
    type: str
    choices: [external, service, awx]
    default: external
extends_documentation_fragment:
  - palebluedot.gpu.service
  - palebluedot.gpu.attributes
  - palebluedot.gpu.attributes.service
notes:
  - While the work is not done, each run claims anew and so reports C(changed). A request that is active does not.
seealso:
  - module: palebluedot.gpu.workflow_step
"""

EXAMPLES = r"""
- name: Reserve eight GPUs and claim the work
  palebluedot.gpu.allocation:
    request: experiment-42
    gpu_count: 8
    template: ubuntu-24.04
    claim: true
  register: reservation

- name: Release them again
  palebluedot.gpu.allocation:
    request: experiment-42
    state: absent
    executor: service
"""

RETURN = r"""
allocation:
  description: The allocation, as C(GET /api/v1/allocations/<id>) gives it; null when there is none.
  returned: success
  type: dict
  sample: {"id": "alloc_01939b7e", "request": "experiment-42", "status": "active", "servers": []}
workflow:
  description: Its current workflow, as C(GET /api/v1/workflows/<id>) gives it; null when there is none.
  returned: success
  type: dict
  sample: {"id": "wf_01939b7e", "kind": "allocate", "status": "running", "fence": 3, "attempt": 2}
run:
  description: The run document, with all that the steps need; null when there is nothing left to do.
  returned: success
  type: dict
message:
  description: What was found or done, in one sentence.
  returned: success
  type: str
  sample: "request 'experiment-42' is active: nothing to do"
error:
  description:
    - What went wrong, with C(code), C(message), C(host), C(step), C(tried), C(answer), C(next) and C(retryable).
  returned: failure
  type: dict
"""

from ansible_collections.palebluedot.gpu.plugins.module_utils import options
from ansible_collections.palebluedot.gpu.plugins.module_utils.entry import execute
from ansible_collections.palebluedot.gpu.plugins.module_utils.service.allocation import run

SPEC = {
    "argument_spec": {
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "request": {"type": "str"},
        "allocation_id": {"type": "str"},
        "workflow_id": {"type": "str"},
        "fence": {"type": "int"},
        "claim": {"type": "bool", "default": False},
        "claimant": {"type": "str"},
        "takeover": {"type": "bool", "default": False},
        "playbook_commit": {"type": "str"},
        "gpu_count": {"type": "int"},
        "gpu_model": {"type": "str"},
        "kind": {"type": "str", "choices": ["server", "shared"]},
        "server_count": {"type": "int"},
        "template": {"type": "str"},
        "template_version": {"type": "str"},
        "parameters": {"type": "dict"},
        "ssh_keys": {"type": "list", "elements": "str", "no_log": False},
        "start": {"type": "str"},
        "end": {"type": "str"},
        "on_behalf_of": {"type": "str"},
        "executor": {"type": "str", "choices": ["external", "service", "awx"], "default": "external"},
        **options.service(),
    },
    "required_one_of": [["request", "allocation_id", "workflow_id"]],
    "required_by": {"fence": ["workflow_id"]},
    "mutually_exclusive": [["gpu_count", "server_count"]],
    "supports_check_mode": True,
}


def main() -> None:
    """Run as a module."""
    execute(SPEC, run)


if __name__ == "__main__":
    main()
