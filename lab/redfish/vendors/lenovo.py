"""Lenovo XCC (ThinkSystem with 8 GPUs), after what clients found out about captures of an SR670 V2.

What it is known for: virtual media without actions, by PATCH; ``Continuous`` is refused; 204 for a power order that
changes nothing; sixteen sessions; passwords of 10 to 32; pending BIOS under ``Pending``; a task's monitor that forgets
a finished task once it was read; GPUs as Processors without any metrics; BIOS and media only with a licence (standing
fault ``unlicensed``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from lab.bmc import AccountRules, VirtualMedia
from lab.redfish.errors import RedfishError
from lab.redfish.routes import ROOT, Answer, Body, Call
from lab.redfish.vendors.oem import OemError
from lab.redfish.vendors.standard import Standard, unlicensed
from lab.redfish.vendors.standard_bios import BiosRow
from lab.redfish.vendors.standard_media import Slot
from lab.redfish.vendors.translated import CHASSIS

if TYPE_CHECKING:
    from lab.gpu import Gpu
    from lab.redfish.service import RedfishBmc
    from lab.redfish.tasks import Task

_ENABLED = ("Enabled", "Disabled")
SYSTEM_RESET = "LenovoComputerSystem.SystemReset"
REPORTS = ("CPUTemp", "FanSpeed", "InletAirTemp", "MemoryTemp", "PowerMetrics", "PowerSupplyStats", "SystemUtilization")


class Lenovo(Standard):
    name = "lenovo"
    session_timeout_s = 300
    max_sessions = 16
    expand_levels = 2

    root_vendor = "Lenovo"
    root_product = "ThinkSystem SR670 V2"
    root_type = "ServiceRoot.v1_15_0.ServiceRoot"
    redfish_version = "1.15.0"
    root_oem: Mapping[str, object] = {"Lenovo": {"@odata.type": "#LenovoServiceRoot.v1_0_0.LenovoServiceRoot"}}
    root_collections = ("LicenseService", "TelemetryService")

    nic_id, manager_nic_id = "NIC1", "NIC"
    cpu_id = "CPU{}"
    manufacturer, model = "Lenovo", "ThinkSystem SR670 V2"
    bios_version, manager_firmware, manager_model = "U8E118J", "TGBT46A 3.20 2023-12-01", "Lenovo XClarity Controller"
    system_type = "ComputerSystem.v1_17_0.ComputerSystem"
    manager_type = "Manager.v1_15_0.Manager"
    chassis_type = "Chassis.v1_20_0.Chassis"
    system_settings = "Pending"
    chassis_links = ("Power", "Thermal")

    reset_types = ("On", "Nmi", "GracefulShutdown", "GracefulRestart", "ForceOff", "ForceOn", "ForceRestart")
    manager_reset_types = ("GracefulRestart", "ForceRestart")
    boot_targets = ("None", "Pxe", "Cd", "Usb", "Hdd", "BiosSetup", "Diags", "UefiHttp")
    boot_modes = ("UEFI", "Legacy")
    boot_continuous = False

    bios_settings = "Pending"
    bios_registry = "BiosAttributeRegistry.1.0.0"
    bios: Mapping[str, BiosRow] = {
        "BootModes_SystemBootMode": ("UEFIMode", ("UEFIMode", "LegacyMode")),
        "DevicesandIOPorts_PCI64_BitResourceAllocation": ("Enabled", _ENABLED),
        "DevicesandIOPorts_SRIOV": ("Enabled", _ENABLED),
        "NetworkStackSettings_IPv4HTTPSupport": ("Enabled", _ENABLED),
        "NetworkStackSettings_IPv4PXESupport": ("Enabled", _ENABLED),
        "OperatingModes_ChooseOperatingMode": (
            "MaximumPerformance",
            ("MaximumEfficiency", "MaximumPerformance", "CustomMode"),
        ),
        "Power_PowerRestorePolicy": ("Restore", ("AlwaysOff", "Restore", "AlwaysOn")),
        "Processors_HyperThreading": ("Enabled", _ENABLED),
        "Processors_TurboMode": ("Enabled", _ENABLED),
        "SecureBootConfiguration_SecureBootSetting": ("Disabled", _ENABLED),
        "TrustedComputingGroup_DeviceOperation": ("None", ("None", "Clear")),
    }
    bios_orders: Mapping[str, object] = {"TrustedComputingGroup_DeviceOperation": "None"}
    wanted_bios: Mapping[str, object] = {"DevicesandIOPorts_SRIOV": "Enabled", "Processors_TurboMode": "Enabled"}

    etag = "strong"
    needs_if_match = True
    rules = AccountRules(threshold=0, lockout_s=60, min_password=10, max_password=32, slots=12, first_id=1)
    account_types = ("WebUI", "Redfish", "ManagerConsole")

    media = (
        Slot("EXT1", "CD1", ("CD", "DVD")),
        Slot("EXT2", "USB1", ("USBStick",)),
        Slot("EXT3", "EXT3", ("CD", "DVD")),
        Slot("EXT4", "EXT4", ("CD", "DVD")),
        Slot("RDOC1", "RDOC1", ("CD", "DVD")),
        Slot("RDOC2", "RDOC2", ("CD", "DVD")),
        Slot("Remote1", "Remote1", ("CD", "DVD")),
        Slot("Remote2", "Remote2", ("CD", "DVD")),
    )
    media_places = ("Systems", "Managers")
    media_actions = False

    log_place, log_id = "Systems", "PlatformLog"
    odd_date = "1970-01-01T00:00:00.000+00:00"
    event_stream = "/EventService/ServerSentEvent"

    def register_more(self) -> None:
        at = self.routes
        at.get("/TaskService/TaskMonitors/{id}")(self.monitor)
        at.post(f"{self.system_path}/Actions/Oem/{SYSTEM_RESET}")(self.oem_reset)
        reports = "/TelemetryService/MetricReports"
        at.get(reports)(lambda bmc: self.collection(reports, "MetricReport", [f"{reports}/{id}" for id in REPORTS]))
        at.get(f"{reports}/{{id}}")(self.report)
        self.register_licences("License Service", lambda bmc: [] if unlicensed(bmc) else ["1"], self.licence)
        self.hidden = (*self.hidden, f"{CHASSIS}/Sensors", f"{CHASSIS}/ThermalSubsystem", "/TelemetryService/")

    def licence(self, bmc: RedfishBmc, id: str) -> Body | None:
        if id != "1" or unlicensed(bmc):
            return None
        return self.body(
            "/LicenseService/Licenses/1",
            "License.v1_1_0.License",
            Id="1",
            LicenseType="Production",
            Name="Lenovo XClarity Controller Advanced Upgrade",
            Status={"Health": "OK", "State": "Enabled"},
        )

    def report(self, bmc: RedfishBmc, id: str) -> Body | None:
        """XCC reports on the host. Nothing in there is about GPUs."""
        if id not in REPORTS:
            return None
        return self.body(
            f"/TelemetryService/MetricReports/{id}",
            "MetricReport.v1_4_2.MetricReport",
            Id=id,
            MetricValues=[],
            Name=id,
        )

    def system(self, bmc: RedfishBmc) -> Body:
        body = super().system(bmc)
        body["Actions"]["Oem"] = {
            f"#{SYSTEM_RESET}": {
                "ResetType@Redfish.AllowableValues": ["ACPowerCycle"],
                "target": f"{ROOT}{self.system_path}/Actions/Oem/{SYSTEM_RESET}",
            }
        }
        status = "OSBooted" if bmc.machine.running == "os" else "SystemPowerOff/StateUnknown"
        body["Oem"] = {"Lenovo": {"SystemStatus": status}}
        return body

    async def oem_reset(self, call: Call) -> Answer:
        (kind,) = call.require(SYSTEM_RESET, "ResetType")
        if kind != "ACPowerCycle":
            raise RedfishError("ActionParameterValueNotInList", str(kind), "ResetType", SYSTEM_RESET)
        self.ac_cycle(call.bmc)
        return Answer()

    async def change_bios(self, call: Call) -> Answer:
        _need_licence(call.bmc)
        await super().change_bios(call)
        return Answer(200, self.pending_bios(call.bmc))

    # --- tasks

    def task_answer(self, task: Task) -> Answer:
        path = f"{ROOT}/TaskService/Tasks/{task.id}"
        body = {"@odata.id": path, "Id": task.id, "Name": task.name, "TaskState": task.state}
        return Answer(202, body, {"Location": f"{ROOT}/TaskService/TaskMonitors/{task.id}"})

    def monitor(self, bmc: RedfishBmc, id: str) -> Body | None:
        """A finished task is told of once: the task and its monitor are gone afterwards."""
        if id not in bmc.tasks.by_id:
            return None
        body = self.shared(bmc, f"/TaskService/Tasks/{id}")
        if body["TaskState"] not in ("New", "Starting", "Running"):
            del bmc.tasks.by_id[id]
        return body

    # --- media by PATCH

    async def change_medium(self, call: Call, id: str, *, base: str) -> Answer:
        """An image is put in by naming it, and taken out by naming none. RDOC and Remote are filled elsewhere."""
        _need_licence(call.bmc)
        if not id.startswith("EXT"):
            raise RedfishError("PropertyNotWritable", "Image")
        for name in call.body:
            if name not in ("Image", "Inserted", "WriteProtected", "UserName", "Password"):
                raise RedfishError("PropertyNotWritable", name)
        if "Image" not in call.body:
            raise RedfishError("PropertyMissing", "Image")
        medium: VirtualMedia = call.bmc.state.media[self.slot(id).of]
        image = call.body["Image"]
        if image is None:
            self.take_out(medium)
        elif not isinstance(image, str) or not image.startswith(("http://", "https://")):
            raise RedfishError("PropertyValueNotInList", str(image), "Image")
        else:
            self.put_in(medium, call.body)
        return Answer(200, self.medium(call.bmc, id, base=base))

    # --- GPUs

    def gpu_processor_id(self, gpu: Gpu) -> str | None:
        return f"GPU{gpu.number}"


def _need_licence(bmc: RedfishBmc) -> None:
    """Raises RedfishError 403."""
    if unlicensed(bmc):
        raise OemError(
            "ExtendedError.1.2.FeatureNotLicensed",
            "The feature is not enabled, because the license for it is missing.",
            403,
            resolution="Install the license key for the feature.",
        )


def make() -> Standard:
    return Lenovo()
