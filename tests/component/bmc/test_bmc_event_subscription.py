"""``bmc_event_subscription``: one subscription a listener, and why there is none."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.base import AnswerLost
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.operations import bmc_event_subscription as events
from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import (
    Conflict,
    InvalidInput,
    PaleBlueDotError,
    Unsupported,
)
from replay import Asked, Reply, error

SERVICE = "/redfish/v1/EventService"
LIST = f"{SERVICE}/Subscriptions"
HERE = "https://collector.example:8443/events"


class Service:
    """An event service that keeps what it is sent."""

    def __init__(self, start: Any, **service: Any) -> None:
        self.service = {"@odata.id": SERVICE, "Subscriptions": {"@odata.id": LIST}, "ServiceEnabled": True, **service}
        self.held: dict[str, dict[str, Any]] = {}
        self.made = 0
        self.refuse: Reply | None = None
        self.hidden: tuple[str, ...] = ("HttpHeaders",)
        self.bodies: list[dict[str, Any]] = []
        self.bmc = start({"/redfish/v1": {"EventService": {"@odata.id": SERVICE}}}, self.respond)

    def respond(self, asked: Asked) -> Reply | None:
        path = asked.path
        if path == SERVICE:
            return Reply(200, self.service)
        if path == LIST and asked.method == "GET":
            members = [{"@odata.id": uri} for uri in self.held]
            return Reply(200, {"@odata.id": LIST, "Members": members, "Members@odata.count": len(members)})
        if path == LIST:
            self.bodies.append(asked.body)
            if self.refuse is not None and self.refuse.status:
                return self.refuse
            self.made += 1
            uri = f"{LIST}/{self.made}"
            self.held[uri] = {name: value for name, value in asked.body.items() if name not in self.hidden}
            return self.refuse or Reply(201, None, {"Location": uri})
        if path.startswith(LIST) and asked.method == "DELETE":
            return Reply(204 if self.held.pop(path, None) else 404, None)
        if path.startswith(LIST):
            return Reply(200, {"@odata.id": path, **self.held[path]}) if path in self.held else None
        return None

    def set(self, state: str = "present", check_mode: bool = False, **options: Any) -> dict[str, Any]:
        defaults = {"state": state, "destination": HERE, "context": "dgx-01", "protocol": "Redfish"}
        return events.run(self.bmc.params(**{**defaults, **options}), check_mode)


def test_it_is_planned_made_there_already_and_ended(start_replay: Any) -> None:
    service = Service(start_replay, EventFormatTypes=["Event", "MetricReport"])
    planned = service.set(check_mode=True)
    assert planned["changed"] and planned["subscription"]["uri"] is None and not service.held
    done = service.set(http_headers={"Authorization": "Bearer s3cret"})
    assert done["changed"] and done["diff"] == planned["diff"] and done["held"] == planned["held"] == 1
    assert done["subscription"]["uri"] == f"{LIST}/1"
    assert service.bodies == [
        {
            "Destination": HERE,
            "Protocol": "Redfish",
            "Context": "dgx-01",
            "EventFormatType": "Event",
            "HttpHeaders": [{"Authorization": "Bearer s3cret"}],
        }
    ]
    assert not service.set()["changed"]
    other = service.set(context="dgx-02")
    assert other["changed"] and other["held"] == 2, "another context is another subscription"
    assert service.set("absent", check_mode=True)["changed"] and len(service.held) == 2
    gone = service.set("absent")
    assert gone["changed"] and gone["subscription"] is None and gone["held"] == 1
    assert not service.set("absent")["changed"]


def test_doubles_are_reduced_to_one(start_replay: Any) -> None:
    service = Service(start_replay)
    for _ in range(3):
        service.made += 1
        service.held[f"{LIST}/{service.made}"] = {"Destination": f"{HERE}/", "Context": "dgx-01"}
    done = service.set()
    assert done["changed"] and list(service.held) == [f"{LIST}/1"] and not service.bodies
    assert len(done["diff"]["before"]["subscriptions"]) == 3
    assert not service.set()["changed"]


def test_other_event_types_need_another_subscription(start_replay: Any) -> None:
    service = Service(start_replay, EventTypesForSubscription=["Alert", "StatusChange"])
    service.set(event_types=["Alert"])
    assert not service.set(event_types=["Alert"])["changed"]
    assert service.set(event_types=["StatusChange", "Alert"])["changed"]
    assert list(service.held) == [f"{LIST}/2"]
    with pytest.raises(Unsupported) as caught:
        service.set(event_types=["Party"], check_mode=True)
    assert caught.value.answer == "Alert, StatusChange"


def test_ilo_5_has_no_formats_and_wants_the_types_named(start_replay: Any) -> None:
    service = Service(start_replay, EventTypesForSubscription=["Alert", "StatusChange"])
    service.set()
    assert service.bodies[0]["EventTypes"] == ["Alert", "StatusChange"] and "EventFormatType" not in service.bodies[0]
    assert not service.set()["changed"]
    with pytest.raises(Unsupported) as caught:
        service.set(event_types=["MetricReport"])
    assert caught.value.tried == "EventFormatTypes of the EventService"


def test_metric_reports_are_a_subscription_of_their_own(start_replay: Any) -> None:
    service = Service(start_replay, EventFormatTypes=["Event", "MetricReport"])
    service.set(event_types=["MetricReport"], context="metrics")
    assert service.bodies[0]["EventFormatType"] == "MetricReport"
    assert not service.set(event_types=["MetricReport"], context="metrics")["changed"]
    with pytest.raises(InvalidInput):
        service.set(event_types=["MetricReport", "Alert"])


@pytest.mark.parametrize("check_mode", [True, False])
def test_alerts_that_are_switched_off_are_told_before_the_write(start_replay: Any, check_mode: bool) -> None:
    condition = {
        "MessageId": "SYS553",
        "Message": "The feature is partially enabled because the IPMILan.1.AlertEnable property is disabled.",
        "Resolution": "Enable the IPMILan.1.AlertEnable property.",
    }
    service = Service(start_replay, Status={"Conditions": [condition]}, EventFormatTypes=["Event", "MetricReport"])
    with pytest.raises(Unsupported) as caught:
        service.set(check_mode=check_mode)
    assert caught.value.code == "alerts_disabled" and "Enable the IPMILan.1.AlertEnable" in (caught.value.next or "")
    assert not service.bodies
    assert service.set(event_types=["MetricReport"], check_mode=check_mode)["changed"], "reports do not need them"


def test_alerts_that_are_switched_off_may_only_be_told_by_the_write(start_replay: Any) -> None:
    service = Service(start_replay)
    service.refuse = Reply(400, error("IDRAC.2.8.SYS553", "AlertEnable is disabled."))
    with pytest.raises(Unsupported) as caught:
        service.set()
    assert caught.value.code == "alerts_disabled"


def test_a_service_that_is_off_or_not_there(start_replay: Any) -> None:
    service = Service(start_replay, ServiceEnabled=False)
    with pytest.raises(Unsupported) as caught:
        service.set(check_mode=True)
    assert caught.value.code == "event_service_disabled" and f"PATCH {SERVICE}" in (caught.value.next or "")
    bare = start_replay({"/redfish/v1": {"Vendor": "Contoso"}})
    params = bare.params(state="present", destination=HERE, context="x", protocol="Redfish")
    with pytest.raises(Unsupported, match="no event service"):
        events.run(params, True)


@pytest.mark.parametrize(
    "refusal",
    [
        Reply(400, error("Base.1.12.CreateLimitReachedForResource", "The resource has reached the limit.")),
        Reply(503, error("Base.1.8.GeneralError", "The maximum number of subscriptions was reached.")),
    ],
)
def test_a_full_bmc_says_who_holds_them(start_replay: Any, refusal: Reply) -> None:
    service = Service(start_replay)
    service.set(destination="https://somebody.example/events")
    service.refuse = refusal
    with pytest.raises(Conflict) as caught:
        service.set()
    assert caught.value.code == "limit_reached" and "https://somebody.example/events" in (caught.value.answer or "")


def test_an_answer_that_was_lost_is_looked_up(start_replay: Any) -> None:
    service = Service(start_replay)
    service.refuse = Reply(0)  # carried out, and then silence
    done = service.set()
    assert done["changed"] and done["subscription"]["uri"] == f"{LIST}/1" and len(service.bodies) == 1


def test_another_subscription_of_the_listener_is_not_taken_for_the_one_that_was_lost(start_lab: Any) -> None:
    bmc = start_lab("ami")

    def subscribe(context: str) -> dict[str, Any]:
        wanted = {"state": "present", "destination": HERE, "context": context, "protocol": "Redfish"}
        return events.run(bmc.params(**wanted), False)

    subscribe("events")
    bmc.fault("drop", "POST *Subscriptions", count=1)
    with pytest.raises(AnswerLost) as caught:
        subscribe("metrics")
    assert caught.value.retryable, "whoever tries again looks first"
    bmc.fault("drop_after", "POST *Subscriptions", count=1)
    done = subscribe("metrics")
    assert done["changed"] and done["subscription"]["context"] == "metrics" and done["held"] == 2
    assert not subscribe("metrics")["changed"]


def test_the_one_that_was_replaced_is_not_taken_for_the_one_that_was_lost(start_replay: Any) -> None:
    service = Service(start_replay, EventFormatTypes=["Event", "MetricReport"])
    service.set()

    def lossy(asked: Asked) -> Reply | None:
        if asked.method == "DELETE":
            return Reply(204)  # and it is still shown
        return Reply(0) if asked.path == LIST and asked.method == "POST" else service.respond(asked)

    service.bmc.respond = lossy
    with pytest.raises(AnswerLost):
        service.set(event_types=["MetricReport"])
    assert list(service.held) == [f"{LIST}/1"]


def test_a_bmc_that_shows_no_context_is_judged_by_the_destination(start_replay: Any) -> None:
    service = Service(start_replay)
    service.hidden = ("HttpHeaders", "Context")
    service.set()
    assert not service.set()["changed"]


def test_a_header_s_value_stays_out_of_errors(start_replay: Any) -> None:
    service = Service(start_replay)
    service.refuse = Reply(400, error("Base.1.8.PropertyValueFormatError", "'Bearer s3cret' is not liked."))
    with pytest.raises(PaleBlueDotError) as caught:
        service.set(http_headers={"Authorization": "Bearer s3cret"})
    assert "s3cret" not in str(caught.value) and "is not liked" in str(caught.value)


@pytest.mark.parametrize("destination", ["collector.example", "ftp://collector.example/x", "https://", ""])
def test_a_destination_that_is_none_is_not_sent(start_replay: Any, destination: str) -> None:
    service = Service(start_replay)
    with pytest.raises(InvalidInput):
        service.set(destination=destination)
    assert not service.bmc.asked


def test_real_machines(start_replay: Any, dgx_capture: Any, hpe_capture: Any, dell_capture: Any) -> None:
    for capture in (dgx_capture, hpe_capture):
        params = start_replay(capture).params(state="present", destination=HERE, context="x", protocol="Redfish")
        assert events.run(params, True)["changed"]
    params = start_replay(dell_capture).params(state="present", destination=HERE, context="x", protocol="Redfish")
    with pytest.raises(Unsupported) as caught:
        events.run(params, True)
    assert caught.value.code == "alerts_disabled", "this iDRAC's alerts are switched off"


def test_against_the_lab(lab_bmc: Any) -> None:
    def run(state: str, context: str = "x") -> dict[str, Any]:
        params = lab_bmc.params(state=state, destination="http://127.0.0.1:9/x", context=context, protocol="Redfish")
        return events.run(params, False)

    assert run("present")["subscription"]["format"] == "Event"
    assert not run("present")["changed"]
    with pytest.raises(Conflict) as caught:
        for n in range(40):
            run("present", f"context {n}")
    assert caught.value.code == "limit_reached"
    assert run("absent")["changed"] and lab_bmc.sessions() == 0
