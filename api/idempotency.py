"""``Idempotency-Key`` on POSTs: a request repeated because its answer got lost gets that answer again.

For allocating, the key is the request's name and lives in the record for ever. For the other POSTs, answers are kept in
this process's memory for a while: long enough for a client's retries, gone after a restart. What must be safe beyond
that (import, clean, claim) is idempotent by itself. A POST that takes no key says in the API document why not.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from flask import Response, request

from api.problems import ApiError

HEADER = "Idempotency-Key"
LONGEST_KEY = 255
KEY_PARAMETER = {
    "in": "header",
    "name": HEADER,
    "schema": {"type": "string", "maxLength": LONGEST_KEY},
    "description": "A name for this very request: repeated with it, it is answered as before and not done again.",
}
KEEP_S = 600
MOST = 2000

Key = tuple[str, ...]


@dataclass
class _Entry:
    digest: str
    born: float
    lock: threading.Lock = field(default_factory=threading.Lock)
    answer: tuple[bytes, int, str | None] | None = None


class Replays:
    """The answers given to keyed POSTs, a bounded number for a bounded time."""

    EXTENSION = "palebluedot-replays"

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._entries: OrderedDict[Key, _Entry] = OrderedDict()
        self._lock = threading.Lock()

    def run(self, who: str, view: Callable[[], Response]) -> Response:
        """The answer of ``view``, or the one it gave to the same request before.

        Only successes are kept: after an error the client may correct what it likes and use the key again. Two requests
        with one key at the same time run one after the other.

        Raises:
            ApiError: 409 ``idempotency_mismatch`` when the key was used for another request, 422 when it is too long.
        """
        key = request.headers[HEADER]
        if len(key) > LONGEST_KEY:
            raise ApiError(
                "validation_failed",
                f"{HEADER} is longer than {LONGEST_KEY} characters.",
                errors=[{"field": HEADER, "pointer": f"headers:{HEADER}", "detail": "Too long."}],
            )
        entry = self._entry((who, request.method, request.path, key), hashlib.sha256(request.get_data()).hexdigest())
        with entry.lock:
            if entry.answer is None:
                response = view()
                if response.status_code < 300:
                    entry.answer = (response.get_data(), response.status_code, response.mimetype)
                return response
            body, status, media_type = entry.answer
        response = Response(body, status, mimetype=media_type)
        response.headers["Idempotency-Replayed"] = "true"
        return response

    def _entry(self, key: Key, digest: str) -> _Entry:
        now = self._clock()
        with self._lock:
            while self._entries and (
                len(self._entries) > MOST or now - next(iter(self._entries.values())).born > KEEP_S
            ):
                self._entries.popitem(last=False)
            entry = self._entries.get(key)
            if entry is None or (entry.answer is None and entry.digest != digest and not entry.lock.locked()):
                entry = self._entries[key] = _Entry(digest, now)
        if entry.digest != digest:
            raise ApiError("idempotency_mismatch", f"{HEADER} {key[-1]!r} was used for another request.")
        return entry
