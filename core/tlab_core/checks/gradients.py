"""One call that checks a component's hand-written backward pass."""

import inspect
from collections.abc import Callable

import numpy as np

from tlab_core.activations import Activation
from tlab_core.checks.activation import check_activation
from tlab_core.checks.model import REGISTRIES, check_in_models
from tlab_core.checks.norm import check_norm
from tlab_core.checks.position import check_position
from tlab_core.checks.report import Finding, GradientError, GradientReport, merged
from tlab_core.norms import Norm
from tlab_core.parallel import one_blas_thread
from tlab_core.positions import PositionEncoding
from tlab_core.registry import UnknownNameError, did_you_mean
from tlab_core.residuals import ResidualLayout

# What each kind derives from, and its check alone, in the order of REGISTRIES; a residual layout needs branches.
BASES: tuple[type, ...] = (Norm, ResidualLayout, Activation, PositionEncoding)
ALONE: tuple[Callable[..., list[Finding]] | None, ...] = (check_norm, None, check_activation, check_position)
EVERYWHERE = (
    "a second pass gives the same",
    "a batch in two pieces gives the same",
    "nothing sees a later character",
    "text written one character at a time is scored as text that is read at once",
)
ALSO = (
    ("shapes and precisions (float64 and float32)", "its input stays as it was, what it returns is its own",
     "each position is normed by itself"),
    (),
    ("value() agrees with forward()", "each number is bent by itself"),
    ("rotate heeds `past`", "the mask hides the future", "the bias does not depend on the text's length"),
)  # fmt: skip


def check_gradients(component: type | str, kind: str | None = None, *, seed: int = 0) -> GradientReport:
    """Compare a component's backward pass with central finite differences, in float64.

    component  a norm, activation, position encoding or residual layout: the class, registered or not, or its name
    kind       "norm", "activation", "position encoding" or "residual layout", where several have that name
    seed       which random directions

    It is tried alone and inside small models with the lab's other options, along random directions and number by number.
    Returns a report. Raises GradientError, which names the array, the largest relative error, the bound and the likely
    cause, for a wrong gradient, and also for wrong shapes or precisions, for an input that is changed, and for a look into
    the future. Raises UnknownNameError for a name that nothing is registered under, TypeError for what is no component.

    >>> check_gradients("RMSNorm")
    <GradientReport: RMSNorm (norm) is right, ...>
    """
    place, component = found(component, kind)
    if lacking := REGISTRIES[place].expected.lacking(component):
        raise GradientError(f"{component.__name__} {lacking}")
    dice, alone = np.random.default_rng(seed), ALONE[place]
    with np.errstate(all="ignore"), one_blas_thread():
        findings = [*(alone(component, dice) if alone is not None else []), *check_in_models(component, place, dice)]
    return GradientReport(component.__name__, REGISTRIES[place].kind, merged(findings), (*ALSO[place], *EVERYWHERE))


def found(component: type | str, kind: str | None) -> tuple[int, type]:
    """Return which of REGISTRIES a component belongs to, and its class."""
    kinds = [registry.kind for registry in REGISTRIES]
    if kind is not None and kind not in kinds:
        raise ValueError(f"kind = {kind!r} is not allowed: it must be one of {', '.join(map(repr, kinds))}."
                         f"{did_you_mean(kind, kinds)}")  # fmt: skip
    if inspect.isclass(component):
        for place, base in enumerate(BASES):
            if issubclass(component, base) and component is not base:
                return place, component
        raise TypeError(f"{component.__name__} can't be checked: it must derive from one of "
                        f"{', '.join(base.__name__ for base in BASES)}.")  # fmt: skip
    if not isinstance(component, str | None):
        raise TypeError(f"{component!r} can't be checked: give the class itself, or the name that it is registered under.")
    places = [place for place, registry in enumerate(REGISTRIES)
              if component in registry and kind in (None, registry.kind)]  # fmt: skip
    if not places:
        names = [name for registry in REGISTRIES for name in registry.names()]
        raise UnknownNameError(f"nothing is registered as {component!r}.{did_you_mean(component, names)} A class that is "
                               "not registered can be given itself.")
    if len(places) > 1:
        named = " or ".join(repr(kinds[place]) for place in places)
        raise ValueError(f"{component!r} is the name of more than one component: say which by kind={named}.")
    return places[0], REGISTRIES[places[0]].get(component)
