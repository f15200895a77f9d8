# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""Passwords that every vendor's BMC takes."""

from __future__ import annotations

import secrets
import string

# Within what every product takes (DGX 13 to 20, Supermicro 8 to 20, Lenovo 10 to 32), and IPMI's 16 bytes.
LENGTH = 16
# No quotes, backslash, blank, & < > or $: web forms, shells and XML of BMCs have stumbled over each of them.
_GROUPS = (string.ascii_uppercase, string.ascii_lowercase, string.digits, "-_.+=!")


def new_password() -> str:
    """16 characters of the system's random source, some of each kind, beginning with a letter."""
    alphabet = "".join(_GROUPS)
    while True:
        rest = "".join(secrets.choice(alphabet) for _number in range(LENGTH - 1))
        made = secrets.choice(string.ascii_letters) + rest
        if all(any(character in group for character in made) for group in _GROUPS):
            return made
