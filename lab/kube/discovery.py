"""What the API server says about itself: version, groups, resources and CustomResourceDefinitions."""

from __future__ import annotations

from typing import Any

from lab.kube.crds import as_crd
from lab.kube.errors import not_found
from lab.kube.store import Resource, Store

EXTENSIONS = "apiextensions.k8s.io"
VERSION = {
    "major": "1",
    "minor": "31",
    "gitVersion": "v1.31.0+palebluedot-lab",
    "gitCommit": "",
    "gitTreeState": "clean",
    "buildDate": "1970-01-01T00:00:00Z",
    "goVersion": "none",
    "compiler": "none",
    "platform": "linux/amd64",
}
_VERBS = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]


def document(store: Store, path: str, address: str) -> dict[str, Any] | None:
    """The discovery document at ``path``, or None. Raises ApiError 404 for an unknown CRD."""
    if path == "/version":
        return VERSION
    if path == "/api":
        address_entry = {"clientCIDR": "0.0.0.0/0", "serverAddress": address}
        return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": [address_entry]}
    if path == "/api/v1":
        return _resource_list("v1", [r for r in store.resources.values() if not r.group])
    if path == "/apis":
        groups = [_group(group, version) for group, version in _groups(store).items()]
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}
    parts = path.strip("/").split("/")
    if parts[0] != "apis":
        return None
    groups_by_name = _groups(store)
    group = parts[1]
    if group not in groups_by_name:
        return None
    if len(parts) == 2:
        return {"kind": "APIGroup", "apiVersion": "v1"} | _group(group, groups_by_name[group])
    if parts[2] != groups_by_name[group]:
        return None
    if len(parts) == 3:
        if group == EXTENSIONS:
            return _resource_list(f"{EXTENSIONS}/v1", [_CRD])
        served = [r for r in store.resources.values() if r.group == group]
        return _resource_list(f"{group}/{parts[2]}", served)
    return _crds(store, parts[3:]) if group == EXTENSIONS else None


_CRD = Resource(EXTENSIONS, "v1", "CustomResourceDefinition", "customresourcedefinitions", ("crd",), namespaced=False)


def _crds(store: Store, rest: list[str]) -> dict[str, Any] | None:
    if rest[0] != _CRD.plural or len(rest) > 2:
        return None
    created = store.started_at
    crds = {f"{r.plural}.{r.group}": as_crd(r, created) for r in store.resources.values() if r.schema is not None}
    for number, crd in enumerate(crds.values(), 1):
        crd["metadata"] |= {"uid": f"00000000-0000-4000-8000-{number:012d}", "resourceVersion": "1"}
    if len(rest) == 2:
        if rest[1] not in crds:
            raise not_found(EXTENSIONS, _CRD.plural, rest[1])
        return crds[rest[1]]
    return {
        "apiVersion": f"{EXTENSIONS}/v1",
        "kind": f"{_CRD.kind}List",
        "metadata": {"resourceVersion": str(store.version)},
        "items": list(crds.values()),
    }


def _groups(store: Store) -> dict[str, str]:
    return {r.group: r.version for r in store.resources.values() if r.group} | {EXTENSIONS: "v1"}


def _group(group: str, version: str) -> dict[str, Any]:
    served = {"groupVersion": f"{group}/{version}", "version": version}
    return {"name": group, "versions": [served], "preferredVersion": served}


def _resource_list(group_version: str, resources: list[Resource]) -> dict[str, Any]:
    entries: list[dict[str, Any]] = []
    for resource in resources:
        entry: dict[str, Any] = {
            "name": resource.plural,
            "singularName": resource.singular,
            "namespaced": resource.namespaced,
            "kind": resource.kind,
            "verbs": ["get", "list"] if resource is _CRD else _VERBS,
        }
        if resource.short_names:
            entry["shortNames"] = list(resource.short_names)
        if resource.categories:
            entry["categories"] = list(resource.categories)
        entries.append(entry)
        if resource.has_status:
            status = {"name": f"{resource.plural}/status", "singularName": "", "verbs": ["get", "patch", "update"]}
            entries.append(status | {"namespaced": resource.namespaced, "kind": resource.kind})
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": entries}
