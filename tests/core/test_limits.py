"""What a server lets anyone ask for: how it is said, what it stops, and what would do instead."""

import pytest
from click.testing import CliRunner

from tlab_core.cli.main import tlab
from tlab_core.cost import estimate
from tlab_core.experiment import default_experiment
from tlab_core.knob_text import with_values
from tlab_core.limits import LimitError, Limits, in_bytes
from tlab_core.settings import SettingsError

FIRST = default_experiment()
BIG = with_values(FIRST, {"architecture.num_layers": 12, "architecture.hidden_dim": 512})


def test_without_a_word_nothing_is_limited_but_uploads_and_idle_pages():
    limits = Limits.from_environment({})
    assert limits == Limits()
    assert (limits.parameters, limits.memory, limits.steps, limits.sessions) == (None,) * 4
    assert limits.problems(BIG) == []


@pytest.mark.parametrize(("variable", "text", "name", "value"), [
    ("TLAB_MAX_PARAMETERS", "1_000_000", "parameters", 1_000_000),
    ("TLAB_MAX_MEMORY", "1.5 GB", "memory", 1_500_000_000),
    ("TLAB_MAX_MEMORY", "250000000", "memory", 250_000_000),
    ("TLAB_MAX_STEPS", "5,000", "steps", 5000),
    ("TLAB_MAX_UPLOAD", "2mb", "upload", 2_000_000),
    ("TLAB_MAX_SESSIONS", " 30 ", "sessions", 30),
    ("TLAB_IDLE_MINUTES", "0", "idle_minutes", 0.0),
    ("TLAB_IDLE_MINUTES", "7.5", "idle_minutes", 7.5),
    ("TLAB_MAX_STEPS", "", "steps", None),
])  # fmt: skip
def test_each_limit_has_a_variable(variable, text, name, value):
    limits = Limits.from_environment({variable: text})
    assert getattr(limits, name) == value
    assert Limits.from_environment(limits.to_environment()) == limits


@pytest.mark.parametrize(("variable", "text", "allowed"), [
    ("TLAB_MAX_PARAMETERS", "ten", "a whole number of at least 1"),
    ("TLAB_MAX_PARAMETERS", "0", "a whole number of at least 1"),
    ("TLAB_MAX_STEPS", "-5", "a whole number of at least 1"),
    ("TLAB_MAX_STEPS", "²", "a whole number of at least 1"),
    ("TLAB_MAX_SESSIONS", "1.5", "a whole number of at least 1"),
    ("TLAB_MAX_MEMORY", "2 TB", "a size above 0, such as 500MB"),
    ("TLAB_MAX_MEMORY", "0MB", "a size above 0"),
    ("TLAB_MAX_UPLOAD", "much", "a size above 0"),
    ("TLAB_IDLE_MINUTES", "nan", "a number of minutes"),
    ("TLAB_IDLE_MINUTES", "-1", "a number of minutes"),
    ("TLAB_IDLE_MINUTES", "inf", "a number of minutes"),
])  # fmt: skip
def test_a_bad_value_is_named_with_what_would_do(variable, text, allowed):
    with pytest.raises(LimitError) as error:
        Limits.from_environment({variable: text})
    assert str(error.value).startswith(f"{variable} = {text!r} is not allowed: it must be {allowed}")


def test_the_first_run_is_shortened_to_the_steps_that_a_run_may_make():
    limits = Limits(steps=20)
    limits.check_room_for(FIRST)
    opened = limits.opening(FIRST)
    assert (opened.training.steps, opened.training.warmup_steps) == (20, 20)
    assert opened.replace(training=FIRST.training) == FIRST
    assert limits.problems(opened) == []
    assert Limits(steps=FIRST.training.steps).opening(FIRST) is FIRST


def test_limits_that_the_first_run_would_break_are_refused():
    Limits(parameters=estimate(FIRST).parameters).check_room_for(FIRST)
    with pytest.raises(LimitError, match="leave no room for the run that the lab opens with: models have at most 1,000 p"):
        Limits(parameters=1000).check_room_for(FIRST)


def test_too_large_a_model_is_refused_beside_the_knob_that_was_turned_and_the_fix_is_the_nearest():
    limits = Limits(parameters=2_000_000)
    deep = with_values(FIRST, {"architecture.num_layers": 12})
    (problem,) = limits.problems(deep, "architecture.num_layers")
    assert problem.knob == "architecture.num_layers"
    assert problem.allowed == ("models have at most 2,000,000 parameters here, and this one would have "
                               f"{estimate(deep).parameters:,}")  # fmt: skip
    layers = problem.fix["architecture.num_layers"]
    counts = [estimate(with_values(FIRST, {"architecture.num_layers": n})).parameters for n in (layers, layers + 1)]
    assert counts[0] <= 2_000_000 < counts[1]
    with pytest.raises(SettingsError, match="at most 2,000,000 parameters"):
        limits.check(deep)


def test_where_the_turned_knob_makes_nothing_smaller_the_one_that_does_is_named():
    (problem,) = Limits(parameters=2_000_000).problems(BIG, "architecture.norm_type")
    assert list(problem.fix) == [problem.knob]
    assert Limits(parameters=2_000_000).problems(with_values(BIG, problem.fix)) == []


@pytest.mark.parametrize("turned", ["training.batch_size", "training.seq_len", "architecture.num_heads"])
def test_the_fix_for_memory_fits(turned):
    wide = with_values(FIRST, {"training.batch_size": 64, "training.seq_len": 256, "architecture.num_heads": 16})
    limits = Limits(memory=120_000_000)
    (problem,) = limits.problems(wide, turned)
    assert "a run gets at most 120 MB of memory here" in problem.allowed
    fixed = with_values(wide, problem.fix)
    assert limits.problems(fixed) == fixed.problems() == []


def test_where_no_single_knob_suffices_there_is_no_fix():
    (problem,) = Limits(parameters=2000).problems(FIRST)
    assert problem.fix == {}


def test_a_schedule_that_is_too_long_is_cut():
    (problem,) = Limits(steps=500).problems(FIRST)
    assert (problem.knob, problem.value, problem.fix) == ("training.steps", 2000, {"training.steps": 500})


@pytest.mark.parametrize(("count", "words"), [
    (994_999, "990 kB"), (999_000, "1 MB"), (61_234_567, "61 MB"), (994_000_000, "990 MB"), (999_000_000, "1.0 GB"),
    (34_000_000_000, "34 GB")])  # fmt: skip
def test_bytes_in_words(count, words):
    assert in_bytes(count) == words


def test_the_command_line_names_every_limit_and_refuses_a_bad_one_before_it_serves():
    help_text = CliRunner().invoke(tlab, ["lab", "--help"]).output
    for option in ("parameters", "memory", "steps", "upload", "sessions"):
        assert f"--max-{option} " in help_text
        assert f"$TLAB_MAX_{option.upper()}" in help_text
    assert "--idle-minutes MINUTES" in help_text
    found = CliRunner().invoke(tlab, ["lab", "--max-memory", "lots"])
    assert found.exit_code == 2
    assert "--max-memory = 'lots' is not allowed" in found.output
    found = CliRunner(env={"TLAB_MAX_STEPS": "no"}).invoke(tlab, ["lab"])
    assert found.exit_code == 2
    assert "TLAB_MAX_STEPS = 'no' is not allowed" in found.output
