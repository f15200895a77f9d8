"""firmware and firmware_info: versions read, images sent once, the task waited for, the version read back."""

from __future__ import annotations

import email
import email.policy
import http.server
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.base import AnswerLost, Refused
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.facets.firmware import same_version
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.operations import firmware, firmware_info
from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import (
    BadAnswer,
    Busy,
    DeadlineExceeded,
    InvalidInput,
    NotFound,
    PaleBlueDotError,
    Unsupported,
)
from replay import Asked, Reply

from lab.firmware import make_image

SERVICE = "/redfish/v1/UpdateService"
INVENTORY = f"{SERVICE}/FirmwareInventory"
UPLOAD = f"POST {SERVICE}/upload"


def update(bmc: Any, check_mode: bool = False, **options: Any) -> dict[str, Any]:
    defaults = {"targets": [], "apply_time": "immediate", "wait": True, "wait_timeout": 20}
    return firmware.run(bmc.params(**{**defaults, **options}), check_mode)


def versions(bmc: Any, *targets: str) -> dict[str, str]:
    found = firmware_info.run(bmc.params(targets=list(targets)), False)["firmware"]
    return {one["id"]: one["version"] for one in found}


@pytest.fixture
def image(tmp_path: Path) -> Any:
    def make(padding: int = 300_000, **components: str) -> str:
        file = tmp_path / "nvfw 24.fwpkg"
        file.write_bytes(make_image(components, padding))
        return str(file)

    return make


# -- reading


def test_an_id_is_read_alone_and_a_pattern_reads_what_it_means(lab_bmc: Any) -> None:
    assert versions(lab_bmc, "HostBIOS_0") == {"HostBIOS_0": "01.01.03"}
    assert len(versions(lab_bmc, "HGX_FW_GPU_SXM_*")) == 8
    everything = versions(lab_bmc)
    assert {"HostBMC_0", "CPLDMB_0", "HGX_FW_NVSwitch_3"} <= set(everything)


def test_a_dgx_has_sixty_components_and_only_those_asked_for_are_read(start_replay: Any, dgx_capture: Any) -> None:
    bmc = start_replay(dgx_capture)
    assert versions(bmc, "HostBIOS_0", "HGX_FW_GPU_SXM_*") == {
        "HostBIOS_0": "01.01.03",
        **{f"HGX_FW_GPU_SXM_{n}": "96.00.89.00.01" for n in range(1, 9)},
    }
    assert len([path for path in bmc.requests("GET") if f"{INVENTORY}/" in path]) == 9


def test_a_dell_id_is_the_component_without_the_version_and_old_ones_are_left_out(
    start_replay: Any, dell_capture: Any
) -> None:
    found = versions(start_replay(dell_capture))
    assert found["BIOS.Setup.1-1"] == "1.13.2" and found["iDRAC.Embedded.1-1"] == "7.10.30.00"
    assert len(found) == 17
    assert versions(start_replay(dell_capture), "BIOS") == {"BIOS.Setup.1-1": "1.13.2"}, "by display name"


def test_ids_of_another_kind_are_taken_as_they_are(start_lab: Any) -> None:
    assert versions(start_lab("dell"), "HostBIOS_0") == {"HostBIOS_0": "01.01.03"}


def test_an_hpe_component_is_found_by_its_name(start_replay: Any, hpe_capture: Any) -> None:
    bmc = start_replay(hpe_capture)
    assert versions(bmc, "System ROM") == {"2": "A42 v2.60 (08/11/2022)"}
    done = update(bmc, targets=["System ROM"], version="2.60")
    assert not done["changed"]
    assert bmc.requests("POST") == ["POST /redfish/v1/SessionService/Sessions"] * 2


def test_versions_are_compared_as_words() -> None:
    assert same_version("A42 v2.60 (08/11/2022)", "v2.60") and same_version("2.72 Sep 04 2022", "2.72")
    assert not same_version("A42 v2.60 (08/11/2022)", "2.6")
    assert not same_version("24.01.05", "24.01") and not same_version(None, "1")


# -- against the lab


