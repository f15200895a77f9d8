# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""Virtual media over Redfish (DSP0268, VirtualMedia): by its actions, or by PATCH where it has none."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.base import Refused, Task
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.deadline import Deadline
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.facets.virtual_media import Image, Slot, VirtualMedia
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.redfish.tasks import task_of
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.values import dig, leaf, link, table, text, texts
from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import BadAnswer, Unsupported

if TYPE_CHECKING:
    from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.redfish.client import RedfishBmc

_KINDS = {"CD": "cd", "DVD": "cd", "USBStick": "usb"}
# VirtualMedia.TransferProtocolType, where it is not the scheme of the image's URL in capitals.
_PROTOCOLS = {
    "http": "HTTP",
    "https": "HTTPS",
    "nfs": "NFS",
    "cifs": "CIFS",
    "smb": "CIFS",
    "ftp": "FTP",
    "tftp": "TFTP",
}
# What a refusal of an insert may be about; asked for in the message, it is added, or left out when it was there.
_ADJUSTABLE = ("TransferProtocolType", "TransferMethod", "WriteProtected", "Inserted", "UserName", "Password")


class RedfishVirtualMedia(VirtualMedia):
    """The virtual drives of one BMC."""

    def __init__(self, bmc: RedfishBmc) -> None:
        self._bmc = bmc

    @property
    def host(self) -> str:
        return self._bmc.host

    # -- reading ------------------------------------------------------------------------------------------------------

    def slots(self) -> list[Slot]:
        deadline = self._bmc.deadline()
        profile = self._bmc.profile(deadline)
        found: list[Slot] = []
        for place in profile.media_places:
            # the first place that has any: a second one shows the same drives again (iDRAC)
            found = found or self._slots_at(self._collection(place, deadline), deadline)
        usable = [slot for slot in found if not re.fullmatch(profile.media_skip, slot.id)]
        if not usable:
            raise Unsupported(
                "the BMC shows no virtual media",
                host=self.host,
                tried=f"VirtualMedia of {' and '.join(profile.media_places)}",
                answer="no drive",
                next="Switch remote media on in the BMC's settings; some BMCs want a licence for it.",
            )
        return usable

    def _collection(self, place: str, deadline: Deadline) -> str | None:
        holder = self._bmc.system(deadline) if place == "Systems" else self._bmc.manager(deadline)
        return link(holder, "VirtualMedia")

    def _slots_at(self, collection: str | None, deadline: Deadline) -> list[Slot]:
        transport = self._bmc.transport
        bodies = [(path, transport.get_optional(path, deadline)) for path in transport.members(collection, deadline)]
        return [_slot(path, body) for path, body in bodies if body is not None]

    # -- writing ------------------------------------------------------------------------------------------------------

    def insert(self, slot: Slot, image: Image) -> Task | None:
        deadline = self._bmc.deadline()
        profile = self._bmc.profile(deadline)
        body: dict[str, Any] = {"Image": image.url}
        if not profile.media_bare:
            body |= {"Inserted": True, "WriteProtected": image.write_protected}
        elif not image.write_protected:
            body["WriteProtected"] = False
        if profile.media_credentials or image.username is not None:
            body |= {"UserName": image.username or "", "Password": image.password or ""}
        return self._adjusting(slot, "InsertMedia", body, image, deadline)

    def _adjusting(
        self, slot: Slot, action: str, body: dict[str, Any], image: Image, deadline: Deadline
    ) -> Task | None:
        """Send it; where the refusal is about a property that may be there or not, send it with or without that."""
        tried: set[str] = set()
        while True:
            try:
                return self._write(slot, action, body, deadline)
            except (Refused, Unsupported, BadAnswer) as problem:
                said = problem.answer or ""
                name = next((word for word in _ADJUSTABLE if word in said and word not in tried), None)
                if name is None:
                    raise
                tried.add(name)
                if name in body:
                    del body[name]
                else:
                    body[name] = _default(name, image)

    def eject(self, slot: Slot) -> Task | None:
        # an object, empty as it is: iLO takes nothing less
        return self._write(slot, "EjectMedia", {}, self._bmc.deadline())

    def _write(self, slot: Slot, action: str, body: dict[str, Any], deadline: Deadline) -> Task | None:
        current, etag = self._bmc.transport.get_with_etag(slot.path, deadline)
        actions = {name for name in table(current.get("Actions")) if name.startswith("#VirtualMedia.")}
        if not actions:
            change = body or {"Image": None, "Inserted": False}
            return task_of(self._bmc.transport.patch(slot.path, change, deadline, etag=etag))
        # Supermicro shows EjectMedia only while something is in
        target = text(dig(current, "Actions", f"#VirtualMedia.{action}", "target"))
        path = target or f"{slot.path}/Actions/VirtualMedia.{action}"
        return task_of(self._bmc.transport.post(path, body, deadline))


def _default(name: str, image: Image) -> Any:
    if name == "TransferProtocolType":
        scheme = urlsplit(image.url).scheme.lower()
        return _PROTOCOLS.get(scheme, scheme.upper())
    values: dict[str, Any] = {"TransferMethod": "Stream", "Inserted": True, "WriteProtected": image.write_protected}
    return values.get(name, "")


def _slot(path: str, body: dict[str, Any]) -> Slot:
    kinds = tuple(dict.fromkeys(_KINDS[word] for word in texts(body.get("MediaTypes")) if word in _KINDS))
    image = text(body.get("Image")) or text(body.get("ImageName"))
    protected = body.get("WriteProtected")
    inserted = body.get("Inserted")
    return Slot(
        id=leaf(path),
        path=path,
        kinds=kinds,
        # without Inserted, an image that is named is one that is in
        inserted=inserted if isinstance(inserted, bool) else image is not None,
        image=image,
        write_protected=protected if isinstance(protected, bool) else None,
    )
