"""Servers: what there is, what an inspection saw, flags, import, credentials."""

from __future__ import annotations

from marshmallow import fields, validate

from api.schemas.base import Answer, PageQuery, Request, page_of, text
from api.schemas.gpus import GpuSchema


class ServerQuery(PageQuery):
    state = text("Only servers in this state.", length=32)
    pool = text("Only servers of this pool.")
    rack = text("Only servers in this rack.")
    model = text("Only servers whose model has this in its name.")


class NicSchema(Answer):
    mac = fields.String(required=True)
    switch = fields.String(required=True, allow_none=True, metadata={"description": "The switch's name."})
    switch_port = fields.String(required=True, allow_none=True)


class ServerSchema(Answer):
    id = fields.String(required=True)
    name = fields.String(required=True)
    state = fields.String(required=True, attribute="status")
    state_reason = fields.String(required=True, allow_none=True, attribute="status_reason")
    state_since = fields.AwareDateTime(required=True, attribute="status_since")
    hands_off = fields.Boolean(required=True)
    hands_off_reason = fields.String(required=True, allow_none=True)
    warm = fields.Boolean(required=True)
    manufacturer = fields.String(required=True, allow_none=True)
    model = fields.String(required=True, allow_none=True)
    serial_number = fields.String(required=True, allow_none=True)
    rack = fields.String(required=True, allow_none=True)
    pool = fields.String(required=True, allow_none=True)
    nvlink_domain = fields.String(required=True, allow_none=True)
    bmc_address = fields.String(required=True, attribute="bmc_ip")
    bmc_port = fields.Integer(required=True, allow_none=True)
    bmc_protocol = fields.String(required=True)
    bmc_validate_certs = fields.Boolean(required=True)
    bmc_ca_path = fields.String(required=True, allow_none=True)
    bmc_fingerprint = fields.String(required=True, allow_none=True)
    capabilities = fields.Dict(required=True, allow_none=True)
    cpu_count = fields.Integer(required=True, allow_none=True)
    memory_gb = fields.Integer(required=True, allow_none=True)
    storage_gb = fields.Integer(required=True, allow_none=True)
    disks = fields.List(fields.String(), required=True)
    gpu_count = fields.Integer(required=True, allow_none=True)
    gpu_model = fields.String(required=True, allow_none=True)
    gpu_memory_gb = fields.Integer(required=True, allow_none=True)
    nics = fields.List(fields.Nested(NicSchema), required=True)
    gpus = fields.List(fields.Nested(GpuSchema), required=True)
    created_at = fields.AwareDateTime(required=True)
    updated_at = fields.AwareDateTime(required=True, allow_none=True)


class FlagsSchema(Request):
    hands_off = fields.Boolean(
        required=True,
        truthy={True},
        falsy={False},
        metadata={"description": "While true no step is begun on the server, whichever door asks."},
    )
    reason = text("Why; shown to everybody who is stopped by it.", length=1024, allow_none=True)


class ImportSchema(Request):
    """The fleet's document: see ARCHITECTURE.md, "The import document"."""

    networks = fields.List(fields.Dict(), validate=validate.Length(max=4096))
    switches = fields.List(fields.Dict(), validate=validate.Length(max=4096))
    servers = fields.List(fields.Dict(), validate=validate.Length(max=10_000))


class ImportedSchema(Answer):
    """What the import did, as counts by kind."""

    created = fields.Dict(keys=fields.String(), values=fields.Integer(), required=True)
    updated = fields.Dict(keys=fields.String(), values=fields.Integer(), required=True)
    unchanged = fields.Dict(keys=fields.String(), values=fields.Integer(), required=True)


class CredentialSchema(Answer):
    username = fields.String(required=True)
    password = fields.String(required=True)


ServerPageSchema = page_of(ServerSchema, "ServerPage")
