"""The lab's machines beside captures of real ones: what the lab shows is there, and of the same kind, on the real one.

The client is tested against both, so a mistake in the lab would otherwise be learned by the client and never be seen.
"""

from __future__ import annotations

import json
import os
import tarfile
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from lab.clock import Clock
from lab.config import DELAYS, make_config
from lab.faults import FaultSet
from lab.log import WriteLog
from lab.machine import Machine, World
from lab.redfish.service import RedfishBmc

ROOT = Path(__file__).resolve().parents[3]
V1 = "/redfish/v1"
ARCHIVES = {"ami": "nvidia_viking", "dell": "dell_multi_dpu", "hpe": "hpe"}
DELL_SYSTEM, DELL_MANAGER = f"{V1}/Systems/System.Embedded.1", f"{V1}/Managers/iDRAC.Embedded.1"
PATHS = {
    "ami": [
        V1,
        f"{V1}/Systems",
        f"{V1}/Systems/DGX",
        f"{V1}/Systems/DGX/SD",
        f"{V1}/Systems/DGX/Bios",
        f"{V1}/Systems/DGX/Bios/SD",
        f"{V1}/Managers/BMC",
        f"{V1}/Managers/BMC/VirtualMedia",
        f"{V1}/AccountService",
        f"{V1}/AccountService/Accounts/2",
        f"{V1}/SessionService",
        f"{V1}/Chassis/DGX",
        f"{V1}/TelemetryService",
        f"{V1}/EventService",
    ],
    "dell": [
        V1,
        f"{V1}/Systems",
        DELL_SYSTEM,
        f"{DELL_SYSTEM}/Settings",
        f"{DELL_SYSTEM}/Bios",
        f"{DELL_SYSTEM}/Bios/Settings",
        f"{DELL_SYSTEM}/VirtualMedia",
        f"{DELL_SYSTEM}/VirtualMedia/1",
        f"{DELL_SYSTEM}/BootOptions",
        f"{DELL_SYSTEM}/BootOptions/Boot0000",
        DELL_MANAGER,
        f"{DELL_MANAGER}/VirtualMedia",
        f"{DELL_MANAGER}/VirtualMedia/CD",
        f"{DELL_MANAGER}/LogServices/Sel",
        f"{V1}/AccountService",
        f"{V1}/AccountService/Accounts",
        f"{V1}/AccountService/Accounts/2",
        f"{V1}/AccountService/Accounts/5",
        f"{V1}/SessionService",
        f"{V1}/Chassis/System.Embedded.1",
        f"{V1}/TelemetryService",
        f"{V1}/LicenseService",
        f"{V1}/LicenseService/Licenses",
        f"{V1}/JobService",
        f"{V1}/EventService",
    ],
    "hpe": [
        V1,
        f"{V1}/Systems",
        f"{V1}/Systems/1",
        f"{V1}/systems/1/bios",
        f"{V1}/systems/1/bios/settings",
        f"{V1}/Systems/1/BootOptions",
        f"{V1}/Systems/1/BootOptions/1",
        f"{V1}/Systems/1/LogServices",
        f"{V1}/Systems/1/LogServices/IML",
        f"{V1}/Systems/1/PCIDevices",
        f"{V1}/Managers",
        f"{V1}/Managers/1",
        f"{V1}/Managers/1/LogServices",
        f"{V1}/Managers/1/LicenseService",
        f"{V1}/Managers/1/LicenseService/1",
        f"{V1}/Managers/1/VirtualMedia",
        f"{V1}/Managers/1/VirtualMedia/1",
        f"{V1}/Managers/1/VirtualMedia/2",
        f"{V1}/AccountService",
        f"{V1}/AccountService/Accounts",
        f"{V1}/AccountService/Accounts/1",
        f"{V1}/SessionService",
        f"{V1}/Chassis/1",
        f"{V1}/Chassis/1/PCIeDevices",
        f"{V1}/Chassis/1/PCIeDevices/223",
        f"{V1}/Chassis/1/Devices",
        f"{V1}/Chassis/1/Devices/1",
        f"{V1}/EventService",
    ],
}
# What a client lives on; the lab has to have it where the real machine has it.
NEEDED = {
    "@odata.id",
    "@odata.type",
    "@odata.etag",
    "@Redfish.Settings",
    "AccountLockoutThreshold",
    "AccountTypes",
    "Accounts",
    "Actions",
    "Attributes",
    "AttributeRegistry",
    "Bios",
    "BiosVersion",
    "Boot",
    "BootOptionReference",
    "Chassis",
    "Enabled",
    "FirmwareVersion",
    "Id",
    "Image",
    "Inserted",
    "Managers",
    "Manufacturer",
    "MaxPasswordLength",
    "MediaTypes",
    "Members",
    "Members@odata.count",
    "MinPasswordLength",
    "Model",
    "Name",
    "PasswordChangeRequired",
    "PowerState",
    "ProtocolFeaturesSupported",
    "RedfishVersion",
    "RoleId",
    "SerialNumber",
    "ServiceEnabled",
    "SessionTimeout",
    "Systems",
    "UserName",
    "Vendor",
    "VirtualMedia",
}
# Bodies whose names are the vendor's own, or differ from machine to machine
OPAQUE = {"Oem", "Attributes", "Members"}
# Services that can do more on a real machine than in the lab
SERVICES = ("AccountService", "EventService", "TelemetryService", "LicenseService")


