# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""``bmc_virtual_media``: an image put into one of the BMC's virtual drives, or taken out."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict, replace
from typing import Any

from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.base import AnswerLost, Task
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.connect import open_bmc
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.deadline import wait_until
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.facets.virtual_media import Image, Slot, VirtualMedia
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.redfish.licences import RedfishLicences
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.redfish.virtual_media import RedfishVirtualMedia
from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import BadAnswer, NotFound

Params = dict[str, Any]


def run(params: Params, check_mode: bool) -> dict[str, Any]:
    """Put the image in, or take out what is in, and see it so."""
    with open_bmc(params) as bmc:
        media: VirtualMedia = bmc.facet(redfish=RedfishVirtualMedia)
        before = media.slots()
        chosen = _candidates(media, before, params)
        if params["state"] == "inserted":
            target = _best(chosen, params["image"])
            wanted = {target.id: replace(target, inserted=True, image=params["image"])}
            if _holds(target, wanted[target.id]):
                wanted = {}
        else:
            target = None
            wanted = {slot.id: replace(slot, inserted=False, image=None) for slot in chosen if slot.inserted}
        after = before
        task: Task | None = None
        if wanted and params["state"] == "inserted":
            bmc.facet(redfish=RedfishLicences).require("virtual_media")
        if wanted and not check_mode:
            task = _carry_out(media, [slot for slot in before if slot.id in wanted], params)
            after = _read_back(media, wanted, params)
    planned = [wanted.get(slot.id, slot) for slot in before]
    return {
        "changed": bool(wanted),
        "device": target.id if target else None,
        "task": asdict(task) if task else None,
        "virtual_media": [slot.as_dict() for slot in (planned if check_mode else after)],
        "diff": {"before": _side(before), "after": _side(planned)},
    }


def _candidates(media: VirtualMedia, slots: list[Slot], params: Params) -> list[Slot]:
    kind = params.get("media") or ("cd" if params["state"] == "inserted" and not params.get("device") else None)
    if params.get("device"):
        found = [slot for slot in slots if slot.id == params["device"]]
    else:
        # a drive that does not say what it is may be anything
        found = [slot for slot in slots if kind is None or kind in slot.kinds or not slot.kinds]
    if not found:
        raise NotFound(
            "the BMC has no such virtual drive",
            host=media.host,
            tried=f"device {params['device']}" if params.get("device") else f"media {kind}",
            answer=", ".join(f"{slot.id} ({'/'.join(slot.kinds) or 'unknown'})" for slot in slots),
            next="Set device or media to one of these.",
        )
    return found


def _best(slots: list[Slot], image: str) -> Slot:
    """The drive that has the image, else an empty one, else the first, whose image is replaced."""
    return min(slots, key=lambda slot: 0 if _has(slot, image) else 2 if slot.inserted else 1)


def _has(slot: Slot, image: str) -> bool:
    """Some BMCs only say the name of the file."""
    return slot.inserted and slot.image in (image, image.rsplit("/", 1)[-1])


def _holds(slot: Slot, wanted: Slot) -> bool:
    return _has(slot, wanted.image) if wanted.image else not slot.inserted


def _carry_out(media: VirtualMedia, slots: list[Slot], params: Params) -> Task | None:
    task: Task | None = None
    for slot in slots:
        if slot.inserted:
            with suppress(AnswerLost):  # whether it was carried out is read back
                task = media.eject(slot)
            if params["state"] == "inserted":
                _read_back(media, {slot.id: replace(slot, inserted=False, image=None)}, params)
        if params["state"] == "inserted":
            image = Image(params["image"], params.get("username"), params.get("password"), params["write_protected"])
            with suppress(AnswerLost):
                task = media.insert(slot, image)
    return task


def _read_back(media: VirtualMedia, wanted: dict[str, Slot], params: Params) -> list[Slot]:
    def all_hold(slots: list[Slot]) -> bool:
        return all(_holds(slot, wanted[slot.id]) for slot in slots if slot.id in wanted)

    # an iDRAC goes on showing an image for a while that it has taken out
    done, slots = wait_until(media.slots, all_hold, float(params["wait_timeout"]))
    if not done:
        raise BadAnswer(
            f"the BMC accepted the change of its virtual media and does not show it after {params['wait_timeout']} s",
            code="not_applied",
            host=media.host,
            tried="; ".join(f"{slot.id}: {slot.image or 'nothing in'}" for slot in wanted.values()),
            answer="; ".join(f"{slot.id}: {slot.image or slot.inserted}" for slot in slots if slot.id in wanted),
            next="Check that the BMC reaches the image's server, and that nobody redirects media in the console.",
        )
    return slots


def _side(slots: list[Slot]) -> dict[str, Any]:
    return {slot.id: {"inserted": slot.inserted, "image": slot.image} for slot in slots}
