"""What the lab's vendors are known for, asked over HTTPS by a client that is not ours."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from lab.clock import Clock
from lab.config import DELAYS, VENDORS, make_config
from lab.faults import FaultSet
from lab.log import WriteLog
from lab.machine import Machine, World
from lab.pki import CertificateAuthority
from lab.redfish.service import RedfishBmc
from tests.component.lab.conftest import BootService, Fabric, System

V1 = "/redfish/v1"
SYSTEMS = {
    "ami": f"{V1}/Systems/DGX",
    "dell": f"{V1}/Systems/System.Embedded.1",
    "hpe": f"{V1}/Systems/1",
    "lenovo": f"{V1}/Systems/1",
    "supermicro": f"{V1}/Systems/1",
    "openbmc": f"{V1}/Systems/System_0",
    "gigabyte": f"{V1}/Systems/Self",
    "generic": f"{V1}/Systems/1",
}
AMI = ("ami", "gigabyte")
JOB_SERVICE = f"{V1}/Managers/iDRAC.Embedded.1/Oem/Dell/DellJobService/Actions/DellJobService.DeleteJobQueue"


class Bmc:
    """One machine of a vendor, and requests to it."""

    def __init__(self, loop: Any, bmc: RedfishBmc, ca_path: Path) -> None:
        self.loop, self.bmc, self.machine = loop, bmc, bmc.machine
        self.system = SYSTEMS[bmc.vendor.name]
        self.http = requests.Session()
        self.http.trust_env = False
        self.http.verify = str(ca_path)
        self.http.auth = (self.machine.bmc_username, self.machine.bmc_password)

    def __call__(self, method: str, path: str, **options: Any) -> requests.Response:
        options.setdefault("timeout", 3)
        return self.http.request(method, f"https://127.0.0.1:{self.bmc.port}{path}", **options)

    def get(self, path: str) -> Any:
        answer = self("GET", path)
        assert answer.status_code == 200, f"{path}: {answer.status_code} {answer.text}"
        return answer.json()

    def patch(self, path: str, body: Any, **options: Any) -> requests.Response:
        """With the tag of the resource, where there is one."""
        tag = self("GET", path).headers.get("ETag")
        return self("PATCH", path, json=body, headers={"If-Match": tag} if tag else {}, **options)

    def reset(self, kind: str) -> requests.Response:
        return self("POST", f"{self.system}/Actions/ComputerSystem.Reset", json={"ResetType": kind})

    def turn(self, kind: str, power: str) -> None:
        assert self.reset(kind).status_code < 300
        self.loop.until(lambda: self.machine.power == power)

    def post_ran(self, before: int) -> None:
        self.loop.until(lambda: self.machine.posts > before and not self.machine.in_post)

    def fault(self, kind: str, match: str = "*", value: Any = None, count: int | None = None) -> None:
        faults = self.machine.world.faults
        layer = "machine" if kind in ("post_hang", "power_stuck", "gpu_missing") else "redfish"

        async def add() -> None:
            faults.add(self.machine.name, layer, kind, match, value, count)

        self.loop.run(add())


@pytest.fixture
def start(loop: Any, tmp_path: Path) -> Iterator[Callable[..., Bmc]]:
    started: list[Bmc] = []
    authority = CertificateAuthority()
    ca_path = tmp_path / "ca.pem"
    ca_path.write_bytes(authority.pem)

    def start(vendor: str) -> Bmc:
        async def make() -> RedfishBmc:
            clock = Clock()
            world = World(clock, WriteLog(clock), FaultSet(), DELAYS["none"], Fabric(), BootService(), System())
            machine = Machine(make_config(tmp_path, servers=1, block=98, vendor=vendor).machines[0], world)
            bmc = RedfishBmc(machine, authority.server_context(tmp_path, vendor))
            await bmc.start()
            return bmc

        bmc = Bmc(loop, loop.run(make()), ca_path)
        started.append(bmc)
        return bmc

    yield start
    for bmc in started:
        bmc.http.close()
        loop.run(bmc.bmc.close())
        loop.run(bmc.machine.close())


def ids(answer: requests.Response) -> list[str]:
    error = answer.json()["error"]
    return [info["MessageId"] for info in error["@Message.ExtendedInfo"]]


# -- every vendor


@pytest.mark.parametrize("vendor", VENDORS)
def test_every_link_leads_somewhere_and_nothing_of_another_vendor_is_seen(start: Any, vendor: str) -> None:
    bmc = start(vendor)
    seen: set[str] = set()
    queue, missing = [V1], []
    while queue:
        path = queue.pop().split("#")[0].rstrip("/")
        if path in seen or "/Fabrics/" in path:  # the tray's fabrics are links only, as the lab has it
            continue
        seen.add(path)
        body = bmc.loop.run(read(bmc.bmc, path))
        if body is None:
            missing.append(path)
            continue
        queue += links(body)
        if vendor != "ami":
            assert "DGX" not in str(body), path
        if vendor not in AMI:
            assert "Ami" not in body.get("Oem", {}), path
    assert missing == []
    assert len(seen) > 100


async def read(bmc: RedfishBmc, path: str) -> Any:
    return bmc.resource(path)


def links(value: Any) -> list[str]:
    if isinstance(value, list):
        return [found for item in value for found in links(item)]
    if not isinstance(value, dict):
        return []
    own = [value["@odata.id"]] if isinstance(value.get("@odata.id"), str) else []
    return own + [found for item in value.values() for found in links(item)]


@pytest.mark.parametrize("vendor", VENDORS)
def test_power_boot_override_and_log_of_writes_work_under_the_vendors_own_paths(start: Any, vendor: str) -> None:
    bmc = start(vendor)
    target = f"{bmc.system}/SD" if vendor in AMI else bmc.system
    once = {"BootSourceOverrideEnabled": "Once", "BootSourceOverrideTarget": "Pxe", "BootSourceOverrideMode": "UEFI"}
    assert bmc.patch(target, {"Boot": once}).status_code < 300
    boot = bmc.get(bmc.system)["Boot"]
    assert (boot["BootSourceOverrideTarget"], boot["BootSourceOverrideEnabled"]) == ("Pxe", "Once")
    bmc.turn("On", "On")
    bmc.loop.until(lambda: bmc.machine.running == "agent")
    assert bmc.machine.boots[0]["device"] == "pxe"
    assert bmc.get(bmc.system)["Boot"]["BootSourceOverrideEnabled"] == "Disabled"
    bmc.turn("ForceOff", "Off")
    actions = [entry.action for entry in bmc.machine.world.log.select(layer="redfish")]
    assert actions == [
        f"PATCH {target}",
        f"POST {bmc.system}/Actions/ComputerSystem.Reset",
        f"POST {bmc.system}/Actions/ComputerSystem.Reset",
    ]


@pytest.mark.parametrize(
    ("vendor", "status", "power"),
    [
        ("dell", 409, "Off"),
        ("hpe", 400, "Off"),
        ("lenovo", 204, "Off"),
        ("supermicro", 204, "Off"),
        ("openbmc", 204, "Off"),
        ("ami", 202, "Off"),
    ],
)
def test_a_power_order_that_changes_nothing(start: Any, vendor: str, status: int, power: str) -> None:
    bmc = start(vendor)
    assert bmc.reset("ForceOff").status_code == status
    assert bmc.machine.power == power


@pytest.mark.parametrize(
    ("vendor", "where", "types"),
    [
        ("ami", "info", {"On", "ForceOff", "ForceRestart", "GracefulShutdown"}),
        (
            "supermicro",
            "info",
            {"On", "ForceOff", "GracefulShutdown", "GracefulRestart", "ForceRestart", "Nmi", "ForceOn", "PowerCycle"},
        ),
        (
            "lenovo",
            "action",
            {"On", "Nmi", "GracefulShutdown", "GracefulRestart", "ForceOff", "ForceOn", "ForceRestart"},
        ),
    ],
)
def test_where_reset_types_stand(start: Any, vendor: str, where: str, types: set[str]) -> None:
    bmc = start(vendor)
    action = bmc.get(bmc.system)["Actions"]["#ComputerSystem.Reset"]
    if where == "action":
        assert set(action["ResetType@Redfish.AllowableValues"]) == types
        return
    assert "ResetType@Redfish.AllowableValues" not in action
    (parameter,) = bmc.get(action["@Redfish.ActionInfo"])["Parameters"]
    assert set(parameter["AllowableValues"]) == types


@pytest.mark.parametrize("vendor", ["ami", "gigabyte", "supermicro", "hpe", "lenovo"])
def test_who_asks_for_an_etag(start: Any, vendor: str) -> None:
    bmc = start(vendor)
    target = f"{bmc.system}/SD" if vendor in AMI else bmc.system
    body = {"Boot": {"BootSourceOverrideEnabled": "Disabled"}}
    assert bmc("PATCH", target, json=body).status_code == 428
    assert bmc("PATCH", target, json=body, headers={"If-Match": '"0"'}).status_code == 412
    tag = bmc("GET", target).headers["ETag"]
    assert tag.startswith('W/"') == (vendor == "hpe")
    assert bmc.get(target)["@odata.etag"] == tag
    assert bmc.patch(target, body).status_code < 300


@pytest.mark.parametrize(("vendor", "header"), [("dell", False), ("openbmc", True)])
def test_who_has_no_etag_in_bodies(start: Any, vendor: str, header: bool) -> None:
    bmc = start(vendor)
    answer = bmc("GET", bmc.system)
    assert "@odata.etag" not in answer.json()
    assert ("ETag" in answer.headers) == header
    disabled = {"Boot": {"BootSourceOverrideEnabled": "Disabled"}}
    assert bmc("PATCH", bmc.system, json=disabled).status_code < 300


@pytest.mark.parametrize(
    ("vendor", "seconds", "shortest", "longest"),
    [
        ("dell", 1800, 0, 127),
        ("supermicro", 300, 8, 20),
        ("hpe", 30, 8, None),
        ("lenovo", 300, 10, 32),
        ("ami", 30, 13, 20),
    ],
)
def test_sessions_and_passwords(start: Any, vendor: str, seconds: int, shortest: int, longest: int | None) -> None:
    bmc = start(vendor)
    assert bmc.get(f"{V1}/SessionService")["SessionTimeout"] == seconds
    service = bmc.get(f"{V1}/AccountService")
    assert (service["MinPasswordLength"], service.get("MaxPasswordLength")) == (shortest, longest)
    if vendor == "dell":
        return
    made = bmc(
        "POST",
        f"{V1}/AccountService/Accounts",
        json={"UserName": "op", "Password": "x" * (shortest - 1), "RoleId": "Operator"},
    )
    assert made.status_code == 400
    good = {"UserName": "op", "Password": "x" * shortest, "RoleId": "Operator"}
    assert bmc("POST", f"{V1}/AccountService/Accounts", json=good).status_code == 201


@pytest.mark.parametrize(("vendor", "tries"), [("supermicro", 3), ("ami", 5), ("dell", None)])
def test_lockout(start: Any, vendor: str, tries: int | None) -> None:
    bmc = start(vendor)
    right = bmc.http.auth
    for _ in range(tries or 10):
        assert bmc("GET", bmc.system, auth=(right[0], "wrong")).status_code == 401
    assert bmc("GET", bmc.system, auth=right).status_code == (401 if tries else 200)


@pytest.mark.parametrize(
    ("vendor", "limit", "said"), [("dell", 8, "IDRAC.2.8.RAC0218"), ("lenovo", 16, "SessionLimit")]
)
def test_one_session_too_many(start: Any, vendor: str, limit: int, said: str) -> None:
    bmc = start(vendor)
    body = dict(zip(("UserName", "Password"), bmc.http.auth, strict=True))
    bmc.http.auth = None
    answers = [bmc("POST", f"{V1}/SessionService/Sessions", json=body) for _ in range(limit + 1)]
    assert [answer.status_code for answer in answers] == [201] * limit + [503]
    assert said in ids(answers[-1])[0]


def test_a_login_with_basic_credentials_beside_it_is_refused(start: Any) -> None:
    bmc = start("hpe")
    body = dict(zip(("UserName", "Password"), bmc.http.auth, strict=True))
    assert bmc("POST", f"{V1}/SessionService/Sessions", json=body).status_code == 401


@pytest.mark.parametrize("vendor", VENDORS)
def test_a_first_login_can_change_the_password_and_do_nothing_else(start: Any, vendor: str) -> None:
    bmc = start(vendor)
    (account,) = bmc.machine.bmc.accounts.by_id.values()
    account.must_change = True
    refused = bmc("GET", bmc.system)
    assert refused.status_code == 403
    own = refused.json()["error"]["@Message.ExtendedInfo"][0]["MessageArgs"][0]
    login = dict(zip(("UserName", "Password"), bmc.http.auth, strict=True))
    auth, bmc.http.auth = bmc.http.auth, None
    told = bmc("POST", f"{V1}/SessionService/Sessions", json=login)
    assert told.status_code == 201 and "PasswordChangeRequired" in str(told.json()["@Message.ExtendedInfo"])
    bmc.http.auth = auth
    assert bmc.get(own)["PasswordChangeRequired"] is True
    tag = "*" if vendor in AMI else bmc("GET", own).headers.get("ETag", "*")
    changed = bmc("PATCH", own, json={"Password": "a-new-password-1"}, headers={"If-Match": tag})
    assert changed.status_code < 300
    bmc.http.auth = (auth[0], "a-new-password-1")
    assert bmc.get(bmc.system)["PowerState"] == "Off"


@pytest.mark.parametrize(("vendor", "levels"), [("dell", 1), ("hpe", 1), ("supermicro", 2), ("openbmc", 6), ("ami", 5)])
def test_expand(start: Any, vendor: str, levels: int) -> None:
    bmc = start(vendor)
    (first, *_) = bmc.get(f"{V1}/Systems?$expand=.($levels=1)")["Members"]
    assert ("Id" in first) == (vendor != "ami")  # AMI's drops it
    assert bmc("GET", f"{V1}/Systems?$expand=.($levels={levels})").status_code == 200
    assert bmc("GET", f"{V1}/Systems?$expand=.($levels={levels + 1})").status_code == 400
    assert bmc("GET", f"{V1}/Systems?$expand=*($levels=1)").status_code == (400 if vendor == "hpe" else 200)


def power_on_entry(bmc: Bmc, path: str) -> dict[str, Any]:
    bmc.turn("On", "On")
    (entry, *_) = bmc.get(f"{path}/Entries")["Members"]
    return dict(entry)


@pytest.mark.parametrize(
    ("vendor", "path", "year"),
    [
        ("dell", "/Managers/iDRAC.Embedded.1/LogServices/Sel", "0000"),
        ("hpe", "/Systems/1/LogServices/IML", "0000"),
        ("supermicro", "/Systems/1/LogServices/Log1", "1970"),
        ("openbmc", "/Systems/System_0/LogServices/SEL", "9999"),
    ],
)
def test_a_log_whose_first_date_is_no_date(start: Any, vendor: str, path: str, year: str) -> None:
    entry = power_on_entry(start(vendor), V1 + path)
    assert entry["Id"] == "1" and entry["Created"].startswith(year)


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


# -- events, mains


@pytest.mark.parametrize("vendor", ["ami", "dell", "lenovo", "openbmc"])
def test_events_can_be_listened_to(start: Any, vendor: str) -> None:
    bmc = start(vendor)
    service = bmc.get(f"{V1}/EventService")
    uri = service.get("ServerSentEventUri") or f"{V1}/EventService/SSE"
    test_event = service["Actions"]["#EventService.SubmitTestEvent"]["target"]
    with bmc("GET", uri, stream=True) as stream:
        assert stream.headers["Content-Type"].startswith("text/event-stream")
        lines = stream.iter_lines()
        assert next(lines).startswith(b":")
        assert requests.post(
            f"https://127.0.0.1:{bmc.bmc.port}{test_event}",
            json={"MessageId": "Base.1.12.Success"},
            auth=bmc.http.auth,
            verify=bmc.http.verify,
            timeout=3,
        ).ok
        data = next(line for line in lines if line.startswith(b"data:"))
    assert b"Base.1.12.Success" in data


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


def test_a_mixed_fleet_takes_turns(tmp_path: Path) -> None:
    config = make_config(tmp_path, servers=5, vendor="dell, hpe")
    assert [machine.vendor for machine in config.machines] == ["dell", "hpe", "dell", "hpe", "dell"]
    with pytest.raises(ValueError, match="vendor must be of ami, dell"):
        make_config(tmp_path, vendor="dell,acme")
