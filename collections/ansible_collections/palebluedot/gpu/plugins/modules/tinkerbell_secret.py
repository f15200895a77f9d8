#!/usr/bin/python
# Copyright (c) 2026 Pale Blue Dot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The password with which Tinkerbell reaches a BMC."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: tinkerbell_secret
short_description: Keep the password with which Tinkerbell reaches a BMC in step
version_added: 0.1.0
description:
  - Finds the C(Machine) (C(bmc.tinkerbell.org)) of a C(Hardware) and the C(Secret) that its connection names, and
    brings user name and password in it to what is given. A Secret that the Machine names and that is missing is made.
  - Does nothing where Tinkerbell does not manage the BMC.
author:
  - Pale Blue Dot contributors (@palebluedot)
requirements:
  - kubernetes >= 31
options:
  hardware:
    description:
      - Name of the C(Hardware). The Machine is its C(bmcRef), or has its name.
    type: str
    required: true
  credential:
    description:
      - Reference to user name and password, V(service:<server>), V(env:NAME) or V(vault:<mount>/<path>).
    type: str
  username:
    description:
      - User name, when there is no O(credential).
    type: str
  password:
    description:
      - Password, when there is no O(credential).
    type: str
extends_documentation_fragment:
  - palebluedot.gpu.tinkerbell
  - palebluedot.gpu.service
  - palebluedot.gpu.attributes
  - palebluedot.gpu.attributes.tinkerbell_service
seealso:
  - module: palebluedot.gpu.bmc_user
"""

EXAMPLES = r"""
- name: Let Tinkerbell know the BMC's password
  palebluedot.gpu.tinkerbell_secret:
    hardware: gpu-07
    credential: service:gpu-07
"""

RETURN = r"""
secret:
  description: Name and namespace of the Secret, V(null) where Tinkerbell does not manage the BMC.
  returned: success
  type: dict
  sample: {"name": "bmc-gpu-07", "namespace": "tinkerbell"}
diff:
  description: Which of the two values were in step, without the values.
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
from ansible_collections.palebluedot.gpu.plugins.module_utils.tinkerbell.secret import run

SPEC = {
    "argument_spec": {
        "hardware": {"type": "str", "required": True},
        "credential": {"type": "str", "no_log": False},
        "username": {"type": "str"},
        "password": {"type": "str", "no_log": True},
        **options.tinkerbell(),
        **options.service(),
    },
    "required_one_of": [["credential", "password"]],
    "required_together": [["username", "password"]],
    "supports_check_mode": True,
}


def main() -> None:
    """Run as a module."""
    execute(SPEC, run)


if __name__ == "__main__":
    main()
