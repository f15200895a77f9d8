"""Fleet files: what a CSV or YAML means, and what is said about a wrong one."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.problems import Problem
from cli.server import read_csv, read_document


def test_every_column_becomes_a_field_of_the_import_document() -> None:
    rows = read_csv(
        "name,bmc_address,bmc_port,bmc_protocol,bmc_username,bmc_password,bmc_ca_path,bmc_validate_certs,"
        "rack,pool,nvlink_domain,nics,disks\n"
        "gpu-001,2001:db8::7,8443,redfish,admin,s3cret,/etc/ca.pem,no,r1,train,nv1,"
        "02:00:00:00:00:01@leaf1/Ethernet1/1;02:00:00:00:00:02,/dev/nvme0n1; /dev/nvme1n1\n"
    )
    assert rows == [
        {
            "name": "gpu-001",
            "bmc_address": "2001:db8::7",
            "bmc_port": 8443,
            "bmc_protocol": "redfish",
            "bmc_username": "admin",
            "bmc_password": "s3cret",
            "bmc_ca_path": "/etc/ca.pem",
            "bmc_validate_certs": False,
            "rack": "r1",
            "pool": "train",
            "nvlink_domain": "nv1",
            "nics": [
                {"mac": "02:00:00:00:00:01", "switch": "leaf1", "port": "Ethernet1/1"},
                {"mac": "02:00:00:00:00:02"},
            ],
            "disks": ["/dev/nvme0n1", "/dev/nvme1n1"],
        }
    ]


def test_empty_cells_and_lines_are_left_out() -> None:
    assert read_csv("name,bmc_address,rack\na,10.0.0.1,\n,,\n") == [{"name": "a", "bmc_address": "10.0.0.1"}]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,bmc_address,colour\n", "colour"),
        ("name\n", "bmc_address"),
        ("name,bmc_address\ngpu-001\n", "line 2: as many cells"),
        ("name,bmc_address\ngpu-001,10.0.0.1,more\n", "line 2: as many cells"),
        ("name,bmc_address,rack\n,10.0.0.1,r1\n", "line 2: name is empty"),
        ("name,bmc_address,bmc_port\na,10.0.0.1,https\n", "'https', not a number"),
        ("name,bmc_address,bmc_validate_certs\na,10.0.0.1,maybe\n", "'maybe', not true or false"),
        ("name,bmc_address,nics\na,10.0.0.1,02:00:00:00:00:01@leaf1\n", "MAC@SWITCH/PORT"),
    ],
)
def test_a_wrong_csv_is_told_with_its_line(text: str, message: str) -> None:
    with pytest.raises(Problem) as caught:
        read_csv(text)
    assert message in caught.value.message


def test_a_csv_saved_by_a_spreadsheet_is_read(tmp_path: Path) -> None:
    path = tmp_path / "racks.CSV"
    path.write_bytes(b"\xef\xbb\xbfname,bmc_address\r\ngpu-001,10.0.0.1\r\n")
    assert read_document(path) == {"servers": [{"name": "gpu-001", "bmc_address": "10.0.0.1"}]}


@pytest.mark.parametrize("text", ["- a\n- b\n", "hosts: []\n", "{", "\x00"])
def test_a_file_that_is_no_import_document_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "fleet.yml"
    path.write_text(text)
    with pytest.raises(Problem):
        read_document(path)
