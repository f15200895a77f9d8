"""HPE iLO 5 2.72, after a capture of a ProLiant DL385 Gen10 Plus v2 (NVIDIA/libredfish, tests/mockups), with 8 GPUs.

What it is known for: messages without a text, also for success; weak ETags, asked for on a PATCH; BIOS under a path in
lower case that ends in a slash; nothing can be changed while the host is in POST; an eject that needs ``{}``; a
connection that was idle is reset; registries only in gzip, else 406; no AccountTypes; $expand without ``*``; dates of
year 0000.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

from lab.bmc import AccountRules
from lab.redfish.errors import RedfishError
from lab.redfish.routes import ROOT, Answer, Body, Call, link
from lab.redfish.vendors.oem import OemError
from lab.redfish.vendors.standard import Standard
from lab.redfish.vendors.standard_bios import BiosRow
from lab.redfish.vendors.standard_media import Slot
from lab.redfish.vendors.surface import Found
from lab.redfish.vendors.translated import CHASSIS

if TYPE_CHECKING:
    from lab.bmc import Account
    from lab.gpu import Gpu
    from lab.machine import BootOption
    from lab.redfish.service import RedfishBmc

_ENABLED = ("Enabled", "Disabled")
BIOS = "/systems/1/bios"
DEVICES = "/Chassis/1/Devices"
SYSTEM_RESET = "HpeComputerSystemExt.SystemReset"


class Hpe(Standard):
    name = "hpe"
    session_timeout_s = 30
    expand_levels = 1
    expand_all = False
    idle_reset_s = 1.0

    root_vendor = "HPE"
    root_product = "ProLiant DL385 Gen10 Plus v2"
    root_type = "ServiceRoot.v1_5_1.ServiceRoot"
    redfish_version = "1.6.0"
    root_collections = ()

    system_id, manager_id, chassis_id = "1", "1", "1"
    nic_id, manager_nic_id = "1", "1"
    cpu_id = "{}"
    manufacturer, model = "HPE", "ProLiant DL385 Gen10 Plus v2"
    bios_version, manager_firmware, manager_model = "A42 v2.60 (08/11/2022)", "iLO 5 v2.72", "iLO 5"
    system_type = "ComputerSystem.v1_13_0.ComputerSystem"
    manager_type = "Manager.v1_5_1.Manager"
    chassis_type = "Chassis.v1_11_2.Chassis"
    chassis_links = ("Power", "Thermal")

    reset_types = (
        "On",
        "ForceOff",
        "GracefulShutdown",
        "ForceRestart",
        "Nmi",
        "PushPowerButton",
        "GracefulRestart",
    )
    manager_reset_types = ("ForceRestart", "GracefulRestart")
    boot_targets = (
        "None",
        "Cd",
        "Hdd",
        "Usb",
        "SDCard",
        "Utilities",
        "Diags",
        "BiosSetup",
        "Pxe",
        "UefiShell",
        "UefiHttp",
        "UefiTarget",
    )
    boot_option_lacks = (*Standard.boot_option_lacks, "BootOptionEnabled", "Description")

    bios_registry = "BiosAttributeRegistryA42.v1_2_60"
    bios_settings = "settings"
    bios_type = "Bios.v1_0_4.Bios"
    bios: Mapping[str, BiosRow] = {
        "AmdDmaRemapping": ("Disabled", _ENABLED),
        "ApplicationPowerBoost": ("Enabled", _ENABLED),
        "AutoPowerOn": ("RestoreLastState", ("AlwaysPowerOn", "AlwaysPowerOff", "RestoreLastState")),
        "BootMode": ("Uefi", ("Uefi", "LegacyBios")),
        "BootOrderPolicy": ("RetryIndefinitely", ("AttemptOnce", "RetryIndefinitely", "ResetAfterFailed")),
        "HttpSupport": ("Auto", ("Auto", "HttpsOnly", "HttpOnly", "Disabled")),
        "NetworkBootRetry": ("Enabled", _ENABLED),
        "PowerRegulator": ("OsControl", ("DynamicPowerSavings", "StaticLowPower", "StaticHighPerf", "OsControl")),
        "ProcAMDBoost": ("Enabled", _ENABLED),
        "ProcSMT": ("Enabled", _ENABLED),
        "SecureBootStatus": ("Disabled", _ENABLED),
        "Slot1NicBoot1": ("NetworkBoot", ("NetworkBoot", "Disabled")),
        "Sriov": ("Enabled", _ENABLED),
        "Tpm2Operation": ("NoAction", ("NoAction", "Clear")),
        "UrlBootFile": ("", None),
    }
    bios_orders: Mapping[str, object] = {"Tpm2Operation": "NoAction"}
    wanted_bios: Mapping[str, object] = {"ProcAMDBoost": "Enabled", "Sriov": "Enabled"}

    etag = "weak"
    needs_if_match = True
    rules = AccountRules(threshold=0, lockout_s=0, min_password=8, max_password=39, slots=12, first_id=1)
    account_type = "ManagerAccount.v1_3_0.ManagerAccount"
    account_service_type = "AccountService.v1_5_0.AccountService"
    account_types = None
    account_writable = ("Password", "RoleId", "UserName", "Oem")

    media = (Slot("1", "USB1", ("Floppy", "USBStick")), Slot("2", "CD1", ("CD", "DVD")))
    media_places = ("Managers",)
    media_type = "VirtualMedia.v1_3_0.VirtualMedia"

    event_service_lacks = (*Standard.event_service_lacks, "EventFormatTypes")
    log_place, log_id = "Systems", "IML"
    log_type = "LogEntry.v1_11_0.LogEntry"
    log_lacks = ("Description", "LogEntryType", "MaxNumberOfRecords")
    odd_date = "0000-00-00T00:00:00Z"

    def __init__(self) -> None:
        super().__init__()
        self.bios_base = BIOS

    def register_more(self) -> None:
        at = self.routes
        at.post(f"{self.bios_base}/settings/Actions/Bios.ResetBios")(self.reset_bios)
        at.post(f"{self.system_path}/Actions/Oem/Hpe/{SYSTEM_RESET}")(self.oem_reset)
        at.get(f"{self.system_path}/PCIDevices")(self.pci_devices)
        at.get(DEVICES)(
            lambda bmc: self.collection(DEVICES, "HpeServerDevice", [f"{DEVICES}/{id}" for id in self.cards(bmc)])
        )
        at.get(f"{DEVICES}/{{id}}")(self.card)
        licences = f"{self.manager_path}/LicenseService"
        at.get(licences)(lambda bmc: self.collection(licences, "HpeiLOLicense", [f"{licences}/1"]))
        at.get(f"{licences}/1")(
            lambda bmc: self.body(
                f"{licences}/1",
                "HpeiLOLicense.v2_3_0.HpeiLOLicense",
                Id="1",
                License=self.licence(bmc),
                LicenseKey="XXXXX-XXXXX-XXXXX-XXXXX-XXXXX",
                LicenseType="Perpetual",
                Name="iLO License",
            )
        )
        iel = f"{self.manager_path}/LogServices/IEL"
        at.get(iel)(
            lambda bmc: self.body(
                iel, "LogService.v1_1_0.LogService", Entries=link(f"{iel}/Entries"), Id="IEL", Name="iLO Event Log"
            )
        )
        at.get(f"{iel}/Entries")(partial(self.empty, f"{iel}/Entries", "LogEntry"))
        self.hidden = (*self.hidden, f"{CHASSIS}/Sensors", f"{CHASSIS}/ThermalSubsystem", "/TelemetryService")

    def find(self, bmc: RedfishBmc, path: str) -> Found:
        """Systems/1/Bios is there as well, but links name the path in lower case."""
        lower = path.lower()
        if lower == ROOT + BIOS or lower.startswith(f"{ROOT}{BIOS}/"):
            path = f"{ROOT}/Systems/1/Bios{path[len(ROOT + BIOS) :]}"
        return super().find(bmc, path)

    # --- success and errors: no texts

    def error_body(self, error: RedfishError) -> Body:
        body = error.body()
        return _extended(
            [
                {"MessageArgs": info["MessageArgs"], "MessageId": info["MessageId"]}
                if info["MessageArgs"]
                else {"MessageId": info["MessageId"]}
                for info in body["error"]["@Message.ExtendedInfo"]
            ]
        )

    def finished(self, method: str, answer: Answer) -> Answer:
        if answer.status == 204:
            return Answer(200, _extended([{"MessageId": "Base.1.4.Success"}]), answer.headers)
        return answer

    # --- root and system

    def oem_root(self, bmc: RedfishBmc) -> Body:
        return {
            "Hpe": {
                "@odata.context": f"{ROOT}/$metadata#HpeiLOServiceExt.HpeiLOServiceExt",
                "@odata.type": "#HpeiLOServiceExt.v2_4_0.HpeiLOServiceExt",
                "Manager": [
                    {
                        "HostName": f"ILO{bmc.machine.serial_number}",
                        "ManagerFirmwareVersion": "2.72",
                        "ManagerType": "iLO 5",
                        "Status": {"Health": "OK"},
                    }
                ],
                "Moniker": {"PRODGEN": "iLO 5", "PRODNAM": "Integrated Lights-Out 5", "VENDABR": "HPE"},
            }
        }

    def sku(self, bmc: RedfishBmc) -> str:
        return "P38411-B21"

    def system(self, bmc: RedfishBmc) -> Body:
        body = super().system(bmc)
        body["Bios"] = link(BIOS)
        body["MemorySummary"]["Status"] = {"HealthRollup": "OK"}
        body["ProcessorSummary"]["Status"] = {"HealthRollup": "OK"}
        body["Oem"] = {
            "Hpe": {
                "@odata.type": "#HpeComputerSystemExt.v2_12_0.HpeComputerSystemExt",
                "Actions": {
                    f"#{SYSTEM_RESET}": {
                        "ResetType@Redfish.AllowableValues": ["ColdBoot", "AuxCycle"],
                        "target": f"{ROOT}{self.system_path}/Actions/Oem/Hpe/{SYSTEM_RESET}",
                    }
                },
                "Links": {"PCIDevices": [link(f"{self.system_path}/PCIDevices")]},
                "PostState": self.post_state(bmc),
            }
        }
        return body

    def post_state(self, bmc: RedfishBmc) -> str:
        if bmc.machine.power == "Off":
            return "PowerOff"
        return "InPost" if bmc.machine.in_post else "FinishedPost"

    def not_in_post(self, bmc: RedfishBmc) -> None:
        """Raises RedfishError 400 while the host is in POST."""
        if bmc.machine.in_post:
            raise OemError("iLO.2.14.UnableToModifyDuringSystemPOST", "", 400)

    def change_boot(self, call: Call, boot: Body) -> None:
        self.not_in_post(call.bmc)
        super().change_boot(call, boot)

    def boot_option_id(self, bmc: RedfishBmc, option: BootOption) -> str:
        return str(bmc.machine.boot_options.index(option) + 1)

    def boot_option_name(self, bmc: RedfishBmc, option: BootOption) -> str:
        network = {"pxe": "PXE IPv4", "http": "HTTP(S) IPv4"}.get(option.device)
        card = f"Slot 1 Port 1 : Nvidia Network Adapter - {bmc.machine.mac.upper()}"
        return f"{card} ({network})" if network else "ubuntu - NVMe Drive Port 7A Box 2 Bay 5"

    def refused_power(self, kind: str, power: str) -> Answer | None:
        raise OemError("iLO.2.14.InvalidOperationForSystemState", "", 400)

    async def oem_reset(self, call: Call) -> Answer:
        """AuxCycle takes the standby power as well, so that the BMC goes too."""
        (kind,) = call.require(SYSTEM_RESET, "ResetType")
        if kind not in ("ColdBoot", "AuxCycle"):
            raise RedfishError("ActionParameterValueNotInList", str(kind), "ResetType", SYSTEM_RESET)
        if kind == "AuxCycle":
            self.ac_cycle(call.bmc)
        else:
            call.bmc.go_on(call.bmc.machine.power_action("cycle", by="redfish"))
        return Answer()

    # --- BIOS

    def settings(self, path: str) -> Body:
        if path.lower().endswith("/settings"):
            path = f"{BIOS}/settings/"
        return {"@odata.type": "#Settings.v1_0_0.Settings", "SettingsObject": link(path)}

    def current_bios(self, bmc: RedfishBmc) -> Body:
        body = super().current_bios(bmc)
        body["@odata.id"] = f"{ROOT}{BIOS}/"
        body["Actions"] = {"#Bios.ResetBios": {"target": f"{ROOT}{BIOS}/settings/Actions/Bios.ResetBios/"}}
        return {**body, "Id": "bios"}

    def pending_bios(self, bmc: RedfishBmc) -> Body:
        return {**super().pending_bios(bmc), "@odata.id": f"{ROOT}{BIOS}/settings/", "Id": "settings"}

    async def change_bios(self, call: Call) -> Answer:
        self.not_in_post(call.bmc)
        await super().change_bios(call)
        return Answer(200, _extended([{"MessageId": "iLO.2.14.SystemResetRequired"}]))

    only_gzip = ("/registrystore/",)

    @property
    def registry_path(self) -> str:
        return f"/registrystore/registries/en/{self.bios_registry.lower()}"

    # --- manager, chassis

    def licence(self, bmc: RedfishBmc) -> str:
        return "iLO Advanced"

    def manager(self, bmc: RedfishBmc) -> Body:
        body = super().manager(bmc)
        del body["PowerState"]
        body["Oem"] = {
            "Hpe": {
                "@odata.type": "#HpeiLO.v2_8_1.HpeiLO",
                "License": {"LicenseString": self.licence(bmc), "LicenseType": "Perpetual"},
                "Links": {"LicenseService": link(f"{self.manager_path}/LicenseService")},
            }
        }
        return body

    def log_services(self, bmc: RedfishBmc, place: str) -> Body:
        if place == "Managers":
            path = f"{self.manager_path}/LogServices"
            return self.collection(path, "LogService", [f"{path}/IEL"])
        return super().log_services(bmc, place)

    def chassis(self, bmc: RedfishBmc) -> Body:
        body = super().chassis(bmc)
        body["AssetTag"] = ""
        del body["Status"]["HealthRollup"]
        body["Oem"] = {
            "Hpe": {
                "@odata.type": "#HpeServerChassis.v2_3_1.HpeServerChassis",
                "Links": {"Devices": link(DEVICES)},
            }
        }
        return body

    # --- media and accounts

    def medium(self, bmc: RedfishBmc, id: str, *, base: str) -> Body | None:
        body = super().medium(bmc, id, base=base)
        if body is None:
            return None
        image = body.pop("Image") or ""
        for name in ("ImageName", "UserName"):
            del body[name]
        return {**body, "Image": image, "WriteProtected": True, "Oem": {"Hpe": {"BootOnNextServerReset": False}}}

    async def eject(self, call: Call, id: str, *, base: str) -> Answer:
        """An eject without a body is no JSON; one without a medium is refused."""
        if call.empty:
            raise RedfishError("MalformedJSON")
        if not call.bmc.state.media[self.slot(id).of].inserted:
            raise OemError("iLO.2.14.NoVirtualMediaConnectionAvailable", "", 400)
        return await super().eject(call, id, base=base)

    insert_properties = ("Image", "Inserted", "WriteProtected")

    def account_service(self, bmc: RedfishBmc) -> Body:
        body = super().account_service(bmc)
        lacks = ("AccountLockoutCounterResetAfter", "AccountLockoutDuration", "AccountLockoutThreshold")
        for name in (*lacks, "MaxPasswordLength", "ServiceEnabled", "Status"):
            del body[name]
        body["Oem"] = {
            "Hpe": {
                "@odata.type": "#HpeiLOAccountService.v2_3_0.HpeiLOAccountService",
                "AuthFailureDelayTimeSeconds": 10,
                "AuthFailuresBeforeDelay": 1,
                "MinPasswordLength": 8,
            }
        }
        return body

    def account_body(self, bmc: RedfishBmc, account: Account) -> Body:
        body = super().account_body(bmc, account)
        del body["Enabled"], body["Locked"]
        body["Oem"] = {
            "Hpe": {
                "@odata.type": "#HpeiLOAccount.v2_2_0.HpeiLOAccount",
                "LoginName": account.username,
                "ServiceAccount": False,
            }
        }
        return body

    # --- GPUs

    def gpu_processor_id(self, gpu: Gpu) -> str | None:
        return None

    def gpu_pcie_id(self, gpu: Gpu) -> str | None:
        return str(221 + gpu.number)

    def gpu_pcie_device(self, bmc: RedfishBmc, id: str) -> Body | None:
        """The name of a card is in Name; Model is its part number."""
        body = super().gpu_pcie_device(bmc, id)
        if body is None:
            return None
        del body["DeviceType"]
        return {**body, "Name": body["Model"], "Model": body["PartNumber"], "SKU": body["PartNumber"]}

    def cards(self, bmc: RedfishBmc) -> dict[str, Body]:
        """What is in a slot or on the board, by its Id: they are counted through.

        HPE, iLO 5 resource definitions, HpeServerDevice: DeviceType is GPU, LOM/NIC, ... or Unknown.
        """
        nic = _card("LOM/NIC", "ConnectX-6 100GE 1P NIC", "Mellanox", "PCI-E Slot 1", "P24251-001", "", "20.29.1016")
        video = _card("Unknown", "Embedded Video Controller", "", "Embedded Device", "", "", "2.5")
        gpus = [
            _card(
                "GPU",
                self.gpu_model,
                "NVIDIA",
                f"PCI-E Slot {10 + gpu.number}",
                gpu.part_number,
                gpu.serial_number,
                gpu.firmware_version,
            )
            for gpu in bmc.machine.present_gpus
        ]
        return {str(n): card for n, card in enumerate([nic, *gpus, video], 1)}

    def card(self, bmc: RedfishBmc, id: str) -> Body | None:
        found = self.cards(bmc).get(id)
        if found is None:
            return None
        return self.body(f"{DEVICES}/{id}", "HpeServerDevice.v2_1_0.HpeServerDevice", Id=id, **found)

    def pci_devices(self, bmc: RedfishBmc) -> Body:
        return self.collection(f"{self.system_path}/PCIDevices", "HpeServerPciDevice", [])


def _card(type_: str, name: str, maker: str, location: str, part: str, serial: str, version: str) -> Body:
    return {
        "DeviceInstances": [],
        "DeviceType": type_,
        "FirmwareVersion": {"Current": {"VersionString": version}},
        "Location": location,
        "MCTPProtocolDisabled": False,
        "Manufacturer": maker,
        "Name": name,
        "PartNumber": part,
        "ProductPartNumber": part,
        "ProductVersion": "",
        "SerialNumber": f"{serial:15}",  # filled up with blanks
        "Status": {"Health": "OK", "State": "Enabled"},
    }


def _extended(infos: list[Body]) -> Body:
    return {
        "error": {
            "@Message.ExtendedInfo": infos,
            "code": "iLO.0.10.ExtendedInfo",
            "message": "See @Message.ExtendedInfo for more information.",
        }
    }


def make() -> Standard:
    return Hpe()
