"""The training loop: batches in, one light record a step out, and everything that is measured on the way kept.

A step: take the batch of its number, cut it into shards, run each forward and backward, add up their gradients in a
fixed order, shorten the gradient if it is too long, ask the schedule for the rate, update, record. Where gradients
accumulate, several groups of sequences go through one after the other first. Who computes what (team.py) never changes a
number; how the batch is cut (`shards`) does, in the last bits.
"""

import json
import math
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np

from tlab_core import parallel, statistics
from tlab_core.batches import Batch, Batches, DataError, checked_ids
from tlab_core.blame import blaming
from tlab_core.config import Training
from tlab_core.crew import Hiring
from tlab_core.display import Described
from tlab_core.divergence import DivergedError, Divergence, find_first, layer_of
from tlab_core.extensions import origin
from tlab_core.history import History, provenance
from tlab_core.interrupts import interrupts_wait
from tlab_core.objective import Objective
from tlab_core.optimizers import OPTIMIZERS
from tlab_core.own_statistics import Statistic, in_force, note_failures, variables_of
from tlab_core.parameters import flat_views
from tlab_core.processes import Processes, beside_others
from tlab_core.schedules import learning_rate
from tlab_core.schema import coordinates
from tlab_core.shards import dropout_of
from tlab_core.team import Team

VALIDATION_BATCHES = 8  # at most; fewer where validation is frequent, so that it stays a few percent of the time
PROBE_LENGTH = 64  # tokens of the validation part that the statistics read, unless a probe is given
CLOSE_LOOK = 100  # the first steps change the most: statistics are then taken every CLOSE_LOOK_EVERY steps
CLOSE_LOOK_EVERY = 5


@dataclass(frozen=True)
class Record:
    """What one step has to say. Loss (nats) and gradient length are those of the update that led to `step`.

    `tokens` and `seconds` count from the start of the run. With a `divergence` the update was not made.
    """

    step: int
    loss: float
    learning_rate: float
    grad_norm: float
    tokens: int
    seconds: float
    divergence: Divergence | None = None


