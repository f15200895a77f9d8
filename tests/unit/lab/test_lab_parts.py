"""Clock, faults, write log, networks, and how an installed system reads its files."""

from __future__ import annotations

import asyncio
import ipaddress
import itertools
import json
import time
from pathlib import Path

import pytest

from lab import cloudinit, netplan
from lab.clock import Clock
from lab.config import MAX_SERVERS, make_config
from lab.faults import FaultSet
from lab.log import WriteLog
from lab.machine import Machine

# --- clock


def test_a_fast_clock_makes_sleeps_short() -> None:
    async def scenario() -> float:
        clock = Clock(speed=1000)
        started = time.monotonic()
        await clock.sleep(60)
        assert clock.elapsed() >= 60
        return time.monotonic() - started

    assert 0.05 < asyncio.run(scenario()) < 1


def test_a_change_of_speed_reaches_who_sleeps() -> None:
    async def scenario() -> None:
        clock = Clock()
        sleeper = asyncio.create_task(clock.sleep(600))
        await asyncio.sleep(0.01)
        assert not sleeper.done()
        clock.set_speed(100_000)
        async with asyncio.timeout(1):
            await sleeper
        assert clock.elapsed() >= 600

    asyncio.run(scenario())


def test_time_does_not_jump_when_the_speed_changes() -> None:
    clock = Clock(speed=100)
    before = clock.elapsed()
    clock.set_speed(1)
    assert 0 <= clock.elapsed() - before < 5


@pytest.mark.parametrize("speed", [0, -1, float("nan"), 1e9])
def test_a_speed_that_is_none_is_refused(speed: float) -> None:
    with pytest.raises(ValueError, match="speed"):
        Clock(speed)


# --- faults


def test_a_fault_strikes_as_often_as_it_says_and_where_it_says() -> None:
    faults = FaultSet()
    faults.add("one", "redfish", "status", match="GET /redfish/*", value=503, count=2)
    assert faults.pick("two", "redfish", "GET", "/redfish/v1") is None
    assert faults.pick("one", "ipmi", "GET", "/redfish/v1") is None
    assert faults.pick("one", "redfish", "POST", "/redfish/v1") is None
    struck = [faults.pick("one", "redfish", "GET", "/redfish/v1") is not None for _ in range(3)]
    assert struck == [True, True, False]
    assert faults.list() == []


def test_standing_faults_are_not_used_up() -> None:
    faults = FaultSet()
    faults.add("*", "machine", "gpu_missing", value=3)
    assert faults.standing("one", "machine", "gpu_missing")
    assert faults.standing("one", "machine", "gpu_missing")
    assert faults.clear(machine="two") == 0
    assert faults.clear() == 1
    assert faults.standing("one", "machine", "gpu_missing") == []


@pytest.mark.parametrize(("layer", "count"), [("moon", None), ("redfish", 0)])
def test_a_fault_that_makes_no_sense_is_refused(layer: str, count: int | None) -> None:
    with pytest.raises(ValueError, match="must be"):
        FaultSet().add("*", layer, "status", count=count)


# --- write log


def test_the_log_counts_selects_and_is_on_disk(tmp_path: Path) -> None:
    log = WriteLog(Clock(), tmp_path / "log.jsonl")
    for machine, layer in (("one", "redfish"), ("two", "redfish"), ("one", "disk")):
        log.add(machine, layer, "write", what=layer)
    assert [entry.seq for entry in log.select(machine="one")] == [1, 3]
    assert [entry.seq for entry in log.select(layer="redfish", since=1)] == [2]
    log.close()
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["detail"] for line in lines] == [{"what": "redfish"}, {"what": "redfish"}, {"what": "disk"}]


# --- networks


