# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""HPE iLO: what differs from the specification in power, boot and BIOS.

From captures (NVIDIA/libredfish) and from what sushy, Ironic and bmclib do. None has met hardware here.
"""

from __future__ import annotations

from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.vendors.profile import (
    AcCycle,
    LicenceNeed,
    Match,
    Profile,
)

HPE = Profile(
    name="hpe_ilo",
    match=Match(vendor=r"^HPE|^Hpe"),
    licence_path="LicenseService",
    # media by URL is "scripted virtual media"; iLO lists what its licence switches on
    licence_needs=(LicenceNeed("virtual_media", r"\bVMScript\b|Advanced", "iLO Advanced"),),
    # HpeServerDevice, whose DeviceType may be GPU
    chassis_cards=("Oem", "Hpe", "Links", "Devices"),
    bios_settings="settings",
    tpm_enable=(("TpmVisibility", "Visible"),),
    tpm_clear=(("Tpm2Operation", "Clear"),),
    # iLO 5 answers an update 200 and makes no task
    firmware_state=("Oem", "Hpe", "State"),
    # iLO's warm boot; ForceRestart is a cold one
    restart=("GracefulRestart", "ForceRestart"),
    pause_after_off_s=15.0,
    ac_cycle=(AcCycle("#HpeComputerSystemExt.SystemReset", parameters=(("ResetType", "AuxCycle"),)),),
    # iLO shows no SEL by Redfish; its Integrated Management Log holds those events, the iLO Event Log the BMC's own
    sel_logs=("IML",),
    lifecycle_logs=("IEL",),
)

PROFILES = (HPE,)
