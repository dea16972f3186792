"""A run: an experiment and everything that was measured of it. Views read runs and nothing else."""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from tlab_core.baselines import cross_entropies
from tlab_core.corpora import corpus
from tlab_core.display import Described
from tlab_core.divergence import Divergence
from tlab_core.experiment import Experiment
from tlab_core.generation import Choice, choices, stream
from tlab_core.history import History
from tlab_core.own_statistics import Statistic
from tlab_core.tokenizers import CharacterTokenizer
from tlab_core.trainer import Record, Trainer
from tlab_core.transformer import Transformer

WINDOW = 20  # steps over which a training loss is averaged: that of a single batch is mostly luck


@dataclass(frozen=True)
class Sample:
    """What the model wrote after `prompt` when it had made `step` steps."""

    step: int
    prompt: str
    text: str


@dataclass(frozen=True)
class Mark:
    """A setting that was changed on the way, as one of training can be while the run goes on, and any in a settings file.

    `knob` is its full name; the change acts from the update after `step` on.
    """

    step: int
    knob: str
    before: float | str | None
    after: float | str | None


class Run(Described):
    """What a view reads of a run, live or not: settings, measurements and samples."""

    divergence: Divergence | None = None  # where the first number that was not finite came up, if one did

    def __init__(self, experiment: Experiment, tokenizer: CharacterTokenizer, recorder: History,
                 probe_tokens: list[str], baselines: dict[str, float]):
        self.experiment = experiment
        self.tokenizer = tokenizer
        self.recorder = recorder
        self.probe_tokens = probe_tokens  # the characters that the statistics read
        self.baselines = baselines  # nats per character: uniform, unigram, bigram
        self.samples: list[Sample] = []
        self.marks: list[Mark] = []
        self.analyses: dict[str, xr.Dataset] = {}  # the newest of each kind; replaced and never changed, as others read it

    @property
    def history(self) -> xr.DataTree:
        """Return everything measured so far."""
        return self.recorder.tree

    @property
    def step(self) -> int:
        """Return how many updates the model has had."""
        return self.recorder.last_step("train") or 0

    @property
    def recent_loss(self) -> float | None:
        """Return the training loss in nats a character: the mean of the last 20 steps' batches; None before the first."""
        losses = np.asarray(self.recorder.group("train").variables["loss"][-WINDOW:].values)
        return float(losses.mean()) if losses.size else None

    def describe(self):
        """Return what text it learns, its step, its losses among the baselines, what differs, and what was measured."""
        from tlab_core.display.runs import of_run  # of use only to whoever looks

        return of_run(self)

    def one_line(self) -> str:
        """Return the text, the step, the loss, and how the model is wired."""
        from tlab_core.display.runs import run_line

        return run_line(self, self.recent_loss)


