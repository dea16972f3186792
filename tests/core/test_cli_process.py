"""`tlab` as a process of its own: Ctrl-C saves, resuming goes on to the same bits, pipes and exit codes are in order."""

import os
import signal
import socket
import subprocess
import sys
import time
from urllib.request import urlopen

import pytest

from tests.core.cli_runs import call, tiny_config
from tests.core.saved_runs import same_history, tiny_experiment
from tlab_core import LiveRun
from tlab_core.runs import RunStore
from tlab_core.runs.history_file import HistoryFile

LONG = 1_000_000  # steps: more than any test waits for
TLAB = [sys.executable, "-W", "error", "-m", "tlab_core.cli"]
pytestmark = pytest.mark.skipif(os.name != "posix", reason="sends signals, which Windows has not")


class Training:
    """A `tlab` that trains, its standard error read line by line."""

    def __init__(self, *arguments: object):
        self.process = subprocess.Popen([*TLAB, *map(str, arguments)], text=True,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # fmt: skip

    def __enter__(self) -> "Training":
        return self

    def __exit__(self, *error) -> None:
        self.process.kill()
        self.process.communicate()

    def interrupt(self, number: int = signal.SIGINT) -> tuple[int, str, str]:
        """Wait until it has begun, send a signal a moment later, and return exit code and output."""
        line = self.process.stderr.readline()
        assert "Ctrl-C stops and saves" in line, line
        time.sleep(0.5)
        self.process.send_signal(number)
        output, errors = self.process.communicate(timeout=60)
        return self.process.returncode, output, errors


def test_ctrl_c_saves_and_resume_goes_on_to_the_same_bits(tmp_path):
    config, folder = tiny_config(tmp_path, executor="processes", steps=LONG), tmp_path / "runs"
    with Training("train", "--config", config, "--folder", folder, "--name", "it") as training:
        code, output, errors = training.interrupt()
    assert (code, "Traceback" in errors) == (130, False)
    assert f"tlab resume it --folder {folder}" in output
    with Training("resume", "it", "--folder", folder) as training:
        code, output, errors = training.interrupt()
    assert (code, "Traceback" in errors) == (130, False)
    saved = RunStore(folder).open("it")
    call("resume", "it", "--folder", folder, "--steps", 10)
    straight = LiveRun(tiny_experiment(tmp_path, "serial", steps=LONG))
    straight.advance(until=saved.step + 10)
    straight.trainer.validate()
    again = RunStore(folder).open("it")
    assert again.step == saved.step + 10 > 10
    kept = again.checkpoint().parameters
    assert all((kept[name] == values).all() for name, values in straight.model.parameters.items())
    same_history(RunStore(folder).resume("it").run, straight)


def test_being_told_to_end_saves_too(tmp_path):
    with Training("train", "--config", tiny_config(tmp_path, steps=LONG), "--folder", tmp_path / "runs") as training:
        code, output, _ = training.interrupt(signal.SIGTERM)
    assert code == 128 + signal.SIGTERM
    assert "tlab resume story-1" in output
    assert RunStore(tmp_path / "runs").open("story-1").step > 0


INTERRUPTED_AT = """
import signal, sys
from importlib.abc import MetaPathFinder

class Interrupt(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == {module!r}:
            signal.raise_signal(signal.SIGINT)

sys.meta_path.insert(0, Interrupt())
from tlab_core.cli import main
main()
"""


@pytest.mark.parametrize("module", ["click", "numpy", "zarr", "tlab_core.cli.training"])
def test_ctrl_c_while_the_command_is_loaded_is_one_line(module):
    found = subprocess.run([sys.executable, "-W", "error", "-c", INTERRUPTED_AT.format(module=module), "knobs"],
                           capture_output=True, text=True)  # fmt: skip
    assert (found.returncode, found.stdout, found.stderr) == (130, "", "\nInterrupted.\n")


def test_ctrl_c_while_a_folder_is_made_leaves_none(tmp_path, monkeypatch):
    store, run, create = RunStore(tmp_path / "runs"), LiveRun(tiny_experiment(tmp_path)), HistoryFile.create

    def interrupted(*arguments):
        signal.raise_signal(signal.SIGINT)
        return create(*arguments)

    monkeypatch.setattr(HistoryFile, "create", interrupted)
    with pytest.raises(KeyboardInterrupt):
        store.create(run, "it")
    assert list(store.folder.iterdir()) == []
    run.advance(steps=1)  # nobody writes it any more
    monkeypatch.setattr(HistoryFile, "create", create)
    store.create(run, "it").close()


def test_standard_output_holds_the_result_alone(tmp_path):
    found = subprocess.run([*TLAB, "train", "--config", tiny_config(tmp_path), "--folder", tmp_path / "runs", "--steps",
                            "5", "--json"], capture_output=True, text=True, check=True)  # fmt: skip
    assert found.stdout.startswith("{")
    assert "step 5/5" in found.stderr


def test_a_wrong_use_and_a_failure_have_codes_of_their_own(tmp_path):
    for arguments, code in ((["trian"], 2), (["runs", "show", "x", "--folder", str(tmp_path)], 1)):
        found = subprocess.run([*TLAB, *arguments], capture_output=True, text=True)
        assert (found.returncode, "Traceback" in found.stderr) == (code, False), arguments


def test_a_terminal_that_lacks_a_character_shows_a_question_mark():
    environment = {**os.environ, "PYTHONIOENCODING": "latin-1"}
    found = subprocess.run([*TLAB, "knobs", "residual_type", "init_std"], capture_output=True, env=environment)
    assert found.returncode == 0
    assert b"divided by ?(2 \xb7 layers)" in found.stdout


def test_lab_serves_the_dashboard_until_it_is_told_to_end(tmp_path):
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen([*TLAB, "lab", "--no-browser", "--port", str(port), "--folder", str(tmp_path / "runs")],
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)  # fmt: skip
    try:
        said = server.stderr.readline()
        assert f"http://localhost:{port}/lab" in said
        while "Starting Bokeh server with process id" not in said:
            said = server.stderr.readline()
            assert said, "the server ended by itself"
        assert str(server.pid) in said  # it is this process: signals reach it
        with urlopen(f"http://localhost:{port}/lab", timeout=60) as page:
            assert b"<title>Transformer Intuition Lab</title>" in page.read()
        server.terminate()
        assert server.wait(20) == 0
    finally:
        server.kill()
        server.communicate()
    assert not (tmp_path / "runs").exists()
