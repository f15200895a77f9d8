"""The static addresses an installed system takes from its netplan files."""

from __future__ import annotations

import ipaddress
import logging
from typing import Any

import yaml

logger = logging.getLogger(__name__)

DIRECTORY = "/etc/netplan/"


def static_addresses(files: dict[str, str], mac: str) -> list[str]:
    """Addresses of the card with that MAC, in the order of the files (netplan reads ``/etc/netplan/*.yaml`` sorted).

    A file that cannot be read configures nothing: netplan refuses the whole configuration then, and so does this.
    """
    found: list[str] = []
    for path in sorted(files):
        if not (path.startswith(DIRECTORY) and path.endswith((".yaml", ".yml"))):
            continue
        try:
            document = yaml.safe_load(files[path])
            for definition in document["network"].get("ethernets", {}).values():
                if _matches(definition, mac):
                    found.extend(str(ipaddress.ip_interface(text).ip) for text in definition.get("addresses", []))
        except (yaml.YAMLError, AttributeError, KeyError, TypeError, ValueError) as error:
            logger.warning("%s cannot be used: %s", path, error)
            return []
    return list(dict.fromkeys(found))


def _matches(definition: dict[str, Any], mac: str) -> bool:
    """The machine has one card that counts: a definition without a MAC to match is for it."""
    wanted = (definition.get("match") or {}).get("macaddress")
    return wanted is None or str(wanted).lower() == mac.lower()
