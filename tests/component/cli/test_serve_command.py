"""`palebluedot serve`, and the commands that talk to it: from the first login to the last process."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from cli import children, database, stage
from cli.main import cli

PASSWORD = "correct horse battery"
DEADLINE_S = 60.0


@dataclass
class Service:
    """A service of its own, and the command as one of its users calls it."""

    directory: Path
    url: str
    process: subprocess.Popen[bytes]

    def call(self, who: str | None, *arguments: str, **environment: str) -> Result:
        """`who` names the folder with that user's login."""
        settings = {"PALEBLUEDOT_URL": self.url, "XDG_CONFIG_HOME": str(self.directory / f"config-{who}")}
        return CliRunner().invoke(cli, list(arguments), env={**settings, **environment})

    def processes(self) -> list[int]:
        """Every living process that was started with this service's data directory."""
        marker = f"PALEBLUEDOT_DATA_DIR={self.directory / 'data'}".encode()
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != os.getpid():
                try:
                    if marker in (entry / "environ").read_bytes().split(b"\0"):
                        found.append(int(entry.name))
                except OSError:
                    continue
        return found


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    directory = tmp_path_factory.mktemp("serve")
    port = stage.free_port()
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("PALEBLUEDOT_")]:
            patch.delenv(name)
        patch.setenv("PALEBLUEDOT_DATA_DIR", str(directory / "data"))
        patch.setenv("PALEBLUEDOT_API_PORT", str(port))
        patch.setenv("PALEBLUEDOT_COLLECT_INTERVAL_S", "0")
        database.reset()
        for arguments in (
            ("db", "upgrade"),
            ("user", "create", "olga", "--role", "operator"),
            ("user", "create", "ada"),
            ("user", "create", "theo", "--role", "auditor"),
        ):
            ran = CliRunner().invoke(cli, list(arguments), env={"PALEBLUEDOT_PASSWORD": PASSWORD})
            assert ran.exit_code == 0, (arguments, ran.output, ran.exception)
        log = (directory / "serve.log").open("wb")
        process = subprocess.Popen(children.command("serve"), env=children.environment(), stdout=log, stderr=log)
        log.close()
        service = Service(directory, f"http://127.0.0.1:{port}", process)
        try:
            deadline = time.monotonic() + DEADLINE_S
            while "The service answers" not in (said := (directory / "serve.log").read_text()):
                assert process.poll() is None, said
                assert time.monotonic() < deadline, said
                time.sleep(0.1)
            yield service
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait(DEADLINE_S)
            database.reset()


def test_login_keeps_a_token_that_nobody_else_can_read(service: Service) -> None:
    ran = service.call("ada", "login", "--username", "ada", PALEBLUEDOT_PASSWORD=PASSWORD)
    assert ran.exit_code == 0, ran.output
    path = service.directory / "config-ada" / "palebluedot" / "token"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    ran = service.call("ada", "status", "--json")
    assert ran.exit_code == 0, ran.output
    answer = json.loads(ran.output)
    assert (answer["user"]["username"], answer["gpus_available"], answer["servers"]) == ("ada", 0, None)
    assert service.call("ada", "logout").exit_code == 0
    assert not path.exists()


def test_a_wrong_password_is_not_allowed(service: Service) -> None:
    ran = service.call("ada", "login", "--username", "ada", PALEBLUEDOT_PASSWORD="wrong password")
    assert ran.exit_code == 4, ran.output


def test_nobody_is_let_in_without_a_token(service: Service) -> None:
    ran = service.call(None, "status")
    assert ran.exit_code == 4
    assert "palebluedot login" in ran.output


def test_an_unknown_token_is_told_as_such(service: Service) -> None:
    ran = service.call(None, "status", PALEBLUEDOT_TOKEN="pbd_unknown")
    assert ran.exit_code == 4
    assert "pbd_unknown" not in ran.output


def test_a_service_that_is_away_has_its_own_exit_code(service: Service) -> None:
    url = f"http://127.0.0.1:{stage.free_port()}"
    ran = service.call(None, "status", PALEBLUEDOT_TOKEN="pbd_x", PALEBLUEDOT_URL=url)
    assert ran.exit_code == 3
    assert url in ran.output


def login(service: Service, who: str) -> None:
    assert service.call(who, "login", "--username", who, PALEBLUEDOT_PASSWORD=PASSWORD).exit_code == 0


