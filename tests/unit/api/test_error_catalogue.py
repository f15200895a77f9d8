"""docs/errors.md is what the code says."""

from __future__ import annotations

from api.errordocs import PAGE, catalogue, render


def test_the_page_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == render(), "run: python -m api.errordocs"


def test_codes_that_an_instance_refines_are_listed() -> None:
    known = {entry.code: entry for entry in catalogue()}
    assert known["unknown_template"].status == 404
    assert known["stale_fence"].status == 409
    assert known["validation_failed"].status == 422
