"""IPMI: against the lab's BMC (pyghmi's server side), and the processes that it runs in."""

from __future__ import annotations

import os
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.deadline import Deadline
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.ipmi import pool as ipmi_pool
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.ipmi.client import IpmiBmc
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.operations import bios_attributes as bios
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.operations import bmc_boot as boot
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.operations import bmc_info as info
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.operations import bmc_metrics_info as metrics
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.operations import bmc_power as power
from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import (
    AuthenticationError,
    DeadlineExceeded,
    PaleBlueDotError,
    Unreachable,
    Unsupported,
)


def set_power(bmc: Any, state: str, **options: Any) -> dict[str, Any]:
    return power.run(bmc.params(state=state, **{"wait": True, "wait_timeout": 10, **options}), False)


def commands(bmc: Any) -> list[str]:
    entries = bmc._loop.call(lambda: bmc.machine.world.log.select(bmc.machine.name, "ipmi"))
    return [entry.action for entry in entries]


def test_power_is_read_switched_and_left_alone(ipmi_bmc: Any) -> None:
    assert info.run(ipmi_bmc.params(subset=["power"]), False)["bmc"]["power_state"] == "Off"
    assert set_power(ipmi_bmc, "on") | {"diff": None} == {
        "changed": True,
        "power_state": "On",
        "task": None,
        "staggered_s": 0.0,
        "diff": None,
    }
    assert not set_power(ipmi_bmc, "on")["changed"]
    assert set_power(ipmi_bmc, "graceful")["power_state"] == "Off"
    assert ipmi_bmc.machine.power == "Off"


def test_a_cycle_is_off_and_then_on(ipmi_bmc: Any) -> None:
    set_power(ipmi_bmc, "on")
    before = len(commands(ipmi_bmc))
    assert set_power(ipmi_bmc, "cycle")["power_state"] == "On"
    assert len(commands(ipmi_bmc)) - before == 2
    assert set_power(ipmi_bmc, "reset")["changed"]
    assert len(commands(ipmi_bmc)) - before == 3, "a reset is sent once"


def test_boot_device(ipmi_bmc: Any) -> None:
    done = boot.run(ipmi_bmc.params(target="pxe", persistence="once", mode="uefi"), False)
    assert done["changed"] and done["boot"] == {
        "target": "pxe",
        "persistence": "once",
        "mode": "uefi",
        "boot_order": None,
        "uefi_target": None,
    }
    assert not boot.run(ipmi_bmc.params(target="pxe", persistence="once", mode="uefi"), False)["changed"]
    assert boot.run(ipmi_bmc.params(target="none", persistence="once"), False)["boot"]["target"] == "none"


def test_what_ipmi_does_not_know_is_unsupported(ipmi_bmc: Any) -> None:
    with pytest.raises(Unsupported):
        boot.run(ipmi_bmc.params(target="http", persistence="once"), False)
    with pytest.raises(Unsupported):
        bios.run(ipmi_bmc.params(attributes={"a": 1}, apply_time="on_reset"), False)


def test_identity_and_readings(ipmi_bmc: Any) -> None:
    set_power(ipmi_bmc, "on")
    found = info.run(ipmi_bmc.params(subset=None), False)["bmc"]
    assert found["protocol"] == "ipmi" and found["power_state"] == "On"
    assert found["serial_number"] == ipmi_bmc.machine.serial_number
    assert found["bmc_firmware_version"] and found["gpus"] is None
    entry = {name.removeprefix("bmc_"): value for name, value in ipmi_bmc.params().items()}
    options = {"concurrency": 2, "timeout": 10, "store": False, "rounds": 1, "interval": 0.0, "subset": ["metrics"]}
    (read,) = metrics.run({"bmcs": [entry], **options}, False)["metrics"]
    assert read["power_watts"] > 0 and 10 < read["inlet_celsius"] < 40


def test_a_wrong_password(ipmi_bmc: Any) -> None:
    with pytest.raises(AuthenticationError) as caught:
        info.run(ipmi_bmc.params(bmc_password="wrong-password-13", subset=["power"]), False)
    assert "wrong-password" not in str(caught.value)


