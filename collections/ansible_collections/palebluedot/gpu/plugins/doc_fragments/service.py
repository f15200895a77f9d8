# Copyright (c) 2026 Pale Blue Dot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the options that say where the Pale Blue Dot service is."""

from __future__ import annotations


class ModuleDocFragment:
    """Documentation fragment."""

    DOCUMENTATION = r"""
---
options:
  api_url:
    description:
      - URL of the Pale Blue Dot service, such as V(https://gpu.example.com). An IPv6 address stands in brackets.
      - The environment variable E(PALEBLUEDOT_URL) is used when the option is not set.
    type: str
  api_token:
    description:
      - API token or job token.
      - The environment variable E(PALEBLUEDOT_TOKEN) is used when the option is not set.
      - Prefer O(api_token_file), which leaves no secret in variables.
    type: str
  api_token_file:
    description:
      - File that holds the token, on the machine that runs C(ansible-playbook).
      - It is read again when the token in it has expired.
      - The environment variable E(PALEBLUEDOT_TOKEN_FILE) is used when the option is not set.
      - Ignored when O(api_token) is set.
    type: path
  api_ca_path:
    description:
      - PEM file with the authority that signed the service's certificate, instead of the system's authorities.
      - The environment variable E(PALEBLUEDOT_CA_PATH) is used when the option is not set.
    type: path
"""
