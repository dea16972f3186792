"""`tlab lab`: to whom it is served, and what it says of that."""

import sys

import pytest

from tests.core.cli_runs import call

ELSEWHERE = "192.0.2.20"  # an address of no machine: it is kept for examples


@pytest.fixture
def served(monkeypatch):
    """The commands that would have become the server."""
    commands = []
    monkeypatch.setattr("os.name", "posix")
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
