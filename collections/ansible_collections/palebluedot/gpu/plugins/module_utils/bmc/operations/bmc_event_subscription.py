# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""``bmc_event_subscription``: where a BMC sends its events."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.connect import open_bmc
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.facets.events import METRIC_REPORT, Subscription
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.redfish.events import RedfishEventSubscriptions
from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import InvalidInput


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Bring the subscriptions of one destination and context to one that fits, or none."""
    wanted = _wanted(params)
    with open_bmc(params) as bmc:
        events = bmc.facet(redfish=RedfishEventSubscriptions)
        existing = events.list()
        own = [one for one in existing if one.is_same(wanted)]
        kept: Subscription | None = None
        body: dict[str, Any] = {}
        if params["state"] == "present":
            kept = next((one for one in own if _fits(one, wanted)), None)
            if kept is None:
                body = events.plan(wanted)
        gone = [one for one in own if one is not kept]
        create = params["state"] == "present" and kept is None
        after = kept
        if create:
            after = Subscription(
                None,
                wanted.destination,
                wanted.context,
                wanted.protocol,
                body.get("EventFormatType"),
                sorted(body["EventTypes"]) if "EventTypes" in body else wanted.event_types,
            )
        if not check_mode:
            # first those that go: many BMCs hold few, and some refuse a second one of the same destination
            events.remove(gone)
            if create:
                after = events.create(body, params.get("http_headers") or {})
        return {
            "changed": bool(gone) or create,
            "subscription": after.as_dict() if after else None,
            "held": len(existing) - len(gone) + create,
            "diff": {
                "before": {"subscriptions": [_shown(one) for one in own]},
                "after": {"subscriptions": [_shown(after)] if after else []},
            },
        }


def _wanted(params: dict[str, Any]) -> Subscription:
    destination = str(params["destination"])
    parts = urlsplit(destination)
    if params["protocol"] == "Redfish" and (parts.scheme not in ("https", "http") or not parts.hostname):
        raise InvalidInput(
            "the destination is no address of an event listener",
            tried=f"destination {destination}",
            answer="nothing was sent",
            next="Give a URL such as https://collector.example:8443/events.",
        )
    types = params.get("event_types")
    return Subscription(
        None, destination, params["context"], params["protocol"], None, sorted(set(types)) if types else None
    )


def _fits(one: Subscription, wanted: Subscription) -> bool:
    reports = METRIC_REPORT in (wanted.event_types or [])
    if reports is not (METRIC_REPORT in (one.format, *(one.event_types or []))):
        return False
    if reports or wanted.event_types is None or one.event_types is None:
        return True  # nothing was asked for, or the BMC does not say
    return one.event_types == wanted.event_types


def _shown(one: Subscription) -> dict[str, Any]:
    return {name: value for name, value in one.as_dict().items() if name not in ("uri", "format")}
