#!/usr/bin/python
# Copyright (c) 2026 Pale Blue Dot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who a BMC sends its events to."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: bmc_event_subscription
short_description: Subscribe a collector to a BMC's events
version_added: 0.1.0
description:
  - Makes or ends the subscription of one listener, told by its destination and context. Others are left alone.
  - Subscribe one collector, and check its subscriptions now and then. BMCs hold few, give up after three tries to reach
    a listener, and drop it then. M(palebluedot.gpu.bmc_log_info) reads what was missed.
author:
  - Pale Blue Dot contributors (@palebluedot)
requirements:
  - redfish >= 3.3
options:
  state:
    description:
      - Whether the subscription is to be there. More than one of the same destination and context are reduced to one.
    type: str
    choices: [present, absent]
    default: present
  destination:
    description:
      - URL of the listener.
    type: str
    required: true
  context:
    description:
      - A text that the BMC sends with each event.
    type: str
    default: palebluedot
  event_types:
    description:
      - Only events of these types, such as V(Alert), where the BMC lets one choose. V(MetricReport) by itself
        subscribes to metric reports instead of events. Without it, all events.
    type: list
    elements: str
  protocol:
    description:
      - How the events are sent.
    type: str
    default: Redfish
  http_headers:
    description:
      - Headers that the BMC sends with each event, such as V(Authorization). BMCs never show them again, so a change
        of them alone changes nothing.
    type: dict
extends_documentation_fragment:
  - palebluedot.gpu.bmc
  - palebluedot.gpu.attributes
  - palebluedot.gpu.attributes.bmc
seealso:
  - module: palebluedot.gpu.bmc_log_info
"""

EXAMPLES = r"""
- name: Send alerts to the collector
  palebluedot.gpu.bmc_event_subscription:
    bmc_address: 192.0.2.10
    bmc_credential: service:dgx-01
    destination: https://collector.example:8443/events
    context: dgx-01
    http_headers:
      Authorization: "Bearer {{ collector_token }}"

- name: Send nothing to the old one any more
  palebluedot.gpu.bmc_event_subscription:
    bmc_address: 192.0.2.10
    bmc_credential: service:dgx-01
    destination: https://old.example/events
    context: dgx-01
    state: absent
"""

RETURN = r"""
subscription:
  description:
    - The subscription, V(null) when there is none, with C(uri) (V(null) in check mode before it is made),
      C(destination), C(context), C(protocol), C(format) and C(event_types) (V(null) where the BMC does not say).
  returned: success
  type: dict
held:
  description: How many subscriptions the BMC holds, those of others too.
  returned: success
  type: int
  sample: 1
diff:
  description: The subscriptions of this destination and context before and after.
  returned: success
  type: dict
error:
  description:
    - What went wrong, with C(code), C(message), C(host), C(step), C(tried), C(answer), C(next) and C(retryable).
    - C(code) is V(limit_reached) where the BMC holds no more, V(alerts_disabled) or V(event_service_disabled) where it
      would send nothing.
  returned: failure
  type: dict
"""

from ansible_collections.palebluedot.gpu.plugins.module_utils import options
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.operations.bmc_event_subscription import run
from ansible_collections.palebluedot.gpu.plugins.module_utils.entry import execute

SPEC = {
    "argument_spec": {
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "destination": {"type": "str", "required": True},
        "context": {"type": "str", "default": "palebluedot"},
        "event_types": {"type": "list", "elements": "str"},
        "protocol": {"type": "str", "default": "Redfish"},
        "http_headers": {"type": "dict", "no_log": True},
        **options.bmc(),
    },
    "supports_check_mode": True,
}


def main() -> None:
    """Run as a module."""
    execute(SPEC, run)


if __name__ == "__main__":
    main()
