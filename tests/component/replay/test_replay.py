"""A capture served as a BMC: what is read, what a write does, what is refused."""

from __future__ import annotations

import io
import lzma
import os
import tarfile
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
import small  # type: ignore[import-not-found]

from lab.replay import NotACapture, Tree
from lab.replay import tree as trees
from tests.support.replaying import CAPTURES, PASSWORD, Replays, capture

SYSTEM, BIOS, PENDING = "/Systems/1", "/Systems/1/Bios", "/Systems/1/Bios/Settings"
RESET = f"{SYSTEM}/Actions/ComputerSystem.Reset"
ACCOUNTS = "/AccountService/Accounts"


def until(reached: Callable[[], bool], seconds: float = 5) -> None:
    end = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)


# -- the files


def test_a_capture_is_read_from_a_folder_and_from_an_archive(tmp_path: Path) -> None:
    folder = small.write(tmp_path / "machine")
    archive = tmp_path / "machine.tar.xz"
    with tarfile.open(archive, "w:xz") as tar:
        tar.add(folder, "machine")
    trees = [Tree.read(folder), Tree.read(tmp_path), Tree.read(archive)]
    assert [tree.get("/redfish/v1/Systems/1") for tree in trees] == [small.resources()["/Systems/1"]] * 3


def test_what_is_no_capture_is_said_to_be_none(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing")
    for source in (tmp_path, tmp_path / "notes.txt"):
        with pytest.raises(NotACapture, match=r"capture|archive"):
            Tree.read(source)


def test_nothing_outside_the_folder_is_read(tmp_path: Path) -> None:
    folder = small.write(tmp_path / "machine")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "index.json").write_text('{"Id": "of this machine"}')
    linked = folder / "redfish/v1/Linked"
    linked.mkdir()
    (linked / "index.json").symlink_to(outside / "index.json")
    (folder / "redfish/v1/Folder").symlink_to(outside)
    waits = folder / "redfish/v1/Waits"
    waits.mkdir()
    os.mkfifo(waits / "index.json")
    assert set(Tree.read(folder)) == set(small.files())


def test_a_folder_has_the_bounds_of_an_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = small.write(tmp_path / "machine")
    archive = _archive(tmp_path / "machine.tar.xz", lambda tar: tar.add(folder, "machine"))
    monkeypatch.setattr(trees, "MAX_BYTES", 4_000)
    for source in (folder, archive):
        with pytest.raises(NotACapture, match="larger than any capture"):
            Tree.read(source)


def _archive(path: Path, fill: Callable[[tarfile.TarFile], None]) -> Path:
    with tarfile.open(path, "w:xz") as tar:
        fill(tar)
    return path


def test_a_small_archive_cannot_fill_the_memory(tmp_path: Path) -> None:
    name = tarfile.TarInfo("././@LongLink")
    name.type, name.size = tarfile.GNUTYPE_LONGNAME, 100_000_000
    archive = tmp_path / "long.tar.xz"
    with lzma.open(archive, "wb", preset=0) as packed:
        packed.write(name.tobuf(tarfile.GNU_FORMAT))
        for _ in range(100):
            packed.write(b"a" * 1_000_000)
    assert archive.stat().st_size < 100_000
    tracemalloc.start()
    try:
        with pytest.raises(NotACapture):
            Tree.read(archive)
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


def test_every_member_counts_whatever_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trees, "MAX_FILES", 10)

    def fill(tar: tarfile.TarFile) -> None:
        for number in range(11):
            folder = tarfile.TarInfo(f"folder{number}")
            folder.type = tarfile.DIRTYPE
            tar.addfile(folder)

    with pytest.raises(NotACapture, match="larger than any capture"):
        Tree.read(_archive(tmp_path / "folders.tar.xz", fill))


