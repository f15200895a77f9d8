"""A server in POST takes no change: it is asked again. A lost answer is read back, and the write never repeated."""

from __future__ import annotations

import time
from typing import Any

import pytest
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.operations import (
    bios_attributes,
    bmc_boot,
    bmc_user,
    bmc_virtual_media,
    secure_boot,
)
from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import BadAnswer, PaleBlueDotError

IN_POST = {
    "hpe": {"status": 400, "message_id": "iLO.2.14.UnableToModifyDuringSystemPOST", "message": "In POST."},
    "dell": {"status": 503, "message_id": "IDRAC.2.8.SYS518", "message": "iDRAC is not ready."},
}
BIOS = {
    "ami": {"SRIOVEnable": "Disable"},
    "dell": {"LogicalProc": "Disabled"},
    "hpe": {"AmdDmaRemapping": "Enabled"},
}
PASSWORD = "Another-Secret.16"
IMAGE = "http://192.0.2.1/images/rescue.iso"


def set_boot(bmc: Any, **options: Any) -> dict[str, Any]:
    return bmc_boot.run(bmc.params(**{"target": "pxe", "persistence": "once", **options}), False)


def set_bios(bmc: Any, **options: Any) -> dict[str, Any]:
    attributes = BIOS[bmc.machine.config.vendor]
    return bios_attributes.run(bmc.params(attributes=attributes, apply_time="on_reset", **options), False)


def set_user(bmc: Any, **options: Any) -> dict[str, Any]:
    wanted = {"username": "monitoring", "password": PASSWORD, "role": "readonly", "state": "present"}
    return bmc_user.run(bmc.params(**{**wanted, "update_password": "always", "rotate": False, **options}), False)


def insert(bmc: Any, **options: Any) -> dict[str, Any]:
    wanted = {"state": "inserted", "image": IMAGE, "write_protected": True, "wait_timeout": 5}
    return bmc_virtual_media.run(bmc.params(**{**wanted, **options}), False)


def set_secure_boot(bmc: Any, **options: Any) -> dict[str, Any]:
    return secure_boot.run(bmc.params(**{"state": None, "keys": None, **options}), False)


def sent(bmc: Any) -> list[str]:
    return [write for write in bmc.writes() if not write.endswith("/Sessions")]


CHANGES = {"boot": set_boot, "bios": set_bios, "user": set_user, "media": insert}


# -- the server is in POST


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("vendor", IN_POST)
def test_what_is_refused_in_post_is_asked_again_until_it_is_taken(start_lab: Any, vendor: str, change: str) -> None:
    bmc = start_lab(vendor)
    where = {"boot": "Systems/*", "bios": "[Bb]ios/*", "user": "Accounts*", "media": "VirtualMedia/*"}[change]
    bmc.fault("status", f"P[AO]* */{where}", value=IN_POST[vendor], count=2)
    assert CHANGES[change](bmc, bmc_timeout=10)["changed"]
    assert bmc.struck(2) == 2
    assert not CHANGES[change](bmc)["changed"], "it is so now"
    assert len(sent(bmc)) == 1, "carried out once"


def test_an_hpe_in_post_takes_the_boot_when_it_has_passed(start_lab: Any) -> None:
    """POST gives the System another ETag: nobody else has changed it."""
    bmc = start_lab("hpe", post_s=1.5)
    bmc._loop.run(bmc.machine.power_action("on", by="test"))
    bmc.until(lambda: bmc.machine.in_post)
    done = set_boot(bmc, bmc_timeout=10)
    assert done["changed"] and done["boot"]["target"] == "pxe" and not bmc.machine.in_post


def test_what_somebody_else_has_set_while_we_waited_is_not_written_over(start_lab: Any) -> None:
    bmc = start_lab("hpe", post_s=1.5)
    bmc._loop.run(bmc.machine.power_action("on", by="test"))
    bmc.until(lambda: bmc.machine.in_post)
    seen = {"refused": 0}
    honest = bmc.bmc.vendor.not_in_post

    def refuse(service: Any) -> None:
        try:
            honest(service)
        except Exception:
            seen["refused"] += 1
            if seen["refused"] == 2:
                bmc.machine.bmc.override.target = "Cd"
                bmc.machine.bmc.override.enabled = "Continuous"
            raise

    bmc.bmc.vendor.not_in_post = refuse
    with pytest.raises(PaleBlueDotError) as caught:
        set_boot(bmc, bmc_timeout=10)
    assert caught.value.code == "precondition_failed"


def test_a_post_without_end_is_told_in_time(start_lab: Any) -> None:
    bmc = start_lab("hpe")
    bmc.fault("status", "PATCH *", value=IN_POST["hpe"])
    began = time.monotonic()
    with pytest.raises(PaleBlueDotError) as caught:
        set_boot(bmc, bmc_timeout=3)
    took = time.monotonic() - began
    assert caught.value.code == "conflict" and caught.value.retryable and "POST" in (caught.value.next or "")
    assert 1.5 < took < 3, "a part of the time is kept for what follows"
    assert not sent(bmc)


