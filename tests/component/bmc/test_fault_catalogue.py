"""What real BMCs have done to other fleets, done to ours by the lab.

Each ends in a typed error or in a recovery, in time: never in a hang, in a success that is none, or in something
destructive done twice. The last is read in the lab's write log, not in what the client says of itself.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import requests
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.base import AnswerLost, PowerState
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.connect import open_bmc
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.operations import bios_attributes as bios
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.operations import bmc_boot as boot
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.operations import bmc_info as info
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.operations import bmc_metrics_info as metrics
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.operations import bmc_power as power
from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import (
    AuthenticationError,
    BadAnswer,
    Busy,
    DeadlineExceeded,
    InvalidInput,
    PaleBlueDotError,
    Unreachable,
)

RESET = "POST */ComputerSystem.Reset"
SYSTEM_OF_HPE = "/redfish/v1/Systems/1"


@contextmanager
def within(seconds: float) -> Iterator[None]:
    started = time.monotonic()
    yield
    took = time.monotonic() - started
    assert took < seconds, f"took {took:.1f} s, not {seconds:g}"


def set_power(bmc: Any, state: str, **options: Any) -> dict[str, Any]:
    return power.run(bmc.params(state=state, **{"wait": True, "wait_timeout": 10, **options}), False)


def set_boot(bmc: Any, **options: Any) -> dict[str, Any]:
    return boot.run(bmc.params(**{"persistence": "once", **options}), False)


def set_bios(bmc: Any, attributes: dict[str, Any], **options: Any) -> dict[str, Any]:
    return bios.run(bmc.params(attributes=attributes, **{"apply_time": "on_reset", **options}), False)


def read(bmc: Any, *subset: str, **options: Any) -> dict[str, Any]:
    return info.run(bmc.params(subset=list(subset) or None, **options), False)["bmc"]


def read_metrics(bmc: Any) -> dict[str, Any]:
    options = {"concurrency": 1, "timeout": 5, "store": False, "rounds": 1, "interval": 0.0, "subset": ["metrics"]}
    (found,) = metrics.run({"bmcs": [bmc.entry()], **options}, False)["metrics"]
    return dict(found)


def code_of(call: Callable[[], Any]) -> str:
    with pytest.raises(PaleBlueDotError) as caught:
        call()
    assert caught.value.host and caught.value.next
    return str(caught.value.code)


# -- BIOS


def test_staged_bios_is_answered_200_without_a_location(start_lab: Any) -> None:
    """The job is there all the same: nothing is staged a second time, and POST takes it over."""
    bmc = start_lab("dell")
    bmc.fault("no_location", "PATCH */Bios/Settings")
    done = set_bios(bmc, {"LogicalProc": "Disabled"})
    assert done["changed"] and done["reboot_required"] and done["pending"] == {"LogicalProc": "Disabled"}
    assert len([write for write in bmc.writes() if write.startswith("PATCH")]) == 1
    again = set_bios(bmc, {"LogicalProc": "Disabled"})
    assert not again["changed"] and again["reboot_required"]
    set_power(bmc, "on")
    bmc.until(lambda: bmc.machine.bmc.bios["LogicalProc"] == "Disabled")
    assert not set_bios(bmc, {"LogicalProc": "Disabled"})["reboot_required"]


def test_bios_attributes_are_missing_until_the_bmc_restarts(start_lab: Any) -> None:
    bmc = start_lab()
    bmc.fault("until_reset", "GET */Bios*", value={"Attributes": None})
    with pytest.raises(PaleBlueDotError) as caught:
        set_bios(bmc, {"SRIOVEnable": "Disable"})
    assert caught.value.code == "bios_attributes_missing" and "estart the BMC" in (caught.value.next or "")
    assert not bmc.writes()
    bmc.restart_bmc()
    assert set_bios(bmc, {"SRIOVEnable": "Disable"})["changed"]


def test_bios_is_refused_because_the_chassis_has_to_be_off(lab_bmc: Any) -> None:
    """Ironic met this as a loop that never ended: asked once, told once."""
    refusal = {
        "status": 400,
        "message_id": "Base.1.12.ChassisPowerStateOffRequired",
        "message": "The Chassis with Id 'DGX' requires to be powered off to perform this request.",
    }
    lab_bmc.fault("status", "PATCH */Bios/SD", value=refusal, count=9)
    with pytest.raises(PaleBlueDotError) as caught:
        set_bios(lab_bmc, {"SRIOVEnable": "Disable"})
    assert "powered off" in (caught.value.answer or "")
    assert lab_bmc.struck(9) == 1
    assert lab_bmc.machine.bmc.bios_pending == {}


# -- resources that come and go


@pytest.mark.parametrize("path", ["*/MetricReports/*", "*/Processors/*", "*/Bios/*", "*/Systems/DGX/*"])
def test_a_resource_is_404_until_the_one_above_was_read(lab_bmc: Any, path: str) -> None:
    set_power(lab_bmc, "on")
    lab_bmc.fault("unread_parent", f"GET {path}")
    assert set_boot(lab_bmc, target="pxe", mode="uefi")["changed"]
    assert set_bios(lab_bmc, {"SRIOVEnable": "Disable"})["changed"]
    assert len(read(lab_bmc, "gpus")["gpus"]) == 8
    assert len(read_metrics(lab_bmc)["gpus"]) == 8


def test_the_bmc_is_away_for_a_while_after_its_restart(start_lab: Any) -> None:
    bmc = start_lab("ami", bmc_reset_s=1.5)
    bmc.restart_bmc()
    with within(2.5):
        assert code_of(lambda: read(bmc, "power", bmc_timeout=1)) in ("connection_dropped", "unreachable")
    bmc.until(lambda: not bmc.machine.bmc.away)
    assert read(bmc, "power")["power_state"] == "Off"


def test_a_wait_goes_on_while_the_bmc_restarts(start_lab: Any) -> None:
    """Power is ordered, the BMC goes away, and comes back to say that it is done."""
    bmc = start_lab("ami", power_s=0.5, bmc_reset_s=1.5)

    async def restart_soon() -> None:
        await asyncio.sleep(0.3)
        state = bmc.machine.bmc
        state.resets += 1
        state.away_until = state.clock.elapsed() + 1.5

    asyncio.run_coroutine_threadsafe(restart_soon(), bmc._loop.loop)
    with within(12):
        assert set_power(bmc, "on")["power_state"] == "On"
    assert bmc.resets() == ["On"]


def test_the_network_card_drops_out_in_post_and_the_boot_order_reverts(lab_bmc: Any) -> None:
    set_boot(lab_bmc, target=None, boot_order=["pxe", "http", "hdd"])
    lab_bmc.fault("nic_drops", "post *", count=1)
    set_power(lab_bmc, "on")
    lab_bmc.until(lambda: len(lab_bmc.machine.boot_options) == 1 and not lab_bmc.machine.in_post)
    assert "boot_order.reverted" in lab_bmc.orders()
    # gone: said, and nothing else is put in its place
    with pytest.raises(InvalidInput, match="no boot option is called pxe"):
        set_boot(lab_bmc, target=None, boot_order=["pxe", "http", "hdd"])
    posts = lab_bmc.machine.posts
    set_power(lab_bmc, "reset")
    lab_bmc.until(lambda: lab_bmc.machine.posts > posts and not lab_bmc.machine.in_post)
    # back, and last: seen as the drift that it is, and put right
    done = set_boot(lab_bmc, target=None, boot_order=["pxe", "http", "hdd"])
    assert done["changed"] and done["diff"]["before"]["boot_order"][0] == "Boot0000"
    assert done["boot"]["boot_order"] == ["Boot0026", "Boot0025", "Boot0000"]


@pytest.mark.parametrize("vendor", ["ami", "lenovo", "supermicro", "openbmc"])
def test_seven_of_eight_gpus_are_seven(start_lab: Any, vendor: str) -> None:
    bmc = start_lab(vendor)
    set_power(bmc, "on")
    assert len(read(bmc, "gpus")["gpus"]) == 8
    bmc.fault("gpu_missing", value=5)
    assert len(read(bmc, "gpus")["gpus"]) == 7


def test_a_fabric_manager_is_down_and_every_gpu_is_well(start_lab: Any) -> None:
    """Seen elsewhere after twenty days only: each GPU by itself looks healthy, and none reaches another."""
    bmc = start_lab("ami")
    bmc.fault("fabric_down")
    assert read(bmc, "power", "fabric")["findings"] == [], "it runs in a system that is not on"
    set_power(bmc, "on")
    found = read(bmc, "gpus", "fabric")
    assert len(found["gpus"]) == 8
    (finding,) = found["findings"]
    assert (finding["code"], finding["part"]) == ("fabric_manager_down", "HGX_FabricManager_0")
    assert "UnavailableOffline" in finding["message"] and "Critical" in finding["message"]
    bmc._loop.call(bmc.machine.world.faults.clear)
    assert read(bmc, "fabric")["findings"] == [] and read(bmc, "power")["findings"] is None


@pytest.mark.parametrize(
    ("status", "down"),
    [
        ({"State": "Enabled", "Health": "OK"}, False),
        ({"State": "Starting"}, False),
        ({"State": "StandbyOffline", "Health": "OK"}, False),
        ({}, False),
        ({"State": "Enabled", "Health": "Critical"}, True),
        ({"State": "Disabled", "Health": "OK"}, True),
        ({"State": "UnavailableOffline", "Health": None}, True),
    ],
    ids=str,
)
def test_a_fabric_manager_that_starts_is_not_down(start_lab: Any, status: dict[str, Any], down: bool) -> None:
    bmc = start_lab("ami")
    set_power(bmc, "on")
    bmc.fault("merge", "GET */HGX_FabricManager_0", value={"Status": {"State": None, "Health": None, **status}})
    assert bool(read(bmc, "fabric")["findings"]) is down


def test_the_dgx_of_the_capture_has_its_fabric(start_replay: Any, dgx_capture: Any) -> None:
    bmc = start_replay(dgx_capture)
    assert read(bmc, "fabric")["findings"] == []
    assert any(asked.path.endswith("/HGX_FabricManager_0") for asked in bmc.asked)


# -- power


@pytest.mark.parametrize("kind", ["lies", "drop_after", "half", "garbage_after"])
@pytest.mark.parametrize("vendor", ["ami", "dell", "hpe"])
def test_a_power_order_works_and_is_not_said_to_have(start_lab: Any, vendor: str, kind: str) -> None:
    bmc = start_lab(vendor)
    fault: dict[str, Any] = {"kind": kind}
    if kind == "lies":
        fault["value"] = {"status": 500, "message_id": "Base.1.12.InternalError"}
    if kind == "garbage_after":
        fault = {"kind": "wrong"}
    bmc.fault(match=RESET, count=1, **fault)
    with within(12):
        try:
            assert set_power(bmc, "on")["power_state"] == "On"
        except PaleBlueDotError as problem:
            assert problem.host and problem.next  # said to have failed: the truth is found by the next run
    bmc.until(lambda: bmc.machine.power == "On")
    after = set_power(bmc, "on")
    assert not after["changed"] and after["power_state"] == "On"
    assert bmc.orders().count("power.on") == 1
    assert bmc.resets() == ["On"]


@pytest.mark.parametrize("state", ["cycle", "reset"])
@pytest.mark.parametrize("dated", [True, False])
def test_a_cycle_whose_answer_is_lost_is_not_sent_again(start_lab: Any, state: str, dated: bool) -> None:
    """Where the BMC says when it last reset the host, that tells; where it does not, nobody may guess."""
    bmc = start_lab("dell")
    set_power(bmc, "on")
    bmc.fault("drop_after", RESET, count=1)
    if not dated:
        bmc.fault("wrong", "GET */Systems/System.Embedded.1", value="LastResetTime")
    if dated:
        time.sleep(1.1)  # the time is told in seconds
        assert set_power(bmc, state)["power_state"] == "On"
    else:
        with pytest.raises(AnswerLost) as caught:
            set_power(bmc, state)
        assert not caught.value.retryable
    assert len(bmc.resets()) == 2
    assert bmc.machine.power_actions == 2


def test_too_busy_with_a_time_is_waited_for_and_the_order_sent_once(lab_bmc: Any) -> None:
    busy = {"status": 503, "retry_after": 1, "message_id": "Base.1.12.ServiceTemporarilyUnavailable"}
    lab_bmc.fault("status", RESET, value=busy, count=2)
    with within(8):
        assert set_power(lab_bmc, "on")["power_state"] == "On"
    assert lab_bmc.resets() == ["On"]


def test_too_busy_for_longer_than_there_is_time_is_said_at_once(lab_bmc: Any) -> None:
    lab_bmc.fault("status", RESET, value={"status": 503, "retry_after": 60}, count=5)
    with within(3), pytest.raises(Busy):
        set_power(lab_bmc, "on")
    assert lab_bmc.struck(5) == 1 and lab_bmc.resets() == []


# -- the wire


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("hang", None, (DeadlineExceeded,)),
        ("trickle", 0.2, (DeadlineExceeded,)),
        ("latency", 5, (DeadlineExceeded,)),
        ("drop", None, (Unreachable,)),
        ("half", None, (Unreachable,)),
        ("garbage", None, (BadAnswer,)),
        ("wrong", None, (BadAnswer,)),
    ],
)
def test_a_sick_read_is_a_typed_error_in_time(
    lab_bmc: Any, kind: str, value: Any, expected: tuple[type[Exception], ...]
) -> None:
    lab_bmc.fault(kind, "GET */Systems/DGX", value=value)
    with within(3), pytest.raises(expected):
        read(lab_bmc, "power", bmc_timeout=2)
    assert not lab_bmc.writes()


@pytest.mark.parametrize("kind", ["drop", "half", "garbage", "status"])
def test_one_sick_read_costs_a_retry_and_no_more(lab_bmc: Any, kind: str) -> None:
    lab_bmc.fault(kind, "GET */Systems/DGX", value=500 if kind == "status" else None, count=1)
    assert read(lab_bmc, "power")["power_state"] == "Off"
    assert lab_bmc.struck(1) == 1


def test_a_write_after_a_pause_does_not_meet_a_connection_that_is_reset(start_lab: Any) -> None:
    """HPE's iLO resets a connection that was idle. A read is repeated then; a write has to come over a new one."""
    bmc = start_lab("hpe")
    with open_bmc(bmc.params()) as client:
        assert client.power_state() is PowerState.OFF
        time.sleep(bmc.bmc.vendor.idle_reset_s + 0.1)
        # as a power cycle does between off and on: nothing is read before
        client.transport.post(f"{SYSTEM_OF_HPE}/Actions/ComputerSystem.Reset", {"ResetType": "On"}, client.deadline())
    bmc.until(lambda: bmc.machine.power == "On")
    assert bmc.resets() == ["On"]


