"""What stands around one machine of the lab where only its BMC is of interest."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from lab.disk import Disk
from lab.machine import Machine


class Surroundings:
    """A boot network that serves everybody, switch ports in one VLAN, and an operating system that only runs."""

    async def netboot(self, machine: Machine) -> bool:
        return True

    async def run_agent(self, machine: Machine) -> str:
        await asyncio.Event().wait()
        return "halt"

    async def metadata(self, machine: Machine) -> dict[str, Any] | None:
        return None

    def vlan(self, machine: Machine) -> int | None:
        return 100

    def boot_network(self, machine: Machine) -> bool:
        return True

    def tenant_vlan_of(self, address: str) -> int | None:
        return None

    async def run(self, machine: Machine, disk: Disk, started: Callable[[], None]) -> str:
        started()
        await asyncio.Event().wait()
        return "halt"

    async def stop(self, machine: Machine) -> None:
        return None
