"""``bmc_power`` against BMCs that answer as real ones do: no for yes, not now, nothing at all; and the mains."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.base import PowerAction, Refused
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.connect import open_bmc
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.operations import bmc_power as power
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.redfish import power as redfish_power
from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import (
    BadAnswer,
    Conflict,
    DeadlineExceeded,
    InvalidInput,
    PaleBlueDotError,
    Unsupported,
)
from replay import Asked, Reply, error

SYSTEM = "/redfish/v1/Systems/1"
MANAGER = "/redfish/v1/Managers/1"
RESET = f"{SYSTEM}/Actions/ComputerSystem.Reset"
ALL = ["On", "ForceOff", "ForceRestart", "GracefulRestart", "GracefulShutdown", "PowerCycle"]


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redfish_power, "_SHOWS_WITHIN_S", 0.2)


class Server:
    """A server behind a replayed BMC; ``answer`` decides what the BMC says of a reset that it has carried out."""

    def __init__(self, start: Any, vendor: str, offered: list[str] | None = None, state: str = "On") -> None:
        self.state = state
        self.resets = 0
        self.kinds: list[str] = []
        self.answer: Callable[[str], Reply | None] = lambda kind: Reply(204)
        self.silent = 0  # how many requests get no answer
        self.system: dict[str, Any] = {
            "@odata.id": SYSTEM,
            "Id": "1",
            "Actions": {
                "#ComputerSystem.Reset": {"target": RESET, "ResetType@Redfish.AllowableValues": offered or ALL}
            },
            "Links": {"ManagedBy": [{"@odata.id": MANAGER}]},
        }
        self.manager: dict[str, Any] = {"@odata.id": MANAGER, "ManagerType": "BMC"}
        self.posted: list[tuple[str, Any]] = []
        self.bmc = start({"/redfish/v1": {"Vendor": vendor}, **self.resources()}, self.respond)

    def resources(self) -> dict[str, Any]:
        return {"/redfish/v1/Systems": {"Members": [{"@odata.id": SYSTEM}], "Members@odata.count": 1}}

    def respond(self, asked: Asked) -> Reply | None:
        if self.silent:
            self.silent -= 1
            return Reply(0)
        if asked.method == "POST" and "Actions" in asked.path:
            self.posted.append((asked.path, asked.body))
            if asked.path != RESET:
                return self.oem(asked)
            kind = asked.body["ResetType"]
            self.kinds.append(kind)
            reply = self.answer(kind)
            if reply is None or reply.status < 300 or reply.headers.get("X-Done"):
                self.carry_out(kind)
            return reply
        if asked.path == SYSTEM and asked.method == "GET":
            started = {"LastResetTime": f"2026-11-21T10:00:{self.resets:02}Z"}
            return Reply(200, {**self.system, "PowerState": self.state, **started})
        if asked.path == MANAGER:
            return Reply(200, self.manager)
        return None

    def oem(self, asked: Asked) -> Reply:
        return Reply(404, {})

    def carry_out(self, kind: str) -> None:
        self.resets += 1
        self.state = "Off" if kind in ("ForceOff", "GracefulShutdown") else "On"

    def set(self, state: str, check_mode: bool = False, **options: Any) -> dict[str, Any]:
        defaults = {"state": state, "wait": True, "wait_timeout": 5}
        return power.run(self.bmc.params(**{**defaults, **options}), check_mode)


def done(status: int, *error_: str) -> Reply:
    """A failure of what was carried out all the same."""
    return Reply(status, error(*error_) if error_ else {}, {"X-Done": "yes"})


def test_a_run_that_does_not_wait_shows_what_it_has_set_going(start_replay: Any) -> None:
    server = Server(start_replay, "Contoso")
    server.carry_out = lambda kind: None  # type: ignore[method-assign]  # the operating system takes its time
    planned = server.set("graceful", check_mode=True, wait=False)
    result = server.set("graceful", wait=False)
    assert result["diff"] == planned["diff"]
    assert result["diff"] == {"before": {"power_state": "On"}, "after": {"power_state": "Off"}}
    assert result["power_state"] == "On", "as it was read last"


# -- answers that are not what they say


@pytest.mark.parametrize("status", [200, 204, 400, 409, 500])
def test_what_happened_counts_and_not_what_the_bmc_says_of_it(start_replay: Any, status: int) -> None:
    server = Server(start_replay, "Contoso")
    server.answer = lambda kind: done(status, "Base.1.8.GeneralError", "It did not work.")
    assert server.set("off")["power_state"] == "Off"
    assert server.set("on")["power_state"] == "On"
    assert server.kinds == ["ForceOff", "On"], "nothing is sent twice"


def test_a_restart_that_is_called_a_failure_is_seen_by_its_new_time(start_replay: Any) -> None:
    server = Server(start_replay, "Contoso")
    server.answer = lambda kind: done(500)
    assert server.set("reset")["changed"]
    server.answer = lambda kind: Reply(500, {})  # it was none
    with pytest.raises(BadAnswer):
        server.set("reset")
    assert server.kinds == ["ForceRestart"] * 2


@pytest.mark.parametrize(
    ("status", "message_id"),
    [
        (400, "iLO.2.14.UnableToModifyDuringSystemPOST"),
        (400, "iLO.2.14.InvalidOperationForSystemState"),
        (503, "IDRAC.2.8.SYS518"),
        (400, "IDRAC.2.1.SYS518"),
        (409, "IDRAC.2.9.ActionParameterValueConflict"),
        (409, "Base.1.12.ResourceInUse"),
    ],
)
def test_not_now_is_tried_again_until_it_is_now(start_replay: Any, status: int, message_id: str) -> None:
    server = Server(start_replay, "Contoso", state="Off")
    answers = [Reply(status, error(message_id, "The server is in POST."))] * 2
    server.answer = lambda kind: answers.pop() if answers else Reply(204)
    assert server.set("on", wait_timeout=20)["power_state"] == "On"
    assert server.kinds == ["On"] * 3


def test_not_now_for_ever_ends_at_the_timeout(start_replay: Any) -> None:
    server = Server(start_replay, "Contoso", state="Off")
    server.answer = lambda kind: Reply(400, error("iLO.2.14.UnableToModifyDuringSystemPOST", "In POST."))
    started = time.monotonic()
    with pytest.raises(Conflict, match="In POST"):
        server.set("on", wait_timeout=4)
    assert time.monotonic() - started < 16 and server.state == "Off"


def test_a_refusal_for_good_is_not_repeated(start_replay: Any) -> None:
    server = Server(start_replay, "Contoso", state="Off")
    server.answer = lambda kind: Reply(400, error("Base.1.8.PropertyValueNotInList", "On is not in the list."))
    with pytest.raises(PaleBlueDotError):
        server.set("on")
    assert server.kinds == ["On"]


def test_a_server_that_is_off_meanwhile_is_not_switched_on_by_an_off(start_replay: Any) -> None:
    """As after a wait for one's turn: the state was read long before."""
    server = Server(start_replay, "Contoso")

    def off_by_somebody_else(_seconds: float) -> None:
        server.state = "Off"

    turn = {"stagger_s": 5.0, "stagger_group": "b", "stagger_groups": ["a", "b"]}
    params = server.bmc.params(state="off", wait=True, wait_timeout=5, **turn)
    assert power.run(params, False, sleep=off_by_somebody_else)["power_state"] == "Off"
    assert server.kinds == []


