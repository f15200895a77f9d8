"""The jobs of an iDRAC9: what is staged for the BIOS waits for a job, there is one at a time, and the next POST carries
it out. The same job stands in three lists."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lab.redfish.errors import RedfishError
from lab.redfish.routes import ROOT, Answer, Body, Call, link
from lab.redfish.vendors.oem import OemError
from lab.redfish.vendors.standard import Standard

if TYPE_CHECKING:
    from lab.redfish.service import RedfishBmc

JOBS = "/Managers/iDRAC.Embedded.1/Oem/Dell/Jobs"


class DellJobs(Standard):
    def register_jobs(self) -> None:
        at = self.routes
        for path in (JOBS, "/JobService/Jobs", "/TaskService/Tasks"):
            at.get(path)(lambda bmc, path=path: self.job_list(bmc, path))
            at.get(f"{path}/{{id}}")(lambda bmc, id, path=path: self.job(bmc, path, id))
        at.post(JOBS)(self.create_job)
        at.delete(f"{JOBS}/{{id}}")(self.delete_job)
        at.get("/JobService")(
            lambda bmc: self.body(
                "/JobService",
                "JobService.v1_0_4.JobService",
                Id="JobService",
                Jobs=link("/JobService/Jobs"),
                Name="Job Service",
                ServiceEnabled=True,
            )
        )
        service = f"{self.manager_path}/Oem/Dell/DellJobService"
        at.get(service)(
            lambda bmc: self.body(
                service,
                "DellJobService.v1_4_0.DellJobService",
                Actions={
                    "#DellJobService.DeleteJobQueue": {
                        "target": f"{ROOT}{service}/Actions/DellJobService.DeleteJobQueue"
                    }
                },
                Id="Job Service",
                Name="DellJobService",
            )
        )
        at.post(f"{service}/Actions/DellJobService.DeleteJobQueue")(self.delete_queue)
        at.post(f"{self.bios_base}/Settings/Actions/Oem/DellManager.ClearPending")(self.clear_pending)

    def staged(self, bmc: RedfishBmc) -> Body:
        staged: Body = bmc.oem.setdefault("staged", {})
        return {**bmc.state.bios_pending, **staged}

    async def change_bios(self, call: Call) -> Answer:
        """Attributes are staged. With an apply time they get a job in the same request, without one they wait for one.
        While a job is there nothing can be written."""
        attributes = self.checked_attributes(call)
        bmc = call.bmc
        if self.open_jobs(bmc):
            raise OemError(
                "IDRAC.2.8.SYS011",
                "Pending configuration values are already committed, unable to perform another set operation.",
                400,
                resolution="Wait for the scheduled job to complete or delete the configuration jobs before attempting "
                "more set attribute operations.",
            )
        staged = {**bmc.oem.get("staged", {}), **attributes}
        bmc.oem["staged"] = {name: value for name, value in staged.items() if bmc.state.bios[name] != value}
        apply = call.body.get("@Redfish.SettingsApplyTime")
        if apply is None:
            return Answer(200, success())
        if not isinstance(apply, dict) or apply.get("ApplyTime") not in ("OnReset", "Immediate"):
            raise RedfishError("PropertyValueNotInList", str(apply), "@Redfish.SettingsApplyTime")
        return self.job_answer(bmc)

    async def reset_bios(self, call: Call) -> Answer:
        await super().reset_bios(call)
        return Answer(200, success())

    def job_answer(self, bmc: RedfishBmc) -> Answer:
        bmc.state.bios_pending = {**bmc.state.bios_pending, **bmc.oem.pop("staged", {})}
        number = bmc.oem["last_job"] = bmc.oem.get("last_job", 229700026199) + 1
        id = f"JID_{number}"
        bmc.oem.setdefault("jobs", {})[id] = {
            "name": "Configure: BIOS.Setup.1-1",
            "posts": bmc.machine.posts,
            "deleted": False,
        }
        return Answer(202, success(), {"Location": f"{ROOT}/TaskService/Tasks/{id}"})

    def job_state(self, bmc: RedfishBmc, job: dict[str, Any]) -> str:
        """A job is carried out by the next POST."""
        if bmc.machine.posts == job["posts"]:
            return "Scheduled"
        return "Running" if bmc.machine.in_post and bmc.machine.posts == job["posts"] + 1 else "Completed"

    def open_jobs(self, bmc: RedfishBmc) -> list[str]:
        return [id for id, job in bmc.oem.get("jobs", {}).items() if self.job_state(bmc, job) != "Completed"]

    def job_list(self, bmc: RedfishBmc, path: str) -> Body:
        kind = "Task" if path.startswith("/TaskService") else "Job" if path.startswith("/JobService") else "DellJob"
        ids = [*bmc.oem.get("jobs", {}), *(bmc.tasks.by_id if kind == "Task" else ())]
        return self.collection(path, kind, [f"{path}/{id}" for id in ids])

    def job(self, bmc: RedfishBmc, path: str, id: str) -> Body | None:
        found = bmc.oem.get("jobs", {}).get(id)
        if found is None:
            if path.startswith("/TaskService") and id in bmc.tasks.by_id:
                return self.shared(bmc, f"/TaskService/Tasks/{id}")
            return None
        state = self.job_state(bmc, found)
        percent = {"Scheduled": 0, "Running": 50, "Completed": 100}[state]
        said = {
            "Scheduled": ("JCP001", "Task successfully scheduled."),
            "Running": ("JCP027", "Job in progress."),
            "Completed": ("PR19", "Job completed successfully."),
        }[state]
        if path == JOBS:
            return self.body(
                f"{JOBS}/{id}",
                "DellJob.v1_5_0.DellJob",
                Id=id,
                JobState=state,
                JobType="BIOSConfiguration",
                Message=said[1],
                MessageId=said[0],
                Name=found["name"],
                PercentComplete=percent,
            )
        kind = "Task" if path.startswith("/TaskService") else "Job"
        word = {
            "Scheduled": "Starting" if kind == "Task" else "Pending",
            "Running": "Running",
            "Completed": "Completed",
        }
        body = self.body(
            f"{path}/{id}",
            f"{kind}.v1_7_1.{kind}" if kind == "Task" else "Job.v1_2_2.Job",
            Id=id,
            Messages=[message(f"IDRAC.2.8.{said[0]}", said[1])],
            Name=found["name"],
            PercentComplete=percent,
        )
        body[f"{kind}State"], body[f"{kind}Status"] = word[state], "OK"
        return body

    async def create_job(self, call: Call) -> Answer:
        target = call.body.get("TargetSettingsURI")
        if target != f"{ROOT}{self.bios_base}/Settings":
            raise RedfishError("PropertyValueNotInList", str(target), "TargetSettingsURI")
        if not call.bmc.oem.get("staged"):
            raise OemError("IDRAC.2.8.RAC050", "No pending data to create a config job.", 400)
        answer = self.job_answer(call.bmc)
        id = answer.headers["Location"].rsplit("/", 1)[-1]
        return Answer(200, success(), {"Location": f"{ROOT}{JOBS}/{id}"})

    async def delete_job(self, call: Call, id: str) -> Answer:
        if id not in self.open_jobs(call.bmc):
            raise RedfishError("ResourceMissingAtURI", call.path)
        self.forget_jobs(call.bmc, [id])
        return Answer(200, success())

    async def delete_queue(self, call: Call) -> Answer:
        (id,) = call.require("DellJobService.DeleteJobQueue", "JobID")
        open_jobs = self.open_jobs(call.bmc)
        if id in ("JID_CLEARALL", "JID_CLEARALL_FORCE"):
            self.forget_jobs(call.bmc, open_jobs)
            call.bmc.oem["jobs"] = {}
        elif id in open_jobs:
            self.forget_jobs(call.bmc, [id])
        else:
            raise RedfishError("ActionParameterValueNotInList", str(id), "JobID", "DellJobService.DeleteJobQueue")
        return Answer(200, success())

    def forget_jobs(self, bmc: RedfishBmc, ids: list[str]) -> None:
        for id in ids:
            del bmc.oem["jobs"][id]
        if ids:
            bmc.state.bios_pending = {}

    async def clear_pending(self, call: Call) -> Answer:
        if self.open_jobs(call.bmc):
            raise OemError("IDRAC.2.8.SYS011", "Pending configuration values are already committed.", 400)
        call.bmc.oem["staged"] = {}
        return Answer(200, success())


def success() -> Body:
    return {"@Message.ExtendedInfo": [message("Base.1.12.Success", "The request completed successfully.")]}


def message(id: str, text: str) -> Body:
    return {
        "Message": text,
        "MessageArgs": [],
        "MessageArgs@odata.count": 0,
        "MessageId": id,
        "RelatedProperties": [],
        "RelatedProperties@odata.count": 0,
        "Resolution": "None",
        "Severity": "OK",
    }
