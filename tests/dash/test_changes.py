from types import SimpleNamespace

import numpy as np
import pytest

from tests.dash.fakes import fake_run
from tlab_core.divergence import Divergence
from tlab_core.experiment import default_experiment
from tlab_core.lessons import LESSONS
from tlab_core.limits import Limits
from tlab_core.run import Mark
from tlab_core.schema import SITES
from tlab_dash.changes import PRESSES, actions
from tlab_dash.changes import told as shown
from tlab_dash.figures import recent_loss
from tlab_dash.knob_names import with_knobs
from tlab_dash.measures import MEASURES
from tlab_dash.pages import PAGES
from tlab_dash.reasons import POINTERS, REASONS
from tlab_dash.selection import Selection
from tlab_dash.sentences import CLOSE_LOSS, sentences


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
    run.recorder = SimpleNamespace(coordinates=recorder.coordinates,
                                   group=lambda name: dataset if name == group else recorder.group(name))


def session_of(run, ghost=None, **more):
    settings = run.experiment
    usual = {"message": "", "trouble": "", "selection": Selection(), "state": "paused", "race": None, "trial": None,
             "lesson": None, "problems": [], "limits": Limits(), "can_try_seeds": lambda: False}
    return SimpleNamespace(run=run, ghost=ghost, experiment=settings, draft=settings, **usual | more)


def told(*args, **kwargs):
    return [sentence.text for sentence in sentences(session_of(*args, **kwargs))]


def offered(*args, **more):
    return [action["name"] for action in actions(session_of(*args, **more))]


POST = {"architecture.residual_type": "Post-LN"}
BIAS = {"architecture.use_bias": False}  # a knob that no lesson is about


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
    loss, gradient, why = told(run, ghost)
    assert gradient == "Step 145: the gradient reaching layer 0 is 9× larger with Post-LN (0.018 against 0.002)."
    assert loss.startswith("Step 145: loss ")
    assert f"{recent_loss(run, 145):.2f} against {recent_loss(ghost, 145):.2f}" in loss
    assert why == "Why?"


def test_what_differs_too_little_is_counted():
    run, ghost = made_up(BIAS, records=30), made_up(records=40, seed=1)
    measured(run, "residual", "gradient_rms", lambda values: values[:, 0].fill(0.018))
    measured(ghost, "residual", "gradient_rms", lambda values: values[:, 0].fill(0.002))
    close = f"Step 145: {len(MEASURES) - 1} other measures differ by less than 1.5×. Too close to call."
    assert told(run, ghost)[2] == close


def late_gradient(run, times):
    """Make the gradient at feed-forward `times` as large in the last layer as in the first."""
    def change(values):
        values[:, :, SITES.index("mlp")] = np.geomspace(1e-3, 1e-3 * times, values.shape[1])

    measured(run, "layers", "gradient_rms", change)


def test_why_is_said_where_the_numbers_show_it_and_leads_to_the_lesson():
    run, ghost = made_up(POST, records=30), made_up(records=30)
    late_gradient(run, 6)
    late_gradient(ghost, 0.5)
    loss, shows, why = sentences(session_of(run, ghost))
    assert loss.text.startswith("Step 145: loss ")
    assert shows.text == (
        "Step 145: the gradient at the last feed-forward, beside that at the first, is 12× "
        "larger with Post-LN (6× against 0.5×).")
    assert (why.text, why.lesson) == ("Because in Post-LN every gradient must pass every layer's norm.", "norm-first")
    link = shown(session_of(run, ghost))[2]["link"]
    assert link == {"label": "Lesson: Why does everyone put the norm first? ›", "lesson": "norm-first"}
    # turned the other way, it is the ghost that shows it
    assert told(ghost, run)[1] == (
        "Step 145: the gradient at the last feed-forward, beside that at the first, is 12× "
        "smaller with Pre-LN (0.5× against 6×).")
    assert told(ghost, run)[2] == why.text


