"""What is asked of every switch: one list of operations, the same for every network operating system.

``python -m tests.conformance.switches`` tries them on the lab's switches and writes what came of it:
docs/compatibility/switch-<dialect>.json and the table docs/compatibility/switches.md.

An operation runs a module the way a task does (its SPEC's defaults, check mode first where it writes) and asserts what
has to hold for any switch. What differs between them (how a port is called, which path holds its description) is in
``Dialect``, not in the operations.
"""

from __future__ import annotations

import datetime
import importlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
# pytest has the collections on its path; ``python -m`` has not
if str(ROOT / "collections") not in sys.path:
    sys.path.append(str(ROOT / "collections"))

from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import (  # noqa: E402
    Conflict,
    PaleBlueDotError,
    Unsupported,
)

from tests.component.collection.conftest import LoopThread  # noqa: E402
from tests.component.collection.leaf import MAC, Leaf  # noqa: E402

FOLDER = ROOT / "docs" / "compatibility"
PREFIX = "switch-"
_MODULES = "ansible_collections.palebluedot.gpu.plugins.modules"


@dataclass(frozen=True)
class Dialect:
    """:param container: the container that holds a port's description; :param entry: what is set there."""

    title: str
    container: str
    entry: dict[str, Any]


_OPENCONFIG = "/interfaces/interface[name={}]/config"
DIALECTS = {
    "eos": Dialect("Arista EOS", _OPENCONFIG, {"description": "spare"}),
    "nxos": Dialect("Cisco NX-OS", "/System/intf-items/phys-items/PhysIf-list[id={}]", {"descr": "spare"}),
    "srlinux": Dialect("Nokia SR Linux", "/interface[name={}]", {"description": "spare"}),
    "sonic": Dialect(
        "SONiC",
        "/openconfig-interfaces:interfaces/interface[name={}]/config",
        {"openconfig-interfaces:config": {"description": "spare"}},
    ),
    "openconfig": Dialect("generic OpenConfig", _OPENCONFIG, {"description": "spare"}),
}


@dataclass
class Switch:
    """One switch under test, with a server of which name and MAC address are known on ``port``.

    :param params: the module options that reach it.
    :param vlan: the VLAN that the port is in.
    :param free: VLANs that are not there and may be made.
    :param leaf: the lab's own view of it, where it is one of the lab: what happened is looked up there as well.
    """

    dialect: Dialect
    params: dict[str, Any]
    port: str
    vlan: int
    free: tuple[int, ...]
    server: str
    mac: str
    leaf: Leaf | None = None

    def call(self, module: str, *, check: bool = False, **options: Any) -> dict[str, Any]:
        """Run a module with its defaults."""
        loaded = importlib.import_module(f"{_MODULES}.{module}")
        defaults = {name: option.get("default") for name, option in loaded.SPEC["argument_spec"].items()}
        found: dict[str, Any] = loaded.run({**defaults, **self.params, **options}, check)
        return found

    def settle(self, module: str, **options: Any) -> dict[str, Any]:
        """Plan, do, do again: the plan says what is done, and what is done needs no doing."""
        planned = self.call(module, check=True, **options)
        assert planned["changed"], f"{module} {options}: nothing to change"
        done = self.call(module, **options)
        assert done["changed"]
        assert done["diff"] == planned["diff"], f"planned {planned['diff']}, done {done['diff']}"
        assert not self.call(module, **options)["changed"], "the second run changed something again"
        return done

    def really_in(self, vlan: int) -> None:
        """The port is in a VLAN by what the switch says, and by the lab's physics."""
        (told,) = self.call("switch_port_info", interfaces=[self.port])["ports"]
        assert (told["mode"], told["vlan"]) == ("access", vlan), f"{self.port} is {told['mode']} {told['vlan']}"
        assert self.leaf is None or self.leaf.vlan() == vlan


Run = Callable[[Switch], str | None]


class Missing(Exception):
    """The switch shows nothing that the operation could work on; the message says what is missing."""


@dataclass(frozen=True)
class Operation:
    """:param area: the group that it is listed under. :param module: the module that it tries."""

    area: str
    name: str
    module: str
    run: Run

    @property
    def id(self) -> str:
        return f"{self.area}: {self.name}"


