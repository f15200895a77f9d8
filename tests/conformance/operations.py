"""What is asked of every BMC: one list of operations, the same for captures, the lab's machines and foreign servers.

An operation runs a module the way a task does (its SPEC's defaults, check mode first where it writes) and asserts what
has to hold for any BMC. It knows no vendor.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import re
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import (
    BadAnswer,
    InvalidInput,
    LicenceMissing,
    NotFound,
    PaleBlueDotError,
    Unsupported,
)

_PLUGINS = "ansible_collections.palebluedot.gpu.plugins"
WAIT_S = 60
AC_WAIT_S = 20


class Missing(Exception):
    """The BMC shows no resource that the operation could work on; the message names it."""


@dataclass
class Subject:
    """One BMC under test.

    :param params: the module options that reach it.
    :param image: makes a firmware image that brings a component to a version, as this BMC takes them.
    :param media_url: an image for a virtual drive; of a server that is there, where the BMC fetches it at once.
    """

    params: dict[str, Any]
    image: Callable[[str, str], bytes] = lambda component, version: f"{component} {version}".encode()
    media_url: str = "https://images.example.net/rescue.iso"

    def call(self, module: str, *, check: bool = False, **options: Any) -> dict[str, Any]:
        """Run a module with its defaults."""
        spec = importlib.import_module(f"{_PLUGINS}.modules.{module}").SPEC["argument_spec"]
        run = importlib.import_module(f"{_PLUGINS}.module_utils.bmc.operations.{module}").run
        defaults = {name: option.get("default") for name, option in spec.items()}
        reaches = {name: value for name, value in self.params.items() if name in spec}
        return run({**defaults, **reaches, **options}, check)

    def settle(self, module: str, **options: Any) -> dict[str, Any]:
        """Plan, do, do again: the plan says what is done, and what is done needs no doing."""
        planned = self.call(module, check=True, **options)
        assert planned["changed"], f"{module} {options}: nothing to change"
        done = self.call(module, **options)
        assert done["changed"]
        assert done["diff"] == planned["diff"], f"planned {planned['diff']}, done {done['diff']}"
        assert not self.call(module, **options)["changed"], "the second run changed something again"
        return done

    def info(self, *subset: str) -> dict[str, Any]:
        found: dict[str, Any] = self.call("bmc_info", subset=list(subset))["bmc"]
        return found

    def power(self, state: str) -> dict[str, Any]:
        return self.call("bmc_power", state=state, wait=True, wait_timeout=WAIT_S)


@dataclass(frozen=True)
class Operation:
    """:param area: the group that it is listed under. :param module: the module that it tries."""

    area: str
    name: str
    module: str
    run: Callable[[Subject], str | None]

    @property
    def id(self) -> str:
        return f"{self.area}: {self.name}"

    @property
    def available(self) -> bool:
        return importlib.util.find_spec(f"{_PLUGINS}.modules.{self.module}") is not None


@dataclass(frozen=True)
class Outcome:
    """``outcome`` is works, unsupported, ignored or fails; ``detail`` says with what, what was missing, or why.

    ignored: the BMC accepts the write and does not do it, and the module noticed (``not_applied``).
    """

    outcome: str
    detail: str


OPERATIONS: list[Operation] = []


def operation(area: str, name: str, module: str) -> Callable[[Callable[[Subject], str | None]], Any]:
    def register(function: Callable[[Subject], str | None]) -> Callable[[Subject], str | None]:
        OPERATIONS.append(Operation(area, name, module, function))
        return function

    return register


# Codes by which a module says that a BMC accepted a write and does not show it.
_NOTICED = frozenset({"not_applied", "never_away"})


def attempt(wanted: Operation, subject: Subject) -> Outcome:
    """Run an operation and say what came of it."""
    try:
        return Outcome("works", wanted.run(subject) or "")
    except Missing as missing:
        return Outcome("unsupported", str(missing))
    except (Unsupported, LicenceMissing, NotFound) as error:
        return Outcome("unsupported", _told(error))
    except PaleBlueDotError as error:
        return Outcome("ignored" if error.code in _NOTICED else "fails", _told(error))
    except AssertionError as error:
        return Outcome("fails", str(error).splitlines()[0][:300] if str(error) else "an assertion did not hold")
    except Exception as error:
        return Outcome("fails", f"{type(error).__name__}: {error}"[:300])


def _told(error: PaleBlueDotError) -> str:
    """An error's own words, without what changes from run to run."""
    parts = [error.message, error.tried, error.answer]
    text = "; ".join(" ".join(str(part).split()) for part in parts if part)
    text = re.sub(r"(127\.0\.0\.1|localhost|\[::1\])(:\d+)?", "the BMC", text)
    return f"{error.code}: {text}"[:400]


