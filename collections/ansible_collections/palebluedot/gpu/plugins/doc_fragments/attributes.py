# Copyright (c) 2026 Pale Blue Dot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the attributes that modules share."""

from __future__ import annotations


class ModuleDocFragment:
    """Documentation fragment."""

    DOCUMENTATION = r"""
---
options: {}
attributes:
  check_mode:
    description: Can run in C(check_mode) and return changed status prediction without modifying the target.
    support: full
  diff_mode:
    description: Returns details on what has changed (or possibly needs changing in C(check_mode)), when in diff mode.
    support: full
  idempotent:
    description: When run twice in a row outside check mode, the second run with the same arguments indicates no change.
    support: full
  in_worker:
    description:
      - Runs in the Ansible worker on the machine that runs C(ansible-playbook), whatever C(connection) the host has.
      - Executed as an ordinary module with C(async), with C(delegate_to) another machine, and when the environment
        variable E(PALEBLUEDOT_INPROC) is V(0).
    support: full
"""

    INFO = r"""
---
options: {}
attributes:
  check_mode:
    description: Can run in C(check_mode) and return changed status prediction without modifying the target.
    support: full
    details: It only reads.
  diff_mode:
    description: Returns details on what has changed (or possibly needs changing in C(check_mode)), when in diff mode.
    support: N/A
    details: It only reads.
  idempotent:
    description: When run twice in a row outside check mode, the second run with the same arguments indicates no change.
    support: full
  in_worker:
    description:
      - Runs in the Ansible worker on the machine that runs C(ansible-playbook), whatever C(connection) the host has.
      - Executed as an ordinary module with C(async), with C(delegate_to) another machine, and when the environment
        variable E(PALEBLUEDOT_INPROC) is V(0).
    support: full
"""

    BMC = r"""
---
attributes:
  action_group:
    description: Use C(group/palebluedot.gpu.bmc) in C(module_defaults) to set the options of this module once.
    support: full
    membership:
      - palebluedot.gpu.bmc
      - palebluedot.gpu.service
"""

    SERVICE = r"""
---
attributes:
  action_group:
    description: Use C(group/palebluedot.gpu.service) in C(module_defaults) to set the options of this module once.
    support: full
    membership:
      - palebluedot.gpu.service
"""

    SWITCH = r"""
---
attributes:
  action_group:
    description: Use C(group/palebluedot.gpu.switch) in C(module_defaults) to set the options of this module once.
    support: full
    membership:
      - palebluedot.gpu.switch
      - palebluedot.gpu.service
"""

    TINKERBELL = r"""
---
attributes:
  action_group:
    description: Use C(group/palebluedot.gpu.tinkerbell) in C(module_defaults) to set the options of this module once.
    support: full
    membership:
      - palebluedot.gpu.tinkerbell
"""

    TINKERBELL_SERVICE = r"""
---
attributes:
  action_group:
    description: Use C(group/palebluedot.gpu.tinkerbell) in C(module_defaults) to set the options of this module once.
    support: full
    membership:
      - palebluedot.gpu.tinkerbell
      - palebluedot.gpu.service
"""
