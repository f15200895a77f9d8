"""What one vendor of the lab is known for, asked over HTTPS by a client that is not ours."""

from __future__ import annotations

import time
from typing import Any

import pytest
import requests

from tests.component.lab.vendors import V1, Bmc, ids

JOB_SERVICE = f"{V1}/Managers/iDRAC.Embedded.1/Oem/Dell/DellJobService/Actions/DellJobService.DeleteJobQueue"


# -- Dell


def dell_bios(bmc: Bmc, attributes: dict[str, Any], apply: bool = True) -> requests.Response:
    body: dict[str, Any] = {"Attributes": attributes}
    if apply:
        body["@Redfish.SettingsApplyTime"] = {"ApplyTime": "OnReset"}
    return bmc("PATCH", f"{bmc.system}/Bios/Settings", json=body)


def test_dell_stages_attributes_that_wait_for_a_job(start: Any) -> None:
    bmc = start("dell")
    staged = dell_bios(bmc, {"SriovGlobalEnable": "Disabled"}, apply=False)
    assert staged.status_code == 200 and "Location" not in staged.headers
    assert bmc.get(f"{bmc.system}/Bios/Settings")["Attributes"] == {"SriovGlobalEnable": "Disabled"}
    bmc.turn("On", "On")
    bmc.post_ran(0)
    assert bmc.get(f"{bmc.system}/Bios")["Attributes"]["SriovGlobalEnable"] == "Enabled"  # no job, no change
    jobs = f"{V1}/Managers/iDRAC.Embedded.1/Oem/Dell/Jobs"
    made = bmc("POST", jobs, json={"TargetSettingsURI": f"{bmc.system}/Bios/Settings"})
    assert made.status_code == 200
    assert bmc.get(made.headers["Location"])["JobState"] == "Scheduled"
    posts = bmc.machine.posts
    bmc.reset("ForceRestart")
    bmc.post_ran(posts)
    assert bmc.get(made.headers["Location"])["JobState"] == "Completed"
    assert bmc.get(f"{bmc.system}/Bios")["Attributes"]["SriovGlobalEnable"] == "Disabled"


def test_dell_takes_one_job_at_a_time_and_a_queue_can_be_cleared(start: Any) -> None:
    bmc = start("dell")
    first = dell_bios(bmc, {"LogicalProc": "Disabled"})
    assert first.status_code == 202 and "/TaskService/Tasks/JID_" in first.headers["Location"]
    assert bmc.get(first.headers["Location"])["TaskState"] == "Starting"
    second = dell_bios(bmc, {"ProcCStates": "Disabled"})
    assert second.status_code == 400 and ids(second) == ["IDRAC.2.8.SYS011"]
    assert bmc("POST", JOB_SERVICE, json={"JobID": "JID_CLEARALL"}).status_code == 200
    assert bmc.get(f"{bmc.system}/Bios/Settings")["Attributes"] == {}
    assert bmc("GET", first.headers["Location"]).status_code == 404
    assert dell_bios(bmc, {"ProcCStates": "Disabled"}).status_code == 202
    posts = bmc.machine.posts
    bmc.turn("On", "On")
    bmc.post_ran(posts)
    attributes = bmc.get(f"{bmc.system}/Bios")["Attributes"]
    assert (attributes["ProcCStates"], attributes["LogicalProc"]) == ("Disabled", "Enabled")


