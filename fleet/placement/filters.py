"""Which servers can be taken: each filter has a name and a reason, so that a refusal can be explained."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import ColumnElement, exists, func

from fleet.models import Alert, AllocationServer, Server, ServerNic
from fleet.settings import get_settings


@dataclass(frozen=True, slots=True)
class Filter:
    """`why` completes "servers left out because …"."""

    name: str
    why: str
    condition: ColumnElement[bool]


def model_matches(gpu_model: str) -> ColumnElement[bool]:
    """Whether a server's GPUs are of this model: `H100` finds `NVIDIA H100 80GB HBM3`."""
    return func.lower(Server.gpu_model).contains(gpu_model.lower(), autoescape=True)


def network() -> Filter:
    """Servers that can be put on a network: the interface that boots, and the switch port that is moved for it.

    Without the port nothing would keep a tenant's server apart from the others; a site that sees to that by itself
    says so (`unmanaged_ports`). Without the interface nothing can be installed.
    """
    boots = exists().where(ServerNic.server_id == Server.id, ServerNic.position == 0)
    if get_settings().unmanaged_ports:
        return Filter("network", "no boot interface is on record for them", boots)
    cabled = boots.where(ServerNic.switch_id.is_not(None), ServerNic.switch_port.is_not(None))
    return Filter("network", "no switch port is on record for their boot interface", cabled)


def offered() -> list[Filter]:
    """What every request asks of a server, whatever else it wants, in the order in which it is applied."""
    held_back = exists().where(
        Alert.server_id == Server.id, Alert.status == "firing", Alert.prevents_allocations.is_(True)
    )
    held = exists().where(AllocationServer.server_id == Server.id, AllocationServer.released_at.is_(None))
    return [
        Filter("state", "they are not available", Server.status == "available"),
        Filter("held", "an allocation still holds them", ~held),
        Filter("hands_off", "somebody asked for hands off", Server.hands_off.is_(False)),
        Filter("health", "an alert prevents allocations", ~held_back),
        network(),
    ]


def for_request(gpus_per_server: int, gpu_model: str | None) -> list[Filter]:
    """The filters of a bare-metal request, in the order in which they are applied."""
    filters = [Filter("size", f"they do not have {gpus_per_server} GPUs", Server.gpu_count == gpus_per_server)]
    if gpu_model is not None:
        filters.append(Filter("model", f"their GPUs are not {gpu_model}", model_matches(gpu_model)))
    return [*filters, *offered()]
