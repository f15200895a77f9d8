"""A lab and a service on it, made anew in one directory and ended for certain: what `demo` and `serve --lab` stand on.

The machines of a lab are new each time it starts, so its record is new each time too.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

import requests
import yaml

from cli import children, lab, login, paths
from cli.problems import Problem

if TYPE_CHECKING:
    from ansible_collections.palebluedot.gpu.plugins.module_utils.service.client import ServiceClient

READY_TIMEOUT_S = 60.0
PLAYBOOK_TIMEOUT_S = 300.0
GPUS_PER_SERVER = 8
# every process of a stage is started with this in its environment
STAGE_VARIABLE = "PALEBLUEDOT_STAGE"


@dataclass(frozen=True)
class Person:
    """Somebody who uses the service, and the files with which they do."""

    username: str
    password: str = field(repr=False)
    token_file: Path


@dataclass
class Stage:
    """Everything one lab with its service consists of. Use as a context manager."""

    directory: Path
    servers: int = 8
    delays: str = "demo"
    vendor: str = "ami"
    ipmi: bool = False
    switches: tuple[str, ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    supervisor: children.Supervisor = field(default_factory=lambda: children.Supervisor({}))
    url: str = ""

    # -- directories ---------------------------------------------------------------------------------------------

    @property
    def lab_directory(self) -> Path:
        return self.directory / "lab"

    @property
    def logs(self) -> Path:
        return self.directory / "logs"

    def __enter__(self) -> Stage:
        if sys.platform == "linux":
            from scheduler import processes

            processes.adopt_orphans()  # whatever a child leaves behind is ours to end
        self.logs.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    # -- parts ---------------------------------------------------------------------------------------------------

    def start_lab(self) -> None:
        """The lab; fills `facts`."""
        options = ["--servers", str(self.servers), "--delays", self.delays, "--vendor", self.vendor]
        if self.ipmi:
            options.append("--ipmi")
        if self.switches:
            options += ["--switches", ",".join(self.switches)]
        self.facts = lab.start_lab(
            self.lab_directory,
            options,
            env=self._marked(),
            with_parent=True,
        )

    def prepare_record(self, port: int | None = None, extra: Mapping[str, str] | None = None) -> None:
        """Settings of this stage, its database with the shipped templates. Needs the lab's facts.

        :param extra: further settings, by the names of their environment variables.
        """
        chosen = port or free_port()
        self.url = f"http://127.0.0.1:{chosen}"
        settings = {
            "PALEBLUEDOT_DATA_DIR": str(self.directory),
            "PALEBLUEDOT_API_HOST": "127.0.0.1",
            "PALEBLUEDOT_API_PORT": str(chosen),
            "PALEBLUEDOT_KUBECONFIG": str(self.facts["kubeconfig"]),
            # a server that is handed over answers on the lab's one SSH port
            "PALEBLUEDOT_SSH_PORT": str(self.facts["ssh_port"]),
            **(extra or {}),
        }
        # what the caller's own site is set to is not meant for a lab
        for name in [name for name in os.environ if name.startswith("PALEBLUEDOT_")]:
            if name != "PALEBLUEDOT_SHARED":
                del os.environ[name]
        os.environ.update(settings)
        os.environ["ANSIBLE_CONFIG"] = str(paths.ROOT / "ansible.cfg")
        self.environment = self._marked()
        from cli import database

        database.reset()
        database.upgrade()

    def _marked(self) -> dict[str, str]:
        return children.environment({STAGE_VARIABLE: str(self.directory)})

    def add_person(self, username: str, role: str, *, gpus: int | None = None, password: str | None = None) -> Person:
        """A user with a password and an API token in a file of their own."""
        from cli import account

        password = password or secrets.token_urlsafe(12)
        token = account.bootstrap(username, role, password, gpus=gpus)
        token_file = self.directory / f"{username}.token"
        login.keep(token, token_file)
        return Person(username, password, token_file)

    def start_service(self) -> None:
        """API and scheduler, side by side; returns when the API is ready."""
        self.supervisor = children.Supervisor(
            {"api": children.command("api"), "scheduler": children.command("scheduler")},
            env=self.environment,
            logs=self.logs,
        )
        self.supervisor.start_all()
        wait_until_ready(self.url, self.supervisor)

    # -- using it ------------------------------------------------------------------------------------------------

    def client(self, person: Person | None = None) -> ServiceClient:
        """A client of this stage's service, as that person or as nobody yet."""
        paths.make_collection_importable()
        from ansible_collections.palebluedot.gpu.plugins.module_utils.service.client import ServiceClient

        return ServiceClient(self.url, token_file=str(person.token_file) if person else None)

    def fleet_document(self) -> dict[str, Any]:
        """The import document that the lab wrote."""
        document = yaml.safe_load(Path(self.facts["fleet_file"]).read_text())
        assert isinstance(document, dict)
        return document

    def playbook(
        self, name: str, person: Person, *arguments: str, timeout_s: float = PLAYBOOK_TIMEOUT_S
    ) -> children.Child:
        """Run a playbook to its end as an infrastructure team would; a `Problem` with its last lines when it fails."""
        child = children.start(
            f"ansible-playbook {name}",
            [str(Path(sys.executable).with_name("ansible-playbook")), str(paths.PLAYBOOKS / name), *arguments],
            env={
                **self.environment,
                "PALEBLUEDOT_URL": self.url,
                "PALEBLUEDOT_TOKEN_FILE": str(person.token_file),
                "ANSIBLE_NOCOLOR": "1",
            },
            log=self.logs / f"{name}.log",
        )
        try:
            status: int | None = child.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            status = None
        finally:
            children.stop(child, 5)
        if status != 0:
            raise Problem(
                f"{name} " + ("failed" if status is not None else f"was not over after {timeout_s:.0f} s"),
                code="playbook_failed",
                tried=" ".join(child.argv),
                answer=child.log_tail(25),
                next=f"Its whole output is in {child.log}",
            )
        return child

    # -- the end -------------------------------------------------------------------------------------------------

    def stop(self) -> set[int]:
        """End everything, in the order in which nobody loses what they need; the ids of what would not end."""
        with uninterrupted():
            self.supervisor.stop_all()
            if self.facts:
                lab.stop_lab(self.lab_directory)
                self.facts = {}
            return children.end_orphans(f"{STAGE_VARIABLE}={self.directory}")


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """SIGTERM and SIGHUP inside the block are what Ctrl-C is: they end it together with everything it started."""

    def interrupt(signum: int, frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    previous = {signum: signal.signal(signum, interrupt) for signum in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for signum, handler in previous.items():
            signal.signal(signum, handler)


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """A second Ctrl-C or SIGTERM must not leave processes behind: inside the block they are ignored."""
    if threading.current_thread() is not threading.main_thread():  # signals are the main thread's
        yield
        return
    previous = {signum: signal.signal(signum, signal.SIG_IGN) for signum in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for signum, handler in previous.items():
            signal.signal(signum, handler)


def free_port() -> int:
    """A TCP port of the loopback address that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_ready(url: str, supervisor: children.Supervisor, timeout_s: float = READY_TIMEOUT_S) -> None:
    """Until the API says that it can work; a `Problem` when a process ends before that."""

    def get() -> str | None:
        try:
            answer = requests.get(f"{url}/readyz", timeout=2)
        except requests.RequestException as error:
            return str(error)
        return None if answer.ok else f"{answer.status_code} {answer.text[:300]}"

    said = wait_for(get, supervisor, timeout_s)
    if said is not None and not supervisor.stopping:
        raise Problem(
            f"The API was not ready after {timeout_s:.0f} s",
            code="deadline_exceeded",
            tried=f"GET {url}/readyz",
            answer=said,
            next="Run it alone to see why: palebluedot api",
        )


def wait_for(check: Callable[[], str | None], supervisor: children.Supervisor, timeout_s: float) -> str | None:
    """Ask `check` until it has nothing to complain of; its last complaint after `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    said: str | None = "not asked"
    while time.monotonic() < deadline and not supervisor.stopping:
        for child in supervisor.children.values():
            if (status := child.process.poll()) is not None:
                raise Problem(
                    f"The {child.name} ended while it started",
                    tried=" ".join(child.argv),
                    answer=child.log_tail() or f"exit status {status}",
                    next=f"Run it alone to see why: palebluedot {child.name}",
                )
        said = check()
        if said is None:
            return None
        time.sleep(0.05)
    return said


def tails(logs: Path, lines: int = 20) -> Mapping[str, str]:
    """The end of every log in a directory."""
    answer = {}
    for path in sorted(logs.glob("*.log")):
        text = path.read_text(errors="replace").splitlines()[-lines:]
        if text:
            answer[path.name] = "\n".join(text)
    return answer