# -- reading


def _reads(subset: str, *facts: str) -> None:
    @operation("info", subset, "bmc_info")
    def read(bmc: Subject) -> str:
        found = bmc.info(subset)
        known = [f"{fact} {found[fact]}" for fact in facts if found[fact] is not None and "serial" not in fact]
        if not any(found[fact] is not None for fact in facts):
            raise Missing(f"none of {', '.join(facts)} is shown")
        return ", ".join(known)


_reads("power", "power_state")
_reads("system", "manufacturer", "model", "serial_number", "cpu_count", "memory_gb")
_reads("bios", "bios_version")
_reads("managers", "bmc_firmware_version")


@operation("info", "gpus", "bmc_info")
def info_gpus(bmc: Subject) -> str:
    gpus = bmc.info("gpus")["gpus"]
    if not gpus:
        raise Missing("no Processor of ProcessorType GPU and no PCIeDevice that is one")
    assert len({gpu["id"] for gpu in gpus}) == len(gpus)
    return f"{len(gpus)} × {gpus[0]['model']} ({gpus[0]['source']})"


@operation("info", "capabilities", "bmc_info")
def info_capabilities(bmc: Subject) -> str:
    found = bmc.info("capabilities")["capabilities"]
    return f"profile {found['profile']}" if found.get("profile") else "read"


@operation("info", "readings", "bmc_metrics_info")
def info_readings(bmc: Subject) -> str:
    entry = {"name": "subject", **{name.removeprefix("bmc_"): value for name, value in bmc.params.items()}}
    answer = bmc.call("bmc_metrics_info", bmcs=[entry], concurrency=1, timeout=20, rounds=1, interval=0.0)
    assert not answer["failures"], answer["failures"]
    (found,) = answer["metrics"]
    shown = [name for name in ("power_watts", "inlet_celsius") if found[name] is not None]
    shown += [f"{len(found['gpus'])} GPUs"] if found["gpus"] else []
    if not shown:
        raise Missing("no sensor, no PowerControl and no MetricReport with power, inlet or GPU temperature")
    return ", ".join(shown)


@operation("discovery", "without a login", "bmc_discover")
def discovery(bmc: Subject) -> str:
    ipmi = bmc.params["bmc_protocol"] == "ipmi"
    port = bmc.params["bmc_port"]
    answer = bmc.call(
        "bmc_discover",
        addresses=["127.0.0.1"],
        ports=[port],
        ipmi=ipmi,
        ipmi_port=port,
        timeout=5.0,
        concurrency=4,
    )
    assert len(answer["found"]) == 1, f"found {answer['found']}, others {answer['others']}"
    found = answer["found"][0]
    return ", ".join(str(found[name]) for name in ("protocol", "vendor") if found.get(name))


# -- power


def _bring(bmc: Subject, state: str) -> None:
    """A server in that power state, wherever it was before."""
    bmc.power(state)
    assert bmc.info("power")["power_state"] == state.capitalize()


@operation("power", "off", "bmc_power")
def power_off(bmc: Subject) -> None:
    _bring(bmc, "on")
    bmc.settle("bmc_power", state="off", wait=True, wait_timeout=WAIT_S)