@dataclass(frozen=True)
class Outcome:
    """``outcome`` is works, unsupported or fails; ``detail`` says with what, what was missing, or why."""

    outcome: str
    detail: str


OPERATIONS: list[Operation] = []


def operation(area: str, name: str, module: str) -> Callable[[Run], Run]:
    def register(function: Run) -> Run:
        OPERATIONS.append(Operation(area, name, module, function))
        return function

    return register


# -- reading


@operation("switch info", "VLAN, mode and state of a port", "switch_port_info")
def _state(switch: Switch) -> str:
    (port,) = switch.call("switch_port_info", interfaces=[switch.port])["ports"]
    assert (port["mode"], port["vlan"]) == ("access", switch.vlan)
    assert port["admin_status"] == port["oper_status"] == "up"
    return f"{port['mode']} {port['vlan']}, {port['oper_status']}"


@operation("switch info", "who LLDP hears", "switch_port_info")
def _lldp(switch: Switch) -> str:
    (port,) = switch.call("switch_port_info", interfaces=[switch.port])["ports"]
    names = [neighbor["system_name"] for neighbor in port["neighbors"]]
    assert names == [switch.server]
    return ", ".join(names)


@operation("switch info", "counters", "switch_port_info")
def _counters(switch: Switch) -> str:
    (port,) = switch.call("switch_port_info", interfaces=[switch.port])["ports"]
    known = [name for name, value in port["counters"].items() if value is not None]
    if not known:
        raise Missing("no counters are shown")
    return ", ".join(known)


@operation("switch info", "MAC addresses", "switch_port_info")
def _macs(switch: Switch) -> str:
    (port,) = switch.call("switch_port_info", interfaces=[switch.port])["ports"]
    assert port["macs"] == [{"mac": switch.mac, "vlan": switch.vlan, "stale": False}]
    return f"{len(port['macs'])} known"


@operation("switch info", "all ports at once", "switch_port_info")
def _all_ports(switch: Switch) -> str:
    ports = switch.call("switch_port_info")["ports"]
    assert switch.port in [port["interface"] for port in ports]
    return f"{len(ports)} ports"


# -- ports


@operation("switch port", "into a new VLAN and back", "switch_port")
def _there_and_back(switch: Switch) -> None:
    options = {"interface": switch.port, "expect_neighbor": switch.mac}
    switch.settle("switch_port", vlan=switch.free[0], network="tenant", **options)
    switch.really_in(switch.free[0])
    switch.settle("switch_port", vlan=switch.vlan, network="quarantine", **options)
    switch.really_in(switch.vlan)


@operation("switch port", "the wrong neighbour keeps hands off", "switch_port")
def _wrong_neighbor(switch: Switch) -> None:
    try:
        switch.call("switch_port", interface=switch.port, vlan=switch.free[0], expect_neighbor="02:00:00:00:00:99")
    except Conflict as error:
        assert error.code == "neighbor_differs"
    else:
        raise AssertionError("a port that leads to somebody else was moved")
    switch.really_in(switch.vlan)


def _in_the_lab(switch: Switch) -> Leaf:
    if switch.leaf is None:
        raise Missing("only the lab's switches can be made to misbehave")
    return switch.leaf


@operation("switch port", "a Set done by half is put back", "switch_port")
def _half(switch: Switch) -> str:
    """Whichever edit of the Set was the last that was done."""
    leaf = _in_the_lab(switch)
    told = set()
    for done in (1, 2, -1):
        leaf.fault(match="Set *", kind="half", value=done, count=1)
        try:
            switch.call("switch_port", interface=switch.port, vlan=switch.free[0], expect_neighbor=switch.mac)
        except PaleBlueDotError as error:
            told.add(error.code)
            switch.really_in(switch.vlan)
            assert switch.free[0] not in leaf.switch.vlans
        else:
            # nothing or all of it was done: it came out as a success
            switch.really_in(switch.free[0])
            switch.call("switch_port", interface=switch.port, vlan=switch.vlan)
            switch.call("switch_vlan", vlan=switch.free[0], state="absent")
        leaf.faults.clear()
    return ", ".join(sorted(told))


