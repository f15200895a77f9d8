"""The DMTF's own tools against the lab: redfishtool as another client, and the protocol validator."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.operations import Subject
from tests.conformance.sources import lab_machine
from tests.peers.bmc.judged import JUDGED

pytestmark = pytest.mark.peers

BIN = Path(__file__).resolve().parents[3] / "var" / "peers" / "dmtf" / "bin"
# requests would take these for the certificates that it is given
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.endswith("CA_BUNDLE")}


def tool(name: str) -> Path:
    if not (BIN / name).exists():
        pytest.skip(f"{name} is not here; tests/peers/setup.sh tries to get it")
    return BIN / name


def redfishtool(bmc: Subject, *words: str) -> Any:
    """What it prints, read."""
    host = f"127.0.0.1:{bmc.params['bmc_port']}"
    login = ["-u", bmc.params["bmc_username"], "-p", bmc.params["bmc_password"], "-r", host, "-S", "Always"]
    done = subprocess.run(
        [tool("redfishtool"), *login, *words], capture_output=True, text=True, timeout=60, env=ENVIRONMENT
    )
    assert done.returncode == 0, f"redfishtool {' '.join(words)}: {done.stdout} {done.stderr}"
    start = done.stdout.find("{")
    return json.loads(done.stdout[start:]) if start >= 0 else None


def until(reached: Callable[[], bool], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.1)


def test_redfishtool_reads_and_switches_a_lab_machine() -> None:
    tool("redfishtool")
    with lab_machine("generic") as bmc:
        (system,) = redfishtool(bmc, "Systems", "list")["Members"]
        read = redfishtool(bmc, "Systems", "-I", system["Id"], "get")
        assert read["PowerState"] == bmc.info("power")["power_state"]
        for kind, state in (("ForceOff", "Off"), ("On", "On")):
            if bmc.info("power")["power_state"] != state:
                redfishtool(bmc, "Systems", "-I", system["Id"], "reset", kind)
            until(lambda state=state: bmc.info("power")["power_state"] == state)  # type: ignore[misc]
        redfishtool(bmc, "Systems", "-I", system["Id"], "setBootOverride", "Once", "Pxe")
        assert not bmc.call("bmc_boot", check=True, target="pxe", persistence="once")["changed"]


def test_an_account_that_redfishtool_makes_is_one_for_us() -> None:
    tool("redfishtool")
    with lab_machine("generic") as bmc:
        redfishtool(bmc, "AccountService", "adduser", "dmtf", "Passw0rd!long1", "Administrator")
        other = Subject({**bmc.params, "bmc_username": "dmtf", "bmc_password": "Passw0rd!long1"})
        assert other.info("power")["power_state"]
        redfishtool(bmc, "AccountService", "deleteuser", "dmtf")
        with pytest.raises(Exception, match="refused"):
            other.call("redfish_request", method="GET", path="/redfish/v1/Systems")


@pytest.mark.parametrize("vendor", sorted(JUDGED))
def test_the_protocol_validator_finds_nothing_that_is_not_judged(vendor: str, tmp_path: Path) -> None:
    with lab_machine(vendor) as bmc:
        login = ["-u", bmc.params["bmc_username"], "-p", bmc.params["bmc_password"]]
        host = ["-r", f"https://127.0.0.1:{bmc.params['bmc_port']}", "--ca-bundle", bmc.params["bmc_ca_path"]]
        how = ["--avoid-http-redirect", "--report-dir", str(tmp_path), "--report-type", "tsv"]
        done = subprocess.run(
            [tool("rf_protocol_validator"), *login, *host, *how],
            capture_output=True,
            text=True,
            timeout=240,
            env=ENVIRONMENT,
        )
    reports = list(tmp_path.glob("*.tsv"))
    assert reports, done.stderr[-2000:]
    with reports[0].open() as report:
        rows = [row for row in csv.reader(report, delimiter="\t") if len(row) >= 6]
    assert sum(row[4] == "PASS" for row in rows) > 200, "it could hardly ask anything"
    failed = [row for row in rows if row[4] == "FAIL"]
    new = [row for row in failed if row[0] not in JUDGED[vendor]]
    assert new == [], "\n".join(" ".join(row) for row in new)
    outlived = set(JUDGED[vendor]) - {row[0] for row in failed}
    assert not outlived, f"these hold now and need no judging: {sorted(outlived)}"
