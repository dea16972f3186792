"""Statistics of one's own: worked out at every look, kept in run folders and read back, and never in the training's way."""

import json
import warnings
from functools import partial

import numpy as np
import pytest

from tests.core.saved_runs import same_run, tiny_experiment
from tests.core.tiny_runs import model_of, trainer_of
from tlab_core import LiveRun, statistic
from tlab_core.own_statistics import READABLE, STATISTICS, StatisticError, StatisticWarning, in_force, recorded
from tlab_core.runs import RunError, RunStore
from tlab_core.schema import GROUPS


@pytest.fixture(autouse=True)
def only_ours():
    """Leave no statistic to other tests."""
    before = STATISTICS.so_far()
    yield
    STATISTICS.restore(before)


def sink():
    @statistic
    def attention_sink(weights):
        """Share of attention on the first character.

        From position 1 on.
        """
        return weights[:, :, 1:, 0].mean(axis=-1)

    return attention_sink


def pull():
    @statistic(name="pull", units="nats per unit")
    def strongest(attention_gradient):
        return np.abs(attention_gradient).max(axis=(1, 2))

    return strongest


def test_what_a_statistic_says_of_itself():
    found = sink()
    assert (found.name, found.dims, found.group) == ("attention_sink", ("layer", "head"), "heads")
    assert found.long_name == "Share of attention on the first character"
    other = pull()
    assert (other.name, other.dims, other.group, other.units) == ("pull", ("layer",), "layers", "nats per unit")
    assert in_force() == (found, other)
    assert sink() is STATISTICS.get("attention_sink") is not found  # as a cell that is run again does


def test_a_function_with_some_of_it_filled_in():
    def share(weights, of=0):
        return weights[:, :, 1:, of].mean(axis=-1)

    with pytest.raises(StatisticError, match=r'a partial has no name of its own: give it one, statistic\(\.\.\., name="'):
        statistic(partial(share))
    with pytest.raises(StatisticError, match="7 is no function"):
        statistic(7, name="seven")
    for _ in range(2):  # a cell may be run again
        found = statistic(partial(share), name="first_share")
    assert (found.long_name, found.home[1].endswith("share")) == ("first share", True)
    assert "first_share" in trainer_of().recorder.describe().text()  # beside the lab's own


def test_it_is_recorded_at_every_look_beside_the_labs_own():
    sink(), pull()
    trainer = trainer_of()
    list(trainer.run(steps=10))
    heads, layers = trainer.recorder.group("heads"), trainer.recorder.group("layers")
    assert heads["step"].values.tolist() == [0, 5, 10]
    np.testing.assert_allclose(heads["attention_sink"], heads["first_token"], rtol=1e-4)
    np.testing.assert_allclose(layers["pull"], layers["gradient_max"].sel(site="attention"), rtol=1e-5)
    assert heads["attention_sink"].attrs == {"long_name": "Share of attention on the first character", "units": "1"}
    assert set(trainer.history["layers"].data_vars) == {*GROUPS["layers"].variables, "pull"}


def test_a_run_keeps_to_the_statistics_that_it_began_with():
    trainer = trainer_of()
    sink()
    list(trainer.run(steps=5))
    assert set(trainer.recorder.group("heads").data_vars) == set(GROUPS["heads"].variables)


@pytest.mark.parametrize("name", READABLE)
def test_everything_that_can_be_read(name):
    """What belongs to layers comes with the layer first; what the model hasn't leaves NaN."""
    shapes = {}

    def look(array):
        shapes[name] = array.shape
        return np.full(4, np.abs(array).mean())

    exec(f"def reads({name}):\n    return look({name})", {"look": look}, scope := {})
    statistic(scope["reads"])
    shapes.clear()
    trainer = trainer_of(own_statistics=None, model=model_of(num_layers=4))
    trainer.measure()
    value = trainer.recorder.group("layers")["reads"].values
    if name.startswith("post_norm"):
        assert shapes == {}
        assert np.isnan(value).all()
        return
    assert not np.isnan(value).any()  # scores of the future are −∞
    first = {"residual": 9, "residual_gradient": 9, "logits": 8, "tokens": 8, "targets": 8}.get(name, 4)
    assert shapes[name][0] == first


@pytest.mark.parametrize(("source", "said"), [
    ("def f(weihgts): return 1", r"asks for 'weihgts': a parameter must be one of .*Did you mean 'weights'\?"),
    ("def f(): return 1", "has no parameters"),
    ("def f(weights): return weights.mean()", r"shape \(\) on a model of 4 layers and 3 heads: it must be one number "),
    ("def f(weights): return weights.nothing", r"can't be worked out: AttributeError: .*with weights \(4, 3, 6, 6\)"),
    ("def f(q): return ['a'] * 4", "came to an array of <U1"),
    ("def entropy(weights): return weights[:, :, 0, 0]", "can't be called 'entropy': the lab records one of that name"),
    ("def step(weights): return weights[:, 0, 0, 0]", "can't be called 'step': the lab records one of that name"),
    ("def Layer(weights): return weights[:, 0, 0, 0]", "can't be called 'Layer': the lab records one of that name"),
])
def test_what_can_not_be_a_statistic_is_refused_where_it_is_defined(source, said):
    exec(source, {}, scope := {})
    with pytest.raises(StatisticError, match=said):
        statistic(*scope.values())
    assert in_force() == ()
    with pytest.raises(StatisticError, match="can't be called 'two words': it must be a plain name"):
        statistic(sink().function, name="two words")


