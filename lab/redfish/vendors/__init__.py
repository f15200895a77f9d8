"""The product lines the lab's machines can be: AMI (a DGX H100), Dell, HPE, Lenovo, Supermicro, OpenBMC, and a plain
BMC that follows the specification and nothing else.

Written from captures of real machines and from what other clients found out, never from our own client.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import import_module

from lab.config import VENDORS
from lab.redfish.vendors.surface import Surface

__all__ = ["VENDORS", "Surface", "vendor"]


@cache
def vendor(name: str) -> Surface:
    """A product line by its name in ``VENDORS``. Raises ValueError for another."""
    if name not in VENDORS:
        raise ValueError(f"vendor must be one of {', '.join(VENDORS)}, not {name!r}")
    if name == Surface.name:
        return Surface()
    make: Callable[[], Surface] = import_module(f"lab.redfish.vendors.{name}").make
    return make()
