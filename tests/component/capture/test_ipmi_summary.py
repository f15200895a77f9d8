"""What a capture holds of IPMI, read from a lab machine by a child process with a deadline."""

from __future__ import annotations

import socket

import pytest

from lab.capture.ipmi import IpmiError, summary
from tests.conformance.sources import lab_machine


def test_device_id_sensors_fru_and_event_log_are_read() -> None:
    with lab_machine("ami", ipmi=True) as bmc:
        params = bmc.params
        found = summary("127.0.0.1", params["bmc_port"], params["bmc_username"], params["bmc_password"], 60)
        assert len(found["device_id"]) >= 11 and len(found["sel_info"]) >= 14
        assert found["fru"] and len(found["sdr"]) > 5
        with pytest.raises(IpmiError, match="password"):
            summary("127.0.0.1", params["bmc_port"], params["bmc_username"], "wrong", 60)


def test_a_bmc_that_says_nothing_costs_its_deadline() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        with pytest.raises(IpmiError):
            summary("127.0.0.1", silent.getsockname()[1], "admin", "secret", 2.0)
