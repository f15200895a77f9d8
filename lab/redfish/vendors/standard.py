"""A BMC by the specification (DSP0266, DSP0268), and the data by which a vendor's differs from it.

Resources that vendors shape in their own way (root, host, BIOS, manager, media, accounts, GPUs) are built here from the
class's data. Whatever else there is comes from the modules of ``lab/redfish``: the path is translated on the way in,
and on the way out paths, Ids and AMI's own properties are translated back.
"""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from lab.bmc import AccountRules, VirtualMedia, check_password
from lab.machine import BootOption, PowerAction
from lab.redfish.accounts import ROLES
from lab.redfish.errors import RedfishError
from lab.redfish.managers import restart, restart_bmc
from lab.redfish.root import bmc_uuid
from lab.redfish.routes import ROOT, Answer, Body, Call, Routes, link, members, routes
from lab.redfish.systems import LED_STATES
from lab.redfish.vendors.surface import Found, Surface

if TYPE_CHECKING:
    from lab.bmc import Account
    from lab.gpu import Gpu
    from lab.redfish.service import RedfishBmc

OK = {"Health": "OK", "State": "Enabled"}
# (default, what may be written; None: any value of that type)
BiosRow = tuple[str | int | bool, tuple[str, ...] | None]

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
# Where the BMC's own tree (a DGX H100) keeps things that vendors keep elsewhere
SYSTEM, MANAGER, CHASSIS = "/Systems/DGX", "/Managers/BMC", "/Chassis/DGX"
SEL, NIC = f"{MANAGER}/LogServices/SEL", f"{SYSTEM}/EthernetInterfaces/EthernetInterface4"
MANAGER_NIC, CPUS = f"{MANAGER}/EthernetInterfaces/eth0", f"{SYSTEM}/Processors/DevType1_CPU"
GPU_TRAY = ("/Systems/HGX_Baseboard_0", "/Chassis/HGX", "/Managers/HGX_", "/UpdateService/SoftwareInventory/HGX_")
_HOST_NAME = re.compile(r"DGX[0-9A-F]{12}")
NOT_ELSEWHERE = (f"{SYSTEM}/SD", f"{SYSTEM}/Bios", f"{SYSTEM}/ResetActionInfo", f"{MANAGER}/ResetActionInfo")


@dataclass(frozen=True)
class Slot:
    """A virtual drive. ``of`` is the machine's own: CD1 and USB1 can be booted from, any other name is one more."""

    id: str
    of: str
    types: tuple[str, ...] = ("CD", "DVD")


