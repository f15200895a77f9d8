# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""Beginning and ending a step in the ledger: the operation of ``workflow_step``."""

from __future__ import annotations

from typing import Any

from ansible_collections.palebluedot.gpu.plugins.module_utils import notices
from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import Conflict, PaleBlueDotError
from ansible_collections.palebluedot.gpu.plugins.module_utils.service.client import ServiceClient
from ansible_collections.palebluedot.gpu.plugins.module_utils.service.connection import is_away
from ansible_collections.palebluedot.gpu.plugins.module_utils.service.credentials import client_from
from ansible_collections.palebluedot.gpu.plugins.module_utils.text import clean
from ansible_collections.palebluedot.gpu.plugins.module_utils.waiting import Waiter

Json = dict[str, Any]

# One try may take this long; the wait for a service that is away goes over many tries.
_TRY_S = 15.0
# Answers that mean: this run has no business going on. They end the host politely rather than as a failure of the step.
_LOST_CLAIM = frozenset({"stale_fence"})


def run(params: Json, check_mode: bool) -> Json:
    """Operation of ``workflow_step``: ``action``, ``reason``, ``previous``.

    ``changed`` is false always: the ledger keeps the books of what steps do, it is not what they do it to. An answer of
    ``stop`` is a failed result with the code ``stopped``.
    """
    with client_from(params, timeout=_TRY_S, patient=False) as client:
        answer = _predict(client, params) if check_mode else _write(client, params)
    return _stopped(params, answer) if answer["action"] == "stop" else answer


def _stopped(params: Json, answer: Json) -> Json:
    resume = params.get("resume_command")
    stopped = PaleBlueDotError(
        f"stopped {'before' if params['phase'] == 'begin' else 'after'} {params['step']} on {params['server']}: "
        f"{answer['reason']}",
        code="stopped",
        host=params["server"],
        step=params["step"],
        next="When the reason is gone, " + (f"resume with: {resume}" if resume else "repeat the run."),
    )
    return {**answer, "failed": True, "msg": str(stopped), "error": stopped.as_dict()}


def _entry(params: Json) -> Json:
    entry: Json = {"phase": params["phase"], "fence": params["fence"]}
    if params["phase"] == "end":
        entry["status"] = params["status"]
        entry["result"] = clean(params.get("result"))
        entry["error"] = clean(params.get("error"))
    return entry


def _write(client: ServiceClient, params: Json) -> Json:
    waiter = Waiter(float(params["wait_timeout"]), first_pause_s=0.5, longest_pause_s=5.0)
    told = False
    while True:
        try:
            answer = client.step(
                params["workflow_id"], params["step"], params["server"], params["attempt"], _entry(params)
            )
        except Conflict as problem:
            if problem.code not in _LOST_CLAIM:
                raise
            return _answer("stop", f"the claim was lost ({problem.message})")
        except PaleBlueDotError as problem:
            if not is_away(problem):
                raise
            if not told:
                told = True
                notices.say(
                    f"the service is away ({problem.message}): waiting up to {params['wait_timeout']} s to "
                    f"{params['phase']} {params['step']}"
                )
            if not waiter.pause():
                raise _away(params, problem, waiter.waited) from problem
        else:
            if told:
                notices.say(f"the service is back after {waiter.waited:.0f} s")
            return _answer(answer["action"], answer.get("reason"), answer.get("previous"))


def _away(params: Json, problem: PaleBlueDotError, waited: float) -> PaleBlueDotError:
    begins, step = params["phase"] == "begin", params["step"]
    if not begins:
        consequence = "Its end is not in the ledger; a later run finds out with the step's check."
    elif params["destructive"]:
        consequence = f"{step} is destructive and was not begun."
    else:
        consequence = f"{step} was not begun."
    return PaleBlueDotError(
        f"the service is away since {waited:.0f} s and {step} cannot {params['phase']}. {consequence}",
        code="service_away",
        host=params["server"],
        step=step,
        tried=problem.tried,
        answer=problem.answer or problem.message,
        next="Bring the service back, then repeat the run: it resumes where it stopped.",
        retryable=True,
    )


def _predict(client: ServiceClient, params: Json) -> Json:
    """Check mode writes nothing: the step would run, and its own check says what it would do."""
    workflow = client.workflow(params["workflow_id"])
    if workflow["fence"] != params["fence"]:
        return _answer("stop", f"the claim was lost (the workflow is at fence {workflow['fence']})")
    entries = [
        entry
        for entry in workflow.get("steps", [])
        if entry["step"] == params["step"] and entry["server"] == params["server"]
    ]
    previous = max(entries, key=lambda entry: int(entry["attempt"]), default=None)
    return _answer("run", "check mode", previous)


def _answer(action: str, reason: str | None, previous: Json | None = None) -> Json:
    return {"changed": False, "action": action, "reason": reason, "previous": previous}
