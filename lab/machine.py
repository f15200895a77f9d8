"""A server's physics: power, POST, boot devices, drives, GPUs.

There is one :class:`Machine` per server; every protocol that shows the server (Redfish, IPMI, Tinkerbell's agent, SSH,
the control API) reads and changes this one object.

Faults of layer ``machine`` are picked with these methods and paths:

===================  ==========================================================================================
``power <action>``   ``power_stuck``: the order is accepted and nothing happens
``post``             ``post_hang``: POST never ends; ``nic_drops``: the network card is not there in this POST, and a
                     boot order that names it is not taken over
``image|file|erase`` ``<device>``: the drive fails (``disk_error``)
``os boot``          ``os_broken``: the installed system does not come up
``gpu``              ``gpu_missing`` (standing): the GPU is not on the bus
``fabric``           ``fabric_down`` (standing): the fabric manager of the NVSwitches does not run, every GPU is well
``volume <name>``    ``volume_failed``: the controller does not make or delete it
``firmware <id>``    ``firmware_failed`` (the task fails), ``firmware_old`` (success, and the old version runs on)
===================  ==========================================================================================
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from lab.bmc import Bmc, VirtualMedia
from lab.clock import Clock
from lab.config import Delays, MachineConfig
from lab.disk import Disk, make_disks
from lab.faults import FaultSet
from lab.firmware import Firmware
from lab.gpu import Gpu, make_gpu
from lab.log import WriteLog
from lab.volumes import Volumes

logger = logging.getLogger(__name__)

PowerAction = Literal["on", "off", "soft", "cycle", "reset"]
THROTTLE_REASONS = "xyz.openbmc_project.State.ProcessorPerformance.ThrottleReasons."
POWER_ACTIONS: tuple[PowerAction, ...] = ("on", "off", "soft", "cycle", "reset")


class BootService(Protocol):
    """What answers on the boot networks: DHCP and iPXE, metadata, and the in-memory OS with Tinkerbell's agent."""

    async def netboot(self, machine: Machine) -> bool:
        """Whether the machine's network boot is served: port on a boot VLAN, a Hardware that allows it."""

    async def run_agent(self, machine: Machine) -> str:
        """Run the in-memory OS until it ends: 'reboot', 'kexec' or 'halt'. Cancelled when power is lost."""

    async def metadata(self, machine: Machine) -> dict[str, Any] | None:
        """Hardware's user data and metadata for this requester; None when its port is not on a boot VLAN."""


class Fabric(Protocol):
    """The switches, seen from a machine's port."""

    def vlan(self, machine: Machine) -> int | None:
        """Access VLAN of the machine's port; None when the port is down or has none."""

    def boot_network(self, machine: Machine) -> bool:
        """Whether that VLAN carries boot services."""

    def tenant_vlan_of(self, address: str) -> int | None:
        """VLAN of the tenant network an address belongs to."""

    async def wait_for_change(self) -> None:
        """Return when a port or a VLAN has changed."""


class SystemRunner(Protocol):
    """The operating system installed on a drive (``lab/system.py``)."""

    async def run(self, machine: Machine, disk: Disk, started: Callable[[], None]) -> str:
        """Run it until it ends: 'reboot' or 'halt'. ``started`` is called when the kernel took over. Cancelled when
        power is lost."""

    async def stop(self, machine: Machine) -> None:
        """An orderly shutdown was asked for: close what listens."""


@dataclass
class World:
    """What all machines share. ``fabric``, ``boot_service`` and ``system`` are put in when they exist."""

    clock: Clock
    log: WriteLog
    faults: FaultSet
    delays: Delays
    fabric: Fabric = field(default=None)  # type: ignore[assignment]
    boot_service: BootService = field(default=None)  # type: ignore[assignment]
    system: SystemRunner = field(default=None)  # type: ignore[assignment]


@dataclass(frozen=True)
class BootOption:
    """One UEFI boot option. ``device`` is hdd, pxe, http, cd or usb."""

    reference: str
    name: str
    device: str
    alias: str | None


def boot_options(mac: str) -> tuple[BootOption, ...]:
    """The options that matter of a DGX H100, by the references that one has; the system network card first."""
    card = mac.upper()
    return (
        BootOption("Boot0026", f"UEFI: PXE IPv4 Nvidia Network Adapter - {card}", "pxe", "Pxe"),
        BootOption("Boot0025", f"UEFI: HTTP IPv4 Nvidia Network Adapter - {card}", "http", "UefiHttp"),
        BootOption("Boot0000", "DGX OS", "hdd", None),
    )


