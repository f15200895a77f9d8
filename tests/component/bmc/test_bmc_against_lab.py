"""The operations against the lab's DGX H100: checked, applied, repeated; and what a faulty BMC does to them."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.operations import bios_attributes as bios
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.operations import bmc_boot as boot
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.operations import bmc_info as info
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.operations import bmc_metrics_info as metrics
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.operations import bmc_power as power
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.redfish import power as redfish_power
from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import (
    AuthenticationError,
    BadAnswer,
    DeadlineExceeded,
    InvalidInput,
    PaleBlueDotError,
    Unreachable,
    Unsupported,
)


def set_power(lab_bmc: Any, state: str, check_mode: bool = False, **options: Any) -> dict[str, Any]:
    return power.run(lab_bmc.params(state=state, **{"wait": True, "wait_timeout": 10, **options}), check_mode)


def set_boot(lab_bmc: Any, check_mode: bool = False, **options: Any) -> dict[str, Any]:
    return boot.run(lab_bmc.params(**{"persistence": "once", **options}), check_mode)


def set_bios(lab_bmc: Any, attributes: dict[str, Any], check_mode: bool = False, **options: Any) -> dict[str, Any]:
    return bios.run(lab_bmc.params(attributes=attributes, **{"apply_time": "on_reset", **options}), check_mode)


# -- power


def test_power_on_is_planned_done_and_then_already_so(lab_bmc: Any) -> None:
    planned = set_power(lab_bmc, "on", check_mode=True)
    assert planned["changed"] and planned["diff"] == {"before": {"power_state": "Off"}, "after": {"power_state": "On"}}
    assert lab_bmc.machine.power == "Off" and not lab_bmc.writes()
    done = set_power(lab_bmc, "on")
    assert done["changed"] and done["power_state"] == "On" and done["diff"] == planned["diff"]
    assert lab_bmc.machine.power == "On"
    again = set_power(lab_bmc, "on")
    assert not again["changed"] and again["power_state"] == "On"
    assert lab_bmc.resets() == ["On"]
    assert lab_bmc.sessions() == 0


def test_the_task_of_a_power_command_is_returned(lab_bmc: Any) -> None:
    task = set_power(lab_bmc, "on", wait=False)["task"]
    assert task["uri"].startswith("/redfish/v1/TaskService/Tasks/")


def test_off_and_graceful(lab_bmc: Any) -> None:
    set_power(lab_bmc, "on")
    assert set_power(lab_bmc, "off")["power_state"] == "Off"
    assert not set_power(lab_bmc, "graceful")["changed"]
    set_power(lab_bmc, "on")
    assert set_power(lab_bmc, "graceful")["power_state"] == "Off"
    assert lab_bmc.resets() == ["On", "ForceOff", "On", "GracefulShutdown"]


def test_a_cycle_takes_the_power_away_where_there_is_no_power_cycle(lab_bmc: Any) -> None:
    set_power(lab_bmc, "on")
    done = set_power(lab_bmc, "cycle")
    assert done["changed"] and done["power_state"] == "On"
    assert lab_bmc.resets() == ["On", "ForceOff", "On"]


def test_a_reset_is_one_command_and_a_server_that_is_off_is_switched_on(lab_bmc: Any) -> None:
    assert set_power(lab_bmc, "reset")["power_state"] == "On"
    assert set_power(lab_bmc, "reset")["changed"]
    assert lab_bmc.resets() == ["On", "ForceRestart"]


def test_a_server_that_does_not_obey_is_a_timeout_and_no_success(lab_bmc: Any) -> None:
    lab_bmc.fault("power_stuck")
    started = time.monotonic()
    with pytest.raises(DeadlineExceeded) as caught:
        set_power(lab_bmc, "on", wait_timeout=1)
    assert time.monotonic() - started < 8
    assert caught.value.step == "power" and "PowerState Off" in (caught.value.answer or "")


RESET = "POST */ComputerSystem.Reset"


def test_an_order_whose_answer_is_lost_is_waited_for_although_it_shows_late(start_lab: Any) -> None:
    bmc = start_lab(power_s=4)
    bmc.fault("drop_after", RESET, count=1)
    assert set_power(bmc, "on", wait_timeout=60)["power_state"] == "On"
    bmc.fault("drop_after", RESET, count=1)
    assert set_power(bmc, "off", wait_timeout=60)["power_state"] == "Off"
    assert bmc.resets() == ["On", "ForceOff"] and bmc.machine.power == "Off"


def test_an_order_that_was_lost_on_the_way_is_given_once_more(lab_bmc: Any) -> None:
    lab_bmc.fault("drop", RESET, count=1)
    assert set_power(lab_bmc, "on", wait_timeout=4)["power_state"] == "On"
    lab_bmc.fault("drop", RESET, count=1)
    assert set_power(lab_bmc, "off", wait_timeout=4)["power_state"] == "Off"
    assert lab_bmc.resets() == ["On", "ForceOff"]


def test_an_order_that_never_arrives_may_be_tried_again(lab_bmc: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redfish_power, "_PATIENCE_S", 2.0)
    lab_bmc.fault("drop", RESET)
    for wait in (True, False):
        with pytest.raises(PaleBlueDotError) as caught:
            set_power(lab_bmc, "on", wait=wait, wait_timeout=2)
        assert caught.value.code == "answer_lost" and caught.value.retryable
    lab_bmc.heal()
    set_power(lab_bmc, "on")
    assert lab_bmc.resets() == ["On"]


def test_a_shutdown_whose_answer_is_lost_is_waited_for_and_never_asked_for_twice(lab_bmc: Any) -> None:
    set_power(lab_bmc, "on")
    lab_bmc.fault("drop", RESET, count=2)
    with pytest.raises(PaleBlueDotError) as caught:
        set_power(lab_bmc, "graceful", wait_timeout=2)
    assert caught.value.code == "answer_lost" and caught.value.retryable
    assert lab_bmc.struck(2) == 1 and lab_bmc.machine.power == "On"


def test_a_bmc_that_stumbles_while_we_wait_is_waited_for(lab_bmc: Any) -> None:
    lab_bmc.fault("status", "GET */Systems/DGX", value=500, count=None)
    with pytest.raises(BadAnswer):
        set_power(lab_bmc, "on", wait_timeout=2)
    lab_bmc.heal()
    lab_bmc.fault("latency", "POST */ComputerSystem.Reset", value=0.3, count=1)
    assert set_power(lab_bmc, "on")["power_state"] == "On"


# -- boot


def test_boot_override_is_planned_done_read_back_and_then_already_so(lab_bmc: Any) -> None:
    planned = set_boot(lab_bmc, check_mode=True, target="pxe", mode="uefi")
    assert planned["changed"] and not lab_bmc.writes()
    done = set_boot(lab_bmc, target="pxe", mode="uefi")
    assert done["changed"] and done["diff"] == planned["diff"]
    assert done["boot"]["target"] == "pxe" and done["boot"]["persistence"] == "once"
    override = lab_bmc.machine.bmc.override
    assert (override.target, override.enabled, override.mode) == ("Pxe", "Once", "UEFI")
    assert lab_bmc.writes() == ["PATCH /redfish/v1/Systems/DGX/SD"]
    assert not set_boot(lab_bmc, target="pxe", mode="uefi")["changed"]
    assert set_boot(lab_bmc, target="pxe", persistence="always")["boot"]["persistence"] == "always"


def test_an_override_is_taken_back(lab_bmc: Any) -> None:
    assert not set_boot(lab_bmc, target="none")["changed"]
    set_boot(lab_bmc, target="http")
    assert set_boot(lab_bmc, target="none")["boot"]["target"] == "none"
    assert lab_bmc.machine.bmc.override.enabled == "Disabled"


def test_a_boot_order_is_given_by_kind_or_reference(lab_bmc: Any) -> None:
    done = set_boot(lab_bmc, target=None, boot_order=["hdd", "Boot0025"])
    assert done["changed"] and done["boot"]["boot_order"] == ["Boot0000", "Boot0025", "Boot0026"]
    assert not set_boot(lab_bmc, target=None, boot_order=["hdd", "Boot0025"])["changed"]
    with pytest.raises(InvalidInput, match="no boot option"):
        set_boot(lab_bmc, target=None, boot_order=["floppy"])


def test_what_the_bmc_does_not_offer_is_unsupported_before_anything_is_sent(lab_bmc: Any) -> None:
    with pytest.raises(Unsupported):
        set_boot(lab_bmc, target="pxe", mode="legacy")
    assert not lab_bmc.writes()


def test_a_change_that_does_not_show_is_an_error(start_replay: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from replay import Asked, Reply

    def accepts_and_forgets(asked: Asked) -> Reply | None:
        return Reply(204) if asked.method == "PATCH" else None

    system = "/redfish/v1/Systems/1"
    bmc = start_replay(
        {
            "/redfish/v1": {"Vendor": "Contoso"},
            system: {
                "@odata.id": system,
                "Boot": {"BootSourceOverrideEnabled": "Disabled", "BootSourceOverrideTarget": "None"},
                "Bios": {"@odata.id": f"{system}/Bios"},
            },
            f"{system}/Bios": {"@odata.id": f"{system}/Bios", "Attributes": {"Turbo": "On"}},
            f"{system}/Bios/Settings": {"Attributes": {"Turbo": "On"}},
        },
        accepts_and_forgets,
    )
    for module in (boot, bios):
        monkeypatch.setattr(module, "_SHOWS_WITHIN_S", 0.3)
    with pytest.raises(BadAnswer) as caught:
        boot.run(bmc.params(system_id="1", target="pxe", persistence="once"), False)
    assert caught.value.code == "not_applied"
    with pytest.raises(BadAnswer) as caught:
        bios.run(bmc.params(system_id="1", attributes={"Turbo": "Off"}, apply_time="on_reset"), False)
    assert caught.value.code == "not_applied"


# -- BIOS


def test_attributes_are_staged_once_and_take_a_boot(lab_bmc: Any) -> None:
    wanted = {"SRIOVEnable": "Disable", "PromptTimeout": "5"}
    planned = set_bios(lab_bmc, wanted, check_mode=True)
    assert planned["changed"] and planned["reboot_required"] and not lab_bmc.writes()
    done = set_bios(lab_bmc, wanted)
    assert done["changed"] and done["reboot_required"] and done["diff"] == planned["diff"]
    assert done["pending"] == {"SRIOVEnable": "Disable", "PromptTimeout": 5}
    assert lab_bmc.machine.bmc.bios_pending == {"SRIOVEnable": "Disable", "PromptTimeout": 5}
    again = set_bios(lab_bmc, wanted)
    assert not again["changed"] and again["reboot_required"]
    set_power(lab_bmc, "on")
    applied = set_bios(lab_bmc, wanted)
    assert not applied["changed"] and not applied["reboot_required"] and applied["pending"] == {}


def test_a_staged_value_that_is_not_wanted_is_replaced(lab_bmc: Any) -> None:
    set_bios(lab_bmc, {"SRIOVEnable": "Disable"})
    done = set_bios(lab_bmc, {"SRIOVEnable": "Enable"})
    assert done["changed"] and not done["reboot_required"]
    set_power(lab_bmc, "on")
    assert lab_bmc.machine.bmc.bios["SRIOVEnable"] == "Enable"


def test_an_unknown_attribute_and_a_value_out_of_the_registry_are_bad_input(lab_bmc: Any) -> None:
    with pytest.raises(InvalidInput, match="no attribute SRIOV"):
        set_bios(lab_bmc, {"SRIOV": "Enable"})
    with pytest.raises(PaleBlueDotError):
        set_bios(lab_bmc, {"SRIOVEnable": "Perhaps"})
    assert lab_bmc.machine.bmc.bios_pending == {}


def test_apply_at_once_is_refused_where_it_is_not_offered(lab_bmc: Any) -> None:
    with pytest.raises(Unsupported):
        set_bios(lab_bmc, {"SRIOVEnable": "Disable"}, apply_time="immediate")


# -- reading


def read_metrics(entries: list[dict[str, Any]], **options: Any) -> dict[str, Any]:
    defaults = {"concurrency": 8, "timeout": 3, "store": False, "rounds": 1, "interval": 0.0, "subset": ["metrics"]}
    return metrics.run({"bmcs": entries, **defaults, **options}, False)


def test_everything_is_read_and_every_session_ended(lab_bmc: Any) -> None:
    set_power(lab_bmc, "on")
    found = info.run(lab_bmc.params(subset=None), False)["bmc"]
    assert found["serial_number"] == lab_bmc.machine.serial_number
    assert [gpu["memory_gb"] for gpu in found["gpus"]] == [80] * 8
    assert found["bmc_firmware_version"] and found["bios_version"]
    (read,) = read_metrics([lab_bmc.entry()])["metrics"]
    assert read["name"] == lab_bmc.machine.name
    assert read["power_watts"] > 0 and 10 < read["inlet_celsius"] < 40
    for gpu in read["gpus"]:
        assert 15 < gpu["temperature_celsius"] < 90 and gpu["margin_celsius"] > 0 and gpu["power_watts"] > 0
    assert lab_bmc.sessions() == 0


def test_power_and_health_alone_cost_one_reading_of_the_system(lab_bmc: Any) -> None:
    set_power(lab_bmc, "on")
    (read,) = read_metrics([lab_bmc.entry()], subset=["state"])["metrics"]
    assert set(read) == {"name", "read_at", "power_state", "health"}
    assert (read["power_state"], read["health"]) == ("On", "OK")
    both = read_metrics([lab_bmc.entry()], subset=["state", "metrics"])["metrics"][0]
    assert both["power_state"] == "On" and both["power_watts"] > 0


def test_a_missing_gpu_is_not_made_up(lab_bmc: Any) -> None:
    set_power(lab_bmc, "on")
    lab_bmc.fault("gpu_missing", value=3)
    found = info.run(lab_bmc.params(subset=["gpus"]), False)["bmc"]
    assert "GPU_SXM_3" not in [gpu["id"] for gpu in found["gpus"]]
    assert len(found["gpus"]) == 7


def test_one_dead_bmc_does_not_cost_the_others(lab_bmc: Any) -> None:
    dead = lab_bmc.entry(name="dead", port=1)
    silent = lab_bmc.entry(name="locked", password="wrong-password-13")
    nobody = {**lab_bmc.entry(name="nobody"), "username": None}
    answer = read_metrics([dead, silent, nobody, lab_bmc.entry()])
    assert [read["name"] for read in answer["metrics"]] == [lab_bmc.machine.name]
    codes = {failure["name"]: failure["error"]["code"] for failure in answer["failures"]}
    assert codes == {"dead": "unreachable", "locked": "authentication_failed", "nobody": "invalid_input"}
    assert (answer["counts"]["read"], answer["counts"]["failed"]) == (1, 3)


def test_rounds_keep_their_times_and_one_session(lab_bmc: Any) -> None:
    lab_bmc.fault("latency", "GET */MetricReports/*", value=0.1)
    started = time.monotonic()
    answer = read_metrics([lab_bmc.entry()], rounds=4, interval=0.3)
    # 3 intervals and one reading; reading time does not add up
    assert 0.9 < time.monotonic() - started < 6.6
    assert answer["counts"]["read"] == 4 and lab_bmc.sessions() == 0
    log = lab_bmc._loop.call(lambda: list(lab_bmc.machine.world.log))
    assert sum(entry.action.startswith("POST") for entry in log) <= 1


def test_a_password_that_changes_between_rounds_locks_nobody_out(lab_bmc: Any) -> None:
    """As a rotation does it: the new password is set, and the account's sessions are ended."""
    accounts, sessions = lab_bmc.machine.bmc.accounts, lab_bmc.bmc.sessions
    account = accounts.find(lab_bmc.machine.config.bmc_username)
    entry = lab_bmc.entry()

    def rotate() -> None:
        lab_bmc.until(lambda: bool(sessions.list()))
        time.sleep(0.5)

        def change() -> None:
            account.password = "Another-Secret.16"
            sessions.clear()

        lab_bmc._loop.call(change)

    rotation = threading.Thread(target=rotate)
    rotation.start()
    answer = read_metrics([entry], rounds=8, interval=0.4)
    rotation.join()
    counts = answer["counts"]
    assert counts["read"] >= 1 and counts["read"] + counts["failed"] == 8
    (failure,) = answer["failures"]
    assert (failure["failed"], failure["error"]["code"]) == (counts["failed"], "authentication_failed")
    assert account.failures <= 1 and not accounts.locked(account)
    assert read_metrics([{**entry, "password": "Another-Secret.16"}])["counts"]["read"] == 1, "and the next run goes on"