@pytest.mark.parametrize(("of_post", "of_pre"), [(6, 6), (0.5, 6), (0.9, 0.1), (1.1, 0.1)])
def test_without_its_pattern_nothing_is_said_of_why(of_post, of_pre):
    run, ghost = made_up(POST, records=30), made_up(records=30)
    late_gradient(run, of_post)
    late_gradient(ghost, of_pre)
    assert not [text for text in told(run, ghost) if "Because" in text or "last feed-forward" in text]
    assert told(run, ghost)[-1] in ("Why?", "To do with this knob:")  # the lesson is there all the same


@pytest.mark.parametrize(("knob", "word", "number"), [
    ("training.grad_clip", None, 0.5), ("architecture.ff_dim", None, 64), ("training.shards", "auto", 2)])
def test_a_value_that_is_no_number_can_be_told_beside_one(knob, word, number):
    run, ghost = (made_up({knob: value}, records=30) for value in (word, number))
    assert told(run, ghost)[0].endswith("Too close to call.")


def test_where_nothing_differs_there_is_no_why():
    loss, others, lesson = told(made_up(POST, records=30), made_up(records=30))
    assert loss.endswith("Too close to call.")
    assert others.endswith("Too close to call.")
    assert lesson == "To do with this knob:"


def test_a_cause_is_not_named_where_it_is_not_there():
    none = {"architecture.norm_type": "None"}
    run, ghost = made_up(POST | none, records=30), made_up(none, records=30)
    late_gradient(run, 6)
    late_gradient(ghost, 0.5)
    assert not [sentence for sentence in sentences(session_of(run, ghost)) if sentence.lesson or "Because" in sentence.text]


@pytest.mark.parametrize(("knobs", "group", "variable", "change", "because", "lesson"), [
    ({"architecture.norm_type": "None"}, "residual", "rms", lambda values: np.multiply(values[:, -1], 9, out=values[:, -1]),
     "without a norm, sizes drift from layer to layer.", "which-norm"),
    ({"architecture.activation_type": "ReLU"}, "layers", "dead_share", lambda values: values.fill(0.5),
     "with ReLU, a unit that never fires never learns.", "gated-units"),
    ({"architecture.qk_norm": True}, "heads", "qk_max", lambda values: np.divide(values, 9, out=values),
     "QK-norm rescales queries and keys, so scores can't grow without bound.", "logit-growth"),
    ({"architecture.pos_encoding_type": "ALiBi"}, "heads", "previous_token",
     lambda values: np.multiply(values, 3, out=values),
     "ALiBi lowers each match score by the distance looked back.", "train-short-test-long"),
    ({"architecture.pos_encoding_type": "Sinusoidal"}, "residual", "rms", lambda values: np.multiply(values, 3, out=values),
     "Sinusoidal scales the embeddings up to match its waves.", "rope-distance"),
    ({"training.learning_rate": 0.009}, "parameters", "update_ratio", lambda values: np.multiply(values, 3, out=values),
     "the learning rate is how far each step moves the weights.", ""),
])
def test_each_reason_needs_its_numbers(knobs, group, variable, change, because, lesson):
    run, ghost = made_up(knobs, records=30), made_up(records=30)
    if group == "layers":
        measured(ghost, group, variable, lambda values: values.fill(0.1))
    assert because in {reason.because for reason in REASONS}
    before = told(made_up(knobs, records=30), made_up(records=30))
    assert not [text for text in before if because in text]
    measured(run, group, variable, change)
    *_, why = sentences(session_of(run, ghost))
    assert (why.text, why.lesson) == (f"Because {because}", lesson)


def test_a_lesson_is_there_for_what_a_knob_did_and_no_other():
    def lesson(knobs, other=None, **more):
        run, ghost = made_up(knobs, records=30), made_up(other or {}, records=30)
        return next((sentence for sentence in sentences(session_of(run, ghost, **more)) if sentence.lesson), None)

    assert lesson({"architecture.activation_type": "GELU"}, {"architecture.activation_type": "ReLU"}).lesson == "dead-units"
    assert lesson({"architecture.activation_type": "GELU"}, {"architecture.activation_type": "Swish"}) is None
    assert lesson({"architecture.use_bias": False}) is None
    assert lesson(POST | {"architecture.norm_type": "None"}) is None  # of two knobs no lesson tells
    assert lesson(POST, lesson=object()) is None  # one is on already
    deeper = lesson({"architecture.num_layers": 4}, {"architecture.num_layers": 3})
    assert (deeper.text, deeper.lesson) == ("To do with this knob:", "rank-collapse")
    task = {"corpus": "induction"}
    assert lesson({"architecture.num_layers": 1} | task, {"architecture.num_layers": 2} | task).lesson == "induction"
    assert {pointer.lesson for pointer in POINTERS} <= set(LESSONS.names())


