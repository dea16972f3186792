"""Further seeds of a run and its ghost: what is trained, what is kept, and what is said then."""

import gc
import weakref
from itertools import combinations
from types import SimpleNamespace

import pytest

from tests.dash.driven import DrivenRun, settle
from tlab_core.divergence import Divergence
from tlab_core.experiment import default_experiment
from tlab_core.history import History
from tlab_core.run import Mark
from tlab_core.schema import coordinates
from tlab_dash.changes import Changes, actions, told, verdict
from tlab_dash.knob_names import with_knobs
from tlab_dash.seed_trial import SeedTrial, loss_at, reseeded
from tlab_dash.session import Session

EVERY = 20  # steps between two validation losses
BEFORE, AFTER = default_experiment(), with_knobs(default_experiment(), {"architecture.norm_type": "None"})


def loss_of(experiment, step):
    """A made-up validation loss that depends on setting, seed and step."""
    worse = 0.3 if experiment.architecture.norm_type == "None" else 0.0
    return 2.0 + worse + 0.01 * (experiment.training.seed - 1) ** 2 - 0.001 * step


class ValidatedRun(DrivenRun):
    """Counts steps and has a validation loss every 20 of them, and when asked. `made` has every one that is still there."""

    made = weakref.WeakSet()
    pause = 0.0001
    breaks = ()  # pairs of norm and seed that diverge

    def __init__(self, experiment):
        super().__init__(experiment)
        self.recorder = History(coordinates(num_layers=1, num_heads=1, vocab_size=5, parameters=["w"], probe_length=4))
        self.recorder.attributes["corpus_hash"] = experiment.corpus
        self.trainer = SimpleNamespace(close=lambda: None, validate=self.validate)
        self.baselines = {}
        self.validate()
        if (experiment.architecture.norm_type, experiment.training.seed) in self.breaks:
            self.breaks_at = 30
        self.made.add(self)

    def validate(self):
        if self.recorder.last_step("validation") != self.step:
            self.recorder.append("validation", self.step, {"loss": loss_of(self.experiment, self.step)})

    def advance(self, seconds=None, steps=None, until=None, look=False):
        while until is None or self.step < until:
            step = self.step
            super().advance(steps=1)
            if self.step % EVERY == 0:
                self.validate()
            if seconds is None or self.divergence is not None or self.step == step:
                return
            seconds -= 0.001
            if seconds < 0:
                return


def at(run, step):
    run.advance(seconds=10, until=step)
    return run


@pytest.fixture
def session(fleet):
    """A session whose run and ghost have made 60 steps each and stand still."""
    session = Session(BEFORE, fleet=fleet, open_run=ValidatedRun)
    settle(session, lambda: session.run is not None)
    session._seat.stage(at(ValidatedRun(AFTER), 60), at(ValidatedRun(BEFORE), 60))
    settle(session, lambda: session.ghost is not None and session.state == "paused")
    yield session
    session.close()


NAMES = ("norm None", "RMSNorm")


def test_three_seeds_of_both_are_compared_at_the_same_step(session):
    assert session.can_try_seeds()
    session.try_seeds(NAMES)
    trial, seen = session.trial, set()
    settle(session, lambda: seen.add(trial.at) or trial.at is None)
    assert {place[:2] for place in seen - {None}} <= {(2, 0), (2, 1), (3, 0), (3, 1)}
    assert (trial.trouble, trial.broken, trial.step) == ("", [0, 0], 60)
    assert not session.can_try_seeds() or session._seat.work is None
    for settings, losses in zip((AFTER, BEFORE), trial.losses, strict=True):
        assert losses == pytest.approx([loss_of(reseeded(settings, by), 60) for by in range(3)])


def test_the_panel_says_how_far_it_is_and_then_what_it_found_and_can_be_left(session):
    panel = SimpleNamespace(_session=session, refresh=lambda: None)
    Changes.on_action(panel, "seeds")
    assert session.trial.names == NAMES
    assert told(session)[0]["text"] == "Seed 2 of 3, norm None: step 0 of 60."
    assert [action["label"] for action in actions(session)] == ["Cancel"]
    settle(session, lambda: session.trial.at is None)
    assert [line["text"] for line in told(session)] == [
        "Step 60, 3 seeds each. All losses are on unseen text.",
        "With norm None: 2.240 to 2.250. With RMSNorm: 1.940 to 1.950.",
        "All 3 with RMSNorm are lower. Luck alone does that 1 time in 10: a hint, no proof.",
    ]
    assert all(len(line["text"].split()) <= 20 for line in told(session))
    assert [action["label"] for action in actions(session)] == ["Back"]
    Changes.on_action(panel, "one")
    assert session.trial is None


