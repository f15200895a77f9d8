"""Foreign BMCs for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.peers.bmc import servers


@pytest.fixture(scope="session")
def sushy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """The options that reach a sushy-emulator with one fake system, over TLS."""
    if not servers.SUSHY.exists():
        pytest.skip("sushy-emulator is not here; tests/peers/setup.sh tries to get it")
    with servers.sushy(tmp_path_factory.mktemp("sushy")) as params:
        yield params


@pytest.fixture
def ipmi_sim(tmp_path: Path) -> Iterator[dict[str, Any]]:
    """The options that reach an ipmi_sim, whose chassis is a folder: ``power`` and ``boot`` are files in it."""
    try:
        servers.program("ipmi_sim"), servers.program("ipmitool")
    except FileNotFoundError as error:
        pytest.skip(str(error))
    with servers.ipmi_sim(tmp_path) as params:
        yield params
