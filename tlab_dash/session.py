"""One tab: the settings its knobs show, the run they belong to, the run before it, and what is looked at.

The session lives with the page; the run lives on the fleet. Knobs and buttons call the session, the session asks its
seat, and `poll` (five times a second) brings home what the seat has published. So no click waits for a model.
"""

from __future__ import annotations

import weakref

import param

from tlab_core.experiment import Experiment, default_experiment
from tlab_core.knobs import KnobError
from tlab_core.run import LiveRun
from tlab_core.runs import RunStore
from tlab_core.settings import Problem
from tlab_dash.fleet import Fleet, shared_fleet
from tlab_dash.seat import Request, Seat
from tlab_dash.selection import Selection

# Training settings that act from the next step on. Every other knob needs a new run.
LIVE_KNOBS = frozenset(
    f"training.{knob}"
    for knob in (
        "learning_rate", "weight_decay", "grad_clip", "beta1", "beta2", "dropout", "label_smoothing", "z_loss",
        "gradient_accumulation_steps",
    )
)
SLOW = 5  # steps a second
# Filled in from the corpus when a run is built, so not what anyone turned.
DECIDED_BY_CORPUS = frozenset({"architecture.vocab_size", "prompt"})
STATES = ["ready", "training", "paused", "stopped"]


class Session(param.Parameterized):
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
    prompt = param.String(default="", doc="The text that the model writes on from; empty is the run's own.")
    prompt_message = param.String(default="", doc="Why the prompt that was typed last is not used.")
    temperature = param.Number(default=0.8, bounds=(0, 2), doc="How adventurous the writing is.")

    def __init__(self, experiment: Experiment | None = None, *, fleet: Fleet | None = None, open_run=LiveRun):
        experiment = experiment or default_experiment()
        super().__init__(draft=experiment, experiment=experiment, selection=Selection())
        self._seat = Seat(fleet or shared_fleet(), open_run)
        self._seen = 0
        self._dice = 0
        self._told = ""
        # A page that vanishes without a word (a notebook cell run again) must not train on for ever.
        weakref.finalize(self, self._seat.close)
        self._write()
        self._seat.open(experiment)

    # Driving the run -------------------------------------------------------------------------------------------------

    def train(self) -> None:
        """Train until paused, the end of the schedule, or a number that is not finite."""
        self.trouble = ""
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
        self.trouble = ""
        if self.state in ("ready", "paused"):
            self._seat.step()

    def reset(self) -> None:
        """Start afresh from step 0 with the same settings; the run so far becomes the ghost if it is worth it."""
        self._seat.pause()
        self._open(self.experiment.replace())

    def undo(self) -> None:
        """Swap the run and its ghost."""
        if self.ghost is not None:
            self._seat.swap()

    def extend(self, steps: int) -> None:
        """Move the end of the schedule to `steps` and train on."""
        self._adjust({"training.steps": steps})
        self.train()

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
        others in LIVE_KNOBS act on the run at once; every other knob starts a new one, training if this one was.
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
        self.problems = draft.problems()
        if self.problems:
            return
        turned = differences(self.experiment, draft)
        if not turned:
            return
        if turned.keys() <= LIVE_KNOBS and self.run is not None and self.state != "stopped":
            self._adjust({knob: after for knob, (_, after) in turned.items()})
        else:
            self._open(draft)

    def fix(self, problem: Problem) -> None:
        """Apply the fix that `problem` proposes."""
        self.change(problem.fix)

    def _adjust(self, knobs: dict) -> None:
        self.experiment = self.draft = with_knobs(self.experiment, knobs)
        self.trouble = ""
        self._seat.adjust({knob.removeprefix("training."): after for knob, after in knobs.items()})

    def _open(self, experiment: Experiment) -> None:
        self._set(experiment)
        self._seat.open(experiment)

    def _set(self, experiment: Experiment) -> None:
        self.draft = self.experiment = experiment
        self.problems, self.trouble = [], ""

    # Keeping -------------------------------------------------------------------------------------------------------------

    def save(self, name: str, store: RunStore) -> None:
        """Keep the run in a folder from now on, while it trains too; `kept` tells how it went."""
        if self.run is not None:
            self._seat.save(name, store)

    def start(self, experiment: Experiment) -> None:
        """Begin a run of other settings altogether, such as those of a saved run."""
        self._open(experiment.replace())

    def resume(self, store: RunStore, name: str) -> None:
        """Train a run out of a folder on from where it was saved. Raises RunError when it can't be read."""
        experiment = store.open(name).experiment
        self._set(experiment)
        self._seat.resume(store, name, experiment)

    @property
    def kept(self) -> dict:
        """Return the name the run is kept under (empty: it isn't), at which step it was saved, whether it is being saved
        now, and what went wrong."""
        keeper = self._seat.keeper
        return {
            "name": keeper.name(self.run), "step": keeper.step(self.run), "busy": self._seat.saving,
            "problem": self._seat.save_error or keeper.problem(self.run),
        }

    # Writing ---------------------------------------------------------------------------------------------------------

    def write(self, *, prompt: str | None = None, temperature: float | None = None, again: bool = False) -> None:
        """Write at once with another prompt, another temperature or, `again`, other dice."""
        if temperature is not None:
            self.temperature = temperature
        if prompt is not None:
            self.prompt_message = self._objection(prompt)
            if not self.prompt_message:
                self.prompt = prompt
        self._dice += again
        self._write()

    def _write(self) -> None:
        self._seat.write(Request(self.prompt, self.temperature, self._dice))

    def _objection(self, prompt: str) -> str:
        if not prompt:
            return "Type at least one character to write on from."
        unknown = self.run.tokenizer.unknown(prompt) if self.run is not None else []
        if unknown:
            named = ", ".join(f"“{character}”" for character in unknown[:5])
            return f"{named} never occurs in {self.experiment.corpus}, so the model can't read it."
        return ""

    @property
    def text(self):
        """Return the newest `Text`, or None."""
        return self._seat.text

    # The fleet's news ------------------------------------------------------------------------------------------------

    def poll(self) -> bool:
        """Bring home what the fleet has done; return whether anything is new."""
        seat = self._seat
        version = seat.version
        if version == self._seen:
            return False
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
                self.prompt = ""
        another = run is not self.run
        self.param.update(run=run, ghost=seat.ghost, message="" if seat.problems else seat.error)
        if another:
            self.selection.step = None  # the step that was looked back at belonged to the run before
        self._note_state()
        return True

    def _note_state(self) -> None:
        seat, run = self._seat, self._seat.run
        if seat.broken or (run is not None and run.divergence is not None):
            self.state = "stopped"
        elif seat.training:
            self.state = "training"
        else:
            self.state = "ready" if run is None or run.step == 0 else "paused"

    def close(self) -> None:
        """Free the runs."""
        self._seat.close()
        self.param.update(run=None, ghost=None)


