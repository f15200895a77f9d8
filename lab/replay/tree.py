"""The files of a capture, read from a folder or an archive."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote

Body = dict[str, Any]

ROOT = "/redfish/v1"
MAX_FILES = 100_000
MAX_BYTES = 2_000_000_000


class NotACapture(ValueError):
    """There is no Redfish tree in what was named."""


class Tree:
    """Path → body of everything captured; bodies are parsed when they are first asked for.

    A body belongs to whoever shares the tree, so it is never changed: `lab.replay.store` copies what it writes to.
    """

    def __init__(self, files: dict[str, bytes], headers: dict[str, Body] | None = None) -> None:
        """:param files: content by path, such as ``/redfish/v1/Systems``.
        :param headers: what a capture recorded of each answer, by path: ``{"headers": {}, "seconds": 0.2}``.
        """
        if ROOT not in files:
            raise NotACapture(f"there is no {ROOT}/index.json")
        self._files = files
        self._headers = headers or {}
        self._bodies: dict[str, Body | None] = {}

    @classmethod
    def read(cls, source: Path) -> Tree:
        """A folder with ``redfish/v1`` in it or one level below, or a tar archive. Raises NotACapture, OSError."""
        files: dict[str, bytes] = {}
        headers: dict[str, Body] = {}
        for name, content in _contents(source):
            parts = PurePosixPath(name).parts
            if "redfish" not in parts[:3]:
                continue
            path = "/" + "/".join(parts[parts.index("redfish") : -1])
            if parts[-1] in ("index.json", "index.xml"):
                files[path] = content
            elif parts[-1] == "headers.json":
                headers.setdefault(path, {})["headers"] = (_parsed(content) or {}).get("GET")
            elif parts[-1] == "time.json":
                headers.setdefault(path, {})["seconds"] = (_parsed(content) or {}).get("GET_Time")
        try:
            return cls(files, headers)
        except NotACapture as problem:
            raise NotACapture(f"{source} is no capture: {problem}") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __contains__(self, path: str) -> bool:
        return path in self._files

    def get(self, path: str) -> Body | None:
        """The body at a path; None where the capture has none, or something that is no JSON object."""
        path = path.rstrip("/")
        if path not in self._bodies:
            raw = self._files.get(path)
            self._bodies[path] = _parsed(raw) if raw is not None else None
        return self._bodies[path]

    def raw(self, path: str) -> bytes | None:
        """What stands in the file: for ``$metadata``, which is XML."""
        return self._files.get(path.rstrip("/"))

    def mentions(self, text: str) -> Iterator[str]:
        """Paths whose files hold that text somewhere."""
        wanted = text.encode()
        return (path for path, raw in self._files.items() if wanted in raw)

    def seconds(self, path: str) -> float:
        """How long the real BMC took to answer, where the capture says; else 0."""
        value = self._headers.get(path.rstrip("/"), {}).get("seconds")
        try:
            return float(value) if value is not None else 0.0
        except ValueError:
            return 0.0

    def headers(self, path: str) -> dict[str, str]:
        found = self._headers.get(path.rstrip("/"), {}).get("headers")
        return {str(name): str(value) for name, value in found.items()} if isinstance(found, dict) else {}

    def spelled(self, path: str) -> str:
        """The path as the capture spells it: as asked, or decoded (mockup folders keep ``%23`` or do not)."""
        path = path.rstrip("/")
        return path if path in self._files else unquote(path)


def _parsed(raw: bytes) -> Body | None:
    try:
        body = json.loads(raw)
    except ValueError:
        return None
    return body if isinstance(body, dict) else None


def _contents(source: Path) -> Iterator[tuple[str, bytes]]:
    if source.is_dir():
        names = ("index.json", "index.xml", "headers.json", "time.json")
        for number, file in enumerate(file for name in names for file in sorted(source.rglob(name))):
            if number > MAX_FILES:
                raise NotACapture(f"{source} has more than {MAX_FILES} files")
            yield str(file.relative_to(source)), file.read_bytes()
        return
    try:
        with tarfile.open(source) as archive:
            total = 0
            for number, member in enumerate(archive):
                if not member.isfile():
                    continue
                total += member.size
                if number > MAX_FILES or total > MAX_BYTES:
                    raise NotACapture(f"{source} is larger than any capture")
                content = archive.extractfile(member)
                if content is not None:
                    yield member.name, content.read()
    except tarfile.TarError as error:
        raise NotACapture(f"{source} is neither a folder nor a tar archive: {error}") from error
