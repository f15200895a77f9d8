"""Dell iDRAC9 7.10, after a capture of a PowerEdge R750 (NVIDIA/libredfish, tests/mockups), as an XE9680 with 8 GPUs.

What it is known for: an eject that lags; a BIOS attribute that takes the mains away at the next POST; sixteen account
slots that are always there; BIOS attributes that need a job, one at a time; 503 RAC0218 for the ninth session; 409
for a power order that changes nothing; no ETags outside AccountService; GPU readings only by telemetry, which needs a
Datacenter licence and is off.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lab.bmc import Account, AccountRules, VirtualMedia
from lab.redfish.accounts import ROLES, expect_password
from lab.redfish.errors import RedfishError
from lab.redfish.routes import ROOT, Answer, Body, Call, link
from lab.redfish.vendors.dell_jobs import JOBS, DellJobs, success
from lab.redfish.vendors.dell_telemetry import DellTelemetry
from lab.redfish.vendors.oem import OemError
from lab.redfish.vendors.standard import Standard
from lab.redfish.vendors.standard_bios import BiosRow
from lab.redfish.vendors.standard_media import Slot

if TYPE_CHECKING:
    from lab.gpu import Gpu
    from lab.machine import BootOption
    from lab.redfish.service import RedfishBmc

EJECT_LAGS_S = 0.3
_ENABLED = ("Enabled", "Disabled")
ACCOUNT_TYPES = ("Redfish", "SNMP", "OEM", "HostConsole", "ManagerConsole", "IPMI", "KVMIP", "VirtualMedia", "WebUI")


class Dell(DellJobs, DellTelemetry):
    name = "dell"
    session_timeout_s = 1800
    max_sessions = 8
    expand_levels = 1
    page = 50

    root_vendor = "Dell"
    root_product = "Integrated Dell Remote Access Controller"
    root_type = "ServiceRoot.v1_16_0.ServiceRoot"
    redfish_version = "1.18.0"
    root_collections = ("CertificateService", "Fabrics", "JobService", "LicenseService", "TelemetryService")
    root_uuid = False

    system_id, manager_id, chassis_id = "System.Embedded.1", "iDRAC.Embedded.1", "System.Embedded.1"
    nic_id, manager_nic_id = "NIC.Embedded.1-1-1", "NIC.1"
    cpu_id = "CPU.Socket.{}"
    manufacturer, model = "Dell Inc.", "PowerEdge XE9680"
    bios_version, manager_firmware, manager_model = "1.13.2", "7.10.30.00", "16G Monolithic"
    system_type = "ComputerSystem.v1_20_1.ComputerSystem"
    system_settings = "Settings"
    system_links = (*Standard.system_links, "SimpleStorage", "NetworkInterfaces")
    manager_links = (*Standard.manager_links, "HostInterfaces", "SerialInterfaces")

    reset_types = (
        "On",
        "ForceOff",
        "ForceRestart",
        "GracefulRestart",
        "GracefulShutdown",
        "PushPowerButton",
        "Nmi",
        "PowerCycle",
    )
    chassis_reset_types = ("On", "ForceOff", "PowerCycle")
    manager_reset_types = ("GracefulRestart",)
    boot_targets = (
        "None",
        "Pxe",
        "Floppy",
        "Cd",
        "Hdd",
        "BiosSetup",
        "Utilities",
        "UefiTarget",
        "SDCard",
        "UefiHttp",
    )

    bios_registry = "BiosAttributeRegistry.v1_0_3"
    bios_pending_shows = "changed"
    bios: Mapping[str, BiosRow] = {
        "AcPwrRcvry": ("Last", ("On", "Last", "Off")),
        "AssetTag": ("", None),
        "BootMode": ("Uefi", ("Bios", "Uefi")),
        "HttpDev1EnDis": ("Enabled", _ENABLED),
        "HttpDev1Interface": ("NIC.Embedded.1-1-1", None),
        "HttpDev1Uri": ("", None),
        "LogicalProc": ("Enabled", _ENABLED),
        "PowerCycleRequest": ("None", ("None", "FullPowerCycle")),
        "ProcCStates": ("Enabled", _ENABLED),
        "ProcTurboMode": ("Enabled", _ENABLED),
        "ProcVirtualization": ("Enabled", _ENABLED),
        "PxeDev1EnDis": ("Disabled", _ENABLED),
        "PxeDev1Interface": ("NIC.Embedded.1-1-1", None),
        "SecureBoot": ("Disabled", _ENABLED),
        "SecureBootMode": ("DeployedMode", ("AuditMode", "DeployedMode", "SetupMode", "UserMode")),
        "SecureBootPolicy": ("Standard", ("Standard", "Custom")),
        "SriovGlobalEnable": ("Enabled", _ENABLED),
        "SubNumaCluster": ("Disabled", ("Disabled", "2Way")),
        "SysProfile": ("PerfPerWattOptimizedDapc", ("PerfPerWattOptimizedDapc", "PerfOptimized", "Custom")),
        "Tpm2Hierarchy": ("Enabled", ("Enabled", "Disabled", "Clear")),
        "TpmSecurity": ("On", ("Off", "On")),
    }
    bios_orders: Mapping[str, object] = {"PowerCycleRequest": "None", "Tpm2Hierarchy": "Enabled"}

    wanted_bios: Mapping[str, object] = {"ProcTurboMode": "Enabled", "SriovGlobalEnable": "Enabled"}

    etag = "none"
    rules = AccountRules(threshold=0, lockout_s=0, min_password=0, max_password=127, slots=16, first_id=2)
    account_types = ACCOUNT_TYPES
    session_service_lacks = ("Status",)

    media = (Slot("1", "CD1", ("CD", "DVD", "USBStick")), Slot("2", "USB1", ("CD", "DVD", "USBStick")))
    manager_media = (Slot("RemovableDisk", "USB1", ("USBStick",)), Slot("CD", "CD1", ("CD", "DVD")))

    log_place, log_id = "Managers", "Sel"
    log_lacks = ("Status",)
    system_logs = False
    odd_date = "0000-00-00T00:00:00-05:00"
    event_stream = "/SSE"
    empty_collections = (
        ("/Fabrics", "Fabric"),
        ("/Systems/System.Embedded.1/NetworkInterfaces", "NetworkInterface"),
        ("/Managers/iDRAC.Embedded.1/HostInterfaces", "HostInterface"),
        ("/Managers/iDRAC.Embedded.1/SerialInterfaces", "SerialInterface"),
    )

    def register_more(self) -> None:
        self.register_jobs()
        self.register_telemetry()
        self.routes.patch("/AccountService")(_read_only)
        self.routes.get("/AccountService/Roles/None")(self.no_role)

    # --- root and system

    def furnish(self, bmc: RedfishBmc) -> None:
        super().furnish(bmc)

        def told(attributes: dict[str, Any]) -> None:
            if attributes.get("PowerCycleRequest") == "FullPowerCycle":
                self.ac_cycle(bmc)

        bmc.state.on_bios.append(told)

    def oem_root(self, bmc: RedfishBmc) -> Body:
        return {
            "Dell": {
                "@odata.context": f"{ROOT}/$metadata#DellServiceRoot.DellServiceRoot",
                "@odata.type": "#DellServiceRoot.v1_0_0.DellServiceRoot",
                "IsBranded": 0,
                "ManagerMACAddress": f"06{bmc.machine.mac[2:]}".lower(),
                "ServiceTag": self.sku(bmc),
            }
        }

    def root(self, bmc: RedfishBmc) -> Body:
        return {**super().root(bmc), "ServiceIdentification": self.sku(bmc)}

    def sku(self, bmc: RedfishBmc) -> str:
        """The service tag: seven characters."""
        return f"PBD{bmc.machine.config.number:04d}"

    def system(self, bmc: RedfishBmc) -> Body:
        body = super().system(bmc)
        body["Oem"] = {
            "Dell": {
                "@odata.type": "#DellOem.v1_3_0.DellOemResources",
                "DellSystem": {
                    "ChassisServiceTag": self.sku(bmc),
                    "Id": self.system_id,
                    "SystemGeneration": self.manager_model,
                },
            }
        }
        body["PCIeDevices"] = []
        body["PCIeDevices@odata.count"] = 0
        body["@Redfish.Settings"]["SupportedApplyTimes"] = ["OnReset"]
        body["LastResetTime"] = bmc.machine.last_reset or "0000-00-00T00:00:00+00:00"
        return body

    def boot_option_name(self, bmc: RedfishBmc, option: BootOption) -> str:
        network = {"pxe": "PXE", "http": "HTTP"}.get(option.device)
        return f"{network} Device 1: Embedded NIC 1 Port 1 Partition 1" if network else "ubuntu"

    def boot_option(self, bmc: RedfishBmc, id: str) -> Body | None:
        """The paths of network devices say nothing."""
        body = super().boot_option(bmc, id)
        if body is not None and " Device 1: " in body["DisplayName"]:
            body["UefiDevicePath"] = "VenHw(986D1755-B9D0-4F8D-A0DA-D1DB18672045)"
        return body

    def settings_of_system(self, bmc: RedfishBmc) -> Body:
        """What waits for the next POST; without it everything is null."""
        body = super().settings_of_system(bmc)
        body["@Redfish.SettingsApplyTime"] = {
            "@odata.type": "#Settings.v1_3_5.PreferredApplyTime",
            "ApplyTime": "OnReset",
        }
        body["AssetTag"] = None
        body["Boot"] = {
            "BootOrder": list(bmc.state.boot_order_pending or ()),
            "BootSourceOverrideMode": None,
            "UefiTargetBootSourceOverride": None,
        }
        return body

    def boot(self, bmc: RedfishBmc) -> Body:
        """The order in force; a new one stands in the settings object."""
        return {**super().boot(bmc), "BootOrder": list(bmc.machine.boot_order)}

    def current_bios(self, bmc: RedfishBmc) -> Body:
        body = super().current_bios(bmc)
        body["@Redfish.Settings"]["SupportedApplyTimes"] = [
            "OnReset",
            "AtMaintenanceWindowStart",
            "InMaintenanceWindowOnReset",
        ]
        return body

    def pending_bios(self, bmc: RedfishBmc) -> Body:
        body = super().pending_bios(bmc)
        clear = {"target": f"{ROOT}{self.bios_base}/Settings/Actions/Oem/DellManager.ClearPending"}
        body["Actions"] = {"Oem": {"DellManager.v1_0_0#DellManager.ClearPending": clear}}
        body["Oem"] = {"Dell": {"Jobs": link(JOBS)}}
        return body

    def change_boot(self, call: Call, boot: Body) -> None:
        """A UEFI target goes without Enabled."""
        if boot.get("BootSourceOverrideTarget") == "UefiTarget" and "BootSourceOverrideEnabled" in boot:
            raise OemError(
                "IDRAC.2.8.SYS426",
                "Unable to complete the operation because the property BootSourceOverrideEnabled cannot be set "
                "together with BootSourceOverrideTarget UefiTarget.",
                arguments=("BootSourceOverrideEnabled",),
            )
        super().change_boot(call, boot)

    async def change_system(self, call: Call) -> Answer:
        await super().change_system(call)
        return Answer(200, success())

    def refused_power(self, kind: str, power: str) -> Answer | None:
        raise OemError(
            "IDRAC.2.8.PSU501",
            f"Unable to perform the operation because the host is already powered {power.upper()}.",
            409,
            resolution="No response action is required.",
        )

    def manager(self, bmc: RedfishBmc) -> Body:
        body = super().manager(bmc)
        jobs = {
            "DellJobService": link(f"{self.manager_path}/Oem/Dell/DellJobService"),
            "Jobs": link(JOBS),
        }
        body["Links"]["Oem"] = {"Dell": {"@odata.type": "#DellOem.v1_3_0.DellOemLinks", **jobs}}
        return body

    # --- success, errors, tags

    def error_body(self, error: RedfishError) -> Body:
        body = error.body()
        for info in body["error"]["@Message.ExtendedInfo"]:
            info["MessageArgs@odata.count"] = len(info["MessageArgs"])
            info.setdefault("RelatedProperties", [])
            info["RelatedProperties@odata.count"] = len(info["RelatedProperties"])
        body["error"]["code"] = "Base.1.12.GeneralError"
        body["error"]["message"] = "A general error has occurred. See ExtendedInfo for more information"
        return body

    def tag(self, body: Body, digest: str, stamp: int) -> tuple[Body, str | None]:
        """Only what belongs to accounts has an ETag."""
        if (
            "@odata.etag" in body
            and str(body["@odata.id"]).startswith(f"{ROOT}/AccountService")
            and "Members" not in body
        ):
            body["@odata.etag"] = f'"{int(digest[:5], 16)}"'
            return body, body["@odata.etag"]
        return super().tag(body, digest, stamp)

    def session_limit(self) -> RedfishError:
        return OemError(
            "IDRAC.2.8.RAC0218",
            "The maximum number of user sessions is reached.",
            503,
            resolution="Close an existing session and retry.",
        )

    # --- media

    def media_at(self, base: str) -> tuple[Slot, ...]:
        return self.media if base.startswith("/Systems") else self.manager_media

    def slot(self, id: str) -> Slot:
        for slot in (*self.media, *self.manager_media):
            if slot.id == id:
                return slot
        raise RedfishError("ResourceMissingAtURI", id)

    def check_insert(self, call: Call, medium: VirtualMedia) -> None:
        super().check_insert(call, medium)
        if medium.inserted:
            raise OemError("IDRAC.2.8.VRM0012", "The Virtual Media image server is already connected.", 500)

    async def eject(self, call: Call, id: str, *, base: str) -> Answer:
        """Answered at once, and seen a moment later."""
        medium = call.bmc.state.media[self.slot(id).of]
        if not medium.inserted:
            raise OemError("IDRAC.2.8.VRM0009", "There is no virtual media device connected.", 500)

        async def later() -> None:
            await asyncio.sleep(EJECT_LAGS_S)
            self.take_out(medium)

        call.bmc.go_on(later())
        return Answer()

    # --- accounts: sixteen slots, always there

    def accounts(self, bmc: RedfishBmc) -> Body:
        path = "/AccountService/Accounts"
        return self.collection(path, "ManagerAccount", [f"{path}/{n}" for n in range(1, 17)])

    def account(self, bmc: RedfishBmc, id: str) -> Body | None:
        if id not in {str(n) for n in range(1, 17)}:
            return None
        found = bmc.state.accounts.by_id.get(id) or Account(id, "", "", "None", enabled=False)
        return self.account_body(bmc, found)

    async def create_account(self, call: Call) -> Answer:
        raise RedfishError("OperationNotAllowed", status=405)

    async def delete_account(self, call: Call, id: str) -> Answer:
        raise RedfishError("OperationNotAllowed", status=405)

    async def change_account(self, call: Call, id: str) -> Answer:
        accounts = call.bmc.state.accounts
        body = call.body
        if id == "1":
            raise OemError("IDRAC.2.8.SYS428", "Unable to modify the anonymous user account.", 403)
        if id in accounts.by_id and body.get("UserName") != "":
            await super().change_account(call, id)
            return Answer(200, success())
        if id in accounts.by_id:  # a slot is emptied: no name, and it has to be disabled
            account = accounts.by_id[id]
            if body.get("Enabled", account.enabled):
                raise RedfishError("PropertyValueConflict", "UserName", "Enabled")
            call.bmc.sessions.close_of(account)
            del accounts.by_id[id]
            return Answer(200, success())
        for name in body:
            if name not in self.account_writable:
                raise RedfishError("PropertyNotWritable", name)
        username, role = body.get("UserName"), body.get("RoleId", "None")
        if not username or not isinstance(username, str):
            raise RedfishError("PropertyMissing", "UserName")
        if role not in (*ROLES, "None"):
            raise RedfishError("PropertyValueNotInList", str(role), "RoleId")
        if accounts.find(username):
            raise RedfishError("ResourceAlreadyExists", "ManagerAccount", "UserName", username)
        expect_password(body.get("Password"), self.rules)
        accounts.by_id[id] = Account(id, username, body["Password"], role, body.get("Enabled", False) is True)
        accounts.by_id = dict(sorted(accounts.by_id.items(), key=lambda item: int(item[0])))
        return Answer(200, success())

    def no_role(self, bmc: RedfishBmc) -> Body:
        return self.body(
            "/AccountService/Roles/None",
            "Role.v1_3_1.Role",
            AssignedPrivileges=[],
            Id="None",
            IsPredefined=True,
            Name="User Role",
            RoleId="None",
        )

    # --- GPUs

    def gpu_processor_id(self, gpu: Gpu) -> str | None:
        return f"Video.Slot.{20 + gpu.number}-1"


async def _read_only(call: Call) -> Answer:
    raise RedfishError("PropertyNotWritable", next(iter(call.body), "AccountLockoutThreshold"))


def make() -> Standard:
    return Dell()