@pytest.mark.parametrize("servers", [1, 8, 241, MAX_SERVERS])
def test_every_server_has_a_network_of_its_own_and_none_overlap(tmp_path: Path, servers: int) -> None:
    config = make_config(tmp_path, servers=servers, block=77)
    assert len(config.tenant_networks) == servers
    assert len({network.vlan for network in config.networks}) == len(config.networks)
    block = ipaddress.ip_network("127.77.0.0/16")
    cidrs = sorted(network.cidr for network in config.networks)
    assert all(cidr.subnet_of(block) for cidr in cidrs)
    assert not any(a.overlaps(b) for a, b in itertools.pairwise(cidrs))
    assert len({machine.mac for machine in config.machines}) == servers
    assert len({(machine.switch, machine.switch_port) for machine in config.machines}) == servers


@pytest.mark.parametrize(
    ("servers", "delays", "block"), [(0, "none", 16), (961, "none", 16), (1, "some", 16), (1, "none", 1)]
)
def test_a_lab_that_cannot_be_is_refused(tmp_path: Path, servers: int, delays: str, block: int) -> None:
    with pytest.raises(ValueError, match="must be"):
        make_config(tmp_path, servers=servers, delays=delays, block=block)


# --- what an installed system reads


def test_user_data_is_read_as_cloud_init_reads_it() -> None:
    config = cloudinit.parse(
        "#cloud-config\n"
        "hostname: one\n"
        "ssh_authorized_keys: [ssh-ed25519 AAAA common]\n"
        "users: [default, {name: ada, ssh_authorized_keys: [ssh-ed25519 BBBB ada]}, {name: bob}]\n"
        "phone_home: {url: 'http://x/$INSTANCE_ID', post: all, tries: 3}\n"
    )
    assert config.hostname == "one"
    assert config.authorized_keys == {
        "ubuntu": ("ssh-ed25519 AAAA common",),
        "ada": ("ssh-ed25519 BBBB ada",),
        "bob": (),
    }
    assert config.phone_home is not None
    assert (config.phone_home.tries, "fqdn" in config.phone_home.post) == (3, True)


@pytest.mark.parametrize("text", ["#cloud-config\n[1, 2", "#cloud-config\n- a\n- b\n"])
def test_user_data_that_is_broken_is_told(text: str) -> None:
    with pytest.raises(cloudinit.UserDataError):
        cloudinit.parse(text)


def test_user_data_of_another_kind_configures_nothing() -> None:
    assert cloudinit.parse("#!/bin/sh\necho hello\n") == cloudinit.CloudConfig()


def test_addresses_come_from_the_card_that_the_file_names() -> None:
    text = """
network:
  version: 2
  ethernets:
    mine: {match: {macaddress: "02:AA:BB:CC:DD:EE"}, addresses: [127.77.16.5/24]}
    other: {match: {macaddress: "02:00:00:00:00:01"}, addresses: [127.77.17.5/24]}
"""
    mac = "02:aa:bb:cc:dd:ee"
    assert netplan.static_addresses({"/etc/netplan/60-tenant.yaml": text}, mac) == ["127.77.16.5"]
    assert netplan.static_addresses({"/tmp/60-tenant.yaml": text}, mac) == []
    broken = {"/etc/netplan/60-tenant.yaml": text, "/etc/netplan/70-broken.yaml": "network: ["}
    assert netplan.static_addresses(broken, mac) == []


# --- events


def test_a_gpu_that_gets_too_hot_says_so_once(machine: Machine) -> None:
    async def scenario() -> None:
        gpu = machine.gpus[0]
        machine.set_temperature(gpu, 95)  # without power there is nobody to notice
        machine.set_temperature(gpu, None)
        await machine.power_action("on", by="test")
        for celsius in (50, 88, 90):
            machine.set_temperature(gpu, celsius)
        await machine.close()

    asyncio.run(scenario())
    (record,) = machine.bmc.event_log
    assert record.message_args == (
        "GPU_SXM_1 ThrottleReason",
        "xyz.openbmc_project.State.ProcessorPerformance.ThrottleReasons.HWThermalSlowdown",
    )
