import gc
import threading
import time
import weakref

import pytest

from tests.dash.driven import DrivenRun, breaking, settle
from tlab_core.crew import WorkerError
from tlab_core.experiment import default_experiment
from tlab_core.settings import Problem, SettingsError
from tlab_dash.knob_names import differences, with_knobs
from tlab_dash.seat import GHOST_STEPS
from tlab_dash.session import Session


def train_to(session, step):
    settle(session, lambda: session.run is not None)
    session.train()
    settle(session, lambda: session.run.step >= step)


def test_it_begins_ready_with_a_run_that_a_worker_built_and_a_text(session):
    settle(session, lambda: session.text is not None and session.text.done)
    assert session.state == "ready"
    assert session.run.step == 0
    assert session.run.built_on.startswith("fleet")
    assert (session.text.step, session.text.prompt) == (0, session.experiment.prompt)


def test_train_goes_on_until_pause(session):
    train_to(session, 20)
    assert session.state == "training"
    session.pause()
    assert session.state == "paused"
    time.sleep(0.1)
    step = session.run.step
    time.sleep(0.1)
    assert session.run.step == step


def test_step_makes_exactly_one_step(session):
    for expected in (1, 2, 3):
        session.step_once()
        settle(session, lambda expected=expected: session.run.step == expected and session.state == "paused")
    time.sleep(0.1)
    assert session.run.step == 3


def test_slow_is_five_steps_a_second(session):
    session.pace = "slow"
    began = time.monotonic()
    train_to(session, 5)
    assert 0.7 < time.monotonic() - began < 1.6
    assert session.pace == "slow"


def test_reset_starts_from_step_0_with_the_same_settings(session):
    train_to(session, GHOST_STEPS)
    first = session.run
    session.reset()
    settle(session, lambda: session.run is not first)
    assert (session.run.step, session.state) == (0, "ready")
    assert session.run.experiment == first.experiment
    assert session.ghost is first


@pytest.mark.parametrize(("steps", "becomes_ghost"), [(GHOST_STEPS - 1, False), (GHOST_STEPS, True)])
def test_only_a_run_that_came_far_enough_becomes_the_ghost(session, steps, becomes_ghost):
    for expected in range(1, steps + 1):
        session.step_once()
        settle(session, lambda expected=expected: session.run.step == expected)
    first = session.run
    session.change(norm_type="None")
    settle(session, lambda: session.run is not first)
    assert (session.ghost is first) == becomes_ghost
    assert session.run.experiment.architecture.norm_type == "None"


def test_flicking_through_options_keeps_the_ghost(session):
    train_to(session, GHOST_STEPS)
    session.pause()
    first = session.run
    for norm in ("None", "LayerNorm", "None"):
        before = session.run
        session.change(norm_type=norm)
        settle(session, lambda before=before: session.run is not before)
    assert session.ghost is first


def test_knobs_turned_while_a_run_is_built_end_in_the_last_one_alone(fleet):
    built, go_on = [], threading.Event()

    def open_run(experiment):
        layers = experiment.architecture.num_layers
        built.append(layers)
        assert layers == 4 or go_on.wait(10)
        return DrivenRun(experiment)

    session = Session(fleet=fleet, open_run=open_run)
    settle(session, lambda: session.run is not None)
    for layers in (6, 7, 8):
        session.change(num_layers=layers)
        session.poll()
        assert session.draft.architecture.num_layers == layers
        assert session.run.experiment.architecture.num_layers == 4
    go_on.set()
    settle(session, lambda: session.run.experiment.architecture.num_layers == 8)
    assert (built[0], built[-1]) == (4, 8)
    assert len(built) <= 3, "of what was turned on the way, only what was begun already is built"
    session.close()


@pytest.mark.parametrize("training", [True, False])
def test_a_new_run_trains_if_the_old_one_did(session, training):
    train_to(session, GHOST_STEPS)
    if not training:
        session.pause()
    first = session.run
    session.change(num_layers=6)
    settle(session, lambda: session.run is not first)
    if training:
        settle(session, lambda: session.run.step > 3)
    assert session.state == ("training" if training else "ready")


