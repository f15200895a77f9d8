#!/usr/bin/python
# Copyright (c) 2026 Pale Blue Dot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Any Redfish request."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: redfish_request
short_description: Send any request to a BMC's Redfish service
version_added: 0.1.0
description:
  - For what no other module does. Session, ETags, deadline, certificates and errors are the same as theirs.
  - V(PATCH) and V(DELETE) read first. What is so already is not written again.
  - A write whose answer is lost is an error and never sent again.
author:
  - Pale Blue Dot contributors (@palebluedot)
requirements:
  - redfish >= 3.3
options:
  method:
    description:
      - HTTP method. Check mode sends only reads.
    type: str
    choices: [GET, POST, PATCH, PUT, DELETE]
    default: GET
  path:
    description:
      - Path of the resource or of an action's target. It begins with V(/redfish/).
    type: str
    required: true
  body:
    description:
      - Properties to send. The values of properties that are named like secrets (V(Password), V(Token)) are masked in
        everything that is shown.
    type: dict
  if_match:
    description:
      - The ETag that the resource must still have. It is sent as it is. Without it the resource's present ETag is sent
        where it has one, and sent again without V(W/), then not at all, where the BMC refuses what it handed out.
    type: str
  wait:
    description:
      - Whether to wait for the task that the BMC makes of the request.
    type: bool
    default: true
  wait_timeout:
    description:
      - Seconds to wait for the task.
    type: int
    default: 300
extends_documentation_fragment:
  - palebluedot.gpu.bmc
  - palebluedot.gpu.attributes
  - palebluedot.gpu.attributes.bmc
attributes:
  idempotent:
    support: partial
    details: V(POST) and V(PUT) always change something.
seealso:
  - module: palebluedot.gpu.ipmi_raw
"""

EXAMPLES = r"""
- name: Read the GPU tray
  palebluedot.gpu.redfish_request:
    bmc_address: 192.0.2.10
    bmc_credential: service:dgx-01
    path: /redfish/v1/Systems/HGX_Baseboard_0
  register: tray

- name: Set the asset tag
  palebluedot.gpu.redfish_request:
    bmc_address: 192.0.2.10
    bmc_credential: service:dgx-01
    method: PATCH
    path: /redfish/v1/Systems/DGX
    body:
      AssetTag: rack 12, unit 4

- name: Restart one GPU
  palebluedot.gpu.redfish_request:
    bmc_address: 192.0.2.10
    bmc_credential: service:dgx-01
    method: POST
    path: /redfish/v1/Systems/HGX_Baseboard_0/Processors/GPU_SXM_3/Actions/Processor.Reset
    body:
      ResetType: ForceRestart
"""

RETURN = r"""
status:
  description: HTTP status of the answer, V(null) when check mode sent nothing.
  returned: success
  type: int
  sample: 200
body:
  description: The answer's body, V(null) when there was none.
  returned: success
  type: dict
etag:
  description: ETag of the resource, V(null) where it has none.
  returned: success
  type: str
location:
  description: Path of what was made, V(null) when the answer named none.
  returned: success
  type: str
task:
  description: The BMC's task for the request, V(null) where it made none, with C(uri), C(state) and C(percent).
  returned: success
  type: dict
diff:
  description: The properties of a V(PATCH) before and after; the request itself for V(POST) and V(PUT).
  returned: when the method is not GET
  type: dict
error:
  description:
    - What went wrong, with C(code), C(message), C(host), C(step), C(tried), C(answer), C(next) and C(retryable).
  returned: failure
  type: dict
"""

from ansible_collections.palebluedot.gpu.plugins.module_utils import options
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.operations.redfish_request import run
from ansible_collections.palebluedot.gpu.plugins.module_utils.entry import execute

SPEC = {
    "argument_spec": {
        "method": {"type": "str", "choices": ["GET", "POST", "PATCH", "PUT", "DELETE"], "default": "GET"},
        "path": {"type": "str", "required": True},
        "body": {"type": "dict"},
        "if_match": {"type": "str"},
        "wait": {"type": "bool", "default": True},
        "wait_timeout": {"type": "int", "default": 300},
        **options.bmc(),
    },
    "required_if": [["method", "PATCH", ["body"]], ["method", "PUT", ["body"]]],
    "supports_check_mode": True,
}


def main() -> None:
    """Run as a module."""
    execute(SPEC, run)


if __name__ == "__main__":
    main()
