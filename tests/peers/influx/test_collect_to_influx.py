"""`collect.yml` with InfluxDB as a further sink, against a server that takes InfluxDB 2's writes: VictoriaMetrics."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from cli.stage import free_port
from tests.support.site import Site

pytestmark = pytest.mark.peers
PROGRAM = Path(__file__).resolve().parents[3] / "var/peers/victoria-metrics/usr/bin/victoria-metrics"


@pytest.fixture
def victoria(tmp_path: Path) -> Iterator[str]:
    """The URL of a VictoriaMetrics of this test's own."""
    if not PROGRAM.exists():
        pytest.skip("victoria-metrics is not here: tests/peers/influx/setup.sh says why")
    url = f"http://127.0.0.1:{(port := free_port())}"
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [PROGRAM, f"-httpListenAddr=127.0.0.1:{port}", f"-storageDataPath={tmp_path / 'data'}"],
            stdout=log,
            stderr=log,
        )
    try:
        yield url
    finally:
        process.terminate()
        process.wait(20)


def exported(url: str, metric: str) -> list[dict[str, object]]:
    """Every series of that name, with its labels and values."""
    requests.get(f"{url}/internal/force_flush", timeout=10)
    answer = requests.get(f"{url}/api/v1/export", params={"match[]": metric}, timeout=10)
    answer.raise_for_status()
    return [json.loads(line) for line in answer.text.splitlines()]


@pytest.mark.timeout(200)
def test_figures_of_a_round_arrive_with_their_labels(victoria: str, tmp_path: Path) -> None:
    environment = {"PALEBLUEDOT_INFLUX_URL": victoria, "PALEBLUEDOT_COLLECT_INTERVAL_S": "0"}
    with Site(tmp_path / "site", servers=2, environment=environment) as site:
        # a server that is off has no GPU figures
        site.playbook("power.yml", "-e", "target=all", "-e", "state=on")
        site.playbook("collect.yml")
        gpus = {gpu["id"] for server in site.client.servers() for gpu in server["gpus"]}
        temperatures = site.until(lambda: exported(victoria, "gpu_temperature"), 20)
        powers = exported(victoria, "server_power_consumption")
    assert {series["metric"]["gpu"] for series in temperatures} == gpus
    assert all(20 < series["values"][0] < 60 for series in temperatures)
    assert {series["metric"]["server"] for series in powers} == {"gpu-001", "gpu-002"}
