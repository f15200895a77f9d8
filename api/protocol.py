"""The number that playbooks and service exchange: an old one is served or refused clearly, never misunderstood."""

from __future__ import annotations

from flask import request

from api.problems import ApiError

HEADER = "X-Palebluedot-Protocol"
# What this service speaks, and the oldest it still serves.
PROTOCOL = 1
OLDEST = 1


def check() -> int:
    """The caller's protocol, or this service's where the caller does not say.

    Raises:
        ApiError: 409 ``protocol_unsupported`` for a number this service does not serve.
    """
    offered = request.headers.get(HEADER)
    if offered is None:
        return PROTOCOL
    number = int(offered) if offered.isascii() and offered.isdigit() and len(offered) < 6 else -1
    if OLDEST <= number <= PROTOCOL:
        return number
    raise ApiError(
        "protocol_unsupported",
        f"The caller speaks protocol {offered[:20]!r}; this service serves {OLDEST} to {PROTOCOL}.",
        headers={HEADER: str(PROTOCOL)},
    )
