"""Every route says its roles; a walk over all routes with all roles shows that it keeps to them."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask

from api.auth import EVERYBODY
from fleet.actor import ROLES, SYSTEM
from fleet.operations import users
from tests.component.api.conftest import Prepared
from tests.component.api.support import WISH, Caller, Runner, problem

ALL = frozenset(ROLES)
STAFF = frozenset({"operator", "admin", "automation"})
READERS = STAFF | {"auditor"}
OPERATORS = frozenset({"operator", "admin"})
ALLOCATORS = STAFF | {"user"}

# The whole table, written down a second time on purpose: operation → (roles, a job's token may come).
EXPECTED: dict[str, tuple[frozenset[str], bool]] = {
    "logout": (ALL, False),
    "getProfile": (ALL, True),
    "getQuota": (ALL, False),
    "listSshKeys": (ALL, False),
    "addSshKey": (ALL, False),
    "deleteSshKey": (ALL, False),
    "listTokens": (ALL, False),
    "mintToken": (ALL, False),
    "revokeToken": (ALL, False),
    "listAvailableGpus": (ALL, False),
    "getGpuStatus": (ALL, False),
    "allocateGpu": (ALLOCATORS, False),
    "createAllocation": (ALLOCATORS, False),
    "listAllocations": (ALL, True),
    "getAllocation": (ALL, True),
    "deleteAllocation": (ALLOCATORS, False),
    "deleteGpu": (ALLOCATORS, False),
    "releaseGpu": (ALLOCATORS, False),
    "listWorkflows": (ALL, True),
    "getWorkflow": (ALL, True),
    "listWorkflowEvents": (ALL, True),
    "claimWorkflow": (STAFF, True),
    "getRunDocument": (STAFF, True),
    "reportStep": (STAFF, True),
    "getMachineReport": (STAFF, True),
    "listServers": (READERS, True),
    "listHardwareServers": (READERS, True),
    "getServer": (READERS, True),
    "importServers": (STAFF, False),
    "recordInspection": (STAFF, True),
    "setServerFlags": (STAFF, False),
    "cleanServer": (OPERATORS, False),
    "listExpectedMachines": (READERS, False),
    "importExpectedMachines": (STAFF, False),
    "deleteExpectedMachine": (STAFF, False),
    "getReconciliation": (READERS, False),
    "getEnrolmentRules": (READERS, False),
    "getEnrolmentRulesSchema": (READERS, False),
    "setEnrolmentRules": (OPERATORS, False),
    "checkEnrolmentRules": (OPERATORS, False),
    "replacePart": (OPERATORS, False),
    "listReplacements": (READERS, False),
    "adoptServer": (OPERATORS, False),
    "setServerState": (OPERATORS, False),
    "getTopology": (READERS, False),
    "storeNeighbors": (STAFF, False),
    "getServerCredential": (STAFF, True),
    "changeServerCredential": (STAFF, True),
    "getSwitchCredential": (STAFF, True),
    "getFreeze": (ALL, True),
    "setFreeze": (OPERATORS, False),
    "storeTelemetry": (STAFF, False),
    "listAlerts": (READERS, False),
    "listTemplates": (ALL, False),
    "listImages": (ALL, False),
    "listNetworks": (READERS, False),
}
PUBLIC = {
    "login", "refreshLogin", "ingestReport",
    "getHealth", "getHealthV1", "getReadiness", "getReadinessV1", "getMetrics",
}  # fmt: skip
UNDOCUMENTED = {"api-docs.openapi_json", "docs"}


def routes(app: Flask) -> list[tuple[str, str, str]]:
    """(operation, method, path with made-up ids) of every route there is."""
    found = []
    for rule in app.url_map.iter_rules():
        if rule.endpoint in UNDOCUMENTED:
            continue
        path = rule.rule.replace("<int(max=2147483647):attempt>", "1")
        for name, value in _IDS.items():
            path = path.replace(f"<{name}>", value)
        (method,) = (rule.methods or set()) - {"HEAD", "OPTIONS"}
        found.append((rule.endpoint.rpartition(".")[2], method, path))
    return found


_NOWHERE = "0" * 32
_IDS = {
    "workflow_id": f"wf_{_NOWHERE}",
    "allocation_id": f"alloc_{_NOWHERE}",
    "id": f"alloc_{_NOWHERE}",
    "gpu_id": f"gpu_{_NOWHERE}",
    "key_id": f"key_{_NOWHERE}",
    "token_id": f"tok_{_NOWHERE}",
    "server": "nowhere",
    "switch": "nowhere",
    "serial_number": "nothing",
    "step": "reserve",
    "kind": "first-boot",
    "token": "nothing",
}


def test_every_route_says_who_may_come(app: Flask) -> None:
    assert {operation for operation, _, _ in routes(app)} == set(EXPECTED) | PUBLIC
    for rule in app.url_map.iter_rules():
        operation = rule.endpoint.rpartition(".")[2]
        if rule.endpoint in UNDOCUMENTED:
            continue
        access = vars(app.view_functions[rule.endpoint])["access"]
        roles, job = EXPECTED.get(operation, (frozenset(), None))
        assert set(access["x-roles"]) == roles, operation
        assert access.get("x-job-token") is job, operation


@pytest.mark.parametrize("role", ROLES)
def test_each_role_reaches_its_routes_and_no_other(app: Flask, prepared: Prepared, role: str) -> None:
    caller = Caller(app.test_client(), prepared.tokens[role])
    for operation, method, path in routes(app):
        if operation == "logout" or operation in PUBLIC:
            continue
        answer = caller.call(method, path)
        allowed = role in EXPECTED[operation][0]
        assert (answer.status_code == 403) is not allowed, (operation, role, answer.text)
        assert answer.status_code not in (401, 500), (operation, role, answer.text)
        if not allowed:
            document = problem(answer, 403, "role_not_allowed")
            assert role in document["detail"]


def test_nothing_but_the_public_routes_works_without_a_token(app: Flask, anybody: Caller) -> None:
    for operation, method, path in routes(app):
        answer = anybody.call(method, path)
        if operation not in PUBLIC or operation == "refreshLogin":
            problem(answer, 401, "authentication_required")
            assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        else:
            assert answer.status_code not in (401, 403), operation


def test_requires_takes_only_known_roles() -> None:
    from api.auth import requires

    with pytest.raises(ValueError, match="roles"):
        requires("root")
    with pytest.raises(ValueError, match="roles"):
        requires()
    assert set(EVERYBODY) == ALL


@pytest.fixture
def two_workflows(user: Caller, neighbour: Caller, fleet: list[str]) -> list[dict[str, Any]]:
    """One external allocation of the user and one of the neighbour."""
    answers = [caller.post("/gpu/allocate", {**WISH, "executor": "external"}) for caller in (user, neighbour)]
    assert [answer.status_code for answer in answers] == [202, 202]
    return [answer.json or {} for answer in answers]


@pytest.fixture
def job(app: Flask, two_workflows: list[dict[str, Any]]) -> Caller:
    """The job's token of the user's workflow."""
    with app.extensions["palebluedot"].transaction() as session:
        minted = users.mint_token(session, SYSTEM, "job", 600, two_workflows[0]["workflow_id"])
    return Caller(app.test_client(), minted.token)


def test_a_jobs_token_reaches_its_own_and_nothing_else(
    job: Caller, automation: Caller, two_workflows: list[dict[str, Any]]
) -> None:
    own, other = two_workflows
    own_server = automation.get(f"/allocations/{own['allocation_id']}").json["servers"][0]["name"]  # type: ignore[index]
    other_server = automation.get(f"/allocations/{other['allocation_id']}").json["servers"][0]["name"]  # type: ignore[index]

    runner = Runner.claim(job, own["workflow_id"])
    assert [server["name"] for server in runner.document()["servers"]] == [own_server]
    assert runner.step("reserve", own_server, "begin").status_code == 200
    for path in (
        f"/workflows/{own['workflow_id']}", f"/allocations/{own['allocation_id']}", f"/servers/{own_server}",
        f"/servers/{own_server}/credential", "/switches/leaf-1/credential", "/fleet/freeze", "/users/profile",
    ):  # fmt: skip
        assert job.get(path).status_code == 200, path
    for path, key in (("/servers", "name"), ("/workflows", "id"), ("/allocations", "id")):
        items = job.get(path).json["items"]  # type: ignore[index]
        expected = {"/servers": own_server, "/workflows": own["workflow_id"], "/allocations": own["allocation_id"]}
        assert [item[key] for item in items] == [expected[path]]

    for path in (
        f"/workflows/{other['workflow_id']}", f"/workflows/{other['workflow_id']}/run",
        f"/workflows/{other['workflow_id']}/events", f"/allocations/{other['allocation_id']}",
        f"/servers/{other_server}", f"/servers/{other_server}/credential",
    ):  # fmt: skip
        assert job.get(path).status_code in (403, 404), path
    assert job.post(f"/workflows/{other['workflow_id']}/claim", {"claimant": "x"}).status_code == 403
    evil = problem(job.put(f"/servers/{other_server}/inspection", {"model": "evil"}), 403)
    assert "a job's token reaches only its own workflow" in evil["next"]
    foreign = f"/workflows/{own['workflow_id']}/steps/reserve/servers/{other_server}/attempts/1"
    problem(job.put(foreign, {"phase": "begin", "fence": runner.fence}), 404)
    assert automation.get(f"/servers/{other_server}").json["model"] == "DGXH100"  # type: ignore[index]


def test_a_jobs_token_stays_out_where_it_was_not_let_in(app: Flask, job: Caller) -> None:
    for operation, method, path in routes(app):
        if operation in PUBLIC or EXPECTED[operation][1]:
            continue
        answer = job.call(method, path)
        assert answer.status_code == 403, (operation, answer.text)


def test_other_peoples_things_do_not_exist_for_a_user(
    user: Caller, auditor: Caller, two_workflows: list[dict[str, Any]]
) -> None:
    _, other = two_workflows
    for method, path in (
        ("GET", f"/allocations/{other['allocation_id']}"),
        ("DELETE", f"/allocations/{other['allocation_id']}"),
        ("DELETE", f"/gpu/{other['allocation_id']}"),
        ("DELETE", f"/gpu/{other['allocation_id']}/release"),
        ("GET", f"/workflows/{other['workflow_id']}"),
        ("GET", f"/workflows/{other['workflow_id']}/events"),
    ):
        problem(user.call(method, path), 404, "not_found")
    assert len(user.get("/allocations").json["items"]) == 1  # type: ignore[index]
    assert len(user.get("/workflows").json["items"]) == 1  # type: ignore[index]
    assert len(auditor.get("/allocations").json["items"]) == 2  # type: ignore[index]
    assert auditor.get(f"/workflows/{other['workflow_id']}").status_code == 200
    held = auditor.get(f"/allocations/{other['allocation_id']}").json["servers"][0]["gpus"][0]  # type: ignore[index]
    assert user.get(f"/gpu/{held}/status").json["allocation_id"] is None  # type: ignore[index]
    assert auditor.get(f"/gpu/{held}/status").json["allocation_id"] == other["allocation_id"]  # type: ignore[index]
    problem(user.delete(f"/gpu/{held}/release"), 404, "not_found")
