# SPDX-License-Identifier: Apache-2.0
"""The command line and the environment of a job's ansible-playbook. Built here, run by the supervisor."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from scheduler import processes
from scheduler.jobs import Job

LOCAL_INVENTORY = "inventory/local.yml"
TOKEN_FILE = "token"  # noqa: S105 - the name of the file, in the private directory

#: what a playbook inherits from the scheduler: where things are, in which language, whom to trust. Everything else
#: stays out, because ansible-runner writes the whole environment into a file and the scheduler's own holds secrets.
INHERITED = frozenset(
    {"HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR"}
    | {"REQUESTS_CA_BUNDLE", "NO_PROXY", "no_proxy", "KUBECONFIG"}
    | {"PALEBLUEDOT_KUBECONFIG", "PALEBLUEDOT_CA_PATH", "PALEBLUEDOT_INPROC", "PALEBLUEDOT_BMC_TIMEOUT"}
)

#: shorter start, quieter output, and ansible.cfg's own answer where ansible-runner would weaken it
ANSIBLE = {
    "ANSIBLE_HOST_KEY_CHECKING": "True",  # ansible-runner turns it off unless it is set
    "ANSIBLE_INVENTORY_UNPARSED_WARNING": "False",
    "ANSIBLE_LOCALHOST_WARNING": "False",
    "ANSIBLE_DEPRECATION_WARNINGS": "False",
    "ANSIBLE_NOCOLOR": "1",
    "PYTHONUNBUFFERED": "1",
}


def inherited(environment: Mapping[str, str]) -> dict[str, str]:
    """The part of the scheduler's environment that a playbook may see."""
    return {name: value for name, value in environment.items() if name in INHERITED}


def playbook_environment(job: Job, directory: Path) -> dict[str, str]:
    """The whole environment of ansible-playbook. It holds the path of the token, never the token."""
    environment = {
        # the interpreter's own folder first: ansible-playbook and its helpers of the same installation
        "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath))),
        "LANG": "C.UTF-8",
        "ANSIBLE_LOCAL_TEMP": str(directory / "tmp"),  # module payloads stay on the tmpfs
        **ANSIBLE,
        **job.environment,
        "PALEBLUEDOT_TOKEN_FILE": str(directory / TOKEN_FILE),
        processes.JOB_VARIABLE: job.id,
        processes.JOB_DIRECTORY_VARIABLE: str(directory),
    }
    configuration = Path(job.project_dir, "ansible.cfg")
    if configuration.exists():
        environment["ANSIBLE_CONFIG"] = str(configuration)
    return environment


def playbook_command(job: Job) -> list[str]:
    """argv of ansible-playbook, wrapped so that it ends with the supervisor (this process)."""
    wrapper = Path(__file__).with_name("with_parent.py")
    playbook = Path(sys.executable).with_name("ansible-playbook")
    command = [sys.executable, "-I", "-S", str(wrapper), str(os.getpid()), str(playbook), job.playbook]
    local = Path(job.project_dir, LOCAL_INVENTORY)
    if job.workflow_id is not None and local.exists():
        # a workflow's servers come from its run document: no need to ask the service for the fleet
        command += ["-i", str(local)]
    if job.extravars:
        command += ["-e", json.dumps(job.extravars)]
    return command
