"""The training loop: what a step does, stopping and going on, and what is recorded."""

import signal
import threading

import numpy as np
import pytest

from tests.core.tiny_runs import TOKENS, model_of, same_bits, trainer_of
from tlab_core import statistics
from tlab_core.optimizers import AdamW
from tlab_core.schedules import learning_rate
from tlab_core.settings import SettingsError
from tlab_core.shards import sum_gradients
from tlab_core.trainer import Trainer

# ---- one step


def test_a_step_is_gradient_clipping_schedule_and_adamw():
    trainer, twin = trainer_of(grad_clip=0.05, shards=3, statistics_every=1), model_of()
    by_hand = AdamW(twin.flat, twin.shapes)
    for step, record in enumerate(trainer.run(steps=6), start=1):
        loss, gradients = twin.loss_and_grads(*trainer.batch(step))
        flat = np.concatenate([gradients[name].ravel() for name in sorted(gradients, key=lambda n: gradients[n].ndim < 2)])
        norm = float(np.linalg.norm(flat.astype(np.float64)))
        rate = learning_rate(step, trainer.training)
        by_hand.update(flat, slice(0, flat.size), step, rate, trainer.training, min(1, 0.05 / norm))
        assert record.step == trainer.step == step
        assert record.loss == pytest.approx(loss, rel=1e-6)
        assert record.grad_norm == pytest.approx(norm, rel=1e-5)
        assert record.grad_norm > 0.05  # so that clipping matters here
        assert record.learning_rate == rate
        assert record.tokens == step * 5 * 8
        assert record.divergence is None
        assert np.abs(trainer.model.flat - twin.flat).max() < 2e-4 * rate * step


def test_clipping_can_be_switched_off_and_only_shortens():
    trainer = trainer_of(grad_clip=2.0)
    assert trainer._shortening(8.0) == 0.25
    assert trainer._shortening(1.9) == 1.0
    trainer.training.grad_clip = None
    assert trainer._shortening(1e9) == 1.0


def test_gradients_are_summed_over_shards_in_float64_norms():
    dice = np.random.default_rng(3)
    shards = [dice.standard_normal(100_000).astype(np.float32) for _ in range(3)]
    expected = shards[0].astype(np.float64) + shards[1] + shards[2]
    squares = sum_gradients(shards, slice(0, 60_000)) + sum_gradients(shards, slice(60_000, 100_000))
    assert shards[0] == pytest.approx(expected, abs=1e-5)
    assert squares == pytest.approx(expected @ expected, rel=1e-6)


def test_a_gradient_too_long_for_float32_to_square_is_still_measured():
    long = np.full(10, 1e30, np.float32)
    with np.errstate(all="ignore"):
        assert sum_gradients([long], slice(0, 10)) == pytest.approx(1e61, rel=1e-6)


def test_batches_are_pieces_of_the_training_part_and_belong_to_their_step():
    trainer = trainer_of()
    border = len(trainer.data.training)
    text = "".join(map(chr, TOKENS))
    assert border == 810
    for step in (1, 2, 77):
        tokens, targets = trainer.batch(step)
        assert tokens.shape == targets.shape == (5, 8)
        assert np.array_equal(tokens[:, 1:], targets[:, :-1])
        for row in np.column_stack([tokens, targets[:, -1]]):
            assert text.find("".join(map(chr, row))) in range(border - 8)
        assert np.array_equal(tokens, trainer.batch(step)[0])
    assert not np.array_equal(trainer.batch(1)[0], trainer.batch(2)[0])
    assert not np.array_equal(trainer.batch(1)[0], trainer_of(seed=1).batch(1)[0])


# ---- same settings, same run


def test_stopping_and_going_on_changes_no_bit():
    straight, halting = trainer_of(), trainer_of()
    list(straight.run(steps=20))
    for record in halting.run(steps=50):
        if record.step == 7:
            break
    halting.evaluate()
    halting.close()
    assert halting.step == 7

    def failing_body():
        for _ in halting.run(steps=3):
            raise KeyError

    with pytest.raises(KeyError):
        failing_body()
    assert halting.step == 8
    assert [record.step for record in halting.run(steps=12)] == list(range(9, 21))
    same_bits(straight, halting)


