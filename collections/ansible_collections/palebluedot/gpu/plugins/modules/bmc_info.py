#!/usr/bin/python
# Copyright (c) 2026 Pale Blue Dot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a BMC says of its server."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: bmc_info
short_description: Read what a BMC says of its server
version_added: 0.1.0
description:
  - Reads identity, power state, firmware versions, GPUs and capabilities of a server from its BMC.
  - What the BMC does not know, and what was not asked for, is V(null).
  - With O(subset=power) alone it makes one or two requests and no session.
author:
  - Pale Blue Dot contributors (@palebluedot)
requirements:
  - redfish >= 3.3
  - pyghmi >= 1.6 for IPMI
options:
  subset:
    description:
      - What to read. Each adds requests to the BMC, and V(gpus) most of those that are read by default.
      - V(health) and V(sensors) read every sensor over IPMI, which takes a slow BMC longer than the default
        O(bmc_timeout). Over Redfish V(health) costs nothing, and there are no V(sensors).
      - V(memory), V(drives) and V(nics) take a request for each part; O(bmc_timeout) holds for each of them by itself.
        With V(links) the PCIe links of the GPUs are told, and those of the network cards where V(nics) is read too.
      - V(fabric) reads whether the GPUs are connected, as far as the BMC shows it, and tells it in RV(bmc.findings).
    type: list
    elements: str
    choices: [power, system, bios, gpus, managers, capabilities, health, sensors, memory, drives, nics, links, fabric]
    default: [power, system, bios, gpus, managers, capabilities]
extends_documentation_fragment:
  - palebluedot.gpu.bmc
  - palebluedot.gpu.attributes.info
  - palebluedot.gpu.attributes.bmc
seealso:
  - module: palebluedot.gpu.bmc_metrics_info
  - module: palebluedot.gpu.bmc_power
"""

EXAMPLES = r"""
- name: Read everything
  palebluedot.gpu.bmc_info:
    bmc_address: 192.0.2.10
    bmc_credential: service:dgx-01
    bmc_ca_path: /etc/palebluedot/bmc-ca.pem
  register: found

- name: Read the power state only
  palebluedot.gpu.bmc_info:
    bmc_address: "2001:db8::10"
    bmc_username: admin
    bmc_password: "{{ vault_bmc_password }}"
    bmc_fingerprint: "9f:86:d0:81:88:4c:7d:65:9a:2f:ea:a0:c5:5a:d0:15:a3:bf:4f:1b:2b:0b:82:2c:d1:5d:6c:15:b0:f0:0a:08"
    subset: [power]

- name: Read every part, for a bill of materials
  palebluedot.gpu.bmc_info:
    bmc_address: 192.0.2.10
    bmc_credential: service:dgx-01
    subset: [system, gpus, memory, drives, nics, links]
  register: found
