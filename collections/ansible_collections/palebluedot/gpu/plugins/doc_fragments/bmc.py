# Copyright (c) 2026 Pale Blue Dot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the options that say which BMC to talk to."""

from __future__ import annotations


class ModuleDocFragment:
    """Documentation fragment."""

    DOCUMENTATION = r"""
---
options:
  bmc_address:
    description:
      - Address (IPv4, IPv6 or name) of the BMC.
      - The environment variable E(PALEBLUEDOT_BMC_ADDRESS) is used when the option is not set.
    type: str
    required: true
  bmc_port:
    description:
      - TCP port (Redfish, default 443) or UDP port (IPMI, default 623).
      - The environment variable E(PALEBLUEDOT_BMC_PORT) is used when the option is not set.
    type: int
  bmc_username:
    description:
      - Account on the BMC.
      - The environment variable E(PALEBLUEDOT_BMC_USERNAME) is used when the option is not set.
    type: str
  bmc_password:
    description:
      - Its password. Prefer O(bmc_credential).
      - The environment variable E(PALEBLUEDOT_BMC_PASSWORD) is used when the option is not set.
    type: str
  bmc_credential:
    description:
      - Reference to the credential, resolved in the memory of the process that uses it.
      - V(service:<server>) asks the Pale Blue Dot service.
      - V(env:NAME) reads C(user:password) from that environment variable.
      - V(vault:<mount>/<path>) reads C(username) and C(password) of that secret in HashiCorp Vault or OpenBao
        (key/value engine, version 2), with the environment variables of the C(vault) command and the Python
        package C(hvac).
      - An explicit O(bmc_password) wins.
      - The environment variable E(PALEBLUEDOT_BMC_CREDENTIAL) is used when the option is not set.
    type: str
  bmc_protocol:
    description:
      - Protocol to speak. V(auto) takes Redfish, and IPMI where there is no Redfish.
      - The environment variable E(PALEBLUEDOT_BMC_PROTOCOL) is used when the option is not set.
    type: str
    choices: [auto, redfish, ipmi]
    default: auto
  bmc_auth:
    description:
      - How to log in to Redfish. V(auto) sends the password with the request when that is all there is to ask, and
        opens a session otherwise; V(session) and V(basic) always do the one or the other.
      - The environment variable E(PALEBLUEDOT_BMC_AUTH) is used when the option is not set.
    type: str
    choices: [auto, session, basic]
    default: auto
  bmc_validate_certs:
    description:
      - Whether to verify the BMC's certificate.
      - The environment variable E(PALEBLUEDOT_BMC_VALIDATE_CERTS) is used when the option is not set.
    type: bool
    default: true
  bmc_ca_path:
    description:
      - PEM file with the authority that signed the BMC's certificate.
      - The environment variable E(PALEBLUEDOT_BMC_CA_PATH) is used when the option is not set.
    type: path
  bmc_fingerprint:
    description:
      - SHA-256 fingerprint (hexadecimal, colons allowed) that the BMC's certificate must have.
      - For BMCs with a self-signed certificate.
      - The environment variable E(PALEBLUEDOT_BMC_FINGERPRINT) is used when the option is not set.
    type: str
  bmc_timeout:
    description:
      - Seconds that one operation on the BMC may take, with all its requests and retries.
      - A change that the BMC refuses while the server is in POST is sent again with growing pauses for most of this
        time; give 120 where POST is waited for.
      - The environment variable E(PALEBLUEDOT_BMC_TIMEOUT) is used when the option is not set.
    type: int
    default: 30
  system_id:
    description:
      - Which ComputerSystem of the BMC to act on, where it has several.
      - The environment variable E(PALEBLUEDOT_SYSTEM_ID) is used when the option is not set.
    type: str
extends_documentation_fragment:
  - palebluedot.gpu.service
"""
