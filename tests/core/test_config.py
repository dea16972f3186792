"""Knobs refuse bad values in plain words; settings as a whole name what doesn't go together and the nearest fix."""

import numpy as np
import pytest

from tlab_core import Architecture, SettingsError, Training, Transformer
from tlab_core.knobs import ChoiceKnob, KnobError
from tlab_core.optimizers import OPTIMIZERS
from tlab_core.residuals import RESIDUALS, PreLN

SETTINGS = [Architecture, Training]


@pytest.mark.parametrize("settings", SETTINGS)
def test_every_knob_explains_itself(settings):
    knobs = settings.knobs()
    assert len(knobs) >= 15
    for knob in knobs:
        parameter = settings.param[knob]
        assert len(parameter.doc.split()) >= 6, knob
        assert parameter.label, knob
        assert parameter.unit is not None, knob
        if isinstance(parameter, ChoiceKnob):
            assert parameter.names(), knob
        elif hasattr(parameter, "bounds") and parameter.softbounds:
            low, high = parameter.bounds
            soft_low, soft_high = parameter.softbounds
            assert low <= soft_low < soft_high <= high, knob


@pytest.mark.parametrize(("knob", "value", "message"), [
    ("num_layers", 0, "num_layers = 0 is not allowed: it must be a whole number of at least 1 and at most 128"),
    ("num_layers", 2.5, "num_layers = 2.5 is not allowed: it must be a whole number"),
    ("num_layers", True, "num_layers = True is not allowed"),
    ("init_std", 0, "a number above 0"),
    ("init_std", float("nan"), "init_std = nan is not allowed"),
    ("init_std", "0.02", "init_std = '0.02' is not allowed"),
    ("norm_type", "LayrNorm", "must be one of 'LayerNorm', 'RMSNorm', 'None'. Did you mean 'LayerNorm'?"),
    ("norm_type", 3, "norm_type = 3 is not allowed"),
    ("use_bias", "yes", "use_bias = 'yes' is not allowed: it must be True or False"),
    ("ff_dim", 0, "of at least 1 and at most 65536, or None"),
])  # fmt: skip
def test_a_bad_value_is_refused_and_the_old_one_stays(knob, value, message):
    architecture = Architecture()
    before = getattr(architecture, knob)
    with pytest.raises(KnobError, match=message.replace("(", r"\(")):
        setattr(architecture, knob, value)
    assert getattr(architecture, knob) == before
    with pytest.raises(KnobError):
        Architecture(**{knob: value})


def test_choices_ignore_case_and_none_stands_for_its_name():
    architecture = Architecture(norm_type=None, residual_type="post-ln", activation_type="swiglu")
    assert (architecture.norm_type, architecture.residual_type) == ("None", "Post-LN")
    architecture.pos_encoding_type = "ALIBI"
    assert architecture.pos_encoding_type == "ALiBi"


def test_a_misspelt_attribute_is_refused_too():
    with pytest.raises(AttributeError, match=r"Architecture has no knob 'hidden_dm'. Did you mean 'hidden_dim'\?"):
        Architecture().hidden_dm = 3


def test_numbers_may_come_from_numpy_and_become_pythons_own():
    architecture = Architecture(num_layers=np.int64(3), init_std=np.float32(0.5))
    assert (architecture.num_layers, architecture.init_std) == (3, 0.5)
    assert (type(architecture.num_layers), type(architecture.init_std)) == (int, float)


def test_a_misspelt_knob_gets_the_nearest_name():
    with pytest.raises(TypeError, match=r"Architecture has no knob 'num_layer'. Did you mean 'num_layers'\?"):
        Architecture(num_layer=3)


@pytest.mark.parametrize(("width", "activation", "expected"), [
    (128, "GELU", 512), (128, "SwiGLU", 344), (64, "GEGLU", 176), (12, "SwiGLU", 32), (96, "SwiGLU", 256),
])  # fmt: skip
def test_feed_forward_width_follows_the_activation(width, activation, expected):
    architecture = Architecture(hidden_dim=width, num_heads=2, activation_type=activation)
    assert architecture.resolved_ff_dim == expected
    assert architecture.replace(ff_dim=40).resolved_ff_dim == 40


