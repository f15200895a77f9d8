# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""One interface to a baseboard management controller, whatever protocol and vendor are behind it."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from types import TracebackType
from typing import Any, TypeVar

from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import PaleBlueDotError, Unreachable, Unsupported

F = TypeVar("F")

SUBSETS = ("power", "system", "bios", "gpus", "managers", "capabilities")
# what costs a request for each part, and is read where it is asked for
PART_SUBSETS = ("memory", "drives", "nics", "links")


class Refused(PaleBlueDotError):
    """The BMC understood the request and will not do it."""

    code = "refused"


class AnswerLost(Unreachable):
    """A write was sent and no answer came: it may or may not have been carried out, so read back first.

    Retryable only where whoever tries again reads first, and doing it twice is doing it once.
    """

    code = "answer_lost"
    retryable = False


class PowerState(StrEnum):
    """Redfish's PowerState (DSP0268); IPMI only knows On and Off."""

    ON = "On"
    OFF = "Off"
    POWERING_ON = "PoweringOn"
    POWERING_OFF = "PoweringOff"
    PAUSED = "Paused"


class PowerAction(StrEnum):
    """What can be done to a server's power, in the words of ``bmc_power``."""

    ON = "on"
    OFF = "off"
    GRACEFUL = "graceful"
    CYCLE = "cycle"
    RESET = "reset"
    AC_CYCLE = "ac_cycle"


class BootTarget(StrEnum):
    NONE = "none"
    PXE = "pxe"
    HTTP = "http"
    CD = "cd"
    HDD = "hdd"
    BIOS = "bios"
    UEFI_TARGET = "uefi_target"


@dataclass(frozen=True)
class Task:
    """A long operation that the BMC goes on with: where to ask, its state (Redfish TaskState), percent done."""

    uri: str | None
    state: str | None = None
    percent: int | None = None


@dataclass(frozen=True)
class Gpu:
    """``memory_gb`` is the marketed figure; ``source`` says where it was found: processor, card, pcie_device or
    chassis."""

    id: str
    model: str | None
    serial_number: str | None
    memory_gb: int | None
    source: str


@dataclass(frozen=True)
class Sensor:
    """One reading; ``health`` is OK, Warning or Critical, None where the sensor only counts. ``states`` says why."""

    name: str
    kind: str | None
    value: float | None
    unit: str | None
    health: str | None
    states: list[str]


@dataclass(frozen=True)
class Dimm:
    """A memory socket; ``name`` as the board has it, ``size_gb`` in GiB, ``state`` Absent when it is empty."""

    id: str
    name: str | None
    size_gb: int | None
    serial_number: str | None
    part_number: str | None
    state: str | None
    health: str | None


@dataclass(frozen=True)
class Drive:
    """A drive; ``size_gb`` in units of 10^9 bytes, ``name`` its bay as it is labelled."""

    id: str
    name: str | None
    model: str | None
    serial_number: str | None
    size_gb: int | None
    protocol: str | None
    state: str | None
    health: str | None


@dataclass(frozen=True)
class Nic:
    """A network interface of the host."""

    id: str
    mac: str | None
    speed_mbps: int | None
    link_up: bool | None


@dataclass(frozen=True)
class Adapter:
    """A network card."""

    id: str
    model: str | None
    manufacturer: str | None
    serial_number: str | None
    part_number: str | None
    state: str | None
    health: str | None


@dataclass(frozen=True)
class Link:
    """A PCIe link as it was trained: lanes and generation in use, and what both ends could do. ``kind`` gpu or nic."""

    id: str
    kind: str
    width: int
    max_width: int | None
    generation: int | None
    max_generation: int | None


@dataclass(frozen=True)
class Finding:
    """Something that is wrong although each part by itself is well. ``code`` is what a playbook branches on."""

    code: str
    part: str
    message: str


