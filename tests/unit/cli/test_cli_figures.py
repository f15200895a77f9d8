"""The demo's judgement: any state that is not what it should be is named."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cli.demo.figures import Figures, States, Wipe, count_states


def good() -> Figures:
    return Figures(
        servers=8,
        gpus=64,
        states=States(
            servers_discovered={"available": 8},
            gpus_discovered=64,
            allocate_workflow="succeeded",
            allocation_active="active",
            gpus_active=56,
            release_workflow="succeeded",
            allocation="released",
            servers={"available": 8},
            gpus_available=64,
            wipes=[Wipe("gpu-001", ["/dev/nvme0n1"], ["/dev/nvme0n1"])],
        ),
    )


def test_nothing_is_wrong_when_every_state_is_right() -> None:
    assert good().wrong() == []


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("servers_discovered", {"available": 7, "failed": 1}, "servers after discovery"),
        ("gpus_discovered", 56, "free GPUs after discovery"),
        ("allocate_workflow", "failed", "allocate workflow"),
        ("allocation_active", "provisioning", "allocation in use"),
        ("gpus_active", 64, "free GPUs in use"),
        ("release_workflow", None, "release workflow"),
        ("allocation", "releasing", "allocation at the end"),
        ("servers", {"available": 7, "cleaning": 1}, "servers at the end"),
        ("gpus_available", 56, "free GPUs at the end"),
        ("wipes", [], "no proof"),
        ("wipes", [Wipe("gpu-001", ["/dev/nvme0n1", "/dev/nvme1n1"], ["/dev/nvme0n1"])], "wipe of gpu-001"),
        ("wipes", [Wipe("gpu-001", [], [])], "wipe of gpu-001"),
    ],
)
def test_each_wrong_state_is_named(field: str, value: Any, said: str) -> None:
    figures = good()
    setattr(figures.states, field, value)
    (wrong,) = figures.wrong()
    assert said in wrong


def test_the_line_of_json_has_the_promised_keys() -> None:
    line = json.loads(json.dumps(good().as_dict()))
    assert set(line) == {"servers", "gpus", "discover_s", "allocate_s", "release_s", "states"}


def test_counts_states() -> None:
    assert count_states([{"state": "a"}, {"state": "b"}, {"state": "a"}]) == {"a": 2, "b": 1}
