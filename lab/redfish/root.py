"""Service root, task service and the collections that only list."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from lab.redfish.routes import AMI_OK, ROOT, Body, ami, link, members, routes

if TYPE_CHECKING:
    from lab.redfish.service import RedfishBmc
    from lab.redfish.tasks import Task


def bmc_uuid(bmc: RedfishBmc) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"bmc/{bmc.machine.serial_number}"))


@routes.get("/")
def service_root(bmc: RedfishBmc) -> Body:
    return ami(
        "",
        "ServiceRoot.v1_13_0.ServiceRoot",
        AccountService=link("/AccountService"),
        Chassis=link("/Chassis"),
        Description="The service root for all Redfish requests on this host",
        EventService=link("/EventService"),
        Id="RootService",
        Links={"Sessions": link("/SessionService/Sessions")},
        Managers=link("/Managers"),
        Name="Root Service",
        Oem={"Ami": {"@odata.type": "#AMIServiceRoot.v1_0_0.AMIServiceRoot", "RtpVersion": "13.03"}},
        Product="AMI Redfish Server",
        ProtocolFeaturesSupported={
            "DeepOperations": {"DeepPATCH": True, "DeepPOST": False, "MaxLevels": 6},
            "ExcerptQuery": True,
            "ExpandQuery": {"ExpandAll": True, "Levels": True, "Links": True, "MaxLevels": 5, "NoLinks": True},
            "FilterQuery": True,
            "OnlyMemberQuery": True,
            "SelectQuery": True,
        },
        RedfishVersion="1.11.0",
        SessionService=link("/SessionService"),
        Systems=link("/Systems"),
        Tasks=link("/TaskService"),
        TelemetryService=link("/TelemetryService"),
        UUID=bmc_uuid(bmc),
        UpdateService=link("/UpdateService"),
        Vendor="AMI",
    )


@routes.get("/odata")
def odata(bmc: RedfishBmc) -> Body:
    return {
        "@odata.context": f"{ROOT}/$metadata",
        "value": [{"kind": "Singleton", "name": "Service", "url": f"{ROOT}/"}]
        + [
            {"kind": "Singleton", "name": name, "url": f"{ROOT}/{name}"}
            for name in ("Systems", "Chassis", "Managers", "SessionService", "AccountService")
        ],
    }


@routes.get("/Systems")
def systems(bmc: RedfishBmc) -> Body:
    return ami(
        "/Systems",
        "ComputerSystemCollection.ComputerSystemCollection",
        Description="Collection of Computer Systems",
        **members(["/Systems/DGX", "/Systems/HGX_Baseboard_0"]),
        Name="Systems Collection",
    )


@routes.get("/TaskService")
def task_service(bmc: RedfishBmc) -> Body:
    return ami(
        "/TaskService",
        "TaskService.v1_1_4.TaskService",
        CompletedTaskOverWritePolicy="Oldest",
        DateTime=bmc.clock.now().isoformat(timespec="seconds"),
        Description="Task Service",
        Id="TaskService",
        LifeCycleEventOnTaskStateChange=True,
        Name="Task Service",
        ServiceEnabled=True,
        Status=dict(AMI_OK),
        Tasks=link("/TaskService/Tasks"),
    )


@routes.get("/TaskService/Tasks")
def task_list(bmc: RedfishBmc) -> Body:
    return ami(
        "/TaskService/Tasks",
        "TaskCollection.TaskCollection",
        Description="Task Collection",
        **members([f"/TaskService/Tasks/{id}" for id in bmc.tasks.by_id]),
        Name="Task Collection",
    )


@routes.get("/TaskService/Tasks/{id}")
def task(bmc: RedfishBmc, id: str) -> Body | None:
    found = bmc.tasks.by_id.get(id)
    if found is None:
        return None
    body = ami(
        f"/TaskService/Tasks/{id}",
        "Task.v1_4_2.Task",
        Description=f"Task for {found.name}",
        Id=id,
        Messages=_messages(found),
        Name=found.name,
        StartTime=found.started_at.isoformat(timespec="seconds"),
        TaskState=found.state,
        TaskStatus="OK",
    )
    if found.ended_at:
        body["EndTime"] = found.ended_at.isoformat(timespec="seconds")
    return body


def _messages(task: Task) -> list[Body]:
    if task.ended_at is None:
        return []
    if task.failure:
        return [
            {
                "@odata.type": "#Message.v1_0_8.Message",
                "Message": f"The action {task.failure} is not supported by the resource.",
                "MessageArgs": [task.failure],
                "MessageId": "Base.1.12.ActionNotSupported",
                "RelatedProperties": [task.failure],
                "Resolution": "The action supplied cannot be resubmitted to the implementation.",
                "Severity": "Critical",
            }
        ]
    return [
        {
            "@odata.type": "#Message.v1_0_8.Message",
            "Message": f"The task with id {task.id} has completed.",
            "MessageArgs": [task.id],
            "MessageId": "TaskEvent.1.0.TaskCompletedOK",
            "Resolution": "None.",
            "Severity": "OK",
        }
    ]