@operation("switch port", "a lost answer is not done twice", "switch_port")
def _lost(switch: Switch) -> None:
    leaf = _in_the_lab(switch)
    leaf.fault(match="Set *", kind="lost", count=1)
    done = switch.call("switch_port", interface=switch.port, vlan=switch.free[0], expect_neighbor=switch.mac)
    assert done["changed"]
    assert leaf.writes() == ["vlan.create", "port.set"]


# -- VLANs


@operation("switch VLAN", "create, rename, remove", "switch_vlan")
def _vlan(switch: Switch) -> None:
    made = switch.settle("switch_vlan", vlan=switch.free[0], name="tenant-a")
    assert made["vlan"]["name"] == "tenant-a"
    switch.settle("switch_vlan", vlan=switch.free[0], name="tenant-b")
    switch.settle("switch_vlan", vlan=switch.free[0], state="absent")


@operation("switch VLAN", "one with ports in it is not removed", "switch_vlan")
def _in_use(switch: Switch) -> None:
    try:
        switch.call("switch_vlan", vlan=switch.vlan, state="absent")
    except Conflict as error:
        assert error.code == "vlan_in_use"
    else:
        raise AssertionError("a VLAN with ports in it was removed")
    switch.really_in(switch.vlan)


@operation("switch VLAN", "VNI: map, change, remove", "switch_vlan")
def _vni(switch: Switch) -> None:
    switch.settle("switch_vlan", vlan=switch.free[0], vni=10_000 + switch.free[0])
    switch.settle("switch_vlan", vlan=switch.free[0], vni=20_000 + switch.free[0])
    switch.settle("switch_vlan", vlan=switch.free[0], state="absent")
    if switch.leaf is not None:
        assert switch.leaf.switch.vnis == {}


@operation("switch VLAN", "VNI: a stale map is removed first", "switch_vlan")
def _stale(switch: Switch) -> None:
    old, new = switch.free[:2]
    switch.call("switch_vlan", vlan=old, vni=30_000)
    switch.settle("switch_vlan", vlan=new, vni=30_000)
    if switch.leaf is not None:
        assert switch.leaf.switch.vnis == {new: 30_000}


# -- gNMI as it is


@operation("gNMI", "get", "gnmi_get")
def _get(switch: Switch) -> str:
    values = switch.call("gnmi_get", paths=[switch.dialect.container.format(switch.port)])["values"]
    assert values
    return f"{len(values)} value" + ("s" if len(values) > 1 else "")


@operation("gNMI", "set", "gnmi_set")
def _set(switch: Switch) -> None:
    path = switch.dialect.container.format(switch.port)
    switch.settle("gnmi_set", update=[{"path": path, "value": switch.dialect.entry}])


@operation("gNMI", "subscribe once", "gnmi_subscribe_info")
def _once(switch: Switch) -> None:
    path = switch.dialect.container.format(switch.port)
    assert switch.call("gnmi_subscribe_info", paths=[path], timeout=10)["updates"]


@operation("gNMI", "subscribe and poll", "gnmi_subscribe_info")
def _poll(switch: Switch) -> None:
    path = switch.dialect.container.format(switch.port)
    answer = switch.call("gnmi_subscribe_info", paths=[path], mode="poll", polls=2, interval=0.1, timeout=10)
    assert {update["poll"] for update in answer["updates"]} == {0, 1, 2}


# -- where switches come from, and what is kept


@contextmanager
def lab_switch(name: str) -> Iterator[Switch]:
    loop = LoopThread()
    with tempfile.TemporaryDirectory() as folder:
        leaf = Leaf(loop, Path(folder), name)
        try:
            params = {**leaf.args(), "switch_timeout": 5, "wait_timeout": 5}
            yield Switch(DIALECTS[name], params, leaf.first, 666, (1207, 1208), "gpu-001", MAC, leaf)
        finally:
            leaf.close()
            loop.close()


def try_on_lab(name: str, wanted: Operation) -> Outcome:
    """An operation on a fresh switch of the lab."""
    with lab_switch(name) as switch:
        try:
            return Outcome("works", wanted.run(switch) or "")
        except Missing as missing:
            return Outcome("unsupported", str(missing))
        except Unsupported as error:
            return Outcome("unsupported", f"{error.code}: {error.message}")
        except PaleBlueDotError as error:
            return Outcome("fails", f"{error.code}: {error.message}; {error.tried}; {error.answer}"[:400])
        except Exception as error:
            return Outcome("fails", f"{type(error).__name__}: {error}"[:300])


