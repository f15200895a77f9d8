# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""Licences over Redfish: DMTF's LicenseService (DSP0268), and what Dell, HPE, Lenovo and Supermicro had before it."""

from __future__ import annotations

from collections.abc import Sequence
from json import loads
from typing import TYPE_CHECKING, Any

from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.deadline import Deadline
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.facets.licences import Licence, Licences
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.values import (
    dig,
    leaf,
    link,
    table,
    tables,
    text,
    texts,
)
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.vendors.profile import LicenceNeed
from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import AuthenticationError, LicenceMissing

if TYPE_CHECKING:
    from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.redfish.client import RedfishBmc

# More than this many keys is no list of a server's licences.
_MOST = 32
# What says that a licence is not in force: Status.State (DSP0268), LicensePrimaryStatus (Dell), Status (Lenovo).
_BAD = frozenset({"disabled", "unavailableoffline", "expired", "critical", "invalid"})


class RedfishLicences(Licences):
    """The licences of one BMC."""

    def __init__(self, bmc: RedfishBmc) -> None:
        self._bmc = bmc

    @property
    def host(self) -> str:
        return self._bmc.host

    def needs(self) -> Sequence[LicenceNeed]:
        return self._bmc.profile(self._bmc.deadline()).licence_needs

    def known(self) -> list[Licence] | None:
        deadline = self._bmc.deadline()
        for path in self._places(deadline):
            try:
                place = self._bmc.transport.get_optional(path, deadline)
            except LicenceMissing:
                return []  # Supermicro: asking for the licences wants one
            except AuthenticationError as problem:
                if problem.code != "forbidden":
                    raise
                continue  # a read-only account may not look
            if place is not None:
                return self._read(place, deadline)
        return None

    def _places(self, deadline: Deadline) -> list[str]:
        """Where licences may be listed, best first."""
        found = []
        service = link(self._bmc.root(deadline), "LicenseService")
        if service is not None:
            found.append(f"{service.rstrip('/')}/Licenses")
        own = self._bmc.profile(deadline).licence_path
        if own:
            manager = self._bmc.manager(deadline) or {}
            path = text(manager.get("@odata.id"))
            if path:
                found.append(f"{path.rstrip('/')}/{own}")
        return found

    def _read(self, place: dict[str, Any], deadline: Deadline) -> list[Licence]:
        if "Members" not in place:
            return [licence for raw in texts(place.get("Licenses")) if (licence := _supermicro(raw)) is not None]
        found = []
        for member in tables(place["Members"])[:_MOST]:
            path = link({"member": member}, "member")
            # Dell and others put the whole resource into the collection
            body = member if len(member) > 1 else (self._bmc.transport.get_optional(path, deadline) or {})
            if body:
                found.append(_licence(body, leaf(path or "")))
        return found


def _licence(body: dict[str, Any], id: str) -> Licence:
    """A licence from whichever vendor's resource."""
    number = text(body.get("Id")) or id
    names = (
        text(body.get("License")),  # HPE
        *texts(body.get("LicenseDescription")),  # Dell
        *texts(dig(body, "Oem", "Dell", "DellLicense", "LicenseDescription")),
        text(body.get("Description")),  # DMTF: Name is the key's number on a Dell
        text(body.get("Name")),
    )
    name = next((each for each in names if each not in (None, number)), None)
    state = text(dig(body, "Status", "State")) or text(body.get("LicensePrimaryStatus")) or text(body.get("Status"))
    return Licence(
        id=number,
        name=name,
        kind=text(body.get("LicenseType")),
        expires=text(body.get("ExpirationDate"))
        or text(body.get("LicenseEndDate"))
        or text(body.get("LicenseExpire"))
        or text(body.get("Expires")),
        valid=(state or "").lower() not in _BAD,
        features=tuple(sorted(key for key, on in table(body.get("LicenseFeatures")).items() if on is True)),
    )


def _supermicro(raw: str) -> Licence | None:
    """One of QueryLicense's: JSON inside a string, with a signature that is nobody's business."""
    try:
        node = table(dig(loads(raw), "ProductKey", "Node"))
    except ValueError:
        return None
    name = text(node.get("LicenseName"))
    return Licence(id=text(node.get("LicenseID")) or name, name=name) if name else None
