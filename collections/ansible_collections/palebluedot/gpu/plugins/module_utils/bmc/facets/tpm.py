# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""The host's TPM: what it is, and which BIOS attributes enable or clear it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class TrustedModule:
    """A TPM as the System shows it; what the BMC does not say is None.

    :param interface: Redfish's InterfaceType (TPM2_0).
    :param status: Redfish's State (Enabled, Disabled, Absent).
    """

    interface: str | None
    firmware_version: str | None
    status: str | None

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


class Tpm(ABC):
    """The TPM of one machine. It is changed by BIOS attributes, in the next POST."""

    @abstractmethod
    def module(self) -> TrustedModule | None:
        """The TPM that the System shows; None where it shows none."""

    @abstractmethod
    def attributes(self, state: str) -> dict[str, str]:
        """The vendor's BIOS attributes for ``enabled`` or ``cleared``.

        :raises errors.Unsupported: the vendor's profile does not know them.
        """
