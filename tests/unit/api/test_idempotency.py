"""A repeated POST gets the first answer; errors are not kept; keys are bounded in number and time."""

from __future__ import annotations

import threading

import pytest
from flask import Flask, Response

from api import idempotency
from api.idempotency import HEADER, Replays
from api.problems import ApiError


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def run(replays: Replays, key: str, view: object, *, who: str = "me", body: bytes = b"{}") -> Response:
    with Flask("x").test_request_context("/things", method="POST", data=body, headers={HEADER: key}):
        return replays.run(who, view)  # type: ignore[arg-type]


def counting(status: int = 201) -> tuple[list[int], object]:
    calls: list[int] = []

    def view() -> Response:
        calls.append(1)
        return Response(f"{len(calls)}", status)

    return calls, view


def test_a_success_is_repeated_and_not_done_again() -> None:
    calls, view = counting()
    replays = Replays()
    first, again = run(replays, "k", view), run(replays, "k", view)
    assert (first.data, again.data, again.status_code, len(calls)) == (b"1", b"1", 201, 1)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert run(replays, "k", view, who="you").data == b"2"
    assert run(replays, "other", view).data == b"3"


def test_an_error_is_not_kept_and_the_body_may_then_be_corrected() -> None:
    calls, view = counting(422)
    replays = Replays()
    run(replays, "k", view)
    assert run(replays, "k", view, body=b'{"a": 1}').data == b"2"
    assert len(calls) == 2


def test_a_key_used_for_another_request_is_refused() -> None:
    _, view = counting()
    replays = Replays()
    run(replays, "k", view)
    with pytest.raises(ApiError) as caught:
        run(replays, "k", view, body=b'{"a": 1}')
    assert caught.value.code == "idempotency_mismatch"


def test_a_key_is_no_novel() -> None:
    _, view = counting()
    with pytest.raises(ApiError) as caught:
        run(Replays(), "k" * 256, view)
    assert caught.value.code == "validation_failed"


def test_answers_are_forgotten_after_a_while_and_when_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    calls, view = counting()
    replays = Replays(clock)
    run(replays, "k", view)
    clock.now = idempotency.KEEP_S + 1
    assert run(replays, "k", view).data == b"2"
    monkeypatch.setattr(idempotency, "MOST", 2)
    for n in range(5):
        run(replays, f"k{n}", view)
    assert run(replays, "k", view).data == b"8" and len(calls) == 8


def test_two_at_once_do_it_once() -> None:
    started, go = threading.Event(), threading.Event()
    calls: list[int] = []

    def view() -> Response:
        calls.append(1)
        started.set()
        go.wait(5)
        return Response("done", 201)

    replays = Replays()
    answers: list[bytes] = []
    threads = [threading.Thread(target=lambda: answers.append(run(replays, "k", view).data)) for _ in range(3)]
    for thread in threads:
        thread.start()
    started.wait(5)
    go.set()
    for thread in threads:
        thread.join(5)
    assert answers == [b"done"] * 3 and len(calls) == 1
