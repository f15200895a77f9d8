"""The tree of the lab's own BMC, a DGX H100's, under the names of another product line: a path is translated on the way
in, and on the way out paths, Ids and AMI's own properties are translated back."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from lab.redfish.routes import ROOT, Answer, Body, Call, Routes, link, members, routes
from lab.redfish.vendors.surface import Found, Surface

if TYPE_CHECKING:
    from lab.redfish.service import RedfishBmc

# Where the BMC's own tree (a DGX H100) keeps things that vendors keep elsewhere
SYSTEM, MANAGER, CHASSIS = "/Systems/DGX", "/Managers/BMC", "/Chassis/DGX"
GPU_TRAY = ("/Systems/HGX_Baseboard_0", "/Chassis/HGX", "/Managers/HGX_", "/UpdateService/SoftwareInventory/HGX_")
_HOST_NAME = re.compile(r"DGX[0-9A-F]{12}")


class Translated(Surface):
    """What is not registered here comes from the modules of ``lab/redfish``."""

    system_id, manager_id, chassis_id = "1", "1", "1"

    def __init__(self) -> None:
        self.system_path = f"/Systems/{self.system_id}"
        self.manager_path = f"/Managers/{self.manager_id}"
        self.chassis_path = f"/Chassis/{self.chassis_id}"
        self.operator_paths = tuple(
            ROOT + path for path in ("/Systems/", "/Chassis/", f"{self.manager_path}/VirtualMedia/")
        )
        # where things are, and where the tree of the DGX has them; the narrower first
        self.moved: list[tuple[str, str]] = [
            (self.system_path, SYSTEM),
            (self.manager_path, MANAGER),
            (self.chassis_path, CHASSIS),
        ]
        self.hidden: tuple[str, ...] = GPU_TRAY
        self.routes = Routes()
        self.register()

    def register(self) -> None:
        """Put what this vendor shapes in its own way into ``routes``, and more into ``moved`` and ``hidden``."""

    # --- paths and bodies of the shared tree

    def inward(self, path: str) -> str | None:
        """The shared tree's path for one of this vendor's; None where that tree has nothing for it."""
        path = path.removeprefix(ROOT)
        for ours, theirs in self.moved:
            if path == ours or path.startswith(ours + "/"):
                path = theirs + path[len(ours) :]
                break
        else:
            if any(path == theirs or path.startswith(theirs + "/") for _, theirs in self.moved):
                return None
        return None if path.startswith(self.hidden) else path

    def outward(self, path: str) -> str | None:
        """This vendor's path for one of the shared tree; None for what this vendor does not show."""
        inner = path.removeprefix(ROOT)
        if inner.startswith(self.hidden):
            return None
        for ours, theirs in sorted(self.moved, key=lambda pair: -len(pair[1])):
            if inner == theirs or inner.startswith((theirs + "/", theirs + "#")):
                return ROOT + ours + inner[len(theirs) :]
        return path

    def dressed(self, value: Any, own_path: str = "") -> Any:
        """A body of the shared tree as this vendor shows it."""
        if isinstance(value, str):
            return (self.outward(value) or value) if value.startswith(ROOT + "/") else self.reworded(value)
        if isinstance(value, list):
            return [self.dressed(item) for item in value if not self._hides(item)]
        if not isinstance(value, dict):
            return value
        body = {name: self.dressed(item) for name, item in value.items() if not self._hides(item)}
        for name in [name for name in body if name.endswith("@odata.count")]:
            if (
                isinstance(listed := body.get(name.removesuffix("@odata.count")), list)
                and name != "Members@odata.count"
            ):
                body[name] = len(listed)
        if own_path and len(value.get("Members", ())) != len(body.get("Members", ())):
            body["Members@odata.count"] = len(body["Members"])
        if isinstance(body.get("Oem"), dict) and body["Oem"].pop("Ami", None) is not None and not body["Oem"]:
            del body["Oem"]
        if own_path and isinstance(body.get("@odata.id"), str):
            theirs, ours = str(value["@odata.id"]).rsplit("/", 1)[-1], body["@odata.id"].rsplit("/", 1)[-1]
            if body.get("Id") == theirs:
                body["Id"] = ours
            if body.get("Name") == theirs:
                body["Name"] = ours
        return body

    def undressed(self, value: Any) -> Any:
        """The other way: paths in a request as the shared tree has them."""
        if isinstance(value, str) and value.startswith(ROOT + "/"):
            inner = self.inward(value)
            return value if inner is None else ROOT + inner
        if isinstance(value, list):
            return [self.undressed(item) for item in value]
        if isinstance(value, dict):
            return {name: self.undressed(item) for name, item in value.items()}
        return value

    def reworded(self, text: str) -> str:
        """A text without the names of the machine that the shared tree is of."""
        return text.replace("DGX OS", "ubuntu") if not _HOST_NAME.fullmatch(text) else f"bmc-{text[3:].lower()}"

    def _hides(self, value: Any) -> bool:
        if not isinstance(value, dict) or set(value) != {"@odata.id"}:
            return False
        return str(value["@odata.id"]).startswith(ROOT) and self.outward(str(value["@odata.id"])) is None

    def find(self, bmc: RedfishBmc, path: str) -> Found:
        own, parameters = self.routes.find(path)
        methods: dict[str, Callable[..., Any]] = {name: partial(_call, call, parameters) for name, call in own.items()}
        inner = self.inward(path)
        if inner is not None:
            theirs, parameters = routes.find(inner)
            for name, call in theirs.items():
                make = self._reader if name == "GET" else self._writer
                methods.setdefault(name, make(call, parameters))
        return methods, ()

    def _reader(self, read: Callable[..., Body | None], parameters: tuple[str, ...]) -> Callable[..., Body | None]:
        def get(bmc: RedfishBmc) -> Body | None:
            body = read(bmc, *parameters)
            return None if body is None else self.dressed(body, ROOT)

        return get

    def _writer(self, write: Callable[..., Any], parameters: tuple[str, ...]) -> Callable[..., Any]:
        async def change(call: Call) -> Answer:
            form = call.form and replace(call.form, parameters=self.undressed(call.form.parameters))
            inner = replace(call, body=self.undressed(call.body), form=form)
            answer: Answer = await write(inner, *parameters)
            headers = {name: self.dressed(value) for name, value in answer.headers.items()}
            return Answer(answer.status, self.dressed(answer.body, ROOT), headers)

        return change

    def links(self, path: str, names: tuple[str, ...]) -> Body:
        """Links to those of the resources below a path that are there."""
        return {name: link(f"{path}/{name}") for name in names if "GET" in self.find_methods(f"{ROOT}{path}/{name}")}

    def find_methods(self, path: str) -> dict[str, Callable[..., Any]]:
        own, _ = self.routes.find(path)
        inner = self.inward(path)
        return {**(routes.find(inner)[0] if inner is not None else {}), **own}

    def shared(self, bmc: RedfishBmc, path: str) -> Body:
        """A resource of the shared tree as this vendor shows it. Raises KeyError when there is none."""
        found, parameters = routes.find(path)
        body = found["GET"](bmc, *parameters)
        if body is None:
            raise KeyError(path)
        dressed: Body = self.dressed(body, ROOT)
        return dressed

    def body(self, path: str, type: str, **properties: Any) -> Body:
        kind = type.split(".")[0]
        return {
            "@odata.context": f"{ROOT}/$metadata#{kind}.{kind}",
            "@odata.etag": "",  # put in by the service, or taken out
            "@odata.id": ROOT + path,
            "@odata.type": f"#{type}",
            **properties,
        }

    def collection(self, path: str, kind: str, paths: list[str]) -> Body:
        return self.body(path, f"{kind}Collection.{kind}Collection", **members(paths), Name=f"{kind} Collection")

    def settings(self, path: str) -> Body:
        return {"@odata.type": "#Settings.v1_3_5.Settings", "SettingsObject": link(path)}


def _call(call: Callable[..., Any], parameters: tuple[str, ...], first: Any) -> Any:
    return call(first, *parameters)
