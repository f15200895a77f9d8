"""Firmware of a machine: versions, images, and when a written image is run.

An image of the lab is a line that says what it is, a line of JSON ``{"components": {id: version}, "size": bytes}``, and
as many further bytes as the vendor would need; what is not of that form, or has another size, is refused as damaged.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lab.machine import Machine

NVSWITCHES = 4
MAGIC = b"PALEBLUEDOT LAB FIRMWARE IMAGE 1\n"
# When a component runs what was written to it (DGX H100 firmware guide): the BMC restarts itself, the BIOS is read in
# the next POST, the GPU tray and the CPLD take the power being away.
_AT_POST = ("BIOS",)
_AT_POWER_ON = ("BIOS", "HGX", "CPLD")


class BadImage(Exception):
    """The file is no image, or not a whole one."""


def make_image(components: Mapping[str, str], padding: int = 1000) -> bytes:
    """An image that brings these versions, about ``padding`` bytes long."""
    rest = b"\xff" * padding
    header: dict[str, Any] = {"components": dict(components), "size": 0}
    for _round in range(3):  # the size is part of what is measured
        head = MAGIC + json.dumps(header).encode() + b"\n"
        header["size"] = len(head) + len(rest)
    return MAGIC + json.dumps(header).encode() + b"\n" + rest


def read_image(head: bytes, size: int) -> dict[str, str]:
    """Versions by component, from the image's beginning and its size. Raises BadImage."""
    if not head.startswith(MAGIC):
        raise BadImage("The image is not a firmware package.")
    try:
        header = json.loads(head[len(MAGIC) :].split(b"\n", 1)[0])
        components = dict(header["components"])
        whole = int(header["size"])
    except (ValueError, KeyError, TypeError):
        raise BadImage("The header of the firmware package is damaged.") from None
    if whole != size:
        raise BadImage(f"The firmware package has {size} bytes instead of {whole}.")
    return {str(id): str(version) for id, version in components.items()}


class Firmware:
    """What a machine's components run, and what waits to be run.

    ``staged`` holds versions that are written and not run yet.
    """

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._versions = {
            "CPLDMB_0": ("0.2.1.8", "CPLD"),
            "HGX_FW_BMC_0": ("HGX-22.10-1-rc57", "HGX"),
            "HGX_FW_FPGA_0": ("2.37", "HGX"),
            "HostBIOS_0": ("01.01.03", "BIOS"),
            "HostBMC_0": ("23.11.20", "BMC"),
            **{f"HGX_FW_NVSwitch_{number}": ("96.10.3F.00.01", "HGX") for number in range(NVSWITCHES)},
        }
        self.staged: dict[str, str] = {}

    @property
    def components(self) -> dict[str, tuple[str, str]]:
        """Version and device class (BIOS, BMC, HGX, CPLD) of each component that is there, by its id."""
        gpus = {f"HGX_FW_{gpu.id}": (gpu.firmware_version, "HGX") for gpu in self._machine.present_gpus}
        return dict(sorted({**self._versions, **gpus}.items()))

    @property
    def bios_version(self) -> str:
        """As the System shows it: without leading zeros."""
        return ".".join(part.lstrip("0") or "0" for part in self._versions["HostBIOS_0"][0].split("."))

    @property
    def bmc_version(self) -> str:
        return self._versions["HostBMC_0"][0]

    def stage(self, id: str, version: str) -> None:
        """The image is written; the component runs it when its time comes."""
        self.staged[id] = version

    def run_staged(self, device_classes: tuple[str, ...]) -> None:
        """Components of these classes start over and run what was written."""
        known = self.components
        for id in [id for id in self.staged if id in known and known[id][1] in device_classes]:
            self._run(id, self.staged.pop(id), known[id][1])

    def at_post(self) -> None:
        self.run_staged(_AT_POST)

    def at_power_on(self) -> None:
        self.run_staged(_AT_POWER_ON)

    def _run(self, id: str, version: str, device_class: str) -> None:
        machine = self._machine
        machine.world.log.add(machine.name, "machine", "firmware.run", component=id, version=version)
        for gpu in machine.gpus:
            if id == f"HGX_FW_{gpu.id}":
                gpu.firmware_version = version
                return
        self._versions[id] = (version, device_class)