@pytest.mark.parametrize(("knobs", "fix"), [
    ({"hidden_dim": 64, "num_heads": 5}, {"num_heads": 4}),
    ({"hidden_dim": 60, "num_heads": 12}, {"num_heads": 10}),
    ({"hidden_dim": 65, "num_heads": 1}, {"hidden_dim": 66}),
    ({"hidden_dim": 4, "num_heads": 256}, {"num_heads": 2}),
    ({"hidden_dim": 4, "num_heads": 256, "pos_encoding_type": "ALiBi"}, {"num_heads": 4}),
])  # fmt: skip
def test_heads_must_share_the_width_and_the_fix_works(knobs, fix):
    architecture = Architecture(**knobs)
    (problem,) = architecture.problems()
    assert problem.fix == fix
    assert problem.remedy in problem.message
    assert architecture.replace(**problem.fix).problems() == []
    with pytest.raises(SettingsError, match=r"num_heads = .* does not fit"):
        architecture.check()


def test_an_odd_head_width_is_fine_without_rope():
    assert Architecture(hidden_dim=15, num_heads=3, pos_encoding_type="ALiBi").problems() == []
    (problem,) = Architecture(hidden_dim=15, num_heads=3).problems()
    assert "RoPE turns pairs of numbers" in problem.message
    assert Architecture(hidden_dim=15, num_heads=3).replace(**problem.fix).problems() == []


def test_training_problems():
    (rate,) = Training(learning_rate=1e-3, min_learning_rate=1e-2).problems()
    assert rate.knob == "min_learning_rate"
    (shards,) = Training(batch_size=2, shards=4).problems()
    assert shards.fix == {"shards": 2}
    assert Training().problems() == []
    assert Training(learning_rate=0.02).resolved_min_learning_rate == pytest.approx(0.002)


def test_what_an_optimizer_does_not_heed():
    assert Training().unheeded == {}
    assert sorted(Training(optimizer="SGD").unheeded) == ["beta1", "beta2", "weight_decay"]
    assert sorted(Training(optimizer="momentum").unheeded) == ["beta2", "weight_decay"]
    assert Training(optimizer="Adam").unheeded == {"weight_decay": "Adam has no use for it"}


def test_a_constant_schedule_has_no_use_for_where_others_end():
    assert list(Training(schedule="constant").unheeded) == ["min_learning_rate"]
    assert Training(schedule="linear").unheeded == {}


def test_without_a_norm_its_place_changes_no_number():
    assert Architecture().unheeded == {}
    tokens, losses = np.arange(12).reshape(2, 6), []
    for layout in RESIDUALS.names():
        architecture = Architecture(
            vocab_size=12, hidden_dim=16, num_layers=2, num_heads=2, norm_type="None", residual_type=layout)
        assert list(architecture.unheeded) == ["residual_type"]
        losses.append(Transformer(architecture).forward(tokens))
    for other in losses[1:]:
        np.testing.assert_array_equal(losses[0], other)


def test_a_layout_of_ones_own_may_change_more_than_where_norms_stand(monkeypatch):
    class Twice(PreLN):
        pass

    monkeypatch.setattr(Twice, "__module__", "somebodys.layouts")
    before = RESIDUALS.so_far()
    try:
        RESIDUALS.register("Twice")(Twice)
        assert Architecture(norm_type="None").unheeded == {}
    finally:
        RESIDUALS.restore(before)


def test_the_optimizer_knob_tells_every_optimizers_usual_rate():
    for name, kind in OPTIMIZERS.items():
        assert f"{name} about {kind.usual_learning_rate:g}" in Training.param.optimizer.doc


@pytest.mark.parametrize(("knob", "good", "bad"), [
    ("dropout", 0.999, 1), ("label_smoothing", 0.999, 1), ("z_loss", 0, -1e-9), ("gradient_accumulation_steps", 1, 0),
    ("gradient_accumulation_steps", 8, 1.5), ("dropout", 0, -0.1),
])  # fmt: skip
def test_training_knobs_keep_their_bounds(knob, good, bad):
    assert getattr(Training(**{knob: good}), knob) == good
    with pytest.raises(KnobError, match=f"{knob} = {bad} is not allowed"):
        Training(**{knob: bad})


@pytest.mark.parametrize("settings", SETTINGS)
def test_settings_survive_a_dict(settings):
    changed = settings(seed=5)
    again = settings.from_dict(changed.to_dict())
    assert again == changed
    assert again != settings()
    assert again is not changed


@pytest.mark.parametrize(("knobs", "steps"), [
    ({"batch_size": 8, "seq_len": 64}, 50),
    ({"batch_size": 16, "seq_len": 128}, 12),
    ({"batch_size": 16, "seq_len": 128, "gradient_accumulation_steps": 2}, 6),
    ({"batch_size": 512, "seq_len": 1024}, 1),
    ({"batch_size": 8, "seq_len": 64, "statistics_every": 7}, 7),
])
def test_auto_looks_inside_every_so_many_tokens(knobs, steps):
    assert Training(**knobs).resolved_statistics_every == steps
