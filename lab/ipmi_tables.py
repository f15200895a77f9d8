"""Byte layouts that IPMI clients read: FRU inventory, sensor data records, system event log.

Table and section numbers are those of the IPMI 2.0 specification; the FRU layout is the Platform Management FRU
Information Storage Definition 1.0.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from lab.bmc import SelRecord
from lab.machine import Machine
from lab.sensors import Sensor, host_sensors

MANUFACTURER_ID = 5703  # NVIDIA, IANA enterprise number
BMC_ADDRESS = 0x20
_UNITS = {"Temperature": 1, "Power": 6, "Rotational": 18}  # table 43-15
_TYPES = {"Temperature": 0x01, "Power": 0x0B, "Rotational": 0x04}  # table 42-3: other units-based sensor for power
_ENTITIES = {"Temperature": 0x37, "Power": 0x07, "Rotational": 0x1D}  # air inlet, system board, fan (table 43-13)


# --- FRU


def fru_inventory(machine: Machine) -> bytes:
    """Board and product area."""
    board = _area(
        bytes([0x19]) + bytes(3),  # English, no date of manufacture
        ["NVIDIA", "DGXH100", machine.serial_number, "965-24387-0002-000", ""],
    )
    product = _area(
        bytes([0x19]),
        ["NVIDIA", "DGXH100", "920-24387-2540-000", "A1", machine.serial_number, "", ""],
    )
    header = bytes([1, 0, 0, 1, 1 + len(board) // 8, 0, 0])
    return header + bytes([_checksum(header)]) + board + product


def _area(head: bytes, fields: list[str]) -> bytes:
    body = head
    for text in fields:
        raw = text.encode("ascii")
        body += bytes([0xC0 | len(raw)]) + raw
    body += b"\xc1"
    length = -(-(2 + len(body) + 1) // 8) * 8  # version, length, body, checksum; a multiple of eight
    area = bytes([1, length // 8]) + body
    area = area.ljust(length - 1, b"\0")
    return area + bytes([_checksum(area)])


def _checksum(data: bytes) -> int:
    return -sum(data) & 0xFF


# --- sensors


@dataclass(frozen=True)
class IpmiSensor:
    """A sensor by its IPMI number. A reading is ``raw * multiplier``."""

    number: int
    sensor: Sensor

    @property
    def multiplier(self) -> int:
        if self.sensor.kind == "Power":
            # one byte has to reach a whole server's draw, or a GPU's
            return 40 if self.sensor.id in ("PWR_SYSTEM", "PWR_GB1_TOT_HSC") else 4
        return 60 if self.sensor.kind == "Rotational" else 1

    def raw(self, value: float) -> int:
        return max(0, min(255, round(value / self.multiplier)))


def ipmi_sensors(machine: Machine) -> list[IpmiSensor]:
    """The host's sensors, numbered from 1. Margins (TLIMIT) stay out: they can be negative."""
    chosen = [sensor for sensor in host_sensors(machine) if not sensor.id.startswith("TLIMIT")]
    return [IpmiSensor(number, sensor) for number, sensor in enumerate(chosen[:254], 1)]


_THRESHOLDS = (
    ("LowerCaution", 0),
    ("LowerCritical", 1),
    ("LowerFatal", 2),
    ("UpperCaution", 3),
    ("UpperCritical", 4),
    ("UpperFatal", 5),
)


def threshold_bytes(item: IpmiSensor) -> bytes:
    """Readable mask and the six thresholds, in the order of Get Sensor Thresholds (35.9)."""
    mask = 0
    values = bytearray(6)
    for name, bit in _THRESHOLDS:
        if (value := item.sensor.thresholds.get(name)) is not None:
            mask |= 1 << bit
            values[bit] = item.raw(value)
    return bytes([mask]) + bytes(values)


