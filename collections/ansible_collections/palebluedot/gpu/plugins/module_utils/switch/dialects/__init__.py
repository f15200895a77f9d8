# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""The network operating systems that are spoken, by name."""

from __future__ import annotations

from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import InvalidInput
from ansible_collections.palebluedot.gpu.plugins.module_utils.switch.dialects.base import Dialect
from ansible_collections.palebluedot.gpu.plugins.module_utils.switch.dialects.nxos import NxOs
from ansible_collections.palebluedot.gpu.plugins.module_utils.switch.dialects.openconfig import Eos, OpenConfig
from ansible_collections.palebluedot.gpu.plugins.module_utils.switch.dialects.sonic import Sonic
from ansible_collections.palebluedot.gpu.plugins.module_utils.switch.dialects.srlinux import SrLinux

__all__ = ["DIALECTS", "Dialect", "dialect"]

DIALECTS: dict[str, Dialect] = {spoken.name: spoken for spoken in (OpenConfig(), Eos(), NxOs(), Sonic(), SrLinux())}


def dialect(name: str) -> Dialect:
    """:raises InvalidInput: naming those that are known."""
    if name not in DIALECTS:
        raise InvalidInput(
            f"the switch dialect {name!r} is not known",
            code="switch_dialect_unknown",
            next=f"Use one of {', '.join(DIALECTS)}.",
        )
    return DIALECTS[name]