def test_the_bmc_is_updated_by_multipart_restarts_itself_and_shows_the_version(lab_bmc: Any, image: Any) -> None:
    wanted = {"targets": ["HostBMC_0"], "version": "24.01.05", "image": image(HostBMC_0="24.01.05")}
    planned = update(lab_bmc, check_mode=True, **wanted)
    assert planned["changed"] and not lab_bmc.writes()
    done = update(lab_bmc, **wanted)
    assert (
        done["diff"]
        == planned["diff"]
        == {
            "before": {"firmware": {"HostBMC_0": "23.11.20"}},
            "after": {"firmware": {"HostBMC_0": "24.01.05"}},
        }
    )
    assert done["firmware"] == planned["firmware"] and done["task"]["state"] == "Completed"
    assert lab_bmc.writes() == [UPLOAD]
    again = update(lab_bmc, **wanted)
    assert not again["changed"] and lab_bmc.writes() == [UPLOAD]
    assert lab_bmc.sessions() == 0


def test_what_is_at_its_version_already_needs_no_image(lab_bmc: Any) -> None:
    assert not update(lab_bmc, targets=["HostBIOS_0"], version="01.01.03")["changed"]
    with pytest.raises(InvalidInput) as caught:
        update(lab_bmc, targets=["HostBIOS_0"], version="01.02.00")
    assert caught.value.code == "image_missing" and not lab_bmc.writes()


def test_a_version_without_targets_is_told_what_is_missing(lab_bmc: Any, image: Any) -> None:
    with pytest.raises(InvalidInput, match="of which components") as caught:
        update(lab_bmc, version="01.02.00", image=image(HostBIOS_0="01.02.00"))
    assert caught.value.tried == "version 01.02.00 without targets" and "targets" in (caught.value.next or "")
    with pytest.raises(InvalidInput, match="which version is wanted"):
        update(lab_bmc, targets=["HostBIOS_0"], image=image(HostBIOS_0="01.02.00"))
    assert not lab_bmc.writes()


def test_firmware_that_takes_a_restart_is_read_back_by_nobody_before_it(lab_bmc: Any, image: Any) -> None:
    wanted = {"targets": ["HostBIOS_0"], "version": "01.02.00", "image": image(HostBIOS_0="01.02.00")}
    done = update(lab_bmc, apply_time="on_reset", **wanted)
    assert done["changed"] and done["reboot_required"]
    assert versions(lab_bmc, "HostBIOS_0") == {"HostBIOS_0": "01.01.03"}
    lab_bmc.power("on")
    assert not update(lab_bmc, apply_time="on_reset", **wanted)["changed"]


