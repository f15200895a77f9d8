#!/usr/bin/python
# Copyright (c) 2026 Pale Blue Dot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A BMC's logs."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: bmc_log_info
short_description: Read a BMC's logs and the GPU errors in them
version_added: 0.1.0
description:
  - Reads the entries of a BMC's logs that came since the last reading, told by their Ids.
  - Dates are passed on only where they can be right. Clocks of BMCs that were never set show 1970, 2020 or 9999. Store
    the time at which you first saw an entry, and tell entries apart by Id and message.
author:
  - Pale Blue Dot contributors (@palebluedot)
requirements:
  - redfish >= 3.3
  - pyghmi >= 1.6 for IPMI
options:
  logs:
    description:
      - Which logs to read.
      - V(sel) is the system event log, of the hardware. It is the only one that IPMI has.
      - V(lifecycle) holds who changed what on the BMC and the server (iDRAC Lifecycle log, iLO Event Log, AMI
        AuditLog).
      - V(xid) holds what the drivers of GPUs and NVSwitches reported to the baseboard. One log is read for all of them.
    type: list
    elements: str
    choices: [sel, lifecycle, xid]
    default: [sel]
  cursor:
    description:
      - For each log the Id after which to read, as RV(cursor) of the last reading gives it. V(0) reads from the
        beginning.
      - For a log without one the newest O(limit) entries are read.
    type: dict
  limit:
    description:
      - How many entries of each log to return at most. With a cursor the oldest come first, so none is lost.
    type: int
    default: 100
extends_documentation_fragment:
  - palebluedot.gpu.bmc
  - palebluedot.gpu.attributes.info
  - palebluedot.gpu.attributes.bmc
notes:
  - The first reading of a large log takes up to 20 seconds on some BMCs. Raise O(bmc_timeout) for it.
seealso:
  - module: palebluedot.gpu.bmc_event_subscription
  - name: NVIDIA XID errors
    description: What each XID means.
    link: https://docs.nvidia.com/deploy/xid-errors/
"""

EXAMPLES = r"""
- name: What the drivers of the GPUs reported since the last time
  palebluedot.gpu.bmc_log_info:
    bmc_address: 192.0.2.10
    bmc_credential: service:dgx-01
    logs: [xid]
    cursor: "{{ last_cursor | default({}) }}"
    bmc_timeout: 60
  register: logged

- name: Say which GPUs want a reset
  ansible.builtin.debug:
    msg: "{{ reports | selectattr('action', 'eq', 'reset_gpu') | map(attribute='device') | unique }}"
  vars:
    reports: "{{ logged.entries | map(attribute='xid') }}"

- name: The newest ten events of an old server
  palebluedot.gpu.bmc_log_info:
    bmc_address: 192.0.2.20
    bmc_credential: service:old-07
    bmc_protocol: ipmi
    limit: 10
"""

RETURN = r"""
entries:
  description: Log by log, oldest first.
  returned: success
  type: list
  elements: dict
  contains:
    log:
      description: The log that it is of.
      type: str
      sample: xid
    id:
      description: Its Id.
      type: str
      sample: "849"
    created:
      description: Date by the BMC's clock, V(null) where that cannot be right.
      type: str
      sample: "2026-11-21T10:15:00+00:00"
    created_raw:
      description: The date as the BMC wrote it.
      type: str
      sample: "2020-05-08T11:14:01+00:00"
    severity:
      description: V(OK), V(Warning) or V(Critical), V(null) where the BMC does not say.
      type: str
    message:
      description: What happened.
      type: str
    message_id:
      description: Which message it is.
      type: str
    message_args:
      description: What the message is about.
      type: list
      elements: str
    sensor:
      description: The sensor that it is of.
      type: str
    origin:
      description: Path of the resource that it is of.
      type: str
      sample: /redfish/v1/Chassis/HGX_GPU_SXM_4
    xid:
      description: The driver's report, V(null) in the other logs.
      type: dict
      contains:
        kind:
          description: V(xid) of a GPU, V(sxid) of an NVSwitch.
          type: str
        number:
          description: Which error.
          type: int
          sample: 62
        device:
          description: Which GPU or NVSwitch.
          type: str
          sample: GPU_SXM_4
        pci:
          description: PCI address, V(null) where the report has none.
          type: str
        driver_date:
          description: Date by the clock of the host, V(null) where that was not set.
          type: str
          sample: "2023-12-06T17:31:51+00:00"
        driver_date_raw:
          description: The same as it was written.
          type: str
        text:
          description: The rest of the report.
          type: str
        action:
          description:
            - What to do, after NVIDIA's table; V(null) for an SXID and an unknown number. One of V(ignore),
              V(restart_app), V(reset_gpu), V(reboot), V(restart_vm), V(check_mechanicals), V(check_uvm),
              V(update_software), V(report_issue), V(follow_other_xid), or V(workflow_*), where the context decides.
          type: str
          sample: reset_gpu
cursor:
  description: For each log the Id to go on from. Give it to the next reading.
  returned: success
  type: dict
  sample: {"xid": "6719"}
logs:
  description:
    - For each log its C(path), C(clock_skew_s) (the BMC's clock against this machine's, V(null) where it does not
      say), C(more) (entries follow, read again with the new cursor), and C(restarted) (the cursor's entry is gone,
      because the log was cleared or written over; those returned begin with the log's oldest).
  returned: success
  type: dict
error:
  description:
    - What went wrong, with C(code), C(message), C(host), C(step), C(tried), C(answer), C(next) and C(retryable).
  returned: failure
  type: dict
"""

from ansible_collections.palebluedot.gpu.plugins.module_utils import options
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.operations.bmc_log_info import run
from ansible_collections.palebluedot.gpu.plugins.module_utils.entry import execute

SPEC = {
    "argument_spec": {
        "logs": {"type": "list", "elements": "str", "choices": ["sel", "lifecycle", "xid"], "default": ["sel"]},
        "cursor": {"type": "dict"},
        "limit": {"type": "int", "default": 100},
        **options.bmc(),
    },
    "supports_check_mode": True,
}


def main() -> None:
    """Run as a module."""
    execute(SPEC, run)


if __name__ == "__main__":
    main()
