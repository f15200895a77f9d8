"""Tinkerbell in one piece: controller, tink server and boot service over one store."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from typing import Any

from lab.clock import Clock
from lab.fabric import Fabric
from lab.faults import FaultSet
from lab.kube.crds import DialectName
from lab.kube.store import Store
from lab.machine import Machine
from lab.tinkerbell.boot import BootService
from lab.tinkerbell.controller import Controller
from lab.tinkerbell.dialect import dialect_named
from lab.tinkerbell.server import TinkServer


class Tinkerbell:
    """A :class:`lab.machine.BootService` with everything behind it. ``start`` and ``stop`` it in the lab's loop."""

    def __init__(
        self,
        store: Store,
        fabric: Fabric,
        clock: Clock,
        faults: FaultSet,
        dialect: DialectName = "mono",
        report_tls: ssl.SSLContext | None = None,
    ) -> None:
        spoken = dialect_named(dialect)
        self._controller = Controller(store, clock, spoken)
        server = TinkServer(store, clock, spoken)
        self._boot = BootService(store, server, fabric, faults, report_tls)
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._task = asyncio.create_task(self._controller.run(), name="tink-controller")

    async def stop(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def netboot(self, machine: Machine) -> bool:
        return await self._boot.netboot(machine)

    async def run_agent(self, machine: Machine) -> str:
        return await self._boot.run_agent(machine)

    async def metadata(self, machine: Machine) -> dict[str, Any] | None:
        return await self._boot.metadata(machine)
