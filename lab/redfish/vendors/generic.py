"""A BMC that follows the specification and has nothing of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.redfish.errors import RedfishError
from lab.redfish.routes import Answer, Body, Call
from lab.redfish.vendors.standard import Standard

if TYPE_CHECKING:
    from lab.redfish.service import RedfishBmc

APPLY_TIMES = ("OnReset", "Immediate")


class Generic(Standard):
    def current_bios(self, bmc: RedfishBmc) -> Body:
        body = super().current_bios(bmc)
        body["@Redfish.Settings"]["SupportedApplyTimes"] = list(APPLY_TIMES)
        return body

    async def change_bios(self, call: Call) -> Answer:
        """Settings may be applied at once (DSP0266 9.10, Settings.ApplyTime). A BIOS reads them in POST, so that the
        server restarts for it; one that is off reads them when it is switched on."""
        apply = call.body.get("@Redfish.SettingsApplyTime", {"ApplyTime": "OnReset"})
        when = apply.get("ApplyTime") if isinstance(apply, dict) else None
        if when not in APPLY_TIMES:
            raise RedfishError("PropertyValueNotInList", str(apply), "@Redfish.SettingsApplyTime")
        answer = await super().change_bios(call)
        machine = call.bmc.machine
        if when == "OnReset" or machine.power == "Off":
            return answer
        return call.bmc.task_answer("Apply BIOS settings", machine.power_action("reset", by="redfish"))


def make() -> Standard:
    return Generic()