@operation("power", "on", "bmc_power")
def power_on(bmc: Subject) -> None:
    _bring(bmc, "off")
    bmc.settle("bmc_power", state="on", wait=True, wait_timeout=WAIT_S)


@operation("power", "graceful", "bmc_power")
def power_graceful(bmc: Subject) -> None:
    _bring(bmc, "on")
    bmc.settle("bmc_power", state="graceful", wait=True, wait_timeout=WAIT_S)


@operation("power", "cycle", "bmc_power")
def power_cycle(bmc: Subject) -> None:
    _bring(bmc, "on")
    done = bmc.power("cycle")
    assert done["changed"] and done["power_state"] == "On"


@operation("power", "reset", "bmc_power")
def power_reset(bmc: Subject) -> None:
    _bring(bmc, "on")
    done = bmc.power("reset")
    assert done["changed"] and done["power_state"] == "On"


@operation("power", "AC cycle", "bmc_power")
def power_ac_cycle(bmc: Subject) -> None:
    _bring(bmc, "on")
    assert bmc.call("bmc_power", state="ac_cycle", wait=True, wait_timeout=AC_WAIT_S)["changed"]


# -- boot


def _boot(target: str, persistence: str) -> None:
    @operation("boot", f"{target} {persistence}", "bmc_boot")
    def boot(bmc: Subject) -> None:
        if bmc.call("bmc_boot")["boot"]["target"] != "none":
            try:
                bmc.call("bmc_boot", target="none")
            except PaleBlueDotError:  # whether it can be taken back is another operation's subject
                with contextlib.suppress(PaleBlueDotError):
                    bmc.call("bmc_boot", target="hdd", persistence="always")
        done = bmc.settle("bmc_boot", target=target, persistence=persistence)
        assert (done["boot"]["target"], done["boot"]["persistence"]) == (target, persistence)


_boot("pxe", "once")
_boot("http", "once")
_boot("pxe", "always")


@operation("boot", "no override", "bmc_boot")
def boot_cleared(bmc: Subject) -> None:
    bmc.call("bmc_boot", target="hdd", persistence="once")
    done = bmc.settle("bmc_boot", target="none")
    assert done["boot"]["target"] == "none"


@operation("boot", "once is used up by a boot", "bmc_boot")
def boot_consumed(bmc: Subject) -> None:
    _bring(bmc, "off")
    bmc.call("bmc_boot", target="pxe", persistence="once")
    _bring(bmc, "on")
    # a BMC drops the override when the firmware has taken it: after POST, not with the power
    end = time.monotonic() + 5
    while bmc.call("bmc_boot", check=True, target="none")["changed"]:
        assert time.monotonic() < end, "the override is still there after the boot"
        time.sleep(0.05)


@operation("boot", "order", "bmc_boot")
def boot_order(bmc: Subject) -> str:
    order = bmc.call("bmc_boot", check=True, target="none")["boot"]["boot_order"]
    if not order or len(order) < 2:
        raise Missing("Boot/BootOrder of the System has fewer than two entries")
    done = bmc.settle("bmc_boot", boot_order=[order[-1]])
    assert done["boot"]["boot_order"] == [order[-1], *order[:-1]]
    return f"{len(order)} options"


# -- BIOS


def _toggle(bmc: Subject) -> tuple[str, Any, Any]:
    """An attribute with a value that can be changed, its value and another that the BMC takes."""
    system = _system(bmc)
    bios = _get(bmc, _link(system, "Bios", "Bios"))
    attributes = bios.get("Attributes") or {}
    fixed = _read_only(bmc, bios)
    pairs = (("Enabled", "Disabled"), ("Enable", "Disable"), ("Disabled", "Enabled"), ("Disable", "Enable"))
    for name, value in sorted(attributes.items()):
        for now, other in pairs:
            if (
                value == now
                and name not in fixed
                and not re.search(r"tpm|secure|password|network|pxe|boot", name, re.I)
            ):
                return name, now, other
    raise Missing(f"{system['Bios']['@odata.id']} has no attribute that is Enabled or Disabled")


