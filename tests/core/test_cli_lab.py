"""`tlab lab`: to whom it is served, what it says of that, and what it refuses before it serves."""

import errno
import os
import socket
import sys

import pytest

from tests.core.cli_runs import call
from tlab_core.cli import page

ELSEWHERE = "192.0.2.20"  # an address of no machine: it is kept for examples


@pytest.fixture
def served(monkeypatch):
    """The commands that would have become the server."""
    commands = []
    monkeypatch.setattr("os.name", "posix")
    monkeypatch.setattr(page, "check_free", lambda address, port: None)
    monkeypatch.setattr("os.execve", lambda program, command, environment: commands.append(command))
    monkeypatch.setattr("subprocess.call", lambda command, env: 0)
    return commands


def option(command, name):
    return command[command.index(name) + 1]


def test_it_is_served_to_this_machine_alone(served):
    said = call("lab", "--no-browser").stderr
    (command,) = served
    assert command[:4] == [sys.executable, "-m", "panel", "serve"]
    assert (option(command, "--address"), option(command, "--allow-websocket-origin")) == ("localhost", "localhost:5006")
    assert said == "The lab is at http://localhost:5006/lab. Ctrl-C ends it.\n"


@pytest.mark.parametrize(("address", "host"), [("127.0.0.1", "127.0.0.1:80"), ("::1", "[::1]:80")])
def test_other_names_of_this_machine_need_no_warning(served, address, host):
    said = call("lab", "--no-browser", "--address", address, "--port", 80).stderr
    assert option(served[0], "--allow-websocket-origin") == host
    assert said == f"The lab is at http://{host}/lab. Ctrl-C ends it.\n"


def test_an_address_in_a_network_is_served_there_with_a_warning(served, tmp_path):
    said = call("lab", "--address", ELSEWHERE, "--folder", tmp_path).stderr
    (command,) = served
    assert (option(command, "--address"), option(command, "--allow-websocket-origin")) == (ELSEWHERE, f"{ELSEWHERE}:5006")
    assert said.splitlines()[1:] == [
        f"Anyone in that network can use it: train on this machine, and read, change and delete the runs in {tmp_path}."]


@pytest.mark.parametrize(("address", "words"), [
    ("0.0.0.0", "name the one address at which the others reach this machine"),
    ("::", "name the one address at which the others reach this machine"),
    ("a b", "'a b' is no address of a machine"),
    ("", "'' is no address of a machine"),
    ("x" * 300, "is no address of a machine"),
])
def test_what_is_no_address_is_refused_before_anything_is_served(served, address, words):
    assert words in call("lab", "--address", address, code=2).stderr
    assert not served


@pytest.fixture
def taken():
    """A port of this machine at which something is served."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]


def test_a_port_that_is_taken_is_refused_before_it_is_said_where_the_lab_is(taken):
    said = call("lab", "--no-browser", "--address", "127.0.0.1", "--port", taken, code=2).stderr
    assert said.strip().endswith(f"--port: {taken} is taken, perhaps by another lab. Take another one: --port {taken + 1}.")
    assert "The lab is at" not in said


def test_an_address_of_no_machine_here_is_refused():
    said = call("lab", "--no-browser", "--address", ELSEWHERE, code=2).stderr
    assert f"--address: {ELSEWHERE} is no address of this machine" in said


@pytest.mark.parametrize(("code", "words"), [
    (errno.EACCES, "nothing can be served at 80: Permission denied. Take one above 1023, such as --port 5006."),
    (errno.EADDRINUSE, "80 is taken"),
])
def test_why_nothing_can_be_served(code, words):
    assert words in page.refusal(OSError(code, os.strerror(code)), "localhost", 80)


def test_after_the_last_port_comes_the_usual_one():
    assert page.refusal(OSError(errno.EADDRINUSE, "taken"), "localhost", 65_535).endswith("--port 5006.")


def test_a_name_of_this_machine_may_have_addresses_that_it_does_not_serve(monkeypatch):
    local = (socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", 0))
    other = (socket.AF_INET, socket.SOCK_STREAM, 0, "", (ELSEWHERE, 0))  # as localhost is where IPv6 is off
    monkeypatch.setattr("socket.getaddrinfo", lambda *given, **named: [other, local])
    page.check_free("localhost", 5006)


@pytest.mark.parametrize(("option", "value", "allowed"), [
    ("--max-parameters", "-1", "a whole number of at least 1, such as 1000000"),
    ("--max-memory", "much", "a size above 0, such as 500MB or 2GB"),
    ("--max-upload", "17MB", "at most 16 MB, which is what one message can bring"),
    ("--idle-minutes", "soon", "a number of minutes, such as 20, or 0 for never"),
])
def test_a_bad_limit_is_called_as_it_was_typed(served, option, value, allowed):
    said = call("lab", option, value, code=2).stderr
    assert said.strip() == f"Error: {option} = {value!r} is not allowed: it must be {allowed}."
    assert not served


def test_limits_that_are_too_low_give_the_numbers_that_the_page_shows(served):
    said = call("lab", "--max-parameters", "150000", code=2).stderr
    assert "at most 150,000 parameters here, and this one would have 766,720" in said
    assert "at most 5 bytes of memory" in call("lab", "--max-memory", "5", code=2).stderr
    assert not served


def test_a_folder_that_can_not_be_made_is_refused(served, tmp_path):
    (tmp_path / "file").write_text("no folder")
    said = call("lab", "--folder", tmp_path / "file" / "runs", code=2).stderr
    assert "can't be made: Not a directory. Name another for the runs." in said
    assert not served
