"""When a seat's runs write, how, and which of their texts are kept to look back at."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from tlab_core.generation import Choice, check_sampling
from tlab_core.run import Sample

LENGTH = 120  # characters of a text, and of what is kept of a longer one
WRITING_SHARE = 0.01  # of the time, at most, while training alone,
SHARED_WRITING_SHARE = 0.05  # of what a run gets beside others: in a class, texts would come by the minute
LONG_WRITING_SHARE = 0.08  # and for a longer text, as the page that asks for one draws no plots beside it
LONGEST_PAUSE = 5.0  # seconds; on a slow machine a text that stands still would look like one that has been learned
RACE_WRITES = 50  # steps between two texts of either run in a race, so that there are texts of equal steps
KEPT_STEPS = (0, 100)  # the first texts from these steps on are kept as the run's samples,
KEPT_APART, KEPT_GROWTH = 5, 1.1  # and then one each so many steps, and each so many times as many, to look back at


@dataclass(frozen=True)
class Request:
    """How a text is to be written: the dice are `seed`, and only a new model or a new request changes the text.

    An empty prompt, or one with characters that the run's corpus does not have, takes the prompt of the run. Raises
    GenerationError for a temperature, top_k, top_p or seed that nothing can be drawn with.
    """

    prompt: str = ""
    temperature: float = 0.8
    seed: int = 0
    length: int = LENGTH
    top_k: int | None = None
    top_p: float | None = None

    def __post_init__(self):
        check_sampling(self.temperature, self.top_k, self.top_p, self.seed)


@dataclass(frozen=True)
class Text:
    """What a model wrote at one step; `text` goes on after `prompt`. Not `done` while it is still writing.

    `choices` has what the model thought of each character of `text`.
    """

    step: int
    prompt: str
    text: str
    done: bool
    choices: tuple[Choice[str], ...] = ()


class Scribe:
    """Lets the run on show write whenever its model or the request is new, for a small share of the time, or every few
    seconds where that is more often.

    tell()         is called when there is more to read
    called_away()  says, after each character, whether something else goes first; the text is then begun anew later
    """

    def __init__(self, tell: Callable[[], None], called_away: Callable[[], bool]):
        self._tell, self._called_away = tell, called_away
        self._written = None  # (run, step, request) of the newest text
        self._next_text = 0.0
        self.request = Request()
        self.text: Text | None = None

    def forget(self) -> None:
        """Drop the text: another run is on show, or none."""
        self.text = self._written = None
        self._next_text = 0.0

    def keep_up(self, run, training: bool, racing: bool = False, runs: int = 1) -> None:
        """Write when the model or the request is new: at once when asked or standing still, else now and then.

        racing: at every 50th step instead of now and then, as its ghost does
        runs: how many have something to do; the share is of the time that this one gets
        """
        request = self.request
        wanted = (run, run.step, request)
        if self._written == wanted or run.divergence is not None:
            return
        asked = self._written is None or self._written[2] != request
        due = racing and run.step % RACE_WRITES == 0
        asked = asked or due or _is_missing(run, run.step)
        if training and not asked and (racing or time.monotonic() < self._next_text):
            return
        began = time.monotonic()
        prompt, text, choices = request.prompt, "", ()
        if not prompt or run.tokenizer.unknown(prompt):
            prompt = run.experiment.prompt
        for choice in run.write_choices(prompt, request.length, request.temperature, request.seed, request.top_k,
                                        request.top_p):
            text, choices = text + choice.token, (*choices, choice)
            self.text = Text(run.step, prompt, text, done=False, choices=choices)
            self._tell()
            if self._called_away():
                return
        self.text = Text(run.step, prompt, text, done=True, choices=choices)
        self._written = wanted
        share = SHARED_WRITING_SHARE if runs > 1 else WRITING_SHARE
        if request.length > LENGTH:
            share = LONG_WRITING_SHARE
        pause = min((time.monotonic() - began) * (runs / share - 1), LONGEST_PAUSE * runs)
        self._next_text = time.monotonic() + pause
        if due or _is_worth_keeping(run, run.step):
            _keep(run, self.text)
        self._tell()

    def keep_last_words(self, run) -> None:
        """Keep what the run wrote last among its samples, for when it is a ghost."""
        if run is not None and self.text is not None and self.text.done:
            _keep(run, self.text)

    def write_for(self, ghost) -> None:
        """Let a ghost, which has trained on, write a text beside that of the run."""
        if ghost.divergence is not None or (ghost.samples and ghost.samples[-1].step == ghost.step):
            return
        prompt, request = ghost.experiment.prompt, self.request
        text = "".join(choice.token for choice in ghost.write_choices(
            prompt, LENGTH, request.temperature, request.seed, request.top_k, request.top_p))
        ghost.samples = [*ghost.samples, Sample(ghost.step, prompt, text)]


def _keep(run, text: Text) -> None:
    # In place of one at the same step: a folder that holds so many samples already must not miss the next.
    kept = run.samples[:-1] if run.samples and run.samples[-1].step == text.step else run.samples
    run.samples = [*kept, Sample(text.step, text.prompt, text.text[:LENGTH])]


def _is_missing(run, step: int) -> bool:
    """Return whether the first text from one of KEPT_STEPS on is still to be kept."""
    last = run.samples[-1].step if run.samples else -1
    return any(last < wanted <= step for wanted in KEPT_STEPS)


def _is_worth_keeping(run, step: int) -> bool:
    """Return whether a text at this step is far enough from the last one kept; so a long run keeps a hundred or so."""
    last = run.samples[-1].step if run.samples else 0
    return _is_missing(run, step) or step >= max(last + KEPT_APART, last * KEPT_GROWTH)
