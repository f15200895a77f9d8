#!/usr/bin/python
# Copyright (c) 2026 Pale Blue Dot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which BMCs answer in ranges of addresses."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: bmc_discover
short_description: Find the BMCs in ranges of addresses
version_added: 0.1.0
description:
  - Asks every address of ranges and lists whether a BMC is there, without any credential.
  - Redfish is asked for its service root over HTTPS, which every service shows to everybody. IPMI is asked by the RMCP
    presence ping. Neither is a login, so no account can be locked.
  - Certificates are not checked, because nothing secret is sent. Their fingerprints are returned to be pinned
    in O(palebluedot.gpu.bmc_info#module:bmc_fingerprint).
  - Run it once, on C(localhost), for all addresses.
author:
  - Pale Blue Dot contributors (@palebluedot)
options:
  ranges:
    description:
      - Ranges of addresses, in CIDR notation or as first and last address with a C(-) between.
      - The network and the broadcast address of an IPv4 range are left out.
    type: list
    elements: str
    default: []
  addresses:
    description:
      - Addresses or names. One with a port of its own, such as C(10.0.0.10:8443) or C([fd00::1]:8443), is asked there
        instead of at O(ports).
    type: list
    elements: str
    default: []
  ports:
    description:
      - TCP ports at which to ask for Redfish, one after the other. An address that does not answer at all is not asked
        at the rest.
    type: list
    elements: int
    default: [443]
  ipmi:
    description:
      - Whether to send the presence ping too.
    type: bool
    default: true
  ipmi_port:
    description:
      - UDP port to which the ping goes.
    type: int
    default: 623
  concurrency:
    description:
      - How many addresses are asked at a time. Each takes one socket, and the number is lowered to what the limit of
        open files allows.
    type: int
    default: 512
  timeout:
    description:
      - Seconds that one port of an address may take. An address that takes no connection within two seconds is silent.
    type: float
    default: 5
  limit:
    description:
      - The most addresses. More are refused before anything is sent.
    type: int
    default: 65536
  public:
    description:
      - Whether addresses of the public Internet may be asked. They are refused otherwise, because a mistyped range is
        somebody else's network.
    type: bool
    default: false
extends_documentation_fragment:
  - palebluedot.gpu.attributes.info
seealso:
  - module: palebluedot.gpu.bmc_info
"""

EXAMPLES = r"""
- name: Look for BMCs in the management network
  palebluedot.gpu.bmc_discover:
    ranges:
      - 10.20.0.0/22
  register: scan
  run_once: true
  delegate_to: localhost

- name: Ask a list, and a forwarder with a port for each BMC
  palebluedot.gpu.bmc_discover:
    addresses:
      - dgx-01-bmc.example.com
      - 10.20.4.1:8443
      - "[fd00:20::17]:443"
    ipmi: false
"""

RETURN = r"""
found:
  description: The BMCs that answered, in the order of the addresses.
  returned: success
  type: list
  elements: dict
  contains:
    address:
      description: The address that answered.
      type: str
      sample: 10.20.0.17
    port:
      description: The port at which it answered.
      type: int
      sample: 443
    protocol:
      description: V(redfish), or V(ipmi) where only the ping was answered.
      type: str
      sample: redfish
    name:
      description: What it is called in O(addresses), V(null) if that is its address.
      type: str
      sample: dgx-01-bmc.example.com
    vendor:
      description: Vendor of the Redfish service.
      type: str
      sample: AMI
    product:
      description: Its product.
      type: str
      sample: AMI Redfish Server
    profile:
      description: The vendor profile that the collection will use, as far as it can be told without a login.
      type: str
      sample: ami
    redfish_version:
      description: Version of the protocol.
      type: str
      sample: 1.11.0
    uuid:
      description: UUID of the service.
      type: str
      sample: 92384634-2938-2342-8820-489239905423
    serial_number:
      description: Serial number of the server, where the vendor shows it to everybody.
      type: str
      sample: 7XQ4M92
    fingerprint:
      description: SHA-256 fingerprint of the certificate.
      type: str
      sample: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
    tls:
      description: Version of TLS that was agreed.
      type: str
      sample: TLSv1.3
    mac:
      description: MAC address, where the BMC is in the same network segment (IPv4).
      type: str
      sample: "5c:ff:35:e2:00:11"
    ipmi:
      description: Whether the presence ping was answered.
      type: bool
others:
  description: Addresses that take connections and are no Redfish service, or hang, with C(address), C(port), C(answer).
  returned: success
  type: list
  elements: dict
counts:
  description:
    - How many C(addresses) were asked, and how many of them are C(redfish), C(ipmi) only, something C(other),
      C(refused) the connection, were C(silent), or are C(unreachable) from here.
  returned: success
  type: dict
  sample: {"addresses": 1022, "redfish": 100, "ipmi": 0, "other": 0, "refused": 0, "silent": 922, "unreachable": 0}
error:
  description:
    - What went wrong, with C(code), C(message), C(host), C(step), C(tried), C(answer), C(next) and C(retryable).
  returned: failure
  type: dict
"""

from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.operations.bmc_discover import run
from ansible_collections.palebluedot.gpu.plugins.module_utils.entry import execute

SPEC = {
    "argument_spec": {
        "ranges": {"type": "list", "elements": "str", "default": []},
        "addresses": {"type": "list", "elements": "str", "default": []},
        "ports": {"type": "list", "elements": "int", "default": [443]},
        "ipmi": {"type": "bool", "default": True},
        "ipmi_port": {"type": "int", "default": 623},
        "concurrency": {"type": "int", "default": 512},
        "timeout": {"type": "float", "default": 5},
        "limit": {"type": "int", "default": 65536},
        "public": {"type": "bool", "default": False},
    },
    "supports_check_mode": True,
}


def main() -> None:
    """Run as a module."""
    execute(SPEC, run)


if __name__ == "__main__":
    main()
