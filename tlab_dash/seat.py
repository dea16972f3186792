"""One tab's place in the fleet: commands go in at any time and are carried out between the steps of its run.

Everything that touches a run happens in `Seat.slice`, on a worker. The page never waits for it: it reads what the seat
has published (`run`, `ghost`, `text`, `error`, ...), each replaced in one assignment, and looks at `version` to learn
whether anything is new.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from tlab_core.parallel import one_blas_thread
from tlab_core.run import Sample
from tlab_core.runs import RunError, RunStore
from tlab_dash.keeping import Keeper

GHOST_STEPS = 50  # a run must have come this far to be worth comparing with
WRITING_SHARE = 0.03  # of the time, at most, while training
KEPT_STEPS = (0, 100)  # the first texts from these steps on are kept as the run's samples,
KEPT_APART, KEPT_GROWTH = 5, 1.1  # and then one each so many steps, and each so many times as many, to look back at


@dataclass(frozen=True)
class Request:
    """How a text is to be written: the dice are `seed`, and only a new model or a new request changes the text.

    An empty prompt, or one with characters that the run's corpus does not have, takes the prompt of the run.
    """

    prompt: str = ""
    temperature: float = 0.8
    seed: int = 0
    length: int = 120


@dataclass(frozen=True)
class Text:
    """What a model wrote at one step; `text` goes on after `prompt`. Not `done` while it is still writing."""

    step: int
    prompt: str
    text: str
    done: bool


class Seat:
    """A run in training, and the run before it (the ghost), driven by commands.

    open_run(experiment)  builds a run; it is called on a worker, so it may take its time
    """

    def __init__(self, fleet, open_run: Callable):
        self._fleet = fleet
        self._open_run = open_run
        self._commands = deque()
        self._closed = False
        self._opened = None  # the experiment asked for last
        self._next_step = 0.0
        self._next_text = 0.0
        self._in_slice = threading.Lock()  # for the last commit, the one thing that is not done in a slice
        self._written = None  # (run, step, request) of the newest text
        self._versions = itertools.count(1)  # one for both sides: `+= 1` from two threads could lose a change
        self.request = Request()
        self.version = 0
        self.run = None
        self.ghost = None
        self.training = False
        self.opening = False
        self.pace = None  # steps a second; None is as fast as it goes
        self.text = None
        self.error = ""
        self.problems = []  # what the error says of single knobs
        self.broken = False  # the run itself failed, not a command about it
        self.keeper = Keeper()
        self.saving = False
        self.save_error = ""  # why the last `save` did not work

    # Called by the page ----------------------------------------------------------------------------------------------

    def do(self, command: Callable[[], None]) -> None:
        """Carry out `command` on a worker, between two steps, in the order in which commands came."""
        if not self._closed:
            self._commands.append(command)
            self._fleet.wake(self)

    def open(self, experiment, build: Callable | None = None) -> None:
        """Build a run of `experiment`; the run so far becomes the ghost if it is worth it. Training stays on if it was.

        build(experiment)  returns the run, and what there is to say of it, empty if nothing
        """
        build = build or (lambda experiment: (self._open_run(experiment), ""))
        self._opened = experiment
        self.opening = True
        self._tell()
        self.do(lambda: self._open(experiment, build))

    def resume(self, store: RunStore, name: str, experiment) -> None:
        """Train a run out of a folder on from where its last commit left it, and keep it there."""

        def build(_) -> tuple:
            run, writer, differences = store.resume(name)
            self.keeper.adopt(run, writer)
            self.training = True
            return run, " ".join(differences)

        self.open(experiment, build)

    def train(self) -> None:
        """Train until `pause`, the end of the schedule, or the first number that is not finite."""
        self.training = True
        self.do(lambda: None)

    def pause(self) -> None:
        """Stop after the step that is being made."""
        self.training = False
        self._tell()

    def step(self) -> None:
        """Make exactly one step."""
        self.do(lambda: self.run is None or self._advance(steps=1))

    def adjust(self, knobs: dict) -> None:
        """Change training settings that act from the next step on."""
        self.do(lambda: self.run.adjust(**knobs))

    def write(self, request: Request) -> None:
        """Write a text now, training or not."""
        self.request = request
        self.do(lambda: None)

    def save(self, name: str, store: RunStore) -> None:
        """Keep the run in a folder of the store from now on; `save_error` says why when that does not work."""
        run, self.saving, self.save_error = self.run, True, ""
        self._tell()
        self.do(lambda: self._save(run, name, store))

    def swap(self) -> None:
        """Put the ghost in the run's place and the run in the ghost's."""
        self.do(self._swap)

    def close(self) -> None:
        """Let go of the runs; nothing is carried out any more."""
        self._closed = True
        self.training = False
        self._commands.clear()
        if self.keeper:
            self._finish()
        self.run = self.ghost = self.text = self._written = self._opened = None

    def _finish(self) -> None:
        """Write the last of the kept runs: in a thread, as the disk takes its time and the page has others to answer."""

        def write() -> None:
            with self._in_slice, suppress(RunError):  # there is no page any more to say it on
                self.keeper.let_go()

        try:
            threading.Thread(target=write, name="tlab-last-commit").start()
        except RuntimeError:  # the interpreter is on its way out and starts no more threads
            write()

    # Called by the fleet ---------------------------------------------------------------------------------------------

    def slice(self, seconds: float) -> float | None:
        """Carry out what was asked, train for about `seconds`; return when the next slice is due, None for when asked."""
        # Products of a few numbers each gain nothing from more threads, and lose a factor of forty to waking them.
        with self._in_slice, one_blas_thread():
            return self._slice(seconds)

    def _slice(self, seconds: float) -> float | None:
        while self._commands and not self._closed:
            command = self._commands.popleft()
            try:
                command()
            except Exception as error:
                self._complain(error)
            self._tell()
        if self.run is None or self._closed:
            return None
        self._keep_writing()  # first, so that a new run is seen to write before it has learned anything
        if self._commands:
            return time.monotonic()  # they have cut the text short: it is begun anew after them, and before another step
        if self.training:
            now = time.monotonic()
            if self.pace is None:
                self._advance(seconds=seconds)
            elif now >= self._next_step:
                period = 1 / self.pace
                self._next_step = (self._next_step if now < self._next_step + period else now) + period
                self._advance(steps=1)
        if not self.training:
            self._keep_writing()
            self.keeper.catch_up(self.run)
            return None
        return time.monotonic() if self.pace is None else self._next_step

    def fail(self, error: Exception) -> None:
        """Stop: the run raised `error`. What it measured before stays readable."""
        self.training = False
        self.broken = True
        self._complain(error)

    # On a worker -----------------------------------------------------------------------------------------------------

    def _tell(self) -> None:
        self.version = next(self._versions)

    def _complain(self, error: Exception) -> None:
        self.problems = getattr(error, "problems", [])
        self.error = str(error) or type(error).__name__
        self._tell()

    def _open(self, experiment, build: Callable) -> None:
        if experiment is not self._opened:
            return  # another knob was turned meanwhile
        try:
            run, remark = build(experiment)
        finally:
            if experiment is self._opened:
                self.opening = False
        if not self._closed and experiment is self._opened:
            self._keep_last_words()
            if self.run is not None and (self.run.step >= GHOST_STEPS or self.run.divergence is not None):
                self.ghost = self.run
                self.ghost.trainer.close()  # the buffers, not what was learned: it can go on after Undo
            self._replace(run)
            self.error = remark
        self.keeper.let_go(self.run, self.ghost)

    def _save(self, run, name: str, store: RunStore) -> None:
        try:
            if run is not None and not self._closed:
                self.keeper.keep(run, name, store)
        except RunError as error:
            self.save_error = str(error)
        finally:
            self.saving = False
        if run not in (self.run, self.ghost):  # another one has come meanwhile
            self.keeper.let_go(self.run, self.ghost)

    def _swap(self) -> None:
        if self.ghost is None:
            return
        self._keep_last_words()
        run, self.ghost = self.ghost, self.run
        self._replace(run)

    def _keep_last_words(self) -> None:
        """Keep what the run wrote last among its samples, for when it is a ghost."""
        text = self.text
        if self.run is not None and text is not None and text.done:
            self._keep(text)

    def _keep(self, text: Text) -> None:
        kept = self.run.samples
        # In place of one at the same step: a folder that holds so many samples already must not miss the next.
        kept = kept[:-1] if kept and kept[-1].step == text.step else kept
        self.run.samples = [*kept, Sample(text.step, text.prompt, text.text)]

    def _is_missing(self, step: int) -> bool:
        """Return whether the first text from one of KEPT_STEPS on is still to be kept."""
        last = self.run.samples[-1].step if self.run.samples else -1
        return any(last < wanted <= step for wanted in KEPT_STEPS)

    def _is_worth_keeping(self, step: int) -> bool:
        """Return whether a text at this step is far enough from the last one kept; so a long run keeps a hundred or so."""
        last = self.run.samples[-1].step if self.run.samples else 0
        return self._is_missing(step) or step >= max(last + KEPT_APART, last * KEPT_GROWTH)

    def _replace(self, run) -> None:
        self.run, self.text = run, None
        self._written = None
        self._next_text = 0.0
        self.error, self.save_error, self.problems, self.broken = "", "", [], False
        if run.divergence is not None:
            self.training = False

    def _advance(self, **how) -> None:
        horizon = self.run.experiment.training.steps
        before = self.run.step
        if before < horizon and "seconds" in how:
            how["until"] = horizon
        self.run.advance(**how)
        if self.run.divergence is not None or before < horizon <= self.run.step:
            self.training = False
        self._tell()

    def _keep_writing(self) -> None:
        """Write when the model or the request is new: at once when asked, else for a small share of the time."""
        run, request = self.run, self.request
        wanted = (run, run.step, request)
        if self._written == wanted or run.divergence is not None:
            return
        asked = self._written is None or self._written[2] != request
        asked = asked or self._is_missing(run.step)
        if self.training and not asked and time.monotonic() < self._next_text:
            return
        began = time.monotonic()
        prompt, text = request.prompt, ""
        if not prompt or run.tokenizer.unknown(prompt):
            prompt = run.experiment.prompt
        for character in run.write(prompt, request.length, request.temperature, request.seed):
            text += character
            self.text = Text(run.step, prompt, text, done=False)
            self._tell()
            if self._closed or self._commands:
                return  # a command goes first; the text is begun anew after it
        self.text = Text(run.step, prompt, text, done=True)
        self._written = wanted
        self._next_text = time.monotonic() + (time.monotonic() - began) * (1 / WRITING_SHARE - 1)
        if self._is_worth_keeping(run.step):
            self._keep(self.text)
        self._tell()
