"""The API as the command line sees it: which service, who asks, and how its refusals are told."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from cli import paths
from cli.problems import Problem

if TYPE_CHECKING:
    from ansible_collections.palebluedot.gpu.plugins.module_utils.service.client import ServiceClient


def token_path() -> Path:
    """Where `palebluedot login` keeps the token."""
    base = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(base) / "palebluedot" / "token"


def service_url() -> str:
    """``PALEBLUEDOT_URL``, else the service that this machine's settings describe."""
    if url := os.environ.get("PALEBLUEDOT_URL"):
        return url
    from fleet.settings import get_settings

    return get_settings().api_url


def make_client(*, anonymous: bool = False, timeout_s: float = 30.0) -> ServiceClient:
    """A client with the caller's token: ``PALEBLUEDOT_TOKEN``, ``PALEBLUEDOT_TOKEN_FILE``, else that of `login`."""
    paths.make_collection_importable()
    from ansible_collections.palebluedot.gpu.plugins.module_utils.service.client import ServiceClient

    token = os.environ.get("PALEBLUEDOT_TOKEN")
    token_file = os.environ.get("PALEBLUEDOT_TOKEN_FILE")
    if not anonymous and not token and not token_file:
        if not token_path().exists():
            raise Problem(
                "Nobody is logged in",
                code="unauthenticated",
                tried=f"PALEBLUEDOT_TOKEN, PALEBLUEDOT_TOKEN_FILE, {token_path()}",
                next="palebluedot login",
            )
        token_file = str(token_path())
    return ServiceClient(
        service_url(),
        token=None if anonymous else token or None,
        token_file=None if anonymous or token else token_file,
        ca_path=os.environ.get("PALEBLUEDOT_CA_PATH") or None,
        timeout=timeout_s,
    )


@contextlib.contextmanager
def service(*, anonymous: bool = False) -> Iterator[ServiceClient]:
    """``with service() as api:`` — errors of the client become problems with an exit code."""
    client = make_client(anonymous=anonymous)
    with told(), client:
        yield client


@contextlib.contextmanager
def told() -> Iterator[None]:
    """Errors of the client inside the block become problems."""
    paths.make_collection_importable()
    from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import PaleBlueDotError

    try:
        yield
    except PaleBlueDotError as error:
        raise Problem.of(error) from error
