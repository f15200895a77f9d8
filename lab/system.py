"""The operating system installed on a drive: first boot, addresses, SSH.

It runs as long as the machine's life does; losing power cancels it and everything that listens goes with it. What it
learned on the first boot stands in files on the drive, so that an erase makes it forget.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import aiohttp

from lab import cloudinit, netplan
from lab.cloudinit import CloudConfig, PhoneHome, UserDataError

if TYPE_CHECKING:
    from lab.disk import Disk
    from lab.machine import Machine
    from lab.ssh import SshListener

logger = logging.getLogger(__name__)

INSTANCE_ID = "/var/lib/cloud/data/instance-id"
HOST_KEY = "/etc/ssh/ssh_host_ed25519_key"
METADATA_TRIES = 60
METADATA_PAUSE_S = 2.0  # cloud-init's Ec2 data source asks for 120 s
METADATA_TIMEOUT_S = 5.0


class System:
    """Runs installed systems. ``ssh_port`` is where their sshd listens, on each static address."""

    def __init__(self, ssh_port: int) -> None:
        self.ssh_port = ssh_port

    async def run(self, machine: Machine, disk: Disk, started: Callable[[], None]) -> str:
        """See :class:`lab.machine.SystemRunner`. Never ends by itself."""
        clock, delays = machine.world.clock, machine.world.delays
        await clock.sleep(delays.os_start_s)
        booted_at = clock.elapsed()
        started()
        listeners: list[SshListener] = []
        calling: asyncio.Task[None] | None = None
        try:
            config = await self._first_boot(machine, disk)
            listeners = self._listen(machine, disk, booted_at)
            if config is not None and config.phone_home is not None:
                calling = asyncio.create_task(self._phone_home(machine, disk, config.phone_home))
            await asyncio.Event().wait()
            raise AssertionError("unreachable")
        finally:
            if calling is not None:
                calling.cancel()
            for listener in listeners:
                await listener.close()

    async def stop(self, machine: Machine) -> None:
        """See :class:`lab.machine.SystemRunner`. What listens is closed when the machine ends the system."""
        machine.world.log.add(machine.name, "system", "shutdown")

    # --- first boot

    async def _first_boot(self, machine: Machine, disk: Disk) -> CloudConfig | None:
        """What cloud-init does once per installation: None when it has done it already, or found no data source."""
        if HOST_KEY not in disk.files:
            # after the erase or a new image there is no key: each installation makes its own
            from lab.ssh import make_host_key

            disk.files[HOST_KEY], disk.files[HOST_KEY + ".pub"] = make_host_key()
        if INSTANCE_ID in disk.files:
            return None
        document = await self._metadata(machine)
        if document is None:
            machine.world.log.add(machine.name, "system", "no-metadata")
            return None
        await machine.world.clock.sleep(machine.world.delays.first_boot_s)
        try:
            config = cloudinit.parse(str(document.get("userData") or ""))
        except UserDataError as error:
            machine.world.log.add(machine.name, "system", "bad-user-data", error=str(error))
            config = CloudConfig()
        self._apply(machine, disk, document, config)
        return config

    async def _metadata(self, machine: Machine) -> dict[str, Any] | None:
        """Ask the metadata service until it answers or cloud-init gives up."""
        world = machine.world
        for _ in range(METADATA_TRIES):
            if world.fabric.boot_network(machine):
                try:
                    async with asyncio.timeout(METADATA_TIMEOUT_S):
                        document = await world.boot_service.metadata(machine)
                except TimeoutError:
                    document = None
                if document is not None:
                    return document
            await world.clock.sleep(METADATA_PAUSE_S)
        return None

    def _apply(self, machine: Machine, disk: Disk, document: dict[str, Any], config: CloudConfig) -> None:
        from lab.ssh import authorized_keys_path

        instance = (document.get("metadata") or {}).get("instance") or {}
        instance_id = str(instance.get("id") or f"i-{machine.serial_number}")
        hostname = config.hostname or str(document.get("hostname") or instance.get("hostname") or "localhost")
        disk.files[INSTANCE_ID] = instance_id
        disk.files["/etc/hostname"] = hostname + "\n"
        if config.fqdn:
            disk.files["/etc/fqdn"] = config.fqdn + "\n"
        for username, keys in config.authorized_keys.items():
            disk.files[authorized_keys_path(username)] = "\n".join(keys) + "\n"
        machine.world.log.add(
            machine.name,
            "system",
            "first-boot",
            instance_id=instance_id,
            hostname=hostname,
            users=sorted(config.authorized_keys),
        )

    async def _phone_home(self, machine: Machine, disk: Disk, phone_home: PhoneHome) -> None:
        """Report in, as often as the user data says; only a boot network leads to the service."""
        hostname = disk.files["/etc/hostname"].strip()
        facts = {
            "pub_key_ed25519": disk.files[HOST_KEY + ".pub"],
            "instance_id": disk.files[INSTANCE_ID],
            "hostname": hostname,
            "fqdn": disk.files.get("/etc/fqdn", hostname).strip(),
        }
        world = machine.world
        for attempt in range(1, phone_home.tries + 1):
            if world.fabric.boot_network(machine):
                try:
                    await cloudinit.post_report(phone_home, facts)
                except (aiohttp.ClientError, TimeoutError, ValueError) as error:
                    logger.info("%s: phone home, try %d: %s", machine.name, attempt, error)
                else:
                    world.log.add(machine.name, "system", "phone-home", attempt=attempt)
                    return
            await world.clock.sleep(cloudinit.PHONE_HOME_PAUSE_S)
        world.log.add(machine.name, "system", "phone-home-failed", tries=phone_home.tries)

    # --- network

    def _listen(self, machine: Machine, disk: Disk, booted_at: float) -> list[SshListener]:
        from lab.ssh import SshListener

        listeners = []
        for address in netplan.static_addresses(disk.files, machine.mac):
            listener = SshListener(machine, disk, address, self.ssh_port, disk.files[HOST_KEY], booted_at)
            try:
                listener.start()
            except OSError as error:
                machine.world.log.add(machine.name, "system", "address-in-use", address=address, error=str(error))
                continue
            listeners.append(listener)
        return listeners
