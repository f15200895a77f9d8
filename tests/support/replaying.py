"""Captures served as BMCs in a thread, so that blocking clients can be tried on them."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Coroutine
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest

from lab.pki import CertificateAuthority
from lab.replay import ReplayBmc, Tree

ROOT = Path(__file__).resolve().parents[2]
PASSWORD = "correct horse 42"
CAPTURES = ("nvidia_viking", "dell_multi_dpu", "hpe")

_trees: dict[Path, Tree] = {}


def capture_path(name: str) -> Path | None:
    """The archive of a real machine's capture, where there is one."""
    shared = Path(os.environ.get("PALEBLUEDOT_SHARED") or ROOT.parent / "shared")
    archive = shared / "data" / "redfish" / f"{name}.tar.xz"
    return archive if archive.is_file() else None


def capture(name: str) -> Tree:
    """The capture of a real machine, read once; skips the test where it is not there."""
    archive = capture_path(name)
    if archive is None:
        pytest.skip(f"no capture {name}.tar.xz beside the checkout (PALEBLUEDOT_SHARED names its folder)")
    if archive not in _trees:
        _trees[archive] = Tree.read(archive)
    return _trees[archive]


class Replayed:
    """A running `ReplayBmc`: ``.bmc`` is it, ``params()`` the module options that reach it."""

    def __init__(self, replays: Replays, bmc: ReplayBmc) -> None:
        self._replays = replays
        self.bmc = bmc

    def params(self, **options: Any) -> dict[str, Any]:
        return {
            "bmc_address": "127.0.0.1",
            "bmc_port": self.bmc.port,
            "bmc_username": self.bmc.username,
            "bmc_password": PASSWORD,
            "bmc_ca_path": str(self._replays.ca_path),
            "bmc_protocol": "redfish",
            "bmc_timeout": 20,
            **options,
        }

    def get(self, path: str) -> dict[str, Any]:
        """The body at a path, as the BMC itself has it."""
        return self.bmc.store.get(path) or {}


class Replays:
    """An event loop in a thread with BMCs in it. Use it in ``with``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._authority = CertificateAuthority()
        self.ca_path = folder / "replay-ca.pem"
        self.ca_path.write_bytes(self._authority.pem)
        self._context = self._authority.server_context(folder, "replay")
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._started: list[ReplayBmc] = []

    def run(self, coroutine: Coroutine[Any, Any, Any], seconds: float = 20) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(seconds)

    def start(self, tree: Tree, **options: Any) -> Replayed:
        options = {"password": PASSWORD, "keep_asked": True, "power_s": 0.02, "task_s": 0.05, "away_s": 0.3, **options}

        async def serve() -> ReplayBmc:
            bmc = ReplayBmc(tree, self._context, **options)
            await bmc.start()
            return bmc

        bmc = self.run(serve())
        self._started.append(bmc)
        return Replayed(self, bmc)

    def __enter__(self) -> Replays:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        for bmc in self._started:
            self.run(bmc.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()
