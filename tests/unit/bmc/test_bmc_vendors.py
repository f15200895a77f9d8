"""Which profile a machine has, and which of its Systems is the host."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc import vendors


@pytest.mark.parametrize(
    ("root", "system", "profile"),
    [
        ({"Vendor": "AMI"}, {"Id": "DGX", "Model": "DGXH100", "Manufacturer": "NVIDIA"}, "ami_dgx"),
        ({"Vendor": "AMI"}, {"Id": "Self", "Model": "G593-SD0", "Manufacturer": "GIGABYTE"}, "ami"),
        ({"Vendor": "NVIDIA"}, {"Id": "System_0", "Model": "GB200 NVL", "Manufacturer": "NVIDIA"}, "nvidia_grace"),
        ({"Vendor": "OpenBMC"}, {"Id": "system"}, "openbmc"),
        ({"Vendor": "Dell"}, {"Id": "System.Embedded.1"}, "dell_idrac"),
        ({"Vendor": "HPE"}, {"Id": "1"}, "hpe_ilo"),
        ({"Vendor": "Lenovo"}, {"Id": "1"}, "lenovo_xcc"),
        ({"Oem": {"Supermicro": {}}}, {"Id": "1"}, "supermicro"),
        ({"Vendor": "Contoso"}, {"Id": "437XR1138R2"}, "generic"),
        ({}, {}, "generic"),
        ({"Vendor": 5, "Oem": []}, {"Model": {}}, "generic"),
    ],
)
def test_profile(root: dict[str, Any], system: dict[str, Any], profile: str) -> None:
    assert vendors.profile_for(root, system).name == profile


@pytest.mark.parametrize(
    ("ids", "host"),
    [
        (["DGX", "HGX_Baseboard_0"], "DGX"),
        (["HGX_Baseboard_0", "System_0"], "System_0"),
        (["Blade1", "Blade2"], None),
        (["DGX", "System_0"], None),
        ([], None),
    ],
)
def test_host(ids: list[str], host: str | None) -> None:
    assert vendors.host_among(ids) == host


def test_profile_names_are_unique() -> None:
    names = [profile.name for profile in vendors.PROFILES]
    assert len(names) == len(set(names))
