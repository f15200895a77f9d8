#!/usr/bin/python
# Copyright (c) 2026 Pale Blue Dot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A change of a BMC's password, on record."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: server_credential
short_description: Record a change of a BMC's password, phase by phase
version_added: 0.1.0
description:
  - The service makes a new password up and keeps it beside the one in force, before the BMC gets it; after a login with
    it, it is confirmed. Whoever breaks off in between leaves both on record, and one of them opens the BMC.
  - No password is returned. Other modules refer to it as V(service:<server>/proposed).
author:
  - Pale Blue Dot contributors (@palebluedot)
options:
  name:
    description:
      - Name of the server.
    type: str
    required: true
  phase:
    description:
      - V(propose) puts a new password beside the one in force. One that stands there already is kept.
      - V(confirm) says that the proposed one has opened the BMC. It is the one in force then.
      - V(withdraw) says that the BMC has not got it and shall not get it.
    type: str
    required: true
    choices: [propose, confirm, withdraw]
  proposal:
    description:
      - Which proposal is confirmed or withdrawn. The one that stands, when this is not set.
    type: str
  older_than_days:
    description:
      - V(propose) does nothing when the password was last changed fewer days ago.
    type: int
extends_documentation_fragment:
  - palebluedot.gpu.service
  - palebluedot.gpu.attributes
  - palebluedot.gpu.attributes.service
seealso:
  - module: palebluedot.gpu.bmc_user
"""

EXAMPLES = r"""
- name: Propose a new password
  palebluedot.gpu.server_credential:
    name: gpu-07
    phase: propose
    older_than_days: 90
  register: proposed

- name: Give it to the BMC, and log in with it
  palebluedot.gpu.bmc_user:
    bmc_address: 192.0.2.10
    bmc_credential: service:gpu-07
    credential: service:gpu-07/proposed
    rotate: true
  when: proposed.credential.pending

- name: From here on it is the one in force
  palebluedot.gpu.server_credential:
    name: gpu-07
    phase: confirm
    proposal: "{{ proposed.credential.proposal }}"
  when: proposed.credential.pending
"""

RETURN = r"""
credential:
  description: What is on record afterwards; in check mode, what would be.
  returned: success
  type: dict
  contains:
    username:
      description: User name in force.
      type: str
    rotated_at:
      description: When the password was last changed, V(null) when it never was.
      type: str
    pending:
      description: Whether a proposed password stands beside the one in force.
      type: bool
    proposal:
      description: Id of that proposal, else of the last one that was confirmed.
      type: str
    proposed_username:
      description: User name that goes with the proposed password, where it is another one.
      type: str
    proposed_at:
      description: When it was proposed.
      type: str
diff:
  description: C(credential) before and after.
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
from ansible_collections.palebluedot.gpu.plugins.module_utils.service.credential_change import run

SPEC = {
    "argument_spec": {
        "name": {"type": "str", "required": True},
        "phase": {"type": "str", "required": True, "choices": ["propose", "confirm", "withdraw"]},
        "proposal": {"type": "str"},
        "older_than_days": {"type": "int"},
        **options.service(),
    },
    "supports_check_mode": True,
}


def main() -> None:
    """Run as a module."""
    execute(SPEC, run)


if __name__ == "__main__":
    main()
