"""What a user holds."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from fleet.clock import utcnow
from fleet.ids import new_id
from fleet.models.allocation_server import AllocationServer
from fleet.models.base import ID_LENGTH, NAME_LENGTH, Base, Timestamps
from fleet.models.gpu_allocation import GpuAllocation
from fleet.models.template import Template
from fleet.models.user import User


class Allocation(Timestamps, Base):
    """`server_id` is the server of rank 0, `workflow_id` the current workflow. `request` is the caller's own name for
    it; together with the user it is unique, and `request_hash` tells a repeat from another request of that name.

    `gpu_count`, `memory_gb` and `storage_gb` are what the quota counts. `placement` is the ledger that explains why
    these servers. `end_time` is the end of the lease.
    """

    __tablename__ = "allocations"
    __table_args__ = (UniqueConstraint("user_id", "request"), Index("ix_allocations_quota", "user_id", "status"))

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True, default=lambda: new_id("alloc"))
    user_id: Mapped[str] = mapped_column(String(ID_LENGTH), ForeignKey("users.id"))
    server_id: Mapped[str | None] = mapped_column(String(ID_LENGTH), ForeignKey("servers.id"), index=True)
    workflow_id: Mapped[str | None] = mapped_column(
        String(ID_LENGTH), ForeignKey("workflows.id", use_alter=True, name="fk_allocations_workflow_id_workflows")
    )
    template_id: Mapped[str] = mapped_column(String(ID_LENGTH), ForeignKey("templates.id"))
    status: Mapped[str] = mapped_column(String(16), default="pending", index=True)
    status_since: Mapped[datetime] = mapped_column(default=utcnow)
    end_reason: Mapped[str | None] = mapped_column(String(1024))
    start_time: Mapped[datetime | None]
    end_time: Mapped[datetime | None]

    request: Mapped[str | None] = mapped_column(String(NAME_LENGTH))
    request_hash: Mapped[str | None] = mapped_column(String(64))
    requested_by: Mapped[str | None] = mapped_column(String(ID_LENGTH))
    executor: Mapped[str] = mapped_column(String(16), default="service")
    kind: Mapped[str] = mapped_column(String(16), default="server")
    gpu_count: Mapped[int]
    gpu_model: Mapped[str | None] = mapped_column(String(NAME_LENGTH))
    server_count: Mapped[int]
    memory_gb: Mapped[int] = mapped_column(default=0)
    storage_gb: Mapped[int] = mapped_column(default=0)
    parameters: Mapped[dict[str, Any]] = mapped_column(default=dict)
    ssh_keys: Mapped[list[str]] = mapped_column(default=list)
    placement: Mapped[dict[str, Any] | None]

    user: Mapped[User] = relationship()
    template: Mapped[Template] = relationship()
    servers: Mapped[list[AllocationServer]] = relationship(order_by=AllocationServer.rank)
    gpu_allocations: Mapped[list[GpuAllocation]] = relationship()
