"""Files of the delivery list, and how a verdict of the rules is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.expected import read_list
from cli.problems import Problem
from cli.rules import explanation


def test_a_csv_and_a_yaml_list_say_the_same(tmp_path: Path) -> None:
    table = tmp_path / "list.csv"
    table.write_text("serial_number,rack,rack_unit,tags\nSN1,r1,10,a; b\nSN2,,,\n")
    text = tmp_path / "list.yml"
    text.write_text(
        "machines:\n- {serial_number: SN1, rack: r1, rack_unit: 10, tags: [a, b]}\n- {serial_number: SN2}\n"
    )
    expected = [{"serial_number": "SN1", "rack": "r1", "rack_unit": 10, "tags": ["a", "b"]}, {"serial_number": "SN2"}]
    assert read_list(table) == read_list(text) == expected


@pytest.mark.parametrize(
    ("name", "content", "what"),
    [
        ("a.csv", "serial_number,colour\n", "colour"),
        ("a.csv", "rack\nr1\n", "serial_number"),
        ("a.csv", "serial_number,rack_unit\nSN1,top\n", "line 2: rack_unit"),
        ("a.csv", "serial_number,rack\nSN1\n", "line 2: as many cells"),
        ("a.yml", "servers: []", "no list of machines"),
        ("a.yml", "[", "no YAML"),
    ],
)
def test_a_wrong_list_is_told(tmp_path: Path, name: str, content: str, what: str) -> None:
    file = tmp_path / name
    file.write_text(content)
    with pytest.raises(Problem, match=what):
        read_list(file)


def test_a_verdict_says_which_rule_fired_and_why() -> None:
    verdict = {
        "outcomes": [
            {"rule": "old", "fired": False, "looked_at": True,
             "conditions": [{"text": "model matches '^HGX'", "value": "DGXH100", "holds": False}]},
            {"rule": "dgx", "fired": True, "looked_at": True,
             "conditions": [{"text": "gpu_count ge 8", "value": 8, "holds": True}]},
            {"rule": "rest", "fired": False, "looked_at": False, "conditions": []},
        ],
        "assigned": {"pool": "train", "tags": ["a", "b"]},
        "by": {"pool": "dgx", "tags": "dgx"},
        "findings": ["DIMM A7: missing"],
        "notes": [],
    }  # fmt: skip
    assert explanation(verdict) == [
        "- old: did not fire",
        "    model matches '^HGX': does not hold (it is 'DGXH100')",
        "- dgx: fired",
        "    gpu_count ge 8: holds (it is 8)",
        "- rest: not looked at, a rule before it fired",
        "pool = train (rule dgx)",
        "tags = a, b (rule dgx)",
        "against its class: DIMM A7: missing",
    ]