@cache
def capture(vendor: str) -> dict[str, Any]:
    shared = Path(os.environ.get("PALEBLUEDOT_SHARED") or ROOT.parent / "shared")
    archive = shared / "data" / "redfish" / f"{ARCHIVES[vendor]}.tar.xz"
    if not archive.is_file():
        pytest.skip(f"no capture {archive.name} beside the checkout (PALEBLUEDOT_SHARED names its folder)")
    found = {}
    wanted = {f"{ARCHIVES[vendor]}{path}/index.json": path for path in PATHS[vendor]}
    with tarfile.open(archive) as tar:
        for member in tar:
            if member.name in wanted and (content := tar.extractfile(member)) is not None:
                found[wanted[member.name]] = json.load(content)
    return found


def bmc_of(vendor: str, tmp_path: Path) -> RedfishBmc:
    clock = Clock()
    world = World(clock, WriteLog(clock), FaultSet(), DELAYS["none"])
    machine = Machine(make_config(tmp_path, servers=1, vendor=vendor).machines[0], world)
    return RedfishBmc(machine, None)  # type: ignore[arg-type]


def kind(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    return {str: "text", list: "list", dict: "object"}[type(value)]


def differences(real: dict[str, Any], ours: dict[str, Any]) -> list[str]:
    needed = NEEDED - {"Actions"} if real["@odata.id"].endswith(SERVICES) else NEEDED
    found = [f"{name} is missing" for name in real if name in needed and name not in ours]
    return found + unlike(real, ours)


def unlike(real: dict[str, Any], ours: dict[str, Any], where: str = "") -> list[str]:
    found = []
    for name, value in ours.items():
        if name not in real:
            found.append(f"{where}{name} is invented")
        elif value is None or real[name] is None:
            continue
        elif kind(value) != kind(real[name]):
            found.append(f"{where}{name} is a {kind(value)}, not a {kind(real[name])}")
        elif isinstance(value, dict) and name not in OPAQUE:
            found += unlike(real[name], value, f"{where}{name}.")
    return found


@pytest.mark.parametrize(("vendor", "path"), [(vendor, path) for vendor, paths in PATHS.items() for path in paths])
def test_a_resource_is_shaped_as_on_the_real_machine(vendor: str, path: str, tmp_path: Path) -> None:
    real = capture(vendor).get(path)
    assert real is not None, f"the capture has no {path}"
    ours = bmc_of(vendor, tmp_path).resource(path)
    assert ours is not None, f"the lab has no {path}"
    assert differences(real, ours) == []
    assert ours["@odata.id"].rstrip("/") == real["@odata.id"].rstrip("/")


@pytest.mark.parametrize("vendor", ["dell", "hpe"])
def test_what_a_vendor_says_of_itself_is_what_the_real_one_says(vendor: str, tmp_path: Path) -> None:
    """The values that clients decide by."""
    bmc = bmc_of(vendor, tmp_path)
    same = {
        "dell": {
            V1: ["Vendor", "Product", "RedfishVersion", "ProtocolFeaturesSupported.ExpandQuery"],
            DELL_SYSTEM: [
                "Actions.#ComputerSystem\\.Reset.ResetType@Redfish\\.AllowableValues",
                "Boot.BootSourceOverrideTarget@Redfish\\.AllowableValues",
                "Manufacturer",
                "@Redfish\\.Settings.SettingsObject",
            ],
            f"{DELL_SYSTEM}/Bios": ["@Redfish\\.Settings.SettingsObject", "@Redfish\\.Settings.SupportedApplyTimes"],
            f"{DELL_SYSTEM}/Bios/Settings": ["Attributes"],
            DELL_MANAGER: ["Actions.#Manager\\.Reset.ResetType@Redfish\\.AllowableValues", "Id"],
            f"{V1}/AccountService": ["MinPasswordLength", "MaxPasswordLength", "AccountLockoutThreshold"],
            f"{V1}/AccountService/Accounts": ["Members@odata\\.count"],
            f"{V1}/AccountService/Accounts/5": ["UserName", "RoleId", "Enabled", "AccountTypes"],
            f"{V1}/SessionService": ["SessionTimeout"],
            f"{DELL_SYSTEM}/VirtualMedia/1": ["MediaTypes", "Actions"],
            f"{V1}/TelemetryService": ["ServiceEnabled"],
            f"{V1}/EventService": ["ServerSentEventUri"],
        },
        "hpe": {
            V1: ["Vendor", "Product", "RedfishVersion", "ProtocolFeaturesSupported.ExpandQuery"],
            f"{V1}/Systems/1": [
                "Actions.#ComputerSystem\\.Reset.ResetType@Redfish\\.AllowableValues",
                "Boot.BootSourceOverrideTarget@Redfish\\.AllowableValues",
                "Bios",
                "Manufacturer",
            ],
            f"{V1}/systems/1/bios": ["@Redfish\\.Settings.SettingsObject", "@odata\\.id", "AttributeRegistry"],
            f"{V1}/systems/1/bios/settings": ["@odata\\.id", "Id"],
            f"{V1}/Managers/1": ["Actions.#Manager\\.Reset.ResetType@Redfish\\.AllowableValues", "Model"],
            f"{V1}/Managers/1/VirtualMedia/1": ["MediaTypes", "Actions", "Image"],
            f"{V1}/Managers/1/VirtualMedia/2": ["MediaTypes", "Actions", "Inserted", "WriteProtected"],
            f"{V1}/AccountService": ["MinPasswordLength"],
            f"{V1}/SessionService": ["SessionTimeout"],
        },
    }[vendor]
    for path, names in same.items():
        real, ours = capture(vendor)[path], bmc.resource(path)
        for name in names:
            assert sorted_lists(dig(ours, name)) == sorted_lists(dig(real, name)), f"{path} {name}"


def sorted_lists(value: Any) -> Any:
    return sorted(value) if isinstance(value, list) else value


def dig(body: Any, name: str) -> Any:
    for part in name.replace("\\.", "\0").split("."):
        body = body[part.replace("\0", ".")]
    return body
