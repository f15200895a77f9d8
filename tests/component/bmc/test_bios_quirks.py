"""BIOS attributes as each vendor wants them: paths, names, spellings, jobs, lockdown, and what cannot be taken back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.base import Refused, Task
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.connect import open_bmc
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.operations import bios_attributes as bios
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.redfish import tasks
from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import (
    BadAnswer,
    Conflict,
    DeadlineExceeded,
    InvalidInput,
    Unsupported,
)
from replay import Asked, Reply

SYSTEM = "/redfish/v1/Systems/1"
JOBS = "/redfish/v1/Managers/iDRAC.Embedded.1/Oem/Dell/Jobs"
LOCKDOWN = "/redfish/v1/Managers/iDRAC.Embedded.1/Oem/Dell/DellAttributes/iDRAC.Embedded.1"
TASK = "/redfish/v1/TaskService/Tasks/JID_2"


def set_bios(bmc: Any, attributes: dict[str, Any], check_mode: bool = False, **options: Any) -> dict[str, Any]:
    params = {"attributes": attributes, "apply_time": "on_reset", **options}
    return bios.run(bmc.params(**params), check_mode)


def machine(vendor: str, settings: str, current: dict[str, Any], pending: dict[str, Any] | None) -> dict[str, Any]:
    """A BMC of this vendor without a link to its settings, so that the profile has to know the path."""
    return {
        "/redfish/v1": {"Vendor": vendor},
        SYSTEM: {"@odata.id": SYSTEM, "Bios": {"@odata.id": f"{SYSTEM}/Bios"}},
        f"{SYSTEM}/Bios": {"@odata.id": f"{SYSTEM}/Bios", "Attributes": current},
        f"{SYSTEM}/Bios/{settings}": {"Id": settings, **({} if pending is None else {"Attributes": pending})},
    }


def taking(resources: dict[str, Any], answer: Callable[[], Reply] = lambda: Reply(204)) -> Callable[[Asked], Any]:
    """A BMC that keeps what is PATCHed at a settings object."""

    def respond(asked: Asked) -> Reply | None:
        if asked.method != "PATCH":
            return None
        body = resources[asked.path.rstrip("/")]
        resources[asked.path.rstrip("/")] = {
            **body,
            "Attributes": {**body.get("Attributes", {}), **asked.body["Attributes"]},
        }
        return answer()

    return respond


def patches(bmc: Any) -> list[tuple[str, Any]]:
    return [(asked.path, asked.body) for asked in bmc.asked if asked.method == "PATCH"]


# -- where it is written, and what is compared


@pytest.mark.parametrize(
    ("vendor", "settings"), [("HPE", "settings"), ("Lenovo", "Pending"), ("AMI", "SD"), ("Contoso", "Settings")]
)
def test_each_vendor_has_its_own_settings_path(start_replay: Any, vendor: str, settings: str) -> None:
    """HPE and Lenovo list all attributes there: what is pending is told by comparing with what is current."""
    resources = machine(vendor, settings, {"Turbo": "On", "Boot": "A"}, {"Turbo": "On", "Boot": "A"})
    bmc = start_replay(resources, taking(resources))
    done = set_bios(bmc, {"Turbo": "Off", "Boot": "A"}, system_id="1")
    assert done["pending"] == {"Turbo": "Off"} and done["drift"].keys() == {"Turbo"}
    assert patches(bmc) == [(f"{SYSTEM}/Bios/{settings}", {"Attributes": {"Turbo": "Off"}})]
    assert not set_bios(bmc, {"Turbo": "Off", "Boot": "A"}, system_id="1")["changed"]


def test_the_hpe_settings_path_is_taken_as_it_is_linked(start_replay: Any, hpe_capture: Any) -> None:
    """Lower case, with a slash at the end."""
    bmc = start_replay(hpe_capture, lambda asked: Reply(202, {}) if asked.method == "PATCH" else None)
    assert set_bios(bmc, {"Tpm2Operation": "Clear"})["reboot_required"]
    ((path, body),) = patches(bmc)
    assert path == "/redfish/v1/systems/1/bios/settings/" and body == {"Attributes": {"Tpm2Operation": "Clear"}}


def test_a_supermicro_settings_object_has_no_attributes_while_it_is_empty(start_replay: Any) -> None:
    resources = machine("Supermicro", "SD", {"QuietBoot_002E": "Enabled"}, None)
    bmc = start_replay(resources, taking(resources))
    assert set_bios(bmc, {"QuietBoot": "Disabled"}, system_id="1")["pending"] == {"QuietBoot_002E": "Disabled"}


# -- Supermicro's names and spellings


@pytest.mark.parametrize("own", ["QuietBoot", "QuietBoot#002E", "QuietBoot_0A1B", "QuietBoot#00C4FF19"])
def test_supermicro_names_are_known_without_their_suffix(start_replay: Any, own: str) -> None:
    resources = machine("Supermicro", "SD", {own: "Enable", "QuietBootLogo_0001": "On"}, {})
    bmc = start_replay(resources, taking(resources))
    assert set_bios(bmc, {"QuietBoot": "Disabled"}, system_id="1")["changed"]
    assert patches(bmc)[0][1] == {"Attributes": {own: "Disable"}}, "in the spelling that this attribute has"
    assert not set_bios(bmc, {own: "Disabled"}, system_id="1")["changed"]


def test_a_name_that_could_mean_two_is_not_guessed(start_replay: Any) -> None:
    resources = machine("Supermicro", "SD", {"PCIe_0001": "A", "PCIe_0002": "B"}, {})
    with pytest.raises(InvalidInput, match="no attribute PCIe"):
        set_bios(start_replay(resources), {"PCIe": "B"}, system_id="1")


def test_elsewhere_a_suffix_is_part_of_the_name(start_replay: Any) -> None:
    resources = machine("Dell", "Settings", {"QuietBoot#002E": "Enabled"}, {})
    with pytest.raises(InvalidInput, match="no attribute QuietBoot"):
        set_bios(start_replay(resources), {"QuietBoot": "Disabled"}, system_id="1")


def test_what_a_supermicro_has_staged_cannot_be_taken_back(start_replay: Any) -> None:
    resources = machine("Supermicro", "SD", {"QuietBoot": "Enabled", "Turbo": "On"}, {"QuietBoot": "Disabled"})
    bmc = start_replay(resources, taking(resources))
    with pytest.raises(Conflict) as caught:
        set_bios(bmc, {"QuietBoot": "Enabled"}, system_id="1")
    assert caught.value.code == "pending_sticks" and "Disabled" in caught.value.message and not patches(bmc)
    # another attribute is none of its business, and the staged one may still be wanted
    assert set_bios(bmc, {"Turbo": "Off", "QuietBoot": "Disabled"}, system_id="1")["pending"] == {
        "Turbo": "Off",
        "QuietBoot": "Disabled",
    }


# -- Dell's job queue


def dell(*jobs: dict[str, Any], pending: dict[str, Any] | None = None, locked: bool = False) -> dict[str, Any]:
    """:param pending: only what was modified: that is all that an iDRAC lists."""
    return {
        **machine("Dell", "Settings", {"ProcTurboMode": "Enabled", "BootMode": "Uefi"}, pending or {}),
        LOCKDOWN: {"Attributes": {"Lockdown.1.SystemLockdown": "Enabled" if locked else "Disabled"}},
        JOBS: {"@odata.id": JOBS, "Members": [{"@odata.id": f"{JOBS}/{job['Id']}"} for job in jobs]},
        **{f"{JOBS}/{job['Id']}": {"@odata.id": f"{JOBS}/{job['Id']}", **job} for job in jobs},
    }


def job(state: str, kind: str = "BIOSConfiguration", id: str = "JID_1") -> dict[str, Any]:
    return {"Id": id, "JobState": state, "JobType": kind, "Name": "Configure: BIOS.Setup.1-1"}


def accepted() -> Reply:
    return Reply(202, None, {"Location": TASK})


def test_a_dell_gets_its_apply_time_and_answers_with_a_job(start_replay: Any) -> None:
    resources = dell(job("CompletedWithErrors"), job("Scheduled", "FirmwareUpdate", "JID_9"))
    bmc = start_replay(resources, taking(resources, accepted))
    done = set_bios(bmc, {"ProcTurboMode": "Disabled", "BootMode": "Uefi"}, system_id="1")
    assert done["task"] == {"uri": TASK, "state": None, "percent": None}
    ((_path, body),) = patches(bmc)
    assert body["@Redfish.SettingsApplyTime"]["ApplyTime"] == "OnReset"
    assert body["Attributes"] == {"ProcTurboMode": "Disabled"}


def test_while_an_earlier_bios_job_waits_nothing_is_sent(start_replay: Any) -> None:
    resources = dell(job("Scheduled"), pending={"BootMode": "Bios"})
    bmc = start_replay(resources, taking(resources, accepted))
    for check_mode in (True, False):
        with pytest.raises(Conflict) as caught:
            set_bios(bmc, {"ProcTurboMode": "Disabled"}, check_mode, system_id="1")
        assert caught.value.code == "job_pending" and "JID_1: Scheduled" in (caught.value.answer or "")
    assert not patches(bmc)
    # what that very job will bring is no change
    staged = set_bios(bmc, {"BootMode": "Bios"}, system_id="1")
    assert not staged["changed"] and staged["reboot_required"]


def test_the_queue_is_one_read_where_the_idrac_expands_it(start_replay: Any) -> None:
    resources = dell(job("Scheduled"))
    resources[f"{JOBS}?$expand=*($levels=1)"] = {"Members": [{"@odata.id": f"{JOBS}/JID_1", **job("Running")}]}
    bmc = start_replay(resources)
    with pytest.raises(Conflict, match="JID_1: Running"):
        set_bios(bmc, {"ProcTurboMode": "Disabled"}, system_id="1")
    assert f"GET {JOBS}/JID_1" not in bmc.requests()


def test_accepted_without_a_job_is_looked_up_in_the_queue(start_replay: Any) -> None:
    """An iDRAC may answer 200 without Location. Then there is a job all the same, or nothing will ever happen."""
    resources = dell()

    def with_a_job() -> Reply:
        resources[JOBS]["Members"] = [{"@odata.id": f"{JOBS}/JID_3"}]
        resources[f"{JOBS}/JID_3"] = {"@odata.id": f"{JOBS}/JID_3", **job("Scheduled", id="JID_3")}
        return Reply(200, {})

    done = set_bios(
        start_replay(resources, taking(resources, with_a_job)), {"ProcTurboMode": "Disabled"}, system_id="1"
    )
    assert done["task"]["uri"] == f"{JOBS}/JID_3" and done["task"]["state"] == "Scheduled"
    none = dell()
    with pytest.raises(BadAnswer) as caught:
        set_bios(start_replay(none, taking(none, lambda: Reply(200, {}))), {"ProcTurboMode": "Disabled"}, system_id="1")
    assert caught.value.code == "not_applied" and "no job" in caught.value.message


@pytest.mark.parametrize(
    ("ended", "said"),
    [
        ({"JobState": "CompletedWithErrors", "Message": "Job completed with errors."}, "with errors"),
        ({"JobState": "Failed", "Message": "Unable to start."}, "Unable to start"),
        ({"TaskState": "Completed", "TaskStatus": "Critical", "Messages": [{"Message": "PR31"}]}, "PR31"),
    ],
)
def test_the_job_is_waited_for_and_its_end_is_believed(start_replay: Any, ended: dict[str, Any], said: str) -> None:
    states = iter([{"JobState": "Scheduled"}, {"JobState": "Running"}])
    bmc = start_replay(dell(), lambda asked: Reply(200, next(states, ended)) if asked.path == TASK else None)
    with open_bmc(bmc.params(system_id="1")) as client, pytest.raises(Refused, match=said):
        tasks.wait_for(client, Task(TASK), 10)  # type: ignore[arg-type]


def test_a_job_that_completed_is_done(start_replay: Any) -> None:
    bmc = start_replay(
        dell(),
        lambda asked: Reply(200, {"JobState": "Completed", "PercentComplete": 100}) if asked.path == TASK else None,
    )
    with open_bmc(bmc.params(system_id="1")) as client:
        assert tasks.wait_for(client, Task(TASK), 10) == Task(TASK, "Completed", 100)  # type: ignore[arg-type]


def test_a_dell_that_is_locked_down_is_told_before_anything_is_written(start_replay: Any, dell_capture: Any) -> None:
    resources = dell(locked=True)
    for bmc, options in (
        (start_replay(resources, taking(resources, accepted)), {"system_id": "1"}),
        (start_replay(dell_capture), {}),
    ):
        with pytest.raises(Conflict) as caught:
            set_bios(bmc, {"BootMode": "Bios"}, **options)
        assert caught.value.code == "lockdown" and not patches(bmc)
        # what is so already may be looked at
        assert not set_bios(bmc, {"BootMode": "Uefi"}, **options)["changed"]


def paged(*pages: tuple[list[dict[str, Any]], int]) -> dict[str, Any]:
    """An expanded queue: the jobs of each page and the count that it claims."""
    where = [f"{JOBS}?$expand=*($levels=1)" + (f"&$skip={n}" if n else "") for n in range(len(pages))]
    return {
        path: {
            "Members": [{"@odata.id": f"{JOBS}/{one['Id']}", **one} for one in jobs],
            "Members@odata.count": count,
            **({"Members@odata.nextLink": where[n + 1]} if n + 1 < len(pages) else {}),
        }
        for n, (path, (jobs, count)) in enumerate(zip(where, pages, strict=True))
    }


@pytest.mark.parametrize(
    ("pages", "single"),
    [
        ([([job("Completed", id="JID_0")], 2), ([job("Scheduled")], 2)], False),
        ([([], 1)], True),
        ([([job("Completed", id="JID_0")], 2), ([], 2)], True),
    ],
    ids=["on the second page", "counted and not shown", "counted and not shown on the second page"],
)
def test_a_job_beyond_the_first_page_is_found(start_replay: Any, pages: Any, single: bool) -> None:
    bmc = start_replay({**dell(job("Scheduled")), **paged(*pages)})
    with pytest.raises(Conflict, match="JID_1: Scheduled"):
        set_bios(bmc, {"ProcTurboMode": "Disabled"}, system_id="1")
    assert (f"GET {JOBS}/JID_1" in bmc.requests()) is single


@pytest.mark.parametrize("comes_back", [True, False])
def test_a_task_is_not_over_because_its_bmc_is_starting(start_replay: Any, comes_back: bool) -> None:
    """While it starts there is nothing at all, the service root included; then the task ends badly."""
    starting = [1, 1, 1, 1]

    def respond(asked: Asked) -> Reply | None:
        if asked.path == TASK and (starting or not comes_back):
            return Reply(404, {})
        if asked.path == "/redfish/v1/" and (starting or not comes_back):
            if starting:
                starting.pop()
            return Reply(404, {})
        return Reply(200, {"TaskState": "Exception"}) if asked.path == TASK else None

    bmc = start_replay(dell(), respond)
    problem: Any = Refused if comes_back else DeadlineExceeded
    with open_bmc(bmc.params(system_id="1")) as client, pytest.raises(problem):
        tasks.wait_for(client, Task(TASK), 10 if comes_back else 1)  # type: ignore[arg-type]


def test_a_task_that_is_gone_from_a_bmc_that_answers_has_ended(start_replay: Any) -> None:
    with open_bmc(start_replay(dell()).params(system_id="1")) as client:
        assert tasks.wait_for(client, Task(TASK), 10).state == "Completed"  # type: ignore[arg-type]


# -- at once


def at_once(bmc: Any, attributes: dict[str, Any], check_mode: bool = False, **options: Any) -> dict[str, Any]:
    return set_bios(
        bmc, attributes, check_mode, **{"apply_time": "immediate", "wait": True, "wait_timeout": 20, **options}
    )


def test_at_once_is_waited_for_through_the_restart_that_it_takes(start_lab: Any) -> None:
    lab = start_lab("generic")
    lab.power("on")
    posts = lab.machine.posts
    planned = at_once(lab, {"TurboMode": "Disable"}, check_mode=True)
    assert planned["changed"] and planned["pending"] == {} and not planned["reboot_required"]
    assert lab.machine.posts == posts and not lab.writes()
    done = at_once(lab, {"TurboMode": "Disable"})
    assert {**done, "task": None} == planned
    assert lab.machine.bmc.bios["TurboMode"] == "Disable" and lab.machine.posts == posts + 1
    assert done["task"]["uri"] and done["task"]["state"] == "Completed"
    again = at_once(lab, {"TurboMode": "Disable"})
    assert not again["changed"] and again["task"] is None and lab.machine.posts == posts + 1


def test_at_once_without_waiting_hands_back_the_task_and_asks_for_no_second_restart(start_lab: Any) -> None:
    lab = start_lab("generic")
    lab.power("on")
    done = at_once(lab, {"TurboMode": "Disable"}, wait=False)
    assert done["changed"] and done["task"]["uri"] and not done["reboot_required"]


def test_a_server_that_is_off_is_not_waited_for(start_lab: Any) -> None:
    lab = start_lab("generic")
    planned = at_once(lab, {"TurboMode": "Disable"}, check_mode=True)
    done = at_once(lab, {"TurboMode": "Disable"})
    assert done == planned and done["pending"] == {"TurboMode": "Disable"} and done["reboot_required"]
    lab.power("on")
    assert not at_once(lab, {"TurboMode": "Disable"})["reboot_required"]


@pytest.mark.parametrize("check_mode", [True, False])
def test_what_was_staged_before_stays_staged_and_is_not_waited_for(start_replay: Any, check_mode: bool) -> None:
    """The BMC applies Turbo without a restart: Sriov, staged by an earlier run, has it with the next boot."""
    resources = machine("Contoso", "Settings", {"Turbo": "On", "Sriov": "Off"}, {"Sriov": "On"})
    resources[f"{SYSTEM}/Bios"]["@Redfish.Settings"] = {"SupportedApplyTimes": ["OnReset", "Immediate"]}

    def applied(asked: Asked) -> Reply | None:
        if asked.method != "PATCH":
            return None
        resources[f"{SYSTEM}/Bios"]["Attributes"] |= asked.body["Attributes"]
        return Reply(204)

    bmc = start_replay(resources, applied)
    done = at_once(bmc, {"Turbo": "Off", "Sriov": "On"}, check_mode, system_id="1", wait_timeout=2)
    assert done["pending"] == {"Sriov": "On"} and done["reboot_required"]
    assert [body["Attributes"] for _path, body in patches(bmc)] == ([] if check_mode else [{"Turbo": "Off"}])


def test_at_once_that_never_comes_is_no_success(start_replay: Any) -> None:
    """The BMC takes the values, calls its task done, and the BIOS goes on with the old ones."""
    resources = machine("Contoso", "Settings", {"Turbo": "On"}, {})
    resources[f"{SYSTEM}/Bios"]["@Redfish.Settings"] = {"SupportedApplyTimes": ["OnReset", "Immediate"]}
    resources[TASK] = {"@odata.id": TASK, "TaskState": "Completed"}
    bmc = start_replay(resources, taking(resources, accepted))
    with pytest.raises(BadAnswer) as caught:
        at_once(bmc, {"Turbo": "Off"}, system_id="1", wait_timeout=1)
    assert caught.value.code == "not_applied" and caught.value.step == "bios"
    ((_path, body),) = patches(bmc)
    assert body["@Redfish.SettingsApplyTime"]["ApplyTime"] == "Immediate"


@pytest.mark.parametrize("check_mode", [True, False])
@pytest.mark.parametrize(
    ("capture", "attributes"),
    [("dgx_capture", {"SRIOVEnable": "Disable"}), ("hpe_capture", {"Sriov": "Disabled"})],
)
def test_real_machines_that_offer_no_such_thing_refuse_it_before_a_write(
    start_replay: Any, request: pytest.FixtureRequest, capture: str, attributes: dict[str, Any], check_mode: bool
) -> None:
    bmc = start_replay(request.getfixturevalue(capture))
    with pytest.raises(Unsupported, match="immediate"):
        at_once(bmc, attributes, check_mode)
    assert not patches(bmc)
