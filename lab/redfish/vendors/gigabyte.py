"""AMI MegaRAC as Gigabyte and others ship it: the DGX's firmware without the GPU tray, where everything is Self."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.bmc import AccountRules
from lab.redfish.root import service_root
from lab.redfish.vendors.standard import CHASSIS, GPU_TRAY, MANAGER, SYSTEM, Standard
from lab.redfish.vendors.surface import Surface

if TYPE_CHECKING:
    from lab.redfish.service import RedfishBmc


class Gigabyte(Standard):
    """Only what is named otherwise. ETags, tasks, errors, accounts and $expand are AMI's."""

    name = "gigabyte"
    session_timeout_s = Surface.session_timeout_s
    max_sessions = Surface.max_sessions
    login_refuses_basic = Surface.login_refuses_basic
    accounts_by_star = False  # only known of the DGX
    page = Surface.page
    expand_levels = Surface.expand_levels
    expand_loses = Surface.expand_loses
    event_stream = Surface.event_stream
    wanted_bios = Surface.wanted_bios
    manufacturer, model = "Giga Computing", "G593-SD0-AAX1"
    system_id, manager_id, chassis_id = "Self", "Self", "Self"
    rules = AccountRules()

    tag = Surface.tag
    check_precondition = Surface.check_precondition

    def register(self) -> None:
        at = self.routes
        self.moved = [(self.system_path, SYSTEM), (self.manager_path, MANAGER), (self.chassis_path, CHASSIS)]
        self.hidden = (*GPU_TRAY, "/TelemetryService/MetricReport")
        at.get("/")(service_root)
        at.get("/Systems")(lambda bmc: self.collection("/Systems", "ComputerSystem", [self.system_path]))
        at.get("/Managers")(lambda bmc: self.collection("/Managers", "Manager", [self.manager_path]))
        at.get("/Chassis")(lambda bmc: self.collection("/Chassis", "Chassis", [self.chassis_path]))

    def furnish(self, bmc: RedfishBmc) -> None:
        """The BIOS, the media and the accounts are the DGX's."""

    def reworded(self, text: str) -> str:
        own = {"NVIDIA": self.manufacturer, "DGXH100": self.model, "DGX": self.system_id}
        return own.get(text) or super().reworded(text)


def make() -> Standard:
    return Gigabyte()
