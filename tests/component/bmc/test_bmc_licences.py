"""Licences: what captures and vendors' resources say, what cannot be done, and that nothing is written then."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.connect import open_bmc
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.operations import (
    bios_attributes,
    bmc_info,
    bmc_virtual_media,
    firmware,
    tpm,
)
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.redfish.licences import RedfishLicences
from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import LicenceMissing

MANAGER = "/redfish/v1/Managers/1"


def machine(vendor: str, manager: str = MANAGER, **more: Any) -> dict[str, Any]:
    """The least of a BMC: root, one System, its Manager."""
    system = "/redfish/v1/Systems/1"
    return {
        "/redfish/v1": {"Vendor": vendor, "RedfishVersion": "1.11.0", **more},
        "/redfish/v1/Systems": {"Members": [{"@odata.id": system}]},
        system: {"@odata.id": system, "Id": "1", "Links": {"ManagedBy": [{"@odata.id": manager}]}},
        manager: {"@odata.id": manager, "Id": "1", "ManagerType": "BMC"},
    }


def collection(*members: Any) -> dict[str, Any]:
    return {"Members": [{"@odata.id": each} if isinstance(each, str) else each for each in members]}


def supermicro(*names: str) -> dict[str, Any]:
    keys = [json.dumps({"ProductKey": {"Node": {"LicenseID": "1", "LicenseName": name}}}) for name in names]
    return {**machine("Supermicro"), f"{MANAGER}/LicenseManager/QueryLicense": {"Licenses": [*keys, "{broken"]}}


def dell(description: str, state: str = "Enabled") -> dict[str, Any]:
    one = "/redfish/v1/LicenseService/Licenses/FD1"
    return {
        **machine("Dell", LicenseService={"@odata.id": "/redfish/v1/LicenseService"}),
        "/redfish/v1/LicenseService/Licenses": collection(one),
        one: {"Id": "FD1", "Name": "FD1", "Description": description, "Status": {"State": state}},
    }


def dell_of_today(description: str) -> dict[str, Any]:
    resources = dell("x")
    one = resources["/redfish/v1/LicenseService/Licenses/FD1"]
    del one["Description"]
    one["Oem"] = {"Dell": {"DellLicense": {"LicenseDescription": [description]}}} if description else {}
    return resources


def dell_before_dmtf(description: str) -> dict[str, Any]:
    member = {
        "@odata.id": f"{MANAGER}/Oem/Dell/DellLicenses/FD1",
        "Id": "FD1",
        "LicenseDescription": [description],
        "LicensePrimaryStatus": "OK",
        "LicenseType": "Perpetual",
    }
    return {**machine("Dell"), f"{MANAGER}/Oem/Dell/DellLicenses": collection(member)}


def hpe(name: str, **features: bool) -> dict[str, Any]:
    one = f"{MANAGER}/LicenseService/1"
    return {
        **machine("HPE"),
        f"{MANAGER}/LicenseService": collection(one),
        one: {"Id": "1", "License": name, "Description": "iLO License View", "LicenseFeatures": features},
    }


def lenovo(*names: str) -> dict[str, Any]:
    keys = [f"{MANAGER}/Oem/Lenovo/FoD/Keys/{number}" for number in range(len(names))]
    return {
        **machine("Lenovo"),
        f"{MANAGER}/Oem/Lenovo/FoD/Keys": collection(*keys),
        **{key: {"Id": "k", "Description": name, "Status": "Valid"} for key, name in zip(keys, names, strict=True)},
    }


@pytest.fixture
def licences(start_replay: Any) -> Callable[[Any], RedfishLicences]:
    def of(resources: Any) -> RedfishLicences:
        bmc: Any = open_bmc(start_replay(resources).params())
        return bmc.facet(redfish=RedfishLicences)

    return of


@pytest.mark.parametrize(
    ("resources", "names"),
    [
        (supermicro("SFT-OOB-LIC", "SFT-DCMS-SINGLE"), ["SFT-OOB-LIC", "SFT-DCMS-SINGLE"]),
        (supermicro(), []),
        (dell("iDRAC9 15g Enterprise License"), ["iDRAC9 15g Enterprise License"]),
        (dell_before_dmtf("iDRAC9 Express License"), ["iDRAC9 Express License"]),
        (dell_of_today("iDRAC9 16G Express License"), ["iDRAC9 16G Express License"]),
        (dell_of_today(""), [None]),
        (hpe("iLO Standard"), ["iLO Standard"]),
        (lenovo("XCC2 Platinum Upgrade"), ["XCC2 Platinum Upgrade"]),
        (machine("Supermicro"), None),
        (machine("AMI"), None),
    ],
    ids=[
        "supermicro",
        "supermicro without",
        "dell",
        "dell before DMTF",
        "dell of today",
        "nameless",
        "hpe",
        "lenovo",
        "not told",
        "none wanted",
    ],
)
def test_the_licences_of_each_vendor_are_read(licences: Any, resources: Any, names: list[str] | None) -> None:
    found = licences(resources).known()
    assert (None if found is None else [licence.name for licence in found]) == names


@pytest.mark.parametrize(
    ("resources", "what", "called"),
    [
        (supermicro(), "virtual_media", "SFT-OOB-LIC or SFT-DCMS-SINGLE"),
        (supermicro(), "firmware_update", "SFT-OOB-LIC or SFT-DCMS-SINGLE"),
        (supermicro(), "bios", "SFT-OOB-LIC or SFT-DCMS-SINGLE"),
        (dell("iDRAC9 Express License"), "virtual_media", "iDRAC Enterprise or Datacenter"),
        (dell_of_today("iDRAC9 16G Express License"), "virtual_media", "iDRAC Enterprise or Datacenter"),
        (dell_before_dmtf("iDRAC9 Basic"), "virtual_media", "iDRAC Enterprise or Datacenter"),
        (dell("iDRAC9 Enterprise License"), "telemetry", "iDRAC Datacenter"),
        (dell("iDRAC9 Datacenter License", state="Disabled"), "telemetry", "iDRAC Datacenter"),
        (hpe("iLO Standard", VM=True, VMScript=False), "virtual_media", "iLO Advanced"),
        (lenovo("XClarity Controller Standard"), "virtual_media", "Platinum"),
    ],
)
def test_what_a_licence_forbids_is_said_with_its_name(licences: Any, resources: Any, what: str, called: str) -> None:
    with pytest.raises(LicenceMissing) as caught:
        licences(resources).require(what)
    assert caught.value.code == "licence_missing" and called in str(caught.value)
    assert "nothing was written" in str(caught.value) and caught.value.next


@pytest.mark.parametrize(
    ("resources", "what"),
    [
        (supermicro("SFT-DCMS-SINGLE"), "virtual_media"),
        (supermicro("SFT-OOB-LIC"), "firmware_update"),
        (supermicro("SFT-OOB-LIC"), "bios"),
        (dell("iDRAC9 15g Enterprise License"), "virtual_media"),
        (dell("iDRAC9 Express License"), "firmware_update"),
        (hpe("iLO Advanced"), "virtual_media"),
        (hpe("iLO Something", VMScript=True), "virtual_media"),
        (lenovo("XClarity Controller Enterprise Upgrade"), "virtual_media"),
        (machine("Supermicro"), "virtual_media"),
        (dell_of_today(""), "virtual_media"),
        (machine("Acme"), "virtual_media"),
    ],
)
def test_what_is_licensed_or_not_known_is_left_to_the_bmc(licences: Any, resources: Any, what: str) -> None:
    licences(resources).require(what)


def test_a_bmc_that_wants_a_licence_to_tell_its_licences_has_none(start_replay: Any) -> None:
    def respond(asked: Any) -> Any:
        from replay import Reply, error

        if asked.path.endswith("QueryLicense"):
            return Reply(403, error("SMC.1.0.OemLicenseNotPassed", "Not licensed to perform this request."))
        return None

    bmc: Any = open_bmc(start_replay(machine("Supermicro"), respond).params())
    assert bmc.facet(redfish=RedfishLicences).known() == []


def test_firmware_is_not_sent_to_a_bmc_whose_licence_forbids_it(start_replay: Any, tmp_path: Path) -> None:
    service = "/redfish/v1/UpdateService"
    resources = supermicro()
    resources["/redfish/v1"]["UpdateService"] = {"@odata.id": service}
    component = f"{service}/FirmwareInventory/BMC"
    resources[service] = {
        "MultipartHttpPushUri": f"{service}/upload",
        "FirmwareInventory": {"@odata.id": f"{service}/FirmwareInventory"},
    }
    resources[f"{service}/FirmwareInventory"] = collection(component)
    resources[component] = {"@odata.id": component, "Id": "BMC", "Version": "1.0", "Updateable": True}
    (tmp_path / "image").write_bytes(b"firmware")
    bmc = start_replay(resources)
    wanted = {"image": str(tmp_path / "image"), "targets": ["BMC"], "version": "2.0", "apply_time": "immediate"}
    for check_mode in (True, False):
        with pytest.raises(LicenceMissing) as caught:
            firmware.run(bmc.params(**wanted, wait=True, wait_timeout=5), check_mode)
        assert "SFT-OOB-LIC" in str(caught.value)
    assert [request for request in bmc.requests("POST", "PATCH", "PUT") if "/Sessions" not in request] == []


@pytest.mark.parametrize("check_mode", [True, False])
def test_a_bios_that_a_licence_forbids_to_change_is_not_written_to(start_lab: Any, check_mode: bool) -> None:
    bmc = start_lab("supermicro")
    bmc.fault("unlicensed")
    with pytest.raises(LicenceMissing, match=r"changing the BIOS needs a licence.*nothing was written"):
        bios_attributes.run(bmc.params(attributes={"QuietBoot": "false"}, apply_time="on_reset"), check_mode)
    with pytest.raises(LicenceMissing, match="nothing was written"):
        tpm.run(bmc.params(state="cleared"), check_mode)
    assert bmc.writes() == []


def test_an_image_is_not_inserted_where_a_licence_forbids_it(start_replay: Any) -> None:
    media = f"{MANAGER}/VirtualMedia"
    resources = hpe("iLO Standard", VMScript=False)
    resources[MANAGER]["VirtualMedia"] = {"@odata.id": media}
    resources[media] = collection(f"{media}/2")
    insert = {"#VirtualMedia.InsertMedia": {"target": f"{media}/2/Actions/VirtualMedia.InsertMedia"}}
    drive = {"@odata.id": f"{media}/2", "Id": "2", "MediaTypes": ["CD", "DVD"], "Inserted": False, "Actions": insert}
    resources[f"{media}/2"] = drive
    bmc = start_replay(resources)
    wanted = {"image": "http://192.0.2.1/rescue.iso", "write_protected": True, "wait": True, "wait_timeout": 5}
    for check_mode in (True, False):
        with pytest.raises(LicenceMissing, match=r"mounting virtual media needs a licence.*iLO Advanced"):
            bmc_virtual_media.run(bmc.params(**wanted, state="inserted"), check_mode)
    assert [request for request in bmc.requests("POST", "PATCH", "PUT") if "/Sessions" not in request] == []
    assert not bmc_virtual_media.run(bmc.params(**{**wanted, "image": None}, state="ejected"), False)["changed"]


def info(bmc: Any) -> dict[str, Any]:
    return bmc_info.run(bmc.params(subset=["capabilities"]), False)["bmc"]["capabilities"]


def test_capabilities_say_what_a_server_cannot_do(start_replay: Any) -> None:
    found = info(start_replay(dell("iDRAC9 15g Enterprise License")))
    assert found["licences"] == [
        {"id": "FD1", "name": "iDRAC9 15g Enterprise License", "kind": None, "expires": None, "valid": True}
    ]
    assert found["cannot"] == {"telemetry": "licence missing: iDRAC Datacenter"}


def test_the_captures_tell_theirs_and_no_key_is_read_out(
    dell_capture: Any, hpe_capture: Any, dgx_capture: Any, start_replay: Any
) -> None:
    dells, hpes, dgx = (info(start_replay(capture)) for capture in (dell_capture, hpe_capture, dgx_capture))
    assert [licence["name"] for licence in dells["licences"]] == ["iDRAC9 15g Enterprise License"]
    assert dells["cannot"] == {"telemetry": "licence missing: iDRAC Datacenter"}
    assert [licence["name"] for licence in hpes["licences"]] == ["iLO Advanced"] and hpes["cannot"] == {}
    assert "CK9YW" not in json.dumps(hpes)
    assert dgx["licences"] is None and dgx["cannot"] == {}


def test_a_dgx_is_asked_nothing_more(start_replay: Any, dgx_capture: Any) -> None:
    bmc = start_replay(dgx_capture)
    info(bmc)
    assert not [request for request in bmc.requests("GET") if "icen" in request]
