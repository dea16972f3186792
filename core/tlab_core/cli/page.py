"""`tlab lab`: open the dashboard in the browser."""

import errno
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import fields
from importlib.util import find_spec
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

import click

from tlab_core.cli.options import LONGEST, Refused, folder_option
from tlab_core.experiment import default_experiment
from tlab_core.limits import LimitError, Limits

APP, READY = "lab.py", "ready.py"
LOCAL = "localhost"  # this machine alone
MESSAGE = 20 * 2**20  # bytes that a page may send at once unless it is told otherwise, as Bokeh has it
OPTIONS = {"memory": "SIZE", "upload": "SIZE", "idle_minutes": "MINUTES"}  # what stands in for their values; else N


def limit_options(command: Callable) -> Callable:
    """Add an option for each of the server's limits."""
    for limit in reversed(fields(Limits)):
        about = limit.metadata
        default = "none" if limit.default is None else Limits().to_environment()[about["variable"]]
        command = click.option(
            option_of(limit.name), limit.name, metavar=OPTIONS.get(limit.name, "N"),
            help=f"{about['help']}  [default: ${about['variable']}, or {default}]",
        )(command)  # fmt: skip
    return command


def option_of(limit: str) -> str:
    """Return how a limit is spelled on the command line.

    >>> option_of("steps"), option_of("idle_minutes")
    ('--max-steps', '--idle-minutes')
    """
    return "--idle-minutes" if limit == "idle_minutes" else f"--max-{limit}"


@click.command()
@click.option("--port", type=click.IntRange(min=1, max=65_535), default=5006, show_default=True, help="Where it is served.")
@click.option("--address", default=LOCAL, show_default=True, metavar="ADDRESS",
              help="This machine's address in a network whose machines may use the lab too.")
@click.option("--no-browser", is_flag=True, help="Only serve it.")
@folder_option
@limit_options
def lab(port: int, address: str, no_browser: bool, folder: Path, **given: str | None) -> None:
    """Open the lab in the browser.

    It is served until Ctrl-C, to this machine alone unless --address says otherwise. Runs that are saved there are in the
    same folder as those of the command line. For a class on one server, limits keep any one page from taking what the
    others need.
    """
    limits = limits_of(given)
    found = found_at(address)
    check_free(address, port)
    check_folder(folder)
    host = f"{f'[{address}]' if ':' in address else address}:{port}"
    dashboard = find_spec("tlab_dash")  # found, not imported: the engine knows nothing of the screen
    if dashboard is None or find_spec("panel") is None:
        raise click.ClickException("the dashboard is not installed: python -m pip install transformer-intuition-lab")
    served = Path(dashboard.submodule_search_locations[0]) / "served"
    command = [sys.executable, "-m", "panel", "serve", str(served / APP), "--setup", str(served / READY),
               "--port", str(port), "--address", address,
               "--allow-websocket-origin", host,
               "--websocket-max-message-size", str(max(MESSAGE, 2 * limits.upload)),
               *([] if no_browser else ["--show"])]
    environment = {**os.environ, "TLAB_RUNS": str(folder.absolute()), **limits.to_environment()}
    click.echo(f"The lab is at http://{host}/lab. Ctrl-C ends it.", err=True)
    if not all(one.is_loopback for one in found):
        click.echo("Anyone in that network can use it: train on this machine, and read, change and delete the runs in "
                   f"{folder}.", err=True)
    sys.stdout.flush()
    if os.name == "posix":
        os.execve(sys.executable, command, environment)  # this process becomes the server: signals reach it as they are
    click.get_current_context().exit(subprocess.call(command, env=environment))


def found_at(address: str) -> list[IPv4Address | IPv6Address]:
    """Return what an address stands for. Raises Refused for one that is none, or that stands for all networks at once."""
    try:
        found = [ip_address(info[4][0].partition("%")[0]) for info in socket.getaddrinfo(address, None)]
    except (OSError, UnicodeError):
        raise Refused(f"--address: {address[:LONGEST]!r} is no address of a machine. Leave it out to serve this machine "
                      "alone.") from None
    if any(one.is_unspecified for one in found):
        raise Refused("--address: name the one address at which the others reach this machine, such as 192.168.1.20.")
    return found


def check_free(address: str, port: int) -> None:
    """Raise Refused where nothing can be served at an address: it is not this machine's, or taken."""
    failed, served = [], False
    for family, kind, protocol, _, place in socket.getaddrinfo(address, port, type=socket.SOCK_STREAM):
        try:
            with socket.socket(family, kind, protocol) as tried:
                if os.name == "posix":
                    tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does
                tried.bind(place)
            served = True
        except OSError as error:
            failed.append(error)
    if failed and (not served or any(error.errno == errno.EADDRINUSE for error in failed)):
        raise Refused(refusal(failed[-1], address, port))


def refusal(error: OSError, address: str, port: int) -> str:
    """Return in words why nothing can be served there."""
    if error.errno == errno.EADDRINUSE:
        other = port + 1 if port < 65_535 else 5006
        return f"--port: {port} is taken, perhaps by another lab. Take another one: --port {other}."
    if error.errno == errno.EADDRNOTAVAIL:
        return f"--address: {address} is no address of this machine. Leave it out to serve this machine alone."
    return f"--port: nothing can be served at {port}: {error.strerror}. Take one above 1023, such as --port 5006."


def check_folder(folder: Path) -> None:
    """Raise Refused where the folder of runs can't be made: before hours of training, and not after. It leaves none."""
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Refused(f"--folder: {folder} can't be made: {error.strerror}. Name another for the runs.") from None
    finally:
        for place in missing:
            with suppress(OSError):
                place.rmdir()


def limits_of(given: dict[str, str | None]) -> Limits:
    """Return the limits that options give, and the environment where they give none. Raises Refused for a bad one."""
    named = {}
    for limit in fields(Limits):
        text = given[limit.name]
        if text is None:
            continue
        named[limit.metadata["variable"]] = text
        try:
            if text.strip():  # an empty one is no limit
                limit.metadata["read"](text)
        except ValueError as error:
            raise Refused(f"{option_of(limit.name)} = {text[:60]!r} is not allowed: it must be {error}.") from None
    try:
        limits = Limits.from_environment({**os.environ, **named})
        limits.check_room_for(default_experiment())
    except LimitError as error:
        raise Refused(str(error)) from error
    return limits
