#!/usr/bin/python
# Copyright (c) 2026 Pale Blue Dot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A BMC's own network."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: bmc_network
short_description: Set a BMC's own network
version_added: 0.1.0
description:
  - Sets address, VLAN, name, time and name servers of a BMC, and whether it speaks IPMI.
  - What is not set stays. What this BMC cannot be told is refused before anything is written.
  - A change of its address is read back at the new one. A BMC that is not found there is a failure that says so; the
    record still has the old address then.
  - Over IPMI only address, netmask, gateway, VLAN and O(dhcp).
author:
  - Pale Blue Dot contributors (@palebluedot)
requirements:
  - redfish >= 3.3
  - pyghmi >= 1.6 for IPMI
options:
  interface:
    description:
      - Id of the interface (Redfish). The one that has O(bmc_address), else the one with a link, when it is not set.
    type: str
  hostname:
    description:
      - Name of the BMC.
    type: str
  dhcp:
    description:
      - Whether its IPv4 address comes from DHCP. An address of its own says no.
    type: bool
  address:
    description:
      - Its IPv4 address.
    type: str
  netmask:
    description:
      - Netmask of it.
    type: str
  gateway:
    description:
      - IPv4 gateway.
    type: str
  vlan:
    description:
      - VLAN that its packets are tagged with, V(0) for none.
    type: int
  ntp_servers:
    description:
      - Time servers. An empty list switches NTP off.
    type: list
    elements: str
  dns_servers:
    description:
      - Name servers.
    type: list
    elements: str
  ipmi_enabled:
    description:
      - Whether it speaks IPMI over LAN.
    type: bool
  wait_timeout:
    description:
      - Seconds to look for the changes, and for a BMC whose address changes. They always are looked for, so that there
        is no C(wait) because a BMC that is not seen where it should be now may be lost.
    type: int
    default: 120
extends_documentation_fragment:
  - palebluedot.gpu.bmc
  - palebluedot.gpu.attributes
  - palebluedot.gpu.attributes.bmc
seealso:
  - module: palebluedot.gpu.bmc_reset
  - module: palebluedot.gpu.bmc_discover
"""

EXAMPLES = r"""
- name: Time servers, and no IPMI
  palebluedot.gpu.bmc_network:
    bmc_address: 192.0.2.10
    bmc_credential: service:dgx-01
    ntp_servers: [192.0.2.123]
    ipmi_enabled: false

- name: A fixed address
  palebluedot.gpu.bmc_network:
    bmc_address: 192.0.2.10
    bmc_credential: service:dgx-01
    address: 192.0.2.77
    netmask: 255.255.255.0
    gateway: 192.0.2.1
"""

RETURN = r"""
network:
  description: The BMC's network afterwards; in check mode, as it would be. V(null) is what the BMC does not say.
  returned: success
  type: dict
  contains:
    hostname:
      description: Its name.
      type: str
    dhcp:
      description: Whether its address comes from DHCP.
      type: bool
    address:
      description: Its IPv4 address.
      type: str
    netmask:
      description: Netmask of it.
      type: str
    gateway:
      description: IPv4 gateway.
      type: str
    vlan:
      description: VLAN tag, V(0) for none.
      type: int
    ntp_servers:
      description: Time servers, empty when NTP is off.
      type: list
      elements: str
    dns_servers:
      description: Name servers.
      type: list
      elements: str
    ipmi_enabled:
      description: Whether it speaks IPMI over LAN.
      type: bool
found_at:
  description: The address at which it was read back.
  returned: success
  type: str
diff:
  description: C(network) before and after.
  returned: success
  type: dict
error:
  description:
    - What went wrong, with C(code), C(message), C(host), C(step), C(tried), C(answer), C(next) and C(retryable).
  returned: failure
  type: dict
"""

from ansible_collections.palebluedot.gpu.plugins.module_utils import options
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.operations.bmc_network import run
from ansible_collections.palebluedot.gpu.plugins.module_utils.entry import execute

SPEC = {
    "argument_spec": {
        "interface": {"type": "str"},
        "hostname": {"type": "str"},
        "dhcp": {"type": "bool"},
        "address": {"type": "str"},
        "netmask": {"type": "str"},
        "gateway": {"type": "str"},
        "vlan": {"type": "int"},
        "ntp_servers": {"type": "list", "elements": "str"},
        "dns_servers": {"type": "list", "elements": "str"},
        "ipmi_enabled": {"type": "bool"},
        "wait_timeout": {"type": "int", "default": 120},
        **options.bmc(),
    },
    "supports_check_mode": True,
}


def main() -> None:
    """Run as a module."""
    execute(SPEC, run)


if __name__ == "__main__":
    main()
