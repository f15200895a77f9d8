"""One machine of a vendor of the lab's, and requests to it by a client that is not ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import requests

from lab.redfish.service import RedfishBmc

V1 = "/redfish/v1"
SYSTEMS = {
    "ami": f"{V1}/Systems/DGX",
    "dell": f"{V1}/Systems/System.Embedded.1",
    "hpe": f"{V1}/Systems/1",
    "lenovo": f"{V1}/Systems/1",
    "supermicro": f"{V1}/Systems/1",
    "openbmc": f"{V1}/Systems/System_0",
    "gigabyte": f"{V1}/Systems/Self",
    "generic": f"{V1}/Systems/1",
}
AMI = ("ami", "gigabyte")


class Bmc:
    """One machine of a vendor, and requests to it."""

    def __init__(self, loop: Any, bmc: RedfishBmc, ca_path: Path) -> None:
        self.loop, self.bmc, self.machine = loop, bmc, bmc.machine
        self.system = SYSTEMS[bmc.vendor.name]
        self.http = requests.Session()
        self.http.trust_env = False
        self.http.verify = str(ca_path)
        self.http.auth = (self.machine.bmc_username, self.machine.bmc_password)

    def __call__(self, method: str, path: str, **options: Any) -> requests.Response:
        options.setdefault("timeout", 3)
        return self.http.request(method, f"https://127.0.0.1:{self.bmc.port}{path}", **options)

    def get(self, path: str) -> Any:
        answer = self("GET", path)
        assert answer.status_code == 200, f"{path}: {answer.status_code} {answer.text}"
        return answer.json()

    def patch(self, path: str, body: Any, **options: Any) -> requests.Response:
        """With the tag of the resource, where there is one."""
        tag = self("GET", path).headers.get("ETag")
        return self("PATCH", path, json=body, headers={"If-Match": tag} if tag else {}, **options)

    def reset(self, kind: str) -> requests.Response:
        return self("POST", f"{self.system}/Actions/ComputerSystem.Reset", json={"ResetType": kind})

    def turn(self, kind: str, power: str) -> None:
        assert self.reset(kind).status_code < 300
        self.loop.until(lambda: self.machine.power == power)

    def post_ran(self, before: int) -> None:
        self.loop.until(lambda: self.machine.posts > before and not self.machine.in_post)

    def fault(self, kind: str, match: str = "*", value: Any = None, count: int | None = None) -> None:
        faults = self.machine.world.faults
        layer = "machine" if kind in ("post_hang", "power_stuck", "gpu_missing") else "redfish"

        async def add() -> None:
            faults.add(self.machine.name, layer, kind, match, value, count)

        self.loop.run(add())


def ids(answer: requests.Response) -> list[str]:
    error = answer.json()["error"]
    return [info["MessageId"] for info in error["@Message.ExtendedInfo"]]
