# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""What NVIDIA's GPU driver reports (XID) and its switch driver (SXID), as they stand in a baseboard's event log."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

# What to do about an XID: the action column of NVIDIA/NVSentinel's table (Apache-2.0), which follows NVIDIA's own
# catalogue. A workflow_* means that the context decides. 154 announces a changed recovery action: what
# it announces is to be done.
_BY_ACTION = {
    "check_mechanicals": "54",
    "check_uvm": "159",
    "follow_other_xid": "154",
    "ignore": "14 37 38 43 44 63 66 67 92 93 106 107 121 137 141 152 153 157 161",
    "reboot": "79 160",
    "report_issue": """
        1 2 3 4 5 6 7 9 10 12 15 16 17 18 19 20 21 22 23 24 26 27 28 29 30 33 34 35 36 42 47 49 50 51
        52 53 55 56 57 58 59 61 65 73 81 87 90 91 108 111 112 113 114 115 116 117 118 122 123 124 125
        138 142
    """,
    "reset_gpu": "46 62 64 95 109 110 119 120 136 140 143 155 156 158 162",
    "restart_app": """
        8 11 13 25 31 32 39 40 41 60 68 69 70 71 72 75 76 77 80 82 83 84 85 86 88 89 94 96 97 98 99 100
        101 102 103 104 105 126 127 128 129 130 131 132 133 134 135 139
    """,
    "restart_vm": "151",
    "update_software": "78",
    "workflow_nvlink": "74",
    "workflow_nvlink5": "144 145 146 147 148 149 150",
    "workflow_xid_45": "45",
    "workflow_xid_48": "48",
}
ACTIONS: dict[int, str] = {int(number): action for action, numbers in _BY_ACTION.items() for number in numbers.split()}

_MONTHS = {
    name: month
    for month, name in enumerate(
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"], 1
    )
}
_SUBJECT = re.compile(r"^(?P<device>\S+) Driver Event Message$")
# "[Wed Dec 6 17:31:51 UTC 2023][1][00] XID 62 badf5723(badf5723) ...": the driver's date, its count, the message's part
_BASEBOARD = re.compile(
    r"^\[(?P<date>[^\]]*)\]\[(?P<sequence>\d+)\]\[(?P<part>[0-9a-fA-F]+)\]\s*(?P<kind>S?XID)\s+(?P<number>\d+)\b\s*(?P<text>.*)$",
    re.DOTALL,
)
# "NVRM: Xid (PCI:0000:65:00): 79, pid=..., GPU has fallen off the bus.": as the kernel's log has it
_KERNEL = re.compile(
    r"(?P<kind>S?Xid) \((?P<pci>PCI:[0-9A-Fa-f:.]+)\): (?P<number>\d+),?\s*(?P<text>.*)$", re.IGNORECASE | re.DOTALL
)
_PCI = re.compile(r"\b(?P<address>[0-9a-fA-F]{4,8}:[0-9a-fA-F]{2}:[0-9a-fA-F]{2}(?:\.[0-7])?)\b")
_DATE = re.compile(r"^\w{3} (?P<month>\w{3}) +(?P<day>\d{1,2}) (?P<time>\d\d:\d\d:\d\d) UTC (?P<year>\d{4})$")
# After a boot the switch driver counts from 1970 for a while.
_EARLIEST_YEAR = 2001


@dataclass(frozen=True)
class Xid:
    """One report of a driver.

    :param kind: xid (GPU) or sxid (NVSwitch).
    :param device: GPU_SXM_4, NVSwitch_0; None where the entry does not say.
    :param pci: PCI address, where the text has one.
    :param driver_date: RFC 3339, by the clock of the host that ran the driver; None where that was not set.
    :param driver_date_raw: as it was written.
    :param action: what to do about it (`ACTIONS`); None for an SXID and for a number without an entry.
    """

    kind: str
    number: int
    device: str | None
    pci: str | None
    driver_date: str | None
    driver_date_raw: str | None
    text: str
    action: str | None


def parse(arguments: Sequence[str], message: str | None = None) -> Xid | None:
    """The report in a log entry's MessageArgs, or else in its message; None when there is none.

    The HMC splits MessageArgs at every comma, so what follows the first belongs together.
    """
    subject = _SUBJECT.match(arguments[0]) if arguments else None
    found = _BASEBOARD.match(", ".join(arguments[1:])) if subject else None
    if found is None:
        found = next((match for text in (*arguments, message or "") if (match := _KERNEL.search(text))), None)
        if found is None:
            return None
    groups = found.groupdict()
    kind, number, text = found["kind"].lower(), int(found["number"]), found["text"].strip()
    pci = groups["pci"].removeprefix("PCI:") if groups.get("pci") else None
    if pci is None and (mentioned := _PCI.search(text)):
        pci = mentioned["address"]
    return Xid(
        kind=kind,
        number=number,
        device=subject["device"] if subject else None,
        pci=pci.lower() if pci else None,
        driver_date=_driver_date(groups.get("date")),
        driver_date_raw=groups.get("date") or None,
        text=text,
        action=ACTIONS.get(number) if kind == "xid" else None,
    )


def _driver_date(text: str | None) -> str | None:
    """``date``'s output in UTC as RFC 3339; None for what cannot be right."""
    found = _DATE.match(text or "")
    if found is None or found["month"] not in _MONTHS or int(found["year"]) < _EARLIEST_YEAR:
        return None
    hour, minute, second = map(int, found["time"].split(":"))
    try:
        return datetime(
            int(found["year"]), _MONTHS[found["month"]], int(found["day"]), hour, minute, second, tzinfo=UTC
        ).isoformat()
    except ValueError:
        return None
