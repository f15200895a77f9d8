"""Asking for GPUs, what one gets, giving back."""

from __future__ import annotations

from marshmallow import Schema, ValidationError, fields, post_load, validate, validates_schema

from api.schemas.base import Answer, Moment, PageQuery, Request, choice, count, page_of, text
from api.schemas.users import KEY_LENGTH, key_or_name
from fleet.states import ALLOCATION

EXECUTORS = ("service", "external", "awx")


class AllocateSchema(Request):
    gpu_count = count(
        "GPUs wanted; a bare-metal request takes whole servers.", at_least=1, at_most=100_000, allow_none=True
    )
    gpu_model = text("Part of the GPU's model name, such as H100.", allow_none=True)
    kind = choice(("server", "shared"), "Whole servers, or GPUs of a shared one.", load_default="server")
    server_count = count("Servers wanted, instead of gpu_count.", at_least=1, at_most=10_000, allow_none=True)
    template = text("Name of the operating system's template, such as ubuntu-24.04.", required=True)
    template_version = text("Version of the template; default: the newest published.", length=64, allow_none=True)
    parameters = fields.Dict(
        keys=fields.String(validate=validate.Length(min=1, max=128)),
        values=fields.Raw(allow_none=True),
        allow_none=True,
        metadata={"description": "Parameters that the template declares."},
    )
    ssh_keys = fields.List(
        fields.String(
            validate=[validate.Length(min=1, max=KEY_LENGTH), key_or_name],
            metadata={"description": "Id of one of your keys, its name, or a public key line."},
        ),
        validate=validate.Length(max=64),
        allow_none=True,
        metadata={"description": "Keys that may log in; default: all of yours."},
    )
    start = Moment(allow_none=True, metadata={"description": "When it begins (RFC 3339); default: now."})
    end = Moment(allow_none=True, metadata={"description": "When the lease ends (RFC 3339)."})
    request = text(
        "Name of the request: repeating it gives the same allocation. Idempotency-Key says the same.", allow_none=True
    )
    on_behalf_of = text("User who gets it (operators and automation).", allow_none=True)
    executor = choice(EXECUTORS, "Who runs the playbook.", load_default="service")

    @validates_schema
    def _some_size(self, data: dict[str, object], **_: object) -> None:
        if data.get("gpu_count") is None and data.get("server_count") is None:
            raise ValidationError("Say gpu_count or server_count.", "gpu_count")

    @post_load
    def _null_is_absent(self, data: dict[str, object], **_: object) -> dict[str, object]:
        return {name: value for name, value in data.items() if value is not None}


class AllocateHeaders(Schema):
    idempotency_key = text(
        "Name of the request, unless the body says one: repeating it gives the same allocation.",
        data_key="Idempotency-Key",
    )


class PreferHeaders(Schema):
    prefer = text(
        "`wait=N`: answer 200 when it has succeeded within N seconds (at most 60), else 202; at once when it failed.",
        length=256,
        data_key="Prefer",
    )


class LinksSchema(Answer):
    allocation = fields.String(metadata={"description": "Where to read the allocation."})
    workflow = fields.String(metadata={"description": "Where to read the workflow."})
    events = fields.String(metadata={"description": "Where to read the workflow's events."})


class AcceptedSchema(Answer):
    """What a request that starts a workflow answers."""

    allocation_id = fields.String(required=True, allow_none=True)
    workflow_id = fields.String(required=True, allow_none=True)
    status = fields.String(required=True, metadata={"description": "State of the allocation now."})
    links = fields.Nested(LinksSchema, required=True)


class AllocatedServerSchema(Answer):
    id = fields.String(required=True)
    name = fields.String(required=True)
    rank = fields.Integer(required=True)
    state = fields.String(required=True)
    address = fields.String(required=True, allow_none=True)
    ssh_port = fields.Integer(required=True, allow_none=True)
    ssh_user = fields.String(required=True, allow_none=True)
    gpus = fields.List(fields.String(), required=True, metadata={"description": "Ids of its GPUs."})


class AllocationSchema(Answer):
    id = fields.String(required=True)
    status = fields.String(required=True)
    end_reason = fields.String(required=True, allow_none=True)
    user_id = fields.String(required=True)
    username = fields.String(required=True)
    request = fields.String(required=True, allow_none=True)
    kind = fields.String(required=True)
    gpu_count = fields.Integer(required=True)
    gpu_model = fields.String(required=True, allow_none=True)
    template = fields.String(required=True, allow_none=True)
    template_version = fields.String(required=True, allow_none=True)
    parameters = fields.Dict(required=True, allow_none=True)
    executor = fields.String(required=True, allow_none=True)
    workflow_id = fields.String(required=True, allow_none=True, metadata={"description": "The current workflow."})
    start_time = fields.AwareDateTime(required=True, allow_none=True)
    end_time = fields.AwareDateTime(required=True, allow_none=True)
    created_at = fields.AwareDateTime(required=True)
    updated_at = fields.AwareDateTime(required=True, allow_none=True)
    servers = fields.List(fields.Nested(AllocatedServerSchema), required=True)


class AllocationQuery(PageQuery):
    status = choice(ALLOCATION, "Only allocations in this state.")
    request = text("Only the allocation of this request name.")


class ReleaseQuery(Request):
    executor = choice(EXECUTORS, "Who runs the playbook.", load_default="service")


AllocationPageSchema = page_of(AllocationSchema, "AllocationPage")
