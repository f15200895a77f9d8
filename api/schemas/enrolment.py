"""Enrolment: the delivery list, rules, exchanged parts, adoption, topology."""

from __future__ import annotations

from marshmallow import fields, validate

from api.schemas.base import Answer, Flag, Moment, PageQuery, Request, choice, page_of, text
from api.schemas.servers import number

MACHINE_LIMIT = 10_000


class ExpectedEntrySchema(Request):
    serial_number = text("Serial number of the machine.", required=True)
    name = text("The name that its server will have.", length=63, allow_none=True)
    bmc_address = text("Where its BMC will answer.", length=255, allow_none=True)
    rack = text("Rack.", allow_none=True)
    rack_unit = number("Lowest rack unit that it takes.", 1, 100)
    pool = text("Pool; goes before what the rules say.", allow_none=True)
    nvlink_domain = text("NVLink domain.", allow_none=True)
    model_class = text("Model class of the rules; goes before what they say.", allow_none=True)
    tags = fields.List(text("A tag."), allow_none=True, validate=validate.Length(max=64))


class ExpectedListSchema(Request):
    machines = fields.List(
        fields.Nested(ExpectedEntrySchema), required=True, validate=validate.Length(max=MACHINE_LIMIT)
    )
    replace = Flag(
        load_default=False, metadata={"description": "Machines that the list does not name are expected no longer."}
    )


class ExpectedMachineSchema(Answer):
    id = fields.String(required=True)
    serial_number = fields.String(required=True)
    name = fields.String(required=True, allow_none=True)
    bmc_address = fields.String(required=True, allow_none=True)
    rack = fields.String(required=True, allow_none=True)
    rack_unit = fields.Integer(required=True, allow_none=True)
    pool = fields.String(required=True, allow_none=True)
    nvlink_domain = fields.String(required=True, allow_none=True)
    model_class = fields.String(required=True, allow_none=True)
    tags = fields.List(fields.String(), required=True, allow_none=True)
    created_at = fields.AwareDateTime(required=True)


class FindingSchema(Answer):
    status = fields.String(
        required=True, metadata={"description": "present, differs, missing, wrong_serial or unexpected."}
    )
    serial_number = fields.String(required=True, metadata={"description": "The one that is expected."})
    text = fields.String(required=True)
    server = fields.String(required=True, allow_none=True)
    found_serial = fields.String(required=True, allow_none=True)
    expected = fields.Nested(ExpectedMachineSchema, required=True, allow_none=True)
    differences = fields.Dict(keys=fields.String(), required=True)


class ReconciliationSchema(Answer):
    counts = fields.Dict(keys=fields.String(), values=fields.Integer(), required=True)
    items = fields.List(fields.Nested(FindingSchema), required=True)


class ReconciliationQuery(Request):
    status = choice(("present", "differs", "missing", "wrong_serial", "unexpected"), "Only lines of this status.")


class RulesSchema(Request):
    content = fields.String(
        required=True,
        validate=validate.Length(max=64 * 1024),
        metadata={"description": "The rule file (YAML) as it is."},
    )


class RulesAnswerSchema(Answer):
    version = fields.Integer(required=True, metadata={"description": "0 where the record holds none."})
    content = fields.String(required=True, allow_none=True)
    created_by = fields.String(required=True, allow_none=True)
    created_at = fields.AwareDateTime(required=True, allow_none=True)
    source = fields.String(required=True, metadata={"description": "record, the path of the file in force, or none."})


class RulesCheckSchema(Request):
    server = text("A server that was inspected, by name or id.", required=True)
    content = fields.String(
        allow_none=True,
        validate=validate.Length(max=64 * 1024),
        metadata={"description": "A rule file to try; without it the rules in force."},
    )


class ConditionSchema(Answer):
    text = fields.String(required=True)
    value = fields.Raw(required=True, allow_none=True, metadata={"description": "What the fact is."})
    holds = fields.Boolean(required=True)


