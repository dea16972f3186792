"""`tlab train`, `tlab resume` and `tlab generate`: the same runs as by the API, and one clear message for what is wrong."""

import errno
import os
import re
import shlex
import shutil
from pathlib import Path

import pytest

from tests.core.cli_runs import call, call_json, tiny_config, trained
from tests.core.saved_runs import files_no_longer_than, same_history, tiny_experiment
from tlab_core import LiveRun, default_experiment
from tlab_core.cli.options import chosen
from tlab_core.cli.progress import Progress
from tlab_core.experiment import PARTS
from tlab_core.knob_text import with_values
from tlab_core.runs import RunError, RunStore
from tlab_core.share import to_query

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """The folder in which the run "it" was trained for 20 steps."""
    home = tmp_path_factory.mktemp("home")
    trained(home, "it")
    return home


@pytest.fixture
def folder(home, tmp_path):
    """A folder of runs that a test may change."""
    return Path(shutil.copytree(home / "runs", tmp_path / "runs"))


def same_as(saved, live: LiveRun) -> None:
    """Compare a saved run with a live one: weights and history to the last bit."""
    assert saved.step == live.step
    kept = saved.checkpoint().parameters
    assert all((kept[name] == values).all() for name, values in live.model.parameters.items())
    same_history(saved, live)


def test_train_writes_a_run_that_is_that_of_the_api(tmp_path):
    result = call("train", "--config", tiny_config(tmp_path), "--folder", tmp_path / "runs", "--name", "it")
    saved = RunStore(tmp_path / "runs").open("it")
    live = LiveRun(tiny_experiment(tmp_path))
    live.advance(until=60)
    same_as(saved, live)
    assert saved.samples == [live.sample(live.experiment.prompt, 200)]
    assert saved.samples[0].text in result.stdout
    assert f"tlab resume it --steps 500 --folder {tmp_path / 'runs'}" in result.stdout
    assert "step 60/60  loss " in result.stderr


def test_steps_stop_early_and_resume_goes_on_to_the_same_bits(folder, home):
    assert RunStore(folder).open("it").step == 20
    result = call("resume", "it", "--folder", folder, "--steps", 10)
    assert "Going on with it at step 20" in result.stderr
    call("resume", "it", "--folder", folder)
    live = LiveRun(tiny_experiment(home))
    live.advance(until=60)
    same_as(RunStore(folder).open("it"), live)
    refused = call("resume", "it", "--folder", folder, code=2)
    assert "end of its schedule, step 60. Go on at the final learning rate with: tlab resume it --steps" in refused.stderr
    call("resume", "it", "--folder", folder, "--steps", 5)
    live.advance(steps=5)
    live.trainer.validate()  # which a run does at the end of what was asked
    same_as(RunStore(folder).open("it"), live)


def test_resume_says_what_was_edited(folder):
    settings = folder / "it" / "settings.yaml"
    settings.write_text(settings.read_text().replace("learning_rate: 0.01", "learning_rate: 0.02"))
    result = call("resume", "it", "--folder", folder, "--steps", 5)
    assert "Note: training.learning_rate was 0.01 when the run was saved and is 0.02 in settings.yaml now" in result.stderr


def test_a_link_trains_its_run_and_the_result_is_json(tmp_path):
    experiment = tiny_experiment(tmp_path)
    link = f"http://localhost:5006/lab?{to_query(experiment)}&theme=dark"
    found = call_json("train", link, "--set", f"corpus={experiment.corpus}", "--folder", tmp_path / "runs", "--steps", 20)
    live = LiveRun(tiny_experiment(tmp_path))
    live.advance(until=20)
    assert (found["validation_step"], found["validation_final"]) == (20, found["validation_best"])
    assert (found["name"], found["steps"], found["tokens"], found["ending"]) == ("story-1", 20, 640, "done")
    assert found["train_final"] == pytest.approx(live.recorder.group("train")["loss"].values.mean())
    assert found["validation_final"] == live.recorder.group("validation")["loss"].values[-1]
    assert found["folder"] == str(tmp_path / "runs" / "story-1")


def test_a_run_that_diverges_is_kept_and_fails(tmp_path):
    folder = tmp_path / "runs"
    result = call("train", "--config", tiny_config(tmp_path), "--folder", folder, "--name", "it", "--set", "optimizer=sgd",
                  "--set", "learning_rate=1000", "--set", "min_learning_rate=1000", "--set", "grad_clip=none",
                  "--set", "norm_type=none", "--set", "warmup_steps=0", code=1)  # fmt: skip
    assert "Stopped at step" in result.stderr
    assert RunStore(folder).open("it").divergence is not None
    assert "can't go on" in call("resume", "it", "--folder", folder, "--steps", 3, code=1).stderr


