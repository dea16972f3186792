"""The text as the trainer sees it: a part to train on, a part at the end to validate on, and batches cut from both."""

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from tlab_core.config import Training

Batch = tuple[np.ndarray, np.ndarray]  # tokens and targets, each (batch, seq) of np.intp; a target is the token after


class DataError(ValueError):
    """Tokens that can't be trained on; the message says what came, what is needed and how to mend it."""


class Batches:
    """Cuts a text into pieces of `seq_len` tokens, each with the targets one token further on."""

    def __init__(self, tokens: Any, vocab_size: int, training: "Training", answers: Any = None):
        """Split `tokens` (1-D ids) into training and validation part; `answers` marks the tokens that are answers.

        Raises DataError for ids that the model doesn't know and for parts shorter than seq_len + 1 tokens.
        """
        tokens = checked_ids(tokens, vocab_size, "the tokens")
        self.seq_len, self.batch_size, self.seed = training.seq_len, training.batch_size, training.seed
        border = int(len(tokens) * (1 - training.validation_fraction))
        self.training, self.validation = tokens[:border].astype(np.int32), tokens[border:].astype(np.int32)
        self._check_lengths(len(tokens), training.validation_fraction)
        self.answers = None if answers is None else checked_mask(answers, len(tokens))[border:]

    def _check_lengths(self, total: int, fraction: float) -> None:
        shorter = min(len(self.training), len(self.validation))
        if shorter > self.seq_len:
            return
        part = "training" if len(self.training) <= len(self.validation) else "validation"
        longest = shorter - 1
        fix = f"set seq_len to {longest} or less, or bring a longer text" if longest >= 1 else "bring a longer text"
        if part == "validation" and 2 * (self.seq_len + 1) <= total:
            fix += f", or set validation_fraction to {np.ceil(100 * (self.seq_len + 2) / total) / 100:g} or more"
        raise DataError(
            f"the text is too short: of its {total} tokens the {part} part has {shorter} "
            f"(validation_fraction = {fraction:g}), but seq_len = {self.seq_len} needs at least {self.seq_len + 1}. "
            f"To fix it, {fix}."
        )

    def batch(self, step: int, groups: int = 1) -> Batch:
        """Return the batch whose update leads to `step`: pieces from random places, drawn from dice keyed by (seed, step).

        It has `groups` times batch_size sequences. The dice belong to the step, so a run that is stopped and continued, or
        looked into, sees the same batches.
        """
        dice = np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=(step,)))
        starts = dice.integers(0, len(self.training) - self.seq_len, groups * self.batch_size)
        return self._pieces(self.training, starts)

    def groups(self, batch: Batch) -> list[Batch]:
        """Cut a batch into groups of batch_size sequences, which go through the model one after the other."""
        tokens, targets = batch
        starts = range(0, len(tokens), self.batch_size)
        return [(tokens[i : i + self.batch_size], targets[i : i + self.batch_size]) for i in starts]

    def _pieces(self, part: np.ndarray, starts: np.ndarray) -> Batch:
        places = starts[:, None] + np.arange(self.seq_len)
        return part[places].astype(np.intp), part[places + 1].astype(np.intp)

    def validation_starts(self, batches: int | None) -> np.ndarray:
        """Return where in the validation part its pieces start.

        None: end to end over the whole part (a tail shorter than a piece is left out). A number: that many batches of
        pieces, evenly spread, always the same. With `answers` those are moved on to where a line begins, since a question
        that is cut off can't be answered.
        """
        last = len(self.validation) - self.seq_len - 1
        whole = np.arange(0, last + 1, self.seq_len)
        if batches is None or batches * self.batch_size >= len(whole):
            starts = whole
        else:
            starts = np.linspace(0, last, batches * self.batch_size).astype(int)
        if batches is not None and self.answers is not None:
            starts = self._at_line_starts(starts, last)
        return starts

    def _at_line_starts(self, starts: np.ndarray, last: int) -> np.ndarray:
        """Move each start on to the next token that follows an answer; keep it where there is none."""
        lines = np.flatnonzero(self.answers[:-1] & ~self.answers[1:]) + 1
        lines = lines[lines <= last]
        if not len(lines):
            return starts
        return np.unique(lines[np.minimum(np.searchsorted(lines, starts), len(lines) - 1)])

    def validation_batches(self, batches: int | None) -> list[tuple[np.ndarray, np.ndarray, np.ndarray | None]]:
        """Return tokens, targets and which targets are answers (None without `answers`), for the chosen pieces."""
        starts = self.validation_starts(batches)
        groups = [starts[first : first + self.batch_size] for first in range(0, len(starts), self.batch_size)]
        places = np.arange(1, self.seq_len + 1)
        masks = [None if self.answers is None else self.answers[group[:, None] + places] for group in groups]
        return [(*self._pieces(self.validation, group), mask) for group, mask in zip(groups, masks, strict=True)]


def checked_ids(tokens: Any, vocab_size: int, what: str) -> np.ndarray:
    """Return `tokens` as a 1-D array of ids below `vocab_size`, or raise DataError."""
    if isinstance(tokens, str):
        raise DataError(f"{what} are text: turn them into ids first, by tokenizer.encode(text).")
    tokens = np.asarray(tokens)
    if tokens.ndim != 1 or tokens.dtype.kind not in "iu" or not tokens.size:
        raise DataError(
            f"{what} must be a 1-D array of whole token ids, not {tokens.dtype} of shape {tokens.shape}: "
            "text becomes ids by tokenizer.encode(text)."
        )
    low, high = int(tokens.min()), int(tokens.max())
    if low < 0 or high >= vocab_size:
        wrong = low if low < 0 else high
        fix = f" or build the model with vocab_size={high + 1}" if low >= 0 else ""
        raise DataError(
            f"{what} hold the id {wrong}, but the model has vocab_size = {vocab_size}, so ids go from 0 to "
            f"{vocab_size - 1}. Encode the text with the tokenizer whose vocab_size the model was given{fix}."
        )
    return tokens


def checked_mask(answers: Any, length: int) -> np.ndarray:
    """Return `answers` as a bool array of `length`, or raise DataError."""
    answers = np.asarray(answers)
    if answers.dtype != bool or answers.shape != (length,):
        raise DataError(
            f"answers must be one True or False for each of the {length} tokens, "
            f"not {answers.dtype} of shape {answers.shape}."
        )
    return answers
