"""Power and health of 1,000 BMCs over TLS in one task, with ten more that are dead.

Counts the client: ``ansible-playbook`` with the worker that reads. The BMCs are one process beside it, so the wall time
is that of two processes on this machine. Prints one line of JSON (targets: 8 ms of CPU a BMC, 15 s, 300 MB; the dead
cost no more than their own deadline).
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.bmc_fleet import Fleet, fleet

ROOT = Path(__file__).resolve().parent.parent
DEADLINE_S = 5


def playbook(folder: Path, bmcs: Fleet, addresses: list[str]) -> Path:
    """One task; what it says of the BMCs goes to a file, for the checks."""
    common = {"port": bmcs.port, "username": "admin", "password": "secret", "ca_path": bmcs.ca_path}
    entries = [{"name": address, "address": address, "protocol": "redfish", **common} for address in addresses]
    (folder / "bmcs.json").write_text(json.dumps(entries))
    play = {
        "hosts": "localhost",
        "gather_facts": False,
        "vars": {"ansible_python_interpreter": sys.executable},
        "tasks": [
            {
                "name": "read",
                "palebluedot.gpu.bmc_metrics_info": {
                    "bmcs": "{{ lookup('ansible.builtin.file', '" + str(folder / "bmcs.json") + "') | from_json }}",
                    "subset": ["state"],
                    "timeout": DEADLINE_S,
                },
                "register": "read",
            },
            {
                "name": "keep",
                "ansible.builtin.copy": {
                    "content": "{{ {'counts': read.counts, 'failures': read.failures | map(attribute='name'),"
                    " 'states': read.metrics | map(attribute='power_state') | unique} | to_json }}",
                    "dest": str(folder / "read.json"),
                    "mode": "0600",
                },
            },
        ],
    }
    path = folder / "read.yml"
    path.write_text(json.dumps([play]))
    return path


def measure(bmcs: Fleet, addresses: list[str]) -> dict[str, Any]:
    """Wall and CPU seconds, and the largest process's memory, of one task over the addresses."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        book = playbook(folder, bmcs, addresses)
        ansible = str(Path(sys.executable).with_name("ansible-playbook"))
        began = time.monotonic()
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(
            [ansible, "-i", "localhost,", "-c", "local", str(book)],
            cwd=ROOT,
            env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "PALEBLUEDOT_INPROC": "1"},
            capture_output=True,
            text=True,
            timeout=300,
        )
        wall_s, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
        if done.returncode:
            sys.exit(f"the reading failed:\n{done.stdout[-3000:]}\n{done.stderr[-1000:]}")
        read = json.loads((folder / "read.json").read_text())
    alive = [address for address in addresses if address not in set(bmcs.dead)]
    if read["counts"]["read"] != len(alive) or sorted(read["failures"]) != sorted(set(addresses) - set(alive)):
        sys.exit(f"the reading is not what it should be: {read['counts']}, failures {read['failures'][:20]}")
    if alive and read["states"] != ["On"]:
        sys.exit(f"the power states are {read['states']}")
    return {
        "wall_s": round(wall_s, 2),
        "cpu_s": round(after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime, 2),
        # of the largest process this one has waited for, so far; in KiB on Linux (getrusage(2))
        "max_rss_mb": round(after.ru_maxrss / 1024),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bmcs", type=int, default=1000)
    parser.add_argument("--dead", type=int, default=10)
    options = parser.parse_args()
    with fleet(options.bmcs, options.dead) as bmcs:
        nothing = measure(bmcs, [])
        alive = measure(bmcs, bmcs.addresses)
        # as a fleet has them: the dead stand where they stand
        with_dead = measure(bmcs, sorted(bmcs.addresses + bmcs.dead))
    print(
        json.dumps(
            {
                "benchmark": "bmc_bulk",
                "bmcs": options.bmcs,
                "dead": options.dead,
                "source": bmcs.source,
                "alive": alive,
                "with_dead": with_dead,
                "empty_task_cpu_s": nothing["cpu_s"],
                "client_cpu_ms_a_bmc": round((alive["cpu_s"] - nothing["cpu_s"]) * 1000 / options.bmcs, 2),
                "dead_cost_wall_s": round(with_dead["wall_s"] - alive["wall_s"], 2),
                "deadline_s": DEADLINE_S,
                "targets": {"client_cpu_ms_a_bmc": 8, "wall_s": 15, "max_rss_mb": 300},
            }
        )
    )


if __name__ == "__main__":
    main()