@pytest.mark.parametrize("damage", ["short", "changed", "nested", "deep body"])
def test_a_damaged_archive_is_no_capture(tmp_path: Path, damage: str) -> None:
    archive = _archive(tmp_path / "a.tar.xz", lambda tar: tar.add(small.write(tmp_path / "machine"), "machine"))
    packed = archive.read_bytes()
    if damage == "short":
        archive.write_bytes(packed[: len(packed) // 2])
    elif damage == "changed":
        middle = len(packed) // 2
        archive.write_bytes(packed[:middle] + bytes(64) + packed[middle + 64 :])
    elif damage == "nested":
        header = tarfile.TarInfo("././@LongLink")
        header.type, header.size = tarfile.GNUTYPE_LONGNAME, 2
        archive.write_bytes(lzma.compress((header.tobuf(tarfile.GNU_FORMAT) + b"a\0".ljust(512, b"\0")) * 5_000))
    else:
        folder = tmp_path / "machine/redfish/v1"
        (folder / "headers.json").write_text("[" * 200_000)
        assert Tree.read(folder.parents[1]).headers("/redfish/v1") == {}
        return
    with pytest.raises(NotACapture):
        Tree.read(archive)


def test_a_real_captures_every_resource_is_answered_as_it_was_captured(serve: Any) -> None:
    for name in CAPTURES:
        tree = capture(name)
        bmc = serve(tree)
        for path in list(tree)[:: max(len(list(tree)) // 60, 1)]:
            if "/Sessions" in path or tree.get(path) is None:
                continue
            answer = bmc.ask("GET", path)
            assert answer.status_code == 200, path
            kept = bmc.replayed.bmc.store.canonical(path)
            assert answer.json() == {n: v for n, v in tree.get(kept).items() if n != "@Redfish.Copyright"}, path


# -- who may


def test_only_the_root_is_shown_to_everybody(serve: Any) -> None:
    bmc = serve()
    bmc.session.auth = None
    assert bmc.get("")["RedfishVersion"] == "1.11.0"
    assert bmc.refused("GET", SYSTEM) == (401, "NoValidSession")
    bmc.session.auth = (bmc.replayed.bmc.username, "wrong")
    assert bmc.refused("GET", SYSTEM) == (401, "NoValidSession")


def test_a_session_is_opened_used_listed_and_ended(serve: Any) -> None:
    bmc = serve()
    bmc.session.auth = None
    opened = bmc.ask("POST", "/SessionService/Sessions", {"UserName": "opsadmin", "Password": PASSWORD})
    assert opened.status_code == 201
    token, path = {"X-Auth-Token": opened.headers["X-Auth-Token"]}, opened.headers["Location"]
    listed = bmc.ask("GET", "/SessionService/Sessions", headers=token).json()
    # the session of whoever made the capture is not there any more
    assert listed["Members"] == [{"@odata.id": path}]
    assert bmc.ask("DELETE", path, headers=token).status_code == 204
    assert bmc.refused("GET", SYSTEM, headers=token)[0] == 401


def test_a_session_that_nobody_uses_ends_when_the_capture_says(serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    bmc = serve()
    bmc.session.auth = None
    opened = bmc.ask("POST", "/SessionService/Sessions", {"UserName": "opsadmin", "Password": PASSWORD})
    token = {"X-Auth-Token": opened.headers["X-Auth-Token"]}
    assert bmc.ask("GET", SYSTEM, headers=token).status_code == 200
    for session in bmc.replayed.bmc.sessions.values():
        session.used_at -= 31
    assert bmc.refused("GET", SYSTEM, headers=token)[0] == 401


def test_wrong_passwords_lock_an_account_as_often_as_the_capture_says(serve: Any) -> None:
    bmc = serve()
    right = bmc.session.auth
    bmc.session.auth = ("opsadmin", "wrong")
    for _ in range(3):
        assert bmc.refused("GET", SYSTEM)[0] == 401
    bmc.session.auth = right
    assert bmc.refused("GET", SYSTEM)[0] == 401


def test_another_login_takes_over_the_captures_first_administrator(serve: Any) -> None:
    bmc = serve(username="root")
    assert bmc.get(f"{ACCOUNTS}/1")["UserName"] == "root"


# -- properties and preconditions


def test_a_change_is_merged_and_its_etag_moves_in_the_captures_own_style(serve: Any) -> None:
    bmc = serve()
    before = bmc.ask("GET", SYSTEM)
    assert before.headers["ETag"] == 'W/"9B9F7D67"'
    stale = {"If-Match": 'W/"00000000"'}
    assert bmc.refused("PATCH", SYSTEM, {"AssetTag": "rack 3"}, headers=stale) == (412, "PreconditionFailed")
    assert bmc.ask("PATCH", SYSTEM, {"AssetTag": "rack 3"}, headers={"If-Match": 'W/"9B9F7D67"'}).status_code == 204
    after = bmc.ask("GET", SYSTEM)
    assert after.headers["ETag"] == 'W/"9B9F7D68"' == after.json()["@odata.etag"]
    assert after.json()["AssetTag"] == "rack 3" and after.json()["Boot"] == before.json()["Boot"]
    assert bmc.ask("GET", SYSTEM, headers={"If-None-Match": 'W/"9B9F7D68"'}).status_code == 304


def test_ami_wants_to_know_what_is_changed_and_takes_a_star_for_accounts_only(serve: Any) -> None:
    bodies = small.resources()
    bodies[""]["Vendor"] = "AMI"
    bmc = serve(bodies)
    assert bmc.refused("PATCH", SYSTEM, {"AssetTag": "x"}) == (428, "PreconditionRequired")
    etag = {"If-Match": bmc.get(f"{ACCOUNTS}/1")["@odata.etag"]}
    assert bmc.refused("PATCH", f"{ACCOUNTS}/1", {"Enabled": True}, headers=etag)[0] == 412
    assert bmc.ask("PATCH", f"{ACCOUNTS}/1", {"Enabled": True}, headers={"If-Match": "*"}).status_code == 204


@pytest.mark.parametrize(
    ("path", "body", "status", "message"),
    [
        (SYSTEM, {"PowerState": "Off"}, 400, "PropertyNotWritable"),
        (SYSTEM, {"Colour": "blue"}, 400, "PropertyUnknown"),
        (SYSTEM, {"Boot": {"Colour": "blue"}}, 400, "PropertyUnknown"),
        (SYSTEM, {"Boot": {"BootSourceOverrideTarget": "Floppy"}}, 400, "PropertyValueNotInList"),
        (SYSTEM, {"Boot": {"BootOrder": ["Boot0009"]}}, 400, "PropertyValueNotInList"),
        (SYSTEM, {"AssetTag": 5}, 400, "PropertyValueTypeError"),
        (BIOS, {"Attributes": {"SriovEnable": "Disabled"}}, 400, "PropertyNotWritable"),
        (PENDING, {"Attributes": {"Quiet": "Yes"}}, 400, "PropertyUnknown"),
        ("/Systems/1/Missing", {"AssetTag": "x"}, 404, "ResourceMissingAtURI"),
        ("/Systems", {"Name": "x"}, 405, "OperationNotAllowed"),
    ],
)
def test_a_change_that_makes_no_sense_is_refused(serve: Any, path: str, body: Any, status: int, message: str) -> None:
    bmc = serve()
    assert bmc.refused("PATCH", path, body) == (status, message)


def test_what_the_capture_lacks_is_not_there(serve: Any) -> None:
    assert serve().refused("GET", "/Systems/1/Missing") == (404, "ResourceMissingAtURI")


# -- power and settings


def test_a_reset_changes_the_power_of_the_system_and_its_chassis(serve: Any) -> None:
    bmc = serve()
    assert bmc.ask("POST", RESET, {"ResetType": "ForceOff"}).status_code == 204
    until(lambda: bmc.get(SYSTEM)["PowerState"] == "Off")
    assert bmc.get("/Chassis/1")["PowerState"] == "Off"
    assert bmc.ask("POST", RESET, {"ResetType": "PushPowerButton"}).status_code == 204
    until(lambda: bmc.get(SYSTEM)["PowerState"] == "On")
    assert bmc.replayed.bmc.machine.boots == 1


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ({"ResetType": "Nmi"}, 400, "ActionParameterValueNotInList"),
        ({}, 400, "ActionParameterMissing"),
        ({"ResetType": "sideways"}, 400, "ActionParameterValueNotInList"),
    ],
)
def test_a_reset_that_the_capture_does_not_offer_is_refused(serve: Any, body: Any, status: int, message: str) -> None:
    bmc = serve()
    assert bmc.refused("POST", RESET, body) == (status, message)
    assert bmc.get(SYSTEM)["PowerState"] == "On"


def test_a_restart_of_what_is_off_is_refused(serve: Any) -> None:
    bodies = small.resources()
    bodies[SYSTEM]["PowerState"] = "Off"
    assert serve(bodies).refused("POST", RESET, {"ResetType": "ForceRestart"}) == (409, "ResourceInStandby")


@pytest.mark.parametrize(("vendor", "status"), [("Dell", 409), ("HPE", 400), ("Lenovo", 204)])
def test_switching_on_what_is_on_is_answered_in_the_vendors_manner(serve: Any, vendor: str, status: int) -> None:
    bodies = small.resources()
    bodies[""]["Vendor"] = vendor
    assert serve(bodies).ask("POST", RESET, {"ResetType": "On"}).status_code == status


def test_a_boot_override_for_once_is_used_up_by_the_boot(serve: Any) -> None:
    bmc = serve()
    once = {"BootSourceOverrideTarget": "Pxe", "BootSourceOverrideEnabled": "Once"}
    assert bmc.ask("PATCH", SYSTEM, {"Boot": once}).status_code == 204
    assert once.items() <= bmc.get(SYSTEM)["Boot"].items()
    bmc.ask("POST", RESET, {"ResetType": "ForceRestart"})
    until(lambda: bmc.get(SYSTEM)["Boot"]["BootSourceOverrideTarget"] == "None")
    assert bmc.get(SYSTEM)["Boot"]["BootSourceOverrideEnabled"] == "Disabled"


def test_a_boot_override_for_always_stays(serve: Any) -> None:
    bmc = serve()
    always = {"BootSourceOverrideTarget": "Pxe", "BootSourceOverrideEnabled": "Continuous"}
    bmc.ask("PATCH", SYSTEM, {"Boot": always})
    bmc.ask("POST", RESET, {"ResetType": "ForceRestart"})
    until(lambda: bmc.replayed.bmc.machine.boots == 1)
    assert always.items() <= bmc.get(SYSTEM)["Boot"].items()


def test_bios_attributes_wait_for_the_next_boot(serve: Any) -> None:
    bmc = serve()
    assert bmc.ask("PATCH", PENDING, {"Attributes": {"SriovEnable": "Disabled"}}).status_code == 204
    assert bmc.get(PENDING)["Attributes"] == {"SriovEnable": "Disabled"}
    assert bmc.get(BIOS)["Attributes"]["SriovEnable"] == "Enabled"
    bmc.ask("POST", RESET, {"ResetType": "PowerCycle"})
    until(lambda: bmc.get(BIOS)["Attributes"]["SriovEnable"] == "Disabled")
    assert bmc.get(BIOS)["Attributes"] == {"SriovEnable": "Disabled", "NumaNodes": 1, "BootMode": "Uefi"}
    assert bmc.get(PENDING)["Attributes"] == {}


def test_bios_attributes_hold_at_once_when_asked_for_where_that_is_offered(serve: Any) -> None:
    bmc = serve()
    body = {"Attributes": {"NumaNodes": 2}, "@Redfish.SettingsApplyTime": {"ApplyTime": "Immediate"}}
    assert bmc.ask("PATCH", PENDING, body).status_code == 204
    assert bmc.get(BIOS)["Attributes"]["NumaNodes"] == 2
    body["@Redfish.SettingsApplyTime"] = {"ApplyTime": "AtMaintenanceWindowStart"}
    assert bmc.refused("PATCH", PENDING, body) == (400, "PropertyValueNotInList")


def test_an_idrac_makes_a_job_of_settings_and_takes_one_at_a_time(serve: Any) -> None:
    bodies = small.resources()
    bodies[""]["Vendor"] = "Dell"
    bmc = serve(bodies)
    on_reset = {"@Redfish.SettingsApplyTime": {"ApplyTime": "OnReset"}}
    assert bmc.ask("PATCH", PENDING, {"Attributes": {"NumaNodes": 2}}).status_code == 200  # and never carried out
    accepted = bmc.ask("PATCH", PENDING, {"Attributes": {"SriovEnable": "Disabled"}, **on_reset})
    assert accepted.status_code == 202
    job = accepted.headers["Location"]
    assert bmc.get(job)["TaskState"] == "Pending" and "/JID_" in job
    assert bmc.refused("PATCH", PENDING, {"Attributes": {"NumaNodes": 4}, **on_reset})[0] == 400
    bmc.ask("POST", RESET, {"ResetType": "ForceRestart"})
    until(lambda: bmc.get(job)["TaskState"] == "Completed")
    assert bmc.get(BIOS)["Attributes"] == {"SriovEnable": "Disabled", "NumaNodes": 1, "BootMode": "Uefi"}


def test_secure_boot_holds_from_the_next_boot_and_its_keys_can_be_deleted(serve: Any) -> None:
    bmc = serve()
    bmc.ask("PATCH", "/Systems/1/SecureBoot", {"SecureBootEnable": True})
    assert bmc.get("/Systems/1/SecureBoot")["SecureBootCurrentBoot"] == "Disabled"
    bmc.ask("POST", RESET, {"ResetType": "ForceRestart"})
    until(lambda: bmc.get("/Systems/1/SecureBoot")["SecureBootCurrentBoot"] == "Enabled")
    bmc.ask("POST", "/Systems/1/SecureBoot/Actions/SecureBoot.ResetKeys", {"ResetKeysType": "DeleteAllKeys"})
    assert bmc.get("/Systems/1/SecureBoot")["SecureBootMode"] == "SetupMode"


# -- the rest of the actions


def test_the_bmc_is_away_for_a_moment_when_it_is_restarted(serve: Any) -> None:
    bmc = serve()
    opened = requests.post(
        f"{bmc.url}/redfish/v1/SessionService/Sessions",
        json={"UserName": "opsadmin", "Password": PASSWORD},
        verify=bmc.session.verify,
        timeout=5,
    )
    assert bmc.ask("POST", "/Managers/1/Actions/Manager.Reset", {"ResetType": "GracefulRestart"}).status_code == 204
    with pytest.raises(requests.ConnectionError):
        bmc.ask("GET", "")
    time.sleep(0.3)
    assert bmc.get(SYSTEM)["PowerState"] == "On"
    bmc.session.auth = None
    token = {"X-Auth-Token": opened.headers["X-Auth-Token"]}
    assert bmc.refused("GET", SYSTEM, headers=token)[0] == 401


def test_a_medium_is_inserted_and_ejected(serve: Any) -> None:
    bmc, cd = serve(), "/Managers/1/VirtualMedia/CD"
    insert, eject = (f"{cd}/Actions/VirtualMedia.{name}" for name in ("InsertMedia", "EjectMedia"))
    assert bmc.refused("POST", insert, {}) == (400, "ActionParameterMissing")
    assert bmc.ask("POST", insert, {"Image": "https://images/rescue.iso"}).status_code == 204
    found = bmc.get(cd)
    assert (found["Image"], found["ImageName"], found["Inserted"]) == ("https://images/rescue.iso", "rescue.iso", True)
    assert bmc.refused("POST", insert, {"Image": "https://images/other.iso"})[0] == 409
    assert bmc.ask("POST", eject, {}).status_code == 204
    assert bmc.get(cd) == small.resources()[cd]


def test_an_update_is_a_task_and_leaves_the_version_of_the_image(serve: Any) -> None:
    bmc = serve()
    bios = "/redfish/v1/UpdateService/FirmwareInventory/BIOS"
    body = {"ImageURI": "https://images/bios-1.14.0.bin", "Targets": [bios]}
    started = bmc.ask("POST", "/UpdateService/Actions/UpdateService.SimpleUpdate", body)
    assert started.status_code == 202
    assert bmc.get(started.headers["Location"])["TaskState"] == "Running"
    until(lambda: bmc.get(started.headers["Location"])["TaskState"] == "Completed")
    assert bmc.get(bios)["Version"] == "1.14.0"
    form = {
        "UpdateParameters": (None, '{"Targets": ["%s"]}' % bios, "application/json"),  # noqa: UP031
        "UpdateFile": ("bios-1.15.0.bin", io.BytesIO(b"\x7f" * 70_000), "application/octet-stream"),
    }
    pushed = bmc.session.post(f"{bmc.url}/redfish/v1/UpdateService/upload", files=form, timeout=10)
    assert pushed.status_code == 202
    until(lambda: bmc.get(bios)["Version"] == "1.15.0")


def test_a_log_is_cleared(serve: Any) -> None:
    bmc, log = serve(), "/Systems/1/LogServices/SEL"
    assert len(bmc.get(f"{log}/Entries")["Members"]) == 1
    assert bmc.ask("POST", f"{log}/Actions/LogService.ClearLog", {}).status_code == 204
    assert bmc.get(f"{log}/Entries")["Members"] == []
    assert bmc.refused("GET", f"{log}/Entries/1")[0] == 404


def test_an_action_whose_effect_nobody_captured_is_refused_instead_of_accepted(serve: Any) -> None:
    bodies = small.resources()
    bodies["/Managers/1"]["Actions"].update(small.action("Manager.ModifyRedundancySet", "/Managers/1"))
    bmc = serve(bodies)
    path = "/Managers/1/Actions/Manager.ModifyRedundancySet"
    assert bmc.refused("POST", path, {}) == (400, "ActionNotSupported")
    assert bmc.refused("POST", "/Managers/1/Actions/Manager.Unheard", {}) == (404, "ResourceMissingAtURI")


# -- collections


def test_an_account_is_made_used_changed_and_removed(serve: Any) -> None:
    bmc = serve()
    made = bmc.ask("POST", ACCOUNTS, {"UserName": "tinker", "Password": "first password", "RoleId": "Operator"})
    path = made.headers["Location"]
    assert (made.status_code, bmc.get(path)["RoleId"], bmc.get(path)["Password"]) == (201, "Operator", None)
    assert bmc.get(path)["Links"]["Role"]["@odata.id"].endswith("/Operator")
    administrator, bmc.session.auth = bmc.session.auth, ("tinker", "first password")
    assert bmc.get(SYSTEM)["Id"] == "1"
    assert bmc.refused("POST", ACCOUNTS, {"UserName": "x", "Password": "password"}) == (403, "InsufficientPrivilege")
    assert bmc.ask("PATCH", path, {"Password": "second password"}).status_code == 204
    assert bmc.refused("GET", SYSTEM)[0] == 401
    bmc.session.auth = ("tinker", "second password")
    assert bmc.get(SYSTEM)["Id"] == "1"
    bmc.session.auth = administrator
    assert bmc.ask("DELETE", path).status_code == 204
    assert len(bmc.get(ACCOUNTS)["Members"]) == 1 == bmc.get(ACCOUNTS)["Members@odata.count"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"UserName": "opsadmin", "Password": "long enough"}, "ResourceAlreadyExists"),
        ({"UserName": "tinker", "Password": "short"}, "PropertyValueFormatError"),
        ({"UserName": "tinker", "Password": "longer than is allowed here"}, "PropertyValueFormatError"),
        ({"UserName": "tinker"}, "PropertyMissing"),
        ({"UserName": "tinker", "Password": "long enough", "RoleId": "King"}, "PropertyValueNotInList"),
        ({"UserName": "tinker", "Password": "long enough", "Colour": "blue"}, "PropertyUnknown"),
    ],
)
def test_an_account_that_makes_no_sense_is_refused(serve: Any, body: Any, message: str) -> None:
    assert serve().refused("POST", ACCOUNTS, body) == (400, message)


