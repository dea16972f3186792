"""What the model computes: names and shapes, that every option matters, and that no position sees the future."""

import numpy as np
import pytest

from tests.core.grid import COMBINATIONS, small_batch, small_model
from tlab_core import Capture, Edit, SettingsError, Transformer
from tlab_core.activations import ACTIVATIONS
from tlab_core.norms import NORMS
from tlab_core.positions import POSITIONS
from tlab_core.residuals import RESIDUALS

DEFAULTS = {"norm": "RMSNorm", "residual": "Pre-LN", "activation": "SwiGLU", "position": "RoPE"}
REGISTRIES = {"norm": NORMS, "residual": RESIDUALS, "activation": ACTIVATIONS, "position": POSITIONS}


def test_parameter_names_and_shapes():
    model = small_model("LayerNorm", "Sandwich", "SwiGLU", "Learned", num_layers=1, qk_norm=True, tie_embeddings=False)
    V, D, F, T = 11, 12, 32, 9
    assert {name: parameter.shape for name, parameter in model.parameters.items()} == {
        "token_embedding.weight": (V, D), "position_embedding.weight": (T, D),
        "blocks.0.norm1.weight": (D,), "blocks.0.norm1.bias": (D,),
        "blocks.0.attention.qkv.weight": (D, 3 * D), "blocks.0.attention.qkv.bias": (3 * D,),
        "blocks.0.attention.out.weight": (D, D), "blocks.0.attention.out.bias": (D,),
        "blocks.0.attention.q_norm.weight": (4,), "blocks.0.attention.k_norm.weight": (4,),
        "blocks.0.post_norm1.weight": (D,), "blocks.0.post_norm1.bias": (D,),
        "blocks.0.norm2.weight": (D,), "blocks.0.norm2.bias": (D,),
        "blocks.0.mlp.gate.weight": (D, F), "blocks.0.mlp.gate.bias": (F,),
        "blocks.0.mlp.up.weight": (D, F), "blocks.0.mlp.up.bias": (F,),
        "blocks.0.mlp.down.weight": (F, D), "blocks.0.mlp.down.bias": (D,),
        "blocks.0.post_norm2.weight": (D,), "blocks.0.post_norm2.bias": (D,),
        "final_norm.weight": (D,), "final_norm.bias": (D,), "head.weight": (D, V),
    }  # fmt: skip


def test_biases_are_dropped_everywhere():
    model = small_model("LayerNorm", "Pre-LN", "GELU", use_bias=False)
    assert not [name for name in model.parameters if name.endswith(".bias")]
    assert not [name for name in small_model("RMSNorm").parameters if "norm" in name and name.endswith(".bias")]


def test_parameters_are_views_that_write_through():
    model = small_model()
    tokens, _ = small_batch()
    before = model.forward(tokens)
    model.parameters["token_embedding.weight"][...] *= 2
    assert np.abs(model.forward(tokens) - before).max() > 1e-3
    assert all(np.shares_memory(parameter, model.flat) for parameter in model.parameters.values())
    assert model.parameter_count == sum(parameter.size for parameter in model.parameters.values())


def test_post_ln_has_no_final_norm():
    assert "final_norm.weight" not in small_model(residual="Post-LN").parameters


@pytest.mark.parametrize(("kind", "registry"), REGISTRIES.items())
def test_each_option_changes_the_logits(kind, registry):
    tokens, _ = small_batch()
    outputs = {}
    for name in registry.names():
        outputs[name] = small_model(**{**DEFAULTS, kind: name}, ff_dim=16).forward(tokens)
    names = list(outputs)
    for i, first in enumerate(names):
        for second in names[i + 1 :]:
            assert np.abs(outputs[first] - outputs[second]).max() > 1e-3, (first, second)


@pytest.mark.parametrize("knob", [{"qk_norm": True}, {"tie_embeddings": False}, {"num_heads": 2}, {"init_std": 0.1},
                                  {"seed": 1}, {"num_layers": 3}, {"ff_dim": 8}])
def test_each_switch_changes_the_logits(knob):
    tokens, _ = small_batch()
    assert np.abs(small_model(**knob).forward(tokens) - small_model().forward(tokens)).max() > 1e-3


@pytest.mark.parametrize("combination", COMBINATIONS, ids="-".join)
def test_nothing_leaks_from_the_future(combination):
    tokens, _ = small_batch()
    model = small_model(*combination)
    before = model.forward(tokens)
    changed = tokens.copy()
    changed[:, 4:] = (changed[:, 4:] + 1) % 11
    after = model.forward(changed)
    np.testing.assert_array_equal(after[:, :4], before[:, :4])
    assert np.abs(after[:, 4:] - before[:, 4:]).max() > 1e-3