def test_a_round_in_which_a_bmc_fails_is_followed_by_one_in_which_it_answers(lab_bmc: Any) -> None:
    lab_bmc.fault("drop", "GET */MetricReports/*", count=3)  # all tries of one read
    answer = read_metrics([lab_bmc.entry()], rounds=2, interval=1.0)
    assert (answer["counts"]["read"], answer["counts"]["failed"]) == (1, 1)
    assert answer["failures"] == []


# -- faults


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("hang", DeadlineExceeded), ("refuse", Unreachable), ("drop", Unreachable), ("garbage", BadAnswer)],
)
@pytest.mark.parametrize("protocol", ["redfish", "auto"])
def test_a_faulty_bmc_gives_a_typed_error_in_time(
    lab_bmc: Any, kind: str, expected: type[PaleBlueDotError], protocol: str
) -> None:
    lab_bmc.fault(kind)
    params = lab_bmc.params(bmc_protocol=protocol, bmc_timeout=2, subset=None)
    started = time.monotonic()
    with pytest.raises(expected) as caught:
        info.run(params, False)
    assert time.monotonic() - started < 7.7
    assert str(params["bmc_port"]) in (caught.value.host or "")


def test_a_bmc_that_hangs_after_the_login_is_left_in_time(lab_bmc: Any) -> None:
    lab_bmc.fault("hang", "GET *")
    lab_bmc.fault("hang", "DELETE *")
    started = time.monotonic()
    with pytest.raises(DeadlineExceeded):
        info.run(lab_bmc.params(bmc_timeout=2, bmc_auth="session", subset=["power"]), False)
    assert time.monotonic() - started < 8