class LiveRun(Run):
    """A run whose model is here and can be trained on and written with.

    Building one makes the model, and measures it as it is before the first step. One thread at a time may drive it;
    any number may read what it has recorded. Raises SettingsError for an experiment whose settings don't go together,
    and CorpusError or UnknownNameError for a corpus that can't be had.

    own_statistics  what is recorded besides the lab's own statistics (None: all that are registered now)
    """

    def __init__(self, experiment: Experiment, own_statistics: Sequence[Statistic] | None = None):
        self._text = text = corpus(experiment.corpus)  # which a text of one's own stays for
        experiment = experiment.resolved(text)
        experiment.check(text)
        tokens = text.tokenizer.encode(text.text)
        self.model = Transformer(experiment.architecture)
        self.trainer = Trainer(self.model, tokens, experiment.training, answers=text.answer_mask(),
                               probe=text.tokenizer.encode(experiment.probe(text)), experiment=experiment,
                               own_statistics=own_statistics)
        self.trainer.recorder.attributes["corpus_hash"] = text.sha256
        self._watchers: list[Callable[[], None]] = []
        data = self.trainer.data
        super().__init__(experiment, text.tokenizer, self.trainer.recorder,
                         probe_tokens=[text.tokenizer.characters[token] for token in self.trainer.probe[:-1]],
                         baselines=cross_entropies(data.training, data.validation, text.tokenizer.vocab_size))
        self.trainer.measure()

    @property
    def step(self) -> int:
        return self.trainer.step

    def advance(self, seconds: float | None = None, steps: int | None = None, until: int | None = None,
                look: bool = False) -> list[Record]:
        """Train for about `seconds`, or for `steps` steps, but not past step `until`, and return the steps' records.

        look: take the statistics after each of these steps, also where they are not due
        """
        deadline = time.monotonic() + seconds if seconds is not None else None
        if until is not None:
            steps = max(0, until - self.step) if steps is None else min(steps, until - self.step)
        records = []
        # Far past any deadline or wish: the loop is left from inside.
        for record in self.trainer.run(steps=10**12 if steps is None else steps, look=look):
            records.append(record)
            for watcher in self._watchers:
                watcher()
            if deadline is not None and time.monotonic() >= deadline:
                break
        self.divergence = self.trainer.divergence
        return records

    def watch(self, watcher: Callable[[], None]) -> None:
        """Call `watcher()` after each step that `advance` makes, in its thread, while the model stands still."""
        self._watchers = [*self._watchers, watcher]

    def unwatch(self, watcher: Callable[[], None]) -> None:
        """Call `watcher` no more; one that never watched is passed over."""
        self._watchers = [other for other in self._watchers if other != watcher]

    def adjust(self, **knobs) -> None:
        """Change training settings that act from the next step on, such as the learning rate."""
        training = self.experiment.training.replace(**knobs)
        training.check()
        before = self.experiment.training
        self.marks = [*self.marks, *(Mark(self.step, f"training.{knob}", getattr(before, knob), after)
                                     for knob, after in knobs.items())]
        self.trainer.training.param.update(**knobs)
        self.experiment = self.experiment.replace(training=training)

    def analyse(self, name: str, **options) -> xr.Dataset:
        """Take a measure that is not part of the history, such as the loss far past the training length, and keep it.

        name, options  an analysis of `tlab_core.analyses`, and what it lets one choose
        The Dataset's attributes say at which `step` it was taken and, as JSON, with which `options`. Raises
        UnknownNameError for a name that there is no analysis of.
        """
        from tlab_core.analyses import ANALYSES  # which may be of no use to whoever only trains

        found = ANALYSES.get(name)(self, **options)
        found = found.assign_attrs(step=self.step, options=json.dumps(options, sort_keys=True))
        self.analyses = {**self.analyses, name: found}
        return found

    def write(self, prompt: str, length: int, temperature: float = 0.8, seed: int = 0, top_k: int | None = None,
              top_p: float | None = None) -> Iterator[str]:
        """Yield `length` characters that the model writes after `prompt`, one by one; see `generation.probabilities`."""
        tokens = self.tokenizer.encode(prompt)
        for token in stream(self.model, tokens, len(tokens) + length, temperature, top_k, top_p, seed):
            yield self.tokenizer.decode([token])

    def write_choices(self, prompt: str, length: int, temperature: float = 0.8, seed: int = 0, top_k: int | None = None,
                      top_p: float | None = None) -> Iterator[Choice[str]]:
        """Yield the characters that `write` does, each as a Choice: how likely the model held it, and which ones more."""
        tokens = self.tokenizer.encode(prompt)
        for choice in choices(self.model, tokens, len(tokens) + length, temperature, top_k, top_p, seed):
            yield choice.named(self.tokenizer.characters.__getitem__)

    def sample(self, prompt: str, length: int, temperature: float = 0.8, seed: int = 0, top_k: int | None = None,
               top_p: float | None = None) -> Sample:
        """Write a text and keep it among `samples`."""
        sample = Sample(self.step, prompt, "".join(self.write(prompt, length, temperature, seed, top_k, top_p)))
        self.samples.append(sample)
        return sample
