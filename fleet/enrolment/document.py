"""What can be said of an import document by itself: every value within its bounds, no two entries alike."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from fleet.enrolment import values
from fleet.enrolment.passwords import Sealed
from fleet.enrolment.values import Errors, wrong
from fleet.errors import Invalid
from fleet.ids import new_id

BMC_PROTOCOLS = ("auto", "redfish", "ipmi")
NETWORK_FIELDS = frozenset({"name", "purpose", "vlan", "cidr", "gateway", "vni"})
SWITCH_FIELDS = frozenset({"name", "address", "grpc_port", "dialect", "username", "password", "ca_path"})
SERVER_NUMBERS = {
    "bmc_port": 65535,
    "rack_unit": 100,
    "cpu_count": 65536,
    "memory_gb": 2**24,
    "storage_gb": 2**30,
}
SERVER_TEXTS = {
    "bmc_protocol": 16,
    "bmc_username": 128,
    "bmc_ca_path": 1024,
    "bmc_fingerprint": 128,
    "rack": 128,
    "pool": 128,
    "nvlink_domain": 128,
    "model_class": 128,
}
SERVER_FIELDS = frozenset(
    {
        "name", "bmc_address", "bmc_password", "bmc_validate_certs", "nics", "disks", "tags", "hardware_profile",
        *SERVER_NUMBERS, *SERVER_TEXTS,
    }
)  # fmt: skip
# where a BMC answers when the record does not say
_STANDARD_PORTS = {"ipmi": 623}


# an entry, and its place in the document
Placed = tuple[str, dict[str, Any]]


@dataclass(slots=True)
class NicEntry:
    """One interface of a document's server."""

    mac: str
    switch: str | None
    port: str | None


@dataclass(slots=True)
class ServerEntry:
    """A server of the document whose values are in order. `new_id` is its id if the record has none of that name."""

    pointer: str
    name: str
    values: dict[str, Any]
    nics: list[NicEntry] | None
    profile: dict[str, Any] | None
    password: str | None = field(repr=False)
    new_id: str = field(default_factory=lambda: new_id("srv"))
    sealed: Sealed | None = None


@dataclass(slots=True)
class Document:
    """An import document whose values are in order by themselves."""

    networks: list[Placed]
    switches: list[Placed]
    servers: list[ServerEntry]

    def __len__(self) -> int:
        return len(self.networks) + len(self.switches) + len(self.servers)


def prepare(document: dict[str, Any]) -> Document:
    """The document's entries; Invalid names all that are wrong."""
    unknown = sorted(set(document) - {"networks", "switches", "servers"})
    if unknown:
        raise Invalid(f"unknown parts of the document: {', '.join(unknown)}", code="invalid_import")
    errors = Errors()
    lists = {kind: _entries(document, kind, errors) for kind in ("networks", "switches", "servers")}
    servers = []
    for pointer, entry in lists["servers"]:
        try:
            servers.append(_server_entry(pointer, entry))
        except Invalid as problem:
            errors.add(pointer, problem)
    _apart(servers, errors)
    for pointer, entry in lists["switches"]:
        try:
            switch_values(entry)
        except Invalid as problem:
            errors.add(pointer, problem)
    errors.raise_if_any()
    return Document(lists["networks"], lists["switches"], servers)


def _entries(document: dict[str, Any], kind: str, errors: Errors) -> list[Placed]:
    """The entries of one kind whose names are in order and not yet taken in the document."""
    entries = document.get(kind)
    if entries is None:
        return []
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise Invalid(f"{kind} is a list of mappings", code="invalid_import")
    fields = {"networks": NETWORK_FIELDS, "switches": SWITCH_FIELDS, "servers": SERVER_FIELDS}[kind]
    singular = {"networks": "network", "switches": "switch", "servers": "server"}[kind]
    seen: set[str] = set()
    good = []
    for position, entry in enumerate(entries):
        pointer = f"/{kind}/{position}"
        try:
            name = values.name(singular, entry.get("name", ""))
            if name in seen:
                raise Invalid(f"{kind}: {name} is listed twice", code="invalid_import")
            seen.add(name)
            values.only(singular, entry, fields)
        except Invalid as problem:
            errors.add(pointer, problem)
        else:
            good.append((pointer, entry))
    return good


def switch_values(entry: dict[str, Any]) -> dict[str, Any]:
    """The columns of a switch that the entry names."""
    limits = {"address": 255, "dialect": 32, "username": 128, "ca_path": 1024}
    texts = {key: values.text("switch", entry, key, limit) for key, limit in limits.items()}
    found: dict[str, Any] = {key: value for key, value in texts.items() if value is not None}
    if "address" in found:
        found["address"] = values.address("switch", entry["name"], "address", found["address"])
    port = values.number("switch", entry, "grpc_port", 1, 65535)
    if port is not None:
        found["grpc_port"] = port
    values.text("switch", entry, "password", 1024)
    return found