# -- vendors' words


@pytest.mark.parametrize(
    ("vendor", "system", "kinds"),
    [
        ("HPE", {}, ["GracefulRestart"]),
        ("Lenovo", {}, ["GracefulRestart"]),
        ("Lenovo", {"Model": "ThinkSystem SR675 V3"}, ["ForceOff", "On"]),
        ("Dell", {}, ["ForceRestart"]),
        ("Contoso", {}, ["ForceRestart"]),
    ],
)
def test_a_warm_boot(
    start_replay: Any, monkeypatch: pytest.MonkeyPatch, vendor: str, system: dict[str, Any], kinds: list[str]
) -> None:
    server = Server(start_replay, vendor)
    server.system |= system
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    server.set("reset")
    assert server.kinds == kinds


@pytest.mark.parametrize(
    ("vendor", "system", "seconds"),
    [
        ("HPE", {}, 15),
        ("Lenovo", {"Model": "ThinkSystem SR675 V3"}, 10),
        ("Dell", {}, 5),
        ("Contoso", {}, 0),
    ],
)
def test_power_stays_off_for_as_long_as_the_product_wants(
    start_replay: Any, vendor: str, system: dict[str, Any], seconds: float
) -> None:
    server = Server(start_replay, vendor, offered=["On", "ForceOff"])
    server.system |= system
    slept: list[tuple[float, list[str]]] = []
    with open_bmc(server.bmc.params()) as bmc:
        bmc.sleep = lambda pause: slept.append((pause, [*server.kinds]))
        bmc.set_power(PowerAction.CYCLE, wait_timeout=60)
    assert server.kinds == ["ForceOff", "On"]
    assert sum(pause for pause, kinds in slept if kinds == ["ForceOff"]) == seconds


