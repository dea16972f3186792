"""What someone has defined, on the page: in the selectors, on the map, in the code, in pictures; and what is missing."""

import linecache
from html import escape

import holoviews as hv
import numpy as np
import pytest

from tests.dash.fakes import fake_run
from tests.dash.test_pages import settle
from tlab_core import Architecture, LiveRun, default_experiment, statistic
from tlab_core.absent import Absent
from tlab_core.activations import ACTIVATIONS, Swish
from tlab_core.config import Training
from tlab_core.experiment import Experiment
from tlab_core.norms import NORMS, RMSNorm
from tlab_core.own_statistics import STATISTICS
from tlab_core.runs import RunStore
from tlab_dash import Lab
from tlab_dash.architecture_map import drawing
from tlab_dash.code_page import CodePage
from tlab_dash.controls import Knobs
from tlab_dash.fleet import Fleet
from tlab_dash.knob_names import with_knobs
from tlab_dash.own_picture import OwnPicture
from tlab_dash.pages import PAGES
from tlab_dash.pair import recorded_views
from tlab_dash.run_details import pictures, told
from tlab_dash.selection import Selection
from tlab_dash.session import Session
from tlab_dash.snapshot import snapshot_bytes
from tlab_dash.source import listing
from tlab_dash.trail import PARTS
from tlab_dash.views import View, ViewError, head_scores, live, own_statistic
from tlab_dash.views.view import VIEWS

TINY = with_knobs(default_experiment(), {
    "architecture.hidden_dim": 32, "architecture.num_layers": 2, "architecture.ff_dim": 64, "training.batch_size": 2,
    "training.seq_len": 16,
})
REGISTRIES = (NORMS, ACTIVATIONS, STATISTICS, VIEWS)


@pytest.fixture(autouse=True)
def only_ours():
    """Leave nothing to other tests."""
    before = [registry.so_far() for registry in REGISTRIES]
    yield
    for registry, components in zip(REGISTRIES, before, strict=True):
        registry.restore(components)


@pytest.fixture
def fleet():
    fleet = Fleet(workers=1)
    yield fleet
    fleet.close()


def define():
    """A norm, two statistics and a view, as cells of a notebook define them."""
    NORMS.register("MyNorm")(type("MyNorm", (RMSNorm,), {"__module__": "__main__"}))

    @statistic
    def attention_sink(weights):
        """Share of attention on the first character."""
        return weights[:, :, 1:, 0].mean(axis=-1)

    @statistic(units="nats per unit")
    def pull(attention_gradient):
        return np.abs(attention_gradient).max(axis=(1, 2)) - 1

    return View(
        name="my_view", title="My <b>view</b>", caption="Mine.",
        columns=lambda run, selection, ghost=None: {"line": {"x": np.arange(3.0), "y": np.arange(3.0)}},
        draw=lambda columns, theme: hv.Overlay([hv.Curve(columns["line"], "x", "y")]),
        limits=lambda columns: ((0, 2), (0, 2)),
    )


def live_run():
    run = LiveRun(TINY)
    run.advance(steps=6)
    run.trainer.close()
    return run


# ---- what is here


def test_a_norm_that_is_defined_while_the_page_is_open_is_offered_at_once(fleet):
    session = Session(TINY, fleet=fleet)
    knobs = Knobs(session)
    before = knobs.groups
    knobs.refresh()
    assert knobs.groups is before
    define()
    knobs.refresh()
    (offered,) = [knob["options"] for group in knobs.groups for knob in group["knobs"] if knob["label"] == "Norm"]
    assert offered == ["LayerNorm", "RMSNorm", "None", "MyNorm"]
    knobs.on_turn({"knob": "architecture.norm_type", "value": "MyNorm"})
    assert (session.draft.architecture.norm_type, session.problems) == ("MyNorm", [])
    session.close()


