"""OpenBMC (bmcweb) beside an HMC, as NVIDIA's GB200 trays run it.

What it is known for: all eight ResetTypes; no ETags in bodies; accounts by name; $expand of six levels that works; the
GPU tray as a System of its own whose Processors count from 0, with a MetricReport each for the environment, processors
and memory; dates of 1970 and 9999; AC power by an action of the chassis.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lab.bmc import AccountRules
from lab.redfish.errors import RedfishError
from lab.redfish.routes import ROOT, Answer, Body, Call, hgx, link
from lab.redfish.vendors.standard import Standard
from lab.redfish.vendors.standard_bios import BiosRow
from lab.redfish.vendors.standard_media import Slot
from lab.redfish.vendors.translated import GPU_TRAY

if TYPE_CHECKING:
    from lab.bmc import Account
    from lab.gpu import Gpu
    from lab.redfish.service import RedfishBmc

_ENABLED = ("Enabled", "Disabled")
_THEIRS, _OURS = re.compile(r"GPU_SXM_(\d)"), re.compile(r"(?<![A-Z])GPU_(\d)")
AUX_RESET = "NvidiaChassis.AuxPowerReset"
REPORTS = "/TelemetryService/MetricReports"
ENVIRONMENT = f"{REPORTS}/HGX_PlatformEnvironmentMetrics_0"


class OpenBmc(Standard):
    name = "openbmc"
    session_timeout_s = 1800
    max_sessions = 64
    login_refuses_basic = False
    expand_levels = 6

    root_vendor = "NVIDIA"
    root_product = "GB200 NVL"
    root_type = "ServiceRoot.v1_15_0.ServiceRoot"
    redfish_version = "1.17.0"
    root_collections = ("Cables", "TelemetryService")

    system_id, manager_id, chassis_id = "System_0", "BMC_0", "Chassis_0"
    nic_id, manager_nic_id = "eth0", "eth0"
    cpu_id, cpu_first = "CPU_{}", 0
    manufacturer, model = "NVIDIA", "GB200 NVL"
    bios_version, manager_firmware, manager_model = "2.1.0", "GB200Nvl-25.01-9", "OpenBmc"
    system_type = "ComputerSystem.v1_22_0.ComputerSystem"
    manager_type = "Manager.v1_14_0.Manager"
    chassis_type = "Chassis.v1_22_0.Chassis"
    system_settings = "Settings"

    reset_types = (
        "On",
        "ForceOff",
        "ForceOn",
        "ForceRestart",
        "GracefulRestart",
        "GracefulShutdown",
        "Nmi",
        "PowerCycle",
    )
    reset_in_action_info = True
    manager_reset_types = ("GracefulRestart", "ForceRestart")
    manager_reset_in_action_info = True
    boot_targets = ("None", "Pxe", "Hdd", "Cd", "Diags", "BiosSetup", "Usb", "UefiHttp", "UefiBootNext")
    boot_modes = ("UEFI",)

    bios_registry = "BiosAttributeRegistry"
    bios_pending_shows = "changed"
    bios: Mapping[str, BiosRow] = {
        "EGM": (False, None),
        "EmbeddedUefiShell": ("Enabled", _ENABLED),
        "HttpBoot": ("Enabled", _ENABLED),
        "IPv4HTTP": ("Enabled", _ENABLED),
        "IPv4PXE": ("Enabled", _ENABLED),
        "SRIOVEnable": (True, None),
        "TPM": ("Enabled", _ENABLED),
        "TpmOperation": ("None", ("None", "Clear")),
    }
    bios_orders: Mapping[str, object] = {"TpmOperation": "None"}
    wanted_bios: Mapping[str, object] = {"IPv4HTTP": "Enabled", "SRIOVEnable": True}

    etag = "header"
    rules = AccountRules(threshold=0, lockout_s=0, min_password=8, max_password=20, slots=15, first_id=1)
    account_types = ("Redfish", "WebUI", "IPMI")

    media = (Slot("USB1", "CD1", ("CD", "USBStick")), Slot("USB2", "USB1", ("CD", "USBStick")))
    media_places = ("Managers",)

    log_place, log_id = "Systems", "SEL"
    odd_date = "9999-12-31T23:59:59+00:00"
    event_stream = "/EventService/SSE"
    empty_collections = (("/Cables", "Cable"),)
    gpu_model = "GB200 NVL"

    def register_more(self) -> None:
        at = self.routes
        self.hidden = tuple(path for path in self.hidden if path not in GPU_TRAY)
        at.post(f"/Chassis/BMC_0/Actions/Oem/{AUX_RESET}")(self.aux_reset)
        at.get("/Chassis/BMC_0")(self.bmc_chassis)
        at.get(REPORTS)(
            lambda bmc: self.collection(
                REPORTS,
                "MetricReport",
                [ENVIRONMENT, f"{REPORTS}/HGX_ProcessorMetrics_0", f"{REPORTS}/HGX_MemoryMetrics_0"],
            )
        )
        at.get(f"{REPORTS}/HGX_ProcessorMetrics_0")(lambda bmc: self.report(bmc, "HGX_ProcessorMetrics_0", False))
        at.get(f"{REPORTS}/HGX_MemoryMetrics_0")(lambda bmc: self.report(bmc, "HGX_MemoryMetrics_0", True))

    # --- the GPU tray counts from 0

    def inward(self, path: str) -> str | None:
        if _THEIRS.search(path) or path.removeprefix(ROOT) == "/Chassis/HGX":
            return None
        return super().inward(_OURS.sub(lambda found: f"GPU_SXM_{int(found[1]) + 1}", path))

    def outward(self, path: str) -> str | None:
        if path.removeprefix(ROOT) == "/Chassis/HGX":
            return None
        found = super().outward(path)
        return None if found is None else self.reworded(found)

    def reworded(self, text: str) -> str:
        text = super().reworded(text)
        return _THEIRS.sub(lambda found: f"GPU_{int(found[1]) - 1}", text)

    # --- collections

    def system_paths(self, bmc: RedfishBmc) -> list[str]:
        return [self.system_path, "/Systems/HGX_Baseboard_0"]

    def manager_paths(self, bmc: RedfishBmc) -> list[str]:
        return [self.manager_path, "/Managers/HGX_BMC_0"]

    def chassis_paths(self, bmc: RedfishBmc) -> list[str]:
        shared = self.shared(bmc, "/Chassis")["Members"]
        paths = [str(member["@odata.id"]).removeprefix(ROOT) for member in shared]
        return ["/Chassis/BMC_0", *sorted(paths)]

    def bmc_chassis(self, bmc: RedfishBmc) -> Body:
        path = "/Chassis/BMC_0"
        return self.body(
            path,
            self.chassis_type,
            Actions={
                "Oem": {
                    f"#{AUX_RESET}": {
                        "@Redfish.ActionInfo": f"{ROOT}{path}/Oem/Nvidia/AuxPowerResetActionInfo",
                        "target": f"{ROOT}{path}/Actions/Oem/{AUX_RESET}",
                    }
                }
            },
            ChassisType="Module",
            Id="BMC_0",
            Links={"ManagedBy": [link(self.manager_path)]},
            Manufacturer="NVIDIA",
            Model="P3809",
            Name="BMC_0",
            Status={"Health": "OK", "State": "Enabled"},
        )

    async def aux_reset(self, call: Call) -> Answer:
        (kind,) = call.require(AUX_RESET, "ResetType")
        if kind not in ("AuxPowerCycle", "AuxPowerCycleForce"):
            raise RedfishError("ActionParameterValueNotInList", str(kind), "ResetType", AUX_RESET)
        self.ac_cycle(call.bmc)
        return Answer()

    # --- accounts by name

    def account_path(self, account: Account) -> str:
        return f"{ROOT}/AccountService/Accounts/{account.username}"

    # --- reports

    def report(self, bmc: RedfishBmc, id: str, memory: bool) -> Body:
        """What Processors and Memory of the tray count, as one report. Values are strings."""
        values = []
        stamp = bmc.clock.now().replace(year=1970).isoformat(timespec="milliseconds")
        for gpu in bmc.machine.present_gpus:
            base = f"{ROOT}/Systems/HGX_Baseboard_0"
            processor, dram = f"{base}/Processors/{gpu.id}", f"{base}/Memory/{gpu.id}_DRAM_0"
            path = f"{dram}/MemoryMetrics" if memory else f"{processor}/ProcessorMetrics"
            for name, value in _numbers(self.shared(bmc, path.removeprefix(ROOT))):
                values.append(
                    {
                        "MetricProperty": f"{self.reworded(path)}#{name}",
                        "MetricValue": str(value),
                        "Oem": {"Nvidia": {"MetricValueStale": False}},
                        "Timestamp": stamp,
                    }
                )
        return hgx(f"{REPORTS}/{id}", "MetricReport.v1_4_2.MetricReport", Id=id, MetricValues=values, Name=id)

    # --- GPUs are Processors of the tray's system only

    def gpu_processor_id(self, gpu: Gpu) -> str | None:
        return None


def _numbers(body: Any, pointer: str = "") -> list[tuple[str, int | float]]:
    """Every number of a body with its JSON pointer."""
    if isinstance(body, dict):
        return [found for name, value in body.items() for found in _numbers(value, f"{pointer}/{name}")]
    return [(pointer, body)] if isinstance(body, int | float) and not isinstance(body, bool) else []


def make() -> Standard:
    return OpenBmc()
