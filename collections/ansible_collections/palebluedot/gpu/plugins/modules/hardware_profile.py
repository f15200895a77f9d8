#!/usr/bin/python
# Copyright (c) 2026 Pale Blue Dot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything about a server that is configured through its BMC, as one wanted state."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: hardware_profile
short_description: Bring firmware, BIOS, boot order, volumes and BMC of a server to one wanted state
version_added: 0.1.0
description:
  - Compares a server with a profile and brings it there, with one diff and at most one restart.
  - Everything is compared and checked before anything is written, BIOS values against the registry that the machine
    itself publishes. What is wrong with several parts is told at once, and nothing is written then.
  - Firmware is written first, because it may restart the BMC. BIOS attributes, boot order and volumes are staged, and
    one restart makes all of it hold. Then everything is read back.
  - What the profile does not name is left alone.
author:
  - Pale Blue Dot contributors (@palebluedot)
requirements:
  - redfish >= 3.3
  - pyghmi >= 1.6 for IPMI
options:
  bios:
    description:
      - BIOS attributes and their values, under the vendor's names.
    type: dict
    default: {}
  boot_order:
    description:
      - What the server boots from, first to last, as boot option references, display names, or V(pxe), V(http), V(cd)
        and V(hdd). Options that are not named follow in their present order.
      - On Supermicro an option that appears only after a boot with these BIOS attributes is put in order after that
        boot.
    type: list
    elements: str
    default: []
  firmware:
    description:
      - Versions that the server should have, each entry as the options of M(palebluedot.gpu.firmware).
    type: list
    elements: dict
    default: []
    suboptions:
      image:
        description:
          - The image that brings the version, as a file or a URL. Needed only where a version differs.
        type: str
      targets:
        description:
          - What is updated.
        type: list
        elements: str
        default: []
      version:
        description:
          - The version that each of the targets should have.
        type: str
      versions:
        description:
          - Versions by component, for an image that brings several.
        type: dict
      apply_time:
        description:
          - V(on_reset) leaves the version to the restart, V(immediate) reads it back before that.
        type: str
        choices: [immediate, on_reset]
        default: on_reset
  volumes:
    description:
      - RAID volumes, each entry as the options of M(palebluedot.gpu.storage_volume).
    type: list
    elements: dict
    default: []
    suboptions:
      state:
        description:
          - Whether the volume should be there.
        type: str
        choices: [present, absent]
        default: present
      controller:
        description:
          - Id of the storage controller. It can be left out where only one has drives and volumes.
        type: str
      name:
        description:
          - Name of the volume.
        type: str
        required: true
      raid_type:
        description:
          - Redfish's word for the RAID level. Needed for a new volume.
        type: str
      drives:
        description:
          - Ids of the drives. Needed for a new volume.
        type: list
        elements: str
        default: []
      initialize:
        description:
          - How a new volume is initialised.
        type: str
        choices: [fast, slow]
      apply_time:
        description:
          - When it happens. Without it, at once where the controller can, else with the restart.
        type: str
        choices: [immediate, on_reset]
  bmc:
    description:
      - Settings of the BMC itself. Its address and VLAN are not among them, see M(palebluedot.gpu.bmc_network).
    type: dict
    suboptions:
      hostname:
        description:
          - Its name.
        type: str
      ntp_servers:
        description:
          - The time servers that it asks, all of them.
        type: list
        elements: str
      dns_servers:
        description:
          - The name servers that it asks, all of them.
        type: list
        elements: str
      ipmi_enabled:
        description:
          - Whether it answers IPMI over the network.
        type: bool
  reboot:
    description:
      - V(never) leaves what waits for a restart to the next one, and says so in RV(reboot_required).
      - V(if_needed) restarts the server once where something waits for it, also where that was staged before. A server
        that is off is switched on for it, and off again.
    type: str
    choices: [never, if_needed]
    default: never
  wait:
    description:
      - Whether to wait after the restart until everything is read back as it was wanted.
    type: bool
    default: true
  wait_timeout:
    description:
      - Seconds for all of it. POST of a server with eight GPUs takes ten minutes.
    type: int
    default: 3600
extends_documentation_fragment:
  - palebluedot.gpu.bmc
  - palebluedot.gpu.attributes
  - palebluedot.gpu.attributes.bmc
attributes:
  idempotent:
    support: partial
    details: Firmware that waits for a restart is sent again by a second run before that restart.
