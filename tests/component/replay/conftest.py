"""Replayed captures for the tests of this folder."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from lab.replay import Tree
from tests.support.replaying import PASSWORD, Replayed, Replays


def _beside(name: str) -> Any:
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]


small = _beside("small")


@pytest.fixture(scope="session")
def replays(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replays]:
    with Replays(tmp_path_factory.mktemp("replays")) as replays:
        yield replays


class Client:
    """requests with basic credentials, and paths instead of URLs."""

    def __init__(self, replayed: Replayed, ca: Path) -> None:
        self.replayed = replayed
        self.url = f"https://127.0.0.1:{replayed.bmc.port}"
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.verify = str(ca)
        self.session.auth = (replayed.bmc.username, PASSWORD)

    def ask(self, method: str, path: str, body: Any = None, **more: Any) -> requests.Response:
        path = path if path.startswith("/redfish") else f"/redfish/v1{path}"
        return self.session.request(method, self.url + path, json=body, timeout=10, **more)

    def get(self, path: str) -> Any:
        answer = self.ask("GET", path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def refused(self, method: str, path: str, body: Any = None, **more: Any) -> tuple[int, str]:
        """Status and message of an answer that is an error."""
        answer = self.ask(method, path, body, **more)
        assert answer.status_code >= 400
        return answer.status_code, answer.json()["error"]["code"].rpartition(".")[2]


@pytest.fixture
def serve(replays: Replays) -> Callable[..., Client]:
    """``serve(bodies=None, **options)`` → a client of the small capture, or of other bodies, replayed."""

    def start(bodies: Any = None, **options: Any) -> Client:
        tree = bodies if isinstance(bodies, Tree) else Tree(small.files(bodies))
        return Client(replays.start(tree, **options), replays.ca_path)

    return start