def test_one_that_fails_later_leaves_nan_and_a_word_and_the_training_goes_on():
    @statistic
    def brittle(q):
        if q.shape[0] == 2:
            raise ArithmeticError("too brittle")
        return q.mean(axis=(1, 2, 3))

    trainer = trainer_of()
    with pytest.warns(StatisticWarning, match="'brittle' could not be worked out at step 0: ArithmeticError: too brittle"):
        trainer.measure()
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # it is said once
        list(trainer.run(steps=5))
    assert np.isnan(trainer.recorder.group("layers")["brittle"].values).all()
    said = json.loads(trainer.recorder.attributes["failed_statistics"])
    assert said == {"brittle": "step 0: ArithmeticError: too brittle"}


def test_it_changes_no_number_of_the_run():
    plain = trainer_of()
    list(plain.run(steps=6))
    sink(), pull()

    @statistic
    def meddling(q, weights):
        q[...] = 0
        weights[...] = 0
        return q.mean(axis=(1, 2, 3))

    trainer = trainer_of()
    list(trainer.run(steps=6))
    assert np.array_equal(trainer.model.flat, plain.model.flat)
    for group in GROUPS:
        for name in set(GROUPS[group].variables) - {"seconds"}:
            np.testing.assert_array_equal(trainer.recorder.group(group)[name], plain.recorder.group(group)[name])


# ---- in run folders


def kept_run(tmp_path, steps=10):
    store = RunStore(tmp_path / "runs")
    run = LiveRun(tiny_experiment(tmp_path))
    writer = store.create(run, "it")
    run.advance(steps=steps)
    writer.close()
    run.trainer.close()
    return store, run


def test_it_is_stored_read_back_and_goes_on(tmp_path):
    sink(), pull()
    store, run = kept_run(tmp_path)
    saved = store.open("it")
    for group, name in (("heads", "attention_sink"), ("layers", "pull")):
        assert saved.recorder.group(group)[name].load().identical(run.recorder.group(group)[name])
    assert saved.commit["statistics"]["attention_sink"]["module"] == __name__
    again, writer, differences = store.resume("it")
    assert differences == []
    again.advance(steps=10)
    writer.close()
    run.advance(steps=10)
    same_run(run, again)
    again.trainer.close()
    run.trainer.close()
    assert np.isfinite(store.open("it").recorder.group("heads")["attention_sink"]).all()


def test_where_it_is_missing_its_past_can_be_seen_and_the_run_goes_on_without_it(tmp_path):
    sink()
    store, _ = kept_run(tmp_path)
    STATISTICS.restore({})
    assert np.isfinite(store.open("it").recorder.group("heads")["attention_sink"]).all()
    run, writer, (said,) = store.resume("it")
    assert said.startswith("From step 10 on nothing is recorded of one statistic: the statistic 'attention_sink' is not "
                           f"here. It came from the module {__name__}")
    run.advance(steps=5)
    writer.close()
    run.trainer.close()
    values = store.open("it").recorder.group("heads")["attention_sink"].values
    assert np.isfinite(values[:3]).all()
    assert np.isnan(values[3:]).all()
    assert store.open("it").commit["statistics"]["attention_sink"]["module"] == __name__
    sink()
    run, writer, differences = store.resume("it")
    assert differences == []
    run.advance(steps=5)
    writer.close()
    run.trainer.close()
    assert np.isfinite(store.open("it").recorder.group("heads")["attention_sink"].values[-1]).all()


@pytest.mark.parametrize("said", [
    {"entropy": {"dims": ["layer", "head"], "long_name": "x", "units": "1"}},
    {"../x": {"dims": ["layer"], "long_name": "x", "units": "1"}},
    {"x": {"dims": ["query"], "long_name": "x", "units": "1"}},
    {"x": {"dims": ["layer"], "long_name": 5, "units": "1"}},
    {"x": 7},
])
def test_what_a_damaged_folder_says_of_statistics_is_refused(said, tmp_path):
    with pytest.raises(StatisticError):
        recorded(said)
    store, _ = kept_run(tmp_path, steps=0)
    path = store.folder / "it" / "commit.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"statistics": said}))
    with pytest.raises(RunError, match="commit.json"):
        store.open("it")
