"""The code page: the source is what runs, whatever the knobs say, and the numbers are those that were measured."""

import html
import inspect
import re
from types import SimpleNamespace

import numpy as np
import pytest

from tlab_core.activations import ACTIVATIONS, Activation, Gated, Swish
from tlab_core.attention import CausalSelfAttention, HeadNorm
from tlab_core.config import Architecture, Training
from tlab_core.embedding import CrossEntropy
from tlab_core.experiment import Experiment, default_experiment
from tlab_core.norms import NORMS, Norm, RMSNorm
from tlab_core.objective import Objective
from tlab_core.optimizers import OPTIMIZERS, Adam, AdamW, Optimizer
from tlab_core.positions import POSITIONS
from tlab_core.residuals import RESIDUALS
from tlab_core.run import LiveRun
from tlab_core.schedules import SCHEDULES
from tlab_core.transformer import Transformer
from tlab_dash.code_page import CodePage, figure, flow_needs
from tlab_dash.selection import Selection
from tlab_dash.source import PARTS, coloured, listing, listings
from tlab_dash.views.measured import MEASURING

KNOBS = {
    "norm": (NORMS, "architecture", "norm_type"),
    "residual": (RESIDUALS, "architecture", "residual_type"),
    "activation": (ACTIVATIONS, "architecture", "activation_type"),
    "position": (POSITIONS, "architecture", "pos_encoding_type"),
    "optimizer": (OPTIMIZERS, "training", "optimizer"),
    "schedule": (SCHEDULES, "training", "schedule"),
}
OPTIONS = [(part, name) for part, (registry, _, _) in KNOBS.items() for name in registry.names()]


def with_knob(part, value):
    experiment = default_experiment()
    _, group, knob = KNOBS[part]
    return experiment.replace(**{group: getattr(experiment, group).replace(**{knob: value})})


def plain(lines):
    """The text that a browser shows of lines of HTML."""
    return "\n".join(html.unescape(re.sub(r"<[^>]*>", "", line)) for line in lines)


def names(part, experiment):
    return [one.name for one in listings(part, experiment)]


@pytest.fixture(scope="module")
def run():
    run = LiveRun(Experiment(
        architecture=Architecture(num_layers=2, hidden_dim=16, num_heads=2, residual_type="Sandwich"),
        training=Training(batch_size=2, seq_len=16, statistics_every=2, executor="serial", shards=1), corpus="stories"))
    run.advance(steps=4)
    selection = Selection()
    selection.choose(run, layer=1, head=1, position=2)
    run.analyse("flow", **flow_needs(run, selection)["flow"])
    return run


@pytest.fixture
def session(run):
    selection = Selection()
    selection.choose(run, layer=1, head=1, position=2)
    return SimpleNamespace(run=run, selection=selection, experiment=run.experiment, touch=lambda: None)


# The source ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("part", "name"), OPTIONS)
def test_each_options_own_source_comes_first_and_whole(part, name):
    shown = listings(part, with_knob(part, name))[0]
    component = KNOBS[part][0].get(name)
    assert plain(shown.lines) == inspect.getsource(component).rstrip("\n")
    assert shown.place == component.__module__
    file = inspect.getsourcefile(component)
    with open(file, encoding="utf-8") as lines:
        assert plain(shown.lines[:1]) == lines.read().splitlines()[shown.first - 1]


@pytest.mark.parametrize(("part", "name"), [option for option in OPTIONS if option[0] != "schedule"])
def test_forward_and_backward_are_there_together(part, name):
    """Wherever the chosen class takes a method from, that place is shown too."""
    experiment = with_knob(part, name)
    component, shown = KNOBS[part][0].get(name), names(part, experiment)
    for method in ("forward", "backward", "embed", "rotate", "bias", "update"):
        if hasattr(component, method):
            owner = next(cls for cls in component.__mro__ if method in vars(cls))
            assert owner.__name__ in shown, method


def test_what_a_class_hands_on_to_is_shown_and_what_it_replaces_is_not():
    experiment = default_experiment()
    assert names("norm", with_knob("norm", "RMSNorm")) == [RMSNorm.__name__]  # Norm only says what there is to fill in
    assert Norm.__name__ not in names("norm", with_knob("norm", "LayerNorm"))
    assert names("activation", with_knob("activation", "SwiGLU")) == [
        "SwiGLU", Gated.__name__, Activation.__name__, Swish.__name__]
    assert names("optimizer", with_knob("optimizer", "AdamW")) == [AdamW.__name__, Adam.__name__, Optimizer.__name__]
    muon = names("optimizer", with_knob("optimizer", "Muon"))
    assert {"Muon", "Optimizer", "orthogonal"} <= set(muon)  # by super().update and by name
    assert names("schedule", with_knob("schedule", "cosine")) == ["cosine", "warming_up", "climb", "between", "progress"]
    assert names("attention", experiment) == [CausalSelfAttention.__name__]
    with_norm = experiment.replace(architecture=experiment.architecture.replace(qk_norm=True))
    assert names("attention", with_norm) == [CausalSelfAttention.__name__, HeadNorm.__name__]
    assert names("loss", experiment) == [CrossEntropy.__name__]
    smooth = experiment.replace(training=experiment.training.replace(label_smoothing=0.1))
    assert names("loss", smooth) == [Objective.__name__, CrossEntropy.__name__]


def test_the_classes_are_those_that_a_model_is_built_of(run):
    layouts = Transformer(run.experiment.architecture).branches
    built = {type(part).__name__ for layout in layouts for part in (layout, layout.branch, *layout.layers)}
    shown = {names(part, run.experiment)[0] for part in ("norm", "residual", "attention", "feed_forward")}
    assert built == shown


