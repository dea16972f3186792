from types import SimpleNamespace

import numpy as np
import pytest

from tests.dash.fakes import fake_run
from tlab_core.divergence import Divergence
from tlab_core.experiment import default_experiment
from tlab_core.run import Mark
from tlab_dash.changes import CLOSE_LOSS, actions, recent_loss, sentences
from tlab_dash.selection import Selection
from tlab_dash.session import with_knobs


def made_up(knobs=None, **how):
    """A run with made-up measurements and real settings."""
    run = fake_run(**how)
    run.experiment = with_knobs(default_experiment(), knobs or {})
    run.divergence = None
    return run


def probe(run):
    """Give a made-up run the probe's record of step 0."""
    run.recorder.append("probe", 0, {
        "token": np.ones(64, int), "target": np.ones(64, int), "loss": np.full(64, 3.97),
        "top_token": np.ones((64, 5), int), "top_probability": np.ones((64, 5)),
    })


def measured(run, group, variable, change):
    """Change what was measured: `change(values)` gets a copy of all records of one variable."""
    recorder, dataset = run.recorder, run.recorder.group(group).copy(deep=True)
    change(dataset[variable].values)
    run.recorder = SimpleNamespace(group=lambda name: dataset if name == group else recorder.group(name))


def session_of(run, ghost=None):
    settings = run.experiment
    return SimpleNamespace(run=run, ghost=ghost, experiment=settings, draft=settings, message="", trouble="",
                           selection=Selection())


def told(*args, **kwargs):
    return [sentence.text for sentence in sentences(session_of(*args, **kwargs))]


POST = {"architecture.residual_type": "Post-LN"}


def test_before_training_it_says_what_to_do():
    run = made_up(records=1)
    probe(run)
    assert told(run) == ["Press Train. Watch the text."]


def test_there_is_nothing_to_say_before_there_is_a_run():
    assert sentences(SimpleNamespace(run=None, ghost=None, message="", trouble="", selection=Selection())) == []


def test_what_went_wrong_is_told_even_without_a_run():
    (said,) = sentences(SimpleNamespace(
        run=None, ghost=None, message="no network", trouble="", selection=Selection()))
    assert (said.text, said.kind) == ("no network", "warning")


def test_one_knob_is_named_and_both_numbers_are_what_was_measured():
    run, ghost = made_up(POST, records=30), made_up(records=40, seed=1)
    measured(run, "residual", "gradient_rms", lambda values: values[:, 0].fill(0.018))
    measured(ghost, "residual", "gradient_rms", lambda values: values[:, 0].fill(0.002))
    loss, gradient, signal = told(run, ghost)
    assert gradient == "Step 145: the gradient reaching layer 0 is 9× larger with Post-LN (0.018 against 0.002)."
    assert loss.startswith("Step 145: loss ")
    assert f"{recent_loss(run, 145):.2f} against {recent_loss(ghost, 145):.2f}" in loss
    assert signal.startswith("Step 145: the signal after the last layer is ")


def test_runs_are_compared_at_the_last_step_that_both_were_looked_into():
    run, ghost = made_up(POST, records=5), made_up(records=40)
    assert all(sentence.startswith("Step 20: ") for sentence in told(run, ghost))


def test_looking_back_compares_at_that_step():
    run, ghost = made_up(POST, records=30), made_up(records=40, seed=1)
    session = session_of(run, ghost)
    session.selection.step = 52
    loss, *others = (sentence.text for sentence in sentences(session))
    assert f"{recent_loss(run, 50):.2f} against {recent_loss(ghost, 50):.2f}" in loss
    assert all(sentence.startswith("Step 50: ") for sentence in (loss, *others))


def test_a_small_difference_is_too_close_to_call():
    run, ghost = made_up(POST, records=30), made_up(records=30)
    loss, gradient, signal = told(run, ghost)
    assert loss.endswith(", one seed each. Too close to call.")
    assert gradient.endswith("Too close to call.")
    assert signal.endswith("Too close to call.")


def test_a_difference_in_loss_is_told_when_it_is_large_enough():
    run, ghost = made_up(POST, records=30), made_up(records=30)
    measured(run, "train", "loss", lambda values: np.add(values, 2 * CLOSE_LOSS, out=values))
    assert "loss is 0.10 higher with Post-LN" in told(run, ghost)[0]


def test_two_knobs_cannot_be_told_apart():
    run, ghost = made_up(POST | {"architecture.norm_type": "None"}, records=30), made_up(records=30)
    assert told(run, ghost)[0] == "2 knobs differ: their effects cannot be told apart."
    assert not [sentence for sentence in told(run, ghost) if "Post-LN" in sentence]


def test_a_divergence_comes_first_in_its_own_words():
    run, ghost = made_up(POST, records=30), made_up(records=30)
    run.divergence = Divergence(146, 3, "blocks.3.scores", "infinite number", 3825.0, 145)
    first = sentences(session_of(run, ghost))[0]
    assert (first.text, first.kind) == (run.divergence.message, "warning")


def test_numbers_that_are_not_finite_are_shown_and_not_compared():
    run, ghost = made_up(POST, records=30), made_up(records=30)
    measured(run, "residual", "rms", lambda values: values[-1].fill(np.nan))
    assert told(run, ghost)[2].startswith("Step 145: the signal after the last layer is nan against ")


def test_a_live_knob_is_told_with_its_step():
    run = made_up(records=30)
    run.marks = [Mark(120, "training.learning_rate", 0.003, 0.01)]
    probe(run)
    assert told(run)[0] == "Step 120: learning rate 0.003 became 0.01."


def test_past_the_horizon_it_says_so_and_offers_to_extend():
    run = made_up({"training.steps": 100, "training.learning_rate": 0.003}, records=30)
    ghost = made_up(records=30)
    assert told(run, ghost)[0] == "Step 145: the schedule has ended. Train goes on at learning rate 0.0003."
    assert [action["name"] for action in actions(session_of(run, ghost))] == ["extend", "undo"]
    assert actions(session_of(run))[0]["label"] == "Extend to 200 steps"


def test_there_is_no_undo_without_a_ghost():
    assert actions(session_of(made_up(records=30))) == []


@pytest.mark.parametrize("knobs", [POST, {"architecture.qk_norm": True}, {"training.learning_rate": 1e-5}, {}])
def test_no_more_than_three_sentences_of_twenty_words(knobs):
    texts = told(made_up(knobs, records=30), made_up(records=40, seed=2))
    assert 1 <= len(texts) <= 3
    assert all(len(text.split()) <= 20 for text in texts)


def test_a_setting_changed_on_the_way_counts_as_a_knob_that_differs():
    run, ghost = made_up(POST, records=30), made_up(records=30)
    ghost.marks = [Mark(20, "training.learning_rate", 0.1, 0.003)]
    assert told(run, ghost)[0] == "2 knobs differ: their effects cannot be told apart."
    assert "with Post-LN" not in " ".join(told(run, ghost))


def test_losses_on_different_texts_are_not_compared():
    run, ghost = made_up({"corpus": "addition"}, records=30), made_up(records=30)
    assert told(run, ghost)[0] == "The two learn different texts, so their losses can't be compared."
