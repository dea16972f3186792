"""Looking back: every view at an earlier step shows what it showed when the run stood there."""

import time
from types import SimpleNamespace

import numpy as np
import pytest

from tests.dash.fakes import add_record, fake_run
from tests.dash.test_lab import TINY, settle
from tlab_core.run import LiveRun, Mark, Sample
from tlab_dash import Lab, views
from tlab_dash.architecture_map import map_values
from tlab_dash.fleet import Fleet
from tlab_dash.knob_names import with_knobs
from tlab_dash.selection import Selection
from tlab_dash.sentences import sentences
from tlab_dash.time_travel import INVITATION, place, recorded_steps
from tlab_dash.writing import rows

FAR, EARLIER = 20, 10


RUN = with_knobs(TINY, {"architecture.activation_type": "ReLU"})  # whose units switch off as it learns


@pytest.fixture(scope="module")
def far_run():
    run = LiveRun(RUN)
    run.advance(steps=FAR)
    return run


@pytest.fixture(scope="module")
def early_run():
    """The same run, stopped earlier: equal settings make equal numbers."""
    run = LiveRun(RUN)
    run.advance(steps=EARLIER)
    return run


def session_of(run, step=None, **more):
    return SimpleNamespace(run=run, ghost=None, selection=Selection(step=step), **more)


# The views -----------------------------------------------------------------------------------------------------------


def of_one_step(view):
    """Whether a view shows one step. A curve keeps all, with a line at the one that is looked at; what is measured on
    demand is of the newest."""
    return view.needs is None and "shown" not in view.columns(fake_run(layers=1, heads=1, positions=4), Selection())


@pytest.mark.parametrize("name", [name for name, view in views.VIEWS.items() if of_one_step(view)])
def test_a_view_at_an_earlier_step_is_what_it_was_then(name, far_run, early_run):
    view = views.VIEWS.get(name)
    chosen = {"layer": 1, "head": 2, "position": 9, "pinned": True}
    then = view.columns(far_run, Selection(step=EARLIER, **chosen))
    newest = view.columns(far_run, Selection(**chosen))
    expected = view.columns(early_run, Selection(**chosen))
    moved = False
    for part, table in expected.items():
        if "scale" in expected and part != "map":
            continue  # a scale of colours is made from all records, so that they mean the same at every step
        for column, values in table.items():
            np.testing.assert_array_equal(then[part][column], values, err_msg=f"{part}.{column}")
            moved |= not np.array_equal(newest[part][column], values)
    assert moved, "the newest step looks the same, so this test can't tell the steps apart"


def test_the_map_and_the_probe_text_too(far_run, early_run):
    chosen = {"layer": 1, "head": 2, "pinned": True}
    assert map_values(far_run, EARLIER) == map_values(early_run) != map_values(far_run)
    then = views.probe_text(far_run, Selection(step=EARLIER, **chosen))
    assert then == views.probe_text(early_run, Selection(**chosen)) != views.probe_text(far_run, Selection(**chosen))


def test_the_loss_keeps_its_whole_curve_and_marks_the_step(far_run):
    columns = views.loss.columns(far_run, Selection(step=EARLIER))
    assert columns["shown"]["step"].tolist() == columns["shown"]["end"].tolist() == [EARLIER]
    assert columns["train"]["step"][-1] == FAR
    assert not len(views.loss.columns(far_run, Selection())["shown"]["step"])


def test_the_sentences_are_about_the_step_that_is_shown(far_run):
    far_run.marks = [Mark(4, "training.learning_rate", 0.002, 0.003), Mark(15, "training.grad_clip", 1.0, None)]
    more = {"experiment": far_run.experiment, "draft": far_run.experiment, "message": "", "trouble": ""}
    told = [sentence.text for sentence in sentences(session_of(far_run, EARLIER, **more))]
    loss = far_run.recorder.group("train")["loss"].values[:EARLIER].mean()
    assert told[0] == "Step 4: learning rate 0.002 became 0.003."
    assert told[1].startswith(f"Step {EARLIER}: loss {loss:.2f}, ")
    assert " before training. Letter pairs alone give " in told[1]
    told = [sentence.text for sentence in sentences(session_of(far_run, 0, **more))]
    assert told[0].startswith("Step 0: loss ")
    far_run.marks = []


