# Copyright (c) 2026 Pale Blue Dot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The bmc family's plugin under the name of its module.

The strategy plugins load an action plugin of the task's own name before they fork, and follow no ``action_plugin`` of
meta/runtime.yml: with this file the module's imports are paid once, in the parent, instead of once a host.
"""

from __future__ import annotations

from ansible_collections.palebluedot.gpu.plugins.action.bmc import ActionModule
from ansible_collections.palebluedot.gpu.plugins.plugin_utils.inworker import preload

__all__ = ["ActionModule"]

preload("bmc_network")
