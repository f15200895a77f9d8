"""A BMC that follows the specification and has nothing of its own."""

from __future__ import annotations

from lab.redfish.vendors.standard import Standard


def make() -> Standard:
    return Standard()
