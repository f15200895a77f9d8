"""What the lab's vendors share and differ in, asked over HTTPS by a client that is not ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import requests

from lab.config import VENDORS, make_config
from lab.redfish.service import RedfishBmc
from tests.component.lab.vendors import AMI, V1, Bmc, ids


@pytest.mark.parametrize("vendor", VENDORS)
def test_every_link_leads_somewhere_and_nothing_of_another_vendor_is_seen(start: Any, vendor: str) -> None:
    bmc = start(vendor)
    seen: set[str] = set()
    queue, missing = [V1], []
    while queue:
        path = queue.pop().split("#")[0].rstrip("/")
        if path in seen or "/Fabrics/" in path:  # the tray's fabrics are links only, as the lab has it
            continue
        seen.add(path)
        body = bmc.loop.run(read(bmc.bmc, path))
        if body is None:
            missing.append(path)
            continue
        queue += links(body)
        if vendor != "ami":
            assert "DGX" not in str(body), path
        if vendor not in AMI:
            assert "Ami" not in body.get("Oem", {}), path
    assert missing == []
    assert len(seen) > 100


async def read(bmc: RedfishBmc, path: str) -> Any:
    return bmc.resource(path)


def links(value: Any) -> list[str]:
    if isinstance(value, list):
        return [found for item in value for found in links(item)]
    if not isinstance(value, dict):
        return []
    own = [value["@odata.id"]] if isinstance(value.get("@odata.id"), str) else []
    return own + [found for item in value.values() for found in links(item)]


@pytest.mark.parametrize("vendor", VENDORS)
def test_power_boot_override_and_log_of_writes_work_under_the_vendors_own_paths(start: Any, vendor: str) -> None:
    bmc = start(vendor)
    target = f"{bmc.system}/SD" if vendor in AMI else bmc.system
    once = {"BootSourceOverrideEnabled": "Once", "BootSourceOverrideTarget": "Pxe", "BootSourceOverrideMode": "UEFI"}
    assert bmc.patch(target, {"Boot": once}).status_code < 300
    boot = bmc.get(bmc.system)["Boot"]
    assert (boot["BootSourceOverrideTarget"], boot["BootSourceOverrideEnabled"]) == ("Pxe", "Once")
    bmc.turn("On", "On")
    bmc.loop.until(lambda: bmc.machine.running == "agent")
    assert bmc.machine.boots[0]["device"] == "pxe"
    assert bmc.get(bmc.system)["Boot"]["BootSourceOverrideEnabled"] == "Disabled"
    bmc.turn("ForceOff", "Off")
    actions = [entry.action for entry in bmc.machine.world.log.select(layer="redfish")]
    assert actions == [
        f"PATCH {target}",
        f"POST {bmc.system}/Actions/ComputerSystem.Reset",
        f"POST {bmc.system}/Actions/ComputerSystem.Reset",
    ]


@pytest.mark.parametrize(
    ("vendor", "status", "power"),
    [
        ("dell", 409, "Off"),
        ("hpe", 400, "Off"),
        ("lenovo", 204, "Off"),
        ("supermicro", 204, "Off"),
        ("openbmc", 204, "Off"),
        ("ami", 202, "Off"),
    ],
)
def test_a_power_order_that_changes_nothing(start: Any, vendor: str, status: int, power: str) -> None:
    bmc = start(vendor)
    assert bmc.reset("ForceOff").status_code == status
    assert bmc.machine.power == power


@pytest.mark.parametrize(
    ("vendor", "where", "types"),
    [
        ("ami", "info", {"On", "ForceOff", "ForceRestart", "GracefulShutdown"}),
        (
            "supermicro",
            "info",
            {"On", "ForceOff", "GracefulShutdown", "GracefulRestart", "ForceRestart", "Nmi", "ForceOn", "PowerCycle"},
        ),
        (
            "lenovo",
            "action",
            {"On", "Nmi", "GracefulShutdown", "GracefulRestart", "ForceOff", "ForceOn", "ForceRestart"},
        ),
    ],
)
def test_where_reset_types_stand(start: Any, vendor: str, where: str, types: set[str]) -> None:
    bmc = start(vendor)
    action = bmc.get(bmc.system)["Actions"]["#ComputerSystem.Reset"]
    if where == "action":
        assert set(action["ResetType@Redfish.AllowableValues"]) == types
        return
    assert "ResetType@Redfish.AllowableValues" not in action
    (parameter,) = bmc.get(action["@Redfish.ActionInfo"])["Parameters"]
    assert set(parameter["AllowableValues"]) == types


@pytest.mark.parametrize("vendor", ["ami", "gigabyte", "supermicro", "hpe", "lenovo"])
def test_who_asks_for_an_etag(start: Any, vendor: str) -> None:
    bmc = start(vendor)
    target = f"{bmc.system}/SD" if vendor in AMI else bmc.system
    body = {"Boot": {"BootSourceOverrideEnabled": "Disabled"}}
    assert bmc("PATCH", target, json=body).status_code == 428
    assert bmc("PATCH", target, json=body, headers={"If-Match": '"0"'}).status_code == 412
    tag = bmc("GET", target).headers["ETag"]
    assert tag.startswith('W/"') == (vendor == "hpe")
    assert bmc.get(target)["@odata.etag"] == tag
    assert bmc.patch(target, body).status_code < 300


@pytest.mark.parametrize(("vendor", "header"), [("dell", False), ("openbmc", True)])
def test_who_has_no_etag_in_bodies(start: Any, vendor: str, header: bool) -> None:
    bmc = start(vendor)
    answer = bmc("GET", bmc.system)
    assert "@odata.etag" not in answer.json()
    assert ("ETag" in answer.headers) == header
    disabled = {"Boot": {"BootSourceOverrideEnabled": "Disabled"}}
    assert bmc("PATCH", bmc.system, json=disabled).status_code < 300


@pytest.mark.parametrize(
    ("vendor", "seconds", "shortest", "longest"),
    [
        ("dell", 1800, 0, 127),
        ("supermicro", 300, 8, 20),
        ("hpe", 30, 8, None),
        ("lenovo", 300, 10, 32),
        ("ami", 30, 13, 20),
    ],
)
def test_sessions_and_passwords(start: Any, vendor: str, seconds: int, shortest: int, longest: int | None) -> None:
    bmc = start(vendor)
    assert bmc.get(f"{V1}/SessionService")["SessionTimeout"] == seconds
    service = bmc.get(f"{V1}/AccountService")
    assert (service["MinPasswordLength"], service.get("MaxPasswordLength")) == (shortest, longest)
    if vendor == "dell":
        return
    made = bmc(
        "POST",
        f"{V1}/AccountService/Accounts",
        json={"UserName": "op", "Password": "x" * (shortest - 1), "RoleId": "Operator"},
    )
    assert made.status_code == 400
    good = {"UserName": "op", "Password": "x" * shortest, "RoleId": "Operator"}
    assert bmc("POST", f"{V1}/AccountService/Accounts", json=good).status_code == 201


@pytest.mark.parametrize(("vendor", "tries"), [("supermicro", 3), ("ami", 5), ("dell", None)])
def test_lockout(start: Any, vendor: str, tries: int | None) -> None:
    bmc = start(vendor)
    right = bmc.http.auth
    for _ in range(tries or 10):
        assert bmc("GET", bmc.system, auth=(right[0], "wrong")).status_code == 401
    assert bmc("GET", bmc.system, auth=right).status_code == (401 if tries else 200)


@pytest.mark.parametrize(
    ("vendor", "limit", "said"), [("dell", 8, "IDRAC.2.8.RAC0218"), ("lenovo", 16, "SessionLimit")]
)
def test_one_session_too_many(start: Any, vendor: str, limit: int, said: str) -> None:
    bmc = start(vendor)
    body = dict(zip(("UserName", "Password"), bmc.http.auth, strict=True))
    bmc.http.auth = None
    answers = [bmc("POST", f"{V1}/SessionService/Sessions", json=body) for _ in range(limit + 1)]
    assert [answer.status_code for answer in answers] == [201] * limit + [503]
    assert said in ids(answers[-1])[0]


def test_a_login_with_basic_credentials_beside_it_is_refused(start: Any) -> None:
    bmc = start("hpe")
    body = dict(zip(("UserName", "Password"), bmc.http.auth, strict=True))
    assert bmc("POST", f"{V1}/SessionService/Sessions", json=body).status_code == 401


@pytest.mark.parametrize("vendor", VENDORS)
def test_a_first_login_can_change_the_password_and_do_nothing_else(start: Any, vendor: str) -> None:
    bmc = start(vendor)
    (account,) = bmc.machine.bmc.accounts.by_id.values()
    account.must_change = True
    refused = bmc("GET", bmc.system)
    assert refused.status_code == 403
    own = refused.json()["error"]["@Message.ExtendedInfo"][0]["MessageArgs"][0]
    login = dict(zip(("UserName", "Password"), bmc.http.auth, strict=True))
    auth, bmc.http.auth = bmc.http.auth, None
    told = bmc("POST", f"{V1}/SessionService/Sessions", json=login)
    assert told.status_code == 201 and "PasswordChangeRequired" in str(told.json()["@Message.ExtendedInfo"])
    bmc.http.auth = auth
    assert bmc.get(own)["PasswordChangeRequired"] is True
    tag = "*" if vendor in AMI else bmc("GET", own).headers.get("ETag", "*")
    changed = bmc("PATCH", own, json={"Password": "a-new-password-1"}, headers={"If-Match": tag})
    assert changed.status_code < 300
    bmc.http.auth = (auth[0], "a-new-password-1")
    assert bmc.get(bmc.system)["PowerState"] == "Off"


@pytest.mark.parametrize(("vendor", "levels"), [("dell", 1), ("hpe", 1), ("supermicro", 2), ("openbmc", 6), ("ami", 5)])
def test_expand(start: Any, vendor: str, levels: int) -> None:
    bmc = start(vendor)
    (first, *_) = bmc.get(f"{V1}/Systems?$expand=.($levels=1)")["Members"]
    assert ("Id" in first) == (vendor != "ami")  # AMI's drops it
    assert bmc("GET", f"{V1}/Systems?$expand=.($levels={levels})").status_code == 200
    assert bmc("GET", f"{V1}/Systems?$expand=.($levels={levels + 1})").status_code == 400
    assert bmc("GET", f"{V1}/Systems?$expand=*($levels=1)").status_code == (400 if vendor == "hpe" else 200)


def power_on_entry(bmc: Bmc, path: str) -> dict[str, Any]:
    bmc.turn("On", "On")
    (entry, *_) = bmc.get(f"{path}/Entries")["Members"]
    return dict(entry)


@pytest.mark.parametrize(
    ("vendor", "path", "year"),
    [
        ("dell", "/Managers/iDRAC.Embedded.1/LogServices/Sel", "0000"),
        ("hpe", "/Systems/1/LogServices/IML", "0000"),
        ("supermicro", "/Systems/1/LogServices/Log1", "1970"),
        ("openbmc", "/Systems/System_0/LogServices/SEL", "9999"),
    ],
)
def test_a_log_whose_first_date_is_no_date(start: Any, vendor: str, path: str, year: str) -> None:
    entry = power_on_entry(start(vendor), V1 + path)
    assert entry["Id"] == "1" and entry["Created"].startswith(year)


@pytest.mark.parametrize("vendor", ["ami", "dell", "lenovo", "openbmc"])
def test_events_can_be_listened_to(start: Any, vendor: str) -> None:
    bmc = start(vendor)
    service = bmc.get(f"{V1}/EventService")
    uri = service.get("ServerSentEventUri") or f"{V1}/EventService/SSE"
    test_event = service["Actions"]["#EventService.SubmitTestEvent"]["target"]
    with bmc("GET", uri, stream=True) as stream:
        assert stream.headers["Content-Type"].startswith("text/event-stream")
        lines = stream.iter_lines()
        assert next(lines).startswith(b":")
        assert requests.post(
            f"https://127.0.0.1:{bmc.bmc.port}{test_event}",
            json={"MessageId": "Base.1.12.Success"},
            auth=bmc.http.auth,
            verify=bmc.http.verify,
            timeout=3,
        ).ok
        data = next(line for line in lines if line.startswith(b"data:"))
    assert b"Base.1.12.Success" in data


def test_a_mixed_fleet_takes_turns(tmp_path: Path) -> None:
    config = make_config(tmp_path, servers=5, vendor="dell, hpe")
    assert [machine.vendor for machine in config.machines] == ["dell", "hpe", "dell", "hpe", "dell"]
    with pytest.raises(ValueError, match="vendor must be of ami, dell"):
        make_config(tmp_path, vendor="dell,acme")
