"""Query parameters: $top, $skip, $select, $filter and an $expand that is as broken as the vendor's."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from lab.redfish.errors import RedfishError
from lab.redfish.routes import ROOT, Body

if TYPE_CHECKING:
    from lab.redfish.service import RedfishBmc

_COMPARISON = re.compile(r"^(?P<name>[A-Za-z/@.]+) (?P<operator>eq|ne|gt|ge|lt|le) '?(?P<value>[^']*)'?$")
_LEVELS = re.compile(r"\$levels=(\d+)")


def apply_query(bmc: RedfishBmc, body: Body, query: Mapping[str, str]) -> Body:
    """The body as the query asks for it. Raises RedfishError for a value that makes no sense."""
    if "Members" in body:
        body = page(body, query, bmc.vendor.page)
    if "$expand" in query:
        body = _expand(bmc, body, _levels(bmc, query["$expand"]))
    if names := query.get("$select"):
        wanted = set(names.split(","))
        body = {name: value for name, value in body.items() if name.startswith("@odata") or name in wanted}
    return body


def page(body: Body, query: Mapping[str, str], page: int) -> Body:
    """The members that $filter, $skip and $top leave, at most ``page`` of them."""
    found: list[Any] = body["Members"]
    if text := query.get("$filter"):
        found = [member for member in found if _matches(member, text)]
    skip, top = _number(query, "$skip", 0), _number(query, "$top", page)
    body = {**body, "Members": found[skip : skip + min(top, page)], "Members@odata.count": len(found)}
    if "$top" not in query and len(found) > skip + page:
        body["Members@odata.nextLink"] = f"{body['@odata.id']}?$skip={skip + page}"
    return body


def _number(query: Mapping[str, str], name: str, default: int) -> int:
    text = query.get(name)
    if text is None:
        return default
    if not text.isdigit():
        raise RedfishError("QueryParameterValueFormatError", text, name)
    return int(text)


def _matches(member: Body, text: str) -> bool:
    comparison = _COMPARISON.match(text.strip())
    if comparison is None:
        raise RedfishError("QueryParameterValueFormatError", text, "$filter")
    left: Any = member
    for name in comparison["name"].split("/"):
        left = left.get(name) if isinstance(left, dict) else None
    right: Any = comparison["value"]
    if str(left).isdigit() and right.isdigit():
        left, right = int(left), int(right)
    if left is None:
        return False
    compare: Callable[[Any, Any], Any] = getattr(operator, comparison["operator"])
    return bool(compare(left, right) if isinstance(left, int) else compare(str(left), str(right)))


def _levels(bmc: RedfishBmc, text: str) -> int:
    """How many levels are put in. Raises RedfishError for more, or other, than this firmware knows."""
    given = _LEVELS.search(text)
    levels = int(given[1]) if given else 1
    if levels > bmc.vendor.expand_levels or (text.startswith("*") and not bmc.vendor.expand_all):
        raise RedfishError("QueryParameterOutOfRange", text, "$expand", f"1 to {bmc.vendor.expand_levels}")
    return levels


def _expand(bmc: RedfishBmc, body: Body, levels: int) -> Body:
    def expanded(member: Any) -> Any:
        if not isinstance(member, dict) or set(member) != {"@odata.id"}:
            return member
        path = member["@odata.id"]
        found = bmc.resource(path) if path.startswith(ROOT) else None
        if found is None:
            return member
        if levels > 1:
            found = _expand(bmc, found, levels - 1)
        return {name: value for name, value in found.items() if name not in bmc.vendor.expand_loses}

    return {
        name: [expanded(member) for member in value] if name == "Members" else expanded(value)
        for name, value in body.items()
    }
