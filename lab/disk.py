"""A machine's drives: what is written on them and how they are erased."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lab.machine import Machine


class DiskError(Exception):
    """The drive refused or failed; the message says which drive and what it answered."""


class Disk:
    """One NVMe drive.

    The methods are what runs on the machine (agent, OS) and take as long as the lab's delays say. A machine that loses
    power meanwhile cancels them: the image then counts as half-written and does not boot.
    """

    def __init__(self, machine: Machine, device: str, serial: str, model: str, size_gb: int, slot: int) -> None:
        self.device = device
        self.serial = serial
        self.model = model
        self.size_gb = size_gb
        self.slot = slot
        self.image: str | None = None
        self.files: dict[str, str] = {}
        self.erased_at: str | None = None
        self.erase_count = 0
        self.writes = 0
        self._machine = machine

    def __repr__(self) -> str:
        return f"<Disk {self._machine.name}{self.device} image={self.image!r}>"

    @property
    def blank(self) -> bool:
        return self.image is None and not self.files

    async def write_image(self, url: str, sha256: str | None = None) -> None:
        """Stream an OS image onto the drive: whatever was there is gone. Raises DiskError.

        ``sha256`` is recorded, not computed: the lab downloads nothing.
        """
        self.image = None
        self.files = {}
        await self._write("image", self._machine.world.delays.image_s, url=url, sha256=sha256)
        self.image = url

    async def write_file(self, path: str, contents: str) -> None:
        """Write one file of the installed system. Raises DiskError when there is no system on the drive."""
        if self.image is None:
            raise DiskError(f"{self._machine.name} {self.device}: no file system to write {path} to")
        await self._write("file", self._machine.world.delays.write_file_s, path=path, size=len(contents))
        self.files[path] = contents

    async def secure_erase(self, method: str) -> dict[str, Any]:
        """Erase the whole drive and return the evidence. Raises DiskError.

        ``method`` is the one asked for, such as ``nvme-format-crypto`` or ``nvme-sanitize``; the evidence
        uses the words of NIST SP 800-88.
        """
        started = self._machine.world.clock.timestamp()
        before = self.writes
        await self._write("erase", self._machine.world.delays.erase_s, method=method)
        self.image = None
        self.files = {}
        self.erased_at = self._machine.world.clock.timestamp()
        self.erase_count += 1
        return {
            "device": self.device,
            "serial_number": self.serial,
            "model": self.model,
            "size_gb": self.size_gb,
            "method": method,
            "sanitization": "purge" if "crypto" in method or "sanitize" in method else "clear",
            "result": "success",
            "verified": True,
            "writes_before": before,
            "started_at": started,
            "finished_at": self.erased_at,
        }

    async def _write(self, action: str, duration: float, **detail: Any) -> None:
        machine = self._machine
        fault = machine.world.faults.pick(machine.name, "machine", action, self.device)
        machine.world.log.add(machine.name, "disk", action, device=self.device, serial=self.serial, **detail)
        self.writes += 1
        await machine.world.clock.sleep(duration)
        if fault is not None:
            raise DiskError(f"{machine.name} {self.device}: {action} failed: {fault.value or 'I/O error'}")


def make_disks(machine: Machine, serial_of: Callable[[int], str]) -> list[Disk]:
    """The drives of a DGX H100: two M.2 for the system, eight U.2 for data (sizes as in its data sheet)."""
    return [
        Disk(
            machine,
            device=f"/dev/nvme{index}n1",
            serial=serial_of(index),
            model="SAMSUNG MZ1L21T9HCLS-00A07" if index < 2 else "SAMSUNG MZWLO3T8HCLS-00A07",
            size_gb=1920 if index < 2 else 3840,
            slot=index,
        )
        for index in range(10)
    ]
