"""One tab: the settings its knobs show, the run they belong to, the run before it, and what is looked at.

The session lives with the page; the run lives on the fleet. Knobs and buttons call the session, the session asks its
seat, and `poll` (five times a second) brings home what the seat has published. So no click waits for a model.
"""

from __future__ import annotations

import weakref
from dataclasses import replace

import param

from tlab_core.experiment import Experiment, default_experiment
from tlab_core.knobs import KnobError
from tlab_core.lessons import LESSONS, SEEDS, Lesson
from tlab_core.limits import Limits
from tlab_core.run import LiveRun
from tlab_core.runs import with_probe
from tlab_core.settings import Problem
from tlab_dash.fleet import Fleet, shared_fleet
from tlab_dash.idle import Idle
from tlab_dash.knob_names import differences, locate, with_knobs
from tlab_dash.lessons import Taking
from tlab_dash.limits import server_limits, within
from tlab_dash.race import Race
from tlab_dash.scribe import Request
from tlab_dash.seat import Seat
from tlab_dash.seed_trial import SeedTrial
from tlab_dash.selection import Selection
from tlab_dash.session_keeping import KeepingRuns
from tlab_dash.session_writing import WritingTexts

# Training settings that act from the next step on. Every other knob needs a new run.
LIVE_KNOBS = frozenset(
    f"training.{knob}"
    for knob in (
        "learning_rate", "weight_decay", "grad_clip", "beta1", "beta2", "dropout", "label_smoothing", "z_loss",
        "gradient_accumulation_steps",
    )
)
SLOW = 5  # steps a second
FURTHER = 300  # steps that a race goes on for when it is over and both are continued
TOO_HIGH = 30  # times the learning rate, to see a run break
STATES = ["ready", "training", "paused", "stopped"]


