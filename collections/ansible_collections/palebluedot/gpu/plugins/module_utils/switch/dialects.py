# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""What network operating systems do differently over gNMI, as data.

Sources: IANA (9339 is gNMI's port), Arista EOS "gNMI" (6030), SONiC telemetry (8080). A dialect belongs here when the
switch takes OpenConfig's switched-vlan; NX-OS and SR Linux take it in their native models only, Cumulus not at all over
gNMI.
"""

from __future__ import annotations

from typing import NamedTuple

from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import InvalidInput


class Dialect(NamedTuple):
    """How one network operating system is spoken to.

    :param port: where its gNMI service listens by default.
    :param encoding: what values are written in.
    :param origin: the origin that its OpenConfig paths need.
    :param network_instance: name of the network instance that holds the VLANs.
    """

    name: str
    port: int
    encoding: str = "json_ietf"
    origin: str = "openconfig"
    network_instance: str = "default"


DIALECTS = {
    dialect.name: dialect
    for dialect in (
        Dialect("openconfig", port=9339),
        Dialect("eos", port=6030),
        Dialect("sonic", port=8080),
    )
}


def dialect(name: str) -> Dialect:
    """:raises InvalidInput: naming those that are known."""
    if name not in DIALECTS:
        raise InvalidInput(
            f"the switch dialect {name!r} is not known",
            code="switch_dialect_unknown",
            next=f"Use one of {', '.join(DIALECTS)}.",
        )
    return DIALECTS[name]
