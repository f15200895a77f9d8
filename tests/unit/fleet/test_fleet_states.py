"""The table of states."""

from __future__ import annotations

from typing import Any
from unittest.mock import MagicMock

import pytest

from fleet import states
from fleet.actor import SYSTEM
from fleet.errors import StateConflict
from fleet.models import (
    Alert,
    Allocation,
    AllocationServer,
    Event,
    Gpu,
    GpuAllocation,
    Server,
    Workflow,
    WorkflowStep,
)

ENTITIES: dict[str, Any] = {
    "server": Server,
    "gpu": Gpu,
    "allocation": Allocation,
    "allocation_server": AllocationServer,
    "gpu_allocation": GpuAllocation,
    "workflow": Workflow,
    "workflow_step": WorkflowStep,
    "alert": Alert,
}
PAIRS = [(name, source, target) for name, table in states.TRANSITIONS.items() for source in table for target in table]
# what the contracts fix
SERVER_STATES = (
    "enrolled inspecting available reserved provisioning active suspended "
    "cleaning quarantined failed maintenance retired"
)
ALLOCATION_STATES = (
    "pending scheduled reserved provisioning active suspended releasing released rejected failed cancelled"
)
WORKFLOW_STATES = "pending running waiting held cancelling succeeded failed cancelled timed_out"
STEP_STATES = "pending running waiting succeeded failed skipped compensated"


def entity(name: str, state: str) -> Any:
    made = ENTITIES[name](id=f"{name}_1")
    if name == "allocation_server":
        made.state = state
    else:
        made.status = state
    return made


@pytest.fixture
def session() -> MagicMock:
    fake = MagicMock()
    fake.get_bind.return_value.dialect.name = "sqlite"
    return fake


def test_the_states_are_those_of_the_contracts() -> None:
    for name, listed in (
        ("server", SERVER_STATES),
        ("allocation", ALLOCATION_STATES),
        ("workflow", WORKFLOW_STATES),
        ("workflow_step", STEP_STATES),
        ("alert", "pending firing resolved"),
    ):
        assert set(states.TRANSITIONS[name]) == set(listed.split())


@pytest.mark.parametrize(("name", "source", "target"), PAIRS)
def test_every_pair_is_allowed_or_refused_as_the_table_says(
    session: MagicMock, name: str, source: str, target: str
) -> None:
    made = entity(name, source)
    if target in states.TRANSITIONS[name][source]:
        states.transition(session, made, target, SYSTEM, "why", "wf_1")
        assert states.state_of(made) == target
        event = session.add.call_args.args[0]
        assert isinstance(event, Event)
        assert event.type == f"palebluedot.{name}.{target}.v1"
        assert event.data == {
            "id": made.id,
            "state": target,
            "previous": source,
            "reason": "why",
            "actor": "palebluedot",
            "workflow_id": "wf_1",
        }
    else:
        with pytest.raises(StateConflict):
            states.transition(session, made, target, SYSTEM)
        assert states.state_of(made) == source
        session.add.assert_not_called()


def test_every_target_is_a_state() -> None:
    for table in states.TRANSITIONS.values():
        for targets in table.values():
            assert targets <= set(table)


def test_every_state_can_be_reached_from_the_first_one() -> None:
    first = {"server": "enrolled", "gpu": "inspecting", "allocation_server": "reserved", "gpu_allocation": "reserved"}
    for name, table in states.TRANSITIONS.items():
        reached, frontier = set(), {first.get(name, "pending")}
        while frontier:
            reached |= frontier
            frontier = {target for state in frontier for target in table[state]} - reached
        assert reached == set(table), name


@pytest.mark.parametrize(
    ("source", "targets"),
    [
        ("failed", "cleaning maintenance retired"),
        ("quarantined", "cleaning maintenance retired"),
        ("maintenance", "inspecting"),
    ],
)
def test_the_side_states_are_left_as_the_contracts_say(source: str, targets: str) -> None:
    assert states.SERVER[source] == set(targets.split())


def test_no_server_is_offered_without_having_been_cleaned_or_inspected() -> None:
    assert {state for state, targets in states.SERVER.items() if "available" in targets} == {
        "inspecting",
        "cleaning",
        "reserved",  # held, but nothing was done to it
    }


def test_end_states_have_no_way_out() -> None:
    assert {state for state, targets in states.WORKFLOW.items() if not targets} == states.WORKFLOW_ENDED
    assert {state for state, targets in states.ALLOCATION.items() if not targets} == states.ALLOCATION_ENDED


def test_an_unknown_state_is_refused(session: MagicMock) -> None:
    with pytest.raises(StateConflict, match="no state of a server"):
        states.transition(session, entity("server", "active"), "flying", SYSTEM)


def test_gpus_follow_their_server_but_an_absent_one_stays_absent(session: MagicMock) -> None:
    server = Server(id="srv_1", name="a", status="provisioning")
    server.gpus = [Gpu(id="gpu_1", status="reserved"), Gpu(id="gpu_2", status="absent")]
    states.transition(session, server, "active", SYSTEM)
    assert [gpu.status for gpu in server.gpus] == ["allocated", "absent"]


def test_reaching_where_one_is_does_nothing(session: MagicMock) -> None:
    made = entity("allocation", "active")
    assert not states.reach(session, made, "active", SYSTEM)
    session.add.assert_not_called()
    assert states.reach(session, made, "releasing", SYSTEM)
    assert not states.allowed(made, "active")
