"""Every statistic against a slow and direct computation of its textbook formula, on real models."""

import math
from itertools import pairwise

import numpy as np
import pytest

from tlab_core.activations import ACTIVATIONS
from tlab_core.bins import ACTIVATION_BINS, GRADIENT_BINS
from tlab_core.history import History
from tlab_core.norms import NORMS
from tlab_core.residuals import RESIDUALS
from tlab_core.schema import GROUPS, SITES, coordinates
from tlab_core.statistics import measure, parameter_statistics
from tlab_core.trace import Capture, Edit
from tlab_core.transformer import Transformer

TOKENS = np.array([3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9])
READ, TARGETS = TOKENS[:-1], TOKENS[1:]
T, LAYERS, HEADS, WIDTH = len(READ), 2, 2, 8
GATED = [name for name, activation in ACTIVATIONS.items() if activation.gated]


def small(**knobs) -> Transformer:
    """A model whose weights are large enough for attention and activations to be far from even."""
    plain = {
        "vocab_size": 10, "hidden_dim": WIDTH, "num_layers": LAYERS, "num_heads": HEADS, "ff_dim": 12,
        "init_std": 0.5, "dtype": "float64",
    }  # fmt: skip
    return Transformer(**plain | knobs)


@pytest.fixture(scope="module", params=["Pre-LN", "Sandwich"])
def measured(request):
    """A model, what measure said of it, and everything that passed its sites."""
    model = small(residual_type=request.param)
    capture = Capture()
    model.loss_and_grads(READ[None], TARGETS[None], trace=capture)
    return model, measure(model, TOKENS), capture


def textbook_moments(numbers: np.ndarray) -> dict[str, float]:
    numbers = numbers.ravel().tolist()
    mean = math.fsum(numbers) / len(numbers)
    return {
        "rms": math.sqrt(math.fsum(x * x for x in numbers) / len(numbers)),
        "mean": mean,
        "std": math.sqrt(math.fsum((x - mean) ** 2 for x in numbers) / len(numbers)),
        "max": max(abs(x) for x in numbers),
    }


def textbook_histogram(numbers: np.ndarray, bins) -> list[int]:
    numbers = numbers.ravel().tolist()
    return [sum(left <= x < right for x in numbers) for left, right in zip(bins.left, bins.right, strict=True)]