class Standard(Surface):
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
    system_id, manager_id, chassis_id = "1", "1", "1"
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

    # BIOS
    bios_path = "Bios"  # below the system
    bios_settings = "Settings"  # below that
    bios_registry = "BiosAttributeRegistry.v1_0_0"
    bios_type = "Bios.v1_2_1.Bios"
    bios_pending_shows = "all"  # all, or changed
    bios: Mapping[str, BiosRow] = {
        "BootMode": ("Uefi", ("Uefi", "Bios")),
        "HttpBoot": ("Enabled", ("Enabled", "Disabled")),
        "LogicalProcessors": ("Enabled", ("Enabled", "Disabled")),
        "SriovSupport": ("Enabled", ("Enabled", "Disabled")),
        "TpmOperation": ("None", ("None", "TPM Clear")),
        "TurboMode": ("Enable", ("Enable", "Disable")),
        "VTdSupport": ("Enable", ("Enable", "Disable")),
    }
    bios_orders: Mapping[str, object] = {"TpmOperation": "None"}

    # ETags
    etag = "strong"  # strong, weak, header (only there), none
    needs_if_match = False

    # accounts
    session_service_lacks: tuple[str, ...] = ()
    rules = AccountRules(threshold=0, lockout_s=0, min_password=8, max_password=64, slots=16, first_id=1)
    account_type = "ManagerAccount.v1_10_0.ManagerAccount"
    account_service_type = "AccountService.v1_13_0.AccountService"
    account_types: tuple[str, ...] | None = ("Redfish",)

    # virtual media
    media: tuple[Slot, ...] = (Slot("1", "CD1"), Slot("2", "USB1", ("USBStick",)))
    media_places: tuple[str, ...] = ("Systems", "Managers")  # in whose resource the collection hangs
    media_type = "VirtualMedia.v1_6_1.VirtualMedia"
    media_actions = True  # Insert and Eject; otherwise by PATCH

    # logs
    log_place = "Managers"  # or Systems
    log_id = "SEL"
    log_lacks: tuple[str, ...] = ()
    system_logs = True
    log_type = "LogEntry.v1_15_0.LogEntry"
    odd_date: str | None = None  # what the first entry's Created says, whenever it was

    # GPUs
    gpu_model = "NVIDIA H100 80GB HBM3"
    event_service_lacks: tuple[str, ...] = ("SubordinateResourcesSupported",)
    event_stream: str | None = None
    empty_collections: tuple[tuple[str, str], ...] = ()  # path and kind of collections without members

    def __init__(self) -> None:
        self.system_path = f"/Systems/{self.system_id}"
        self.manager_path = f"/Managers/{self.manager_id}"
        self.chassis_path = f"/Chassis/{self.chassis_id}"
        self.bios_base = f"{self.system_path}/{self.bios_path}"
        place = self.manager_path if self.log_place == "Managers" else self.system_path
        self.operator_paths = tuple(
            ROOT + path for path in ("/Systems/", "/Chassis/", f"{self.manager_path}/VirtualMedia/")
        )
        # where things are, and where the tree of the DGX has them; the narrower first
        self.moved: list[tuple[str, str]] = [
            (f"{place}/LogServices/{self.log_id}", SEL),
            (f"{self.system_path}/EthernetInterfaces/{self.nic_id}", NIC),
            (f"{self.manager_path}/EthernetInterfaces/{self.manager_nic_id}", MANAGER_NIC),
            *(
                (f"{self.system_path}/Processors/{self.cpu_id.format(self.cpu_first + n)}", f"{CPUS}{n}")
                for n in range(2)
            ),
            (self.system_path, SYSTEM),
            (self.manager_path, MANAGER),
            (self.chassis_path, CHASSIS),
        ]
        self.hidden: tuple[str, ...] = (*GPU_TRAY, *NOT_ELSEWHERE)
        self.routes = Routes()
        self.register()

    # --- paths and bodies of the shared tree

    def inward(self, path: str) -> str | None:
        """The shared tree's path for one of this vendor's; None where that tree has nothing for it."""
        path = path.removeprefix(ROOT)
        for ours, theirs in self.moved:
            if path == ours or path.startswith(ours + "/"):
                path = theirs + path[len(ours) :]
                break
        else:
            if any(path == theirs or path.startswith(theirs + "/") for _, theirs in self.moved):
                return None
        return None if path.startswith(self.hidden) else path

    def outward(self, path: str) -> str | None:
        """This vendor's path for one of the shared tree; None for what this vendor does not show."""
        inner = path.removeprefix(ROOT)
        if inner.startswith(self.hidden):
            return None
        for ours, theirs in sorted(self.moved, key=lambda pair: -len(pair[1])):
            if inner == theirs or inner.startswith((theirs + "/", theirs + "#")):
                return ROOT + ours + inner[len(theirs) :]
        return path

    def dressed(self, value: Any, own_path: str = "") -> Any:
        """A body of the shared tree as this vendor shows it."""
        if isinstance(value, str):
            return (self.outward(value) or value) if value.startswith(ROOT + "/") else self.reworded(value)
        if isinstance(value, list):
            return [self.dressed(item) for item in value if not self._hides(item)]
        if not isinstance(value, dict):
            return value
        body = {name: self.dressed(item) for name, item in value.items() if not self._hides(item)}
        for name in [name for name in body if name.endswith("@odata.count")]:
            if (
                isinstance(listed := body.get(name.removesuffix("@odata.count")), list)
                and name != "Members@odata.count"
            ):
                body[name] = len(listed)
        if own_path and len(value.get("Members", ())) != len(body.get("Members", ())):
            body["Members@odata.count"] = len(body["Members"])
        if isinstance(body.get("Oem"), dict) and body["Oem"].pop("Ami", None) is not None and not body["Oem"]:
            del body["Oem"]
        if own_path and isinstance(body.get("@odata.id"), str):
            theirs, ours = str(value["@odata.id"]).rsplit("/", 1)[-1], body["@odata.id"].rsplit("/", 1)[-1]
            if body.get("Id") == theirs:
                body["Id"] = ours
            if body.get("Name") == theirs:
                body["Name"] = ours
        return body

    def undressed(self, value: Any) -> Any:
        """The other way: paths in a request as the shared tree has them."""
        if isinstance(value, str) and value.startswith(ROOT + "/"):
            inner = self.inward(value)
            return value if inner is None else ROOT + inner
        if isinstance(value, list):
            return [self.undressed(item) for item in value]
        if isinstance(value, dict):
            return {name: self.undressed(item) for name, item in value.items()}
        return value

    def reworded(self, text: str) -> str:
        """A text without the names of the machine that the shared tree is of."""
        return text.replace("DGX OS", "ubuntu") if not _HOST_NAME.fullmatch(text) else f"bmc-{text[3:].lower()}"

    def _hides(self, value: Any) -> bool:
        if not isinstance(value, dict) or set(value) != {"@odata.id"}:
            return False
        return str(value["@odata.id"]).startswith(ROOT) and self.outward(str(value["@odata.id"])) is None

    def find(self, bmc: RedfishBmc, path: str) -> Found:
        own, parameters = self.routes.find(path)
        methods: dict[str, Callable[..., Any]] = {name: partial(_call, call, parameters) for name, call in own.items()}
        inner = self.inward(path)
        if inner is not None:
            theirs, parameters = routes.find(inner)
            for name, call in theirs.items():
                make = self._reader if name == "GET" else self._writer
                methods.setdefault(name, make(call, parameters))
        return methods, ()

    def _reader(self, read: Callable[..., Body | None], parameters: tuple[str, ...]) -> Callable[..., Body | None]:
        def get(bmc: RedfishBmc) -> Body | None:
            body = read(bmc, *parameters)
            return None if body is None else self.dressed(body, ROOT)

        return get

    def _writer(self, write: Callable[..., Any], parameters: tuple[str, ...]) -> Callable[..., Any]:
        async def change(call: Call) -> Answer:
            form = call.form and replace(call.form, parameters=self.undressed(call.form.parameters))
            inner = replace(call, body=self.undressed(call.body), form=form)
            answer: Answer = await write(inner, *parameters)
            headers = {name: self.dressed(value) for name, value in answer.headers.items()}
            return Answer(answer.status, self.dressed(answer.body, ROOT), headers)

        return change

    def links(self, path: str, names: tuple[str, ...]) -> Body:
        """Links to those of the resources below a path that are there."""
        return {name: link(f"{path}/{name}") for name in names if "GET" in self.find_methods(f"{ROOT}{path}/{name}")}

    def find_methods(self, path: str) -> dict[str, Callable[..., Any]]:
        own, _ = self.routes.find(path)
        inner = self.inward(path)
        return {**(routes.find(inner)[0] if inner is not None else {}), **own}

    def shared(self, bmc: RedfishBmc, path: str) -> Body:
        """A resource of the shared tree as this vendor shows it. Raises KeyError when there is none."""
        found, parameters = routes.find(path)
        body = found["GET"](bmc, *parameters)
        if body is None:
            raise KeyError(path)
        dressed: Body = self.dressed(body, ROOT)
        return dressed

    def body(self, path: str, type: str, **properties: Any) -> Body:
        kind = type.split(".")[0]
        return {
            "@odata.context": f"{ROOT}/$metadata#{kind}.{kind}",
            "@odata.etag": "",  # put in by the service, or taken out
            "@odata.id": ROOT + path,
            "@odata.type": f"#{type}",
            **properties,
        }

    def collection(self, path: str, kind: str, paths: list[str]) -> Body:
        return self.body(path, f"{kind}Collection.{kind}Collection", **members(paths), Name=f"{kind} Collection")

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
        at.get(self.bios_base)(self.current_bios)
        at.get(f"{self.bios_base}/{self.bios_settings}")(self.pending_bios)
        at.patch(f"{self.bios_base}/{self.bios_settings}")(self.change_bios)
        at.post(f"{self.bios_base}/Actions/Bios.ResetBios")(self.reset_bios)
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
        place = manager if self.log_place == "Managers" else system
        at.get(f"{place}/LogServices/{self.log_id}")(self.log)
        at.get(f"{place}/LogServices/{self.log_id}/Entries")(self.log_entries)
        for place in self.media_places:
            base = f"{system if place == 'Systems' else manager}/VirtualMedia"
            at.get(base)(partial(self.media_list, base=base))
            at.get(f"{base}/{{id}}")(partial(self.medium, base=base))
            if self.media_actions:
                for verb, act in (("Insert", self.insert), ("Eject", self.eject)):
                    at.post(f"{base}/{{id}}/Actions/VirtualMedia.{verb}Media")(partial(act, base=base))
            else:
                at.patch(f"{base}/{{id}}")(partial(self.change_medium, base=base))
        if "Managers" not in self.media_places:
            self.hidden = (*self.hidden, f"{MANAGER}/VirtualMedia")
        at.get("/AccountService")(self.account_service)
        at.get("/AccountService/Accounts")(self.accounts)
        at.get("/AccountService/Accounts/{id}")(self.account)
        at.post("/AccountService/Accounts")(self.create_account)
        at.patch("/AccountService/Accounts/{id}")(self.change_account)
        at.delete("/AccountService/Accounts/{id}")(self.delete_account)
        at.get("/EventService")(self.event_service)
        at.get("/SessionService")(self.session_service)
        at.get("/Registries")(
            lambda bmc: self.collection("/Registries", "MessageRegistryFile", [f"/Registries/{self.bios_registry}"])
        )
        at.get(f"/Registries/{self.bios_registry}")(self.registry_file)
        at.get(self.registry_path)(self.registry)
        for path, kind in self.empty_collections:
            at.get(path)(partial(self.empty, path, kind))
        self.register_more()

    def empty(self, path: str, kind: str, bmc: RedfishBmc) -> Body:
        return self.collection(path, kind, [])

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

    def settings(self, path: str) -> Body:
        return {"@odata.type": "#Settings.v1_3_5.Settings", "SettingsObject": link(path)}

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

    # --- BIOS

    def bios_shown(self, bmc: RedfishBmc) -> Body:
        return dict(bmc.state.bios)

    def current_bios(self, bmc: RedfishBmc) -> Body:
        return {
            "@Redfish.Settings": self.settings(f"{self.bios_base}/{self.bios_settings}"),
            **self.body(
                self.bios_base,
                self.bios_type,
                Actions={"#Bios.ResetBios": {"target": f"{ROOT}{self.bios_base}/Actions/Bios.ResetBios"}},
                AttributeRegistry=self.bios_registry,
                Attributes=self.bios_shown(bmc),
                Id="Bios",
                Name="BIOS Configuration Current Settings",
            ),
        }

    def staged(self, bmc: RedfishBmc) -> Body:
        """What has been written and not been taken over by a POST."""
        return bmc.state.bios_pending

    def pending_bios(self, bmc: RedfishBmc) -> Body:
        staged = self.staged(bmc)
        return self.body(
            f"{self.bios_base}/{self.bios_settings}",
            self.bios_type,
            AttributeRegistry=self.bios_registry,
            Attributes=dict(staged) if self.bios_pending_shows == "changed" else {**bmc.state.bios, **staged},
            Id=self.bios_settings,
            Name="BIOS Configuration Pending Settings",
        )

    def checked_attributes(self, call: Call) -> Body:
        attributes = call.body.get("Attributes")
        if not isinstance(attributes, dict):
            raise RedfishError("PropertyMissing", "Attributes")
        for name in call.body:
            if name not in ("Attributes", "@Redfish.SettingsApplyTime"):
                raise RedfishError("PropertyNotWritable", name)
        for name, value in attributes.items():
            if name not in self.bios:
                raise RedfishError("PropertyUnknown", name)
            default, allowed = self.bios[name]
            if type(value) is not type(default):
                raise RedfishError("PropertyValueTypeError", str(value), name)
            if allowed is not None and value not in allowed:
                raise RedfishError("PropertyValueNotInList", str(value), name)
        return attributes

    async def change_bios(self, call: Call) -> Answer:
        state = call.bmc.state
        wanted = {**state.bios_pending, **self.checked_attributes(call)}
        state.bios_pending = {name: value for name, value in wanted.items() if state.bios.get(name) != value}
        return Answer()

    async def reset_bios(self, call: Call) -> Answer:
        state = call.bmc.state
        defaults = {name: default for name, (default, _) in self.bios.items()}
        state.bios_pending = {name: value for name, value in defaults.items() if state.bios.get(name) != value}
        return Answer()

    @property
    def registry_path(self) -> str:
        return f"/Registries/{self.bios_registry}/{self.bios_registry}.json"

    def registry_file(self, bmc: RedfishBmc) -> Body:
        return self.body(
            f"/Registries/{self.bios_registry}",
            "MessageRegistryFile.v1_1_3.MessageRegistryFile",
            Id=self.bios_registry,
            Languages=["en"],
            Location=[{"Language": "en", "Uri": ROOT + self.registry_path}],
            Name="BIOS Attribute Registry",
            Registry=self.bios_registry,
        )

    def registry(self, bmc: RedfishBmc) -> Body | None:
        kinds = {str: "String", int: "Integer", bool: "Boolean"}
        return {
            "@odata.type": "#AttributeRegistry.v1_3_6.AttributeRegistry",
            "Id": self.bios_registry,
            "Language": "en",
            "Name": "BIOS Attribute Registry",
            "OwningEntity": self.manufacturer,
            "RegistryEntries": {
                "Attributes": [
                    {
                        "AttributeName": name,
                        "DefaultValue": default,
                        "DisplayName": name,
                        "ReadOnly": False,
                        "ResetRequired": True,
                        "Type": "Enumeration" if allowed else kinds[type(default)],
                        **({"Value": [{"ValueName": value} for value in allowed]} if allowed else {}),
                    }
                    for name, (default, allowed) in self.bios.items()
                ]
            },
            "RegistryVersion": "1.0.0",
        }

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

    # --- virtual media

    def slot(self, id: str) -> Slot:
        """Raises RedfishError 404."""
        for slot in self.media:
            if slot.id == id:
                return slot
        raise RedfishError("ResourceMissingAtURI", id)

    def media_list(self, bmc: RedfishBmc, *, base: str) -> Body:
        return self.collection(base, "VirtualMedia", [f"{base}/{slot.id}" for slot in self.media_at(base)])

    def media_at(self, base: str) -> tuple[Slot, ...]:
        return self.media

    def media_verbs(self, medium: VirtualMedia) -> tuple[str, ...]:
        return ("EjectMedia", "InsertMedia")

    def medium(self, bmc: RedfishBmc, id: str, *, base: str) -> Body | None:
        slot = next((slot for slot in self.media_at(base) if slot.id == id), None)
        if slot is None:
            return None
        medium = bmc.state.media[slot.of]
        path = f"{base}/{id}"
        body = self.body(
            path,
            self.media_type,
            ConnectedVia="URI" if medium.inserted else "NotConnected",
            Id=id,
            Image=medium.image,
            ImageName=medium.image.rsplit("/", 1)[-1] if medium.image else None,
            Inserted=medium.inserted,
            MediaTypes=list(slot.types),
            Name=f"VirtualMedia Instance {id}",
            UserName=medium.username,
            WriteProtected=medium.write_protected if medium.inserted else None,
        )
        if self.media_actions:
            body["Actions"] = {
                f"#VirtualMedia.{verb}": {"target": f"{ROOT}{path}/Actions/VirtualMedia.{verb}"}
                for verb in self.media_verbs(medium)
            }
        return body

    insert_properties: tuple[str, ...] = (
        "Image",
        "Inserted",
        "WriteProtected",
        "UserName",
        "Password",
        "TransferMethod",
        "TransferProtocolType",
    )

    async def insert(self, call: Call, id: str, *, base: str) -> Answer:
        medium = call.bmc.state.media[self.slot(id).of]
        action = "VirtualMedia.InsertMedia"
        for name in call.body:
            if name not in self.insert_properties:
                raise RedfishError("ActionParameterNotSupported", name, action)
        if "Image" not in call.body:
            raise RedfishError("ActionParameterMissing", action, "Image")
        self.check_insert(call, medium)
        self.put_in(medium, call.body)
        return Answer()

    def check_insert(self, call: Call, medium: VirtualMedia) -> None:
        """Raises RedfishError for what this vendor does not take."""
        image = call.body["Image"]
        if not isinstance(image, str) or not image.startswith(("http://", "https://")):
            raise RedfishError("ActionParameterValueNotInList", str(image), "Image", "VirtualMedia.InsertMedia")

    def put_in(self, medium: VirtualMedia, body: Body) -> None:
        medium.image, medium.inserted = body["Image"], True
        medium.username = body.get("UserName") or None
        medium.write_protected = body.get("WriteProtected", True) is not False

    async def eject(self, call: Call, id: str, *, base: str) -> Answer:
        medium = call.bmc.state.media[self.slot(id).of]
        self.take_out(medium)
        return Answer()

    def take_out(self, medium: VirtualMedia) -> None:
        medium.image, medium.inserted, medium.username = None, False, None

    async def change_medium(self, call: Call, id: str, *, base: str) -> Answer:
        raise RedfishError("OperationNotAllowed", status=405)

    # --- accounts

    def account_service(self, bmc: RedfishBmc) -> Body:
        rules = self.rules
        return self.body(
            "/AccountService",
            self.account_service_type,
            AccountLockoutCounterResetAfter=round(rules.lockout_s),
            AccountLockoutDuration=round(rules.lockout_s),
            AccountLockoutThreshold=rules.threshold,
            Accounts=link("/AccountService/Accounts"),
            Id="AccountService",
            MaxPasswordLength=rules.max_password,
            MinPasswordLength=rules.min_password,
            Name="Account Service",
            Roles=link("/AccountService/Roles"),
            ServiceEnabled=True,
            Status=dict(OK),
        )

    def account_of(self, bmc: RedfishBmc, id: str) -> Account | None:
        accounts = bmc.state.accounts.by_id.values()
        return next((account for account in accounts if self.account_path(account).endswith(f"/{id}")), None)

    def accounts(self, bmc: RedfishBmc) -> Body:
        accounts = bmc.state.accounts.by_id.values()
        paths = [self.account_path(account).removeprefix(ROOT) for account in accounts]
        return self.collection("/AccountService/Accounts", "ManagerAccount", paths)

    def account(self, bmc: RedfishBmc, id: str) -> Body | None:
        found = self.account_of(bmc, id)
        return self.account_body(bmc, found) if found else None

    def account_body(self, bmc: RedfishBmc, account: Account) -> Body:
        path = self.account_path(account).removeprefix(ROOT)
        body = self.body(
            path,
            self.account_type,
            Enabled=account.enabled,
            Id=path.rsplit("/", 1)[-1],
            Links={"Role": link(f"/AccountService/Roles/{account.role}")},
            Locked=bmc.state.accounts.locked(account),
            Name="User Account",
            Password=None,
            PasswordChangeRequired=account.must_change,
            RoleId=account.role,
            UserName=account.username,
        )
        if self.account_types:
            body["AccountTypes"] = list(self.account_types)
        return body

    async def create_account(self, call: Call) -> Answer:
        for name in ("UserName", "Password", "RoleId"):
            if not isinstance(call.body.get(name), str):
                raise RedfishError("PropertyMissing", name)
        username, password, role = call.body["UserName"], call.body["Password"], call.body["RoleId"]
        accounts = call.bmc.state.accounts
        if role not in ROLES:
            raise RedfishError("PropertyValueNotInList", role, "RoleId")
        if accounts.find(username):
            raise RedfishError("ResourceAlreadyExists", "ManagerAccount", "UserName", username)
        self.check_password(password)
        if len(accounts.by_id) >= self.rules.slots:
            raise RedfishError("CreateLimitReachedForResource")
        made = accounts.add(username, password, role)
        return Answer(201, self.account_body(call.bmc, made), {"Location": self.account_path(made)})

    account_writable: tuple[str, ...] = ("Password", "RoleId", "UserName", "Enabled", "Locked")

    async def change_account(self, call: Call, id: str) -> Answer:
        found = self.account_of(call.bmc, id)
        if found is None:
            raise RedfishError("ResourceMissingAtURI", call.path)
        body = call.body
        for name in body:
            if name not in self.account_writable:
                raise RedfishError("PropertyNotWritable", name)
        if "RoleId" in body and body["RoleId"] not in ROLES:
            raise RedfishError("PropertyValueNotInList", str(body["RoleId"]), "RoleId")
        for name in ("Enabled", "Locked"):
            if name in body and not isinstance(body[name], bool):
                raise RedfishError("PropertyValueTypeError", str(body[name]), name)
        if "Password" in body:
            self.check_password(body["Password"])
        owner = call.account is found
        if owner and found.role != "Administrator" and set(body) != {"Password"}:
            raise RedfishError("InsufficientPrivilege")
        if "Password" in body:
            found.password, found.must_change = body["Password"], False
        found.role = body.get("RoleId", found.role)
        found.username = body.get("UserName", found.username)
        found.enabled = body.get("Enabled", found.enabled)
        if body.get("Locked") is False:
            found.locked_until, found.failures = 0.0, 0
        if ("Password" in body and not owner) or not found.enabled:
            call.bmc.sessions.close_of(found)
        return Answer()

    async def delete_account(self, call: Call, id: str) -> Answer:
        found = self.account_of(call.bmc, id)
        accounts = call.bmc.state.accounts.by_id
        if found is None:
            raise RedfishError("ResourceMissingAtURI", call.path)
        if [a for a in accounts.values() if a.role == "Administrator" and a.enabled] == [found]:
            raise RedfishError("ActionNotSupported", "DELETE")
        call.bmc.sessions.close_of(found)
        del accounts[found.id]
        return Answer()

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

    def check_password(self, password: object) -> None:
        """Raises RedfishError."""
        if not isinstance(password, str):
            raise RedfishError("PropertyValueTypeError", "********", "Password")
        try:
            check_password(password, self.rules)
        except ValueError:
            raise RedfishError("PropertyValueFormatError", "********", "Password") from None


def unlicensed(bmc: RedfishBmc) -> bool:
    """Whether somebody took the licences away (a standing fault ``unlicensed``)."""
    return bool(bmc.machine.world.faults.standing(bmc.machine.name, "redfish", "unlicensed"))


def _call(call: Callable[..., Any], parameters: tuple[str, ...], first: Any) -> Any:
    return call(first, *parameters)