def test_fixed_slots_are_filled_and_not_added_to(serve: Any) -> None:
    bodies = small.resources()
    bodies[f"{ACCOUNTS}/2"] = {"@odata.id": small.R + ACCOUNTS + "/2", **small.account("2", "", "ReadOnly")}
    bodies[ACCOUNTS]["Members"].append(small.link(f"{ACCOUNTS}/2"))
    bmc = serve(bodies)
    body = {"UserName": "tinker", "Password": "long enough", "RoleId": "Administrator", "Enabled": True}
    assert bmc.refused("POST", ACCOUNTS, body)[0] == 405
    assert bmc.refused("DELETE", f"{ACCOUNTS}/1")[0] == 405
    assert bmc.ask("PATCH", f"{ACCOUNTS}/2", body).status_code == 204
    bmc.session.auth = ("tinker", "long enough")
    assert bmc.get(f"{ACCOUNTS}/2")["RoleId"] == "Administrator"


def test_a_password_that_must_be_changed_first_bars_everything_else(serve: Any) -> None:
    bodies = small.resources()
    bodies[f"{ACCOUNTS}/1"]["PasswordChangeRequired"] = True
    bmc = serve(bodies)
    assert bmc.refused("GET", SYSTEM) == (403, "PasswordChangeRequired")
    assert bmc.ask("PATCH", f"{ACCOUNTS}/1", {"Password": "a new password"}).status_code == 204
    bmc.session.auth = ("opsadmin", "a new password")
    assert bmc.get(SYSTEM)["Id"] == "1"


