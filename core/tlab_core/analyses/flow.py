"""What passed through one block: each named site's shape, size and first numbers, on the way forward and back."""

from typing import Any

import numpy as np
import xarray as xr

from tlab_core.analyses.base import ANALYSES, chosen, undisturbed, variable
from tlab_core.signals import moments
from tlab_core.trace import Capture

FIRST = 6
BY_HEAD = {"q", "k", "v", "heads"}
BY_PAIR = {"scores", "weights"}


@ANALYSES.register("flow")
def flow(run: Any, *, layer: int, position: int | None = None, head: int = 0) -> xr.Dataset:
    """Show the numbers themselves, at each place that a signal meets on its way through one block.

    The probe text goes forward and backward once. For each site, in the order in which the signal meets it (the embedding,
    the residual stream around the block, what is inside the block, the final norm, the logits): its shape and what its axes
    are; RMS = √(mean(x²)), mean, and the largest magnitude; the first 6 numbers at one position of the probe text (None:
    the last), and where a site has heads, of one head. The same of the loss's gradient there, in nats per unit, NaN at
    sites that the pass back does not show. Of scores and weights only the pairs that the mask lets through are measured;
    a masked score is −∞ among the first numbers. Shapes (site,) and (site, number).

    Raises AnalysisError for a layer, position or head that isn't there.
    """
    a, probe = run.model.architecture, run.trainer.probe
    read, targets = probe[:-1], probe[1:]
    layer, head = chosen("layer", layer, a.num_layers), chosen("head", head, a.num_heads)
    position = len(read) - 1 if position is None else chosen("position", position, len(read))
    block = f"blocks.{layer}."
    ends = {"residual.0", *(f"residual.{2 * layer + i}" for i in range(3)), "final_norm", "logits"}
    capture = Capture()

    def trace(name: str, x: np.ndarray) -> np.ndarray:
        forward = name.removesuffix(".gradient")
        return capture(name, x) if forward in ends or forward.startswith(block) else x

    with undisturbed():
        work = run.model.workspace(gradients=False)
        run.model.shard_loss_and_grads(read[None], targets[None], work, 1 / len(read), trace)
        sites = [name for name in capture.values if not name.endswith(".gradient")]
        sizes = {suffix: np.array([_sizes(name, capture.values.get(name + suffix)) for name in sites]).T
                 for suffix in ("", ".gradient")}
        numbers = {suffix: np.array([_first(capture.values.get(name + suffix), position, head) for name in sites])
                   for suffix in ("", ".gradient")}
    each, unit = ("site",), "nats per unit"
    words = ("RMS", "mean", "largest magnitude")
    found = {
        "shape": variable(each, [" × ".join(map(str, capture[name].shape)) for name in sites], "size along each axis"),
        "axes": variable(each, [_axes(name) for name in sites], "what the axes are"),
    }
    for name, word, values, gradients in zip(("rms", "mean", "max"), words, *sizes.values(), strict=True):
        found[name] = variable(each, values, f"{word} of the signal")
        found[f"gradient_{name}"] = variable(each, gradients, f"{word} of the loss's gradient", unit)
    found["first"] = variable(("site", "number"), numbers[""], "first numbers at the chosen position")
    found["gradient_first"] = variable(("site", "number"), numbers[".gradient"],
                                       "first numbers of the loss's gradient at the chosen position", unit)
    coords = {
        "site": variable(each, sites, "place that the signal passes"),
        "number": variable(("number",), np.arange(FIRST), "channel, or key where the site has pairs"),
    }
    return xr.Dataset(found, coords, {"layer": layer, "position": position, "head": head})


def _axes(site: str) -> str:
    name = site.rpartition(".")[2]
    if name in BY_PAIR:
        return "text × head × query × key"
    if name in BY_HEAD:
        return "text × head × position × channel"
    return "text × position × " + ("token" if name == "logits" else "channel")


def _sizes(site: str, x: np.ndarray | None) -> tuple[float, float, float]:
    """Return RMS, mean and largest magnitude, NaN for what isn't there."""
    if x is None:
        return np.nan, np.nan, np.nan
    if site.rpartition(".")[2] in BY_PAIR:
        x = x[..., *np.tril_indices(x.shape[-1])]
    measured = moments(x.reshape(1, -1))
    return tuple(float(measured[name][0]) for name in ("rms", "mean", "max"))


def _first(x: np.ndarray | None, position: int, head: int) -> np.ndarray:
    """Return the first numbers (FIRST,) at a position of x (1, T, n) or (1, H, T, n), NaN beyond the end."""
    numbers = np.full(FIRST, np.nan)
    if x is not None:
        row = x[0, position] if x.ndim == 3 else x[0, head, position]
        numbers[: len(row[:FIRST])] = row[:FIRST]
    return numbers
