"""A BMC that is restarted goes away, comes back, and both are seen."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.operations import bmc_reset as reset
from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import DeadlineExceeded, Unsupported

from lab.config import VENDORS

RESET = "/redfish/v1/Managers/1/Actions/Manager.Reset"


def ask(bmc: Any, check_mode: bool = False, **options: Any) -> dict[str, Any]:
    return reset.run(bmc.params(**{"wait": True, "wait_timeout": 20, **options}), check_mode)


def away_for(bmc: Any, seconds: float) -> None:
    world = bmc.machine.world
    world.delays = replace(world.delays, bmc_reset_s=seconds)


@pytest.mark.parametrize("vendor", VENDORS)
def test_every_vendor_of_the_lab_restarts_by_the_gentlest_way_it_offers(start_lab: Any, vendor: str) -> None:
    bmc = start_lab(vendor)
    away_for(bmc, 0.6)
    planned = ask(bmc, check_mode=True)
    assert planned["changed"] and bmc.machine.bmc.resets == 0
    done = ask(bmc)
    assert done["manager"]["reset"] == planned["manager"]["reset"] and done["diff"] == planned["diff"]
    assert bmc.machine.bmc.resets == 1
    assert done["manager"]["away_s"] > 0 and done["manager"]["firmware_version"]
    assert bmc.sessions() == 0
    assert bmc.machine.power == "Off", "the server is left alone"


@pytest.mark.parametrize(
    ("vendor", "kind", "word"),
    [("dell", "graceful", "GracefulRestart"), ("ami", "force", "ForceRestart"), ("hpe", "force", "ForceRestart")],
)
def test_a_kind_is_ordered_in_the_bmcs_own_word(start_lab: Any, vendor: str, kind: str, word: str) -> None:
    assert ask(start_lab(vendor), kind=kind)["manager"]["reset"] == word


@pytest.mark.parametrize(("vendor", "kind", "offer"), [("dell", "force", "graceful"), ("ami", "graceful", "force")])
def test_a_kind_that_is_not_offered_is_refused_before_anything_is_sent(
    start_lab: Any, vendor: str, kind: str, offer: str
) -> None:
    bmc = start_lab(vendor)
    with pytest.raises(Unsupported, match=f"offered: {offer}"):
        ask(bmc, kind=kind)
    assert not bmc.writes()


def test_a_restart_so_quick_that_nobody_misses_it_is_told_by_the_forgotten_session(lab_bmc: Any) -> None:
    assert ask(lab_bmc)["manager"]["away_s"] is not None
    assert lab_bmc.machine.bmc.resets == 1


def test_without_wait_the_order_is_enough(lab_bmc: Any) -> None:
    away_for(lab_bmc, 600)
    assert ask(lab_bmc, wait=False)["manager"]["away_s"] is None


def test_one_that_does_not_come_back_is_a_failure(lab_bmc: Any) -> None:
    away_for(lab_bmc, 600)
    with pytest.raises(DeadlineExceeded, match="has not come back"):
        ask(lab_bmc, wait_timeout=2)


def test_an_order_that_is_taken_and_not_carried_out_is_a_failure(start_replay: Any, hpe_capture: Any) -> None:
    from replay import Reply

    def respond(asked: Any) -> Any:
        return Reply(200, {}) if asked.path.endswith("Manager.Reset") else None

    bmc = start_replay(hpe_capture, respond)
    with pytest.raises(DeadlineExceeded, match="was never away"):
        ask(bmc, wait_timeout=1)
    orders = [asked.body for asked in bmc.asked if asked.path.endswith("Manager.Reset")]
    assert orders == [{"ResetType": "GracefulRestart"}], "once"


def test_a_dropped_connection_alone_is_no_restart(start_replay: Any, hpe_capture: Any) -> None:
    """iLO resets connections that have been used before."""
    from replay import Reply

    seen = {"ordered": False, "drops": 0}

    def respond(asked: Any) -> Any:
        if asked.path.endswith("Manager.Reset"):
            seen["ordered"] = True
            return Reply(200, {})
        if seen["ordered"] and asked.method == "GET":
            seen["drops"] += 1
            return Reply(0) if seen["drops"] % 2 else None
        return None

    with pytest.raises(DeadlineExceeded, match="was never away"):
        ask(start_replay(hpe_capture, respond), wait_timeout=1)
    assert seen["drops"] > 2


def test_an_answer_that_is_lost_because_the_bmc_has_gone_is_no_failure(start_replay: Any, dgx_capture: Any) -> None:
    from replay import Reply

    seen = {"away": 0}

    def respond(asked: Any) -> Any:
        if asked.path.endswith("Manager.Reset"):
            seen["away"] = 3
            return Reply(0)
        if seen["away"]:
            seen["away"] -= 1
            return Reply(0)
        return None

    done = ask(start_replay(dgx_capture, respond))
    assert done["manager"]["reset"] == "ForceRestart" and done["manager"]["id"] == "BMC"


@pytest.mark.parametrize(("kind", "word", "command"), [(None, "cold", "06 02"), ("graceful", "warm", "06 03")])
def test_ipmi_has_a_cold_and_a_warm_reset(ipmi_bmc: Any, kind: str | None, word: str, command: str) -> None:
    away_for(ipmi_bmc, 0.5)
    assert ask(ipmi_bmc, check_mode=True, kind=kind)["manager"]["reset"] == word
    done = ask(ipmi_bmc, kind=kind, wait_timeout=40)
    assert done["manager"]["reset"] == word and done["manager"]["away_s"] > 0
    entries = ipmi_bmc._loop.call(lambda: ipmi_bmc.machine.world.log.select(ipmi_bmc.machine.name, "ipmi"))
    assert [entry.action for entry in entries] == [command]
    assert ipmi_bmc.machine.bmc.resets == 1


MANAGER = "/redfish/v1/Managers/1"


@pytest.mark.parametrize(
    ("busy", "times", "away"),
    [
        (2, None, False),
        (3, None, True),
        (5, ("10:00", "10:00"), False),
        (5, ("10:00", "10:07"), True),
    ],
    ids=["slow once", "away for long", "the time is the old one", "the time is new"],
)
def test_a_slow_answer_alone_is_no_restart(
    start_replay: Any, busy: int, times: tuple[str, str] | None, away: bool
) -> None:
    from replay import Reply

    seen = {"ordered": False, "busy": 0}

    def respond(asked: Any) -> Any:
        if asked.path.endswith("Manager.Reset"):
            seen["ordered"] = True
            return Reply(200, {})
        if asked.path != MANAGER:
            return None
        if seen["ordered"] and seen["busy"] < busy:
            seen["busy"] += 1
            return Reply(503, {})
        body = {"@odata.id": MANAGER, "Id": "1", "ManagerType": "BMC", "Actions": {"#Manager.Reset": {"target": RESET}}}
        return Reply(200, body | ({"LastResetTime": times[seen["ordered"]]} if times else {}))

    bmc = start_replay(
        {
            "/redfish/v1": {"Vendor": "Contoso"},
            "/redfish/v1/Systems": {"Members": [{"@odata.id": "/redfish/v1/Systems/1"}]},
            "/redfish/v1/Systems/1": {"Id": "1", "Links": {"ManagedBy": [{"@odata.id": MANAGER}]}},
        },
        respond,
    )
    if away:
        assert ask(bmc)["manager"]["id"] == "1"
    else:
        with pytest.raises(DeadlineExceeded):
            ask(bmc, wait_timeout=3)
    assert seen["busy"] == busy