@dataclass
class BmcInfo:
    """What ``bmc_info`` returns as ``bmc``; what was not asked for, or is not known, is None."""

    protocol: str
    power_state: str | None = None
    manufacturer: str | None = None
    model: str | None = None
    serial_number: str | None = None
    cpu_count: int | None = None
    memory_gb: int | None = None
    bios_version: str | None = None
    bmc_firmware_version: str | None = None
    gpus: list[Gpu] | None = None
    dimms: list[Dimm] | None = None
    drives: list[Drive] | None = None
    nics: list[Nic] | None = None
    adapters: list[Adapter] | None = None
    links: list[Link] | None = None
    capabilities: dict[str, Any] | None = None
    health: str | None = None
    sensors: list[Sensor] | None = None
    findings: list[Finding] | None = None

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Boot:
    """The boot override and order as they will hold at the next boot.

    ``persistence`` is once or always, None without an override; ``mode`` is uefi or legacy, None where the BMC does not
    say; ``boot_order`` holds boot option references (Boot0003), None where the BMC does not offer it.
    ``target`` is a `BootTarget` value, or the BMC's own word for a target that has none. ``uefi_target`` is the device
    path that goes with the target of that name.
    """

    target: str
    persistence: str | None
    mode: str | None
    boot_order: list[str] | None
    uefi_target: str | None = None

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Bios:
    """BIOS attributes: ``current`` holds now, ``pending`` what the next boot would apply (only what the BMC lists).

    :param name_suffix: regular expression of what this BIOS appends to names and changes with its version.
    :param synonyms: values that this BIOS spells now this way, now that.
    :param pending_clears: whether a staged value can be taken back before the next boot.
    :param late_boot_options: whether boot options that attributes bring appear only after a boot with them.
    """

    current: dict[str, Any]
    pending: dict[str, Any]
    name_suffix: str = ""
    synonyms: tuple[tuple[str, str], ...] = ()
    pending_clears: bool = True
    late_boot_options: bool = False

    def future(self, name: str) -> Any:
        """The value after the next boot."""
        return self.pending.get(name, self.current.get(name))

    def own_name(self, name: str) -> str | None:
        """What this BIOS calls the attribute; None where it has none, or several that could be meant."""
        if name in self.current or not self.name_suffix:
            return name if name in self.current else None
        found = [own for own in self.current if re.sub(f"(?:{self.name_suffix})$", "", own) == name]
        return found[0] if len(found) == 1 else None

    def own_value(self, name: str, value: Any) -> Any:
        """The value in the type and spelling that this BIOS shows: Jinja and YAML turn 115200 and Yes into what they
        are not, and one Supermicro attribute takes Enable where the next takes Enabled."""
        current = self.current.get(name)
        if isinstance(current, bool):
            if isinstance(value, str) and value.strip().lower() in ("true", "false"):
                return value.strip().lower() == "true"
        elif isinstance(current, int):
            if isinstance(value, str) and value.strip().lstrip("-").isdigit():
                return int(value)
        elif isinstance(current, str) and isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        elif isinstance(current, str):
            for spelling in (0, 1):
                words = {pair[spelling] for pair in self.synonyms}
                if current in words:
                    return {pair[1 - spelling]: pair[spelling] for pair in self.synonyms}.get(value, value)
        return value


@dataclass(frozen=True)
class ServerState:
    """``health`` is Redfish's Status.HealthRollup (OK, Warning, Critical), else Status.Health; None when not known."""

    power_state: str | None
    health: str | None


@dataclass
class GpuMetrics:
    """Readings of one GPU; None where there is none.

    ``margin_celsius`` is the distance to throttling (NVIDIA's TLIMIT, TEMP_1): 0 or less is hot, it is no temperature.
    ``stale`` is what the BMC says of its own reading.
    """

    id: str
    source: str
    temperature_celsius: float | None = None
    margin_celsius: float | None = None
    memory_temperature_celsius: float | None = None
    power_watts: float | None = None
    stale: bool = False


@dataclass
class Metrics:
    """Readings of one server."""

    power_watts: float | None = None
    inlet_celsius: float | None = None
    gpus: list[GpuMetrics] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