def test_dell_has_sixteen_slots_and_no_more(start: Any) -> None:
    bmc = start("dell")
    accounts = f"{V1}/AccountService/Accounts"
    assert bmc.get(accounts)["Members@odata.count"] == 16
    assert bmc("POST", accounts, json={"UserName": "a", "Password": "b", "RoleId": "Operator"}).status_code == 405
    assert bmc.get(f"{accounts}/3")["UserName"] == ""
    body = {"UserName": "op", "Password": "secret", "RoleId": "Operator", "Enabled": True}
    assert bmc("PATCH", f"{accounts}/3", json=body).status_code == 200
    assert bmc("GET", bmc.system, auth=("op", "secret")).status_code == 200
    assert bmc("DELETE", f"{accounts}/3").status_code == 405
    assert bmc("PATCH", f"{accounts}/3", json={"Enabled": False, "UserName": "", "RoleId": "None"}).status_code == 200
    assert bmc("GET", bmc.system, auth=("op", "secret")).status_code == 401
    assert bmc("PATCH", f"{accounts}/1", json=body).status_code == 403
    assert bmc("PATCH", f"{V1}/AccountService", json={"AccountLockoutThreshold": 3}).status_code == 400


def test_dell_refuses_enabled_beside_a_uefi_target(start: Any) -> None:
    bmc = start("dell")
    body = {"BootSourceOverrideTarget": "UefiTarget", "UefiTargetBootSourceOverride": "PciRoot(0x0)/Pci(0x1,0x0)"}
    refused = bmc("PATCH", bmc.system, json={"Boot": {**body, "BootSourceOverrideEnabled": "Once"}})
    assert refused.status_code == 400
    assert bmc("PATCH", bmc.system, json={"Boot": body}).status_code == 200
    boot = bmc.get(bmc.system)["Boot"]
    assert boot["BootSourceOverrideTarget"] == "UefiTarget" and boot["UefiTargetBootSourceOverride"].startswith(
        "PciRoot"
    )


def test_dell_shows_gpu_readings_only_with_a_licence_and_when_told_to(start: Any) -> None:
    bmc = start("dell")
    service, report = f"{V1}/TelemetryService", f"{V1}/TelemetryService/MetricReports/GPUMetrics"
    assert bmc.get(service)["ServiceEnabled"] is False
    assert bmc.get(f"{service}/MetricReports")["Members"] == []
    refused = bmc("PATCH", service, json={"ServiceEnabled": True})
    assert refused.status_code == 403 and "license" in refused.text
    bmc.bmc.oem["licence"] = "Datacenter"
    assert bmc("PATCH", service, json={"ServiceEnabled": True}).status_code == 200
    values = bmc.get(report)["MetricValues"]
    assert {value["Oem"]["Dell"]["FQDD"] for value in values} == {f"Video.Slot.{n}-1" for n in range(21, 29)}


def test_dell_takes_the_mains_away_by_a_bios_attribute(start: Any) -> None:
    bmc = start("dell")
    assert dell_bios(bmc, {"PowerCycleRequest": "FullPowerCycle"}).status_code == 202
    bmc.turn("On", "On")
    bmc.loop.until(lambda: bmc.machine.bmc.away)
    bmc.loop.until(lambda: not bmc.machine.bmc.away and bmc.machine.power == "On")
    assert bmc.machine.bmc.bios["PowerCycleRequest"] == "None"


def test_dell_shows_an_eject_a_moment_later(start: Any) -> None:
    bmc = start("dell")
    media = f"{bmc.system}/VirtualMedia/1"
    assert bmc("POST", f"{media}/Actions/VirtualMedia.InsertMedia", json={"Image": "http://127.0.0.1/a.iso"}).ok
    assert bmc("POST", f"{media}/Actions/VirtualMedia.EjectMedia", json={}).ok
    assert bmc.get(media)["Inserted"] is True
    bmc.loop.until(lambda: not bmc.machine.bmc.media["CD1"].inserted)


# -- Supermicro


def test_supermicro_ignores_a_target_without_enabled(start: Any) -> None:
    bmc = start("supermicro")
    assert bmc.patch(bmc.system, {"Boot": {"BootSourceOverrideTarget": "Pxe"}}).status_code < 300
    assert bmc.get(bmc.system)["Boot"]["BootSourceOverrideTarget"] == "None"


