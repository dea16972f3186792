"""A component inside small models: with every other option of the lab, the gradients of every array, and no way around."""

import itertools
from collections.abc import Iterator

import numpy as np

from tlab_core.activations import ACTIVATIONS
from tlab_core.cache import KeyValueCache
from tlab_core.checks.diagnosis import diagnosis
from tlab_core.checks.differences import compare_all, numeric_gradient
from tlab_core.checks.report import BOUND, Finding, GradientError
from tlab_core.checks.subject import EXACT, Subject, wrong
from tlab_core.config import Architecture
from tlab_core.extensions import origin
from tlab_core.norms import NORMS
from tlab_core.positions import POSITIONS
from tlab_core.registry import Registry
from tlab_core.residuals import RESIDUALS
from tlab_core.transformer import Transformer

REGISTRIES: tuple[Registry, ...] = (NORMS, RESIDUALS, ACTIVATIONS, POSITIONS)  # in the order of Transformer._kinds
SMALL = {"vocab_size": 11, "hidden_dim": 12, "num_layers": 2, "num_heads": 3, "max_seq_len": 9, "init_std": 0.3,
         "ff_dim": 16, "dtype": "float64"}  # fmt: skip
TINY = {"hidden_dim": 6, "num_heads": 3, "ff_dim": 8, "num_layers": 1}
LENGTH = 6
MOST_TOLD = 400  # numbers of an array that are gone through one by one to say what is wrong with it


class SmallModel(Transformer):
    """A transformer of a few hundred numbers that is made of given classes, registered or not."""

    def __init__(self, kinds: tuple[type, ...], **knobs):
        """Build it, with every parameter away from its special starting value."""
        self._given = kinds
        super().__init__(Architecture(**(SMALL | knobs)))
        dice = np.random.default_rng(7)
        for parameter in self.parameters.values():
            parameter += 0.1 * dice.standard_normal(parameter.shape)

    def _kinds(self) -> tuple:
        return self._given


def check_in_models(component: type, place: int, dice: np.random.Generator) -> list[Finding]:
    """Check a component, the `place`-th of REGISTRIES, in models that pair it with all pairs of the lab's other options."""
    subject, found = Subject(component, dice), []
    tokens, targets = np.random.default_rng(3).integers(0, SMALL["vocab_size"], (2, 2, LENGTH))
    for number, (kinds, names) in enumerate(combinations(component, place)):
        switches = {"qk_norm": bool(number & 1), "tie_embeddings": bool(number & 2), "use_bias": not number & 4}
        with subject.at(f"a model with {names}"):
            found += _Whole(subject, SmallModel(kinds, **switches), names, tokens, targets).check(single=False)
            if number == 0:
                found += _Whole(subject, SmallModel(kinds, **TINY), names, tokens, targets).check(single=True)
    return found


def combinations(component: type, place: int) -> Iterator[tuple[tuple[type, ...], str]]:
    """Yield (classes, their names) so that each two options of the lab's others come up together at least once."""
    others = [[(name, kind) for name, kind in registry.so_far().items() if origin(kind) is None]
              for registry in REGISTRIES[:place] + REGISTRIES[place + 1 :]]  # fmt: skip
    others.sort(key=len)
    short, *long = others
    order = [registry for registry in REGISTRIES if registry is not REGISTRIES[place]]
    order.sort(key=lambda registry: len([1 for kind in registry.so_far().values() if origin(kind) is None]))
    for i, j in itertools.product(range(len(long[0])), range(len(long[1]))):
        chosen = dict(zip(order, (short[(i + j) % len(short)], long[0][i], long[1][j]), strict=True))
        named = [chosen.get(registry, (component.__name__, component)) for registry in REGISTRIES]
        yield tuple(kind for _, kind in named), ", ".join(name for name, _ in chosen.values())


