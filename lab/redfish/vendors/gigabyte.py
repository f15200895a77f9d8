"""AMI MegaRAC as Gigabyte and others ship it: the DGX's firmware without the GPU tray, where everything is Self."""

from __future__ import annotations

from lab.redfish.root import service_root
from lab.redfish.vendors.translated import Translated


class Gigabyte(Translated):
    """Only what is named otherwise."""

    name = "gigabyte"
    accounts_by_star = False  # only known of the DGX
    manufacturer, model = "Giga Computing", "G593-SD0-AAX1"
    system_id, manager_id, chassis_id = "Self", "Self", "Self"

    def register(self) -> None:
        at = self.routes
        self.hidden = (*self.hidden, "/TelemetryService/MetricReport")
        at.get("/")(service_root)
        at.get("/Systems")(lambda bmc: self.collection("/Systems", "ComputerSystem", [self.system_path]))
        at.get("/Managers")(lambda bmc: self.collection("/Managers", "Manager", [self.manager_path]))
        at.get("/Chassis")(lambda bmc: self.collection("/Chassis", "Chassis", [self.chassis_path]))

    def reworded(self, text: str) -> str:
        own = {"NVIDIA": self.manufacturer, "DGXH100": self.model, "DGX": self.system_id}
        return own.get(text) or super().reworded(text)


def make() -> Translated:
    return Gigabyte()
