# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""AMI MegaRAC: NVIDIA DGX and, under their own names, Gigabyte, HPE Cray XD670 and others.

Read in a capture of a DGX H100 (NVIDIA/libredfish, tests/mockups): what changes is PATCHed at the settings object
(``SD``) with that object's ETag; ``$expand`` drops properties and is not used; ResetTypes stand in ActionInfo only,
without PowerCycle; GPUs are Processors of the HGX tray's own System, and one MetricReport holds all their readings.
"""

from __future__ import annotations

from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.vendors.profile import Match, Profile

_UPLOAD = "/redfish/v1/UpdateService/upload"
_TPM_ENABLE = (("TpmSupport", "Enable"),)
_TPM_CLEAR = (("TpmSupport", "Enable"), ("TpmOperation", "TPM Clear"))
_RESET_TYPES = ("On", "ForceOff", "GracefulShutdown", "ForceRestart")

AMI_DGX = Profile(
    name="ami_dgx",
    match=Match(vendor=r"^AMI$", system=r"\bDGX"),
    host_systems=(r"DGX",),
    gpu_systems=("HGX_Baseboard_0",),
    gpu_processors=r"GPU_SXM_\d+",
    fabric_managers=("/redfish/v1/Managers/HGX_FabricManager_0",),
    metric_reports=("HGX_PlatformEnvironmentMetrics_0",),
    lifecycle_logs=("AuditLog",),
    # the logs of each GPU and NVSwitch are views of this one
    xid_logs=("/redfish/v1/Systems/HGX_Baseboard_0/LogServices/EventLog",),
    # AccountService of the capture: AccountLockoutThreshold 5, AccountLockoutCounterResetAfter 30
    lockout_tries=5,
    lockout_window_s=30.0,
    # of a DGX until its first boot wizard, or the first login, has changed it
    factory_accounts=(("admin", "admin"),),
    power_sensors=("/redfish/v1/Chassis/DGX/Sensors/PWR_SYSTEM",),
    inlet_sensors=("/redfish/v1/Chassis/DGX/Sensors/TEMP_AMBIENT", "/redfish/v1/Chassis/DGX/Sensors/TEMP_MB_INLET"),
    boot_via_settings=True,
    boot_whole=True,
    bios_settings="SD",
    reset_types=_RESET_TYPES,
    tpm_enable=_TPM_ENABLE,
    tpm_clear=_TPM_CLEAR,
    firmware_parent=("Oem", "Ami", "Parent"),
    firmware_push=_UPLOAD,
    media_places=("Managers",),
    media_credentials=True,
    # an account's own ETag is refused
    account_if_match="*",
)

AMI = Profile(
    name="ami",
    match=Match(vendor=r"^AMI$"),
    host_systems=(r"Self",),
    # a DGX cannot be told from another AMI before the login, so its account is tried; its lockout is not assumed
    factory_accounts=(("admin", "admin"),),
    boot_via_settings=True,
    boot_whole=True,
    bios_settings="SD",
    reset_types=_RESET_TYPES,
    tpm_enable=_TPM_ENABLE,
    tpm_clear=_TPM_CLEAR,
    firmware_parent=("Oem", "Ami", "Parent"),
    firmware_push=_UPLOAD,
)

PROFILES = (AMI_DGX, AMI)
