#!/usr/bin/python
# Copyright (c) 2026 Pale Blue Dot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tinkerbell's Template."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: tinkerbell_template
short_description: Declare a template to Tinkerbell
version_added: 0.1.0
description:
  - Makes a C(Template) object hold O(data), or removes it.
  - What Tinkerbell would refuse or never finish is refused before anything is written, such as a C(global_timeout) that
    is missing or 0 (a timeout at once), an action without C(timeout), or a name that is used twice.
author:
  - Pale Blue Dot contributors (@palebluedot)
options:
  name:
    description:
      - Name of the object.
    type: str
    required: true
  state:
    description:
      - Whether it exists.
    type: str
    choices: [present, absent]
    default: present
  data:
    description:
      - The template, as YAML text. Tinkerbell's own C({{ }}) expressions stay in it. Needed with O(state=present).
    type: str
  labels:
    description:
      - Labels to set. They are merged with those that the object has; a null value removes one.
    type: dict
extends_documentation_fragment:
  - palebluedot.gpu.tinkerbell
  - palebluedot.gpu.attributes
  - palebluedot.gpu.attributes.tinkerbell
requirements:
  - kubernetes >= 31
seealso:
  - module: palebluedot.gpu.tinkerbell_workflow
"""

EXAMPLES = r"""
- name: Declare a template
  palebluedot.gpu.tinkerbell_template:
    name: ubuntu-24.04
    data: "{{ lookup('ansible.builtin.file', 'ubuntu.yml') }}"
"""

RETURN = r"""
template:
  description: The object; null when it is absent.
  returned: success
  type: dict
  contains:
    name: {description: Its name., type: str}
    namespace: {description: Its namespace., type: str}
    labels: {description: Its labels., type: dict}
    digest: {description: Digest of its data., type: str, sample: "sha256:0f343b0931126a20"}
error:
  description:
    - What went wrong, with C(code), C(message), C(host), C(step), C(tried), C(answer), C(next) and C(retryable).
  returned: failure
  type: dict
"""

from ansible_collections.palebluedot.gpu.plugins.module_utils import options
from ansible_collections.palebluedot.gpu.plugins.module_utils.entry import execute
from ansible_collections.palebluedot.gpu.plugins.module_utils.tinkerbell.simple import run_template as run

SPEC = {
    "argument_spec": {
        "name": {"type": "str", "required": True},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "data": {"type": "str"},
        "labels": {"type": "dict"},
        **options.tinkerbell(),
    },
    "required_if": [["state", "present", ["data"]]],
    "supports_check_mode": True,
}


def main() -> None:
    """Run as a module."""
    execute(SPEC, run)


if __name__ == "__main__":
    main()