def sensor_reading(item: IpmiSensor) -> bytes:
    """Answer of Get Sensor Reading (35.14): raw value, availability, thresholds crossed."""
    reading = item.sensor.reading
    if reading is None:
        return bytes([0, 0xE0, 0xC0])  # scanning, but reading unavailable
    crossed = 0
    for name, bit in _THRESHOLDS:
        limit = item.sensor.thresholds.get(name)
        if limit is not None and (reading <= limit if name.startswith("Lower") else reading >= limit):
            crossed |= 1 << bit
    return bytes([item.raw(reading), 0xC0, 0xC0 | crossed])


def sensor_record(item: IpmiSensor, record_id: int) -> bytes:
    """A full sensor record (table 43-1)."""
    thresholds = threshold_bytes(item)
    name = item.sensor.id.encode("ascii")[:16]
    body = struct.pack(
        "<BBBBBBBBBHHHBBBBBBBBBBBB",
        BMC_ADDRESS,
        0,  # owner LUN
        item.number,
        _ENTITIES[item.sensor.kind],
        item.number,  # entity instance
        0x7F,  # initialised
        0x68,  # auto re-arm, thresholds readable
        _TYPES[item.sensor.kind],
        0x01,  # readings are compared with thresholds
        0,  # assertion events
        0,  # deassertion events
        thresholds[0],  # readable; none is settable
        0,  # units 1: unsigned
        _UNITS[item.sensor.kind],
        0,  # units 3
        0,  # linear
        item.multiplier,
        0,  # M's upper bits, tolerance
        0,  # B
        0,  # B's upper bits, accuracy
        0,  # accuracy exponent, direction
        0,  # R and B exponents
        0,  # analog characteristics
        0,  # nominal reading
    )
    tail = bytes([0, 0, 0xFF, 0])  # normal maximum, minimum; sensor maximum, minimum
    upper = bytes([thresholds[6], thresholds[5], thresholds[4]])
    lower = bytes([thresholds[3], thresholds[2], thresholds[1]])
    rest = upper + lower + bytes([0, 0, 0, 0, 0])  # hysteresis twice, reserved twice, OEM
    content = body + tail + rest + bytes([0xC0 | len(name)]) + name
    return struct.pack("<HBBB", record_id, 0x51, 0x01, len(content)) + content


def fru_locator(record_id: int) -> bytes:
    """FRU device locator of the builtin FRU (table 43-7)."""
    name = b"Builtin FRU"
    content = bytes([BMC_ADDRESS, 0, 0x80, 0, 0, 0x10, 0, 7, 1, 0, 0xC0 | len(name)]) + name
    return struct.pack("<HBBB", record_id, 0x51, 0x11, len(content)) + content


def controller_locator(record_id: int) -> bytes:
    """Management controller device locator of the BMC (table 43-8)."""
    name = b"BMC"
    content = bytes([BMC_ADDRESS, 0, 0, 0xBF, 0, 0, 0, 6, 1, 0, 0xC0 | len(name)]) + name
    return struct.pack("<HBBB", record_id, 0x51, 0x12, len(content)) + content


def sdr_repository(machine: Machine) -> list[bytes]:
    """All records; a record's id is its place."""
    sensors = ipmi_sensors(machine)
    records = [sensor_record(item, place) for place, item in enumerate(sensors)]
    return [*records, controller_locator(len(records)), fru_locator(len(records) + 1)]


# --- SEL


def sel_records(machine: Machine) -> Iterator[bytes]:
    for record in machine.bmc.sel:
        yield sel_bytes(record)


def sel_bytes(record: SelRecord) -> bytes:
    """A system event record (table 32-1)."""
    return struct.pack(
        "<HBIHBBBB3B",
        record.id,
        0x02,
        int(record.created.timestamp()),
        BMC_ADDRESS,
        0x04,  # event message format of IPMI 2.0
        record.sensor_type,
        record.sensor_number,
        record.event_type,
        *record.event_data,
    )
