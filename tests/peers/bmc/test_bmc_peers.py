"""The bmc modules against BMCs that nobody here wrote."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.operations import bmc_boot as boot
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.operations import bmc_discover as scan
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.operations import bmc_info as info
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.operations import bmc_power as power
from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import AuthenticationError, BadAnswer, Unsupported

pytestmark = pytest.mark.peers


def set_power(params: dict[str, Any], state: str, **options: Any) -> dict[str, Any]:
    return power.run({**params, "state": state, "wait": True, "wait_timeout": 40, **options}, False)


def set_boot(params: dict[str, Any], check_mode: bool = False, **options: Any) -> dict[str, Any]:
    return boot.run({**params, "persistence": "once", **options}, check_mode)


# -- Redfish: sushy-emulator (no sessions, no BIOS; power follows after 1 to 11 s)


def test_sushy_emulator_tells_what_it_has(sushy: dict[str, Any]) -> None:
    found = info.run({**sushy, "subset": None}, False)["bmc"]
    assert found["power_state"] in ("On", "Off") and found["gpus"] == []
    assert found["capabilities"]["profile"] == "generic"
    assert "ForceOff" in found["capabilities"]["reset_types"]


def test_sushy_emulator_is_switched_off_and_on(sushy: dict[str, Any]) -> None:
    before = info.run({**sushy, "subset": ["power"]}, False)["bmc"]["power_state"]
    first, second = ("off", "on") if before == "On" else ("on", "off")
    for state in (first, second):
        done = set_power(sushy, state)
        assert done["changed"] and done["power_state"].lower() == state
    assert not set_power(sushy, second)["changed"]


def test_sushy_emulator_boots_from_the_network(sushy: dict[str, Any]) -> None:
    always = {"persistence": "always", "mode": "uefi"}
    set_boot(sushy, target="hdd", **always)
    planned = set_boot(sushy, check_mode=True, target="pxe", **always)
    done = set_boot(sushy, target="pxe", **always)
    assert planned["changed"] and done["changed"] and done["diff"] == planned["diff"]
    assert (done["boot"]["target"], done["boot"]["persistence"]) == ("pxe", "always")
    assert not set_boot(sushy, target="pxe", **always)["changed"]


def test_sushy_emulator_makes_every_override_a_lasting_one_and_that_is_seen(
    sushy: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(boot, "_SHOWS_WITHIN_S", 0.5)
    set_boot(sushy, target="hdd", persistence="always")
    with pytest.raises(BadAnswer) as caught:
        set_boot(sushy, target="cd", persistence="once")
    assert caught.value.code == "not_applied" and "always" in (caught.value.answer or "")


# -- IPMI: ipmi_sim (cipher suite 3 only)


def test_ipmi_sim_is_switched(ipmi_sim: dict[str, Any], tmp_path: Path) -> None:
    assert info.run({**ipmi_sim, "subset": ["power"]}, False)["bmc"]["power_state"] == "Off"
    assert set_power(ipmi_sim, "on")["power_state"] == "On"
    assert (tmp_path / "power").read_text().strip() == "1"
    assert not set_power(ipmi_sim, "on")["changed"]
    assert set_power(ipmi_sim, "cycle")["power_state"] == "On"
    assert set_power(ipmi_sim, "reset")["changed"]
    assert (tmp_path / "resets").read_text() == "reset\n", "a reset is sent once"
    assert set_power(ipmi_sim, "off")["power_state"] == "Off"


def test_ipmi_sim_takes_a_boot_device_and_forgets_that_it_is_valid(
    ipmi_sim: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It passes the device on, and answers boot flags without the bit that says that they hold."""
    monkeypatch.setattr(boot, "_SHOWS_WITHIN_S", 0.5)
    with pytest.raises(BadAnswer) as caught:
        set_boot(ipmi_sim, target="pxe", mode="uefi")
    assert caught.value.code == "not_applied"
    assert (tmp_path / "boot").read_text().strip() == "pxe"
    with pytest.raises(Unsupported):
        set_boot(ipmi_sim, target="http")


def test_ipmi_sim_tells_what_it_has(ipmi_sim: dict[str, Any]) -> None:
    found = info.run({**ipmi_sim, "subset": None}, False)["bmc"]
    assert found["protocol"] == "ipmi" and found["bmc_firmware_version"]


def test_ipmi_sim_refuses_a_wrong_password(ipmi_sim: dict[str, Any]) -> None:
    with pytest.raises(AuthenticationError):
        info.run({**ipmi_sim, "bmc_password": "wrong", "subset": ["power"]}, False)


# -- both at once, without a login


def discover(address: str, **options: Any) -> list[dict[str, Any]]:
    params = {"ranges": [], "addresses": [address], "ports": [443], "ipmi": False, "ipmi_port": 623, "public": False}
    limits = {"concurrency": 8, "timeout": 10.0, "limit": 16}
    found: list[dict[str, Any]] = scan.run({**params, **limits, **options}, False)["found"]
    return found


def test_sushy_emulator_is_found(sushy: dict[str, Any]) -> None:
    (found,) = discover(f"127.0.0.1:{sushy['bmc_port']}")
    assert found["protocol"] == "redfish" and found["redfish_version"] and len(found["fingerprint"]) == 64


def test_ipmi_sim_answers_the_presence_ping(ipmi_sim: dict[str, Any]) -> None:
    (found,) = discover("127.0.0.1:9", ipmi=True, ipmi_port=ipmi_sim["bmc_port"])
    assert (found["protocol"], found["port"], found["ipmi"]) == ("ipmi", ipmi_sim["bmc_port"], True)
