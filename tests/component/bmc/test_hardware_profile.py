"""hardware_profile: everything is checked before anything is written, one diff, one restart, read back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.base import Refused
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.operations import bmc_power, hardware_profile
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.restarted import read_back
from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import (
    BadAnswer,
    Conflict,
    InvalidInput,
    NotFound,
    PaleBlueDotError,
    Unsupported,
)
from replay import Asked, Reply

from lab.firmware import make_image

M2 = ["NVMe_Device0_NSID1", "NVMe_Device1_NSID1"]
MIRROR = {"name": "system", "raid_type": "RAID1", "drives": M2}


def profile(bmc: Any, /, check_mode: bool = False, **options: Any) -> dict[str, Any]:
    defaults = {"reboot": "never", "wait": True, "wait_timeout": 30}
    return hardware_profile.run(bmc.params(**{**defaults, **options}), check_mode)


@pytest.fixture
def whole(tmp_path: Path) -> dict[str, Any]:
    """A profile with every part, each of which a lab machine differs from."""
    image = tmp_path / "bios.fwpkg"
    image.write_bytes(make_image({"HostBIOS_0": "01.02.00", "HGX_FW_FPGA_0": "2.40"}))
    return {
        "bios": {"SRIOVEnable": "Disable", "PromptTimeout": "5"},
        "boot_order": ["hdd", "pxe"],
        "firmware": [
            {
                "image": str(image),
                "targets": [],
                "versions": {"HostBIOS_0": "01.02.00", "HGX_FW_FPGA_0": "2.40"},
                "apply_time": "on_reset",
            }
        ],
        "volumes": [{**MIRROR, "apply_time": "on_reset"}],
    }


def test_the_drift_of_all_parts_is_one_diff_and_check_mode_writes_nothing(lab_bmc: Any, whole: dict[str, Any]) -> None:
    planned = profile(lab_bmc, check_mode=True, reboot="if_needed", **whole)
    assert planned["changed"] and planned["rebooted"] and not planned["reboot_required"]
    assert planned["drift"] == {
        "firmware": {
            "HostBIOS_0": {"current": "01.01.03", "wanted": "01.02.00"},
            "HGX_FW_FPGA_0": {"current": "2.37", "wanted": "2.40"},
        },
        "bios": {
            "SRIOVEnable": {"current": "Enable", "next_boot": "Enable", "wanted": "Disable"},
            "PromptTimeout": {"current": 1, "next_boot": 1, "wanted": 5},
        },
        "boot_order": {
            "boot_order": {
                "current": ["Boot0026", "Boot0025", "Boot0000"],
                "wanted": ["Boot0000", "Boot0026", "Boot0025"],
            }
        },
        "volumes": {"system": {"current": None, "wanted": {"name": "system", "raid_type": "RAID1", "drives": M2}}},
    }
    assert set(planned["diff"]["before"]) == set(planned["diff"]["after"]) == set(whole)
    assert not lab_bmc.writes() and not lab_bmc.resets()


def test_all_parts_are_brought_about_with_one_restart_and_read_back(lab_bmc: Any, whole: dict[str, Any]) -> None:
    lab_bmc.power("on")
    planned = profile(lab_bmc, check_mode=True, reboot="if_needed", **whole)
    done = profile(lab_bmc, reboot="if_needed", **whole)
    # the BMC's tasks are there once there is something to do
    assert planned.pop("tasks") == {}
    assert set(done["tasks"]) == {"firmware", "volumes", "restart"}
    assert all(task["uri"].startswith("/redfish/v1/TaskService/Tasks/") for task in done["tasks"].values())
    assert {key: done[key] for key in planned} == planned
    # firmware first; and an FPGA takes the power being away, which a DGX has no single command for
    assert [action.split(" ", 1)[1].removeprefix("/redfish/v1/") for action in lab_bmc.writes()] == [
        "UpdateService/upload",
        "Systems/DGX/Bios/SD",
        "Systems/DGX/SD",
        "Systems/DGX/Storage/StorageUnit_0/Volumes",
        *["Systems/DGX/Actions/ComputerSystem.Reset"] * 2,
    ]
    assert lab_bmc.resets() == ["ForceOff", "On"] and lab_bmc.machine.power == "On"
    machine = lab_bmc.machine
    assert machine.bmc.bios["SRIOVEnable"] == "Disable" and machine.boot_order[0] == "Boot0000"
    assert machine.firmware.components["HGX_FW_FPGA_0"][0] == "2.40" and machine.volumes.by_id
    again = profile(lab_bmc, reboot="if_needed", **whole)
    assert not again["changed"] and again["drift"] == {} and not again["rebooted"]
    assert lab_bmc.resets() == ["ForceOff", "On"] and lab_bmc.sessions() == 0


def test_without_a_restart_it_says_that_one_is_due_and_a_later_run_makes_it(lab_bmc: Any) -> None:
    lab_bmc.power("on")
    wanted = {"bios": {"SRIOVEnable": "Disable"}}
    done = profile(lab_bmc, **wanted)
    assert done["changed"] and done["reboot_required"] and not done["rebooted"] and not lab_bmc.resets()
    again = profile(lab_bmc, **wanted)
    assert not again["changed"] and again["reboot_required"]
    due = profile(lab_bmc, reboot="if_needed", **wanted)
    assert due["changed"] and due["rebooted"] and lab_bmc.resets() == ["ForceRestart"], "what was staged before counts"
    assert not profile(lab_bmc, reboot="if_needed", **wanted)["changed"]


def test_a_server_that_is_off_is_switched_on_for_it_and_off_again(lab_bmc: Any) -> None:
    assert profile(lab_bmc, reboot="if_needed", bios={"SRIOVEnable": "Disable"})["rebooted"]
    assert lab_bmc.resets() == ["On", "ForceOff"] and lab_bmc.machine.power == "Off"
    assert lab_bmc.machine.bmc.bios["SRIOVEnable"] == "Disable"


def test_what_needs_no_restart_causes_none(lab_bmc: Any) -> None:
    lab_bmc.power("on")
    done = profile(lab_bmc, reboot="if_needed", boot_order=["hdd"], volumes=[{**MIRROR, "apply_time": "immediate"}])
    assert done["changed"] and not done["rebooted"] and not done["reboot_required"]
    assert not lab_bmc.resets() and lab_bmc.machine.volumes.by_id


def test_everything_is_checked_before_anything_is_written(lab_bmc: Any, whole: dict[str, Any]) -> None:
    """One part after the other is wrong, the others are right: none of them is written."""
    wrong: dict[str, Any] = {
        "bios": {"SRIOVEnable": "Disable", "SRIOV": "x"},
        "boot_order": ["floppy"],
        "volumes": [{**MIRROR, "raid_type": "RAID6"}],
        "firmware": [{"targets": ["HostBIOS_0"], "version": "9"}],
    }
    for part, value in wrong.items():
        with pytest.raises(PaleBlueDotError) as caught:
            profile(lab_bmc, reboot="if_needed", **{**whole, part: value})
        assert caught.value.step == part
    with pytest.raises(InvalidInput) as all_of_them:
        profile(lab_bmc, **wrong)
    assert all_of_them.value.code == "profile_refused"
    for said in ("no attribute SRIOV", "floppy", "RAID6", "no image"):
        assert said in (all_of_them.value.answer or "")
    assert not lab_bmc.writes()


def test_values_are_checked_against_the_machines_own_registry(start_replay: Any, dell_capture: Any) -> None:
    def unlocked(asked: Asked) -> Reply | None:
        if asked.path.endswith("/DellAttributes/iDRAC.Embedded.1"):
            return Reply(200, {"Attributes": {"Lockdown.1.SystemLockdown": "Disabled"}})
        if asked.path.endswith("/Bios/BiosRegistry"):  # in lockdown every attribute is read only
            registry = dell_capture.get(asked.path)
            for attribute in registry["RegistryEntries"]["Attributes"]:
                attribute["ReadOnly"] = False
            return Reply(200, registry)
        return None

    bmc = start_replay(dell_capture, unlocked)
    with pytest.raises(InvalidInput, match="it takes Enabled, Disabled") as caught:
        profile(bmc, bios={"SriovGlobalEnable": "Perhaps"}, reboot="if_needed")
    assert caught.value.step == "bios"
    planned = profile(bmc, check_mode=True, bios={"SriovGlobalEnable": "Disabled"}, reboot="if_needed")
    assert planned["rebooted"] and planned["drift"]["bios"]["SriovGlobalEnable"]["wanted"] == "Disabled"
    assert not bmc.requests("PATCH")


def test_two_volumes_over_one_drive_are_refused(lab_bmc: Any) -> None:
    data = {"name": "data", "raid_type": "RAID0", "drives": [M2[1]]}
    with pytest.raises(InvalidInput, match=f"drive {M2[1]} into two volumes"):
        profile(lab_bmc, volumes=[MIRROR, data])
    assert not lab_bmc.writes()


def test_a_volume_that_goes_frees_its_drives_for_one_that_comes(lab_bmc: Any) -> None:
    profile(lab_bmc, volumes=[{**MIRROR, "name": "old"}])
    done = profile(lab_bmc, volumes=[MIRROR, {"name": "old", "state": "absent"}])
    assert done["changed"]
    assert [volume.name for volume in lab_bmc.machine.volumes.by_id.values()] == ["system"]


def test_a_failure_says_which_part_it_was_and_restarts_nothing(lab_bmc: Any, whole: dict[str, Any]) -> None:
    lab_bmc.power("on")
    lab_bmc.machine_fault("firmware_failed", "firmware HostBIOS_0", "signature refused")
    with pytest.raises(Refused) as caught:
        profile(lab_bmc, reboot="if_needed", **whole)
    assert caught.value.step == "firmware" and not lab_bmc.resets()
    assert [action.rsplit("/", 1)[-1] for action in lab_bmc.writes()] == ["upload"]


def test_a_restart_that_brings_nothing_is_no_success(lab_bmc: Any, whole: dict[str, Any]) -> None:
    lab_bmc.power("on")
    lab_bmc.machine_fault("firmware_old", "firmware HGX_FW_FPGA_0")
    with pytest.raises(BadAnswer) as caught:
        profile(lab_bmc, reboot="if_needed", wait_timeout=4, **{"firmware": whole["firmware"]})
    assert caught.value.code == "not_applied" and caught.value.step == "firmware"


def test_nothing_asked_for_is_nothing_done(lab_bmc: Any) -> None:
    done = profile(lab_bmc)
    assert not done["changed"] and done["diff"] == {"before": {}, "after": {}}


def test_a_boot_option_that_comes_with_the_bios_setting_is_put_in_order_after_the_boot(start_replay: Any) -> None:
    """Supermicro: HTTP boot is among the options only after it was enabled and the server has booted."""
    system = "/redfish/v1/Systems/1"
    order, state = ["Boot0001"], {"PowerState": "On"}
    current, staged = {"HTTPSupport_0042": "Disabled"}, {}
    named = {"Boot0001": "Hdd", "Boot0002": "UefiHttp"}

    def respond(asked: Asked) -> Reply | None:
        path = asked.path.rstrip("/")
        if asked.method == "PATCH" and path.endswith("/Bios/SD"):
            staged.update(asked.body["Attributes"])
        elif asked.method == "PATCH" and path == system:
            assert set(asked.body["Boot"]["BootOrder"]) <= set(order), "an option that is not there"
            order[:] = asked.body["Boot"]["BootOrder"]
        elif asked.method == "POST" and path.endswith("ComputerSystem.Reset"):
            current.update(staged)
            if "Boot0002" not in order:
                order.append("Boot0002")
        elif asked.method == "GET" and path == f"{system}/Bios":
            settings = {"SettingsObject": {"@odata.id": f"{system}/Bios/SD"}}
            return Reply(200, {"@odata.id": path, "Attributes": current, "@Redfish.Settings": settings})
        elif asked.method == "GET" and path == f"{system}/Bios/SD":
            return Reply(200, {"Id": "SD", "Attributes": staged})
        elif asked.method == "GET" and path == f"{system}/BootOptions":
            return Reply(200, {"Members": [{"@odata.id": f"{path}/{each}"} for each in order]})
        elif asked.method == "GET" and path.startswith(f"{system}/BootOptions/"):
            each = path.rsplit("/", 1)[-1]
            return Reply(200, {"BootOptionReference": each, "Alias": named[each]})
        elif asked.method == "GET" and path == system:
            reset = {
                "target": f"{system}/Actions/ComputerSystem.Reset",
                "ResetType@Redfish.AllowableValues": ["ForceRestart", "On", "ForceOff"],
            }
            return Reply(
                200,
                {
                    "@odata.id": system,
                    "Bios": {"@odata.id": f"{system}/Bios"},
                    **state,
                    "Boot": {"BootOrder": order, "BootOptions": {"@odata.id": f"{system}/BootOptions"}},
                    "Actions": {"#ComputerSystem.Reset": reset},
                },
            )
        else:
            return None
        return Reply(204)

    tree = {"/redfish/v1": {"Vendor": "Supermicro"}, "/redfish/v1/Systems": {"Members": [{"@odata.id": system}]}}
    wanted = {"bios": {"HTTPSupport": "Enable"}, "boot_order": ["http", "hdd"]}
    bmc = start_replay(tree, respond)
    planned = profile(bmc, check_mode=True, reboot="if_needed", **wanted)
    assert planned["drift"]["boot_order"]["boot_order"]["wanted"] == ["http", "hdd"]
    done = profile(bmc, reboot="if_needed", **wanted)
    assert done["rebooted"] and order == ["Boot0002", "Boot0001"]
    assert [path.rsplit("/", 1)[-1] for path in bmc.requests("POST", "PATCH") if "Sessions" not in path] == [
        "SD",
        "ComputerSystem.Reset",
        "1",
    ]
    assert not profile(bmc, reboot="if_needed", **wanted)["changed"]
    # an option that no BIOS setting will bring is refused at once
    with pytest.raises(InvalidInput, match="no boot option"):
        profile(bmc, reboot="if_needed", **{**wanted, "boot_order": ["floppy"]})


def test_a_dell_boot_order_that_waits_for_the_boot_is_no_drift(start_lab: Any) -> None:
    """It stands in the System's settings object, and the System shows the old one until then."""
    dell = start_lab("dell")
    wanted = {"boot_order": ["hdd", "pxe"], "bios": {"ProcTurboMode": "Disabled"}}
    assert profile(dell, **wanted)["drift"].keys() == wanted.keys()
    again = profile(dell, **wanted)
    assert not again["changed"] and again["reboot_required"]
    due = profile(dell, reboot="if_needed", **wanted)
    assert due["rebooted"] and dell.machine.boot_order[0] == "Boot0000"
    assert not profile(dell, reboot="if_needed", **wanted)["changed"]


