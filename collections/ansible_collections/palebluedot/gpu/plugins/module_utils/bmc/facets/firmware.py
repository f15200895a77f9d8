# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""Firmware: what is on the machine, and putting another image on it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.base import Task


@dataclass(frozen=True)
class Component:
    """One piece of firmware.

    :param id: stays the same from version to version (Dell's own ids do not: the profile says which part of them does).
    :param parent: what it is updated as a part of (HGX_0 for the GPU tray of a DGX).
    """

    id: str
    name: str | None
    version: str | None
    updateable: bool | None
    parent: str | None
    uri: str

    def as_dict(self) -> dict[str, Any]:
        return {"id": self.id, "name": self.name, "version": self.version, "updateable": self.updateable}

    def is_called(self, pattern: str) -> bool:
        """Whether an id, a display name or a shell pattern (HGX_FW_GPU_SXM_*) means this one."""
        return any(fnmatchcase(known.lower(), pattern.lower()) for known in (self.id, self.name or "") if known)


@dataclass(frozen=True)
class Update:
    """An update that was checked and not yet sent.

    :param image: a file of this machine, or a URL that the BMC fetches.
    :param targets: URIs of what is updated; empty: the image says it.
    :param how: multipart, push or simple, with where to send it.
    """

    image: str
    targets: tuple[str, ...]
    apply_time: str
    how: str
    path: str
    parameters: dict[str, Any]


class Firmware(ABC):
    """The firmware of one machine."""

    @abstractmethod
    def components(self, only: Sequence[str] | None = None) -> list[Component]:
        """What is on the machine. With ``only``, those that one of these ids, names or patterns means; no others are
        read where the ids alone tell them apart."""

    @abstractmethod
    def prepare(self, image: str, targets: Sequence[str], *, apply_time: str) -> Update:
        """Check everything that can be checked before anything is sent.

        :param targets: ids, names or patterns of components, or of a parent.
        :raises errors.Unsupported: the BMC does not take such an image that way.
        :raises errors.InvalidInput: there is no such file, or it is too large.
        """

    @abstractmethod
    def start(self, update: Update, seconds: float) -> Task | None:
        """Send it. :param seconds: for the whole upload."""

    @abstractmethod
    def wait(self, task: Task | None, seconds: float) -> Task | None:
        """Wait until the BMC has ended the update; one that makes no task is asked for its update state."""


def same_version(reported: str | None, wanted: str) -> bool:
    """Whether a version is the wanted one. iLO adds words: ``A42 v2.60 (08/11/2022)`` is 2.60, v2.60, or all of it."""
    if reported is None:
        return False
    return reported == wanted.strip() or wanted.strip().removeprefix("v") in {
        word.removeprefix("v") for word in reported.split()
    }