def test_ctrl_c_waits_for_the_end_of_the_step(monkeypatch):
    straight, interrupted = trainer_of(), trainer_of()
    list(straight.run(steps=6))
    update = AdamW.update

    def interrupting(self, *arguments):
        if interrupted.step == 2:
            signal.raise_signal(signal.SIGINT)
        update(self, *arguments)

    monkeypatch.setattr(AdamW, "update", interrupting)
    interrupted.executor = "serial"
    with pytest.raises(KeyboardInterrupt):
        list(interrupted.run(steps=6))
    monkeypatch.undo()
    assert interrupted.step == 3
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert len(list(interrupted.run(steps=3))) == 3
    same_bits(straight, interrupted)


def test_the_same_seed_gives_the_same_bits_and_another_does_not():
    runs = [trainer_of(seed=seed) for seed in (4, 4, 5)]
    for trainer in runs:
        list(trainer.run(steps=8))
    same_bits(runs[0], runs[1])
    assert not np.array_equal(runs[0].model.flat, runs[2].model.flat)


@pytest.mark.parametrize("shards", [2, 3, 5])
def test_who_works_changes_no_bit(shards):
    runs = [trainer_of(executor=executor, shards=shards) for executor in ("serial", "threads", "threads")]
    for trainer in runs:
        list(trainer.run(steps=12))
    assert [trainer.executor for trainer in runs] == ["serial", "threads", "threads"]
    same_bits(runs[0], runs[1])
    same_bits(runs[1], runs[2])


def test_other_shards_differ_in_the_last_bits_only():
    runs = [trainer_of(shards=shards, model=model_of(dtype="float64")) for shards in (1, 2, 4, 5)]
    losses = np.array([[record.loss for record in trainer.run(steps=12)] for trainer in runs])
    assert np.abs(losses - losses[0]).max() < 1e-10
    assert len({trainer.model.flat.tobytes() for trainer in runs}) > 1


def test_auto_shards_are_resolved_and_kept():
    trainer = trainer_of(shards="auto", batch_size=1)
    assert (trainer.shards, trainer.executor) == (1, "serial")
    assert trainer.recorder.attributes["shards"] == 1
    assert trainer.training.shards == "auto"
    list(trainer.run(steps=2))


def test_two_trainers_in_two_threads_do_not_disturb_each_other():
    alone = [trainer_of(seed=seed) for seed in (1, 2)]
    together = [trainer_of(seed=seed) for seed in (1, 2)]
    for trainer in alone:
        list(trainer.run(steps=15))
    threads = [threading.Thread(target=lambda t=t: list(t.run(steps=15))) for t in together]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    same_bits(alone[0], together[0])
    same_bits(alone[1], together[1])


# ---- the horizon, and knobs that act at once


def test_run_goes_to_the_horizon_and_past_it_when_told_to():
    trainer = trainer_of(steps=10, learning_rate=0.01)
    assert [record.step for record in trainer.run()] == list(range(1, 11))
    assert list(trainer.run()) == []
    assert list(trainer.run(steps=0)) == []
    rates = [record.learning_rate for record in trainer.run(steps=3)]
    assert rates == [0.001] * 3
    assert trainer.step == 13
    trainer.training.steps = 15
    assert [record.step for record in trainer.run()] == [14, 15]


def test_learning_rate_decay_and_clip_act_on_the_next_step():
    trainer = trainer_of(schedule="constant", warmup_steps=0, weight_decay=0.0)
    run = trainer.run()
    assert next(run).learning_rate == 0.01
    trainer.training.learning_rate = 0.002
    assert next(run).learning_rate == 0.002
    before = trainer.model.flat.copy()
    trainer.training.weight_decay = 100.0
    trainer.training.learning_rate = 1e-3  # together decay takes a tenth of each matrix
    next(run)
    matrices = slice(0, sum(array.size for array in trainer.model.parameters.values() if array.ndim == 2))
    ratio = np.linalg.norm(trainer.model.flat[matrices]) / np.linalg.norm(before[matrices])
    assert 0.85 < ratio < 0.95


# ---- what is recorded


def test_every_group_has_a_record_of_step_0_before_training():
    history = trainer_of().history
    for group in (
        "validation",
        "residual",
        "layers",
        "parameters",
        "heads",
        "histograms",
        "qk_histograms",
        "attention",
        "probe",
    ):
        assert history[group]["step"].values.tolist() == [0], group
    assert history["train"].sizes["step"] == 0
    assert np.isnan(history["parameters"]["update_ratio"]).all()