@pytest.mark.parametrize("kind", ["hang", "drop", "drop_after", "half", "trickle", "lies"])
def test_a_sick_write_is_made_once(lab_bmc: Any, kind: str) -> None:
    lab_bmc.fault(kind, "PATCH */Bios/SD", value=0.3 if kind == "trickle" else None, count=3)
    with within(12):
        try:
            done = set_bios(lab_bmc, {"SRIOVEnable": "Disable"}, bmc_timeout=2)
            assert done["pending"] == {"SRIOVEnable": "Disable"}
        except PaleBlueDotError as problem:
            assert problem.code in ("answer_lost", "bad_answer", "deadline_exceeded", "connection_dropped")
    assert lab_bmc.struck(3) == 1
    lab_bmc.heal()
    assert set_bios(lab_bmc, {"SRIOVEnable": "Disable"})["pending"] == {"SRIOVEnable": "Disable"}
    assert lab_bmc.machine.bmc.bios_pending == {"SRIOVEnable": "Disable"}


# -- sessions and accounts


def test_a_bmc_without_a_free_session(start_lab: Any) -> None:
    """Dell's ninth session is a 503. Whoever left them behind, the error says it, and it ends when they do."""
    bmc = start_lab("dell")
    login = {"UserName": bmc.machine.bmc_username, "Password": bmc.machine.bmc_password}
    url = f"https://127.0.0.1:{bmc.bmc.port}/redfish/v1/SessionService/Sessions"
    for _ in range(8):
        assert requests.post(url, json=login, verify=str(bmc.ca_path), timeout=5).status_code == 201
    with within(4), pytest.raises(Busy) as caught:
        set_power(bmc, "on", bmc_auth="session", bmc_timeout=2)
    assert "session" in f"{caught.value.message} {caught.value.answer} {caught.value.next}".lower()
    assert bmc.resets() == []
    bmc._loop.call(bmc.bmc.sessions.clear)
    assert set_power(bmc, "on", bmc_auth="session")["power_state"] == "On"
    assert bmc.sessions() == 0