def test_a_higher_rate_leads_to_what_breaks_only_where_it_is_the_worse():
    run, ghost = made_up({"training.learning_rate": 0.009}, records=30), made_up(records=30)
    assert not [sentence for sentence in sentences(session_of(run, ghost)) if sentence.lesson]
    measured(run, "train", "loss", lambda values: np.add(values, 1, out=values))
    assert sentences(session_of(run, ghost))[-1].lesson == "logit-growth"
    assert sentences(session_of(ghost, run))[-1].lesson == "logit-growth"
    run, ghost = made_up({"training.learning_rate": 0.009}, records=30), made_up(records=30)
    run.divergence = Divergence(146, 3, "blocks.3.scores", "infinite number", 3825.0, 145)
    measured(run, "parameters", "update_ratio", lambda values: np.multiply(values, 3, out=values))
    broke, shows, why = sentences(session_of(run, ghost))
    assert broke.kind == "warning"
    assert "the update beside the weights is 3× larger with learning rate 0.009" in shows.text
    assert why.text.startswith("Because ")


def test_what_was_broken_on_purpose_says_so_before_any_number():
    usual = default_experiment().training.learning_rate
    run, ghost = made_up({"training.learning_rate": 30 * usual}, records=30), made_up(records=30)
    measured(run, "train", "loss", lambda values: np.subtract(values, 0.2, out=values))
    said = "was broken on purpose: 30 times the learning rate."
    assert told(run, ghost)[0] == f"This run {said} No harm shows yet; give it more steps."
    assert told(ghost, run)[0] == f"The ghost {said} No harm shows yet; give it more steps."
    measured(run, "train", "loss", lambda values: np.add(values, 2, out=values))
    assert told(run, ghost)[0] == f"This run {said} So far its loss is higher."
    fresh = made_up({"training.learning_rate": 30 * usual}, records=1)
    assert told(fresh, ghost)[0] == f"This run {said} Watch its loss stay high, or jump."


def test_the_button_that_breaks_a_run_says_what_it_will_do():
    (button,) = actions(session_of(made_up(records=30)))
    assert button["label"] == "Break it: 30× learning rate"
    assert "30 times the learning rate" in button["title"]
    assert "the model stops learning" in button["title"]
    assert "Undo" in button["title"]


def test_runs_are_compared_at_the_last_step_that_both_were_looked_into():
    run, ghost = made_up(BIAS, records=5), made_up(records=40)
    assert all(sentence.startswith("Step 20: ") for sentence in told(run, ghost))


def test_looking_back_compares_at_that_step():
    run, ghost = made_up(BIAS, records=30), made_up(records=40, seed=1)
    session = session_of(run, ghost)
    session.selection.step = 52
    loss, *others = (sentence.text for sentence in sentences(session))
    assert f"{recent_loss(run, 50):.2f} against {recent_loss(ghost, 50):.2f}" in loss
    assert all(sentence.startswith("Step 50: ") for sentence in (loss, *others))


def test_a_small_difference_is_too_close_to_call():
    run, ghost = made_up(BIAS, records=30), made_up(records=30)
    loss, others = told(run, ghost)
    assert loss.endswith(", one seed each. Too close to call.")
    assert others == f"Step 145: {len(MEASURES)} other measures differ by less than 1.5×. Too close to call."


def test_what_changed_most_is_told_first_whichever_it_is():
    run, ghost = made_up(BIAS, records=30), made_up(records=30)
    measured(run, "residual", "rms", lambda values: np.multiply(values, 2, out=values))
    measured(run, "heads", "qk_max", lambda values: values.fill(40))
    measured(ghost, "heads", "qk_max", lambda values: values.fill(10))
    loss, first, second = sentences(session_of(run, ghost))
    assert first.text == "Step 145: the largest match score of all heads is 4× larger with Biases off (40 against 10)."
    assert second.text.startswith("Step 145: the signal after the last layer is 2× larger with Biases off (")
    assert (loss.page, first.page, second.page) == ("training", "qk", "signal")