def test_an_operator_imports_a_csv_lists_exports_and_freezes(service: Service) -> None:
    login(service, "olga")
    racks = service.directory / "racks.csv"
    racks.write_text("name,bmc_address,bmc_username,rack,pool\ngpu-101,127.0.0.9,admin,r1,train\n")
    ran = service.call("olga", "server", "import", str(racks), "--bmc-password-env", "FACTORY", FACTORY="s3cret-of-bmc")
    assert ran.exit_code == 0, ran.output
    (listed,) = json.loads(service.call("olga", "server", "list", "--json").output)
    assert (listed["name"], listed["state"], listed["rack"]) == ("gpu-101", "enrolled", "r1")
    assert "s3cret" not in json.dumps(listed)

    exported = yaml.safe_load(service.call("olga", "inventory", "export").output)
    assert exported["all"]["hosts"]["gpu-101"]["bmc_address"] == "127.0.0.9"
    path = service.directory / "emergency.yml"
    ran = service.call("olga", "inventory", "export", "--with-credentials", "--output", str(path))
    assert ran.exit_code == 0, ran.output
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert yaml.safe_load(path.read_text())["all"]["hosts"]["gpu-101"]["bmc_password"] == "s3cret-of-bmc"

    assert service.call("olga", "freeze", "--reason", "cooling").exit_code == 0
    ran = service.call("olga", "status")
    assert "The fleet is frozen: cooling" in ran.output
    assert "1 enrolled" in ran.output
    assert service.call("olga", "unfreeze").exit_code == 0


def test_a_role_that_may_not_is_refused(service: Service) -> None:
    login(service, "theo")
    ran = service.call("theo", "freeze", "--reason", "x")
    assert ran.exit_code == 4
    assert "error:" in ran.output


def test_what_cannot_be_had_is_a_refusal_that_says_what_to_do(service: Service) -> None:
    login(service, "ada")
    ran = service.call("ada", "allocate", "--gpus", "8", "--template", "nonesuch")
    assert ran.exit_code == 1
    assert "nonesuch" in ran.output
    ran = service.call("ada", "allocate", "--gpus", "8", "--template", "ubuntu-24.04")
    assert ran.exit_code == 1
    assert "next:" in ran.output
    for thing in ("alloc_none", "wf_none", "gpu_none"):
        assert service.call("ada", "status", thing).exit_code == 1


def test_wrong_usage_is_told_before_anything_is_sent(service: Service) -> None:
    both = service.call("ada", "allocate", "--gpus", "8", "--servers", "1", "--template", "ubuntu-24.04")
    pair = service.call("ada", "allocate", "--gpus", "8", "--template", "ubuntu-24.04", "--parameter", "x")
    assert (both.exit_code, pair.exit_code) == (2, 2)


def test_doctor_finds_what_works_and_what_does_not(service: Service) -> None:
    ran = service.call("olga", "doctor", "--json")
    found = {check["name"]: check for check in json.loads(ran.output)}
    well = {name for name, check in found.items() if check["level"] == "ok"}
    assert {"python", "ansible", "collection", "database", "api", "scheduler"} <= well, ran.output
    # no cluster is configured; the one imported server's BMC is nowhere
    assert (found["tinkerbell"]["level"], found["bmcs"]["level"], ran.exit_code) == ("warn", "fail", 1)
    assert "offered to nobody, because no switch port is on record" in found["ports"]["detail"]
    assert all(check["next"] for check in found.values() if check["level"] != "ok")


def test_a_killed_half_is_started_again_and_sigterm_leaves_nothing(service: Service) -> None:
    """Last, because it ends the service."""

    def half(name: str) -> int | None:
        for pid in service.processes():
            arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            if arguments[-2:-1] == [name.encode()] and b"cli.main" in arguments:
                parent = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
                if parent == service.process.pid:
                    return pid
        return None

    first = half("api")
    assert first is not None
    os.kill(first, signal.SIGKILL)
    deadline = time.monotonic() + DEADLINE_S
    while True:
        ran = service.call(None, "status", PALEBLUEDOT_TOKEN="pbd_x")
        if half("api") not in (None, first) and ran.exit_code == 4:
            break
        assert time.monotonic() < deadline, ran.output
        time.sleep(0.2)
    service.process.send_signal(signal.SIGTERM)
    assert service.process.wait(DEADLINE_S) == 0
    assert service.processes() == []
