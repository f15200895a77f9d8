"""``redfish_request``: any request, with the care that every other module takes."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.operations import redfish_request as request
from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import (
    Conflict,
    DeadlineExceeded,
    InvalidInput,
    NotFound,
    PaleBlueDotError,
    Unsupported,
)
from replay import Asked, Reply, error

SYSTEM = "/redfish/v1/Systems/1"
TASK = "/redfish/v1/TaskService/Tasks/7"
TREE = {
    "/redfish/v1": {"Vendor": "Contoso"},
    SYSTEM: {"@odata.id": SYSTEM, "@odata.etag": '"7"', "Id": "1", "AssetTag": "old", "Boot": {"Target": "None"}},
}


def ask(bmc: Any, method: str, path: str, check_mode: bool = False, **options: Any) -> dict[str, Any]:
    defaults = {"method": method, "path": path, "wait": True, "wait_timeout": 5}
    return request.run(bmc.params(**{**defaults, **options}), check_mode)


def writes(bmc: Any) -> list[str]:
    return [line for line in bmc.requests("POST", "PATCH", "PUT", "DELETE") if "Session" not in line]


def test_a_resource_is_read_in_one_session(start_replay: Any) -> None:
    bmc = start_replay(TREE)
    done = ask(bmc, "GET", SYSTEM)
    assert (done["changed"], done["status"], done["etag"]) == (False, 200, '"7"')
    assert done["body"]["AssetTag"] == "old"
    assert bmc.opened == 1 and not bmc.sessions
    with pytest.raises(NotFound):
        ask(bmc, "GET", "/redfish/v1/Nowhere")


def test_a_patch_compares_and_carries_the_etag(start_replay: Any) -> None:
    bmc = start_replay(TREE, lambda asked: Reply(200, {"ok": True}) if asked.method == "PATCH" else None)
    body = {"AssetTag": "new", "Boot": {"Target": "None"}}
    planned = ask(bmc, "PATCH", SYSTEM, check_mode=True, body=body)
    assert planned["changed"] and planned["status"] is None and not writes(bmc)
    done = ask(bmc, "PATCH", SYSTEM, body=body)
    assert done["changed"] and done["status"] == 200 and done["diff"] == planned["diff"]
    assert done["diff"]["before"] == {"AssetTag": "old", "Boot": {"Target": "None"}}
    sent = next(asked for asked in bmc.asked if asked.method == "PATCH")
    assert sent.headers["If-Match"] == '"7"' and sent.body == body
    bmc.asked.clear()
    assert not ask(bmc, "PATCH", SYSTEM, body={"AssetTag": "old"})["changed"]
    assert writes(bmc) == []


def test_an_etag_that_was_given_is_a_condition_and_is_not_weakened(start_replay: Any) -> None:
    bmc = start_replay(TREE, lambda asked: Reply(412, {}) if asked.method == "PATCH" else None)
    with pytest.raises(Conflict):
        ask(bmc, "PATCH", SYSTEM, body={"AssetTag": "new"}, if_match='W/"6"')
    assert [asked.headers.get("If-Match") for asked in bmc.asked if asked.method == "PATCH"] == ['W/"6"']


def test_a_delete_of_what_is_gone_changes_nothing(start_replay: Any) -> None:
    bmc = start_replay(TREE, lambda asked: Reply(204) if asked.method == "DELETE" and asked.path == SYSTEM else None)
    assert not ask(bmc, "DELETE", "/redfish/v1/Nowhere")["changed"]
    assert ask(bmc, "DELETE", SYSTEM, check_mode=True)["changed"]
    assert not [line for line in writes(bmc) if SYSTEM in line]
    assert ask(bmc, "DELETE", SYSTEM)["status"] == 204


def test_an_action_is_posted_and_its_task_waited_for(start_replay: Any) -> None:
    states = ["New", "Running", "Completed"]

    def respond(asked: Asked) -> Reply | None:
        if asked.method == "POST" and asked.path.endswith("Reset"):
            return Reply(202, None, {"Location": TASK})
        if asked.path == TASK:
            return Reply(200, {"@odata.id": TASK, "TaskState": states.pop(0) if states else "Completed"})
        return None

    bmc = start_replay(TREE, respond)
    done = ask(bmc, "POST", f"{SYSTEM}/Actions/Reset", body={"ResetType": "On"})
    assert done["task"] == {"uri": TASK, "state": "Completed", "percent": None}
    assert done["location"] == TASK and not states
    states[:] = ["Exception"]
    with pytest.raises(PaleBlueDotError) as caught:
        ask(bmc, "POST", f"{SYSTEM}/Actions/Reset", body={})
    assert caught.value.code == "task_failed"
    states[:] = ["Running"] * 50
    with pytest.raises(DeadlineExceeded):
        ask(bmc, "POST", f"{SYSTEM}/Actions/Reset", wait_timeout=1)
    states[:] = ["Running"]
    assert ask(bmc, "POST", f"{SYSTEM}/Actions/Reset", wait=False)["task"]["state"] is None
    assert bmc.asked[-2].body == {}, "an action without parameters has an empty object"


@pytest.mark.parametrize(
    "path",
    [
        "https://elsewhere.example/redfish/v1",
        "//elsewhere.example/redfish/v1",
        "/cgi-bin/login",
        "redfish/v1",
        "/redfish/../etc",
        "/redfish/v1/%2e%2e/%2e%2e/cgi",
        "/redfish/v1/a b",
        "/redfish/v1/x\r\nHost: y",
        "/redfish//elsewhere",
        "/redfish\\..\\x",
        "/redfish/v1#fragment",
        "",
    ],
)
def test_a_path_outside_the_redfish_service_is_refused_before_anything_is_sent(start_replay: Any, path: str) -> None:
    bmc = start_replay(TREE)
    with pytest.raises(InvalidInput):
        ask(bmc, "GET", path)
    assert not bmc.asked


def test_a_query_may_hold_what_a_path_may_not(start_replay: Any) -> None:
    bmc = start_replay({**TREE, f"{SYSTEM}?$select=a..b": {"Id": "selected"}})
    assert ask(bmc, "GET", f"{SYSTEM}?$select=a..b")["body"]["Id"] == "selected"


def test_secrets_are_masked_in_the_result_the_diff_the_options_and_the_error(start_replay: Any) -> None:
    account = "/redfish/v1/AccountService/Accounts/3"
    secret = "correct-horse-7"
    answers = [
        Reply(400, error("Base.1.8.PropertyValueFormatError", f"The value '{secret}' is not liked.")),
        Reply(200, {"UserName": "bob", "Password": secret}),
    ]
    bmc = start_replay(
        {**TREE, account: {"@odata.id": account, "UserName": "bob", "Password": None}},
        lambda asked: answers.pop(0) if asked.method == "PATCH" else None,
    )
    params = bmc.params(method="PATCH", path=account, body={"Password": secret}, wait=True, wait_timeout=5)
    with pytest.raises(PaleBlueDotError) as caught:
        request.run(params, False)
    assert secret not in str(caught.value) + repr(caught.value.as_dict()) and "is not liked" in str(caught.value)
    assert params["body"] == {"Password": "********"}, "options are shown with -vvv"
    done = ask(bmc, "PATCH", account, body={"Password": secret, "Oem": {"Keys": {"ApiToken": [secret]}}})
    assert done["changed"] and secret not in repr(done)
    assert [asked.body["Password"] for asked in bmc.asked if asked.method == "PATCH"] == [secret, secret]


def test_ipmi_has_no_redfish_requests(start_replay: Any) -> None:
    with pytest.raises(Unsupported) as caught:
        ask(start_replay(TREE), "GET", SYSTEM, bmc_protocol="ipmi")
    assert caught.value.code == "protocol_unsupported"


def test_against_the_lab(lab_bmc: Any) -> None:
    gpu = "/redfish/v1/Systems/HGX_Baseboard_0/Processors/GPU_SXM_3"
    assert ask(lab_bmc, "GET", gpu)["body"]["ProcessorType"] == "GPU"
    assert ask(lab_bmc, "PATCH", "/redfish/v1/Systems/DGX", body={"AssetTag": "r12u4"})["changed"]
    assert not ask(lab_bmc, "PATCH", "/redfish/v1/Systems/DGX", body={"AssetTag": "r12u4"})["changed"]
    assert lab_bmc.bmc.asset_tag == "r12u4" and lab_bmc.sessions() == 0
    with pytest.raises(Conflict):  # the server is off
        ask(lab_bmc, "POST", f"{gpu}/Actions/Processor.Reset", body={"ResetType": "ForceRestart"})
