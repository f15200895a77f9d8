# Copyright (c) 2026 Pale Blue Dot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the modules of the switch family inside the worker."""

from __future__ import annotations

from ansible_collections.palebluedot.gpu.plugins.plugin_utils.inworker import InWorkerAction


class ActionModule(InWorkerAction):
    """See plugin_utils/inworker.py."""
