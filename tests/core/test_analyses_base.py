"""What all analyses have in common: they leave the run alone, say what everything is, and refuse what they can't do."""

import json

import numpy as np
import pytest

from tests.core.analysed_runs import ALL, held_back_pieces, run_of
from tests.core.saved_runs import same_run
from tlab_core.analyses import ANALYSES, AnalysisError
from tlab_core.analyses.base import held_back
from tlab_core.registry import UnknownNameError


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return run_of(tmp_path_factory.mktemp("run"))


def test_these_are_tried_here():
    assert set(ALL) == set(ANALYSES.names())


@pytest.mark.parametrize("name", ALL)
class TestEach:
    def test_everything_says_what_it_is(self, run, name):
        found = run.analyse(name, **ALL[name])
        for variable in (*found.data_vars.values(), *found.coords.values()):
            assert variable.attrs["units"], variable.name
            assert variable.attrs["long_name"], variable.name

    def test_it_joins_the_run(self, run, name):
        found = run.analyse(name, **ALL[name])
        assert run.analyses[name] is found
        assert found.attrs["step"] == 3
        assert json.loads(found.attrs["options"]) == ALL[name]

    def test_twice_is_the_same(self, run, name):
        assert run.analyse(name, **ALL[name]).identical(run.analyse(name, **ALL[name]))

    def test_a_broken_model_is_measured_without_a_complaint(self, tmp_path, name):
        run = run_of(tmp_path, steps=0)
        run.model.parameters["blocks.0.attention.qkv.weight"][0] = np.nan
        run.model.parameters["blocks.1.mlp.down.weight"][0] = np.inf
        run.analyse(name, **ALL[name])


def test_training_goes_on_as_if_nobody_had_looked(tmp_path):
    alone, looked_at = run_of(tmp_path), run_of(tmp_path)
    for name, options in ALL.items():
        looked_at.analyse(name, **options)
    for run in (alone, looked_at):
        run.advance(steps=3)
    same_run(looked_at, alone)


def test_an_unknown_analysis_names_the_nearest(run):
    with pytest.raises(UnknownNameError, match="unknown analysis 'long_contxt'.*Did you mean 'long_context'"):
        run.analyse("long_contxt")


class TestHeldBack:
    @pytest.mark.parametrize("count", [1, 2, 5, 10_000])
    def test_pieces_are_spread_and_do_not_overlap(self, run, count):
        tokens, targets = held_back(run, count, 16)
        expected = held_back_pieces(run, count, 16)
        assert tokens.tolist() == [piece for piece, _ in expected]
        assert targets.tolist() == [after for _, after in expected]
        if count > len(tokens):  # as many as there is room for, less than a piece being left over
            assert len(tokens) * 16 > len(run.trainer.data.validation) - 2 * 16

    def test_all_that_there_is(self, run):
        whole = run.trainer.data.validation
        tokens, targets = held_back(run, 3, len(whole) - 1)
        assert tokens.tolist() == [whole[:-1].tolist()]
        assert targets.tolist() == [whole[1:].tolist()]


@pytest.mark.parametrize(("name", "options", "message"), [
    ("flow", {"layer": 2}, "layer = 2 is not allowed: it must be a whole number from 0 to 1"),
    ("flow", {"layer": True}, "layer = True is not allowed"),
    ("flow", {"layer": 0, "head": -1}, "head = -1 is not allowed: it must be a whole number from 0 to 1"),
    ("flow", {"layer": 0, "position": 8}, "position = 8 is not allowed: it must be a whole number from 0 to 7"),
    ("neuron", {"layer": 0.5}, "layer = 0.5 is not allowed"),
    ("neuron", {"layer": 0, "unit": 12}, "unit = 12 is not allowed: it must be a whole number from 0 to 11"),
    ("neuron", {"layer": 0, "position": "first"}, "position = 'first' is not allowed"),
    ("logit_distance", {"windows": 0}, "windows = 0 is not allowed: it must be a whole number of at least 1"),
    ("long_context", {"windows": True}, "windows = True is not allowed"),
    ("long_context", {"factor": 1.5}, "factor = 1.5 is not allowed: it must be a whole number of at least 1"),
])  # fmt: skip
def test_what_can_not_be_looked_at_is_refused(run, name, options, message):
    before = dict(run.analyses)
    with pytest.raises(AnalysisError, match=message):
        run.analyse(name, **options)
    assert all(run.analyses[kept] is found for kept, found in before.items())
