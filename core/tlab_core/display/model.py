"""What a model says of itself: how it is wired, and where its parameters are."""

import math
from typing import Any

from tlab_core.activations import ACTIVATIONS
from tlab_core.config import Architecture
from tlab_core.display.description import Description, Row, Table
from tlab_core.display.settings import in_words
from tlab_core.norms import NORMS
from tlab_core.positions import POSITIONS
from tlab_core.residuals import RESIDUALS

PARTS = {"attention": "attention", "mlp": "feed-forward", "token_embedding": "token embedding",
         "position_embedding": "position table", "head": "head"}  # fmt: skip
NORM = "norms"


def of_model(model: Any) -> Description:
    """Return the wiring in words, and the parameters by part with their shapes and shares."""
    a = model.architecture
    title = f"Transformer: {in_words(a)}"
    updates = f", {model.updates:,} updates made" if model.updates else ", as the dice left it"
    size = f"{model.parameter_count:,} parameters in {a.dtype} ({model.flat.nbytes / 1e6:.1f} MB){updates}"
    return Description(title, (size,), (_wiring(a), _by_part(model.shapes, a), _all(model.shapes)))


def _wiring(a: Architecture) -> Table:
    kinds = [("residual_type", a.residual_type, RESIDUALS), ("norm_type", a.norm_type, NORMS),
             ("activation_type", a.activation_type, ACTIVATIONS), ("pos_encoding_type", a.pos_encoding_type, POSITIONS)]
    rows = [Row((knob, name, _first_line(registry.get(name)))) for knob, name, registry in kinds]
    if a.qk_norm:
        rows.append(Row(("qk_norm", "True", "Each head's queries and keys are rescaled before they meet.")))
    tied = "One table reads characters in and scores the next one." if a.tie_embeddings else (
        "One table reads characters in, another scores the next one.")  # fmt: skip
    rows.append(Row(("tie_embeddings", str(a.tie_embeddings), tied)))
    return Table("Wiring", tuple(rows))


def _first_line(component: Any) -> str:
    """Return the plain sentence that a component's docstring begins with."""
    return next(iter((component.__doc__ or "").strip().splitlines()), "")


def _by_part(shapes: dict[str, tuple[int, ...]], a: Architecture) -> Table:
    total = sum(map(math.prod, shapes.values()))
    parts: dict[str, dict[str, tuple[int, ...]]] = {}
    for name, shape in shapes.items():
        parts.setdefault(_part(name), {})[name] = shape
    rows = []
    for part, inside in parts.items():
        numbers = sum(map(math.prod, inside.values()))
        rows.append(Row((part, _shapes(part, inside, a), f"{numbers:,}", _share(numbers, total))))
    rows.append(Row(("total", "", f"{total:,}", _share(total, total))))
    return Table("Parameters by part", tuple(rows), ("part", "shapes", "numbers", "share"), right=(2, 3))


def _part(name: str) -> str:
    pieces = name.split(".")
    piece = pieces[2] if pieces[0] == "blocks" else pieces[0]
    return NORM if "norm" in piece else PARTS.get(piece, piece)


def _shapes(part: str, inside: dict[str, tuple[int, ...]], a: Architecture) -> str:
    """Return the shapes of a part's arrays, each once: "4 × qkv (128, 384), out (128, 128), and biases"."""
    weights = {name: shape for name, shape in inside.items() if name.endswith(".weight")}
    biases = ", and biases" if len(weights) < len(inside) else ""
    if part == NORM:
        return f"{len(weights)} × {_shape(next(iter(weights.values())))}{biases}"
    if not any(name.startswith("blocks.") for name in inside):
        return ", ".join(_shape(shape) for shape in weights.values())
    # What all layers have alike is named once.
    first = {name.split(".")[-2]: _shape(shape) for name, shape in weights.items() if name.startswith("blocks.0.")}
    named: dict[str, list[str]] = {}
    for name, shape in first.items():
        named.setdefault(shape, []).append(name)
    return f"{a.num_layers} × " + ", ".join(f"{' and '.join(names)} {shape}" for shape, names in named.items()) + biases


def _all(shapes: dict[str, tuple[int, ...]]) -> Table:
    """Return each array once by the name that `model.parameters` has it under; `*` stands for each layer."""
    total = sum(map(math.prod, shapes.values()))
    found: dict[tuple[str, tuple[int, ...]], int] = {}
    for name, shape in shapes.items():
        pieces = name.split(".")
        key = (".".join([pieces[0], "*", *pieces[2:]]) if pieces[0] == "blocks" else name, shape)
        found[key] = found.get(key, 0) + 1
    rows = tuple(Row((name, _shape(shape), f"× {times}", f"{times * math.prod(shape):,}",
                      _share(times * math.prod(shape), total))) for (name, shape), times in found.items())
    return Table("Every array of model.parameters (* is each layer)", rows, ("name", "shape", "", "numbers", "share"),
                 right=(2, 3, 4), folded=True)


def _shape(shape: tuple[int, ...]) -> str:
    """Return a shape; a row of numbers without Python's comma.

    >>> _shape((128, 384)), _shape((128,))
    ('(128, 384)', '(128)')
    """
    return f"({', '.join(map(str, shape))})"


def _share(numbers: int, total: int) -> str:
    return f"{100 * numbers / total:.1f} %"
