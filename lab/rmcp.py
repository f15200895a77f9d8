"""RMCP's presence ping (ASF 2.0, 3.2.4.2 and 3.2.4.3): asks, without a session, whether a BMC is there."""

from __future__ import annotations

import struct

ASF = 4542  # IANA enterprise number, which stands for "no maker of its own" too
PING, PONG = 0x80, 0x40
IPMI_SUPPORTED = 0x80
ASF_1_0 = 0x01


def presence_pong(data: bytes | bytearray) -> bytes | None:
    """The answer to a presence ping; None when the datagram is something else."""
    if len(data) < 12 or data[0] != 6 or data[3] != 6:
        return None
    enterprise, kind, tag = struct.unpack(">IBB", data[4:10])
    if enterprise != ASF or kind != PING:
        return None
    header = struct.pack(">BBBBIBBBB", 6, 0, 0xFF, 6, ASF, PONG, tag, 0, 16)
    return header + struct.pack(">II", ASF, 0) + bytes([IPMI_SUPPORTED | ASF_1_0, 0]) + bytes(6)