def test_a_subscription_comes_and_goes(serve: Any) -> None:
    bmc, path = serve(), "/EventService/Subscriptions"
    assert bmc.refused("POST", path, {"Protocol": "Redfish"}) == (400, "PropertyMissing")
    made = bmc.ask("POST", path, {"Destination": "https://collector/events", "Protocol": "Redfish", "Context": "pbd"})
    assert made.status_code == 201 and bmc.get(made.headers["Location"])["Context"] == "pbd"
    assert bmc.ask("DELETE", made.headers["Location"]).status_code == 204
    assert bmc.get(path)["Members"] == []


def test_a_volume_is_made_of_drives_that_exist(serve: Any) -> None:
    bmc, path = serve(), "/Systems/1/Storage/1/Volumes"
    drives = [small.link(f"/Systems/1/Storage/1/Drives/{number}") for number in (1, 2)]
    wrong = {"RAIDType": "RAID1", "Links": {"Drives": [small.link("/Systems/1/Storage/1/Drives/9")]}}
    assert bmc.refused("POST", path, wrong)[0] == 400
    made = bmc.ask("POST", path, {"RAIDType": "RAID1", "Name": "os", "Links": {"Drives": drives}})
    assert made.status_code == 202
    until(lambda: len(bmc.get(path)["Members"]) == 1)
    assert bmc.get(bmc.get(path)["Members"][0]["@odata.id"])["Links"]["Drives"] == drives