def test_the_text_is_the_newest_that_was_written_by_then():
    run = SimpleNamespace(samples=[Sample(step, "One", f" at {step}") for step in (0, 40, 104, 130)])
    newest = Sample(150, "One", " at 150")

    def shown(step):
        return [(row["kind"], row["when"]) for row in rows(session_of(run, step, text=newest))]

    assert shown(None) == [("then", "0"), ("then", "104"), ("now", "150")]
    assert shown(135) == [("then", "0"), ("then", "104"), ("now", "130")]
    assert shown(60) == [("then", "0"), ("now", "40")]
    assert shown(0) == [("now", "0")]


def test_the_ghost_speaks_as_it_did_at_that_step():
    run = SimpleNamespace(samples=[Sample(0, "One", " new"), Sample(50, "One", " new")])
    ghost = SimpleNamespace(samples=[Sample(0, "One", " old"), Sample(40, "One", " old"), Sample(200, "One", " old")])
    session = session_of(run, 50, text=run.samples[-1])
    session.ghost = ghost
    assert rows(session)[0]["when"] == "ghost 40"
    session.selection.step = None  # the newest text: what the ghost wrote after it is not shown beside it
    session.text = Sample(199, "One", " now")
    assert rows(session)[0]["when"] == "ghost 40"
    session.text = Sample(200, "One", " now")
    assert rows(session)[0]["when"] == "ghost 200"


def test_the_head_that_is_followed_stays_while_looking_back():
    run = fake_run(layers=2, heads=4, records=4)
    selection = Selection()
    followed = selection.resolve(run)
    selection.step = 5
    layer, head = (followed[0] + 1) % 2, (followed[1] + 1) % 4
    add_record(run, np.random.default_rng(1), 4)
    weight = run.recorder.group("attention")["weight"].values
    weight.flags.writeable = True
    weight[-1, layer, head] = np.roll(weight[-1, layer, head], 7, axis=-1)  # now by far the liveliest
    assert selection.resolve(run) == followed
    selection.step = None
    assert selection.resolve(run)[:2] == (layer, head)


# The slider ----------------------------------------------------------------------------------------------------------


def test_its_stops_are_the_recorded_steps_and_the_last_one_is_now(far_run):
    steps = recorded_steps(far_run).tolist()
    assert steps == [0, 5, 10, 15, 20]
    assert place(session_of(far_run)) == {"last": 4, "at": 4, "past": False, "words": "Now: the newest step."}
    assert place(session_of(far_run, 10)) == {"last": 4, "at": 2, "past": True, "words": "Step 10 of 20: the past."}


def test_between_two_looks_inside_it_says_of_which_step_the_pictures_are():
    run = fake_run(layers=1, heads=2, positions=8, records=4, every=5)
    run.step = 17
    assert place(session_of(run))["words"] == "Now: pictures of step 15."
    assert place(session_of(run), "The end of this run.")["words"] == "The end of this run."


def test_before_there_is_a_past_it_says_how_to_get_one():
    nothing = {"last": 0, "at": 0, "past": False, "words": INVITATION}
    assert place(session_of(None)) == place(session_of(fake_run(records=1))) == nothing


def test_it_says_so_when_attention_is_of_an_older_step():
    run = fake_run(layers=1, heads=2, positions=8, records=130, every=5)
    maps = run.recorder.group("attention")["step"].values
    thinned = next(step for step in recorded_steps(run) if step not in maps)
    older = maps[maps < thinned][-1]
    expected = f"Step {thinned} of 645: the past. Attention as it was at step {older}."
    assert place(session_of(run, int(thinned)))["words"] == expected


