"""A walk, written as a capture: ``redfish/v1/…/index.json`` with ``headers.json`` and ``time.json``, and a README."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lab.capture.pseudonyms import Pseudonyms
from lab.capture.walk import Answer

ROOT = "/redfish/v1"


def write(
    folder: Path,
    answers: list[Answer],
    pseudonyms: Pseudonyms | None,
    sessions: str,
    ipmi: dict[str, Any] | None = None,
) -> int:
    """How many resources were written. Raises StillThere when one of them holds what was to be hidden.

    :param pseudonyms: None writes everything as it came.
    :param sessions: path of the session collection, which is written without its members.
    """
    if pseudonyms is not None:
        for answer in answers:
            pseudonyms.learn(answer.body)
        pseudonyms.learn(ipmi or {})
    number = 0
    for answer in answers:
        path, body = answer.path, answer.body
        if body is None and not (answer.text and answer.status == 200):
            continue
        if path == sessions and isinstance(body, dict):
            body = {**body, "Members": [], "Members@odata.count": 0}
        headers: dict[str, Any] = dict(answer.headers)
        if pseudonyms is not None:
            path, headers = pseudonyms.text(path), pseudonyms.body(headers)
        place = folder.joinpath(*_segments(path))
        place.mkdir(parents=True, exist_ok=True)
        if body is not None:
            shown = pseudonyms.body(body) if pseudonyms is not None else body
            _json(place / "index.json", shown)
        else:
            text = str(answer.text)
            (place / "index.xml").write_text(pseudonyms.text(text) if pseudonyms is not None else text)
        _json(place / "headers.json", {"GET": headers})
        _json(place / "time.json", {"GET_Time": f"{answer.seconds:.3f}"})
        number += 1
    if ipmi is not None:
        _json(folder / "ipmi.json", pseudonyms.body(ipmi) if pseudonyms is not None else ipmi)
    (folder / "README").write_text(_readme(answers, pseudonyms is not None))
    if pseudonyms is not None:
        pseudonyms.check(folder)
    return number


def _segments(path: str) -> list[str]:
    """Parts of a path that stay in the folder, whatever a BMC calls its resources."""
    return [part if part not in ("", ".", "..") else "_" for part in path.strip("/").split("/")]


def _json(file: Path, body: Any) -> None:
    file.write_text(json.dumps(body, indent=2, ensure_ascii=False) + "\n")


def _readme(answers: Iterable[Answer], hidden: bool) -> str:
    timed = [answer for answer in answers if answer.status == 200]
    refused: dict[int, int] = {}
    for answer in answers:
        if answer.status != 200:
            refused[answer.status] = refused.get(answer.status, 0) + 1
    total = sum(answer.seconds for answer in timed)
    lines = [
        "Redfish service captured by palebluedot lab capture",
        f"Created: {datetime.now(UTC).date().isoformat()}",
        f"Resources: {len(timed)}",
        f"Total response time: {total:.1f} s, average {total / max(len(timed), 1):.3f} s",
        *(f"Answered {status or 'with nothing'}: {count}" for status, count in sorted(refused.items())),
        "Serial numbers, MACs, UUIDs, addresses, names and secrets are pseudonyms." if hidden else "Nothing is hidden.",
    ]
    return "\n".join(lines) + "\n"
