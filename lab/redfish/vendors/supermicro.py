"""Supermicro X13 (SYS-821GE-TNHR, 8 H100), after what clients found out about a capture of one.

What it is known for: a root without Vendor, only an Oem key; ResetTypes only in ActionInfo; a boot target without
Enabled is accepted and ignored; BIOS names carry a suffix and what is pending cannot be taken back; a pending object
without Attributes when nothing is pending; HTTP boot that can be chosen only after it was enabled and POST has run; an
Eject action that appears only with a medium; three wrong passwords lock for 30 s; GPUs only as PCIeDevices and one
temperature of the hottest; BIOS and media only with a licence (standing fault ``unlicensed``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from lab.bmc import AccountRules, VirtualMedia
from lab.redfish.errors import RedfishError
from lab.redfish.routes import Answer, Body, Call, link
from lab.redfish.vendors.oem import OemError
from lab.redfish.vendors.standard import Standard, unlicensed
from lab.redfish.vendors.standard_bios import BiosRow
from lab.redfish.vendors.standard_media import Slot
from lab.redfish.vendors.translated import CHASSIS

if TYPE_CHECKING:
    from lab.gpu import Gpu
    from lab.redfish.service import RedfishBmc

_ENABLED = ("Enabled", "Disabled")
_ENABLE = ("Enable", "Disable")
HTTP_BOOT = "IPv4HTTPSupport#0024"


class Supermicro(Standard):
    name = "supermicro"
    session_timeout_s = 300
    expand_levels = 2

    root_vendor = None
    root_product = ""
    root_type = "ServiceRoot.v1_14_0.ServiceRoot"
    redfish_version = "1.14.0"
    root_oem: Mapping[str, object] = {"Supermicro": {"DumpService": link("/Oem/Supermicro/DumpService")}}

    nic_id = "1"
    cpu_id = "{}"
    manufacturer, model = "Supermicro", "SYS-821GE-TNHR"
    bios_version, manager_firmware, manager_model = "2.1", "01.03.16", "ASPEED"
    system_type = "ComputerSystem.v1_17_0.ComputerSystem"
    manager_type = "Manager.v1_15_0.Manager"
    chassis_type = "Chassis.v1_21_0.Chassis"
    chassis_links = ("Power", "Thermal")

    reset_types = (
        "On",
        "ForceOff",
        "GracefulShutdown",
        "GracefulRestart",
        "ForceRestart",
        "Nmi",
        "ForceOn",
        "PowerCycle",
    )
    reset_in_action_info = True
    manager_reset_types = ("GracefulRestart", "ForceRestart")
    boot_targets = ("None", "Pxe", "Floppy", "Cd", "Usb", "Hdd", "BiosSetup", "UsbCd", "UefiBootNext")
    boot_modes = ("Legacy", "UEFI")

    bios_settings = "SD"
    bios_registry = "BiosAttributeRegistry.v1_0_0"
    bios_pending_shows = "changed"
    bios: Mapping[str, BiosRow] = {
        "ACPIT-States#0062": ("Enable", _ENABLE),
        HTTP_BOOT: ("Disabled", _ENABLED),
        "IPv4PXESupport#0023": ("Enabled", _ENABLED),
        "IntelVTforDirectedI/O(VT-d)#0058": ("Enable", _ENABLE),
        "NetworkStack#0022": ("Enabled", _ENABLED),
        "PendingOperation#0075": ("None", ("None", "TPM Clear")),
        "QuietBoot#002E": (True, None),
        "RestoreonACPowerLoss#0034": ("Last State", ("Stay Off", "Power On", "Last State")),
        "SR-IOVSupport#0009": ("Enabled", _ENABLED),
        "SecureBoot#0067": ("Disabled", _ENABLED),
        "SecurityDeviceSupport#0074": ("Enable", _ENABLE),
        "TurboMode#0049": ("Enable", _ENABLE),
        'WaitFor"F1"IfError#0030': (False, None),
    }
    bios_orders: Mapping[str, object] = {"PendingOperation#0075": "None"}

    wanted_bios: Mapping[str, object] = {"SR-IOVSupport#0009": "Enabled", "TurboMode#0049": "Enable"}

    etag = "strong"
    needs_if_match = True
    rules = AccountRules(threshold=3, lockout_s=30, min_password=8, max_password=20, slots=15, first_id=2)
    account_types = ("Redfish",)

    media = (
        Slot("VirtualMedia1", "CD1", ("CD", "DVD")),
        Slot("VirtualMedia2", "USB1", ("USBStick",)),
        Slot("VirtualMedia3", "SMC3", ("CD", "DVD")),
    )
    media_places = ("Managers",)
    insert_properties = ("Image", "UserName", "Password", "TransferMethod", "TransferProtocolType")

    log_place, log_id = "Systems", "Log1"
    odd_date = "1970-01-01T00:00:00Z"

    def register_more(self) -> None:
        at = self.routes
        at.get(f"{self.chassis_path}/Thermal")(self.thermal)
        at.get("/Chassis/UBB_1")(self.gpu_board)
        at.get("/Oem/Supermicro/DumpService")(
            lambda bmc: self.body("/Oem/Supermicro/DumpService", "DumpService.v1_0_0.DumpService", Id="DumpService")
        )
        licences = f"{self.manager_path}/LicenseManager"
        at.get(licences)(
            lambda bmc: self.body(
                licences,
                "LicenseManager.v1_0_0.LicenseManager",
                Id="License Manager",
                Name="License Manager",
                QueryLicense=link(f"{licences}/QueryLicense"),
            )
        )
        at.get(f"{licences}/QueryLicense")(
            lambda bmc: self.body(
                f"{licences}/QueryLicense",
                "QueryLicense.v1_0_0.QueryLicense",
                Id="QueryLicense",
                Licenses=[] if unlicensed(bmc) else ['{"ProductKey":{"Node":{"LicenseName":"SFT-DCMS-SINGLE"}}}'],
                Name="Query License",
            )
        )
        self.hidden = (*self.hidden, f"{CHASSIS}/Sensors", f"{CHASSIS}/ThermalSubsystem", "/TelemetryService")

    def manager(self, bmc: RedfishBmc) -> Body:
        body = super().manager(bmc)
        body["Oem"] = {"Supermicro": {"LicenseManager": link(f"{self.manager_path}/LicenseManager")}}
        return body

    def chassis_paths(self, bmc: RedfishBmc) -> list[str]:
        return [self.chassis_path, "/Chassis/UBB_1"]

    def gpu_board(self, bmc: RedfishBmc) -> Body:
        return self.body(
            "/Chassis/UBB_1",
            self.chassis_type,
            ChassisType="Module",
            Id="UBB_1",
            Links={"ContainedBy": link(self.chassis_path), "ManagedBy": [link(self.manager_path)]},
            Manufacturer="NVIDIA",
            Model="HGX H100 8-GPU",
            Name="UBB_1",
            Status={"Health": "OK", "State": "Enabled"},
        )

    # --- boot

    def change_boot(self, call: Call, boot: Body) -> None:
        """Target (and Mode) without Enabled: accepted, and nothing happens."""
        known = call.bmc.state.bios[HTTP_BOOT] == "Enabled"
        if boot.get("BootSourceOverrideTarget") == "UefiHttp" and not known:
            raise RedfishError("PropertyValueNotInList", "UefiHttp", "BootSourceOverrideTarget")
        if boot.get("BootSourceOverrideTarget") == "UsbCd":
            boot = {**boot, "BootSourceOverrideTarget": "Cd"}
        if "BootSourceOverrideEnabled" not in boot:
            boot = {name: value for name, value in boot.items() if not name.startswith("BootSourceOverride")}
        super().change_boot(call, boot)

    def allowed_targets(self, bmc: RedfishBmc) -> tuple[str, ...]:
        return (*self.boot_targets, "UefiHttp") if bmc.state.bios[HTTP_BOOT] == "Enabled" else self.boot_targets

    # --- BIOS

    def pending_bios(self, bmc: RedfishBmc) -> Body:
        body = super().pending_bios(bmc)
        if not body["Attributes"]:
            del body["Attributes"]
        return body

    async def change_bios(self, call: Call) -> Answer:
        """What is pending cannot be taken back: writing the present value again leaves the pending one."""
        _need_licence(call.bmc, "SFT-OOB-LIC")
        state = call.bmc.state
        attributes = self.checked_attributes(call)
        state.bios_pending.update({name: value for name, value in attributes.items() if state.bios[name] != value})
        return Answer(202, self.success())

    async def reset_bios(self, call: Call) -> Answer:
        _need_licence(call.bmc, "SFT-OOB-LIC")
        await super().reset_bios(call)
        return Answer(200, self.success())

    def success(self) -> Body:
        return {"Success": {"code": "Base.1.12.Success", "Message": "Successfully Completed Request."}}

    # --- media

    def media_verbs(self, medium: VirtualMedia) -> tuple[str, ...]:
        return ("InsertMedia", "EjectMedia") if medium.inserted else ("InsertMedia",)

    def check_insert(self, call: Call, medium: VirtualMedia) -> None:
        _need_licence(call.bmc, "SFT-DCMS-SINGLE")
        super().check_insert(call, medium)
        if "TransferProtocolType" not in call.body:
            raise RedfishError("ActionParameterMissing", "VirtualMedia.InsertMedia", "TransferProtocolType")

    async def eject(self, call: Call, id: str, *, base: str) -> Answer:
        if not call.bmc.state.media[self.slot(id).of].inserted:
            raise RedfishError("ResourceMissingAtURI", call.path)
        return await super().eject(call, id, base=base)

    # --- GPUs

    def gpu_processor_id(self, gpu: Gpu) -> str | None:
        return None

    def gpu_pcie_id(self, gpu: Gpu) -> str | None:
        return f"GPU{gpu.number}"

    def thermal(self, bmc: RedfishBmc) -> Body:
        """The hottest GPU, as one reading."""
        body = self.shared(bmc, f"{CHASSIS}/Thermal")
        at = bmc.clock.elapsed()
        hottest = max((gpu.temperature_celsius(at) for gpu in bmc.machine.present_gpus), default=None)
        on = bmc.machine.power == "On" and hottest is not None
        temperatures = body["Temperatures"]
        temperatures.append(
            {
                **link(f"{self.chassis_path}/Thermal#/Temperatures/{len(temperatures)}"),
                "MemberId": str(len(temperatures)),
                "Name": "GPU Temp",
                "PhysicalContext": "GPU",
                "ReadingCelsius": round(hottest) if on and hottest is not None else None,
                "Status": {"Health": "OK", "State": "Enabled" if on else "Absent"},
                "UpperThresholdCritical": 92,
            }
        )
        return body


def _need_licence(bmc: RedfishBmc, name: str) -> None:
    """Raises RedfishError 403."""
    if unlicensed(bmc):
        raise OemError(
            "SMC.1.0.OemLicenseNotPassed",
            f"Not licensed to perform this request. The following licenses {name} were needed",
            403,
            arguments=(name,),
            resolution="Please activate the needed licenses.",
        )


def make() -> Standard:
    return Supermicro()