def test_all_that_stands_in_the_code_is_escaped():
    source = 'x = "<img src=x onerror=alert(1)>"  # </pre><script>\n"""a\n<b>"""\n'
    lines = coloured(source)
    assert plain(lines) == source.rstrip("\n")
    assert not re.search(r"<(?!/?span[ >])", "".join(lines))
    assert all(line.count("<span") == line.count("</span>") for line in lines)


def test_a_class_without_a_file_is_said_to_have_none():
    space = {"__name__": "__main__"}
    exec("class MyNorm:\n    def forward(self): ...", space)
    shown = listing(space["MyNorm"])
    assert not shown.lines
    assert "MyNorm was defined in a notebook" in shown.missing


# The page ------------------------------------------------------------------------------------------------------------


def test_a_turned_knob_changes_the_source_before_the_run_is_built(session):
    page = CodePage(session)
    assert page.code[0]["name"] == session.experiment.architecture.norm_type
    session.experiment = with_knob("norm", "None")
    page.refresh()
    assert page.code[0]["name"] == "NoNorm"
    assert ["norm", "Norm: None"] in page.parts


def test_source_that_is_the_same_is_not_sent_again(session):
    page, sent = CodePage(session), []
    page.param.watch(lambda event: sent.append(event.name), ["code"])
    page.refresh()
    assert not sent
    page._handle_msg({"part": "optimizer"})
    assert sent == ["code"]


def test_only_parts_that_there_are_can_be_chosen(session):
    page = CodePage(session)
    for wrong in ("os", None, ["norm"], {"part": "norm"}):
        page._handle_msg({"part": wrong})
    assert page.part == "norm"


@pytest.mark.parametrize("part", [name for name, part in PARTS.items() if part.sites])
def test_each_part_has_the_numbers_of_its_own_sites(session, part):
    page = CodePage(session, part=part)
    found = session.run.analyses["flow"]
    rows = page.flow["rows"]
    assert rows
    for row in rows:
        at = found.sel(site=row["site"])
        assert row["shape"] == f"{at['axes'].item()} = {at['shape'].item()}"
        assert row["cells"] == [figure(at[name].item()) for name in ("rms", "max", "gradient_rms")]
        assert row["first"].split()[0].replace("masked", "−∞") == figure(at["first"].values[0])
    sites = [row["site"] for row in rows]
    assert sites == [site for site in found["site"].values if site in sites]  # in the order of the pass


def test_the_norms_rows_are_the_layers_norms_and_the_last(session):
    rows = CodePage(session).flow["rows"]
    assert [row["name"] for row in rows] == ["norm 1", "post-norm 1", "norm 2", "post-norm 2", "final norm"]
    assert rows[0]["site"] == "blocks.1.norm1"
    assert CodePage(session).flow["where"].endswith(", head 1 · step 4")


def test_the_streams_rows_are_those_around_the_chosen_layer(session):
    rows = CodePage(session, part="residual").flow["rows"]
    assert [row["site"] for row in rows if row["name"].startswith("stream")] == ["residual.2", "residual.3", "residual.4"]
    assert "residual.0" in [row["site"] for row in CodePage(session, part="position").flow["rows"]]


def test_a_masked_score_is_called_so(session):
    scores = next(row for row in CodePage(session, part="attention").flow["rows"] if row["site"].endswith("scores"))
    assert scores["first"].split()[3:] == ["masked"] * 3  # position 2 sees three characters


def test_the_optimizer_has_what_it_did_to_each_parameter(session):
    rows = CodePage(session, part="optimizer").flow["rows"]
    record = session.run.recorder.group("parameters").isel(step=-1)
    assert {row["site"] for row in rows} == {
        name for name in record["parameter"].values if name.startswith("blocks.1.") or not name.startswith("blocks.")}
    for row in rows:
        at = record.sel(parameter=row["site"])
        assert row["cells"] == [figure(at[name].item()) for name in ("weight_rms", "gradient_rms", "update_ratio")]


def test_the_schedule_has_the_rate_of_the_last_update(session):
    rate = session.run.recorder.group("train")["learning_rate"].values
    assert CodePage(session, part="schedule").flow["rows"][0]["cells"] == [figure(rate[-1])]
    session.selection.step = 2
    page = CodePage(session, part="schedule")
    assert page.flow["rows"][0]["cells"] == [figure(rate[1])]
    assert page.flow["where"] == "Step 2"


def test_until_it_is_measured_the_page_says_so(session):
    session.selection.choose(session.run, position=7)
    assert CodePage(session).flow == {"remark": MEASURING}
    session.selection.choose(session.run, position=2)
    session.selection.step = 2
    assert CodePage(session).flow["remark"] == "Measured at step 4; past steps were not kept."


def test_without_a_run_there_is_code_alone(session):
    session.run = None
    page = CodePage(session)
    assert page.code
    assert page.flow == {}


def test_figures_have_three_digits():
    assert [figure(value) for value in (1.0, 0.000123456, -12345.0, np.inf)] == ["1.00", "0.000123", "−1.23e+04", "∞"]


def test_a_part_that_is_not_there_says_so_in_place_of_an_empty_table():
    run = LiveRun(Experiment(
        architecture=Architecture(num_layers=2, hidden_dim=16, num_heads=2, norm_type="None"),
        training=Training(batch_size=2, seq_len=16, executor="serial", shards=1), corpus="stories"))
    selection = Selection()
    run.analyse("flow", **flow_needs(run, selection)["flow"])
    page = CodePage(SimpleNamespace(run=run, selection=selection, experiment=run.experiment, touch=lambda: None))
    assert page.flow == {"remark": "Norm is None: nothing stands in the signal's way, so there are no numbers to show."}
    page.on_part("residual")
    assert page.flow["rows"]