OVERRIDE_DEVICES = {"Pxe": "pxe", "UefiHttp": "http", "Cd": "cd", "Usb": "usb", "Hdd": "hdd", "BiosSetup": "setup"}


class Machine:
    """One server.

    ``power`` is 'On' or 'Off'. ``running`` is None (off), 'firmware' (POST, setup, or nothing bootable), 'agent' (the
    in-memory OS) or 'os'. ``boots`` lists every boot device tried: ``{at, device, result}`` with result 'booted',
    'no service', 'no system', 'no medium', 'broken' or 'setup'.
    """

    def __init__(self, config: MachineConfig, world: World) -> None:
        self.config = config
        self.world = world
        self.name = config.name
        self.serial_number = config.serial_number
        self.mac = config.mac
        self.switch = config.switch
        self.switch_port = config.switch_port
        self.power: Literal["On", "Off"] = "Off"
        self.running: Literal["agent", "os", "firmware"] | None = None
        self.boots: list[dict[str, Any]] = []
        self.posts = 0
        self.power_actions = 0
        self.powered_at = 0.0  # clock.elapsed() of the last power on
        self.last_reset: str | None = None
        self.in_post = False
        self.disks: list[Disk] = make_disks(self, lambda index: f"S6CKNA{config.number:04d}{index:04d}")
        self.gpus: list[Gpu] = [make_gpu(n + 1, config.serial_number) for n in range(config.gpus)]
        self.firmware = Firmware(self)
        self.volumes = Volumes(self)
        self.tpm_clears = 0
        self.inlet_celsius: float | None = None
        self.boot_options = boot_options(config.mac)
        self.boot_order = [option.reference for option in self.boot_options]
        self.bmc = Bmc(world.clock, config.bmc_username, config.bmc_password)
        self.bmc.media = {id: VirtualMedia(id) for id in ("CD1", "USB1")}
        self._life: asyncio.Task[None] | None = None
        self._power_order = asyncio.Lock()

    def __repr__(self) -> str:
        return f"<Machine {self.name} {self.power} {self.running}>"

    @property
    def bmc_username(self) -> str:
        return self.config.bmc_username

    @property
    def bmc_password(self) -> str:
        """The present password of the account the lab was set up with ("" once it is gone)."""
        account = self.bmc.accounts.find(self.config.bmc_username)
        return account.password if account else ""

    # --- GPUs

    def gpu_present(self, gpu: Gpu) -> bool:
        missing = self.world.faults.standing(self.name, "machine", "gpu_missing")
        return not any(fault.value in (None, gpu.number, str(gpu.number), gpu.id) for fault in missing)

    @property
    def fabric_runs(self) -> bool:
        """Whether the NVSwitches are managed; without that the GPUs do not reach each other over NVLink."""
        return not self.world.faults.standing(self.name, "machine", "fabric_down")

    @property
    def present_gpus(self) -> list[Gpu]:
        return [gpu for gpu in self.gpus if self.gpu_present(gpu)]

    async def reset_gpu(self, gpu: Gpu, by: str) -> None:
        """Reset one GPU out of band. Its pending row remappings take effect."""
        self.world.log.add(self.name, "machine", "gpu.reset", gpu=gpu.id, by=by)
        await self.world.clock.sleep(self.world.delays.gpu_reset_s)
        gpu.resets += 1
        gpu.errors.remapping_pending = False

    def xid(self, gpu: Gpu, xid: int, text: str = "") -> None:
        """The driver reports an XID; the HMC writes it into the baseboard's event log as a DGX H100 does."""
        at = self.world.clock.now()
        stamp = f"{at:%a %b} {at.day} {at:%H:%M:%S} UTC {at:%Y}"
        self._gpu_event(gpu, "Critical", "Driver Event Message", f"[{stamp}][1][00] XID {xid} {text}".rstrip())

    def set_temperature(self, gpu: Gpu, celsius: float | None) -> None:
        """Force a GPU's temperature (None sets it free). One that reaches the slowdown threshold throttles, and says
        so in the event log."""
        at = self.world.clock.elapsed()
        throttled = gpu.margin_celsius(at) <= 0
        gpu.forced_celsius = celsius
        if self.power == "On" and not throttled and gpu.margin_celsius(at) <= 0:
            self._gpu_event(gpu, "Warning", "ThrottleReason", THROTTLE_REASONS + "HWThermalSlowdown")

    def _gpu_event(self, gpu: Gpu, severity: str, subject: str, what: str) -> None:
        self.bmc.event(
            severity=severity,
            message=f"The resource property {gpu.id} {subject} has detected errors of type '{what}'.",
            message_id="ResourceEvent.1.0.ResourceErrorsDetected",
            message_args=(f"{gpu.id} {subject}", what),
            origin=f"/redfish/v1/Chassis/HGX_{gpu.id}",
        )

    # --- power

    async def power_action(self, action: PowerAction, by: str) -> bool:
        """Carry out a power order of ``by`` (redfish, ipmi, agent, …); returns whether anything changed.

        on, off: to that state. soft: an orderly shutdown, which only a running OS or agent obeys. cycle: off and on
        again. reset: start over without losing power. The last two do nothing to a machine that is off.
        """
        if action not in POWER_ACTIONS:
            raise ValueError(f"power action must be one of {', '.join(POWER_ACTIONS)}, not {action!r}")
        async with self._power_order:
            fault = self.world.faults.pick(self.name, "machine", "power", action)
            stuck = fault is not None and fault.kind == "power_stuck"
            already = self.power == ("On" if action == "on" else "Off")
            self.world.log.add(self.name, "machine", f"power.{action}", by=by, stuck=stuck, changed=not already)
            if stuck or already:
                return False
            self.power_actions += 1
            if action == "on":
                await self.world.clock.sleep(self.world.delays.power_s)
                self._power_on()
            elif action == "off":
                await self.world.clock.sleep(self.world.delays.power_s)
                await self._power_off()
            elif action == "cycle":
                await self.world.clock.sleep(self.world.delays.power_s)
                await self._power_off()
                await self.world.clock.sleep(self.world.delays.power_s)
                self._power_on()
            elif action == "reset":
                await self._end_life()
                self._begin_life()
        # a shutdown takes its time, in which other orders are obeyed
        return await self._soft_off() if action == "soft" else True

    def _power_on(self) -> None:
        self.power = "On"
        self.powered_at = self.world.clock.elapsed()
        self._power_sel("Power on", 0x00)
        self.firmware.at_power_on()
        self._begin_life()

    async def _power_off(self) -> None:
        # Off first: whatever the ending tasks still do must not see a machine with power.
        self.power = "Off"
        self._power_sel("Power off", 0x01)
        await self._end_life()
        self.running = None

    async def _soft_off(self) -> bool:
        if self.running not in ("os", "agent"):
            return False  # firmware does not listen to ACPI's power button
        life = self._life
        if self.running == "os":
            await self.world.system.stop(self)
        await self.world.clock.sleep(self.world.delays.soft_off_s)
        async with self._power_order:
            if self._life is not life or self.power == "Off":
                return True  # somebody was quicker
            await self._power_off()
        return True

    def _power_sel(self, message: str, offset: int) -> None:
        # 0x22: System ACPI Power State, 0x6f: sensor-specific (IPMI 2.0 table 42-3)
        self.bmc.sel_event(0x22, 0x01, 0x6F, (offset, 0xFF, 0xFF), message)

    def _begin_life(self) -> None:
        self.last_reset = self.world.clock.timestamp()
        self.running = "firmware"
        self._life = asyncio.create_task(self._live(), name=f"life of {self.name}")

    async def _end_life(self) -> None:
        life, self._life = self._life, None
        if life is None or life is asyncio.current_task():
            return
        life.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await life

    async def close(self) -> None:
        """The lab ends."""
        await self._end_life()

    # --- boot

    async def _live(self) -> None:
        """From power on until power off: POST, boot, run, and again after a reboot."""
        try:
            while True:
                ended = await self._post_and_boot()
                if ended == "halt":
                    self.power = "Off"
                    self.running = None
                    self._power_sel("Power off", 0x01)
                    return
                self.last_reset = self.world.clock.timestamp()
                self.running = "firmware"
        except asyncio.CancelledError:
            raise
        except Exception:
            logger.exception("%s: the machine's life ended in an error of the lab", self.name)
            self.running = "firmware"
        finally:
            self.in_post = False

    async def _post_and_boot(self) -> str:
        self.posts += 1
        self.in_post = True
        fault = self.world.faults.pick(self.name, "machine", "post", "")
        if fault is not None and fault.kind == "post_hang":
            await asyncio.Event().wait()
        await self.world.clock.sleep(self.world.delays.post_s)
        self._enumerate(nic=fault is None or fault.kind != "nic_drops")
        self._apply_pending()
        self.in_post = False
        for device in self._boot_devices():
            ended = await self._boot(device)
            if ended is not None:
                return ended
        await asyncio.Event().wait()  # sits in the firmware until somebody acts
        raise AssertionError("unreachable")

    def _enumerate(self, nic: bool) -> None:
        """Boot options are what POST finds. The references of a card that is gone leave the boot order, and when it is
        back they are the last of it."""
        found = tuple(option for option in boot_options(self.mac) if nic or option.device not in ("pxe", "http"))
        if found == self.boot_options:
            return
        references = [option.reference for option in found]
        kept = [reference for reference in self.boot_order if reference in references]
        self.boot_order = kept + [reference for reference in references if reference not in kept]
        self.boot_options = found
        self.bmc.boot_order_pending = None
        self.world.log.add(self.name, "machine", "boot_order.reverted", nic=nic, order=list(self.boot_order))

    def _apply_pending(self) -> None:
        """POST takes over what was set aside for it."""
        self.firmware.at_post()
        self.bmc.secure_boot.at_post()
        self.volumes.at_post()
        if any("Clear" in str(self.bmc.bios_pending.get(name)) for name in self.bmc.bios_orders):
            self.tpm_clears += 1
            self.world.log.add(self.name, "machine", "tpm.clear")
        if self.bmc.bios_pending:
            self.world.log.add(self.name, "machine", "bios.applied", attributes=sorted(self.bmc.bios_pending))
            self.bmc.bios.update(self.bmc.bios_pending)
            self.bmc.bios.update(self.bmc.bios_orders)  # orders to the TPM and such, carried out in this POST
            taken, self.bmc.bios_pending = self.bmc.bios_pending, {}
            for told in self.bmc.on_bios:
                told(taken)
        if self.bmc.boot_order_pending is not None:
            self.boot_order = self.bmc.boot_order_pending
            self.bmc.boot_order_pending = None

    def _boot_devices(self) -> list[str]:
        """Devices in the order to try; a one-time override is used up here."""
        by_reference = {option.reference: option.device for option in self.boot_options}
        order = [by_reference[reference] for reference in self.boot_order if reference in by_reference]
        override = self.bmc.override
        if override.enabled != "Disabled" and (device := OVERRIDE_DEVICES.get(override.target)):
            order = [device, *(other for other in order if other != device)]
        if override.enabled == "Once":
            override.clear()
        return order

    async def _boot(self, device: str) -> str | None:
        """Try one device. Returns how what it started ended, or None when there was nothing to start."""
        if device in ("pxe", "http"):
            await self.world.clock.sleep(self.world.delays.netboot_s)
            if not await self.world.boot_service.netboot(self):
                self._tried(device, "no service")
                return None
            self._tried(device, "booted")
            return await self._run_agent()
        if device in ("cd", "usb"):
            medium = self.bmc.media["CD1" if device == "cd" else "USB1"]
            if not medium.inserted:
                self._tried(device, "no medium")
                return None
            self._tried(device, "booted")
            return await self._run_agent()
        if device == "hdd":
            return await self._run_system(device)
        self._tried(device, "setup")
        await asyncio.Event().wait()
        raise AssertionError("unreachable")

    def _tried(self, device: str, result: str) -> None:
        self.boots.append({"at": self.world.clock.timestamp(), "device": device, "result": result})

    async def _run_agent(self) -> str | None:
        await self.world.clock.sleep(self.world.delays.agent_start_s)
        self.running = "agent"
        ended = await self.world.boot_service.run_agent(self)
        if ended != "kexec":
            return ended
        self.running = "firmware"
        await self.world.clock.sleep(self.world.delays.kexec_s)
        return await self._run_system("kexec") or "reboot"

    async def _run_system(self, device: str) -> str | None:
        disk = next((disk for disk in self.disks[:1] if disk.image), None)
        if disk is None:
            self._tried(device, "no system")
            return None
        if self.world.faults.pick(self.name, "machine", "os", "boot"):
            self._tried(device, "broken")
            return None
        self._tried(device, "booted")

        def started() -> None:
            self.running = "os"

        return await self.world.system.run(self, disk, started)
