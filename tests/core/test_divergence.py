"""A number that is not finite stops the run, names its place and leaves everything before it readable."""

import numpy as np
import pytest

from tests.core.tiny_runs import model_of, trainer_of
from tlab_core.divergence import DivergedError, find_first


def test_a_poisoned_parameter_is_named_and_nothing_is_updated():
    trainer = trainer_of(statistics_every=2)
    list(trainer.run(steps=5))
    trainer.model.parameters["blocks.1.mlp.up.weight"][3, 2] = np.inf
    before = trainer.model.flat.copy()
    records = list(trainer.run(steps=10))
    assert len(records) == 1
    divergence = records[0].divergence
    assert divergence is trainer.divergence
    assert (divergence.step, divergence.layer, divergence.site) == (6, 1, "blocks.1.mlp.up.weight")
    assert not np.isfinite(records[0].loss)
    assert trainer.step == 5
    assert np.array_equal(trainer.model.flat, before)
    score = trainer.history["heads"]["qk_max"].sel(step=4, layer=1).max().item()
    assert divergence.message == (
        "Stopped at step 6: first infinite number in layer 1's parameter mlp.up.weight. "
        f"Largest score at step 4: {score:.3g}."
    )
    assert trainer.history["train"]["step"].values.tolist() == [1, 2, 3, 4, 5]
    assert trainer.history.attrs["divergence"] == divergence.message


def test_a_diverged_trainer_says_what_to_do():
    trainer = trainer_of()
    trainer.model.parameters["token_embedding.weight"][:] = np.nan
    [record] = trainer.run(steps=3)
    assert record.divergence.kind == "undefined number (NaN)"
    assert record.divergence.layer is None
    with pytest.raises(
        DivergedError, match="Stopped at step 1.*learning_rate \\(it was 0.01; try 0.001\\).*trainer.history"
    ):
        trainer.run(steps=1)
    assert trainer.history["heads"].sizes["step"] == 1


@pytest.mark.parametrize("executor", ["serial", "threads"])
def test_large_weights_overflow_where_queries_meet_keys(executor):
    trainer = trainer_of(executor=executor)
    list(trainer.run(steps=3))
    trainer.model.parameters["blocks.1.attention.qkv.weight"][:] *= 1e25
    [record] = trainer.run(steps=3)
    assert record.divergence.site == "blocks.1.scores"
    assert record.divergence.layer == 1
    assert "first infinite number in layer 1's attention scores" in record.divergence.message


def test_a_gradient_can_break_where_the_loss_did_not():
    trainer = trainer_of(model=model_of(num_layers=1, norm_type="None"))

    def overflowing(tokens, targets, work, scale, trace=None, honest=trainer.model.shard_loss_and_grads, **more):
        def steep(name, x):
            x = x * np.float32(1e38) * np.float32(1e38) if name == "blocks.0.mlp.gradient" else x
            return x if trace is None else trace(name, x)

        return honest(tokens, targets, work, scale, trace=steep, **more)

    trainer.model.shard_loss_and_grads = overflowing
    [record] = trainer.run(steps=1)
    assert np.isfinite(record.loss)
    assert record.divergence.site == "blocks.0.mlp.gradient"
    assert "the gradient of layer 0's feed-forward output" in record.divergence.message


@pytest.mark.parametrize("rate", [1000.0])
@pytest.mark.parametrize("norm", ["None", "RMSNorm"])
def test_a_huge_learning_rate_never_warns_and_stops_or_goes_on(rate, norm):
    trainer = trainer_of(
        model=model_of(norm_type=norm),
        learning_rate=rate,
        warmup_steps=0,
        schedule="constant",
        grad_clip=None,
        statistics_every=1,
    )
    records = list(trainer.run(steps=25))
    if norm == "None":
        divergence = records[-1].divergence
        assert divergence is not None
        assert divergence.site.startswith(("blocks.", "residual.", "logits"))
        assert divergence.step == len(records)
        assert trainer.history["train"].sizes["step"] == len(records) - 1
    assert all(record.divergence is None for record in records[:-1])


def test_the_score_told_is_the_newest_finite_one():
    trainer = trainer_of(statistics_every=1)
    list(trainer.run(steps=3))
    trainer.model.parameters["blocks.1.attention.qkv.weight"][:] *= 1e25
    [record] = trainer.run(steps=1)
    assert record.divergence.score_step == 3
    recorded = trainer.history["heads"]["qk_max"].sel(step=3, layer=1).max().item()
    assert record.divergence.largest_score == recorded


def test_a_score_that_was_infinite_already_is_not_told():
    trainer = trainer_of(model=model_of(norm_type="None", init_std=3.0, num_layers=6))
    [record] = trainer.run(steps=1)
    assert record.divergence.site.endswith(".scores")
    # Infinite or, where infinities were added up, undefined: that depends on the order in which a BLAS kernel adds.
    assert not np.isfinite(trainer.history["heads"]["qk_max"].sel(step=0, layer=record.divergence.layer)).all()
    assert record.divergence.largest_score is None
    assert record.divergence.message.endswith("attention scores.")


def test_of_several_shards_the_earliest_site_counts():
    class Work:
        gradients: dict = {}

    class Model:
        parameters = {"w": np.ones(2)}

        def shard_loss_and_grads(self, tokens, targets, work, scale, trace, **more):
            for site in ("blocks.0.q", "blocks.0.scores", "blocks.0.mlp", "logits", "logits.gradient"):
                trace(site, np.full((1, 1, 1), np.nan if site == tokens else 0.0))

    late, early = ("logits", None, None), ("blocks.0.mlp", None, None)
    assert find_first(Model(), [late, early], Work(), 1.0) == ("blocks.0.mlp", "undefined number (NaN)")
    assert find_first(Model(), [early, late], Work(), 1.0) == ("blocks.0.mlp", "undefined number (NaN)")
    assert find_first(Model(), [("nowhere", None, None)], Work(), 1.0) is None
