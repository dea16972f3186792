"""What settings say of themselves: each knob with its value, its unit, and what it would be if nobody had turned it."""

from typing import Any

from tlab_core.activations import ACTIVATIONS
from tlab_core.config import Architecture, Training
from tlab_core.display.description import MARK, Description, Row, Table, shortened
from tlab_core.experiment import PARTS, Experiment
from tlab_core.knobs import TextKnob
from tlab_core.settings import Settings

# Every knob that is named in none of them comes last, under MORE.
GROUPS = {
    "Size": ("vocab_size", "hidden_dim", "num_layers", "num_heads", "ff_dim", "max_seq_len"),
    "Wiring": ("norm_type", "residual_type", "activation_type", "pos_encoding_type", "tie_embeddings", "use_bias",
               "qk_norm"),
    "Start": ("init_std", "seed", "dtype"),
    "Optimizer": ("optimizer", "learning_rate", "min_learning_rate", "schedule", "warmup_steps", "steps", "beta1", "beta2",
                  "weight_decay", "grad_clip"),
    "Regularisation": ("dropout", "label_smoothing", "z_loss"),
    "Data": ("batch_size", "gradient_accumulation_steps", "seq_len", "validation_fraction", "seed"),
    "Measuring": ("eval_every", "statistics_every"),
    "Computing": ("shards", "executor"),
}  # fmt: skip
OF = {Architecture: ("Size", "Wiring", "Start"),
      Training: ("Optimizer", "Regularisation", "Data", "Measuring", "Computing")}  # fmt: skip
MORE = "More"
DECIDED_BY_TEXT = ("architecture.vocab_size", "prompt")  # filled in when a run is built, so not what anyone turned


def of_settings(settings: Settings) -> Description:
    """Return every knob of `settings`, in groups, and what doesn't go together."""
    if isinstance(settings, Experiment):
        return _of_experiment(settings)
    turned = changed(settings)
    title = f"{type(settings).__name__}: {_count(len(turned), len(settings.knobs()))}"
    problems = tuple(problem.message for problem in settings.problems())
    return Description(title, problems, (Table("", tuple(_rows(settings))),))


def _of_experiment(experiment: Experiment) -> Description:
    turned = differing(experiment)
    parts = [getattr(experiment, part) for part in PARTS]
    total = sum(len(part.knobs()) for part in parts) + len(experiment.knobs()) - len(PARTS)
    rows = [Row(("Text",), heading=True), *(_row(experiment, knob) for knob in experiment.knobs() if knob not in PARTS)]
    for part in parts:
        rows += _rows(part, f"{type(part).__name__}: ")
    problems = tuple(problem.message for problem in experiment.problems())
    return Description(f"Experiment: {_count(len(turned), total)}", problems, (Table("", tuple(rows)),))


def one_line(settings: Settings) -> str:
    """Return the Python code that makes `settings`: the knobs that differ from the defaults.

    >>> one_line(Architecture(num_layers=6, norm_type="layernorm"))
    "Architecture(num_layers=6, norm_type='LayerNorm')"
    """
    given = ", ".join(f"{knob}={value!r}" for knob, (value, _) in changed(settings).items())
    return f"{type(settings).__name__}({given})"


def changed(settings: Settings) -> dict[str, tuple[Any, Any]]:
    """Return {knob: (value, default)} of the knobs that differ from the defaults; a part counts as one knob."""
    usual = type(settings)()
    pairs = {knob: (getattr(settings, knob), getattr(usual, knob)) for knob in settings.knobs()}
    return {knob: pair for knob, pair in pairs.items() if pair[0] != pair[1]}


def differing(experiment: Experiment) -> dict[str, tuple[Any, Any]]:
    """Return {full name: (value, default)} of what someone chose, without what the text decides."""
    found: dict[str, tuple[Any, Any]] = {}
    for knob, pair in changed(experiment).items():
        if knob in PARTS:
            found |= {f"{knob}.{inner}": values for inner, values in changed(pair[0]).items()}
        else:
            found[knob] = pair
    return {knob: pair for knob, pair in found.items() if knob not in DECIDED_BY_TEXT}


