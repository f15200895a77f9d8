"""``bmc_boot`` where vendors differ: device paths, what goes into the body, and what is refused before a write."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.operations import bmc_boot as boot
from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import InvalidInput, PaleBlueDotError, Unsupported
from replay import Asked, Reply, error

SYSTEM = "/redfish/v1/Systems/1"
NVME = "PciRoot(0x0)/Pci(0x3,0x2)/Pci(0x0,0x0)/NVMe(0x1,60-33-01-21-9A-38-25-00)"
DISABLED = {"BootSourceOverrideEnabled": "Disabled", "BootSourceOverrideTarget": "None", "BootOrder": ["Boot0003"]}


class Firmware:
    """Keeps the boot settings that it is sent; ``refuses`` may answer instead."""

    def __init__(self, start: Any, vendor: str, model: str = "", **settings: Any) -> None:
        self.boot: dict[str, Any] = {**DISABLED, **settings, "BootOptions": {"@odata.id": f"{SYSTEM}/BootOptions"}}
        self.bodies: list[dict[str, Any]] = []
        self.refuses: Any = lambda body: None
        self.model = model
        option = f"{SYSTEM}/BootOptions/3"
        self.bmc = start(
            {
                "/redfish/v1": {"Vendor": vendor},
                "/redfish/v1/Systems": {"Members": [{"@odata.id": SYSTEM}], "Members@odata.count": 1},
                f"{SYSTEM}/BootOptions": {"Members": [{"@odata.id": option}], "Members@odata.count": 1},
                option: {"BootOptionReference": "Boot0003", "DisplayName": "Slot 2 NVMe", "UefiDevicePath": NVME},
            },
            self.respond,
        )

    def respond(self, asked: Asked) -> Reply | None:
        if asked.path != SYSTEM:
            return None
        if asked.method == "GET":
            return Reply(200, {"@odata.id": SYSTEM, "Id": "1", "Model": self.model, "Boot": self.boot})
        body = asked.body["Boot"]
        self.bodies.append(body)
        reply = self.refuses(body)
        if reply is None:
            self.boot = {**self.boot, **body}
            if "BootSourceOverrideTarget" in body and "BootSourceOverrideEnabled" not in body:
                self.boot["BootSourceOverrideEnabled"] = "Once"
        return reply or Reply(204)

    def set(self, check_mode: bool = False, **options: Any) -> dict[str, Any]:
        return boot.run(self.bmc.params(**{"persistence": "once", **options}), check_mode)


def test_a_device_path_is_planned_set_read_back_and_then_already_so(start_replay: Any) -> None:
    firmware = Firmware(start_replay, "HPE")
    planned = firmware.set(check_mode=True, uefi_target=NVME)
    assert planned["changed"] and planned["boot"]["uefi_target"] == NVME and not firmware.bodies
    done = firmware.set(uefi_target=NVME)
    assert done["boot"]["target"] == "uefi_target" and done["diff"] == planned["diff"]
    assert firmware.bodies == [
        {
            "BootSourceOverrideEnabled": "Once",
            "BootSourceOverrideTarget": "UefiTarget",
            "UefiTargetBootSourceOverride": NVME,
        }
    ]
    assert not firmware.set(uefi_target=NVME)["changed"]
    other = firmware.set(uefi_target="HD(2,GPT,3F26)/\\EFI\\boot.efi")
    assert other["changed"] and other["boot"]["uefi_target"].startswith("HD(2")
    back = firmware.set(target="none")
    assert back["boot"]["uefi_target"] is None and back["boot"]["target"] == "none"


@pytest.mark.parametrize("name", ["Boot0003", "slot 2 nvme"])
def test_a_boot_option_stands_for_its_device_path(start_replay: Any, name: str) -> None:
    assert Firmware(start_replay, "HPE").set(uefi_target=name)["boot"]["uefi_target"] == NVME


def test_an_unknown_boot_option_is_bad_input(start_replay: Any) -> None:
    firmware = Firmware(start_replay, "HPE")
    with pytest.raises(InvalidInput, match="Boot0099"):
        firmware.set(uefi_target="Boot0099")
    assert not firmware.bodies


@pytest.mark.parametrize("check_mode", [True, False])
def test_a_path_that_the_firmware_does_not_list_is_refused_before_the_write(
    start_replay: Any, check_mode: bool
) -> None:
    allowed = {"UefiTargetBootSourceOverride@Redfish.AllowableValues": [NVME]}
    firmware = Firmware(start_replay, "HPE", **allowed)
    with pytest.raises(Unsupported):
        firmware.set(check_mode=check_mode, uefi_target="PciRoot(0x9)/Pci(0x0,0x0)")
    assert not firmware.bodies
    assert firmware.set(uefi_target=NVME)["changed"]


def no_enabled_beside_it(body: dict[str, Any]) -> Reply | None:
    if body.get("BootSourceOverrideTarget") == "UefiTarget" and "BootSourceOverrideEnabled" in body:
        return Reply(
            400, error("IDRAC.2.1.SYS426", "BootSourceOverrideEnabled cannot be set together with UefiTarget.")
        )
    return None


def test_an_older_idrac_gets_its_uefi_target_without_enabled(start_replay: Any) -> None:
    firmware = Firmware(start_replay, "Dell")
    firmware.refuses = no_enabled_beside_it
    assert firmware.set(uefi_target=NVME)["boot"]["uefi_target"] == NVME
    assert [sorted(body) for body in firmware.bodies][-1] == [
        "BootSourceOverrideTarget",
        "UefiTargetBootSourceOverride",
    ]
    assert len(firmware.bodies) == 2
    others = Firmware(start_replay, "Contoso")
    others.refuses = no_enabled_beside_it
    with pytest.raises(PaleBlueDotError, match="cannot be set together"):
        others.set(uefi_target=NVME)
    assert len(others.bodies) == 1


@pytest.mark.parametrize("check_mode", [True, False])
@pytest.mark.parametrize("vendor", ["Lenovo", "Contoso"])
def test_a_lasting_override_is_refused_by_xcc_before_the_write(
    start_replay: Any, vendor: str, check_mode: bool
) -> None:
    firmware = Firmware(start_replay, vendor)
    if vendor == "Lenovo":
        with pytest.raises(Unsupported, match="lasting boot override"):
            firmware.set(check_mode=check_mode, target="pxe", persistence="always")
        assert not firmware.bodies
    else:
        assert firmware.set(check_mode=check_mode, target="pxe", persistence="always")["changed"]


def test_an_xe9680_boots_from_the_network_by_http(start_replay: Any) -> None:
    firmware = Firmware(start_replay, "Dell", "PowerEdge XE9680", BootSourceOverrideMode="Legacy")
    for mode in (None, "legacy"):
        with pytest.raises(Unsupported) as caught:
            firmware.set(target="pxe", mode=mode)
        assert "target=http" in (caught.value.answer or "")
    assert not firmware.bodies
    assert firmware.set(target="http", mode="uefi")["boot"]["target"] == "http"
    assert firmware.bodies[0]["BootSourceOverrideTarget"] == "UefiHttp"
    assert Firmware(start_replay, "Dell", "PowerEdge R750").set(target="pxe", mode="legacy")["changed"]


def test_real_machines_take_the_paths_that_they_list(start_replay: Any, hpe_capture: Any, dell_capture: Any) -> None:
    """Check mode against captures: a path of iLO's own list, and one that is not in it."""
    assert boot.run(start_replay(hpe_capture).params(uefi_target=NVME, persistence="once"), True)["changed"]
    with pytest.raises(Unsupported):
        boot.run(start_replay(hpe_capture).params(uefi_target="PciRoot(0x99)/Pci(0x0,0x0)", persistence="once"), True)
    done = boot.run(start_replay(dell_capture).params(uefi_target=NVME, persistence="once"), True)
    assert done["boot"]["target"] == "uefi_target"


def test_ipmi_has_no_device_paths(ipmi_bmc: Any) -> None:
    with pytest.raises(Unsupported):
        boot.run(ipmi_bmc.params(uefi_target=NVME, persistence="once"), True)
    planned = boot.run(ipmi_bmc.params(target="pxe", persistence="once"), True)
    assert planned["changed"] and ipmi_bmc.machine.bmc.override.target == "None"
