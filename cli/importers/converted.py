"""What the converters share: their result, and how foreign values become ours."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

_NO_LABEL = re.compile(r"[^a-z0-9-]+")
_MAC = re.compile(r"([0-9a-f]{2}:){5}[0-9a-f]{2}")
# what these systems show in place of a password
_MASK = re.compile(r"\*+")


@dataclass(slots=True)
class Converted:
    """`servers` as in the import document, `notes` what was left out and why, `in_use` whom to adopt."""

    servers: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    in_use: list[str] = field(default_factory=list)

    def add(self, server: dict[str, Any]) -> None:
        """Take a server in, without what is not known; one that lacks its name or BMC address is a note."""
        known = {key: value for key, value in server.items() if value not in (None, "", [])}
        label = str(known.get("name") or "a server without a name")
        missing = [key for key in ("name", "bmc_address") if key not in known]
        if missing:
            self.notes.append(f"{label} left out: no {' and no '.join(missing)} in the export")
            return
        self.servers.append(known)

    def without(self, key: str) -> list[str]:
        """Names of the servers that lack something."""
        return [server["name"] for server in self.servers if key not in server]


def label(name: Any) -> str | None:
    """A DNS label out of a name or FQDN: its first part, in lower case."""
    first = str(name or "").strip().lower().split(".")[0]
    return _NO_LABEL.sub("-", first).strip("-")[:63] or None


def host_of(address: Any) -> str | None:
    """`10.0.0.5/24` → `10.0.0.5`."""
    text = str(address or "").strip()
    return text.split("/")[0] or None


def url_parts(url: Any, scheme: str = "https") -> tuple[str | None, int | None]:
    """Host and port of an address that may be a URL (`https://10.0.0.5:8443`), a host or `host:port`."""
    text = str(url or "").strip()
    if not text:
        return None, None
    parts = urlsplit(text if "://" in text else f"{scheme}://{text}")
    return parts.hostname, parts.port


def secret(value: Any) -> str | None:
    """A password; None for the asterisks that stand for one."""
    text = str(value or "")
    return None if not text or _MASK.fullmatch(text) else text


def macs(values: Iterable[Any]) -> list[dict[str, Any]]:
    """MAC addresses as NICs; others (InfiniBand's 20 octets) are left out."""
    found = [str(value or "").strip().lower().replace("-", ":") for value in values]
    return [{"mac": mac} for mac in dict.fromkeys(found) if _MAC.fullmatch(mac)]


def positive(value: Any, divisor: float = 1) -> int | None:
    """A whole number of at least one, or None."""
    try:
        number = round(float(value) / divisor)
    except (TypeError, ValueError):
        return None
    return number if number > 0 else None