# Knobs by their full name --------------------------------------------------------------------------------------------


def locate(experiment: Experiment, knob: str) -> str:
    """Return the full name of a knob: "architecture.num_layers" for "num_layers". A seed is the architecture's.

    Raises KeyError for a knob that no part has.
    """
    if "." in knob or knob in experiment.knobs():
        return knob
    for part in ("architecture", "training"):
        if knob in getattr(experiment, part).knobs():
            return f"{part}.{knob}"
    raise KeyError(f"no part of an experiment has a knob {knob!r}")


def knob_value(experiment: Experiment, knob: str):
    """Return the value of a knob given by its full name."""
    for name in knob.split("."):
        experiment = getattr(experiment, name)
    return experiment


def with_knobs(experiment: Experiment, knobs: dict) -> Experiment:
    """Return a copy of `experiment` with knobs, given by full name, set otherwise. Raises KnobError for a bad value."""
    values = experiment.to_dict()
    for knob, value in knobs.items():
        *part, name = knob.split(".")
        (values[part[0]] if part else values)[name] = value
    return type(experiment).from_dict(values)


def differences(before: Experiment, after: Experiment) -> dict:
    """Return {full name: (value before, value after)} of the knobs that differ, without what the corpus decides."""
    found = {}
    for name in before.knobs():
        if hasattr(getattr(before, name), "knobs"):
            mine, other = getattr(before, name), getattr(after, name)
            pairs = {f"{name}.{knob}": (getattr(mine, knob), getattr(other, knob)) for knob in mine.knobs()}
        else:
            pairs = {name: (getattr(before, name), getattr(after, name))}
        found |= {knob: pair for knob, pair in pairs.items() if pair[0] != pair[1]}
    return {knob: pair for knob, pair in found.items() if knob not in DECIDED_BY_CORPUS}