# -- an answer that may be one to something that was done


@pytest.mark.parametrize(
    "answer",
    [
        {"status": 500, "message_id": "Base.1.12.InternalError"},
        {"status": 503},
        {"status": 409, "message_id": "Base.1.12.ResourceAlreadyExists"},
        {"status": 400, "message_id": "Base.1.12.ActionParameterValueConflict"},
    ],
    ids=str,
)
def test_no_other_refusal_is_answered_with_the_same_again(start_lab: Any, answer: dict[str, Any]) -> None:
    bmc = start_lab("dell")
    bmc.fault("lies", "PATCH *", value=answer)
    with pytest.raises(PaleBlueDotError):
        set_boot(bmc)
    assert len(sent(bmc)) == 1


@pytest.mark.parametrize("kind", ["drop_after", "half"])
@pytest.mark.parametrize("vendor", ["ami", "dell", "hpe", "lenovo"])
def test_a_boot_whose_answer_is_lost_is_read_back(start_lab: Any, vendor: str, kind: str) -> None:
    bmc = start_lab(vendor)
    bmc.fault(kind, "PATCH *", count=1)
    done = set_boot(bmc)
    assert done["changed"] and done["boot"]["target"] == "pxe" and len(sent(bmc)) == 1
    bmc.fault(kind, "PATCH *", count=1)
    done = set_boot(bmc, target=None, boot_order=["pxe", "hdd"])
    assert done["changed"] and len(sent(bmc)) == 2


def test_a_boot_that_was_lost_on_the_way_says_so(start_lab: Any) -> None:
    bmc = start_lab("ami")
    bmc.fault("drop", "PATCH *")
    with pytest.raises(PaleBlueDotError) as caught:
        set_boot(bmc)
    assert caught.value.code == "answer_lost" and not sent(bmc)
    assert caught.value.retryable, "whoever tries again reads first"


@pytest.mark.parametrize("vendor", BIOS)
def test_bios_attributes_whose_answer_is_lost_are_read_back(start_lab: Any, vendor: str) -> None:
    bmc = start_lab(vendor)
    bmc.fault("drop_after", "PATCH *", count=1)
    assert set_bios(bmc)["pending"] == BIOS[vendor]
    assert len(sent(bmc)) == 1


def test_bios_attributes_that_were_lost_on_the_way_may_be_staged_again(start_lab: Any) -> None:
    bmc = start_lab("ami")
    bmc.fault("drop", "PATCH *", count=1)
    with pytest.raises(PaleBlueDotError) as caught:
        set_bios(bmc)
    assert caught.value.code == "answer_lost" and caught.value.retryable
    assert set_bios(bmc)["changed"] and len(sent(bmc)) == 1


def test_secure_boot_whose_answer_is_lost_is_read_back(start_lab: Any) -> None:
    bmc = start_lab("ami")
    bmc.fault("drop_after", "PATCH *", count=1)
    done = set_secure_boot(bmc, state="enabled")
    assert done["changed"] and done["secure_boot"]["enabled"] and len(sent(bmc)) == 1
    bmc.fault("drop", "PATCH *", count=1)
    with pytest.raises(PaleBlueDotError) as caught:
        set_secure_boot(bmc, state="disabled")
    assert caught.value.code == "answer_lost" and len(sent(bmc)) == 1


def test_keys_whose_reset_is_lost_are_believed_only_where_they_show(start_lab: Any) -> None:
    bmc = start_lab("ami")
    state = bmc.machine.bmc.secure_boot
    state.keys = "custom"
    bmc.fault("drop_after", "POST *ResetKeys", count=1)
    with pytest.raises(PaleBlueDotError) as caught:
        set_secure_boot(bmc, keys="factory")
    assert caught.value.code == "answer_lost" and len(sent(bmc)) == 1, "they show with the next POST"
    bmc.power("on")
    assert state.keys == "factory" and not set_secure_boot(bmc, keys="factory")["changed"]


@pytest.mark.parametrize("change", [{"role": "operator"}, {"state": "absent"}], ids=str)
def test_an_account_whose_change_is_lost_is_read_back(start_lab: Any, change: dict[str, Any]) -> None:
    bmc = start_lab("ami")
    set_user(bmc)
    before = len(sent(bmc))
    bmc.fault("drop_after", "[PD][AE]* */Accounts/*", count=1)
    assert set_user(bmc, **{"password": None, **change})["changed"] and len(sent(bmc)) == before + 1
    bmc.fault("drop", "[PD][AE]* */Accounts/*", count=1)
    if "role" in change:
        with pytest.raises(BadAnswer):
            set_user(bmc, password=None, role="administrator")
