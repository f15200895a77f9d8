"""Every cell of the compatibility matrix about switches comes out as it is committed."""

from __future__ import annotations

import pytest

from tests.conformance import switches
from tests.conformance.switches import Operation


@pytest.mark.parametrize("wanted", switches.OPERATIONS, ids=lambda wanted: wanted.id.replace(" ", "_"))
@pytest.mark.parametrize("dialect", switches.DIALECTS)
def test_a_cell_comes_out_as_committed(dialect: str, wanted: Operation) -> None:
    committed = switches.read(dialect).get(wanted.id)
    assert committed is not None, "no result is committed for this: python -m tests.conformance.switches"
    found = switches.try_on_lab(dialect, wanted)
    assert found.outcome == committed["outcome"], (
        f"{found.detail} (differs on purpose? python -m tests.conformance.switches)"
    )


@pytest.mark.parametrize("dialect", switches.DIALECTS)
def test_nothing_fails_and_what_is_not_offered_says_why(dialect: str) -> None:
    rows = switches.read(dialect)
    assert len(rows) == len(switches.OPERATIONS)
    for row in rows.values():
        assert row["outcome"] != "fails", f"{row['operation']}: {row['detail']}"
        if row["outcome"] == "unsupported":
            assert "vni_unsupported" in row["detail"], row["detail"]


def test_the_page_is_what_the_results_make_it() -> None:
    assert switches.PAGE.read_text() == switches.page(), "python -m tests.conformance.switches"