seealso:
  - module: palebluedot.gpu.bios_attributes
  - module: palebluedot.gpu.firmware
  - module: palebluedot.gpu.storage_volume
"""

EXAMPLES = r"""
- name: Show how a server differs from its profile
  palebluedot.gpu.hardware_profile:
    bmc_address: 192.0.2.10
    bmc_credential: service:dgx-01
    bios:
      SRIOVEnable: Enable
    boot_order: [pxe, hdd]
    firmware:
      - targets: [HostBIOS_0]
        version: 01.05.03
        image: /srv/firmware/nvfw_DGX_240405.1.0.fwpkg
  check_mode: true
  diff: true

- name: Bring it there, with one restart if that takes it
  palebluedot.gpu.hardware_profile:
    bmc_address: 192.0.2.10
    bmc_credential: service:dl385-01
    bios:
      Sriov: Enabled
    volumes:
      - name: system
        raid_type: RAID1
        drives: ["0", "1"]
    bmc:
      ntp_servers: [192.0.2.1, 192.0.2.2]
      ipmi_enabled: false
    reboot: if_needed
"""

RETURN = r"""
drift:
  description:
    - What differs from the profile, by part (C(firmware), C(bios), C(boot_order), C(volumes), C(bmc)) and then by name,
      each with C(current) and C(wanted). Empty where nothing does.
    - A BIOS attribute has the C(next_boot) value too.
  returned: success
  type: dict
  sample: {"bios": {"SRIOVEnable": {"current": "Disable", "next_boot": "Disable", "wanted": "Enable"}}}
rebooted:
  description: Whether the server was restarted; in check mode, whether it would be.
  returned: success
  type: bool
reboot_required:
  description: Whether something waits for a restart still.
  returned: success
  type: bool
tasks:
  description:
    - The BMC's latest task for each part, and for the C(restart), where it made one, each with C(uri), C(state) and
      C(percent). What was not waited for, with O(wait=false) or V(never) a restart, is looked up by it later.
  returned: success
  type: dict
  sample: {"bios": {"uri": "/redfish/v1/Managers/iDRAC.Embedded.1/Jobs/JID_1", "state": "Scheduled", "percent": 0}}
diff:
  description: The parts of the profile before and after.
  returned: success
  type: dict
error:
  description:
    - What went wrong, with C(code), C(message), C(host), C(step), C(tried), C(answer), C(next) and C(retryable).
    - C(step) is the part of the profile that it is about, or V(restart).
  returned: failure
  type: dict
"""

from ansible_collections.palebluedot.gpu.plugins.module_utils import options
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.operations.hardware_profile import run
from ansible_collections.palebluedot.gpu.plugins.module_utils.entry import execute

SPEC = {
    "argument_spec": {
        "bios": {"type": "dict", "default": {}},
        "boot_order": {"type": "list", "elements": "str", "default": []},
        "firmware": {
            "type": "list",
            "elements": "dict",
            "default": [],
            "options": {
                "image": {"type": "str"},
                "targets": {"type": "list", "elements": "str", "default": []},
                "version": {"type": "str"},
                "versions": {"type": "dict"},
                "apply_time": {"type": "str", "choices": ["immediate", "on_reset"], "default": "on_reset"},
            },
            "mutually_exclusive": [("version", "versions")],
            "required_one_of": [("version", "versions")],
            "required_by": {"version": "targets"},
        },
        "volumes": {
            "type": "list",
            "elements": "dict",
            "default": [],
            "options": {
                "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
                "controller": {"type": "str"},
                "name": {"type": "str", "required": True},
                "raid_type": {"type": "str"},
                "drives": {"type": "list", "elements": "str", "default": []},
                "initialize": {"type": "str", "choices": ["fast", "slow"]},
                "apply_time": {"type": "str", "choices": ["immediate", "on_reset"]},
            },
        },
        "bmc": {
            "type": "dict",
            "options": {
                "hostname": {"type": "str"},
                "ntp_servers": {"type": "list", "elements": "str"},
                "dns_servers": {"type": "list", "elements": "str"},
                "ipmi_enabled": {"type": "bool"},
            },
        },
        "reboot": {"type": "str", "choices": ["never", "if_needed"], "default": "never"},
        "wait": {"type": "bool", "default": True},
        "wait_timeout": {"type": "int", "default": 3600},
        **options.bmc(),
    },
    "supports_check_mode": True,
}


def main() -> None:
    """Run as a module."""
    execute(SPEC, run)


if __name__ == "__main__":
    main()