def test_two_bmcs_of_one_capture_share_nothing_that_is_written(serve: Any, replays: Replays) -> None:
    tree = Tree(small.files())
    one, other = serve(tree), serve(tree)
    one.ask("PATCH", SYSTEM, {"AssetTag": "mine"})
    assert (one.get(SYSTEM)["AssetTag"], other.get(SYSTEM)["AssetTag"]) == ("mine", "")


# -- captures of real machines


def test_a_dgx_takes_its_boot_override_at_the_settings_object_only(serve: Any) -> None:
    bmc = serve(capture("nvidia_viking"))
    boot = {"Boot": {"BootSourceOverrideTarget": "Pxe", "BootSourceOverrideEnabled": "Once"}}
    etag = {"If-Match": bmc.get("/Systems/DGX")["@odata.etag"]}
    assert bmc.refused("PATCH", "/Systems/DGX", boot, headers=etag) == (400, "PropertyNotWritable")
    etag = {"If-Match": bmc.get("/Systems/DGX/SD")["@odata.etag"]}
    assert bmc.ask("PATCH", "/Systems/DGX/SD", boot, headers=etag).status_code == 204
    reset = bmc.ask("POST", "/Systems/DGX/Actions/ComputerSystem.Reset", {"ResetType": "ForceRestart"})
    assert reset.status_code == 202 and not reset.content
    until(lambda: bmc.get("/Systems/DGX/SD")["Boot"]["BootSourceOverrideTarget"] == "None")
    assert bmc.refused("POST", "/Systems/DGX/Actions/ComputerSystem.Reset", {"ResetType": "PowerCycle"})[0] == 400


def test_an_ilos_bios_is_one_resource_however_its_path_is_written(serve: Any) -> None:
    bmc = serve(capture("hpe"))
    pending = bmc.get("/Systems/1/Bios")["@Redfish.Settings"]["SettingsObject"]["@odata.id"]
    assert pending == "/redfish/v1/systems/1/bios/settings/"
    assert bmc.ask("PATCH", pending, {"Attributes": {"AcpiHpet": "Disabled"}}).status_code == 200
    bmc.ask("POST", "/Systems/1/Actions/ComputerSystem.Reset", {"ResetType": "ForceRestart"})
    for path in ("/Systems/1/Bios", "/redfish/v1/systems/1/bios/"):
        until(lambda path=path: bmc.get(path)["Attributes"]["AcpiHpet"] == "Disabled")
