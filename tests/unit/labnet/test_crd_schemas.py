"""The lab's schemas against the CRD files of the projects themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lab.kube.crds import load_crds, tinkerbell_resources
from lab.kube.schema import fill_defaults, prune, validate
from lab.kube.store import Resource

FILES = {
    "mono": ["tinkerbell-v0.25.0/crd/bases/v1alpha1"],
    "0.12.2": ["tink-v0.12.2/config/crd/bases", "rufio-v0.6.5"],
}
# what the API server does not act upon, or what we leave to the real files (the CEL rule)
IGNORED = ("description", "x-kubernetes-validations")


def comparable(schema: Any) -> Any:
    if isinstance(schema, dict):
        kept = {
            key: comparable(value)
            for key, value in schema.items()
            if not (key in IGNORED and not (key == "description" and isinstance(value, dict)))
        }
        if "required" in kept and isinstance(kept["required"], list):
            kept["required"] = sorted(kept["required"])
        if "enum" in kept and isinstance(kept["enum"], list):
            kept["enum"] = sorted(kept["enum"])
        return kept
    return [comparable(item) for item in schema] if isinstance(schema, list) else schema


def real(data: Path, dialect: str) -> dict[str, Resource]:
    return {
        resource.kind: resource
        for folder in FILES[dialect]
        for resource in load_crds(data / folder)
        if resource.kind != "OSIE"
    }


@pytest.mark.parametrize("dialect", ["mono", "0.12.2"])
def test_our_kinds_are_those_of_the_real_crds(tinkerbell_data: Path, dialect: Any) -> None:
    found = real(tinkerbell_data, dialect)
    ours = {resource.kind: resource for resource in tinkerbell_resources(dialect)}
    assert ours.keys() == found.keys()
    for kind, resource in ours.items():
        assert resource == found[kind]  # group, version, names, scope, status, categories


@pytest.mark.parametrize("dialect", ["mono", "0.12.2"])
def test_our_schemas_are_those_of_the_real_crds(tinkerbell_data: Path, dialect: Any) -> None:
    found = real(tinkerbell_data, dialect)
    for resource in tinkerbell_resources(dialect):
        theirs, ours = comparable(found[resource.kind].schema), comparable(resource.schema)
        for part in ("spec", "status"):
            assert ours["properties"][part] == theirs["properties"][part], f"{resource.kind}.{part}"


def test_an_unknown_dialect_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"mono, 0\.12\.2, not 'v2'"):
        tinkerbell_resources("v2")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="holds no CustomResourceDefinition"):
        load_crds(tmp_path)


def schema_of(kind: str, dialect: Any = "mono") -> Any:
    return next(resource.schema for resource in tinkerbell_resources(dialect) if resource.kind == kind)


def test_pruning_names_what_it_drops() -> None:
    body = {"kind": "Hardware", "metadata": {"any": 1}, "spec": {"disks": [{"device": "a", "size": 1}], "x": {"y": 2}}}
    pruned, unknown = prune(body, schema_of("Hardware"))
    assert pruned["spec"] == {"disks": [{"device": "a"}]}
    assert pruned["metadata"] == {"any": 1}
    assert unknown == ["spec.disks[0].size", "spec.x"]


def test_nulls_count_as_not_sent() -> None:
    pruned, unknown = prune({"spec": {"userData": None, "disks": [{"device": None}]}}, schema_of("Hardware"))
    assert pruned == {"spec": {"disks": [{}]}}
    assert unknown == []


def test_defaults_go_where_their_parent_is() -> None:
    machine = {"spec": {"connection": {"host": "bmc", "insecureTLS": True, "providerOptions": {"intelAMT": {}}}}}
    fill_defaults(machine, schema_of("Machine"))
    assert machine["spec"]["connection"]["port"] == 623
    assert machine["spec"]["connection"]["providerOptions"] == {"intelAMT": {"hostScheme": "http"}}


def dhcp(**fields: Any) -> dict[str, Any]:
    return {"interfaces": [{"dhcp": fields}]}


@pytest.mark.parametrize(
    ("kind", "spec", "field", "reason"),
    [
        ("Hardware", dhcp(mac="AA:00:00:00:00:00"), "spec.interfaces[0].dhcp.mac", "FieldValueInvalid"),
        ("Hardware", dhcp(lease_time="1"), "spec.interfaces[0].dhcp.lease_time", "FieldValueTypeInvalid"),
        ("Hardware", {"resources": {"cpu": "four"}}, "spec.resources.cpu", "FieldValueInvalid"),
        ("Hardware", {"bmcRef": {"kind": "Machine"}}, "spec.bmcRef.name", "FieldValueRequired"),
        ("Workflow", {"hardwareMap": {"device_1": 5}}, "spec.hardwareMap.device_1", "FieldValueTypeInvalid"),
        ("Workflow", {"bootOptions": {"isoURL": "no url"}}, "spec.bootOptions.isoURL", "FieldValueInvalid"),
        ("Job", {"machineRef": {"name": "m", "namespace": "n"}, "tasks": []}, "spec.tasks", "FieldValueInvalid"),
        ("Machine", {"connection": {"host": "", "insecureTLS": True}}, "spec.connection.host", "FieldValueInvalid"),
        ("Template", {"data": ["a"]}, "spec.data", "FieldValueTypeInvalid"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_where_it_is(kind: str, spec: dict[str, Any], field: str, reason: str) -> None:
    (cause,) = validate({"kind": kind, "metadata": {}, "spec": spec}, schema_of(kind))
    assert (cause.field, cause.reason) == (field, reason)


def test_what_is_right_passes() -> None:
    spec = {"resources": {"cpu": 4, "memory": "2Ti"}, "tinkVersion": 1.0, "interfaces": [{"dhcp": {"uefi": False}}]}
    assert validate({"kind": "Hardware", "metadata": {}, "spec": spec}, schema_of("Hardware")) == []
