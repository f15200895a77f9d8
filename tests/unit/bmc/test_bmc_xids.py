"""What the drivers reported, read out of log entries as real baseboards write them."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc import xids


def test_a_report_of_a_gpu() -> None:
    found = xids.parse(
        ["GPU_SXM_4 Driver Event Message", "[Wed Dec 6 17:31:51 UTC 2023][1][00] XID 62 badf5723(badf5723) badf5723"]
    )
    assert found == xids.Xid(
        kind="xid",
        number=62,
        device="GPU_SXM_4",
        pci=None,
        driver_date="2023-12-06T17:31:51+00:00",
        driver_date_raw="Wed Dec 6 17:31:51 UTC 2023",
        text="badf5723(badf5723) badf5723",
        action="reset_gpu",
    )


def test_a_report_of_a_switch_that_the_baseboard_cut_at_its_commas() -> None:
    found = xids.parse(
        [
            "NVSwitch_0 Driver Event Message",
            "[Wed Jun 24 19:06:47 UTC 1970][181075968][02] SXID 1 dData {0x01f16900",
            "0x00000003",
            "0x4b409202",
        ]
    )
    assert found is not None
    assert (found.kind, found.number, found.device, found.action) == ("sxid", 1, "NVSwitch_0", None)
    assert found.text == "dData {0x01f16900, 0x00000003, 0x4b409202"
    assert found.driver_date is None and found.driver_date_raw == "Wed Jun 24 19:06:47 UTC 1970", "1970 is no date"


def test_days_may_be_padded() -> None:
    found = xids.parse(["GPU_SXM_1 Driver Event Message", "[Mon May  4 08:16:12 UTC 2026][1][00] XID 79"])
    assert found is not None and found.driver_date == "2026-05-04T08:16:12+00:00" and found.text == ""
    assert found.action == "reboot"


def test_the_kernel_s_own_line_has_the_pci_address() -> None:
    found = xids.parse([], "NVRM: Xid (PCI:0000:65:00): 79, pid=1234, GPU has fallen off the bus.")
    assert found is not None
    assert (found.number, found.pci, found.device) == (79, "0000:65:00", None)
    assert found.text == "pid=1234, GPU has fallen off the bus."
    switch = xids.parse(["nvidia-nvswitch0: SXid (PCI:0000:C1:00.0): 24007, Fatal, Link 44"])
    assert switch is not None and (switch.kind, switch.number, switch.pci) == ("sxid", 24007, "0000:c1:00.0")


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["GPU_SXM_1 ThrottleReason", "xyz.openbmc_project.State.ProcessorPerformance.ThrottleReasons.SWPowerCap"],
        ["GPU_SXM_1 Driver Event Message"],
        ["GPU_SXM_1 Driver Event Message", "[Wed Dec 6 17:31:51 UTC 2023][1][00] XID"],
        ["GPU_SXM_1 Driver Event Message", "XID 62"],
        ["HMC SMBPBI", "Failover to Redundant Interface(i2c)"],
    ],
)
def test_what_is_no_report(arguments: list[str]) -> None:
    assert xids.parse(arguments) is None


@pytest.mark.parametrize("date", ["Wed Foo 6 17:31:51 UTC 2023", "Wed Feb 30 17:31:51 UTC 2023", "", "yesterday"])
def test_a_date_that_is_none_is_null_and_kept(date: str) -> None:
    found = xids.parse(["GPU_SXM_1 Driver Event Message", f"[{date}][1][00] XID 62"])
    assert found is not None and found.driver_date is None and found.driver_date_raw == (date or None)


def test_each_number_has_one_action_and_they_are_those_of_the_source() -> None:
    numbers = [number for group in xids._BY_ACTION.values() for number in group.split()]
    assert len(numbers) == len(set(numbers)) == len(xids.ACTIONS)
    assert (
        xids.ACTIONS[79] == "reboot" and xids.ACTIONS[154] == "follow_other_xid" and xids.ACTIONS[13] == "restart_app"
    )
    source = Path(__file__).resolve().parents[4] / "shared/data/gpu-health/xid_actions.csv"
    if not source.is_file():
        pytest.skip("the table that this is from is not beside the checkout")
    words = {
        "RESTART_BM": "reboot",
        "UPDATE_SWFW": "update_software",
        "UNEXPECTED_ERR_REPORT_ISSUE": "report_issue",
        "WORKFLOW_NVLINK5_ERR": "workflow_nvlink5",
        "WORKFLOW_NVLINK_ERR": "workflow_nvlink",
    }
    with source.open() as file:
        said = {
            int(row["xid"]): words.get(row["nvsentinel_action"], row["nvsentinel_action"].lower())
            for row in csv.DictReader(file)
        }
    assert said == xids.ACTIONS
