"""Virtual media by the specification, in the host's resource or in the manager's."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from lab.bmc import VirtualMedia
from lab.redfish.errors import RedfishError
from lab.redfish.routes import ROOT, Answer, Body, Call
from lab.redfish.vendors.translated import MANAGER, Translated

if TYPE_CHECKING:
    from lab.redfish.service import RedfishBmc


@dataclass(frozen=True)
class Slot:
    """A virtual drive. ``of`` is the machine's own: CD1 and USB1 can be booted from, any other name is one more."""

    id: str
    of: str
    types: tuple[str, ...] = ("CD", "DVD")


class StandardMedia(Translated):
    media: tuple[Slot, ...] = (Slot("1", "CD1"), Slot("2", "USB1", ("USBStick",)))
    media_places: tuple[str, ...] = ("Systems", "Managers")  # in whose resource the collection hangs
    media_type = "VirtualMedia.v1_6_1.VirtualMedia"
    media_actions = True  # Insert and Eject; otherwise by PATCH

    def register_media(self) -> None:
        at = self.routes
        for place in self.media_places:
            base = f"{self.system_path if place == 'Systems' else self.manager_path}/VirtualMedia"
            at.get(base)(partial(self.media_list, base=base))
            at.get(f"{base}/{{id}}")(partial(self.medium, base=base))
            if self.media_actions:
                for verb, act in (("Insert", self.insert), ("Eject", self.eject)):
                    at.post(f"{base}/{{id}}/Actions/VirtualMedia.{verb}Media")(partial(act, base=base))
            else:
                at.patch(f"{base}/{{id}}")(partial(self.change_medium, base=base))
        if "Managers" not in self.media_places:
            self.hidden = (*self.hidden, f"{MANAGER}/VirtualMedia")

    def slot(self, id: str) -> Slot:
        """Raises RedfishError 404."""
        for slot in self.media:
            if slot.id == id:
                return slot
        raise RedfishError("ResourceMissingAtURI", id)

    def media_list(self, bmc: RedfishBmc, *, base: str) -> Body:
        return self.collection(base, "VirtualMedia", [f"{base}/{slot.id}" for slot in self.media_at(base)])

    def media_at(self, base: str) -> tuple[Slot, ...]:
        return self.media

    def media_verbs(self, medium: VirtualMedia) -> tuple[str, ...]:
        return ("EjectMedia", "InsertMedia")

    def medium(self, bmc: RedfishBmc, id: str, *, base: str) -> Body | None:
        slot = next((slot for slot in self.media_at(base) if slot.id == id), None)
        if slot is None:
            return None
        medium = bmc.state.media[slot.of]
        path = f"{base}/{id}"
        body = self.body(
            path,
            self.media_type,
            ConnectedVia="URI" if medium.inserted else "NotConnected",
            Id=id,
            Image=medium.image,
            ImageName=medium.image.rsplit("/", 1)[-1] if medium.image else None,
            Inserted=medium.inserted,
            MediaTypes=list(slot.types),
            Name=f"VirtualMedia Instance {id}",
            UserName=medium.username,
            WriteProtected=medium.write_protected if medium.inserted else None,
        )
        if self.media_actions:
            body["Actions"] = {
                f"#VirtualMedia.{verb}": {"target": f"{ROOT}{path}/Actions/VirtualMedia.{verb}"}
                for verb in self.media_verbs(medium)
            }
        return body

    insert_properties: tuple[str, ...] = (
        "Image",
        "Inserted",
        "WriteProtected",
        "UserName",
        "Password",
        "TransferMethod",
        "TransferProtocolType",
    )

    async def insert(self, call: Call, id: str, *, base: str) -> Answer:
        medium = call.bmc.state.media[self.slot(id).of]
        action = "VirtualMedia.InsertMedia"
        for name in call.body:
            if name not in self.insert_properties:
                raise RedfishError("ActionParameterNotSupported", name, action)
        if "Image" not in call.body:
            raise RedfishError("ActionParameterMissing", action, "Image")
        self.check_insert(call, medium)
        self.put_in(medium, call.body)
        return Answer()

    def check_insert(self, call: Call, medium: VirtualMedia) -> None:
        """Raises RedfishError for what this vendor does not take."""
        image = call.body["Image"]
        if not isinstance(image, str) or not image.startswith(("http://", "https://")):
            raise RedfishError("ActionParameterValueNotInList", str(image), "Image", "VirtualMedia.InsertMedia")

    def put_in(self, medium: VirtualMedia, body: Body) -> None:
        medium.image, medium.inserted = body["Image"], True
        medium.username = body.get("UserName") or None
        medium.write_protected = body.get("WriteProtected", True) is not False

    async def eject(self, call: Call, id: str, *, base: str) -> Answer:
        medium = call.bmc.state.media[self.slot(id).of]
        self.take_out(medium)
        return Answer()

    def take_out(self, medium: VirtualMedia) -> None:
        medium.image, medium.inserted, medium.username = None, False, None

    async def change_medium(self, call: Call, id: str, *, base: str) -> Answer:
        raise RedfishError("OperationNotAllowed", status=405)
