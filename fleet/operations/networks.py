"""Handing out networks and addresses, and taking them back."""

from __future__ import annotations

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from fleet import addresses
from fleet.errors import NoCapacity
from fleet.models import IpAddress, Network, Server

# networks every server needs while it is worked on
SERVICE_PURPOSES = ("provisioning", "quarantine")


def take_tenant_network(session: Session, allocation_id: str, server_count: int) -> Network:
    """The smallest free tenant network that holds the servers becomes the allocation's own."""
    network = session.scalar(
        select(Network)
        .where(Network.purpose == "tenant", Network.allocation_id.is_(None), Network.capacity >= server_count)
        .order_by(Network.capacity, Network.vlan)
        .limit(1)
        .with_for_update(skip_locked=True)
        .execution_options(populate_existing=True)
    )
    if network is None:
        raise NoCapacity(
            f"no tenant network for {server_count} servers is free",
            next="try again when an allocation has been given back; an operator may import more tenant networks",
        )
    network.allocation_id = allocation_id
    return network


def take_address(session: Session, network: Network, server: Server, allocation_id: str | None) -> IpAddress:
    """The server's address in the network: the one it has, or the lowest free one."""
    rows = session.scalars(select(IpAddress).where(IpAddress.network_id == network.id)).all()
    for row in rows:
        if row.server_id == server.id:
            row.allocation_id = allocation_id
            return row
    address = addresses.first_free(network.cidr, network.gateway, [row.address for row in rows])
    if address is None:
        raise NoCapacity(
            f"the {network.purpose} network {network.name} ({network.cidr}) has no free address",
            next="an operator imports a larger one",
        )
    row = IpAddress(network_id=network.id, address=address, server_id=server.id, allocation_id=allocation_id)
    session.add(row)
    session.flush()
    return row


def take_service_addresses(session: Session, servers: list[Server], allocation_id: str | None) -> None:
    """An address in a provisioning and in a quarantine network for every server."""
    for purpose in SERVICE_PURPOSES:
        networks = session.scalars(
            # the lock makes two reservations choose one after the other
            select(Network).where(Network.purpose == purpose).order_by(Network.vlan).with_for_update()
        ).all()
        if not networks:
            raise NoCapacity(f"the record has no {purpose} network", next="an operator imports one")
        for server in servers:
            _take_from_first(session, list(networks), server, allocation_id)


def _take_from_first(session: Session, networks: list[Network], server: Server, allocation_id: str | None) -> None:
    held = session.scalar(
        select(IpAddress).where(
            IpAddress.server_id == server.id, IpAddress.network_id.in_([network.id for network in networks])
        )
    )
    if held is not None:
        held.allocation_id = allocation_id
        return
    for index, network in enumerate(networks):
        try:
            take_address(session, network, server, allocation_id)
        except NoCapacity:
            if index == len(networks) - 1:
                raise
        else:
            return


def return_addresses(session: Session, server_id: str) -> None:
    """All addresses of a server go back: it is off every network but the quarantine."""
    session.execute(delete(IpAddress).where(IpAddress.server_id == server_id))


def return_tenant_network(session: Session, allocation_id: str) -> None:
    """The network may be given to somebody else: no server of the allocation is on it any more."""
    session.execute(update(Network).where(Network.allocation_id == allocation_id).values(allocation_id=None))


def of_server(session: Session, server: Server) -> dict[str, tuple[Network, IpAddress]]:
    """purpose -> (network, address) of what a server holds now."""
    rows = session.execute(
        select(Network, IpAddress)
        .join(IpAddress, IpAddress.network_id == Network.id)
        .where(IpAddress.server_id == server.id)
        .order_by(Network.vlan)
    ).all()
    return {network.purpose: (network, address) for network, address in rows}
