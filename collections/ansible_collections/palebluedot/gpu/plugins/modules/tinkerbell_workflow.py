#!/usr/bin/python
# Copyright (c) 2026 Pale Blue Dot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tinkerbell's Workflow."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: tinkerbell_workflow
short_description: Run a Tinkerbell workflow, and wait for it
version_added: 0.1.0
description:
  - Starts a C(Workflow), adopts the one that lives or has succeeded, and waits for it.
  - Tinkerbell runs a workflow once. After a failure the old one is removed and the next is called C(<name>-2),
    C(<name>-3) and so on. O(name) stands for all of them.
  - After a failure the module closes the machine's network boot again, which Tinkerbell does after a success only.
author:
  - Pale Blue Dot contributors (@palebluedot)
options:
  name:
    description:
      - Name of the series of attempts.
    type: str
    required: true
  state:
    description:
      - V(absent) removes every attempt.
    type: str
    choices: [present, absent]
    default: present
  template_ref:
    description:
      - Name of the C(Template). Needed with O(state=present).
    type: str
  hardware_ref:
    description:
      - Name of the C(Hardware). Needed with O(state=present).
    type: str
  hardware_map:
    description:
      - What the template's expressions such as C({{.device_1}}) stand for; as a rule the machine's MAC address.
    type: dict
  boot_options:
    description:
      - C(bootOptions) in Tinkerbell's own words, such as C(toggleAllowNetboot), C(bootMode) and C(isoURL).
      - C(iso) and C(isoboot) are translated to what the cluster calls it.
    type: dict
  labels:
    description:
      - Labels to set. They are merged with those that the object has; a null value removes one.
    type: dict
  fresh:
    description:
      - The machine is off. An attempt that an agent had taken up will never end then and is replaced like a failed one.
      - Other Workflows of the same Hardware are removed, with the Templates that only they used, because an agent is
        served whichever comes first.
    type: bool
    default: false
  wait:
    description:
      - Whether to wait until the workflow has succeeded. Any other end is a failure that names the action.
    type: bool
    default: true
  wait_timeout:
    description:
      - Seconds that the whole wait may take.
    type: int
    default: 3600
  start_timeout:
    description:
      - Seconds of the wait within which an agent must have taken up the workflow. Tinkerbell itself waits for ever.
    type: int
    default: 1200
extends_documentation_fragment:
  - palebluedot.gpu.tinkerbell
  - palebluedot.gpu.attributes
  - palebluedot.gpu.attributes.tinkerbell
requirements:
  - kubernetes >= 31
notes:
  - That a workflow has succeeded does not say that the installed system runs. A reboot action ends before it does.
seealso:
  - module: palebluedot.gpu.tinkerbell_hardware
  - module: palebluedot.gpu.tinkerbell_template
"""

EXAMPLES = r"""
- name: Install the system, and wait for the image to be written
  palebluedot.gpu.tinkerbell_workflow:
    name: gpu-07-install
    template_ref: ubuntu-24.04
    hardware_ref: gpu-07
    hardware_map: {device_1: "02:00:00:00:00:07"}
    boot_options: {toggleAllowNetboot: true}
    wait_timeout: 1800
"""

RETURN = r"""
workflow:
  description: The attempt that counts; null when there is none.
  returned: success
  type: dict
  contains:
    name: {description: Its name., type: str, sample: gpu-07-install-2}
    namespace: {description: Its namespace., type: str}
    state:
      description:
        - Its state without the prefix of older versions. Empty while the controller has not looked at it.
      type: str
      sample: SUCCESS
    created: {description: Whether this task created it., type: bool}
    attempt: {description: Its number in the series., type: int, sample: 2}
    replaced: {description: The failed attempt that it replaces., type: dict}
    current_action: {description: "The action that runs, or ran last.", type: str}
    agent: {description: The agent that works on it., type: str}
    labels: {description: Its labels., type: dict}
    dialect:
      description: Shape of the cluster's Tinkerbell, V(tink-0.12) or V(mono).
      type: str
error:
  description:
    - What went wrong, with C(code), C(message), C(host), C(step), C(tried), C(answer), C(next) and C(retryable).
  returned: failure
  type: dict
"""

from ansible_collections.palebluedot.gpu.plugins.module_utils import options
from ansible_collections.palebluedot.gpu.plugins.module_utils.entry import execute
from ansible_collections.palebluedot.gpu.plugins.module_utils.tinkerbell.workflow import run

SPEC = {
    "argument_spec": {
        "name": {"type": "str", "required": True},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "template_ref": {"type": "str"},
        "hardware_ref": {"type": "str"},
        "hardware_map": {"type": "dict"},
        "boot_options": {"type": "dict"},
        "labels": {"type": "dict"},
        "fresh": {"type": "bool", "default": False},
        "wait": {"type": "bool", "default": True},
        "wait_timeout": {"type": "int", "default": 3600},
        "start_timeout": {"type": "int", "default": 1200},
        **options.tinkerbell(),
    },
    "required_if": [["state", "present", ["template_ref", "hardware_ref"]]],
    "supports_check_mode": True,
}


def main() -> None:
    """Run as a module."""
    execute(SPEC, run)


if __name__ == "__main__":
    main()
