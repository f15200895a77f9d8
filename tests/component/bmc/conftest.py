"""BMCs for the tests: one that replays resources, one that misbehaves on the wire, and the lab's."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import socket
import ssl
import sys
import tarfile
import threading
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.ipmi.pool import pool

from lab.clock import Clock
from lab.config import DELAYS, make_config
from lab.faults import FaultSet
from lab.log import WriteLog
from lab.machine import Machine, World
from lab.pki import CertificateAuthority
from lab.redfish.managers import restart
from lab.redfish.service import RedfishBmc
from tests.support.surroundings import Surroundings

ROOT = Path(__file__).resolve().parents[3]


def helper(name: str) -> Any:
    """A module beside this file (tests are no package, and the benchmark uses these too)."""
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


certificates = helper("certificates")
replay = helper("replay")


@pytest.fixture(scope="session")
def certs(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return certificates.make(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def start_replay(certs: Any) -> Iterator[Callable[..., Any]]:
    """``start_replay(resources, respond=None)`` → a Replay with ``params()``: the module options that reach it."""
    started: list[Any] = []

    def start(resources: Any, respond: Any = None, **more: Any) -> Any:
        bmc = replay.Replay(resources, certs.server_context(), respond, **more)
        started.append(bmc)
        bmc.params = lambda **options: {
            "bmc_address": "127.0.0.1",
            "bmc_port": bmc.port,
            "bmc_username": replay.USERNAME,
            "bmc_password": replay.PASSWORD,
            "bmc_ca_path": str(certs.ca),
            "bmc_protocol": "redfish",
            "bmc_timeout": 5,
            **options,
        }
        return bmc

    yield start
    for bmc in started:
        bmc.close()


# -- captures of real machines


class Capture:
    """A capture in the DMTF mockup layout, straight from its archive."""

    def __init__(self, archive: Path) -> None:
        self._files: dict[str, bytes] = {}
        with tarfile.open(archive) as tar:
            for member in tar:
                if member.isfile() and member.name.endswith("/index.json"):
                    content = tar.extractfile(member)
                    assert content is not None
                    path = "/" + member.name.split("/", 1)[1].removesuffix("/index.json")
                    self._files[path] = content.read()

    def get(self, path: str) -> dict[str, Any] | None:
        raw = self._files.get(path.rstrip("/"))
        return json.loads(raw) if raw is not None else None


def capture_archive(name: str) -> Path:
    shared = Path(os.environ.get("PALEBLUEDOT_SHARED") or ROOT.parent / "shared")
    archive = shared / "data" / "redfish" / f"{name}.tar.xz"
    if not archive.is_file():
        pytest.skip(f"no capture {name}.tar.xz beside the checkout (PALEBLUEDOT_SHARED names its folder)")
    return archive


@pytest.fixture(scope="session")
def dgx_capture() -> Capture:
    return Capture(capture_archive("nvidia_viking"))


@pytest.fixture(scope="session")
def hpe_capture() -> Capture:
    return Capture(capture_archive("hpe"))


@pytest.fixture(scope="session")
def dell_capture() -> Capture:
    return Capture(capture_archive("dell_multi_dpu"))


# -- a BMC that misbehaves below HTTP


@pytest.fixture
def raw_bmc(certs: Any) -> Iterator[Callable[..., dict[str, Any]]]:
    """``raw_bmc(talk, tls=True)``: each connection is given to ``talk``; answers the options that reach it."""
    listeners: list[socket.socket] = []
    ended = threading.Event()

    def start(talk: Callable[[Any, threading.Event], None], tls: bool = True) -> dict[str, Any]:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)
        context = certs.server_context()

        def serve(plain: socket.socket) -> None:
            try:
                with context.wrap_socket(plain, server_side=True) if tls else plain as connection:
                    talk(connection, ended)
            except (OSError, ssl.SSLError):
                pass

        def accept() -> None:
            while True:
                try:
                    plain, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=serve, args=(plain,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        return {
            "bmc_address": "127.0.0.1",
            "bmc_port": listener.getsockname()[1],
            "bmc_username": "admin",
            "bmc_password": "secret",
            "bmc_ca_path": str(certs.ca),
            "bmc_protocol": "redfish",
            "bmc_timeout": 1,
        }

    yield start
    ended.set()
    for listener in listeners:
        listener.close()


# -- the lab's BMC


class Loop:
    """An event loop in a thread, so that blocking clients can be used against servers in it."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, coroutine: Coroutine[Any, Any, Any], seconds: float = 10) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(seconds)

    def call(self, function: Callable[[], Any]) -> Any:
        async def there() -> Any:
            return function()

        return self.run(there())

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(5)
        self.loop.close()


