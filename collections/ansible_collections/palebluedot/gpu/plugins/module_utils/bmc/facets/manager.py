# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""The BMC itself as something that is restarted."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass
from typing import Any

from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.base import Task
from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import DeadlineExceeded, Unsupported

KINDS = ("graceful", "force")


@dataclass(frozen=True)
class ManagerState:
    """What the BMC says of itself; None where it does not say."""

    id: str | None
    firmware_version: str | None
    state: str | None = None

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


class Manager(ABC):
    """Restarts one BMC. The server runs on."""

    @property
    @abstractmethod
    def host(self) -> str:
        """The address as it is shown in errors."""

    @abstractmethod
    def state(self) -> ManagerState:
        """What the BMC says of itself."""

    @abstractmethod
    def offered(self) -> dict[str, str]:
        """The kinds of restart on offer (of `KINDS`), and the BMC's own word for each."""

    @abstractmethod
    def reset(self, word: str) -> Task | None:
        """Order a restart.

        :raises base.AnswerLost: it may have gone away before it answered.
        """

    @abstractmethod
    def gone(self) -> bool:
        """Whether there is a sign that it has restarted, or is doing so: it does not answer, or has forgotten us."""

    @abstractmethod
    def back(self) -> ManagerState | None:
        """What it says of itself to a new login; None while it is not ready."""

    def choose(self, kind: str | None) -> tuple[str, str]:
        """Kind and the BMC's word for it; the gentler one where it is all the same.

        :raises Unsupported: the BMC does not offer the kind that is wanted.
        """
        offered = self.offered()
        for name in (kind,) if kind else KINDS:
            if name in offered:
                return name, offered[name]
        raise Unsupported(
            f"the BMC does not offer a {kind or 'known'} restart of itself",
            host=self.host,
            tried=f"Manager.Reset, kind {kind or ' or '.join(KINDS)}",
            answer=f"offered: {', '.join(f'{name} ({word})' for name, word in offered.items()) or 'none'}",
            next="Choose what it offers, or leave kind out.",
        )

    def late(self, seconds: float, what: str, answer: str, code: str | None = None) -> DeadlineExceeded:
        """The error of a restart that did not come to its end in time."""
        return DeadlineExceeded(
            f"{what} within {seconds:g} s",
            code=code,
            host=self.host,
            step="bmc_reset",
            tried="reading the BMC again and again",
            answer=answer,
            next="Raise wait_timeout; look at the BMC by hand if it stays so.",
        )
