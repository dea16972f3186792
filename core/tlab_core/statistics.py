"""What is measured inside a model: signals and gradients, what the heads look at, what it predicts, what moves.

`measure` sends one probe text through a model and returns a record for each group of `schema.GROUPS` that describes
the model's inside; `parameter_statistics` looks at its parameters. Both are pure functions. Infinities and NaNs pass
through them quietly: when a run diverges, they are what there is to see.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tlab_core.activations import ACTIVATIONS
from tlab_core.bins import ACTIVATION_BINS, GRADIENT_BINS
from tlab_core.heads import attention_patterns, causal_pairs, logit_moments, mean_length
from tlab_core.own_statistics import Look, Statistic
from tlab_core.schema import RANKS, SITES
from tlab_core.signals import Meter, activation_shares, squares_fit
from tlab_core.trace import Capture


def measure(model: Any, tokens: np.ndarray, work: Any = None, own: Sequence[Statistic] = (),
            failed: dict[str, str] | None = None) -> dict[str, dict[str, np.ndarray]]:
    """Send a probe text forward and backward through the model once and measure everything inside.

    tokens: (N,) the probe text; the model reads the first T = N - 1 and is asked for the last T. The result maps the
    groups residual, layers, heads, histograms, qk_histograms, attention and probe to their variables, shaped as
    `schema.GROUPS` says. Sites that the architecture does not have get NaN and empty histograms. The model is not
    changed. `work` is a workspace of the model to use again: whoever measures often saves the time to make one. One
    without gradients (`model.workspace(gradients=False)`) is enough, and saves a fifth of the pass. `own` are statistics
    that join their groups, NaN where one can't be worked out; `failed` then takes down why, by name.

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
    meter = Meter(
        dict.fromkeys(depths)
        | dict.fromkeys(f"{name}.gradient" for name in depths)
        | dict.fromkeys(places, ACTIVATION_BINS)
        | dict.fromkeys((f"{name}.gradient" for name in places), GRADIENT_BINS)
    )
    looked_at = ("q", "k", "scores", "weights", "heads", "preactivation")
    capture = Capture([f"blocks.{i}.{site}" for i in blocks for site in looked_at] + ["logits"])
    look = Look(own, len(blocks))

    def trace(name: str, x: np.ndarray) -> np.ndarray:
        return look(name, capture(name, meter(name, x)))

    def every_block(site: str) -> np.ndarray:
        return np.stack([capture[f"blocks.{i}.{site}"][0] for i in blocks])

    def by_layer(values: np.ndarray) -> np.ndarray:
        return values.reshape(len(blocks), len(SITES), *values.shape[1:])

    with np.errstate(all="ignore"):
        work = model.workspace(gradients=False) if work is None else work
        model.shard_loss_and_grads(read[None], targets[None], work, 1 / len(read), trace)
        meter.finish()
        # The meter's sites in the order given to it: the stream, its gradients, the layers' sites, theirs.
        ends = [len(depths), 2 * len(depths), 2 * len(depths) + len(places)]
        moments = {name: np.split(values, ends) for name, values in meter.moments.items()}
        *_, counts, gradient_counts = np.split(meter.counts, ends)
        activation = ACTIVATIONS.get(architecture.activation_type)
        weights = every_block("weights")
        pairs = causal_pairs(every_block("scores"))
        sizes = {"layer": len(blocks), "head": architecture.num_heads}
        theirs = look.measured(sizes, read, targets, {} if failed is None else failed)
        return {
            "residual": {name: parts[0] for name, parts in moments.items()}
            | {f"gradient_{name}": parts[1] for name, parts in moments.items()},
            "layers": {name: by_layer(parts[2]) for name, parts in moments.items()}
            | {f"gradient_{name}": by_layer(parts[3]) for name, parts in moments.items()}
            | activation_shares(every_block("preactivation"), activation)
            | theirs.get("layers", {}),
            "heads": attention_patterns(weights, read)
            | logit_moments(pairs)
            | {
                "query_norm": mean_length(every_block("q")),
                "key_norm": mean_length(every_block("k")),
                "output_norm": mean_length(every_block("heads")),
            }
            | theirs.get("heads", {}),
            "histograms": {"activation": by_layer(counts), "gradient": by_layer(gradient_counts)},
            "qk_histograms": {"count": np.array([[ACTIVATION_BINS.count(head) for head in layer] for layer in pairs])},
            "attention": {"weight": weights.astype(np.float32, copy=False)},
            "probe": predictions(capture["logits"][0], read, targets),
        }


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
    rms = np.empty((len(names), 5))
    scratch = np.empty(max(parameters[name].size for name in names), parameters[names[0]].dtype)
    with np.errstate(all="ignore"):
        arrays = [[None if of is None else of[name].ravel() for of in (parameters, start, before, gradients)]
                  for name in names]
        for place, of_parameter in enumerate(arrays):
            rms[place] = _sizes(*of_parameter, scratch)
        for place in np.flatnonzero(~squares_fit(rms).all(axis=1)):
            rms[place] = _sizes(*(None if x is None else x.astype(np.float64) for x in arrays[place]))
        weight, distance, size, update, gradient = rms.T
        return {
            "weight_rms": weight,
            "gradient_rms": gradient,
            "update_ratio": np.divide(update, size, out=np.full(len(names), np.nan), where=size != 0),
            "distance": distance,
        }


def _sizes(weights, start, before, gradient, scratch=None) -> list[float]:
    """Return the RMS of W, W - start, before, W - before and the gradient, (n,) each; NaN for what is None.

    All of them while the parameter is in the core's cache, and summed in its own precision.
    """
    difference = np.empty_like(weights) if scratch is None else scratch[: weights.size]
    rms = [_rms(weights), _rms(np.subtract(weights, start, out=difference)), math.nan, math.nan, math.nan]
    if before is not None:
        rms[2:4] = _rms(before), _rms(np.subtract(weights, before, out=difference))
    if gradient is not None:
        rms[4] = _rms(gradient)
    return rms


def _rms(values: np.ndarray) -> float:
    """Return sqrt(mean(x²))."""
    return math.sqrt(np.dot(values, values) / values.size)
