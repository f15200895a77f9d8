"""The bill of materials of a model class, held against what an inspection found.

Every finding names the part that fails: `DIMM A7: missing`, `GPU 5: PCIe x8 instead of x16`. What the inspection did
not read is a note and no finding.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

_COUNT = {"type": "integer", "minimum": 0, "maximum": 65536}
_SIZE = {"type": "number", "exclusiveMinimum": 0}
_TEXT = {"type": "string", "minLength": 1, "maxLength": 128}
_WIDTH = {"enum": [1, 2, 4, 8, 16, 32]}
_GENERATION = {"type": "integer", "minimum": 1, "maximum": 9}


def _part(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": False, "properties": properties}


_DRIVES = {**_part(count=_COUNT, size_gb=_SIZE, model=_TEXT, protocol=_TEXT), "required": ["count"]}
SCHEMA: dict[str, Any] = _part(
    description={"type": "string"},
    gpus=_part(count=_COUNT, model=_TEXT, memory_gb=_SIZE, pcie_width=_WIDTH, pcie_generation=_GENERATION),
    cpus=_part(count=_COUNT),
    dimms=_part(count=_COUNT, size_gb=_SIZE),
    # one group, or several of different drives
    drives={"oneOf": [_DRIVES, {"type": "array", "maxItems": 100, "items": _DRIVES}]},
    nics=_part(count=_COUNT, model=_TEXT),
    interfaces=_part(count=_COUNT, speed_gbps=_SIZE),
    links={
        "type": "array",
        "maxItems": 100,
        "items": {
            **_part(match=_TEXT, width=_WIDTH, generation=_GENERATION, count=_COUNT),
            "required": ["match"],
        },
    },
)
# drives are sold in decimal gigabytes, and never exactly
DRIVE_TOLERANCE = 0.05
_ABSENT = frozenset({"Absent", "UnavailableOffline"})
_GPU_PREFIX = re.compile(r"^(HGX_)?GPU[_. ]?(SXM[_. ]?)?", re.IGNORECASE)
_DIMM_PREFIX = re.compile(r"^DIMM[. _]*(Socket[. _]*)?", re.IGNORECASE)
_NUMBERED = re.compile(r"^(.*?)(\d{1,6})$")
_LONGEST_NAME = 128

Part = dict[str, Any]


def check(bill: dict[str, Any], facts: dict[str, Any], before: dict[str, Any]) -> tuple[list[str], list[str]]:
    """`(findings, notes)` of the facts of `bmc_info` against a class; `before` are the facts of the inspection before,
    which know the name of a part that is gone."""
    findings: list[str] = []
    notes: list[str] = []
    for section, look in _SECTIONS.items():
        if section not in bill:
            continue
        found = look(bill[section], facts, before)
        if found is None:
            notes.append(f"{section} not checked: the inspection did not read them")
        else:
            findings += found
    return findings, notes


def gpu_label(slot: str) -> str:
    """`GPU_SXM_5` → `GPU 5`."""
    return f"GPU {_GPU_PREFIX.sub('', slot) or slot}"


def dimm_label(slot: str) -> str:
    """`DIMM.Socket.A7` → `DIMM A7`; `PROC 2 DIMM 15` stays."""
    if "DIMM" in slot.upper() and not _DIMM_PREFIX.match(slot):
        return slot
    return f"DIMM {_DIMM_PREFIX.sub('', slot) or slot}"


def parts(facts: dict[str, Any], kind: str) -> list[Part] | None:
    """The parts of one kind that are there; None where the inspection did not read them."""
    found = facts.get(kind)
    if not isinstance(found, list):
        return None
    return [part for part in found if isinstance(part, dict) and part.get("state") not in _ABSENT]


def _name(part: Part) -> str:
    return str(part.get("name") or part.get("id") or "?")[:_LONGEST_NAME]


def _figure(part: Part, key: str) -> float | None:
    """A figure of a part; what is no number is as unknown as what is not there."""
    value = part.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 2**53:
        return None
    return value


def _missing(
    kind: str, label: Callable[[str], str], have: list[Part], wanted: int, facts: dict[str, Any], before: dict[str, Any]
) -> list[str]:
    """One finding for each part that is not there, by name where it can be known; or the two counts."""
    short = wanted - len(have)
    if short == 0:
        return []
    plural = f"{label('').split()[0]}s"
    if short < 0:
        return [f"{plural}: {len(have)} instead of {wanted}"]
    names = {_name(part) for part in have}
    sockets = [_name(part) for part in facts.get(kind) or () if isinstance(part, dict) and part.get("state") in _ABSENT]
    known = [_name(part) for part in parts(before, kind) or () if _name(part) not in names]
    for candidates in (sockets, known, _gaps(names, wanted)):
        if len(candidates) == short:
            return [f"{label(name)}: missing" for name in candidates]
    return [f"{plural}: {len(have)} instead of {wanted}"]


def _gaps(names: Iterable[str], wanted: int) -> list[str]:
    """What is left out of GPU_SXM_1 … GPU_SXM_8 (or of 0 … 7)."""
    split = [_NUMBERED.match(name) for name in names]
    prefixes = {match.group(1) for match in split if match}
    if not split or not all(split) or len(prefixes) != 1:
        return []
    numbers = {int(match.group(2)) for match in split if match}
    first = 0 if 0 in numbers else 1
    if max(numbers) >= first + wanted:
        return []
    prefix = prefixes.pop()
    return [f"{prefix}{number}" for number in range(first, first + wanted) if number not in numbers]


def _health(label: Callable[[str], str], have: list[Part]) -> list[str]:
    return [f"{label(_name(part))}: its health is Critical" for part in have if part.get("health") == "Critical"]


def _gpus(want: dict[str, Any], facts: dict[str, Any], before: dict[str, Any]) -> list[str] | None:
    have = parts(facts, "gpus")
    if have is None:
        return None
    found = []
    if "count" in want:
        found += _missing("gpus", gpu_label, have, want["count"], facts, before)
    for gpu in have:
        label = gpu_label(_name(gpu))
        if "model" in want and gpu.get("model") and want["model"].lower() not in str(gpu["model"]).lower():
            found.append(f"{label}: model {gpu['model']} instead of {want['model']}")
        memory = _figure(gpu, "memory_gb")
        if "memory_gb" in want and memory and memory != want["memory_gb"]:
            found.append(f"{label}: {memory:g} GB instead of {want['memory_gb']} GB")
    wanted = {"width": want.get("pcie_width"), "generation": want.get("pcie_generation")}
    if any(wanted.values()):
        links = facts.get("links")
        by_id = {str(link.get("id")): link for link in links or () if isinstance(link, dict)}
        for gpu in have:
            link = by_id.get(str(gpu.get("id")))
            if link is not None:
                found += _link(gpu_label(_name(gpu)), link, wanted)
    return found + _health(gpu_label, have)


def _link(label: str, link: Part, want: dict[str, Any]) -> list[str]:
    found = []
    width, generation = _figure(link, "width"), _figure(link, "generation")
    if want.get("width") and width is not None and width < want["width"]:
        found.append(f"{label}: PCIe x{width:g} instead of x{want['width']}")
    if want.get("generation") and generation is not None and generation < want["generation"]:
        found.append(f"{label}: PCIe Gen{generation:g} instead of Gen{want['generation']}")
    return found


def _cpus(want: dict[str, Any], facts: dict[str, Any], before: dict[str, Any]) -> list[str] | None:
    have = facts.get("cpu_count")
    if have is None:
        return None
    if "count" not in want or have == want["count"]:
        return []
    return [f"CPUs: {have} instead of {want['count']}"]


def _dimms(want: dict[str, Any], facts: dict[str, Any], before: dict[str, Any]) -> list[str] | None:
    have = parts(facts, "dimms")
    if have is None:
        return None
    found = _missing("dimms", dimm_label, have, want["count"], facts, before) if "count" in want else []
    if "size_gb" in want:
        found += [
            f"{dimm_label(_name(dimm))}: {size:g} GB instead of {want['size_gb']} GB"
            for dimm in have
            if (size := _figure(dimm, "size_gb")) is not None and size != want["size_gb"]
        ]
    return found + _health(dimm_label, have)


def _drive_label(name: str) -> str:
    return f"drive {name}" if name else "drive"


def _drives(want: Any, facts: dict[str, Any], before: dict[str, Any]) -> list[str] | None:
    have = parts(facts, "drives")
    if have is None:
        return None
    groups = want if isinstance(want, list) else [want]
    asked = {key for group in groups for key in ("size_gb", "model", "protocol") if key in group}
    known = [{**drive, "size_gb": _figure(drive, "size_gb")} for drive in have]
    if not all(drive.get(key) for drive in known for key in asked) or (len(groups) == 1 and not asked):
        # some firmware lists drives and says nothing of them: then their number is all that can be checked
        total = sum(group["count"] for group in groups)
        return _missing("drives", _drive_label, have, total, facts, before) + _health(_drive_label, have)
    found = []
    left = known
    for group in groups:
        mine = [drive for drive in left if _fits(drive, group)]
        left = [drive for drive in left if not any(drive is other for other in mine)]
        gone = [
            _name(drive)
            for drive in parts(before, "drives") or ()
            if _fits(drive, group) and _name(drive) not in {_name(other) for other in have}
        ]
        short = group["count"] - len(mine)
        if short > 0 and len(gone) == short:
            found += [f"{_drive_label(name)}: missing" for name in gone]
        elif short:
            found.append(f"drives of {_words(group)}: {len(mine)} instead of {group['count']}")
    found += [
        f"{_drive_label(_name(drive))}: {drive.get('model') or 'unknown model'}, "
        f"{_words_of(drive)} GB, is in no group of the class"
        for drive in left
    ]
    return found + _health(_drive_label, have)


def _words_of(drive: Part) -> str:
    size = _figure(drive, "size_gb")
    return f"{size:g}" if size else "unknown"


def _words(group: dict[str, Any]) -> str:
    size = f"{group['size_gb']} GB" if "size_gb" in group else "any size"
    return " ".join(str(word) for word in (size, group.get("protocol"), group.get("model")) if word)


def _fits(drive: Part, group: dict[str, Any]) -> bool:
    size = _figure(drive, "size_gb")
    if "size_gb" in group and (size is None or abs(size - group["size_gb"]) > group["size_gb"] * DRIVE_TOLERANCE):
        return False
    return all(
        str(group[key]).lower() in str(drive.get(key) or "").lower() for key in ("model", "protocol") if key in group
    )


def _nic_label(name: str) -> str:
    return f"NIC {name}" if name else "NIC"


def _nics(want: dict[str, Any], facts: dict[str, Any], before: dict[str, Any]) -> list[str] | None:
    have = parts(facts, "adapters")
    if have is None:
        return None
    if "model" in want:
        have = [
            card for card in have if want["model"].lower() in str(card.get("model") or card.get("name") or "").lower()
        ]
    found = _missing("adapters", _nic_label, have, want["count"], facts, before) if "count" in want else []
    return found + _health(_nic_label, have)


def _interfaces(want: dict[str, Any], facts: dict[str, Any], before: dict[str, Any]) -> list[str] | None:
    have = parts(facts, "nics")
    if have is None:
        return None
    found = (
        _missing("nics", lambda name: f"interface {name}", have, want["count"], facts, before)
        if "count" in want
        else []
    )
    if "speed_gbps" in want:
        found += [
            f"interface {_name(nic)}: {speed / 1000:g} Gb/s instead of {want['speed_gbps']:g}"
            for nic in have
            if nic.get("link_up") and (speed := _figure(nic, "speed_mbps")) and speed < want["speed_gbps"] * 1000
        ]
    return found


def _links(want: list[dict[str, Any]], facts: dict[str, Any], before: dict[str, Any]) -> list[str] | None:
    links = facts.get("links")
    if not isinstance(links, list):
        return None
    found = []
    for wanted in want:
        mine = [link for link in links if isinstance(link, dict) and wanted["match"] in str(link.get("id"))]
        for link in mine:
            found += _link(str(link.get("id")), link, wanted)
        if "count" in wanted and len(mine) != wanted["count"]:
            found.append(f"links {wanted['match']}: {len(mine)} instead of {wanted['count']}")
    return found


_SECTIONS: dict[str, Callable[[Any, dict[str, Any], dict[str, Any]], list[str] | None]] = {
    "gpus": _gpus,
    "cpus": _cpus,
    "dimms": _dimms,
    "drives": _drives,
    "nics": _nics,
    "interfaces": _interfaces,
    "links": _links,
}
