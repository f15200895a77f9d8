"""BIOS attributes by the specification: a resource, the settings object beside it, and the registry of both."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from lab.redfish.errors import RedfishError
from lab.redfish.routes import ROOT, Answer, Body, Call
from lab.redfish.vendors.translated import Translated

if TYPE_CHECKING:
    from lab.redfish.service import RedfishBmc

# (default, what may be written; None: any value of that type)
BiosRow = tuple[str | int | bool, tuple[str, ...] | None]


class StandardBios(Translated):
    manufacturer: str  # who owns the registry
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

    def __init__(self) -> None:
        self.bios_base = f"/Systems/{self.system_id}/{self.bios_path}"
        super().__init__()

    def register_bios(self) -> None:
        at = self.routes
        at.get(self.bios_base)(self.current_bios)
        at.get(f"{self.bios_base}/{self.bios_settings}")(self.pending_bios)
        at.patch(f"{self.bios_base}/{self.bios_settings}")(self.change_bios)
        at.post(f"{self.bios_base}/Actions/Bios.ResetBios")(self.reset_bios)
        at.get("/Registries")(
            lambda bmc: self.collection("/Registries", "MessageRegistryFile", [f"/Registries/{self.bios_registry}"])
        )
        at.get(f"/Registries/{self.bios_registry}")(self.registry_file)
        at.get(self.registry_path)(self.registry)

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
