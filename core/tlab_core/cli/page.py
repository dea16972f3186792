"""`tlab lab`: open the dashboard in the browser."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import click

from tlab_core.cli.options import folder_option

APP = "lab.py"


@click.command()
@click.option("--port", type=click.IntRange(min=1, max=65_535), default=5006, show_default=True, help="Where it is served.")
@click.option("--no-browser", is_flag=True, help="Only serve it.")
@folder_option
def lab(port: int, no_browser: bool, folder: Path) -> None:
    """Open the lab in the browser.

    It is served to this machine alone, until Ctrl-C. Runs that are saved there are in the same folder as those of the
    command line.
    """
    dashboard = find_spec("tlab_dash")  # found, not imported: the engine knows nothing of the screen
    if dashboard is None or find_spec("panel") is None:
        raise click.ClickException("the dashboard is not installed: python -m pip install transformer-intuition-lab")
    app = Path(dashboard.submodule_search_locations[0]) / "served" / APP
    command = [sys.executable, "-m", "panel", "serve", str(app), "--port", str(port), "--address", "localhost",
               *([] if no_browser else ["--show"])]
    environment = {**os.environ, "TLAB_RUNS": str(folder.absolute())}
    click.echo(f"The lab is at http://localhost:{port}/lab. Ctrl-C ends it.", err=True)
    sys.stdout.flush()
    if os.name == "posix":
        os.execve(sys.executable, command, environment)  # this process becomes the server: signals reach it as they are
    click.get_current_context().exit(subprocess.call(command, env=environment))
