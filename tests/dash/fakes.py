"""A run that never trained: a real History filled with made-up numbers of the right shapes, for tests of what is drawn."""

from functools import partial
from types import SimpleNamespace

import numpy as np

from tests.dash.fake_analyses import analyse
from tlab_core.config import Architecture, Training
from tlab_core.history import History
from tlab_core.run import Run
from tlab_core.schema import GROUPS, SITES, coordinates

WEIGHTS = ("norm1.weight", "attention.qkv.weight", "attention.qkv.bias", "mlp.down.weight")
TEXT = "One day Redanu went to the wood and met Fope.\nShe said hello to him"


class FakeRun(SimpleNamespace):
    """What a view reads of a run."""

    recent_loss = Run.recent_loss


def fake_run(layers=4, heads=4, positions=64, records=3, every=5, seed=0, text=TEXT, **knobs):
    """Return what views need of a Run: `experiment`, `recorder`, `baselines`, `probe_tokens`, `step`.

    Head h of layer l attends to the previous character the more, the later the record and the larger h; the residual
    stream grows with depth. `records=1` is a model before training.
    """
    architecture = Architecture(vocab_size=40, num_layers=layers, num_heads=heads, hidden_dim=16 * heads, **knobs)
    tokens = list((text * (positions // len(text) + 2))[: positions + 1])
    history = History(coordinates(
        num_layers=layers, num_heads=heads, vocab_size=40, parameters=_parameters(layers), probe_length=positions,
    ))
    run = FakeRun(
        experiment=SimpleNamespace(architecture=architecture, training=Training()), recorder=history,
        probe_tokens=tokens, step=0,
        baselines={"uniform": 3.69, "unigram": 2.87, "bigram": 2.0}, marks=[], analyses={}, divergence=None,
    )
    run.analyse = partial(analyse, run)
    rng = np.random.default_rng(seed)
    for record in range(records):
        add_record(run, rng, record, every)
    return run


def add_record(run, rng, record, every=5) -> None:
    """Append the `record`-th look inside, `every` steps after the one before, and the training steps between."""
    history, step = run.recorder, record * every
    for s in range(step - every + 1, step + 1):
        if s > 0:
            loss = 0.6 + 3.1 * np.exp(-s / 60) + rng.normal(0, 0.06)
            history.append("train", s, {
                "loss": loss, "learning_rate": 1e-3, "grad_norm": 1.0, "tokens": 512 * s, "seconds": 0.02 * s,
            })
    history.append("validation", step, {"loss": 0.65 + 3.1 * np.exp(-step / 60)})
    for group in ("residual", "layers", "heads", "qk_histograms", "attention"):
        history.append(group, step, _made_up(run, group, rng, record))
    for group in ("parameters", "histograms"):
        history.append(group, step, _made_up(run, group, np.random.default_rng(record), record))
    run.step = step


def _parameters(layers) -> list[str]:
    return ["token_embedding.weight", *(f"blocks.{layer}.{name}" for layer in range(layers) for name in WEIGHTS)]


def maps(layers, heads, positions, sharpness) -> np.ndarray:
    """Return causal attention (layer, head, query, key): even at sharpness 0, then more and more a stripe."""
    query, key = np.mgrid[:positions, :positions]
    logits = np.zeros((layers, heads, positions, positions))
    for head in range(1, heads):
        logits[:, head] += sharpness * head * ((key == query - 1) + 0.5 * (key == 0) * (head % 2 == 0))
    weight = np.where(key <= query, np.exp(logits), 0)
    return (weight / weight.sum(-1, keepdims=True)).astype(np.float32)


def _made_up(run, group, rng, record):
    c = run.recorder.coordinates
    layers, heads, positions = len(c["layer"]), len(c["head"]), len(c["query"])
    sharpness = 1.5 * np.log1p(record)
    if group == "attention":
        return {"weight": maps(layers, heads, positions, sharpness)}
    sizes = {dim: len(values) for dim, values in c.items()}
    made = {
        name: np.abs(rng.normal(1, 0.1, [sizes[dim] for dim in variable.dims])).astype(np.float32)
        for name, variable in GROUPS[group].variables.items()
    }
    if group == "residual":
        made["rms"] = (1 + record) * np.geomspace(0.1, 1.5, sizes["depth"])
        made["gradient_rms"] = np.geomspace(3e-3, 1e-3, sizes["depth"])
    elif group == "layers":
        for name in made:
            if name.startswith("gradient"):
                made[name] = made[name] * 1e-3
        for name in ("rms", "gradient_rms"):
            for site in ("post_norm1", "post_norm2"):
                if run.experiment.architecture.residual_type != "Sandwich":
                    made[name][:, SITES.index(site)] = np.nan
        made["dead_share"] = np.linspace(0, 0.12, layers)
    elif group == "heads":
        weight = maps(layers, heads, positions, sharpness).astype(float)
        made["previous_token"] = np.diagonal(weight, -1, -2, -1).sum(-1) / positions
        made["first_token"] = weight[..., 0].mean(-1)
        made["induction"] = np.full((layers, heads), 0.02)
        made["entropy"] = -(weight * np.log(np.where(weight > 0, weight, 1))).sum(-1).mean(-1)
        made["qk_mean"], made["qk_max"] = np.full((2, layers, heads), sharpness) * np.array([0.1, 3.0])[:, None, None]
    elif group == "parameters":
        made["distance"] *= 0.1 * record
        made["update_ratio"] *= 1e-3 if record else np.nan
        made["gradient_rms"] *= 1e-2 if record else np.nan
    elif group == "histograms":
        for name in made:
            bins = np.arange(sizes["bin"]) - sizes["bin"] // 2
            spread = 2.0 + np.arange(layers * len(SITES)).reshape(layers, len(SITES), 1) % 7
            made[name] = np.rint(500 * np.exp(-((bins / spread) ** 2))).astype(np.int32)
    elif group == "qk_histograms":
        edges = np.append(run.recorder.group(group)["left"].values[1:], 1000.0)
        scores = rng.normal(0.1 * sharpness, 0.05 + sharpness, (layers, heads, positions * (positions + 1) // 2))
        inside = np.array([[np.histogram(head, edges)[0] for head in layer] for layer in scores])
        made["count"] = np.pad(inside, ((0, 0), (0, 0), (1, sizes["bin"] - inside.shape[-1] - 1))).astype(np.int32)
    return made
