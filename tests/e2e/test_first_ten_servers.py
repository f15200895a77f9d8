"""docs/first-ten-servers.md: its files are accepted, and its commands, run in their order, end with a pool."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.palebluedot.gpu.plugins.filter.enrolment import enrolment

from api.schemas.servers import ImportSchema
from tests.support.site import Site

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "first-ten-servers.md").read_text()
# the language of a fence and what stands in it
FENCES = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE, re.M | re.S)
COMMANDS = [line for language, block in FENCES if not language for line in block.splitlines()]
FILES = {block.splitlines()[0][2:]: yaml.safe_load(block) for language, block in FENCES if language == "yaml"}
FILES_CSV = next(block for language, block in FENCES if language == "csv")

pytestmark = pytest.mark.e2e
SITE = {"servers": 2, "environment": {"PALEBLUEDOT_COLLECT_INTERVAL_S": "0"}, "discover": False}


@pytest.fixture(scope="module")
def desk(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the page's reader sits: the repository's files, and the page's two with the lab's addresses in them."""
    folder = tmp_path_factory.mktemp("desk")
    for name in ("ansible.cfg", "playbooks", "roles", "collections", "inventory", "templates"):
        (folder / name).symlink_to(ROOT / name)
    fleet = site.stage.fleet_document()
    (folder / "site.yml").write_text(yaml.safe_dump({kind: fleet[kind] for kind in FILES["site.yml"]}))
    written = {key for machine in FILES["first-ten.yml"]["machines"] for key in machine} | {"bmc_port"}
    machines = []
    for number, server in enumerate(fleet["servers"], 1):
        row = {**server, "serial_number": site.lab("GET", f"/machines/{server['name']}")["serial_number"]}
        row |= {"name": ("dgx-01", "sys-02")[number - 1], "rack": "a1", "pool": "training"}
        machines.append({key: value for key, value in row.items() if key in written})
    listed = FILES_CSV.splitlines()[0].split(",")
    rows = [[str(row[column]) for column in listed] for row in machines]
    (folder / "delivery.csv").write_text("\n".join(",".join(cells) for cells in [listed, *rows]))
    (folder / "rules.yml").write_text(yaml.safe_dump(FILES["rules.yml"]))
    addresses = [f"{row['bmc_address']}:{row['bmc_port']}" for row in machines]
    (folder / "first-ten.yml").write_text(yaml.safe_dump({"addresses": addresses, "ipmi": False, "machines": machines}))
    return folder


def run(site: Site, desk: Path, line: str) -> subprocess.CompletedProcess[str]:
    words = shlex.split(line)
    if words[0] == "palebluedot":
        words[:1] = [sys.executable, "-m", "cli.main"]
    environment = {**site.playbook_environment(), "PYTHONPATH": str(ROOT), "XDG_STATE_HOME": str(desk / "state")}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    return subprocess.run(
        words, cwd=desk, env=environment, capture_output=True, text=True, timeout=180, stdin=subprocess.DEVNULL
    )


def test_the_files_of_the_page_are_what_import_and_scan_take() -> None:
    assert set(FILES) == {"site.yml", "first-ten.yml", "rules.yml"}
    ImportSchema().load(FILES["site.yml"])
    machines: list[dict[str, Any]] = FILES["first-ten.yml"]["machines"]
    seen = [
        {"address": "10.20.0.17", "port": 443, "protocol": "redfish", "mac": None, "fingerprint": "ab" * 32},
        {"address": "10.20.0.18", "port": 443, "protocol": "redfish", "mac": "3c:ec:ef:00:11:22"},
    ]
    plan = enrolment(seen, machines)
    assert [server["name"] for server in plan["servers"]] == ["dgx-01", "sys-02"]
    ImportSchema().load({"servers": plan["servers"]})
    assert [host["first_login"]["credentials"][0]["username"] for host in plan["hosts"]] == ["admin", "ADMIN"]


def test_the_commands_of_the_page_end_with_a_pool(site: Site, desk: Path) -> None:
    assert len(COMMANDS) >= 10
    mark = site.mark()
    for line in COMMANDS:
        done = run(site, desk, line)
        assert done.returncode == 0, f"{line}\n{done.stdout[-4000:]}\n{done.stderr[-2000:]}"
        names = {server["name"] for server in site.client.servers()}
        written = [entry["action"] for entry in site.log(since=mark) if entry["layer"] == "redfish"]
        if "look_only" in line:
            assert names == set() and "dgx-01" in done.stdout and written == [], "it only looked"
        elif "only=dgx-01" in line:
            assert names == {"dgx-01"}
        elif "enrol=false" in line:
            assert names == {"dgx-01", "sys-02"}
            assert not [action for action in written if "Reset" in action or "/Systems/" in action], "before step 8"
    servers = {server["name"]: server for server in site.client.servers()}
    assert sorted(server["state"] for server in servers.values()) == ["active", "available"]
    assert {server["pool"] for server in servers.values()} == {"training"}
    for name in servers:
        assert site.client.server_credential(name)["username"] == "palebluedot"


def test_every_code_of_the_table_is_one_that_there_is() -> None:
    named = re.findall(r"^\| `([a-z_]+)` \|", PAGE, re.M)
    sources = "\n".join(
        path.read_text()
        for path in (ROOT / "collections/ansible_collections/palebluedot/gpu/plugins/module_utils").rglob("*.py")
    )
    assert len(named) > 10
    assert [code for code in named if f'"{code}"' not in sources] == []
