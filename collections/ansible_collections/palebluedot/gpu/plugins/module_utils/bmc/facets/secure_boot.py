# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""UEFI Secure Boot."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass
from typing import Any

from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.base import Task


@dataclass(frozen=True)
class SecureBootState:
    """Secure Boot as it is.

    :param enabled: from the next boot on.
    :param current: in the boot that the server is in; None where the BMC does not say.
    :param mode: setup (no platform key: nothing is verified), user, audit, deployed; None where the BMC does not say.
    """

    enabled: bool | None
    current: bool | None
    mode: str | None

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


class SecureBoot(ABC):
    """Secure Boot of one machine."""

    @abstractmethod
    def read(self) -> SecureBootState:
        """How it is, and how it will be.

        :raises errors.Unsupported: the machine shows no Secure Boot.
        """

    @abstractmethod
    def check(self, keys: str | None) -> None:
        """Raise `errors.Unsupported` or `errors.Conflict` for what the BMC will not do."""

    @abstractmethod
    def enable(self, wanted: bool) -> Task | None:
        """Switch it for the next boot."""

    @abstractmethod
    def factory_keys(self) -> bool | None:
        """Whether the keys are those of the factory; None where the BMC does not let them be compared."""

    @abstractmethod
    def reset_keys(self, keys: str) -> Task | None:
        """``factory``: all databases as delivered; ``deleted``: none, which is setup mode."""
