"""Power, POST, boot order, one-time override, drives: what a machine does whichever protocol asked."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from lab.config import DELAYS
from lab.disk import DiskError
from lab.machine import Machine, World

Until = Callable[..., Awaitable[None]]


def run(coroutine: Any) -> None:
    asyncio.run(coroutine)


def tried(machine: Machine) -> list[tuple[str, str]]:
    return [(boot["device"], boot["result"]) for boot in machine.boots]


def slow(world: World, **seconds: float) -> None:
    world.delays = dataclasses.replace(DELAYS["none"], **seconds)


def test_boots_the_first_device_of_its_order(machine: Machine, until: Until) -> None:
    async def scenario() -> None:
        assert await machine.power_action("on", by="test")
        await until(lambda: machine.running == "agent")
        assert machine.power == "On"
        assert machine.posts == 1
        assert tried(machine) == [("pxe", "booted")]
        await machine.close()

    run(scenario())


def test_goes_through_the_order_until_something_boots(machine: Machine, until: Until) -> None:
    async def scenario() -> None:
        machine.world.boot_service.serves = False  # type: ignore[attr-defined]
        await machine.disks[0].write_image("http://images/ubuntu.raw")
        await machine.power_action("on", by="test")
        await until(lambda: machine.running == "os")
        assert tried(machine) == [("pxe", "no service"), ("http", "no service"), ("hdd", "booted")]
        await machine.close()

    run(scenario())


def test_stays_in_the_firmware_with_nothing_to_boot(machine: Machine, until: Until) -> None:
    async def scenario() -> None:
        machine.world.boot_service.serves = False  # type: ignore[attr-defined]
        await machine.power_action("on", by="test")
        await until(lambda: len(machine.boots) == 3)
        await asyncio.sleep(0.01)
        assert machine.power == "On"
        assert machine.running == "firmware"
        await machine.close()

    run(scenario())


def test_an_override_once_holds_for_one_boot(machine: Machine, until: Until) -> None:
    async def scenario() -> None:
        await machine.disks[0].write_image("http://images/ubuntu.raw")
        machine.bmc.override.target, machine.bmc.override.enabled = "Hdd", "Once"
        await machine.power_action("on", by="test")
        await until(lambda: machine.running == "os")
        assert machine.bmc.override.enabled == "Disabled"
        await machine.power_action("reset", by="test")
        await until(lambda: machine.running == "agent")
        assert tried(machine) == [("hdd", "booted"), ("pxe", "booted")]
        assert machine.posts == 2
        await machine.close()

    run(scenario())


def test_a_continuous_override_stays(machine: Machine, until: Until) -> None:
    async def scenario() -> None:
        machine.bmc.override.target, machine.bmc.override.enabled = "BiosSetup", "Continuous"
        for count in (1, 2):
            await machine.power_action("cycle" if count > 1 else "on", by="test")
            await until(lambda count=count: len(machine.boots) == count)
        assert tried(machine) == [("setup", "setup"), ("setup", "setup")]
        assert machine.running == "firmware"
        await machine.close()

    run(scenario())


def test_power_lost_in_post_boots_nothing(machine: Machine, until: Until) -> None:
    async def scenario() -> None:
        slow(machine.world, post_s=600)
        await machine.power_action("on", by="test")
        await until(lambda: machine.posts == 1)
        await machine.power_action("off", by="test")
        assert (machine.power, machine.running, machine.boots) == ("Off", None, [])

    run(scenario())


def test_power_lost_takes_the_agent_along(machine: Machine, until: Until) -> None:
    async def scenario() -> None:
        await machine.power_action("on", by="test")
        await until(lambda: machine.running == "agent")
        await machine.power_action("off", by="test")
        assert machine.world.boot_service.cancelled == 1  # type: ignore[attr-defined]
        assert machine.running is None

    run(scenario())


def test_power_lost_while_an_image_is_written_leaves_nothing_bootable(machine: Machine, until: Until) -> None:
    async def scenario() -> None:
        await machine.disks[0].write_image("http://images/before.raw")
        slow(machine.world, image_s=600)
        await machine.power_action("on", by="test")
        await until(lambda: machine.running == "agent")
        writing = asyncio.create_task(machine.disks[0].write_image("http://images/ubuntu.raw"))
        await until(lambda: machine.disks[0].writes == 2)
        writing.cancel()
        await machine.power_action("off", by="test")
        assert machine.disks[0].image is None

    run(scenario())


def test_kexec_starts_the_system_without_post(machine: Machine, until: Until) -> None:
    async def scenario() -> None:
        await machine.power_action("on", by="test")
        await until(lambda: machine.running == "agent")
        await machine.disks[0].write_image("http://images/ubuntu.raw")
        await machine.world.boot_service.agent_ends.put("kexec")  # type: ignore[attr-defined]
        await until(lambda: machine.running == "os")
        assert machine.posts == 1
        assert tried(machine)[-1] == ("kexec", "booted")
        await machine.close()

    run(scenario())


def test_a_halt_of_the_agent_turns_power_off(machine: Machine, until: Until) -> None:
    async def scenario() -> None:
        await machine.power_action("on", by="test")
        await until(lambda: machine.running == "agent")
        await machine.world.boot_service.agent_ends.put("halt")  # type: ignore[attr-defined]
        await until(lambda: machine.power == "Off")
        assert machine.running is None
        assert await machine.power_action("on", by="test")
        await until(lambda: machine.running == "agent")
        await machine.close()

    run(scenario())


def test_an_orderly_shutdown_needs_somebody_who_listens(machine: Machine, until: Until) -> None:
    async def scenario() -> None:
        machine.world.boot_service.serves = False  # type: ignore[attr-defined]
        await machine.power_action("on", by="test")
        await until(lambda: len(machine.boots) == 3)
        assert not await machine.power_action("soft", by="test")
        assert machine.power == "On"
        await machine.disks[0].write_image("http://images/ubuntu.raw")
        await machine.power_action("reset", by="test")
        await until(lambda: machine.running == "os")
        assert await machine.power_action("soft", by="test")
        assert machine.power == "Off"
        assert machine.world.system.stopped == 1  # type: ignore[attr-defined]

    run(scenario())


def test_orders_that_change_nothing_are_not_counted(machine: Machine) -> None:
    async def scenario() -> None:
        for action in ("off", "soft", "cycle", "reset"):
            assert not await machine.power_action(action, by="test")  # type: ignore[arg-type]
        assert machine.power_actions == 0
        assert machine.posts == 0
        assert len(machine.world.log.select(machine.name, "machine")) == 4

    run(scenario())


def test_bios_settings_wait_for_post(machine: Machine, until: Until) -> None:
    async def scenario() -> None:
        machine.bmc.bios_pending = {"TurboMode": "Disable"}
        machine.bmc.boot_order_pending = ["Boot0000", "Boot0026", "Boot0025"]
        assert machine.bmc.bios["TurboMode"] == "Enable"
        await machine.power_action("on", by="test")
        await until(lambda: machine.running == "agent")
        assert machine.bmc.bios["TurboMode"] == "Disable"
        assert machine.bmc.bios_pending == {}
        assert tried(machine)[0] == ("hdd", "no system")
        await machine.close()

    run(scenario())


def test_an_erase_leaves_a_blank_drive_and_evidence(machine: Machine) -> None:
    async def scenario() -> None:
        disk = machine.disks[0]
        await disk.write_image("http://images/ubuntu.raw", sha256="aa")
        await disk.write_file("/etc/hostname", "one")
        evidence = await disk.secure_erase("nvme-format-crypto")
        assert disk.blank
        assert (evidence["serial_number"], evidence["sanitization"], disk.erase_count) == (disk.serial, "purge", 1)
        actions = [entry.action for entry in machine.world.log.select(layer="disk")]
        assert actions == ["image", "file", "erase"]

    run(scenario())


def test_a_drive_that_fails_is_not_erased(machine: Machine) -> None:
    async def scenario() -> None:
        disk = machine.disks[0]
        await disk.write_image("http://images/ubuntu.raw")
        machine.world.faults.add(machine.name, "machine", "disk_error", match="erase /dev/nvme0n1", count=1)
        with pytest.raises(DiskError, match="nvme0n1"):
            await disk.secure_erase("nvme-format-crypto")
        assert disk.image
        assert disk.erase_count == 0

    run(scenario())


def test_faults_of_the_machine(machine: Machine, until: Until) -> None:
    async def scenario() -> None:
        faults = machine.world.faults
        faults.add(machine.name, "machine", "power_stuck", count=1)
        assert not await machine.power_action("on", by="test")
        assert machine.power == "Off"
        faults.add(machine.name, "machine", "post_hang", match="post *", count=1)
        faults.add(machine.name, "machine", "gpu_missing", match="gpu *", value=3)
        assert await machine.power_action("on", by="test")
        await until(lambda: machine.posts == 1)
        await asyncio.sleep(0.01)
        assert machine.in_post
        assert machine.boots == []
        assert [gpu.number for gpu in machine.present_gpus] == [1, 2, 4, 5, 6, 7, 8]
        await machine.close()

    run(scenario())


def test_power_can_be_cut_while_a_shutdown_takes_its_time(machine: Machine, until: Until) -> None:
    async def scenario() -> None:
        slow(machine.world, soft_off_s=600)
        await machine.disks[0].write_image("http://images/ubuntu.raw")
        machine.bmc.override.target, machine.bmc.override.enabled = "Hdd", "Once"
        await machine.power_action("on", by="test")
        await until(lambda: machine.running == "os")
        shutdown = asyncio.create_task(machine.power_action("soft", by="test"))
        await until(lambda: machine.power_actions == 2)
        async with asyncio.timeout(1):
            assert await machine.power_action("off", by="test")
        assert machine.power == "Off"
        machine.world.clock.set_speed(1e6)
        assert await shutdown
        assert machine.power == "Off"

    run(scenario())
