"""Each fault does what it says, so that a test that survives it has survived something."""

from __future__ import annotations

import time
from typing import Any

import pytest
import requests

RESET = "POST */ComputerSystem.Reset"


def test_a_lie_is_told_after_it_was_done(start: Any) -> None:
    bmc = start("dell")
    bmc.fault("lies", RESET, {"status": 500, "message_id": "Base.1.12.InternalError"}, 1)
    answer = bmc.reset("On")
    assert answer.status_code == 500 and "InternalError" in answer.text
    bmc.loop.until(lambda: bmc.machine.power == "On")


@pytest.mark.parametrize("kind", ["drop_after", "half"])
def test_an_answer_is_lost_after_it_was_done(start: Any, kind: str) -> None:
    bmc = start("ami" if kind == "drop_after" else "hpe")  # a DGX answers a reset without a body to cut
    bmc.fault(kind, RESET, None, 1)
    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        bmc.reset("On")
    bmc.loop.until(lambda: bmc.machine.power == "On")


def test_a_trickle_is_slow_and_whole(start: Any) -> None:
    bmc = start("ami")
    bmc.fault("trickle", "GET */SessionService", 0.002)
    started = time.monotonic()
    assert bmc.get("/redfish/v1/SessionService")["SessionTimeout"] == 30
    assert time.monotonic() - started > 0.5


def test_a_location_is_left_out(start: Any) -> None:
    bmc = start("ami")
    bmc.fault("no_location", RESET)
    answer = bmc.reset("On")
    assert answer.status_code == 200 and "Location" not in answer.headers
    bmc.loop.until(lambda: bmc.machine.power == "On")


def test_what_is_read_is_merged_for_good_or_until_the_bmc_restarts(start: Any) -> None:
    bmc = start("ami")
    manager = "/redfish/v1/Managers/BMC"
    bmc.fault("until_reset", f"GET {bmc.system}", {"BiosVersion": None})
    bmc.fault("merge", f"GET {manager}", {"DateTime": "soon", "Links": {"ManagerInChassis": None}})
    assert "BiosVersion" not in bmc.get(bmc.system)
    shown = bmc.get(manager)
    assert shown["DateTime"] == "soon" and shown["Links"] == {} and shown["Id"] == "BMC"
    bmc.machine.bmc.resets += 1
    assert "BiosVersion" in bmc.get(bmc.system)
    assert bmc.get(manager)["DateTime"] == "soon"


def test_a_resource_is_missing_until_the_one_above_is_read(start: Any) -> None:
    bmc = start("ami")
    bmc.fault("unread_parent", "GET */Bios/*")
    assert bmc("GET", f"{bmc.system}/Bios/SD").status_code == 404
    bmc.get(f"{bmc.system}/Bios")
    bmc.get(f"{bmc.system}/Bios/SD")


def test_a_refusal_says_when_to_come_again(start: Any) -> None:
    bmc = start("ami")
    bmc.fault("status", RESET, {"status": 503, "retry_after": 7, "message_id": "A.1.0.B", "message": "Later."}, 1)
    answer = bmc.reset("On")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "7")
    assert answer.json()["error"]["@Message.ExtendedInfo"][0]["Message"] == "Later."
    assert bmc.machine.power == "Off"