def test_a_norm_that_breaks_is_named_on_the_page(fleet):
    def forward(self, x, work):
        return x / (1 // 0)

    NORMS.register("Crack")(type("Crack", (RMSNorm,), {"__module__": "__main__", "forward": forward}))
    lab = Lab(TINY, fleet=fleet)
    settle(lab, lambda: lab.session.run is not None)
    lab.session.start(with_knobs(TINY, {"architecture.norm_type": "Crack"}))
    settle(lab, lambda: lab.session.message)
    assert lab.session.experiment.architecture.norm_type == "RMSNorm"
    assert lab.session.message.startswith("The norm 'Crack': ZeroDivisionError: ")
    assert lab.session.message.endswith(" of test_extending.py. `check_gradients('Crack')` tries it alone.")
    lab.close()


def test_the_map_draws_it(fleet):
    define()
    ACTIVATIONS.register("Mine")(type("Mine", (Swish,), {}))
    drawn = str(drawing(Architecture(norm_type="MyNorm", activation_type="Mine")))
    assert ">M</text>" in drawn


def test_the_code_page_shows_a_class_out_of_a_notebooks_cell():
    source = ("x = 1\n\n@decorated\nclass FromACell(RMSNorm):\n    '''Mine.'''\n\n"
              "    def forward(self, x, work):\n        return x < 2\n")
    cell = "/tmp/ipykernel_1/123.py"
    linecache.cache[cell] = (len(source), None, source.splitlines(keepends=True), cell)
    known = {"RMSNorm": RMSNorm, "decorated": lambda made: made, "__name__": "__main__"}
    exec(compile(source, cell, "exec"), known)
    made = known["FromACell"]
    made.__module__ = "__main__"
    shown = listing(made)
    assert (shown.missing, shown.first, len(shown.lines)) == ("", 3, 6)
    assert "FromACell" in shown.lines[1]
    assert "&lt;" in shown.lines[-1]
    del linecache.cache[cell]
    made = type("Lost", (RMSNorm,), {"__module__": "__main__"})
    assert listing(made).missing == (
        "Lost was defined in a notebook or at a prompt, and its source was not kept: there is nothing to read.")


def test_a_statistic_of_heads_is_among_their_measures():
    define()
    run = live_run()
    assert ("attention_sink", "Share of attention on the first character") in PARTS["head_measure"].options(run)
    selection = Selection(head_measure="attention_sink")
    columns = head_scores.columns(run, selection)
    np.testing.assert_allclose(columns["map"]["level"], run.recorder.group("heads")["attention_sink"][-1], rtol=1e-6)
    assert columns["scale"]["high"][0] == 1  # a share
    assert hv.render(head_scores(run, selection)) is not None
    other = fake_run()
    assert PARTS["head_measure"].at(other, selection) == "previous_token"  # it has no such statistic
    assert len(head_scores.columns(other, selection)["map"]["level"]) == 4


@pytest.mark.parametrize(("name", "words", "note"), [
    ("attention_sink", "Share of attention on the first character", "Layer 1, head 2: "),
    ("pull", "pull (nats per unit)", "Layer 1: −0."),
])
def test_a_statistic_through_time(name, words, note):
    define()
    run = live_run()
    selection = Selection(own_statistic=name, layer=1, head=2, pinned=True)
    columns = own_statistic.columns(run, selection, run)
    assert columns["measure"]["words"][0] == words
    recorded = run.recorder.group("heads" if name == "attention_sink" else "layers")[name].values
    of_layer = recorded[..., 1, 2] if name == "attention_sink" else recorded[:, 1]
    np.testing.assert_allclose(columns["chosen"]["size"], of_layer, rtol=1e-6)
    np.testing.assert_allclose(columns["ghost"]["size"], of_layer, rtol=1e-6)
    assert own_statistic.note(columns).startswith(note)
    assert hv.render(own_statistic(run, selection)) is not None


def test_without_a_statistic_nothing_speaks_of_one():
    run = fake_run()
    assert "own_statistic" not in recorded_views()
    assert own_statistic.note(own_statistic.columns(run, Selection())).startswith("This run records no statistic ")
    assert hv.render(own_statistic(run)) is not None
    assert not PAGES.get("own").when()
    assert PARTS["own_statistic"].options(run) == [("", "none")]


def test_a_page_for_what_is_ones_own(fleet):
    mine = define()
    assert {"my_view", "own_statistic"} <= set(recorded_views())
    assert "my_view" in pictures()
    lab = Lab(TINY, fleet=fleet)
    settle(lab, lambda: lab.session.run is not None)
    assert "own" in [page["name"] for page in lab.shell.pages]
    lab.shell.on_page("own")
    settle(lab, lambda: lab._page is not None and all(card.content is not None for card in lab._page._cards))
    board = lab._page
    assert [part["label"] for part in board._breadcrumb.trail["parts"]] == ["Layer", "Head", "Statistic", "Picture"]
    assert board._cards[1].content._plot.view is mine
    again = define()
    lab.session.selection.choose(lab.session.run, own_view="my_view", own_statistic="pull")
    assert board._cards[1].content._plot.view is again is VIEWS.get("my_view")
    assert board._cards[0].content.columns["measure"]["words"][0] == "pull (nats per unit)"
    lab.close()


def test_a_view_that_breaks_says_so_in_its_place(fleet):
    def broken(run, selection, ghost=None):
        raise ArithmeticError("no <b>luck</b>")

    View(name="broken", title="Broken", caption="", columns=broken, draw=lambda columns, theme: None,
         limits=lambda columns: ((0, 1), (0, 1)))  # fmt: skip
    lab = Lab(TINY, fleet=fleet)
    settle(lab, lambda: lab.session.run is not None)
    (said,) = OwnPicture(lab.session)._box.objects
    assert said.object.startswith("The view 'broken': columns raised ArithmeticError: no <b>luck</b>, in line ")
    assert said.object.endswith(" of test_extending.py.")
    assert "pre-wrap" in said.stylesheets[0]  # a line is far longer than its card is wide
    lab.close()


def mine(**functions):
    """A view of one's own, right but for some of its functions."""
    right = {
        "columns": lambda run, selection, ghost=None: {"line": {"x": [0, 1, 2], "y": [3.0, 4.0, 5.0]}},
        "draw": lambda columns, theme: hv.Overlay([hv.Curve(columns["line"], "x", "y")]),
        "limits": lambda columns: ((0, 2), (3, 5)),
    }
    return View(name="mine", title="Mine", caption="", **(right | functions))


def test_a_view_may_draw_a_single_element_of_lists_and_want_its_ghost():
    mine(columns=lambda run, selection, ghost: {"line": {"x": [0, 1, 2], "y": [3.0, 4.0, 5.0]}},
         draw=lambda columns, theme: hv.Curve(columns["line"], "x", "y"))  # fmt: skip
    assert hv.render(VIEWS.get("mine")(fake_run())) is not None
    row = live(fake_run(), "mine", "heads")
    row.__panel__()
    row.stop()


@pytest.mark.parametrize(("functions", "said"), [
    ({"draw": lambda columns, theme: None}, "draw returned None, and expected is a HoloViews overlay with an element"),
    ({"draw": lambda columns, theme: hv.Curve([1]) + hv.Curve([2])}, "draw returned :Layout "),
    ({"draw": lambda columns, theme: hv.Curve([1]) * hv.Curve([2])},
     "draw returned 2 elements, and one is expected for each of these parts, in this order: line. A part that is"),
    ({"columns": lambda run, selection, ghost: None}, "columns returned None, and expected is {part: {column: array}}, "),
    ({"columns": lambda run, selection, ghost: {"line": [1, 2]}}, "columns, for the part 'line', returned [1, 2], of list"),
    ({"columns": lambda run, selection, ghost: {"line": {"x": [1, 2], "y": [1]}}},
     "the columns of the part 'line' must be arrays of one length, and their shapes are x (2,), y (1,)."),
    ({"limits": lambda columns: None}, "limits returned None, and expected is ((left, right), (bottom, top)), such as"),
    ({"limits": lambda columns: (0, 1)}, "limits returned (0, 1), of tuple, and expected is ((left, right), "),
    ({"limits": lambda columns: columns["lines"]}, "limits raised KeyError: 'lines', in line "),
])
def test_a_view_that_returns_something_else_is_named_with_what_is_expected(functions, said):
    view = mine(**functions)
    for show in (view, lambda run: live(run, "mine", "heads").__panel__()):
        with pytest.raises(ViewError) as caught:
            show(fake_run())
        assert str(caught.value).startswith(f"the view 'mine': {said}")


def test_a_function_that_a_view_could_not_call_is_refused_when_it_is_made():
    with pytest.raises(ViewError, match=r"columns takes \(run\), and is called with \(run, selection, ghost\)\."):
        mine(columns=lambda run: {})
    with pytest.raises(ViewError, match=r"view 'mine': note is 'words', of str, and a function of \(columns\) is expected"):
        mine(note="words")
    assert "mine" not in VIEWS


def test_a_page_of_the_lab_as_it_comes_has_no_tab_for_ones_own(fleet):
    lab = Lab(TINY, fleet=fleet)
    assert "own" not in [page["name"] for page in lab.shell.pages]
    lab.close()


# ---- what is missing


@pytest.fixture
def kept(tmp_path):
    """A run with MyNorm in a folder, and MyNorm gone."""
    define()
    run = LiveRun(with_knobs(TINY, {"architecture.norm_type": "MyNorm"}))
    store = RunStore(tmp_path / "runs")
    writer = store.create(run, "it")
    run.advance(steps=5)
    writer.close()
    run.trainer.close()
    for registry in (NORMS, STATISTICS, VIEWS):
        registry.restore({name: one for name, one in registry.so_far().items()
                          if name not in ("MyNorm", "attention_sink", "pull", "my_view")})  # fmt: skip
    return store


SAID = ("The norm 'MyNorm' (norm_type) is not here. It was defined in a notebook or a script. Run what defines it first, "
        "in the same program; or put that into a module, and give tlab the option --import MODULE.")


def test_a_run_with_a_missing_norm_is_shown_with_its_pictures_and_says_so(kept):
    saved = kept.open("it")
    assert told(saved)["message"] == SAID
    assert ["Norm", "MyNorm"] in told(saved)["unusual"]
    for name, view in pictures().items():
        assert hv.render(view(saved)) is not None, name
    assert "attention_sink" in dict(PARTS["head_measure"].options(saved))
    assert ">M</text>" in str(drawing(saved.experiment.architecture))


def test_a_snapshot_of_it_says_in_the_place_of_its_code_that_the_norm_is_missing(kept):
    html = snapshot_bytes({"it": kept.open("it")}).html.decode()
    assert f"<code># {escape(SAID[0].lower() + SAID[1:])}</code>" in html


def test_a_missing_activation_is_drawn_by_its_initial():
    for compact in (1, 12):
        name = Absent("Zigzag", "activation", "activation_type", traits={"gated": False})
        assert ">Z</text>" in str(drawing(Architecture(activation_type=name, num_layers=compact)))


def test_neither_going_on_nor_its_settings_disturb_the_run_on_the_page(kept, fleet):
    session = Session(TINY, fleet=fleet)
    knobs, code = Knobs(session), CodePage(session)
    with pytest.raises(Exception, match="can't go on: the norm 'MyNorm'"):
        session.resume(kept, "it")
    assert session.experiment == TINY
    session.start(kept.open("it").experiment)
    assert session.experiment == TINY
    knobs.refresh()
    code.refresh()
    (problem,) = knobs.problems
    assert (problem["knob"], problem["message"], problem["fix"]) == ("architecture.norm_type", SAID, "Set Norm to RMSNorm")
    assert knobs.values["architecture.norm_type"] == "MyNorm"
    (offered,) = [knob["options"] for group in knobs.groups for knob in group["knobs"] if knob["label"] == "Norm"]
    assert offered[0] == "MyNorm"
    knobs.on_fix(0)
    assert session.problems == []
    assert session.experiment.architecture.norm_type == "RMSNorm"
    session.close()


def test_an_optimizer_that_is_missing_leaves_the_knobs_readable():
    training = Training(optimizer=Absent("Mine", "optimizer", "optimizer"))
    assert "beta1" in training.unheeded
    assert Experiment(training=training).problems()[0].fix == {"training.optimizer": "AdamW"}
