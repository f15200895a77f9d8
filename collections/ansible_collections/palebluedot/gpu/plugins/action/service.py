# Copyright (c) 2026 Pale Blue Dot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the modules of the service family inside the worker."""

from __future__ import annotations

import os
from typing import Any

from ansible_collections.palebluedot.gpu.plugins.module_utils.service.claimant import claimant_of
from ansible_collections.palebluedot.gpu.plugins.plugin_utils.inworker import InWorkerAction


class ActionModule(InWorkerAction):
    """See plugin_utils/inworker.py."""

    def own_defaults(self, module: str) -> dict[str, Any]:
        """Claims and flags are held by this ansible-playbook, which is the parent of its workers."""
        return {"claimant": str(claimant_of(os.getppid()))} if module in ("allocation", "server") else {}