# -- the mains

HPE_ACTIONS = {
    "#HpeComputerSystemExt.SystemReset": {
        "target": f"{SYSTEM}/Actions/Oem/Hpe/HpeComputerSystemExt.SystemReset",
        "ResetType@Redfish.AllowableValues": ["ColdBoot", "AuxCycle"],
    }
}
LENOVO_ACTIONS = {
    "#LenovoComputerSystem.SystemReset": {"target": f"{SYSTEM}/Actions/Oem/LenovoComputerSystem.SystemReset"}
}


class Mains(Server):
    """The server's Oem action takes everything away, the BMC too."""

    restores = "On"
    answers = True

    def oem(self, asked: Asked) -> Reply:
        self.state = self.restores
        self.silent = 4
        self.manager = {**self.manager, "LastResetTime": "2026-11-21T11:00:00Z"}
        self.bmc.sessions.clear()
        return Reply(204) if self.answers else Reply(0)


@pytest.mark.parametrize("answers", [True, False], ids=["answers", "falls silent at once"])
@pytest.mark.parametrize(
    ("vendor", "place", "target", "body"),
    [
        (
            "HPE",
            {"Oem": {"Hpe": {"Actions": HPE_ACTIONS}}},
            HPE_ACTIONS["#HpeComputerSystemExt.SystemReset"]["target"],
            {"ResetType": "AuxCycle"},
        ),
        (
            "Lenovo",
            {"Actions": {"Oem": LENOVO_ACTIONS}},
            LENOVO_ACTIONS["#LenovoComputerSystem.SystemReset"]["target"],
            {"ResetType": "ACPowerCycle"},
        ),
    ],
)
def test_the_mains_go_and_come_back(
    start_replay: Any, vendor: str, place: dict[str, Any], target: str, body: dict[str, Any], answers: bool
) -> None:
    server = Mains(start_replay, vendor)
    server.answers = answers
    server.system = {**server.system, **place}
    planned = server.set("ac_cycle", check_mode=True)
    assert planned["changed"] and server.posted == []
    result = server.set("ac_cycle", wait_timeout=30)
    assert server.posted == [(target, body)], "sent once, whether an answer came or not"
    assert result["power_state"] == "On" and result["diff"] == planned["diff"]
    assert result["diff"]["after"] == {"power_state": "On", "by": "ac_cycle"}
    assert server.silent == 0, "the BMC was seen to be away"


def test_a_server_that_its_restore_policy_leaves_off_is_switched_on(
    start_replay: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redfish_power, "_COMES_ON_WITHIN_S", 0.5)
    server = Mains(start_replay, "HPE")
    server.system["Oem"] = {"Hpe": {"Actions": HPE_ACTIONS}}
    server.restores = "Off"
    assert server.set("ac_cycle", wait_timeout=30)["power_state"] == "On"
    assert server.kinds == ["On"]


def test_a_server_that_was_off_stays_off(start_replay: Any) -> None:
    server = Mains(start_replay, "HPE", state="Off")
    server.system["Oem"] = {"Hpe": {"Actions": HPE_ACTIONS}}
    server.restores = "Off"
    assert server.set("ac_cycle", wait_timeout=30)["power_state"] == "Off"
    assert server.kinds == []


