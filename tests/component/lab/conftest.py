"""Labs for component tests: one machine's BMC on a real port, in an event loop of its own thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from lab.clock import Clock
from lab.config import DELAYS, make_config
from lab.faults import FaultSet
from lab.log import WriteLog
from lab.machine import Machine, World
from lab.pki import CertificateAuthority
from lab.redfish.service import RedfishBmc
from tests.component.lab.vendors import Bmc
from tests.support.surroundings import Surroundings

Result = TypeVar("Result")


class Loop:
    """An event loop in a thread, so that blocking clients can be used against servers in it."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, coroutine: Coroutine[Any, Any, Result], seconds: float = 10) -> Result:
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(seconds)

    def until(self, condition: Callable[[], bool], seconds: float = 5) -> None:
        """Wait for a condition on the loop's thread; TimeoutError when it does not come."""

        async def wait() -> None:
            async with asyncio.timeout(seconds):
                while not condition():
                    await asyncio.sleep(0.005)

        self.run(wait(), seconds + 1)

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(5)
        self.loop.close()


@pytest.fixture
def loop() -> Iterator[Loop]:
    loop = Loop()
    yield loop
    loop.close()


@pytest.fixture
def machine(loop: Loop, tmp_path: Path) -> Iterator[Machine]:
    async def make() -> Machine:
        clock, around = Clock(), Surroundings()
        world = World(clock, WriteLog(clock), FaultSet(), DELAYS["none"], around, around, around)
        return Machine(make_config(tmp_path, servers=1, block=99).machines[0], world)

    machine = loop.run(make())
    yield machine
    loop.run(machine.close())


class RunningBmc:
    def __init__(self, bmc: RedfishBmc, ca_path: Path) -> None:
        self.bmc = bmc
        self.ca_path = str(ca_path)
        self.url = f"https://127.0.0.1:{bmc.port}"
        self.auth = (bmc.machine.bmc_username, bmc.machine.bmc_password)


@pytest.fixture
def running(loop: Loop, machine: Machine, tmp_path: Path) -> Iterator[RunningBmc]:
    authority = CertificateAuthority()
    ca_path = tmp_path / "ca.pem"
    ca_path.write_bytes(authority.pem)
    context = authority.server_context(tmp_path, "bmc")

    async def start() -> RedfishBmc:
        bmc = RedfishBmc(machine, context)
        await bmc.start()
        return bmc

    bmc = loop.run(start())
    yield RunningBmc(bmc, ca_path)
    loop.run(bmc.close())


@pytest.fixture
def start(loop: Any, tmp_path: Path) -> Iterator[Callable[..., Bmc]]:
    started: list[Bmc] = []
    authority = CertificateAuthority()
    ca_path = tmp_path / "ca.pem"
    ca_path.write_bytes(authority.pem)

    def start(vendor: str) -> Bmc:
        async def make() -> RedfishBmc:
            clock, around = Clock(), Surroundings()
            world = World(clock, WriteLog(clock), FaultSet(), DELAYS["none"], around, around, around)
            machine = Machine(make_config(tmp_path, servers=1, block=98, vendor=vendor).machines[0], world)
            bmc = RedfishBmc(machine, authority.server_context(tmp_path, vendor))
            await bmc.start()
            return bmc

        bmc = Bmc(loop, loop.run(make()), ca_path)
        started.append(bmc)
        return bmc

    yield start
    for bmc in started:
        bmc.http.close()
        loop.run(bmc.bmc.close())
        loop.run(bmc.machine.close())
