"""The real source of a run's parts: which classes the present settings choose, and their code with its colours."""

from __future__ import annotations

import ast
import dis
import functools
import inspect
import linecache
import sys
from collections.abc import Callable
from dataclasses import dataclass

from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from tlab_core.activations import ACTIVATIONS
from tlab_core.attention import CausalSelfAttention, HeadNorm
from tlab_core.embedding import CrossEntropy
from tlab_core.feedforward import FeedForward
from tlab_core.norms import NORMS
from tlab_core.objective import Objective
from tlab_core.optimizers import OPTIMIZERS
from tlab_core.positions import POSITIONS
from tlab_core.residuals import RESIDUALS
from tlab_core.schedules import SCHEDULES

PREFIX = "code-"  # of the css classes that give the colours


@dataclass(frozen=True)
class Part:
    """One part of a run that has code of its own.

    label          what it is called on the page
    chosen         the knob's value in an experiment, empty where there is nothing to choose
    components     the classes or functions that an experiment's settings choose, the chosen one first
    sites          the sites (as `flow` names them, without their block) that its signals pass; "residual" are those of the
                   stream, "embedding" its start
    """

    label: str
    chosen: Callable[..., str]
    components: Callable[..., list]
    sites: tuple[str, ...] = ()


def _attention(experiment) -> list:
    return [CausalSelfAttention, *([HeadNorm] if experiment.architecture.qk_norm else [])]


def _activation(experiment) -> list:
    activation = ACTIVATIONS.get(experiment.architecture.activation_type)
    return [activation, *([activation.bend] if activation.gated else [])]


def _loss(experiment) -> list:
    return [*([] if Objective.of(experiment.training) is None else [Objective]), CrossEntropy]


def _nothing(experiment) -> str:
    return ""


PARTS = {
    "norm": Part(
        "Norm", lambda e: e.architecture.norm_type, lambda e: [NORMS.get(e.architecture.norm_type)],
        ("norm1", "post_norm1", "norm2", "post_norm2", "final_norm")),
    "residual": Part(
        "Residual layout", lambda e: e.architecture.residual_type, lambda e: [RESIDUALS.get(e.architecture.residual_type)],
        ("residual", "attention", "mlp")),
    "activation": Part(
        "Activation", lambda e: e.architecture.activation_type, _activation, ("preactivation", "activation")),
    "position": Part(
        "Position", lambda e: e.architecture.pos_encoding_type,
        lambda e: [POSITIONS.get(e.architecture.pos_encoding_type)], ("embedding", "q", "k", "scores")),
    "attention": Part(
        "Attention", _nothing, _attention, ("q", "k", "v", "scores", "weights", "heads", "attention")),
    "feed_forward": Part("Feed-forward", _nothing, lambda e: [FeedForward], ("preactivation", "activation", "mlp")),
    "optimizer": Part("Optimizer", lambda e: e.training.optimizer, lambda e: [OPTIMIZERS.get(e.training.optimizer)]),
    "schedule": Part("Schedule", lambda e: e.training.schedule, lambda e: [SCHEDULES.get(e.training.schedule)]),
    "loss": Part("Loss", _nothing, _loss, ("logits",)),
}


@dataclass(frozen=True)
class Listing:
    """The code of one class or function: where it lives, the number of its first line, its lines as escaped HTML.

    `missing` says why there are none.
    """

    name: str
    place: str
    first: int
    lines: tuple[str, ...]
    missing: str = ""


def listings(part: str, experiment) -> list[Listing]:
    """Return the code that an experiment runs for a part (a key of PARTS), the chosen class first.

    What a class takes over from others follows it, and what a function calls of its own module.
    """
    found: dict = {}
    for component in PARTS[part].components(experiment):
        found |= dict.fromkeys(_pieces(component))
    return [listing(piece) for piece in found]


