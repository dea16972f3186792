"""Writing on from a prompt, one token at a time: which token comes next is drawn from the model's probabilities.

`stream` yields tokens as they come, `choices` yields with each what the model thought of it, `generate` collects tokens
for one or many prompts. Sequences never influence each other: each draws from a stream of dice of its own, keyed by
(seed, index).
"""

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, Generic, TypeVar

import numpy as np

from tlab_core.cache import KeyValueCache
from tlab_core.parallel import one_blas_thread

ALTERNATIVES = 5  # how many of the likeliest tokens a Choice names

Token = TypeVar("Token")
Name = TypeVar("Name")
Pair = tuple[int, np.ndarray]  # a token, and the logits (V,) that it was drawn from


class GenerationError(ValueError):
    """A prompt or a sampling setting that can't be used; the message says what came and what is allowed."""


@dataclass(frozen=True)
class Choice(Generic[Token]):
    """A token that was written, how likely the model held it, and which ones it held likeliest.

    The probabilities are the model's own, softmax(logits): neither temperature nor top-k nor top-p, which say how the
    text is drawn from them, has touched them. `alternatives` are the 5 likeliest tokens (fewer where there are fewer),
    each with its probability, the likeliest first and among equals the lower id first; `token` may be one of them.
    """

    token: Token
    probability: float
    alternatives: tuple[tuple[Token, float], ...]

    def named(self, name: Callable[[Token], Name]) -> "Choice[Name]":
        """Return the same choice with `name(token)` in place of each token, such as the character that it stands for."""
        named = tuple((name(token), probability) for token, probability in self.alternatives)
        return Choice(name(self.token), self.probability, named)


def stream(
    model,
    prompt,
    max_length: int,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    seed: int = 0,
    index: int = 0,
) -> Iterator[int]:
    """Return an iterator over the tokens that follow `prompt`, until prompt and text together have `max_length` tokens.

    `prompt` is a 1-D array or list of token ids. `index` chooses the sequence's own dice for one `seed`. For the other
    settings see `probabilities`. Raises GenerationError at the call, not at the first token.
    """
    return _one_by_one(_tokens(_stream(model, prompt, max_length, temperature, top_k, top_p, seed, index)))


def choices(
    model,
    prompt,
    max_length: int,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    seed: int = 0,
    index: int = 0,
) -> Iterator[Choice[int]]:
    """Return an iterator over the tokens that `stream` yields, each as a Choice with the model's probabilities.

    They come from the logits that the token was drawn from, so the model reads nothing twice. Raises as `stream` does.
    """
    pairs = _stream(model, prompt, max_length, temperature, top_k, top_p, seed, index)
    return _one_by_one(_choice(token, logits) for token, logits in pairs)


def _stream(model, prompt, max_length, temperature, top_k, top_p, seed, index) -> Iterator[Pair]:
    check_sampling(temperature, top_k, top_p, seed)
    prompt = _checked_prompt(prompt, model.architecture.vocab_size, max_length)
    dice = np.random.default_rng(np.random.SeedSequence(int(seed), spawn_key=(index,)))
    return _write(model, prompt, max_length - len(prompt), dice, temperature, top_k, top_p)


def _tokens(pairs: Iterator[Pair]) -> Iterator[int]:
    return (token for token, _ in pairs)


def _choice(token: int, logits: np.ndarray) -> Choice[int]:
    chances = _probabilities(logits.astype(np.float64), 1.0, None, None)
    order = np.argsort(-logits, kind="stable")[:ALTERNATIVES]
    likeliest = tuple((int(other), float(chances[other])) for other in order)
    return Choice(token, float(chances[token]), likeliest)


def _one_by_one(written: Iterator[Token]) -> Iterator[Token]:
    """Yield what is `written`; while a token is made, and not between two, when others are at work, NumPy is set as
    `_quiet` says."""
    while True:
        with _quiet():
            token = next(written, None)
        if token is None:
            return
        yield token


@contextmanager
def _quiet() -> Iterator[None]:
    """Hold products to one thread and keep NumPy from warning.

    Several threads would only wait for each other over so few numbers, and for a trainer beside them. That a model has
    diverged is said by `likeliest` and `probabilities`.
    """
    with one_blas_thread(), np.errstate(all="ignore"):
        yield


