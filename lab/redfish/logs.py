"""Log services: the BMC's SEL, the GPU tray's event log, and the XID views onto it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.bmc import LogRecord, SelRecord
from lab.redfish.baseboard import find_gpu
from lab.redfish.routes import AMI_OK, ROOT, Answer, Body, Call, ami, hgx, link, members, routes
from lab.sensors import NVSWITCHES

if TYPE_CHECKING:
    from lab.redfish.service import RedfishBmc

SEL = "/Managers/BMC/LogServices/SEL"
EVENT_LOG = "/Systems/HGX_Baseboard_0/LogServices/EventLog"


def _dated(bmc: RedfishBmc, body: Body) -> Body:
    """With the machine's fault ``odd_dates`` every entry has its value as its date, or none at all (null)."""
    for fault in bmc.machine.world.faults.standing(bmc.machine.name, "machine", "odd_dates"):
        body["Created"] = fault.value
    return body


def _clear_action(path: str) -> Body:
    return {"#LogService.ClearLog": {"target": f"{ROOT}{path}/Actions/LogService.ClearLog"}}


@routes.get("/Systems/DGX/LogServices")
def host_log_services(bmc: RedfishBmc) -> Body:
    return ami(
        "/Systems/DGX/LogServices",
        "LogServiceCollection.LogServiceCollection",
        Description="Collection of log services for this system",
        **members([]),
        Name="Log Services Collection",
    )


# --- SEL


@routes.get("/Managers/BMC/LogServices")
def bmc_log_services(bmc: RedfishBmc) -> Body:
    return ami(
        "/Managers/BMC/LogServices",
        "LogServiceCollection.LogServiceCollection",
        Description="Collection of Log Services for this Managers",
        **members([SEL]),
        Name="Log Service Collection",
    )


@routes.get("/Managers/BMC/LogServices/SEL")
def sel(bmc: RedfishBmc) -> Body:
    return ami(
        SEL,
        "LogService.v1_2_0.LogService",
        Actions=_clear_action(SEL),
        DateTime=bmc.clock.now().isoformat(timespec="seconds"),
        DateTimeLocalOffset="+00:00",
        Description="IPMI SEL events for this manager",
        Entries=link(f"{SEL}/Entries"),
        Id="SEL",
        LogEntryType="SEL",
        MaxNumberOfRecords=3640,
        Name="IPMI SEL",
        OverWritePolicy="WrapsWhenFull",
        ServiceEnabled=True,
        Status=dict(AMI_OK),
    )


def _sel_entry(bmc: RedfishBmc, record: SelRecord) -> Body:
    created = record.created.isoformat(timespec="seconds")
    body = ami(
        f"{SEL}/Entries/{record.id}",
        "LogEntry.v1_7_0.LogEntry",
        Created=created,
        Description=f"SEL {record.id}",
        EntryCode="Assert",
        EntryType="SEL",
        EventTimestamp=created,
        Id=str(record.id),
        Links={"OriginOfCondition": link("/Managers/BMC")},
        Message=record.message,
        MessageId="0x{:02X}{:02X}{:02X}".format(*record.event_data),
        Name=f"SEL {record.id}",
        SensorNumber=record.sensor_number,
        SensorType="System ACPI Power State" if record.sensor_type == 0x22 else "Temperature",
        Severity=record.severity,
    )
    return _dated(bmc, body)


@routes.get("/Managers/BMC/LogServices/SEL/Entries")
def sel_entries(bmc: RedfishBmc) -> Body:
    entries = [_without_tag(_sel_entry(bmc, record)) for record in bmc.state.sel]
    return ami(
        f"{SEL}/Entries",
        "LogEntryCollection.LogEntryCollection",
        Description="Collection of entries for this log service",
        Members=entries,
        **{"Members@odata.count": len(entries)},
        Name="Log Entry Collection",
    )


def _without_tag(body: Body) -> Body:
    return {name: value for name, value in body.items() if name not in ("@odata.context", "@odata.etag")}


@routes.get("/Managers/BMC/LogServices/SEL/Entries/{id}")
def sel_entry(bmc: RedfishBmc, id: str) -> Body | None:
    record = next((record for record in bmc.state.sel if str(record.id) == id), None)
    return _sel_entry(bmc, record) if record else None


@routes.post("/Managers/BMC/LogServices/SEL/Actions/LogService.ClearLog")
async def clear_sel(call: Call) -> Answer:
    call.bmc.state.sel.clear()
    return Answer()


# --- the GPU tray's event log


@routes.get("/Systems/HGX_Baseboard_0/LogServices")
def tray_log_services(bmc: RedfishBmc) -> Body:
    return hgx(
        "/Systems/HGX_Baseboard_0/LogServices",
        "LogServiceCollection.LogServiceCollection",
        Description="Collection of LogServices for this Computer System",
        **members([EVENT_LOG]),
        Name="System Log Services Collection",
    )


def _hmc_time(record: LogRecord) -> str:
    """The HMC's clock is not set: it lives in 2020."""
    created = record.created
    return created.replace(year=2020, day=min(created.day, 28)).isoformat(timespec="seconds")