@pytest.mark.parametrize(("knob", "value"), [
    ("learning_rate", 0.01), ("weight_decay", 0.0), ("grad_clip", None), ("beta1", 0.5), ("beta2", 0.999), ("dropout", 0.1),
    ("label_smoothing", 0.1), ("z_loss", 0.001), ("gradient_accumulation_steps", 2),
])  # fmt: skip
def test_a_live_knob_acts_on_the_run_at_once_and_leaves_a_mark(session, knob, value):
    train_to(session, 3)
    session.pause()
    first, step = session.run, session.run.step
    before = getattr(session.experiment.training, knob)
    session.change(**{knob: value})
    settle(session, lambda: getattr(first.experiment.training, knob) == value)
    assert session.run is first
    assert session.ghost is None
    mark = first.marks[-1]
    assert (mark.knob, mark.before, mark.after) == (f"training.{knob}", before, value)
    assert step <= mark.step <= first.step


@pytest.mark.parametrize("knob", ["training.batch_size", "training.warmup_steps", "training.seed", "architecture.seed"])
def test_every_other_knob_starts_a_new_run(session, knob):
    first = session.run
    session.change({knob: 7})
    settle(session, lambda: session.run is not first)


def test_a_seed_without_its_part_is_the_architectures(session):
    session.change(seed=5)
    assert (session.draft.architecture.seed, session.draft.training.seed) == (5, 0)


def test_what_does_not_go_together_keeps_the_run_and_can_be_fixed(session):
    first = session.run
    session.change(num_heads=3)
    time.sleep(0.05)
    session.poll()
    assert session.run is first
    assert session.experiment.architecture.num_heads == 4
    assert session.draft.architecture.num_heads == 3
    assert [problem.knob for problem in session.problems] == ["architecture.num_heads"]
    session.fix(session.problems[0])
    assert session.problems == []
    settle(session, lambda: session.run.experiment.architecture.num_heads == session.draft.architecture.num_heads)
    assert 128 % session.run.experiment.architecture.num_heads == 0


def test_a_value_out_of_bounds_is_a_problem_and_changes_nothing(session):
    draft = session.draft
    session.change(seed=-1)
    assert session.draft is draft
    assert "seed = -1 is not allowed" in session.problems[0].allowed


def test_undo_takes_back_knobs_that_wait_before_it_touches_the_run(session):
    first = session.run
    session.change(num_heads=5)
    session.change(num_layers=12)
    session.undo()
    assert (session.run, session.draft, session.problems) == (first, session.experiment, [])


def test_undo_swaps_run_and_ghost_and_the_knobs_follow(session):
    train_to(session, GHOST_STEPS)
    session.pause()
    first = session.run
    session.change(norm_type="None")
    settle(session, lambda: session.run is not first)
    second = session.run
    session.undo()
    settle(session, lambda: session.run is first)
    assert session.ghost is second
    assert session.draft.architecture.norm_type == first.experiment.architecture.norm_type
    session.undo()
    settle(session, lambda: session.run is second)
    assert session.draft.architecture.norm_type == "None"


def test_training_stops_at_the_horizon_and_goes_on_past_it_when_asked(fleet):
    experiment = with_knobs(default_experiment(), {"training.steps": 30})
    session = Session(experiment, fleet=fleet, open_run=DrivenRun)
    settle(session, lambda: session.run is not None)
    session.train()
    settle(session, lambda: session.run.step >= 30 and session.state == "paused")
    assert session.run.step == 30
    train_to(session, 40)
    session.pause()
    time.sleep(0.1)
    session.extend(session.run.step + 50)
    settle(session, lambda: session.run.step >= 90 and session.state == "paused")
    assert session.run.step == session.run.experiment.training.steps
    session.close()


def test_a_run_that_diverges_is_stopped_and_another_can_be_started(fleet):
    session = Session(fleet=fleet, open_run=breaking(breaks_at=60))
    settle(session, lambda: session.run is not None)
    session.train()
    settle(session, lambda: session.state == "stopped")
    first = session.run
    assert first.divergence.step == 60
    session.train()
    session.step_once()
    time.sleep(0.05)
    session.poll()
    assert (session.state, first.step) == ("stopped", 59)
    session.change(learning_rate=1e-4)  # a broken run can't go on with it, so it starts anew
    settle(session, lambda: session.run is not first)
    assert (session.state, session.run.step, session.ghost) == ("ready", 0, first)
    session.close()


