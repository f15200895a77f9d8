# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""Secure Boot over Redfish (schema SecureBoot of DSP0268)."""

from __future__ import annotations

import hashlib
from typing import Any

from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.base import Task
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.deadline import Deadline
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.facets.secure_boot import SecureBoot, SecureBootState
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.redfish.client import RedfishBmc
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.redfish.tasks import task_of
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.values import (
    dig,
    leaf,
    link,
    table,
    tables,
    text,
    texts,
)
from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import Unsupported

# SecureBoot.SecureBootModeType and ResetKeysType
_MODES = {"SetupMode": "setup", "UserMode": "user", "AuditMode": "audit", "DeployedMode": "deployed"}
_RESETS = {"factory": "ResetAllKeysToDefault", "deleted": "DeleteAllKeys"}
# The databases whose factory contents UEFI keeps beside them; dbx grows with revocations and says nothing.
_COMPARED = ("PK", "KEK", "db")


class RedfishSecureBoot(SecureBoot):
    """Secure Boot behind one `RedfishBmc`."""

    def __init__(self, bmc: RedfishBmc) -> None:
        self._bmc = bmc

    def _resource(self, deadline: Deadline) -> tuple[dict[str, Any], str, str | None]:
        path = link(self._bmc.system(deadline), "SecureBoot")
        if path is None:
            raise self._unsupported("Secure Boot", "System.SecureBoot", "the System has no link to it")
        body, etag = self._bmc.transport.get_with_etag(path, deadline)
        return body, path, etag

    def read(self) -> SecureBootState:
        body, _path, _etag = self._resource(self._bmc.deadline())
        enabled = body.get("SecureBootEnable")
        current = text(body.get("SecureBootCurrentBoot"))
        return SecureBootState(
            enabled=enabled if isinstance(enabled, bool) else None,
            current=None if current is None else current == "Enabled",
            mode=_MODES.get(text(body.get("SecureBootMode")) or ""),
        )

    def check(self, keys: str | None) -> None:
        deadline = self._bmc.deadline()
        self._bmc.check_lockdown(deadline)
        if keys is not None:
            self._reset_target(keys, deadline)

    def enable(self, wanted: bool) -> Task | None:
        deadline = self._bmc.deadline()
        _body, path, etag = self._resource(deadline)
        return task_of(self._bmc.transport.patch(path, {"SecureBootEnable": wanted}, deadline, etag=etag))

    def _reset_target(self, keys: str, deadline: Deadline) -> str:
        body, path, _etag = self._resource(deadline)
        action = table(dig(body, "Actions", "#SecureBoot.ResetKeys"))
        offered = texts(action.get("ResetKeysType@Redfish.AllowableValues"))
        info = self._bmc.transport.get_optional(text(action.get("@Redfish.ActionInfo")), deadline)
        for parameter in tables(dig(info, "Parameters")):
            if parameter.get("Name") == "ResetKeysType":
                offered = offered or texts(parameter.get("AllowableValues"))
        if not action or (offered and _RESETS[keys] not in offered):
            answer = f"offered: {', '.join(offered)}" if action else "the action is missing"
            raise self._unsupported(f"resetting the keys to '{keys}'", f"#SecureBoot.ResetKeys {_RESETS[keys]}", answer)
        return text(action.get("target")) or f"{path}/Actions/SecureBoot.ResetKeys"

    def factory_keys(self) -> bool | None:
        deadline = self._bmc.deadline()
        body, _path, _etag = self._resource(deadline)
        databases = {
            leaf(path): path for path in self._bmc.transport.members(link(body, "SecureBootDatabases"), deadline)
        }
        same: list[bool] = []
        for name in _COMPARED:
            if name in databases and f"{name}Default" in databases:
                now, delivered = (self._certificates(databases[each], deadline) for each in (name, f"{name}Default"))
                if delivered:
                    same.append(now == delivered)
        return all(same) if same else None

    def _certificates(self, path: str, deadline: Deadline) -> set[str]:
        database = self._bmc.transport.get_optional(path, deadline) or {}
        found: set[str] = set()
        for certificate in self._bmc.transport.members(link(database, "Certificates"), deadline):
            body = self._bmc.transport.get_optional(certificate, deadline) or {}
            content = text(body.get("CertificateString")) or text(body.get("Fingerprint"))
            if content is not None:
                found.add(hashlib.sha256("".join(content.split()).encode()).hexdigest())
        return found

    def reset_keys(self, keys: str) -> Task | None:
        deadline = self._bmc.deadline()
        target = self._reset_target(keys, deadline)
        return task_of(self._bmc.transport.post(target, {"ResetKeysType": _RESETS[keys]}, deadline))

    def _unsupported(self, what: str, tried: str, answer: str) -> Unsupported:
        return Unsupported(
            f"the BMC does not offer {what}",
            host=self._bmc.host,
            tried=tried,
            answer=answer,
            next="Set it in the BIOS's own setup, or update the BMC.",
        )
