"""Who acts. Operations take the actor as an argument and never look for a current user."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from fleet.errors import Forbidden

Role = Literal["admin", "operator", "user", "auditor", "automation"]
ROLES: tuple[str, ...] = get_args(Role)

OPERATORS = ("admin", "operator")
STAFF = ("admin", "operator", "automation")
READERS = ("admin", "operator", "automation", "auditor")


@dataclass(frozen=True, slots=True)
class Actor:
    """A user, a token's holder or the service itself.

    `workflow_id` is set for a job's token: it sees that workflow and its servers and nothing else.
    """

    id: str
    username: str
    role: str
    workflow_id: str | None = None
    remote_addr: str | None = None
    request_id: str | None = None

    def require(self, *roles: str) -> None:
        """Raise Forbidden unless the actor has one of the roles."""
        if self.role not in roles:
            raise Forbidden(
                f"this needs one of the roles {', '.join(roles)}; {self.username} has {self.role}",
                next="ask an administrator for the role, or use an account that has it",
            )

    def require_workflow(self, workflow_id: str) -> None:
        """Raise Forbidden when a job's token reaches beyond its own workflow."""
        if self.workflow_id is not None and self.workflow_id != workflow_id:
            raise Forbidden(
                f"this token belongs to {self.workflow_id} and may not touch {workflow_id}",
                next="use the token that the job of that workflow was given",
            )


SYSTEM = Actor(id="system", username="palebluedot", role="admin")
