"""Identities: a short prefix that names the entity, and a UUIDv7 (RFC 9562), so that ids sort by time of birth."""

from __future__ import annotations

import os
import threading
import time
from typing import Literal

Kind = Literal[
    "srv", "gpu", "alloc", "wf", "tpl", "usr", "prj", "net", "img", "key", "alert", "evt",
    "as", "ga", "ip", "nic", "sw", "tok", "hwp", "cred", "prop", "step", "rep", "aud", "wfe",
    "exp", "rul", "rpl",
]  # fmt: skip

_lock = threading.Lock()
_last = 0


def uuid7_hex() -> str:
    """32 hexadecimal digits of a UUIDv7; strictly increasing inside one process."""
    global _last
    millis = time.time_ns() // 1_000_000
    with _lock:
        # 48 bits of milliseconds and 12 bits of counter (rand_a): RFC 9562 6.2, method 1
        stamp = max(millis << 12, _last + 1)
        _last = stamp
    random_b = int.from_bytes(os.urandom(8), "big") & ((1 << 62) - 1)
    value = ((stamp >> 12) << 80) | (0x7 << 76) | ((stamp & 0xFFF) << 64) | (0b10 << 62) | random_b
    return f"{value:032x}"


def new_id(kind: Kind) -> str:
    """`wf_0199…`: prefix, underscore, UUIDv7 without dashes."""
    return f"{kind}_{uuid7_hex()}"


def prefix(identifier: str) -> str:
    """The kind an id speaks of, `""` where it has no prefix."""
    head, separator, _ = identifier.partition("_")
    return head if separator else ""


def short(identifier: str) -> str:
    """The last twelve digits (random, not time): short enough for a DNS label, unlikely enough to collide."""
    return identifier.rpartition("_")[2][-12:]
