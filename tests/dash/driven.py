"""A run without a model that obeys like a live one, for tests of what drives runs."""

import threading
import time
from types import SimpleNamespace

from tlab_core.divergence import Divergence
from tlab_core.generation import Choice
from tlab_core.run import Mark
from tlab_core.tokenizers import CharacterTokenizer


class DrivenRun:
    """Counts steps. `breaks_at` diverges at that step, `raises_at` raises there; `pause` is the time a step takes.

    It writes its temperature, or what `written` says.
    """

    breaks_at = None
    raises_at = None
    pause = 0.0005
    writing_pause = 0.0
    written = ""

    def __init__(self, experiment):
        self.experiment = experiment
        self.built_on = threading.current_thread().name
        self.tokenizer = CharacterTokenizer.from_text("One day nothing happened.")
        self.samples = []
        self.marks = []
        self.divergence = None
        self.step = 0
        self.requests = []
        self.drawn = []
        self.trainer = SimpleNamespace(close=lambda: None)

    def advance(self, seconds=None, steps=None, until=None, look=False):
        deadline = time.monotonic() + (seconds if seconds is not None else 1e9)
        wanted = steps if steps is not None else 10**9
        while wanted > 0 and (until is None or self.step < until):
            if self.step + 1 == self.breaks_at:
                self.divergence = Divergence(self.step + 1, 3, "blocks.3.scores", "infinite number")
                return
            if self.step + 1 == self.raises_at:
                raise RuntimeError("the disk is full")
            time.sleep(self.pause)
            self.step += 1
            wanted -= 1
            if time.monotonic() >= deadline:
                return

    def adjust(self, **knobs):
        before = self.experiment.training
        self.marks = [*self.marks, *(Mark(self.step, f"training.{knob}", getattr(before, knob), after)
                                     for knob, after in knobs.items())]
        self.experiment = self.experiment.replace(training=self.experiment.training.replace(**knobs))

    def write_choices(self, prompt, length, temperature, seed, top_k, top_p):
        self.requests.append((prompt, temperature, seed))
        self.drawn.append((length, seed, top_k, top_p))
        time.sleep(self.writing_pause)
        for character in self.written or f"{temperature}":
            yield Choice(character, 0.5, ((character, 0.5), ("e", 0.25)))


def breaking(**traits):
    """Return a kind of DrivenRun with other traits."""
    return type("Breaking", (DrivenRun,), traits)


def settle(session, condition, seconds=10):
    """Poll the session until the condition holds; fail if it never does."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        session.poll()
        if condition():
            return
        time.sleep(0.005)
    raise AssertionError(f"never came to be: state {session.state}, step {session.run and session.run.step}")
