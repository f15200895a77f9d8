#!/usr/bin/python
# Copyright (c) 2026 Pale Blue Dot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A server's record."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: server
short_description: Read and change a server's record
version_added: 0.1.0
description:
  - Reads the record that the Pale Blue Dot service keeps of a server, stores what an inspection found, sets its flags,
    starts its cleaning, takes it out for maintenance.
author:
  - Pale Blue Dot contributors (@palebluedot)
options:
  name:
    description:
      - Name of the server.
    type: str
    required: true
  state:
    description:
      - V(present) leaves the server where it is in its life.
      - V(cleaning) starts the cleaning of a server that failed or is in quarantine, unless it is being cleaned already.
      - V(maintenance) takes a server that nobody uses out, for work on its hardware.
      - V(inspecting) ends the maintenance of a server. What an inspection finds (O(facts), here or later) brings it
        back.
    type: str
    choices: [present, cleaning, maintenance, inspecting]
    default: present
  reason:
    description:
      - Why it is in V(maintenance), which needs one; shown with the server.
    type: str
  facts:
    description:
      - What an inspection found, in the shape of RV(palebluedot.gpu.bmc_info#module:bmc).
    type: dict
  flags:
    description:
      - Flags to set.
    type: dict
    suboptions:
      hands_off:
        description:
          - Whether no door may touch the server.
        type: bool
        required: true
      reason:
        description:
          - Why; shown to everybody who is stopped by it.
        type: str
      owner:
        description:
          - How the caller's own reasons begin. Where hands are off for a reason that begins otherwise the task fails
            with C(hands_off_held) and the flag stays as it is.
          - Without it any flag is replaced, for which the token's account needs the role operator or admin.
        type: str
  claimant:
    description:
      - Which run this is. The default says which C(ansible-playbook) of which machine.
    type: str
extends_documentation_fragment:
  - palebluedot.gpu.service
  - palebluedot.gpu.attributes
  - palebluedot.gpu.attributes.service
seealso:
  - module: palebluedot.gpu.bmc_info
"""

EXAMPLES = r"""
- name: Read a server's record
  palebluedot.gpu.server:
    name: gpu-07
  register: seen

- name: Take it out to change a fan
  palebluedot.gpu.server:
    name: gpu-07
    state: maintenance
    reason: fan 3 is to be changed

- name: Keep everybody away from it
  palebluedot.gpu.server:
    name: gpu-07
    flags:
      hands_off: true
      reason: waiting for the vendor
"""

RETURN = r"""
server:
  description:
    - The record, as C(GET /api/v1/servers/<name>) gives it, with C(fleet_frozen) and C(freeze_reason) of the fleet.
    - C(hands_off_at_work) says whether hands are off it for a run, named in the reason as in C(power.yml (RUN) switches
      it), that is another one than this and not known to be gone.
  returned: success
  type: dict
  sample: {"name": "gpu-07", "state": "available", "hands_off": false, "fleet_frozen": false}
run:
  description: How this run names itself in the reasons of flags, O(claimant) without what comes before the first colon.
  returned: success
  type: str
  sample: "ops-01:4711:98765.1f2e3d4c.4026531836"
workflow_id:
  description: The cleaning that was started; null otherwise.
  returned: success
  type: str
error:
  description:
    - What went wrong, with C(code), C(message), C(host), C(step), C(tried), C(answer), C(next) and C(retryable).
  returned: failure
  type: dict
"""

from ansible_collections.palebluedot.gpu.plugins.module_utils import options
from ansible_collections.palebluedot.gpu.plugins.module_utils.entry import execute
from ansible_collections.palebluedot.gpu.plugins.module_utils.service.server import run

SPEC = {
    "argument_spec": {
        "name": {"type": "str", "required": True},
        "state": {"type": "str", "choices": ["present", "cleaning", "maintenance", "inspecting"], "default": "present"},
        "reason": {"type": "str"},
        "facts": {"type": "dict"},
        "flags": {
            "type": "dict",
            "options": {
                "hands_off": {"type": "bool", "required": True},
                "reason": {"type": "str"},
                "owner": {"type": "str"},
            },
        },
        "claimant": {"type": "str"},
        **options.service(),
    },
    "required_if": [["state", "maintenance", ["reason"]]],
    "supports_check_mode": True,
}


def main() -> None:
    """Run as a module."""
    execute(SPEC, run)


if __name__ == "__main__":
    main()
