import re

import pytest

from tests.dash.driven import DrivenRun, settle
from tests.dash.fakes import fake_run
from tlab_core.config import Architecture, Training
from tlab_core.cost import estimate
from tlab_core.experiment import default_experiment
from tlab_core.norms import NORMS
from tlab_core.optimizers import OPTIMIZERS
from tlab_dash import controls
from tlab_dash.controls import (
    NOT_KNOBS,
    Knobs,
    all_knobs,
    describe,
    fix_label,
    knob_groups,
    parameter,
    round_numbers,
    stops,
    summary,
    value_label,
    warning,
)
from tlab_dash.fleet import Fleet
from tlab_dash.knob_names import knob_value, with_knobs
from tlab_dash.session import Session

EXPERIMENT = default_experiment()
KNOBS = all_knobs(EXPERIMENT)


@pytest.fixture
def session():
    fleet = Fleet(slice_seconds=0.02)
    session = Session(fleet=fleet, open_run=DrivenRun)
    settle(session, lambda: session.run is not None)
    yield session
    session.close()
    fleet.close()


@pytest.fixture
def knobs(session):
    # What a step takes is read from the run's history, which a driven run has not.
    session.run.recorder = fake_run(records=1).recorder
    return Knobs(session)


def test_every_knob_is_on_the_page_exactly_once():
    shown = [knob["name"] for group in knob_groups(EXPERIMENT) for knob in group["knobs"]]
    wanted = {f"architecture.{name}" for name in Architecture.knobs()}
    wanted |= {f"training.{name}" for name in Training.knobs()} | {"corpus"}
    assert sorted(shown) == sorted(wanted - set(NOT_KNOBS))


@pytest.mark.parametrize("name", KNOBS)
def test_every_knob_explains_itself(name):
    knob = describe(EXPERIMENT, name)
    assert knob["label"]
    assert len(knob["doc"]) > 30
    assert knob["kind"] in ("choice", "switch", "number", "slider")


@pytest.mark.parametrize("name", [name for name in KNOBS if describe(EXPERIMENT, name)["kind"] == "slider"])
def test_every_stop_of_a_slider_is_allowed_and_the_default_is_one_of_them(name):
    values = [stop["value"] for stop in describe(EXPERIMENT, name)["stops"]]
    numbers = [value for value in values if not isinstance(value, str) and value is not None]
    assert numbers == sorted(set(numbers))
    assert 4 <= len(values) <= 100
    for value in values:
        assert knob_value(with_knobs(EXPERIMENT, {name: value}), name) == value
    assert parameter(EXPERIMENT, name).default in values


def test_a_choice_offers_what_is_registered():
    assert describe(EXPERIMENT, "architecture.norm_type")["options"] == NORMS.names()


def test_the_learning_rate_can_be_read():
    labels = [stop["label"] for stop in describe(EXPERIMENT, "training.learning_rate")["stops"]]
    assert {"0.00001", "0.001", "0.003", "0.1"} <= set(labels)
    assert not [label for label in labels if "e" in label]


def test_soft_bounds_are_where_a_slider_begins_and_ends():
    layers = stops(Architecture.param.num_layers)
    assert (layers[0], layers[-1]) == (2, 12)
    width = stops(Architecture.param.hidden_dim)
    assert width[:3] == [64, 96, 128]


def test_a_range_from_zero_has_zero():
    assert round_numbers(0, 1)[:2] == [0.0, 0.01]
    assert stops(Training.param.warmup_steps)[0] == 0


def test_none_and_auto_come_first_and_say_what_they_mean():
    assert stops(Training.param.grad_clip)[0] is None
    assert value_label("training.grad_clip", None) == "off"
    assert stops(Training.param.shards)[0] == "auto"
    assert value_label("architecture.ff_dim", None) == "auto"


def test_a_momentum_has_stops_near_one():
    assert 0.99 in stops(Training.param.beta2)
    assert 0.999 in stops(Training.param.beta2)


def test_what_the_optimizer_has_no_use_for_is_greyed_out(knobs):
    assert knobs.unheeded == {}
    for optimizer, idle in (("SGD", {"beta1", "beta2", "weight_decay"}), ("Adam", {"weight_decay"}), ("Lion", set())):
        knobs._handle_msg({"turn": {"knob": "training.optimizer", "value": optimizer}})
        assert set(knobs.unheeded) == {f"training.{knob}" for knob in idle}


def test_the_slider_stops_at_every_optimizers_usual_rate():
    values = stops(Training.param.learning_rate)
    assert {kind.usual_learning_rate for _, kind in OPTIMIZERS.items()} <= set(values)


def test_what_goes_together_stands_together():
    groups = [group for group in knob_groups(EXPERIMENT) if group["folded"]]
    folded = {group["title"]: [knob["name"] for knob in group["knobs"]] for group in groups}
    assert list(folded) == ["Regularisation", "Optimizer", "More"]
    assert "training.dropout" in folded["Regularisation"]
    assert "training.beta1" in folded["Optimizer"]


def test_turning_a_knob_changes_the_session(session, knobs):
    knobs._handle_msg({"turn": {"knob": "architecture.norm_type", "value": "None"}})
    assert session.draft.architecture.norm_type == "None"
    assert knobs.values["architecture.norm_type"] == "None"