def test_mains_that_never_went_are_no_success(start_replay: Any) -> None:
    server = Server(start_replay, "HPE")
    server.system["Oem"] = {"Hpe": {"Actions": HPE_ACTIONS}}
    server.oem = lambda asked: Reply(204)  # type: ignore[method-assign]
    with pytest.raises(DeadlineExceeded, match="nothing shows"):
        server.set("ac_cycle", wait_timeout=2)
    assert server.set("ac_cycle", wait=False)["changed"]


CHASSIS = "/redfish/v1/Chassis/BMC_0"
AUX = f"{CHASSIS}/Actions/Oem/NvidiaChassis.AuxPowerReset"


class Grace(Mains):
    """The host has to be off first, and stays off."""

    restores = "Off"

    def resources(self) -> dict[str, Any]:
        return {
            **super().resources(),
            "/redfish/v1/Chassis": {"Members": [{"@odata.id": CHASSIS}], "Members@odata.count": 1},
            CHASSIS: {"@odata.id": CHASSIS, "Actions": {"Oem": {"#NvidiaChassis.AuxPowerReset": {"target": AUX}}}},
        }

    def oem(self, asked: Asked) -> Reply:
        assert self.state == "Off", "the tray refuses to take its own host's power"
        return super().oem(asked)


def test_a_grace_tray_is_switched_off_before_and_on_afterwards(
    start_replay: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redfish_power, "_COMES_ON_WITHIN_S", 0.5)
    server = Grace(start_replay, "NVIDIA")
    server.system["Model"] = "GB200 NVL"
    assert server.set("ac_cycle", wait_timeout=30)["power_state"] == "On"
    assert [path for path, _body in server.posted] == [RESET, AUX, RESET]
    assert server.kinds == ["ForceOff", "On"]


BIOS = f"{SYSTEM}/Bios"


class OldDell(Server):
    """An iDRAC without ExtendedReset: the BIOS takes the mains away during the next restart."""

    read_only = False

    def resources(self) -> dict[str, Any]:
        registry = "/redfish/v1/Registries/BiosRegistry"
        entry = {
            "AttributeName": "PowerCycleRequest",
            "Type": "Enumeration",
            "ReadOnly": self.read_only,
            "Value": [{"ValueName": "None"}, {"ValueName": "FullPowerCycle"}],
        }
        return {
            **super().resources(),
            BIOS: {
                "@odata.id": BIOS,
                "AttributeRegistry": "BiosRegistry",
                "Attributes": {"PowerCycleRequest": "None"},
                "@Redfish.Settings": {"SettingsObject": {"@odata.id": f"{BIOS}/Settings"}},
            },
            f"{BIOS}/Settings": {"@odata.id": f"{BIOS}/Settings", "Attributes": {}},
            "/redfish/v1/Registries": {"Members": [{"@odata.id": registry}], "Members@odata.count": 1},
            registry: {"@odata.id": registry, "RegistryEntries": {"Attributes": [entry]}},
        }

    def respond(self, asked: Asked) -> Reply | None:
        self.system["Bios"] = {"@odata.id": BIOS}
        if asked.method == "PATCH":
            self.posted.append((asked.path, asked.body))
            return Reply(202, {}, {"Location": "/redfish/v1/TaskService/Tasks/JID_1"})
        return super().respond(asked)

    def carry_out(self, kind: str) -> None:
        super().carry_out(kind)
        self.silent = 3


def test_an_old_dell_does_it_by_its_bios_and_a_restart(start_replay: Any) -> None:
    server = OldDell(start_replay, "Dell")
    assert server.set("ac_cycle", wait_timeout=30)["power_state"] == "On"
    (path, body), (target, reset) = server.posted
    assert path == f"{BIOS}/Settings" and body["Attributes"] == {"PowerCycleRequest": "FullPowerCycle"}
    assert body["@Redfish.SettingsApplyTime"]["ApplyTime"] == "OnReset"
    assert (target, reset) == (RESET, {"ResetType": "ForceRestart"})