def test_a_gradient_of_an_early_loss_does_not_reach_later_inputs():
    model = small_model()
    tokens, targets = small_batch()
    capture = Capture(["residual.0.gradient"])
    work = model.workspace()
    # Only position 2's loss counts: edit the others' gradients at the logits away.
    only = Edit({"logits.gradient": lambda g: g * (np.arange(g.shape[1]) == 2)[:, None]})
    model.shard_loss_and_grads(tokens, targets, work, 1.0, trace=lambda name, x: capture(name, only(name, x)))
    gradient = np.abs(capture["residual.0.gradient"]).max(axis=(0, 2))
    assert (gradient[:3] > 0).all()
    assert (gradient[3:] == 0).all()


def scores(position, tokens):
    model = small_model(position=position, num_layers=1)
    capture = Capture(["blocks.0.scores"])
    model.forward(tokens, trace=capture)
    return capture["blocks.0.scores"]


@pytest.mark.parametrize("position", ["RoPE", "ALiBi", "None"])
def test_match_scores_depend_on_distance_only(position):
    # The same four characters after two different prefixes: only what the prefix says may differ, so look at layer 0.
    phrase = [1, 5, 2, 9]
    near, far = scores(position, [phrase]), scores(position, [[0, 3, 7, *phrase]])
    np.testing.assert_allclose(far[..., 3:, 3:], near, atol=1e-12)


@pytest.mark.parametrize("position", ["Sinusoidal", "Learned"])
def test_absolute_encodings_do_depend_on_position(position):
    phrase = [1, 5, 2, 9]
    near, far = scores(position, [phrase]), scores(position, [[0, 3, 7, *phrase]])
    past = np.tril_indices(4)
    assert np.abs(far[..., 3:, 3:][..., *past] - near[..., *past]).max() > 1e-3


def test_rope_is_invariant_to_shifting_both_positions():
    rope = POSITIONS.get("RoPE")(small_model().architecture)
    dice = np.random.default_rng(0)
    query, key = dice.standard_normal((2, 1, 1, 1, 4))
    long_query, long_key = np.repeat(query, 30, axis=2), np.repeat(key, 30, axis=2)
    rope.rotate(long_query)
    rope.rotate(long_key)
    products = long_query[0, 0] @ long_key[0, 0].T
    for distance in (0, 3, 11):
        diagonal = np.diagonal(products, -distance)
        np.testing.assert_allclose(diagonal, diagonal[0], rtol=1e-12)
    assert abs(products[3, 0] - products[11, 0]) > 1e-3


def test_alibi_slopes_for_head_counts_that_are_no_power_of_two():
    slopes = POSITIONS.get("ALiBi").slopes
    np.testing.assert_allclose(slopes(8), 2.0 ** -np.arange(1, 9))
    np.testing.assert_allclose(slopes(12)[8:], 2.0 ** np.array([-0.5, -1.5, -2.5, -3.5]))


def test_sinusoidal_table_is_the_papers():
    waves = POSITIONS.get("Sinusoidal")(small_model().architecture).waves(5)
    assert waves[3, 4] == pytest.approx(np.sin(3 / 10_000 ** (4 / 12)))
    assert waves[3, 5] == pytest.approx(np.cos(3 / 10_000 ** (4 / 12)))


def test_learned_positions_end_at_max_seq_len():
    with pytest.raises(ValueError, match="max_seq_len = 9.*max_seq_len=12"):
        small_model(position="Learned").forward(np.zeros((1, 12), int))
    assert small_model(position="ALiBi").forward(np.zeros((1, 12), int)).shape == (1, 12, 11)


def test_qk_norm_bounds_match_scores():
    capture = Capture(["blocks.0.scores"])
    model = small_model(qk_norm=True, num_layers=1)
    for name in ("q_norm", "k_norm"):
        model.parameters[f"blocks.0.attention.{name}.weight"][...] = 1
    model.parameters["blocks.0.attention.qkv.weight"][...] *= 1000
    model.forward(small_batch()[0], trace=capture)
    seen = capture["blocks.0.scores"]
    assert np.abs(seen[np.isfinite(seen)]).max() <= np.sqrt(4) + 1e-9


