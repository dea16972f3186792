"""The lessons on positions and attention: what they measure, against plain transcriptions, and how they judge."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr

from tests.core.analysed_runs import held_back_pieces, run_of
from tlab_core.heads import causal_pairs
from tlab_core.lessons import LESSONS, induction, logit_growth, rank_collapse, rope_distance, run_lesson
from tlab_core.lessons import train_short_test_long as long_texts
from tlab_core.transformer import Transformer

OURS = ("rope-distance", "train-short-test-long", "rank-collapse", "logit-growth", "induction")
PLAIN = {"pos_encoding_type": "Learned", "activation_type": "ReLU", "norm_type": "RMSNorm"}


def transcribed(model, tokens, first=0, road=True, feed_forward=True):
    """Run one text through a Pre-LN model, position by position; it stands at `first`. Return the stream and the scores."""
    p, a = model.parameters, model.architecture
    d = a.head_dim

    def normed(row, name):
        return p[f"{name}.weight"] * row / math.sqrt(np.mean(row**2) + 1e-5)

    stream = [p["token_embedding.weight"][t] + p["position_embedding.weight"][first + i] for i, t in enumerate(tokens)]
    scores = []
    for layer in range(a.num_layers):
        name = f"blocks.{layer}"
        rows = [normed(x, f"{name}.norm1") @ p[f"{name}.attention.qkv.weight"] + p[f"{name}.attention.qkv.bias"]
                for x in stream]
        layer_scores = np.full((a.num_heads, len(tokens), len(tokens)), -np.inf)
        for query in range(len(tokens)):
            parts = []
            for head in range(a.num_heads):
                q, k, v = (slice(part * a.hidden_dim + head * d, part * a.hidden_dim + (head + 1) * d) for part in range(3))
                seen = [rows[query][q] @ rows[key][k] / math.sqrt(d) for key in range(query + 1)]
                layer_scores[head, query, : query + 1] = seen
                weights = np.exp(seen) / np.exp(seen).sum()
                parts.append(sum(w * rows[key][v] for key, w in enumerate(weights)))
            y = np.concatenate(parts) @ p[f"{name}.attention.out.weight"] + p[f"{name}.attention.out.bias"]
            stream[query] = stream[query] + y if road else y
        scores.append(layer_scores)
        if feed_forward:
            for i, x in enumerate(stream):
                units = normed(x, f"{name}.norm2") @ p[f"{name}.mlp.up.weight"] + p[f"{name}.mlp.up.bias"]
                y = np.maximum(units, 0) @ p[f"{name}.mlp.down.weight"] + p[f"{name}.mlp.down.bias"]
                stream[i] = x + y if road else y
    return np.array(stream), np.stack(scores)


# ---- RoPE and distance


def test_scores_of_a_moved_text_are_those_of_the_plain_formula(tmp_path):
    run = run_of(tmp_path, **PLAIN)
    tokens = run.trainer.data.validation[:9][None]
    found = rope_distance.scores(run, tokens, 4)
    _, expected = transcribed(run.model, tokens[0, 4:], first=4)
    assert found.shape == (2, 1, 2, 15)
    np.testing.assert_allclose(found[:, 0], causal_pairs(expected), rtol=1e-10)


def test_how_far_scores_move(tmp_path):
    run = run_of(tmp_path, **PLAIN)
    texts = [tokens for tokens, _ in held_back_pieces(run, 16, 64)][:2]
    shares = []
    for layer in range(2):
        here, there = (np.concatenate([causal_pairs(transcribed(run.model, text[32:], first)[1])[layer].ravel()
                                       for text in texts]) for first in (0, 32))
        shares.append(math.sqrt(np.mean((there - here) ** 2)) / here.std())
    held = SimpleNamespace(model=run.model, trainer=SimpleNamespace(data=SimpleNamespace(
        validation=np.array([*texts[0], *texts[1], 0]))))
    assert rope_distance.moved(held) == pytest.approx(np.mean(shares), rel=1e-10)
    assert rope_distance.moved(run) > 0.1


@pytest.mark.parametrize("position", ["RoPE", "ALiBi", "None"])
def test_scores_by_distance_stay_to_rounding(tmp_path, position):
    run = run_of(tmp_path, pos_encoding_type=position)
    assert rope_distance.moved(run) < 1e-12


@pytest.mark.parametrize(("rope", "learned", "sinusoidal", "expected"), [
    (1e-6, 1.2, 1.4, "rope"),
    (0.02, 1.2, 1.4, "same"),  # all move
    (1e-6, 1e-6, 1e-6, "same"),  # all stay
    (1e-6, 1e-6, 1.4, "same"),  # RoPE has a companion
    (0.5, 1.2, 1e-6, "added"),
    (math.nan, 1.2, 1.4, "same"),
])
def test_whose_scores_stay(rope, learned, sinusoidal, expected):
    assert rope_distance.outcome({"rope": rope, "learned": learned, "sinusoidal": sinusoidal}) == expected


# ---- longer texts


def long_dataset(losses, trained=64, size=32):
    first = np.arange(0, size * len(losses), size)
    return xr.Dataset({"loss": ("block", losses)}, {"first": ("block", first), "last": ("block", first + size - 1)},
                      {"trained_length": trained})


def test_losses_within_and_beyond_the_training_length():
    assert long_texts.within_and_beyond(long_dataset([2.0, 1.0, 3.0, 4.0, 8.0])) == (1.5, 5.0)


def test_a_short_last_block_counts_for_as_much_as_it_holds():
    long = long_dataset([1.0, 1.0, 2.0, 5.0]).assign_coords(last=("block", [31, 63, 95, 103]))
    assert long_texts.within_and_beyond(long) == (1.0, pytest.approx((32 * 2 + 8 * 5) / 40))


def test_long_texts_are_read_by_every_run():
    losses = {"sinusoidal": [1.0, 1.0, 3.0], "alibi": [1.0, 1.0, 1.25], "rope": [2.0, 2.0, 2.5]}
    asked = []

    def run(key):
        def analyse(name, **options):
            asked.append((key, name, options))
            return long_dataset(losses[key])
        return SimpleNamespace(analyse=analyse)

    assert long_texts.measure({key: run(key) for key in losses}) == {
        "sinusoidal_within": 1, "sinusoidal_beyond": 3, "alibi_within": 1, "alibi_beyond": 1.25,
        "rope_within": 2, "rope_beyond": 2.5, "difference": 1.75,
    }  # fmt: skip
    assert asked == [(key, "long_context", {"factor": 8}) for key in losses]


@pytest.mark.parametrize(("rises", "expected"), [
    ({"sinusoidal": 1.5, "rope": 2.0, "alibi": 0.0}, "alibi"),
    ({"sinusoidal": 1.5, "rope": 0.05, "alibi": 0.0}, "same"),  # RoPE holds, too
    ({"sinusoidal": 1.5, "rope": 2.0, "alibi": 0.2}, "same"),  # none holds
    ({"sinusoidal": 1.5, "rope": -0.2, "alibi": 0.2}, "rope"),
    ({"sinusoidal": 0.0, "rope": math.nan, "alibi": 0.2}, "sinusoidal"),
])
def test_who_reads_on_as_well_as_before(rises, expected):
    numbers = {f"{run}_within": 1.0 for run in rises} | {f"{run}_beyond": 1.0 + rise for run, rise in rises.items()}
    assert long_texts.outcome(numbers) == expected


# ---- rank collapse


def test_distance_from_rank_one():
    row = np.array([3.0, 4.0])
    alike, opposite = np.stack([row, row]), np.stack([row, -row])
    assert rank_collapse.distance_from_rank_one(alike[None]) == 0
    assert rank_collapse.distance_from_rank_one(opposite[None]) == 1
    assert rank_collapse.distance_from_rank_one(np.stack([alike, opposite])) == 0.5
    mixed = np.array([[[1.0, 0.0], [1.0, 2.0]]])  # mean (1, 1): 2 of 6 is what differs
    assert rank_collapse.distance_from_rank_one(mixed) == pytest.approx(math.sqrt(2 / 6))


@pytest.mark.parametrize(("cut", "road", "feed_forward"), [
    (None, True, True),
    (rank_collapse.CutRoads(feed_forward=True), False, True),
    (rank_collapse.CutRoads(), False, False),
])
def test_a_model_with_its_roads_cut_is_the_plain_formula(tmp_path, cut, road, feed_forward):
    model = run_of(tmp_path, **PLAIN).model
    tokens = np.random.default_rng(0).integers(0, model.architecture.vocab_size, (2, 7))
    streams = np.stack([transcribed(model, text, road=road, feed_forward=feed_forward)[0] for text in tokens])
    expected = rank_collapse.distance_from_rank_one(streams)
    assert rank_collapse.at_the_end(model, tokens, cut) == pytest.approx(expected, rel=1e-10)


def test_the_fresh_model_is_that_of_step_0(tmp_path):
    run = run_of(tmp_path, steps=0)
    numbers = rank_collapse.measure({"deep": run})
    assert numbers["fresh_whole"] == numbers["whole"]
    assert numbers["fresh_attention"] == numbers["attention"]
    before = numbers["fresh_attention"]
    run.advance(steps=5)
    numbers = rank_collapse.measure({"deep": run})
    assert numbers["fresh_attention"] == before != numbers["attention"]


def test_measuring_leaves_the_model_as_it_was(tmp_path):
    run = run_of(tmp_path)
    tokens = run.trainer.data.validation[:8][None]
    weights, logits = run.model.flat.copy(), run.model.forward(tokens)
    rank_collapse.measure({"deep": run})
    rope_distance.measure({"rope": run})
    assert np.array_equal(run.model.flat, weights)
    assert np.array_equal(run.model.forward(tokens), logits)


@pytest.mark.parametrize(("changes", "expected"), [
    ({}, "alike"),
    ({"attention": 0.2}, "closer"),  # after training it is no longer so
    ({"whole": 0.4}, "closer"),  # the whole model collapses as well
    ({"attention": 0.6, "fresh_attention": 0.5}, "same"),
    ({"attention": 0.6}, "closer"),
    ({"attention": math.nan}, "closer"),
])
def test_what_becomes_of_positions(changes, expected):
    numbers = {"whole": 0.9, "no_road": 0.3, "attention": 0.01, "fresh_whole": 0.7, "fresh_attention": 0.01, **changes}
    assert rank_collapse.outcome(numbers) == expected


# ---- logit growth


def test_the_largest_logit_of_a_run_is_that_of_its_history(tmp_path):
    run = run_of(tmp_path, steps=20)
    recorded = run.history["heads"]["qk_max"]
    assert recorded.sizes["step"] > 3
    assert logit_growth.largest_logit(run) == max(recorded.values.ravel().tolist())
    numbers = logit_growth.measure({"plain": run})
    assert numbers == {"plain": logit_growth.largest_logit(run), "plain_loss": run.history["validation"]["loss"][-1].item()}


def heads_of(*values):
    group = xr.Dataset({"qk_max": (("step", "layer", "head"), np.array(values).reshape(-1, 1, 1))})
    return SimpleNamespace(recorder=SimpleNamespace(group={"heads": group}.__getitem__))


def test_a_logit_that_broke_is_infinite():
    assert logit_growth.largest_logit(heads_of(1.0, 8.0, math.nan)) == 8
    assert logit_growth.largest_logit(heads_of(1.0, math.inf, math.nan)) == math.inf


@pytest.mark.parametrize(("plain", "qk_norm", "expected"), [
    (4000.0, 18.0, "plain"), (180.0, 18.0, "plain"), (179.0, 18.0, "same"), (math.inf, 18.0, "plain"),
    (2.0, 18.0, "same"), (1.0, 18.0, "qk_norm"),
])
def test_whose_logits_grow(plain, qk_norm, expected):
    assert logit_growth.outcome({"plain": plain, "qk_norm": qk_norm}) == expected


def test_the_repair_is_a_run_that_is_measured():
    lesson = LESSONS.get("logit-growth")
    assert lesson.mending == ("training.learning_rate", 2e-3)


# ---- induction


def copying_run(accuracies, inductions):
    groups = {
        "validation": xr.Dataset({"answer_accuracy": ("step", accuracies)}, {"step": 25 * np.arange(len(accuracies))}),
        "heads": xr.Dataset({"induction": (("step", "layer", "head"), np.array(inductions))}),
    }
    return SimpleNamespace(recorder=SimpleNamespace(group=groups.__getitem__))


def test_answers_scores_and_the_jump():
    two = copying_run([0.0, 0.1, 0.5, 0.99], [[[0.1, 0.1], [0.9, 0.1]], [[0.1, 0.2], [0.6, 0.3]]])
    one = copying_run([0.0, 0.1, 0.1, 0.08], [[[0.1, 0.1]], [[0.05, 0.06]]])
    assert induction.measure({"two": two, "one": one}) == {
        "two_accuracy": 0.99, "two_induction": 0.6, "one_accuracy": 0.08, "one_induction": 0.06, "jump": 50}
    assert math.isnan(induction.jump(one))


@pytest.mark.parametrize(("two", "one", "expected"), [
    (0.99, 0.08, "two"), (0.55, 0.05, "two"), (0.5, 0.08, "same"), (0.08, 0.99, "one"), (0.1, 0.1, "same"),
])
def test_who_foresees_the_repeats(two, one, expected):
    assert induction.outcome({"two_accuracy": two, "one_accuracy": one}) == expected


def test_both_runs_have_the_same_dice_where_they_have_the_same_parts():
    lesson = LESSONS.get("induction")
    two, one = (Transformer(lesson.experiment(key, 1).architecture) for key in ("two", "one"))
    assert np.array_equal(two.parameters["blocks.0.attention.qkv.weight"], one.parameters["blocks.0.attention.qkv.weight"])


# ---- verdicts


@pytest.mark.parametrize(("name", "shown", "hidden"), [
    ("rope-distance", {"rope": 1e-6, "learned": 1.2, "sinusoidal": 1.4}, {"rope": 1.0, "learned": 1.2, "sinusoidal": 1.4}),
    ("logit-growth", {"plain": 4000, "qk_norm": 20, "slow": 12, "plain_loss": 2.9, "qk_norm_loss": 2.1, "slow_loss": 1.5},
     {"plain": 40, "qk_norm": 20, "slow": 12, "plain_loss": 2.9, "qk_norm_loss": 2.1, "slow_loss": 1.5}),
    ("induction", {"two_accuracy": 0.9, "one_accuracy": 0.1, "two_induction": 0.5, "one_induction": 0.1, "jump": 150},
     {"two_accuracy": 0.2, "one_accuracy": 0.1, "two_induction": 0.1, "one_induction": 0.1, "jump": math.nan}),
])
def test_two_of_three_seeds_are_enough(name, shown, hidden):
    lesson = LESSONS.get(name)
    seen, not_seen = lesson.verdict([shown, shown, hidden]), lesson.verdict([shown, hidden, hidden])
    assert (seen.outcome, seen.seen, seen.agree) == (lesson.expected, True, 2)
    assert (not_seen.outcome, not_seen.seen, not_seen.agree) == ("same", False, 1)
    assert "2 of 3 seeds agree with the paper: seen. With 1 of 3 seeds the runs say: " in seen.sentence
    assert "1 of 3 seeds agrees with the paper: not seen. With 2 of 3 seeds the runs say: " in not_seen.sentence


def test_sentences_hold_the_numbers():
    numbers = {"sinusoidal_within": 1.5, "sinusoidal_beyond": 3.25, "rope_within": 0.75, "rope_beyond": 2.5,
               "alibi_within": 0.5, "alibi_beyond": 0.55, "difference": 1.7}
    assert LESSONS.get("train-short-test-long").verdict([numbers]).sentence == (
        "Past 64 characters ALiBi's loss goes from 0.50 to 0.55. Sinusoidal's goes from 1.50 to 3.25, RoPE's from 0.75 to "
        "2.50. One seed was run, and it agrees with the paper.")
    numbers = {"whole": 0.9, "no_road": 0.3, "attention": 0.0123, "fresh_whole": 0.7, "fresh_attention": 0.3}
    assert LESSONS.get("rank-collapse").verdict([numbers]).sentence == (
        "Behind the last layer, 90.0% of the signal tells positions apart. Attention alone leaves 1.2%, and left "
        "30.0% before training. One seed was run, and it does not agree with the paper.")


@pytest.mark.slow
@pytest.mark.parametrize("name", OURS)
def test_the_effect_is_there(name):
    assert run_lesson(LESSONS.get(name), seeds=(0,)).verdict.seen
