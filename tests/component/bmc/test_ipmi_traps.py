"""What pyghmi and real BMCs do wrong over IPMI, one test each: against the lab's BMC."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.base import (
    AnswerLost,
    PowerAction,
    PowerState,
    Refused,
)
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.deadline import Deadline
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.ipmi import pool as ipmi_pool
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.ipmi import worker as ipmi_worker
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.ipmi.client import IpmiBmc
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.operations import bmc_boot as boot
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.operations import bmc_info as info
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.operations import bmc_power as power
from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import (
    AuthenticationError,
    DeadlineExceeded,
    PaleBlueDotError,
    Unsupported,
)


def fault(bmc: Any, kind: str, match: str = "*", value: Any = None, count: int | None = None) -> None:
    add = bmc.machine.world.faults.add
    bmc._loop.call(lambda: add(bmc.machine.name, "ipmi", kind, match, value, count))


def orders(bmc: Any) -> list[str]:
    entries = bmc._loop.call(lambda: bmc.machine.world.log.select(bmc.machine.name, "ipmi"))
    return [entry.action for entry in entries]


def connected(bmc: Any, timeout: float = 10) -> IpmiBmc:
    params = bmc.params()
    return IpmiBmc("127.0.0.1", bmc.ipmi_port, params["bmc_username"], params["bmc_password"], timeout=timeout)


def set_power(bmc: Any, state: str, **options: Any) -> dict[str, Any]:
    return power.run(bmc.params(state=state, **{"wait": True, "wait_timeout": 10, **options}), False)


def test_credentials_go_as_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """As text, the second login to the same BMC in a process never comes back."""
    given: list[Any] = []

    class Command:
        class ipmi_session:
            logged = 1

        def __init__(self, **options: Any) -> None:
            given.extend((options["userid"], options["password"]))

    monkeypatch.setattr(ipmi_worker, "Command", Command)
    ipmi_worker.connect({"address": "a", "port": 1, "username": "admin", "password": "påss"})
    assert given == [b"admin", "påss".encode()]


def test_one_process_talks_to_several_bmcs_and_to_each_again(ipmi_bmc: Any) -> None:
    """In one process: a second session to the same BMC would hang, and a login after a logout fails in pyghmi."""
    params = ipmi_bmc.params()
    pool = ipmi_pool.IpmiPool(size=1)
    request = {
        "op": "power_state",
        "address": "127.0.0.1",
        "port": ipmi_bmc.ipmi_port,
        "username": params["bmc_username"],
        "password": params["bmc_password"],
        "arguments": {},
    }
    used = []
    for _ in range(3):
        worker = pool.acquire(f"127.0.0.1:{ipmi_bmc.ipmi_port}", Deadline(10))
        used.append(worker._process.pid)
        assert worker.ask(request, Deadline(10)) == {"result": "Off"}
        assert worker.ask({**request, "op": "close"}, Deadline(10)) == {"result": None}
        pool.release(worker, usable=True)
    assert len(set(used)) == 3, "each login to the same BMC is in a process that has not been there"
    pool.close()


def test_a_bmc_that_falls_silent_after_the_login_costs_its_deadline_and_its_process(ipmi_bmc: Any) -> None:
    with connected(ipmi_bmc, timeout=2) as bmc:
        assert bmc.power_state() is PowerState.OFF
        pid = bmc._worker._process.pid
        fault(ipmi_bmc, "drop")
        started = time.monotonic()
        with pytest.raises(DeadlineExceeded):
            bmc.power_state()
        assert time.monotonic() - started < 7.7
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
        ipmi_bmc.heal()
        assert bmc.power_state() is PowerState.OFF, "and the next one is asked from another process"


def test_a_write_into_the_silence_is_lost_and_is_not_repeated(ipmi_bmc: Any) -> None:
    with connected(ipmi_bmc, timeout=4) as bmc:
        bmc.power_state()
        fault(ipmi_bmc, "latency", "00 02", 30.0)
        with pytest.raises(AnswerLost):
            bmc.ask("set_power", action="reset")
    assert "00 02" not in orders(ipmi_bmc)


def test_a_lost_answer_is_looked_up_in_the_power_state(ipmi_bmc: Any) -> None:
    machine = ipmi_bmc.machine
    fault(ipmi_bmc, "latency", "00 02", 5.2)  # longer than the answer is waited for, and then it is carried out
    with connected(ipmi_bmc, timeout=12) as bmc:
        bmc.set_power(PowerAction.ON, wait_timeout=10)
    assert machine.power == "On" and orders(ipmi_bmc).count("00 02") == 1


def test_an_off_whose_answer_is_lost_is_waited_for_although_it_shows_late(ipmi_bmc: Any) -> None:
    set_power(ipmi_bmc, "on")
    world = ipmi_bmc.machine.world
    world.delays = replace(world.delays, power_s=12)
    fault(ipmi_bmc, "integrity", "00 02", count=1)  # carried out, and pyghmi believes no answer
    assert set_power(ipmi_bmc, "off", wait_timeout=60)["power_state"] == "Off"
    assert ipmi_bmc.orders() == ["power.on", "power.off"]


def test_an_order_whose_datagram_is_lost_is_given_once_more(ipmi_bmc: Any) -> None:
    fault(ipmi_bmc, "hang", "00 02", count=1)
    assert set_power(ipmi_bmc, "on", wait_timeout=12)["power_state"] == "On"
    assert ipmi_bmc.orders() == ["power.on"]


@pytest.mark.parametrize(("state", "sent"), [("off", 2), ("graceful", 1)])
def test_an_order_that_never_arrives_may_be_tried_again(ipmi_bmc: Any, state: str, sent: int) -> None:
    set_power(ipmi_bmc, "on")
    fault(ipmi_bmc, "hang", "00 02", count=3)
    with pytest.raises(AnswerLost) as caught:
        set_power(ipmi_bmc, state, wait_timeout=8)
    assert caught.value.retryable and ipmi_bmc.struck(3) == sent
    assert ipmi_bmc.machine.power == "On"


def test_an_error_that_pyghmi_returns_instead_of_raising_is_raised(ipmi_bmc: Any) -> None:
    for code, expected in ((0xCC, Unsupported), (0xC1, Unsupported), (0xC0, Refused)):
        fault(ipmi_bmc, "status", "00 08", code)
        with pytest.raises(expected):
            boot.run(ipmi_bmc.params(target="pxe", persistence="once"), False)
        ipmi_bmc.heal()
    assert ipmi_bmc.machine.bmc.override.target == "None"
    fault(ipmi_bmc, "status", "00 02", 0xD5)
    with pytest.raises(PaleBlueDotError):
        set_power(ipmi_bmc, "on")
    assert ipmi_bmc.machine.power == "Off"


def test_an_error_in_a_dict_is_no_answer() -> None:
    class Command:
        def get_bootdev(self) -> dict[str, Any]:
            return {"error": "Unknown bootdevice", "code": 0xC9}

        def set_bootdev(self, *args: Any, **options: Any) -> dict[str, Any]:
            return {"error": "Unknown bootdevice floppy requested"}

    with pytest.raises(ipmi_worker.Failure) as caught:
        ipmi_worker.boot(Command())
    assert caught.value.kind == "unsupported"
    with pytest.raises(ipmi_worker.Failure) as caught:
        ipmi_worker.set_boot(Command(), "floppy", False, True)
    assert caught.value.kind == "refused"


def test_a_wrong_password_is_one_try_in_time(ipmi_bmc: Any) -> None:
    started = time.monotonic()
    with pytest.raises(AuthenticationError) as caught:
        info.run(ipmi_bmc.params(bmc_password="wrong-password-13", subset=["power"]), False)
    assert not caught.value.retryable and "wrong-password" not in str(caught.value)
    assert time.monotonic() - started < 12


def test_an_unknown_user_is_an_authentication_error_too(ipmi_bmc: Any) -> None:
    with pytest.raises(AuthenticationError):
        info.run(ipmi_bmc.params(bmc_username="nobody", subset=["power"]), False)


@pytest.mark.parametrize(("role", "may"), [("Operator", True), ("ReadOnly", False)])
def test_an_account_of_less_privilege(ipmi_bmc: Any, role: str, may: bool) -> None:
    """pyghmi asks for administrator, and goes on as operator without a word where that is refused."""
    ipmi_bmc._loop.call(lambda: ipmi_bmc.machine.bmc.accounts.add("helper", "helper-password", role))
    params = {"bmc_username": "helper", "bmc_password": "helper-password"}
    if may:
        assert set_power(ipmi_bmc, "on", **params)["power_state"] == "On"
    else:
        with pytest.raises(AuthenticationError):
            set_power(ipmi_bmc, "on", **params)
        assert ipmi_bmc.machine.power == "Off"


def test_a_bmc_that_agrees_to_no_cipher_suite_is_a_typed_error_in_time(ipmi_bmc: Any) -> None:
    """A hardened BMC refuses suite 3; pyghmi offers 17 first and then 3, and must not hang over the refusals."""
    fault(ipmi_bmc, "no_cipher")
    started = time.monotonic()
    with pytest.raises(Unsupported, match="cipher suite") as caught:
        info.run(ipmi_bmc.params(subset=["power"], bmc_timeout=8), False)
    assert time.monotonic() - started < 18 and "17" in (caught.value.next or "")
    ipmi_bmc.heal()
    assert info.run(ipmi_bmc.params(subset=["power"]), False)["bmc"]["power_state"] == "Off"


def test_a_state_that_lags_behind_is_waited_for(ipmi_bmc: Any) -> None:
    """After an off a BMC may say "on" for another 5 to 10 seconds: wait for it, and do not send it again."""
    set_power(ipmi_bmc, "on")
    before = orders(ipmi_bmc).count("00 02")
    machine = ipmi_bmc.machine
    delays = machine.world.delays
    object.__setattr__(machine.world, "delays", type(delays)(**{**vars(delays), "power_s": 1.5}))
    assert set_power(ipmi_bmc, "off")["power_state"] == "Off"
    assert orders(ipmi_bmc).count("00 02") == before + 1


def test_sensors_and_the_health_that_they_add_up_to(ipmi_bmc: Any) -> None:
    set_power(ipmi_bmc, "on")
    found = info.run(ipmi_bmc.params(subset=["sensors"]), False)["bmc"]
    by_name = {sensor["name"]: sensor for sensor in found["sensors"]}
    assert by_name["TEMP_AMBIENT"]["unit"] == "°C" and 10 < by_name["TEMP_AMBIENT"]["value"] < 45
    assert found["health"] == "OK" and {sensor["health"] for sensor in found["sensors"]} == {"OK"}
    assert info.run(ipmi_bmc.params(subset=["health"]), False)["bmc"]["sensors"] is None
    ipmi_bmc._loop.call(lambda: setattr(ipmi_bmc.machine, "inlet_celsius", 90.0))
    hot = info.run(ipmi_bmc.params(subset=["health", "sensors"]), False)["bmc"]
    assert hot["health"] in ("Warning", "Critical")
    assert next(sensor for sensor in hot["sensors"] if sensor["name"] == "TEMP_AMBIENT")["states"]
    assert info.run(ipmi_bmc.redfish_params(subset=["health"]), False)["bmc"]["health"]
