"""The Redfish side of a machine: an AMI BMC with an HGX baseboard behind it, shaped after a DGX H100."""

from __future__ import annotations


def load_resources() -> None:
    """Import every module that registers paths."""
    from lab.redfish import (  # noqa: F401
        accounts,
        baseboard,
        chassis,
        events,
        firmware,
        logs,
        manager_network,
        managers,
        root,
        secureboot,
        systems,
        telemetry,
        volumes,
    )
