# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""Lenovo XCC: what differs from the specification in power, boot and BIOS.

From captures (NVIDIA/libredfish) and from what sushy, Ironic and bmclib do. None has met hardware here.
"""

from __future__ import annotations

from dataclasses import replace

from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.vendors.profile import (
    AcCycle,
    LicenceNeed,
    Match,
    Profile,
)

LENOVO = Profile(
    name="lenovo_xcc",
    match=Match(vendor=r"^Lenovo"),
    licence_path="Oem/Lenovo/FoD/Keys",
    # The standard level mounts nothing; which upgrade opens which way of mounting differs between generations. Of BIOS
    # attributes, and with them the TPM, no document was found that wants an upgrade: they are tried, and a refusal that
    # speaks of a licence is licence_missing.
    licence_needs=(
        LicenceNeed(
            "virtual_media", r"Advanced|Enterprise|Platinum", "XCC Advanced or Enterprise (XCC2: Platinum) Upgrade"
        ),
    ),
    factory_accounts=(("USERID", "PASSW0RD"),),
    # counts failures until a login succeeds, and locks for as long as an hour: so few, and an hour
    lockout_tries=5,
    lockout_window_s=3600.0,
    bios_settings="Pending",
    tpm_clear=(("TrustedComputingGroup_DeviceOperation", "Clear"),),
    # XCC refuses Continuous
    persistent_boot=False,
    restart=("GracefulRestart", "ForceRestart"),
    pause_after_off_s=10.0,
    ac_cycle=(AcCycle("#LenovoComputerSystem.SystemReset", parameters=(("ResetType", "ACPowerCycle"),)),),
    # filled by an upload and by the console; an image goes into EXT1 to EXT4
    media_skip=r"RDOC\d*|Remote\d*",
    sel_logs=("SEL", "StandardLog", "PlatformLog"),
    lifecycle_logs=("AuditLog",),
)

# ForceRestart may hang this one
SR675 = replace(LENOVO, name="lenovo_sr675", match=Match(vendor=r"^Lenovo", system=r"\bSR675 V3|\b7D9R"), restart=())

PROFILES = (SR675, LENOVO)
