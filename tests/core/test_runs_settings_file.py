"""Settings as YAML: what a person writes comes back, and what is wrong is said with its line."""

import pytest
import yaml

from tlab_core import Architecture, Experiment, Training, default_experiment
from tlab_core.knob_text import value_of
from tlab_core.knobs import KnobError
from tlab_core.runs import RunError
from tlab_core.runs.settings_file import read_knobs, read_settings, settings_text


def read(tmp_path, text):
    path = tmp_path / "settings.yaml"
    path.write_text(text, encoding="utf-8")
    return read_settings(path)


def refused(tmp_path, text) -> str:
    with pytest.raises(RunError) as caught:
        read(tmp_path, text)
    return str(caught.value)


@pytest.mark.parametrize("experiment", [
    default_experiment(),
    Experiment(architecture=Architecture(norm_type=None, pos_encoding_type="None", ff_dim=7, seed=2**32 - 1),
               training=Training(learning_rate=1e-7, min_learning_rate=None, grad_clip=None, shards="auto")),
    *[Experiment(probe_text=text) for text in (
        "null", "true", "1e-3", "12", "a: b # c", " x ", "two\nlines\n", '"\\', "é\u2028🙂", "&a", "!!python/object",
        "- x", "~", "None", "x" * 3000, "\x85\x7f\t")],
], ids=repr)  # fmt: skip
def test_what_is_written_is_read_back(tmp_path, experiment):
    text = settings_text(experiment)
    assert read(tmp_path, text) == experiment
    # Strings and words mean the same to a usual YAML reader; only numbers such as 1e-07 are text to it.
    usual = yaml.safe_load(text)
    assert usual["probe_text"] == experiment.probe_text
    assert usual["architecture"]["norm_type"] == experiment.architecture.norm_type


def test_numbers_are_those_of_yaml_1_2(tmp_path):
    found = read(tmp_path, "training: {learning_rate: 1e-3, weight_decay: .5, warmup_steps: +20, grad_clip: ~, beta1: 0.}")
    assert (found.training.learning_rate, found.training.weight_decay, found.training.warmup_steps) == (0.001, 0.5, 20)
    assert (found.training.grad_clip, found.training.beta1) == (None, 0)
    assert read(tmp_path, "architecture:\n  seed: 0123\n").architecture.seed == 123  # no octal
    assert "line 2: seed = '1:30' is not allowed" in refused(tmp_path, "architecture:\n  seed: 1:30\n")  # no base 60
    assert "line 1: prompt = 5 is not allowed: it must be text" in refused(tmp_path, "prompt: 5\n")


def test_what_is_left_out_takes_what_the_lab_opens_with_or_what_it_is_laid_over(tmp_path):
    first = default_experiment()
    assert read(tmp_path, "") == first
    assert read(tmp_path, "# nothing\ntraining:\narchitecture:\n  num_layers: 3\n") == first.replace(
        architecture=first.architecture.replace(num_layers=3))
    base = Experiment(architecture=Architecture(num_layers=7))
    found, given = read_knobs(tmp_path / "settings.yaml", base)
    assert (found.architecture, given) == (base.architecture.replace(num_layers=3), ["architecture.num_layers"])
    assert base.architecture.num_layers == 7
    assert "a knob that is left out takes\n# what the lab opens with" in settings_text(base)


@pytest.mark.parametrize(("word", "meant"), [("yes", True), ("on", True), ("True", True), ("no", False), ("OFF", False)])
def test_a_switch_takes_the_words_of_yaml_1_1_and_a_text_keeps_them(tmp_path, word, meant):
    assert read(tmp_path, f"architecture:\n  use_bias: {word}\n").architecture.use_bias is meant
    if word != "True":
        assert read(tmp_path, f"prompt: {word}\n").prompt == word
    assert f"use_bias = '{word}' is not allowed" in refused(tmp_path, f'architecture:\n  use_bias: "{word}"\n')