@pytest.mark.parametrize("knob", ["architecture.vocab_size", "architecture", "nonsense", "__class__"])
def test_what_is_no_knob_of_the_page_cannot_be_turned(session, knobs, knob):
    before = session.draft
    knobs._handle_msg({"turn": {"knob": knob, "value": 3}})
    assert session.draft is before


@pytest.mark.parametrize(("knob", "value"), [
    ("corpus", "/etc/passwd"), ("architecture.hidden_dim", 16_384), ("architecture.norm_type", "Nrm"),
    ("architecture.use_bias", "yes"), ("architecture.seed", "0"), ("training.learning_rate", [1]), (["corpus"], "stories"),
])  # fmt: skip
def test_a_value_that_the_page_does_not_offer_is_ignored(session, knobs, knob, value):
    before = session.draft
    knobs._handle_msg({"turn": {"knob": str(knob), "value": value}})
    assert session.draft == before
    assert not session.problems


def test_a_problem_stands_beside_its_knob_with_a_button_that_fixes_it(session, knobs):
    first = session.run
    knobs._handle_msg({"turn": {"knob": "architecture.num_heads", "value": 5}})
    (problem,) = knobs.problems
    assert problem["knob"] == "architecture.num_heads"
    assert problem["message"] == "Heads share the width equally, so it must divide Width = 128."
    assert problem["fix"] == "Set Heads to 4"
    assert knobs.values["architecture.num_heads"] == 5
    assert session.run is first
    knobs._handle_msg({"fix": problem["index"]})
    assert knobs.problems == []
    assert knobs.values["architecture.num_heads"] == 4


def test_knobs_that_wait_for_another_are_named(session, knobs):
    rest = "until what is marked is mended, the model stays as the map shows it. Undo turns back."
    knobs._handle_msg({"turn": {"knob": "architecture.num_heads", "value": 5}})
    assert knobs.warning == f"Heads waits: {rest}"
    knobs._handle_msg({"turn": {"knob": "architecture.num_layers", "value": 12}})
    assert knobs.warning == f"Layers and Heads wait: {rest}"
    session.undo()
    knobs.refresh()
    assert knobs.warning == ""


def test_a_fix_that_does_not_exist_is_ignored(knobs):
    knobs._handle_msg({"fix": 3})
    assert knobs.problems == []


def test_the_summary_says_what_the_draft_costs(knobs, session):
    cost = estimate(EXPERIMENT)
    assert knobs.summary == summary(cost, EXPERIMENT, session.run)
    assert re.fullmatch(rf"{cost.parameters:,} parameters · about \d+ MB · about [\d.]+ ms a step", knobs.summary)
    assert knobs.warning == ""


def test_the_time_of_a_step_is_what_the_run_takes_once_it_has_trained(session):
    session.run.recorder = fake_run(records=8).recorder  # 35 steps of 20 ms
    assert Knobs(session).summary.endswith("· about 20 ms a step")


def test_a_slider_that_is_held_is_weighed_and_turns_nothing(knobs, session):
    first, draft, before = session.run, session.draft, knobs.summary
    knobs._handle_msg({"weigh": {"knob": "architecture.num_layers", "value": 12}})
    wanted = estimate(with_knobs(EXPERIMENT, {"architecture.num_layers": 12})).parameters
    assert knobs.summary.startswith(f"{wanted:,} parameters")
    knobs.refresh()  # the page goes on meanwhile
    assert knobs.summary.startswith(f"{wanted:,} parameters")
    assert (session.run, session.draft) == (first, draft)
    knobs._handle_msg({"turn": {"knob": "architecture.num_layers", "value": 4}})
    assert knobs.summary == before


@pytest.mark.parametrize("turned", [
    {"knob": "architecture.num_layers", "value": 1000}, {"knob": "nothing", "value": 1}, {},
])  # fmt: skip
def test_what_no_slider_offers_is_not_weighed(knobs, turned):
    before = knobs.summary
    knobs._handle_msg({"weigh": turned})
    assert knobs.summary == before


def test_a_draft_that_would_not_fit_is_warned_of(knobs, session, monkeypatch):
    monkeypatch.setattr(controls, "available_memory", lambda: 100_000_000)
    knobs.refresh()
    assert knobs.warning == ""
    knobs._handle_msg({"weigh": {"knob": "architecture.hidden_dim", "value": 512}})
    assert knobs.warning == "It would not fit: 100 MB of memory are free here."


def test_where_free_memory_is_not_known_nothing_is_claimed():
    assert warning(estimate(EXPERIMENT), None) == ""


def test_a_fix_of_several_knobs_names_them_all():
    problem = type("P", (), {"fix": {"architecture.num_heads": 8, "training.learning_rate": 1e-4}})()
    assert fix_label(EXPERIMENT, problem) == "Set Heads to 8 and Learning rate to 0.0001"


def test_a_knob_that_changes_nothing_says_why(knobs):
    knobs._handle_msg({"turn": {"knob": "architecture.norm_type", "value": "None"}})
    assert knobs.unheeded == {"architecture.residual_type": "Without a norm all layouts are the same."}
    knobs._handle_msg({"turn": {"knob": "training.schedule", "value": "constant"}})
    assert knobs.unheeded["training.min_learning_rate"] == "A constant schedule never goes down."
