# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""RAID volumes of the storage controllers that the BMC can reach."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.base import Task


@dataclass(frozen=True)
class Volume:
    """One volume. ``drives`` are Ids; ``raw`` is a drive that is shown as a volume of itself and has no RAID."""

    id: str
    name: str | None
    raid_type: str | None
    drives: tuple[str, ...]
    capacity_gb: int | None
    raw: bool
    uri: str

    def as_dict(self) -> dict[str, Any]:
        shown = {**asdict(self), "drives": list(self.drives)}
        return {name: shown[name] for name in ("id", "name", "raid_type", "drives", "capacity_gb")}


@dataclass(frozen=True)
class Controller:
    """A storage controller with what it holds.

    :param raid_types: what it offers (RAID0, RAID1, ...); empty: none; None: it does not say.
    :param drives: Ids of its drives.
    """

    id: str
    raid_types: tuple[str, ...] | None
    drives: tuple[str, ...]
    volumes: tuple[Volume, ...]
    apply_times: tuple[str, ...]
    uri: str


class Storage(ABC):
    """The storage controllers of one machine."""

    @abstractmethod
    def controller(self, id: str | None) -> Controller:
        """The controller of that Id; without one, the only one that has volumes.

        :raises errors.NotFound: there is none of that Id.
        :raises errors.InvalidInput: there are several and none is named.
        :raises errors.Unsupported: it has no volumes.
        """

    @abstractmethod
    def create(
        self, controller: Controller, *, name: str, raid_type: str, drives: Sequence[str], apply_time: str | None
    ) -> Task | None:
        """Make a volume. :param apply_time: Redfish's word; None: the BMC offers no choice."""

    @abstractmethod
    def check(self, controller: Controller, initialize: str | None) -> None:
        """Raise `errors.Conflict` where the BMC takes no changes, and `errors.Unsupported` where a new volume cannot be
        initialised that way, as far as that is known before there is one."""

    @abstractmethod
    def initialize(self, volume: Volume, how: str) -> Task | None:
        """``fast`` clears the beginning, ``slow`` the whole volume."""

    @abstractmethod
    def delete(self, controller: Controller, volume: Volume, *, apply_time: str | None) -> Task | None:
        """Take a volume apart, and with it all that is on it."""

    @abstractmethod
    def wait(self, task: Task | None, seconds: float) -> Task | None:
        """Wait for the BMC's task."""
