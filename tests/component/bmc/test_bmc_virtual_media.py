"""Virtual media: over the lab's vendors, and as conversations about what each vendor wants in its own way."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.base import Refused
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.operations import bmc_boot as boot
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.operations import bmc_virtual_media as media
from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import BadAnswer, NotFound, Unsupported

from lab.config import VENDORS

IMAGE, OTHER = "http://192.0.2.1/images/rescue.iso", "http://192.0.2.1/images/other.iso"


def ask(bmc: Any, check_mode: bool = False, **options: Any) -> dict[str, Any]:
    defaults = {"state": "inserted", "write_protected": True, "wait_timeout": 5}
    return media.run(bmc.params(**{**defaults, **options}), check_mode)


def inside(bmc: Any) -> list[str]:
    return [medium.image for medium in bmc.machine.bmc.media.values() if medium.inserted]


@pytest.mark.parametrize("vendor", VENDORS)
def test_every_vendor_of_the_lab_takes_an_image_and_gives_it_back(start_lab: Any, vendor: str) -> None:
    bmc = start_lab(vendor)
    planned = ask(bmc, check_mode=True, image=IMAGE)
    assert planned["changed"] and inside(bmc) == []
    done = ask(bmc, image=IMAGE)
    assert done["changed"] and done["diff"] == planned["diff"] and done["device"] and done["task"] is None
    assert inside(bmc) == [IMAGE]
    again = ask(bmc, image=IMAGE)
    assert not again["changed"] and again["device"] == done["device"]
    out = ask(bmc, check_mode=True, state="ejected")
    assert out["changed"] and inside(bmc) == [IMAGE]
    gone = ask(bmc, state="ejected")
    assert gone["changed"] and gone["diff"] == out["diff"] and inside(bmc) == []
    assert not any(slot["inserted"] for slot in gone["virtual_media"])
    assert not ask(bmc, state="ejected")["changed"]
    assert bmc.sessions() == 0


@pytest.mark.parametrize("vendor", ["ami", "dell", "lenovo"])
def test_another_image_replaces_the_one_that_is_in(start_lab: Any, vendor: str) -> None:
    bmc = start_lab(vendor)
    device = ask(bmc, image=IMAGE)["device"]
    assert ask(bmc, image=OTHER, device=device)["changed"]
    assert inside(bmc) == [OTHER]


def test_an_empty_drive_is_preferred_and_a_usb_stick_is_asked_for(start_lab: Any) -> None:
    bmc = start_lab("lenovo")
    first, second = ask(bmc, image=IMAGE)["device"], ask(bmc, image=OTHER)["device"]
    assert first != second and sorted(inside(bmc)) == sorted([IMAGE, OTHER])
    assert ask(bmc, state="ejected", device=first)["changed"] and inside(bmc) == [OTHER]
    dgx = start_lab("ami")
    assert ask(dgx, image=IMAGE, media="usb")["device"] == "USB1"


def test_a_drive_that_is_not_there_and_a_protocol_that_has_none(lab_bmc: Any, ipmi_bmc: Any) -> None:
    with pytest.raises(Unsupported) as over_ipmi:
        ask(ipmi_bmc, image=IMAGE)
    assert over_ipmi.value.code == "protocol_unsupported"
    with pytest.raises(NotFound, match="CD1") as caught:
        media.run(
            lab_bmc.redfish_params(
                bmc_protocol="redfish",
                bmc_port=lab_bmc.bmc.port,
                state="inserted",
                image=IMAGE,
                device="CD9",
                write_protected=True,
                wait_timeout=5,
            ),
            False,
        )
    assert caught.value.tried == "device CD9"


def test_a_supermicro_boots_its_virtual_cd_as_a_cd_on_usb(start_lab: Any) -> None:
    bmc = start_lab("supermicro")
    done = boot.run(bmc.params(target="cd", persistence="once"), False)
    assert done["boot"]["target"] == "cd"
    entries = bmc._loop.call(lambda: bmc.machine.world.log.select(bmc.machine.name, "redfish"))
    written = [entry.detail["body"]["Boot"] for entry in entries if "Boot" in entry.detail["body"]]
    assert [change["BootSourceOverrideTarget"] for change in written] == ["UsbCd"]
    assert not boot.run(bmc.params(target="cd", persistence="once"), False)["changed"]


# -- what goes over the wire


def site(
    vendor: str, *, place: str = "Managers", model: str = "", actions: bool = True, **medium: Any
) -> dict[str, Any]:
    holder = {"Systems": "/redfish/v1/Systems/1", "Managers": "/redfish/v1/Managers/1"}[place]
    path = f"{holder}/VirtualMedia/1"
    tree: dict[str, Any] = {
        "/redfish/v1": {"Vendor": vendor, "RedfishVersion": "1.11.0"},
        "/redfish/v1/Systems": {"Members": [{"@odata.id": "/redfish/v1/Systems/1"}]},
        "/redfish/v1/Systems/1": {
            "Id": "1",
            "Model": model,
            "PowerState": "On",
            "Links": {"ManagedBy": [{"@odata.id": "/redfish/v1/Managers/1"}]},
        },
        "/redfish/v1/Managers/1": {"Id": "1", "ManagerType": "BMC"},
        f"{holder}/VirtualMedia": {"Members": [{"@odata.id": path}]},
        path: {"Id": "1", "MediaTypes": ["CD"], "Inserted": False, "Image": "", **medium},
    }
    tree[holder]["VirtualMedia"] = {"@odata.id": f"{holder}/VirtualMedia"}
    if actions:
        tree[path]["Actions"] = {
            f"#VirtualMedia.{verb}Media": {"target": f"{path}/Actions/VirtualMedia.{verb}Media"}
            for verb in ("Insert", "Eject")
        }
    return tree


def talk(start_replay: Any, tree: dict[str, Any], refuse: Any = lambda asked: None) -> Any:
    path = next(name for name in tree if name.endswith("/VirtualMedia/1"))

    def respond(asked: Any) -> Any:
        from replay import Reply

        if asked.method not in ("POST", "PATCH") or "VirtualMedia" not in asked.path:
            return None
        if (refusal := refuse(asked)) is not None:
            return refusal
        image = (asked.body or {}).get("Image")
        tree[path].update(Image=image or "", Inserted=bool(image))
        return Reply(204)

    return start_replay(tree, respond)


def sent(bmc: Any) -> list[tuple[str, str, Any]]:
    found = [(a.method, a.path.rsplit("/", 1)[1], a.body) for a in bmc.asked if a.method in ("POST", "PATCH")]
    return [entry for entry in found if entry[1] != "Sessions"]


FULL = {"Image": IMAGE, "Inserted": True, "WriteProtected": True}


def test_a_dgx_gets_user_and_password_even_if_empty_and_only_its_manager_is_asked(start_replay: Any) -> None:
    bmc = talk(start_replay, site("AMI", model="DGXH100"))
    ask(bmc, image=IMAGE)
    assert sent(bmc) == [("POST", "VirtualMedia.InsertMedia", {**FULL, "UserName": "", "Password": ""})]


def test_a_supermicro_gets_the_image_alone_and_its_eject_needs_not_be_shown(start_replay: Any) -> None:
    tree = site("Supermicro")
    del tree["/redfish/v1/Managers/1/VirtualMedia/1"]["Actions"]["#VirtualMedia.EjectMedia"]
    bmc = talk(start_replay, tree)
    ask(bmc, image=IMAGE)
    ask(bmc, state="ejected")
    assert sent(bmc) == [
        ("POST", "VirtualMedia.InsertMedia", {"Image": IMAGE}),
        ("POST", "VirtualMedia.EjectMedia", {}),
    ]


def test_a_drive_without_actions_is_changed_by_patch_and_those_of_others_are_left_alone(start_replay: Any) -> None:
    tree = site("Lenovo", actions=False)
    collection = tree["/redfish/v1/Managers/1/VirtualMedia"]["Members"]
    for id in ("RDOC1", "Remote1"):
        path = f"/redfish/v1/Managers/1/VirtualMedia/{id}"
        collection.insert(0, {"@odata.id": path})
        tree[path] = {"Id": id, "MediaTypes": ["CD"], "Inserted": False}
    bmc = talk(start_replay, tree)
    assert ask(bmc, image=IMAGE)["device"] == "1"
    assert [slot["id"] for slot in ask(bmc, state="ejected")["virtual_media"]] == ["1"]
    assert sent(bmc) == [("PATCH", "1", FULL), ("PATCH", "1", {"Image": None, "Inserted": False})]


def test_what_a_refusal_asks_for_is_added_and_what_it_does_not_know_is_left_out(start_replay: Any) -> None:
    from replay import Reply, error

    def refuse(asked: Any) -> Any:
        body = asked.body or {}
        if "Image" in body and "TransferProtocolType" not in body:
            return Reply(400, error("Base.1.8.ActionParameterMissing", "It requires TransferProtocolType."))
        if "Inserted" in body:
            return Reply(400, error("Base.1.8.ActionParameterNotSupported", "The parameter Inserted is not supported."))
        return None

    bmc = talk(start_replay, site("Somebody", place="Systems"), refuse)
    assert ask(bmc, image=IMAGE.replace("http:", "https:"))["changed"]
    assert sent(bmc)[-1][2] == {
        "Image": IMAGE.replace("http:", "https:"),
        "WriteProtected": True,
        "TransferProtocolType": "HTTPS",
    }
    assert len(sent(bmc)) == 3


def test_the_task_that_a_bmc_makes_of_it_is_handed_on(start_replay: Any) -> None:
    from replay import Reply

    tree = site("AMI", model="DGXH100")
    task = "/redfish/v1/TaskService/Tasks/3"

    def accept(asked: Any) -> Any:
        tree["/redfish/v1/Managers/1/VirtualMedia/1"].update(Image=asked.body["Image"], Inserted=True)
        return Reply(202, {"@odata.id": task, "TaskState": "Running"})

    done = ask(talk(start_replay, tree, accept), image=IMAGE)
    assert done["task"] == {"uri": task, "state": "Running", "percent": None}


def test_another_refusal_is_not_tried_again(start_replay: Any) -> None:
    from replay import Reply, error

    refusal = Reply(400, error("Base.1.8.ActionParameterValueError", "The value of the parameter Image is invalid."))
    bmc = talk(start_replay, site("Somebody"), lambda asked: refusal)
    with pytest.raises(Refused):
        ask(bmc, image=IMAGE)
    assert len(sent(bmc)) == 1


def test_an_eject_that_shows_late_is_waited_for_and_one_that_never_shows_is_reported(start_replay: Any) -> None:
    tree = site("Dell", place="Systems", Inserted=True, Image=IMAGE)
    path = "/redfish/v1/Systems/1/VirtualMedia/1"
    late = {"reads": 0, "stuck": False}

    def respond(asked: Any) -> Any:
        from replay import Reply

        if asked.method == "POST" and asked.path.endswith("EjectMedia"):
            late["ejected"] = True
            return Reply(204)
        if asked.method == "GET" and asked.path == path and late.get("ejected"):
            late["reads"] += 1
            if late["reads"] >= 4 and not late["stuck"]:
                tree[path].update(Inserted=False, Image=None)
        return None

    bmc = start_replay(tree, respond)
    assert ask(bmc, state="ejected")["changed"] and late["reads"] >= 4
    tree[path].update(Inserted=True, Image=IMAGE)
    late["stuck"] = True
    with pytest.raises(BadAnswer) as caught:
        ask(bmc, state="ejected", wait_timeout=1)
    assert caught.value.code == "not_applied" and IMAGE in (caught.value.answer or "")


def test_a_bmc_without_drives_says_what_to_look_for(start_replay: Any, dgx_capture: Any) -> None:
    """On this DGX remote media was switched off: its collection is empty."""
    bmc = start_replay(dgx_capture)
    with pytest.raises(Unsupported, match="remote media"):
        ask(bmc, image=IMAGE)


def test_drives_of_the_captures(start_replay: Any, hpe_capture: Any, dell_capture: Any) -> None:
    found = ask(start_replay(hpe_capture), check_mode=True, image=IMAGE)
    assert found["device"] == "2" and [slot["media"] for slot in found["virtual_media"]] == [["usb"], ["cd"]]
    found = ask(start_replay(dell_capture), check_mode=True, image=IMAGE)
    assert found["device"] == "1" and [slot["media"] for slot in found["virtual_media"]] == [["cd", "usb"]] * 2