@pytest.fixture
def unwritable(tmp_path, monkeypatch):
    """From the first look at the progress on, the run's last file can't be written; return what is in its way."""
    obstacle = tmp_path / "runs" / "it" / "commit.json.new"
    monkeypatch.setattr(Progress, "show", lambda progress: obstacle.mkdir(exist_ok=True))
    return obstacle


def test_a_run_that_can_not_be_saved_says_from_where_it_goes_on(tmp_path, unwritable):
    result = call("train", "--config", tiny_config(tmp_path), "--folder", tmp_path / "runs", "--name", "it", code=1)
    assert "step 60 of it could not be saved: is a directory. What it learned since step 0 is lost." in result.stderr
    assert f"Saved is step 0; go on from there with: tlab resume it --folder {tmp_path / 'runs'}" in result.stderr
    unwritable.rmdir()
    assert RunStore(tmp_path / "runs").resume("it").run.step == 0


def test_whoever_is_there_can_mend_it_and_nothing_is_lost(tmp_path, monkeypatch, unwritable):
    monkeypatch.setattr("tlab_core.cli.training.someone_is_there", lambda: True)
    monkeypatch.setattr("click.prompt", lambda *question, **options: unwritable.rmdir() or "")
    call("train", "--config", tiny_config(tmp_path), "--folder", tmp_path / "runs", "--name", "it")
    assert RunStore(tmp_path / "runs").open("it").step == 60


def test_whoever_is_there_can_save_to_another_folder(tmp_path, monkeypatch, unwritable):
    monkeypatch.setattr("tlab_core.cli.training.someone_is_there", lambda: True)
    (tmp_path / "file").write_text("")
    answers = f"\n{tmp_path / 'file' / 'x'}\n{tmp_path / 'other'}\n"  # once more, one that can't be, one that can
    result = call("train", "--config", tiny_config(tmp_path), "--folder", tmp_path / "runs", "--name", "it", answer=answers)
    assert result.stderr.count("Press Enter to try again, or type another folder to save to") == 3
    assert "That can't be: not a directory" in result.stderr
    assert f"{tmp_path / 'runs' / 'it'} keeps what was saved until step 0." in result.stderr
    assert f"tlab resume it --steps 500 --folder {tmp_path / 'other'}" in result.stdout
    live = LiveRun(tiny_experiment(tmp_path))
    live.advance(until=60)
    same_as(RunStore(tmp_path / "other").open("it"), live)
    unwritable.rmdir()
    assert RunStore(tmp_path / "runs").resume("it").run.step == 0


def test_who_gives_up_at_the_question_hears_what_is_lost(tmp_path, monkeypatch, unwritable):
    monkeypatch.setattr("tlab_core.cli.training.someone_is_there", lambda: True)
    arguments = ("train", "--config", tiny_config(tmp_path), "--folder", tmp_path / "runs", "--name", "it")
    result = call(*arguments, code=1, answer="")
    assert "Saved is step 0; go on from there with: tlab resume it" in result.stderr


def test_a_disk_that_refuses_on_the_way_is_said_once_and_so_is_its_end(tmp_path, monkeypatch):
    create, writers, looks = RunStore.create, [], iter(range(1000))
    full = RunError("no room")
    full.__cause__ = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    monkeypatch.setattr(RunStore, "create", lambda *run: writers.append(create(*run)) or writers[0])
    monkeypatch.setattr(Progress, "show", lambda _: setattr(writers[0], "problem", full if next(looks) < 3 else None))
    monkeypatch.setattr("tlab_core.cli.training.SLICE", 0)
    result = call("train", "--config", tiny_config(tmp_path), "--folder", tmp_path / "runs", "--name", "it")
    said = result.stderr
    assert said.count("Warning: it can't be saved: the disk is full. It goes on in memory, and saving is tried again") == 1
    assert said.count("it can be saved again.") == 1
    assert said.index("Warning") < said.index("can be saved again")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the limit of a file's size is another matter on Windows")
def test_no_room_at_the_start_says_that_nothing_was_trained(tmp_path):
    config = tiny_config(tmp_path)
    with files_no_longer_than(0):
        result = call("train", "--config", config, "--folder", tmp_path / "runs", code=1)
    assert f"no run can be kept in {tmp_path / 'runs'}: the disk is full. Nothing was trained." in result.stderr
    assert "Make room or mend it, or take another folder: --folder FOLDER." in result.stderr
    assert ".new-" not in result.stderr
    assert list((tmp_path / "runs").iterdir()) == []


