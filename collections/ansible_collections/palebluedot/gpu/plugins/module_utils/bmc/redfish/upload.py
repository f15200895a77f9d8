# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""What is uploaded to an UpdateService: a file, alone or as multipart/form-data (DSP0266, "Software update").

A firmware image has up to some hundred MiB, so it is read while it is sent and never held in memory.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

_PIECE_BYTES = 256 * 1024


class Unreadable(Exception):
    """The file could not be read to its end; it is no OSError, because those are the connection's here."""


class Plain:
    """The file as it is, for ``HttpPushUri``."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._size = file.stat().st_size
        self.headers = {"Content-Type": "application/octet-stream", "Content-Length": str(self._size)}

    def __iter__(self) -> Iterator[bytes]:
        yield from self._pieces()

    def _pieces(self) -> Iterator[bytes]:
        left = self._size
        try:
            with self._file.open("rb") as stream:
                while left and (piece := stream.read(min(left, _PIECE_BYTES))):
                    left -= len(piece)
                    yield piece
        except OSError as problem:
            raise Unreadable(str(problem)) from problem
        if left:
            raise Unreadable(f"{self._file} has become {left} bytes shorter meanwhile")


class Multipart(Plain):
    """The two parts that DSP0266 asks of a client, in its order: ``UpdateParameters``, then ``UpdateFile``."""

    def __init__(self, file: Path, parameters: Mapping[str, Any]) -> None:
        super().__init__(file)
        boundary = f"palebluedot{secrets.token_hex(16)}"
        name = "".join(char if char.isascii() and (char.isalnum() or char in "._-") else "_" for char in file.name)
        self._head = (
            f"--{boundary}\r\n"
            'Content-Disposition: form-data; name="UpdateParameters"\r\n'
            "Content-Type: application/json\r\n\r\n"
            f"{json.dumps(dict(parameters))}\r\n"
            f"--{boundary}\r\n"
            f'Content-Disposition: form-data; name="UpdateFile"; filename="{name}"\r\n'
            "Content-Type: application/octet-stream\r\n\r\n"
        ).encode()
        self._tail = f"\r\n--{boundary}--\r\n".encode()
        self.headers = {
            "Content-Type": f"multipart/form-data; boundary={boundary}",
            "Content-Length": str(len(self._head) + self._size + len(self._tail)),
        }

    def __iter__(self) -> Iterator[bytes]:
        yield self._head
        yield from self._pieces()
        yield self._tail
