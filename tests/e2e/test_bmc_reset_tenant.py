"""What a tenant left at the BMC is gone when the server is offered again."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cli import children
from tests.support.site import Site

pytestmark = pytest.mark.e2e
SITE = {"servers": 1, "environment": {"PALEBLUEDOT_COLLECT_INTERVAL_S": "0"}}

MEDIA = """
- hosts: gpu-001
  gather_facts: false
  tasks:
    - palebluedot.gpu.bmc_virtual_media:
        bmc_address: "{{ bmc_address }}"
        bmc_port: "{{ bmc_port }}"
        bmc_ca_path: "{{ bmc_ca_path }}"
        bmc_credential: "{{ bmc_credential }}"
        image: http://192.0.2.1/tenant.iso
"""


def test_an_image_that_a_tenant_left_in_is_taken_out_by_the_release(site: Site, tmp_path: Path) -> None:
    site.playbook("allocate.yml", "-e", "gpu_count=8", "-e", "template=ubuntu-24.04", "-e", "request=with-media")
    play = tmp_path / "media.yml"
    play.write_text(MEDIA)
    site.playbook(os.path.relpath(play, children.ROOT / "playbooks"))
    assert list(site.lab("GET", "/machines/gpu-001")["bmc"]["media"].values()).count("http://192.0.2.1/tenant.iso") == 1
    site.playbook("release.yml", "-e", "request=with-media")
    assert not any(site.lab("GET", "/machines/gpu-001")["bmc"]["media"].values())
    assert site.client.server("gpu-001")["state"] == "available"
