"""The lab's Redfish BMC, asked by clients that nobody here wrote: DMTF's library and requests."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import redfish
import requests

DGX = "/redfish/v1/Systems/DGX"
RESET = f"{DGX}/Actions/ComputerSystem.Reset"


@pytest.fixture
def http(running: Any) -> Iterator[Any]:
    """A requests session with the CA checked and a deadline on every call."""
    session = requests.Session()
    session.trust_env = False
    session.auth = running.auth

    def call(method: str, path: str, **options: Any) -> requests.Response:
        options.setdefault("timeout", 3)
        return session.request(method, running.url + path, verify=running.ca_path, **options)

    yield call
    session.close()


def wait_for_task(http: Any, response: requests.Response, seconds: float = 3) -> dict[str, Any]:
    assert response.status_code == 202
    assert response.content == b""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        task: dict[str, Any] = http("GET", response.headers["Location"]).json()
        if task["TaskState"] != "Running":
            return task
        time.sleep(0.01)
    raise AssertionError("the task did not end")


def test_the_dmtf_library_logs_in_turns_the_machine_on_and_logs_out(running: Any, loop: Any) -> None:
    client = redfish.redfish_client(
        base_url=running.url,
        username=running.auth[0],
        password=running.auth[1],
        cafile=running.ca_path,
        timeout=3,
        max_retry=0,
    )
    client.login(auth="session")
    assert client.root.Vendor == "AMI"
    assert client.get(DGX).dict["PowerState"] == "Off"
    assert client.post(RESET, body={"ResetType": "On"}).status == 202
    loop.until(lambda: running.bmc.machine.running == "agent")
    assert client.get(DGX).dict["PowerState"] == "On"
    assert len(running.bmc.sessions.list()) == 1
    client.logout()
    assert running.bmc.sessions.list() == []


def test_nobody_gets_in_without_credentials(running: Any) -> None:
    def get(path: str, **options: Any) -> requests.Response:
        return requests.get(running.url + path, verify=running.ca_path, timeout=3, **options)

    assert get("/redfish/v1").status_code == 200
    answer = get("/redfish/v1/Systems")
    assert answer.status_code == 401
    assert answer.json()["error"]["@Message.ExtendedInfo"][0]["MessageId"] == "Base.1.12.NoValidSession"
    assert get("/redfish/v1/Systems", auth=("admin", "wrong")).status_code == 401
    assert get("/redfish/v1/Systems", headers={"X-Auth-Token": "made-up"}).status_code == 401


def test_five_wrong_passwords_lock_the_account(running: Any, http: Any) -> None:
    for _ in range(5):
        assert http("GET", "/redfish/v1/Systems", auth=("admin", "wrong")).status_code == 401
    assert http("GET", "/redfish/v1/Systems").status_code == 401
    assert running.bmc.state.accounts.locked(running.bmc.state.accounts.find("admin"))


def test_sessions_are_few_and_end_when_unused(running: Any, http: Any) -> None:
    body = {"UserName": running.auth[0], "Password": running.auth[1]}
    opened = [http("POST", "/redfish/v1/SessionService/Sessions", json=body, auth=None) for _ in range(17)]
    assert [answer.status_code for answer in opened] == [201] * 16 + [503]
    token = {"X-Auth-Token": opened[0].headers["X-Auth-Token"]}
    assert requests.get(running.url + DGX, headers=token, verify=running.ca_path, timeout=3).status_code == 200
    running.bmc.sessions._clock = lambda: time.monotonic() + 31
    assert requests.get(running.url + DGX, headers=token, verify=running.ca_path, timeout=3).status_code == 401
    assert running.bmc.sessions.list() == []


def test_reset_types_stand_in_the_action_info_only(http: Any) -> None:
    action = http("GET", DGX).json()["Actions"]["#ComputerSystem.Reset"]
    assert "ResetType@Redfish.AllowableValues" not in action
    parameters = http("GET", action["@Redfish.ActionInfo"]).json()["Parameters"]
    assert parameters[0]["AllowableValues"] == ["ForceOff", "ForceRestart", "GracefulShutdown", "On"]
    answer = http("POST", RESET, json={"ResetType": "PowerCycle"})
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "Base.1.12.ActionParameterValueNotInList"


def test_a_reset_that_does_nothing_ends_its_task_in_an_exception(running: Any, http: Any) -> None:
    running.bmc.machine.world.faults.add(running.bmc.machine.name, "machine", "power_stuck", count=1)
    task = wait_for_task(http, http("POST", RESET, json={"ResetType": "On"}))
    assert task["TaskState"] == "Exception"
    assert http("GET", DGX).json()["PowerState"] == "Off"
    assert wait_for_task(http, http("POST", RESET, json={"ResetType": "ForceOff"}))["TaskState"] == "Completed"


def test_the_boot_source_is_set_through_the_settings_object_with_its_own_etag(running: Any, http: Any) -> None:
    body = {
        "Boot": {
            "BootSourceOverrideEnabled": "Once",
            "BootSourceOverrideMode": "UEFI",
            "BootSourceOverrideTarget": "Hdd",
        }
    }
    system = http("GET", DGX)
    assert http("PATCH", DGX, json=body, headers={"If-Match": system.headers["ETag"]}).status_code == 400
    settings = http("GET", f"{DGX}/SD")
    assert settings.headers["ETag"] == settings.json()["@odata.etag"]
    assert http("PATCH", f"{DGX}/SD", json=body).status_code == 428
    assert http("PATCH", f"{DGX}/SD", json=body, headers={"If-Match": '"1"'}).status_code == 412
    tag = {"If-Match": settings.headers["ETag"]}
    incomplete = {"Boot": {"BootSourceOverrideEnabled": "Once", "BootSourceOverrideTarget": "Hdd"}}
    assert http("PATCH", f"{DGX}/SD", json=incomplete, headers=tag).status_code == 400
    assert http("PATCH", f"{DGX}/SD", json=body, headers=tag).status_code == 204
    assert http("GET", DGX).json()["Boot"]["BootSourceOverrideTarget"] == "Hdd"
    # what changed has a new tag, so that the old one does not overwrite it
    assert http("PATCH", f"{DGX}/SD", json=body, headers=tag).status_code == 412


def test_the_override_is_used_up_by_the_boot(running: Any, http: Any, loop: Any) -> None:
    body = {
        "Boot": {
            "BootSourceOverrideEnabled": "Once",
            "BootSourceOverrideMode": "UEFI",
            "BootSourceOverrideTarget": "BiosSetup",
        }
    }
    etag = http("GET", f"{DGX}/SD").headers["ETag"]
    assert http("PATCH", f"{DGX}/SD", json=body, headers={"If-Match": etag}).status_code == 204
    wait_for_task(http, http("POST", RESET, json={"ResetType": "On"}))
    loop.until(lambda: bool(running.bmc.machine.boots))
    assert running.bmc.machine.boots[0]["device"] == "setup"
    assert http("GET", f"{DGX}/SD").json()["Boot"]["BootSourceOverrideEnabled"] == "Disabled"


def test_the_etag_stays_while_nothing_changes(http: Any) -> None:
    first = http("GET", DGX).headers["ETag"]
    assert http("GET", DGX).headers["ETag"] == first
    assert http("GET", DGX, headers={"If-None-Match": first}).status_code == 304


def test_bios_settings_take_effect_in_the_next_post(http: Any, running: Any, loop: Any) -> None:
    path = f"{DGX}/Bios"
    etag = {"If-Match": http("GET", f"{path}/SD").headers["ETag"]}
    unknown = {"Attributes": {"NoSuchThing": "1"}}
    assert http("PATCH", f"{path}/SD", json=unknown, headers=etag).status_code == 400
    wrong = {"Attributes": {"TurboMode": "Sometimes"}}
    assert http("PATCH", f"{path}/SD", json=wrong, headers=etag).status_code == 400
    change = {"Attributes": {"TurboMode": "Disable"}}
    assert http("PATCH", f"{path}/SD", json=change, headers=etag).status_code == 204
    assert http("GET", path).json()["Attributes"]["TurboMode"] == "Enable"
    assert http("GET", f"{path}/SD").json()["Attributes"]["TurboMode"] == "Disable"
    wait_for_task(http, http("POST", RESET, json={"ResetType": "On"}))
    loop.until(lambda: running.bmc.machine.running == "agent")
    assert http("GET", path).json()["Attributes"]["TurboMode"] == "Disable"


def test_gpus_and_the_report_follow_the_physics(http: Any, running: Any, loop: Any) -> None:
    machine = running.bmc.machine
    processors = "/redfish/v1/Systems/HGX_Baseboard_0/Processors"
    gpu = http("GET", f"{processors}/GPU_SXM_3").json()
    assert (gpu["ProcessorType"], gpu["SerialNumber"]) == ("GPU", machine.gpus[2].serial_number)
    report_path = "/redfish/v1/TelemetryService/MetricReports/HGX_PlatformEnvironmentMetrics_0"

    def values() -> dict[str, str]:
        report = http("GET", report_path).json()["MetricValues"]
        return {value["MetricProperty"].rsplit("/", 1)[-1]: value["MetricValue"] for value in report}

    assert values()["HGX_GPU_SXM_3_Power_0"] == "nan"  # no power, no reading
    wait_for_task(http, http("POST", RESET, json={"ResetType": "On"}))
    loop.until(lambda: machine.running == "agent")
    machine.gpus[2].forced_celsius = 90.0
    now = values()
    assert len(now) == 93
    assert now["HGX_GPU_SXM_3_TEMP_0"] == "90.000000"
    assert float(now["HGX_GPU_SXM_3_TEMP_1"]) == -3.0  # the margin
    sensor = http("GET", "/redfish/v1/Chassis/HGX_GPU_SXM_3/Sensors/HGX_GPU_SXM_3_TEMP_1").json()
    assert (sensor["Reading"], sensor["Status"]["Health"]) == (-3.0, "Critical")
    machine.world.faults.add(machine.name, "machine", "gpu_missing", value=3)
    assert http("GET", f"{processors}/GPU_SXM_3").status_code == 404
    assert len(http("GET", processors).json()["Members"]) == 8  # seven GPUs and the FPGA


def test_an_xid_stands_in_the_event_log_and_in_the_gpus_own_view(http: Any, running: Any, loop: Any) -> None:
    machine = running.bmc.machine
    loop.loop.call_soon_threadsafe(machine.xid, machine.gpus[3], 79, "GPU has fallen off the bus")
    loop.until(lambda: bool(machine.bmc.event_log))
    log = "/redfish/v1/Systems/HGX_Baseboard_0/LogServices/EventLog/Entries"
    (entry,) = http("GET", log).json()["Members"]
    assert entry["MessageId"] == "ResourceEvent.1.0.ResourceErrorsDetected"
    assert entry["MessageArgs"][0] == "GPU_SXM_4 Driver Event Message"
    assert "XID 79" in entry["MessageArgs"][1]
    (view,) = http("GET", "/redfish/v1/Chassis/HGX_GPU_SXM_4/LogServices/XID/Entries").json()["Members"]
    assert view == entry
    assert http("GET", "/redfish/v1/Chassis/HGX_GPU_SXM_1/LogServices/XID/Entries").json()["Members"] == []
    assert http("GET", f"{log}?$filter=Id gt 1").json()["Members"] == []


def test_accounts_can_be_rotated(http: Any, running: Any) -> None:
    accounts = "/redfish/v1/AccountService/Accounts"
    path = http("GET", accounts).json()["Members"][0]["@odata.id"]
    assert http("PATCH", path, json={"Password": "short"}, headers={"If-Match": "*"}).status_code == 400
    assert http("PATCH", path, json={"Password": "a-new-password-1"}).status_code == 428
    assert http("PATCH", path, json={"Password": "a-new-password-1"}, headers={"If-Match": "*"}).status_code == 204
    assert http("GET", DGX).status_code == 401
    assert http("GET", DGX, auth=("admin", "a-new-password-1")).status_code == 200
    new = {"UserName": "watcher", "Password": "watch-only-0001", "RoleId": "ReadOnly"}
    made = http("POST", accounts, json=new, auth=("admin", "a-new-password-1"))
    assert made.status_code == 201
    watcher = ("watcher", "watch-only-0001")
    assert http("GET", DGX, auth=watcher).status_code == 200
    assert http("POST", RESET, json={"ResetType": "On"}, auth=watcher).status_code == 403
    assert running.bmc.machine.power == "Off"


def test_a_restarted_bmc_ends_its_sessions_and_the_host_runs_on(http: Any, running: Any, loop: Any) -> None:
    machine = running.bmc.machine
    wait_for_task(http, http("POST", RESET, json={"ResetType": "On"}))
    loop.until(lambda: machine.running == "agent")
    body = {"UserName": running.auth[0], "Password": running.auth[1]}
    token = http("POST", "/redfish/v1/SessionService/Sessions", json=body).headers["X-Auth-Token"]
    reset = "/redfish/v1/Managers/BMC/Actions/Manager.Reset"
    assert http("POST", reset, json={"ResetType": "ForceRestart"}).status_code == 204
    loop.until(lambda: machine.bmc.resets == 1)
    answer = requests.get(running.url + DGX, headers={"X-Auth-Token": token}, verify=running.ca_path, timeout=3)
    assert answer.status_code == 401
    assert machine.running == "agent"


def test_virtual_media_boots_when_told_to(http: Any, running: Any, loop: Any) -> None:
    media = "/redfish/v1/Managers/BMC/VirtualMedia/CD1"
    insert = f"{media}/Actions/VirtualMedia.InsertMedia"
    assert http("POST", insert, json={"Image": "http://images/hook.iso"}).status_code == 400
    full = {"Image": "http://images/hook.iso", "UserName": "", "Password": ""}
    assert http("POST", insert, json=full).status_code == 204
    assert http("GET", media).json()["Inserted"] is True
    running.bmc.state.override.target, running.bmc.state.override.enabled = "Cd", "Once"
    wait_for_task(http, http("POST", RESET, json={"ResetType": "On"}))
    loop.until(lambda: running.bmc.machine.running == "agent")
    assert running.bmc.machine.boots[0]["device"] == "cd"


def test_expand_loses_ids_and_large_collections_have_pages(http: Any) -> None:
    expanded = http("GET", "/redfish/v1/Systems?$expand=.($levels=1)").json()["Members"]
    assert expanded[0]["PowerState"] == "Off"
    assert "Id" not in expanded[0]
    sensors = http("GET", "/redfish/v1/Chassis/DGX/Sensors").json()
    assert len(sensors["Members"]) == 75
    rest = http("GET", sensors["Members@odata.nextLink"]).json()
    assert len(sensors["Members"]) + len(rest["Members"]) == sensors["Members@odata.count"]


def test_bad_requests_get_extended_errors(http: Any) -> None:
    assert http("GET", "/redfish/v1/Systems/Nothing").status_code == 404
    assert http("POST", RESET, data=b"{not json").json()["error"]["code"] == "Base.1.12.MalformedJSON"
    assert http("POST", RESET, json={}).json()["error"]["code"] == "Base.1.12.ActionParameterMissing"
    assert http("DELETE", DGX).status_code == 405
    assert http("GET", "/redfish/v1/Systems?$top=x").status_code == 400


def test_faults(http: Any, running: Any, loop: Any) -> None:
    faults, name = running.bmc.machine.world.faults, running.bmc.machine.name

    def strike(kind: str, value: Any = None, **options: Any) -> requests.Response:
        faults.add(name, "redfish", kind, match="GET /redfish/*", value=value, count=1)
        return http("GET", DGX, **options)

    assert strike("status", 503).status_code == 503
    assert "PowerState" not in strike("wrong", "PowerState").json()
    assert isinstance(strike("wrong").json(), list)
    with pytest.raises(requests.JSONDecodeError):
        strike("garbage").json()
    with pytest.raises(requests.ConnectionError):
        strike("drop")
    with pytest.raises(requests.Timeout):
        strike("hang", timeout=0.3)
    started = time.monotonic()
    assert strike("latency", 0.2).status_code == 200
    assert time.monotonic() - started >= 0.2
    assert http("GET", DGX).status_code == 200  # every one struck once


def test_a_refusing_bmc_refuses_until_the_fault_is_gone(http: Any, running: Any, loop: Any) -> None:
    faults = running.bmc.machine.world.faults

    async def refuse() -> None:
        faults.add("*", "redfish", "refuse")

    async def recover() -> None:
        faults.clear()

    loop.run(refuse())
    loop.until(lambda: running.bmc._site is None)
    time.sleep(0.05)
    with pytest.raises(requests.ConnectionError):
        requests.get(running.url + "/redfish/v1", verify=running.ca_path, timeout=2)
    loop.run(recover())
    loop.until(lambda: running.bmc._site is not None)
    assert http("GET", DGX).status_code == 200


def test_writes_stand_in_the_log_without_passwords(http: Any, running: Any) -> None:
    body = {"UserName": running.auth[0], "Password": running.auth[1]}
    http("POST", "/redfish/v1/SessionService/Sessions", json=body)
    wait_for_task(http, http("POST", RESET, json={"ResetType": "On"}))
    entries = running.bmc.machine.world.log.select(layer="redfish")
    assert [entry.action.split("/")[-1] for entry in entries] == ["Sessions", "ComputerSystem.Reset"]
    assert entries[0].detail["body"]["Password"] == "********"
    assert entries[1].detail["by"] == "admin"


def test_events_reach_who_subscribed_and_a_deaf_one_is_dropped(http: Any, running: Any, loop: Any) -> None:
    came: list[dict[str, Any]] = []

    class Listener(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            came.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Listener)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        deaf = f"http://127.0.0.1:{closed.getsockname()[1]}/"
    path = "/redfish/v1/EventService/Subscriptions"
    for destination in (deaf, f"http://127.0.0.1:{server.server_port}/events"):
        made = http("POST", path, json={"Destination": destination, "Protocol": "Redfish", "Context": "lab"})
        assert made.status_code == 201
    machine = running.bmc.machine
    for xid in (62, 79, 94):
        loop.loop.call_soon_threadsafe(machine.xid, machine.gpus[0], xid, "")
    loop.until(lambda: len(came) == 3)
    assert came[1]["Context"] == "lab"
    (event,) = came[1]["Events"]
    assert "XID 79" in event["MessageArgs"][1]
    assert event["OriginOfCondition"] == {"@odata.id": "/redfish/v1/Chassis/HGX_GPU_SXM_1"}
    assert [member["@odata.id"] for member in http("GET", path).json()["Members"]] == [f"{path}/2"]
    assert http("DELETE", f"{path}/2").status_code == 204
    server.shutdown()
    server.server_close()


def test_gpu_settings_wait_for_the_gpus_reset(http: Any, running: Any, loop: Any) -> None:
    path = "/redfish/v1/Systems/HGX_Baseboard_0/Processors/GPU_SXM_1"
    reset = f"{path}/Actions/Processor.Reset"
    mig = {"Oem": {"Nvidia": {"MIGModeEnabled": True}}}
    assert http("PATCH", path, json=mig).status_code == 204
    assert http("GET", path).json()["Oem"]["Nvidia"]["MIGModeEnabled"] is False
    assert http("POST", reset, json={"ResetType": "ForceRestart"}).status_code == 409  # no power
    loop.run(running.bmc.machine.power_action("on", by="test"))
    assert http("POST", reset, json={"ResetType": "GracefulRestart"}).status_code == 400
    assert http("POST", reset, json={"ResetType": "ForceRestart"}).status_code == 200
    assert http("GET", path).json()["Oem"]["Nvidia"]["MIGModeEnabled"] is True
    assert running.bmc.machine.gpus[0].resets == 1