@routes.get("/Systems/HGX_Baseboard_0/LogServices/EventLog")
def event_log(bmc: RedfishBmc) -> Body:
    records = bmc.state.event_log
    nvidia = {"@odata.type": "#NvidiaLogService.v1_0_0.NvidiaLogService", "AutoClearResolvedLogEnabled": False}
    if records:
        nvidia |= {"LatestEntryID": str(records[-1].id), "LatestEntryTimeStamp": _hmc_time(records[-1])}
    return hgx(
        EVENT_LOG,
        "LogService.v1_1_0.LogService",
        Actions=_clear_action(EVENT_LOG),
        DateTime=bmc.clock.now().replace(year=2020, day=1).isoformat(timespec="seconds"),
        DateTimeLocalOffset="+00:00",
        Description="System Event Log Service",
        Entries=link(f"{EVENT_LOG}/Entries"),
        Id="EventLog",
        Name="Event Log Service",
        Oem={"Nvidia": nvidia},
        OverWritePolicy="WrapsWhenFull",
    )


def _event_entry(bmc: RedfishBmc, record: LogRecord) -> Body:
    body = hgx(
        f"{EVENT_LOG}/Entries/{record.id}",
        "LogEntry.v1_9_0.LogEntry",
        Created=_hmc_time(record),
        EntryType="Event",
        Id=str(record.id),
        Message=record.message,
        MessageArgs=list(record.message_args),
        MessageId=record.message_id,
        Name="System Event Log Entry",
        Resolution="",
        Resolved=False,
        Severity=record.severity,
    )
    if record.origin:
        body["Links"] = {"OriginOfCondition": link(record.origin)}
    return _dated(bmc, body)


@routes.get("/Systems/HGX_Baseboard_0/LogServices/EventLog/Entries")
def event_entries(bmc: RedfishBmc) -> Body:
    return hgx(
        f"{EVENT_LOG}/Entries",
        "LogEntryCollection.LogEntryCollection",
        Description="Collection of System Event Log Entries",
        Members=[_event_entry(bmc, record) for record in bmc.state.event_log],
        **{"Members@odata.count": len(bmc.state.event_log)},
        Name="System Event Log Entries",
    )


@routes.get("/Systems/HGX_Baseboard_0/LogServices/EventLog/Entries/{id}")
def event_entry(bmc: RedfishBmc, id: str) -> Body | None:
    record = next((record for record in bmc.state.event_log if str(record.id) == id), None)
    return _event_entry(bmc, record) if record else None


@routes.post("/Systems/HGX_Baseboard_0/LogServices/EventLog/Actions/LogService.ClearLog")
async def clear_event_log(call: Call) -> Answer:
    call.bmc.state.event_log.clear()
    return Answer()


# --- XID views


def has_xid_log(chassis: str) -> bool:
    return chassis.startswith("HGX_GPU_SXM_") or chassis in {f"HGX_NVSwitch_{n}" for n in range(NVSWITCHES)}


def xid_service_paths(chassis: str) -> list[str]:
    return [f"/Chassis/{chassis}/LogServices/XID"] if has_xid_log(chassis) else []


def _xids(bmc: RedfishBmc, chassis: str) -> list[LogRecord] | None:
    """Records of a chassis; None when it has no XID log."""
    if not has_xid_log(chassis):
        return None
    if chassis.startswith("HGX_GPU") and find_gpu(bmc, chassis.removeprefix("HGX_")) is None:
        return None
    subject = f"{chassis.removeprefix('HGX_')} Driver Event Message"
    return [record for record in bmc.state.event_log if record.message_args[:1] == (subject,)]


@routes.get("/Chassis/{chassis}/LogServices/XID")
def xid_log(bmc: RedfishBmc, chassis: str) -> Body | None:
    records = _xids(bmc, chassis)
    if records is None:
        return None
    path = f"/Chassis/{chassis}/LogServices/XID"
    nvidia = {"@odata.type": "#NvidiaLogService.v1_0_0.NvidiaLogService"}
    if records:
        nvidia |= {"LatestEntryID": str(records[-1].id), "LatestEntryTimeStamp": _hmc_time(records[-1])}
    return hgx(
        path,
        "LogService.v1_1_0.LogService",
        DateTime=bmc.clock.now().replace(year=2020, day=1).isoformat(timespec="seconds"),
        DateTimeLocalOffset="+00:00",
        Description="XID Log Service",
        Entries=link(f"{path}/Entries"),
        Id="XID",
        Name="XID Log Service",
        Oem={"Nvidia": nvidia},
        OverWritePolicy="WrapsWhenFull",
    )


@routes.get("/Chassis/{chassis}/LogServices/XID/Entries")
def xid_entries(bmc: RedfishBmc, chassis: str) -> Body | None:
    """The members' own paths point into the tray's event log."""
    records = _xids(bmc, chassis)
    if records is None:
        return None
    return hgx(
        f"/Chassis/{chassis}/LogServices/XID/Entries",
        "LogEntryCollection.LogEntryCollection",
        Description="Collection of XID Log Entries",
        Members=[_event_entry(bmc, record) for record in records],
        **{"Members@odata.count": len(records)},
        Name="XID Log Entries",
    )
