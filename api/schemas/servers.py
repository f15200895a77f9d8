"""Servers: what there is, what an inspection saw, flags, import, credentials."""

from __future__ import annotations

from typing import Any

from marshmallow import INCLUDE, Schema, ValidationError, fields, validate, validates_schema

from api.schemas.base import NO_OBJECT, Answer, Flag, PageQuery, Request, choice, page_of, text
from api.schemas.gpus import GpuSchema
from fleet.states import OPERATORS_STATES, SERVER


class ServerQuery(PageQuery):
    state = choice(SERVER, "Only servers in this state.")
    pool = text("Only servers of this pool.")
    rack = text("Only servers in this rack.")
    model = text("Only servers whose model has this in its name.")


class NicSchema(Answer):
    mac = fields.String(required=True)
    switch = fields.String(required=True, allow_none=True, metadata={"description": "The switch's name."})
    switch_port = fields.String(required=True, allow_none=True)
    lldp_switch = fields.String(required=True, allow_none=True, metadata={"description": "Who was last heard there."})
    lldp_port = fields.String(required=True, allow_none=True)
    lldp_seen_at = fields.AwareDateTime(required=True, allow_none=True)


class Facts(Schema):
    """What hardware said: more than we know is no error."""

    error_messages = NO_OBJECT

    class Meta:
        unknown = INCLUDE


def number(description: str, low: int, high: int) -> fields.Integer:
    """A whole number or its decimal text (spreadsheets), within bounds; null is unknown."""
    return fields.Integer(
        allow_none=True, validate=validate.Range(min=low, max=high), metadata={"description": description}
    )


class WantedProfileSchema(Answer):
    bios = fields.Dict(keys=fields.String(), required=True, metadata={"description": "Wanted BIOS attributes."})
    boot_order = fields.List(fields.String(), required=True)


class ServerSchema(Answer):
    id = fields.String(required=True)
    name = fields.String(required=True)
    state = fields.String(required=True, attribute="status")
    state_reason = fields.String(required=True, allow_none=True, attribute="status_reason")
    state_since = fields.AwareDateTime(required=True, attribute="status_since")
    watched = fields.Boolean(
        required=True, metadata={"description": "In this state its figures are collected, kept and judged."}
    )
    hands_off = fields.Boolean(required=True)
    hands_off_reason = fields.String(required=True, allow_none=True)
    warm = fields.Boolean(required=True)
    needs_clean = fields.Boolean(
        required=True,
        metadata={
            "description": "Somebody may have left something on it: it is offered only after a clean that ended well."
        },
    )
    manufacturer = fields.String(required=True, allow_none=True)
    model = fields.String(required=True, allow_none=True)
    serial_number = fields.String(required=True, allow_none=True)
    rack = fields.String(required=True, allow_none=True)
    rack_unit = fields.Integer(required=True, allow_none=True)
    model_class = fields.String(required=True, allow_none=True)
    tags = fields.List(fields.String(), required=True, allow_none=True)
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
    hardware_profile = fields.Nested(
        WantedProfileSchema, required=True, allow_none=True, metadata={"description": "What it should be set to."}
    )
    nics = fields.List(fields.Nested(NicSchema), required=True)
    gpus = fields.List(fields.Nested(GpuSchema), required=True)
    created_at = fields.AwareDateTime(required=True)
    updated_at = fields.AwareDateTime(required=True, allow_none=True)


class ServerDetailSchema(ServerSchema):
    inspected_at = fields.AwareDateTime(required=True, allow_none=True)
    findings = fields.List(
        fields.String(), required=True, metadata={"description": "What the last inspection has against it."}
    )
    notes = fields.List(
        fields.String(), required=True, metadata={"description": "What it left out or could not check."}
    )
    tinkerbell = fields.Dict(
        required=True,
        metadata={
            "description": "Name, namespace and spec of the Hardware that declares the idle server to Tinkerbell."
        },
    )


class FlagsSchema(Request):
    hands_off = Flag(
        required=True,
        metadata={"description": "While true no step is begun on the server, whichever door asks."},
    )
    reason = text("Why; shown to everybody who is stopped by it.", length=1024, allow_none=True)
    owner = text(
        "How the caller's own reasons begin: a flag that is set for a reason that begins otherwise stays as it is, "
        "and the answer is 409 `hands_off_held`. Without it any flag is replaced, which automation may not do.",
        length=1024,
        allow_none=True,
    )


class StateSchema(Request):
    state = choice(OPERATORS_STATES, "Where to put it.", required=True)
    reason = text("Why; shown with the server.", length=1024, required=True)


