# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""The accounts of a BMC: who may log in, in what role, with passwords of which length."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, NoReturn

from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import InvalidInput, Unsupported

ROLES = ("administrator", "operator", "readonly")


@dataclass(frozen=True)
class Account:
    """One account. ``role`` is one of `ROLES`, or the BMC's own word; ``enabled`` and ``locked`` are None where the BMC
    does not say."""

    id: str
    username: str
    role: str | None
    enabled: bool | None = None
    locked: bool | None = None

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class PasswordRules:
    """What a BMC takes. ``tries`` is how many wrong passwords lock an account; None: none do, or it is not known."""

    shortest: int = 0
    longest: int | None = None
    longest_username: int | None = None
    tries: int | None = None

    def check(self, host: str, username: str, password: str) -> None:
        """Raise `InvalidInput` for what this BMC would refuse, or cut off in silence."""
        size = len(password.encode())
        if not password.isascii() or not password.isprintable():
            _refuse(host, "the password has characters that BMCs do not take", "characters outside printable ASCII")
        if size < max(self.shortest, 1) or (self.longest is not None and size > self.longest):
            bounds = f"{self.shortest} to {self.longest}" if self.longest else f"at least {self.shortest}"
            _refuse(host, "the BMC does not take a password of this length", f"{size} characters; it takes {bounds}")
        if self.longest_username is not None and len(username.encode()) > self.longest_username:
            _refuse(host, "the BMC does not take a user name of this length", f"at most {self.longest_username} bytes")


def _refuse(host: str, message: str, answer: str) -> NoReturn:
    raise InvalidInput(
        message,
        code="password_not_allowed",
        host=host,
        tried="comparing it with the BMC's limits; nothing was sent",
        answer=answer,
        next="Take 16 letters, digits and signs: that suits every vendor.",
    )


class Accounts(ABC):
    """Reads and changes the accounts of one BMC."""

    @property
    @abstractmethod
    def host(self) -> str:
        """The address as it is shown in errors."""

    @abstractmethod
    def rules(self) -> PasswordRules:
        """What the BMC takes as a password; logs in."""

    @abstractmethod
    def known(self) -> list[Account]:
        """The accounts that are in use."""

    @abstractmethod
    def create(self, username: str, password: str, role: str) -> None:
        """Make an enabled account."""

    @abstractmethod
    def change(self, account: Account, changes: Mapping[str, Any]) -> None:
        """Change ``role``, ``enabled`` and ``password``, as far as they are in ``changes``."""

    @abstractmethod
    def remove(self, account: Account) -> None:
        """Remove an account, or empty its slot where slots are fixed."""

    @abstractmethod
    def opens(self, username: str, password: str) -> bool:
        """Whether the pair opens the BMC, by one login of its own. A wrong one counts towards the lockout."""

    def change_forced(self, where: str | None, password: str) -> None:
        """Change the password of an account that may do nothing else before that.

        :param where: path of the account, as the BMC named it.
        """
        raise Unsupported("this protocol knows no forced change of a password", host=self.host)

    def end_sessions(self, username: str) -> int:
        """End the sessions of an account other than this one; how many there were."""
        return 0