def test_a_number_too_large_is_said_as_it_was_written(tmp_path):
    digits = "1" + "0" * 20
    assert f"seed = {digits} is not allowed" in refused(tmp_path, f"architecture:\n  seed: {digits}\n")
    with pytest.raises(KnobError, match=f"num_layers = {digits} is not allowed"):
        value_of("architecture.num_layers", digits)


def test_a_choice_is_read_without_regard_to_capitals(tmp_path):
    assert read(tmp_path, "architecture:\n  norm_type: none\n  residual_type: post-ln\n").architecture.norm_type == "None"


def test_an_unknown_knob_is_said_with_its_line_and_the_nearest_name(tmp_path):
    said = refused(tmp_path, "training:\n  steps: 5\n  learning_rat: 1e-3\n")
    assert "settings.yaml, line 3: there is no knob 'learning_rat' in training. Did you mean 'learning_rate'?" in said
    assert said.endswith("\n    learning_rat: 1e-3")
    said = refused(tmp_path, "num_heads: 3\n")
    assert "line 1: there is no knob 'num_heads' here. It belongs under architecture." in said
    assert "line 2: training.steps comes twice" in refused(tmp_path, "training: {steps: 5,\n  steps: 6}\n")


def test_a_value_that_a_knob_cannot_take_is_said_with_its_line(tmp_path):
    said = refused(tmp_path, "\n\narchitecture:\n  norm_type: RMSNrm\n")
    assert "line 4: norm_type = 'RMSNrm' is not allowed" in said
    assert "Did you mean 'RMSNorm'?" in said
    assert "line 1: num_layers = 1000000" in refused(tmp_path, "architecture: {num_layers: 1000000}")
    assert "line 2: num_heads = 3 does not fit" in refused(tmp_path, "architecture:\n  num_heads: 3\n")
    assert "line 1: prompt takes one plain value" in refused(tmp_path, "prompt: [1, 2]\n")
    assert "line 1: expected lines of `knob: value` under training" in refused(tmp_path, "training: 5\n")
    assert "line 1: expected lines of `knob: value` here" in refused(tmp_path, "- a\n")


@pytest.mark.parametrize(("text", "said"), [
    ("prompt: !!python/object/apply:os.system ['true']\n", "line 1: tags such as tag:yaml.org,2002:python/object/apply"),
    ("prompt: !!str 5\n", "line 1: tags such as"),
    ("prompt: &a x\nprobe_text: *a\n", "line 1: anchors and aliases"),
    ("training: &a [*a]\n", "line 1: anchors and aliases"),
    ("training:\n  steps: 5\n steps: 6\n", "line 3: this is not YAML"),
    ("prompt: 'never closed\n", "this is not YAML"),
    ("prompt: a\x00b\n", "this is not YAML"),
    ("prompt: " + "[" * 5000, "nested more than 8 levels deep"),
    ("--- {}\n--- {}\n", "this is not YAML"),
    ("? [a]\n: 5\n", "a key that is no word"),
    ("architecture: {seed: " + "9" * 5000 + "}", "seed = "),
])  # fmt: skip
def test_hostile_yaml_is_refused_in_words(tmp_path, text, said):
    import re

    assert re.search(said, refused(tmp_path, text))


def test_a_file_that_is_not_text_or_not_there_is_refused(tmp_path):
    (tmp_path / "settings.yaml").write_bytes(b"prompt: \xff\xfe")
    with pytest.raises(RunError, match=r"is not UTF-8 text: byte 8"):
        read_settings(tmp_path / "settings.yaml")
    with pytest.raises(RunError, match=r"can't be read: No such file"):
        read_settings(tmp_path / "none.yaml")
    (tmp_path / "settings.yaml").write_bytes(b"#" * 1_000_001)
    with pytest.raises(RunError, match=r"has more than 1,000,000 bytes"):
        read_settings(tmp_path / "settings.yaml")
