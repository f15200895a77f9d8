"""``palebluedot status`` of a server says what its BMC does not do for want of a licence."""

from __future__ import annotations

from contextlib import contextmanager
from typing import Any

import pytest
from click.testing import CliRunner

from cli import client, gpu

DELL = {"virtual_media": "licence missing: iDRAC Enterprise or Datacenter", "telemetry": "licence missing: iDRAC X"}


class Api:
    def __init__(self, capabilities: Any) -> None:
        self.capabilities = capabilities

    def server(self, name: str) -> dict[str, Any]:
        return {"name": name, "state": "available", "capabilities": self.capabilities}


def said(monkeypatch: pytest.MonkeyPatch, capabilities: Any) -> str:
    @contextmanager
    def service() -> Any:
        yield Api(capabilities)

    monkeypatch.setattr(client, "service", service)
    result = CliRunner().invoke(gpu.status, ["gpu-003"])
    assert result.exit_code == 0, result.output
    return result.output


def test_what_cannot_be_done_is_named_with_the_licence(monkeypatch: pytest.MonkeyPatch) -> None:
    output = said(monkeypatch, {"cannot": DELL})
    assert "cannot do telemetry: licence missing: iDRAC X" in output
    assert "cannot do virtual media: licence missing: iDRAC Enterprise or Datacenter" in output


@pytest.mark.parametrize("capabilities", [None, {}, {"cannot": {}}, {"cannot": None}])
def test_nothing_is_said_where_nothing_is_missing(monkeypatch: pytest.MonkeyPatch, capabilities: Any) -> None:
    assert "cannot" not in said(monkeypatch, capabilities)
