from __future__ import annotations

from typing import Any

import pytest

from lab.kube.crds import tinkerbell_resources
from lab.tinkerbell.dialect import MONO, TINK_0_12_2
from lab.tinkerbell.gotemplate import TemplateError, render
from lab.tinkerbell.rendering import parse, render_plan, template_data, ulid
from lab.tinkerbell.server import human_duration

SCHEMA: Any = next(resource.schema for resource in tinkerbell_resources() if resource.kind == "Hardware")
HARDWARE: dict[str, Any] = {
    "metadata": {"name": "gpu-001"},
    "spec": {
        "disks": [{"device": "/dev/nvme0n1"}, {"device": "/dev/sda"}],
        "userData": "#cloud-config",
        "metadata": {"instance": {"id": "i-1", "hostname": "gpu-001", "ssh_keys": ["k1", "k2"]}},
        "interfaces": [
            {"dhcp": {"mac": "02:00:00:00:00:01", "ip": {"address": "10.0.0.5", "netmask": "255.255.254.0"}}}
        ],
    },
}


def through(expression: str, dialect: Any = MONO) -> str:
    """What an expression in a template renders to."""
    return render(expression, template_data({"device_1": "02:00:00:00:00:01"}, HARDWARE, SCHEMA, dialect))


@pytest.mark.parametrize(
    ("expression", "result"),
    [
        ("{{.device_1}}", "02:00:00:00:00:01"),
        ("{{ .device_1 }}", "02:00:00:00:00:01"),
        ("{{ index .Hardware.Disks 0 }}", "/dev/nvme0n1"),
        ("{{ .Hardware.UserData }}", "#cloud-config"),
        ("{{ .Hardware.VendorData }}", ""),
        ("{{ .Hardware.Disks }}", "[/dev/nvme0n1 /dev/sda]"),
        ("{{ formatPartition ( index .Hardware.Disks 0 ) 2 }}", "/dev/nvme0n1p2"),
        ("{{ formatPartition (index .Hardware.Disks 1) 2 }}", "/dev/sda2"),
        ("{{ (index .Hardware.Interfaces 0).DHCP.MAC }}", "02:00:00:00:00:01"),
        ("{{ (index .Hardware.Interfaces 0).DHCP.IP.Netmask | netmaskToPrefixLength }}", "23"),
        ("{{ .Hardware.Metadata.Instance.ID }}", "i-1"),
        ("{{ index .Hardware.Metadata.Instance.SSHKeys 1 | quote }}", '"k2"'),
        ("{{ .hardware.spec.metadata.instance.hostname | upper }}", "GPU-001"),
        ("{{ .Hardware.UserData | b64enc }}", "I2Nsb3VkLWNvbmZpZw=="),
        ('{{ "a" }}-{{ `b"c` }}-{{ 3 }}-{{ true }}', 'a-b"c-3-true'),
        ("a {{- /* nothing */ -}} b", "ab"),
        ("a  {{- 1 -}}  b", "a1b"),
        ('{{ .Hardware.VendorData | default "none" }}', "none"),
        ('{{ hasPrefix .device_1 "02:" }}', "true"),
        ("{{ $.device_1 }}", "02:00:00:00:00:01"),
        ("no action, } or { alone", "no action, } or { alone"),
    ],
)
def test_expressions(expression: str, result: str) -> None:
    assert through(expression) == result


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("{{ .device_2 }}", 'map has no entry for key "device_2"'),
        ("{{ .Hardware.Size }}", "can't evaluate field Size"),
        ("{{ .Hardware.userData }}", "can't evaluate field userData"),
        ("{{ .Hardware.Metadata.Facility.PlanSlug }}", "nil pointer evaluating"),
        ("{{ index .Hardware.Disks 5 }}", "out of range"),
        ("{{ explode .device_1 }}", 'function "explode" not defined'),
        ("{{ if .device_1 }}", "if is not supported"),
        ("{{ .device_1 .device_1 }}", "unexpected"),
        ("{{ }}", "missing value"),
        ("{{ .device_1", "unclosed action"),
        ("{{ index (.Hardware.Disks 0 }}", "unclosed left paren"),
        ("{{ 'x' }}", "unexpected"),
    ],
)
def test_what_cannot_be_rendered_says_why(expression: str, said: str) -> None:
    with pytest.raises(TemplateError, match="template: workflow-template:1") as error:
        through(expression)
    assert said in str(error.value)


def test_the_old_dialect_knows_no_lower_case_hardware() -> None:
    with pytest.raises(TemplateError, match="no entry for key"):
        through("{{ .hardware.spec }}", TINK_0_12_2)


def test_scalars_stay_the_text_they_are() -> None:
    plan = parse(
        "name: x\nglobal_timeout: 60\ntasks:\n- name: t\n  worker: w\n  actions:\n"
        "  - {name: a, image: 'r/i:v1', timeout: 5, environment: {MODE: 0600, COMPRESSED: true, UID: 0, NONE: ''}}"
    )
    assert plan.global_timeout_s == 60
    assert plan.tasks[0].actions[0].timeout_s == 5
    assert plan.tasks[0].actions[0].environment == {"MODE": "0600", "COMPRESSED": "true", "UID": "0", "NONE": ""}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [", "parsing yaml"),
        ("- a", "no mapping"),
        ("name: ''\ntasks: []", "name cannot be empty"),
        (f"name: {'x' * 200}\ntasks: []", "more than 200"),
        ("name: x\nglobal_timeout: soon\ntasks: [{name: t, worker: w}]", "cannot unmarshal"),
        ("name: x\ntasks: [{name: t, worker: w, actions: [{name: a, image: 'Not An Image'}]}]", "invalid action image"),
        ("name: x\ntasks: [{name: t, worker: w, actions: [{name: a, image: i, environment: {A: [b]}}]}]", "to strings"),
        ("name: x\ntasks: [{name: t, worker: w}, {name: t, worker: w}]", "two tasks"),
    ],
)
def test_what_is_no_workflow_is_refused(text: str, said: str) -> None:
    with pytest.raises(TemplateError, match=said):
        parse(text)


def test_the_mono_repo_limits_what_is_rendered() -> None:
    text = "name: x\ntasks: [{name: t, worker: w}]\n#" + "x" * 262144
    with pytest.raises(TemplateError, match="larger than 262144"):
        render_plan(text, {}, None, SCHEMA, MONO)
    assert render_plan(text, {}, None, SCHEMA, TINK_0_12_2).name == "x"


@pytest.mark.parametrize(
    ("seconds", "text"), [(62, "1m2s"), (3600, "1h"), (3723, "1h2m"), (1.5, "1s500ms"), (0.0005, "500us"), (0, "")]
)
def test_durations_read_as_the_agent_writes_them(seconds: float, text: str) -> None:
    assert human_duration(seconds) == text


def test_ulids_are_in_the_order_of_time() -> None:
    assert len(ulid()) == 26
    assert ulid()[:9] <= ulid()[:9]


def test_a_key_that_stands_twice_in_a_mapping_is_refused() -> None:
    text = "version: '0.1'\nname: a\nname: b\nglobal_timeout: 5\ntasks: []\n"
    with pytest.raises(TemplateError, match="already set"):
        parse(text)
