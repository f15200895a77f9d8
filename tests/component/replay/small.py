"""A capture small enough to be read: one System, its BIOS, a manager, accounts, media, firmware and a volume."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

R = "/redfish/v1"


def link(path: str) -> dict[str, str]:
    return {"@odata.id": R + path}


def collection(kind: str, *paths: str) -> dict[str, Any]:
    return {
        "@odata.type": f"#{kind}Collection.{kind}Collection",
        "Name": kind,
        "Members": [link(path) for path in paths],
        "Members@odata.count": len(paths),
    }


def action(name: str, target: str, **values: list[str]) -> dict[str, Any]:
    allowed = {f"{parameter}@Redfish.AllowableValues": words for parameter, words in values.items()}
    return {f"#{name}": {"target": f"{R}{target}/Actions/{name}", **allowed}}


def account(id: str, name: str, role: str) -> dict[str, Any]:
    return {
        "@odata.type": "#ManagerAccount.v1_5_0.ManagerAccount",
        "Id": id,
        "Name": "User Account",
        "UserName": name,
        "Password": None,
        "RoleId": role,
        "Enabled": True,
        "Locked": False,
        "PasswordChangeRequired": False,
        "Links": {"Role": link(f"/AccountService/Roles/{role}")},
    }


def resources() -> dict[str, dict[str, Any]]:
    """Path below /redfish/v1 → body."""
    boot = {
        "BootSourceOverrideTarget": "None",
        "BootSourceOverrideEnabled": "Disabled",
        "BootSourceOverrideMode": "UEFI",
        "BootSourceOverrideTarget@Redfish.AllowableValues": ["None", "Pxe", "Hdd", "UefiHttp", "BiosSetup"],
        "BootOrder": ["Boot0001", "Boot0002"],
    }
    bodies: dict[str, dict[str, Any]] = {
        "": {
            "@odata.type": "#ServiceRoot.v1_9_0.ServiceRoot",
            "Id": "RootService",
            "Name": "Root Service",
            "RedfishVersion": "1.11.0",
            "UUID": "b1273e3e-bfde-1000-02bc-e9e6fb35ff5c",
            "Systems": link("/Systems"),
            "Chassis": link("/Chassis"),
            "Managers": link("/Managers"),
            "AccountService": link("/AccountService"),
            "SessionService": link("/SessionService"),
            "EventService": link("/EventService"),
            "UpdateService": link("/UpdateService"),
            "Tasks": link("/TaskService"),
            "Links": {"Sessions": link("/SessionService/Sessions")},
        },
        "/Systems": collection("ComputerSystem", "/Systems/1"),
        "/Systems/1": {
            "@odata.etag": 'W/"9B9F7D67"',
            "@odata.type": "#ComputerSystem.v1_13_0.ComputerSystem",
            "Id": "1",
            "Name": "System",
            "Manufacturer": "Acme",
            "Model": "A1",
            "SerialNumber": "1662923610124",
            "UUID": "b11dd4f2-bfde-1000-02bc-5cff35fbe6e9",
            "AssetTag": "",
            "PowerState": "On",
            "Boot": boot,
            "Bios": link("/Systems/1/Bios"),
            "SecureBoot": link("/Systems/1/SecureBoot"),
            "EthernetInterfaces": link("/Systems/1/EthernetInterfaces"),
            "LogServices": link("/Systems/1/LogServices"),
            "Storage": link("/Systems/1/Storage"),
            "Missing": link("/Systems/1/Missing"),
            "Links": {"Chassis": [link("/Chassis/1")], "ManagedBy": [link("/Managers/1")]},
            "Actions": action(
                "ComputerSystem.Reset",
                "/Systems/1",
                ResetType=["On", "ForceOff", "GracefulShutdown", "ForceRestart", "PowerCycle", "PushPowerButton"],
            ),
        },
        "/Systems/1/Bios": {
            "@odata.type": "#Bios.v1_1_0.Bios",
            "Id": "Bios",
            "Name": "BIOS",
            "Attributes": {"SriovEnable": "Enabled", "NumaNodes": 1, "BootMode": "Uefi"},
            "@Redfish.Settings": {
                "SettingsObject": link("/Systems/1/Bios/Settings"),
                "SupportedApplyTimes": ["OnReset", "Immediate"],
            },
        },
        "/Systems/1/Bios/Settings": {
            "@odata.etag": '"1720647997"',
            "@odata.type": "#Bios.v1_1_0.Bios",
            "Id": "Settings",
            "Name": "BIOS pending",
            "Attributes": {},
        },
        "/Systems/1/SecureBoot": {
            "@odata.type": "#SecureBoot.v1_1_0.SecureBoot",
            "Id": "SecureBoot",
            "Name": "Secure Boot",
            "SecureBootEnable": False,
            "SecureBootCurrentBoot": "Disabled",
            "SecureBootMode": "UserMode",
            "Actions": action(
                "SecureBoot.ResetKeys",
                "/Systems/1/SecureBoot",
                ResetKeysType=["ResetAllKeysToDefault", "DeleteAllKeys"],
            ),
        },
        "/Systems/1/EthernetInterfaces": collection("EthernetInterface", "/Systems/1/EthernetInterfaces/1"),
        "/Systems/1/EthernetInterfaces/1": {
            "@odata.type": "#EthernetInterface.v1_5_0.EthernetInterface",
            "Id": "1",
            "Name": "NIC 1",
            "MACAddress": "B8:3F:D2:D7:F7:4A",
            "IPv4Addresses": [{"Address": "10.183.24.17", "SubnetMask": "255.255.255.0", "Gateway": "10.183.24.1"}],
        },
        "/Systems/1/LogServices": collection("LogService", "/Systems/1/LogServices/SEL"),
        "/Systems/1/LogServices/SEL": {
            "@odata.type": "#LogService.v1_1_0.LogService",
            "Id": "SEL",
            "Name": "SEL",
            "Entries": link("/Systems/1/LogServices/SEL/Entries"),
            "Actions": action("LogService.ClearLog", "/Systems/1/LogServices/SEL"),
        },
        "/Systems/1/LogServices/SEL/Entries": collection("LogEntry", "/Systems/1/LogServices/SEL/Entries/1"),
        "/Systems/1/LogServices/SEL/Entries/1": {
            "@odata.type": "#LogEntry.v1_5_0.LogEntry",
            "Id": "1",
            "Name": "Entry 1",
            "Severity": "Warning",
            "Message": "NIC B8-3F-D2-D7-F7-4A lost its link; user opsadmin logged in from 10.183.24.99",
        },
        "/Systems/1/Storage": collection("Storage", "/Systems/1/Storage/1"),
        "/Systems/1/Storage/1": {
            "@odata.type": "#Storage.v1_8_0.Storage",
            "Id": "1",
            "Name": "RAID",
            "Drives": [link("/Systems/1/Storage/1/Drives/1"), link("/Systems/1/Storage/1/Drives/2")],
            "Volumes": link("/Systems/1/Storage/1/Volumes"),
        },
        "/Systems/1/Storage/1/Volumes": collection("Volume"),
        "/Chassis": collection("Chassis", "/Chassis/1"),
        "/Chassis/1": {
            "@odata.type": "#Chassis.v1_11_0.Chassis",
            "Id": "1",
            "Name": "Chassis",
            "PowerState": "On",
            "SerialNumber": "1662923610124",
        },
        "/Managers": collection("Manager", "/Managers/1"),
        "/Managers/1": {
            "@odata.type": "#Manager.v1_11_0.Manager",
            "Id": "1",
            "Name": "BMC",
            "FirmwareVersion": "2.72",
            "VirtualMedia": link("/Managers/1/VirtualMedia"),
            "Actions": action("Manager.Reset", "/Managers/1", ResetType=["GracefulRestart"]),
        },
        "/Managers/1/VirtualMedia": collection("VirtualMedia", "/Managers/1/VirtualMedia/CD"),
        "/Managers/1/VirtualMedia/CD": {
            "@odata.type": "#VirtualMedia.v1_3_0.VirtualMedia",
            "Id": "CD",
            "Name": "Virtual CD",
            "MediaTypes": ["CD", "DVD"],
            "Image": None,
            "ImageName": None,
            "Inserted": False,
            "ConnectedVia": "NotConnected",
            "WriteProtected": True,
            "Actions": {
                **action("VirtualMedia.InsertMedia", "/Managers/1/VirtualMedia/CD"),
                **action("VirtualMedia.EjectMedia", "/Managers/1/VirtualMedia/CD"),
            },
        },
        "/AccountService": {
            "@odata.type": "#AccountService.v1_8_0.AccountService",
            "Id": "AccountService",
            "Name": "Account Service",
            "MinPasswordLength": 8,
            "MaxPasswordLength": 20,
            "AccountLockoutThreshold": 3,
            "AccountLockoutDuration": 30,
            "Accounts": link("/AccountService/Accounts"),
            "Roles": link("/AccountService/Roles"),
        },
        "/AccountService/Roles": collection(
            "Role",
            "/AccountService/Roles/Administrator",
            "/AccountService/Roles/Operator",
            "/AccountService/Roles/ReadOnly",
        ),
        "/AccountService/Accounts": collection("ManagerAccount", "/AccountService/Accounts/1"),
        "/AccountService/Accounts/1": {"@odata.etag": '"1720647000"', **account("1", "opsadmin", "Administrator")},
        "/SessionService": {
            "@odata.type": "#SessionService.v1_1_6.SessionService",
            "Id": "SessionService",
            "Name": "Session Service",
            "SessionTimeout": 30,
            "Sessions": link("/SessionService/Sessions"),
        },
        "/SessionService/Sessions": collection("Session", "/SessionService/Sessions/42"),
        "/EventService": {
            "@odata.type": "#EventService.v1_5_0.EventService",
            "Id": "EventService",
            "Name": "Event Service",
            "Subscriptions": link("/EventService/Subscriptions"),
        },
        "/EventService/Subscriptions": collection("EventDestination"),
        "/UpdateService": {
            "@odata.type": "#UpdateService.v1_11_0.UpdateService",
            "Id": "UpdateService",
            "Name": "Update Service",
            "FirmwareInventory": link("/UpdateService/FirmwareInventory"),
            "MultipartHttpPushUri": f"{R}/UpdateService/upload",
            "Actions": action("UpdateService.SimpleUpdate", "/UpdateService"),
        },
        "/UpdateService/FirmwareInventory": collection("SoftwareInventory", "/UpdateService/FirmwareInventory/BIOS"),
        "/UpdateService/FirmwareInventory/BIOS": {
            "@odata.type": "#SoftwareInventory.v1_3_0.SoftwareInventory",
            "Id": "BIOS",
            "Name": "BIOS",
            "Version": "1.13.2",
            "Updateable": True,
        },
        "/TaskService": {
            "@odata.type": "#TaskService.v1_1_4.TaskService",
            "Id": "TaskService",
            "Name": "Tasks",
            "Tasks": link("/TaskService/Tasks"),
        },
        "/TaskService/Tasks": collection("Task"),
    }
    for number in (1, 2):
        bodies[f"/Systems/1/Storage/1/Drives/{number}"] = {
            "@odata.type": "#Drive.v1_8_0.Drive",
            "Id": str(number),
            "Name": f"Drive {number}",
            "SerialNumber": f"S64HNE0R50{number}977",
            "CapacityBytes": 1_000,
        }
    for role in ("Administrator", "Operator", "ReadOnly"):
        bodies[f"/AccountService/Roles/{role}"] = {
            "@odata.type": "#Role.v1_3_0.Role",
            "Id": role,
            "Name": role,
        }
    return {path: {"@odata.id": R + path, **body} for path, body in bodies.items()}


def files(bodies: dict[str, dict[str, Any]] | None = None) -> dict[str, bytes]:
    return {R + path: json.dumps(body).encode() for path, body in (bodies or resources()).items()}


def write(folder: Path, bodies: dict[str, dict[str, Any]] | None = None) -> Path:
    """The capture as a folder."""
    for path, content in files(bodies).items():
        file = folder / path.strip("/") / "index.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    return folder
