"""The files of a capture, read from a folder or an archive."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import tarfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Any, cast
from urllib.parse import unquote

Body = dict[str, Any]

ROOT = "/redfish/v1"
MAX_FILES = 100_000
MAX_BYTES = 2_000_000_000  # of a folder's files; of an archive, unpacked
PIECE = 65_536  # an archive is read in such pieces; a header that asks for more at once is none of a capture's

_UNPACKED: dict[bytes, Callable[[IO[bytes]], Any]] = {
    b"\x1f\x8b": lambda file: gzip.GzipFile(fileobj=file),
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\x00": lzma.LZMAFile,
}


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
    except (ValueError, RecursionError):
        return None
    return body if isinstance(body, dict) else None


def _contents(source: Path) -> Iterator[tuple[str, bytes]]:
    return _of_folder(source) if source.is_dir() else _of_archive(source)


def _of_folder(source: Path) -> Iterator[tuple[str, bytes]]:
    """Its own files only: a capture comes from somebody else, and a link in it leads to files of this machine."""
    names = ("index.json", "index.xml", "headers.json", "time.json")
    base, total = source.resolve(), 0
    for number, file in enumerate(file for name in names for file in sorted(source.rglob(name))):
        if number >= MAX_FILES:
            raise NotACapture(f"{source} has more than {MAX_FILES} files")
        if file.is_symlink() or not file.is_file() or not file.resolve().is_relative_to(base):
            continue
        with file.open("rb") as opened:
            content = opened.read(MAX_BYTES - total + 1)
        total += len(content)
        if total > MAX_BYTES:
            raise NotACapture(f"{source} is larger than any capture")
        yield str(file.relative_to(source)), content


def _of_archive(source: Path) -> Iterator[tuple[str, bytes]]:
    try:
        with source.open("rb") as file:
            start = file.read(6)
            file.seek(0)
            unpacked = next((opened(file) for magic, opened in _UNPACKED.items() if start.startswith(magic)), file)
            bounded = cast(IO[bytes], _Bounded(unpacked, f"{source} is larger than any capture"))
            with tarfile.open(fileobj=bounded, mode="r:") as archive:
                yield from _members(source, archive)
    except NotACapture:
        raise
    except (tarfile.TarError, lzma.LZMAError, zlib.error, EOFError, RecursionError, ValueError) as error:
        raise NotACapture(f"{source} is neither a folder nor a tar archive: {error}") from error


def _members(source: Path, archive: tarfile.TarFile) -> Iterator[tuple[str, bytes]]:
    total = 0
    for number, member in enumerate(archive):
        total += max(member.size, 0)  # a sparse file is larger than what it takes in the archive
        if number >= MAX_FILES or total > MAX_BYTES:
            raise NotACapture(f"{source} is larger than any capture")
        content = archive.extractfile(member) if member.isfile() else None
        if content is not None:
            yield member.name, b"".join(iter(lambda content=content: content.read(PIECE), b""))  # type: ignore[misc]


class _Bounded:
    """An unpacked archive, forward only: small pieces, and not more of them than a capture has."""

    def __init__(self, stream: Any, refusal: str) -> None:
        self._stream = stream
        self._refusal = refusal

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= PIECE or self._stream.tell() + size > MAX_BYTES:
            raise NotACapture(self._refusal)
        return cast(bytes, self._stream.read(size))

    def seek(self, position: int, whence: int = io.SEEK_SET) -> int:
        if whence != io.SEEK_SET or not self._stream.tell() <= position <= MAX_BYTES:
            raise NotACapture(self._refusal)
        return cast(int, self._stream.seek(position))

    def tell(self) -> int:
        return cast(int, self._stream.tell())
