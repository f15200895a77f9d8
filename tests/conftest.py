"""What the tests that go through the whole house share: a lab with a service on it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.site import Site


@pytest.fixture(scope="module")
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A lab of servers without delays, discovered, with its service running. A module may set ``SITE = {...}``."""
    from tests.support.site import Site

    directory: Path = tmp_path_factory.mktemp("site")
    options = getattr(request.module, "SITE", {})
    with Site(directory, **options) as site:
        yield site
