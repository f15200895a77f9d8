"""EventService: subscriptions, and the delivery of events to who subscribed."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import aiohttp

from lab.bmc import LogRecord
from lab.redfish.errors import RedfishError
from lab.redfish.routes import ROOT, Answer, Body, Call, action_info, ami, link, members, routes

if TYPE_CHECKING:
    from lab.machine import Machine
    from lab.redfish.service import RedfishBmc

logger = logging.getLogger(__name__)

MAX_SUBSCRIPTIONS = 16
DELIVERY_ATTEMPTS = 3
DELIVERY_TIMEOUT_S = 5.0


@dataclass
class Subscription:
    id: str
    destination: str
    context: str
    http_headers: dict[str, str] = field(default_factory=dict, repr=False)
    failures: int = 0


class Subscriptions:
    """Who wants events. Each record of the GPU tray's event log goes to all of them; a subscriber that does not answer
    three times running is dropped, as firmware does."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self.by_id: dict[str, Subscription] = {}
        self._next = 1
        self._events = 0
        self._listeners: set[asyncio.Queue[Body]] = set()
        self._queue: asyncio.Queue[Body] = asyncio.Queue(maxsize=1000)
        self._worker: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._machine.bmc.on_event.append(self._recorded)

    async def close(self) -> None:
        with contextlib.suppress(ValueError):
            self._machine.bmc.on_event.remove(self._recorded)
        if self._worker:
            self._worker.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._worker

    def add(self, destination: str, context: str, http_headers: dict[str, str]) -> Subscription:
        subscription = Subscription(str(self._next), destination, context, http_headers)
        self._next += 1
        self.by_id[subscription.id] = subscription
        if self._worker is None:
            self._worker = asyncio.create_task(self._deliver(), name=f"events of {self._machine.name}")
        return subscription

    async def stream(self) -> AsyncIterator[Body]:
        """Every event from now on, for one who listens (server-sent events, DSP0266 "Server-sent events")."""
        queue: asyncio.Queue[Body] = asyncio.Queue(maxsize=1000)
        self._listeners.add(queue)
        try:
            while True:
                yield await queue.get()
        finally:
            self._listeners.discard(queue)

    def _recorded(self, record: LogRecord) -> None:
        self.publish(
            record.severity, record.message, record.message_id, list(record.message_args), record.origin, record.id
        )

    def publish(
        self,
        severity: str,
        message: str,
        message_id: str,
        message_args: list[str],
        origin: str | None = None,
        event_id: int | None = None,
    ) -> None:
        if not self.by_id and not self._listeners:
            return
        self._events += 1
        event: dict[str, Any] = {
            "EventId": str(event_id if event_id is not None else self._events),
            "EventTimestamp": self._machine.world.clock.now().isoformat(timespec="seconds"),
            "EventType": "Alert",
            "MemberId": "0",
            "Message": message,
            "MessageArgs": message_args,
            "MessageId": message_id,
            "Severity": severity,
        }
        if origin:
            event["OriginOfCondition"] = {"@odata.id": origin}
        sent = {
            "@odata.type": "#Event.v1_7_0.Event",
            "Events": [event],
            "Id": str(self._events),
            "Name": "Event Array",
        }
        for queue in (*self._listeners, *([self._queue] if self.by_id else [])):
            with contextlib.suppress(asyncio.QueueFull):
                queue.put_nowait(sent)

    async def _deliver(self) -> None:
        timeout = aiohttp.ClientTimeout(total=DELIVERY_TIMEOUT_S)
        # Like a BMC, the lab's does not verify who it reports to.
        async with aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(ssl=False)) as session:
            while True:
                event = await self._queue.get()
                for subscription in list(self.by_id.values()):
                    await self._post(session, subscription, {**event, "Context": subscription.context})

    async def _post(self, session: aiohttp.ClientSession, subscription: Subscription, event: Body) -> None:
        try:
            async with session.post(
                subscription.destination, json=event, headers=subscription.http_headers
            ) as response:
                response.raise_for_status()
            subscription.failures = 0
        except (aiohttp.ClientError, TimeoutError) as error:
            subscription.failures += 1
            logger.info("%s: event to %s failed: %s", self._machine.name, subscription.destination, error)
            if subscription.failures >= DELIVERY_ATTEMPTS:
                self.by_id.pop(subscription.id, None)


