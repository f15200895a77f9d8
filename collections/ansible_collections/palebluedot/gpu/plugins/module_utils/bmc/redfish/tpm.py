# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""The TPM over Redfish: ``ComputerSystem.TrustedModules``, and the BIOS attributes of the vendor's profile."""

from __future__ import annotations

from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.facets.tpm import Tpm, TrustedModule
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.redfish.client import RedfishBmc
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.values import dig, tables, text
from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import Unsupported


class RedfishTpm(Tpm):
    """The TPM behind one `RedfishBmc`."""

    def __init__(self, bmc: RedfishBmc) -> None:
        self._bmc = bmc

    def module(self) -> TrustedModule | None:
        for found in tables(self._bmc.system(self._bmc.deadline()).get("TrustedModules")):
            return TrustedModule(
                interface=text(found.get("InterfaceType")),
                firmware_version=text(found.get("FirmwareVersion")),
                status=text(dig(found, "Status", "State")),
            )
        return None

    def attributes(self, state: str) -> dict[str, str]:
        profile = self._bmc.profile(self._bmc.deadline())
        known = dict(profile.tpm_enable if state == "enabled" else profile.tpm_clear)
        if not known:
            raise Unsupported(
                f"it is not known which BIOS attributes bring this vendor's TPM to '{state}'",
                host=self._bmc.host,
                tried=f"state={state}",
                answer=f"profile {profile.name} has none",
                next="Set them with bios_attributes under the names that this BIOS has.",
            )
        return known
