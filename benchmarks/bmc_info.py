"""CPU of ``bmc_info`` (power only) over 100 hosts, against ``ansible.builtin.debug`` over the same hosts.

Counts the client only: ``ansible-playbook`` and its workers. The BMC is a static HTTPS server in a process of its own.
Prints one line of JSON: CPU seconds, and the ratios (targets: basic authentication 1.5, sessions 2).
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
HELPERS = ROOT / "tests" / "component" / "bmc"

SERVER = """
import sys, pathlib
sys.path.insert(0, {helpers!r})
import certificates, replay
folder = pathlib.Path({folder!r})
made = certificates.make(folder)
system = "/redfish/v1/Systems/DGX"
tree = {{
    "/redfish/v1": {{"@odata.id": "/redfish/v1", "Vendor": "AMI"}},
    "/redfish/v1/Systems": {{
        "Members": [{{"@odata.id": system}}, {{"@odata.id": "/redfish/v1/Systems/HGX_Baseboard_0"}}],
        "Members@odata.count": 2,
    }},
    system: {{"@odata.id": system, "Id": "DGX", "Model": "DGXH100", "PowerState": "On"}},
}}
bmc = replay.Replay(tree, made.server_context())
print(bmc.port, flush=True)
sys.stdin.read()
"""

TASKS: dict[str, dict[str, Any]] = {
    "debug": {"ansible.builtin.debug": {"msg": "{{ bmc_address }} {{ bmc_port }}"}},
    "basic": {"palebluedot.gpu.bmc_info": {"subset": ["power"], "bmc_auth": "basic"}},
    "session": {"palebluedot.gpu.bmc_info": {"subset": ["power"], "bmc_auth": "session"}},
}


def playbook(folder: Path, name: str) -> Path:
    """One task. As at a site, the address comes from each host's variables and the rest stands in the play."""
    defaults = {
        "bmc_address": "{{ bmc_address }}",
        "bmc_port": "{{ bmc_port }}",
        "bmc_username": "admin",
        "bmc_password": "correct horse",
        "bmc_ca_path": str(folder / "ca.pem"),
        "bmc_protocol": "redfish",
    }
    play: dict[str, Any] = {
        "hosts": "all",
        "gather_facts": False,
        "module_defaults": {"group/palebluedot.gpu.bmc": defaults},
        "tasks": [{"name": name, **TASKS[name]}],
    }
    path = folder / f"{name}.yml"
    path.write_text(json.dumps([play]))
    return path


def inventory(folder: Path, hosts: int, port: int) -> Path:
    addressed = {f"dgx-{n:03}": {"bmc_address": "127.0.0.1", "bmc_port": port} for n in range(hosts)}
    path = folder / "inventory.yml"
    path.write_text(json.dumps({"all": {"hosts": addressed}}))
    return path


def cpu_seconds(book: Path, inventory: Path, forks: int, **environment: str) -> float:
    """User and system time of one ansible-playbook with all that it starts."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [Path(sys.executable).with_name("ansible-playbook"), "-i", inventory, "-f", str(forks), book],
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "PALEBLUEDOT_INPROC": "1", **environment},
        capture_output=True,
        text=True,
        timeout=600,
    )
    if done.returncode:
        sys.exit(f"{book.name} failed:\n{done.stdout[-3000:]}\n{done.stderr[-1000:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hosts", type=int, default=100)
    parser.add_argument("--forks", type=int, default=25)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        server = subprocess.Popen(
            [sys.executable, "-c", SERVER.format(helpers=str(HELPERS), folder=str(folder))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert server.stdout is not None
            hosts = inventory(folder, options.hosts, int(server.stdout.readline()))
            books = {kind: playbook(folder, kind) for kind in TASKS}
            # in turns, so that whatever else the machine does falls on all alike
            measured = [
                {kind: cpu_seconds(book, hosts, options.forks) for kind, book in books.items()}
                for _ in range(options.runs)
            ]
        finally:
            server.communicate("")
    middle = {kind: statistics.median(run[kind] for run in measured) for kind in TASKS}
    print(
        json.dumps(
            {
                "benchmark": "bmc_info",
                "hosts": options.hosts,
                "debug_cpu_s": round(middle["debug"], 2),
                "basic_cpu_s": round(middle["basic"], 2),
                "session_cpu_s": round(middle["session"], 2),
                "basic_ratio": round(middle["basic"] / middle["debug"], 2),
                "session_ratio": round(middle["session"] / middle["debug"], 2),
            }
        )
    )


if __name__ == "__main__":
    main()
