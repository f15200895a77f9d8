#!/usr/bin/python
# Copyright (c) 2026 Pale Blue Dot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether SSH answers."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: ssh_info
short_description: Wait until an SSH server answers
version_added: 0.1.0
description:
  - Connects and reads the identification string that an SSH server begins with (RFC 4253, 4.2), again and again until
    there is one. It logs in nowhere and needs no credentials.
  - Does what M(ansible.builtin.wait_for) with a O(ansible.builtin.wait_for#module:search_regex) does, without starting
    a Python for it.
author:
  - Pale Blue Dot contributors (@palebluedot)
options:
  host:
    description:
      - Name or address.
    type: str
    required: true
  port:
    description:
      - TCP port.
    type: int
    default: 22
  wait_timeout:
    description:
      - Seconds to wait for the answer. In check mode, and with V(0), it is looked for once.
    type: int
    default: 0
extends_documentation_fragment:
  - palebluedot.gpu.attributes.info
seealso:
  - module: ansible.builtin.wait_for
"""

EXAMPLES = r"""
- name: Wait until SSH answers on the tenant's address
  palebluedot.gpu.ssh_info:
    host: 10.32.0.17
    wait_timeout: 600
  register: ssh
"""

RETURN = r"""
banner:
  description: The identification string; null when there was none and nothing was waited for.
  returned: success
  type: str
  sample: SSH-2.0-OpenSSH_9.6p1 Ubuntu-3ubuntu13.5
elapsed_s:
  description: Seconds until it came.
  returned: success
  type: float
  sample: 1.2
error:
  description:
    - What went wrong, with C(code), C(message), C(host), C(step), C(tried), C(answer), C(next) and C(retryable).
  returned: failure
  type: dict
"""

from ansible_collections.palebluedot.gpu.plugins.module_utils.entry import execute
from ansible_collections.palebluedot.gpu.plugins.module_utils.ssh import run

SPEC = {
    "argument_spec": {
        "host": {"type": "str", "required": True},
        "port": {"type": "int", "default": 22},
        "wait_timeout": {"type": "int", "default": 0},
    },
    "supports_check_mode": True,
}


def main() -> None:
    """Run as a module."""
    execute(SPEC, run)


if __name__ == "__main__":
    main()