class LabBmc:
    """One lab machine and its Redfish BMC."""

    def __init__(self, loop: Loop, machine: Machine, bmc: RedfishBmc, ca_path: Path) -> None:
        self._loop = loop
        self.machine = machine
        self.bmc = bmc
        self.ca_path = ca_path

    def params(self, **options: Any) -> dict[str, Any]:
        return {
            "bmc_address": "127.0.0.1",
            "bmc_port": self.bmc.port,
            "bmc_username": self.machine.config.bmc_username,
            "bmc_password": self.machine.config.bmc_password,
            "bmc_ca_path": str(self.ca_path),
            "bmc_protocol": "redfish",
            "bmc_timeout": 15,  # one of them starts a process for IPMI, on a machine that runs three tests at once
            **options,
        }

    def entry(self, **options: Any) -> dict[str, Any]:
        """The same as an entry of ``bmcs``."""
        params = {name.removeprefix("bmc_"): value for name, value in self.params().items()}
        return {"name": self.machine.name, **params, **options}

    def fault(self, kind: str, match: str = "*", value: Any = None, count: int | None = None) -> None:
        add = self.machine.world.faults.add
        layer = (
            "machine" if kind in ("power_stuck", "gpu_missing", "fabric_down", "odd_dates", "nic_drops") else "redfish"
        )
        self._loop.call(lambda: add(self.machine.name, layer, kind, match, value, count))

    def until(self, condition: Callable[[], bool], seconds: float = 5) -> None:
        """Wait for something on the lab's side; TimeoutError when it does not come."""

        async def wait() -> None:
            async with asyncio.timeout(seconds):
                while not condition():
                    await asyncio.sleep(0.01)

        self._loop.run(wait(), seconds + 1)

    def restart_bmc(self) -> None:
        """Somebody restarts the BMC: sessions end, and it is away for as long as the lab's delays say."""
        self._loop.call(lambda: restart(self.bmc))

    def ipmi_fault(self, kind: str, match: str = "*", value: Any = None, count: int | None = None) -> None:
        self._loop.call(lambda: self.machine.world.faults.add(self.machine.name, "ipmi", kind, match, value, count))

    def struck(self, count: int) -> int:
        """How often the one fault, set for ``count`` times, has struck."""
        left = self._loop.call(lambda: [fault.count for fault in self.machine.world.faults.list()])
        return count - (left[0] if left else 0)

    def orders(self) -> list[str]:
        """What the machine itself was told, whichever way: power orders that changed something, BIOS, GPU resets."""
        entries = self._loop.call(lambda: self.machine.world.log.select(self.machine.name, "machine"))
        return [entry.action for entry in entries if entry.detail.get("changed", True)]

    def machine_fault(self, kind: str, match: str, value: Any = None, count: int | None = None) -> None:
        """A fault of the machine itself, such as an image that is not run."""
        self._loop.call(lambda: self.machine.world.faults.add(self.machine.name, "machine", kind, match, value, count))

    def power(self, action: str) -> None:
        """By hand, and POST is over when it returns."""
        self._loop.run(self.machine.power_action(action, by="test"))
        for _round in range(50):
            if not self._loop.call(lambda: self.machine.in_post):
                return
            self._loop.run(asyncio.sleep(0.01))

    def slow_firmware(self, seconds: float) -> None:
        """An image takes so long to write from here on."""
        world = self.machine.world
        world.delays = replace(world.delays, firmware_s=seconds)

    def heal(self) -> None:
        self._loop.call(lambda: self.machine.world.faults.clear())

    def writes(self) -> list[str]:
        """What was written to this BMC, sessions apart."""
        entries = self._loop.call(lambda: self.machine.world.log.select(self.machine.name, "redfish"))
        return [entry.action for entry in entries if "/SessionService/" not in entry.action]

    def resets(self) -> list[str]:
        entries = self._loop.call(lambda: self.machine.world.log.select(self.machine.name, "redfish"))
        return [entry.detail["body"]["ResetType"] for entry in entries if entry.action.endswith("ComputerSystem.Reset")]

    def sessions(self) -> int:
        return len(self._loop.call(lambda: self.bmc.sessions.list()))


@pytest.fixture
def start_lab(tmp_path: Path) -> Iterator[Callable[..., LabBmc]]:
    """``start_lab("dell", bmc_reset_s=1)`` → a lab machine of that vendor; delays as in lab.config.Delays."""
    stops: list[Callable[[], None]] = []

    def begin(vendor: str = "ami", **delays: float) -> LabBmc:
        loop = Loop()
        folder = tmp_path / f"lab-{len(stops)}"
        folder.mkdir()
        around = Surroundings()
        ca = CertificateAuthority()
        ca_path = folder / "ca.pem"
        ca_path.write_bytes(ca.pem)

        async def start() -> tuple[Machine, RedfishBmc]:
            clock = Clock()
            taking = replace(DELAYS["none"], **delays)
            world = World(clock, WriteLog(clock), FaultSet(), taking, around, around, around)
            machine = Machine(make_config(folder, servers=1, block=77, vendor=vendor).machines[0], world)
            bmc = RedfishBmc(machine, ca.server_context(folder, "bmc"))
            await bmc.start()
            return machine, bmc

        machine, bmc = loop.run(start())

        def stop() -> None:
            loop.run(bmc.close())
            loop.run(machine.close())
            loop.close()

        stops.append(stop)
        return LabBmc(loop, machine, bmc, ca_path)

    yield begin
    for stop in stops:
        stop()


@pytest.fixture
def lab_bmc(start_lab: Callable[..., LabBmc]) -> LabBmc:
    return start_lab()


@pytest.fixture
def ipmi_bmc(lab_bmc: Any) -> Iterator[Any]:
    """The lab machine's options over IPMI."""
    ipmi = pytest.importorskip("lab.ipmi", reason="this lab has no IPMI")
    loop = lab_bmc._loop

    async def start() -> Any:
        server = ipmi.IpmiBmc(lab_bmc.machine)
        server.start()
        return server

    server = loop.run(start())
    redfish_params = lab_bmc.params
    lab_bmc.params = lambda **options: redfish_params(**{"bmc_protocol": "ipmi", "bmc_port": server.port, **options})
    lab_bmc.ipmi_port = server.port
    lab_bmc.redfish_params = redfish_params
    yield lab_bmc
    loop.run(server.close())
    pool().close()


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A UDP port on which somebody listens and never answers."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))
        yield listener.getsockname()[1]
