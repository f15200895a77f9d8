"""Arithmetic of networks: which addresses may be handed out."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterator

from fleet.errors import Invalid

IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network
# what a network is ever asked for; keeps the count of a /64 an ordinary number
CAPACITY_CAP = 65536


def parse(cidr: str, gateway: str | None = None) -> IpNetwork:
    """The network, or Invalid: host bits set, no network, or a gateway outside of it."""
    try:
        network = ipaddress.ip_network(cidr, strict=True)
    except ValueError as error:
        raise Invalid(
            f"{cidr!r} is no network in CIDR form", answer=str(error), next="write e.g. 10.1.0.0/24"
        ) from error
    if gateway is not None:
        try:
            inside = ipaddress.ip_address(gateway) in network
        except ValueError as error:
            raise Invalid(f"the gateway {gateway!r} is no address", answer=str(error)) from error
        if not inside:
            raise Invalid(f"the gateway {gateway} is not in {cidr}")
    return network


def usable(cidr: str, gateway: str | None) -> Iterator[str]:
    """Host addresses in order, without network, broadcast and gateway addresses."""
    network = parse(cidr, gateway)
    taken = ipaddress.ip_address(gateway) if gateway else None
    for host in network.hosts():
        if host != taken:
            yield str(host)


def capacity(cidr: str, gateway: str | None) -> int:
    """How many addresses can be handed out, capped at 65,536."""
    network = parse(cidr, gateway)
    # as `hosts()` has it: all of a network of one or two addresses; else neither the first (IPv4: nor the last)
    left_out = 0 if network.num_addresses <= 2 else 2 if network.version == 4 else 1
    first = int(network.network_address) + (1 if left_out else 0)
    held = (
        gateway is not None and first <= int(ipaddress.ip_address(gateway)) < first + network.num_addresses - left_out
    )
    return min(network.num_addresses - left_out - held, CAPACITY_CAP)


def first_free(cidr: str, gateway: str | None, used: Collection[str]) -> str | None:
    """The lowest usable address that is not used; None when the network is full."""
    taken = {ipaddress.ip_address(address) for address in used}
    for host in usable(cidr, gateway):
        if ipaddress.ip_address(host) not in taken:
            return host
    return None
