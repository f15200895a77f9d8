"""``ipmi_raw``: one command as its bytes, sent once."""

from __future__ import annotations

import time
from typing import Any

import pytest
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.base import AnswerLost, Refused
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.operations import ipmi_raw as raw
from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import InvalidInput, Unsupported


def send(bmc: Any, netfn: int, command: int, check_mode: bool = False, **options: Any) -> dict[str, Any]:
    defaults = {"netfn": netfn, "command": command, "data": None, "accept": [0]}
    return raw.run(bmc.params(**{**defaults, **options}), check_mode)


def commands(bmc: Any) -> list[str]:
    entries = bmc._loop.call(lambda: bmc.machine.world.log.select(bmc.machine.name, "ipmi"))
    return [entry.action for entry in entries]


def test_the_answer_is_its_bytes(ipmi_bmc: Any) -> None:
    done = send(ipmi_bmc, 0x06, 0x04)
    assert (done["code"], done["data"], done["hex"]) == (0, [0x55, 0x00], "55 00")


def test_check_mode_sends_nothing_and_says_what_it_would(ipmi_bmc: Any) -> None:
    planned = send(ipmi_bmc, 0x00, 0x02, check_mode=True, data=[1])
    assert planned["changed"] and planned["code"] is None
    assert planned["diff"]["after"] == {"request": "00 02 01"}
    assert ipmi_bmc.machine.power == "Off" and not commands(ipmi_bmc)
    assert send(ipmi_bmc, 0x00, 0x02, data=[1])["diff"] == planned["diff"]
    assert commands(ipmi_bmc) == ["00 02"]


def test_a_completion_code_is_a_failure_unless_it_is_accepted(ipmi_bmc: Any) -> None:
    with pytest.raises(Refused) as caught:
        send(ipmi_bmc, 0x30, 0x11)
    assert caught.value.code == "completion_code" and "0xc1" in (caught.value.answer or "")
    assert send(ipmi_bmc, 0x30, 0x11, accept=[0, 0xC1])["code"] == 0xC1


@pytest.mark.parametrize(
    ("netfn", "command", "data"),
    [(7, 1, []), (-2, 1, []), (6, 256, []), (6, 1, [300]), (0x40, 1, []), (6, 1, [0] * 300)],
)
def test_what_is_no_request_is_not_sent(ipmi_bmc: Any, netfn: int, command: int, data: list[int]) -> None:
    with pytest.raises(InvalidInput):
        send(ipmi_bmc, netfn, command, data=data)


def test_a_lost_answer_is_sent_once_and_said_to_be_lost(ipmi_bmc: Any) -> None:
    add = ipmi_bmc.machine.world.faults.add
    ipmi_bmc._loop.call(lambda: add(ipmi_bmc.machine.name, "ipmi", "latency", "00 02", 30.0, None))
    started = time.monotonic()
    with pytest.raises(AnswerLost) as caught:
        send(ipmi_bmc, 0x00, 0x02, data=[3], bmc_timeout=3)
    assert time.monotonic() - started < 9 and not caught.value.retryable


def test_redfish_has_no_raw_commands(lab_bmc: Any) -> None:
    with pytest.raises(Unsupported) as caught:
        send(lab_bmc, 6, 1)
    assert caught.value.code == "protocol_unsupported"
