"""RAID volumes over a machine's drives: what its storage controller has made of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lab.disk import Disk

if TYPE_CHECKING:
    from lab.machine import Machine

_FEWEST = {"RAID0": 1, "RAID1": 2, "RAID5": 3, "RAID10": 4}
RAID_TYPES = tuple(_FEWEST)
LARGEST = 16  # volumes of one controller


class VolumeError(Exception):
    """The controller refused or failed; the message says what."""


@dataclass
class Volume:
    id: str
    name: str
    raid_type: str
    disks: list[Disk]
    initialized: str | None = None  # Fast, Slow

    @property
    def size_gb(self) -> int:
        count = len(self.disks)
        holding = {"RAID0": count, "RAID1": 1, "RAID5": count - 1, "RAID10": count // 2}[self.raid_type]
        return min(disk.size_gb for disk in self.disks) * holding


class Volumes:
    """The controller's volumes. Making one, or taking one apart, loses what was on its drives."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self.by_id: dict[str, Volume] = {}
        self.waiting: list[tuple[str, Volume]] = []  # ("create" or "delete") with the next POST

    def planned(self, name: str, raid_type: str, disks: list[Disk]) -> Volume:
        """A volume that could be made. Raises VolumeError."""
        fewest = _FEWEST[raid_type]
        if len(disks) < fewest:
            raise VolumeError(f"{raid_type} takes {fewest} drives at least, not {len(disks)}")
        used = {id(disk) for volume in self.by_id.values() for disk in volume.disks}
        if any(id(disk) in used for disk in disks) or len({id(disk) for disk in disks}) < len(disks):
            raise VolumeError("a drive is in use by another volume")
        free = next((str(number) for number in range(1, LARGEST + 1) if str(number) not in self.by_id), None)
        if free is None:
            raise VolumeError(f"the controller has {LARGEST} volumes already")
        return Volume(free, name, raid_type, disks)

    def carry_out(self, what: str, volume: Volume) -> None:
        """Raises VolumeError when a fault strikes."""
        machine = self._machine
        fault = machine.world.faults.pick(machine.name, "machine", "volume", volume.name)
        drives = [disk.device for disk in volume.disks]
        machine.world.log.add(machine.name, "disk", f"volume.{what}", name=volume.name, drives=drives)
        if fault is not None:
            raise VolumeError(f"{volume.name}: {fault.value or 'the controller failed'}")
        for disk in volume.disks:
            disk.image, disk.files = None, {}
            disk.writes += 1
        if what == "create":
            self.by_id[volume.id] = volume
        else:
            self.by_id.pop(volume.id, None)

    def at_post(self) -> None:
        """What was left to the next boot happens; one that fails stays undone."""
        waiting, self.waiting = self.waiting, []
        for what, volume in waiting:
            try:
                self.carry_out(what, volume)
            except VolumeError as error:
                self._machine.world.log.add(self._machine.name, "machine", "volume.failed", reason=str(error))
