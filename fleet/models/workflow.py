"""A run of steps over servers."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from fleet.clock import utcnow
from fleet.ids import new_id
from fleet.models.base import ID_LENGTH, NAME_LENGTH, Base, Timestamps
from fleet.models.workflow_step import WorkflowStep


class Workflow(Timestamps, Base):
    """`kind` is allocate, release or clean; `executor` is service or external (awx is refused yet).

    The claim: `claimed_by` holds it since `fence` was `claim_fence`, until `claim_expires_at`. `fence` rises with every
    claim and every cancellation, `attempt` with every claim. `steps` is the plan, fixed when the workflow is made:
    `[{name, needs, destructive, timeout_s, retries, begin, end, compensation}]`. `after_id` is a workflow whose claim
    must be over before this one may be claimed. `resume_by`: an external one waits for a hand until then.
    `playbook_commit` is of the playbooks that the last claim ran: a git commit, or the version of what is installed.
    """

    __tablename__ = "workflows"
    __table_args__ = (Index("ix_workflows_queue", "status", "executor", "not_before"),)

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True, default=lambda: new_id("wf"))
    kind: Mapped[str] = mapped_column(String(16))
    allocation_id: Mapped[str | None] = mapped_column(String(ID_LENGTH), ForeignKey("allocations.id"), index=True)
    server_id: Mapped[str | None] = mapped_column(String(ID_LENGTH), ForeignKey("servers.id"), index=True)
    template_id: Mapped[str] = mapped_column(String(ID_LENGTH), ForeignKey("templates.id"))
    after_id: Mapped[str | None] = mapped_column(String(ID_LENGTH), ForeignKey("workflows.id"))
    tinkerbell_id: Mapped[str | None] = mapped_column(String(253))
    status: Mapped[str] = mapped_column(String(16), default="pending")
    status_since: Mapped[datetime] = mapped_column(default=utcnow)
    status_reason: Mapped[str | None] = mapped_column(String(1024))
    error_message: Mapped[str | None] = mapped_column(String(4096))
    error: Mapped[dict[str, Any] | None]
    started_at: Mapped[datetime | None]
    completed_at: Mapped[datetime | None]
    deadline_at: Mapped[datetime | None]

    executor: Mapped[str] = mapped_column(String(16), default="service")
    attempt: Mapped[int] = mapped_column(default=0)
    fence: Mapped[int] = mapped_column(default=0)
    claimed_by: Mapped[str | None] = mapped_column(String(255))
    claim_fence: Mapped[int | None]
    claim_expires_at: Mapped[datetime | None]
    heartbeat_at: Mapped[datetime | None]
    not_before: Mapped[datetime | None]
    resume_by: Mapped[datetime | None]

    steps: Mapped[list[dict[str, Any]]] = mapped_column(default=list)
    requested_by: Mapped[str | None] = mapped_column(String(ID_LENGTH))
    playbook_commit: Mapped[str | None] = mapped_column(String(64))
    protocol: Mapped[int] = mapped_column(default=1)
    note: Mapped[str | None] = mapped_column(String(NAME_LENGTH))

    ledger: Mapped[list[WorkflowStep]] = relationship(order_by=WorkflowStep.id)