class OutcomeSchema(Answer):
    rule = fields.String(required=True)
    fired = fields.Boolean(required=True)
    looked_at = fields.Boolean(required=True, metadata={"description": "false: an earlier rule had decided already."})
    conditions = fields.List(fields.Nested(ConditionSchema), required=True)
    sets = fields.Dict(keys=fields.String(), required=True)


class VerdictSchema(Answer):
    server = fields.String(required=True)
    assigned = fields.Dict(keys=fields.String(), required=True)
    by = fields.Dict(keys=fields.String(), values=fields.String(), required=True)
    outcomes = fields.List(fields.Nested(OutcomeSchema), required=True)
    findings = fields.List(
        fields.String(), required=True, metadata={"description": "What its class has against the last facts."}
    )
    notes = fields.List(fields.String(), required=True)


class ReplacePartSchema(Request):
    kind = choice(("gpu", "board", "dimm", "drive", "nic"), "What is exchanged.", required=True)
    old_serial = text("Serial number of the part that goes; of a NIC also its MAC address.", required=True)
    new_serial = text("That of the part that comes, where it is known.", allow_none=True)
    reason = text("Why.", length=1024, required=True)


class ReplacementSchema(Answer):
    id = fields.String(required=True)
    kind = fields.String(required=True)
    gpu_id = fields.String(required=True, allow_none=True)
    old_serial = fields.String(required=True)
    new_serial = fields.String(required=True, allow_none=True)
    reason = fields.String(required=True)
    announced_by = fields.String(required=True)
    created_at = fields.AwareDateTime(required=True)
    found_serial = fields.String(required=True, allow_none=True)
    accepted_at = fields.AwareDateTime(
        required=True, allow_none=True, metadata={"description": "When an inspection saw it; null: not yet."}
    )


class AdoptSchema(Request):
    user = text("Who uses the server.", required=True)
    template = text("What runs there, if it is one of the templates.", allow_none=True)
    template_version = text("Its version.", length=63, allow_none=True)
    network = text("The tenant network that it is on, if the record manages it.", length=63, allow_none=True)
    address = text("Its address there.", length=45, allow_none=True)
    end = Moment(allow_none=True, metadata={"description": "End of the lease."})
    waive_quota = Flag(load_default=False, metadata={"description": "Administrators only: whatever the quota says."})


class PlaceSchema(Answer):
    name = fields.String(required=True)
    rack_unit = fields.Integer(required=True, allow_none=True)


class PortSchema(Answer):
    switch = fields.String(required=True)
    port = fields.String(required=True)
    server = fields.String(required=True)
    mac = fields.String(required=True)
    source = fields.String(required=True, metadata={"description": "recorded, lldp or both."})


class TopologySchema(Answer):
    racks = fields.Dict(keys=fields.String(), values=fields.List(fields.Nested(PlaceSchema)), required=True)
    nvlink_domains = fields.Dict(keys=fields.String(), values=fields.List(fields.String()), required=True)
    ports = fields.List(fields.Nested(PortSchema), required=True)
    conflicts = fields.List(fields.String(), required=True)


class HeardPortSchema(Request):
    interface = text("The switch's name for the port.", required=True)
    macs = fields.List(text("MAC address of a neighbour."), required=True, validate=validate.Length(max=64))


class HeardSchema(Request):
    ports = fields.List(fields.Nested(HeardPortSchema), required=True, validate=validate.Length(max=4096))


class HeardAnswerSchema(Answer):
    stored = fields.Integer(required=True)
    unknown_macs = fields.List(
        fields.String(), required=True, metadata={"description": "Addresses of no known interface."}
    )


class ExpectedQuery(PageQuery):
    rack = text("Only machines of this rack.")


ReplacementPageSchema = page_of(ReplacementSchema, "ReplacementPage")
ExpectedPageSchema = page_of(ExpectedMachineSchema, "ExpectedMachinePage")
