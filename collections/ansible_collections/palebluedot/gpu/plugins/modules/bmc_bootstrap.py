#!/usr/bin/python
# Copyright (c) 2026 Pale Blue Dot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a new BMC to one with an account of our own."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: bmc_bootstrap
short_description: Make the first login at a BMC and an account of one's own
version_added: 0.1.0
description:
  - Finds the credential that opens a BMC, answers a demanded change of the password, makes an account of one's own or
    takes over the one that was found, and records the new secret.
  - Tried are what the record holds, then the entries of O(credentials) that are for this machine, then the factory's
    account of the vendor.
  - A wrong password counts towards a lockout. In any window of the BMC one try less is made than locks it, over all
    runs on this machine. The limits are data of the vendor profile. For an unknown product one wrong try a minute is
    made.
  - The new secret is recorded as proposed before the BMC gets it, and confirmed after a login with it. A run that ends
    in between leaves both on record, and the next one goes on.
  - Over IPMI it does the same with O(bmc_protocol=ipmi), for a BMC that has nothing else. IPMI tells nothing of the
    product before the login, so that O(profile) has to name whose factory account is tried, and it knows no demanded
    change of the password, such a BMC refuses every login until it was changed over Redfish. V(auto) is Redfish here.
  - In check mode it looks for the credential, which are logins, and changes nothing.
author:
  - Pale Blue Dot contributors (@palebluedot)
requirements:
  - redfish >= 3.3
  - pyghmi >= 1.6 for IPMI
options:
  server:
    description:
      - Name of the server in the service, whose record gets the secret. Either this or O(credential_file).
    type: str
  credential_file:
    description:
      - File that gets the secret, with mode 0600, where there is no service. Its folder must exist.
    type: path
  credentials:
    description:
      - What may open BMCs. An entry is tried where all of its O(credentials[].serial_number), O(credentials[].uuid),
        O(credentials[].mac) and O(credentials[].address) are known of the BMC and the same; one without any is tried
        at every BMC.
    type: list
    elements: dict
    default: []
    suboptions:
      serial_number:
        description:
          - Serial number of the server.
        type: str
      uuid:
        description:
          - UUID of the Redfish service.
        type: str
      mac:
        description:
          - MAC address of the BMC.
        type: str
      address:
        description:
          - Address of the BMC.
        type: str
      username:
        description:
          - Account.
        type: str
        required: true
      password:
        description:
          - Its password.
        type: str
        required: true
  factory_defaults:
    description:
      - Whether to try the account that the vendor's product leaves the factory with.
    type: bool
    default: true
  serial_number:
    description:
      - Serial number that the server must have. It is compared before anything is written, and it is what entries of
        O(credentials) are matched with where the BMC shows its own to nobody.
    type: str
  mac:
    description:
      - MAC address of the BMC, to match entries of O(credentials) with; M(palebluedot.gpu.bmc_discover) returns it.
    type: str
  profile:
    description:
      - Vendor profile, such as V(ami_dgx), for factory account and lockout. Found out by the service root when it is
        not set, which cannot tell a DGX from other products with a BMC by AMI.
    type: str
  account:
    description:
      - Account to make. If it is there already, left over from an earlier run, it gets the new password.
    type: str
    default: palebluedot
  take_over:
    description:
      - Whether to take over the account that was found instead of making another. Its password is changed.
    type: bool
    default: false
  new_password:
    description:
      - The new password. Made up when it is not set.
    type: str
  close_factory:
    description:
      - Whether an account with its factory password gets the new password too, so that it stays closed to others.
        It gets it before the new secret is confirmed; a run that goes on where another ended does it, too.
    type: bool
    default: true
  wait_timeout:
    description:
      - Seconds to wait in all until tries are allowed again. When that is not enough it fails with C(lockout_near).
        There is nothing else to wait for, and so no C(wait).
    type: int
    default: 120
  tries_dir:
    description:
      - Folder in which the tries at each BMC are kept.
      - By default C(palebluedot/bmc-tries) in E(XDG_STATE_HOME), or in C(~/.local/state).
    type: path