class Bmc(ABC):
    """A connection to one BMC. Use it in ``with``: leaving it logs out, whatever happened inside.

    Each operation has its own deadline (``bmc_timeout``) and raises `errors.PaleBlueDotError` subclasses only.
    """

    protocol: str

    @property
    @abstractmethod
    def host(self) -> str:
        """The address as it is shown in errors."""

    @abstractmethod
    def power_state(self) -> PowerState | None:
        """The server's power state; None when the BMC does not know it."""

    @abstractmethod
    def set_power(self, action: PowerAction, *, wait_timeout: float | None) -> Task | None:
        """Carry out a power action.

        :param wait_timeout: seconds to wait until the wanted state is read back; None: return when the BMC accepted it.
        """

    @abstractmethod
    def check_power(self, action: PowerAction) -> None:
        """Raise `errors.Unsupported` for what this server's BMC cannot do; nothing is written."""

    @abstractmethod
    def info(self, subset: Collection[str]) -> BmcInfo:
        """What the BMC says of the server, limited to ``subset`` (see `SUBSETS` and `PART_SUBSETS`)."""

    @abstractmethod
    def boot(self) -> Boot:
        """The boot override and order."""

    @abstractmethod
    def set_boot(
        self,
        *,
        target: BootTarget | None = None,
        persistence: str = "once",
        mode: str | None = None,
        boot_order: Sequence[str] | None = None,
        uefi_target: str | None = None,
        dry: bool = False,
    ) -> None:
        """Set the override (``target``) and/or the order. Whether it held is for the caller to read back.

        :param uefi_target: the UEFI device path that the target of that name wants.
        :param dry: only raise what cannot be; nothing is written.
        """

    @abstractmethod
    def resolve_uefi_target(self, wanted: str) -> str:
        """The UEFI device path of ``wanted``: a path as it is, or that of a boot option by reference or its name."""

    @abstractmethod
    def resolve_boot_order(self, wanted: Sequence[str]) -> list[str]:
        """The whole boot order that puts ``wanted`` (references, display names or kinds such as pxe) first."""

    @abstractmethod
    def bios(self) -> Bios:
        """BIOS attributes, current and pending."""

    @abstractmethod
    def check_bios(self, attributes: Mapping[str, Any], *, apply_time: str = "on_reset") -> None:
        """Raise `errors.InvalidInput` for values that the BMC's attribute registry rules out (if it has one), and
        `errors.Unsupported` for an apply time that it does not offer."""

    @abstractmethod
    def set_bios(self, attributes: Mapping[str, Any], *, apply_time: str) -> Task | None:
        """Stage attributes for the next boot (``on_reset``) or at once (``immediate``)."""

    def state(self) -> ServerState:
        """Power and health in as few requests as there are; a protocol that knows no health says None."""
        power = self.power_state()
        return ServerState(power.value if power else None, None)

    @abstractmethod
    def metrics(self) -> Metrics:
        """Power and temperatures of the server and its GPUs."""

    @abstractmethod
    def capabilities(self) -> dict[str, Any]:
        """What this BMC offers."""

    @abstractmethod
    def facet(self, *, redfish: Callable[[Any], F] | None = None, ipmi: Callable[[Any], F] | None = None) -> F:
        """One more subject of this BMC (accounts, logs, firmware, ...), made for the protocol that it speaks.

        What nearly every module needs is a method of this class; the rest would make it a class about everything. Each
        further subject is an abstract class in ``facets/``, with a class for each protocol that can do it.

        :param redfish: makes it from a `redfish.client.RedfishBmc`; None: Redfish has no such thing.
        :param ipmi: makes it from an `ipmi.client.IpmiBmc`; None: IPMI has no such thing.
        :raises errors.Unsupported: for the protocol that has none.
        """

    @abstractmethod
    def close(self) -> None:
        """Log out and close the connection; never raises."""

    def __enter__(self) -> Bmc:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def no_facet(protocol: str, host: str, other: str) -> Unsupported:
    """The error of a subject that a protocol does not have."""
    return Unsupported(
        f"{protocol} cannot do this",
        code="protocol_unsupported",
        host=host,
        tried=f"the operation over {protocol}",
        answer="the protocol has no such thing",
        next=f"Use bmc_protocol={other}.",
    )


def not_offered(host: str, what: str, tried: str, answer: str) -> Unsupported:
    """The error of what another server may have and this one has not."""
    return Unsupported(
        f"the BMC does not offer {what}",
        host=host,
        tried=tried,
        answer=answer,
        next="Choose what it offers; bmc_info with subset capabilities lists it.",
    )
