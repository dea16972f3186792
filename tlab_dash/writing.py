"""What it writes: the same prompt and the same dice at several steps, so that only the model changes the text."""

from __future__ import annotations

import param

from tlab_core.run import Sample
from tlab_dash.component import STATIC, Component
from tlab_dash.seat import KEPT_STEPS
from tlab_dash.session import Session

OLD_LENGTH = 88  # characters of an earlier text, prompt included: what one line holds


class Writing(Component):
    """The texts of one session's run, its prompt and its temperature."""

    texts = param.List(default=[], doc="kind (then, ghost, now), when, prompt and text of each row.")
    prompt = param.String(default="", doc="What the model writes on from.")
    message = param.String(default="", doc="Why the prompt typed last is not used.")
    temperature = param.Number(default=0.8, doc="How adventurous the writing is.")

    _esm = STATIC / "writing.js"

    def __init__(self, session: Session, **params):
        super().__init__(sizing_mode="stretch_both", **params)
        self._session = session
        self.refresh()

    def refresh(self) -> None:
        """Show what the session's run has written up to now."""
        session = self._session
        own = session.run.experiment.prompt if session.run is not None else ""
        self.param.update(
            texts=rows(session), prompt=session.prompt or own, message=session.prompt_message,
            temperature=session.temperature,
        )

    def on_temperature(self, temperature: float) -> None:
        """Write at once at another temperature."""
        self._session.write(temperature=min(2.0, max(0.0, float(temperature))))

    def on_prompt(self, prompt: str) -> None:
        """Write at once from another prompt."""
        self._session.write(prompt=str(prompt))
        self.refresh()

    def on_write(self, _) -> None:
        """Write at once with other dice."""
        self._session.write(again=True)


def rows(session: Session) -> list[dict]:
    """Return the rows from the oldest to what is written now: with a ghost, one of its texts takes the first one's place.

    Looking back, what stands last is what the run wrote then: the newest of the texts kept up to that step.
    """
    text, ghost, step = session.text, session.ghost, session.selection.step
    if text is None:
        return []
    samples = session.run.samples if session.run is not None else []
    if step is not None:
        text = newest(samples, step) or text
    earlier = [sample for sample in samples if sample.step < text.step]
    firsts = [next((old for old in earlier if old.step >= wanted), None) for wanted in KEPT_STEPS]
    shown = [("then", f"{old.step:,}", old) for old in dict.fromkeys(firsts) if old is not None]
    last_words = newest(ghost.samples, step) if ghost is not None else None
    if last_words is not None:
        shown = [("ghost", f"ghost {last_words.step:,}", last_words), *shown[-1:]]
    shown.append(("now", f"{text.step:,}", text))
    return [
        {
            "kind": kind, "when": when, "prompt": one_line(entry.prompt),
            "text": one_line(entry.text) if kind == "now" else one_line(entry.text)[: OLD_LENGTH - len(entry.prompt)],
        }
        for kind, when, entry in shown
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
