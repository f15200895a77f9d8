#!/usr/bin/python
# Copyright (c) 2026 Pale Blue Dot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An account of a BMC."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: bmc_user
short_description: Make, change and remove an account of a BMC, and change its password safely
version_added: 0.1.0
description:
  - Makes an account, changes its role or password, or removes it.
  - The length of a password is compared with the BMC's limits before anything is written.
  - A new password counts when a login with it has succeeded. No more logins are tried than the BMC's lockout allows.
  - A BMC that wants the password of the account in O(bmc_username) changed before it does anything else gets
    O(password).
author:
  - Pale Blue Dot contributors (@palebluedot)
requirements:
  - redfish >= 3.3
  - pyghmi >= 1.6 for IPMI
options:
  state:
    description:
      - Whether the account is to be there. An account cannot remove itself.
      - Where a BMC has fixed slots, an account that is removed is disabled and its name is blanked.
    type: str
    choices: [present, absent]
    default: present
  username:
    description:
      - The account. With O(credential) its user name is taken.
    type: str
  password:
    description:
      - The password that it is to have. Needed for a new account.
    type: str
  credential:
    description:
      - Reference to the user name and password that the account is to have, instead of O(username) and O(password).
      - V(service:<server>/proposed) is the password that was proposed to the Pale Blue Dot service for that server.
      - V(env:NAME) reads C(user:password) from that environment variable.
      - V(vault:<mount>/<path>) reads C(username) and C(password) of that secret in HashiCorp Vault or OpenBao
        (key/value engine, version 2), with the environment variables of the C(vault) command and the Python
        package C(hvac).
    type: str
  role:
    description:
      - Role of the account. A new one is V(administrator) when it is not set; another keeps what it has.
    type: str
    choices: [administrator, operator, readonly]
  update_password:
    description:
      - V(always) gives an account that is there O(password) if it has another one. To find out, one login with it is
        tried over Redfish; IPMI compares it itself.
      - V(on_create) leaves it alone.
    type: str
    choices: [always, on_create]
    default: always
  rotate:
    description:
      - Whether this is one step of changing a password that may have been begun before.
      - When O(bmc_password) does not open the BMC, O(password) is tried once. If it opens it, it was set before and
        nothing is changed.
      - After a change, the other sessions of the account are ended.
    type: bool
    default: false
extends_documentation_fragment:
  - palebluedot.gpu.bmc
  - palebluedot.gpu.attributes
  - palebluedot.gpu.attributes.bmc
seealso:
  - module: palebluedot.gpu.server_credential
  - module: palebluedot.gpu.tinkerbell_secret
"""

EXAMPLES = r"""
- name: An account that may only read
  palebluedot.gpu.bmc_user:
    bmc_address: 192.0.2.10
    bmc_credential: service:dgx-01
    username: monitoring
    password: "{{ monitoring_password }}"
    role: readonly
    update_password: on_create

- name: Remove an account
  palebluedot.gpu.bmc_user:
    bmc_address: 192.0.2.10
    bmc_credential: service:dgx-01
    username: former
    state: absent

- name: Give the BMC the password that was proposed for it
  palebluedot.gpu.bmc_user:
    bmc_address: 192.0.2.10
    bmc_credential: service:dgx-01
    credential: service:dgx-01/proposed
    rotate: true
"""

RETURN = r"""
user:
  description: The account afterwards, V(null) when there is none; in check mode, as it would be.
  returned: success
  type: dict
  contains:
    id:
      description: Id of the account or number of its slot, V(null) for one that is only planned.
      type: str
      sample: "3"
    username:
      description: Its name.
      type: str
      sample: monitoring
    role:
      description: V(administrator), V(operator), V(readonly), or the BMC's own word.
      type: str
      sample: readonly
    enabled:
      description: Whether it may log in, V(null) where the BMC does not say.
      type: bool
    locked:
      description: Whether it is locked after wrong passwords, V(null) where the BMC does not say.
      type: bool
password_changed:
  description: Whether the account was given another password.
  returned: success
  type: bool
sessions_ended:
  description: How many other sessions of the account were ended.
  returned: success
  type: int
diff:
  description: The account before and after, without passwords.
  returned: success
  type: dict
error:
  description:
    - What went wrong, with C(code), C(message), C(host), C(step), C(tried), C(answer), C(next) and C(retryable).
  returned: failure
  type: dict
"""

from ansible_collections.palebluedot.gpu.plugins.module_utils import options
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.operations.bmc_user import run
from ansible_collections.palebluedot.gpu.plugins.module_utils.entry import execute

SPEC = {
    "argument_spec": {
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "username": {"type": "str"},
        "password": {"type": "str", "no_log": True},
        "credential": {"type": "str", "no_log": False},
        "role": {"type": "str", "choices": ["administrator", "operator", "readonly"]},
        "update_password": {"type": "str", "choices": ["always", "on_create"], "default": "always", "no_log": False},
        "rotate": {"type": "bool", "default": False},
        **options.bmc(),
    },
    "required_one_of": [["username", "credential"]],
    "supports_check_mode": True,
}


def main() -> None:
    """Run as a module."""
    execute(SPEC, run)


if __name__ == "__main__":
    main()
