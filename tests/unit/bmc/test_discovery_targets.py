"""Which addresses a scan asks, and which it refuses before a packet leaves."""

from __future__ import annotations

import ipaddress
import socket
from typing import Any

import pytest
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.discovery.targets import (
    Target,
    is_private,
    targets,
)
from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import InvalidInput


def asked(ranges: list[str] = [], addresses: list[str] = [], **more: Any) -> list[Target]:  # noqa: B006
    options = {"public": False, "limit": 65536, **more}
    return targets(ranges, addresses, options.pop("ports", [443]), **options)


def shown(found: list[Target]) -> list[str]:
    return [str(target.address) for target in found]


def test_a_cidr_range_is_its_hosts() -> None:
    found = shown(asked(["10.1.0.0/22"]))
    assert len(found) == 1022
    assert (found[0], found[-1]) == ("10.1.0.1", "10.1.3.254")


@pytest.mark.parametrize(
    ("written", "hosts"),
    [
        ("10.0.0.7", ["10.0.0.7"]),
        ("10.0.0.7/32", ["10.0.0.7"]),
        ("10.0.0.6/31", ["10.0.0.6", "10.0.0.7"]),
        ("10.0.0.9/30", ["10.0.0.9", "10.0.0.10"]),
        ("10.0.0.254-10.0.1.1", ["10.0.0.254", "10.0.0.255", "10.0.1.0", "10.0.1.1"]),
        ("fd00::10-fd00::11", ["fd00::10", "fd00::11"]),
        ("fd00::/127", ["fd00::", "fd00::1"]),
    ],
)
def test_other_ways_to_write_a_range(written: str, hosts: list[str]) -> None:
    assert shown(asked([written])) == hosts


def test_an_address_of_two_ranges_is_asked_once() -> None:
    assert shown(asked(["10.0.0.0/30", "10.0.0.2-10.0.0.3"], ["10.0.0.1"])) == ["10.0.0.1", "10.0.0.2", "10.0.0.3"]


def test_an_entry_may_bring_its_own_port() -> None:
    found = asked(addresses=["10.0.0.1:8443", "10.0.0.1:9443", "[fd00::1]:8443", "[fd00::2]", "fd00::3"])
    assert [(str(target.address), target.ports) for target in found] == [
        ("10.0.0.1", (8443, 9443)),
        ("fd00::1", (8443,)),
        ("fd00::2", (443,)),
        ("fd00::3", (443,)),
    ]


def test_a_name_is_looked_up_and_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, 0)) for host in ("10.0.0.9", "10.0.0.9")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda name, port, type: answers)
    (found,) = asked(addresses=["dgx-01-bmc.example.com"])
    assert (str(found.address), found.name) == ("10.0.0.9", "dgx-01-bmc.example.com")


def test_a_name_that_leads_to_the_internet_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("8.8.8.8", 0))
    monkeypatch.setattr(socket, "getaddrinfo", lambda name, port, type: [answer])
    with pytest.raises(InvalidInput) as caught:
        asked(addresses=["bmc.example.com"])
    assert caught.value.code == "public_range"


@pytest.mark.parametrize(
    "written",
    ["8.8.8.0/28", "11.0.0.1", "172.15.255.254-172.16.0.1", "10.255.255.254-11.0.0.1", "224.0.0.1", "2600::/126"],
)
def test_a_public_range_is_refused_unless_told(written: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        asked([written])
    assert caught.value.code == "public_range"
    assert "public=true" in str(caught.value)
    assert asked([written], public=True)


@pytest.mark.parametrize(
    ("address", "private"),
    [
        ("10.0.0.1", True),
        ("172.31.255.255", True),
        ("172.32.0.0", False),
        ("192.168.1.1", True),
        ("100.64.0.1", True),
        ("169.254.0.17", True),
        ("127.0.0.1", True),
        ("0.0.0.0", False),
        ("fd00::1", True),
        ("fe80::1", True),
        ("2001:4860:4860::8888", False),
        ("::ffff:10.0.0.1", True),
        ("::ffff:8.8.8.8", False),
        ("ff02::1", False),
    ],
)
def test_what_is_private(address: str, private: bool) -> None:
    assert is_private(ipaddress.ip_address(address)) is private


def test_too_many_addresses_are_refused_by_their_number() -> None:
    with pytest.raises(InvalidInput, match="16777214 addresses, and at most 65536") as caught:
        asked(["10.0.0.0/8"])
    assert caught.value.code == "too_many_addresses"
    with pytest.raises(InvalidInput):
        asked(["fd00::/64"])
    with pytest.raises(InvalidInput):
        asked(["10.0.0.0/30"], limit=1)


@pytest.mark.parametrize("written", ["10.0.0.0/33", "10.0.0.5-10.0.0.1", "10.0.0.1-fd00::1", "hello", "", "10.0.0"])
def test_what_is_no_range_is_named(written: str) -> None:
    with pytest.raises(InvalidInput, match="no range"):
        asked([written])


@pytest.mark.parametrize(
    "written", ["10.0.0.1:0", "10.0.0.1:70000", "10.0.0.1:x", "[fd00::1]:-1", "a b", "http://x", "²:1"]
)
def test_what_is_no_address_is_named(written: str) -> None:
    with pytest.raises(InvalidInput):
        asked(addresses=[written])


def test_ports_are_checked() -> None:
    for ports in ([], [0], [65536]):
        with pytest.raises(InvalidInput):
            asked(["10.0.0.1"], ports=ports)
