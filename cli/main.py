"""``palebluedot``: the one command, a file for each subject."""

from __future__ import annotations

import sys
from importlib.metadata import PackageNotFoundError, version

import click

from cli import account, database, demo, doctor, expected, gpu, inventory, key, lab, login, rules, run, server, topology
from cli.problems import EXIT_FAILED, EXIT_INTERRUPTED, Problem


def _version() -> str:
    try:
        return version("palebluedot")
    except PackageNotFoundError:
        return "unknown (not installed)"


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(_version(), message="%(prog)s %(version)s")
def cli() -> None:
    """Bare-metal GPU servers for many people, run by Ansible.

    \b
    See it:            palebluedot demo
    Run it:            palebluedot serve --lab
    Use it:            palebluedot login; palebluedot allocate --gpus 8 --template ubuntu-24.04
    Something wrong:   palebluedot doctor

    \b
    Environment: PALEBLUEDOT_URL, PALEBLUEDOT_TOKEN or PALEBLUEDOT_TOKEN_FILE, PALEBLUEDOT_CA_PATH; the service's own
    settings all begin with PALEBLUEDOT_ too. Secrets are read from a prompt, a file or the environment, never argv.

    \b
    Exit status: 0 done · 1 refused or failed · 2 wrong usage · 3 nobody answered · 4 not allowed · 130 interrupted
    """


for command in (
    account.quota,
    account.token,
    account.user,
    database.group,
    demo.demo,
    doctor.doctor,
    expected.expected,
    gpu.allocate,
    gpu.freeze,
    gpu.release,
    gpu.status,
    gpu.unfreeze,
    inventory.inventory,
    key.key,
    lab.lab,
    login.login,
    login.logout,
    rules.rules,
    run.api,
    run.scheduler,
    run.serve,
    server.server,
    topology.topology,
):
    cli.add_command(command)


def main() -> None:
    """Entry point: every failure is told in one form, with an exit code that means something."""
    from fleet.errors import FleetError

    try:
        status = cli.main(prog_name="palebluedot", standalone_mode=False)
        sys.exit(status if isinstance(status, int) else 0)
    except click.exceptions.Abort:
        click.echo("Interrupted", err=True)
        sys.exit(EXIT_INTERRUPTED)
    except KeyboardInterrupt:
        click.echo("Interrupted", err=True)
        sys.exit(EXIT_INTERRUPTED)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except FleetError as error:
        problem = Problem.of(error)
        problem.show()
        sys.exit(problem.exit_code or EXIT_FAILED)


if __name__ == "__main__":
    main()
