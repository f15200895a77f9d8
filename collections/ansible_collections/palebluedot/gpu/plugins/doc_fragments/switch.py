# Copyright (c) 2026 Pale Blue Dot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the options that say which switch to talk to."""

from __future__ import annotations


class ModuleDocFragment:
    """Documentation fragment."""

    DOCUMENTATION = r"""
---
options:
  switch_address:
    description:
      - Address (IPv4, IPv6 or name) of the switch.
      - The environment variable E(PALEBLUEDOT_SWITCH_ADDRESS) is used when the option is not set.
    type: str
    required: true
  switch_grpc_port:
    description:
      - Port of its gNMI service. The default is that of O(switch_dialect), 9339 (openconfig), 6030 (eos), 50051
        (nxos), 8080 (sonic) or 57400 (srlinux).
      - The environment variable E(PALEBLUEDOT_SWITCH_GRPC_PORT) is used when the option is not set.
    type: int
  switch_username:
    description:
      - Account on the switch.
      - The environment variable E(PALEBLUEDOT_SWITCH_USERNAME) is used when the option is not set.
    type: str
  switch_password:
    description:
      - Its password. Prefer O(switch_credential).
      - The environment variable E(PALEBLUEDOT_SWITCH_PASSWORD) is used when the option is not set.
    type: str
  switch_credential:
    description:
      - Reference to the credential, resolved in the memory of the process that uses it.
      - V(service:switch/<name>) asks the Pale Blue Dot service.
      - V(env:NAME) reads C(user:password) from that environment variable.
      - V(vault:<mount>/<path>) reads C(username) and C(password) of that secret in HashiCorp Vault or OpenBao
        (key/value engine, version 2), with the environment variables of the C(vault) command and the Python
        package C(hvac).
      - An explicit O(switch_password) wins.
      - The environment variable E(PALEBLUEDOT_SWITCH_CREDENTIAL) is used when the option is not set.
    type: str
  switch_dialect:
    description:
      - Network operating system of the switch. Arista EOS (V(eos)), SONiC (V(sonic)) and others (V(openconfig))
        are spoken to in OpenConfig, Cisco NX-OS (V(nxos)) and Nokia SR Linux (V(srlinux)) in their native models.
      - The environment variable E(PALEBLUEDOT_SWITCH_DIALECT) is used when the option is not set.
    type: str
    choices: [openconfig, eos, nxos, sonic, srlinux]
    default: openconfig
  switch_ca_path:
    description:
      - PEM file with the authority that signed the switch's certificate. The certificate is always verified.
      - The environment variable E(PALEBLUEDOT_SWITCH_CA_PATH) is used when the option is not set.
    type: path
  switch_timeout:
    description:
      - Seconds that one request to the switch may take.
      - The environment variable E(PALEBLUEDOT_SWITCH_TIMEOUT) is used when the option is not set.
    type: int
    default: 30
extends_documentation_fragment:
  - palebluedot.gpu.service
"""