class Session(KeepingRuns, WritingTexts, param.Parameterized):
    """The state of one tab. Change it from the page's thread only."""

    draft = param.Parameter(doc="The settings as the knobs show them; they may not go together.")
    experiment = param.Parameter(doc="The settings of the run.")
    run = param.Parameter(doc="The run, None until the first one is built.")
    ghost = param.Parameter(doc="The run before, to compare with; or None.")
    selection = param.ClassSelector(class_=Selection, doc="What is looked at.")
    state = param.Selector(default="ready", objects=STATES, doc="What the run is doing.")
    problems = param.List(default=[], item_type=Problem, doc="What does not go together in the draft.")
    message = param.String(default="", doc="What went wrong with the last command, for the user to read.")
    trouble = param.String(default="", doc="What was wrong with the page's address, until something is pressed.")
    request = param.ClassSelector(default=Request(), class_=Request, doc="How the text is to be written.")
    lesson = param.ClassSelector(class_=Taking, doc="The lesson that is being taken, or None.")
    prompt_message = param.String(default="", doc="Why the prompt that was typed last is not used.")

    def __init__(self, experiment: Experiment | None = None, *, fleet: Fleet | None = None, open_run=LiveRun,
                 limits: Limits | None = None):
        limits = limits or server_limits()
        experiment = experiment or limits.opening(default_experiment())
        super().__init__(draft=experiment, experiment=experiment, selection=Selection())
        self.limits = limits
        self.idle = Idle(self.limits.idle_minutes)
        self.rested = False  # whether the run was paused because nobody was there
        self.single_step: int | None = None  # the step that "Step" was pressed for last
        self.trial: SeedTrial | None = None  # further seeds of run and ghost
        self._seat = Seat(fleet or shared_fleet(), within(self.limits, open_run), most_steps=self.limits.steps)
        self._seen, self._queued = 0, (0, 0)
        self._told = ""
        # A page that vanishes without a word (a notebook cell run again) must not train on for ever.
        self._let_go = weakref.finalize(self, self._seat.close)
        self._seat.open(experiment)

    # Driving the run -------------------------------------------------------------------------------------------------

    def train(self) -> None:
        """Train until paused, the end of the schedule, or a number that is not finite."""
        self.trouble, self.rested = "", False
        if self.lesson is not None and self.lesson.takes_train():
            return
        if self.state != "stopped":
            self._seat.train()
            self._note_state()

    def pause(self) -> None:
        """Stop training after the step that is being made."""
        self._seat.pause()
        self._note_state()

    def toggle(self) -> None:
        """Train if paused, pause if training."""
        if self.state == "training":
            self.pause()
        else:
            self.train()

    def step_once(self) -> None:
        """Make exactly one step; nothing while training."""
        self.trouble, self.rested = "", False
        if self.state in ("ready", "paused"):
            self.single_step = self.run.step + 1 if self.run is not None else None
            self._seat.step()

    def reset(self) -> None:
        """Start afresh from step 0 with the same settings; the run so far becomes the ghost if it is worth it."""
        self._seat.pause()
        self._open(self.experiment.replace())

    def undo(self) -> None:
        """Take back the turned knobs that wait until they go together; where none do, swap the run and its ghost."""
        if self.problems:
            self.draft, self.problems = self.experiment, []
        elif self.ghost is not None:
            self._seat.swap()

    def extend(self, steps: int) -> None:
        """Move the end of the schedule to `steps` and train on."""
        if not self._is_beyond(with_knobs(self.experiment, {"training.steps": steps})):
            self._adjust({"training.steps": steps})
            self.train()

    def rerun(self) -> None:
        """Start afresh with the settings as they are now, in a race with the run so far if that is worth it."""
        self._open(self.experiment.replace(), race=True)

    def break_it(self) -> None:
        """Start afresh with a far too high learning rate, in a race with the run so far, and train."""
        rate = TOO_HIGH * self.experiment.training.learning_rate
        self._open(with_knobs(self.experiment, {"training.learning_rate": rate}), race=True, keep=True)
        self._seat.do(self._seat.train)

    def continue_both(self) -> None:
        """Race on: run and ghost train until both are 300 steps past where the run is."""
        self.trouble, self.rested = "", False
        if self.run is not None and self.ghost is not None:
            self._seat.race(self.run.step + FURTHER)

    @property
    def race(self) -> Race | None:
        """Return the race that run and ghost are in, if they are in one; while paused it waits."""
        return self._seat.going

    def touch(self) -> None:
        """Note that somebody is there: a page that nobody does anything on for long enough is put to rest."""
        self.idle.touch()

    @property
    def queue(self) -> tuple[int, int]:
        """Return how many runs of the server go before this one's next turn, and how many there are, it among them."""
        return self._seat.queue

    @property
    def building(self) -> bool:
        """Return whether a new run is being built, which takes seconds for a large model."""
        return self._seat.opening

    @property
    def pace(self) -> str:
        """Return "full", or "slow" for 5 steps a second."""
        return "full" if self._seat.pace is None else "slow"

    @pace.setter
    def pace(self, pace: str) -> None:
        self._seat.pace = {"full": None, "slow": SLOW}[pace]
        self._seat.do(lambda: None)

    # Knobs -----------------------------------------------------------------------------------------------------------

    def change(self, knobs: dict | None = None, **named) -> None:
        """Turn knobs, given as `num_layers=6` or, where a name is in two parts, as `{"training.seed": 1}`.

        What does not go together leaves the run as it is and ends up in `problems`. Learning rate, weight decay and the
        others in LIVE_KNOBS act on the run at once; every other knob starts a new one, training if this one was, in a race
        with the ghost.
        """
        knobs = {locate(self.draft, name): value for name, value in {**(knobs or {}), **named}.items()}
        if "corpus" in knobs:
            knobs.setdefault("prompt", "")  # the one that suits the new corpus
        try:
            draft = with_knobs(self.draft, knobs)
        except KnobError as error:
            knob, value = next(iter(knobs.items()))
            self.problems = [Problem(knob, value, str(error))]
            return
        self.draft = draft
        self.problems = draft.problems() or self.limits.problems(draft, next(iter(knobs), None))
        if self.problems:
            return
        turned = differences(self.experiment, draft)
        if not turned:
            return
        if turned.keys() <= LIVE_KNOBS and self.run is not None and self.state != "stopped":
            self._adjust({knob: after for knob, (_, after) in turned.items()})
        else:
            self._open(draft, race=True)

    def learn(self, **knobs) -> None:
        """Turn knobs, the text among them, and train: at once where none of them differs."""
        self.change(knobs)
        if not self.problems and (self.building or self.state != "stopped"):
            self._seat.do(self._seat.train)

    def fix(self, problem: Problem) -> None:
        """Apply the fix that `problem` proposes."""
        self.change(problem.fix)

    def look_into(self, probe_text: str) -> None:
        """Show the inside of run and ghost on another text, "" for the usual one; what they have learned stays.

        A run that has broken can't go on: another one begins in its place.
        """
        run, draft = self.run, with_knobs(self.draft, {"probe_text": probe_text})
        if run is None or self.building or self.problems or draft.problems() or run.divergence is not None:
            self.change(probe_text=probe_text)
            return

        def read(one):
            unreadable = one.divergence is not None or one.tokenizer.unknown(probe_text)
            return one if unreadable else with_probe(one, probe_text)

        self._set(draft)
        self._seat.rebuild(draft, read)

    def _adjust(self, knobs: dict) -> None:
        self.experiment = self.draft = with_knobs(self.experiment, knobs)
        self.trouble = ""
        self._seat.adjust({knob.removeprefix("training."): after for knob, after in knobs.items()})

    def _open(self, experiment: Experiment, **how) -> None:
        self._set(experiment)
        self._seat.open(experiment, **how)

    def _set(self, experiment: Experiment) -> None:
        self.draft = self.experiment = experiment
        self.problems, self.trouble, self.rested, self.single_step = [], "", False, None

    def _is_beyond(self, experiment: Experiment) -> bool:
        """Show how an experiment breaks the server's limits, if it does, and leave the run as it is."""
        if found := self.limits.problems(experiment):
            self.draft, self.problems = experiment, found
        return bool(found)

    # Seeds -----------------------------------------------------------------------------------------------------------

    def can_try_seeds(self) -> bool:
        """Return whether further seeds of run and ghost would tell something, and nothing else is in their way."""
        free = self.state == "paused" and self.lesson is None and self._seat.work is None
        return free and SeedTrial.step_for(self.run, self.ghost) is not None

    def try_seeds(self, names: tuple[str, str]) -> None:
        """Train two more seeds of the run's settings and of the ghost's, which `names` says, out of sight."""
        if self.can_try_seeds():
            self.trial = SeedTrial(self._seat, self.run, self.ghost, names)

    def stop_seeds(self) -> None:
        """End the trial of seeds, if there is one, and forget what it found."""
        if self.trial is not None:
            self.trial.stop()
            self.trial = None

    # Lessons -------------------------------------------------------------------------------------------------------------

    def take_lesson(self, name: str) -> None:
        """Begin a lesson; the runs on show make room for its own. Raises UnknownNameError for one that doesn't exist."""
        chosen = LESSONS.get(name)
        if self.lesson is None or self.lesson.lesson is not chosen:
            self.leave_lesson()
            self.stop_seeds()
            self.lesson = Taking(chosen, self._seat, self._refusal(chosen))

    def _refusal(self, lesson: Lesson) -> str:
        for key in lesson.runs:
            if found := self.limits.problems(lesson.experiment(key, SEEDS[0])):
                return f"This server has no room for this lesson: {found[0].allowed}."
        return ""

    def leave_lesson(self) -> None:
        """End the lesson, if one is on: the runs from before it come back, and the knobs with them."""
        if self.lesson is not None:
            self.lesson.leave()
            self.lesson = None

    # The fleet's news ------------------------------------------------------------------------------------------------

    def poll(self) -> bool:
        """Bring home what the fleet has done; return whether anything is new."""
        if self.closed:
            return False
        seat = self._seat
        if self.idle.falls_asleep():
            self.rested = self.state == "training"
            self.pause()
            seat.rest()
        version, before = seat.version, self._queued
        self._queued = seat.queue if seat.opening else (0, 0)
        if version == self._seen:
            return self._queued != before  # a new place in the queue, and nothing else: the seat may be between two runs
        self._seen = version
        run, failed = seat.run, seat.error and seat.error != self._told
        self._told = seat.error
        if failed and seat.problems:
            # Only with the corpus at hand did it turn out that the settings don't go together.
            self.problems = seat.problems
        if run is not None and not seat.opening and (run is not self.run or failed):
            # After Undo, or when a new run could not be built, the knobs go back to what the run is.
            self.experiment = run.experiment
            if not self.problems:
                self.draft = run.experiment
            if run.tokenizer.unknown(self.prompt):
                self.request = replace(self.request, prompt="")
        another = run is not self.run
        self.param.update(run=run, ghost=seat.ghost, message="" if seat.problems else seat.error)
        if another:
            # The step that was looked back at, and what the model could not read, belonged to the run before.
            self.selection.step, self.prompt_message = None, ""
        if self.trial is not None and not self.trial.is_of(run, seat.ghost):
            self.stop_seeds()
        self._note_state()
        return True

    def _note_state(self) -> None:
        seat, run = self._seat, self._seat.run
        if seat.broken or (run is not None and run.divergence is not None and seat.going is None):
            self.state = "stopped"
        elif seat.training:
            self.state = "training"
        else:
            self.state = "ready" if run is None or run.step == 0 else "paused"

    def take_over(self, other: Session) -> None:
        """Go on with what another session has: its runs, training or not, its knobs, and what is looked at.

        The other one, whose page nobody sees any more, is left closed; a lesson that was on there has ended. The next
        `poll` brings the runs.
        """
        with param.parameterized.discard_events(other):
            other.leave_lesson()
            other.stop_seeds()
            self._let_go()
            other._let_go.detach()
            self._seat = other._seat
            self._let_go = weakref.finalize(self, self._seat.close)
            self._seen, self.rested, self.single_step = 0, other.rested, None
            names = ("draft", "experiment", "problems", "request")
            self.param.update(trouble="", **{name: getattr(other, name) for name in names})
            self.selection.param.update(**{
                name: value for name, value in other.selection.param.values().items() if name != "name"})
            other.close()

    @property
    def closed(self) -> bool:
        """Whether its runs were let go of."""
        return not self._let_go.alive

    def close(self) -> None:
        """Free the runs."""
        self._let_go()
        self.param.update(run=None, ghost=None)
