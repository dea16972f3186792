"""One tab's place in the fleet: commands go in at any time and are carried out between the steps of its run.

Everything that touches a run happens in `Seat.slice`, on a worker. The page never waits for it: it reads what the seat
has published (`run`, `ghost`, `text`, `error`, ...), each replaced in one assignment, and looks at `version` to learn
whether anything is new.
"""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace

from tlab_core.blame import in_words
from tlab_core.crew import WorkerError
from tlab_core.parallel import one_blas_thread
from tlab_core.runs import RunError, RunStore
from tlab_dash.keeping import Keeper
from tlab_dash.measuring import Measuring
from tlab_dash.race import Race, target, turn
from tlab_dash.scribe import RACE_WRITES, Request, Scribe, Text

AGAIN = "That can happen where memory runs out. Reset begins the run anew; a smaller model or batch takes less."
GHOST_STEPS = 50  # a run must have come this far to be worth comparing with


class Seat:
    """A run in training, and the run before it (the ghost), driven by commands.

    open_run(experiment)  builds a run; it is called on a worker, so it may take its time
    most_steps            the step at which every run ends, if there is one
    """

    def __init__(self, fleet, open_run: Callable, most_steps: int | None = None):
        self._fleet = fleet
        self._open_run = open_run
        self._commands = deque()
        self._closed = False
        self._opened = None  # the experiment asked for last
        self._next_step = 0.0
        self._in_slice = threading.Lock()  # for the last commit, the one thing that is not done in a slice
        self._versions = itertools.count(1)  # one for both sides: `+= 1` from two threads could lose a change
        self._scribe = Scribe(self._tell, self._is_called_away)
        self._measuring = Measuring(self._tell, self._is_called_away)
        self.version = 0
        self.run = None
        self.ghost = None
        self.training = False
        self.going = None  # the Race that run and ghost are in, if there is one; it waits while `training` is off
        self.work = None  # what is trained out of sight, if anything: see `aside`
        self.away = ()  # runs that are out of sight and come back, so that what is kept of them must stay open
        self.opening = False
        self.pace = None  # steps a second; None is as fast as it goes
        self.most_steps = most_steps  # no run goes further; None is without end
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

    def open(self, experiment, build: Callable | None = None, race: bool = False, keep: bool = False) -> None:
        """Build a run of `experiment`; the run so far becomes the ghost if it is worth it. Training stays on if it was.

        build(experiment)  returns the run, and what there is to say of it, empty if nothing
        race               whether training is a race against the ghost, where there is one, see `race.target`
        keep               whether the run so far becomes the ghost in any case
        """
        build = build or (lambda experiment: (self._open_run(experiment), ""))
        self._opened = experiment
        self.opening = True
        self._tell()
        self.do(lambda: self._open(experiment, build, race, keep))

    def rebuild(self, experiment, build: Callable) -> None:
        """Put in place of each run on show what `build(run)` makes of it; training stays on if it was, as does a race.

        `experiment` is that of the new run. Where a run was kept in a folder, what follows is not, and it is said.
        """
        self._opened = experiment
        self.opening = True
        self._tell()
        self.do(lambda: self._rebuild(experiment, build))

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

    def race(self, target: int, then: Callable[[], None] | None = None) -> None:
        """Train run and ghost in turns until both are at step `target`, or broken; then stop, and call `then` on a worker.

        A pause interrupts it, and `train` goes on with it. Another run ends it, as does another race; swapping doesn't.
        """
        self.do(lambda: self.begin(target, then))

    def stage(self, run, ghost) -> None:
        """Put two runs in place of those that are on show, both at whatever step they are, and train neither."""
        self.do(lambda: self.put(run, ghost))

    def aside(self, work: Callable[[float], bool] | None) -> None:
        """Train something out of sight while the runs on show don't train: `work(seconds)` until it returns False.

        None ends what is being done. There is one such work at a time; a new one takes the place of the last.
        """
        self.do(lambda: setattr(self, "work", work))

    def pause(self) -> None:
        """Stop after the step that is being made."""
        self.training = False
        self._tell()

    def step(self) -> None:
        """Make exactly one step, and look into the model after it."""
        self.do(lambda: self.run is None or self._advance(steps=1, look=True))

    def adjust(self, knobs: dict) -> None:
        """Change training settings that act from the next step on."""
        self.do(lambda: self.run.adjust(**knobs))

    def write(self, request: Request) -> None:
        """Write a text now, training or not."""
        self._scribe.request = request
        self.do(lambda: None)

    def want(self, wanted: tuple) -> None:
        """Take these analyses, (run, name, options) each, and take them anew as the model learns."""
        if wanted != self._measuring.wanted:
            self._measuring.wanted = wanted
            self.do(lambda: None)

    def save(self, name: str, store: RunStore) -> None:
        """Keep the run in a folder of the store from now on; `save_error` says why when that does not work."""
        run, self.saving, self.save_error = self.run, True, ""
        self._tell()
        self.do(lambda: self._save(run, name, store))

    def swap(self) -> None:
        """Put the ghost in the run's place and the run in the ghost's."""
        self.do(self._swap)

    def rest(self) -> None:
        """Give back the memory that only training needs; it is taken anew when training goes on."""
        self.do(lambda: [run.trainer.close() for run in (self.run, self.ghost) if run is not None])

    @property
    def text(self) -> Text | None:
        """Return what the run on show wrote last."""
        return self._scribe.text

    @property
    def queue(self) -> tuple[int, int]:
        """Return how many seats go before this one, and how many have something to do."""
        return self._fleet.waiting(self)

    def close(self) -> None:
        """Let go of the runs; nothing is carried out any more."""
        self._closed = True
        self.training = False
        self._commands.clear()
        if self.keeper:
            self._finish()
        self.run = self.ghost = self._opened = self.going = self.work = None
        self.away = ()
        self._scribe.forget()
        self._measuring.forget()

    def _finish(self) -> None:
        """Write the last of the kept runs: in a thread, as the disk takes its time and the page has others to answer."""

        def write() -> None:
            try:
                with self._in_slice:
                    self.keeper.let_go()
            except (RunError, RuntimeError) as error:  # the latter when the server itself is on its way out
                logging.getLogger(__name__).warning("the last steps of a kept run could not be written: %s", error)

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
        # Writing goes first, so that a new run is seen to write before it has learned anything.
        _, runs = self.queue
        self._scribe.keep_up(self.run, self.training, racing=self.training and self.going is not None, runs=runs)
        self._measuring.keep_up(self.run, self.ghost, self.training, runs=runs)
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
            self._scribe.keep_up(self.run, False)
            self._measuring.keep_up(self.run, self.ghost, False)
            self.keeper.catch_up(self.run)
            self.keeper.catch_up(self.ghost)
            return time.monotonic() if self._commands or self._work_aside(seconds) else None
        return time.monotonic() if self.pace is None else self._next_step

    def fail(self, error: Exception) -> None:
        """Stop: the run raised `error`. What it measured before stays readable."""
        self.training = False
        self.broken = True
        self._complain(error)

    # On a worker, for commands that do several things at once ---------------------------------------------------------

    def build(self, experiment):
        """Build a run that is not on show, within the server's limits."""
        return self._open_run(experiment)

    def put(self, run, ghost) -> None:
        """What `stage` does, now."""
        self._scribe.keep_last_words(self.run)
        for old in (self.run, self.ghost):
            if old is not None and old not in (run, ghost):
                old.trainer.close()
        self.ghost, self.training = ghost, False
        self._replace(run)
        self.keeper.let_go(run, ghost, *self.away)

    def begin(self, target: int, then: Callable[[], None] | None = None) -> None:
        """What `race` does, now."""
        self._prepare(Race(target, then))
        self.training = True

    # On a worker -----------------------------------------------------------------------------------------------------

    def _prepare(self, race: Race) -> None:
        """Make a race what training is from now on, no further than the server lets runs go."""
        self.going = race if self.most_steps is None else replace(race, target=min(race.target, self.most_steps))

    def _is_called_away(self) -> bool:
        return self._closed or bool(self._commands)

    def _tell(self) -> None:
        self.version = next(self._versions)

    def _complain(self, error: Exception) -> None:
        self.problems = getattr(error, "problems", [])
        # A worker's error goes on with advice for who wrote `Trainer(...)`; on a page there is none.
        self.error = f"The run can't go on: {error.reason}. {AGAIN}" if isinstance(error, WorkerError) else in_words(error)
        self._tell()

    def _open(self, experiment, build: Callable, race: bool, keep: bool) -> None:
        if experiment is not self._opened:
            return  # another knob was turned meanwhile
        try:
            run, remark = build(experiment)
        finally:
            if experiment is self._opened:
                self.opening = False
        if not self._closed and experiment is self._opened:
            self._scribe.keep_last_words(self.run)
            if self.run is not None and (keep or self.run.step >= GHOST_STEPS or self.run.divergence is not None):
                self.ghost = self.run
                self.ghost.trainer.close()  # the buffers, not what was learned: it can go on, in a race or after Undo
            self._replace(run)
            if race and self.ghost is not None:
                self._prepare(Race(target(self.ghost.step, run.experiment.training.steps)))
            self.error = remark
        self.keeper.let_go(self.run, self.ghost, *self.away)

    def _rebuild(self, experiment, build: Callable) -> None:
        if experiment is not self._opened:
            return  # a knob was turned meanwhile
        try:
            run, ghost = build(self.run), None if self.ghost is None else build(self.ghost)
        finally:
            if experiment is self._opened:
                self.opening = False
        if self._closed or experiment is not self._opened:
            return
        kept, training, going = self.keeper.name(self.run), self.training, self.going
        self.put(run, ghost)
        self.training, self.going = training, going
        if kept:
            self.error = f"“{kept}” is kept as it was. What follows goes on beside it: save it under a name of its own."

    def _work_aside(self, seconds: float) -> bool:
        """Do some of what is done out of sight; return whether there is more."""
        work = self.work
        if work is None:
            return False
        try:
            if not work(seconds) and self.work is work:
                self.work = None
        except Exception as error:
            self.work = None
            self._complain(error)
        self._tell()
        return self.work is not None

    def _save(self, run, name: str, store: RunStore) -> None:
        try:
            if run is not None and not self._closed:
                self.keeper.keep(run, name, store)
        except RunError as error:
            self.save_error = str(error)
        finally:
            self.saving = False
        if run not in (self.run, self.ghost):  # another one has come meanwhile
            self.keeper.let_go(self.run, self.ghost, *self.away)

    def _swap(self) -> None:
        if self.ghost is None:
            return
        self._scribe.keep_last_words(self.run)
        run, self.ghost = self.ghost, self.run
        going = self.going
        self._replace(run)
        self.going = going

    def _replace(self, run) -> None:
        self.run, self.going = run, None
        self._scribe.forget()
        self.error, self.save_error, self.problems, self.broken = "", "", [], False
        if run.divergence is not None:
            self.training = False

    def _advance(self, **how) -> None:
        if self.going is not None and self.training:
            self._race(self.going, **how)
            return
        horizon = self.run.experiment.training.steps
        before = self.run.step
        if before < horizon and "seconds" in how:
            how["until"] = horizon
        if self.most_steps is not None:
            how["until"] = min(how.get("until", self.most_steps), self.most_steps)
        self.run.advance(**how)
        at_its_end = before < horizon <= self.run.step or self.run.step == how.get("until")
        if self.run.divergence is not None or at_its_end:
            self.training = False
        self._tell()

    def _race(self, race: Race, **how) -> None:
        runs = [run for run in (self.run, self.ghost) if run is not None]
        mine = turn([run.step for run in runs], race.target, [run.divergence is not None for run in runs])
        if mine is not None:
            runner, last = runs[mine.runner], race.target - 1
            if runner.step == last:
                runner.advance(steps=1, look=True)  # so that both were looked into where they are compared in the end
            else:
                runner.advance(until=min(mine.until, last), **how)
            if mine.runner == 1 and self.ghost.step % RACE_WRITES == 0:
                self._scribe.write_for(self.ghost)
            self._tell()
            return
        self.going, self.training = None, False
        if self.ghost is not None:
            self._scribe.write_for(self.ghost)
            self.ghost.trainer.close()
        self._tell()
        if race.then is not None:
            self.do(race.then)