def _write(model, prompt, length, dice, temperature, top_k, top_p) -> Iterator[Pair]:
    window = CachedWindow(model, prompt)
    for position in range(length):
        logits = window.logits()
        if temperature == 0:
            token = likeliest(logits)
        else:
            token = draw(_probabilities(logits.astype(np.float64), temperature, top_k, top_p), dice)
        yield token, logits
        if position + 1 < length:
            window.append(token)


def generate(
    model,
    prompts,
    max_length: int,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    seed: int = 0,
) -> list[np.ndarray]:
    """Return one 1-D token array a prompt: the whole prompt, then what the model wrote, `max_length` tokens in all.

    `prompts` is one prompt (a 1-D array or list of token ids), a 2-D array, or a list of prompts of any lengths.
    Sequence i draws from the dice keyed (seed, i), so it comes out the same whatever stands beside it.
    """
    each = _as_prompts(prompts)
    streams = [
        _stream(model, prompt, max_length, temperature, top_k, top_p, seed, index) for index, prompt in enumerate(each)
    ]
    with _quiet():  # once for all: doing so for each token takes a tenth of the time
        return [
            np.concatenate([np.asarray(prompt, np.intp), np.fromiter(_tokens(pairs), np.intp)])
            for prompt, pairs in zip(each, streams, strict=True)
        ]


