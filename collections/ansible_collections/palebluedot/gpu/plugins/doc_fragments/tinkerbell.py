# Copyright (c) 2026 Pale Blue Dot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the options that say where Tinkerbell's kinds are served."""

from __future__ import annotations


class ModuleDocFragment:
    """Documentation fragment."""

    DOCUMENTATION = r"""
---
options:
  kubeconfig:
    description:
      - Kubernetes configuration file. Without it, and inside a cluster, the pod's service account is used.
      - The environment variables E(PALEBLUEDOT_KUBECONFIG) and E(KUBECONFIG) are used when the option is not set.
    type: path
  context:
    description:
      - Context of O(kubeconfig); its current one when not set.
      - The environment variable E(PALEBLUEDOT_CONTEXT) is used when the option is not set.
    type: str
  namespace:
    description:
      - Namespace of the object.
      - The environment variable E(PALEBLUEDOT_NAMESPACE) is used when the option is not set.
    type: str
    default: tinkerbell
"""
