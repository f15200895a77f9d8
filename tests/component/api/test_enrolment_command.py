"""The command line of enrolment against the service itself."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from flask import Flask
from sqlalchemy import select
from werkzeug.serving import make_server

from cli import console
from cli.main import cli
from fleet import db, states
from fleet.actor import SYSTEM
from fleet.models import Server
from tests.component.api.conftest import Prepared
from tests.component.api.support import Caller, inspection

RULES = "rules:\n- {name: dgx, when: [{fact: model, matches: DGXH100}], set: {pool: train}}\n"


@pytest.fixture
def palebluedot(app: Flask, prepared: Prepared, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Result]]:
    """The command, asking the app over a socket as an operator."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv("PALEBLUEDOT_URL", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("PALEBLUEDOT_TOKEN", prepared.tokens["operator"])
    yield lambda *arguments: CliRunner().invoke(cli, [str(argument) for argument in arguments])
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.usefixtures("fleet")
def test_the_list_from_a_file_to_the_reconciliation(palebluedot: Callable[..., Result], tmp_path: Path) -> None:
    file = tmp_path / "list.csv"
    file.write_text("serial_number,rack\nSN0000,r1\nSN0001,r1\nSN7777,r9\n")
    done = palebluedot("expected", "import", file)
    assert done.exit_code == 0, done.output
    assert [row["serial_number"] for row in json.loads(palebluedot("expected", "list", "--json").stdout)] == [
        "SN0000",
        "SN0001",
        "SN7777",
    ]
    found = palebluedot("expected", "reconcile")
    assert found.exit_code == 1
    assert "SN7777" in found.stdout and "1 missing, 2 present, 1 unexpected" in found.stdout
    assert palebluedot("expected", "reconcile", "--status", "missing", "--json").exit_code == 1


@pytest.mark.usefixtures("fleet")
def test_rules_from_a_file_are_tried_and_set(palebluedot: Callable[..., Result], tmp_path: Path) -> None:
    file = tmp_path / "rules.yml"
    file.write_text(RULES)
    assert "There are no rules" in palebluedot("rules", "show").stderr
    tried = palebluedot("rules", "check", file, "--server", "gpu-00")
    assert "- dgx: fired" in tried.stdout and "pool = train (rule dgx)" in tried.stdout
    assert "Version 1" in palebluedot("rules", "set", file).stdout
    assert palebluedot("rules", "show").stdout == RULES
    file.write_text("rules: [{name: a}]")
    wrong = palebluedot("rules", "set", file)
    assert wrong.exit_code == 1 and "rules/0" in wrong.stderr


@pytest.mark.usefixtures("fleet")
def test_the_list_of_servers_says_what_keeps_them_from_being_offered(
    palebluedot: Callable[..., Result], operator: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console.out, "width", 200)

    def listed() -> dict[str, str]:
        shown = palebluedot("server", "list", "--state", "quarantined").stdout
        return {line.split()[0]: " ".join(line.split()) for line in shown.splitlines()[1:]}

    with db.transaction() as session:
        for name, path in (("gpu-00", ["reserved", "provisioning", "quarantined"]), ("gpu-01", ["quarantined"])):
            row = session.scalars(select(Server).where(Server.name == name)).one()
            for state in path:
                states.transition(session, row, state, SYSTEM)
    assert operator.get("/servers/gpu-00").json["needs_clean"] is True
    assert operator.get("/servers/gpu-01").json["needs_clean"] is False
    assert "to be wiped" in listed()["gpu-00"] and "to be wiped" not in listed()["gpu-01"]
    operator.patch("/servers/gpu-00/flags", {"hands_off": True, "reason": "new cables"})
    assert "to be wiped; hands off: new cables" in listed()["gpu-00"]


@pytest.mark.usefixtures("fleet")
def test_parts_states_and_cabling(palebluedot: Callable[..., Result], automation: Caller) -> None:
    wish = ["server", "replace-part", "gpu-00", "--kind", "gpu", "--old-serial", "G00002", "--reason", "RMA"]
    assert "is announced" in palebluedot(*wish).stdout
    facts = inspection(0)
    facts["gpus"][2]["serial_number"] = "FRESH"
    assert automation.put("/servers/gpu-00/inspection", facts).json["state"] == "available"  # type: ignore[index]
    assert "maintenance" in palebluedot("server", "state", "gpu-01", "maintenance", "--reason", "fan").stdout
    assert palebluedot("topology").exit_code == 0
    heard = {"ports": [{"interface": "Ethernet1", "macs": ["02:00:00:00:00:02"]}]}
    automation.put("/switches/leaf-1/neighbors", heard)
    found = palebluedot("topology")
    assert found.exit_code == 1 and "conflict: leaf-1 Ethernet1: gpu-01's in the record" in found.stderr


@pytest.mark.usefixtures("fleet")
def test_a_server_in_use_is_adopted(palebluedot: Callable[..., Result], automation: Caller) -> None:
    automation.post("/servers", {"servers": [{"name": "old", "bmc_address": "192.0.2.90"}]})
    unknown = palebluedot("server", "adopt", "old", "--user", "user")
    assert unknown.exit_code == 1 and "enrol=false" in unknown.stderr
    automation.put("/servers/old/inspection", {**inspection(9), "enrol": False})
    done = palebluedot("server", "adopt", "old", "--user", "user")
    assert done.exit_code == 0 and "8 GPUs" in done.stdout, done.output
