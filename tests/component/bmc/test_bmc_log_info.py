"""``bmc_log_info``: by cursor, against replies, captures of real machines, the lab, and IPMI."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.operations import bmc_log_info as info
from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import InvalidInput, Unsupported
from replay import Asked, Reply

SYSTEM = "/redfish/v1/Systems/1"
MANAGER = "/redfish/v1/Managers/1"
SEL = f"{MANAGER}/LogServices/Sel"


def read(bmc: Any, *logs: str, cursor: dict[str, Any] | None = None, limit: int = 100, **more: Any) -> dict[str, Any]:
    return info.run(bmc.params(logs=list(logs) or ["sel"], cursor=cursor, limit=limit, **more), True)


def ids(answer: dict[str, Any]) -> list[str]:
    return [entry["id"] for entry in answer["entries"]]


def entry(id: int, **more: Any) -> dict[str, Any]:
    return {"@odata.id": f"{SEL}/Entries/{id}", "Id": str(id), "Message": f"event {id}", **more}


def tree(entries: Any, vendor: str = "Contoso", **service: Any) -> dict[str, Any]:
    return {
        "/redfish/v1": {"Vendor": vendor},
        "/redfish/v1/Systems": {"Members": [{"@odata.id": SYSTEM}], "Members@odata.count": 1},
        SYSTEM: {"@odata.id": SYSTEM, "Id": "1", "Links": {"ManagedBy": [{"@odata.id": MANAGER}]}},
        MANAGER: {"@odata.id": MANAGER, "ManagerType": "BMC"},  # its link to LogServices is missing
        f"{MANAGER}/LogServices": {"Members": [{"@odata.id": SEL}], "Members@odata.count": 1},
        SEL: {"@odata.id": SEL, "Id": "Sel", "Entries": {"@odata.id": f"{SEL}/Entries"}, **service},
        f"{SEL}/Entries": {"Members": entries, "Members@odata.count": len(entries)},
    }


# -- the cursor


def test_what_came_since_is_read_in_one_session(start_replay: Any) -> None:
    bmc = start_replay(tree([entry(n) for n in (1, 10, 2)]))
    first = read(bmc)
    assert ids(first) == ["1", "2", "10"] and first["cursor"] == {"sel": "10"} and not first["changed"]
    assert ids(read(bmc, cursor={"sel": 2})) == ["10"], "an Id may be given as a number"
    nothing = read(bmc, cursor=first["cursor"])
    assert nothing["entries"] == [] and nothing["cursor"] == {"sel": "10"}
    assert bmc.opened == 3 and not bmc.sessions
    assert not [line for line in bmc.requests("POST", "PATCH", "DELETE") if "Session" not in line]


def test_a_log_that_was_cleared_is_read_from_its_beginning(start_replay: Any) -> None:
    bmc = start_replay(tree([entry(1), entry(2)]))
    answer = read(bmc, cursor={"sel": "852", "xid": "7"})
    assert ids(answer) == ["1", "2"] and answer["logs"]["sel"]["restarted"]
    assert answer["cursor"] == {"sel": "2", "xid": "7"}, "the cursor of a log that was not read stays"
    empty = read(start_replay(tree([])), cursor={"sel": "852"})
    assert empty["cursor"] == {"sel": "0"} and empty["logs"]["sel"]["restarted"]


def test_pages_that_begin_with_the_newest_are_read_no_further_than_the_cursor(start_replay: Any) -> None:
    entries = f"{SEL}/Entries"
    resources = tree([])
    resources[entries] = {
        "Members": [entry(45), entry(44)],
        "Members@odata.count": 5,
        "Members@odata.nextLink": f"{entries}?$skip=2",
    }
    resources[f"{entries}?$skip=2"] = {
        "Members": [entry(43), entry(42)],
        "Members@odata.count": 5,
        "Members@odata.nextLink": f"{entries}?$skip=4",
    }
    resources[f"{entries}?$skip=4"] = {"Members": [entry(41)], "Members@odata.count": 5}
    bmc = start_replay(resources)
    assert ids(read(bmc, cursor={"sel": "43"})) == ["44", "45"]
    assert f"GET {entries}?$skip=4" not in bmc.requests()
    assert ids(read(bmc, limit=2)) == ["44", "45"]
    assert f"GET {entries}?$skip=4" not in bmc.requests()
    assert ids(read(bmc, cursor={"sel": "0"}, limit=2)) == ["41", "42"], "everything is needed to know the oldest"


def test_entries_that_are_only_links_are_read_when_they_are_wanted(start_replay: Any) -> None:
    resources = tree([{"@odata.id": f"{SEL}/Entries/{n}"} for n in (1, 2, 3)])
    resources |= {f"{SEL}/Entries/{n}": entry(n, Severity="OK") for n in (1, 2, 3)}
    bmc = start_replay(resources)
    answer = read(bmc, cursor={"sel": "2"})
    assert [found["message"] for found in answer["entries"]] == ["event 3"]
    assert f"GET {SEL}/Entries/1" not in bmc.requests()


# -- queries only where they are proven


def test_no_query_is_sent_to_a_bmc_that_is_not_known_to_take_it(start_replay: Any) -> None:
    bmc = start_replay(tree([entry(1)]))
    read(bmc)
    read(bmc, cursor={"sel": "1"})
    assert not [line for line in bmc.requests() if "?" in line]


def test_a_dell_is_asked_for_the_newest_only(start_replay: Any) -> None:
    resources = tree([entry(45), entry(44), entry(43)], vendor="Dell")
    resources[f"{SEL}/Entries?$top=2"] = {"Members": [entry(45), entry(44)], "Members@odata.count": 3}
    bmc = start_replay(resources)
    assert ids(read(bmc, limit=2)) == ["44", "45"]
    assert f"GET {SEL}/Entries" not in bmc.requests()
    bmc.respond = lambda asked: Reply(400, {}) if "$top" in asked.path else None
    assert ids(read(bmc, limit=2)) == ["44", "45"], "a firmware that refuses it is read without"


TRAY = "/redfish/v1/Systems/HGX_Baseboard_0/LogServices/EventLog"


def xid(id: int, number: int = 62, gpu: str = "GPU_SXM_4") -> dict[str, Any]:
    return {
        "@odata.id": f"{TRAY}/Entries/{id}",
        "Id": str(id),
        "Created": "2020-05-08T11:14:01+00:00",
        "Severity": "Critical",
        "MessageId": "ResourceEvent.1.0.ResourceErrorsDetected",
        "MessageArgs": [f"{gpu} Driver Event Message", f"[Wed Dec 6 17:31:51 UTC 2023][1][00] XID {number} bad"],
        "Links": {"OriginOfCondition": {"@odata.id": f"/redfish/v1/Chassis/HGX_{gpu}"}},
    }


def grace(entries: list[dict[str, Any]]) -> dict[str, Any]:
    systems = [{"@odata.id": f"/redfish/v1/Systems/{name}"} for name in ("HGX_Baseboard_0", "System_0")]
    return {
        "/redfish/v1": {"Vendor": "NVIDIA"},
        "/redfish/v1/Systems": {"Members": systems, "Members@odata.count": 2},
        "/redfish/v1/Systems/System_0": {"Id": "System_0", "Model": "GB200 NVL"},
        TRAY: {"@odata.id": TRAY, "DateTime": "2020-12-11T16:35:16+00:00"},
        f"{TRAY}/Entries": {"Members": entries, "Members@odata.count": len(entries)},
    }


def test_a_filter_asks_for_the_cursor_s_own_entry_too(start_replay: Any) -> None:
    resources = grace([xid(849), xid(852), xid(900)])
    resources[f"{TRAY}/Entries?$filter=Id%20ge%20852"] = {"Members": [xid(852), xid(900)]}
    bmc = start_replay(resources)
    assert ids(read(bmc, "xid", cursor={"xid": "852"})) == ["900"]
    assert f"GET {TRAY}/Entries" not in bmc.requests()
    # cleared meanwhile: the answer does not have it, so everything is read
    bmc.resources = grace([xid(1), xid(2)]) | {f"{TRAY}/Entries?$filter=Id%20ge%20852": {"Members": []}}
    answer = read(bmc, "xid", cursor={"xid": "852"})
    assert ids(answer) == ["1", "2"] and answer["logs"]["xid"]["restarted"]


# -- XIDs


def test_one_poll_of_the_baseboard_s_log_gives_every_gpu_s_reports(start_replay: Any) -> None:
    throttle = {"Id": "850", "MessageArgs": ["GPU_SXM_1 ThrottleReason", "SWPowerCap"], "Severity": "Warning"}
    bmc = start_replay(grace([xid(849), throttle, xid(851, 79, "GPU_SXM_2"), {"Id": "852", "MessageArgs": None}]))
    answer = read(bmc, "xid", cursor={"xid": "0"})
    assert [
        (found["xid"]["device"], found["xid"]["number"], found["xid"]["action"]) for found in answer["entries"]
    ] == [
        ("GPU_SXM_4", 62, "reset_gpu"),
        ("GPU_SXM_2", 79, "reboot"),
    ]
    first = answer["entries"][0]
    assert first["created"] is None and first["created_raw"] == "2020-05-08T11:14:01+00:00"
    assert first["xid"]["driver_date"] == "2023-12-06T17:31:51+00:00"
    assert first["origin"] == "/redfish/v1/Chassis/HGX_GPU_SXM_4"
    assert answer["cursor"] == {"xid": "852"}, "what is no report is not looked at again either"
    assert answer["logs"]["xid"]["clock_skew_s"] < -86_400
    assert not [line for line in bmc.requests() if "/Chassis/" in line]


def test_a_limit_leaves_the_cursor_at_the_last_report_returned(start_replay: Any) -> None:
    bmc = start_replay(grace([xid(n) for n in (1, 2, 3)]))
    answer = read(bmc, "xid", cursor={"xid": "0"}, limit=2)
    assert ids(answer) == ["1", "2"] and answer["logs"]["xid"]["more"] and answer["cursor"] == {"xid": "2"}
    rest = read(bmc, "xid", cursor=answer["cursor"], limit=2)
    assert ids(rest) == ["3"] and not rest["logs"]["xid"]["more"]


def test_a_machine_without_such_a_log_says_what_was_looked_for(start_replay: Any) -> None:
    bmc = start_replay(tree([]))
    with pytest.raises(Unsupported, match="no log 'xid'"):
        read(bmc, "xid")
    with pytest.raises(Unsupported) as caught:
        read(bmc, "lifecycle")
    assert "Lclog" in (caught.value.tried or "") and SEL in (caught.value.answer or "")
    with pytest.raises(InvalidInput):
        read(bmc, cursor={"sell": "1"})
    with pytest.raises(InvalidInput):
        read(bmc, limit=0)


# -- captures of real machines


def test_the_reports_of_a_real_dgx(start_replay: Any, dgx_capture: Any) -> None:
    """Its own EventLog was captured only in part, so the entries of all its views are put together again."""
    members: dict[str, Any] = {}
    chassis = [f"HGX_GPU_SXM_{n}" for n in range(1, 9)] + [f"HGX_NVSwitch_{n}" for n in range(4)]
    for name in chassis:
        view = dgx_capture.get(f"/redfish/v1/Chassis/{name}/LogServices/XID/Entries") or {}
        members |= {member["Id"]: member for member in view.get("Members", [])}
    whole = dgx_capture.get(f"{TRAY}/Entries")
    members |= {member["Id"]: member for member in whole["Members"]}

    def respond(asked: Asked) -> Reply | None:
        return Reply(200, {**whole, "Members": list(members.values())}) if asked.path == f"{TRAY}/Entries" else None

    answer = read(start_replay(dgx_capture, respond), "xid", limit=10_000)
    reports = [found["xid"] for found in answer["entries"]]
    gpus = [report for report in reports if report["kind"] == "xid"]
    assert len(gpus) >= 13 and {report["number"] for report in gpus} == {62}
    assert {report["device"] for report in gpus} == {f"GPU_SXM_{n}" for n in (1, 2, 4, 5, 6, 8)}
    assert all(report["driver_date"][:4] in ("2023", "2024") for report in gpus)
    switches = [report for report in reports if report["kind"] == "sxid"]
    assert len(switches) == 80
    undated = {report["driver_date_raw"][-4:] for report in switches if report["driver_date"] is None}
    assert undated == {"1970"}, "the switch driver counts from there for a while"
    assert all(found["created"] is None and found["created_raw"] for found in answer["entries"])
    assert answer["cursor"]["xid"] == max(members, key=int)


@pytest.mark.parametrize(
    ("capture", "log", "newest", "path"),
    [
        ("dgx_capture", "sel", "75", "/redfish/v1/Managers/BMC/LogServices/SEL"),
        ("dgx_capture", "lifecycle", "75", "/redfish/v1/Managers/BMC/LogServices/AuditLog"),
        ("dell_capture", "sel", "45", "/redfish/v1/Managers/iDRAC.Embedded.1/LogServices/Sel"),
        ("dell_capture", "lifecycle", "179309", "/redfish/v1/Managers/iDRAC.Embedded.1/LogServices/Lclog"),
        ("hpe_capture", "sel", "5", "/redfish/v1/Systems/1/LogServices/IML"),
        ("hpe_capture", "lifecycle", None, "/redfish/v1/Managers/1/LogServices/IEL"),
    ],
)
def test_logs_of_real_machines(
    start_replay: Any, request: pytest.FixtureRequest, capture: str, log: str, newest: str | None, path: str
) -> None:
    answer = read(start_replay(request.getfixturevalue(capture)), log, limit=4)
    assert answer["logs"][log]["path"] == path
    assert len(answer["entries"]) == 4 and all(found["message"] for found in answer["entries"])
    if newest is not None:
        assert ids(answer)[-1] == newest
    again = read(start_replay(request.getfixturevalue(capture)), log, cursor=answer["cursor"])
    assert again["entries"] == []


# -- the lab


def test_a_gpu_error_in_the_lab_is_found_once(lab_bmc: Any) -> None:
    machine = lab_bmc.machine
    before = read(lab_bmc, "sel", "xid")["cursor"]
    lab_bmc._loop.call(lambda: machine.xid(machine.gpus[2], 79, "pid=7"))
    answer = read(lab_bmc, "sel", "xid", cursor=before)
    (found,) = answer["entries"]
    assert (found["log"], found["xid"]["number"], found["xid"]["device"]) == ("xid", 79, "GPU_SXM_3")
    assert found["xid"]["driver_date"] and found["created"] is None
    assert read(lab_bmc, "xid", cursor=answer["cursor"])["entries"] == []
    assert lab_bmc.sessions() == 0


@pytest.mark.parametrize("odd", ["0000-00-00", "00:00:00Z", "1970-01-01T00:00:20Z", "9999-12-31T23:59:59Z", None, 7])
def test_odd_dates_are_null_and_kept(lab_bmc: Any, odd: Any) -> None:
    sel_event = lab_bmc.machine.bmc.sel_event
    lab_bmc._loop.call(lambda: sel_event(0x22, 1, 0x6F, (0, 0xFF, 0xFF), "on"))
    assert read(lab_bmc)["entries"][-1]["created"]
    lab_bmc.fault("odd_dates", value=odd)
    found = read(lab_bmc)["entries"][-1]
    assert found["created"] is None and found["created_raw"] == (odd if isinstance(odd, str) else None)


# -- IPMI


def test_the_log_by_ipmi(ipmi_bmc: Any) -> None:
    bmc = ipmi_bmc.machine.bmc
    for n in range(5):
        ipmi_bmc._loop.call(lambda n=n: bmc.sel_event(0x01, n, 0x01, (0x59, 0x60, 0x55), "hot"))
    newest = bmc.sel[-1].id
    answer = read(ipmi_bmc, limit=3)
    assert ids(answer) == [str(newest - 2), str(newest - 1), str(newest)]
    last = answer["entries"][-1]
    assert last["sensor"] == "Temperature 4" and last["severity"] == "Critical" and last["message"]
    assert last["created"] and abs(answer["logs"]["sel"]["clock_skew_s"]) < 3600
    assert read(ipmi_bmc, cursor=answer["cursor"])["entries"] == []
    since = read(ipmi_bmc, cursor={"sel": str(newest - 4)}, limit=2)
    assert ids(since) == [str(newest - 3), str(newest - 2)] and since["logs"]["sel"]["more"]
    ipmi_bmc._loop.call(bmc.sel.clear)
    cleared = read(ipmi_bmc, cursor=answer["cursor"])
    assert cleared["entries"] == [] and cleared["logs"]["sel"]["restarted"] and cleared["cursor"] == {"sel": "0"}
    ipmi_bmc._loop.call(lambda: bmc.sel_event(0x22, 1, 0x6F, (0, 0xFF, 0xFF), "on"))
    assert len(read(ipmi_bmc, cursor=answer["cursor"])["entries"]) == 1
    with pytest.raises(Unsupported) as caught:
        read(ipmi_bmc, "xid")
    assert caught.value.code == "protocol_unsupported"
