# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""Where a BMC's secret is recorded, in two phases.

A secret is *proposed* before the BMC gets it and *confirmed* after a login with it. Whatever dies between the two, the
secret that opens the BMC is one of the two that are recorded, and the next run tries both.
"""

from __future__ import annotations

import json
import os
import tempfile
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import (
    InvalidInput,
    NotFound,
    PaleBlueDotError,
)
from ansible_collections.palebluedot.gpu.plugins.module_utils.service.client import ServiceClient
from ansible_collections.palebluedot.gpu.plugins.module_utils.service.connection import BASE
from ansible_collections.palebluedot.gpu.plugins.module_utils.service.credentials import Credential

CONFIRMED, PROPOSED = "recorded", "proposed"


class Vault(ABC):
    """The record of one BMC's credential."""

    #: how a playbook refers to it afterwards, as ``bmc_credential`` or as a path
    reference: str

    @abstractmethod
    def known(self) -> list[tuple[str, Credential]]:
        """What is recorded, as (`CONFIRMED` or `PROPOSED`, credential), the confirmed one first."""

    @abstractmethod
    def propose(self, credential: Credential) -> None:
        """Keep ``credential`` beside the confirmed one; it is safe when this returns."""

    @abstractmethod
    def confirm(self, credential: Credential) -> None:
        """``credential`` opens the BMC: it is the one from now on."""

    @abstractmethod
    def withdraw(self) -> None:
        """What is proposed is not at the BMC and shall not get there."""

    def standing(self) -> Credential | None:
        """What an earlier run has proposed and not ended."""
        return next((credential for source, credential in self.known() if source == PROPOSED), None)

    @abstractmethod
    def close(self) -> None:
        """Let go of what was opened."""


class ServiceVault(Vault):
    """The service's record of a server: ``PUT /servers/{name}/credential`` with its phases."""

    def __init__(self, client: ServiceClient, server: str) -> None:
        self._client = client
        self._server = server
        self._proposal: str | None = None
        self.reference = f"service:{server}"

    def known(self) -> list[tuple[str, Credential]]:
        try:
            kept = self._client.server_credential(self._server)
        except NotFound as problem:
            if problem.code != "no_credential":
                raise
            return []
        self._proposal = kept.get("proposal")
        found = [(CONFIRMED, Credential(kept["username"], kept["password"]))]
        if kept.get("proposed_password"):
            name = kept.get("proposed_username") or kept["username"]
            found.append((PROPOSED, Credential(name, kept["proposed_password"])))
        return found

    def propose(self, credential: Credential) -> None:
        # `current` is only taken where the record has nothing: this secret is the one to try then, too
        answer = self._change(phase="propose", **credential._asdict(), current=credential.password)
        self._proposal = answer["proposal"]

    def confirm(self, credential: Credential) -> None:
        self._change(phase="confirm", proposal=self._proposal)

    def withdraw(self) -> None:
        self._change(phase="withdraw", proposal=self._proposal)

    def close(self) -> None:
        self._client.close()

    def _change(self, **body: Any) -> dict[str, Any]:
        path = f"{BASE}/servers/{quote(self._server, safe='')}/credential"
        answer: dict[str, Any] = self._client.request("PUT", path, body=body)
        return answer


class FileVault(Vault):
    """A file of mode 0600, replaced as a whole: ``{"confirmed": {username, password}, "proposed": {…} or null}``."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.reference = str(path)

    def known(self) -> list[tuple[str, Credential]]:
        kept = self._read()
        found = [(CONFIRMED, kept.get("confirmed")), (PROPOSED, kept.get("proposed"))]
        return [(source, Credential(value["username"], value["password"])) for source, value in found if value]

    def propose(self, credential: Credential) -> None:
        self._write({"confirmed": self._read().get("confirmed"), "proposed": credential._asdict()})

    def confirm(self, credential: Credential) -> None:
        self._write({"confirmed": credential._asdict(), "proposed": None})

    def withdraw(self) -> None:
        self._write({"confirmed": self._read().get("confirmed"), "proposed": None})

    def close(self) -> None:
        """Nothing is held open."""

    def _read(self) -> dict[str, Any]:
        try:
            if self._path.stat().st_mode & 0o077:
                raise InvalidInput(
                    "the credential file can be read by others",
                    code="credential_file_open",
                    tried=str(self._path),
                    next=f"chmod 600 {self._path}",
                )
            kept = json.loads(self._path.read_text())
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as problem:
            raise self._problem("read", problem) from problem
        return kept if isinstance(kept, dict) else {}

    def _write(self, kept: dict[str, Any]) -> None:
        try:
            handle, name = tempfile.mkstemp(dir=self._path.parent, prefix=f".{self._path.name}.")  # mode 0600
            try:
                with os.fdopen(handle, "w") as file:
                    json.dump(kept, file)
                    file.flush()
                    os.fsync(file.fileno())
                Path(name).replace(self._path)
            except BaseException:
                Path(name).unlink(missing_ok=True)
                raise
            folder = os.open(self._path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as problem:
            raise self._problem("written", problem) from problem

    def _problem(self, what: str, problem: Exception) -> PaleBlueDotError:
        return PaleBlueDotError(
            f"the credential file cannot be {what}",
            code="credential_not_recorded",
            tried=str(self._path),
            answer=str(problem),
            next="Give a path in a folder that exists and is writable; nothing was changed on the BMC.",
        )
