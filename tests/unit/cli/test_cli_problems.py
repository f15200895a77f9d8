"""What people read when something fails, and which exit code programs get."""

from __future__ import annotations

import pytest

from cli.problems import Problem
from fleet import errors


def shown(problem: Problem, capsys: pytest.CaptureFixture[str]) -> str:
    problem.show()
    return capsys.readouterr().err


def test_says_what_was_tried_what_came_back_and_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(
        Problem("It broke", host="gpu-001", step="provision", tried="GET /x", answer="500", next="Look at the log"),
        capsys,
    )
    assert text.splitlines() == [
        "error: It broke",
        "  host:   gpu-001",
        "  step:   provision",
        "  tried:  GET /x",
        "  answer: 500",
        "  next:   Look at the log",
    ]


def test_leaves_out_what_is_unknown(capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(Problem("It broke"), capsys) == "error: It broke\n"


def test_brackets_of_an_answer_are_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    assert "[red]x[/red]" in shown(Problem("It broke", answer="[red]x[/red]"), capsys)


@pytest.mark.parametrize(
    ("error", "exit_code"),
    [
        (errors.Invalid("no"), 1),
        (errors.NotFound("no"), 1),
        (errors.OverQuota("no"), 1),
        (errors.Unavailable("no"), 3),
        (errors.Unauthenticated("no"), 4),
        (errors.Forbidden("no"), 4),
        (ValueError("no"), 1),
    ],
)
def test_exit_code_of_the_records_errors(error: Exception, exit_code: int) -> None:
    assert Problem.of(error).exit_code == exit_code


def test_keeps_every_field_of_the_clients_errors() -> None:
    from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import AuthenticationError, Unreachable

    problem = Problem.of(Unreachable("away", host="h", tried="t", answer="a", next="n"))
    assert (problem.message, problem.host, problem.tried, problem.answer, problem.next) == ("away", "h", "t", "a", "n")
    assert problem.exit_code == 3
    assert Problem.of(AuthenticationError("no", details={"status": 403})).exit_code == 4