def test_no_session_is_left_behind_whatever_happens(start_lab: Any) -> None:
    bmc = start_lab("dell")
    for kind in ("drop", "half", "garbage", "status"):
        bmc.fault(kind, "GET */Systems/*", value=500 if kind == "status" else None)
        for _ in range(3):
            with pytest.raises(PaleBlueDotError):
                read(bmc, "power", bmc_auth="session", bmc_timeout=1.5)
        bmc.heal()
    assert bmc.sessions() == 0


def test_a_password_that_must_be_changed_first_is_said_so(start_lab: Any) -> None:
    bmc = start_lab("supermicro")
    (account,) = bmc.machine.bmc.accounts.by_id.values()
    account.must_change = True
    with pytest.raises(AuthenticationError) as caught:
        set_power(bmc, "on")
    assert caught.value.code == "password_change_required"
    assert bmc.machine.bmc.accounts.check(account.username, account.password)  # not locked by trying


# -- clocks, addresses, versions


@pytest.mark.parametrize("when", ["1970-01-01T00:00:00+00:00", "9999-12-31T23:59:59Z", "0000-00-00T00:00:00Z", "soon"])
def test_a_clock_that_is_wrong_changes_no_answer(lab_bmc: Any, when: str) -> None:
    set_power(lab_bmc, "on")
    lab_bmc.fault("merge", "GET */Managers/*", value={"DateTime": when, "LastResetTime": when})
    lab_bmc.fault("merge", "GET */Systems/DGX", value={"LastResetTime": when})
    found = read(lab_bmc)
    assert found["bmc_firmware_version"] and found["power_state"] == "On"
    assert abs(_seconds(read_metrics(lab_bmc)["read_at"]) - time.time()) < 5


