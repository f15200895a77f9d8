"""storage_volume: made, found again, deleted by name only; what the controller offers is checked first."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.base import AnswerLost, Refused
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.operations import storage_volume
from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import (
    BadAnswer,
    Conflict,
    InvalidInput,
    NotFound,
    Unsupported,
)
from replay import Asked, Reply

VOLUMES = "/redfish/v1/Systems/DGX/Storage/StorageUnit_0/Volumes"
M2 = ["NVMe_Device0_NSID1", "NVMe_Device1_NSID1"]


def volume(bmc: Any, check_mode: bool = False, **options: Any) -> dict[str, Any]:
    defaults = {
        "state": "present",
        "controller": None,
        "raid_type": None,
        "drives": [],
        "initialize": None,
        "apply_time": None,
        "wait": True,
        "wait_timeout": 10,
    }
    return storage_volume.run(bmc.params(**{**defaults, **options}), check_mode)


MIRROR = {"name": "system", "raid_type": "RAID1", "drives": M2}


def test_a_volume_is_planned_made_read_back_and_then_there(lab_bmc: Any) -> None:
    planned = volume(lab_bmc, check_mode=True, **MIRROR)
    assert planned["changed"] and not lab_bmc.writes()
    done = volume(lab_bmc, initialize="fast", **MIRROR)
    assert done["diff"] == planned["diff"] and done["task"]["state"] == "Completed"
    assert done["volume"] == {"id": "1", "name": "system", "raid_type": "RAID1", "drives": M2, "capacity_gb": 1920}
    made = lab_bmc.machine.volumes.by_id["1"]
    assert made.initialized == "Fast" and [disk.slot for disk in made.disks] == [0, 1]
    assert lab_bmc.writes() == [f"POST {VOLUMES}", f"POST {VOLUMES}/1/Actions/Volume.Initialize"]
    again = volume(lab_bmc, initialize="fast", **MIRROR)
    assert not again["changed"] and len(lab_bmc.writes()) == 2, "what is there is never initialised"
    assert not volume(lab_bmc, name="system")["changed"], "its name alone is enough to know it"


def test_it_is_deleted_by_its_name_and_by_nothing_else(lab_bmc: Any) -> None:
    volume(lab_bmc, **MIRROR)
    for other in ("1", "Volume 1", "sys", "System"):
        assert not volume(lab_bmc, name=other, state="absent")["changed"]
    planned = volume(lab_bmc, check_mode=True, name="system", state="absent")
    assert planned["changed"] and lab_bmc.machine.volumes.by_id
    done = volume(lab_bmc, name="system", state="absent")
    assert done["diff"] == planned["diff"] and done["volume"] is None
    assert not lab_bmc.machine.volumes.by_id
    assert not volume(lab_bmc, name="system", state="absent")["changed"]


def test_with_the_next_restart_it_is_not_waited_for(lab_bmc: Any) -> None:
    done = volume(lab_bmc, apply_time="on_reset", **MIRROR)
    assert done["reboot_required"] and done["volume"]["name"] == "system" and done["volume"]["id"] is None
    assert not lab_bmc.machine.volumes.by_id
    lab_bmc.power("on")
    assert not volume(lab_bmc, **MIRROR)["changed"]


def test_a_volume_of_that_name_that_is_another_one_is_never_remade(lab_bmc: Any) -> None:
    volume(lab_bmc, **MIRROR)
    with pytest.raises(Conflict) as caught:
        volume(lab_bmc, **{**MIRROR, "raid_type": "RAID0"})
    assert caught.value.code == "volume_differs"
    with pytest.raises(Conflict) as caught:
        volume(lab_bmc, name="data", raid_type="RAID0", drives=[M2[1]])
    assert caught.value.code == "drive_in_use" and f"{M2[1]}: system" in (caught.value.answer or "")
    assert lab_bmc.writes() == [f"POST {VOLUMES}"]


def test_what_cannot_be_is_told_before_anything_is_written(lab_bmc: Any) -> None:
    with pytest.raises(Unsupported, match="RAID0, RAID1, RAID5, RAID10"):
        volume(lab_bmc, **{**MIRROR, "raid_type": "RAID6"})
    with pytest.raises(InvalidInput, match="no drive Bay9"):
        volume(lab_bmc, **{**MIRROR, "drives": [M2[0], "Bay9"]})
    with pytest.raises(InvalidInput, match="twice"):
        volume(lab_bmc, **{**MIRROR, "drives": [M2[0], M2[0]]})
    with pytest.raises(InvalidInput, match="RAID5 takes 3"):
        volume(lab_bmc, **{**MIRROR, "raid_type": "RAID5"})
    with pytest.raises(InvalidInput, match="raid_type and drives"):
        volume(lab_bmc, name="new")
    with pytest.raises(NotFound, match="controllers: StorageUnit_0"):
        volume(lab_bmc, controller="RAID.1", **MIRROR)
    assert not lab_bmc.writes()


def test_a_controller_that_fails_is_no_success(lab_bmc: Any) -> None:
    lab_bmc.machine_fault("volume_failed", "volume system", "drive 1 is worn out", count=1)
    with pytest.raises(Refused, match="worn out"):
        volume(lab_bmc, **MIRROR)
    assert volume(lab_bmc, **MIRROR)["changed"]


# -- other machines


def test_an_hpe_controller_names_its_volumes_and_what_it_offers(start_replay: Any, hpe_capture: Any) -> None:
    bmc = start_replay(hpe_capture)
    found = volume(bmc, name="Logical Drive 1", raid_type="RAID1", drives=["0", "1"])
    assert not found["changed"] and found["volume"]["capacity_gb"] == 480
    with pytest.raises(Unsupported, match="RAID1Triple"):
        volume(bmc, name="new", raid_type="RAID7", drives=["0", "1"])
    with pytest.raises(Conflict) as caught:
        volume(bmc, name="new", raid_type="RAID1", drives=["0", "1"])
    assert caught.value.code == "drive_in_use"
    assert volume(bmc, check_mode=True, name="Logical Drive 1", state="absent")["changed"]
    assert not bmc.requests("DELETE", "PATCH") or all("Sessions" in path for path in bmc.requests("DELETE"))


def test_a_dell_without_raid_shows_its_drives_as_volumes_that_are_none(start_replay: Any, dell_capture: Any) -> None:
    bmc = start_replay(dell_capture)
    with pytest.raises(Conflict) as caught:
        volume(bmc, controller="CPU.1", name="PCIe SSD in Slot 7 in Bay 1", state="absent")
    assert caught.value.code == "raw_drive"
    # the only one with drives was found, and no controller stands before them
    with pytest.raises(Unsupported, match="SupportedRAIDTypes: none") as refused:
        volume(
            bmc,
            name="system",
            raid_type="RAID1",
            drives=["Disk.Bay.6:Enclosure.Internal.0-1", "Disk.Bay.7:Enclosure.Internal.0-1"],
        )
    assert refused.value.tried == "volume system on CPU.1"


def a_controller(**more: Any) -> dict[str, Any]:
    unit = "/redfish/v1/Systems/1/Storage/R"
    return {
        "/redfish/v1": {"Vendor": "Contoso"},
        "/redfish/v1/Systems/1": {"@odata.id": "/redfish/v1/Systems/1", "Storage": {"@odata.id": unit[:-2]}},
        unit[:-2]: {"Members": [{"@odata.id": unit}]},
        unit: {
            "Drives": [{"@odata.id": f"{unit}/Drives/{n}"} for n in "01"],
            "Volumes": {"@odata.id": f"{unit}/Volumes"},
            "StorageControllers": [{"SupportedRAIDTypes": ["RAID1"]}],
        },
        f"{unit}/Volumes": {"Members": [], **more},
    }


def test_a_controller_that_only_works_with_a_restart_is_asked_so(start_replay: Any) -> None:
    """No capabilities: the name goes into Name, the RAID types come from the controller."""
    tree = a_controller(**{"@Redfish.OperationApplyTimeSupport": {"SupportedValues": ["OnReset"]}})

    def respond(asked: Asked) -> Reply | None:
        if asked.method == "POST" and asked.path.endswith("/Volumes"):
            return Reply(202, None, {"Location": "/redfish/v1/TaskService/Tasks/JID_1"})
        return None

    bmc = start_replay(tree, respond)
    done = volume(bmc, system_id="1", name="system", raid_type="RAID1", drives=["0", "1"])
    assert done["reboot_required"] and done["task"]["uri"].endswith("JID_1")
    (sent,) = [asked.body for asked in bmc.asked if asked.path.endswith("/Volumes") and asked.method == "POST"]
    assert sent == {
        "Name": "system",
        "RAIDType": "RAID1",
        "Links": {"Drives": [{"@odata.id": f"/redfish/v1/Systems/1/Storage/R/Drives/{n}"} for n in "01"]},
        "@Redfish.OperationApplyTime": "OnReset",
    }
    with pytest.raises(Unsupported, match="immediate"):
        volume(bmc, system_id="1", name="s", raid_type="RAID1", drives=["0", "1"], apply_time="immediate")


@pytest.mark.parametrize(
    ("controllers", "refused"),
    [([{"SupportedRAIDTypes": []}], True), ([], True), ([{}], False), ([{"SupportedRAIDTypes": ["RAID1"]}, {}], False)],
    ids=["says none", "there is none", "does not say", "one says"],
)
def test_what_a_controller_does_not_say_is_not_what_it_does_not_offer(
    start_replay: Any, controllers: list[dict[str, Any]], refused: bool
) -> None:
    tree = a_controller()
    tree["/redfish/v1/Systems/1/Storage/R"]["StorageControllers"] = controllers
    wanted = {"system_id": "1", "name": "s", "raid_type": "RAID1", "drives": ["0", "1"]}
    if refused:
        with pytest.raises(Unsupported, match="SupportedRAIDTypes: none"):
            volume(start_replay(tree), check_mode=True, **wanted)
    else:
        assert volume(start_replay(tree), check_mode=True, **wanted)["changed"]


def test_called_done_and_not_there_is_an_error(start_replay: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage_volume, "_SHOWS_WITHIN_S", 0.3)
    bmc = start_replay(
        a_controller(),
        lambda asked: Reply(201, {}) if asked.path.endswith("/Volumes") and asked.method == "POST" else None,
    )
    with pytest.raises(BadAnswer) as caught:
        volume(bmc, system_id="1", name="system", raid_type="RAID1", drives=["0", "1"])
    assert caught.value.code == "not_applied"


@pytest.mark.parametrize("options", [{"wait": False}, {"apply_time": "on_reset"}])
def test_initialising_what_is_not_waited_for_is_refused(lab_bmc: Any, options: dict[str, Any]) -> None:
    for check_mode in (True, False):
        with pytest.raises(InvalidInput) as caught:
            volume(lab_bmc, check_mode, initialize="fast", **MIRROR, **options)
        assert caught.value.code == "initialize_waits"
    assert not lab_bmc.writes()


@pytest.mark.parametrize("answer", [Reply(201, {}), Reply(0)], ids=["never shown", "lost"])
def test_an_initialisation_that_time_ran_out_for_is_named(
    start_replay: Any, monkeypatch: pytest.MonkeyPatch, answer: Reply
) -> None:
    monkeypatch.setattr(storage_volume, "_SHOWS_WITHIN_S", 0.3)
    bmc = start_replay(
        a_controller(), lambda asked: answer if asked.path.endswith("/Volumes") and asked.method == "POST" else None
    )
    with pytest.raises((BadAnswer, AnswerLost), match=r"has not been initialised \(fast\)"):
        volume(bmc, system_id="1", name="system", raid_type="RAID1", drives=["0", "1"], initialize="fast")