class TestSignals:
    def test_residual_stream(self, measured):
        _, record, capture = measured
        for depth in range(2 * LAYERS + 1):
            for prefix, suffix in (("", ""), ("gradient_", ".gradient")):
                for name, value in textbook_moments(capture[f"residual.{depth}{suffix}"]).items():
                    assert record["residual"][prefix + name][depth] == pytest.approx(value, rel=1e-10, abs=1e-14)

    def test_sites_of_the_layers(self, measured):
        _, record, capture = measured
        seen = 0
        for layer in range(LAYERS):
            for place, site in enumerate(SITES):
                for prefix, suffix in (("", ""), ("gradient_", ".gradient")):
                    name = f"blocks.{layer}.{site}{suffix}"
                    if name not in capture:
                        assert np.isnan(record["layers"][f"{prefix}rms"][layer, place])
                        continue
                    seen += 1
                    for moment, value in textbook_moments(capture[name]).items():
                        assert record["layers"][prefix + moment][layer, place] == pytest.approx(value, rel=1e-10, abs=1e-14)
        assert seen == 2 * LAYERS * (11 if "blocks.0.post_norm1" in capture else 9)

    def test_histograms(self, measured):
        _, record, capture = measured
        for place, site in enumerate(SITES):
            for kind, suffix, bins in (("activation", "", ACTIVATION_BINS), ("gradient", ".gradient", GRADIENT_BINS)):
                name = f"blocks.1.{site}{suffix}"
                counts = record["histograms"][kind][1, place]
                if name not in capture:
                    assert counts.sum() == 0
                    continue
                assert counts.tolist() == textbook_histogram(capture[name], bins)
                assert counts.sum() == capture[name].size

    @pytest.mark.parametrize("depth", range(2 * LAYERS + 1))
    def test_gradients_say_what_a_nudge_does_to_the_loss(self, measured, depth):
        """The largest gradient of the stream is the slope of the loss where it stands, by finite differences."""
        model, record, capture = measured
        site = f"residual.{depth}"
        gradient = capture[f"{site}.gradient"]
        steepest = np.unravel_index(np.abs(gradient).argmax(), gradient.shape)

        def loss(nudge):
            def moved(x):
                x[steepest] += nudge
                return x

            logits = model.forward(READ[None], trace=Edit({site: moved}))[0]
            return np.mean([math.log(sum(map(math.exp, row))) - row[t] for row, t in zip(logits, TARGETS, strict=True)])

        slope = (loss(1e-5) - loss(-1e-5)) / 2e-5
        assert record["residual"]["gradient_max"][depth] == pytest.approx(abs(slope), rel=1e-6)

    @pytest.mark.parametrize("norm", NORMS.names())
    @pytest.mark.parametrize("residual", RESIDUALS.names())
    def test_exactly_the_sites_that_exist_are_measured(self, norm, residual):
        model = small(norm_type=norm, residual_type=residual)
        layers = measure(model, TOKENS)["layers"]
        exists = np.array([[f"blocks.{layer}.{site}" in model.sites for site in SITES] for layer in range(LAYERS)])
        for name, values in layers.items():
            if values.ndim == 2:
                np.testing.assert_array_equal(~np.isnan(values), exists, err_msg=name)

    def test_post_norms_put_the_stream_at_one(self):
        record = measure(small(residual_type="Post-LN", norm_type="RMSNorm"), TOKENS)
        np.testing.assert_allclose(record["residual"]["rms"][1:], 1, rtol=1e-3)
        assert record["layers"]["rms"][1, SITES.index("norm2")] == record["residual"]["rms"][4]

    @pytest.mark.parametrize("name", ACTIVATIONS.names())
    def test_models_with_dead_layers_are_seen_to_have_them(self, name):
        model = small(activation_type=name)
        assert (measure(model, TOKENS)["layers"]["dead_share"] < 0.5).all()
        bent = "gate" if name in GATED else "up"
        model.parameters[f"blocks.1.mlp.{bent}.bias"][...] = -100
        layers = measure(model, TOKENS)["layers"]
        assert layers["dead_share"][0] < 0.5
        assert layers["dead_share"][1] == layers["saturated_share"][1] == 1
        # What feeds the gate gets no gradient any more: that is what dead means.
        assert layers["gradient_max"][1, SITES.index("preactivation")] == pytest.approx(0, abs=1e-30)


