# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""OpenBMC (bmcweb), as NVIDIA's GB200 and GH200 run it beside a tray manager (HMC)."""

from __future__ import annotations

from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.vendors.profile import AcCycle, Match, Profile

_AUX_POWER = (
    AcCycle(
        "#NvidiaChassis.AuxPowerReset",
        chassis=r"BMC_0|Chassis_0",
        parameters=(("ResetType", "AuxPowerCycle"),),
        off_first=True,
    ),
)

NVIDIA_GRACE = Profile(
    name="nvidia_grace",
    match=Match(vendor=r"NVIDIA|OpenBMC", system=r"GB\d00|GH200|Grace"),
    host_systems=(r"System_0",),
    gpu_systems=("HGX_Baseboard_0",),
    gpu_processors=r"GPU_\d+",
    fabric_managers=("/redfish/v1/Managers/HGX_FabricManager_0",),
    metric_reports=("HGX_PlatformEnvironmentMetrics_0",),
    restart=("ForceRestart", "PowerCycle"),
    ac_cycle=_AUX_POWER,
    xid_logs=("/redfish/v1/Systems/HGX_Baseboard_0/LogServices/EventLog",),
    # NVIDIA's own Infra Controller reads these logs so, every five minutes
    log_filter=True,
    factory_accounts=(("root", "0penBmc"),),
)

OPENBMC = Profile(
    name="openbmc",
    match=Match(vendor=r"OpenBMC"),
    host_systems=(r"system", r"System_0"),
    # phosphor-user-manager's image default; bmcweb wants it changed at the first login
    factory_accounts=(("root", "0penBmc"),),
    ac_cycle=_AUX_POWER,
)

PROFILES = (NVIDIA_GRACE, OPENBMC)
