"""The lab's IPMI BMC, asked by pyghmi's client (in a process of its own, as it shares tables with its server) and by
ipmitool where it is installed."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from lab.ipmi import IpmiBmc
from lab.machine import Machine

CLIENT = """
import json, sys
from pyghmi.ipmi.command import Command
from pyghmi.exceptions import IpmiException

port, username, password, calls = json.loads(sys.argv[1])
answers = []
try:
    command = Command(bmc="127.0.0.1", userid=username.encode(), password=password.encode(), port=port)
except IpmiException as error:
    print(json.dumps({"refused": str(error)}))
    sys.exit()
for name, arguments in calls:
    answer = getattr(command, name)(**arguments)
    if name == "get_sensor_data":
        answer = {reading.name: reading.value for reading in answer}
    elif name == "get_event_log":
        answer = [event["event"] for event in answer]
    elif name == "get_inventory_of_component":
        answer = answer["Serial Number"]
    answers.append(answer)
command.ipmi_session.logout()
print(json.dumps({"answers": answers}, default=str))
"""


@pytest.fixture
def bmc(loop: Any, machine: Machine) -> Iterator[IpmiBmc]:
    async def start() -> IpmiBmc:
        bmc = IpmiBmc(machine)
        bmc.start()
        return bmc

    bmc = loop.run(start())
    yield bmc
    loop.run(bmc.close())


def pyghmi(bmc: IpmiBmc, *calls: tuple[str, dict[str, Any]], password: str | None = None) -> Any:
    """What the client said: the answers of its calls, or that it was refused."""
    request = json.dumps([bmc.port, bmc.machine.bmc_username, password or bmc.machine.bmc_password, calls])
    done = subprocess.run(
        [sys.executable, "-c", CLIENT, request], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_power_follows_and_is_followed(bmc: IpmiBmc, loop: Any) -> None:
    said = pyghmi(
        bmc,
        ("get_power", {}),
        ("set_power", {"powerstate": "on", "wait": 5}),
        ("get_power", {}),
    )
    assert [said["answers"][n]["powerstate"] for n in (0, 2)] == ["off", "on"]
    loop.until(lambda: bmc.machine.running == "agent")
    assert [entry.action for entry in bmc.machine.world.log.select(layer="ipmi")] == ["00 02"]


def test_the_boot_device_is_the_one_that_redfish_shows(bmc: IpmiBmc, loop: Any) -> None:
    said = pyghmi(
        bmc,
        ("set_bootdev", {"bootdev": "setup", "uefiboot": True}),
        ("get_bootdev", {}),
        ("set_power", {"powerstate": "on"}),
    )
    assert said["answers"][1] == {"bootdev": "setup", "persistent": False, "uefimode": True}
    loop.until(lambda: bool(bmc.machine.boots))
    assert bmc.machine.boots[0]["device"] == "setup"
    assert bmc.machine.bmc.override.enabled == "Disabled"


def test_sensors_inventory_and_log(bmc: IpmiBmc, loop: Any) -> None:
    bmc.machine.inlet_celsius = 31.0
    loop.run(bmc.machine.power_action("on", by="test"))
    said = pyghmi(
        bmc,
        ("get_sensor_data", {}),
        ("get_inventory_of_component", {"component": "System"}),
        ("get_event_log", {}),
    )
    sensors, serial_number, events = said["answers"]
    assert sensors["TEMP_AMBIENT"] == 31
    assert abs(sensors["PWR_GB_SXM1"] - 72) < 8
    assert serial_number == bmc.machine.serial_number
    assert len(events) == 1


def test_a_wrong_password_is_refused(bmc: IpmiBmc) -> None:
    assert "password" in pyghmi(bmc, password="not-the-password")["refused"].lower()


def test_a_new_password_counts_for_both_protocols(bmc: IpmiBmc) -> None:
    new = "changed-by-ipmi-1"
    set_password = ("set_user_password", {"uid": 2, "mode": "set_password", "password": new})
    assert "answers" in pyghmi(bmc, set_password)
    assert bmc.machine.bmc.accounts.check("admin", new)
    assert "answers" in pyghmi(bmc, ("get_power", {}), password=new)
    assert new not in str(list(bmc.machine.world.log))


def ipmitool(bmc: IpmiBmc, *arguments: str, suite: int = 3) -> subprocess.CompletedProcess[str]:
    program = shutil.which("ipmitool")
    if program is None:
        pytest.skip("ipmitool is not installed (Debian: ipmitool)")
    login = ["-U", bmc.machine.bmc_username, "-P", bmc.machine.bmc_password]
    where = ["-H", "127.0.0.1", "-p", str(bmc.port), "-N", "2", "-R", "1"]
    return subprocess.run(
        [program, "-I", "lanplus", "-C", str(suite), *where, *login, *arguments],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@pytest.mark.peers
def test_ipmitool_is_at_home(bmc: IpmiBmc, loop: Any) -> None:
    assert "System Power         : off" in ipmitool(bmc, "chassis", "status").stdout
    assert ipmitool(bmc, "chassis", "bootdev", "pxe", "options=efiboot").returncode == 0
    assert "Force PXE" in ipmitool(bmc, "chassis", "bootparam", "get", "5").stdout
    assert ipmitool(bmc, "chassis", "power", "on").returncode == 0
    loop.until(lambda: bmc.machine.running == "agent")
    assert "TEMP_AMBIENT" in ipmitool(bmc, "sdr", "list").stdout
    assert bmc.machine.serial_number in ipmitool(bmc, "fru", "print").stdout
    assert "NVIDIA" in ipmitool(bmc, "mc", "info").stdout
    assert "Instantaneous" in ipmitool(bmc, "dcmi", "power", "reading").stdout
    assert ipmitool(bmc, "chassis", "power", "cycle").returncode == 0
    loop.until(lambda: bmc.machine.posts == 2)


@pytest.mark.peers
def test_other_cipher_suites_are_told_that_they_do_not_match(bmc: IpmiBmc) -> None:
    said = ipmitool(bmc, "chassis", "status", suite=17)
    assert said.returncode != 0
    assert "cipher suite" in said.stderr


def test_faults(bmc: IpmiBmc) -> None:
    faults, name = bmc.machine.world.faults, bmc.machine.name
    faults.add(name, "ipmi", "status", match="00 02", value=0xC0, count=1)
    said = pyghmi(bmc, ("raw_command", {"netfn": 0, "command": 2, "data": [1]}))
    assert said["answers"][0]["code"] == 0xC0
    assert bmc.machine.power == "Off"


def test_a_presence_ping_is_answered_without_a_session(bmc: IpmiBmc) -> None:
    """The bytes of ASF 2.0, 3.2.4: ping with tag 42h, pong with the same tag and the IPMI bit."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(5)
        client.sendto(bytes.fromhex("0600ff06 000011be 80420000"), ("127.0.0.1", bmc.port))
        pong = client.recv(64)
    assert pong == bytes.fromhex("0600ff06 000011be 40420010 000011be 00000000 8100 000000000000")
