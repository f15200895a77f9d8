"""The whole lab in one process: machines, BMCs, switches, Kubernetes API with Tinkerbell, control API."""

from __future__ import annotations

import asyncio
import importlib
import json
import logging
import os
import random
import secrets
import socket
from pathlib import Path
from typing import Any

import yaml

from lab.clock import Clock
from lab.config import FIRST_BLOCK, LAST_BLOCK, LabConfig
from lab.control import Control
from lab.fabric import Fabric
from lab.faults import FaultSet
from lab.gnmi import GnmiTarget
from lab.kube.crds import tinkerbell_resources
from lab.kube.server import KubeServer
from lab.kube.store import Store
from lab.log import WriteLog
from lab.machine import Machine, World
from lab.pki import CertificateAuthority
from lab.redfish.service import RedfishBmc
from lab.redfish.vendors import vendor
from lab.system import System
from lab.tinkerbell.service import Tinkerbell

logger = logging.getLogger(__name__)

HOST = "127.0.0.1"
BLOCK_LOCK_PORT = 46111  # whoever listens here on 127.x.255.254 owns 127.x.0.0/16
BOOT_ORDER = ["pxe", "http", "hdd"]


def claim_block() -> tuple[int, socket.socket]:
    """A 127.x.0.0/16 that no other lab on this machine uses, and the socket that keeps it ours while it is open."""
    for block in random.sample(range(FIRST_BLOCK, LAST_BLOCK + 1), LAST_BLOCK + 1 - FIRST_BLOCK):
        lock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            lock.bind((f"127.{block}.255.254", BLOCK_LOCK_PORT))
            lock.listen(1)
        except OSError:
            lock.close()
            continue
        return block, lock
    raise OSError(f"no 127.x.0.0/16 is free: every x from {FIRST_BLOCK} to {LAST_BLOCK} is in use or cannot be bound")


