"""Where BMCs come from: captures of real machines, the lab's vendors, foreign servers."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import shutil
import tempfile
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.ipmi.pool import pool

from lab.clock import Clock
from lab.config import DELAYS, VENDORS, make_config
from lab.faults import FaultSet
from lab.firmware import make_image
from lab.log import WriteLog
from lab.machine import Machine, World
from lab.pki import CertificateAuthority
from lab.redfish.service import RedfishBmc
from lab.redfish.vendors import vendor as surface
from lab.replay import Tree
from tests.conformance.operations import Subject
from tests.support.replaying import Replayed, Replays, capture_path
from tests.support.surroundings import Surroundings


@dataclass(frozen=True)
class Source:
    """:param vendor: the column of the matrix. :param kind: capture, lab or peer.
    :param start: a context with a fresh BMC; each operation gets its own.
    :param here: why it cannot run on this machine, or None.
    """

    name: str
    vendor: str
    kind: str
    title: str
    start: Callable[[], AbstractContextManager[Subject]]
    here: Callable[[], str | None]


VENDOR_TITLES = {
    "ami": "AMI / DGX",
    "gigabyte": "AMI / Gigabyte",
    "dell": "Dell iDRAC",
    "hpe": "HPE iLO",
    "lenovo": "Lenovo XCC",
    "supermicro": "Supermicro",
    "openbmc": "OpenBMC",
    "generic": "generic",
}

# archive, vendor, what it was taken from
CAPTURES = {
    "nvidia_viking": ("ami", "NVIDIA DGX H100 (AMI MegaRAC with an HGX tray)"),
    "dell_multi_dpu": ("dell", "Dell PowerEdge R750 (iDRAC9), its lockdown lifted"),
    "hpe": ("hpe", "HPE ProLiant DL385 Gen10 Plus v2 (iLO 5)"),
}


# -- captures

_trees: dict[Path, Tree] = {}


def replayed(
    tree: Tree, prepare: Callable[[Replayed], None] | None = None, **options: Any
) -> AbstractContextManager[Subject]:
    """A capture behind a BMC. :param prepare: called with it before anybody asks it anything."""

    @contextmanager
    def start() -> Iterator[Subject]:
        with tempfile.TemporaryDirectory() as folder, Replays(Path(folder)) as replays:
            replayed = replays.start(tree, **{"away_s": 2.0, **options})
            if prepare is not None:
                prepare(replayed)
            yield Subject(replayed.params())

    return start()


BIOS_REGISTRY = "/redfish/v1/Systems/System.Embedded.1/Bios/BiosRegistry"
IDRAC = "/redfish/v1/Managers/iDRAC.Embedded.1/Oem/Dell/DellAttributes/iDRAC.Embedded.1"


def unlock(replayed: Replayed) -> None:
    """The captured R750 is in lockdown mode, in which it takes nothing and its attribute registry calls everything read
    only; an operator lifts that first."""
    store = replayed.bmc.store
    if not replayed.get(IDRAC):
        return
    store.change(IDRAC, Attributes={"Lockdown.1.SystemLockdown": "Disabled"})
    registry = copy.deepcopy(replayed.get(BIOS_REGISTRY))
    for entry in registry["RegistryEntries"]["Attributes"]:
        if entry.get("Type") == "Enumeration" and len(entry.get("Value") or ()) > 1:
            entry["ReadOnly"] = False
    store.put(BIOS_REGISTRY, registry)


def tree_of(name: str) -> Tree:
    archive = capture_path(name)
    assert archive is not None
    if archive not in _trees:
        _trees[archive] = Tree.read(archive)
    return _trees[archive]


def _capture(name: str, vendor: str, title: str) -> Source:
    def here() -> str | None:
        found = capture_path(name)
        return None if found else f"no capture {name}.tar.xz beside the checkout (PALEBLUEDOT_SHARED names its folder)"

    def start() -> AbstractContextManager[Subject]:
        return replayed(tree_of(name), unlock)

    return Source(f"capture-{name}", vendor, "capture", f"capture: {title}", start, here)


# -- the lab


@contextmanager
def _loop() -> Iterator[Callable[[Coroutine[Any, Any, Any]], Any]]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield lambda coroutine: asyncio.run_coroutine_threadsafe(coroutine, loop).result(20)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5)
        loop.close()


# Without delays a restart would be over before anybody could see it.
_SEEN = replace(DELAYS["none"], power_s=0.05, bmc_reset_s=2.0)


@contextmanager
def lab_machine(vendor: str, ipmi: bool = False) -> Iterator[Subject]:
    with tempfile.TemporaryDirectory() as name, _loop() as run:
        folder = Path(name)
        around = Surroundings()
        ca = CertificateAuthority()
        (folder / "ca.pem").write_bytes(ca.pem)

        async def start() -> tuple[Machine, RedfishBmc, Any]:
            clock = Clock()
            world = World(clock, WriteLog(clock), FaultSet(), _SEEN, around, around, around)
            machine = Machine(make_config(folder, servers=1, block=78, vendor=vendor).machines[0], world)
            bmc = RedfishBmc(machine, ca.server_context(folder, "bmc"))
            await bmc.start()
            server = None
            if ipmi:
                from lab.ipmi import IpmiBmc

                server = IpmiBmc(machine)
                server.start()
            return machine, bmc, server

        machine, bmc, server = run(start())
        try:
            yield Subject(
                {
                    "bmc_address": "127.0.0.1",
                    "bmc_port": server.port if server else bmc.port,
                    "bmc_username": machine.config.bmc_username,
                    "bmc_password": machine.config.bmc_password,
                    "bmc_ca_path": None if ipmi else str(folder / "ca.pem"),
                    "bmc_protocol": "ipmi" if ipmi else "redfish",
                    "bmc_timeout": 20,
                },
                image=lambda component, version: make_image({component: version}),
            )
        finally:

            async def end() -> None:
                if server is not None:
                    await server.close()
                await bmc.close()
                await machine.close()

            run(end())
            if ipmi:
                pool().close()


def _lab(vendor: str) -> Source:
    def here() -> str | None:
        try:
            surface(vendor)
        except ImportError:
            return f"the lab has no machine of the vendor {vendor}"
        return None

    title = f"lab machine: {VENDOR_TITLES.get(vendor, vendor)}"
    return Source(f"lab-{vendor}", vendor, "lab", title, lambda: lab_machine(vendor), here)


# -- foreign servers: their fixtures are in tests/peers/bmc


def _peer(name: str, vendor: str, title: str, context: str, why: Callable[[], str | None]) -> Source:
    @contextmanager
    def start() -> Iterator[Subject]:
        from tests.peers.bmc import servers

        with contextlib.ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            params = stack.enter_context(getattr(servers, context)(folder))
            yield Subject(params, media_url=stack.enter_context(servers.web_server(folder)))
        pool().close()

    return Source(name, vendor, "peer", title, start, why)


def _no_sushy() -> str | None:
    from tests.peers.bmc import servers

    return None if servers.SUSHY.exists() else "sushy-emulator is not here; tests/peers/setup.sh tries to get it"


def _no_ipmi_sim() -> str | None:
    missing = [name for name in ("ipmi_sim", "ipmitool") if shutil.which(name) is None]
    return f"{missing[0]} is not here (Debian: openipmi, ipmitool)" if missing else None


SOURCES: tuple[Source, ...] = (
    *(_capture(name, vendor, title) for name, (vendor, title) in CAPTURES.items()),
    *(_lab(vendor) for vendor in VENDORS),
    Source(
        "lab-ipmi",
        "ipmi",
        "lab",
        "lab machine over IPMI",
        lambda: lab_machine("ami", ipmi=True),
        lambda: None,
    ),
    _peer("sushy-emulator", "generic", "sushy-emulator --fake (sushy-tools)", "sushy", _no_sushy),
    _peer("ipmi_sim", "ipmi", "ipmi_sim (OpenIPMI)", "ipmi_sim", _no_ipmi_sim),
)