def test_supermicro_shows_pending_attributes_only_when_there_are_some_and_takes_none_back(start: Any) -> None:
    bmc = start("supermicro")
    pending = f"{bmc.system}/Bios/SD"
    assert "Attributes" not in bmc.get(pending)
    assert bmc.patch(pending, {"Attributes": {"QuietBoot#002E": False}}).status_code == 202
    assert bmc.get(pending)["Attributes"] == {"QuietBoot#002E": False}
    assert bmc.patch(pending, {"Attributes": {"QuietBoot#002E": True}}).status_code == 202
    assert bmc.get(pending)["Attributes"] == {"QuietBoot#002E": False}


def test_supermicro_knows_http_boot_after_it_was_enabled_and_post_ran(start: Any) -> None:
    bmc = start("supermicro")
    once = {"Boot": {"BootSourceOverrideEnabled": "Once", "BootSourceOverrideTarget": "UefiHttp"}}
    assert bmc.patch(bmc.system, once).status_code == 400
    assert bmc.patch(f"{bmc.system}/Bios/SD", {"Attributes": {"IPv4HTTPSupport#0024": "Enabled"}}).status_code == 202
    assert bmc.patch(bmc.system, once).status_code == 400
    bmc.turn("On", "On")
    bmc.post_ran(0)
    assert bmc.patch(bmc.system, once).status_code < 300


def test_supermicro_ejects_only_what_is_in(start: Any) -> None:
    bmc = start("supermicro")
    media = f"{V1}/Managers/1/VirtualMedia/VirtualMedia1"
    assert list(bmc.get(media)["Actions"]) == ["#VirtualMedia.InsertMedia"]
    insert = f"{media}/Actions/VirtualMedia.InsertMedia"
    image = {"Image": "http://127.0.0.1/boot.iso"}
    refused = bmc("POST", insert, json={**image, "Inserted": True, "TransferProtocolType": "HTTP"})
    assert refused.status_code == 400
    assert bmc("POST", insert, json=image).status_code == 400
    assert bmc("POST", insert, json={**image, "TransferProtocolType": "HTTP"}).status_code < 300
    eject = bmc.get(media)["Actions"]["#VirtualMedia.EjectMedia"]["target"]
    assert bmc("POST", eject, json={}).status_code < 300
    assert "#VirtualMedia.EjectMedia" not in bmc.get(media)["Actions"]


@pytest.mark.parametrize(("vendor", "path"), [("supermicro", "Bios/SD"), ("lenovo", "Bios/Pending")])
def test_without_a_licence_the_bios_is_closed(start: Any, vendor: str, path: str) -> None:
    bmc = start(vendor)
    bmc.fault("unlicensed")
    name = next(name for name in bmc.get(f"{bmc.system}/Bios")["Attributes"] if "TurboMode" in name)
    other = {"Enable": "Disable", "Enabled": "Disabled"}[bmc.get(f"{bmc.system}/Bios")["Attributes"][name]]
    refused = bmc.patch(f"{bmc.system}/{path}", {"Attributes": {name: other}})
    assert refused.status_code == 403 and "icense" in refused.text


def test_supermicro_has_its_gpus_among_the_pcie_devices_and_one_temperature(start: Any) -> None:
    bmc = start("supermicro")
    devices = bmc.get(f"{V1}/Chassis/1/PCIeDevices")["Members"]
    assert [device["@odata.id"].rsplit("/", 1)[-1] for device in devices] == [f"GPU{n}" for n in range(1, 9)]
    bmc.turn("On", "On")
    (reading,) = [t for t in bmc.get(f"{V1}/Chassis/1/Thermal")["Temperatures"] if t["Name"] == "GPU Temp"]
    assert 15 < reading["ReadingCelsius"] < 90
    bmc.fault("gpu_missing", value=3)
    assert len(bmc.get(f"{V1}/Chassis/1/PCIeDevices")["Members"]) == 7


# -- HPE