@pytest.mark.parametrize(("group", "variable", "new", "old", "said"), [
    ("layers", "dead_share", 0.25, 0.0, "the share of dead units is 25 % with Post-LN, and 0 % in the ghost."),
    ("layers", "dead_share", 0.30, 0.10, "the share of dead units is 3× larger with Post-LN (30 % against 10 %)."),
    ("parameters", "update_ratio", 0.001, 0.004,
     "the update beside the weights is 4× smaller with Post-LN (0.001 against 0.004)."),
    ("heads", "previous_token", 0.39, 0.06,
     "the best score at reading the previous character is 6.5× higher with Post-LN (0.39 against 0.06)."),
])
def test_each_measure_is_told_with_both_numbers(group, variable, new, old, said):
    run, ghost = made_up(POST, records=30), made_up(records=30)
    measured(run, group, variable, lambda values: values.fill(new))
    measured(ghost, group, variable, lambda values: values.fill(old))
    assert told(run, ghost)[1] == f"Step 145: {said}"


def test_a_unit_or_two_that_died_is_too_close_to_call():
    run, ghost = made_up(BIAS, records=30), made_up(records=30)
    measured(run, "layers", "dead_share", lambda values: values.fill(0.009))
    measured(ghost, "layers", "dead_share", lambda values: values.fill(0.0))
    assert len(told(run, ghost)) == 2


def test_a_difference_in_speed_is_not_put_down_to_the_knob():
    run, ghost = made_up(POST, records=30), made_up(records=30)
    measured(run, "train", "seconds", lambda values: np.multiply(values, 2, out=values))
    assert told(run, ghost)[1] == ("Step 145: the speed is 2× lower (12,800 against 25,600 characters/s). "
                                   "Other work on the machine counts too.")


def test_speed_is_told_after_what_the_settings_did():
    run, ghost = made_up(BIAS, records=30), made_up(records=30)
    measured(run, "train", "seconds", lambda values: np.multiply(values, 9, out=values))
    measured(run, "residual", "rms", lambda values: np.multiply(values, 2, out=values))
    assert "the signal after the last layer" in told(run, ghost)[1]
    assert "the speed" in told(run, ghost)[2]


def test_of_a_huge_ratio_only_that_it_is_huge():
    run, ghost = made_up(POST, records=30), made_up(records=30)
    measured(run, "residual", "gradient_rms", lambda values: values[:, 0].fill(2e-7))
    measured(ghost, "residual", "gradient_rms", lambda values: values[:, 0].fill(0.02))
    assert "the gradient reaching layer 0 is over 1,000× smaller with Post-LN" in told(run, ghost)[1]


def test_what_was_never_measured_is_not_spoken_of():
    run, ghost = made_up(BIAS, records=1), made_up(records=1)  # no update, no speed, and scores that are all zero
    assert told(run, ghost) == [f"Step 0: {len(MEASURES) - 3} measures differ by less than 1.5×. Too close to call."]


def test_each_measure_leads_to_a_page_that_there_is():
    for measure in MEASURES:
        assert PAGES.get(measure.page).name == measure.page
    run, ghost = made_up(POST, records=30), made_up(records=30)
    assert shown(session_of(run, ghost))[0]["link"] == {"label": "See Training ›", "page": "training"}
    seeds = shown(session_of(run, ghost, can_try_seeds=lambda: True))[0]["link"]
    assert seeds == {"label": "Try 3 seeds ›", "action": "seeds"}


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
    assert told(run, ghost)[1].startswith("Step 145: the signal after the last layer is nan with Post-LN, and ")


def test_a_live_knob_is_told_with_its_step():
    run = made_up(records=30)
    run.marks = [Mark(120, "training.learning_rate", 0.003, 0.01)]
    probe(run)
    assert told(run)[0] == "Step 120: learning rate 0.003 became 0.01."


