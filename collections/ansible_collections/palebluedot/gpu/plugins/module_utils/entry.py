# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""Runs an operation as a real module, and maps errors to a failure (in one place, for both ways of running)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import PaleBlueDotError
from ansible_collections.palebluedot.gpu.plugins.module_utils.service.credentials import resolve_credentials

Params = dict[str, Any]
Run = Callable[[Params, bool], dict[str, Any]]


def failure_of(problem: Exception) -> dict[str, Any]:
    """The failed result that stands for an exception: ``failed``, ``msg`` and the ``error`` object."""
    if isinstance(problem, PaleBlueDotError):
        return {"failed": True, "changed": False, "msg": str(problem), "error": problem.as_dict()}
    unexpected = PaleBlueDotError(
        f"unexpected {type(problem).__name__}: {problem}",
        code="internal_error",
        next="This is a defect of the collection: run with ANSIBLE_DISPLAY_TRACEBACK=error and report the traceback.",
    )
    return {"failed": True, "changed": False, "msg": str(unexpected), "error": unexpected.as_dict()}


def execute(spec: dict[str, Any], run: Run) -> None:
    """``main()`` of every module file: parse arguments, run, exit."""
    # Only a real module process needs AnsibleModule; the worker and plain Python never come here.
    from ansible.module_utils.basic import AnsibleModule

    module = AnsibleModule(**spec)
    params = dict(module.params)
    try:
        module.no_log_values.update(resolve_credentials(params))
        result = run(params, module.check_mode)
    except PaleBlueDotError as problem:
        module.fail_json(**failure_of(problem))
    except Exception as problem:
        module.fail_json(exception=problem, **failure_of(problem))
    module.exit_json(**result)