def test_hpe_changes_nothing_while_the_host_is_in_post(start: Any) -> None:
    bmc = start("hpe")
    bmc.fault("post_hang")
    bmc.turn("On", "On")
    once = {"Boot": {"BootSourceOverrideEnabled": "Once", "BootSourceOverrideTarget": "Pxe"}}
    refused = bmc.patch(bmc.system, once)
    assert refused.status_code == 400 and ids(refused) == ["iLO.2.14.UnableToModifyDuringSystemPOST"]
    assert bmc.patch(f"{V1}/systems/1/bios/settings/", {"Attributes": {"Sriov": "Disabled"}}).status_code == 400
    assert "Message" not in refused.json()["error"]["@Message.ExtendedInfo"][0]


def test_hpe_answers_success_with_a_message_and_takes_bios_in_lower_case(start: Any) -> None:
    bmc = start("hpe")
    settings = bmc.get(bmc.get(bmc.system)["Bios"]["@odata.id"])["@Redfish.Settings"]["SettingsObject"]["@odata.id"]
    assert settings == f"{V1}/systems/1/bios/settings/"
    done = bmc.patch(settings, {"Attributes": {"Sriov": "Disabled"}})
    assert done.status_code == 200 and ids(done) == ["iLO.2.14.SystemResetRequired"]
    assert bmc.get(settings)["Attributes"]["Sriov"] == "Disabled"
    assert len(bmc.get(settings)["Attributes"]) == len(bmc.get(f"{V1}/systems/1/bios/")["Attributes"])
    assert ids(bmc.reset("On")) == ["Base.1.4.Success"]


def test_hpe_ejects_with_an_empty_object_and_not_with_nothing(start: Any) -> None:
    bmc = start("hpe")
    media = f"{V1}/Managers/1/VirtualMedia/2"
    assert bmc("POST", f"{media}/Actions/VirtualMedia.InsertMedia", json={"Image": "http://127.0.0.1/a.iso"}).ok
    assert bmc("POST", f"{media}/Actions/VirtualMedia.EjectMedia").status_code == 400
    assert bmc.get(media)["Inserted"] is True
    assert bmc("POST", f"{media}/Actions/VirtualMedia.EjectMedia", json={}).status_code == 200
    assert bmc.get(media)["Inserted"] is False


def test_hpe_resets_a_connection_that_was_idle(start: Any) -> None:
    bmc = start("hpe")
    bmc.get(bmc.system)
    time.sleep(1.2)
    with pytest.raises(requests.ConnectionError):
        bmc("GET", bmc.system)
    bmc.get(bmc.system)


def test_hpe_sends_registries_only_in_gzip(start: Any) -> None:
    bmc = start("hpe")
    (location,) = bmc.get(f"{V1}/Registries/BiosAttributeRegistryA42.v1_2_60")["Location"]
    assert bmc("GET", location["Uri"], headers={"Accept-Encoding": "identity"}).status_code == 406
    assert "Sriov" in str(bmc.get(location["Uri"])["RegistryEntries"])


def test_hpe_takes_the_standby_power_away(start: Any) -> None:
    bmc = start("hpe")
    bmc.turn("On", "On")
    posts = bmc.machine.posts
    target = bmc.get(bmc.system)["Oem"]["Hpe"]["Actions"]["#HpeComputerSystemExt.SystemReset"]["target"]
    assert bmc("POST", target, json={"ResetType": "AuxCycle"}).status_code == 200
    bmc.post_ran(posts)
    assert bmc.machine.bmc.resets == 1


# -- Lenovo


def test_lenovo_refuses_continuous(start: Any) -> None:
    bmc = start("lenovo")
    body = {"Boot": {"BootSourceOverrideEnabled": "Continuous", "BootSourceOverrideTarget": "Pxe"}}
    assert bmc.patch(bmc.system, body).status_code == 400


