#!/usr/bin/python
# Copyright (c) 2026 Pale Blue Dot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""RAID volumes of a server."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: storage_volume
short_description: Make or delete a RAID volume of a server
version_added: 0.1.0
description:
  - Makes a volume on a storage controller that the BMC can reach, or deletes one, and reads it back.
  - The drives, the RAID type and what the controller offers are checked before anything is written.
  - A volume is known by its name. One of that name with another RAID type or other drives is an error and is never
    remade, and a drive that another volume uses is never taken. Nothing is deleted that was not named.
  - It restarts nothing. RV(reboot_required) says whether the controller waits for a restart.
author:
  - Pale Blue Dot contributors (@palebluedot)
requirements:
  - redfish >= 3.3
options:
  state:
    description:
      - Whether the volume should be there.
      - V(absent) deletes it with all that is on it.
    type: str
    choices: [present, absent]
    default: present
  controller:
    description:
      - Id of the storage controller. It can be left out where only one has drives and volumes.
    type: str
  name:
    description:
      - Name of the volume, as the controller shows it.
    type: str
    required: true
  raid_type:
    description:
      - Redfish's word for the RAID level, such as V(RAID1). Needed for a new volume.
    type: str
  drives:
    description:
      - Ids of the drives. Needed for a new volume.
    type: list
    elements: str
    default: []
  initialize:
    description:
      - How a new volume is initialised. One that is there already is never initialised.
      - It is refused where the volume is not waited for, with O(wait=false) or when it is made with the next restart.
    type: str
    choices: [fast, slow]
  apply_time:
    description:
      - When it happens. Without it, at once where the controller can, else with the next restart.
    type: str
    choices: [immediate, on_reset]
  wait:
    description:
      - Whether to wait for the BMC's task and to read the volume back. What happens with the next restart is not waited
        for.
    type: bool
    default: true
  wait_timeout:
    description:
      - Seconds to wait.
    type: int
    default: 600
extends_documentation_fragment:
  - palebluedot.gpu.bmc
  - palebluedot.gpu.attributes
  - palebluedot.gpu.attributes.bmc
attributes:
  idempotent:
    support: partial
    details: What waits for the next restart is ordered again by a second run before that restart.
seealso:
  - module: palebluedot.gpu.hardware_profile
"""

EXAMPLES = r"""
- name: Mirror the two system drives
  palebluedot.gpu.storage_volume:
    bmc_address: 192.0.2.10
    bmc_credential: service:dl385-01
    controller: DE081000
    name: system
    raid_type: RAID1
    drives: ["0", "1"]

- name: Take it apart
  palebluedot.gpu.storage_volume:
    bmc_address: 192.0.2.10
    bmc_credential: service:dl385-01
    name: system
    state: absent
"""

RETURN = r"""
volume:
  description:
    - The volume with C(id), C(name), C(raid_type), C(drives) and C(capacity_gb), V(null) where there is none.
    - In check mode, and where it waits for a restart, the one that will be.
  returned: success
  type: dict
  sample: {"id": "1", "name": "system", "raid_type": "RAID1", "drives": ["0", "1"], "capacity_gb": 480}
reboot_required:
  description: Whether the server has to restart before the change is made.
  returned: success
  type: bool
task:
  description: The BMC's task for the change, V(null) where it made none, with C(uri), C(state) and C(percent).
  returned: success
  type: dict
diff:
  description: The volume before and after.
  returned: success
  type: dict
error:
  description:
    - What went wrong, with C(code), C(message), C(host), C(step), C(tried), C(answer), C(next) and C(retryable).
  returned: failure
  type: dict
"""

from ansible_collections.palebluedot.gpu.plugins.module_utils import options
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.operations.storage_volume import run
from ansible_collections.palebluedot.gpu.plugins.module_utils.entry import execute

SPEC = {
    "argument_spec": {
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "controller": {"type": "str"},
        "name": {"type": "str", "required": True},
        "raid_type": {"type": "str"},
        "drives": {"type": "list", "elements": "str", "default": []},
        "initialize": {"type": "str", "choices": ["fast", "slow"]},
        "apply_time": {"type": "str", "choices": ["immediate", "on_reset"]},
        "wait": {"type": "bool", "default": True},
        "wait_timeout": {"type": "int", "default": 600},
        **options.bmc(),
    },
    "supports_check_mode": True,
}


def main() -> None:
    """Run as a module."""
    execute(SPEC, run)


if __name__ == "__main__":
    main()
