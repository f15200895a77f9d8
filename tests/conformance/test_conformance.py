"""Every cell of the compatibility matrix whose source is here comes out as it is committed."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.conformance import matrix, results
from tests.conformance.operations import OPERATIONS, Operation, Outcome
from tests.conformance.sources import SOURCES, Source

CELLS = [
    pytest.param(
        source,
        operation,
        id=f"{source.name}-{operation.id}".replace(" ", "_"),
        marks=pytest.mark.peers if source.kind == "peer" else (),
    )
    for source in SOURCES
    for operation in OPERATIONS
]


@pytest.fixture(scope="module")
def run() -> Iterator[Callable[[Source, Operation], Outcome]]:
    """Tries an operation; the subjects of the last source are kept."""
    current: tuple[Source | None, object, Callable[[Operation], Outcome] | None] = (None, None, None)

    def run(source: Source, operation: Operation) -> Outcome:
        nonlocal current
        if current[0] is not source:
            close()
            context = results.subjects(source)
            current = (source, context, context.__enter__())
        assert current[2] is not None
        return current[2](operation)

    def close() -> None:
        if current[0] is not None:
            current[1].__exit__(None, None, None)  # type: ignore[attr-defined]

    yield run
    close()


@pytest.mark.parametrize(("source", "operation"), CELLS)
def test_a_cell_comes_out_as_committed(
    run: Callable[[Source, Operation], Outcome], source: Source, operation: Operation
) -> None:
    if (reason := source.here()) is not None:
        pytest.skip(reason)
    if not operation.available:
        pytest.skip(f"there is no module {operation.module}")
    committed = results.read(source).get(operation.id)
    assert committed is not None, "no result is committed for this: make compatibility"
    found = run(source, operation)
    assert found.outcome == committed["outcome"], f"{found.detail} (differs on purpose? make compatibility)"


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
def test_nothing_fails_and_what_is_not_offered_names_what_is_missing(source: Source) -> None:
    for row in results.read(source).values():
        assert row["outcome"] != "fails", f"{row['operation']}: {row['detail']}"
        # the captures and the lab do what they accept; an emulator need not
        assert row["outcome"] != "ignored" or source.kind == "peer", f"{row['operation']}: {row['detail']}"
        if row["outcome"] == "unsupported":
            assert results.NAMED.search(row["detail"]), f"{row['operation']}: {row['detail']!r} names nothing"


def test_the_page_is_what_the_results_make_it() -> None:
    assert matrix.PAGE.read_text() == matrix.page(), "make compatibility"
