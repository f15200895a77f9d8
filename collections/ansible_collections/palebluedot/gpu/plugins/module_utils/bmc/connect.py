# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""Opens a BMC from a module's options."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.base import Bmc
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.either import RedfishOrIpmi
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.ipmi.client import IpmiBmc
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.redfish.client import RedfishBmc
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.redfish.transport import RedfishTransport
from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import InvalidInput, PaleBlueDotError
from ansible_collections.palebluedot.gpu.plugins.module_utils.service.credentials import PROBLEM


def open_bmc(params: Mapping[str, Any], prefix: str = "bmc_") -> Bmc:
    """The BMC of the ``bmc_*`` options; nothing is sent before the first operation.

    With ``bmc_protocol=auto`` that operation finds out: Redfish, or IPMI where there is no Redfish service.

    :param prefix: of the option names; empty for an entry of ``bmcs``.
    """
    if params.get(PROBLEM):
        raise PaleBlueDotError(**params[PROBLEM])
    address = params[f"{prefix}address"]
    username, password = params.get(f"{prefix}username"), params.get(f"{prefix}password")
    if not username or password is None:
        raise InvalidInput(
            "the BMC's user name and password are not known",
            host=address,
            next="Give bmc_credential, or bmc_username and bmc_password.",
        )
    timeout = float(params.get(f"{prefix}timeout") or 30)
    protocol = params.get(f"{prefix}protocol") or "auto"
    port = params.get(f"{prefix}port")
    if protocol == "ipmi":
        return IpmiBmc(address, port, username, password, timeout=timeout)
    validate_certs = params.get(f"{prefix}validate_certs")
    redfish = RedfishBmc(
        RedfishTransport(
            address,
            port,
            username,
            password,
            validate_certs=True if validate_certs is None else bool(validate_certs),
            ca_path=params.get(f"{prefix}ca_path"),
            fingerprint=params.get(f"{prefix}fingerprint"),
            auth=params.get(f"{prefix}auth") or "auto",
        ),
        timeout=timeout,
        system_id=params.get("system_id"),
    )
    if protocol == "redfish":
        return redfish
    # bmc_port is the Redfish service's then: IPMI's is hardly ever anything but 623
    return RedfishOrIpmi(redfish, lambda left: IpmiBmc(address, None, username, password, timeout=left), timeout)
