"""A leaf switch of the lab, served for a test."""

from __future__ import annotations

from ipaddress import IPv4Network
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from lab.clock import Clock
from lab.config import Network, SwitchConfig, port_name
from lab.fabric import Fabric
from lab.faults import FaultSet
from lab.gnmi import GnmiTarget
from lab.log import WriteLog
from lab.pki import CertificateAuthority

MAC = "02:47:50:14:00:01"
PASSWORD = "s3cret-leaf"


class Leaf:
    """One served leaf switch with one machine on its first port."""

    def __init__(self, loop: Any, directory: Path, dialect: str = "openconfig") -> None:
        self.loop = loop
        self.dialect = dialect
        self.first, self.second = port_name(dialect, 1), port_name(dialect, 2)
        clock = Clock()
        networks = (
            Network("provisioning", "provisioning", 100, IPv4Network("127.20.0.0/22")),
            Network("quarantine", "quarantine", 666, IPv4Network("127.20.4.0/22")),
        )
        self.fabric = Fabric(clock, networks, [SwitchConfig("leaf1", password=PASSWORD, dialect=dialect)])
        machine: Any = SimpleNamespace(
            name="gpu-001", serial_number="1", mac=MAC, switch="leaf1", switch_port=self.first, power="On"
        )
        self.machine = machine
        loop.call(self.fabric.connect, machine)
        self.switch = self.fabric.switches["leaf1"]
        self.log = WriteLog(clock)
        self.faults = FaultSet()
        authority = CertificateAuthority()
        self.ca_path = directory / "ca.pem"
        self.ca_path.write_bytes(authority.pem)
        certificate, key = authority.issue("leaf1")
        self.target = GnmiTarget(self.switch, self.fabric, self.log, self.faults)
        self.port = loop.run(self.target.start(certificate, key))

    def args(self, **more: Any) -> dict[str, Any]:
        return {
            "switch_address": "127.0.0.1",
            "switch_grpc_port": self.port,
            "switch_username": "admin",
            "switch_password": PASSWORD,
            "switch_ca_path": str(self.ca_path),
            "switch_dialect": self.dialect,
            **more,
        }

    def move(self, **more: Any) -> dict[str, Any]:
        """Arguments of switch_port."""
        return {**self.args(), "interface": self.first, "vlan": 1207, "expect_neighbor": MAC, **more}

    def params(self, **more: Any) -> dict[str, Any]:
        """Parameters of switch_port, defaults included."""
        return {**self.move(), "switch_timeout": 5, "wait_timeout": 3, "rollback": True, **more}

    def asked(self, **more: Any) -> dict[str, Any]:
        """Parameters of any other module of the family."""
        return {**self.args(), "switch_timeout": 5, "wait_timeout": 3, **more}

    def fault(self, **fault: Any) -> None:
        self.faults.add("*", "gnmi", **fault)

    def close(self) -> None:
        self.loop.run(self.target.stop())

    def vlan(self) -> int | None:
        """Where the machine really is."""
        found: int | None = self.loop.call(self.fabric.vlan, self.machine)
        return found

    def writes(self) -> list[str]:
        return [entry.action for entry in self.log.select(layer="gnmi")]
