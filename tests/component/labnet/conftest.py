"""A loop in a thread of its own, so that blocking clients can talk to the lab's servers."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import os
import ssl
import threading
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from lab.clock import Clock
from lab.config import make_config
from lab.disk import Disk
from lab.fabric import Fabric, Vlan
from lab.faults import FaultSet
from lab.kube.crds import DialectName, tinkerbell_resources
from lab.kube.managed import Writer
from lab.kube.store import Resource, Store
from lab.log import WriteLog
from lab.machine import Machine, World
from lab.tinkerbell.service import Tinkerbell

T = TypeVar("T")


class LoopThread:
    """``run`` carries a coroutine out in the loop and returns its result."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, coroutine: Coroutine[Any, Any, T], timeout: float = 20) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(timeout)

    def close(self) -> None:
        async def end_tasks() -> None:
            tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        self.run(end_tasks())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(10)
        self.loop.close()


@dataclass(frozen=True)
class Certificate:
    """A self-signed certificate for 127.0.0.1, which is its own CA."""

    pem: bytes
    key_pem: bytes
    path: Path
    context: ssl.SSLContext


@pytest.fixture
def loop_thread() -> Iterator[LoopThread]:
    thread = LoopThread()
    yield thread
    thread.close()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    loopback = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.IPv4Address("127.0.0.1"))])
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(loopback, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = built.public_bytes(serialization.Encoding.PEM)
    key_pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    directory = tmp_path_factory.mktemp("tls")
    path = directory / "cert.pem"
    path.write_bytes(pem)
    (directory / "key.pem").write_bytes(key_pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path, directory / "key.pem")
    return Certificate(pem, key_pem, path, context)


class IdleSystem:
    """An installed system that comes up and does nothing."""

    def __init__(self) -> None:
        self.started: list[str] = []

    async def run(self, machine: Machine, disk: Disk, started: Callable[[], None]) -> str:
        self.started.append(machine.name)
        started()
        await asyncio.Event().wait()
        return "halt"

    async def stop(self, machine: Machine) -> None: ...


class TinkLab:
    """Machines, switches and Tinkerbell without any listening socket; the clock runs 1000 times as fast."""

    def __init__(
        self,
        directory: Path,
        dialect: DialectName = "mono",
        servers: int = 2,
        delays: str = "none",
        crds_dir: Path | None = None,
    ) -> None:
        self.config = make_config(directory, servers=servers, delays=delays, block=21)
        self.clock = Clock(speed=1000)
        self.faults = FaultSet()
        self.log = WriteLog(self.clock)
        self.fabric = Fabric(self.clock, self.config.networks, self.config.switches)
        self.world = World(self.clock, self.log, self.faults, self.config.delays)
        self.store = Store(tinkerbell_resources(dialect, crds_dir))
        self.tinkerbell = Tinkerbell(self.store, self.fabric, self.clock, self.faults, dialect)
        self.world.fabric = self.fabric
        self.world.boot_service = self.tinkerbell
        self.system = IdleSystem()
        self.world.system = self.system
        self.machines = [Machine(config, self.world) for config in self.config.machines]
        for machine in self.machines:
            self.fabric.connect(machine)

    async def __aenter__(self) -> TinkLab:
        await self.tinkerbell.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        for machine in self.machines:
            await machine.close()
        await self.tinkerbell.stop()

    @property
    def machine(self) -> Machine:
        return self.machines[0]

    def kind(self, name: str) -> Resource:
        return self.store.kind("bmc.tinkerbell.org" if name in ("Job", "Machine", "Task") else "tinkerbell.org", name)

    def create(self, kind: str, name: str, spec: dict[str, Any]) -> Any:
        body = {"metadata": {"name": name}, "spec": spec}
        return self.store.create(self.kind(kind), "default", body, Writer("test"))

    def get(self, kind: str, name: str) -> Any:
        return self.store.get(self.kind(kind), "default", name)

    def hardware(self, machine: Machine, allow_pxe: bool = True, **spec: Any) -> Any:
        interface = {
            "dhcp": {"mac": machine.mac, "hostname": machine.name, "uefi": True},
            "netboot": {"allowPXE": allow_pxe, "allowWorkflow": True},
        }
        disks = [{"device": "/dev/nvme0n1"}, {"device": "/dev/nvme1n1"}]
        return self.create("Hardware", machine.name, {"interfaces": [interface], "disks": disks, **spec})

    def workflow(self, name: str, template: str, machine: Machine, **spec: Any) -> Any:
        fields = {
            "templateRef": template,
            "hardwareRef": machine.name,
            "hardwareMap": {"device_1": machine.mac},
        }
        return self.create("Workflow", name, fields | spec)

    def status(self, name: str) -> dict[str, Any]:
        status: dict[str, Any] = self.get("Workflow", name).get("status") or {}
        return status

    def set_vlan(self, machine: Machine, purpose: str) -> None:
        port = self.fabric.port(machine)
        assert port is not None
        port.access_vlan = self.config.network(purpose).vlan
        self.fabric.switches[machine.switch].vlans.setdefault(port.access_vlan, Vlan(port.access_vlan, purpose))
        self.fabric.notify()

    async def until(self, met: Callable[[], object], real_seconds: float = 30) -> None:
        """Wait until something holds."""
        async with asyncio.timeout(real_seconds):
            while not met():
                await asyncio.sleep(0.002)

    async def until_state(self, name: str, *states: str) -> dict[str, Any]:
        await self.until(lambda: self.status(name).get("state") in states)
        return self.status(name)


@pytest.fixture
def tink_lab(tmp_path: Path) -> Callable[..., TinkLab]:
    return lambda **options: TinkLab(tmp_path, **options)


@pytest.fixture(scope="session")
def tinkerbell_data() -> Path:
    """The folder of Tinkerbell's own CRDs."""
    here = Path(__file__).resolve()
    candidates = [Path(os.environ["PALEBLUEDOT_SHARED"])] if "PALEBLUEDOT_SHARED" in os.environ else []
    candidates += [parent / "shared" for parent in here.parents]
    for shared in candidates:
        if (shared / "data" / "tinkerbell").is_dir():
            return shared / "data" / "tinkerbell"
    pytest.skip("Tinkerbell's CRD files are not here (set PALEBLUEDOT_SHARED to the folder that holds data/tinkerbell)")
