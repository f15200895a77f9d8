"""What a vendor decides about its Redfish service as a whole. These defaults are the AMI firmware of a DGX H100, whose
resources the modules of ``lab/redfish`` hold; the other vendors build on :mod:`lab.redfish.vendors.standard`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from lab.redfish.errors import RedfishError
from lab.redfish.routes import ROOT, Answer, Body, routes

if TYPE_CHECKING:
    from lab.bmc import Account
    from lab.redfish.service import RedfishBmc
    from lab.redfish.tasks import Task

Found = tuple[dict[str, Callable[..., Any]], tuple[str, ...]]


class Surface:
    """One product line. Its objects hold no state: whatever a BMC remembers is in :attr:`RedfishBmc.oem` or in the
    machine, so that one object serves all BMCs."""

    name = "ami"
    session_timeout_s: float = 30  # DGX H100 SessionService
    max_sessions = 16
    login_refuses_basic = False  # a POST of Sessions that also carries basic credentials is refused
    idle_reset_s: float | None = None  # a connection unused for that long is reset instead of answered
    accounts_by_star = True  # an account is changed with If-Match: *, and refuses its own tag
    page = 75  # members a collection shows at once
    expand_levels = 5
    expand_all = True  # whether $expand=* is known
    expand_loses: tuple[str, ...] = ("Id", "Name", "ChassisType")  # what $expand leaves out of the members it puts in
    operator_paths: tuple[str, ...] = (
        ROOT + "/Systems/",
        ROOT + "/Chassis/",
        ROOT + "/Managers/BMC/VirtualMedia/",
    )

    # What the lab's fleet document asks of the BIOS
    wanted_bios: Mapping[str, object] = {"SriovSupport": "Enabled", "TurboMode": "Enable", "VTdSupport": "Enable"}
    event_stream: str | None = "/EventService/SSE"  # ServerSentEventUri, below the root
    only_gzip: tuple[str, ...] = ()  # paths below the root that are only sent in gzip, and 406 to who takes none

    def furnish(self, bmc: RedfishBmc) -> None:
        """Put the vendor's BIOS attributes, media and account rules into a new machine's BMC."""

    def find(self, bmc: RedfishBmc, path: str) -> Found:
        """Functions by method, and the path's parameters; empty when the path is unknown."""
        return routes.find(path)

    def tag(self, body: Body, digest: str, stamp: int) -> tuple[Body, str | None]:
        """The body with the tag it carries, if any, and the tag of the answer's header. AMI's tags are the time of the
        last change."""
        if "@odata.etag" not in body:
            return body, None
        body["@odata.etag"] = f'"{stamp}"'
        return body, body["@odata.etag"]

    def check_precondition(self, path: str, given: str | None, etag: str | None) -> None:
        """AMI changes a resource that has an ETag only for who names it. Raises RedfishError 428 or 412."""
        if etag is None:
            return
        if given is None:
            raise RedfishError("PreconditionRequired")
        if self.accounts_by_star and path.startswith(f"{ROOT}/AccountService/Accounts/") and given != "*":
            raise RedfishError("PreconditionFailed")
        if given != "*" and etag not in [tag.strip() for tag in given.split(",")]:
            raise RedfishError("PreconditionFailed")

    def account_path(self, account: Account) -> str:
        return f"{ROOT}/AccountService/Accounts/{account.id}"

    def session_limit(self) -> RedfishError:
        return RedfishError("SessionLimitExceeded")

    def error_body(self, error: RedfishError) -> Body:
        return error.body()

    def finished(self, method: str, answer: Answer) -> Answer:
        """A write's answer as this vendor words success."""
        return answer

    def task_answer(self, task: Task) -> Answer:
        """202, and the task only in the Location header."""
        return Answer(202, None, {"Location": f"{ROOT}/TaskService/Tasks/{task.id}"})