class Trainer(Described):
    """Trains a model on a text, step by step, and records what happens inside.

    >>> from tlab_core.transformer import Transformer
    >>> model = Transformer(vocab_size=5, hidden_dim=8, num_layers=1, num_heads=2)
    >>> trainer = Trainer(model, np.arange(400) % 5, Training(batch_size=4, seq_len=8, warmup_steps=0))
    >>> losses = [record.loss for record in trainer.run(steps=30)]
    >>> losses[-1] < losses[0] < 1.7
    True
    >>> trainer.history["train"].sizes["step"]
    30

    One trainer may be looked at from other threads while it runs: a step and a measurement wait for each other.
    """

    def __init__(
        self,
        model: Any,
        tokens: Any,
        training: Training | None = None,
        *,
        probe: Any = None,
        answers: Any = None,
        experiment: Any = None,
        own_statistics: Sequence[Statistic] | None = None,
    ):
        """Prepare to train `model` on `tokens`, a 1-D array of ids; nothing is computed yet.

        training: the settings; learning_rate, schedule, steps, weight_decay, betas, grad_clip, dropout, label_smoothing,
            z_loss and gradient_accumulation_steps may be changed while it runs and act on the next step, the others are
            read here.
        probe: token ids that the statistics read (None: the first 64 or fewer of the validation part).
        answers: marks the tokens that are answers, one bool each, so that validation also counts how many are right.
        experiment: settings to write into the history's attributes in place of architecture and training alone.
        own_statistics: what is recorded besides the lab's own statistics (None: all that are registered now).

        Raises SettingsError for settings that don't go together, DataError for tokens that can't be trained on.
        """
        if not hasattr(model, "architecture"):
            raise TypeError(f"model = {model!r} is not allowed: it must be a Transformer.")
        if not isinstance(training, Training | None):
            raise TypeError(f"training = {training!r} is not allowed: it must be settings such as Training(steps=500), or "
                            "None for the usual ones.")
        self.model = model
        self.training = Training() if training is None else training
        self.training.check()
        self.data = Batches(tokens, model.architecture.vocab_size, self.training, answers)
        self._check_length("seq_len", self.training.seq_len)
        self.probe = self._checked_probe(probe)
        self.shards = parallel.resolve_shards(self.training.shards, self.training.batch_size)
        self.executor = parallel.resolve_executor(self.training.executor, self.shards)
        self._step_work = model.flat.size * self.training.batch_size * self.training.seq_len
        self.optimizer = OPTIMIZERS.get(self.training.optimizer)(model.flat, model.shapes)
        self.step = 0
        self.tokens = 0
        self.seconds = 0.0
        self.divergence: Divergence | None = None
        self.own_statistics = in_force() if own_statistics is None else tuple(own_statistics)
        own = variables_of(self.own_statistics)
        self.recorder = History(self._coordinates(), self._attributes(experiment), own=own)
        self._validation_batches = max(1, min(VALIDATION_BATCHES, self.training.eval_every // 8))
        self.start = self._views(model.flat)  # the parameters before the first step, by name
        self._team: Team | None = None
        self._hiring: Hiring | None = None
        self._probe_work = None  # kept, since making one costs a fifth of a measurement
        self._before: tuple[np.ndarray, dict] | None = None  # parameters before an update, flat and by name; kept likewise
        self._busy = threading.RLock()

    # ---- what a user calls

    def run(self, steps: int | None = None, look: bool = False) -> Iterator[Record]:
        """Make `steps` more steps (None: up to the horizon `training.steps`) and yield a record after each.

        Leaving the loop, also by Ctrl-C, leaves the trainer between two steps; calling `run` again goes on as if it had
        never stopped, to the last bit. Past the horizon the final learning rate holds. A loss or gradient that is not
        finite ends the loop with a record that has a `divergence`; asking for more raises DivergedError.

        look: take the statistics after each of these steps, also where `statistics_every` leaves them out.
        """
        if steps is not None and (isinstance(steps, bool) or not isinstance(steps, Integral) or steps < 0):
            raise ValueError(
                f"steps = {steps!r} is not allowed: it must be a whole number of at least 0, "
                "or None to train up to the horizon (training.steps)."
            )
        self.check_going()
        return self._run(steps, look)

    def batch(self, step: int) -> Batch:
        """Return the batch (tokens, targets) whose update leads to `step`, always the same for one seed and step.

        It has gradient_accumulation_steps · batch_size sequences.
        """
        return self.data.batch(step, self.training.gradient_accumulation_steps)

    def measure(self) -> None:
        """Take the record of step 0, unless it is there already: the fresh model's validation loss and statistics."""
        with self._at_work():
            if self.recorder.last_step("parameters") is None:
                began = time.perf_counter()
                self._validate()
                self._look_inside(gradients=None, before=None)
                self.seconds += time.perf_counter() - began

    def look(self) -> None:
        """Take this step's statistics of the probe text, unless they are there already."""
        with self._at_work():
            if self.recorder.last_step("residual") != self.step:
                self._read_probe()

    def validate(self) -> None:
        """Record this step's validation loss, unless it is there already: a run may end between two of them."""
        with self._at_work():
            self.measure()
            if self.recorder.last_step("validation") != self.step:
                began = time.perf_counter()
                self._validate()
                self.seconds += time.perf_counter() - began

    def evaluate(self, batches: int | None = None) -> float:
        """Return the mean loss in nats a token on validation text, without training on it.

        None: the whole validation part, in pieces of `seq_len` that each start without memory. A number: at most that
        many batches of pieces, evenly spread over it, always the same.
        """
        if batches is not None and (isinstance(batches, bool) or not isinstance(batches, Integral) or batches < 1):
            raise ValueError(
                f"batches = {batches!r} is not allowed: it must be a whole number of at least 1, "
                "or None for the whole validation part."
            )
        with self._at_work():
            chosen = self.data.validation_batches(batches)
            total = sum(self._at_hand().losses(tokens, targets) for tokens, targets, _ in chosen)
            return total / sum(targets.size for _, targets, _ in chosen)

    @property
    def history(self):
        """Return everything measured so far, as an xarray DataTree that shares memory with the recorder."""
        self.measure()
        return self.recorder.tree

    def describe(self):
        """Return how far training is, how low the loss is, what differs from the defaults, and what was measured."""
        from tlab_core.display.runs import of_trainer  # of use only to whoever looks

        return of_trainer(self)

    def one_line(self) -> str:
        """Return the step, and the model."""
        return f"<Trainer at step {self.step:,} of {self.training.steps:,}: {self.model!r}>"

    def standing_still(self) -> threading.RLock:
        """Return what a step holds: inside `with trainer.standing_still():` no step changes the model or the history."""
        return self._busy

    def restore(self, step: int, tokens: int, seconds: float, divergence: Divergence | None = None) -> None:
        """Count on from where an earlier trainer stood; parameters, optimizer and history are put back by the caller."""
        with self._busy:
            self.step, self.tokens, self.seconds, self.divergence = step, tokens, seconds, divergence

    def close(self) -> None:
        """Give back the buffers and stop worker processes. The history stays readable, and `run` would begin anew."""
        with self._busy:
            if self._hiring is not None:
                self._hiring.cancel()
            if self._team is not None:
                self._team.close()
            self._hiring = None
            self._team, self._probe_work, self._before = None, None, None

    # ---- one step

    def _run(self, steps: int | None, look: bool) -> Iterator[Record]:
        self.measure()
        made = 0
        while made < steps if steps is not None else self.step < self.training.steps:
            self.check_going()
            record = self._advance(look)
            made += 1
            yield record
            if record.divergence is not None:
                return

    def own_kinds(self) -> list[tuple[str, str]]:
        """Return what is not the lab's own: the kind and the name of each."""
        optimizer = type(self.optimizer)
        return [(OPTIMIZERS.kind, self.training.optimizer)] if origin(optimizer) is not None else []

    @blaming
    def _advance(self, look: bool) -> Record:
        """Make one step and everything that is measured after it, or find out why it can't be made."""
        with self._at_work():
            began = time.perf_counter()
            step = self.step + 1
            self.training.check()  # a knob turned meanwhile may no longer go with the others
            self._reinforce()
            groups = self.data.groups(self.batch(step))
            loss, norm = self._at_hand().gradient(groups, step)
            rate = learning_rate(step, self.training)
            if not (math.isfinite(loss) and math.isfinite(norm)):
                self.divergence = self._why(step, groups, loss)
                self.recorder.attributes["divergence"] = self.divergence.message
                self.seconds += time.perf_counter() - began
                return Record(step, loss, rate, norm, self.tokens, self.seconds, self.divergence)
            looking = look or self._looks_inside(step)
            before = self._parameters_now() if looking else None
            self._at_hand().update(step, rate, self._shortening(norm))
            self.step = step
            self.tokens += sum(tokens.size for tokens, _ in groups)
            record = Record(step, loss, rate, norm, self.tokens, self.seconds + time.perf_counter() - began)
            self.recorder.append(
                "train",
                step,
                {
                    "loss": loss,
                    "learning_rate": rate,
                    "grad_norm": norm,
                    "tokens": record.tokens,
                    "seconds": record.seconds,
                },
            )
            if step % self.training.eval_every == 0 or step == self.training.steps:
                self._validate()
            if looking:
                self._look_inside(self._at_hand().shards.work(0).gradients, before)
            self.seconds += time.perf_counter() - began
            return record

    def _shortening(self, norm: float) -> float:
        """Return what the gradient is multiplied by, so that it is at most `grad_clip` long (Pascanu et al. 2013)."""
        longest = self.training.grad_clip
        return 1.0 if longest is None or norm <= longest else longest / norm

    def _why(self, step: int, groups: list[Batch], loss: float) -> Divergence:
        """Run the batch again, looking at every number, and return where the first one broke."""
        shards, first = [], 0
        for tokens, targets in groups:
            for rows in parallel.cut(len(tokens), self.shards):
                shards.append((tokens[rows], targets[rows], dropout_of(self.training, step, first, rows)))
            first += len(tokens)
        scale, objective = 1 / sum(tokens.size for tokens, _ in groups), Objective.of(self.training)
        found = find_first(self.model, shards, self._at_hand().shards.work(0), scale, objective)
        site, kind = found or ("grad_norm" if math.isfinite(loss) else "loss", "infinite number")
        return Divergence(step, layer_of(site), site, kind, *self._last_score(layer_of(site)))

    def _last_score(self, layer: int | None) -> tuple[float | None, int | None]:
        """Return a layer's largest finite Q·K logit in the newest record that has one, and that record's step."""
        if layer is None:
            return None, None
        largest = self.recorder.group("heads")["qk_max"].sel(layer=layer).max("head", skipna=False)
        finite = largest[np.isfinite(largest.values)]
        return (float(finite[-1]), int(finite["step"][-1])) if finite.size else (None, None)

    # ---- measuring

    def _looks_inside(self, step: int) -> bool:
        every = self.training.resolved_statistics_every
        return step % every == 0 or (step <= CLOSE_LOOK and step % min(CLOSE_LOOK_EVERY, every) == 0)

    def _read_probe(self) -> None:
        if self._probe_work is None:
            self._probe_work = self.model.workspace(gradients=False)
        failed: dict[str, str] = {}
        found = statistics.measure(self.model, self.probe, self._probe_work, self.own_statistics, failed)
        for group, values in found.items():
            self.recorder.append(group, self.step, values)
        if failed:
            note_failures(self.recorder, failed, self.step)

    def _look_inside(self, gradients, before) -> None:
        self._read_probe()
        names = list(self.model.parameters)
        values = statistics.parameter_statistics(names, self.model.parameters, gradients, before, self.start)
        self.recorder.append("parameters", self.step, values)

    def _validate(self) -> None:
        """Record the loss on the fixed validation pieces, and how many answer characters are guessed right."""
        chosen = self.data.validation_batches(self._validation_batches)
        loss = sum(self._at_hand().losses(tokens, targets) for tokens, targets, _ in chosen)
        values = {"loss": loss / sum(targets.size for _, targets, _ in chosen)}
        if self.data.answers is not None:
            right = [self._right_answers(*pieces) for pieces in chosen]
            asked = sum(mask.sum() for *_, mask in chosen)
            values["answer_accuracy"] = sum(right) / asked if asked else math.nan
        self.recorder.append("validation", self.step, values)

    def _right_answers(self, tokens: np.ndarray, targets: np.ndarray, mask: np.ndarray) -> int:
        """Count the answer characters that the model finds likeliest, each given the true text before it."""
        rows = parallel.cut(len(tokens), min(self.shards, len(tokens)))

        def one_shard(part: slice) -> int:
            guesses = self.model.forward(tokens[part]).argmax(axis=-1)
            return int(((guesses == targets[part]) & mask[part]).sum())

        return sum(self._at_hand().map(one_shard, rows))

    # ---- set-up

    @contextmanager
    def _at_work(self) -> Iterator[None]:
        """Be the only one who works with this trainer, with products in one thread each, and not interrupted."""
        with self._busy, interrupts_wait(), parallel.one_blas_thread():
            yield

    def _at_hand(self) -> Team:
        """Return the team that makes the steps, put together when first needed."""
        if self._team is None and self._step_work >= parallel.LARGE:
            self._reinforce(at_once=True)
        if self._team is None:
            self._team = parallel.EXECUTORS.get(self.executor)(self.model, self.optimizer, self.training, self.shards)
        return self._team

    def _reinforce(self, at_once: bool = False) -> None:
        """Let worker processes take over from threads, where the executor is "auto" and the run has proved long.

        Equal shards give equal bits, so no number shows it. They start in the background, and no step waits for them;
        `at_once` waits. Where they can't be had, threads go on, and the history says why.
        """
        if self.training.executor != "auto" or self.executor != "threads":
            return
        if self._hiring is None and (at_once or self.seconds >= parallel.WORTH_PROCESSES):
            given = self.model, self.optimizer, self.training, self.shards, beside_others()
            self._hiring = Hiring.if_there_is_room(*given)
        if self._hiring is None or not (at_once or self._hiring.done):
            return
        self._hiring.wait()
        if self._hiring.error is not None:
            self.recorder.attributes["executor"] = f"threads ({self._hiring.error.reason})"
            return
        if self._team is not None:
            self._team.close()
            self._team = None  # with its gradients and buffers, before those of the workers are written to
        self._team = Processes(self.model, self.optimizer, self.training, self.shards, self._hiring.crew)
        self.executor, self._hiring = "processes", None
        self.recorder.attributes["executor"] = self.executor

    def _views(self, flat: np.ndarray) -> dict[str, np.ndarray]:
        """Return a copy of a flat buffer, as arrays by parameter name."""
        copy, views = flat_views(self.model.shapes, flat.dtype)
        copy[:] = flat
        return views

    def _parameters_now(self) -> dict[str, np.ndarray]:
        """Return a copy of the parameters by name, in arrays that the next call writes to again."""
        if self._before is None:
            self._before = flat_views(self.model.shapes, self.model.flat.dtype)
        np.copyto(self._before[0], self.model.flat)
        return self._before[1]

    def check_going(self) -> None:
        """Raise DivergedError if the run has broken."""
        if self.divergence is not None:
            rate = self.training.learning_rate
            raise DivergedError(
                f"{self.divergence.message} This trainer can't go on. Make a new Transformer and a new Trainer with a "
                f"smaller learning_rate (it was {rate:g}; try {rate / 10:g}), more warmup_steps or a smaller grad_clip. "
                "What led up to it stays readable in trainer.history."
            )

    def _check_length(self, what: str, length: int) -> None:
        a = self.model.architecture
        if a.pos_encoding_type == "Learned" and length > a.max_seq_len:
            raise DataError(
                f"{what} = {length} is longer than the model's table of learned positions (max_seq_len = "
                f"{a.max_seq_len}). Set {what} to {a.max_seq_len} or less, or build the model with max_seq_len={length}."
            )

    def _checked_probe(self, probe: Any) -> np.ndarray:
        if probe is None:
            probe = self.data.validation[: min(PROBE_LENGTH, max(2, self.training.seq_len)) + 1]
        probe = checked_ids(probe, self.model.architecture.vocab_size, "the probe's tokens").astype(np.intp)
        if len(probe) < 3:
            raise DataError(
                f"the probe has {len(probe)} tokens: it needs at least 3, for statistics look at what follows what. "
                "Give a longer probe."
            )
        self._check_length("the probe's length", len(probe) - 1)
        return probe

    def _coordinates(self) -> dict[str, np.ndarray]:
        a = self.model.architecture
        return coordinates(
            num_layers=a.num_layers,
            num_heads=a.num_heads,
            vocab_size=a.vocab_size,
            parameters=self.model.parameters,
            probe_length=len(self.probe) - 1,
        )

    def _attributes(self, experiment: Any) -> dict[str, Any]:
        settings = {"architecture": self.model.architecture.to_dict(), "training": self.training.to_dict()}
        if experiment is not None:
            settings = experiment.to_dict()
        return provenance(settings, seed=self.training.seed) | {
            "shards": self.shards,
            "executor": self.executor,
            "blas": json.dumps(parallel.blas_kernels()),
        }