@pytest.mark.parametrize("check_mode", [True, False])
def test_a_machine_without_a_way_says_what_is_missing(start_replay: Any, check_mode: bool) -> None:
    class Locked(OldDell):
        read_only = True

    server = Locked(start_replay, "Dell")
    with pytest.raises(Unsupported) as caught:
        server.set("ac_cycle", check_mode=check_mode)
    assert "no Chassis System.Embedded.1" in (caught.value.answer or "")
    assert "PowerCycleRequest" in (caught.value.answer or "") and "read only" in (caught.value.answer or "")
    unknown = Server(start_replay, "Contoso")
    with pytest.raises(Unsupported) as caught:
        unknown.set("ac_cycle", check_mode=check_mode)
    assert "no way is known" in (caught.value.answer or "") and caught.value.next
    ilo = Server(start_replay, "HPE")
    with pytest.raises(Unsupported, match="no action of the System"):
        ilo.set("ac_cycle", check_mode=check_mode)
    assert not server.posted + unknown.posted + ilo.posted


def test_real_machines_and_their_mains(
    start_replay: Any, hpe_capture: Any, dell_capture: Any, dgx_capture: Any
) -> None:
    """Check mode finds the action where a real iLO and a real iDRAC have it; a DGX has none."""
    for capture in (hpe_capture, dell_capture):
        params = start_replay(capture).params(state="ac_cycle", wait=True, wait_timeout=5)
        assert power.run(params, True)["changed"]
    with pytest.raises(Unsupported):
        power.run(start_replay(dgx_capture).params(state="ac_cycle", wait=True, wait_timeout=5), True)


def test_ipmi_cannot(ipmi_bmc: Any) -> None:
    with pytest.raises(Unsupported):
        power.run(ipmi_bmc.params(state="ac_cycle", wait=True, wait_timeout=5), True)


# -- one rack after the other

GROUPS = {"stagger_s": 20.0, "stagger_groups": ["r1", "r2", "r3"]}


@pytest.mark.parametrize(("group", "expected"), [("r1", 0.0), ("r2", 20.0), ("r3", 40.0), (None, 0.0)])
def test_a_group_waits_for_its_turn(start_replay: Any, group: str | None, expected: float) -> None:
    server = Server(start_replay, "Contoso", state="Off")
    slept: list[float] = []
    params = server.bmc.params(state="on", wait=True, wait_timeout=5, stagger_group=group, **GROUPS)
    result = power.run(params, False, sleep=slept.append)
    assert result["staggered_s"] == expected == sum(slept)
    again = power.run(params, False, sleep=slept.append)
    assert again["staggered_s"] == 0 and sum(slept) == expected, "who changes nothing does not wait"


def test_turns_are_counted_from_one_beginning(start_replay: Any) -> None:
    """A server whose task runs late, because the forks were busy, does not wait once more."""
    slept: list[float] = []
    for now, expected in ((100.0, 40.0), (125.0, 15.0), (500.0, 0.0), (50.0, 40.0)):
        slept.clear()
        server = Server(start_replay, "Contoso", state="Off")
        turn = {**GROUPS, "stagger_group": "r3", "stagger_from": 100.0}
        params = server.bmc.params(state="on", wait=True, wait_timeout=5, **turn)
        power.run(params, False, now=lambda now=now: now, sleep=slept.append)
        assert sum(slept) == expected, now
    slept.clear()
    assert power.run(server.bmc.params(state="cycle", wait=True, wait_timeout=5, **turn), True)["changed"]
    assert not slept, "check mode waits for nobody"


def test_the_session_does_not_wait_for_its_turn(start_replay: Any) -> None:
    server = Server(start_replay, "Contoso", state="Off")
    open_then: list[int] = []
    params = server.bmc.params(state="on", wait=True, wait_timeout=5, bmc_auth="session", stagger_group="r2", **GROUPS)
    power.run(params, False, sleep=lambda seconds: open_then.append(len(server.bmc.sessions)))
    assert open_then == [0] and not server.bmc.sessions


