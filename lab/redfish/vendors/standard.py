"""A BMC by the specification (DSP0266, DSP0268), and the data by which a vendor's differs from it.

Resources that vendors shape in their own way are built from the class's data: root, host, power, manager, chassis, logs
and GPUs here; accounts, BIOS and media in files of their own. Whatever else there is comes from the tree all share.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from lab.bmc import VirtualMedia
from lab.machine import BootOption, PowerAction
from lab.redfish.errors import RedfishError
from lab.redfish.managers import restart, restart_bmc
from lab.redfish.root import bmc_uuid
from lab.redfish.routes import ROOT, Answer, Body, Call, link
from lab.redfish.systems import LED_STATES
from lab.redfish.vendors.standard_accounts import StandardAccounts
from lab.redfish.vendors.standard_bios import StandardBios
from lab.redfish.vendors.standard_media import StandardMedia
from lab.redfish.vendors.translated import CHASSIS, MANAGER, SYSTEM

if TYPE_CHECKING:
    from lab.gpu import Gpu
    from lab.redfish.service import RedfishBmc

OK = {"Health": "OK", "State": "Enabled"}
POWER: dict[str, PowerAction] = {
    "On": "on",
    "ForceOn": "on",
    "ForceOff": "off",
    "GracefulShutdown": "soft",
    "GracefulRestart": "reset",
    "ForceRestart": "reset",
    "PowerCycle": "cycle",
}
TARGETS = ("None", "Pxe", "Cd", "Usb", "Hdd", "BiosSetup", "UefiTarget", "UefiHttp")
MAINS_AWAY_S = 1.5  # even where the lab's delays are none: a BMC without mains is seen to be away
SEL, NIC = f"{MANAGER}/LogServices/SEL", f"{SYSTEM}/EthernetInterfaces/EthernetInterface4"
MANAGER_NIC, CPUS = f"{MANAGER}/EthernetInterfaces/eth0", f"{SYSTEM}/Processors/DevType1_CPU"
NOT_ELSEWHERE = (f"{SYSTEM}/SD", f"{SYSTEM}/Bios", f"{SYSTEM}/ResetActionInfo", f"{MANAGER}/ResetActionInfo")


class Standard(StandardAccounts, StandardBios, StandardMedia):
    """See the module. Every class attribute is something that vendors differ in."""

    name = "generic"
    session_timeout_s: float = 1800
    max_sessions = 16
    login_refuses_basic = True
    expand_levels = 1
    expand_loses: tuple[str, ...] = ()
    page = 1000

    # the root
    root_vendor: str | None = "Contoso"  # the name the specification's own examples use
    root_product = "Contoso BMC"
    root_type = "ServiceRoot.v1_15_0.ServiceRoot"
    redfish_version = "1.17.0"
    root_oem: Mapping[str, object] = {}
    root_collections: tuple[str, ...] = ("TelemetryService",)
    root_uuid = True

    # what is what
    nic_id, manager_nic_id = "1", "1"
    cpu_id = "CPU{}"  # counted from cpu_first
    cpu_first = 1
    manufacturer, model = "Contoso", "GPU Server 8"
    bios_version, manager_firmware, manager_model = "2.1", "1.00", "BMC"
    system_type = "ComputerSystem.v1_20_0.ComputerSystem"
    manager_type = "Manager.v1_18_0.Manager"
    chassis_type = "Chassis.v1_23_0.Chassis"
    system_settings: str | None = None  # last segment of the system's settings object
    system_links: tuple[str, ...] = ("EthernetInterfaces", "Memory", "Processors", "Storage", "SecureBoot")
    manager_links: tuple[str, ...] = ("EthernetInterfaces", "LogServices", "NetworkProtocol")
    chassis_links: tuple[str, ...] = ("Power", "Sensors", "Thermal", "ThermalSubsystem")

    # power
    reset_types: tuple[str, ...] = (
        "On",
        "ForceOff",
        "GracefulShutdown",
        "GracefulRestart",
        "ForceRestart",
        "PowerCycle",
    )
    reset_in_action_info = False
    chassis_reset_types: tuple[str, ...] = ()
    manager_reset_types: tuple[str, ...] = ("GracefulRestart", "ForceRestart")
    manager_reset_in_action_info = False

    # boot
    boot_targets: tuple[str, ...] = TARGETS
    boot_modes: tuple[str, ...] = ("UEFI", "Legacy")
    boot_continuous = True
    boot_option_lacks: tuple[str, ...] = ("Alias", "RelatedItem@odata.count")
    boot_mode_shown: str | None = "UEFI"  # while no override is set

    # ETags
    etag = "strong"  # strong, weak, header (only there), none
    needs_if_match = False

    # logs
    log_place = "Managers"  # or Systems
    log_id = "SEL"
    log_lacks: tuple[str, ...] = ()
    system_logs = True
    log_type = "LogEntry.v1_15_0.LogEntry"
    odd_date: str | None = None  # what the first entry's Created says, whenever it was

    gpu_model = "NVIDIA H100 80GB HBM3"

    # sessions and events
    session_service_lacks: tuple[str, ...] = ()
    event_service_lacks: tuple[str, ...] = ("SubordinateResourcesSupported",)
    event_stream: str | None = None
    empty_collections: tuple[tuple[str, str], ...] = ()  # path and kind of collections without members

    # --- what the service asks

    def furnish(self, bmc: RedfishBmc) -> None:
        state = bmc.state
        state.bios = {name: default for name, (default, _) in self.bios.items()}
        state.bios_orders = dict(self.bios_orders)
        state.accounts.obey(self.rules)
        for slot in self.media:
            state.media.setdefault(slot.of, VirtualMedia(slot.of))

    def tag(self, body: Body, digest: str, stamp: int) -> tuple[Body, str | None]:
        if "@odata.etag" not in body:
            return body, None
        strong = f'"{digest[:8].upper()}"'
        tag = {"strong": strong, "weak": "W/" + strong, "header": strong, "none": None}[self.etag]
        if self.etag in ("strong", "weak"):
            body["@odata.etag"] = tag
        else:
            del body["@odata.etag"]
        return body, tag

    def check_precondition(self, path: str, given: str | None, etag: str | None) -> None:
        """A tag that is given has to fit; W/ before it makes no difference."""
        if given is None:
            if self.needs_if_match and etag is not None:
                raise RedfishError("PreconditionRequired")
            return
        known = None if etag is None else etag.removeprefix("W/")
        if given != "*" and known not in [tag.strip().removeprefix("W/") for tag in given.split(",")]:
            raise RedfishError("PreconditionFailed")

    # --- routes

    def register(self) -> None:
        at = self.routes
        system, manager, chassis = self.system_path, self.manager_path, self.chassis_path
        log = f"{manager if self.log_place == 'Managers' else system}/LogServices/{self.log_id}"
        self.moved = [
            (log, SEL),
            (f"{system}/EthernetInterfaces/{self.nic_id}", NIC),
            (f"{manager}/EthernetInterfaces/{self.manager_nic_id}", MANAGER_NIC),
            *((f"{system}/Processors/{self.cpu_id.format(self.cpu_first + n)}", f"{CPUS}{n}") for n in range(2)),
            *self.moved,
        ]
        self.hidden = (*self.hidden, *NOT_ELSEWHERE)
        at.get("/")(self.root)
        at.get("/Systems")(lambda bmc: self.collection("/Systems", "ComputerSystem", self.system_paths(bmc)))
        at.get("/Managers")(lambda bmc: self.collection("/Managers", "Manager", self.manager_paths(bmc)))
        at.get("/Chassis")(lambda bmc: self.collection("/Chassis", "Chassis", self.chassis_paths(bmc)))
        at.get(system)(self.system)
        at.patch(system)(self.change_system)
        at.post(f"{system}/Actions/ComputerSystem.Reset")(self.reset)
        if self.reset_in_action_info:
            at.get(f"{system}/ResetActionInfo")(
                lambda bmc: self.action_info(f"{system}/ResetActionInfo", self.reset_types)
            )
        if self.system_settings:
            at.get(f"{system}/{self.system_settings}")(self.settings_of_system)
            at.patch(f"{system}/{self.system_settings}")(self.change_system)
        at.get(f"{system}/BootOptions")(self.boot_options)
        at.get(f"{system}/BootOptions/{{id}}")(self.boot_option)
        at.get(f"{system}/Processors")(self.processors)
        at.get(f"{system}/Processors/{{id}}")(self.gpu_processor)
        self.register_bios()
        at.get(manager)(self.manager)
        at.post(f"{manager}/Actions/Manager.Reset")(self.reset_manager)
        if self.manager_reset_in_action_info:
            at.get(f"{manager}/ResetActionInfo")(
                lambda bmc: self.action_info(f"{manager}/ResetActionInfo", self.manager_reset_types)
            )
        at.get(chassis)(self.chassis)
        if self.chassis_reset_types:
            at.post(f"{chassis}/Actions/Chassis.Reset")(self.reset_chassis)
        at.get(f"{chassis}/Power")(self.power)
        at.get(f"{chassis}/PCIeDevices")(self.pcie_devices)
        at.get(f"{chassis}/PCIeDevices/{{id}}")(self.gpu_pcie_device)
        at.get(f"{manager}/LogServices")(lambda bmc: self.log_services(bmc, "Managers"))
        if self.system_logs:
            at.get(f"{system}/LogServices")(lambda bmc: self.log_services(bmc, "Systems"))
        else:
            self.hidden = (*self.hidden, f"{SYSTEM}/LogServices")
        at.get(log)(self.log)
        at.get(f"{log}/Entries")(self.log_entries)
        self.register_media()
        self.register_accounts()
        at.get("/EventService")(self.event_service)
        at.get("/SessionService")(self.session_service)
        for path, kind in self.empty_collections:
            at.get(path)(partial(self.empty, path, kind))
        self.register_more()

    def empty(self, path: str, kind: str, bmc: RedfishBmc) -> Body:
        return self.collection(path, kind, [])

    def register_licences(
        self,
        name: str,
        ids: Callable[[RedfishBmc], Sequence[str]],
        licence: Callable[[RedfishBmc, str], Body | None],
    ) -> None:
        """DMTF's LicenseService, for those who have it."""
        at, service = self.routes, "/LicenseService"
        licences = f"{service}/Licenses"
        at.get(service)(
            lambda bmc: self.body(
                service,
                "LicenseService.v1_1_0.LicenseService",
                Id="LicenseService",
                Licenses=link(licences),
                Name=name,
                ServiceEnabled=True,
            )
        )
        at.get(licences)(lambda bmc: self.collection(licences, "License", [f"{licences}/{id}" for id in ids(bmc)]))
        at.get(f"{licences}/{{id}}")(licence)

    def register_more(self) -> None:
        """What only this vendor has."""

    def action_info(self, path: str, types: tuple[str, ...]) -> Body:
        return self.body(
            path,
            "ActionInfo.v1_1_2.ActionInfo",
            Id="ResetActionInfo",
            Name="Reset Action Info",
            Parameters=[{"AllowableValues": list(types), "DataType": "String", "Name": "ResetType", "Required": True}],
        )

    def reset_action(self, path: str, name: str, types: tuple[str, ...], in_action_info: bool) -> Body:
        target = {"target": f"{ROOT}{path}/Actions/{name}"}
        if in_action_info:
            return {f"#{name}": {**target, "@Redfish.ActionInfo": f"{ROOT}{path}/ResetActionInfo"}}
        return {f"#{name}": {**target, "ResetType@Redfish.AllowableValues": list(types)}}

    # --- root and collections

    def root(self, bmc: RedfishBmc) -> Body:
        services = ("AccountService", "Chassis", "EventService", "Managers", "Registries", "SessionService", "Systems")
        body = self.body(
            "",
            self.root_type,
            **self.links("", (*services, "UpdateService", *self.root_collections)),
            Id="RootService",
            Links={"Sessions": link("/SessionService/Sessions")},
            Name="Root Service",
            Product=self.root_product,
            ProtocolFeaturesSupported={
                "ExpandQuery": {
                    "ExpandAll": self.expand_all,
                    "Levels": True,
                    "Links": self.expand_all,
                    "MaxLevels": self.expand_levels,
                    "NoLinks": True,
                },
                "FilterQuery": True,
                "OnlyMemberQuery": True,
                "SelectQuery": True,
            },
            RedfishVersion=self.redfish_version,
            Tasks=link("/TaskService"),
        )
        if self.root_uuid:
            body["UUID"] = bmc_uuid(bmc)
        if self.root_vendor:
            body["Vendor"] = self.root_vendor
        if oem := self.oem_root(bmc):
            body["Oem"] = oem
        return body

    def oem_root(self, bmc: RedfishBmc) -> Body:
        return dict(self.root_oem)

    def system_paths(self, bmc: RedfishBmc) -> list[str]:
        return [self.system_path]

    def manager_paths(self, bmc: RedfishBmc) -> list[str]:
        return [self.manager_path]

    def chassis_paths(self, bmc: RedfishBmc) -> list[str]:
        return [self.chassis_path]

    # --- the host

    def system(self, bmc: RedfishBmc) -> Body:
        machine = bmc.machine
        path = self.system_path
        body = self.body(
            path,
            self.system_type,
            Actions=self.reset_action(path, "ComputerSystem.Reset", self.reset_types, self.reset_in_action_info),
            AssetTag=bmc.asset_tag,
            Bios=link(self.bios_base),
            BiosVersion=self.bios_version,
            Boot=self.boot(bmc),
            **self.links(path, self.system_links),
            HostName="",
            Id=self.system_id,
            IndicatorLED=bmc.indicator_led,
            Links={"Chassis": [link(self.chassis_path)], "ManagedBy": [link(self.manager_path)]},
            **({"LogServices": link(f"{path}/LogServices")} if self.system_logs else {}),
            Manufacturer=self.manufacturer,
            MemorySummary={"Status": dict(OK), "TotalSystemMemoryGiB": 2048},
            Model=self.model,
            Name="System",
            PowerState=machine.power,
            ProcessorSummary={"Count": 2, "Model": "Intel(R) Xeon(R) Platinum 8480C", "Status": dict(OK)},
            SerialNumber=machine.serial_number,
            SKU=self.sku(bmc),
            Status={**OK, "HealthRollup": "OK"},
            SystemType="Physical",
            TrustedModules=[{"FirmwareVersion": "7.2.2.0", "InterfaceType": "TPM2_0", "Status": {"State": "Enabled"}}],
            UUID=str(uuid.uuid5(uuid.NAMESPACE_OID, f"system/{machine.serial_number}")),
        )
        if "Systems" in self.media_places:
            body["VirtualMedia"] = link(f"{path}/VirtualMedia")
        if self.system_settings:
            body["@Redfish.Settings"] = self.settings(f"{path}/{self.system_settings}")
        return body

    def sku(self, bmc: RedfishBmc) -> str:
        return f"SKU-{bmc.machine.config.number:04d}"

    def boot(self, bmc: RedfishBmc) -> Body:
        override = bmc.state.override
        return {
            "BootOptions": link(f"{self.system_path}/BootOptions"),
            "BootOrder": list(bmc.state.boot_order_pending or bmc.machine.boot_order),
            "BootSourceOverrideEnabled": override.enabled,
            "BootSourceOverrideMode": override.mode or self.boot_mode_shown,
            "BootSourceOverrideTarget": override.target,
            "BootSourceOverrideTarget@Redfish.AllowableValues": list(self.allowed_targets(bmc)),
            "UefiTargetBootSourceOverride": bmc.oem.get("uefi_target"),
        }

    def allowed_targets(self, bmc: RedfishBmc) -> tuple[str, ...]:
        return self.boot_targets

    def settings_of_system(self, bmc: RedfishBmc) -> Body:
        return self.body(
            f"{self.system_path}/{self.system_settings}",
            self.system_type,
            Boot=self.boot(bmc),
            Id=self.system_id,
            Name="System",
        )

    async def change_system(self, call: Call) -> Answer:
        for name, value in call.body.items():
            if name == "AssetTag" and isinstance(value, str):
                call.bmc.asset_tag = value
            elif name == "IndicatorLED" and value in LED_STATES:
                call.bmc.indicator_led = value
            elif name == "Boot" and isinstance(value, dict):
                self.change_boot(call, value)
            elif name in ("AssetTag", "IndicatorLED", "Boot"):
                raise RedfishError("PropertyValueNotInList", str(value), name)
            elif name != "@Redfish.SettingsApplyTime":
                raise RedfishError("PropertyNotWritable", name)
        return Answer()

    def change_boot(self, call: Call, boot: Body) -> None:
        """Take over a boot override and a boot order. Whatever is not named stays."""
        bmc = call.bmc
        known = ("BootOrder", "UefiTargetBootSourceOverride", "HttpBootUri")
        for name in boot:
            if name not in known and not name.startswith("BootSourceOverride"):
                raise RedfishError("PropertyUnknown", name)
        allowed = {
            "BootSourceOverrideEnabled": ("Disabled", "Once", *(("Continuous",) if self.boot_continuous else ())),
            "BootSourceOverrideMode": self.boot_modes,
            "BootSourceOverrideTarget": self.allowed_targets(bmc),
        }
        for name, values in allowed.items():
            if name in boot and boot[name] not in values:
                raise RedfishError("PropertyValueNotInList", str(boot[name]), name)
        if "BootOrder" in boot:
            bmc.state.boot_order_pending = self.checked_order(bmc, boot["BootOrder"])
        if "UefiTargetBootSourceOverride" in boot:
            bmc.oem["uefi_target"] = boot["UefiTargetBootSourceOverride"]
        override = bmc.state.override
        target = boot.get("BootSourceOverrideTarget", override.target)
        # whoever names a target without more wants it once
        default = "Once" if "BootSourceOverrideTarget" in boot else override.enabled
        enabled = boot.get("BootSourceOverrideEnabled", default)
        if enabled == "Disabled" or target == "None":
            override.clear()
        else:
            override.target, override.enabled = target, enabled
            override.mode = boot.get("BootSourceOverrideMode", override.mode or "UEFI")

    def checked_order(self, bmc: RedfishBmc, order: Any) -> list[str]:
        known = [option.reference for option in bmc.machine.boot_options]
        if not isinstance(order, list) or sorted(map(str, order)) != sorted(known):
            raise RedfishError("PropertyValueFormatError", str(order), "BootOrder")
        return [str(reference) for reference in order]

    def boot_option_id(self, bmc: RedfishBmc, option: BootOption) -> str:
        return option.reference

    def boot_option_name(self, bmc: RedfishBmc, option: BootOption) -> str:
        return self.reworded(option.name)

    def boot_options(self, bmc: RedfishBmc) -> Body:
        path = f"{self.system_path}/BootOptions"
        return self.collection(
            path, "BootOption", [f"{path}/{self.boot_option_id(bmc, option)}" for option in bmc.machine.boot_options]
        )

    def boot_option(self, bmc: RedfishBmc, id: str) -> Body | None:
        options = bmc.machine.boot_options
        option = next((option for option in options if self.boot_option_id(bmc, option) == id), None)
        if option is None:
            return None
        body = self.shared(bmc, f"{SYSTEM}/BootOptions/{option.reference[4:]}")
        body = {name: value for name, value in body.items() if name not in self.boot_option_lacks}
        body["DisplayName"] = self.boot_option_name(bmc, option)
        if "Description" in body:
            body["Description"] = body["DisplayName"]
        if option.device == "hdd":
            body["UefiDevicePath"] = (
                "HD(1,GPT,CF602B39-81CD-48E5-9A8F-A75F0935F0DF,0x800,0x219800)/\\EFI\\ubuntu\\shimx64.efi"
            )
        return {**body, "@odata.id": f"{ROOT}{self.system_path}/BootOptions/{id}", "Id": id}

    # --- power

    async def reset(self, call: Call) -> Answer:
        return self.power_order(call, "ComputerSystem.Reset", self.reset_types)

    async def reset_chassis(self, call: Call) -> Answer:
        return self.power_order(call, "Chassis.Reset", self.chassis_reset_types)

    def power_order(self, call: Call, action: str, types: tuple[str, ...]) -> Answer:
        (kind,) = call.require(action, "ResetType")
        if kind not in types:
            raise RedfishError("ActionParameterValueNotInList", str(kind), "ResetType", action)
        machine = call.bmc.machine
        if kind == "Nmi":
            machine.world.log.add(machine.name, "machine", "nmi", by="redfish")
            return Answer()
        order: PowerAction = POWER.get(kind) or ("soft" if machine.power == "On" else "on")  # PushPowerButton
        already = machine.power == ("On" if order == "on" else "Off")
        if already and (refused := self.refused_power(kind, machine.power)) is not None:
            return refused
        if order in ("cycle", "reset") and machine.power == "Off":
            return Answer()
        call.bmc.go_on(machine.power_action(order, by="redfish"))
        return Answer()

    def refused_power(self, kind: str, power: str) -> Answer | None:
        """What an order is answered to a machine that is in that state already (None: as ever). Or RedfishError."""
        return None

    def ac_cycle(self, bmc: RedfishBmc) -> None:
        """Take the standby power away and give it back: the host starts anew and so does the BMC."""
        machine = bmc.machine
        machine.world.log.add(machine.name, "machine", "power.ac_cycle", by="redfish")

        async def carry_out() -> None:
            await asyncio.sleep(0.05)  # the answer goes out first
            restart(bmc)
            bmc.state.away_until = max(bmc.state.away_until, bmc.clock.elapsed() + MAINS_AWAY_S)
            await machine.power_action("off", by="redfish")
            await bmc.clock.sleep(MAINS_AWAY_S)
            await machine.power_action("on", by="redfish")

        bmc.go_on(carry_out())

    # --- manager and chassis

    def manager(self, bmc: RedfishBmc) -> Body:
        path = self.manager_path
        body = self.body(
            path,
            self.manager_type,
            Actions=self.reset_action(
                path, "Manager.Reset", self.manager_reset_types, self.manager_reset_in_action_info
            ),
            DateTime=bmc.clock.now().isoformat(timespec="seconds"),
            DateTimeLocalOffset="+00:00",
            **self.links(path, self.manager_links),
            FirmwareVersion=self.manager_firmware,
            Id=self.manager_id,
            Links={
                "ManagerForChassis": [link(self.chassis_path)],
                "ManagerForServers": [link(self.system_path)],
                "ManagerInChassis": link(self.chassis_path),
            },
            ManagerType="BMC",
            Model=self.manager_model,
            Name="Manager",
            PowerState="On",
            Status=dict(OK),
            UUID=bmc_uuid(bmc),
        )
        if "Managers" in self.media_places:
            body["VirtualMedia"] = link(f"{path}/VirtualMedia")
        return body

    async def reset_manager(self, call: Call) -> Answer:
        (kind,) = call.require("Manager.Reset", "ResetType")
        if kind not in self.manager_reset_types:
            raise RedfishError("ActionParameterValueNotInList", str(kind), "ResetType", "Manager.Reset")
        call.bmc.go_on(restart_bmc(call.bmc))
        return Answer()

    def chassis(self, bmc: RedfishBmc) -> Body:
        path = self.chassis_path
        body = self.body(
            path,
            self.chassis_type,
            AssetTag=None,
            ChassisType="RackMount",
            **self.links(path, self.chassis_links),
            Id=self.chassis_id,
            IndicatorLED=bmc.indicator_led,
            Links={"ComputerSystems": [link(self.system_path)], "ManagedBy": [link(self.manager_path)]},
            Manufacturer=self.manufacturer,
            Model=self.model,
            Name="Computer System Chassis",
            PCIeDevices=link(f"{path}/PCIeDevices"),
            PowerState=bmc.machine.power,
            SerialNumber=bmc.machine.serial_number,
            SKU=self.sku(bmc),
            Status={**OK, "HealthRollup": "OK"},
        )
        if self.chassis_reset_types:
            body["Actions"] = self.reset_action(path, "Chassis.Reset", self.chassis_reset_types, False)
        return body

    def power(self, bmc: RedfishBmc) -> Body:
        body = self.shared(bmc, f"{CHASSIS}/Power")
        for control in body["PowerControl"]:
            control["PowerConsumedWatts"] = control["PowerMetrics"]["AverageConsumedWatts"]
            control.pop("RelatedItem@odata.count", None)
        return body

    # --- GPUs

    def gpu_processor_id(self, gpu: Gpu) -> str | None:
        """The Id of a GPU among the host's Processors; None: not shown there."""
        return f"GPU{gpu.number}"

    def gpu_pcie_id(self, gpu: Gpu) -> str | None:
        """The Id of a GPU among the chassis's PCIeDevices; None: not shown there."""
        return None

    def processors(self, bmc: RedfishBmc) -> Body:
        path = f"{self.system_path}/Processors"
        ids = [self.cpu_id.format(self.cpu_first + n) for n in range(2)]
        ids += [id for gpu in bmc.machine.present_gpus if (id := self.gpu_processor_id(gpu))]
        return self.collection(path, "Processor", [f"{path}/{id}" for id in ids])

    def gpu_processor(self, bmc: RedfishBmc, id: str) -> Body | None:
        gpu = next((gpu for gpu in bmc.machine.present_gpus if self.gpu_processor_id(gpu) == id), None)
        if gpu is None:
            cpus = [f"{CPUS}{n}" for n in range(2) if self.cpu_id.format(self.cpu_first + n) == id]
            return self.shared(bmc, cpus[0]) if cpus else None
        return self.body(
            f"{self.system_path}/Processors/{id}",
            "Processor.v1_16_0.Processor",
            Id=id,
            Manufacturer="NVIDIA Corporation",
            Model=self.gpu_model,
            Name=id,
            PartNumber=gpu.part_number,
            ProcessorType="GPU",
            SerialNumber=gpu.serial_number,
            Status=dict(OK),
            UUID=str(gpu.uuid),
        )

    def pcie_devices(self, bmc: RedfishBmc) -> Body:
        path = f"{self.chassis_path}/PCIeDevices"
        ids = [id for gpu in bmc.machine.present_gpus if (id := self.gpu_pcie_id(gpu))]
        return self.collection(path, "PCIeDevice", [f"{path}/{id}" for id in ids])

    def gpu_pcie_device(self, bmc: RedfishBmc, id: str) -> Body | None:
        gpu = next((gpu for gpu in bmc.machine.present_gpus if self.gpu_pcie_id(gpu) == id), None)
        if gpu is None:
            return None
        return self.body(
            f"{self.chassis_path}/PCIeDevices/{id}",
            "PCIeDevice.v1_9_0.PCIeDevice",
            DeviceType="SingleFunction",
            FirmwareVersion=gpu.firmware_version,
            Id=id,
            Manufacturer="NVIDIA",
            Model=self.gpu_model,
            Name=f"GPU{gpu.number}",
            PartNumber=gpu.part_number,
            SerialNumber=gpu.serial_number,
            Status=dict(OK),
        )

    # --- logs

    def log_services(self, bmc: RedfishBmc, place: str) -> Body:
        path = self.manager_path if place == "Managers" else self.system_path
        here = [f"{path}/LogServices/{self.log_id}"] if place == self.log_place else []
        return self.collection(f"{path}/LogServices", "LogService", here)

    def log(self, bmc: RedfishBmc) -> Body:
        return {name: value for name, value in self.shared(bmc, SEL).items() if name not in self.log_lacks}

    def log_entries(self, bmc: RedfishBmc) -> Body:
        """The BMC's log. The first entry was written before the BMC had the time, and says so in the vendor's way."""
        body = self.shared(bmc, f"{SEL}/Entries")
        for entry in body["Members"]:
            entry["@odata.type"] = f"#{self.log_type}"
            entry.pop("EventTimestamp", None)
            if self.odd_date and entry["Id"] == "1":
                entry["Created"] = self.odd_date
        return body

    def session_service(self, bmc: RedfishBmc) -> Body:
        body = self.shared(bmc, "/SessionService")
        return {name: value for name, value in body.items() if name not in self.session_service_lacks}

    # --- events

    def event_service(self, bmc: RedfishBmc) -> Body:
        body = self.shared(bmc, "/EventService")
        action = "EventService.SubmitTestEvent"
        body["Actions"] = {f"#{action}": {"target": f"{ROOT}/EventService/Actions/{action}"}}
        for name in self.event_service_lacks:
            body.pop(name, None)
        if self.event_stream:
            body["ServerSentEventUri"] = ROOT + self.event_stream
        return body


def unlicensed(bmc: RedfishBmc) -> bool:
    """Whether somebody took the licences away (a standing fault ``unlicensed``)."""
    return bool(bmc.machine.world.faults.standing(bmc.machine.name, "redfish", "unlicensed"))
