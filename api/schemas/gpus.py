"""GPUs: which are free, and how one is doing."""

from __future__ import annotations

from marshmallow import fields

from api.schemas.base import Answer, PageQuery, page_of, text


class AvailableQuery(PageQuery):
    model = text("Only GPUs whose model has this in its name, such as H100.")
    pool = text("Only GPUs of servers in this pool.")


class GpuSchema(Answer):
    id = fields.String(required=True)
    slot = fields.String(required=True, metadata={"description": "The name that the BMC gives it."})
    kind = fields.String(required=True)
    model = fields.String(required=True, allow_none=True)
    serial_number = fields.String(required=True, allow_none=True)
    memory_gb = fields.Integer(required=True, allow_none=True, metadata={"description": "The marketed figure."})
    status = fields.String(required=True)
    server_id = fields.String(required=True)
    server = fields.String(required=True, metadata={"description": "The server's name."})


class FiguresSchema(Answer):
    """The latest sample; unknown is null."""

    timestamp = fields.AwareDateTime(required=True)
    gpu_usage = fields.Float(required=True, allow_none=True, metadata={"description": "Percent."})
    memory_usage = fields.Float(required=True, allow_none=True, metadata={"description": "Percent."})
    temperature = fields.Float(required=True, allow_none=True, metadata={"description": "Celsius."})
    memory_temperature = fields.Float(required=True, allow_none=True, metadata={"description": "Celsius."})
    margin_celsius = fields.Float(
        required=True, allow_none=True, metadata={"description": "Celsius left to the slow-down temperature."}
    )
    power_consumption = fields.Float(required=True, allow_none=True, metadata={"description": "Watts."})


class GpuStatusSchema(GpuSchema):
    pci_address = fields.String(required=True, allow_none=True)
    uuid = fields.String(required=True, allow_none=True)
    status_since = fields.AwareDateTime(required=True)
    server_status = fields.String(required=True)
    allocation_id = fields.String(
        required=True, allow_none=True, metadata={"description": "Who holds it, where the caller may know."}
    )
    figures = fields.Nested(FiguresSchema, required=True, allow_none=True)


GpuPageSchema = page_of(GpuSchema, "GpuPage")
