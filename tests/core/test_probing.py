"""A run that is looked into with another text goes on as if nothing had happened, and shows its inside on that text."""

import numpy as np
import pytest

from tests.core.saved_runs import STORY, tiny_experiment
from tlab_core import LiveRun
from tlab_core.divergence import DivergedError, Divergence
from tlab_core.runs import with_probe
from tlab_core.settings import SettingsError

TEXT = STORY[7:23]


@pytest.fixture
def run(tmp_path):
    run = LiveRun(tiny_experiment(tmp_path))
    run.advance(steps=12)
    run.sample(STORY[:3], 5)
    run.adjust(learning_rate=1e-4)
    yield run
    run.trainer.close()


def test_it_goes_on_to_the_same_bit(run):
    other = with_probe(run, TEXT)
    assert (other.step, other.samples, other.marks) == (run.step, run.samples, run.marks)
    for one in (run, other):
        one.advance(steps=10)
    np.testing.assert_array_equal(run.model.flat, other.model.flat)
    for group in ("train", "validation", "parameters"):
        mine, its = (one.recorder.group(group).drop_vars("seconds", errors="ignore") for one in (run, other))
        assert mine.equals(its), group
    assert other.trainer.tokens == run.trainer.tokens


def test_its_inside_is_shown_on_the_new_text_before_training_and_now(run):
    other = with_probe(run, TEXT)
    assert "".join(other.probe_tokens) == TEXT[:-1]
    for group in ("residual", "attention", "heads"):
        assert other.recorder.group(group)["step"].values.tolist() == [0, 12]
    assert other.recorder.group("attention").sizes["key"] == len(TEXT) - 1
    other.advance(steps=1)
    fresh = LiveRun(run.experiment.replace(probe_text=TEXT))
    np.testing.assert_array_equal(
        other.recorder.group("residual")["rms"][0], fresh.recorder.group("residual")["rms"][0])
    back = with_probe(other, "")
    assert back.probe_tokens == run.probe_tokens


def test_the_given_run_stays_as_it_is(run):
    before = run.model.flat.copy(), run.history
    with_probe(run, TEXT).advance(steps=3)
    np.testing.assert_array_equal(run.model.flat, before[0])
    assert run.history is before[1]


def test_what_cannot_be_read_is_refused_and_so_is_a_broken_run(run):
    with pytest.raises(SettingsError, match="Ω"):
        with_probe(run, TEXT + "Ω")
    with pytest.raises(TypeError, match="RunStore.resume"):
        with_probe("run", TEXT)
    run.trainer.divergence = Divergence(13, 0, "blocks.0.scores", "infinite number", 1.0, 10)
    with pytest.raises(DivergedError):
        with_probe(run, TEXT)
