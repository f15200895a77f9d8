# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""Who a BMC sends its events to."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

METRIC_REPORT = "MetricReport"


@dataclass(frozen=True)
class Subscription:
    """One subscription. ``event_types`` and ``format`` are None where the BMC does not say; ``context`` too."""

    uri: str | None
    destination: str
    context: str | None
    protocol: str | None
    format: str | None
    event_types: list[str] | None

    def is_same(self, wanted: Subscription) -> bool:
        """By destination and context; a BMC that shows no context is judged by the destination."""
        if self.destination.rstrip("/") != wanted.destination.rstrip("/"):
            return False
        return self.context in (None, wanted.context)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


class EventSubscriptions(ABC):
    """The subscriptions of one BMC."""

    @abstractmethod
    def list(self) -> list[Subscription]:
        """All of them, whoever made them."""

    @abstractmethod
    def plan(self, wanted: Subscription) -> dict[str, Any]:
        """What to send for a subscription.

        :raises errors.Unsupported: the BMC would not serve it: no event service, switched off, other event types.
        """

    @abstractmethod
    def create(self, body: Mapping[str, Any], http_headers: Mapping[str, str]) -> Subscription:
        """Make it, and read it back."""

    @abstractmethod
    def remove(self, subscriptions: Sequence[Subscription]) -> None:
        """End them; one that is gone already is no error."""
