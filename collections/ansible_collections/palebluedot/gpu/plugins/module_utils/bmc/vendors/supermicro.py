# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""Supermicro: what differs from the specification in power, boot and BIOS.

From captures (NVIDIA/libredfish) and from what sushy, Ironic and bmclib do. None has met hardware here.
"""

from __future__ import annotations

from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.vendors.profile import LicenceNeed, Match, Profile

SUPERMICRO = Profile(
    name="supermicro",
    match=Match(vendor=r"^Supermicro|^SMC$"),
    licence_path="LicenseManager/QueryLicense",
    licence_needs=(
        LicenceNeed("virtual_media", r"SFT-OOB|SFT-DCMS", "SFT-OOB-LIC or SFT-DCMS-SINGLE"),
        LicenceNeed("firmware_update", r"SFT-OOB|SFT-DCMS", "SFT-OOB-LIC or SFT-DCMS-SINGLE"),
        LicenceNeed("bios", r"SFT-OOB|SFT-DCMS", "SFT-OOB-LIC or SFT-DCMS-SINGLE"),
    ),
    # boards made since 2020 have a password of their own on a label instead
    factory_accounts=(("ADMIN", "ADMIN"),),
    # AccountService of the capture: 3 tries, 30 s
    lockout_tries=3,
    lockout_window_s=30.0,
    # Target alone is accepted and ignored
    boot_whole=True,
    media_bare=True,
    # its virtual CD is a CD on USB; Cd is a drive of SATA's
    cd_targets=("UsbCd", "Cd"),
    bios_settings="SD",
    # "Health Event Log"
    sel_logs=("SEL", "Log1"),
    lifecycle_logs=("MaintenanceEventLog", "AuditLog"),
    # QuietBoot#002E, and on newer ones QuietBoot_0A1B: the suffix changes with the BIOS version
    bios_name_suffix=r"[#_][0-9A-F]{4,}",
    bios_synonyms=(("Enable", "Enabled"), ("Disable", "Disabled")),
    bios_pending_clears=False,
    tpm_enable=(("SecurityDeviceSupport", "Enable"),),
    tpm_clear=(("PendingOperation", "TPM Clear"),),
    # UEFI HTTP appears among the boot options only after HTTP boot was enabled and the server has booted
    late_boot_options=True,
)

PROFILES = (SUPERMICRO,)