class TestHeads:
    def test_patterns(self, measured):
        _, record, capture = measured
        heads = record["heads"]
        for layer in range(LAYERS):
            for head in range(HEADS):
                weights = capture[f"blocks.{layer}.weights"][0, head].tolist()
                rows = weights[1:]
                expected = {
                    "entropy": [-sum(w * math.log(w) for w in row if w > 0) for row in rows],
                    "largest_weight": [max(row) for row in rows],
                    "first_token": [row[0] for row in rows],
                    "previous_token": [weights[q][q - 1] for q in range(1, T)],
                    "induction": [
                        sum(weights[q][earlier + 1] for earlier in range(q) if READ[earlier] == READ[q])
                        for q in range(T)
                        if READ[q] in READ[:q]
                    ],
                }
                for name, values in expected.items():
                    assert heads[name][layer, head] == pytest.approx(sum(values) / len(values), rel=1e-9), name

    def test_vector_lengths(self, measured):
        _, record, capture = measured
        for name, site in (("query_norm", "q"), ("key_norm", "k"), ("output_norm", "heads")):
            for layer in range(LAYERS):
                for head in range(HEADS):
                    vectors = capture[f"blocks.{layer}.{site}"][0, head]
                    lengths = [math.sqrt(math.fsum(x * x for x in vector)) for vector in vectors]
                    assert record["heads"][name][layer, head] == pytest.approx(sum(lengths) / T)

    @pytest.mark.parametrize("position", ["RoPE", "ALiBi", "None"])
    def test_logits_over_the_pairs_that_are_not_masked(self, position):
        """From the queries and keys themselves: q · k / sqrt(head_dim), less ALiBi's slope times the distance."""
        model = small(pos_encoding_type=position)
        capture = Capture()
        model.forward(READ[None], trace=capture)
        record = measure(model, TOKENS)
        for layer in range(LAYERS):
            for head in range(HEADS):
                q, k = (capture[f"blocks.{layer}.{name}"][0, head] for name in "qk")
                slope = 2.0 ** (-8 * (head + 1) / HEADS) if position == "ALiBi" else 0.0
                logits = np.array(
                    [q[i] @ k[j] / math.sqrt(WIDTH / HEADS) - slope * (i - j) for i in range(T) for j in range(i + 1)]
                )
                expected = textbook_moments(logits)
                heads = record["heads"]
                assert heads["qk_mean"][layer, head] == pytest.approx(expected["mean"])
                assert heads["qk_std"][layer, head] == pytest.approx(expected["std"])
                assert heads["qk_max"][layer, head] == pytest.approx(max(logits))
                counts = record["qk_histograms"]["count"][layer, head]
                assert counts.tolist() == textbook_histogram(logits, ACTIVATION_BINS)
                assert counts.sum() == T * (T + 1) // 2

    def test_attention_without_preference_is_even(self):
        model = small()
        for layer in range(LAYERS):
            for name in ("weight", "bias"):
                model.parameters[f"blocks.{layer}.attention.qkv.{name}"][..., :WIDTH] = 0  # queries
        heads = measure(model, TOKENS)["heads"]
        sizes = np.arange(2, T + 1)
        np.testing.assert_allclose(heads["entropy"], np.log(sizes).mean())
        for name in ("largest_weight", "first_token", "previous_token"):
            np.testing.assert_allclose(heads[name], (1 / sizes).mean())
        np.testing.assert_allclose(heads["query_norm"], 0)

    def test_an_untrained_head_is_nearly_even(self):
        model = Transformer(vocab_size=10, hidden_dim=64, num_layers=2, num_heads=4)
        even = np.log(np.arange(2, T + 1)).mean()
        np.testing.assert_allclose(measure(model, TOKENS)["heads"]["entropy"], even, rtol=0.01)

    def test_induction_needs_a_repeat(self):
        heads = measure(small(), np.arange(8))["heads"]
        assert np.isnan(heads["induction"]).all()
        assert not np.isnan(heads["entropy"]).any()

    def test_maps(self, measured):
        _, record, capture = measured
        maps = record["attention"]["weight"]
        assert maps.dtype == np.float32
        np.testing.assert_allclose(maps.sum(axis=-1), 1, rtol=1e-6)
        assert (maps[..., *np.triu_indices(T, 1)] == 0).all()
        for layer in range(LAYERS):
            np.testing.assert_allclose(maps[layer], capture[f"blocks.{layer}.weights"][0], rtol=1e-6)


class TestProbe:
    def test_losses_and_top_predictions(self, measured):
        model, record, _ = measured
        probe = record["probe"]
        assert probe["token"].tolist() == READ.tolist()
        assert probe["target"].tolist() == TARGETS.tolist()
        for position, row in enumerate(model.forward(READ[None])[0].tolist()):
            total = math.fsum(map(math.exp, row))
            assert probe["loss"][position] == pytest.approx(-math.log(math.exp(row[TARGETS[position]]) / total))
            likeliest = sorted(range(10), key=lambda token: -row[token])[:5]
            assert probe["top_token"][position].tolist() == likeliest
            expected = [math.exp(row[token]) / total for token in likeliest]
            assert probe["top_probability"][position].tolist() == pytest.approx(expected)

    def test_the_mean_loss_is_the_models(self, measured):
        model, record, _ = measured
        loss, _ = model.loss_and_grads(READ[None], TARGETS[None])
        assert record["probe"]["loss"].mean() == pytest.approx(loss, rel=1e-12)

    def test_equally_likely_tokens_come_in_order(self):
        model = small()
        model.parameters["token_embedding.weight"][...] = 0
        probe = measure(model, TOKENS)["probe"]
        assert (probe["top_token"] == np.arange(5)).all()
        np.testing.assert_allclose(probe["top_probability"], 0.1)
        np.testing.assert_allclose(probe["loss"], math.log(10))


