"""The custom resources of Tinkerbell, in the two shapes that are in the field.

``mono`` is the mono-repo tinkerbell/tinkerbell v0.25; ``0.12.2`` is tink v0.12.2 with rufio v0.6.5. Field names, types,
limits and defaults are facts of those projects' CRDs; descriptions are left out. Where the exact files matter, the lab
can load them from a directory instead (:func:`load_crds`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import yaml

from lab.kube.schema import Schema, array, boolean, integer, mapping, quantity, record, resource, string
from lab.kube.store import Resource

DialectName = Literal["mono", "0.12.2"]
DIALECTS: tuple[DialectName, ...] = ("mono", "0.12.2")

TINKERBELL = "tinkerbell.org"
BMC = "bmc.tinkerbell.org"

_STRING = string()
_STRINGS = array(_STRING)
_LABELS = mapping(_STRING)
_INT64 = integer("int64")
_BOOLEAN = boolean()
_TIME = string(format="date-time")
_OCTET = r"(25[0-5]|2[0-4][0-9]|[01]?[0-9][0-9]?)"
_ADDRESS = rf"^({_OCTET}\.){{3}}{_OCTET}"
_VLANS = r"[1-3][0-9][0-9][0-9]|40([0-8][0-9]|9[0-6])"
_SECRET_REF = record({"name": _STRING, "namespace": _STRING}, atomic=True)


def tinkerbell_resources(dialect: DialectName = "mono", crds_dir: Path | None = None) -> tuple[Resource, ...]:
    """All kinds of one dialect, or those of the CRD files in ``crds_dir``, which must be of that dialect.

    Raises ValueError for a dialect that does not exist and for a folder without CRDs.
    """
    if dialect not in DIALECTS:
        raise ValueError(f"dialect must be one of {', '.join(DIALECTS)}, not {dialect!r}")
    if crds_dir is not None:
        return load_crds(crds_dir)
    mono = dialect == "mono"
    kinds = [
        _resource(TINKERBELL, "Hardware", "hardware", ("hw",), resource(_hardware_spec(mono), _state())),
        _resource(TINKERBELL, "Template", "templates", ("tpl",), resource(record({"data": _STRING}), _state())),
        _resource(TINKERBELL, "Workflow", "workflows", ("wf",), resource(_workflow_spec(mono), _workflow_status(mono))),
        _resource(BMC, "Job", "jobs", ("j",), resource(_job_spec(mono), _progress())),
        _resource(BMC, "Machine", "machines", (), resource(_machine_spec(mono), _machine_status())),
        _resource(BMC, "Task", "tasks", ("t",), resource(_task_spec(mono), _progress())),
    ]
    if mono:
        rules = resource(_rule_set_spec(), record({}))
        kinds.append(_resource(TINKERBELL, "WorkflowRuleSet", "workflowrulesets", ("wrs",), rules))
    return tuple(kinds)


def _resource(group: str, kind: str, plural: str, short_names: tuple[str, ...], schema: Schema) -> Resource:
    return Resource(
        group,
        "v1alpha1",
        kind,
        plural,
        short_names,
        has_status=True,
        schema=schema,
        categories=("tinkerbell",),
    )


def _state() -> Schema:
    return record({"state": _STRING})


# --- Hardware


def _hardware_spec(mono: bool) -> Schema:
    interface = {
        "dhcp": _dhcp(mono),
        "disableDhcp": boolean(default=False),
        "netboot": _netboot(mono),
    }
    fields = {
        "bmcRef": record({"apiGroup": _STRING, "kind*": _STRING, "name*": _STRING}, atomic=True),
        "disks": array(record({"device": _STRING})),
        "metadata": _hardware_metadata(),
        "resources": mapping(quantity()),
        "tinkVersion": _INT64,
        "userData": _STRING,
        "vendorData": _STRING,
    }
    if mono:
        interface["isoboot"] = record({"sourceISO": string(format="uri")})
        reference = {"group": _STRING, "name": _STRING, "namespace": _STRING, "resource": _STRING, "version": _STRING}
        fields |= {
            "agentID": _STRING,
            "auto": record({"enrollmentEnabled": boolean(default=False)}),
            "references": mapping(record(reference)),
        }
    return record(fields | {"interfaces": array(record(interface))})


def _dhcp(mono: bool) -> Schema:
    fields = {
        "arch": _STRING,
        "hostname": _STRING,
        "iface_name": _STRING,
        "ip": record({"address": _STRING, "family": _INT64, "gateway": _STRING, "netmask": _STRING}),
        "lease_time": _INT64,
        "mac": string(pattern="([0-9a-f]{2}[:]){5}([0-9a-f]{2})"),
        "name_servers": _STRINGS,
        "time_servers": _STRINGS,
        "uefi": _BOOLEAN,
        "vlan_id": string(pattern=rf"^(([0-9][0-9]{{0,2}}|{_VLANS})(,[1-9][0-9]{{0,2}}|{_VLANS})*)$"),
    }
    if mono:
        route = {
            "destination_descriptor*": string(pattern=rf"{_ADDRESS}/(3[0-2]|[12]?[0-9])$"),
            "router*": string(pattern=f"{_ADDRESS}$"),
        }
        fields |= {
            "boot_file_name": _STRING,
            "classless_static_routes": array(record(route)),
            "domain_name": _STRING,
            "tftp_server_name": _STRING,
        }
    return record(fields)


def _netboot(mono: bool) -> Schema:
    ipxe = {"contents": _STRING, "url": _STRING}
    osie = {"baseURL": _STRING, "initrd": _STRING, "kernel": _STRING}
    fields: dict[str, Schema] = {"allowPXE": _BOOLEAN, "allowWorkflow": _BOOLEAN}
    if mono:
        ipxe["binary"] = _STRING
        fields |= {
            "osie": record(osie | {"kernelParams": _STRINGS}),
            "pxelinux": record({"config": _STRING}),
            "rpi": record({"configTxt": _STRING, "firmwarePath": _STRING, "serialNum*": _STRING}),
        }
    else:
        fields["osie"] = record(osie)
    return record(fields | {"ipxe": record(ipxe)})


def _hardware_metadata() -> Schema:
    system = {"distro": _STRING, "image_tag": _STRING, "os_slug": _STRING, "slug": _STRING, "version": _STRING}
    address = {
        "address": _STRING,
        "family": _INT64,
        "gateway": _STRING,
        "management": _BOOLEAN,
        "netmask": _STRING,
        "public": _BOOLEAN,
    }
    instance = {
        "allow_pxe": _BOOLEAN,
        "always_pxe": _BOOLEAN,
        "crypted_root_password": _STRING,
        "hostname": _STRING,
        "id": _STRING,
        "ips": array(record(address)),
        "ipxe_script_url": _STRING,
        "network_ready": _BOOLEAN,
        "operating_system": record(system),
        "rescue": _BOOLEAN,
        "ssh_keys": _STRINGS,
        "state": _STRING,
        "storage": _storage(),
        "tags": _STRINGS,
        "userdata": _STRING,
    }
    return record(
        {
            "bonding_mode": _INT64,
            "custom": record({"preinstalled_operating_system_version": record(system), "private_subnets": _STRINGS}),
            "facility": record({"facility_code": _STRING, "plan_slug": _STRING, "plan_version_slug": _STRING}),
            "instance": record(instance),
            "manufacturer": record({"id": _STRING, "slug": _STRING}),
            "state": _STRING,
        }
    )


def _storage() -> Schema:
    partition = {"label": _STRING, "number": _INT64, "size": _INT64, "start": _INT64, "type_guid": _STRING}
    file = {"contents": _STRING, "gid": _INT64, "mode": _INT64, "path": _STRING, "uid": _INT64}
    mount = {
        "create": record({"force": _BOOLEAN, "options": _STRINGS}),
        "device": _STRING,
        "files": array(record(file)),
        "format": _STRING,
        "point": _STRING,
    }
    disk = {"device": _STRING, "partitions": array(record(partition)), "wipe_table": _BOOLEAN}
    raid = {"devices": _STRINGS, "level": _STRING, "name": _STRING, "spare": _INT64}
    return record(
        {
            "disks": array(record(disk)),
            "filesystems": array(record({"mount": record(mount)})),
            "raid": array(record(raid)),
        }
    )


# --- Workflow


def _workflow_spec(mono: bool) -> Schema:
    boot: dict[str, Schema] = {"toggleAllowNetboot": _BOOLEAN}
    fields: dict[str, Schema] = {"hardwareMap": _LABELS, "hardwareRef": _STRING, "templateRef": _STRING}
    if mono:
        actions = array(_bmc_action(mono))
        boot |= {
            "bootMode": string("netboot", "isoboot", "iso", "customboot"),
            "custombootConfig": record({"postActions": actions, "preparingActions": actions}),
            "isoURL": string(format="uri"),
        }
        fields["disabled"] = _BOOLEAN
    else:
        boot |= {"bootMode": string("netboot", "iso"), "isoURL": string(format="url")}
    return record(fields | {"bootOptions": record(boot)})


def _workflow_status(mono: bool) -> Schema:
    job = {"complete": _BOOLEAN, "existingJobDeleted": _BOOLEAN, "uid": _STRING}
    boot = {
        "allowNetboot": record({"toggledFalse": _BOOLEAN, "toggledTrue": _BOOLEAN}),
        "jobs": mapping(record(job)),
    }
    condition = {"message": _STRING, "reason": _STRING, "status*": _STRING, "time": _TIME, "type*": _STRING}
    action: dict[str, Schema] = {
        "command": _STRINGS,
        "environment": _LABELS,
        "image": _STRING,
        "message": _STRING,
        "name": _STRING,
        "pid": _STRING,
        "timeout": _INT64,
        "volumes": _STRINGS,
    }
    task: dict[str, Schema] = {"environment": _LABELS, "name*": _STRING, "volumes": _STRINGS}
    fields: dict[str, Schema] = {
        "bootOptions": record(boot),
        "conditions": array(record(condition), atomic=True),
        "globalTimeout": _INT64,
        "state": _STRING,
    }
    if mono:
        action |= {
            "executionDuration": _STRING,
            "executionStart": _TIME,
            "executionStop": _TIME,
            "id*": _STRING,
            "namespaces": record({"network": _STRING, "pid": _STRING}),
            "state": _STRING,
        }
        task |= {"agentID*": _STRING, "id*": _STRING}
        fields |= {
            "agentID": _STRING,
            "currentState": record(
                {
                    "actionID": _STRING,
                    "actionName": _STRING,
                    "agentID": _STRING,
                    "state": _STRING,
                    "taskID": _STRING,
                    "taskName": _STRING,
                }
            ),
            "globalExecutionStop": _TIME,
            "templateRendering": _STRING,
        }
    else:
        action |= {"seconds": _INT64, "startedAt": _TIME, "status": _STRING}
        task["worker*"] = _STRING
        fields |= {"currentAction": _STRING, "templateRending": _STRING}
    task["actions*"] = array(record(action))
    return record(fields | {"tasks": array(record(task))})


def _rule_set_spec() -> Schema:
    template = {"agentValue": _STRING, "kvs": _LABELS, "ref": _STRING}
    workflow = {
        "addAttributes": _BOOLEAN,
        "disabled": _BOOLEAN,
        "namespace": _STRING,
        "template": record(template),
    }
    return record({"rules": _STRINGS, "workflow": record(workflow)})


# --- bmc.tinkerbell.org


def _bmc_action(mono: bool) -> Schema:
    fields = {
        "oneTimeBootDeviceAction": record({"device*": _STRINGS, "efiBoot": _BOOLEAN}),
        "powerAction": string("on", "off", "soft", "status", "cycle", "reset"),
        "virtualMediaAction": record({"kind*": _STRING, "mediaURL": _STRING}),
    }
    if mono:
        fields["bootDevice"] = record({"device": _STRING, "efiBoot": _BOOLEAN, "persistent": _BOOLEAN})
    return record(fields, max_properties=1)


def _job_spec(mono: bool) -> Schema:
    machine = record({"name*": _STRING, "namespace*": _STRING})
    return record({"machineRef*": machine, "tasks*": array(_bmc_action(mono), min_items=1)})


def _task_spec(mono: bool) -> Schema:
    return record({"connection": _connection(mono), "task*": _bmc_action(mono)})


def _machine_spec(mono: bool) -> Schema:
    return record({"connection*": _connection(mono)})


def _progress() -> Schema:
    """Status of Job and Task."""
    condition = {"message": _STRING, "status*": _STRING, "type*": _STRING}
    return record({"completionTime": _TIME, "conditions": array(record(condition)), "startTime": _TIME})


def _machine_status() -> Schema:
    condition = {"lastUpdateTime": _TIME, "message": _STRING, "status*": _STRING, "type*": _STRING}
    return record({"conditions": array(record(condition)), "powerState": string("on", "off", "unknown")})


def _connection(mono: bool) -> Schema:
    names = "ipmitool|asrockrack|gofish|IntelAMT|dell|supermicro|openbmc"
    options = {
        "intelAMT": record({"hostScheme": string("http", "https", default="http"), "port": integer()}),
        "ipmitool": record({"cipherSuite": _STRING, "port": integer()}),
        "preferredOrder": array(string(pattern=f"(?i)^({names})$")),
        "redfish": record({"port": integer(), "systemName": _STRING, "useBasicAuth": _BOOLEAN}),
        "rpc": _rpc(),
    }
    if mono:
        options["homeassistant"] = record({"powerOperationDelaySeconds": integer("int32"), "switchEntityID*": _STRING})
    return record(
        {
            "authSecretRef": _SECRET_REF,
            "host*": string(min_length=1),
            "insecureTLS*": _BOOLEAN,
            "port": integer(default=623),
            "providerOptions": record(options),
        }
    )


def _rpc() -> Schema:
    request = {
        "httpContentType": _STRING,
        "httpMethod": _STRING,
        "staticHeaders": mapping(_STRINGS),
        "timestampFormat": _STRING,
        "timestampHeader": _STRING,
    }
    signature = {
        "appendAlgoToHeaderDisabled": _BOOLEAN,
        "headerName": _STRING,
        "includedPayloadHeaders": _STRINGS,
    }
    return record(
        {
            "consumerURL*": _STRING,
            "experimental": record({"customRequestPayload": _STRING, "dotPath": _STRING}),
            "hmac": record({"prefixSigDisabled": _BOOLEAN, "secrets": mapping(array(_SECRET_REF))}),
            "logNotificationsDisabled": _BOOLEAN,
            "request": record(request),
            "signature": record(signature),
        }
    )


# --- as CustomResourceDefinition objects


def load_crds(directory: Path) -> tuple[Resource, ...]:
    """The resources of all CustomResourceDefinition files under ``directory``, in their storage version.

    Raises ValueError when there is none.
    """
    found: list[Resource] = []
    for path in sorted(directory.rglob("*.yaml")):
        for document in yaml.safe_load_all(path.read_text(encoding="utf-8")):
            if isinstance(document, dict) and document.get("kind") == "CustomResourceDefinition":
                found.append(_from_crd(document))
    if not found:
        raise ValueError(f"{directory} holds no CustomResourceDefinition")
    return tuple(found)


def _from_crd(crd: dict[str, Any]) -> Resource:
    spec = crd["spec"]
    names = spec["names"]
    version = next(version for version in spec["versions"] if version["storage"])
    return Resource(
        spec["group"],
        version["name"],
        names["kind"],
        names["plural"],
        tuple(names.get("shortNames", ())),
        namespaced=spec["scope"] == "Namespaced",
        has_status="status" in version.get("subresources", {}),
        schema=version["schema"]["openAPIV3Schema"],
        categories=tuple(names.get("categories", ())),
    )


def as_crd(served: Resource, created_at: str) -> dict[str, Any]:
    """The CustomResourceDefinition that describes a served resource."""
    names: dict[str, Any] = {
        "plural": served.plural,
        "singular": served.singular,
        "kind": served.kind,
        "listKind": f"{served.kind}List",
    }
    if served.short_names:
        names["shortNames"] = list(served.short_names)
    if served.categories:
        names["categories"] = list(served.categories)
    version: dict[str, Any] = {
        "name": served.version,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": served.schema},
    }
    if served.has_status:
        version["subresources"] = {"status": {}}
    condition = {"status": "True", "lastTransitionTime": created_at}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{served.plural}.{served.group}", "creationTimestamp": created_at, "generation": 1},
        "spec": {
            "group": served.group,
            "names": names,
            "scope": "Namespaced" if served.namespaced else "Cluster",
            "versions": [version],
            "conversion": {"strategy": "None"},
        },
        "status": {
            "conditions": [
                condition | {"type": "NamesAccepted", "reason": "NoConflicts", "message": "no conflicts found"},
                condition | {"type": "Established", "reason": "InitialNamesAccepted", "message": "accepted"},
            ],
            "acceptedNames": names,
            "storedVersions": [served.version],
        },
    }
