"""What DSP0266 asks of every service, whatever its resources: Allow and Link headers, $metadata, refused versions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from lab.redfish.errors import RedfishError
from lab.redfish.routes import Body

SCHEMAS = "http://redfish.dmtf.org/schemas/v1"
KNOWN_QUERIES = {"$top", "$skip", "$select", "$filter", "$expand", "only", "excerpt"}
METADATA = f"""<?xml version="1.0" encoding="UTF-8"?>
<edmx:Edmx xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx" Version="4.0">
  <edmx:Reference Uri="{SCHEMAS}/ServiceRoot_v1.xml">
    <edmx:Include Namespace="ServiceRoot"/>
    <edmx:Include Namespace="ServiceRoot.v1_13_0"/>
  </edmx:Reference>
  <edmx:DataServices>
    <Schema xmlns="http://docs.oasis-open.org/odata/ns/edm" Namespace="Service">
      <EntityContainer Name="Service" Extends="ServiceRoot.v1_13_0.ServiceContainer"/>
    </Schema>
  </edmx:DataServices>
</edmx:Edmx>
"""


def allow(methods: Iterable[str]) -> dict[str, str]:
    """The Allow header of a resource that takes these methods."""
    found = set(methods)
    return {"Allow": ", ".join(sorted(found | ({"HEAD"} if "GET" in found else set())))}


def described_by(body: Mapping[str, Any]) -> dict[str, str]:
    """The Link header that names the schema of a body."""
    kind = str(body.get("@odata.type") or "").lstrip("#").split(".")
    name = kind[0] if len(kind) < 3 else ".".join(kind[:2])
    return {"Link": f"<{SCHEMAS}/{name}.json>; rel=describedby"} if kind[0] else {}


def not_allowed(methods: Iterable[str]) -> RedfishError:
    """405, with what would be allowed."""
    error = RedfishError("OperationNotAllowed", status=405)
    error.headers = {**error.headers, **allow(methods)}
    return error


def check_request(headers: Mapping[str, str], query: Mapping[str, str]) -> None:
    """Raises RedfishError for a version of OData that nobody knows (412) and for a query parameter that starts with $
    and is not known (501)."""
    if headers.get("OData-Version", "4.0") != "4.0":
        raise RedfishError("PreconditionFailed")
    for name in query:
        if name.startswith("$") and name not in KNOWN_QUERIES:
            raise RedfishError("QueryParameterValueFormatError", query[name], name, status=501)
        if name in ("only", "excerpt") and query[name]:
            raise RedfishError("QueryParameterValueFormatError", query[name], name)


def with_etag(body: Body | None, etag: str | None) -> Body | None:
    """The body of what was made, with the tag that a GET of it would show."""
    if body is None or not etag or body.get("@odata.etag"):
        return body
    return {**body, "@odata.etag": etag} if "@odata.etag" in body else body
