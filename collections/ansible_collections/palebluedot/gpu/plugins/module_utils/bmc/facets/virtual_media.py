# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""Images that a BMC presents to its server as a drive."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.base import Task


@dataclass(frozen=True)
class Slot:
    """One virtual drive. ``kinds``: cd, usb; ``image`` is None where there is none, or the BMC does not say."""

    id: str
    path: str
    kinds: tuple[str, ...]
    inserted: bool
    image: str | None
    write_protected: bool | None = None

    def as_dict(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "media": list(self.kinds),
            "inserted": self.inserted,
            "image": self.image,
            "write_protected": self.write_protected,
        }


@dataclass(frozen=True)
class Image:
    """What is put in."""

    url: str
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    write_protected: bool = True


class VirtualMedia(ABC):
    """The virtual drives of one BMC."""

    @property
    @abstractmethod
    def host(self) -> str:
        """The address as it is shown in errors."""

    @abstractmethod
    def slots(self) -> list[Slot]:
        """The drives that an image can be put into.

        :raises errors.Unsupported: there are none.
        """

    @abstractmethod
    def insert(self, slot: Slot, image: Image) -> Task | None:
        """Put an image in. Whether it is there is for the caller to read back.

        :returns: the BMC's task, where it made one.
        """

    @abstractmethod
    def eject(self, slot: Slot) -> Task | None:
        """Take out what is in; the same."""