@pytest.mark.parametrize(
    "options",
    [
        {"stagger_s": 20.0, "stagger_group": "r9", "stagger_groups": ["r1"]},
        {"stagger_s": 20.0, "stagger_group": "r1", "stagger_groups": None},
        {"stagger_s": -1.0, "stagger_group": "r1", "stagger_groups": ["r1"]},
        {"stagger_s": 600.0, "stagger_group": "r1", "stagger_groups": [f"r{n}" for n in range(10)]},
    ],
)
def test_turns_that_make_no_sense_are_refused_before_anything_is_sent(
    start_replay: Any, options: dict[str, Any]
) -> None:
    server = Server(start_replay, "Contoso", state="Off")
    with pytest.raises(InvalidInput):
        power.run(server.bmc.params(state="on", wait=True, wait_timeout=5, **options), False)
    assert not server.bmc.asked


# -- what is waited for after a restart

TASK = "/redfish/v1/TaskService/Tasks/4"


def test_a_restart_whose_task_fails_is_no_success(start_replay: Any) -> None:
    states = ["Exception", "Running", "Running"]

    class Tasked(Server):
        def respond(self, asked: Asked) -> Reply | None:
            if asked.path == TASK:
                return Reply(200, {"TaskState": states.pop(), "Messages": [{"Message": "CPLD says no."}]})
            return super().respond(asked)

    server = Tasked(start_replay, "Contoso")
    server.answer = lambda kind: Reply(202, {"@odata.id": TASK, "TaskState": "Running"})
    with pytest.raises(Refused, match="CPLD says no"):
        server.set("reset")
    assert not states and server.kinds == ["ForceRestart"]


def test_a_restart_without_a_task_is_seen_before_it_is_called_done(start_replay: Any) -> None:
    """The server goes off some reads after the answer, and comes on again."""
    states = ["On", "Off", "Off", "On", "On"]

    class Slow(Server):
        def respond(self, asked: Asked) -> Reply | None:
            if asked.path == SYSTEM and self.kinds and states:
                self.state = states.pop()
            return super().respond(asked)

        def carry_out(self, kind: str) -> None:
            pass

    server = Slow(start_replay, "Contoso")
    assert server.set("cycle")["power_state"] == "On"
    assert states == [], "On at the first look is the server that has not begun"


def test_a_restart_that_shows_its_time_takes_one_read_and_one_without_a_sign_is_no_failure(
    start_replay: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Server(start_replay, "Contoso")
    server.set("reset")
    posted = server.bmc.requests().index(f"POST {RESET}")
    assert server.bmc.requests()[posted + 1 :].count(f"GET {SYSTEM}") == 1
    monkeypatch.setattr(redfish_power, "_SIGN_WITHIN_S", 0.3)
    server.carry_out = lambda kind: None  # type: ignore[method-assign]
    assert server.set("reset")["power_state"] == "On"


@pytest.mark.parametrize("booted", [None, "2026-11-21T09:00:00Z"])
def test_one_slow_answer_is_not_the_mains_going(start_replay: Any, booted: str | None) -> None:
    server = Server(start_replay, "HPE")
    server.system["Oem"] = {"Hpe": {"Actions": HPE_ACTIONS}}
    server.oem = lambda asked: Reply(204)  # type: ignore[method-assign]
    if booted:
        server.manager["LastResetTime"] = booted
    ordinary = server.bmc.respond
    busy = [1, 1] if booted is None else [1, 1, 1, 1]

    def respond(asked: Asked) -> Reply | None:
        if asked.path == SYSTEM and server.posted and busy:
            busy.pop()
            return Reply(503, {})
        return ordinary(asked)

    server.bmc.respond = respond
    with pytest.raises(DeadlineExceeded, match="nothing shows"):
        server.set("ac_cycle", wait_timeout=3)
    assert not busy


def test_a_bmc_that_is_busy_for_long_was_away(start_replay: Any) -> None:
    server = Server(start_replay, "HPE")
    server.system["Oem"] = {"Hpe": {"Actions": HPE_ACTIONS}}
    server.oem = lambda asked: Reply(204)  # type: ignore[method-assign]
    ordinary = server.bmc.respond
    busy = [1, 1, 1]

    def respond(asked: Asked) -> Reply | None:
        if asked.path == SYSTEM and server.posted and busy:
            busy.pop()
            return Reply(503, {})
        return ordinary(asked)

    server.bmc.respond = respond
    assert server.set("ac_cycle", wait_timeout=5)["power_state"] == "On"