# ---- settings


def test_link_config_and_set_give_the_settings_of_the_page(tmp_path):
    plain = default_experiment()
    assert chosen(None, None, []) == plain
    turned = with_values(plain, {"architecture.num_layers": 8, "training.seed": 3, "corpus": "copy"})
    assert chosen(None, None, ["num_layers=8", "training.seed=3", "corpus=copy"]) == turned
    assert chosen(f"http://localhost:5006/lab?{to_query(turned)}&theme=dark", None, []) == turned
    assert chosen(to_query(turned), None, ["num_layers=6"]) == with_values(turned, {"architecture.num_layers": 6})
    path = tmp_path / "settings.yaml"
    path.write_text("architecture:\n  num_layers: 6\n")
    assert chosen(None, path, ["t.seed=3"]) == with_values(plain, {"architecture.num_layers": 6, "training.seed": 3})


def test_a_link_names_no_file_but_its_reader_can(tmp_path):
    experiment = tiny_experiment(tmp_path)
    link = to_query(experiment)
    refused = " ".join(call("train", link, "--folder", tmp_path / "runs", code=2).stderr.split())
    assert "which a link can't open" in refused
    assert "A file is opened where you name it yourself: --set corpus=PATH." in refused
    assert chosen(link, None, [f"corpus={experiment.corpus}"]) == experiment
    assert chosen(to_query(default_experiment()), None, [f"corpus={experiment.corpus}"]).corpus == experiment.corpus


def test_the_number_of_different_characters_is_the_texts_and_a_file_that_says_otherwise_hears_so(tmp_path, capsys):
    path = tmp_path / "settings.yaml"
    path.write_text("architecture:\n  vocab_size: 99\n")
    chosen(None, path, [])
    own = default_experiment().resolved().architecture.vocab_size
    said = capsys.readouterr().err
    assert f"vocab_size = 99 in {path} is passed over: the text decides it. It has {own} different" in said
    path.write_text(f"architecture:\n  vocab_size: {own}\n")
    chosen(None, path, [])
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(("arguments", "message"), [
    (["--set", "num_layer=8"], "there is no knob 'num_layer'. Did you mean 'num_layers'?"),
    (["--set", "vocab_size=9"], "is the number of different characters in the text: set corpus instead"),
    (["--set", "num_layers"], "--set num_layers has no value: write --set num_layers=VALUE."),
    (["--set", "num_layers=many"], "num_layers = 'many' is not allowed: it must be a whole number of at least 1"),
    (["--set", "norm_type=rmsnrom"], "Did you mean 'RMSNorm'?"),
    (["--set", "seed=1"], "more than one knob 'seed': write architecture.seed or training.seed"),
    (["--set", "num_heads=3"], "To fix it, set architecture.num_heads to 2."),
    (["--set", "corpus=storys"], "Did you mean 'stories'?"),
    (["--set", "prompt=é"], "never comes up in 'stories'"),
    (["--config", "absent.yaml"], "absent.yaml can't be read"),
    (["--config", "wrong.yaml"], "wrong.yaml, line 2: there is no knob 'num_layer' in architecture. Did you mean"),
    (["v=1", "--config", "wrong.yaml"], "from a link or from --config, not from both"),
    (["wrong.yaml"], "'wrong.yaml' is no link. Settings from a file: --config wrong.yaml"),
    (["v=2"], "newer version of the lab"),
    (["file:///lab?a.num_layers=2&v=1"], "begins with 'file://', and the address of a lab's page begins with http:// or"),
    (["http://example.org/lab"], "has no settings: they would stand behind a question mark. Nothing is fetched"),
    (["a.vocab_size=9"], "which the text decides: leave it out"),
    (["--set", "num_layers=100000000000000000000"], "num_layers = 100000000000000000000 is not allowed"),
    (["x" * 5000], "xxx... is no link. One knob"),
    (["a.num_layer=2"], "Did you mean 'num_layers'?"),
    (["--steps", "0"], "Invalid value for '--steps'"),
    (["--step", "5"], "--steps"),
])  # fmt: skip
def test_wrong_settings_are_refused_before_anything_is_made(tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "wrong.yaml").write_text("architecture:\n  num_layer: 3\n")
    assert message in " ".join(call("train", *arguments, code=2).stderr.split())
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(("name", "message"), [("it", "there is a run 'it' in"), ("../it", "a run can't be named '../it'")])
def test_a_name_that_can_not_be_had_is_refused_before_the_model_is_built(folder, home, monkeypatch, name, message):
    monkeypatch.setattr("tlab_core.cli.training.LiveRun", None)
    result = call("train", "--config", home / "tiny.yaml", "--folder", folder, "--name", name, code=1)
    assert message in result.stderr


