"""Redfish sessions of one BMC."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from lab.bmc import Account

SESSION_TIMEOUT_S = 30.0  # DGX H100 SessionService
MAX_SESSIONS = 16


class TooManySessions(Exception):
    """The BMC holds no more sessions."""


@dataclass
class Session:
    id: str
    account: Account
    token: str = field(repr=False)
    used_at: float = 0.0


class Sessions:
    """Sessions end when unused for ``timeout_s`` of real time (a client's keep-alive is real, whatever the lab's
    speed), when deleted, or when the BMC restarts."""

    def __init__(
        self,
        timeout_s: float = SESSION_TIMEOUT_S,
        clock: Callable[[], float] = time.monotonic,
        limit: int = MAX_SESSIONS,
    ) -> None:
        self.timeout_s = timeout_s
        self.limit = limit
        self._clock = clock
        self._by_token: dict[str, Session] = {}

    def open(self, account: Account) -> Session:
        """Raises TooManySessions."""
        self._expire()
        if len(self._by_token) >= self.limit:
            raise TooManySessions
        session = Session(secrets.token_hex(16), account, secrets.token_urlsafe(24), self._clock())
        self._by_token[session.token] = session
        return session

    def use(self, token: str) -> Session | None:
        """The session of a token, whose time starts anew; None when there is none (any more)."""
        self._expire()
        session = self._by_token.get(token)
        if session is None or not session.account.enabled:
            return None
        session.used_at = self._clock()
        return session

    def list(self) -> list[Session]:
        self._expire()
        return list(self._by_token.values())

    def close(self, id: str) -> bool:
        for token, session in self._by_token.items():
            if session.id == id:
                del self._by_token[token]
                return True
        return False

    def close_of(self, account: Account) -> None:
        self._by_token = {token: s for token, s in self._by_token.items() if s.account is not account}

    def clear(self) -> None:
        self._by_token.clear()

    def _expire(self) -> None:
        oldest = self._clock() - self.timeout_s
        self._by_token = {token: s for token, s in self._by_token.items() if s.used_at >= oldest}
