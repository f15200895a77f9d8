"""Which function answers which path.

Paths are written as templates under ``/redfish/v1``; a segment in braces is a parameter. The table is shared by all
BMCs: a BMC is state, not code.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from lab.redfish.errors import RedfishError

if TYPE_CHECKING:
    from lab.bmc import Account
    from lab.redfish.multipart import Form
    from lab.redfish.service import RedfishBmc

Body = dict[str, Any]
Reader = Callable[..., Body | None]
Writer = Callable[..., "Awaitable[Answer]"]
AnyFunction = TypeVar("AnyFunction", bound=Callable[..., Any])

ROOT = "/redfish/v1"


@dataclass(frozen=True)
class Call:
    """A write as it came in. ``path`` is without query; ``account`` is None only where none is needed; ``form`` is what
    came as multipart/form-data, ``body`` what came as JSON; ``empty``: there was no body at all, not even ``{}``."""

    bmc: RedfishBmc
    method: str
    path: str
    body: Body
    account: Account | None
    base_url: str
    form: Form | None = None
    empty: bool = False

    def require(self, action: str, *names: str) -> list[Any]:
        """Parameters of an action. Raises RedfishError when one is missing or unknown ones are there."""
        for name in names:
            if name not in self.body:
                raise RedfishError("ActionParameterMissing", action, name)
        for name in self.body:
            if name not in names:
                raise RedfishError("ActionParameterNotSupported", name, action)
        return [self.body[name] for name in names]


@dataclass(frozen=True)
class Answer:
    """What is answered: a body (None: none) and headers beyond the usual ones."""

    status: int = 204
    body: Body | None = None
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class _Node:
    children: dict[str, _Node] = field(default_factory=dict)
    parameter: _Node | None = None
    methods: dict[str, Callable[..., Any]] = field(default_factory=dict)


class Routes:
    """A tree of path segments."""

    def __init__(self) -> None:
        self._root = _Node()

    def get(self, template: str) -> Callable[[AnyFunction], AnyFunction]:
        """``function(bmc, *parameters) -> body or None`` (None: no such resource)."""
        return self._register("GET", template)

    def post(self, template: str) -> Callable[[AnyFunction], AnyFunction]:
        """``async function(call, *parameters) -> Answer``; patch and delete alike."""
        return self._register("POST", template)

    def patch(self, template: str) -> Callable[[AnyFunction], AnyFunction]:
        return self._register("PATCH", template)

    def delete(self, template: str) -> Callable[[AnyFunction], AnyFunction]:
        return self._register("DELETE", template)

    def _register(self, method: str, template: str) -> Callable[[AnyFunction], AnyFunction]:
        def add(function: AnyFunction) -> AnyFunction:
            node = self._root
            for segment in template.strip("/").split("/") if template.strip("/") else []:
                if segment.startswith("{"):
                    node.parameter = node.parameter or _Node()
                    node = node.parameter
                else:
                    node = node.children.setdefault(segment, _Node())
            if method in node.methods:
                raise ValueError(f"{method} {template} is registered twice")
            node.methods[method] = function
            return function

        return add

    def find(self, path: str) -> tuple[dict[str, Callable[..., Any]], tuple[str, ...]]:
        """Functions by method and the path's parameters, for a path below ``/redfish/v1``; empty when unknown."""
        segments = [segment for segment in path.removeprefix(ROOT).split("/") if segment]
        return _search(self._root, segments, ()) or ({}, ())


def _search(
    node: _Node, segments: list[str], parameters: tuple[str, ...]
) -> tuple[dict[str, Callable[..., Any]], tuple[str, ...]] | None:
    """Depth first; a literal segment goes before a parameter."""
    if not segments:
        return (node.methods, parameters) if node.methods else None
    first, rest = segments[0], segments[1:]
    if (child := node.children.get(first)) and (found := _search(child, rest, parameters)):
        return found
    return _search(node.parameter, rest, (*parameters, first)) if node.parameter else None


routes = Routes()


def link(path: str) -> dict[str, str]:
    return {"@odata.id": path if path.startswith("/redfish") else ROOT + path}


def ami(path: str, type: str, **properties: Any) -> Body:
    """A resource of the AMI firmware: it carries a context and an ETag."""
    kind = type.split(".")[0]
    return {
        "@odata.context": f"{ROOT}/$metadata#{kind}.{kind}",
        "@odata.etag": "",  # put in by the service
        "@odata.id": ROOT + path,
        "@odata.type": f"#{type}",
        **properties,
    }


def hgx(path: str, type: str, **properties: Any) -> Body:
    """A resource that the AMI firmware passes on from the GPU baseboard's management controller: no ETag."""
    return {"@odata.id": ROOT + path, "@odata.type": f"#{type}", **properties}


def members(paths: list[str]) -> Body:
    return {"Members": [link(path) for path in paths], "Members@odata.count": len(paths)}


def action_info(path: str, id: str, description: str, **allowable: list[str] | None) -> Body:
    return ami(
        path,
        "ActionInfo.v1_1_2.ActionInfo",
        Description=description,
        Id=id,
        Name=id,
        Parameters=[
            {
                **({"AllowableValues": values} if values else {}),
                "DataType": "String",
                "Name": name,
                "Required": True,
            }
            for name, values in allowable.items()
        ],
    )


OK = {"Health": "OK", "HealthRollup": "OK", "State": "Enabled"}
AMI_OK = {"Health": "OK", "State": "Enabled"}


def hgx_status(health: str = "OK", state: str = "Enabled") -> Body:
    return {"Conditions": [], "Health": health, "HealthRollup": health, "State": state}