@routes.get("/EventService")
def event_service(bmc: RedfishBmc) -> Body:
    return ami(
        "/EventService",
        "EventService.v1_5_0.EventService",
        Actions={
            "#EventService.SubmitTestEvent": {
                "@Redfish.ActionInfo": f"{ROOT}/EventService/SubmitTestEventActionInfo",
                "target": f"{ROOT}/EventService/Actions/EventService.SubmitTestEvent",
            }
        },
        DeliveryRetryAttempts=DELIVERY_ATTEMPTS,
        DeliveryRetryIntervalSeconds=60,
        Description="Event Service",
        EventFormatTypes=["MetricReport", "Event"],
        Id="EventService",
        Name="Event Service",
        ServiceEnabled=True,
        Status={"State": "Enabled"},
        SubordinateResourcesSupported=False,
        Subscriptions=link("/EventService/Subscriptions"),
    )


@routes.get("/EventService/SubmitTestEventActionInfo")
def submit_test_event_action_info(bmc: RedfishBmc) -> Body:
    return action_info(
        "/EventService/SubmitTestEventActionInfo",
        "SubmitTestEventAction",
        "This action is used to generate a test event.",
        MessageId=None,
        OriginOfCondition=None,
        Severity=None,
    )


@routes.post("/EventService/Actions/EventService.SubmitTestEvent")
async def submit_test_event(call: Call) -> Answer:
    body = call.body
    arguments = body.get("MessageArgs") or []
    if not isinstance(arguments, list):
        raise RedfishError("PropertyValueTypeError", str(arguments), "MessageArgs")
    origin = body.get("OriginOfCondition")
    call.bmc.subscriptions.publish(
        str(body.get("Severity") or "OK"),
        "Test event",
        str(body.get("MessageId") or "Base.1.12.Success"),
        [str(argument) for argument in arguments],
        origin if isinstance(origin, str) else None,
    )
    return Answer()


@routes.get("/EventService/Subscriptions")
def subscriptions(bmc: RedfishBmc) -> Body:
    return ami(
        "/EventService/Subscriptions",
        "EventDestinationCollection.EventDestinationCollection",
        Description="Collection for Event Subscriptions",
        **members([f"/EventService/Subscriptions/{id}" for id in bmc.subscriptions.by_id]),
        Name="Event Subscriptions Collection",
    )


def _subscription(subscription: Subscription) -> Body:
    return ami(
        f"/EventService/Subscriptions/{subscription.id}",
        "EventDestination.v1_10_1.EventDestination",
        Context=subscription.context,
        DeliveryRetryPolicy="TerminateAfterRetries",
        Destination=subscription.destination,
        EventFormatType="Event",
        HttpHeaders=[],  # written, never read back
        Id=subscription.id,
        Name=f"Subscription {subscription.id}",
        Protocol="Redfish",
        SubscriptionType="RedfishEvent",
    )


@routes.get("/EventService/Subscriptions/{id}")
def subscription(bmc: RedfishBmc, id: str) -> Body | None:
    found = bmc.subscriptions.by_id.get(id)
    return _subscription(found) if found else None


@routes.post("/EventService/Subscriptions")
async def subscribe(call: Call) -> Answer:
    destination = call.body.get("Destination")
    if not isinstance(destination, str):
        raise RedfishError("PropertyMissing", "Destination")
    if not destination.startswith(("http://", "https://")):
        raise RedfishError("PropertyValueFormatError", destination, "Destination")
    if call.body.get("Protocol") != "Redfish":
        raise RedfishError("PropertyValueNotInList", str(call.body.get("Protocol")), "Protocol")
    if len(call.bmc.subscriptions.by_id) >= MAX_SUBSCRIPTIONS:
        raise RedfishError("CreateLimitReachedForResource")
    headers = call.body.get("HttpHeaders") or []
    made = call.bmc.subscriptions.add(
        destination,
        str(call.body.get("Context") or ""),
        {str(name): str(value) for header in headers if isinstance(header, dict) for name, value in header.items()},
    )
    body = _subscription(made)
    return Answer(201, body, {"Location": body["@odata.id"]})


@routes.delete("/EventService/Subscriptions/{id}")
async def unsubscribe(call: Call, id: str) -> Answer:
    call.bmc.subscriptions.by_id.pop(id)
    return Answer()
