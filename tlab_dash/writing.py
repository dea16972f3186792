"""What it writes: the same prompt and the same dice at several steps, so that only the model changes the text."""

from __future__ import annotations

import param

from tlab_core.run import Sample
from tlab_dash import surprise
from tlab_dash.readable import readable
from tlab_dash.sampling import Sampling, script
from tlab_dash.scribe import KEPT_STEPS, LENGTH, Text
from tlab_dash.session import Session

OLD_LENGTH = 88  # characters of an earlier text, prompt included: what one line holds


class Writing(Sampling):
    """The texts of one session's run, and how they are drawn."""

    texts = param.List(default=[], doc=(
        "kind (then, ghost, now; none where nothing was written), when, prompt and text of each row; of the newest text "
        "shades and tips by character."))

    _esm = script("sampling.js", "shaded_text.js", "writing.js")

    def __init__(self, session: Session, **params):
        self._shaded = ((), {})  # choices, and what they became
        super().__init__(session, **params)

    def refresh(self) -> None:
        """Show what the session's run has written up to now."""
        super().refresh()
        found = rows(self._session)
        text = shown(self._session)
        if isinstance(text, Text):
            found[-1] |= self._shade(text.choices)
        self.texts = found

    def _shade(self, choices: tuple) -> dict:
        if choices is not self._shaded[0]:
            visible = choices[:LENGTH]
            self._shaded = choices, {"shades": surprise.shades(visible), "tips": [surprise.words(one) for one in visible]}
        return self._shaded[1]


def shown(session: Session) -> Text | Sample | None:
    """Return the text of the step that is looked at: the newest, or what the run had written last by then."""
    text, step = session.text, session.selection.step
    if text is None or step is None:
        return text
    return newest(session.run.samples if session.run is not None else [], step) or text


def rows(session: Session) -> list[dict]:
    """Return the rows from the oldest to what is written now. With a ghost, the text that it wrote at the same step, or
    last before it, takes the first one's place.

    Looking back, what stands last is what the run wrote then: the newest of the texts kept up to that step.
    """
    text, ghost = shown(session), session.ghost
    if text is None:
        return [_nothing("", "Nothing written yet.")] if session.run is not None else []
    samples = session.run.samples if session.run is not None else []
    earlier = [sample for sample in samples if sample.step < text.step]
    firsts = [next((old for old in earlier if old.step >= wanted), None) for wanted in KEPT_STEPS]
    lines = [("then", f"{old.step:,}", old) for old in dict.fromkeys(firsts) if old is not None]
    if ghost is not None:
        then = newest(ghost.samples, text.step)
        first = _nothing("ghost", f"Nothing written by step {text.step:,}.") if then is None else _row(
            "ghost", f"ghost {then.step:,}", then)
        return [first, *(_row(*line) for line in lines[-1:]), _row("now", f"{text.step:,}", text)]
    return [*(_row(*line) for line in lines), _row("now", f"{text.step:,}", text)]


def _row(kind: str, when: str, entry: Text | Sample) -> dict:
    length = LENGTH if kind == "now" else OLD_LENGTH - len(entry.prompt)
    return {"kind": kind, "when": when, "prompt": one_line(entry.prompt), "text": one_line(entry.text)[:length]}


def _nothing(when: str, words: str) -> dict:
    return {"kind": "none", "when": when, "prompt": "", "text": words}


def newest(samples: list[Sample], step: int | None) -> Sample | None:
    """Return the newest text written at or before `step` (None: the newest of all), None where there is none."""
    return next((sample for sample in reversed(samples) if step is None or sample.step <= step), None)


def one_line(text: str) -> str:
    """Return text with each newline shown as a sign of its own, so that a row stays a row.

    >>> one_line("a\\nb")
    'a⏎b'
    """
    return readable(text).replace("\n", "⏎")
