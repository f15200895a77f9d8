# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""Which addresses a scan asks: ranges and lists, checked before the first packet leaves."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias, Union

from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import InvalidInput

Address: TypeAlias = Union[ipaddress.IPv4Address, ipaddress.IPv6Address]  # noqa: UP007  ansible-test's pylint
Network: TypeAlias = Union[ipaddress.IPv4Network, ipaddress.IPv6Network]  # noqa: UP007

_NAME = re.compile(r"(?=.{1,253}$)[A-Za-z0-9_]([A-Za-z0-9_-]{0,62})(\.[A-Za-z0-9_-]{1,63})*\.?")


@dataclass(frozen=True)
class Target:
    """One address to ask, and what the list called it; ``ports`` in the order in which they are tried."""

    address: Address
    ports: tuple[int, ...]
    name: str | None = None


def targets(
    ranges: Sequence[str], addresses: Sequence[str], ports: Sequence[int], *, public: bool, limit: int
) -> list[Target]:
    """Every address of ``ranges`` and ``addresses`` once, in the order given.

    :param ranges: CIDR (10.0.0.0/22; network and broadcast address are left out), or first-last (10.0.0.10-10.0.0.40).
    :param addresses: addresses or names, with a port of their own where one follows (10.0.0.10:8443, [fd00::1]:8443).
    :param public: whether addresses of the public Internet may be asked.
    :param limit: the most addresses.
    :raises InvalidInput: for anything that is none of this; nothing has been sent then.
    """
    for port in ports:
        _check_port(port, str(port))
    if not ports:
        raise InvalidInput("there is no port to ask", tried="ports=[]", next="Give ports, for example 443.")
    networks = [_range(text) for text in ranges]
    total = sum(last - first + 1 for first, last, _version in networks) + len(addresses)
    if total > limit:
        raise InvalidInput(
            f"these are {total} addresses, and at most {limit} are asked in one run",
            code="too_many_addresses",
            tried=", ".join([*ranges, *(["addresses"] if addresses else [])]),
            next="Give smaller ranges, or raise limit.",
        )
    found: dict[Address, Target] = {}
    for text, (first, last, version) in zip(ranges, networks, strict=True):
        for number in range(first, last + 1):
            address = _address(number, version)
            _check_private(address, text, public)
            found.setdefault(address, Target(address, tuple(ports)))
    for text in addresses:
        name, own_port = _host_and_port(text)
        for address in _resolved(name, text):
            _check_private(address, text, public)
            known = found.get(address)
            chosen = (own_port,) if own_port is not None else tuple(ports)
            if known is not None and own_port is not None:
                # the same address at several ports is several BMCs behind one forwarder
                chosen = tuple(dict.fromkeys((*known.ports, own_port)))
            found[address] = Target(address, chosen, name if name != str(address) else None)
    return list(found.values())


def is_private(address: Address) -> bool:
    """Whether an address is of a network of one's own: not one that the Internet routes, and no group's."""
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return not (address.is_global or address.is_multicast or address.is_unspecified)


def _range(text: str) -> tuple[int, int, int]:
    """First and last address as numbers, and the IP version."""
    try:
        if "-" in text:
            first, last = (ipaddress.ip_address(part.strip()) for part in text.split("-", 1))
            if first.version != last.version or int(first) > int(last):
                raise ValueError("the last address comes before the first")
            return int(first), int(last), first.version
        network: Network = ipaddress.ip_network(text.strip(), strict=False)
    except ValueError as problem:
        raise InvalidInput(
            f"{text!r} is no range of addresses",
            tried=f"ranges: {text}",
            answer=str(problem),
            next="Give a CIDR range such as 10.0.0.0/22, or first-last such as 10.0.0.10-10.0.0.40.",
        ) from problem
    first_number, last_number = int(network.network_address), int(network.broadcast_address)
    if network.version == 4 and network.prefixlen < 31:
        return first_number + 1, last_number - 1, 4
    return first_number, last_number, network.version


def _address(number: int, version: int) -> Address:
    return ipaddress.IPv4Address(number) if version == 4 else ipaddress.IPv6Address(number)


def _check_private(address: Address, text: str, public: bool) -> None:
    if public or is_private(address):
        return
    raise InvalidInput(
        f"{text} is not a private {'address' if str(address) == text else 'range'}",
        code="public_range",
        tried=f"asking {address}",
        answer="it is an address of the public Internet, or of a group",
        next="Give ranges of the management network; public=true asks all the same.",
    )


def _host_and_port(text: str) -> tuple[str, int | None]:
    bare = text.strip()
    if bare.startswith("["):
        host, _bracket, rest = bare[1:].partition("]")
        return host, _port_of(rest.removeprefix(":"), text) if rest else None
    if bare.count(":") == 1:
        host, _colon, port = bare.partition(":")
        return host, _port_of(port, text)
    return bare, None


def _port_of(digits: str, text: str) -> int:
    return _check_port(int(digits) if digits.isascii() and digits.isdigit() else 0, text)


def _check_port(port: int, text: str) -> int:
    if not 1 <= port <= 65535:
        raise InvalidInput(f"{text!r} has no valid port", next="Ports are 1 to 65535.")
    return port


def _resolved(name: str, text: str) -> Iterator[Address]:
    try:
        yield ipaddress.ip_address(name)
        return
    except ValueError:
        pass
    if not _NAME.fullmatch(name):
        raise InvalidInput(f"{text!r} is no address and no name", next="Correct the entry of addresses.")
    try:
        answers = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except OSError as problem:
        raise InvalidInput(
            f"the name {name} is not known",
            code="name_unknown",
            tried=f"looking up {name}",
            answer=str(problem),
            next="Correct the entry of addresses, or the DNS record.",
        ) from problem
    for address in dict.fromkeys(str(answer[4][0]).split("%", maxsplit=1)[0] for answer in answers):
        yield ipaddress.ip_address(address)