def test_past_the_horizon_it_says_so_and_offers_to_extend():
    run = made_up({"training.steps": 100, "training.learning_rate": 0.003}, records=30)
    ghost = made_up(records=30)
    assert told(run, ghost)[0] == "Step 145: the schedule has ended. Train goes on at learning rate 0.0003."
    assert offered(run, ghost) == ["both", "new", "extend", "undo", "break"]
    assert actions(session_of(run))[0]["label"] == "Extend to 200 steps"


def test_where_the_server_lets_no_run_go_further_nothing_is_said_or_offered_that_would():
    run, ghost = made_up({"training.steps": 100}, records=30), made_up(records=30)
    end = Limits(steps=run.step)
    first = sentences(session_of(run, ghost, limits=end))[0].text
    assert first == f"Step {run.step}: this server lets no run go further. Turn a knob, or Reset."
    assert offered(run, ghost, limits=end) == ["undo", "break"]
    assert actions(session_of(run, limits=Limits(steps=150)))[0]["label"] == "Extend to 150 steps"


def test_there_is_no_undo_without_a_ghost_unless_knobs_wait():
    assert offered(made_up(records=30)) == ["break"]
    assert offered(made_up(records=30), problems=["Heads"]) == ["undo", "break"]


def test_what_can_be_done_next_depends_on_where_the_two_stand():
    run, ghost = made_up(POST, records=30), made_up(records=30)
    assert offered(run, ghost) == ["both", "new", "undo", "break"]
    assert offered(run, ghost, state="training") == ["undo", "break"]
    assert offered(run, ghost, race=object()) == ["undo", "break"]
    assert offered(run, ghost, limits=Limits(steps=run.step)) == ["undo", "break"]
    assert offered(run, ghost, lesson=object()) == []
    run.marks = [Mark(20, "training.learning_rate", 0.1, 0.003)]
    assert offered(run, ghost) == ["both", "new", "rerun", "undo", "break"]
    ghost.divergence = Divergence(146, 3, "blocks.3.scores", "infinite number", 3825.0, 145)
    assert offered(run, ghost) == ["new", "rerun", "undo", "break"]
    assert offered(ghost, run) == ["undo"]


def test_a_run_is_broken_on_purpose_once():
    run, ghost = (made_up({"training.learning_rate": rate}, records=30) for rate in (0.09, 0.003))
    assert "break" not in offered(run, ghost)
    assert "break" not in offered(ghost, run)
    assert "break" in offered(run)


def test_every_button_does_something():
    run, ghost = made_up(POST, records=30), made_up(records=30)
    run.marks = [Mark(20, "training.learning_rate", 0.1, 0.003)]
    every = {*offered(run, ghost), *offered(run, trial=SimpleNamespace(at=None)), "extend"}
    assert every == PRESSES.keys()


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


def test_what_was_changed_later_in_one_and_is_so_from_the_start_in_the_other_differs_until_then():
    """A learning rate that was turned while the ghost trained is the new run's from step 0."""
    late = {"training.learning_rate": 1.0}
    run, ghost = made_up(POST | late, records=14), made_up(late, records=30)
    ghost.marks = [Mark(136, "training.learning_rate", 0.003, 1.0)]
    assert told(run, ghost)[0] == "2 knobs differ: their effects cannot be told apart."
    run.marks = [Mark(100, "training.learning_rate", 0.003, 1.0)]  # as late as the steps that are compared
    assert not any("knobs differ" in said for said in told(run, ghost))


def test_losses_on_different_texts_are_not_compared():
    run, ghost = made_up({"corpus": "addition"}, records=30), made_up(records=30)
    assert told(run, ghost)[0] == "The two learn different texts, so their losses can't be compared."


def test_what_is_looked_into_on_different_texts_is_not_compared_but_for_its_loss():
    run, ghost = made_up({"probe_text": "He had a ball."}, records=30), made_up(records=30)
    different = "They are looked into on different texts, so nothing but their losses can be compared."
    said = told(run, ghost)
    assert said[0].startswith("Step 145: loss ")
    assert said[1:] == [different]
    other = made_up({"probe_text": "He had a ball.", "corpus": "other"}, records=30)
    assert different not in told(other, ghost)  # of different texts it is said that their losses can't be compared
