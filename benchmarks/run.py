"""``make bench``: one run, as JSON: from a request to ``active``, and what asking BMCs costs beside others.

Figures of different machines do not compare; CPU seconds and ratios of one run do. The lab runs without delays, so that
what is measured is ours and not the hardware's.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from cli import client, paths
from cli.demo.acts import TEMPLATE
from cli.problems import Problem
from cli.stage import GPUS_PER_SERVER, Stage
from cli.timeline import FINAL
from scheduler import processes

ROUNDS = 3
WORKFLOW_TIMEOUT_S = 120.0
BENCHMARK_TIMEOUT_S = 900.0
POLL_S = 0.1
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def cpu_s(root: int) -> float:
    """CPU seconds that a process and everything below it has used, ended children included (proc(5): stat 14-17)."""
    total = 0
    for pid in {root, *processes.descendants(root)}:
        try:
            text = Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            continue
        total += sum(int(field) for field in text[text.rindex(")") + 2 :].split()[11:15])
    return total / TICKS_PER_S


def run_workflow(stage: Stage, api: Any, start: Any) -> dict[str, Any]:
    """Wall and CPU seconds of each process group from `start()`'s request to the workflow's end."""
    groups = {name: child.process.pid for name, child in stage.supervisor.children.items()}
    groups["lab"] = int(stage.facts["pid"])
    before = {name: cpu_s(pid) for name, pid in groups.items()}
    began = time.monotonic()
    accepted = start()
    deadline = began + WORKFLOW_TIMEOUT_S
    while (workflow := api.workflow(accepted["workflow_id"]))["status"] not in FINAL:
        if time.monotonic() > deadline:
            raise Problem(f"The workflow was still {workflow['status']} after {WORKFLOW_TIMEOUT_S:.0f} s")
        time.sleep(POLL_S)
    wall_s = time.monotonic() - began
    if workflow["status"] != "succeeded":
        raise Problem(
            f"The {workflow['kind']} workflow is {workflow['status']}", answer=json.dumps(workflow.get("error"))
        )
    # the launcher reaps its job a moment after the last step has ended
    time.sleep(1.0)
    used = {name: round(cpu_s(pid) - before[name], 2) for name, pid in groups.items()}
    return {
        "wall_s": round(wall_s, 2),
        "cpu_s": used,
        "ours_cpu_s": round(sum(value for name, value in used.items() if name != "lab"), 2),
        "allocation_id": accepted["allocation_id"],
    }


def measure_workflows(directory: Path) -> dict[str, Any]:
    """Discovery, then `ROUNDS` allocations and releases, one after the other."""
    with Stage(directory, delays="none") as stage:
        stage.start_lab()
        # rounds of telemetry would be counted too
        stage.prepare_record(extra={"PALEBLUEDOT_COLLECT_INTERVAL_S": "0"})
        operator = stage.add_person("operator", "operator")
        ada = stage.add_person("ada", "user", gpus=GPUS_PER_SERVER)
        stage.start_service()
        with stage.client(operator) as operators_api, stage.client(ada) as api:
            operators_api.import_fleet(stage.fleet_document())
            began, cpu_before = time.monotonic(), sum(os.times()[2:4])
            stage.playbook("discover.yml", operator)
            discover = {
                "wall_s": round(time.monotonic() - began, 2),
                "ansible_cpu_s": round(sum(os.times()[2:4]) - cpu_before, 2),
                "servers": stage.servers,
            }
            allocations, releases = [], []
            for number in range(ROUNDS):
                fields = {"gpu_count": GPUS_PER_SERVER, "template": TEMPLATE}
                name = f"bench-{number}"
                allocated = run_workflow(
                    stage, api, lambda fields=fields, name=name: api.allocate(fields, request=name)
                )
                allocation_id = allocated.pop("allocation_id")
                released = run_workflow(stage, api, lambda id=allocation_id: api.release(id))
                released.pop("allocation_id")
                allocations.append(allocated)
                releases.append(released)
    return {
        "discover": discover,
        "allocate": {"median_wall_s": median(a["wall_s"] for a in allocations), "runs": allocations},
        "release": {"median_wall_s": median(r["wall_s"] for r in releases), "runs": releases},
    }


def measure(name: str) -> Any:
    """The last line of ``benchmarks/<name>.py``, which is JSON."""
    ran = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}"],
        cwd=paths.ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=BENCHMARK_TIMEOUT_S,
        check=False,
    )
    if ran.returncode != 0:
        raise Problem(f"benchmarks/{name}.py failed", answer=(ran.stderr or ran.stdout)[-1000:])
    return json.loads(ran.stdout.strip().splitlines()[-1])


def main() -> int:
    directory = Path(tempfile.mkdtemp(prefix="palebluedot-bench-"))
    try:
        with client.told():
            figures = {
                "python": platform.python_version(),
                "cores": os.cpu_count(),
                "request_to_active": measure_workflows(directory),
                "bmc_info": measure("bmc_info"),
                "bmc_peers": measure("bmc_peers"),
                "bmc_bulk": measure("bmc_bulk"),
                "bmc_discover": measure("bmc_discover"),
            }
    except Problem as problem:
        problem.show()
        print(f"logs: {directory}", file=sys.stderr)
        return problem.exit_code
    shutil.rmtree(directory, ignore_errors=True)
    print(json.dumps(figures, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
