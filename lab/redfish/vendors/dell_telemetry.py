"""GPU readings of an iDRAC9: only by telemetry, which needs a Datacenter licence and is off."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.redfish.errors import RedfishError
from lab.redfish.routes import Answer, Body, Call, link
from lab.redfish.vendors.dell_jobs import success
from lab.redfish.vendors.oem import OemError
from lab.redfish.vendors.standard import Standard

if TYPE_CHECKING:
    from lab.redfish.service import RedfishBmc

GPU_REPORTS = ("GPUMetrics", "GPUStatistics")


class DellTelemetry(Standard):
    def register_telemetry(self) -> None:
        at = self.routes
        self.register_licences("LicenseService", self.licences_of, self.licence)
        at.get("/TelemetryService")(self.telemetry)
        at.patch("/TelemetryService")(self.change_telemetry)
        reports = "/TelemetryService/MetricReports"
        at.get(reports)(
            lambda bmc: self.collection(
                reports,
                "MetricReport",
                [f"{reports}/GPUMetrics", f"{reports}/GPUStatistics"] if telemetry_on(bmc) else [],
            )
        )
        at.get(f"{reports}/{{id}}")(self.report)
        definitions = "/TelemetryService/MetricReportDefinitions"
        at.get(f"{definitions}/{{id}}")(self.report_definition)
        at.get(definitions)(
            lambda bmc: self.collection(
                definitions, "MetricReportDefinition", [f"{definitions}/{id}" for id in GPU_REPORTS]
            )
        )
        self.hidden = (*self.hidden, "/TelemetryService/")

    def licences_of(self, bmc: RedfishBmc) -> list[str]:
        return ["FD00000000000001"] if bmc.oem.get("licence", "Enterprise") == "Enterprise" else ["FD00000000000002"]

    def licence(self, bmc: RedfishBmc, id: str) -> Body | None:
        if id not in self.licences_of(bmc):
            return None
        kind = bmc.oem.get("licence", "Enterprise")
        return self.body(
            f"/LicenseService/Licenses/{id}",
            "License.v1_1_1.License",
            AuthorizationScope="Device",
            EntitlementId=id,
            Id=id,
            LicenseType="Production",
            Name=id,
            Oem={
                "Dell": {
                    "DellLicense": {"LicenseDescription": [f"iDRAC9 16G {kind} License"], "LicenseType": "Perpetual"}
                }
            },
            Status={"Health": "OK", "State": "Enabled"},
        )

    def telemetry(self, bmc: RedfishBmc) -> Body:
        return self.body(
            "/TelemetryService",
            "TelemetryService.v1_3_1.TelemetryService",
            Id="TelemetryService",
            MaxReports=50,
            MetricReportDefinitions=link("/TelemetryService/MetricReportDefinitions"),
            MetricReports=link("/TelemetryService/MetricReports"),
            MinCollectionInterval="PT0H0M5S",
            Name="TelemetryService",
            ServiceEnabled=telemetry_on(bmc),
        )

    async def change_telemetry(self, call: Call) -> Answer:
        wanted = call.body.get("ServiceEnabled")
        if not isinstance(wanted, bool):
            raise RedfishError("PropertyMissing", "ServiceEnabled")
        if wanted and call.bmc.oem.get("licence", "Enterprise") != "Datacenter":
            raise OemError(
                "IDRAC.2.8.RAC0904",
                "Unable to complete the operation because a required license is missing or expired.",
                403,
                resolution="Obtain an iDRAC Datacenter license and retry the operation.",
            )
        call.bmc.oem["telemetry"] = wanted
        return Answer(200, success())

    def report_definition(self, bmc: RedfishBmc, id: str) -> Body | None:
        if id not in GPU_REPORTS:
            return None
        return self.body(
            f"/TelemetryService/MetricReportDefinitions/{id}",
            "MetricReportDefinition.v1_4_2.MetricReportDefinition",
            Id=id,
            MetricReportDefinitionEnabled=telemetry_on(bmc),
            MetricReportDefinitionType="Periodic",
            Name=f"{id} Metric Report Definition",
        )

    def report(self, bmc: RedfishBmc, id: str) -> Body | None:
        if id not in GPU_REPORTS or not telemetry_on(bmc):
            return None
        now, at = bmc.clock.now().isoformat(timespec="seconds"), bmc.clock.elapsed()
        values = []
        for gpu in bmc.machine.present_gpus:
            read = (
                {"PrimaryTemperature": round(gpu.temperature_celsius(at)), "GPUStatus": "OK"}
                if id == "GPUMetrics"
                else {"SBECounterFB": 0, "DBECounterFB": 0}
            )
            values += [
                {
                    "MetricId": name,
                    "MetricValue": str(value),
                    "Oem": {"Dell": {"ContextID": self.gpu_processor_id(gpu), "FQDD": self.gpu_processor_id(gpu)}},
                    "Timestamp": now,
                }
                for name, value in read.items()
            ]
        return self.body(
            f"/TelemetryService/MetricReports/{id}",
            "MetricReport.v1_5_0.MetricReport",
            Id=id,
            MetricReportDefinition=link(f"/TelemetryService/MetricReportDefinitions/{id}"),
            MetricValues=values,
            Name=f"{id} Metric Report",
        )


def telemetry_on(bmc: RedfishBmc) -> bool:
    return bool(bmc.oem.get("telemetry", False))
