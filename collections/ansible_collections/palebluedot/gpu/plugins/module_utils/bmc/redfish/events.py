# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""Event subscriptions by Redfish (DSP0268: EventService, EventDestination)."""

from __future__ import annotations

import builtins
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.base import AnswerLost
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.facets.events import (
    METRIC_REPORT,
    EventSubscriptions,
    Subscription,
)
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.values import dig, link, tables, text, texts
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.vendors.messages import ALERTS_OFF
from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import (
    BadAnswer,
    Conflict,
    InvalidInput,
    NotFound,
    PaleBlueDotError,
    Unsupported,
)

if TYPE_CHECKING:
    from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.redfish.client import RedfishBmc

EVENT_SERVICE = "/redfish/v1/EventService"
# Message ids of the Base registry, and words, with which BMCs say that they hold no more.
_FULL = frozenset({"CreateLimitReachedForResource", "SubscriptionLimitExceeded", "EventSubscriptionLimitExceeded"})
_FULL_WORDS = ("limit", "maximum number")


class RedfishEventSubscriptions(EventSubscriptions):
    """The EventService of one BMC."""

    def __init__(self, bmc: RedfishBmc) -> None:
        self._bmc = bmc
        self._known: dict[str, Any] | None = None

    def _service(self) -> dict[str, Any]:
        if self._known is None:
            deadline = self._bmc.deadline()
            path = link(self._bmc.root(deadline), "EventService") or EVENT_SERVICE
            found = self._bmc.transport.get_optional(path, deadline)
            if found is None:
                raise self._unsupported(
                    "the BMC has no event service", f"GET {path}", "404", "Poll bmc_log_info instead."
                )
            self._known = {"@odata.id": path, **found}
        return self._known

    @property
    def _path(self) -> str:
        service = self._service()
        return link(service, "Subscriptions") or f"{text(service.get('@odata.id'))}/Subscriptions"

    def list(self) -> builtins.list[Subscription]:
        transport = self._bmc.transport
        found: list[Subscription] = []
        for path in transport.members(self._path, self._bmc.deadline()):
            body = transport.get_optional(path, self._bmc.deadline())
            if body is not None:
                found.append(_subscription(path, body))
        return found

    def plan(self, wanted: Subscription) -> dict[str, Any]:
        service = self._service()
        types = wanted.event_types or []
        if METRIC_REPORT in types and len(types) > 1:
            raise InvalidInput(
                "a subscription carries events or metric reports, not both",
                host=self._bmc.host,
                tried=f"event_types {', '.join(types)}",
                answer="nothing was sent",
                next="Make two subscriptions, with two contexts.",
            )
        self._check_enabled(service, types)
        formats = texts(service.get("EventFormatTypes"))
        body: dict[str, Any] = {
            "Destination": wanted.destination,
            "Protocol": wanted.protocol,
            "Context": wanted.context,
        }
        if METRIC_REPORT in types:
            if METRIC_REPORT not in formats:
                raise self._unsupported(
                    "the BMC sends no metric reports",
                    "EventFormatTypes of the EventService",
                    ", ".join(formats) or "the property is missing",
                    "Read them with bmc_metrics_info.",
                )
            return {**body, "EventFormatType": METRIC_REPORT}
        if "Event" in formats:
            body["EventFormatType"] = "Event"
        offered = texts(service.get("EventTypesForSubscription"))
        unknown = [kind for kind in types if kind not in offered]
        if unknown:
            raise self._unsupported(
                f"the BMC sends no events of type {', '.join(unknown)}",
                "EventTypesForSubscription of the EventService",
                ", ".join(offered) or "the property is missing: all events are sent",
                "Choose from these, or leave event_types out.",
            )
        if types or (offered and not formats):
            # before EventFormatTypes came (iLO 5), the event types had to be named
            body["EventTypes"] = types or [kind for kind in offered if kind != METRIC_REPORT]
        return body

    def _check_enabled(self, service: dict[str, Any], types: Sequence[str]) -> None:
        if service.get("ServiceEnabled") is False:
            raise self._unsupported(
                "the BMC's event service is switched off",
                "ServiceEnabled of the EventService",
                "false",
                f"Set it with redfish_request: PATCH {text(service.get('@odata.id'))}, body ServiceEnabled: true.",
                code="event_service_disabled",
            )
        if METRIC_REPORT in types:
            return
        for condition in tables(dig(service, "Status", "Conditions")):
            if str(condition.get("MessageId", "")).rsplit(".", 1)[-1] in ALERTS_OFF:
                raise self._alerts_off(text(condition.get("Message")), text(condition.get("Resolution")))

    def _alerts_off(self, said: str | None, resolution: str | None) -> Unsupported:
        return self._unsupported(
            "the BMC sends no events while its alerts are switched off",
            "Status of the EventService",
            said or "alerts are switched off",
            f"{resolution or 'Switch them on.'} On an iDRAC that is IPMILan.1.AlertEnable=Enabled in its attributes "
            f"(redfish_request, PATCH).",
            code="alerts_disabled",
        )

    def create(self, body: Mapping[str, Any], http_headers: Mapping[str, str]) -> Subscription:
        path = self._path
        sent = dict(body)
        if http_headers:
            sent["HttpHeaders"] = [{name: value} for name, value in http_headers.items()]
        location: str | None = None
        lost: AnswerLost | None = None
        try:
            answer = self._bmc.transport.post(path, sent, self._bmc.deadline())
            location = answer.location or text(answer.body.get("@odata.id"))
        except AnswerLost as problem:
            problem.retryable = True  # whoever tries again looks at what is there first
            lost = problem
        except PaleBlueDotError as problem:
            raise self._explained(problem, http_headers) from problem
        found = self._read_back(location, body)
        if found is None:
            raise lost or BadAnswer(
                "the BMC accepted the subscription and does not show it",
                code="not_applied",
                host=self._bmc.host,
                tried=f"POST {path}",
                answer=f"no subscription of {body['Destination']}",
                next="Run again; restart the BMC if it stays so.",
            )
        return found

    def _read_back(self, location: str | None, body: Mapping[str, Any]) -> Subscription | None:
        if location is not None:
            made = self._bmc.transport.get_optional(location, self._bmc.deadline())
            if made is not None and text(made.get("Destination")) is not None:
                return _subscription(location, made)
        wanted = _subscription("", dict(body))

        def is_it(one: Subscription) -> bool:
            # one of another format was to be replaced, and is still there for a moment
            return one.is_same(wanted) and (None in (one.format, wanted.format) or one.format == wanted.format)

        return next((one for one in self.list() if is_it(one)), None)

    def _explained(self, problem: PaleBlueDotError, http_headers: Mapping[str, str]) -> PaleBlueDotError:
        """The refusals that have a reason of their own; no header's value goes into an error."""
        for secret in sorted(http_headers.values(), key=len, reverse=True):
            if secret and problem.answer:
                problem.answer = problem.answer.replace(secret, "********")
        ids = set(problem.details.get("message_ids", []))
        said = (problem.answer or "").lower()
        if ids & ALERTS_OFF:
            return self._alerts_off(problem.answer, None)
        if ids & _FULL or any(word in said for word in _FULL_WORDS):
            holders = [one.destination for one in self.list()]
            return Conflict(
                f"the BMC holds no more than {len(holders)} subscriptions",
                code="limit_reached",
                host=self._bmc.host,
                tried=problem.tried,
                answer=f"{problem.answer}; they go to {', '.join(holders) or 'nobody that it shows'}",
                next="Remove one that nobody listens to any more (state=absent), or subscribe one collector for all.",
            )
        return problem

    def remove(self, subscriptions: Sequence[Subscription]) -> None:
        for one in subscriptions:
            if one.uri is None:
                continue
            try:
                self._bmc.transport.delete(one.uri, self._bmc.deadline())
            except NotFound:
                continue
            except AnswerLost:
                if self._bmc.transport.get_optional(one.uri, self._bmc.deadline()) is not None:
                    raise

    def _unsupported(self, what: str, tried: str, answer: str, next: str, code: str | None = None) -> Unsupported:
        return Unsupported(what, host=self._bmc.host, tried=tried, answer=answer, next=next, code=code)


def _subscription(path: str, body: dict[str, Any]) -> Subscription:
    types = body.get("EventTypes")
    return Subscription(
        uri=path,
        destination=text(body.get("Destination")) or "",
        context=text(body.get("Context")),
        protocol=text(body.get("Protocol")),
        format=text(body.get("EventFormatType")),
        event_types=sorted(texts(types)) if isinstance(types, builtins.list) else None,
    )