def test_looking_at_the_history_first_changes_nothing():
    looked, trained = trainer_of(), trainer_of()
    looked.measure()
    assert looked.history is looked.history
    for trainer in (looked, trained):
        list(trainer.run(steps=5))
    same_bits(looked, trained)


def test_statistics_are_closer_at_first_and_validation_ends_on_the_horizon():
    trainer = trainer_of(steps=133, statistics_every=20, eval_every=50)
    list(trainer.run())
    inside = trainer.history["heads"]["step"].values.tolist()
    assert inside == [*range(0, 101, 5), 120]
    assert trainer.history["parameters"]["step"].values.tolist() == inside
    assert trainer.history["validation"]["step"].values.tolist() == [0, 50, 100, 133]
    assert trainer.history["train"]["step"].values.tolist() == list(range(1, 134))


def test_train_holds_what_the_records_said():
    trainer = trainer_of()
    records = list(trainer.run(steps=9))
    train = trainer.history["train"]
    for name in ("loss", "learning_rate", "grad_norm", "tokens", "seconds"):
        assert train[name].values.tolist() == [getattr(record, name) for record in records], name
    seconds = train["seconds"].values
    assert (np.diff(seconds) > 0).all()


def test_statistics_are_those_of_the_state_after_the_step():
    trainer = trainer_of(statistics_every=4)
    start = {name: values.copy() for name, values in trainer.model.parameters.items()}
    list(trainer.run(steps=3))
    before = {name: values.copy() for name, values in trainer.model.parameters.items()}
    tokens, targets = trainer.batch(4)
    gradients = trainer.model.loss_and_grads(tokens, targets)[1]
    list(trainer.run(steps=1))
    names = list(trainer.model.parameters)
    expected = statistics.parameter_statistics(names, trainer.model.parameters, gradients, before, start)
    recorded = trainer.history["parameters"].sel(step=4)
    for name, values in expected.items():
        assert recorded[name].values == pytest.approx(values, rel=1e-4, nan_ok=True), name
    assert (recorded["update_ratio"] > 0).any()
    measured = statistics.measure(trainer.model, trainer.probe)
    for group, variables in measured.items():
        for name, values in variables.items():
            got = trainer.history[group].sel(step=4)[name].values
            assert got == pytest.approx(np.asarray(values, got.dtype), nan_ok=True), (group, name)


def test_the_probe_is_the_start_of_the_validation_part_unless_given():
    assert trainer_of().probe.tolist() == TOKENS[810:819].tolist()
    trainer = trainer_of(probe=[3, 1, 4, 1, 5])
    assert trainer.history["probe"]["token"].values.tolist() == [[3, 1, 4, 1]]


def test_the_attributes_say_where_the_run_comes_from():
    attributes = trainer_of().history.attrs
    assert '"learning_rate": 0.01' in attributes["settings"]
    assert '"hidden_dim": 16' in attributes["settings"]
    assert attributes["shards"] == 2
    assert attributes["executor"] == "threads"


def test_knobs_turned_live_that_do_not_go_together_are_refused_and_nothing_is_lost():
    trainer = trainer_of(min_learning_rate=5e-3)
    list(trainer.run(steps=3))
    trainer.training.learning_rate = 1e-3
    with pytest.raises(SettingsError, match="min_learning_rate = 0.005 does not fit"):
        list(trainer.run(steps=1))
    trainer.training.min_learning_rate = None
    assert [record.step for record in trainer.run(steps=1)] == [4]


@pytest.mark.parametrize(("given", "message"), [
    ((None, TOKENS), "model = None is not allowed: it must be a Transformer"),
    ((model_of(), TOKENS, {"steps": 4}), r"training = {'steps': 4} is not allowed: it must be settings such as Training"),
])
def test_what_is_no_model_or_no_settings_is_refused(given, message):
    with pytest.raises(TypeError, match=message):
        Trainer(*given)


def test_a_step_can_be_looked_into_where_statistics_are_not_due_and_nothing_else_changes():
    trainer, plain = trainer_of(statistics_every=100), trainer_of(statistics_every=100)
    losses = [[record.loss for record in one.run(steps=3, look=look)] for one, look in ((trainer, True), (plain, False))]
    assert losses[0] == losses[1]
    assert np.array_equal(trainer.model.flat, plain.model.flat)
    assert list(trainer.history["residual"]["step"].values) == [0, 1, 2, 3]
    assert list(plain.history["residual"]["step"].values) == [0]
    assert np.isfinite(trainer.history["parameters"]["gradient_rms"].values[1:]).all()
