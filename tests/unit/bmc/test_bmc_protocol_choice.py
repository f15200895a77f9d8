"""``bmc_protocol=auto``: when IPMI is tried, and when it must not be."""

from __future__ import annotations

from typing import Any
from unittest.mock import MagicMock

import pytest
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.base import AnswerLost, PowerState
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.connect import open_bmc
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.deadline import Deadline, wait_until
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.either import RedfishOrIpmi
from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import (
    AuthenticationError,
    BadAnswer,
    DeadlineExceeded,
    InvalidInput,
    NotFound,
    PaleBlueDotError,
    Unreachable,
)


def both(
    redfish_problem: PaleBlueDotError | None, ipmi_problem: PaleBlueDotError | None = None
) -> tuple[Any, Any, Any]:
    redfish, ipmi = MagicMock(protocol="redfish"), MagicMock(protocol="ipmi")
    ipmi.__enter__.return_value = ipmi
    ipmi.__exit__.return_value = False
    redfish.power_state.side_effect = [redfish_problem or PowerState.ON]
    ipmi.power_state.side_effect = ipmi_problem
    ipmi.power_state.return_value = PowerState.OFF
    return RedfishOrIpmi(redfish, lambda seconds: ipmi, 30), redfish, ipmi


@pytest.mark.parametrize(
    "problem",
    [
        Unreachable("refused"),
        Unreachable("silent", code="connect_timeout"),
        NotFound("no service", code="no_redfish"),
        BadAnswer("login page", code="not_json"),
    ],
)
def test_without_a_redfish_service_ipmi_is_used(problem: PaleBlueDotError) -> None:
    bmc, redfish, ipmi = both(problem)
    assert bmc.power_state() is PowerState.OFF and bmc.protocol == "ipmi"
    assert bmc.power_state() is PowerState.OFF
    assert redfish.power_state.call_count == 1, "the choice is made once"
    bmc.close()
    assert ipmi.close.called and redfish.close.called


@pytest.mark.parametrize(
    "problem",
    [
        AuthenticationError("wrong password"),
        Unreachable("certificate", code="tls_failed"),
        Unreachable("dropped", code="connection_dropped"),
        AnswerLost("lost"),
        DeadlineExceeded("silence"),
        NotFound("no such system"),
    ],
)
def test_with_a_redfish_service_ipmi_is_not_tried(problem: PaleBlueDotError) -> None:
    bmc, _, ipmi = both(problem)
    with pytest.raises(type(problem)):
        bmc.power_state()
    assert not ipmi.power_state.called


def test_when_both_fail_the_redfish_error_tells_of_both() -> None:
    bmc, _, _ = both(Unreachable("refused", answer="refused"), DeadlineExceeded("silence", answer="silence"))
    with pytest.raises(Unreachable) as caught:
        bmc.power_state()
    assert caught.value.answer == "Redfish: refused; IPMI: silence"


def test_a_bmc_without_credentials_is_bad_input() -> None:
    with pytest.raises(InvalidInput, match="password"):
        open_bmc({"bmc_address": "192.0.2.1", "bmc_username": "admin", "bmc_password": None})


def test_an_empty_password_is_one() -> None:
    open_bmc({"bmc_address": "192.0.2.1", "bmc_username": "admin", "bmc_password": ""}).close()


# -- waiting


def test_waiting_reads_over_errors_that_may_pass() -> None:
    answers: list[Any] = [BadAnswer("stumbles"), 1, Unreachable("restarts"), 2]

    def read() -> int:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return int(answer)

    assert wait_until(read, lambda value: value == 2, 60, sleep=lambda _: None) == (True, 2)


def test_waiting_does_not_read_over_a_refused_password() -> None:
    def read() -> int:
        raise AuthenticationError("no")

    with pytest.raises(AuthenticationError):
        wait_until(read, bool, 60, sleep=lambda _: None)


def test_waiting_ends_with_what_was_read_last_or_else_the_error() -> None:
    assert wait_until(lambda: 1, lambda value: value == 2, 0.05) == (False, 1)

    def read() -> int:
        raise Unreachable("gone")

    with pytest.raises(Unreachable):
        wait_until(read, bool, 0.05)


def test_a_deadline_within_another_ends_first() -> None:
    now = [100.0]
    outer = Deadline(10, clock=lambda: now[0])
    inner = outer.within(30)
    assert inner.remaining() == 10
    now[0] = 111.0
    assert inner.expired and outer.expired and outer.remaining() == 0.0
