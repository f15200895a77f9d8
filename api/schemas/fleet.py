"""The fleet as a whole: freeze, figures, alerts, templates, images, networks."""

from __future__ import annotations

from marshmallow import fields, validate

from api.schemas.base import Answer, Flag, Moment, PageQuery, Request, choice, page_of, text
from fleet.states import ALERT

# 100 servers of 8 GPUs and one figure a server make 900 points; a bulk collector sends them in one request.
MOST_POINTS = 20_000


class FreezeSchema(Request):
    frozen = Flag(required=True)
    reason = text("Why; shown to everybody who is stopped by it.", length=1024, allow_none=True)


class FreezeAnswerSchema(Answer):
    frozen = fields.Boolean(required=True)
    reason = fields.String(required=True, allow_none=True)


def _figure(description: str) -> fields.Float:
    return fields.Float(allow_none=True, allow_nan=False, metadata={"description": description})


class PointSchema(Request):
    """One sample of a server, or of one of its GPUs; unknown is null."""

    server = text("The server's name or id.", required=True)
    gpu = text("Slot or id of the GPU; null: the server as a whole.", allow_none=True)
    timestamp = Moment(metadata={"description": "RFC 3339; default: now."})
    cpu_usage = _figure("Percent.")
    memory_usage = _figure("Percent.")
    gpu_usage = _figure("Percent.")
    temperature = _figure("Celsius.")
    memory_temperature = _figure("Celsius.")
    margin_celsius = _figure("Celsius left to the slow-down temperature.")
    power_consumption = _figure("Watts.")
    power_state = text(
        "The server's, in Redfish's words; `Off` ends the alerts of its GPUs' heat.", length=16, allow_none=True
    )


class TelemetrySchema(Request):
    points = fields.List(fields.Nested(PointSchema), required=True, validate=validate.Length(max=MOST_POINTS))
    sent_at = Moment(
        metadata={"description": "The sender's now, RFC 3339: by it timestamps are moved to the service's clock."}
    )
    asked = fields.List(
        text("The name of a server."),
        validate=validate.Length(max=MOST_POINTS),
        metadata={"description": "The servers whose BMCs were asked, also those that did not answer."},
    )


class StoredSchema(Answer):
    stored = fields.Integer(required=True)
    unasked = fields.Integer(
        required=True,
        allow_none=True,
        metadata={"description": "How many servers are to be watched that are not among `asked`; null without that."},
    )


class AlertQuery(PageQuery):
    status = choice(ALERT, "Only alerts in this state (default: those not resolved).")


class AlertSchema(Answer):
    id = fields.String(required=True)
    server_id = fields.String(required=True)
    gpu_id = fields.String(required=True, allow_none=True)
    type = fields.String(required=True)
    severity = fields.String(required=True)
    message = fields.String(required=True)
    status = fields.String(required=True)
    value = fields.Float(required=True, allow_none=True)
    threshold = fields.Float(required=True, allow_none=True)
    classifications = fields.List(fields.String(), required=True)
    acknowledged = fields.Boolean(required=True)
    created_at = fields.AwareDateTime(required=True)
    fired_at = fields.AwareDateTime(required=True, allow_none=True)
    resolved_at = fields.AwareDateTime(required=True, allow_none=True)


class TemplateSchema(Answer):
    id = fields.String(required=True)
    name = fields.String(required=True)
    version = fields.String(required=True)
    kind = fields.String(required=True)
    description = fields.String(required=True, allow_none=True)
    created_at = fields.AwareDateTime(required=True)


class ImageSchema(Answer):
    id = fields.String(required=True)
    url = fields.String(required=True)
    sha256 = fields.String(required=True)
    signature = fields.String(required=True, allow_none=True)
    os = fields.String(required=True, allow_none=True)
    driver_version = fields.String(required=True, allow_none=True)
    created_at = fields.AwareDateTime(required=True)


class NetworkSchema(Answer):
    id = fields.String(required=True)
    name = fields.String(required=True)
    purpose = fields.String(required=True)
    vlan = fields.Integer(required=True)
    vni = fields.Integer(required=True, allow_none=True)
    cidr = fields.String(required=True)
    gateway = fields.String(required=True, allow_none=True)
    allocation_id = fields.String(required=True, allow_none=True, metadata={"description": "Whose it is now."})


AlertPageSchema = page_of(AlertSchema, "AlertPage")
TemplatePageSchema = page_of(TemplateSchema, "TemplatePage")
ImagePageSchema = page_of(ImageSchema, "ImagePage")
NetworkPageSchema = page_of(NetworkSchema, "NetworkPage")