def test_only_losses_are_kept(session):
    session.try_seeds(NAMES)
    settle(session, lambda: session.trial.at is None)
    gc.collect()
    assert set(ValidatedRun.made) <= {session.run, session.ghost}
    assert loss_at(session.run, 60) == pytest.approx(loss_of(AFTER, 60))


def test_losses_that_overlap_are_not_told_apart():
    assert verdict(NAMES, ([1.0, 1.2, 1.1], [1.15, 1.3, 1.4])) == "They overlap: 3 seeds can't tell the two apart."
    assert verdict(NAMES, ([1.0, 1.2, 1.1], [1.2, 1.3, 1.4])).startswith("They overlap")
    assert verdict(NAMES, ([1.0, 1.2, 1.1], [1.21, 1.3, 1.4])).startswith("All 3 with norm None are lower.")


def test_how_seldom_luck_does_it_is_counted():
    """Of all the ways in which six losses fall to two settings, so many have one setting below the other."""
    ways = [set(chosen) for chosen in combinations(range(6), 3)]
    apart = [chosen for chosen in ways if max(chosen) < 3 or min(chosen) >= 3]
    assert f"1 time in {len(ways) // len(apart)}:" in verdict(NAMES, ([1, 2, 3], [4, 5, 6]))


def test_it_can_be_cancelled_and_the_runs_on_show_stay(session):
    run, ghost = session.run, session.ghost
    session.try_seeds(NAMES)
    settle(session, lambda: session._seat.work is not None)
    session.stop_seeds()
    settle(session, lambda: session._seat.work is None)
    assert (session.run, session.ghost, session.trial) == (run, ghost, None)
    assert session.can_try_seeds()


def test_another_run_ends_it_and_undo_does_not(session):
    session.try_seeds(NAMES)
    trial, run = session.trial, session.run
    session.undo()
    settle(session, lambda: session.ghost is run)
    assert session.trial is trial
    session.change(num_layers=6)
    settle(session, lambda: session.run.experiment.architecture.num_layers == 6)
    assert session.trial is None
    settle(session, lambda: session._seat.work is None)


def test_where_a_seed_broke_no_means_are_told(session, monkeypatch):
    monkeypatch.setattr(ValidatedRun, "breaks", {("None", 2)})
    session.try_seeds(NAMES)
    settle(session, lambda: session.trial.at is None)
    (said,) = told(session)
    assert said["text"] == "1 of 3 seeds of norm None broke before step 60. Their losses can't be compared."


def test_what_goes_wrong_is_told(session):
    session._seat.build = None
    session.try_seeds(NAMES)
    settle(session, lambda: session.trial.at is None)
    assert told(session) == [{"text": "'NoneType' object is not callable", "kind": "warning"}]


@pytest.mark.parametrize("spoil", [
    lambda run, ghost: setattr(run, "divergence", Divergence(61, 0, "blocks.0.scores", "infinite number")),
    lambda run, ghost: setattr(ghost, "marks", [Mark(10, "training.learning_rate", 0.1, 0.2)]),
    lambda run, ghost: setattr(run, "experiment", with_knobs(run.experiment, {"corpus": "addition"})),
    lambda run, ghost: setattr(run, "experiment", with_knobs(BEFORE, {"training.seed": 9})),
    lambda run, ghost: setattr(ghost, "recorder", ValidatedRun(BEFORE).recorder),
])
def test_where_seeds_would_tell_nothing_they_are_not_offered(session, spoil):
    run, ghost = session.run, session.ghost
    assert SeedTrial.step_for(run, ghost) == 60
    spoil(run, ghost)
    assert SeedTrial.step_for(run, ghost) is None
    assert not session.can_try_seeds()
    session.try_seeds(NAMES)
    assert session.trial is None


def test_there_is_nothing_to_try_without_a_ghost():
    assert SeedTrial.step_for(ValidatedRun(BEFORE), None) is None
