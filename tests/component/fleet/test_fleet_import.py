"""A document of thousands of servers: checked whole, written piece by piece, and what it may not say."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import func, select, text

from fleet import errors
from fleet.actor import SYSTEM
from fleet.enrolment import expected, importing, infrastructure, pieces
from fleet.models import AuditEntry, Credential, ExpectedMachine, Network, Server, ServerNic
from fleet.operations import credentials
from tests.component.fleet.support import Site


def load(site: Site, document: dict[str, Any]) -> pieces.Imported:
    return importing.import_document(site.database, SYSTEM, document)


def many(count: int) -> list[dict[str, Any]]:
    return [
        {
            "name": f"bulk-{number:05}",
            "bmc_address": f"10.{number // 250}.9.{number % 250 + 1}",
            "bmc_username": "admin",
            "bmc_password": f"secret-{number}",
            "nics": [{"mac": f"02:aa:00:00:{number >> 8:02x}:{number & 255:02x}", "switch": "leaf-1",
                      "port": f"Bulk{number}"}],
        }
        for number in range(count)
    ]  # fmt: skip


@contextmanager
def longest_wait(site: Site) -> Iterator[list[float]]:
    """How long somebody else who writes had to wait, and how long all of it took."""
    waits: list[float] = []
    done = threading.Event()

    def somebody_else() -> None:
        while not done.wait(0.01):
            begun = time.perf_counter()
            with site.database.transaction() as session:
                session.execute(text("UPDATE users SET disabled = disabled"))
            waits.append(time.perf_counter() - begun)

    other = threading.Thread(target=somebody_else)
    other.start()
    figures: list[float] = []
    begun = time.perf_counter()
    try:
        yield figures
    finally:
        figures += [max(waits, default=0.0), time.perf_counter() - begun]
        done.set()
        other.join()


def test_hundreds_of_servers_come_in_pieces_and_nobody_waits_long(fleet: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "CHUNK", 50)
    with longest_wait(fleet) as figures:
        imported = load(fleet, {"servers": many(300)})
    wait, took = figures
    assert dict(imported.created) == {"servers": 300}
    # written in one transaction it would be (nearly) all of the time
    assert wait < took / 2
    with fleet.database.transaction() as session:
        assert session.scalar(select(func.count(AuditEntry.id)).where(AuditEntry.action == "fleet.import")) == 7
        assert credentials.of_server(session, SYSTEM, "bulk-00299").password == "secret-299"
    again = load(fleet, {"servers": many(300)})
    assert (dict(again.created), dict(again.updated), again.unchanged["servers"]) == ({}, {}, 300)


def test_one_wrong_entry_of_hundreds_imports_nothing_and_each_is_named(
    fleet: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pieces, "CHUNK", 50)
    servers = many(120)
    servers[3]["bmc_port"] = 99999
    servers[110]["nics"][0]["mac"] = "02:aa:00:00:00:00"
    with pytest.raises(errors.Invalid, match="bulk-00003: bmc_port 99999") as caught:
        load(fleet, {"servers": servers})
    assert "1 more entries" in caught.value.message
    assert [entry["pointer"] for entry in caught.value.detail["errors"]] == ["/servers/3", "/servers/110"]
    servers = many(120)
    # only the record knows that this one is taken
    servers[115]["nics"][0]["mac"] = "02:00:00:00:00:02"
    with pytest.raises(errors.Invalid, match="bulk-00115: the MAC address 02:00:00:00:00:02 is that of gpu-02"):
        load(fleet, {"servers": servers})
    with fleet.database.reading() as session:
        assert session.scalar(select(func.count(Server.id))) == 4


def test_a_change_of_the_record_in_between_says_how_far_it_came(fleet: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "CHUNK", 50)
    write = importing._write_servers
    written: list[int] = []

    def and_somebody_takes_a_port(session: Any, chunk: Any, known: Any, imported: Any) -> None:
        write(session, chunk, known, imported)
        if not written:
            owner = session.scalars(select(Server.id).where(Server.name == "gpu-04")).one()
            switch = session.scalars(select(ServerNic.switch_id).limit(1)).one()
            session.add(ServerNic(server_id=owner, mac="02:bb:00:00:00:01", switch_id=switch, switch_port="Bulk70"))
        written.append(len(chunk))

    monkeypatch.setattr(importing, "_write_servers", and_somebody_takes_a_port)
    with pytest.raises(errors.Invalid, match="port Bulk70 is cabled to gpu-04") as caught:
        load(fleet, {"servers": many(120)})
    assert caught.value.detail["servers_written"] == 50
    assert "50 servers are in the record" in (caught.value.next or "")
    with fleet.database.reading() as session:
        assert session.scalar(select(func.count(Server.id))) == 54


def lines(count: int) -> list[dict[str, Any]]:
    return [{"serial_number": f"L{number}", "name": f"line-{number}", "tags": ["t"]} for number in range(count)]


def test_a_long_delivery_list_comes_in_pieces(fleet: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "CHUNK", 50)
    with longest_wait(fleet) as figures:
        imported = expected.load(fleet.database, SYSTEM, lines(300))
    wait, took = figures
    assert dict(imported.created) == {"machines": 300}
    assert wait < took / 2
    with fleet.database.reading() as session:
        assert session.scalar(select(func.count(AuditEntry.id)).where(AuditEntry.action == "expected.import")) == 6
    # what a list no longer names goes with its first piece, so that another may take the name
    other = [{**line, "serial_number": f"M{number}"} for number, line in enumerate(lines(60))]
    replaced = expected.load(fleet.database, SYSTEM, other, replace=True)
    assert (dict(replaced.created), dict(replaced.updated)) == ({"machines": 60}, {"removed": 300})
    assert dict(expected.load(fleet.database, SYSTEM, [], replace=True).updated) == {"removed": 60}


def test_a_delivery_list_that_is_broken_off_is_finished_by_the_same_again(
    fleet: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pieces, "CHUNK", 50)
    expected.load(fleet.database, SYSTEM, [{"serial_number": "other"}])
    put = expected._put

    def and_somebody_takes_a_name(session: Any, piece: Any, imported: Any) -> None:
        put(session, piece, imported)
        row = session.scalars(select(ExpectedMachine).where(ExpectedMachine.serial_number == "other")).one()
        row.name = "line-70"

    with monkeypatch.context() as patch:
        patch.setattr(expected, "_put", and_somebody_takes_a_name)
        with pytest.raises(errors.Invalid, match="the name line-70 is that of other") as caught:
            expected.load(fleet.database, SYSTEM, lines(120))
    assert caught.value.detail["machines_written"] == 50
    assert "50 machines are in the record" in (caught.value.next or "")
    with pytest.raises(errors.Invalid, match="the name line-70 is that of other"):
        expected.load(fleet.database, SYSTEM, lines(120))
    finished = expected.load(fleet.database, SYSTEM, lines(120), replace=True)
    assert (dict(finished.created), dict(finished.updated)) == ({"machines": 70}, {"removed": 1})
    assert finished.unchanged["machines"] == 50


@pytest.mark.parametrize(
    ("broken", "written", "next"),
    [
        ("switches", {"networks_written": 60, "switches_written": 0},
         "ask its owner; 60 networks are in the record; mend this and import the same again"),
        ("servers", {"networks_written": 60, "switches_written": 1, "servers_written": 0},
         "ask its owner; 60 networks and 1 switches are in the record; mend this and import the same again"),
        ("networks", {"networks_written": 0}, "ask its owner"),
    ],
)  # fmt: skip
def test_what_is_refused_half_way_says_all_that_is_in_and_what_to_do(
    fleet: Site, monkeypatch: pytest.MonkeyPatch, broken: str, written: dict[str, int], next: str
) -> None:
    monkeypatch.setattr(pieces, "CHUNK", 60)
    document: dict[str, Any] = {
        "networks": [
            {"name": f"bulk-{n}", "purpose": "tenant", "vlan": 1000 + n, "cidr": f"172.16.{n}.0/24"} for n in range(60)
        ],
        "switches": [{"name": "leaf-9", "address": "192.0.2.9"}],
        "servers": [{"name": "late", "bmc_address": "192.0.2.99"}],
    }

    def refuse(*_arguments: Any) -> None:
        raise errors.Conflict("it is in use", next="ask its owner")

    home = importing if broken == "servers" else infrastructure
    # after the rehearsal, which writes networks too
    rehearse = infrastructure.rehearse

    def rehearse_then_break(session: Any, prepared: Any) -> None:
        rehearse(session, prepared)
        monkeypatch.setattr(home, "_write_servers" if broken == "servers" else f"write_{broken}", refuse)

    monkeypatch.setattr(infrastructure, "rehearse", rehearse_then_break)
    with pytest.raises(errors.Conflict, match="it is in use") as caught:
        load(fleet, document)
    assert (caught.value.detail, caught.value.next) == (written, next)


def test_hundreds_of_networks_and_switches_come_in_pieces(fleet: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "CHUNK", 50)
    document: dict[str, Any] = {
        "networks": [
            {"name": f"bulk-{n}", "purpose": "tenant", "vlan": 1000 + n, "cidr": f"172.16.{n}.0/24"} for n in range(150)
        ],
        "switches": [
            {"name": f"bulk-{n}", "address": "192.0.2.9", "username": "u", "password": f"p{n}"} for n in range(150)
        ],
    }
    with longest_wait(fleet) as figures:
        imported = load(fleet, document)
    wait, took = figures
    assert dict(imported.created) == {"networks": 150, "switches": 150}
    assert wait < took / 2
    assert dict(load(fleet, document).unchanged) == {"networks": 150, "switches": 150}
    # one that is wrong at the end: nothing of it is in
    last = {"name": "last", "purpose": "tenant", "vlan": 2000, "cidr": "172.16.149.128/25"}
    first = {"name": "first", "purpose": "tenant", "vlan": 2001, "cidr": "172.17.0.0/24"}
    with pytest.raises(errors.Invalid, match=r"149\.128/25 overlaps 172\.16\.149\.0/24 of the network bulk-149") as no:
        load(fleet, {"networks": [first, *document["networks"], last]})
    assert [entry["pointer"] for entry in no.value.detail["errors"]] == ["/networks/151"]
    with fleet.database.reading() as session:
        assert session.scalar(select(Network.id).where(Network.name == "first")) is None


@pytest.mark.parametrize(
    ("entry", "what"),
    [
        ({"name": "localhost"}, "Ansible"),
        ({"name": "all"}, "Ansible"),
        ({"name": "ungrouped"}, "Ansible"),
        ({"bmc_address": "192.0.2.70\nbmc_password: x"}, "neither an address nor a host name"),
        ({"bmc_address": "192.0.2.70 192.0.2.71"}, "neither an address nor a host name"),
        ({"bmc_address": "192.0.2.11"}, "the BMC address 192.0.2.11 port 443 is that of gpu-01"),
        ({"bmc_address": "192.0.2.11", "bmc_port": 443}, "is that of gpu-01"),
        ({"nics": [{"mac": "ff:ff:ff:ff:ff:ff"}]}, "broadcast or multicast"),
        ({"nics": [{"mac": "01:00:5e:00:00:01"}]}, "broadcast or multicast"),
        ({"nics": [{"mac": "00:00:00:00:00:00"}]}, "all zeros"),
        ({"nics": [{"mac": ":".join(["02"] * 20)}]}, "no MAC address"),
        ({"nics": [{"mac": "02:00:00:00:0a:01"}, {"mac": "02-00-00-00-0A-01"}]}, "is that of odd"),
        ({"bmc_password": "x"}, "bmc_password without bmc_username"),
    ],
)
def test_what_no_server_may_be(fleet: Site, entry: dict[str, Any], what: str) -> None:
    with pytest.raises(errors.Invalid) as caught:
        load(fleet, {"servers": [{"name": "odd", "bmc_address": "192.0.2.70", **entry}]})
    assert what in caught.value.detail["errors"][0]["detail"]


@pytest.mark.parametrize("address", ["192.0.2.71", "2001:db8::71", "[2001:db8::71]", "fe80::1%eth0", "bmc-1.example"])
def test_addresses_of_every_kind(fleet: Site, address: str) -> None:
    load(fleet, {"servers": [{"name": "odd", "bmc_address": address}]})
    with fleet.database.reading() as session:
        assert session.scalars(select(Server.bmc_ip).where(Server.name == "odd")).one() == address.strip("[]")


def test_one_address_with_two_ports_is_two_bmcs(fleet: Site) -> None:
    load(fleet, {"servers": [{"name": "forwarded", "bmc_address": "192.0.2.11", "bmc_port": 8443}]})


def test_two_servers_of_a_document_share_nothing(fleet: Site) -> None:
    def pair(**second: Any) -> dict[str, Any]:
        first = {"name": "a", "bmc_address": "192.0.2.80", "nics": [{"mac": "02:00:00:00:0a:01", "switch": "leaf-1",
                                                                     "port": "E80"}]}  # fmt: skip
        return {"servers": [first, {"name": "b", "bmc_address": "192.0.2.81", **second}]}

    for second, what in (
        ({"nics": [{"mac": "02:00:00:00:0a:01"}]}, "MAC address 02:00:00:00:0a:01 is that of a"),
        ({"nics": [{"mac": "02:00:00:00:0a:02", "switch": "leaf-1", "port": "E80"}]}, "port E80 is cabled to a"),
        ({"bmc_address": "192.0.2.80"}, "port 443 is that of a"),
    ):
        with pytest.raises(errors.Invalid, match=what):
            load(fleet, pair(**second))


def test_a_vni_belongs_to_one_network(fleet: Site) -> None:
    load(fleet, {"networks": [{"name": "tenant-1", "vni": 7001}]})
    with pytest.raises(errors.Invalid, match="VNI 7001 is that of tenant-1"):
        load(fleet, {"networks": [{"name": "tenant-2", "vni": 7001}]})


def test_cables_that_were_swapped_are_swapped(fleet: Site) -> None:
    swapped = [
        {"name": "gpu-01", "nics": [{"mac": "02:00:00:00:00:01", "switch": "leaf-1", "port": "Ethernet2"}]},
        {"name": "gpu-02", "nics": [{"mac": "02:00:00:00:00:02", "switch": "leaf-1", "port": "Ethernet1"}]},
    ]
    assert dict(load(fleet, {"servers": swapped}).updated) == {"servers": 2}
    cards = [
        {"name": "gpu-01", "nics": [{"mac": "02:00:00:00:00:02", "switch": "leaf-1", "port": "Ethernet2"}]},
        {"name": "gpu-02", "nics": [{"mac": "02:00:00:00:00:01", "switch": "leaf-1", "port": "Ethernet1"}]},
    ]
    assert dict(load(fleet, {"servers": cards}).updated) == {"servers": 2}
    with fleet.database.reading() as session:
        rows = session.execute(select(Server.name, ServerNic.mac, ServerNic.switch_port).join(ServerNic)).all()
        assert {tuple(row) for row in rows if row.name in ("gpu-01", "gpu-02")} == {
            ("gpu-01", "02:00:00:00:00:02", "Ethernet2"),
            ("gpu-02", "02:00:00:00:00:01", "Ethernet1"),
        }


def test_a_new_password_alone_belongs_to_the_user_that_is_known(fleet: Site) -> None:
    assert dict(load(fleet, {"servers": [{"name": "gpu-01", "bmc_password": "new"}]}).updated) == {"servers": 1}
    with fleet.database.transaction() as session:
        found = credentials.of_server(session, SYSTEM, "gpu-01")
        assert (found.username, found.password) == ("admin", "new")
        stored = session.scalars(
            select(Credential).join(Server, Server.id == Credential.server_id).where(Server.name == "gpu-01")
        ).one()
        assert stored.rotated_at is not None
