# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""Dell iDRAC, HPE iLO, Lenovo XCC and Supermicro: what differs from the specification in power, boot and BIOS.

From captures (NVIDIA/libredfish) and from what sushy, Ironic and bmclib do. None has met hardware here.
"""

from __future__ import annotations

from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.vendors.profile import Match, Profile

DELL = Profile(
    name="dell_idrac",
    match=Match(vendor=r"^Dell"),
    host_systems=(r"System\.Embedded\.1",),
    # without an apply time the attributes are staged and never get a job
    bios_apply_time="OnReset",
    # an On that follows an off too closely is answered 409
    pause_after_off_s=5.0,
)

HPE = Profile(
    name="hpe_ilo",
    match=Match(vendor=r"^HPE|^Hpe"),
    bios_settings="settings",
    pause_after_off_s=5.0,
)

LENOVO = Profile(
    name="lenovo_xcc",
    match=Match(vendor=r"^Lenovo"),
    bios_settings="Pending",
    # XCC refuses Continuous
    persistent_boot=False,
    # ForceRestart may hang an SR675 V3
    restart=("GracefulRestart", "ForceRestart"),
    pause_after_off_s=10.0,
)

SUPERMICRO = Profile(
    name="supermicro",
    match=Match(vendor=r"^Supermicro|^SMC$"),
    # Target alone is accepted and ignored
    boot_whole=True,
    bios_settings="SD",
)

PROFILES = (DELL, HPE, LENOVO, SUPERMICRO)