def test_success_with_the_old_version_is_an_error_that_says_so(
    lab_bmc: Any, image: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(firmware, "_STAYS_OLD_S", 0.5)
    lab_bmc.machine_fault("firmware_old", "firmware HostBMC_0")
    with pytest.raises(BadAnswer) as caught:
        update(lab_bmc, targets=["HostBMC_0"], version="24.01.05", image=image(HostBMC_0="24.01.05"))
    assert caught.value.code == "version_old" and "23.11.20" in (caught.value.answer or "")
    assert lab_bmc.writes() == [UPLOAD]


def test_a_task_that_fails_is_an_error_with_what_the_bmc_said(lab_bmc: Any, image: Any) -> None:
    lab_bmc.machine_fault("firmware_failed", "firmware HostBMC_0", "signature refused")
    with pytest.raises(Refused) as caught:
        update(lab_bmc, targets=["HostBMC_0"], version="24.01.05", image=image(HostBMC_0="24.01.05"))
    assert caught.value.code == "task_failed" and "signature refused" in (caught.value.answer or "")


def test_a_damaged_image_fails_in_the_task(lab_bmc: Any, image: Any) -> None:
    file = Path(image(HostBMC_0="24.01.05"))
    file.write_bytes(file.read_bytes()[:-10])
    with pytest.raises(Refused, match="bytes instead of"):
        update(lab_bmc, targets=["HostBMC_0"], version="24.01.05", image=str(file))


def test_the_gpu_tray_is_a_target_that_no_list_shows(lab_bmc: Any, image: Any) -> None:
    brings = {"HGX_FW_BMC_0": "HGX-22.10-1-rc67", **{f"HGX_FW_GPU_SXM_{n}": "96.00.99.00.01" for n in range(1, 9)}}
    done = update(
        lab_bmc,
        image=image(HostBIOS_0="9.9.9", **brings),
        targets=["HGX_0"],
        versions={"HGX_FW_BMC_0": "HGX-22.10-1-rc67", "HGX_FW_GPU_SXM_*": "96.00.99.00.01"},
        apply_time="on_reset",
    )
    assert done["changed"] and len(done["diff"]["after"]["firmware"]) == 9
    assert set(lab_bmc.machine.firmware.staged) == set(brings), "the BIOS in the image is no part of the tray"
    lab_bmc.power("on")
    assert versions(lab_bmc, "HGX_FW_GPU_SXM_3") == {"HGX_FW_GPU_SXM_3": "96.00.99.00.01"}


def test_a_second_update_meanwhile_is_busy_and_not_sent_again(lab_bmc: Any, image: Any) -> None:
    wanted = {"targets": ["HostBMC_0"], "version": "24.01.05", "image": image(HostBMC_0="24.01.05")}
    lab_bmc.slow_firmware(5)
    assert update(lab_bmc, wait=False, **wanted)["task"]["state"] is None
    with pytest.raises(Busy):
        update(lab_bmc, **wanted)
    assert lab_bmc.writes() == [UPLOAD]


def test_a_task_that_goes_on_is_a_timeout_that_names_it(lab_bmc: Any, image: Any) -> None:
    lab_bmc.slow_firmware(5)
    with pytest.raises(DeadlineExceeded, match="Tasks/1"):
        update(lab_bmc, targets=["HostBMC_0"], version="2", image=image(HostBMC_0="2"), wait_timeout=1)


def test_a_component_or_an_image_that_is_not_there_is_told_before_anything_is_sent(lab_bmc: Any, image: Any) -> None:
    with pytest.raises(NotFound, match="no firmware component HostBIOS"):
        update(lab_bmc, targets=["HostBIOS"], version="2", image=image(HostBIOS_0="2"))
    with pytest.raises(NotFound, match="no firmware component HGX_9"):
        update(lab_bmc, targets=["HGX_9"], versions={"HostBIOS_0": "2"}, image=image(HostBIOS_0="2"))
    with pytest.raises(InvalidInput, match="cannot be read"):
        update(lab_bmc, targets=["HostBIOS_0"], version="2", image="/nowhere/x.fwpkg")
    with pytest.raises(Unsupported, match="NFS URLs"):
        update(lab_bmc, versions={"HostBIOS_0": "2"}, image="nfs://192.0.2.1/x.fwpkg")
    with pytest.raises(Unsupported, match="by URL"):
        update(lab_bmc, targets=["HostBIOS_0"], version="2", image="http://192.0.2.1/x.fwpkg")
    assert not lab_bmc.writes()


def test_an_answer_to_an_upload_that_is_lost_is_never_sent_again(lab_bmc: Any, image: Any) -> None:
    lab_bmc.fault("drop", UPLOAD, count=1)
    with pytest.raises(AnswerLost):
        update(lab_bmc, targets=["HostBMC_0"], version="24.01.05", image=image(HostBMC_0="24.01.05"))
    assert lab_bmc.writes() == []


def test_an_upload_has_a_deadline(lab_bmc: Any, image: Any) -> None:
    lab_bmc.fault("hang", UPLOAD)
    started = time.monotonic()
    with pytest.raises(AnswerLost, match="silence"):
        update(lab_bmc, targets=["HostBMC_0"], version="2", image=image(HostBMC_0="2"), wait_timeout=1)
    assert time.monotonic() - started < 9


@pytest.fixture
def web_server(tmp_path: Path) -> Iterator[str]:
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args, directory=str(tmp_path))

        def log_message(self, *args: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_an_image_at_a_url_is_fetched_by_the_bmc(lab_bmc: Any, tmp_path: Path, web_server: str) -> None:
    (tmp_path / "bmc.fwpkg").write_bytes(make_image({"HostBMC_0": "24.01.05"}))
    done = update(lab_bmc, versions={"HostBMC_0": "24.01.05"}, image=f"{web_server}/bmc.fwpkg")
    assert done["changed"] and versions(lab_bmc, "HostBMC_0") == {"HostBMC_0": "24.01.05"}
    assert lab_bmc.writes() == [f"POST {SERVICE}/Actions/SimpleUpdate"]
    with pytest.raises(Refused, match="the server answered 404"):
        update(lab_bmc, versions={"HostBMC_0": "3"}, image=f"{web_server}/none.fwpkg")


# -- conversations with other BMCs


SYSTEM = "/redfish/v1/Systems/1"


def tree(service: dict[str, Any], vendor: str = "Contoso", **inventory: dict[str, Any]) -> dict[str, Any]:
    return {
        "/redfish/v1": {"Vendor": vendor, "UpdateService": {"@odata.id": SERVICE}},
        "/redfish/v1/Systems": {"Members": [{"@odata.id": SYSTEM}]},
        SYSTEM: {"@odata.id": SYSTEM, "Id": "1"},
        SERVICE: {"@odata.id": SERVICE, "FirmwareInventory": {"@odata.id": INVENTORY}, **service},
        INVENTORY: {"Members": [{"@odata.id": f"{INVENTORY}/{id}"} for id in inventory]},
        **{f"{INVENTORY}/{id}": {"Id": id, **body} for id, body in inventory.items()},
    }


def parts_of(asked: Asked) -> dict[str, Any]:
    """The parts of a form, by Python's own mail parser."""
    raw = f"Content-Type: {asked.headers['Content-Type']}\r\n\r\n".encode() + asked.body
    message = email.message_from_bytes(raw, policy=email.policy.HTTP)
    return {part.get_param("name", header="content-disposition"): part for part in message.iter_parts()}


def test_the_two_parts_of_a_multipart_push(start_replay: Any, image: Any) -> None:
    resources = tree(
        {
            "MultipartHttpPushUri": "/redfish/v1/UpdateService/update-multipart",
            "Actions": {
                "#UpdateService.SimpleUpdate": {
                    "target": "/x",
                    "@Redfish.OperationApplyTimeSupport": {"SupportedValues": ["Immediate", "OnReset"]},
                }
            },
        },
        BIOS={"Name": "System BIOS", "Version": "1"},
    )

    def respond(asked: Asked) -> Reply | None:
        if asked.method == "POST" and asked.path.endswith("update-multipart"):
            task = {"@odata.id": "/redfish/v1/TaskService/Tasks/7", "TaskState": "New"}
            resources["/redfish/v1/TaskService/Tasks/7"] = {**task, "TaskState": "Completed"}
            return Reply(202, task, {"Location": "/redfish/v1/TaskService/TaskMonitors/7"})
        return None

    bmc = start_replay(resources, respond)
    file = Path(image(BIOS="2"))
    done = update(bmc, targets=["system bios"], version="2", image=str(file), apply_time="on_reset")
    assert done["reboot_required"] and done["task"]["uri"] == "/redfish/v1/TaskService/Tasks/7"
    (asked,) = [asked for asked in bmc.asked if asked.path.endswith("update-multipart")]
    parts = parts_of(asked)
    assert list(parts) == ["UpdateParameters", "UpdateFile"]
    assert parts["UpdateParameters"].get_content_type() == "application/json"
    assert json.loads(parts["UpdateParameters"].get_payload(decode=True)) == {
        "Targets": [f"{INVENTORY}/BIOS"],
        "@Redfish.OperationApplyTime": "OnReset",
    }
    assert parts["UpdateFile"].get_content_type() == "application/octet-stream"
    assert parts["UpdateFile"].get_filename() == "nvfw_24.fwpkg"
    assert parts["UpdateFile"].get_payload(decode=True) == file.read_bytes()
    assert "GET /redfish/v1/TaskService/TaskMonitors/7" not in bmc.requests(), "Lenovo forgets a task that way"


def test_a_plain_push_says_its_targets_first(start_replay: Any, image: Any) -> None:
    resources = tree(
        {"HttpPushUri": "/redfish/v1/UpdateService/update", "HttpPushUriTargets": [], "@odata.etag": '"1"'},
        HGX_FW_GPU_0={"Version": "96.1", "Updateable": True},
    )

    def respond(asked: Asked) -> Reply | None:
        if asked.method == "PATCH":
            return Reply(204)
        if asked.method == "POST" and asked.path.endswith("/update"):
            resources[f"{INVENTORY}/HGX_FW_GPU_0"]["Version"] = "96.2"
            return Reply(200, {})
        return None

    bmc = start_replay(resources, respond)
    file = image(HGX_FW_GPU_0="96.2")
    assert update(bmc, targets=["HGX_FW_GPU_*"], version="96.2", image=file)["changed"]
    assert bmc.requests("PATCH", "POST")[1:] == [f"PATCH {SERVICE}", f"POST {SERVICE}/update"]
    told, pushed = [asked for asked in bmc.asked if asked.method in ("PATCH", "POST")][1:]
    assert told.body == {"HttpPushUriTargets": [f"{INVENTORY}/HGX_FW_GPU_0"]} and told.headers["If-Match"] == '"1"'
    assert pushed.headers["Content-Type"] == "application/octet-stream" and pushed.body == Path(file).read_bytes()


def test_an_ami_that_does_not_say_where_gets_it_at_its_known_place(start_replay: Any, image: Any) -> None:
    resources = tree({}, vendor="AMI", HostBMC_0={"Version": "1"})

    def respond(asked: Asked) -> Reply | None:
        if asked.method == "POST" and asked.path == f"{SERVICE}/upload":
            resources[f"{INVENTORY}/HostBMC_0"]["Version"] = "2"
            return Reply(202, None, {"Location": "/redfish/v1/TaskService/Tasks/1"})
        return None

    bmc = start_replay(resources, respond)
    assert update(bmc, targets=["HostBMC_0"], version="2", image=image(HostBMC_0="2"))["changed"]


def test_an_ilo_5_takes_no_upload_and_its_update_state_is_followed(start_replay: Any, image: Any) -> None:
    states = iter(["Uploading", "Updating", "Complete"])
    simple = {"#UpdateService.SimpleUpdate": {"target": f"{SERVICE}/Actions/UpdateService.SimpleUpdate"}}
    resources = tree(
        {"HttpPushUri": "/cgi-bin/uploadFile", "Actions": simple},
        vendor="HPE",
        **{"1": {"Name": "iLO 5", "Version": "2.72 Sep 04 2022"}},
    )
    with pytest.raises(Unsupported, match="MultipartHttpPushUri missing"):
        update(start_replay(resources), targets=["iLO 5"], version="2.80", image=image(iLO="2.80"))
    sent: list[Any] = []

    def respond(asked: Asked) -> Reply | None:
        if asked.method == "POST" and asked.path.endswith("SimpleUpdate"):
            sent.append(asked.body)
            return Reply(200, {})
        if sent and asked.path == SERVICE:
            state = next(states, "Complete")
            if state == "Complete":
                resources[f"{INVENTORY}/1"]["Version"] = "2.80 Mar 01 2023"
            return Reply(200, {**resources[SERVICE], "Oem": {"Hpe": {"State": state}}})
        return None

    bmc = start_replay(resources, respond)
    done = update(bmc, targets=["iLO 5"], version="2.80", image="http://192.0.2.5/ilo5_280.fwpkg")
    assert done["firmware"][0]["version"] == "2.80 Mar 01 2023" and done["task"] is None
    assert sent == [{"ImageURI": "http://192.0.2.5/ilo5_280.fwpkg", "Targets": [f"{INVENTORY}/1"]}]


def test_a_failed_update_of_an_ilo_is_no_success(start_replay: Any) -> None:
    simple = {"#UpdateService.SimpleUpdate": {"target": f"{SERVICE}/Actions/UpdateService.SimpleUpdate"}}
    service = {"Actions": simple, "Oem": {"Hpe": {"State": "Error"}}}
    resources = tree(service, vendor="HPE", **{"1": {"Name": "iLO 5", "Version": "2.72"}})
    bmc = start_replay(resources, lambda asked: Reply(200, {}) if asked.path.endswith("SimpleUpdate") else None)
    with pytest.raises(Refused, match="update failed"):
        update(bmc, targets=["iLO 5"], version="2.80", image="http://192.0.2.5/ilo5_280.fwpkg")


def test_a_refusal_in_the_middle_of_an_upload_is_told_with_the_bmcs_words(raw_bmc: Any, tmp_path: Path) -> None:
    """It answers after the headers and closes; the client is still sending then."""
    service = tree({"MultipartHttpPushUri": f"{SERVICE}/upload"}, A={"Version": "1"})

    def talk(connection: Any, ended: threading.Event) -> None:
        while True:
            request = b""
            while b"\r\n\r\n" not in request:
                piece = connection.recv(4096)
                if not piece:
                    return
                request += piece
            method, path, _rest = request.decode("latin-1").split(" ", 2)
            body, more = service.get(path.rstrip("/")), ""
            status = "200 OK"
            if method == "POST" and path.endswith("Sessions"):
                length = int(request.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
                while len(request.split(b"\r\n\r\n", 1)[1]) < length:
                    request += connection.recv(4096)
                status, body, more = "201 Created", {}, "X-Auth-Token: t\r\nLocation: /s/1\r\n"
            elif method == "POST":
                status = "413 Payload Too Large"
                body = {"error": {"@Message.ExtendedInfo": [{"MessageId": "Base.1.0.X", "Message": "No room."}]}}
            elif method == "DELETE":
                status, body = "204 No Content", None
            raw = json.dumps(body).encode() if body is not None else b""
            connection.sendall(f"HTTP/1.1 {status}\r\nContent-Length: {len(raw)}\r\n{more}\r\n".encode() + raw)
            if status.startswith("413"):
                time.sleep(0.2)
                return

    params = raw_bmc(talk)
    big = tmp_path / "big.bin"
    big.write_bytes(b"\0" * 30_000_000)
    with pytest.raises(PaleBlueDotError) as caught:
        firmware.run(
            {
                **params,
                "bmc_timeout": 5,
                "targets": ["A"],
                "version": "2",
                "image": str(big),
                "apply_time": "immediate",
                "wait": True,
                "wait_timeout": 10,
            },
            False,
        )
    # Whether the kernel still hands over the answer after the reset is a race; a lost one is never anything else.
    assert caught.value.code in ("refused", "answer_lost")
    if caught.value.code == "refused":
        assert "No room." in (caught.value.answer or "")


@pytest.mark.parametrize("starts", [3, 1000])
def test_a_bmc_that_is_starting_has_nothing_yet(start_replay: Any, image: Any, starts: int) -> None:
    """It answers 404 for everything until it has started; one that goes on so says so at the end."""
    left = [0]
    resources = tree({"MultipartHttpPushUri": f"{SERVICE}/upload"}, HostBMC_0={"Version": "1"})

    def respond(asked: Asked) -> Reply | None:
        if asked.method == "POST" and asked.path.endswith("/upload"):
            resources[f"{INVENTORY}/HostBMC_0"]["Version"] = "2"
            left[0] = starts
            return Reply(200, {})
        if asked.method == "GET" and left[0]:
            left[0] -= 1
            return Reply(404, {})
        return None

    bmc = start_replay(resources, respond)
    wanted = {"targets": ["HostBMC_0"], "version": "2", "image": image(HostBMC_0="2"), "wait_timeout": 3}
    if starts == 3:
        assert update(bmc, **wanted)["firmware"][0]["version"] == "2"
    else:
        with pytest.raises((NotFound, Unsupported)):
            update(bmc, **wanted)
