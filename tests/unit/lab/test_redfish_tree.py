"""The Redfish tree as a whole: every link leads somewhere, and its shape is that of the captured DGX H100."""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.disk import Disk
from lab.machine import Machine
from lab.redfish.service import RedfishBmc

# Links of the real one to what the lab does not have
ELSEWHERE = ("/redfish/v1/Fabrics",)
# Where the capture is poorer than the firmware: the mockup tool wrote only the head of these resources down, or there
# was nothing in the drive (VirtualMedia), so that there is no shape to compare with.
NO_SHAPE = (
    "/redfish/v1/Systems/DGX/Storage",
    "/redfish/v1/Managers/BMC/VirtualMedia/",
    # another event under the same number; the collection's members are compared
    "/redfish/v1/Systems/HGX_Baseboard_0/LogServices/EventLog/Entries/",
)
# Open sets of names: values are the machine's, not the schema's.
OPEN = ("Attributes", "Thresholds")


@pytest.fixture
def bmc(machine: Machine) -> RedfishBmc:
    async def make() -> RedfishBmc:
        bmc = RedfishBmc(machine, ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
        await machine.power_action("on", by="test")
        for gpu in machine.gpus[:2]:
            machine.xid(gpu, 62, "badf5723")
        await machine.close()
        return bmc

    return asyncio.run(make())


def links(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for name, inner in value.items():
            if name in ("@odata.id", "@Redfish.ActionInfo") and isinstance(inner, str):
                yield inner.split("#")[0]
            else:
                yield from links(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from links(inner)


def walk(bmc: RedfishBmc) -> Iterator[tuple[str, dict[str, Any] | None]]:
    seen: set[str] = set()
    todo = ["/redfish/v1"]
    while todo:
        path = todo.pop()
        if path in seen or path.startswith(ELSEWHERE):
            continue
        seen.add(path)
        body = bmc.resource(path)
        yield path, body
        todo.extend(links(body))


def test_every_link_leads_somewhere(bmc: RedfishBmc) -> None:
    found = dict(walk(bmc))
    assert [path for path, body in found.items() if body is None] == []
    assert [path for path, body in found.items() if body and body["@odata.id"] != path] == []
    assert len(found) > 850


def capture_archive() -> Path | None:
    shared = os.environ.get("PALEBLUEDOT_SHARED")
    candidates = [Path(shared)] if shared else [p / "shared" for p in Path(__file__).resolve().parents]
    for candidate in candidates:
        archive = candidate / "data" / "redfish" / "nvidia_viking.tar.xz"
        if archive.is_file():
            return archive
    return None


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Bodies of the captured DGX H100 by path."""
    archive = capture_archive()
    if archive is None:
        pytest.skip("the DGX H100 capture (shared/data/redfish/nvidia_viking.tar.xz) is not here")
    bodies = {}
    with tarfile.open(archive) as tar:
        for member in tar:
            if member.isfile() and member.name.endswith("/index.json") and (file := tar.extractfile(member)):
                path = "/redfish" + member.name.split("/redfish", 1)[1].removesuffix("/index.json")
                bodies[path] = json.loads(file.read())
    return bodies


def kind(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    return type(value).__name__


def differences(path: str, ours: Any, theirs: Any) -> Iterator[str]:
    """Properties of ours that theirs does not have, and those of another JSON type."""
    if ours is None or theirs is None:
        return  # any property may be null
    if kind(ours) != kind(theirs):
        yield f"{path}: {kind(ours)}, captured {kind(theirs)}"
    elif isinstance(ours, dict):
        for name, value in ours.items():
            if name not in theirs:
                yield f"{path}/{name}: not in the capture"
            elif name not in OPEN:
                yield from differences(f"{path}/{name}", value, theirs[name])
    elif isinstance(ours, list) and theirs:
        for value in ours:
            # one of theirs must fit: members of a list differ in what they carry
            tries = [list(differences(path, value, other)) for other in theirs[:200]]
            if all(tries):
                yield from min(tries, key=len)


def test_resources_are_shaped_like_the_captured_ones(bmc: RedfishBmc, capture: dict[str, Any]) -> None:
    found: list[str] = []
    compared = 0
    for path, body in walk(bmc):
        theirs = capture.get(path)
        if theirs is None or "error" in theirs or path.startswith(NO_SHAPE):
            continue
        compared += 1
        found.extend(differences(path, body, theirs))
    assert found == []
    assert compared > 700


def test_the_report_has_the_captured_metrics(bmc: RedfishBmc, capture: dict[str, Any]) -> None:
    path = "/redfish/v1/TelemetryService/MetricReports/HGX_PlatformEnvironmentMetrics_0"
    ours = bmc.resource(path)
    assert ours is not None
    metrics = [value["MetricProperty"] for value in ours["MetricValues"]]
    assert metrics == [value["MetricProperty"] for value in capture[path]["MetricValues"]]


def test_types_carry_the_captured_versions(bmc: RedfishBmc, capture: dict[str, Any]) -> None:
    def types(body: Any) -> str:
        return str(body["@odata.type"])

    wrong = {
        path: types(body)
        for path, body in walk(bmc)
        if body and path in capture and "error" not in capture[path] and types(body) != types(capture[path])
    }
    assert wrong == {}


def test_drives_are_told_apart(bmc: RedfishBmc) -> None:
    body = bmc.resource("/redfish/v1/Systems/DGX/Storage/StorageUnit_0")
    assert body is not None
    serials = [bmc.resource(drive["@odata.id"])["SerialNumber"] for drive in body["Drives"]]  # type: ignore[index]
    disks: list[Disk] = bmc.machine.disks
    assert serials == [disk.serial for disk in disks]
