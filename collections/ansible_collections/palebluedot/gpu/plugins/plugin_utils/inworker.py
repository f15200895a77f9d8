# Copyright (c) 2026 Pale Blue Dot contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a module inside the Ansible worker.

A module started the usual way costs about 470 ms of CPU a host, because a Python is started and everything imported
again; inside the worker it costs what ``ansible.builtin.debug`` costs. The module file stays a real module: its
documentation and its ``SPEC`` are the only ones, and with ``async``, with ``delegate_to`` another machine, or with
``PALEBLUEDOT_INPROC=0`` it is executed as one.

Core loads the action plugin that has the task's own name in the parent, before it forks, and follows no routing there:
so each module has one of its name, which is its family's and preloads the module. What that imports is paid once and
shared by every worker (measured: 81 ms of CPU a host without, 27 ms with, of which 25 are core's own).
"""

from __future__ import annotations

import datetime
import importlib
import multiprocessing
import os
import sys
import traceback
from collections.abc import Mapping, Sequence, Set
from types import ModuleType
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator, ValidationResult
from ansible.module_utils.common.parameters import remove_values
from ansible.module_utils.errors import UnsupportedError
from ansible.plugins.action import ActionBase
from ansible.plugins.loader import connection_loader
from ansible.utils.display import Display
from ansible_collections.palebluedot.gpu.plugins.module_utils import notices
from ansible_collections.palebluedot.gpu.plugins.module_utils.entry import failure_of
from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import InvalidInput, PaleBlueDotError
from ansible_collections.palebluedot.gpu.plugins.module_utils.process import die_with_parent
from ansible_collections.palebluedot.gpu.plugins.module_utils.service.credentials import (
    drop_references,
    resolve_credentials,
)

display = Display()

_COLLECTION = "palebluedot.gpu"
_MODULES = f"ansible_collections.{_COLLECTION}.plugins.modules"
_RULES = ("mutually_exclusive", "required_together", "required_one_of", "required_if", "required_by")
_SHOW_INVOCATION_FROM = 3

Params = dict[str, Any]


def preload(*names: str) -> None:
    """Import module files, and with them all that they need, before the workers are forked."""
    for name in names:
        importlib.import_module(f"{_MODULES}.{name}")


class InWorkerAction(ActionBase):  # type: ignore[misc]
    """Base of the action plugins of the module families."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True
    _supports_async = True
    _connection: Any  # core's, and replaced by a local one where the task is sent to no other machine

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the task's module here, or as a real module."""
        variables = task_vars or {}
        result: dict[str, Any] = super().run(tmp, variables)
        module = self._module()
        if self._task.async_val or self._elsewhere() or os.environ.get("PALEBLUEDOT_INPROC") == "0":
            result.update(self._as_real_module(module, variables))
        else:
            result.update(self._in_worker(module, str(variables.get("inventory_hostname", ""))))
        return result

    def own_defaults(self, module: str) -> Params:
        """Values for options that only ansible-playbook itself can know; the task's own win."""
        return {}

    def _name(self) -> str:
        return str(self._task.resolved_action or self._task.action).removeprefix(f"{_COLLECTION}.")

    def _args(self) -> Params:
        return {**self.own_defaults(self._name()), **_plain(self._task.args)}

    def _module(self) -> ModuleType:
        """The module's Python, found by the collection loader under the name that the task resolved to."""
        try:
            return importlib.import_module(f"{_MODULES}.{self._name()}")
        except ImportError as problem:
            raise AnsibleActionFail(
                f"{self._task.action} cannot be loaded as a module of {_COLLECTION}: {problem}. "
                f"Use the name of a module, and install the packages of its family for {sys.executable} "
                f"(the collection's README names them)."
            ) from problem

    # -- inside the worker -----------------------------------------------------------------------------------------

    def _in_worker(self, module: ModuleType, host: str) -> dict[str, Any]:
        parent = multiprocessing.parent_process()
        if parent is not None:
            die_with_parent(parent.pid)
        validated = self._validated(module.SPEC)
        secrets = _no_log_values(validated)
        params: Params = validated.validated_parameters
        outcome: dict[str, Any]
        notices.listener = lambda message: display.display(f"[{host}] {message}")
        try:
            self._reject_invalid(validated)
            secrets |= resolve_credentials(params)
            outcome = dict(module.run(params, bool(self._task.check_mode)))
            outcome.setdefault("changed", False)
        except Exception as problem:
            outcome = failure_of(problem)
            if not isinstance(problem, PaleBlueDotError):
                display.vvv(remove_values(traceback.format_exc(), secrets), host=host)
        finally:
            notices.listener = None
        if not self._task.diff:
            outcome.pop("diff", None)
        if display.verbosity >= _SHOW_INVOCATION_FROM:
            outcome["invocation"] = {"module_args": params}
        masked: dict[str, Any] = remove_values(outcome, secrets)
        return masked

    def _validated(self, spec: Mapping[str, Any]) -> ValidationResult:
        rules = {rule: spec[rule] for rule in _RULES if rule in spec}
        return ArgumentSpecValidator(spec["argument_spec"], **rules).validate(self._args())

    def _reject_invalid(self, validated: ValidationResult) -> None:
        if not validated.errors.errors:
            return
        message = str(validated.errors.msg)
        if isinstance(validated.errors.errors[0], UnsupportedError):
            message = f"Unsupported parameters for ({self._task.action}) module: {message}"
        raise InvalidInput(message, next=f"See `ansible-doc {self._task.action}`.")

    # -- as a real module ------------------------------------------------------------------------------------------

    def _elsewhere(self) -> bool:
        """Whether the task was sent to another machine on purpose. A host's own ``connection`` says nothing: its BMC,
        its switch and the service are always reached from here."""
        return bool(self._task.delegate_to) and self._connection.transport != "local"

    def _as_real_module(self, module: ModuleType, variables: dict[str, Any]) -> dict[str, Any]:
        args = self._args()
        wrap_async = bool(self._task.async_val) and not self._connection.has_native_async
        if self._elsewhere():
            failure = self._carry_along(module, args, wrap_async)
            if failure:
                return failure
        else:
            if not self._task.async_val and self._connection.transport != "local":
                self._connection = self._local_connection()
            if self._connection.transport == "local":
                # The collection's Python packages are those of this Python, whatever the host's interpreter is.
                variables = _with_interpreter(variables, self._task.delegate_to, sys.executable)
        result: dict[str, Any] = self._execute_module(
            module_name=self._task.resolved_action or self._task.action,
            module_args=args,
            task_vars=variables,
            wrap_async=wrap_async,
        )
        if not wrap_async:
            self._remove_tmp_path(self._connection._shell.tmpdir)
        return result

    def _local_connection(self) -> Any:
        connection = connection_loader.get("ansible.builtin.local", self._play_context, os.devnull)
        connection.set_options()
        connection._shell.set_options()
        return connection

    def _carry_along(self, module: ModuleType, args: Params, wrap_async: bool) -> dict[str, Any] | None:
        """Put what only this machine knows (environment, credentials) into the arguments of a module run elsewhere.

        A resolved secret travels through a pipe only, never through a file on the other machine: the failure that says
        so is answered where pipelining is off.
        """
        validated = self._validated(module.SPEC)
        params: Params = validated.validated_parameters
        try:
            self._reject_invalid(validated)
            secrets = resolve_credentials(params)
        except PaleBlueDotError as problem:
            failed: dict[str, Any] = remove_values(failure_of(problem), _no_log_values(validated))
            return failed
        for name, option in module.SPEC["argument_spec"].items():
            if "fallback" in option and args.get(name) is None and params.get(name) is not None:
                args[name] = params[name]
                if option.get("no_log"):
                    secrets.add(str(params[name]))
        for name in (
            "bmcs",
            *(f"{kind}{field}" for kind in ("", "bmc_", "switch_") for field in ("username", "password")),
        ):
            if params.get(name) is not None:
                args[name] = params[name]
        drop_references(args)
        if secrets and not self._is_pipelining_enabled("new", wrap_async):
            return failure_of(
                InvalidInput(
                    f"{self._task.action} would write a resolved secret into a file on {self._task.delegate_to}",
                    code="secret_needs_pipelining",
                    host=str(self._task.delegate_to),
                    next="Set pipelining = true under [connection] in ansible.cfg; use no async with delegate_to.",
                )
            )
        return None


def _no_log_values(validated: ValidationResult) -> set[str]:
    # Private in ansible-core, and there is no public way to the values (ArgumentSpecValidator.validate says so itself).
    return {str(value) for value in validated._no_log_values}


def _plain(value: Any) -> Any:
    """A copy without ansible-core's tagged and lazy types, which C libraries and serialisers do not take."""
    if value is None or isinstance(value, bool | bytes):
        return value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, Sequence | Set):
        return [_plain(item) for item in value]
    if isinstance(value, datetime.date):
        return value.isoformat()
    return str(value)


def _with_interpreter(variables: dict[str, Any], delegate: str | None, interpreter: str) -> dict[str, Any]:
    changed = {**variables, "ansible_python_interpreter": interpreter}
    delegated = variables.get("ansible_delegated_vars")
    if delegate and delegated and delegate in delegated:
        changed["ansible_delegated_vars"] = {
            **delegated,
            delegate: {**delegated[delegate], "ansible_python_interpreter": interpreter},
        }
    return changed
