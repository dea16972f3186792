"""What it writes: the same prompt and the same dice at several steps, so that only the model changes the text."""

from __future__ import annotations

import param

from tlab_core.run import Sample
from tlab_dash import surprise
from tlab_dash.sampling import Sampling, script
from tlab_dash.scribe import KEPT_STEPS, LENGTH, Text
from tlab_dash.session import Session

OLD_LENGTH = 88  # characters of an earlier text, prompt included: what one line holds


class Writing(Sampling):
    """The texts of one session's run, and how they are drawn."""

    texts = param.List(default=[], doc=(
        "kind (then, ghost, now), when, prompt and text of each row; of the newest text shades and tips by character."))

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
    """Return the rows from the oldest to what is written now: with a ghost, one of its texts takes the first one's place.

    Looking back, what stands last is what the run wrote then: the newest of the texts kept up to that step.
    """
    text, ghost, step = shown(session), session.ghost, session.selection.step
    if text is None:
        return []
    samples = session.run.samples if session.run is not None else []
    earlier = [sample for sample in samples if sample.step < text.step]
    firsts = [next((old for old in earlier if old.step >= wanted), None) for wanted in KEPT_STEPS]
    lines = [("then", f"{old.step:,}", old) for old in dict.fromkeys(firsts) if old is not None]
    last_words = newest(ghost.samples, step) if ghost is not None else None
    if last_words is not None:
        lines = [("ghost", f"ghost {last_words.step:,}", last_words), *lines[-1:]]
    lines.append(("now", f"{text.step:,}", text))
    return [
        {
            "kind": kind, "when": when, "prompt": one_line(entry.prompt),
            "text": one_line(entry.text)[: LENGTH if kind == "now" else OLD_LENGTH - len(entry.prompt)],
        }
        for kind, when, entry in lines
    ]


def newest(samples: list[Sample], step: int | None) -> Sample | None:
    """Return the newest text written at or before `step` (None: the newest of all), None where there is none."""
    return next((sample for sample in reversed(samples) if step is None or sample.step <= step), None)


def one_line(text: str) -> str:
    """Return text with each newline shown as a sign of its own, so that a row stays a row.

    >>> one_line("a\\nb")
    'a⏎b'
    """
    return text.replace("\n", "⏎")
