"""A BMC walked into a directory: whole, within bounds, resumable, and with nothing in it that tells whose it is."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.capture import Limits, Pseudonyms, StillThere, Walk, WalkError, write
from lab.replay import Tree
from tests.component.replay import small
from tests.support.replaying import PASSWORD, Replayed, Replays, capture

SERIAL, MAC, UUID = "1662923610124", "B8:3F:D2:D7:F7:4A", "b11dd4f2-bfde-1000-02bc-5cff35fbe6e9"
CLI = [sys.executable, "-m", "cli.main", "lab", "capture"]


@pytest.fixture(scope="module")
def replays(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replays]:
    with Replays(tmp_path_factory.mktemp("replays")) as replays:
        yield replays


def walk(replayed: Replayed, replays: Replays, kept: Path, **options: Any) -> Walk:
    url = f"https://127.0.0.1:{replayed.bmc.port}"
    walk = Walk(url, replayed.bmc.username, PASSWORD, kept, verify=str(replays.ca_path), **options)
    walk.run()
    return walk


def text_of(folder: Path) -> str:
    """Everything that a capture holds, names of folders with it."""
    return "\n".join(f"{file.relative_to(folder)}\n{file.read_text()}" for file in folder.rglob("*") if file.is_file())


def test_a_capture_of_a_replay_is_the_capture_again(replays: Replays, tmp_path: Path) -> None:
    replayed = replays.start(Tree(small.files()))
    done = walk(replayed, replays, tmp_path / "kept")
    assert done.complete
    write(tmp_path / "again", list(done.answers()), None, done.sessions)
    again, before = Tree.read(tmp_path / "again"), Tree(small.files())
    sessions = "/redfish/v1/SessionService/Sessions"
    assert set(again) == set(before)
    assert {path: again.get(path) for path in again if path != sessions} == {
        path: before.get(path) for path in before if path != sessions
    }
    assert again.get(sessions)["Members"] == []  # type: ignore[index]
    # and the session that was opened for it is closed
    assert replayed.bmc.opened == 1 and not replayed.bmc.sessions
    assert replayed.bmc.requests("POST", "PATCH", "PUT") == ["POST /redfish/v1/SessionService/Sessions"]


def test_a_real_machines_capture_survives_the_way_round(replays: Replays, tmp_path: Path) -> None:
    tree = capture("hpe")
    done = walk(replays.start(tree), replays, tmp_path / "kept")
    write(tmp_path / "again", list(done.answers()), None, done.sessions)
    again = Tree.read(tmp_path / "again")
    paths = [path for path in again if "Sessions" not in path and path in tree and tree.get(path) is not None]
    assert len(paths) > 450
    served = replays.start(tree)
    for path in paths:
        assert again.get(path) == {n: v for n, v in served.get(path).items() if n != "@Redfish.Copyright"}, path


def test_nothing_that_identifies_the_machine_reaches_the_directory(replays: Replays, tmp_path: Path) -> None:
    bodies = small.resources()
    bodies["/Systems/1/Planted"] = {
        "@odata.id": "/redfish/v1/Systems/1/Planted",
        "Oem": {"Acme": {"SNMP.1.AgentCommunity": "s3cr3tcommunity", "Users.3.Password": "hunter2hunter2"}},
        "Message": f"drive {SERIAL} of host BMC{SERIAL}X failed; mac b83fd2d7f74a; path MAC(B83FD2D7F74A,0x1)",
        "Assigned": "2a02:8070:d1:4e00:ba3f:d2ff:fed7:f74a and 10.183.24.17",
        "HostName": "bmc-rack3-u14",
        "Contact": "Erika Mustermann, erika@example.org",
        "Unrelated": "UUID B11DD4F2-BFDE-1000-02BC-5CFF35FBE6E9, said bmc-rack3-u14",
        "Version": "10.2.3.4",
        "Health": "OK",
    }
    bodies["/Systems/1"]["Planted"] = small.link("/Systems/1/Planted")
    bodies[f"/Chassis/{SERIAL}"] = {"@odata.id": f"/redfish/v1/Chassis/{SERIAL}", "Id": SERIAL, "Model": "A1"}
    bodies["/Chassis"]["Members"].append(small.link(f"/Chassis/{SERIAL}"))
    done = walk(replays.start(Tree(small.files(bodies))), replays, tmp_path / "kept")
    pseudonyms = Pseudonyms()
    pseudonyms.hide("opsadmin", PASSWORD)
    write(tmp_path / "out", list(done.answers()), pseudonyms, done.sessions, {"fru": {"System": {"Serial": SERIAL}}})
    written = text_of(tmp_path / "out").lower()
    planted = [SERIAL, MAC, MAC.replace(":", "-"), MAC.replace(":", ""), UUID, UUID.replace("-", ""), PASSWORD]
    planted += ["s3cr3tcommunity", "hunter2", "bmc-rack3-u14", "erika", "mustermann", "opsadmin", "2a02:8070"]
    planted += ["10.183.24.", "fed7:f74a", "s64hne0r50"]
    assert [secret for secret in planted if secret.lower() in written] == []

    tree = Tree.read(tmp_path / "out")
    found = tree.get("/redfish/v1/Systems/1") or {}
    serial = found["SerialNumber"]
    # of the same shape, the same everywhere, and also where it is a name of a resource
    assert re.fullmatch(r"[0-9]{13}", serial)
    assert f"/redfish/v1/Chassis/{serial}" in tree
    assert tree.get(f"/redfish/v1/Chassis/{serial}")["Id"] == serial  # type: ignore[index]
    note = tree.get("/redfish/v1/Systems/1/Planted") or {}
    assert f"drive {serial} of host BMC{serial}X" in note["Message"]
    mac = (tree.get("/redfish/v1/Systems/1/EthernetInterfaces/1") or {})["MACAddress"]
    assert re.fullmatch(r"B8:3F:D2(:[0-9A-F]{2}){3}", mac)
    assert mac.replace(":", "").lower() in note["Message"] and mac.replace(":", "") in note["Message"]
    assert found["UUID"].upper() in note["Unrelated"] and note["HostName"] in note["Unrelated"]
    # what identifies nobody is as it was
    assert (note["Version"], note["Health"], found["Model"], found["Manufacturer"]) == ("10.2.3.4", "OK", "A1", "Acme")
    assert found["Boot"] == bodies["/Systems/1"]["Boot"]


def test_a_pseudonymised_capture_is_served_and_written_to(replays: Replays, tmp_path: Path) -> None:
    done = walk(replays.start(Tree(small.files())), replays, tmp_path / "kept")
    write(tmp_path / "out", list(done.answers()), Pseudonyms(), done.sessions)
    served = replays.start(Tree.read(tmp_path / "out"))
    again = walk(served, replays, tmp_path / "kept-again")
    assert {answer.path for answer in again.answers()} == {answer.path for answer in done.answers()}


def test_captures_of_real_machines_keep_no_serial_number_mac_or_uuid(tmp_path: Path) -> None:
    from lab.capture.walk import Answer

    for name in ("dell_multi_dpu", "hpe", "nvidia_viking"):
        tree = capture(name)
        answers = [Answer(path, 200, 0.1, {}, tree.get(path)) for path in tree if tree.get(path) is not None]
        known = set(
            re.findall(
                r'"(?:SerialNumber|UUID|MACAddress|ServiceTag)": "([^"]{7,})"', json.dumps([a.body for a in answers])
            )
        )
        write(tmp_path / name, answers, Pseudonyms(), "/redfish/v1/SessionService/Sessions")
        written = text_of(tmp_path / name)
        assert len(known) > 20
        assert [
            value
            for value in known
            if value in written and value.lower() not in ("not available", "unknown") and set(value) != {"0"}
        ] == []


def hidden(body: Any, *hide: str) -> Any:
    pseudonyms = Pseudonyms(b"the same every time")
    pseudonyms.hide(*hide)
    pseudonyms.learn(body)
    return pseudonyms.body(body)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SerialNumber", "CNIVC00/25U01AB"),
        ("SerialNumber", "SN=12345678"),
        ("PermanentAddress", "88E9:A4FF:FF87:42C8"),
        ("UserName", "CORP\\alice.smith"),
        ("UserName", "m\u00fcllerxyz"),
        ("Password", "/begins-with-a-slash"),
        ("Serial Number", "AB12"),
        ("Board serial number", "AB12"),
        ("Chassis serial number", "AB12"),
        ("Asset Number", "AB12"),
        ("SerialNumber", 4711),
        ("SerialNumber", 1662923610124),
        ("SerialNumbers", "J1ABCD2345"),
        ("ChassisSN", "CZ2D1X0JFN"),
        ("GUIDs", "b83fd20300aabbdd"),
        ("HostNicMAC", "b83fd2ddeeff"),
        ("MacList", "B83FD2DDEEFF"),
        ("Passwd", "hunter22x"),
        ("UserPwd", "s3cr3tpw!"),
        ("SSHPublicKey", "ssh-ed25519 AAAAC3NzaC1lZDI1 joe"),
        ("SSHHostKey", "ssh-rsa AAAAB3NzaC1yc2EAAAADAQAB"),
        ("LicenseString", "bGljZW5zZS1zdHJpbmc="),
        ("InitiatorName", "iqn.2001-01.com.corp:dc1-r3-u14"),
        ("PhoneNumber", "+49 731 123456"),
        ("BoardSerialNumberList", "J1ABCD2345"),
        ("BindDN", "cn=ldap-reader,ou=Technik,dc=corp-ulm,dc=example"),
        ("BaseDistinguishedNames", "dc=corp-ulm"),
        ("AccessCode", "Q7X-8812"),
        ("Barcode", "0191-884412"),
        ("HostMac", "b83f.d2dd.eeff"),
    ],
)
def test_a_value_that_identifies_is_hidden_however_it_is_written(name: str, value: Any) -> None:
    shown = hidden({name: value, "Note": f"it is {value}."})
    assert shown[name] != value and type(shown[name]) is type(value) and len(str(shown[name])) == len(str(value))
    if len(str(value)) > 4:
        assert str(value) not in shown["Note"]


def test_a_value_is_hidden_by_the_name_that_stands_beside_it() -> None:
    shown = hidden(
        {
            "Attributes": [
                {"Name": "SerialNumber", "Value": "J1ABCD2345"},
                {"Key": "Users.2.Password", "CurrentValue": "hunter22x"},
                {"Name": "Board Serial Number", "Values": ["K2ABCD2345"]},
                {"Name": "Model", "Value": "A1"},
            ],
            "Note": "J1ABCD2345, K2ABCD2345 and hunter22x",
        }
    )
    written = json.dumps(shown)
    assert [word for word in ("J1ABCD2345", "K2ABCD2345", "hunter22x") if word in written] == []
    assert shown["Attributes"][3] == {"Name": "Model", "Value": "A1"}
    assert shown["Attributes"][0]["Name"] == "SerialNumber"


def test_a_mac_is_the_same_one_with_dots_as_with_colons() -> None:
    body = {
        "MACAddress": MAC,
        "Message": "port of B83F.D2D7.F74A is down, so is a0c1.d2e3.f4a5",
        "Version": "2023.1201.0930",
    }
    shown = hidden(body)
    bare = shown["MACAddress"].replace(":", "")
    assert f"{bare[:4]}.{bare[4:8]}.{bare[8:]}" in shown["Message"] and "a0c1.d2e3.f4a5" not in shown["Message"]
    assert shown["Version"] == body["Version"]


@pytest.mark.parametrize(
    "message",
    ["drive J1ABCD2345 failed", "Drive with serial number: Z9XK4411 was removed", "PSU (S/N Z9XK4411) lost input"],
)
def test_a_log_names_no_part(message: str) -> None:
    shown = hidden({"Drives": [{"SerialNumber": "J1ABCD2345"}], "Entries": [{"Message": message}, {"Message": "ok"}]})
    assert "J1ABCD2345" not in json.dumps(shown) and "Z9XK4411" not in json.dumps(shown)
    said = hidden({"Message": "The serial number cannot be read; asset tag set"})["Message"]
    assert said == "The serial number cannot be read; asset tag set"


def test_what_is_to_be_hidden_is_hidden_whatever_it_is() -> None:
    body = {"Name": "Berlin", "Id": "dc-Berlin3", "Room": "X7", "Note": "rack X7, BERLIN", "Model": "X71"}
    shown = hidden(body, "Berlin", "X7")
    assert "berlin" not in json.dumps(shown).lower() and "X7," not in shown["Note"] and shown["Model"] == "X71"


def test_a_log_names_no_user_and_no_address() -> None:
    body = {
        "UserName": "alice",
        "Message": "User alice logged in from 8.8.4.4; root did not",
        "FirmwareVersion": "8.8.4.5",
        "Manufacturer": "Alice",
        "@odata.id": "/redfish/v1/UpdateService/FirmwareInventory/Installed-1-8.8.4.6",
    }
    shown = hidden(body)
    assert "alice" not in shown["Message"] and "8.8.4.4" not in shown["Message"] and "root" in shown["Message"]
    assert [shown[n] for n in ("FirmwareVersion", "Manufacturer", "@odata.id")] == [
        body[n] for n in ("FirmwareVersion", "Manufacturer", "@odata.id")
    ]


def test_where_a_machine_stands_and_whose_it_is_is_hidden() -> None:
    place = {"Country": "DE", "City": "Ulm", "Building": "Haus am See", "Territory": "BW"}
    subject = {"CommonName": "bmc", "Organization": "Acme", "OrganizationalUnit": "Ops", "City": "Ulm", "State": "BW"}
    shown = hidden(
        {
            "Location": {"PostalAddress": place, "Info": "Haus am See, X7"},
            "Subject": subject,
            "Manufacturer": "Acme",
            "Status": {"State": "BW"},
        }
    )
    written = json.dumps([shown["Location"], shown["Subject"]])
    assert [word for word in ("Ulm", "Haus am See", "BW", "Acme", "Ops") if word in written] == []
    assert shown["Manufacturer"] == "Acme" and shown["Status"] == {"State": "BW"}


@pytest.mark.parametrize("kept", ["Berlin", "X7", SERIAL, MAC, UUID])
def test_what_is_left_of_a_hidden_value_is_found_in_the_end(tmp_path: Path, kept: str) -> None:
    pseudonyms = Pseudonyms()
    pseudonyms.hide("Berlin", "X7")
    pseudonyms.learn({"SerialNumber": SERIAL, "MACAddress": MAC, "UUID": UUID})
    (tmp_path / "index.json").write_text('{"Model": "X71"}')
    pseudonyms.check(tmp_path)
    (tmp_path / "headers.json").write_text(json.dumps({"Server": f"at {kept.lower()}"}))
    with pytest.raises(StillThere, match=r"headers\.json") as raised:
        pseudonyms.check(tmp_path)
    assert kept.lower() not in str(raised.value).lower()


def test_a_walk_that_was_ended_goes_on_where_it_was(replays: Replays, tmp_path: Path) -> None:
    replayed = replays.start(Tree(small.files()))
    first = walk(replayed, replays, tmp_path / "kept", limits=Limits(seconds=0.0))
    assert not first.complete
    for file in list((tmp_path / "kept").glob("*.json")):
        file.unlink()

    class Killed(Exception):
        pass

    def kill(number: int, path: str) -> None:
        if number == 20:
            raise Killed

    with pytest.raises(Killed):
        walk(replayed, replays, tmp_path / "kept", say=kill)
    assert not replayed.bmc.sessions, "the session is closed, whatever happened"
    asked = len(replayed.bmc.requests("GET"))
    done = walk(replayed, replays, tmp_path / "kept")
    assert done.complete
    gets = replayed.bmc.requests("GET")
    assert len(set(gets[asked:]) & set(gets[:asked])) == 0, "something was read twice"
    assert len(list(done.answers())) == len(list(Tree(small.files()))) + 1  # and the one link to nothing


def test_a_walk_keeps_within_its_bounds(replays: Replays, tmp_path: Path) -> None:
    replayed = replays.start(Tree(small.files()))
    few = walk(replayed, replays, tmp_path / "few", limits=Limits(resources=10))
    assert len(list(few.answers())) == 10
    flat = walk(replayed, replays, tmp_path / "flat", limits=Limits(depth=1))
    assert all(answer.path.count("/") <= 3 for answer in flat.answers())


def test_a_wrong_login_is_tried_once(replays: Replays, tmp_path: Path) -> None:
    replayed = replays.start(Tree(small.files()))
    url = f"https://127.0.0.1:{replayed.bmc.port}"
    with pytest.raises(WalkError, match="login is refused"):
        Walk(url, "opsadmin", "wrong", tmp_path / "kept", verify=str(replays.ca_path)).run()
    assert len(replayed.bmc.requests("POST")) == 1


@pytest.mark.parametrize("checked", [True, False], ids=["certificate checked", "insecure"])
def test_the_command_writes_a_directory_that_the_replay_command_takes(
    replays: Replays, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, checked: bool
) -> None:
    replayed = replays.start(Tree(small.files()))
    monkeypatch.setenv("PALEBLUEDOT_DATA_DIR", str(tmp_path / "data"))
    argv = [*CLI, "--address", "127.0.0.1", "--port", str(replayed.bmc.port), "--username", "opsadmin"]
    monkeypatch.setenv("PALEBLUEDOT_BMC_PASSWORD", PASSWORD)
    argv += ["--ca-path", str(replays.ca_path)] if checked else ["--insecure"]
    done = subprocess.run([*argv, "--no-ipmi", str(tmp_path / "out")], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr, "who says --insecure is not told at each request"
    assert "palebluedot lab replay" in done.stdout
    assert len(list(Tree.read(tmp_path / "out"))) == len(list(Tree(small.files())))
    left = [file for file in (tmp_path / "data").rglob("*") if file.is_file()] if (tmp_path / "data").exists() else []
    assert left == [], "what came from the BMC stays on this machine only until the capture is written"


def test_what_is_too_short_to_be_hidden_is_refused(tmp_path: Path) -> None:
    argv = [*CLI, "--address", "127.0.0.1", "--port", "1", "--username", "a", "--hide", "X"]
    done = subprocess.run([*argv, str(tmp_path / "out")], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and "two characters" in done.stderr