"""

RETURN = r"""
bmc:
  description: What the BMC says.
  returned: success
  type: dict
  contains:
    protocol:
      description: How it was asked, V(redfish) or V(ipmi).
      type: str
      sample: redfish
    power_state:
      description: V(On) or V(Off), for a moment V(PoweringOn), V(PoweringOff) or V(Paused).
      type: str
      sample: "On"
    manufacturer:
      description: Maker of the server.
      type: str
      sample: NVIDIA
    model:
      description: Model of the server.
      type: str
      sample: DGXH100
    serial_number:
      description: Serial number of the server.
      type: str
      sample: "1660224000001"
    cpu_count:
      description: CPU sockets in use.
      type: int
      sample: 2
    memory_gb:
      description: Main memory in GiB.
      type: int
      sample: 2048
    bios_version:
      description: Version of the BIOS.
      type: str
      sample: 1.1.3
    bmc_firmware_version:
      description: Version of the BMC's firmware.
      type: str
      sample: 23.11.20
    gpus:
      description: The GPUs in slot order; an empty list where the BMC shows none.
      type: list
      elements: dict
      contains:
        id:
          description: The BMC's name for the slot.
          type: str
          sample: GPU_SXM_1
        model:
          description: Model.
          type: str
          sample: H100 80GB HBM3
        serial_number:
          description: Serial number.
          type: str
          sample: "1652923000001"
        memory_gb:
          description: Memory as it is marketed.
          type: int
          sample: 80
        source:
          description: Where it was found, V(processor), V(card), V(pcie_device) or V(chassis).
          type: str
          sample: processor
    dimms:
      description: The memory sockets, with V(memory) in O(subset); V(null) where the BMC lists none.
      type: list
      elements: dict
      contains:
        id: {description: The BMC's name for the socket., type: str, sample: DIMM.Socket.A7}
        name: {description: As it is printed on the board., type: str, sample: DIMM A7}
        size_gb: {description: Size in GiB; V(null) in an empty socket., type: int, sample: 64}
        serial_number: {description: Serial number., type: str}
        part_number: {description: Part number., type: str}
        state: {description: Redfish's State; V(Absent) for an empty socket., type: str, sample: Enabled}
        health: {description: Redfish's Health., type: str, sample: OK}
    drives:
      description: The drives, with V(drives) in O(subset); V(null) where the BMC lists none.
      type: list
      elements: dict
      contains:
        id: {description: The BMC's name for it., type: str, sample: NVMe_Device0_NSID1}
        name: {description: The label of its bay., type: str, sample: "Box 2:Bay 6"}
        model: {description: Model., type: str}
        serial_number: {description: Serial number., type: str}
        size_gb: {description: Size in units of 10^9 bytes., type: int, sample: 3840}
        protocol: {description: How it is attached., type: str, sample: NVMe}
        state: {description: Redfish's State., type: str, sample: Enabled}
        health: {description: Redfish's Health., type: str, sample: OK}
    nics:
      description: The network interfaces of the host, with V(nics) in O(subset); V(null) where the BMC lists none.
      type: list
      elements: dict
      contains:
        id: {description: The BMC's name for it., type: str, sample: NIC.Embedded.1-1-1}
        mac: {description: MAC address in lower case., type: str, sample: "c8:4b:d6:7b:ab:93"}
        speed_mbps: {description: Speed of the link., type: int, sample: 100000}
        link_up: {description: Whether it has a link., type: bool}
    adapters:
      description: The network cards, with V(nics) in O(subset); V(null) where the BMC lists none.
      type: list
      elements: dict
      contains:
        id: {description: The BMC's name for it., type: str, sample: DE083000}
        model: {description: Model., type: str}
        manufacturer: {description: Maker., type: str}
        serial_number: {description: Serial number., type: str}
        part_number: {description: Part number., type: str}
        state: {description: Redfish's State., type: str, sample: Enabled}
        health: {description: Redfish's Health., type: str, sample: OK}
    links:
      description: PCIe links, with V(links) in O(subset).
      type: list
      elements: dict
      contains:
        id: {description: The GPU or card., type: str, sample: GPU_SXM_5}
        kind: {description: V(gpu) or V(nic)., type: str, sample: gpu}
        width: {description: Lanes in use., type: int, sample: 16}
        max_width: {description: Lanes that could be., type: int, sample: 16}
        generation: {description: PCIe generation in use., type: int, sample: 5}
        max_generation: {description: PCIe generation that could be., type: int, sample: 5}
    capabilities:
      description:
        - What the BMC offers, C(vendor), C(profile), C(redfish_version), C(reset_types), C(boot_targets),
          C(boot_order), C(bios), C(metric_reports), C(event_service) and C(update_service).
        - C(licences) lists the BMC's licences with C(id), C(name), C(kind), C(expires) and C(valid), V(null) where it
          does not tell. C(cannot) names what it does only with a licence that is not there, such as
          C(virtual_media), and that licence.
      type: dict
    health:
      description: V(OK), V(Warning) or V(Critical) of the whole server; over IPMI, of its worst sensor.
      type: str
      sample: OK
    sensors:
      description:
        - Over IPMI each sensor's C(name), C(kind), C(value), C(unit), C(health) and C(states), which say what is wrong.
      type: list
      elements: dict
    findings:
      description:
        - What is wrong although each part by itself is well, with V(fabric) in O(subset). Empty where nothing is, where
          the BMC shows nothing of it, and while the server is off.
      type: list
      elements: dict
      contains:
        code: {description: "V(fabric_manager_down), the GPUs do not reach each other.", type: str}
        part: {description: The BMC's name for what it is about., type: str, sample: HGX_FabricManager_0}
        message: {description: What the BMC says of it., type: str}
error:
  description:
    - What went wrong, with C(code), C(message), C(host), C(step), C(tried), C(answer), C(next) and C(retryable).
  returned: failure
  type: dict
"""

from ansible_collections.palebluedot.gpu.plugins.module_utils import options
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.operations.bmc_info import run
from ansible_collections.palebluedot.gpu.plugins.module_utils.entry import execute

SUBSETS = ["power", "system", "bios", "gpus", "managers", "capabilities"]
ON_REQUEST = ["health", "sensors", "memory", "drives", "nics", "links", "fabric"]
SPEC = {
    "argument_spec": {
        "subset": {"type": "list", "elements": "str", "choices": SUBSETS + ON_REQUEST, "default": SUBSETS},
        **options.bmc(),
    },
    "supports_check_mode": True,
}


def main() -> None:
    """Run as a module."""
    execute(SPEC, run)


if __name__ == "__main__":
    main()
