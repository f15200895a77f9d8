# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""Supermicro: what differs from the specification in power, boot and BIOS.

From captures (NVIDIA/libredfish) and from what sushy, Ironic and bmclib do. None has met hardware here.
"""

from __future__ import annotations

from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.vendors.profile import Match, Profile

SUPERMICRO = Profile(
    name="supermicro",
    match=Match(vendor=r"^Supermicro|^SMC$"),
    # Target alone is accepted and ignored
    boot_whole=True,
    bios_settings="SD",
    # "Health Event Log"
    sel_logs=("SEL", "Log1"),
    lifecycle_logs=("MaintenanceEventLog", "AuditLog"),
)

PROFILES = (SUPERMICRO,)
