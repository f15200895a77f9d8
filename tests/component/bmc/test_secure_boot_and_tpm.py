"""secure_boot and tpm: staged for the next boot, read back, applied by POST; each vendor's words."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.operations import secure_boot, tpm
from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import Conflict, InvalidInput, Unsupported
from replay import Asked, Reply

SECURE_BOOT = "/redfish/v1/Systems/DGX/SecureBoot"


def set_secure_boot(bmc: Any, check_mode: bool = False, **options: Any) -> dict[str, Any]:
    return secure_boot.run(bmc.params(**{"state": None, "keys": None, **options}), check_mode)


def set_tpm(bmc: Any, state: str, check_mode: bool = False) -> dict[str, Any]:
    return tpm.run(bmc.params(state=state), check_mode)


# -- Secure Boot


def test_secure_boot_is_planned_enabled_and_holds_after_a_boot(lab_bmc: Any) -> None:
    planned = set_secure_boot(lab_bmc, check_mode=True, state="enabled")
    assert planned["changed"] and planned["reboot_required"] and not lab_bmc.writes()
    done = set_secure_boot(lab_bmc, state="enabled")
    assert done["diff"] == planned["diff"] and done["secure_boot"] == planned["secure_boot"]
    assert done["secure_boot"] == {"enabled": True, "current": False, "mode": "user"} and done["task"] is None
    assert lab_bmc.writes() == [f"PATCH {SECURE_BOOT}"]
    again = set_secure_boot(lab_bmc, state="enabled")
    assert not again["changed"] and again["reboot_required"], "set, and not yet so"
    lab_bmc.power("on")
    assert not set_secure_boot(lab_bmc, state="enabled")["reboot_required"]


def test_keys_of_the_factory_are_left_alone_and_others_are_reset(lab_bmc: Any) -> None:
    assert not set_secure_boot(lab_bmc, keys="factory")["changed"]
    lab_bmc.machine.bmc.secure_boot.keys = "custom"
    planned = set_secure_boot(lab_bmc, check_mode=True, keys="factory")
    done = set_secure_boot(lab_bmc, keys="factory")
    assert done["changed"] and done["reboot_required"] and done["diff"] == planned["diff"]
    lab_bmc.power("on")
    assert lab_bmc.machine.bmc.secure_boot.keys == "factory"
    assert not set_secure_boot(lab_bmc, keys="factory")["changed"]


def test_deleted_keys_are_setup_mode_and_forbid_secure_boot(lab_bmc: Any) -> None:
    with pytest.raises(Conflict) as caught:
        set_secure_boot(lab_bmc, keys="deleted", state="enabled")
    assert caught.value.code == "no_keys" and not lab_bmc.writes()
    assert set_secure_boot(lab_bmc, keys="deleted")["changed"]
    lab_bmc.power("on")
    again = set_secure_boot(lab_bmc, keys="deleted")
    assert not again["changed"] and again["secure_boot"]["mode"] == "setup"
    with pytest.raises(Conflict):
        set_secure_boot(lab_bmc, state="enabled")
    assert set_secure_boot(lab_bmc, state="enabled", keys="factory")["changed"]
    lab_bmc.power("off")
    lab_bmc.power("on")
    assert lab_bmc.machine.bmc.secure_boot.current


def test_captures_say_how_it_is_and_what_they_offer(start_replay: Any, dgx_capture: Any, hpe_capture: Any) -> None:
    found = set_secure_boot(start_replay(dgx_capture), check_mode=True, state="enabled", keys=None)
    assert found["diff"]["before"] == {"enabled": False, "current": False, "mode": "user"}
    # the HPE says nothing of its databases, so that keys=factory resets; it names no ResetKeysTypes either
    planned = set_secure_boot(start_replay(hpe_capture), check_mode=True, keys="factory")
    assert planned["changed"] and planned["diff"]["after"]["keys"] == "factory"


def test_a_dgx_has_the_keys_that_it_came_with(start_replay: Any, dgx_capture: Any) -> None:
    bmc = start_replay(dgx_capture)
    assert set_secure_boot(bmc, check_mode=True, keys="factory")["changed"] is False
    assert any("PKDefault/Certificates" in path for path in bmc.requests("GET"))


def test_a_dell_that_is_locked_down_takes_nothing(start_replay: Any, dell_capture: Any) -> None:
    bmc = start_replay(dell_capture)
    for attempt in (
        lambda: set_secure_boot(bmc, state="enabled"),
        lambda: set_secure_boot(bmc, check_mode=True, keys="deleted"),
        lambda: set_tpm(bmc, "cleared"),
    ):
        with pytest.raises(Conflict) as caught:
            attempt()
        assert caught.value.code == "lockdown" and caught.value.answer == "Enabled"
    assert not bmc.requests("PATCH") and {path.rsplit("/", 1)[-1] for path in bmc.requests("POST")} == {"Sessions"}


def test_a_system_without_secure_boot_says_what_is_missing(start_replay: Any) -> None:
    system = "/redfish/v1/Systems/1"
    bmc = start_replay({"/redfish/v1": {"Vendor": "Contoso"}, system: {"@odata.id": system}})
    with pytest.raises(Unsupported, match=r"System\.SecureBoot"):
        set_secure_boot(bmc, state="enabled", system_id="1")


def test_the_bmcs_task_is_handed_back(start_replay: Any) -> None:
    system, task = "/redfish/v1/Systems/1", "/redfish/v1/TaskService/Tasks/7"
    secure_boot: dict[str, Any] = {"SecureBootEnable": True, "SecureBootMode": "UserMode"}

    def respond(asked: Asked) -> Reply | None:
        if asked.method != "PATCH":
            return None
        secure_boot.update(asked.body)
        return Reply(202, {"@odata.id": task, "TaskState": "New"})

    tree = {
        "/redfish/v1": {"Vendor": "Contoso"},
        system: {"@odata.id": system, "SecureBoot": {"@odata.id": f"{system}/SecureBoot"}},
        f"{system}/SecureBoot": secure_boot,
    }
    done = set_secure_boot(start_replay(tree, respond), state="disabled", system_id="1")
    assert done["task"] == {"uri": task, "state": "New", "percent": None} and not done["secure_boot"]["enabled"]


# -- TPM


def test_a_tpm_is_cleared_once_by_the_next_boot(lab_bmc: Any) -> None:
    assert not set_tpm(lab_bmc, "enabled")["changed"]
    planned = set_tpm(lab_bmc, "cleared", check_mode=True)
    done = set_tpm(lab_bmc, "cleared")
    assert done["changed"] and done["reboot_required"] and done["diff"] == planned["diff"]
    assert done["tpm"]["interface"] == "TPM2_0" and done["tpm"]["pending"] == {"TpmOperation": "TPM Clear"}
    again = set_tpm(lab_bmc, "cleared")
    assert not again["changed"] and again["reboot_required"], "staged already"
    lab_bmc.power("on")
    assert lab_bmc.machine.tpm_clears == 1
    assert set_tpm(lab_bmc, "cleared", check_mode=True)["changed"], "an order, not a state"


@pytest.mark.parametrize(
    ("vendor", "attributes", "state", "sent"),
    [
        (
            "Dell",
            {"TpmSecurity": "Off", "Tpm2Hierarchy": "Disabled"},
            "enabled",
            {"TpmSecurity": "On", "Tpm2Hierarchy": "Enabled"},
        ),
        ("HPE", {"TpmVisibility": "Hidden"}, "enabled", {"TpmVisibility": "Visible"}),
        ("Supermicro", {"SecurityDeviceSupport_005A": "Disable"}, "enabled", {"SecurityDeviceSupport_005A": "Enable"}),
        (
            "Supermicro",
            {"SecurityDeviceSupport_005A": "Disabled"},
            "enabled",
            {"SecurityDeviceSupport_005A": "Enabled"},
        ),
        ("AMI", {"TpmSupport": "Disable"}, "enabled", {"TpmSupport": "Enable"}),
        (
            "Dell",
            {"TpmSecurity": "Off", "Tpm2Hierarchy": "Enabled"},
            "cleared",
            {"TpmSecurity": "On", "Tpm2Hierarchy": "Clear"},
        ),
        ("HPE", {"Tpm2Operation": "NoAction"}, "cleared", {"Tpm2Operation": "Clear"}),
        (
            "Lenovo",
            {"TrustedComputingGroup_DeviceOperation": "None"},
            "cleared",
            {"TrustedComputingGroup_DeviceOperation": "Clear"},
        ),
        ("Supermicro", {"PendingOperation_005B": "None"}, "cleared", {"PendingOperation_005B": "TPM Clear"}),
        ("AMI", {"TpmOperation": "None", "TpmSupport": "Enable"}, "cleared", {"TpmOperation": "TPM Clear"}),
    ],
)
def test_each_vendor_enables_and_clears_a_tpm_in_its_own_words(
    start_replay: Any, vendor: str, attributes: dict[str, str], state: str, sent: dict[str, str]
) -> None:
    system = "/redfish/v1/Systems/1"
    staged: dict[str, Any] = {}

    def respond(asked: Asked) -> Reply | None:
        if asked.method == "PATCH":
            staged.update(asked.body["Attributes"])
            return Reply(202, {}, {"Location": "/redfish/v1/TaskService/Tasks/1"})
        if asked.method == "GET" and asked.path == f"{system}/Bios/Pending":
            return Reply(200, {"Attributes": staged})
        return None

    bios = {
        "@odata.id": f"{system}/Bios",
        "Attributes": attributes,
        "@Redfish.Settings": {"SettingsObject": {"@odata.id": f"{system}/Bios/Pending"}},
    }
    tree = {
        "/redfish/v1": {"Vendor": vendor},
        system: {"@odata.id": system, "Bios": {"@odata.id": f"{system}/Bios"}},
        f"{system}/Bios": bios,
    }
    bmc = start_replay(tree, respond)
    assert tpm.run(bmc.params(system_id="1", state=state), False)["changed"]
    assert staged == sent


def test_a_vendor_whose_words_are_not_known_is_told(start_replay: Any) -> None:
    system = "/redfish/v1/Systems/1"
    bios = {"@odata.id": f"{system}/Bios", "Attributes": {"Other": "x"}}
    tree = {
        "/redfish/v1": {"Vendor": "Contoso"},
        system: {"@odata.id": system, "Bios": {"@odata.id": f"{system}/Bios"}},
        f"{system}/Bios": bios,
    }
    with pytest.raises(Unsupported, match="profile generic has none"):
        tpm.run(start_replay(tree).params(system_id="1", state="cleared"), False)
    tree["/redfish/v1"] = {"Vendor": "HPE"}
    with pytest.raises(InvalidInput, match="no attribute Tpm2Operation"):
        tpm.run(start_replay(tree).params(system_id="1", state="cleared"), False)
