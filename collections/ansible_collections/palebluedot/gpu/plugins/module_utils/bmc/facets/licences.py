# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""The licences of a BMC, and what is not to be had without one."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.vendors.profile import LicenceNeed
from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import LicenceMissing


@dataclass(frozen=True)
class Licence:
    """One licence. ``name`` is what the vendor calls it, None where the BMC shows a key's number only; ``features`` is
    what the BMC says that it switches on.

    ``valid`` is False where the BMC says that it has expired or is disabled. Keys are never read out.
    """

    id: str
    name: str | None
    kind: str | None = None
    expires: str | None = None
    valid: bool = True
    features: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if name != "features"}

    @property
    def described(self) -> str:
        return " ".join((self.name or "", *self.features))


class Licences(ABC):
    """Reads the licences of one BMC."""

    @property
    @abstractmethod
    def host(self) -> str:
        """The address as it is shown in errors."""

    @abstractmethod
    def needs(self) -> Sequence[LicenceNeed]:
        """What of this product wants a licence."""

    @abstractmethod
    def known(self) -> list[Licence] | None:
        """The licences; None where the BMC does not tell which it has."""

    def require(self, what: str) -> None:
        """Before anything is written: is there the licence that ``what`` (``virtual_media``, …) wants?

        A BMC that does not tell which licences it has is asked to do it, and says itself what it wants.

        :raises LicenceMissing: it is known not to be there.
        """
        needs = [need for need in self.needs() if need.what == what]
        if not needs:
            return
        licences = self.known()
        if licences is None:
            return
        for need in needs:
            if not granted(need, licences):
                raise LicenceMissing(
                    f"{WORDS.get(what, what)} needs a licence that this BMC does not have: {need.called}",
                    host=self.host,
                    tried="reading the BMC's licences; nothing was written",
                    answer=f"it has {', '.join(each.name or each.id for each in licences) or 'none'}",
                    next=f"Install {need.called} on the BMC, or do it another way.",
                )


WORDS = {
    "virtual_media": "mounting virtual media",
    "firmware_update": "updating firmware",
    "bios": "changing the BIOS",
    "telemetry": "telemetry",
}


def granted(need: LicenceNeed, licences: Iterable[Licence]) -> bool:
    """Whether one of the valid licences is what is needed, or may be: one without a name can be any."""
    return any(
        licence.valid and (licence.name is None or re.search(need.pattern, licence.described, re.I))
        for licence in licences
    )


def missing(needs: Iterable[LicenceNeed], licences: Sequence[Licence]) -> dict[str, str]:
    """What cannot be done, and why, in words for people: ``{"virtual_media": "licence … missing"}``."""
    return {need.what: f"licence missing: {need.called}" for need in needs if not granted(need, licences)}