class Window:
    """The tokens that the model has in view while it writes: at most `max_seq_len` of them.

    A longer prompt keeps its last `max_seq_len` tokens. When the window is full and a token is to be added, the window is
    cut to its last half and grows again. Cutting rarely, rather than sliding at every token, is what lets keys and values
    be kept between tokens: they belong to positions, and the positions change only at a cut.

    This one keeps nothing and runs the model over the whole window for each token: it says what `CachedWindow` must yield.
    """

    def __init__(self, model, prompt: np.ndarray):
        self.model = model
        self.size = model.architecture.max_seq_len
        self.tokens = [int(token) for token in prompt[-self.size :]]

    def append(self, token: int) -> None:
        """Add one token, after which at most `size` are in view."""
        self.tokens.append(token)
        if len(self.tokens) > self.size:
            self.tokens = self.tokens[-max(1, self.size // 2) :]

    def logits(self) -> np.ndarray:
        """Return the logits (V,) of the token that comes next."""
        return self.model.forward(np.array([self.tokens], np.intp))[0, -1]


class CachedWindow(Window):
    """A window that keeps keys and values, so that the model reads each token once between two cuts.

    When the model's parameters were updated since the last token (`model.updates`), what is kept belongs to another model,
    and the whole window is read again.
    """

    def __init__(self, model, prompt: np.ndarray):
        super().__init__(model, prompt)
        self.work = model.workspace(gradients=False)
        self.cache = self.work.cache = KeyValueCache(self.size)
        self.updates = model.updates
        self._logits = None

    def append(self, token: int) -> None:
        before = len(self.tokens)
        super().append(token)
        if len(self.tokens) <= before:  # cut: every token has another position now
            self.cache.length = 0

    def logits(self) -> np.ndarray:
        if self.updates != self.model.updates:
            self.updates, self.cache.length = self.model.updates, 0
        new = self.tokens[self.cache.length :]
        if new:
            self._logits = self.model.read_on(np.array([new], np.intp), self.work)[0, -1].copy()
        return self._logits


def probabilities(logits, temperature: float = 1.0, top_k: int | None = None, top_p: float | None = None) -> np.ndarray:
    """Return how likely each token is to be drawn: softmax(logits / temperature), cut to the likeliest, in float64.

    logits (V,). `temperature` below 1 sharpens, above 1 flattens, 0 takes the likeliest token for sure ("greedy").
    `top_k` keeps the k likeliest tokens (all of them if k is more than V). `top_p` then keeps the smallest set of
    likeliest tokens that together have at least that probability ("nucleus", Holtzman et al. 2020). Each keeps at least
    one token; among equals the lower id goes first. What is kept is rescaled to sum to 1.

    >>> probabilities([0.0, 0.0, -100.0]).round(2).tolist()
    [0.5, 0.5, 0.0]
    >>> probabilities([1.0, 3.0, 2.0], temperature=0).tolist()
    [0.0, 1.0, 0.0]
    """
    check_sampling(temperature, top_k, top_p)
    with np.errstate(over="ignore", under="ignore"):  # a tiny temperature sends all but the likeliest to -inf, rightly
        return _probabilities(np.asarray(logits, np.float64), temperature, top_k, top_p)


def _probabilities(logits: np.ndarray, temperature: float, top_k: int | None, top_p: float | None) -> np.ndarray:
    if temperature == 0:
        kept = np.zeros_like(logits)
        kept[likeliest(logits)] = 1.0
        return kept
    _check_finite(logits)
    kept = np.exp((logits - logits.max()) / temperature)
    if top_k is not None or top_p is not None:
        order = np.argsort(-logits, kind="stable")
    if top_k is not None:
        kept[order[top_k:]] = 0.0
    if top_p is not None:
        running = np.cumsum(kept[order])
        enough = int(np.searchsorted(running, top_p * running[-1])) + 1
        kept[order[enough:]] = 0.0
    return kept / kept.sum()


def likeliest(logits: np.ndarray) -> int:
    """Return the id of the largest logit; among equals the lowest."""
    _check_finite(logits)
    return int(logits.argmax())


def draw(chances: np.ndarray, dice: np.random.Generator) -> int:
    """Draw one token id: the first whose running total of probability passes a uniform random number."""
    running = np.cumsum(chances)
    # random() is at most 1 - 2^-53, so even rounded the product stays below running[-1] and a token is always found
    return int(np.searchsorted(running, dice.random() * running[-1], side="right"))


def check_sampling(temperature: Any, top_k: Any, top_p: Any, seed: Any = 0) -> None:
    """Raise GenerationError for settings that nothing can be drawn with."""
    if not _is_real(temperature) or not math.isfinite(temperature) or temperature < 0:
        raise GenerationError(
            f"temperature = {temperature!r} is not allowed: it must be a finite number of at least 0 "
            "(0 always takes the likeliest token, 1 draws from the model's own probabilities)."
        )
    if top_k is not None and (not _is_whole(top_k) or top_k < 1):
        raise GenerationError(
            f"top_k = {top_k!r} is not allowed: it must be a whole number of at least 1, or None to keep every token."
        )
    if top_p is not None and (not _is_real(top_p) or not 0 < top_p <= 1):
        raise GenerationError(
            f"top_p = {top_p!r} is not allowed: it must be above 0 and at most 1, or None to keep every token."
        )
    if not _is_whole(seed) or seed < 0:
        raise GenerationError(f"seed = {seed!r} is not allowed: it must be a whole number of at least 0.")


def _check_finite(logits: np.ndarray) -> None:
    if not np.isfinite(logits).all():
        raise GenerationError(
            "the model's logits are not finite, so nothing can be drawn from them: its training diverged. "
            "Take a new model and train it with a lower learning_rate."
        )


def _checked_prompt(prompt, vocab_size: int, max_length: Any) -> np.ndarray:
    tokens = np.asarray(prompt)
    if tokens.size == 0:
        raise GenerationError("the prompt is empty: give at least one token to go on from.")
    if tokens.ndim != 1 or tokens.dtype.kind not in "iu":
        raise GenerationError(
            f"the prompt must be a 1-D array of whole token ids, not {tokens.dtype} of shape {tokens.shape}: "
            "text becomes ids by tokenizer.encode(text)."
        )
    if tokens.min() < 0 or tokens.max() >= vocab_size:
        wrong = tokens[(tokens < 0) | (tokens >= vocab_size)][0]
        raise GenerationError(
            f"the prompt holds token id {wrong}, but the model knows ids 0 to {vocab_size - 1}: "
            "encode it with the tokenizer that the model was trained with."
        )
    if not _is_whole(max_length) or max_length < len(tokens):
        raise GenerationError(
            f"max_length = {max_length!r} is not allowed: it counts the prompt's {len(tokens)} tokens, "
            f"so it must be a whole number of at least {len(tokens)}."
        )
    return tokens


def _as_prompts(prompts) -> list:
    """Return a list of prompts, from one prompt, a 2-D array, or several prompts."""
    if isinstance(prompts, str):
        raise GenerationError("the prompt is text: turn it into token ids first, by tokenizer.encode(text).")
    if isinstance(prompts, np.ndarray):
        return list(prompts) if prompts.ndim == 2 else [prompts]
    prompts = list(prompts) if isinstance(prompts, Iterable) else [prompts]
    several = any(isinstance(prompt, Iterable) for prompt in prompts)
    return prompts if several else [prompts]


def _is_whole(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def _is_real(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)