def path_of(name: str) -> Path:
    return FOLDER / f"{PREFIX}{name}.json"


def read(name: str) -> dict[str, dict[str, Any]]:
    """The committed results of a dialect, by operation; empty where there are none yet."""
    path = path_of(name)
    if not path.is_file():
        return {}
    return {row["operation"]: row for row in json.loads(path.read_text())["results"]}


def _commit() -> str:
    """The commit that was measured; with a + when the working tree differs from it."""
    git = ["git", "-C", str(ROOT)]
    name = subprocess.run([*git, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=True)
    told = [*git, "status", "--porcelain", "--", ".", ":!docs/compatibility", ":!docs/compatibility.md"]
    changed = subprocess.run(told, capture_output=True, text=True, check=True)
    return name.stdout.strip() + ("+" if changed.stdout.strip() else "")


def measure(commit: str, say: Callable[[str], None]) -> int:
    """Run every operation on every dialect of the lab and write what came of it; how many fail."""
    failed = 0
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    for name, dialect in DIALECTS.items():
        rows = []
        for wanted in OPERATIONS:
            outcome = try_on_lab(name, wanted)
            failed += outcome.outcome == "fails"
            say(f"{PREFIX + name:20} {wanted.id:52} {outcome.outcome:12} {outcome.detail}")
            row = {"operation": wanted.id, "module": wanted.module, "outcome": outcome.outcome}
            rows.append({**row, "detail": outcome.detail, "date": today, "commit": commit})
        body = {"source": PREFIX + name, "kind": "lab", "dialect": name, "title": f"lab switch: {dialect.title}"}
        FOLDER.mkdir(parents=True, exist_ok=True)
        path_of(name).write_text(json.dumps({**body, "results": rows}, indent=2, ensure_ascii=False) + "\n")
    return failed


PAGE = FOLDER / "switches.md"
_SIGNS = {"works": "✓", "unsupported": "–", "fails": "✗"}
_HEAD = """# Compatibility: switches

Generated by `python -m tests.conformance.switches` from the results beside it; do not edit. Each cell names the result
that it is made of: **l** a switch of our lab, spoken to over gNMI. ✓ works · – not offered, and the module says why ·
✗ fails. The lab's switches are written from the vendors' models and guides; no real switch has been measured yet.

"""


def page() -> str:
    """Dialect × operation, every cell out of a committed result."""
    found = {name: read(name) for name in DIALECTS}
    shown = {name: rows for name, rows in found.items() if rows}
    lines = ["| source | measured | commit |", "|---|---|---|"]
    for name, rows in shown.items():
        dates, commits = (", ".join(sorted({row[key] for row in rows.values()})) for key in ("date", "commit"))
        lines.append(f"| [{PREFIX}{name}]({PREFIX}{name}.json) | {dates} | {commits} |")
    lines += [
        "",
        f"| operation | {' | '.join(DIALECTS[name].title for name in shown)} |",
        "|---|" + "---|" * len(shown),
    ]
    for wanted in OPERATIONS:
        cells = [
            f"{_SIGNS[rows[wanted.id]['outcome']]} [l]({PREFIX}{name}.json)" if wanted.id in rows else ""
            for name, rows in shown.items()
        ]
        lines.append(f"| {wanted.id} | {' | '.join(cells)} |")
    notes = [
        f"| {DIALECTS[name].title} | {row['operation']} | {row['detail']} |"
        for name, rows in shown.items()
        for row in rows.values()
        if row["outcome"] != "works"
    ]
    if notes:
        lines += [
            "",
            "## What is not offered, in the module's own words",
            "",
            "| dialect | operation | |",
            "|---|---|---|",
        ]
        lines += notes
    return _HEAD + "\n".join(lines) + "\n"


def main() -> int:
    failed = measure(_commit(), print)
    PAGE.write_text(page())
    print(f"{failed} operations fail; written: {PAGE.relative_to(ROOT)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
