"""``palebluedot serve``, ``api`` and ``scheduler``: the service's processes."""

from __future__ import annotations

import shutil
import signal
import sys
from pathlib import Path
from urllib.parse import urlsplit

import click

from cli import children, client, console, lab, stage
from cli.problems import Problem


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), help="Instead of PALEBLUEDOT_API_PORT; 0 takes a free one.")
@click.option(
    "--port-file", type=click.Path(dir_okay=False, path_type=Path), help="Write the bound port here when it listens."
)
def api(port: int | None, port_file: Path | None) -> None:
    """The REST API alone, until SIGTERM.

    \b
    Examples:
      palebluedot api
      PALEBLUEDOT_DATABASE_URL=postgresql://… palebluedot api
    """
    from api.server import serve as serve_api
    from fleet.settings import get_settings

    def ready(url: str) -> None:
        click.echo(f"The API listens on {url}", err=True)

    sys.exit(serve_api(get_settings(), ready=ready, port=port, port_file=port_file))


@click.command()
def scheduler() -> None:
    """The scheduler alone (dispatcher, timers, relay of events), until SIGTERM.

    Several may run on one PostgreSQL; one of them leads.
    """
    from fleet.settings import get_settings
    from scheduler.service import run

    run(get_settings())


@click.command()
@click.option("--lab", "with_lab", is_flag=True, help="On a simulated data centre, with a record of its own made anew.")
@click.option("--servers", type=click.IntRange(1, 960), default=8, show_default=True, help="Servers of the lab.")
@click.option("--vendor", default="ami", show_default=True, help="BMCs of the lab: dell, hpe, …; commas: taking turns.")
def serve(with_lab: bool, servers: int, vendor: str) -> None:
    """API and scheduler together, each in a process of its own, until Ctrl-C or SIGTERM.

    The database is brought up to date first. A process that dies is started again.

    \b
    Examples:
      palebluedot serve
      palebluedot serve --lab
      palebluedot serve --lab --vendor dell,hpe,supermicro
    """
    if with_lab:
        _serve_lab(servers, vendor)
    else:
        _serve()


def _serve() -> None:
    from cli import database
    from fleet.settings import get_settings
    from scheduler import processes

    if sys.platform == "linux":
        processes.adopt_orphans()  # whatever a child leaves behind is ours to end
    database.upgrade()
    supervisor = children.Supervisor({"api": children.command("api"), "scheduler": children.command("scheduler")})
    _stop_on_signal(supervisor)
    try:
        supervisor.start_all()
        url = get_settings().api_url
        stage.wait_until_ready(url, supervisor)
        console.err.print(f"The service answers: {url}/api/v1/docs  (Ctrl-C ends it)", soft_wrap=True)
        supervisor.watch()
    finally:
        with stage.uninterrupted():
            supervisor.stop_all()
            _tell_left(children.end_orphans())


def _serve_lab(servers: int, vendor: str) -> None:
    from fleet.settings import get_settings

    settings = get_settings()
    directory = settings.data_dir.resolve() / "serve"
    if lab.running(directory / "lab"):
        raise Problem(f"A service on a lab runs already in {directory}", next="Use it, or end it first (Ctrl-C there)")
    shutil.rmtree(directory, ignore_errors=True)
    play = stage.Stage(directory, servers=servers, vendor=vendor)
    try:
        with stage.interruptible(), play:
            console.err.print("Starting the lab …")
            play.start_lab()
            play.prepare_record(port=settings.api_port)
            operator = play.add_person("operator", "operator")
            ada = play.add_person("ada", "user", gpus=servers * stage.GPUS_PER_SERVER)
            play.start_service()
            console.err.print("Importing and discovering the fleet …")
            with client.told(), play.client(operator) as api:
                api.import_fleet(play.fleet_document())
            play.playbook("discover.yml", operator)
            _stop_on_signal(play.supervisor)
            console.err.print(f"The service answers: {play.url}/api/v1/docs  (Ctrl-C ends it)", soft_wrap=True)
            for person in (operator, ada):
                console.err.print(
                    f"  {person.username:9} password {person.password}   export PALEBLUEDOT_URL={play.url} "
                    f"PALEBLUEDOT_TOKEN_FILE={person.token_file}",
                    soft_wrap=True,
                )
            console.err.print(
                f"  playbooks by hand, doctor and the like also want   export PALEBLUEDOT_DATA_DIR={directory} "
                f"PALEBLUEDOT_KUBECONFIG={play.facts['kubeconfig']} PALEBLUEDOT_API_PORT={urlsplit(play.url).port}",
                soft_wrap=True,
            )
            play.supervisor.watch()
    finally:
        _tell_left(children.end_orphans())


def _stop_on_signal(supervisor: children.Supervisor) -> None:
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, supervisor.request_stop)


def _tell_left(left: set[int]) -> None:
    if left:
        raise Problem(
            f"These processes do not end: {sorted(left)}", next="Look at them: ps -o pid,stat,wchan,args -p …"
        )
    console.err.print("Everything has ended")