extends_documentation_fragment:
  - palebluedot.gpu.bmc
  - palebluedot.gpu.attributes
  - palebluedot.gpu.attributes.bmc
seealso:
  - module: palebluedot.gpu.bmc_discover
"""

EXAMPLES = r"""
- name: Enrol a DGX with its factory account, and let the service keep the secret
  palebluedot.gpu.bmc_bootstrap:
    bmc_address: 10.20.0.17
    bmc_fingerprint: "{{ found.fingerprint }}"
    profile: ami_dgx
    server: dgx-01

- name: Take the passwords from the labels, without a service
  palebluedot.gpu.bmc_bootstrap:
    bmc_address: 10.20.0.18
    bmc_fingerprint: "{{ found.fingerprint }}"
    serial_number: A403281X2
    credentials:
      - serial_number: A403281X2
        username: ADMIN
        password: "{{ vault_label_password }}"
    credential_file: /etc/palebluedot/bmc/sys-02.json

- name: Enrol an old Supermicro that speaks IPMI only
  palebluedot.gpu.bmc_bootstrap:
    bmc_address: 10.20.0.19
    bmc_protocol: ipmi
    profile: supermicro
    server: sys-03
"""

RETURN = r"""
credential:
  description:
    - The account that is recorded, C(username), and C(reference), which is what O(bmc_credential) takes, or the path
      of the file.
  returned: success
  type: dict
  sample: {"username": "palebluedot", "reference": "service:dgx-01"}
opened_by:
  description: What opened the BMC, V(recorded), V(proposed), C(list entry) with its number, or V(factory).
  returned: success
  type: str
  sample: factory
tried:
  description: What was tried, in order, in the same words.
  returned: success
  type: list
  elements: str
done:
  description: What was changed; in check mode, what would be.
  returned: success
  type: list
  elements: str
  sample: ["password changed, as the BMC demanded", "account made"]
bmc:
  description: What was known before the login, C(vendor), C(profile), C(uuid), C(serial_number).
  returned: success
  type: dict
diff:
  description: The account that opens the BMC, before and after.
  returned: success
  type: dict
error:
  description:
    - What went wrong, with C(code), C(message), C(host), C(step), C(tried), C(answer), C(next) and C(retryable).
  returned: failure
  type: dict
"""

from ansible_collections.palebluedot.gpu.plugins.module_utils import options
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.operations.bmc_bootstrap import run
from ansible_collections.palebluedot.gpu.plugins.module_utils.entry import execute

ENTRY = {
    "serial_number": {"type": "str"},
    "uuid": {"type": "str"},
    "mac": {"type": "str"},
    "address": {"type": "str"},
    "username": {"type": "str", "required": True},
    "password": {"type": "str", "required": True, "no_log": True},
}
SPEC = {
    "argument_spec": {
        "server": {"type": "str"},
        "credential_file": {"type": "path", "no_log": False},
        "credentials": {"type": "list", "elements": "dict", "default": [], "options": ENTRY, "no_log": False},
        "factory_defaults": {"type": "bool", "default": True},
        "serial_number": {"type": "str"},
        "mac": {"type": "str"},
        "profile": {"type": "str"},
        "account": {"type": "str", "default": "palebluedot"},
        "take_over": {"type": "bool", "default": False},
        "new_password": {"type": "str", "no_log": True},
        "close_factory": {"type": "bool", "default": True},
        "wait_timeout": {"type": "int", "default": 120},
        "tries_dir": {"type": "path"},
        **options.bmc(),
    },
    "mutually_exclusive": [("server", "credential_file")],
    "required_one_of": [("server", "credential_file")],
    "supports_check_mode": True,
}


def main() -> None:
    """Run as a module."""
    execute(SPEC, run)


if __name__ == "__main__":
    main()