def _server_entry(pointer: str, entry: dict[str, Any]) -> ServerEntry:
    name = entry["name"]
    found: dict[str, Any] = {}
    for key, high in SERVER_NUMBERS.items():
        number = values.number("server", entry, key, 1, high)
        if number is not None:
            found[key] = number
    for key, limit in SERVER_TEXTS.items():
        text = values.text("server", entry, key, limit)
        if text is not None:
            found[key] = text
    address = values.text("server", entry, "bmc_address", 255)
    if address:
        found["bmc_ip"] = values.address("server", name, "bmc_address", address)
    if found.get("bmc_protocol", "auto") not in BMC_PROTOCOLS:
        raise wrong("server", name, f"bmc_protocol is one of {', '.join(BMC_PROTOCOLS)}")
    if entry.get("bmc_validate_certs") not in (None, ""):
        found["bmc_validate_certs"] = values.boolean("server", entry, "bmc_validate_certs")
    for key, check in (("disks", _disks), ("tags", _tags)):
        if entry.get(key) not in (None, ""):
            found[key] = check(name, entry[key])
    return ServerEntry(
        pointer,
        name,
        found,
        _nic_entries(name, entry["nics"]) if entry.get("nics") is not None else None,
        _profile_values(name, entry.get("hardware_profile")),
        values.text("server", entry, "bmc_password", 1024),
    )


def _disks(name: str, disks: Any) -> list[str]:
    if isinstance(disks, str):
        disks = disks.split()
    if not isinstance(disks, list) or not all(isinstance(disk, str) for disk in disks):
        raise wrong("server", name, "disks is a list of device paths")
    for disk in disks:
        if not values.DEVICE.fullmatch(disk):
            raise wrong("server", name, f"{disk!r} is no device path such as /dev/nvme0n1")
    return disks


def _tags(name: str, tags: Any) -> list[str]:
    if isinstance(tags, str):
        tags = tags.split()
    if not isinstance(tags, list) or not all(isinstance(tag, str) and 0 < len(tag) <= 128 for tag in tags):
        raise wrong("server", name, "tags is a list of texts")
    return list(dict.fromkeys(tags))


def _profile_values(name: str, wanted: Any) -> dict[str, Any] | None:
    if not wanted:
        return None
    if (
        not isinstance(wanted, dict)
        or set(wanted) - {"bios", "boot_order"}
        or not isinstance(wanted.get("bios") or {}, dict)
        or not isinstance(wanted.get("boot_order") or [], list)
    ):
        raise wrong("server", name, "hardware_profile is {bios, boot_order}")
    return {"bios": wanted.get("bios") or {}, "boot_order": wanted.get("boot_order") or []}


def _nic_entries(name: str, nics: Any) -> list[NicEntry]:
    if not isinstance(nics, list) or not all(isinstance(nic, dict) for nic in nics):
        raise wrong("server", name, "nics is a list of {mac, switch, port}")
    return [
        NicEntry(
            values.expect_mac("server", name, nic.get("mac")),
            str(nic["switch"]) if nic.get("switch") else None,
            str(nic["port"])[:128] if nic.get("port") else None,
        )
        for nic in nics
    ]


def _apart(servers: Iterable[ServerEntry], errors: Errors) -> None:
    """What two servers of one document may not share: MAC addresses, switch ports, BMC addresses."""
    macs: dict[str, str] = {}
    ports: dict[tuple[str, str], str] = {}
    bmcs: dict[tuple[str, int], str] = {}
    for entry in servers:
        for nic in entry.nics or ():
            if (
                macs.setdefault(nic.mac, entry.name) != entry.name
                or [n.mac for n in entry.nics or ()].count(nic.mac) > 1
            ):
                errors.add(
                    entry.pointer, wrong("server", entry.name, f"the MAC address {nic.mac} is that of {macs[nic.mac]}")
                )
            if nic.switch and nic.port:
                owner = ports.setdefault((nic.switch, nic.port), nic.mac)
                if owner != nic.mac:
                    what = f"{nic.switch} port {nic.port} is cabled to {macs[owner]}"
                    errors.add(entry.pointer, wrong("server", entry.name, what))
        if "bmc_ip" in entry.values:
            place = bmc_place(entry.values["bmc_ip"], entry.values.get("bmc_port"), entry.values.get("bmc_protocol"))
            owner = bmcs.setdefault(place, entry.name)
            if owner != entry.name:
                errors.add(entry.pointer, same_bmc(entry.name, place, owner))


def bmc_place(address: str, port: int | None, protocol: str | None) -> tuple[str, int]:
    """What only one BMC can have."""
    return address.lower(), port or _STANDARD_PORTS.get(protocol or "auto", 443)


def same_bmc(name: str, place: tuple[str, int], owner: str) -> Invalid:
    """The refusal of a BMC that is another server's."""
    return wrong("server", name, f"the BMC address {place[0]} port {place[1]} is that of {owner}")