def test_a_wait_ends_in_time_although_the_bmc_hangs(start_replay: Any) -> None:
    from replay import Asked, Reply

    system = "/redfish/v1/Systems/1"
    ordered, ended = threading.Event(), threading.Event()

    def hang_once_it_is_ordered(asked: Asked) -> Reply | None:
        if asked.path.endswith("ComputerSystem.Reset"):
            ordered.set()
            return Reply(204)
        if ordered.is_set() and asked.path == system:
            ended.wait(10)
        return None

    tree = {"/redfish/v1": {"Vendor": "Contoso"}, system: {"@odata.id": system, "PowerState": "Off"}}
    bmc = start_replay(tree, hang_once_it_is_ordered)
    started = time.monotonic()
    with pytest.raises(DeadlineExceeded):
        power.run(bmc.params(system_id="1", state="on", wait=True, wait_timeout=1, bmc_timeout=8), False)
    ended.set()
    assert ordered.is_set() and time.monotonic() - started < 10


def test_a_list_where_a_resource_was_expected(lab_bmc: Any) -> None:
    lab_bmc.fault("wrong")
    with pytest.raises(BadAnswer):
        info.run(lab_bmc.params(subset=None), False)


@pytest.mark.parametrize("missing", ["Model", "Actions", "Boot", "Bios", "PowerState", "Links", "Id"])
def test_a_property_that_is_missing_is_null_and_no_crash(lab_bmc: Any, missing: str) -> None:
    lab_bmc.fault("wrong", "GET */Systems/DGX", value=missing)
    found = info.run(lab_bmc.params(subset=None), False)["bmc"]
    assert found["protocol"] == "redfish"


def test_a_wrong_password_names_the_host(lab_bmc: Any) -> None:
    with pytest.raises(AuthenticationError) as caught:
        info.run(lab_bmc.params(bmc_password="wrong-password-13", subset=["system"]), False)
    assert caught.value.host and "wrong-password" not in str(caught.value)
