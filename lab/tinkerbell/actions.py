"""The action images that an agent can run, and what they do to the machine.

An image is known by the last part of its repository, so ``quay.io/tinkerbell/actions/image2disk:latest`` and
``quay.io/tinkerbell-actions/image2disk:v1.0.0`` are one. Environment variables are those of tinkerbell/actions;
``secure-erase`` is this project's own: METHOD, DISKS (``all`` or device names), REPORT_URL.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from typing import Any, Literal

import aiohttp
from yarl import URL

from lab.disk import Disk, DiskError
from lab.fabric import Fabric
from lab.machine import Machine

Effect = Literal["", "reboot", "kexec"]

REPORT_TIMEOUT_S = 10.0
REPORT_TRIES = 3
IMAGE_OCTETS = 8 * 10**9  # nominal, for the port's counters


class ActionError(Exception):
    """The action's container ended with an error; the message is its last line."""


class Toolbox:
    """Runs actions on a machine. ``tls`` verifies the addresses that reports go to."""

    def __init__(self, fabric: Fabric, tls: ssl.SSLContext | None = None) -> None:
        self._fabric = fabric
        self._tls = tls

    async def run(self, machine: Machine, image: str, environment: dict[str, str]) -> Effect:
        """Run one action. Returns what happens to the machine after it was reported. Raises ActionError."""
        name = image_name(image)
        effect = _EFFECTS.get(name)
        if effect is not None:
            if name == "kexec":
                self._check_bootable(machine, environment)
            return effect
        try:
            if "secure-erase" in name:
                await self._secure_erase(machine, environment)
            elif name in ("image2disk", "oci2disk", "qemuimg2disk"):
                await self._write_image(machine, environment)
            elif name == "writefile":
                await _write_file(machine, environment)
            elif name == "cexec":
                _chroot_exec(machine, environment)
            else:
                raise ActionError(f"failed to pull image {image}: not found")
        except DiskError as error:
            raise ActionError(str(error)) from error
        return ""

    async def _write_image(self, machine: Machine, environment: dict[str, str]) -> None:
        url = _required(environment, "IMG_URL")
        disk = find_disk(machine, _required(environment, "DEST_DISK"))
        self._fabric.count(machine, received=IMAGE_OCTETS)
        await disk.write_image(url, environment.get("IMG_SHA256"))

    @staticmethod
    def _check_bootable(machine: Machine, environment: dict[str, str]) -> None:
        disk = find_disk(machine, _required(environment, "BLOCK_DEVICE"))
        if disk.image is None:
            raise ActionError(f"mount {environment['BLOCK_DEVICE']}: no file system found")

    async def _secure_erase(self, machine: Machine, environment: dict[str, str]) -> None:
        method = environment.get("METHOD", "crypto")
        wanted = environment.get("DISKS", "all")
        names = [] if wanted == "all" else re.split(r"[\s,]+", wanted.strip())
        disks = machine.disks if wanted == "all" else [find_disk(machine, name) for name in names]
        results = await asyncio.gather(*(_erase(machine, disk, method) for disk in disks))
        if url := environment.get("REPORT_URL"):
            gpus = [
                {"id": gpu.id, "serial_number": gpu.serial_number, "model": gpu.model, "memory_gb": gpu.memory_gb}
                for gpu in machine.present_gpus
            ]
            await self._report(url, {"hostname": machine.name, "disks": results, "gpus": gpus})
        failed = [result["device"] for result in results if result["result"] != "success"]
        if failed:
            raise ActionError(f"not erased: {', '.join(failed)}")

    async def _report(self, url: str, body: dict[str, Any]) -> None:
        problem = ""
        for attempt in range(REPORT_TRIES):
            if attempt:
                await asyncio.sleep(0.5 * 2**attempt)
            try:
                timeout = aiohttp.ClientTimeout(total=REPORT_TIMEOUT_S)
                async with (
                    aiohttp.ClientSession(timeout=timeout) as session,
                    session.post(url, json=body, ssl=self._tls if self._tls is not None else True) as answer,
                ):
                    if answer.status < 300:
                        return
                    problem = f"HTTP {answer.status}"
                    if answer.status < 500 and answer.status != 429:
                        break
            except (aiohttp.ClientError, TimeoutError) as error:
                problem = f"{type(error).__name__}: {error}"
        # the URL ends in a token: name the host only
        raise ActionError(f"report to {URL(url).host} was not taken: {problem}")


def image_name(image: str) -> str:
    """``image2disk`` of ``quay.io/tinkerbell/actions/image2disk:latest``."""
    return image.partition("@")[0].rpartition("/")[2].partition(":")[0]


def find_disk(machine: Machine, device: str) -> Disk:
    """The drive of a device name or of one of its partitions. Raises ActionError."""
    whole = re.sub(r"(?<=\d)p\d+$", "", device)
    for disk in machine.disks:
        if disk.device == whole:
            return disk
    raise ActionError(f"{device}: no such device")


def _required(environment: dict[str, str], name: str) -> str:
    value = environment.get(name, "")
    if not value:
        raise ActionError(f"{name} is not set")
    return value


async def _write_file(machine: Machine, environment: dict[str, str]) -> None:
    disk = find_disk(machine, _required(environment, "DEST_DISK"))
    await disk.write_file(_required(environment, "DEST_PATH"), environment.get("CONTENTS", ""))


def _chroot_exec(machine: Machine, environment: dict[str, str]) -> None:
    """A command in the installed system: the lab takes note of it and does nothing."""
    disk = find_disk(machine, _required(environment, "BLOCK_DEVICE"))
    if disk.image is None:
        raise ActionError(f"mount {environment['BLOCK_DEVICE']}: no file system found")
    machine.world.log.add(machine.name, "agent", "cexec", device=disk.device)


async def _erase(machine: Machine, disk: Disk, method: str) -> dict[str, Any]:
    started = machine.world.clock.timestamp()
    try:
        evidence = await disk.secure_erase(method)
        result: dict[str, Any] = {"result": evidence["result"], "verified": evidence["verified"]}
    except DiskError as error:
        result = {"result": "failed", "verified": False, "error": str(error)}
    return {
        "device": disk.device,
        "serial_number": disk.serial,
        "size_gb": disk.size_gb,
        "method": method,
        **result,
        "started_at": started,
        "ended_at": machine.world.clock.timestamp(),
    }


# these report success before they take the running system away
_EFFECTS: dict[str, Effect] = {"kexec": "kexec", "waitdaemon": "reboot", "reboot": "reboot"}
