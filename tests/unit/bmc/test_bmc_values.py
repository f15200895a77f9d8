"""Reading values: what vendors leave out or write strangely is unknown, and never 0 or an empty string."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc import values
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["@odata.id", "Members", "a"]) | st.text(), inner),
)


@pytest.mark.parametrize(
    ("raw", "read"),
    [
        (26, 26.0),
        ("26.750000", 26.75),
        ("nan", None),
        ("inf", None),
        ("", None),
        (True, None),
        (None, None),
        ([], None),
    ],
)
def test_number(raw: Any, read: float | None) -> None:
    assert values.number(raw) == read


@pytest.mark.parametrize(
    ("raw", "read"),
    [(" DGXH100 ", "DGXH100"), ("N/A", None), (" ", None), ("To be filled by O.E.M.", None), (7, "7"), ({}, None)],
)
def test_text(raw: Any, read: str | None) -> None:
    assert values.text(raw) == read


@pytest.mark.parametrize(
    ("model", "capacity_mib", "sold"),
    [
        ("H100 80GB HBM3", None, 80),
        ("NVIDIA H200", None, 141),
        ("NVIDIA A100-SXM4-40GB", 999, 40),
        (None, 81559, 80),
        (None, 0, None),
        (None, None, None),
        ("Matrox G200", None, None),
    ],
)
def test_memory_as_it_is_sold(model: str | None, capacity_mib: float | None, sold: int | None) -> None:
    assert values.marketed_memory_gb(model, capacity_mib) == sold


# how long Hypothesis takes to make its data says nothing about ours
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(JSON)
def test_no_json_is_too_strange(anything: Any) -> None:
    assert values.number(anything) is None or isinstance(values.number(anything), float)
    assert values.text(anything) != ""
    assert isinstance(values.table(anything), dict)
    assert all(isinstance(item, dict) for item in values.tables(anything))
    assert all(isinstance(path, str) for path in values.links(anything, "Members"))
    values.link(anything, "a", "Members")
    values.texts(anything)


def test_the_id_is_the_last_part_of_a_path() -> None:
    assert values.leaf("/redfish/v1/Systems/DGX/") == "DGX"
    assert values.leaf("/redfish/v1/Chassis/DGX/Power#/PowerControl/0") == "Power"
    assert values.leaf("/redfish/v1/Systems/a%20b?$skip=1") == "a b"