class TestMeasure:
    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    @pytest.mark.parametrize("residual", RESIDUALS.names())
    @pytest.mark.parametrize("activation", ACTIVATIONS.names())
    def test_a_history_takes_what_is_measured(self, dtype, residual, activation):
        model = small(dtype=dtype, residual_type=residual, activation_type=activation)
        history = History(
            coordinates(num_layers=LAYERS, num_heads=HEADS, vocab_size=10, parameters=model.parameters, probe_length=T)
        )
        for group, values in measure(model, TOKENS).items():
            history.append(group, 0, values)
        _, gradients = model.loss_and_grads(READ[None], TARGETS[None])
        parameters = model.parameters
        history.append("parameters", 0, parameter_statistics(list(parameters), parameters, gradients, None, parameters))
        for group in set(GROUPS) - {"train", "validation"}:
            assert history.last_step(group) == 0

    def test_the_model_stays_as_it_was(self):
        model = small()
        before = model.flat.copy()
        measure(model, TOKENS)
        np.testing.assert_array_equal(model.flat, before)

    def test_a_workspace_can_be_used_again(self):
        model = small()
        work = model.workspace()
        fresh, first, second = measure(model, TOKENS), measure(model, TOKENS, work), measure(model, TOKENS, work)
        measure(model, TOKENS[::-1], work)
        for group, values in fresh.items():
            for name, value in values.items():
                np.testing.assert_array_equal(value, first[group][name], err_msg=name)
                np.testing.assert_array_equal(value, second[group][name], err_msg=name)

    @pytest.mark.parametrize(
        "knobs",
        [
            {"norm_type": "LayerNorm", "pos_encoding_type": "Learned", "tie_embeddings": False},
            {"norm_type": "RMSNorm", "pos_encoding_type": "RoPE", "qk_norm": True, "residual_type": "Sandwich"},
            {"norm_type": "None", "pos_encoding_type": "ALiBi", "residual_type": "Post-LN"},
        ],
    )
    def test_a_pass_back_without_parameters_gradients_measures_the_same(self, knobs):
        model = small(**knobs)
        alone, whole = model.workspace(gradients=False), model.workspace()
        expected = measure(model, TOKENS, whole)
        for group, values in measure(model, TOKENS, alone).items():
            for name, value in values.items():
                np.testing.assert_array_equal(value, expected[group][name], err_msg=name)
        assert whole.flat_gradients.any()
        assert not alone.gradients

    def test_single_precision_agrees_with_double(self):
        single, double = (measure(small(dtype=dtype), TOKENS) for dtype in ("float32", "float64"))
        for group in ("residual", "layers", "heads"):
            for name, expected in double[group].items():
                np.testing.assert_allclose(single[group][name], expected, rtol=2e-3, atol=1e-6, err_msg=name)

    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    @pytest.mark.parametrize("broken", [np.nan, np.inf, 1e30])
    def test_a_diverged_model_is_measured_without_a_word(self, dtype, broken):
        """Warnings are errors here: NaNs and infinities must pass quietly, and be there to see."""
        model = small(dtype=dtype, norm_type="None")
        model.parameters["blocks.1.mlp.up.weight"][...] = broken
        record = measure(model, TOKENS)
        preactivation = SITES.index("activation")
        size = T * 12
        assert np.isfinite(record["residual"]["rms"][:4]).all()
        assert not record["layers"]["max"][1, preactivation] < 1e20
        counts = record["histograms"]["activation"][1, preactivation]
        assert counts[1:-1].sum() < size / 4
        assert counts.sum() == (0 if np.isnan(broken) else size if broken == 1e30 else counts.sum())

    @pytest.mark.parametrize(
        ("tokens", "message"),
        [
            ([[1, 2, 3]], r"one row of at least 3 tokens; came an array of shape \(1, 3\)"),
            ([1, 2], r"at least 3 tokens; came an array of shape \(2,\)"),
            ([1, 2, 10], "token 10 is outside the vocabulary"),
            ([1.0, 2.0, 3.0], "tokens must be whole numbers"),
        ],
    )
    def test_what_is_no_probe_is_refused(self, tokens, message):
        with pytest.raises(ValueError, match=message):
            measure(small(), tokens)

    def test_three_tokens_are_enough(self):
        record = measure(small(), [1, 2, 3])
        assert np.isfinite(record["heads"]["entropy"]).all()


def test_bins_cover_fresh_and_trained_models():
    """On a fresh model of the default shape next to nothing overflows, and signals spread over several bins."""
    model = Transformer(vocab_size=65, hidden_dim=128, num_layers=4, num_heads=4)
    tokens = np.random.default_rng(0).integers(0, 65, 65)
    histograms = measure(model, tokens)["histograms"]
    for kind in ("activation", "gradient"):
        counts = histograms[kind]
        present = counts.sum(axis=-1) > 0
        assert counts[..., [0, -1]].sum() < 1e-3 * counts.sum()
        assert ((counts > 0).sum(axis=-1)[present] >= 5).all()
    assert all(later > earlier for earlier, later in pairwise(ACTIVATION_BINS.edges))