def test_a_folder_that_can_not_be_written_is_one_message(tmp_path):
    (tmp_path / "file").write_text("")
    result = call("train", "--config", tiny_config(tmp_path), "--folder", tmp_path / "file" / "runs", code=1)
    assert result.stderr.count("Error:") == 1
    assert f"no run can be kept in {tmp_path / 'file' / 'runs'}: not a directory. Nothing was trained." in result.stderr


# ---- writing


def test_generate_writes_what_the_model_writes(home):
    folder, live = home / "runs", LiveRun(tiny_experiment(home))
    live.advance(until=20)
    expected = "".join(live.write("the cat", 30, temperature=0.5, seed=4))
    options = ("generate", "it", "--folder", folder, "--prompt", "the cat", "--length", 30)
    assert call(*options, "--temperature", 0.5, "--seed", 4).stdout == f"the cat{expected}\n"
    assert call_json(*options, "--temperature", 0.5, "--seed", 4)["text"] == expected
    greedy = "".join(live.write("the cat", 30, temperature=0))
    assert call(*options, "--top-k", 1).stdout == f"the cat{greedy}\n"
    assert call("generate", "it", "--folder", folder, "--length", 5).stdout.startswith(live.experiment.prompt)


@pytest.mark.parametrize(("arguments", "code", "message"), [
    (["other"], 1, "there is no run 'other' in"),
    (["it", "--prompt", "the CAT"], 2, "character 'C' (U+0043) at position 4 is not one of"),
    (["it", "--prompt", ""], 2, "the prompt is empty"),
    (["it", "--temperature", "-1"], 2, "Invalid value for '--temperature'"),
    (["it", "--top-p", "0"], 2, "Invalid value for '--top-p'"),
])  # fmt: skip
def test_what_can_not_be_written(home, arguments, code, message):
    assert message in " ".join(call("generate", *arguments, "--folder", home / "runs", code=code).stderr.split())


# ---- help


def test_the_help_of_train_lists_every_knob_in_its_own_words():
    text = call("train", "--help").stdout
    for part in PARTS.values():
        for knob in part.knobs():
            if knob != "vocab_size":
                assert f"{knob} " in text, knob
    assert "Norm: LayerNorm, RMSNorm, None [RMSNorm]" in text


def test_knobs_say_what_they_say_of_themselves():
    found = {entry["knob"]: entry for entry in call_json("knobs")}
    layers = found["architecture.num_layers"]
    knob = default_experiment().architecture.param.num_layers
    assert (layers["default"], layers["unit"], layers["doc"]) == (4, "layers", knob.doc)
    assert layers["allowed"] == "a whole number of at least 1 and at most 128"
    assert len(found) == sum(len(part.knobs()) for part in PARTS.values()) + 3
    shown = call("knobs", "num_layers", "t.seed").stdout
    assert "num_layers = 4 layers" in shown
    assert "Which pieces of text come up" in shown
    assert "num_heads" not in shown
    assert "Did you mean 'num_layers'?" in call("knobs", "num_layer", code=2).stderr


def test_an_unknown_command_names_the_nearest():
    assert "there is no command 'trian'. Did you mean 'train'?" in call("trian", code=2).stderr


def test_a_text_that_would_steer_the_terminal_is_spelled_out(folder):
    RunStore(folder).annotate("it", note="\x1b[2Jgone", tags=["a\x07"])
    for command in (("runs", "list"), ("runs", "show", "it")):
        shown = call(*command, "--folder", folder).stdout
        assert "\\x1b[2Jgone" in shown
        assert "\x1b" not in shown
        assert "\x07" not in shown


# ---- README


def test_the_commands_of_the_readme_work_in_their_order(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TLAB_RUNS", raising=False)
    block = re.search(r"```console\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)[1]
    commands = [shlex.split(line, comments=True) for line in block.splitlines()]
    assert len(commands) > 4
    for program, *arguments in commands:
        assert program == "tlab"
        call(*arguments)
    assert [(info.name, info.step) for info in RunStore("runs").list()] == [("first", 40), ("second", 20)]
    assert (tmp_path / "first.safetensors").stat().st_size > 1_000_000