def test_untouched_parts_begin_identical_when_one_knob_differs():
    plain = Transformer(vocab_size=11, hidden_dim=12, num_layers=2, num_heads=3)
    other = Transformer(vocab_size=11, hidden_dim=12, num_layers=2, num_heads=3, norm_type="LayerNorm",
                        pos_encoding_type="Learned", tie_embeddings=False, qk_norm=True)
    shared = set(plain.parameters) & set(other.parameters)
    assert "blocks.1.mlp.down.weight" in shared
    for name in shared:
        np.testing.assert_array_equal(plain.parameters[name], other.parameters[name])
    drawn = plain.parameters["blocks.0.attention.out.weight"], plain.parameters["blocks.1.attention.out.weight"]
    assert not np.array_equal(*drawn)


def test_residual_projections_start_smaller():
    model = Transformer(vocab_size=11, hidden_dim=64, num_layers=8, num_heads=4)
    assert model.parameters["blocks.0.attention.qkv.weight"].std() == pytest.approx(0.02, rel=0.05)
    assert model.parameters["blocks.0.mlp.down.weight"].std() == pytest.approx(0.02 / 4, rel=0.05)


def test_a_gate_keeps_the_parameter_count():
    counts = [Transformer(activation_type=name).parameter_count for name in ("GELU", "SwiGLU")]
    assert counts[1] == pytest.approx(counts[0], rel=0.03)


def test_trace_sees_every_site_in_order_and_what_it_returns_is_used():
    model = small_model(residual="Sandwich")
    sites = model.sites
    assert sites[:6] == ["residual.0", "blocks.0.norm1", "blocks.0.q", "blocks.0.k", "blocks.0.v", "blocks.0.scores"]
    assert {"blocks.1.post_norm2", "final_norm", "logits", "blocks.0.preactivation.gradient", "residual.0.gradient",
            "blocks.1.v.gradient"} <= set(sites)
    tokens, _ = small_batch()
    plain = model.forward(tokens)
    np.testing.assert_allclose(model.forward(tokens, trace=Capture()), plain, rtol=1e-12)
    ablated = model.forward(tokens, trace=Edit({"blocks.1.heads": np.zeros_like, "blocks.0.norm2": lambda x: 2 * x}))
    assert np.abs(ablated - plain).max() > 1e-3


def test_an_edit_of_a_branch_equals_taking_it_out_by_hand():
    model = small_model()
    tokens, _ = small_batch()
    capture = Capture()
    model.forward(tokens, trace=Edit({"blocks.1.mlp": np.zeros_like}))
    trace_both = Edit({"blocks.1.mlp": np.zeros_like})
    model.forward(tokens, trace=lambda name, x: capture(name, trace_both(name, x)))
    np.testing.assert_array_equal(capture["residual.4"], capture["residual.3"])


def test_captured_weights_are_causal_and_sum_to_one():
    capture = Capture(["blocks.0.weights", "blocks.0.scores"])
    small_model().forward(small_batch()[0], trace=capture)
    np.testing.assert_allclose(capture["blocks.0.weights"].sum(-1), 1)
    future = np.triu(np.ones((7, 7), bool), 1)
    assert (capture["blocks.0.weights"][..., future] == 0).all()
    assert np.isneginf(capture["blocks.0.scores"][..., future]).all()


def test_a_replacement_of_the_wrong_shape_is_refused():
    with pytest.raises(ValueError, match=r"shape \(1,\) at 'logits', where \(2, 7, 11\)"):
        small_model().forward(small_batch()[0], trace=Edit({"logits": lambda x: np.zeros(1)}))


@pytest.mark.parametrize(("tokens", "message"), [
    ([1, 2], r"wrap a single sequence as tokens\[None, :\]"),
    ([[0, 11]], "token 11 is outside the vocabulary 0 ... 10"),
    ([[0, -1]], "token -1 is outside"),
    ([[0.5, 1.0]], "must be whole numbers, not float64"),
    (np.zeros((1, 0), int), "at least one token"),
])  # fmt: skip
def test_bad_tokens_are_refused(tokens, message):
    with pytest.raises(ValueError, match=message):
        small_model().forward(tokens)


def test_targets_must_match_the_tokens():
    with pytest.raises(ValueError, match=r"tokens \(2, 7\) and targets \(2, 5\)"):
        small_model().loss_and_grads(small_batch()[0], small_batch(5)[1])


def test_settings_that_do_not_go_together_are_refused():
    with pytest.raises(SettingsError, match="num_heads = 5 does not fit.*To fix it, set num_heads to"):
        Transformer(hidden_dim=64, num_heads=5)
