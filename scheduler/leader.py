# SPDX-License-Identifier: Apache-2.0
"""One leader among many schedulers, by a lease in the database.

The lease compares the database's clock. Whether *we* may act is judged on our own monotonic clock, counted from before
the renewal was asked for: so we believe in our lease for a shorter time than anybody else does.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

log = logging.getLogger(__name__)


class Leadership:
    """Takes and renews the lease in a thread of its own.

    `take(ttl_s)` takes or renews the lease and says whether it is ours; it may raise when the database is away.
    `give_up()` frees it, so that the next leader need not wait.
    """

    def __init__(self, take: Callable[[float], bool], give_up: Callable[[], None], ttl_s: float = 15.0) -> None:
        self._take = take
        self._give_up = give_up
        self._ttl_s = ttl_s
        self._until = 0.0
        self._was = False
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="leader", daemon=True)

    @property
    def held(self) -> bool:
        """Whether this process may do the leader's work now."""
        return time.monotonic() < self._until

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Stop renewing and free the lease. Call it when no leader's work is going on any more."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join(self._ttl_s)
        held, self._until = self.held, 0.0
        if held:
            try:
                self._give_up()
            except Exception as error:
                log.warning("freeing the leader lease: %s; it runs out by itself", error)

    def renew(self) -> None:
        """One round."""
        asked = time.monotonic()
        try:
            if self._take(self._ttl_s):
                # a margin for work that was begun in the last moment
                self._until = asked + self._ttl_s * 0.8
            else:
                self._until = 0.0
        except Exception as error:
            log.warning("renewing the leader lease: %s", error)
        if self.held != self._was:
            self._was = self.held
            log.info("this scheduler %s the leader", "is now" if self._was else "is no longer")

    def _run(self) -> None:
        while not self._ended.is_set():
            self.renew()
            self._ended.wait(self._ttl_s / 3)