def difference_rows(pairs: dict[str, tuple[Any, Any]]) -> tuple[Row, ...]:
    """Return a row for each knob that differs from its default, as `differing` or `changed` gave them."""
    return tuple(Row((knob, as_code(value), f"default {as_code(usual)}")) for knob, (value, usual) in pairs.items())


def in_words(architecture: Architecture) -> str:
    """Return how a model is wired, in one line.

    >>> in_words(Architecture(num_layers=6))
    '6 layers × 128, 4 heads, feed-forward 344, Pre-LN, RMSNorm, SwiGLU, RoPE'
    """
    a = architecture
    layers = "1 layer" if a.num_layers == 1 else f"{a.num_layers} layers"
    heads = "1 head" if a.num_heads == 1 else f"{a.num_heads} heads"
    parts = {"Pre-LN": a.residual_type, "norm": a.norm_type, "activation": a.activation_type,
             "position": a.pos_encoding_type}  # fmt: skip
    kinds = ", ".join(f"no {part}" if kind == "None" else kind for part, kind in parts.items())
    return f"{layers} × {a.hidden_dim}, {heads}, feed-forward {a.resolved_ff_dim}, {kinds}"


def as_code(value: Any) -> str:
    """Return a value as one would type it, without quotes around a name; a text is cut where it is long.

    >>> as_code(0.002), as_code("RoPE"), as_code(None), as_code("Once upon a time\\n")
    ('0.002', 'RoPE', 'None', "'Once upon a time\\\\n'")
    """
    if isinstance(value, Settings):
        return one_line(value)
    if not isinstance(value, str):
        return repr(value)
    plain = value and value.isprintable() and " " not in value and len(shortened(value)) == len(value) + 2
    return value if plain else shortened(value)


# ---- rows


def _rows(settings: Settings, before: str = "") -> list[Row]:
    """Return the knobs in their groups, each group below its name."""
    knobs = settings.knobs()
    groups = {name: [knob for knob in GROUPS[name] if knob in knobs] for name in _groups(type(settings))}
    placed = {knob for group in groups.values() for knob in group}
    groups[MORE] = [knob for knob in knobs if knob not in placed]
    return [row for name, group in groups.items() if group
            for row in (Row((before + name,), heading=True), *(_row(settings, knob) for knob in group))]  # fmt: skip


def _groups(kind: type) -> tuple[str, ...]:
    return next((names for known, names in OF.items() if issubclass(kind, known)), ())


def _row(settings: Settings, knob: str) -> Row:
    known, value, usual = settings.param[knob], getattr(settings, knob), getattr(type(settings)(), knob)
    turned = value != usual
    told = [f"default {as_code(usual)}"] if turned else []
    told += [words] if (words := _worked_out(settings, knob)) else []
    unit = "" if isinstance(known, TextKnob) or isinstance(value, str | None) else _unit(known.unit, value)
    return Row((knob, f"{as_code(value)} {unit}".rstrip(), "; ".join(told)), turned, known.doc or "")


def _unit(unit: str, value: Any) -> str:
    """Return a knob's unit as it follows this value.

    >>> _unit("batches", 1), _unit("layers", 1), _unit("layers", 2), _unit("per step", 1)
    ('batch', 'layer', 'layers', 'per step')
    """
    return unit.removesuffix("es" if unit.endswith("ches") else "s") if value == 1 else unit


def _worked_out(settings: Settings, knob: str) -> str:
    """Return what a knob that is left open comes to, or why it changes nothing as the others stand."""
    if why := settings.unheeded.get(knob):
        return why
    if isinstance(settings, Architecture) and knob == "ff_dim" and settings.ff_dim is None:
        gated = ACTIVATIONS.look(settings.activation_type).gated
        return f"{settings.resolved_ff_dim} units: {'8/3' if gated else '4'} × hidden_dim"
    if isinstance(settings, Training):
        if knob == "min_learning_rate" and settings.min_learning_rate is None:
            return f"{settings.resolved_min_learning_rate:g} per step: a tenth of learning_rate"
        if knob == "statistics_every" and settings.statistics_every == "auto":
            return f"{settings.resolved_statistics_every} steps"
    return ""


def _count(turned: int, total: int) -> str:
    return f"{turned} of {total} knobs not at their defaults ({MARK})" if turned else f"all {total} knobs at their defaults"