class _Whole:
    def __init__(self, subject: Subject, model: SmallModel, names: str, tokens: np.ndarray, targets: np.ndarray):
        self.subject, self.model, self.names, self.tokens, self.targets = subject, model, names, tokens, targets
        self.work = model.workspace(gradients=False)

    def check(self, single: bool) -> list[Finding]:
        """Compare every array's gradient with finite differences, then look for ways around them."""
        model, work = self.model, self.model.workspace()
        size = 1 / self.tokens.size
        model.shard_loss_and_grads(self.tokens, self.targets, work, size)
        first = {name: gradient.copy() for name, gradient in work.gradients.items()}
        model.shard_loss_and_grads(self.tokens, self.targets, work, size)
        self.same(first, work.gradients, "a second pass over the same batch gives other gradients: something is kept from "
                                         "the first, or added to what it left.")
        self.pieces(first, size)
        self.stays_in_the_past()
        self.writes_as_it_reads()
        return [self.compare(name, gradient, single) for name, gradient in first.items()]

    def loss(self) -> float:
        return float(self.model.shard_losses(self.tokens, self.targets, self.work).mean())

    def compare(self, name: str, gradient: np.ndarray, single: bool) -> Finding:
        array = self.model.parameters[name]
        where = f"in a model with {self.names}"
        finding = compare_all(self.loss, array, gradient, self.subject.dice, name, where, 1, single)
        if finding.error < BOUND:
            return Finding(_of_any_layer(name), "in small models", finding.compared, finding.error)
        told = diagnosis(gradient, numeric_gradient(self.loss, array)) if array.size <= MOST_TOLD else ""
        alone = (" Alone it was right, so parts of the model may get in each other's way: buffers of a component need "
                 'names of its own, as work.buffer(f"{self.name}.y", ...), and nothing may change what others still read.')
        raise GradientError(wrong(self.subject.name, finding, told + alone))

    def same(self, expected: dict[str, np.ndarray], found: dict[str, np.ndarray], message: str) -> None:
        for name, gradient in expected.items():
            self.subject.expect(np.allclose(found[name], gradient, rtol=1e-8, atol=1e-11), f"{name}: {message}")

    def pieces(self, expected: dict[str, np.ndarray], size: float) -> None:
        """A batch that goes through in two pieces must come to the same gradients."""
        work = self.model.workspace()
        for i in range(2):
            self.model.shard_loss_and_grads(self.tokens[i : i + 1], self.targets[i : i + 1], work, size, adding=i > 0)
        self.same(expected, work.gradients, "a batch that goes through in two pieces gives another gradient. What a piece "
                                            "brings must be added: work.gradient(name) += ..., or work.add_product.")

    def stays_in_the_past(self) -> None:
        """What is predicted at a position must not change with what comes later."""
        other = self.tokens.copy()
        other[:, -1] = (other[:, -1] + 1) % SMALL["vocab_size"]
        before, after = self.model.forward(self.tokens), self.model.forward(other)
        changed = ~np.isclose(before[:, :-1], after[:, :-1], **EXACT).all(axis=(0, 2))
        first = int(np.argmax(changed)) if changed.any() else 0
        self.subject.expect(not changed.any(), (
            f"it sees the future: with {self.names}, changing character {LENGTH - 1} changes what is predicted at {first}, "
            "before it."))

    def writes_as_it_reads(self) -> None:
        """Written one character at a time, with what was read kept, the scores must be those of reading all at once."""
        work = self.model.workspace(gradients=False)
        work.cache = KeyValueCache(LENGTH)
        whole, parts = self.model.forward(self.tokens), []
        with np.errstate(all="ignore"):
            for start, stop in ((0, 3), *((i, i + 1) for i in range(3, LENGTH))):
                parts.append(self.model.read_on(self.tokens[:, start:stop], work).copy())
        self.subject.expect(np.allclose(np.concatenate(parts, axis=1), whole, rtol=1e-7, atol=1e-9), (
            f"with {self.names}, text that is written one character at a time is scored otherwise than text that is "
            "read at once. Positions begin at `work.past` (`past` for queries and keys); value() must be as forward()."))


def _of_any_layer(name: str) -> str:
    """Return a parameter's name with its layer left open.

    >>> _of_any_layer("blocks.1.norm1.weight")
    'blocks.*.norm1.weight'
    """
    head, _, rest = name.partition(".")
    return f"blocks.*.{rest.partition('.')[2]}" if head == "blocks" else name