def test_one_process_after_the_other_serves_the_same_bmc(ipmi_bmc: Any) -> None:
    """pyghmi cannot log in to a BMC again in the process in which it logged out."""
    for _ in range(3):
        assert info.run(ipmi_bmc.params(subset=["power"]), False)["bmc"]["power_state"] == "Off"


def test_threads_share_the_pool(ipmi_bmc: Any) -> None:
    with ThreadPoolExecutor(4) as threads:
        done = list(threads.map(lambda _: info.run(ipmi_bmc.params(subset=["power"]), False), range(4)))
    assert {answer["bmc"]["power_state"] for answer in done} == {"Off"}


def test_auto_falls_back_to_ipmi_where_redfish_refuses(ipmi_bmc: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.ipmi import client as ipmi

    monkeypatch.setattr(ipmi, "PORT", ipmi_bmc.ipmi_port)
    auto = {"bmc_protocol": "auto", "subset": ["power", "system"]}
    assert info.run(ipmi_bmc.redfish_params(**auto), False)["bmc"]["protocol"] == "redfish"
    ipmi_bmc.fault("refuse")
    assert info.run(ipmi_bmc.redfish_params(**auto), False)["bmc"]["protocol"] == "ipmi"
    ipmi_bmc.heal()
    ipmi_bmc.fault("status", value=401)
    with pytest.raises(AuthenticationError):
        info.run(ipmi_bmc.redfish_params(**auto), False)


@pytest.mark.parametrize("seconds", [1, 2])
def test_a_silent_bmc_is_given_up_at_the_deadline(silent_port: int, seconds: int) -> None:
    started = time.monotonic()
    with IpmiBmc("127.0.0.1", silent_port, "admin", "secret", timeout=seconds) as bmc:
        with pytest.raises(DeadlineExceeded) as caught:
            bmc.power_state()
        assert time.monotonic() - started < seconds + 5
        assert caught.value.host == f"127.0.0.1 port {silent_port}"


def test_a_silent_bmc_with_time_enough_is_unreachable(silent_port: int) -> None:
    with IpmiBmc("127.0.0.1", silent_port, "admin", "secret", timeout=20) as bmc, pytest.raises(Unreachable):
        bmc.power_state()


def test_garbage_on_the_wire_ends_in_a_typed_error() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(5)

        def babble() -> None:
            for _ in range(20):
                try:
                    _, client = server.recvfrom(4096)
                except OSError:
                    return
                server.sendto(os.urandom(60), client)

        threading.Thread(target=babble, daemon=True).start()
        port = server.getsockname()[1]
        with IpmiBmc("127.0.0.1", port, "admin", "secret", timeout=3) as bmc, pytest.raises(PaleBlueDotError):
            bmc.power_state()


def test_a_process_that_dies_is_replaced(silent_port: int) -> None:
    pool = ipmi_pool.IpmiPool(size=1)
    worker = pool.acquire("a", Deadline(2))
    worker._process.kill()
    with pytest.raises(ipmi_pool.WorkerLost):
        worker.ask({"op": "close", "address": "a", "port": 1, "username": "u"}, Deadline(2))
    with pytest.raises(ipmi_pool.WorkerLost, match="busy"):
        pool.acquire("b", Deadline(0.1))
    pool.release(worker, usable=False)
    again = pool.acquire("a", Deadline(2))
    assert again.ask({"op": "close", "address": "a", "port": 1, "username": "u"}, Deadline(10)) == {"result": None}
    pool.release(again, usable=True)
    assert pool.acquire("b", Deadline(2)) is again, "an idle process serves another BMC"
    pool.release(again, usable=True)
    pool.close()


def test_the_processes_end_with_the_one_that_started_them() -> None:
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        worker = ipmi_pool.pool().acquire("a", Deadline(5))
        os.write(write, str(worker._process.pid).encode())
        os.kill(os.getpid(), 9)
    os.waitpid(child, 0)
    pid = int(os.read(read, 20))
    os.close(read)
    os.close(write)
    for _ in range(50):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except OSError:
            return
        if state == "Z":
            return
        time.sleep(0.1)
    raise AssertionError("an IPMI process outlived its parent")
