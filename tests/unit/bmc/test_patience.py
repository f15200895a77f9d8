"""A BMC that says "not now" is asked again: never before the time that it names, and less and less often."""

from __future__ import annotations

import pytest
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.redfish.patience import patiently
from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import Conflict


def refusals(count: int, retry_after: float | None) -> list[float]:
    """How long was slept before the BMC, which refuses so many times, was done."""
    slept: list[float] = []
    details = {} if retry_after is None else {"retry_after": retry_after}

    def send() -> str:
        if len(slept) < count:
            raise Conflict("in POST", code="conflict", host="bmc", next="Wait.", details=details)
        return "done"

    assert patiently(send, lambda problem: True, 600.0, slept.append) == "done"
    return slept


def test_the_pauses_grow_where_no_time_is_named() -> None:
    first, *_, last = refusals(5, None)
    assert first < 1 < last


def test_a_named_second_is_kept_and_outgrown() -> None:
    slept = refusals(5, 1.0)
    assert min(slept) == 1.0
    assert slept[-1] > 2


def test_nobody_waits_for_a_time_after_the_end() -> None:
    with pytest.raises(Conflict):
        refusals(1, 700.0)


def test_another_refusal_is_not_waited_for() -> None:
    def send() -> str:
        raise Conflict("no", code="conflict", host="bmc", next="Do not.")

    with pytest.raises(Conflict):
        patiently(send, lambda problem: False, 600.0, lambda seconds: pytest.fail("it was waited for"))