@pytest.fixture
def lab():
    fleet = Fleet(workers=1)
    lab = Lab(TINY, fleet=fleet)
    settle(lab, lambda: lab.session.text is not None and lab.session.text.done)
    yield lab
    lab.close()
    fleet.close()


def ask(lab, at, question=1):
    lab.time._handle_msg({"stop": {"at": at, "question": question}})


@pytest.fixture
def trained(lab):
    lab.session.train()
    settle(lab, lambda: lab.session.run.step >= 20)
    lab.session.pause()
    settle(lab, lambda: lab.session.state == "paused")
    time.sleep(0.2)
    settle(lab, lambda: True)
    return lab


def test_moving_it_moves_the_whole_page_and_now_brings_it_back(trained):
    page, run = trained, trained.session.run
    page.breadcrumb._handle_msg({"choose": {"part": "head", "value": 1}})
    layer, head, _ = page.session.selection.resolve(run)
    newest = (page.probe.markup, page.map.paint, page.changes.sentences)
    ask(page, 1, question=7)
    assert page.session.selection.step == 5
    assert page.time.place["answered"] == 7
    assert page.time.place["words"] == f"Step 5 of {run.step}: the past."
    weights = run.recorder.group("attention")["weight"].values[1, layer, head]
    shown = page._plots["attention"].sources["map"].data["image"][0]
    np.testing.assert_array_equal(shown, np.where(np.tri(len(weights), dtype=bool), weights, np.nan).astype(np.float32))
    residual = run.recorder.group("residual")["rms"].values[1]
    np.testing.assert_allclose(page._plots["signal"].sources["now"].data["rms"], residual)
    assert all(old != new for old, new in zip(
        newest, (page.probe.markup, page.map.paint, page.changes.sentences), strict=True))
    assert page.run_bar.status["step"] == run.step
    page.time._handle_msg({"now": True})
    assert page.session.selection.step is None
    assert newest == (page.probe.markup, page.map.paint, page.changes.sentences)


def test_the_last_stop_follows_the_newest_step_again(trained):
    ask(trained, 1)
    ask(trained, len(recorded_steps(trained.session.run)) - 1)
    assert trained.session.selection.step is None
    ask(trained, 10**9)
    assert trained.session.selection.step is None
    ask(trained, -5)
    assert trained.session.selection.step == 0


def test_training_may_go_on_behind_it(trained):
    ask(trained, 2)
    markup, step = trained.probe.markup, trained.session.run.step
    trained.session.train()
    settle(trained, lambda: trained.session.run.step > step + 10)
    assert trained.probe.markup == markup
    assert trained.time.place["at"] == 2
    assert trained.run_bar.status["step"] > step + 10


def test_a_new_run_has_no_past_yet(trained):
    ask(trained, 1)
    first = trained.session.run
    trained.session.change(num_layers=3)
    settle(trained, lambda: trained.session.run is not first)
    assert trained.session.selection.step is None
    assert trained.time.place["words"] == INVITATION


def test_what_broke_later_was_whole_before(lab):
    wild = with_knobs(TINY, {"training.learning_rate": 1000.0, "training.grad_clip": None, "architecture.norm_type": "None",
                             "training.warmup_steps": 0, "training.statistics_every": 1})
    lab.session.start(wild)
    settle(lab, lambda: lab.session.run is not None and lab.session.run.experiment.training.learning_rate == 1000)
    lab.session.train()
    settle(lab, lambda: lab.session.state == "stopped")
    message = lab.session.run.divergence.message
    assert any(sentence["text"] == message for sentence in lab.changes.sentences)
    ask(lab, 0)
    assert not any(sentence["text"] == message for sentence in lab.changes.sentences)


def test_moving_it_draws_nothing_anew(trained):
    figures = {name: plot.figure for name, plot in trained._plots.items()}
    for question in range(3):
        ask(trained, question, question)
    assert {name: plot.figure for name, plot in trained._plots.items()} == figures
