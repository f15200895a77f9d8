"""Errors with a vendor's own message."""

from __future__ import annotations

from typing import Any

from lab.redfish.errors import RedfishError


class OemError(RedfishError):
    """``message_id`` is the whole of it, such as ``IDRAC.2.8.RAC0218``."""

    def __init__(
        self,
        message_id: str,
        message: str,
        status: int = 400,
        arguments: tuple[str, ...] = (),
        resolution: str = "None.",
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__("GeneralError", *arguments, status=status)
        self.message_id, self.message, self.resolution = message_id, message, resolution
        self.headers = headers or {}

    def body(self) -> dict[str, Any]:
        body = super().body()
        body["error"]["@Message.ExtendedInfo"][0].update(
            Message=self.message, MessageId=self.message_id, MessageArgs=list(self.arguments)
        )
        return body
