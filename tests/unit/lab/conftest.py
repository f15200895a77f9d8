from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lab.clock import Clock
from lab.config import DELAYS, make_config
from lab.disk import Disk
from lab.faults import FaultSet
from lab.log import WriteLog
from lab.machine import Machine, World


class FakeBootService:
    """Answers on the boot network as the test says."""

    def __init__(self) -> None:
        self.serves = True
        self.agent_ends: asyncio.Queue[str] = asyncio.Queue()
        self.agents = 0
        self.cancelled = 0
        self.user_data: dict[str, Any] | None = None

    async def netboot(self, machine: Machine) -> bool:
        return self.serves

    async def run_agent(self, machine: Machine) -> str:
        self.agents += 1
        try:
            return await self.agent_ends.get()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise

    async def metadata(self, machine: Machine) -> dict[str, Any] | None:
        return self.user_data


class FakeFabric:
    def __init__(self) -> None:
        self.port_vlan: int | None = 100
        self.tenants: dict[str, int] = {}

    def vlan(self, machine: Machine) -> int | None:
        return self.port_vlan

    def boot_network(self, machine: Machine) -> bool:
        return self.port_vlan in (100, 666)

    def tenant_vlan_of(self, address: str) -> int | None:
        return self.tenants.get(address)


class FakeSystem:
    """An operating system that only runs."""

    def __init__(self) -> None:
        self.ends: asyncio.Queue[str] = asyncio.Queue()
        self.stopped = 0

    async def run(self, machine: Machine, disk: Disk, started: Callable[[], None]) -> str:
        started()
        return await self.ends.get()

    async def stop(self, machine: Machine) -> None:
        self.stopped += 1


@pytest.fixture
def world() -> World:
    clock = Clock()
    return World(clock, WriteLog(clock), FaultSet(), DELAYS["none"], FakeFabric(), FakeBootService(), FakeSystem())


@pytest.fixture
def machine(world: World, tmp_path: Path) -> Machine:
    return Machine(make_config(tmp_path, servers=1, block=99).machines[0], world)


async def until(condition: Callable[[], bool], seconds: float = 3.0) -> None:
    """Wait for a condition; the test fails when it does not come."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.002)


@pytest.fixture(name="until")
def _until() -> Callable[..., Any]:
    return until
