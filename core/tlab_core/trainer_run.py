"""A run around a trainer that was made by hand: what views and analyses read of it."""

from dataclasses import dataclass
from typing import Any

import xarray as xr

from tlab_core.baselines import cross_entropies
from tlab_core.config import Architecture, Training
from tlab_core.divergence import Divergence
from tlab_core.run import LiveRun, Run
from tlab_core.tokenizers import CharacterTokenizer
from tlab_core.trainer import Trainer


@dataclass(frozen=True)
class Parts:
    """What is known of the settings of such a run: a trainer is given tokens, and not the text that they came from."""

    architecture: Architecture
    training: Training


class Numbers:
    """Stands where a tokenizer is missing: each token is named by its number.

    >>> Numbers(3).characters
    ('0', '1', '2')
    """

    def __init__(self, vocab_size: int):
        self.vocab_size = vocab_size
        self.characters = tuple(map(str, range(vocab_size)))


class TrainerRun(Run):
    """What `views` read of a Trainer: its history as it grows, its settings, and what simple guessing would lose.

    trainer    goes on as before: `for record in trainer.run(steps=100)`
    tokenizer  names the tokens of the probe text; None names them by their numbers

    Making one takes the record of step 0. Raises TypeError for what is no Trainer, ValueError for a tokenizer of another
    vocabulary.
    """

    def __init__(self, trainer: Trainer, tokenizer: CharacterTokenizer | None = None):
        if not isinstance(trainer, Trainer):
            raise TypeError(f"trainer = {trainer!r} is not allowed: it must be a Trainer.")
        size = trainer.model.architecture.vocab_size
        names = Numbers(size) if tokenizer is None else tokenizer
        if names.vocab_size != size:
            raise ValueError(f"the tokenizer knows {names.vocab_size} characters, and the model {size} tokens: give the "
                             "tokenizer that encoded the text, or none, and tokens go by their numbers.")
        self.trainer, self.model = trainer, trainer.model
        data = trainer.data
        super().__init__(Parts(trainer.model.architecture, trainer.training), names, trainer.recorder,
                         probe_tokens=[names.characters[token] for token in trainer.probe[:-1]],
                         baselines=cross_entropies(data.training, data.validation, size))
        trainer.measure()

    @property
    def step(self) -> int:
        return self.trainer.step

    @property
    def divergence(self) -> Divergence | None:
        """Return where the trainer's first number that is not finite came up, or None."""
        return self.trainer.divergence

    def analyse(self, name: str, **options: Any) -> xr.Dataset:
        """Take a measure that is not part of the history and keep it, see `LiveRun.analyse`; training waits for it."""
        with self.trainer.standing_still():
            return LiveRun.analyse(self, name, **options)

    def describe(self) -> Any:
        """Return what the trainer says of itself."""
        return self.trainer.describe()

    def one_line(self) -> str:
        """Return the trainer's step and model."""
        return self.trainer.one_line()