class NetworkEntrySchema(Request):
    name = text("A DNS label.", length=63, required=True)
    purpose = choice(("provisioning", "quarantine", "tenant", "management"), "What it is for.", allow_none=True)
    vlan = number("VLAN id.", 1, 4094)
    vni = number("VXLAN network identifier.", 1, 2**24 - 1)
    cidr = text("Addresses, such as 10.0.0.0/24.", length=64, allow_none=True)
    gateway = text("Address of the gateway.", length=64, allow_none=True)


class SwitchEntrySchema(Request):
    name = text("A DNS label.", length=63, required=True)
    address = text("Address or name.", length=255, allow_none=True)
    grpc_port = number("Port of gNMI.", 1, 65535)
    dialect = text("How the network OS speaks OpenConfig.", length=32, allow_none=True)
    username = text("User of gNMI.", allow_none=True)
    password = text("Its password; kept encrypted.", length=1024, allow_none=True)
    ca_path = text("PEM file to verify the switch with.", length=1024, allow_none=True)


class NicEntrySchema(Request):
    mac = text("MAC address.", length=17, required=True)
    switch = text("Name of the switch.", length=63, allow_none=True)
    port = text("Interface of the switch.", allow_none=True)


class ProfileEntrySchema(Request):
    bios = fields.Dict(keys=fields.String(), allow_none=True, metadata={"description": "Wanted BIOS attributes."})
    boot_order = fields.List(text("A boot option."), allow_none=True, validate=validate.Length(max=64))


class ServerEntrySchema(Request):
    name = text("A DNS label; the inventory_hostname.", length=63, required=True)
    bmc_address = text("Address or name of the BMC.", length=255, allow_none=True)
    bmc_port = number("Port of the BMC.", 1, 65535)
    bmc_protocol = choice(("auto", "redfish", "ipmi"), "How the BMC is spoken to.", allow_none=True)
    bmc_username = text("User of the BMC.", allow_none=True)
    bmc_password = text("Its password; kept encrypted.", length=1024, allow_none=True)
    bmc_ca_path = text("PEM file to verify the BMC with.", length=1024, allow_none=True)
    bmc_validate_certs = fields.Boolean(allow_none=True)
    bmc_fingerprint = text("Pinned certificate.", allow_none=True)
    rack = text("Rack.", allow_none=True)
    rack_unit = number("Lowest rack unit that it takes.", 1, 100)
    pool = text("Pool.", allow_none=True)
    nvlink_domain = text("NVLink domain.", allow_none=True)
    model_class = text("Model class, as the enrolment rules define it.", allow_none=True)
    tags = fields.List(text("A tag."), allow_none=True, validate=validate.Length(max=64))
    cpu_count = number("CPU sockets.", 1, 65536)
    memory_gb = number("Main memory.", 1, 2**24)
    storage_gb = number("Local storage.", 1, 2**30)
    nics = fields.List(fields.Nested(NicEntrySchema), allow_none=True, validate=validate.Length(max=64))
    disks = fields.List(text("A device path."), allow_none=True, validate=validate.Length(max=256))
    hardware_profile = fields.Nested(ProfileEntrySchema, allow_none=True)


class ImportSchema(Request):
    """The fleet's document: see ARCHITECTURE.md, "The import document"."""

    networks = fields.List(fields.Nested(NetworkEntrySchema), validate=validate.Length(max=4096))
    switches = fields.List(fields.Nested(SwitchEntrySchema), validate=validate.Length(max=4096))
    servers = fields.List(fields.Nested(ServerEntrySchema), validate=validate.Length(max=10_000))


class FoundGpuSchema(Facts):
    id = text("The BMC's name for the slot.", allow_none=True)
    model = text("Model.", allow_none=True)
    serial_number = text("Serial number.", allow_none=True)
    memory_gb = number("Memory as it is marketed.", 1, 2**20)
    pci_address = text("PCI address.", length=32, allow_none=True)
    uuid = text("UUID.", length=64, allow_none=True)


class FoundNicSchema(Facts):
    mac = text("MAC address; what is none is left out with a note.", length=1024, allow_none=True)
    speed_mbps = number("Speed of the link.", 0, 2**31)