def test_the_job_that_is_not_waited_for_is_handed_on(start_lab: Any) -> None:
    dell = start_lab("dell")
    planned = profile(dell, check_mode=True, bios={"LogicalProc": "Disabled"})
    assert planned["tasks"] == {}
    done = profile(dell, bios={"LogicalProc": "Disabled"})
    assert done["reboot_required"] and "/JID_" in done["tasks"]["bios"]["uri"]


def test_settings_of_the_bmc_are_part_of_it(lab_bmc: Any) -> None:
    wanted = {
        "bmc": {"hostname": None, "ntp_servers": ["192.0.2.1", "192.0.2.2"], "dns_servers": None, "ipmi_enabled": False}
    }
    planned = profile(lab_bmc, check_mode=True, **wanted)
    assert (
        planned["changed"] and not lab_bmc.writes() and set(planned["drift"]["bmc"]) <= {"ntp_servers", "ipmi_enabled"}
    )
    done = profile(lab_bmc, reboot="if_needed", **wanted)
    assert done["diff"] == planned["diff"] and not done["rebooted"] and lab_bmc.writes()
    assert done["diff"]["after"]["bmc"] == {"ntp_servers": ["192.0.2.1", "192.0.2.2"], "ipmi_enabled": False}
    again = profile(lab_bmc, **wanted)
    assert not again["changed"] and again["drift"] == {}
    # settings that nobody gave a value ask for nothing
    assert profile(lab_bmc, bmc=dict.fromkeys(wanted["bmc"]))["diff"] == {"before": {}, "after": {}}


def test_power_is_only_touched_when_asked(lab_bmc: Any) -> None:
    bmc_power.run(lab_bmc.params(state="on", wait=True, wait_timeout=10), False)
    before = lab_bmc.resets()
    profile(lab_bmc, bios={"SRIOVEnable": "Disable"}, boot_order=["hdd"], volumes=[MIRROR])
    assert lab_bmc.resets() == before


@pytest.mark.parametrize("kind", [NotFound, Unsupported, Conflict])
@pytest.mark.parametrize("comes", [True, False])
def test_a_bmc_that_is_starting_is_read_again_and_its_last_word_is_the_error(
    kind: type[PaleBlueDotError], comes: bool
) -> None:
    looks: list[int] = []

    def holds() -> bool:
        looks.append(1)
        if comes and len(looks) > 2:
            return True
        raise kind(f"look {len(looks)}")

    if comes:
        read_back("bmc", {"late": holds}, 5)
        return
    with pytest.raises(kind) as caught:
        read_back("bmc", {"late": holds}, 0.5)
    assert caught.value.message == f"look {len(looks)}" and len(looks) > 2 and caught.value.step == "late"