def _seconds(text: str) -> float:
    from datetime import datetime

    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def test_a_mac_of_twenty_octets_breaks_nothing(lab_bmc: Any) -> None:
    """IPoIB's hardware addresses have 20 octets; some BMCs show them where a MAC belongs."""
    long = ":".join(["00"] * 19 + ["FE"])
    lab_bmc.fault("merge", "GET */EthernetInterfaces/*", value={"MACAddress": long, "PermanentMACAddress": long})
    found = read(lab_bmc, "system", "nics")
    assert found["serial_number"] == lab_bmc.machine.serial_number
    assert [nic["mac"] for nic in found["nics"]] == [long.lower()], "told as it is; the record takes it for none"


# -- IPMI


@pytest.mark.parametrize("kind", ["hang", "integrity", "silent"])
def test_an_ipmi_bmc_that_is_sick_is_left_in_time_and_obeyed_once(ipmi_bmc: Any, kind: str) -> None:
    ipmi_bmc.ipmi_fault(kind)
    with within(6), pytest.raises(PaleBlueDotError) as caught:
        set_power(ipmi_bmc, "on", bmc_timeout=3, wait_timeout=3)
    assert isinstance(caught.value, DeadlineExceeded | Unreachable | AnswerLost | BadAnswer), caught.value
    assert ipmi_bmc.orders().count("power.on") <= 1


def test_a_wrong_checksum_under_a_right_authentication_code_does_no_harm(ipmi_bmc: Any) -> None:
    """The code covers the whole message, checksum and all, so there is nothing to mistrust (pyghmi skips it)."""
    ipmi_bmc.ipmi_fault("checksum")
    assert set_power(ipmi_bmc, "on")["power_state"] == "On"
    assert ipmi_bmc.orders().count("power.on") == 1


@pytest.mark.parametrize("kind", ["hang", "integrity"])
def test_an_ipmi_power_order_whose_answer_is_lost_is_not_carried_out_twice(ipmi_bmc: Any, kind: str) -> None:
    set_power(ipmi_bmc, "on")
    before = ipmi_bmc.machine.power_actions
    ipmi_bmc.ipmi_fault(kind, "00 02", count=None)  # Chassis Control only
    with within(9), pytest.raises(AnswerLost) as caught:
        set_power(ipmi_bmc, "reset", bmc_timeout=3, wait_timeout=3)
    assert not caught.value.retryable
    assert ipmi_bmc.machine.power_actions - before <= 1
