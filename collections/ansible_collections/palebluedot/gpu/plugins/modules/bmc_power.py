#!/usr/bin/python
# Copyright (c) 2026 Pale Blue Dot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Power of a server."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: bmc_power
short_description: Switch a server on or off, or restart it
version_added: 0.1.0
description:
  - Brings the power of a server to a state through its BMC, and reads it back.
  - The state is read first. A server that is in it already is left alone.
  - After a command whose answer is lost the power state is waited for. Where it does not come, V(on) and V(off) are
    ordered once more meanwhile; everything else is sent once.
author:
  - Pale Blue Dot contributors (@palebluedot)
requirements:
  - redfish >= 3.3
  - pyghmi >= 1.6 for IPMI
options:
  state:
    description:
      - V(on) and V(off) switch the power at once.
      - V(graceful) asks the operating system to shut down. It fails when the system does not within O(wait_timeout).
      - V(cycle) takes the power away and gives it back, as one command where the BMC has it, else by off and on.
      - V(reset) restarts without taking the power away.
      - A server that is off is switched on by V(cycle) and V(reset).
      - V(ac_cycle) takes the mains away and gives them back, from the BMC too, where the vendor has a way of doing so.
        A server that was on is on again afterwards, with O(wait); without, its power restore policy decides.
      - V(cycle), V(reset) and V(ac_cycle) always change something.
    type: str
    required: true
    choices: ["on", "off", graceful, cycle, reset, ac_cycle]
  wait:
    description:
      - Whether to wait until the state is read back.
    type: bool
    default: true
  wait_timeout:
    description:
      - Seconds to wait for the state. For so long a command is also tried again, with growing pauses, that the BMC
        cannot take now, because the server is in POST or has only just been switched off.
      - V(ac_cycle) takes minutes. Where the BIOS does it (older iDRACs), give it 1200.
    type: int
    default: 300
  stagger_s:
    description:
      - Seconds between the starts of one group of servers and the next, so that racks do not draw their inrush current
        at once. V(0) is all at once.
      - Only servers that change wait for their turn.
    type: float
    default: 0
  stagger_group:
    description:
      - The group that this server is of, such as its rack. Servers of the same group start together.
    type: str
  stagger_groups:
    description:
      - All groups, in the order in which they start. It has to be the same for all servers.
    type: list
    elements: str
  stagger_from:
    description:
      - When the first group starts, in seconds since 1970. Without it, when this task runs for this server, which is
        later for some where there are more servers than forks.
    type: float
extends_documentation_fragment:
  - palebluedot.gpu.bmc
  - palebluedot.gpu.attributes
  - palebluedot.gpu.attributes.bmc
attributes:
  idempotent:
    support: partial
    details: V(cycle), V(reset) and V(ac_cycle) are about what happens on the way and always change something.
seealso:
  - module: palebluedot.gpu.bmc_boot
"""

EXAMPLES = r"""
- name: Switch on
  palebluedot.gpu.bmc_power:
    bmc_address: 192.0.2.10
    bmc_credential: service:dgx-01
    state: "on"

- name: Shut down, and give the operating system ten minutes
  palebluedot.gpu.bmc_power:
    bmc_address: 192.0.2.10
    bmc_credential: service:dgx-01
    state: graceful
    wait_timeout: 600

- name: Remember when the first rack starts
  ansible.builtin.set_fact:
    power_from: "{{ now().timestamp() }}"
  run_once: true

- name: Switch on one rack after the other, 20 seconds apart
  palebluedot.gpu.bmc_power:
    bmc_address: 192.0.2.10
    bmc_credential: service:dgx-01
    state: "on"
    stagger_s: 20
    stagger_group: "{{ rack }}"
    stagger_groups: "{{ ansible_play_hosts_all | map('extract', hostvars, 'rack') | unique | sort }}"
    stagger_from: "{{ power_from }}"
"""

RETURN = r"""
power_state:
  description: The power state afterwards; in check mode, the one that would be reached.
  returned: success
  type: str
  sample: "On"
task:
  description: The BMC's task for the command, V(null) where it made none, with C(uri), C(state) and C(percent).
  returned: success
  type: dict
staggered_s:
  description: Seconds that were waited for the group's turn.
  returned: success
  type: float
  sample: 40.0
diff:
  description: The power state before and after.
  returned: success
  type: dict
error:
  description:
    - What went wrong, with C(code), C(message), C(host), C(step), C(tried), C(answer), C(next) and C(retryable).
  returned: failure
  type: dict
"""

from ansible_collections.palebluedot.gpu.plugins.module_utils import options
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.operations.bmc_power import run
from ansible_collections.palebluedot.gpu.plugins.module_utils.entry import execute

SPEC = {
    "argument_spec": {
        "state": {"type": "str", "required": True, "choices": ["on", "off", "graceful", "cycle", "reset", "ac_cycle"]},
        "wait": {"type": "bool", "default": True},
        "wait_timeout": {"type": "int", "default": 300},
        "stagger_s": {"type": "float", "default": 0},
        "stagger_group": {"type": "str"},
        "stagger_groups": {"type": "list", "elements": "str"},
        "stagger_from": {"type": "float"},
        **options.bmc(),
    },
    "supports_check_mode": True,
}


def main() -> None:
    """Run as a module."""
    execute(SPEC, run)


if __name__ == "__main__":
    main()
