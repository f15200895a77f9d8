"""Arithmetic of addresses."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet import addresses
from fleet.errors import Invalid


@st.composite
def networks(draw: st.DrawFn) -> tuple[str, str | None]:
    """A network of up to 256 addresses and perhaps a gateway in it."""
    version = draw(st.sampled_from([4, 6]))
    bits = 32 if version == 4 else 128
    prefix = draw(st.integers(bits - 8, bits))
    base = draw(st.integers(0, 2**bits - 1)) >> (bits - prefix) << (bits - prefix)
    network = ipaddress.ip_network((base, prefix))
    index = draw(st.none() | st.integers(0, network.num_addresses - 1))
    return str(network), None if index is None else str(network[index])


@settings(deadline=None)
@given(networks())
def test_what_is_handed_out_is_in_the_network_and_never_its_own(case: tuple[str, str | None]) -> None:
    cidr, gateway = case
    network = ipaddress.ip_network(cidr)
    handed = [ipaddress.ip_address(address) for address in addresses.usable(cidr, gateway)]
    assert handed == sorted(set(handed))
    assert all(address in network for address in handed)
    assert gateway is None or ipaddress.ip_address(gateway) not in handed
    if network.version == 4 and network.prefixlen < 31:
        assert network.network_address not in handed
        assert network.broadcast_address not in handed
    assert addresses.capacity(cidr, gateway) == len(handed)


# a shared machine may be slow: how long it takes is not what is tested
@settings(deadline=None)
@given(networks(), st.integers(0, 40))
def test_addresses_are_handed_out_one_after_the_other_until_none_is_left(
    case: tuple[str, str | None], count: int
) -> None:
    cidr, gateway = case
    used: list[str] = []
    for _ in range(count):
        address = addresses.first_free(cidr, gateway, used)
        if address is None:
            break
        assert address not in used
        used.append(address)
    assert len(used) == min(count, addresses.capacity(cidr, gateway))


def test_a_gap_is_filled_first() -> None:
    assert addresses.first_free("10.0.0.0/29", "10.0.0.1", ["10.0.0.2", "10.0.0.4"]) == "10.0.0.3"


def test_a_large_network_is_not_counted_to_its_end() -> None:
    assert addresses.capacity("2001:db8::/64", None) == 65536
    assert addresses.first_free("2001:db8::/64", "2001:db8::1", []) == "2001:db8::2"


@pytest.mark.parametrize(
    ("cidr", "gateway"),
    [("10.0.0.1/24", None), ("fleet", None), ("10.0.0.0/33", None), ("10.0.0.0/24", "10.0.1.1"), ("10.0.0.0/24", "gw")],
)
def test_what_is_no_network_is_refused(cidr: str, gateway: str | None) -> None:
    with pytest.raises(Invalid):
        addresses.parse(cidr, gateway)