def free_ssh_port(block: int) -> int:
    """A TCP port that is free on the lab's own addresses."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((f"127.{block}.255.253", 0))
        return int(probe.getsockname()[1])


class Datacentre:
    """Everything of one lab. ``start`` returns when all of it listens and the files are written."""

    def __init__(self, config: LabConfig) -> None:
        self.config = config
        self.directory = config.directory
        self.ssh_port = free_ssh_port(config.block)
        clock = Clock(config.speed)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.authority = CertificateAuthority()
        log = WriteLog(clock, self.directory / "writes.jsonl")
        faults = FaultSet()
        self.fabric = Fabric(clock, config.networks, config.switches)
        self.store = Store(tinkerbell_resources())
        self.tinkerbell = Tinkerbell(self.store, self.fabric, clock, faults)
        self.world = World(
            clock=clock,
            log=log,
            faults=faults,
            delays=config.delays,
            fabric=self.fabric,
            boot_service=self.tinkerbell,
            system=System(self.ssh_port),
        )
        self.machines = {machine.name: Machine(machine, self.world) for machine in config.machines}
        self.bmcs: dict[str, RedfishBmc] = {}
        self.switch_ports: dict[str, int] = {}
        self._targets: list[GnmiTarget] = []
        self._kube: KubeServer | None = None
        self._control: Control | None = None
        self._ipmi: Any = None
        self._warming: asyncio.Task[object] | None = None

    @property
    def ca_path(self) -> Path:
        return self.directory / "ca.pem"

    async def start(self) -> None:
        """Raises OSError when something cannot listen."""
        (self.directory / "lab.json").unlink(missing_ok=True)
        _write(self.ca_path, self.authority.pem.decode(), mode=0o644)
        certificates = self.directory / "certificates"
        certificates.mkdir(mode=0o700, exist_ok=True)
        await self.tinkerbell.start()
        self._kube = KubeServer(
            self.store,
            secrets.token_urlsafe(24),
            self.authority.server_context(certificates, "kube"),
            self.world.log,
            self.world.faults,
        )
        await self._kube.start(HOST)
        for switch in self.fabric.switches.values():
            target = GnmiTarget(switch, self.fabric, self.world.log, self.world.faults)
            self.switch_ports[switch.name] = await target.start(*self.authority.issue(switch.name), host=HOST)
            self._targets.append(target)
        for machine in self.machines.values():
            self.fabric.connect(machine)
            bmc = RedfishBmc(machine, self.authority.server_context(certificates, machine.name))
            await bmc.start(HOST)
            self.bmcs[machine.name] = bmc
        if self.config.ipmi:
            from lab.ipmi import IpmiBmcs

            self._ipmi = IpmiBmcs(list(self.machines.values()))
            await self._ipmi.start(HOST)
        self._control = Control(self.world, self.machines, {name: bmc.port for name, bmc in self.bmcs.items()})
        await self._control.start(HOST)
        self._write_files(self._kube, self._control)
        # its import takes a quarter of a second, which the first login should not wait for
        self._warming = asyncio.create_task(asyncio.to_thread(importlib.import_module, "lab.ssh"))

    async def close(self) -> None:
        (self.directory / "lab.json").unlink(missing_ok=True)
        if self._control is not None:
            await self._control.close()
        if self._ipmi is not None:
            await self._ipmi.close()
        await asyncio.gather(*(machine.close() for machine in self.machines.values()))
        await asyncio.gather(*(bmc.close() for bmc in self.bmcs.values()))
        await asyncio.gather(*(target.stop() for target in self._targets))
        if self._kube is not None:
            await self._kube.stop()
        await self.tinkerbell.stop()
        self.world.log.close()

    # --- files

    def _write_files(self, kube: KubeServer, control: Control) -> None:
        kubeconfig, fleet = self.directory / "kubeconfig.yml", self.directory / "fleet.yml"
        _write(kubeconfig, yaml.safe_dump(kube.kubeconfig(self.authority.pem), sort_keys=False))
        _write(fleet, yaml.safe_dump(self.fleet_document(), sort_keys=False))
        facts = {
            "control_url": control.url,
            "pid": os.getpid(),
            "ssh_port": self.ssh_port,
            "kubeconfig": str(kubeconfig.resolve()),
            "ca_path": str(self.ca_path.resolve()),
            "fleet_file": str(fleet.resolve()),
            "ipmi_ports": {m.name: m.bmc.ipmi_port for m in self.machines.values() if m.bmc.ipmi_port},
        }
        _write(self.directory / "lab.json", json.dumps(facts, indent=2) + "\n")

    def fleet_document(self) -> dict[str, Any]:
        """The import document of this fleet (ARCHITECTURE.md, "Lab"). It holds passwords."""
        ca_path = str(self.ca_path.resolve())
        return {
            "networks": [
                {
                    "name": network.name,
                    "purpose": network.purpose,
                    "vlan": network.vlan,
                    "cidr": str(network.cidr),
                    "gateway": str(network.gateway),
                    "vni": network.vni,
                }
                for network in self.config.networks
            ],
            "switches": [
                {
                    "name": switch.name,
                    "address": HOST,
                    "grpc_port": self.switch_ports[switch.name],
                    "dialect": switch.dialect,
                    "username": switch.username,
                    "password": switch.password,
                    "ca_path": ca_path,
                }
                for switch in self.config.switches
            ],
            "servers": [self._server(machine, ca_path) for machine in self.machines.values()],
        }

    def _server(self, machine: Machine, ca_path: str) -> dict[str, Any]:
        config = machine.config
        return {
            "name": machine.name,
            "bmc_address": HOST,
            "bmc_port": self.bmcs[machine.name].port,
            "bmc_protocol": "redfish",
            "bmc_username": config.bmc_username,
            "bmc_password": config.bmc_password,
            "bmc_ca_path": ca_path,
            "bmc_validate_certs": True,
            "rack": config.rack,
            "pool": config.pool,
            "nvlink_domain": machine.name,
            "nics": [{"mac": machine.mac, "switch": machine.switch, "port": machine.switch_port}],
            "disks": [disk.device for disk in machine.disks],
            "hardware_profile": {"bios": dict(vendor(config.vendor).wanted_bios), "boot_order": list(BOOT_ORDER)},
        }


def _write(path: Path, text: str, mode: int = 0o600) -> None:
    """Write a file in one go: whoever sees it sees all of it."""
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    draft.touch(mode=mode)
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)
