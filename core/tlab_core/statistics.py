"""What is measured inside a model: signals and gradients, what the heads look at, what it predicts, what moves.

`measure` sends one probe text through a model and returns a record for each group of `schema.GROUPS` that describes
the model's inside; `parameter_statistics` looks at its parameters. Both are pure functions. Infinities and NaNs pass
through them quietly: when a run diverges, they are what there is to see.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tlab_core.activations import ACTIVATIONS
from tlab_core.bins import ACTIVATION_BINS, GRADIENT_BINS
from tlab_core.heads import attention_patterns, causal_pairs, logit_moments, mean_length
from tlab_core.schema import RANKS, SITES
from tlab_core.signals import Meter, activation_shares
from tlab_core.trace import Capture


def measure(model: Any, tokens: np.ndarray, work: Any = None) -> dict[str, dict[str, np.ndarray]]:
    """Send a probe text forward and backward through the model once and measure everything inside.

    tokens: (N,) the probe text; the model reads the first T = N - 1 and is asked for the last T. The result maps the
    groups residual, layers, heads, histograms, qk_histograms, attention and probe to their variables, shaped as
    `schema.GROUPS` says. Sites that the architecture does not have get NaN and empty histograms. The model is not
    changed. `work` is a workspace of the model (`model.workspace()`) to use again: whoever measures often saves the
    time to make one. Its gradients are overwritten.

    Raises ValueError when tokens are not a single row of at least three (the heads' averages begin at position 1), or
    are not the model's tokens.
    """
    tokens = np.asarray(tokens)
    if tokens.ndim != 1 or len(tokens) < 3:
        raise ValueError(f"a probe is one row of at least 3 tokens; came an array of shape {tokens.shape}")
    tokens = model.checked(tokens[None])[0]
    read, targets = tokens[:-1], tokens[1:]
    architecture = model.architecture
    blocks = range(architecture.num_layers)
    depths = [f"residual.{depth}" for depth in range(2 * len(blocks) + 1)]
    places = [f"blocks.{i}.{site}" for i in blocks for site in SITES]
    stream, stream_gradient = Meter(depths), Meter([f"{name}.gradient" for name in depths])
    signal = Meter(places, ACTIVATION_BINS)
    gradient = Meter([f"{name}.gradient" for name in places], GRADIENT_BINS)
    looked_at = ("q", "k", "scores", "weights", "heads", "preactivation")
    capture = Capture([f"blocks.{i}.{site}" for i in blocks for site in looked_at] + ["logits"])
    observers = (stream, stream_gradient, signal, gradient, capture)

    def trace(name: str, x: np.ndarray) -> np.ndarray:
        for observe in observers:
            observe(name, x)
        return x

    def every_block(site: str) -> np.ndarray:
        return np.stack([capture[f"blocks.{i}.{site}"][0] for i in blocks])

    def by_layer(values: np.ndarray) -> np.ndarray:
        return values.reshape(len(blocks), len(SITES), *values.shape[1:])

    with np.errstate(all="ignore"):
        work = model.workspace() if work is None else work
        model.shard_loss_and_grads(read[None], targets[None], work, 1 / len(read), trace)
        for meter in observers[:-1]:
            meter.finish()
        activation = ACTIVATIONS.get(architecture.activation_type)
        weights = every_block("weights")
        pairs = causal_pairs(every_block("scores"))
        return {
            "residual": stream.moments | _gradients(stream_gradient.moments),
            "layers": {name: by_layer(values) for name, values in signal.moments.items()}
            | {name: by_layer(values) for name, values in _gradients(gradient.moments).items()}
            | activation_shares(every_block("preactivation"), activation),
            "heads": attention_patterns(weights, read)
            | logit_moments(pairs)
            | {
                "query_norm": mean_length(every_block("q")),
                "key_norm": mean_length(every_block("k")),
                "output_norm": mean_length(every_block("heads")),
            },
            "histograms": {"activation": by_layer(signal.counts), "gradient": by_layer(gradient.counts)},
            "qk_histograms": {
                "count": ACTIVATION_BINS.count(pairs.reshape(-1, pairs.shape[-1])).reshape(*pairs.shape[:2], -1)
            },
            "attention": {"weight": weights.astype(np.float32, copy=False)},
            "probe": predictions(capture["logits"][0], read, targets),
        }


def _gradients(moments: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {f"gradient_{name}": values for name, values in moments.items()}


def predictions(logits: np.ndarray, read: np.ndarray, targets: np.ndarray) -> dict[str, np.ndarray]:
    """Say how well each next token was predicted, and what was expected: logits (T, V), read and targets (T,).

    loss = - ln softmax(logits)[target], in nats (T,). top_token, top_probability: the likeliest, falling (T, rank);
    of equally likely tokens the smaller id comes first.
    """
    logits = logits.astype(np.float64)
    log_probabilities = logits - logits.max(axis=-1, keepdims=True)
    log_probabilities -= np.log(np.exp(log_probabilities).sum(axis=-1, keepdims=True))
    top = np.argsort(-log_probabilities, axis=-1, kind="stable")[:, :RANKS]
    return {
        "token": read,
        "target": targets,
        "loss": -np.take_along_axis(log_probabilities, targets[:, None], axis=-1)[:, 0],
        "top_token": top,
        "top_probability": np.exp(np.take_along_axis(log_probabilities, top, axis=-1)),
    }


def parameter_statistics(
    names: Sequence[str],
    parameters: Mapping[str, np.ndarray],
    gradients: Mapping[str, np.ndarray] | None,
    before: Mapping[str, np.ndarray] | None,
    start: Mapping[str, np.ndarray],
) -> dict[str, np.ndarray]:
    """Say how large each parameter and its gradient are and how it moves: four measures, each (names,).

    weight_rms, gradient_rms: RMS of the parameter and of its gradient (NaN without gradients).
    update_ratio: RMS(W - before) / RMS(before), where `before` holds the weights before the last update; NaN without
    `before` (step 0), and where all of them were zero, as fresh biases are.
    distance: RMS(W - start), how far the parameter is from where it began.
    """
    nothing = np.full(len(names), np.nan)
    with np.errstate(all="ignore"):
        update_ratio = nothing
        if before is not None:
            size = np.array([_rms(before[name]) for name in names])
            update = np.array([_rms(parameters[name] - before[name]) for name in names])
            update_ratio = np.divide(update, size, out=nothing.copy(), where=size != 0)
        return {
            "weight_rms": np.array([_rms(parameters[name]) for name in names]),
            "gradient_rms": nothing if gradients is None else np.array([_rms(gradients[name]) for name in names]),
            "update_ratio": update_ratio,
            "distance": np.array([_rms(parameters[name] - start[name]) for name in names]),
        }


def _rms(values: np.ndarray) -> float:
    """Return sqrt(mean(x²)), summed in float64."""
    flat = values.astype(np.float64).ravel()
    return float(np.sqrt(np.vecdot(flat, flat) / flat.size))
