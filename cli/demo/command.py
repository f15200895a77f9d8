"""The command: sets the stage, plays the acts, judges, ends everything."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from pathlib import Path

import click
from rich.console import Console

from cli import children, client, paths, stage
from cli.demo.acts import Acts
from cli.problems import EXIT_FAILED, Problem

LOG_TAIL_LINES = 12


@click.command()
@click.option("--json", "as_json", is_flag=True, help="End with one line of JSON on standard output, for programs.")
@click.option(
    "--delays",
    type=click.Choice(["none", "demo", "real"]),
    default="demo",
    show_default=True,
    help="How long the simulated hardware takes.",
)
@click.option("--servers", type=click.IntRange(1, 32), default=8, show_default=True, help="Servers of the lab.")
def demo(as_json: bool, delays: str, servers: int) -> None:
    """The whole way once: a data centre is simulated, discovered, lent out, wiped and offered again.

    Everything is started in a temporary directory and ended again, also after a failure or Ctrl-C. Exit status 0
    means that every state along the way was what it should be.

    \b
    The line of JSON: {"servers", "gpus", "discover_s", "allocate_s", "release_s", "states"}

    \b
    Examples:
      palebluedot demo
      palebluedot demo --json --delays none | tail -1 | jq .allocate_s
    """
    # with --json, standard output holds nothing but the JSON
    console = Console(stderr=as_json, highlight=False)
    directory = Path(tempfile.mkdtemp(prefix="palebluedot-demo-"))
    play = stage.Stage(directory, servers=servers, delays=delays)
    try:
        with stage.interruptible(), client.told():
            try:
                with play:
                    figures = Acts(play, console).perform()
                    console.print("\n[bold]The end[/]: ending everything that was started")
            except Exception:
                keep_logs(play, console)
                raise
    finally:
        with stage.uninterrupted():
            left = children.end_orphans()
            shutil.rmtree(directory, ignore_errors=True)
    if left:
        raise Problem(
            f"Processes of the demo do not end: {sorted(left)}", next="Look at them: ps -o pid,stat,wchan,args -p …"
        )
    console.print("Nothing is left running")
    if as_json:
        click.echo(json.dumps(figures.as_dict()))
    if wrong := figures.wrong():
        raise Problem("Not every state is what it should be", answer="; ".join(wrong), exit_code=EXIT_FAILED)


def keep_logs(play: stage.Stage, console: Console) -> None:
    """Copy the logs to where they survive, and print how each of them ends."""
    keep = paths.ROOT / "var" / "demo-logs"
    shutil.rmtree(keep, ignore_errors=True)
    keep.mkdir(parents=True)
    for path in [*play.logs.glob("*.log"), *play.lab_directory.glob("*.log")]:
        shutil.copy(path, keep)
    for name, text in stage.tails(keep, LOG_TAIL_LINES).items():
        console.print(f"\n[bold]--- the end of {name}[/]")
        console.print(text, markup=False, soft_wrap=True)
    console.print(f"\nThe whole logs are kept in {keep}", soft_wrap=True)
    sys.stdout.flush()