def _read_only(bmc: Subject, bios: dict[str, Any]) -> set[str]:
    """What the attribute registry rules out, where it has a body."""
    for path in (
        f"{bios['@odata.id'].rstrip('/')}/BiosRegistry",
        f"/redfish/v1/Registries/{bios.get('AttributeRegistry')}",
    ):
        try:
            entries = _get(bmc, path).get("RegistryEntries", {}).get("Attributes", [])
        except PaleBlueDotError:
            continue
        if entries:
            return {entry["AttributeName"] for entry in entries if entry.get("ReadOnly")}
    return set()


def _get(bmc: Subject, path: str) -> dict[str, Any]:
    found = bmc.call("redfish_request", method="GET", path=path)
    body: dict[str, Any] = found["body"]
    return body


def _system(bmc: Subject) -> dict[str, Any]:
    members = [member["@odata.id"] for member in _get(bmc, "/redfish/v1/Systems")["Members"]]
    hosts = [path for path in members if "HGX" not in path]
    return _get(bmc, hosts[0])


def _link(body: dict[str, Any], *names: str) -> str:
    for name in names:
        found = body.get(name)
        if isinstance(found, dict) and "@odata.id" in found:
            return str(found["@odata.id"])
    raise Missing(f"{body.get('@odata.id')} has no link {' or '.join(names)}")


def _redfish_only(bmc: Subject, what: str) -> None:
    if bmc.params["bmc_protocol"] == "ipmi":
        raise Missing(f"IPMI has no {what}")


@operation("BIOS", "stage an attribute", "bios_attributes")
def bios_stage(bmc: Subject) -> None:
    if bmc.params["bmc_protocol"] == "ipmi":
        bmc.call("bios_attributes", attributes={"Anything": "Enabled"}, apply_time="on_reset")
        raise AssertionError("BIOS attributes over IPMI")
    name, _now, other = _toggle(bmc)
    done = bmc.settle("bios_attributes", attributes={name: other}, apply_time="on_reset")
    assert done["reboot_required"]


@operation("BIOS", "a boot applies it", "bios_attributes")
def bios_applied(bmc: Subject) -> None:
    _redfish_only(bmc, "BIOS attributes")
    name, _now, other = _toggle(bmc)
    bmc.call("bios_attributes", attributes={name: other}, apply_time="on_reset")
    bmc.power("reset")
    end = time.monotonic() + 5
    while True:
        read = bmc.call("bios_attributes", check=True, attributes={name: other}, apply_time="on_reset")
        if not read["reboot_required"]:
            assert not read["changed"] and not read["pending"]
            return
        assert time.monotonic() < end, f"{name} is not {other} after the boot: {read['drift']}"
        time.sleep(0.05)


@operation("BIOS", "applied at once", "bios_attributes")
def bios_at_once(bmc: Subject) -> None:
    _redfish_only(bmc, "BIOS attributes")
    name, _now, other = _toggle(bmc)
    _bring(bmc, "on")
    done = bmc.settle("bios_attributes", attributes={name: other}, apply_time="immediate", wait_timeout=WAIT_S)
    assert not done["pending"] and not done["reboot_required"]


@operation("BIOS", "an impossible value is refused", "bios_attributes")
def bios_impossible(bmc: Subject) -> None:
    _redfish_only(bmc, "BIOS attributes")
    name, _now, _other = _toggle(bmc)
    try:
        bmc.call("bios_attributes", check=True, attributes={name: "Sideways"}, apply_time="on_reset")
    except InvalidInput:
        return
    registry = _get(bmc, _link(_system(bmc), "Bios")).get("AttributeRegistry")
    raise Missing(f"the attribute registry {registry} has no body here, so values cannot be checked beforehand")


# -- storage, profile


