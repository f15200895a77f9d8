# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""Dell iDRAC: what differs from the specification in power, boot and BIOS.

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

DELL = Profile(
    name="dell_idrac",
    match=Match(vendor=r"^Dell"),
    host_systems=(r"System\.Embedded\.1",),
    # older iDRACs
    uefi_target_alone=True,
    factory_accounts=(("root", "calvin"),),
    # accounts are not locked, but the sender's address is (iDRAC.IPBlocking: 3 failures in 60 s)
    lockout_tries=3,
    lockout_window_s=60.0,
    # without an apply time the attributes are staged and never get a job
    bios_apply_time="OnReset",
    bios_registry="BiosRegistry",
    # A job that has not ended is an error (job_pending) with advice, and no module clears the queue for it: what
    # DellJobService.DeleteJobQueue with JID_CLEARALL deletes is everybody's, firmware and storage jobs with it, and
    # whose they are it does not tell. Who means that says so with redfish_request; one job takes the same action with
    # its own JID.
    bios_jobs="/redfish/v1/Managers/iDRAC.Embedded.1/Oem/Dell/Jobs",
    lockdown=(
        "/redfish/v1/Managers/iDRAC.Embedded.1/Oem/Dell/DellAttributes/iDRAC.Embedded.1",
        "Lockdown.1.SystemLockdown",
        "Enabled",
    ),
    tpm_enable=(("TpmSecurity", "On"), ("Tpm2Hierarchy", "Enabled")),
    tpm_clear=(("TpmSecurity", "On"), ("Tpm2Hierarchy", "Clear")),
    # Installed-159-1.13.2__BIOS.Setup.1-1: the version is in the id, and Previous- and Current- stand beside it
    firmware_id=r"Installed-.*?__(?P<id>.+)",
    # an On that follows an off too closely is answered 409
    pause_after_off_s=5.0,
    # 16 slots; the first is reserved and the second is root's
    account_slots_from=3,
    ac_cycle=(
        AcCycle(
            "#DellOemChassis.ExtendedReset",
            chassis=r"System\.Embedded\.1",
            parameters=(("ResetType", "PowerCycle"), ("FinalPowerState", "On")),
            off_first=True,
        ),
        AcCycle(bios=("PowerCycleRequest", "FullPowerCycle")),
    ),
    serial_in_root=("Oem", "Dell", "ServiceTag"),
    lifecycle_logs=("Lclog",),
    # newest first, and a whole SEL takes 18 s
    log_top=True,
    licence_path="Oem/Dell/DellLicenses",
    licence_needs=(
        LicenceNeed("virtual_media", r"Enterprise|Datacenter", "iDRAC Enterprise or Datacenter"),
        LicenceNeed("telemetry", r"Datacenter", "iDRAC Datacenter"),
    ),
)

# eight GPUs, and no option ROMs for PXE
XE9680 = replace(DELL, name="dell_xe9680", match=Match(vendor=r"^Dell", system=r"\bXE9680"), legacy_pxe=False)

PROFILES = (XE9680, DELL)
