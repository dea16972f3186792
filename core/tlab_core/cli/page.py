"""`tlab lab`: open the dashboard in the browser."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields
from importlib.util import find_spec
from pathlib import Path

import click

from tlab_core.cli.options import Refused, folder_option
from tlab_core.experiment import default_experiment
from tlab_core.limits import LimitError, Limits

APP = "lab.py"
MESSAGE = 20 * 2**20  # bytes that a page may send at once unless it is told otherwise, as Bokeh has it
OPTIONS = {"memory": "SIZE", "upload": "SIZE", "idle_minutes": "MINUTES"}  # what stands in for their values; else N


def limit_options(command: Callable) -> Callable:
    """Add an option for each of the server's limits."""
    for limit in reversed(fields(Limits)):
        name = limit.name if limit.name == "idle_minutes" else f"max_{limit.name}"
        about = limit.metadata
        default = "none" if limit.default is None else Limits().to_environment()[about["variable"]]
        command = click.option(
            f"--{name.replace('_', '-')}", limit.name, metavar=OPTIONS.get(limit.name, "N"),
            help=f"{about['help']}  [default: ${about['variable']}, or {default}]",
        )(command)  # fmt: skip
    return command


@click.command()
@click.option("--port", type=click.IntRange(min=1, max=65_535), default=5006, show_default=True, help="Where it is served.")
@click.option("--no-browser", is_flag=True, help="Only serve it.")
@folder_option
@limit_options
def lab(port: int, no_browser: bool, folder: Path, **given: str | None) -> None:
    """Open the lab in the browser.

    It is served to this machine alone, until Ctrl-C. Runs that are saved there are in the same folder as those of the
    command line. For a class on one server, limits keep any one page from taking what the others need.
    """
    limits = limits_of(given)
    dashboard = find_spec("tlab_dash")  # found, not imported: the engine knows nothing of the screen
    if dashboard is None or find_spec("panel") is None:
        raise click.ClickException("the dashboard is not installed: python -m pip install transformer-intuition-lab")
    app = Path(dashboard.submodule_search_locations[0]) / "served" / APP
    command = [sys.executable, "-m", "panel", "serve", str(app), "--port", str(port), "--address", "localhost",
               "--websocket-max-message-size", str(max(MESSAGE, 2 * limits.upload)),
               *([] if no_browser else ["--show"])]
    environment = {**os.environ, "TLAB_RUNS": str(folder.absolute()), **limits.to_environment()}
    click.echo(f"The lab is at http://localhost:{port}/lab. Ctrl-C ends it.", err=True)
    sys.stdout.flush()
    if os.name == "posix":
        os.execve(sys.executable, command, environment)  # this process becomes the server: signals reach it as they are
    click.get_current_context().exit(subprocess.call(command, env=environment))


def limits_of(given: dict[str, str | None]) -> Limits:
    """Return the limits that options give, and the environment where they give none. Raises Refused for a bad one."""
    variables = {limit.name: limit.metadata["variable"] for limit in fields(Limits)}
    named = {variables[name]: text for name, text in given.items() if text is not None}
    try:
        limits = Limits.from_environment({**os.environ, **named})
        limits.check_room_for(default_experiment())
    except LimitError as error:
        raise Refused(str(error)) from error
    return limits