@operation("storage", "make and delete a volume", "storage_volume")
def volume(bmc: Subject) -> str:
    """Where the controller has a volume that one goes first, so that its drives are free, and is made again."""
    if bmc.params["bmc_protocol"] == "ipmi":
        bmc.call("storage_volume", name="pbd", state="absent")
        raise AssertionError("volumes over IPMI")
    found = _volume(bmc)
    if found is None:
        bmc.call("storage_volume", check=True, name="pbd", raid_type="RAID0", drives=["0"])
        raise AssertionError("a volume on no controller")
    controller, wanted, there = found
    for state in ("absent", "present") if there else ("present", "absent"):
        bmc.settle("storage_volume", controller=controller, state=state, wait_timeout=WAIT_S, **wanted)
    return f"{controller}: {wanted['raid_type']} over {len(wanted['drives'])} drives"


def _volume(bmc: Subject) -> tuple[str, dict[str, Any], bool] | None:
    """A controller with drives, a volume that it could have, and whether it has it."""
    try:
        units = _get(bmc, _link(_system(bmc), "Storage")).get("Members", [])
    except BadAnswer as error:
        raise Missing(_told(error)) from None  # a link to what the BMC cannot show
    for member in units:
        storage = _get(bmc, member["@odata.id"])
        drives = [_leaf(drive) for drive in storage.get("Drives", [])]
        if "Volumes" not in storage or not drives:
            continue
        for path in _get(bmc, _link(storage, "Volumes"))["Members"]:
            shown = _get(bmc, path["@odata.id"])
            if shown.get("RAIDType") and shown.get("VolumeType") != "RawDevice":
                of = [_leaf(drive) for drive in shown["Links"]["Drives"]]
                name = shown.get("DisplayName") or shown["Name"]
                return storage["Id"], {"name": name, "raid_type": shown["RAIDType"], "drives": of}, True
        kind, count = ("RAID1", 2) if len(drives) > 1 else ("RAID0", 1)
        return storage["Id"], {"name": "pbd", "raid_type": kind, "drives": drives[:count]}, False
    return None


def _leaf(link: dict[str, str]) -> str:
    return link["@odata.id"].rstrip("/").rsplit("/", 1)[-1]


@operation("profile", "BIOS and boot order by one restart", "hardware_profile")
def profile(bmc: Subject) -> str:
    if bmc.params["bmc_protocol"] == "ipmi":
        bmc.call("hardware_profile", bios={"Anything": "Enabled"})
        raise AssertionError("BIOS attributes over IPMI")
    name, _now, other = _toggle(bmc)
    _bring(bmc, "on")
    wanted: dict[str, Any] = {"bios": {name: other}}
    order = bmc.call("bmc_boot", check=True, target="none")["boot"]["boot_order"] or []
    if len(order) > 1:
        wanted["boot_order"] = [order[-1]]
    done = bmc.settle("hardware_profile", reboot="if_needed", wait_timeout=WAIT_S, **wanted)
    assert done["rebooted"] and not done["reboot_required"] and set(done["drift"]) == set(wanted)
    read = bmc.call("bios_attributes", check=True, attributes={name: other})
    assert not read["pending"] and not read["reboot_required"], f"after the restart: {read['drift']}"
    return " and ".join(wanted)


@operation("profile", "settings of the BMC", "hardware_profile")
def profile_of_the_bmc(bmc: Subject) -> None:
    done = bmc.settle("hardware_profile", bmc={"hostname": "pbd-profile"})
    assert not done["rebooted"] and set(done["drift"]) == {"bmc"}


# -- firmware, logs


@operation("firmware", "inventory", "firmware_info")
def firmware_inventory(bmc: Subject) -> str:
    found = bmc.call("firmware_info")["firmware"]
    if not found:
        raise Missing("UpdateService/FirmwareInventory has no member that says what is installed")
    assert all(component["id"] for component in found)
    return f"{len(found)} components"