@functools.lru_cache(maxsize=128)
def listing(component) -> Listing:
    """Return the code of a class or function, as Python has it on file."""
    name, module = component.__name__, component.__module__
    try:
        lines, first = source_lines(component)
    except (OSError, TypeError):
        missing = f"{name} was defined in a notebook or at a prompt, and its source was not kept: there is nothing to read."
        return Listing(name, module, 0, (), missing)
    return Listing(name, module, max(first, 1), tuple(coloured("".join(lines))))


def source_lines(component) -> tuple[list[str], int]:
    """Return the lines of a class or function and the number of the first; OSError where there is no source.

    Python looks for a class in its module's file, which a notebook doesn't have. Its methods remember the cell they come
    from, and the cell's text is kept for tracebacks.
    """
    try:
        return inspect.getsourcelines(component)
    except (OSError, TypeError):
        if not inspect.isclass(component):
            raise
    for method in _methods(component).values():
        code = inspect.unwrap(method).__code__
        text = "".join(linecache.getlines(code.co_filename))
        for node in ast.walk(_parsed(text)):
            if isinstance(node, ast.ClassDef) and node.name == component.__name__ and (
                node.lineno <= code.co_firstlineno <= node.end_lineno
            ):
                first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
                return text.splitlines(keepends=True)[first - 1 : node.end_lineno], first
    raise OSError(f"no source of {component.__name__}")


def _parsed(text: str) -> ast.Module:
    try:
        return ast.parse(text)
    except SyntaxError:  # a cell with a magic command in it
        return ast.Module([], [])


def coloured(source: str) -> list[str]:
    """Return each line of Python source as HTML, everything in it escaped; a colour never reaches beyond its line.

    >>> coloured("x < 2\\n")
    ['<span class="code-n">x</span> <span class="code-o">&lt;</span> <span class="code-mi">2</span>']
    """
    formatted = highlight(source, PythonLexer(stripnl=False), HtmlFormatter(nowrap=True, classprefix=PREFIX))
    return formatted.removesuffix("\n").split("\n")


@functools.lru_cache(maxsize=128)
def _pieces(component) -> tuple:
    """Return a class or function, then what of its doing lies elsewhere: bases that it takes methods over from, and the
    functions of its module that it calls, in the order in which they are met."""
    met: dict = {}

    def meet(piece) -> None:
        if piece in met:
            return
        met[piece] = None
        if inspect.isclass(piece):
            met.update(dict.fromkeys(
                base for i, base in enumerate(piece.__mro__[1:-1], 1) if _is_at_work(base, piece.__mro__[:i])))
        for function in _called(piece):
            meet(function)

    meet(component)
    return tuple(met)


def _called(component) -> list:
    """Return the functions of a component's module that its code names as such."""
    functions = [component] if inspect.isfunction(component) else _methods(component).values()
    names = dict.fromkeys(
        instruction.argval for function in functions for instruction in dis.get_instructions(function)
        if instruction.opname == "LOAD_GLOBAL"
    )
    module = sys.modules.get(component.__module__)
    named = (getattr(module, name, None) for name in names)
    return [one for one in named if inspect.isfunction(one) and one.__module__ == component.__module__]


def _is_at_work(base: type, derived: tuple[type, ...]) -> bool:
    """Tell whether a base brings a method that no derived class has, or that one of theirs hands on to by `super()`.

    Getting ready (`__init__` ...) and naming parameters are no work.
    """
    for name in _methods(base):
        if name.startswith("__") or name == "parameters":
            continue
        nearer = [_methods(cls)[name] for cls in derived if name in _methods(cls)]
        if not nearer or "__class__" in nearer[-1].__code__.co_freevars:  # what a bare super() makes a function keep
            return True
    return False


def _methods(cls: type) -> dict:
    """Return the functions that a class defines itself, by name."""
    plain = {name: getattr(value, "__func__", value) for name, value in vars(cls).items()}
    return {name: value for name, value in plain.items() if inspect.isfunction(value)}
