"""multipart/form-data as a Redfish service reads it: DSP0266, "Multipart HTTP push updates" (RFC 7578 below it).

A request has a part ``UpdateParameters`` (application/json: the UpdateParameters object), a part ``UpdateFile``
(application/octet-stream, with a file name), and perhaps parts whose names begin with ``Oem``. Nothing else is taken.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

from aiohttp import BodyPartReader, MultipartReader, web

from lab.redfish.errors import RedfishError

HEAD_BYTES = 64 * 1024  # what is kept of a file: images have hundreds of MB
_PARAMETERS_BYTES = 64 * 1024
_PIECE_BYTES = 256 * 1024


@dataclass(frozen=True)
class File:
    """An uploaded file: its beginning, its size and what all of it hashes to."""

    name: str | None
    content_type: str
    head: bytes = field(repr=False)
    size: int
    sha256: str


@dataclass(frozen=True)
class Form:
    parameters: dict[str, Any]
    file: File


async def read_form(request: web.BaseRequest, largest: int) -> Form:
    """The two parts. Raises RedfishError 400 for anything that is no such form, 413 for a file above ``largest``."""
    try:
        reader = await request.multipart()
    except (ValueError, AssertionError):
        raise RedfishError("UnrecognizedRequestBody") from None
    return await _parts(reader, largest)


async def _parts(reader: MultipartReader, largest: int) -> Form:
    parameters: dict[str, Any] | None = None
    file: File | None = None
    try:
        while (part := await reader.next()) is not None:
            if not isinstance(part, BodyPartReader) or part.name is None:
                raise RedfishError("UnrecognizedRequestBody")
            if part.name == "UpdateParameters" and parameters is None:
                parameters = await _parameters(part)
            elif part.name == "UpdateFile" and file is None:
                file = await _file(part, largest)
            elif part.name.startswith("Oem"):
                await part.release()
            else:
                raise RedfishError("PropertyUnknown", part.name)
    except ValueError:  # a boundary or a header that is none
        raise RedfishError("UnrecognizedRequestBody") from None
    for name, found in (("UpdateParameters", parameters), ("UpdateFile", file)):
        if found is None:
            raise RedfishError("PropertyMissing", name)
    assert parameters is not None and file is not None
    return Form(parameters, file)


async def _parameters(part: BodyPartReader) -> dict[str, Any]:
    if part.headers.get("Content-Type", "").split(";")[0].strip().lower() != "application/json":
        raise RedfishError("UnsupportedMediaType")
    raw = bytearray()
    while piece := await part.read_chunk():
        raw += piece
        if len(raw) > _PARAMETERS_BYTES:
            raise RedfishError("MalformedJSON")
    try:
        found = json.loads(bytes(raw))
    except ValueError:
        raise RedfishError("MalformedJSON") from None
    if not isinstance(found, dict):
        raise RedfishError("MalformedJSON")
    return found


async def _file(part: BodyPartReader, largest: int) -> File:
    kind = part.headers.get("Content-Type", "").split(";")[0].strip().lower()
    if kind != "application/octet-stream":
        raise RedfishError("UnsupportedMediaType")
    head, size, digest = bytearray(), 0, hashlib.sha256()
    while piece := await part.read_chunk(_PIECE_BYTES):
        size += len(piece)
        if size > largest:
            raise RedfishError("PayloadTooLarge")
        head += piece[: HEAD_BYTES - len(head)]
        digest.update(piece)
    return File(part.filename, kind, bytes(head), size, digest.hexdigest())