def test_a_killed_worker_process_is_told_in_words_for_the_page_and_reset_begins_anew(fleet):
    class Killed(DrivenRun):
        killed = False

        def advance(self, **how):
            if not Killed.killed and self.step >= 5:
                Killed.killed = True
                raise WorkerError("worker 1 of 2 (process 7) was killed by SIGKILL", "its last words")
            super().advance(**how)

    session = Session(fleet=fleet, open_run=Killed)
    settle(session, lambda: session.run is not None)
    session.train()
    settle(session, lambda: session.state == "stopped")
    assert session.message.startswith("The run can't go on: worker 1 of 2 (process 7) was killed by SIGKILL. ")
    assert "Reset begins the run anew" in session.message
    assert "Trainer" not in session.message
    session.reset()
    settle(session, lambda: session.state == "ready")
    train_to(session, 10)
    assert session.message == ""
    session.close()


def test_an_error_in_one_run_is_shown_there_and_the_other_trains_on(fleet):
    broken = Session(fleet=fleet, open_run=breaking(raises_at=5))
    healthy = Session(fleet=fleet, open_run=DrivenRun)
    settle(broken, lambda: broken.run is not None)
    settle(healthy, lambda: healthy.run is not None)
    healthy.train()
    broken.train()
    settle(broken, lambda: broken.state == "stopped")
    assert broken.message == "the disk is full"
    assert broken.run.step == 4
    train_to(healthy, 20)
    assert (healthy.state, healthy.message) == ("training", "")
    broken.close()
    healthy.close()


def test_a_run_that_cannot_be_built_leaves_the_old_one_and_its_knobs(fleet):
    def open_run(experiment):
        if experiment.corpus != "stories":
            raise OSError("no network")
        return DrivenRun(experiment)

    session = Session(fleet=fleet, open_run=open_run)
    settle(session, lambda: session.run is not None)
    first = session.run
    session.change(corpus="tiny-shakespeare")
    settle(session, lambda: session.message != "")
    assert session.message == "no network"
    assert session.run is first
    assert session.draft.corpus == session.experiment.corpus == "stories"
    train_to(session, 3)
    session.close()


def test_settings_that_only_the_corpus_refuses_are_problems_beside_their_knobs(fleet):
    problem = Problem("training.seq_len", 200, "the text is too short", {"training.seq_len": 64})

    def open_run(experiment):
        if experiment.training.seq_len > 100:
            raise SettingsError([problem])
        return DrivenRun(experiment)

    session = Session(fleet=fleet, open_run=open_run)
    settle(session, lambda: session.run is not None)
    first = session.run
    session.change(seq_len=200)
    settle(session, lambda: session.problems == [problem])
    assert (session.run, session.draft.training.seq_len, session.message) == (first, 200, "")
    session.fix(problem)
    settle(session, lambda: session.problems == [] and session.draft.training.seq_len == 64)
    session.close()


def is_freed(ref, seconds=5):
    """Whether the object goes away within some time: a slice that it is in may take a moment."""
    deadline = time.monotonic() + seconds
    while ref() is not None and time.monotonic() < deadline:
        gc.collect()
        time.sleep(0.02)
    return ref() is None


def test_closing_frees_both_runs_even_while_training(session):
    train_to(session, GHOST_STEPS)
    session.change(norm_type="None")
    settle(session, lambda: session.ghost is not None)
    gone = [weakref.ref(session.ghost), weakref.ref(session.run)]
    session.close()
    assert all(is_freed(ref) for ref in gone)


def test_a_session_that_is_dropped_without_a_word_stops_training(fleet):
    def use_one():
        session = Session(fleet=fleet, open_run=DrivenRun)
        train_to(session, 5)
        return weakref.ref(session.run)

    assert is_freed(use_one())


def test_poll_says_whether_anything_is_new(session):
    settle(session, lambda: session.text is not None and session.text.done)
    session.poll()
    assert not session.poll()
    session.step_once()
    settle(session, lambda: session.run.step == 1)


def test_differences_name_each_knob_with_both_values():
    before = default_experiment()
    after = with_knobs(before, {"architecture.norm_type": "None", "training.learning_rate": 0.5})
    assert differences(before, after) == {
        "architecture.norm_type": ("RMSNorm", "None"), "training.learning_rate": (before.training.learning_rate, 0.5),
    }
    assert differences(before, before.replace()) == {}