class FoundPartSchema(Facts):
    id = text("The BMC's name for the place.", length=255, allow_none=True)
    name = fields.String(
        allow_none=True, validate=validate.Length(max=255), metadata={"description": "The name that a person reads."}
    )
    width = number("PCIe lanes.", 0, 1024)
    generation = number("PCIe generation.", 0, 1024)
    size_gb = fields.Float(allow_none=True, validate=validate.Range(0, 2**30), metadata={"description": "Size."})
    serial_number = text("Serial number.", allow_none=True)
    state = text("Redfish's Status.State, as Enabled or Absent.", length=64, allow_none=True)
    health = text("Redfish's Status.Health.", length=64, allow_none=True)


class FoundDiskSchema(Facts):
    device = text("Device path.", required=True)


class BmcFactsSchema(Facts):
    """What `bmc_info` returns as `bmc`; what the record has no place for is ignored."""

    manufacturer = text("Maker.", allow_none=True)
    model = text("Model.", allow_none=True)
    serial_number = text("Serial number.", allow_none=True)
    protocol = text("How the BMC was spoken to.", length=16, allow_none=True)
    bios_version = text("BIOS version.", allow_none=True)
    bmc_firmware_version = text("Version of the BMC's firmware.", allow_none=True)
    cpu_count = number("CPU sockets.", 0, 65536)
    memory_gb = number("Main memory.", 0, 2**24)
    storage_gb = number("Local storage.", 0, 2**30)
    capabilities = fields.Dict(keys=fields.String(), allow_none=True)
    bios_attributes = fields.Dict(keys=fields.String(), allow_none=True)
    raid_config = fields.Dict(keys=fields.String(), allow_none=True)
    disks = fields.List(fields.Nested(FoundDiskSchema), allow_none=True, validate=validate.Length(max=256))
    gpus = fields.List(fields.Nested(FoundGpuSchema), allow_none=True, validate=validate.Length(max=256))
    dimms = fields.List(fields.Nested(FoundPartSchema), allow_none=True, validate=validate.Length(max=1024))
    drives = fields.List(fields.Nested(FoundPartSchema), allow_none=True, validate=validate.Length(max=1024))
    adapters = fields.List(fields.Nested(FoundPartSchema), allow_none=True, validate=validate.Length(max=1024))
    links = fields.List(fields.Nested(FoundPartSchema), allow_none=True, validate=validate.Length(max=1024))
    nics = fields.List(fields.Nested(FoundNicSchema), allow_none=True, validate=validate.Length(max=1024))


class InspectionSchema(BmcFactsSchema):
    """The facts as they are, or under `bmc`; and what the NICs saw."""

    bmc = fields.Nested(BmcFactsSchema)
    enrol = Flag(metadata={"description": "false: a server that is enrolled stays so, to be adopted."})


class ImportedSchema(Answer):
    """What the import did, as counts by kind."""

    created = fields.Dict(keys=fields.String(), values=fields.Integer(), required=True)
    updated = fields.Dict(keys=fields.String(), values=fields.Integer(), required=True)
    unchanged = fields.Dict(keys=fields.String(), values=fields.Integer(), required=True)


class CredentialSchema(Answer):
    username = fields.String(required=True)
    password = fields.String(required=True)
    rotated_at = fields.AwareDateTime(
        required=True, allow_none=True, metadata={"description": "When the password was last changed."}
    )
    proposal = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "The change that is under way, else the last one that was confirmed."},
    )
    proposed_username = fields.String(
        required=True, allow_none=True, metadata={"description": "The user name after the change, if it changes."}
    )
    proposed_password = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "What a change that is under way gives the BMC; null when none is."},
    )
    proposed_at = fields.AwareDateTime(required=True, allow_none=True)


PHASES = ("propose", "confirm", "withdraw")


class CredentialChangeSchema(Request):
    """A phase of changing a BMC's password: propose it before the BMC gets it, confirm it after a login with it."""

    phase = choice(PHASES, "What is being said.", required=True)
    proposal = text("Which change is confirmed or withdrawn.", length=40)
    password = text("propose: the new password; made up when left out.", length=127)
    username = text("propose: the user name that goes with it; the present one when left out.")
    current = text("propose: what opens the BMC now, where the record has nothing yet.", length=127)
    length = fields.Integer(
        load_default=16,
        validate=validate.Range(min=8, max=64),
        metadata={"description": "propose: how many characters the made-up password has."},
    )
    older_than_s = number("propose: only when the password was last changed longer ago than this.", 0, 2**31)

    @validates_schema
    def _complete(self, data: dict[str, Any], **_: Any) -> None:
        if data.get("phase") in ("confirm", "withdraw") and not data.get("proposal"):
            raise ValidationError("is needed to confirm or withdraw", "proposal")


ServerPageSchema = page_of(ServerSchema, "ServerPage")