@operation("firmware", "update by push", "firmware")
def firmware_update(bmc: Subject) -> str:
    found = bmc.call("firmware_info")["firmware"]
    usable = [one for one in found if one.get("updateable") is not False and one["version"]]
    if not usable:
        raise Missing("no member of UpdateService/FirmwareInventory is updateable")
    # a BMC's own firmware is run at once; what waits for a boot is another operation
    named = [one for one in usable if re.search(r"^(?!HGX).*(bmc|idrac|ilo\b|xcc)", f"{one['id']} {one['name']}", re.I)]
    target = (named or usable)[0]["id"]
    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder) / "image-99.1.2.bin"
        image.write_bytes(bmc.image(target, "99.1.2"))
        bmc.settle("firmware", image=str(image), targets=[target], version="99.1.2", wait=True, wait_timeout=WAIT_S)
    return str(target)


def _log(name: str) -> None:
    @operation("logs", name, "bmc_log_info")
    def log(bmc: Subject) -> str:
        first = bmc.call("bmc_log_info", logs=[name], limit=5)
        shown = [entry["id"] for entry in first["entries"]]
        again = bmc.call("bmc_log_info", logs=[name], limit=5, cursor=first["cursor"])
        assert not set(shown) & {entry["id"] for entry in again["entries"]}, "an entry came twice"
        return f"{len(shown)} read"


_log("sel")
_log("lifecycle")
_log("xid")


# -- the manager


@operation("virtual media", "insert and eject", "bmc_virtual_media")
def virtual_media(bmc: Subject) -> None:
    image = {"image": bmc.media_url, "media": "cd"}
    bmc.settle("bmc_virtual_media", state="inserted", **image)
    bmc.settle("bmc_virtual_media", state="ejected", media="cd")


@operation("accounts", "create, change, remove", "bmc_user")
def accounts(bmc: Subject) -> None:
    user = {"username": "pbdtest", "role": "operator"}
    bmc.settle("bmc_user", state="present", password="Aa1!conform7x", update_password="on_create", **user)
    done = bmc.call("bmc_user", state="present", username="pbdtest", role="administrator", update_password="on_create")
    assert done["changed"]
    bmc.settle("bmc_user", state="absent", username="pbdtest")


@operation("manager", "restart", "bmc_reset")
def manager_restart(bmc: Subject) -> None:
    done = bmc.call("bmc_reset", wait=True, wait_timeout=WAIT_S)
    assert done["changed"]
    assert bmc.info("power")["power_state"]


@operation("manager", "network settings", "bmc_network")
def manager_network(bmc: Subject) -> None:
    planned = bmc.call("bmc_network", check=True, hostname="pbd-conformance")
    assert planned["changed"] and planned["diff"]["before"] != planned["diff"]["after"]


@operation("events", "subscribe and unsubscribe", "bmc_event_subscription")
def events(bmc: Subject) -> None:
    wanted = {"destination": "https://192.0.2.9/events", "context": "pbd"}
    bmc.settle("bmc_event_subscription", state="present", **wanted)
    bmc.settle("bmc_event_subscription", state="absent", **wanted)


@operation("secure boot", "enable", "secure_boot")
def secure_boot(bmc: Subject) -> None:
    bmc.call("secure_boot", state="disabled")
    bmc.settle("secure_boot", state="enabled")


@operation("TPM", "clear", "tpm")
def tpm(bmc: Subject) -> None:
    assert bmc.call("tpm", check=True, state="cleared")["changed"]
    assert bmc.call("tpm", state="cleared")["changed"]


@operation("raw", "Redfish request", "redfish_request")
def raw_redfish(bmc: Subject) -> str:
    answer = bmc.call("redfish_request", method="GET", path="/redfish/v1")
    assert answer["status"] == 200
    return str(answer["body"].get("RedfishVersion"))


@operation("raw", "IPMI command", "ipmi_raw")
def raw_ipmi(bmc: Subject) -> None:
    answer = bmc.call("ipmi_raw", netfn=6, command=1, data=[], accept=[0])
    assert answer["code"] == 0 and len(answer["data"]) >= 11
