"""What may stand in an import: names, addresses, hardware addresses, device paths, and the words of a refusal."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from typing import Any

from fleet.errors import Invalid

DNS_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
# goes into Tinkerbell templates as it is
DEVICE = re.compile(r"/dev/[A-Za-z0-9/_.:-]{1,120}")
MAC = re.compile(r"([0-9a-f]{2}:){5}[0-9a-f]{2}")
_HOST_NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,252}[A-Za-z0-9_.])?")
_ZONE = re.compile(r"%[A-Za-z0-9_.-]{1,32}")
# what Ansible means by these is not a host
RESERVED_NAMES = frozenset({"localhost", "all", "ungrouped"})
MOST_ERRORS = 100


@dataclass(slots=True)
class Errors:
    """What is wrong with a document, entry by entry."""

    found: list[dict[str, str]] = field(default_factory=list)
    count: int = 0

    def add(self, pointer: str, problem: Invalid) -> None:
        """Note one refused entry; the first hundred are kept."""
        self.count += 1
        if len(self.found) < MOST_ERRORS:
            detail = problem.message if problem.answer is None else f"{problem.message} ({problem.answer})"
            self.found.append({"field": pointer.strip("/").replace("/", "."), "pointer": pointer, "detail": detail})

    def raise_if_any(self) -> None:
        """Invalid that names the first one, counts the rest, and holds all in `detail.errors`."""
        if not self.found:
            return
        more = f" (and {self.count - 1} more entries are wrong)" if self.count > 1 else ""
        raise Invalid(
            f"{self.found[0]['detail']}{more}",
            code="invalid_import",
            next="correct the entries that `errors` lists and import again: nothing was written",
            detail={"errors": self.found},
        )


def wrong(kind: str, name: Any, what: str) -> Invalid:
    """The refusal of one entry."""
    return Invalid(f"{kind} {name}: {what}", code="invalid_import")


def name(kind: str, value: Any) -> str:
    """A DNS label that Ansible does not take for something else."""
    text = str(value if value is not None else "")
    if not DNS_LABEL.fullmatch(text):
        raise Invalid(
            f"{kind}s: {text!r} is no DNS label",
            code="invalid_import",
            answer="1 to 63 of a-z, 0-9 and -, not at the ends",
        )
    if kind == "server" and text in RESERVED_NAMES:
        raise Invalid(f"servers: {text!r} is a word of Ansible's inventories and no host", code="invalid_import")
    return text


def only(kind: str, entry: dict[str, Any], known: frozenset[str]) -> None:
    """Refuse misspelt fields."""
    unknown = sorted(set(entry) - known)
    if unknown:
        raise Invalid(
            f"{kind} {entry['name']}: unknown fields {', '.join(unknown)}",
            code="invalid_import",
            answer=f"known: {', '.join(sorted(known))}",
        )


def number(kind: str, entry: dict[str, Any], key: str, low: int, high: int) -> int | None:
    """A whole number or its text within bounds; None where there is none."""
    value = entry.get(key)
    if value is None or value == "":
        return None
    try:
        found = int(value)
    except (TypeError, ValueError, OverflowError):
        raise wrong(kind, entry["name"], f"{key} {value!r} is no number") from None
    if not low <= found <= high:
        raise wrong(kind, entry["name"], f"{key} {found} is not within {low} to {high}")
    return found


def text(kind: str, entry: dict[str, Any], key: str, limit: int = 128) -> str | None:
    """A text, or a number written out; None where there is none."""
    value = entry.get(key)
    if value is None or value == "":
        return None
    if not isinstance(value, str | int) or isinstance(value, bool) or len(str(value)) > limit:
        raise wrong(kind, entry["name"], f"{key} is a text of at most {limit} characters")
    return str(value)


def boolean(kind: str, entry: dict[str, Any], key: str) -> bool:
    """true and false as spreadsheets write them."""
    value = entry[key]
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower()
    if word in ("true", "yes", "1", "on"):
        return True
    if word in ("false", "no", "0", "off"):
        return False
    raise wrong(kind, entry["name"], f"{key} {value!r} is neither true nor false")


def address(kind: str, owner: Any, key: str, value: str) -> str:
    """An IPv4 or IPv6 address (without brackets) or a host name; nothing that would split a line or a URL."""
    bare = value.strip("[]") if value.startswith("[") and value.endswith("]") else value
    try:
        ipaddress.ip_address(_ZONE.sub("", bare))
    except ValueError:
        if not _HOST_NAME.fullmatch(bare):
            raise wrong(kind, owner, f"{key} {value!r} is neither an address nor a host name") from None
    return bare


def mac(value: Any) -> str | None:
    """A hardware address of one Ethernet interface, in lower case with colons; None for anything else.

    Broadcast and multicast addresses are nobody's own, and 20 octets are InfiniBand's.
    """
    found = str(value or "").strip().lower().replace("-", ":")
    if not MAC.fullmatch(found) or int(found[:2], 16) & 1 or found == "00:00:00:00:00:00":
        return None
    return found


def expect_mac(kind: str, owner: Any, value: Any) -> str:
    """The same, or a refusal that says why."""
    found = mac(value)
    if found is not None:
        return found
    cleaned = str(value or "").strip().lower().replace("-", ":")
    if MAC.fullmatch(cleaned):
        what = "broadcast or multicast" if int(cleaned[:2], 16) & 1 else "all zeros"
        raise wrong(kind, owner, f"{value!r} is {what} and no MAC address of an interface")
    raise wrong(kind, owner, f"{value!r} is no MAC address")
