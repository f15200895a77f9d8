"""A GPU as its BMC sees it: identity, temperatures, power and error counters."""

from __future__ import annotations

import math
import uuid
from dataclasses import dataclass, field

NVLINKS = 18  # per H100 SXM
IDLE_WATTS = 72.0
MAX_WATTS = 700.0  # H100 SXM board limit
SLOWDOWN_CELSIUS = 87.0  # where the thermal margin (TLIMIT) reaches 0


@dataclass
class ErrorCounters:
    """Since the last reset of the counters; volatile ones would go with a GPU reset, these are the lifetime ones."""

    sram_correctable: int = 0
    sram_uncorrectable: int = 0
    dram_correctable: int = 0
    dram_uncorrectable: int = 0
    remapped_correctable: int = 0
    remapped_uncorrectable: int = 0
    remapping_pending: bool = False
    remapping_failed: bool = False
    pcie_replay: int = 0


@dataclass
class Gpu:
    """``number`` counts from 1 as in GPU_SXM_1."""

    number: int
    serial_number: str
    uuid: uuid.UUID
    model: str = "H100 80GB HBM3"
    part_number: str = "2330-885-A1"
    firmware_version: str = "96.00.89.00.01"
    memory_gb: int = 80
    load: float = 0.0  # 0 to 1
    forced_celsius: float | None = None
    mig_enabled: bool = False
    ecc_enabled: bool = True
    nvlink_up: list[bool] = field(default_factory=lambda: [True] * NVLINKS)
    errors: ErrorCounters = field(default_factory=ErrorCounters)
    resets: int = 0

    @property
    def id(self) -> str:
        return f"GPU_SXM_{self.number}"

    def temperature_celsius(self, at: float) -> float:
        """Core temperature ``at`` simulated seconds; drifts by about a degree so that a chart is not a flat line."""
        if self.forced_celsius is not None:
            return self.forced_celsius
        drift = math.sin(at / 47 + self.number * 1.7)
        return 28.0 + 0.8 * self.number + 38.0 * self.load + drift

    def margin_celsius(self, at: float) -> float:
        """Distance to the slowdown threshold; 0 or less means the GPU throttles."""
        return SLOWDOWN_CELSIUS - self.temperature_celsius(at)

    def memory_celsius(self, at: float) -> float:
        return self.temperature_celsius(at) + 8.0

    def power_watts(self, at: float) -> float:
        return IDLE_WATTS + (MAX_WATTS - IDLE_WATTS) * self.load + math.sin(at / 31 + self.number)

    def memory_power_watts(self, at: float) -> float:
        return self.power_watts(at) * 0.28


def make_gpu(number: int, machine_serial: str) -> Gpu:
    return Gpu(
        number=number,
        serial_number=f"165{machine_serial[-7:]}{number:03d}",
        uuid=uuid.uuid5(uuid.NAMESPACE_OID, f"{machine_serial}/GPU_SXM_{number}"),
    )
