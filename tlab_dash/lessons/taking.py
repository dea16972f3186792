"""One lesson being taken in one tab: which step it is at, its runs, and what was measured of them.

The page's thread calls what turns a leaf or starts something; all that touches a run happens on a worker, in commands to
the seat. What a worker finds out is published in attributes, each replaced in one assignment, for the page to read.
"""

from __future__ import annotations

from collections.abc import Callable

from tlab_core.blame import in_words
from tlab_core.lessons import SEEDS, Lesson, Verdict
from tlab_dash.lessons import out_of_sight
from tlab_dash.seat import Seat

STEPS = {
    "look": "Look",
    "predict": "Predict",
    "fresh": "Before training",
    "race": "Race",
    "reveal": "Reveal",
    "repair": "Repair it",
    "check": "Check",
    "keep": "Take away",
}
BEFORE_NUMBERS = ("look", "predict", "fresh", "race")  # the steps that can be gone to before the runs were measured
MENDED = "mended"  # the key of the run that the repair makes


class Taking:
    """A lesson from the first look to what to keep; the seat's runs make room for its own until `leave`.

    step      the key in STEPS of the leaf that is open
    answer    the key of the guess, None before there is one
    skipped   whether it was said aloud that there will be no guess
    doing     "opening", "ready" (to run), "racing", "others" (those that don't race), "reading" (its numbers) or "done"
    runs      the lesson's runs of the first seed by key, as far as they are built; MENDED is the repaired one
    measured  its numbers, by name, of each of SEEDS that was run, in their order
    verdict   what these say together; None before there are any
    repairing, checking  whether the repaired run, or further seeds, are being trained
    behind    (seed, key, step) of what trains out of sight; None when nothing does
    mended    whether the repaired run has been trained, so that its numbers give nothing away
    examples  what the runs write, by a few words on how, where the lesson has that
    trouble   what went wrong, for the user to read
    refused   why this server has no room for the lesson, which then is not begun; empty where it has
    """

    def __init__(self, lesson: Lesson, seat: Seat, refused: str = ""):
        self.lesson = lesson
        self._seat = seat
        self._home = (None, None)  # what was on show before, and comes back
        self._left = False
        self.step = "look"
        self.answer: str | None = None
        self.skipped = False
        self.turned_up = False  # whether the repair's knob was turned
        self.doing = "opening"
        self.runs: dict = {}
        self.measured: tuple[dict[str, float], ...] = ()
        self.verdict: Verdict | None = None
        self.repairing = self.checking = False
        self.behind: tuple[int, str, int] | None = None
        self.mended = False
        self.examples: dict[str, str] = {}
        self.trouble = self.refused = refused
        if not refused:
            self._do(self._open)

    # Called by the page ----------------------------------------------------------------------------------------------

    @property
    def racers(self) -> tuple[str, ...]:
        """Return the keys of the runs that race; one alone where the lesson has no other."""
        return tuple(self.lesson.runs)[:2]

    @property
    def steps(self) -> list[str]:
        """Return the steps of this lesson, in their order."""
        return [step for step in STEPS if step != "repair" or self.lesson.repair is not None]

    @property
    def guessed(self) -> bool:
        """Return whether the question is settled: by a guess, or by saying that there will be none."""
        return self.answer is not None or self.skipped

    def may(self, step: str) -> bool:
        """Return whether a step can be gone to: what shows numbers can't before there are any, nor before a guess."""
        if self.refused:
            return step == "look"
        if step == "fresh" and not self.guessed:
            return False
        if step == "race" and self.is_before_race:
            return False  # it is come to by running it
        return step in self.steps and (step in BEFORE_NUMBERS or self.doing == "done")

    @property
    def is_before_race(self) -> bool:
        """Return whether none of its runs has begun to race."""
        return self.doing in ("opening", "ready")

    def go(self, step: str) -> None:
        """Turn to a step, if that is possible now."""
        if self.may(step):
            self.step = step

    def predict(self, answer: str) -> None:
        """Guess; a guess can be changed until the runs have begun."""
        if answer in self.lesson.prediction.options and self.is_before_race:
            self.answer, self.skipped = answer, False

    def skip(self) -> None:
        """Go on without a guess."""
        if self.answer is None and self.is_before_race:
            self.skipped = True
            self.go("fresh")

    def run(self) -> None:
        """Let the runs race, and then read their numbers. It needs a guess or its refusal, and is done once."""
        if not self.guessed or self.doing != "ready":
            return
        self.doing, self.step, self.trouble = "racing", "race", ""
        self._do(self._go_on)

    def takes_train(self) -> bool:
        """Return whether a press of Train was the lesson's: before the runs begin it runs them, if there is a guess."""
        if self.refused:
            return False
        if self.is_before_race:
            self.step = self.step if self.guessed else "predict"
            self.run()
            return True
        return self.doing == "reading" or self.behind is not None

    def show(self, key: str) -> None:
        """Put one of the runs that were measured on the bench; what was there before becomes its ghost."""
        if self.doing == "done" and key in self.open_to_all and not (self.repairing or self.checking):
            self._do(lambda: self._show(key))

    def back_on_stage(self) -> None:
        """Bring the lesson's runs back to the bench after others were put there, and go on where it was."""
        if self.doing in ("racing", "others"):
            self._do(self._go_on)
        else:
            self.repairing = False
            self._do(lambda: self._seat.put(*self._pair()))

    def turn_up(self, up: bool) -> None:
        """Turn the repair's knob."""
        if not self.repairing:
            self.turned_up = bool(up)

    def repair(self) -> None:
        """Race the repaired run against the one that it repairs."""
        if self.doing == "done" and self.lesson.repair is not None and self.turned_up and not self.repairing:
            self.repairing, self.trouble = True, ""
            self._do(self._repair)

    def check(self) -> None:
        """Run the further seeds, out of sight, one after the other."""
        if self.doing == "done" and not self.checking and len(self.measured) < len(SEEDS):
            self.checking, self.trouble = True, ""
            self._aside(self._check())

    def stop_check(self) -> None:
        """Stop; seeds that are measured stay so, and a check goes on with the next one."""
        if self.checking:
            self._do(self._stop_check)

    def leave(self) -> None:
        """End the lesson: the runs that were there before it come back as they were."""
        self._seat.pause()
        self._seat.do(self._leave)

    def is_on_stage(self, run) -> bool:
        """Return whether a run is one of this lesson's."""
        return run is None or self.key_of(run) is not None

    def key_of(self, run) -> str | None:
        """Return the key of one of the lesson's runs; None for any other."""
        return next((key for key, mine in self.runs.items() if mine is run), None)

    def label_of(self, key: str) -> str:
        """Return what people call a run."""
        return self.lesson.runs[self.lesson.repair.by if key == MENDED else key].label

    @property
    def open_to_all(self) -> tuple[str, ...]:
        """Return the keys of the lesson's runs but for those that would give away a repair that is still to be made."""
        return tuple(key for key in self.lesson.runs if self.mended or key in self.racers or not self._gives_away(key))

    @property
    def numbers(self) -> dict:
        """Return the lesson's numbers by name, but for those that would give away a repair that is still to be made."""
        repair = self.lesson.repair
        hidden = repair.hides if repair is not None and not self.mended else ()
        return {name: number for name, number in self.lesson.numbers.items() if name not in hidden}

    # On a worker -----------------------------------------------------------------------------------------------------

    def _do(self, command) -> None:
        """Carry out a command on a worker, unless the lesson was left; what goes wrong is the lesson's to tell."""

        def carry_out() -> None:
            if not self._left:
                try:
                    command()
                except Exception as error:
                    self._fail(error)

        self._seat.do(carry_out)

    def _aside(self, work: out_of_sight.Work) -> None:
        go_on = out_of_sight.step_by_step(work)

        def do_some(seconds: float) -> bool:
            try:
                return go_on(seconds)
            except Exception as error:
                self._fail(error)
                return False

        self._do(lambda: setattr(self._seat, "work", do_some))

    def _fail(self, error: Exception) -> None:
        self.trouble = in_words(error)
        self.repairing = self.checking = False
        self.behind = None
        if self.doing != "done":
            self.doing = "ready" if self._are_built(self.racers) else "opening"

    def _open(self) -> None:
        seat = self._seat
        self._home = seat.run, seat.ghost
        seat.away = tuple(run for run in self._home if run is not None)
        for key in self.racers:
            self._build(key)
        seat.put(*self._pair())
        self.doing = "ready"

    def _leave(self) -> None:
        self._left = True
        seat = self._seat
        seat.work, seat.away = None, ()
        if self._home[0] is not None:
            seat.put(*self._home)
        self.runs, self._home = {}, (None, None)

    def _build(self, key: str) -> None:
        experiment = self.lesson.experiment(self.lesson.repair.by if key == MENDED else key, SEEDS[0])
        self.runs = {**self.runs, key: self._seat.build(experiment)}

    def _pair(self) -> tuple:
        first, *second = (self.runs[key] for key in self.racers)
        return first, second[0] if second else None

    def _are_built(self, keys) -> bool:
        return all(key in self.runs for key in keys)

    def _missing(self, keys) -> list[str]:
        """Return which runs have yet to come to the end; those that were trained past it are made anew."""
        past = [key for key in keys if key in self.runs and self.runs[key].step > self.lesson.steps]
        self.runs = {key: run for key, run in self.runs.items() if key not in past}
        return [key for key in keys if key not in self.runs
                or (self.runs[key].step < self.lesson.steps and self.runs[key].divergence is None)]

    def _go_on(self) -> None:
        """Train what is missing: first the race, then the others one by one, on the bench unless they tell too much."""
        seat, lesson = self._seat, self.lesson
        if missing := self._missing(self.racers):
            self.doing = "racing"
            for key in missing:
                if key not in self.runs:
                    self._build(key)
            self._race(*self._pair())
            return
        others = [key for key in lesson.runs if key not in self.racers]
        shown = [key for key in others if not self._gives_away(key)]
        if missing := self._missing(shown):
            self.doing, key = "others", missing[0]
            if key not in self.runs:
                self._build(key)
            before = [other for other in lesson.runs if other in self.runs and other != key]
            self._race(self.runs[key], self.runs[before[-1]])
            return
        if missing := self._missing(others):
            self.doing = "others"
            self._note(SEEDS[0], missing[0], 0)
            self._aside(self._train_hidden(missing, then=self._go_on))
            return
        self.doing = "reading"
        seat.do(lambda: None)  # lets the page say so
        self._do(self._read)

    def _race(self, run, ghost) -> None:
        self._seat.put(run, ghost)
        self._seat.begin(self.lesson.steps, then=lambda: self._do(self._arrived))

    def _arrived(self) -> None:
        if self.repairing:
            self._read_repair()
        else:
            self._go_on()

    def _gives_away(self, key: str) -> bool:
        """Return whether a run has the repair's setting, which is to be found later: so it trains out of sight."""
        if self.lesson.repair is None:
            return False
        knob, value = self.lesson.mending
        return self.lesson.runs[key].knobs.get(knob) == value

    def _note(self, seed: int, key: str, step: int) -> None:
        self.behind = (seed, key, step)

    def _train_hidden(self, keys: list[str], then: Callable[[], None]) -> out_of_sight.Work:
        runs: dict = {}
        yield from out_of_sight.train(self.lesson, SEEDS[0], keys, self._seat.build, runs, self._note)
        self.behind, self.runs = None, {**self.runs, **runs}
        self._do(then)

    def _read(self) -> None:
        runs = {key: self.runs[key] for key in self.lesson.runs}
        self._judge((self.lesson.measure(runs),))
        self.examples = self.lesson.examples(runs) if self.lesson.examples is not None else {}
        for run in runs.values():
            run.trainer.close()
        self._seat.put(*self._pair())
        self.doing = "done"
        if self.step == "race":
            self.step = "reveal"

    def _judge(self, measured: tuple[dict[str, float], ...]) -> None:
        self.verdict, self.measured = self.lesson.verdict(measured), measured

    def _show(self, key: str) -> None:
        if self._seat.run is not self.runs[key]:
            before = self._seat.run if self.key_of(self._seat.run) is not None else self._pair()[0]
            self._seat.put(self.runs[key], before)

    def _repair(self) -> None:
        repair = self.lesson.repair
        if missing := self._missing([key for key in self.lesson.runs if key not in (repair.run, repair.by)]):
            self._aside(self._train_hidden(missing, then=self._repair))  # someone has trained on what was measured
            return
        for key in self._missing((repair.run, MENDED)):
            if key not in self.runs:
                self._build(key)
        self._race(self.runs[MENDED], self.runs[repair.run])

    def _read_repair(self) -> None:
        mended = self.runs[MENDED]
        runs = {key: mended if key == self.lesson.repair.by else self.runs[key] for key in self.lesson.runs}
        self._judge((self.lesson.measure(runs), *self.measured[1:]))
        mended.trainer.close()
        self.runs, self.mended, self.repairing = runs, True, False

    def _check(self) -> out_of_sight.Work:
        for seed in SEEDS[len(self.measured):]:
            runs: dict = {}
            yield from out_of_sight.train(self.lesson, seed, self.lesson.runs, self._seat.build, runs, self._note)
            self._judge((*self.measured, self.lesson.measure(runs)))
        self.checking, self.behind = False, None

    def _stop_check(self) -> None:
        self._seat.work = None
        self.checking, self.behind = False, None
