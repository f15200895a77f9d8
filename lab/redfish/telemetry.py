"""TelemetryService: the one report that has every reading of the GPU tray."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.redfish.routes import AMI_OK, ROOT, Body, ami, hgx, link, members, routes
from lab.sensors import hgx_sensors

if TYPE_CHECKING:
    from lab.redfish.service import RedfishBmc

REPORT = "HGX_PlatformEnvironmentMetrics_0"
# The real report leaves the voltages and the air pressure out.
_NOT_REPORTED = ("Voltage",)


@routes.get("/TelemetryService")
def telemetry_service(bmc: RedfishBmc) -> Body:
    return ami(
        "/TelemetryService",
        "TelemetryService.v1_2_1.TelemetryService",
        Description="TelemetryService",
        Id="TelemetryService",
        MaxReports=5,
        MetricReportDefinitions=link("/TelemetryService/MetricReportDefinitions"),
        MetricReports=link("/TelemetryService/MetricReports"),
        MinCollectionInterval="PT10M",
        Name="TelemetryService",
        ServiceEnabled=True,
        Status=dict(AMI_OK),
        SupportedCollectionFunctions=["Average", "Summation", "Maximum", "Minimum"],
    )


@routes.get("/TelemetryService/MetricReports")
def reports(bmc: RedfishBmc) -> Body:
    return ami(
        "/TelemetryService/MetricReports",
        "MetricReportCollection.MetricReportCollection",
        **members([f"/TelemetryService/MetricReports/{REPORT}"]),
        Name="MetricReports",
    )


@routes.get("/TelemetryService/MetricReportDefinitions")
def definitions(bmc: RedfishBmc) -> Body:
    return ami(
        "/TelemetryService/MetricReportDefinitions",
        "MetricReportDefinitionCollection.MetricReportDefinitionCollection",
        **members([f"/TelemetryService/MetricReportDefinitions/{REPORT}"]),
        Name="MetricReportDefinitions",
    )


@routes.get(f"/TelemetryService/MetricReportDefinitions/{REPORT}")
def definition(bmc: RedfishBmc) -> Body:
    return hgx(
        f"/TelemetryService/MetricReportDefinitions/{REPORT}",
        "MetricReportDefinition.v1_3_0.MetricReportDefinition",
        Id=REPORT,
        MetricProperties=[
            "/redfish/v1/Chassis/HGX_GPU_SXM_{GWild}/Sensors/HGX_GPU_SXM_{GWild}_" + name
            for name in ("Energy_0", "DRAM_0_Power_0", "Power_0", "DRAM_0_Temp_0", "TEMP_0", "TEMP_1")
        ],
        MetricReport=link(f"/TelemetryService/MetricReports/{REPORT}"),
        MetricReportDefinitionType="OnRequest",
        Name=REPORT,
        ReportActions=["LogToMetricReportsCollection"],
        ReportUpdates="Overwrite",
        Status={"State": "Enabled"},
        Wildcards=[{"Name": "GWild", "Values": [str(gpu.number) for gpu in bmc.machine.gpus]}],
    )


@routes.get(f"/TelemetryService/MetricReports/{REPORT}")
def report(bmc: RedfishBmc) -> Body:
    """Values are strings; one that nobody measures is "nan" and stale."""
    # the HMC's clock lives in 2020
    now = bmc.clock.now()
    stamp = now.replace(year=2020, day=min(now.day, 28)).isoformat(timespec="milliseconds")
    return hgx(
        f"/TelemetryService/MetricReports/{REPORT}",
        "MetricReport.v1_3_0.MetricReport",
        Id=REPORT,
        MetricReportDefinition=link(f"/TelemetryService/MetricReportDefinitions/{REPORT}"),
        MetricValues=[
            {
                "MetricProperty": f"{ROOT}/Chassis/{sensor.chassis}/Sensors/{sensor.id}",
                "MetricValue": "nan" if sensor.reading is None else f"{sensor.reading:.6f}",
                "Oem": {
                    "Nvidia": {
                        "@odata.type": "#NvidiaMetricReport.v1_0_0.NvidiaMetricReport",
                        "MetricValueStale": sensor.reading is None,
                    }
                },
                "Timestamp": stamp,
            }
            for sensor in hgx_sensors(bmc.machine)
            if sensor.kind not in _NOT_REPORTED
        ],
        Name=REPORT,
        Oem={
            "Nvidia": {
                "@odata.type": "#NvidiaMetricReport.v1_0_0.NvidiaMetricReport",
                "SensingIntervalMilliseconds": 250,
            }
        },
    )
