"""Made-up measures of a fake run, in the shapes that the real analyses have."""

import json

import numpy as np
import xarray as xr

TRAINED = 16  # the length that the fake run was trained on


def analyse(run, name: str, **options):
    """Take a made-up measure of `run`, as LiveRun.analyse does a real one."""
    made = MAKERS[name](run, **options).assign_attrs(step=run.step, options=json.dumps(options, sort_keys=True))
    run.analyses = {**run.analyses, name: made}
    return made


def neuron(run, layer, unit=None, position=None):
    """Unit u varies by (u + 1) % units; it is active at position p by p - 3."""
    units, read = run.experiment.architecture.resolved_ff_dim, len(run.probe_tokens) - 1
    position = read - 1 if position is None else position
    unit = units - 2 if unit is None else unit
    fired = np.linspace(3, 1, 4)[:, None] - np.abs(np.arange(10) - 4)
    return xr.Dataset(
        {
            "unit_std": ("unit", (np.arange(units) + 1.0) % units),
            "unit_at_position": ("unit", np.cos(np.arange(units) + position)),
            "probe_activation": ("position", np.arange(read) - 3.0),
            "count": ("bin", np.array([3, 0, 40, 7])),
            "passage_character": (("passage", "offset"), np.array([list("<b>&amp;\n ")] * 4)),
            "passage_activation": (("passage", "offset"), fired),
            "passage_peak": ("passage", np.full(4, 4)),
            "raised_character": ("rank", np.array(list("ab<"))),
            "raised": ("rank", np.array([0.5, 0.25, 0.1])),
            "lowered_character": ("rank", np.array(list(" \nz"))),
            "lowered": ("rank", np.array([-1.0, -0.5, -0.1])),
        },
        {"left": ("bin", np.arange(-1.0, 3)), "right": ("bin", np.arange(0.0, 4))},
        {"layer": layer, "unit": unit, "position": position, "characters": 50},
    )


def long_context(run, factor, beyond=2.1, limit=""):
    """Blocks of 8 positions: 3 nats in the first, 1.2 in the second, `beyond` in all that were not trained on."""
    first = np.arange(0, factor * TRAINED, 8)
    loss = np.where(first < TRAINED, np.where(first < 8, 3.0, 1.2), beyond)
    layers = len(run.recorder.coordinates["layer"])
    scores = (1.0 + np.arange(layers))[:, None] * (1 + first / TRAINED)
    return xr.Dataset(
        {
            "loss": ("block", loss), "loss_error": ("block", np.full(len(first), 0.01)),
            "qk_mean": (("layer", "block"), -scores), "qk_std": (("layer", "block"), scores),
            "qk_max": (("layer", "block"), 3 * scores),
        },
        {"position": ("block", first + 3.5), "first": ("block", first), "last": ("block", first + 7),
         "layer": np.arange(layers)},
        {"trained_length": TRAINED, "length": factor * TRAINED, "windows": 4, "limit": limit},
    )


def weights(run, parameter):
    """Four bins and five directions; the numbers have spread and grown since the start."""
    return xr.Dataset(
        {
            "count": ("bin", np.array([2, 5, 4, 1])),
            "start_count": ("bin", np.array([0, 6, 6, 0])),
            "singular_value": ("component", np.array([3.0, 2.0, 1.0, 0.5, 0.1])),
            "start_singular_value": ("component", np.array([1.5, 1.2, 1.0, 0.8, 0.6])),
            "rms": ((), 0.2), "start_rms": ((), 0.1), "distance": ((), 0.15),
            "effective_rank": ((), 3.4), "start_effective_rank": ((), 4.8),
        },
        {"left": ("bin", np.arange(-2.0, 2)), "right": ("bin", np.arange(-1.0, 3)), "component": np.arange(1, 6)},
        {"parameter": parameter, "shape": "5 × 7"},
    )


def logit_distance(run):
    """Head h of layer l scores l + h next to itself, and less the further away."""
    layers, heads = (len(run.recorder.coordinates[dim]) for dim in ("layer", "head"))
    distance = np.arange(TRAINED)
    mean = np.add.outer(np.arange(layers), np.arange(heads))[..., None] - 0.1 * distance
    return xr.Dataset(
        {
            "mean": (("layer", "head", "distance"), mean), "std": (("layer", "head", "distance"), np.full(mean.shape, 0.5)),
            "count": ("distance", TRAINED - distance),
        },
        {"layer": np.arange(layers), "head": np.arange(heads), "distance": distance},
        {"windows": 1, "length": TRAINED},
    )


MAKERS = {"neuron": neuron, "long_context": long_context, "weights": weights, "logit_distance": logit_distance}