def test_lenovo_media_are_changed_by_patch(start: Any) -> None:
    bmc = start("lenovo")
    collection = bmc.get(f"{V1}/Managers/1/VirtualMedia")["Members"]
    names = [member["@odata.id"].rsplit("/", 1)[-1] for member in collection]
    assert names[:4] == ["EXT1", "EXT2", "EXT3", "EXT4"] and "RDOC1" in names and "Remote1" in names
    media = f"{V1}/Managers/1/VirtualMedia/EXT1"
    assert "Actions" not in bmc.get(media)
    assert bmc.patch(media, {"Image": "http://127.0.0.1/a.iso", "Inserted": True}).status_code == 200
    assert bmc.machine.bmc.media["CD1"].inserted
    assert bmc.patch(media, {"Image": None}).status_code == 200
    assert bmc.get(media)["Inserted"] is False
    assert bmc.patch(f"{V1}/Managers/1/VirtualMedia/RDOC1", {"Image": "http://127.0.0.1/a.iso"}).status_code == 400


def test_lenovo_tells_of_a_finished_task_once(start: Any) -> None:
    bmc = start("lenovo")

    async def nothing() -> None:
        return None

    async def begin() -> Any:
        return bmc.bmc.task_answer("Something", nothing())

    answer = bmc.loop.run(begin())
    monitor, task = answer.headers["Location"], answer.body["@odata.id"]
    bmc.loop.until(lambda: all(t.ended_at for t in bmc.bmc.tasks.by_id.values()))
    assert bmc.get(task)["TaskState"] == "Completed"
    assert bmc.get(monitor)["TaskState"] == "Completed"
    assert bmc("GET", monitor).status_code == 404
    assert bmc("GET", task).status_code == 404


def test_lenovo_has_gpu_processors_without_metrics_and_seven_reports_about_other_things(start: Any) -> None:
    bmc = start("lenovo")
    processors = [member["@odata.id"] for member in bmc.get(f"{bmc.system}/Processors")["Members"]]
    gpus = [path for path in processors if bmc.get(path)["ProcessorType"] == "GPU"]
    assert len(gpus) == 8 and "Metrics" not in bmc.get(gpus[0])
    assert bmc.get(f"{V1}/TelemetryService/MetricReports")["Members@odata.count"] == 7


# -- OpenBMC


def test_openbmc_has_a_gpu_system_that_counts_from_zero(start: Any) -> None:
    bmc = start("openbmc")
    bmc.turn("On", "On")
    processors = bmc.get(f"{V1}/Systems/HGX_Baseboard_0/Processors")["Members"]
    names = {member["@odata.id"].rsplit("/", 1)[-1] for member in processors}
    assert {f"GPU_{n}" for n in range(8)} <= names and not any("SXM" in name for name in names)
    assert bmc.get(f"{V1}/Systems/HGX_Baseboard_0/Processors/GPU_0")["Id"] == "GPU_0"
    assert bmc("GET", f"{V1}/Systems/HGX_Baseboard_0/Processors/GPU_SXM_1").status_code == 404
    for report in ("PlatformEnvironmentMetrics", "ProcessorMetrics", "MemoryMetrics"):
        values = bmc.get(f"{V1}/TelemetryService/MetricReports/HGX_{report}_0")["MetricValues"]
        assert any("GPU_7" in value["MetricProperty"] for value in values), report
        assert all(isinstance(value["MetricValue"], str) for value in values), report


def test_openbmc_accounts_go_by_name(start: Any) -> None:
    bmc = start("openbmc")
    name = bmc.machine.bmc_username
    assert bmc.get(f"{V1}/AccountService/Accounts/{name}")["Id"] == name
    assert bmc("GET", f"{V1}/AccountService/Accounts/1").status_code == 404


# -- AMI


def test_a_dgx_changes_accounts_with_a_star_and_refuses_their_own_tag(start: Any) -> None:
    bmc = start("ami")
    path = f"{V1}/AccountService/Accounts/2"
    body = {"Password": "a-new-password-2"}
    assert bmc.patch(path, body).status_code == 412
    assert bmc("PATCH", path, json=body, headers={"If-Match": "*"}).status_code == 204
