"""A run: an experiment and everything that was measured of it. Views read runs and nothing else."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import xarray as xr

from tlab_core.baselines import cross_entropies
from tlab_core.corpora import corpus
from tlab_core.divergence import Divergence
from tlab_core.experiment import Experiment
from tlab_core.generation import stream
from tlab_core.history import History
from tlab_core.tokenizers import CharacterTokenizer
from tlab_core.trainer import Record, Trainer
from tlab_core.transformer import Transformer


@dataclass(frozen=True)
class Sample:
    """What the model wrote after `prompt` when it had made `step` steps."""

    step: int
    prompt: str
    text: str


@dataclass(frozen=True)
class Mark:
    """A training setting that was changed while the run went on; `knob` is its full name."""

    step: int
    knob: str
    before: float | None
    after: float | None


class Run:
    """What a view reads of a run, live or not: settings, measurements and samples."""

    def __init__(self, experiment: Experiment, tokenizer: CharacterTokenizer, recorder: History,
                 probe_tokens: list[str], baselines: dict[str, float]):
        self.experiment = experiment
        self.tokenizer = tokenizer
        self.recorder = recorder
        self.probe_tokens = probe_tokens  # the characters that the statistics read
        self.baselines = baselines  # nats per character: uniform, unigram, bigram
        self.samples: list[Sample] = []
        self.marks: list[Mark] = []
        self.divergence: Divergence | None = None

    @property
    def history(self) -> xr.DataTree:
        """Return everything measured so far."""
        return self.recorder.tree

    @property
    def step(self) -> int:
        """Return how many updates the model has had."""
        return self.recorder.last_step("train") or 0


class LiveRun(Run):
    """A run whose model is here and can be trained on and written with.

    Building one makes the model, and measures it as it is before the first step. One thread at a time may drive it;
    any number may read what it has recorded. Raises SettingsError for an experiment whose settings don't go together,
    and CorpusError or UnknownNameError for a corpus that can't be had.
    """

    def __init__(self, experiment: Experiment):
        text = corpus(experiment.corpus)
        experiment = experiment.resolved(text)
        experiment.check(text)
        tokens = text.tokenizer.encode(text.text)
        self.model = Transformer(experiment.architecture)
        self.trainer = Trainer(self.model, tokens, experiment.training, answers=text.answer_mask(),
                               probe=text.tokenizer.encode(experiment.probe(text)), experiment=experiment)
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

    def advance(self, seconds: float | None = None, steps: int | None = None, until: int | None = None) -> list[Record]:
        """Train for about `seconds`, or for `steps` steps, but not past step `until`, and return the steps' records."""
        deadline = time.monotonic() + seconds if seconds is not None else None
        if until is not None:
            steps = max(0, until - self.step) if steps is None else min(steps, until - self.step)
        records = []
        # Far past any deadline or wish: the loop is left from inside.
        for record in self.trainer.run(steps=10**12 if steps is None else steps):
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

    def write(self, prompt: str, length: int, temperature: float = 0.8, seed: int = 0) -> Iterator[str]:
        """Yield `length` characters that the model writes after `prompt`, one by one."""
        tokens = self.tokenizer.encode(prompt)
        for token in stream(self.model, tokens, len(tokens) + length, temperature=temperature, seed=seed):
            yield self.tokenizer.decode([token])

    def sample(self, prompt: str, length: int, temperature: float = 0.8, seed: int = 0) -> Sample:
        """Write a text and keep it among `samples`."""
        sample = Sample(self.step, prompt, "".join(self.write(prompt, length, temperature, seed)))
        self.samples.append(sample)
        return sample
