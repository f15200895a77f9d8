"""Ids in paths are told apart by prefix; the protocol number is checked."""

from __future__ import annotations

import pytest
from flask import Flask

from api import ids, protocol
from api.problems import ApiError


def test_an_id_of_the_right_kind_passes() -> None:
    assert ids.require("alloc_1", "alloc", "gpu") == "alloc_1"


@pytest.mark.parametrize(
    ("identifier", "found"), [("wf_1", "is a workflow"), ("nonsense", "no such id"), ("_", "no such id")]
)
def test_another_kind_is_told_what_the_route_takes(identifier: str, found: str) -> None:
    with pytest.raises(ApiError) as caught:
        ids.require(identifier, "alloc", "gpu")
    assert caught.value.code == "wrong_id_kind"
    assert "an allocation (alloc_…) or a GPU (gpu_…)" in caught.value.detail
    assert found in caught.value.detail


@pytest.mark.parametrize("reference", ["srv_1", "gpu-01", "a", "A1"])
def test_a_name_or_an_id_passes(reference: str) -> None:
    assert ids.require_or_name(reference, "srv") == reference


@pytest.mark.parametrize("reference", ["alloc_1", "-a", "a.b", "a b", "x" * 64, "ü"])
def test_what_can_be_neither_is_refused(reference: str) -> None:
    with pytest.raises(ApiError):
        ids.require_or_name(reference, "srv")


@pytest.mark.parametrize(("header", "number"), [(None, 1), ("1", 1)])
def test_a_protocol_that_is_served(header: str | None, number: int) -> None:
    headers = {} if header is None else {protocol.HEADER: header}
    with Flask("x").test_request_context(headers=headers):
        assert protocol.check() == number


@pytest.mark.parametrize("header", ["0", "2", "-1", "one", "", "²", "9" * 5000])
def test_a_protocol_that_is_not_served(header: str) -> None:
    with Flask("x").test_request_context(headers={protocol.HEADER: header}), pytest.raises(ApiError) as caught:
        protocol.check()
    assert caught.value.code == "protocol_unsupported"
