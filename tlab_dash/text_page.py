"""The text page: a long newest text, what could have stood in place of each character, and all that was kept of earlier."""

from __future__ import annotations

import param

from tlab_dash import surprise
from tlab_dash.component import STATIC, STYLE
from tlab_dash.readable import readable
from tlab_dash.sampling import Sampling, script
from tlab_dash.scribe import LENGTH, Text
from tlab_dash.session import Session
from tlab_dash.theme import LIGHT, Theme
from tlab_dash.writing import newest, one_line, shown

LONG = 400  # characters of the newest text
NOT_KEPT = "Earlier texts are kept without their likelihoods. Press Now for those of the newest."


class TextPage(Sampling):
    """What one session's run writes, at length. While this page is there, longer texts are written; `close` ends that."""

    title = "What it writes"
    caption = "Shades show what the model did not expect. Choose a character to see what else could have come."

    story = param.Dict(default={}, doc="when, prompt, text; shades and tips by character; past: an earlier one.")
    place = param.Dict(default={}, doc="at: the chosen character. said: what it is. bars: the likeliest in its place.")
    kept = param.List(default=[], doc="when, prompt and text of each kept text, from step 0 on; shown: it is looked at.")

    _esm = script("sampling.js", "shaded_text.js", "text_page.js")
    _stylesheets = [STYLE, (STATIC / "text_page.css").read_text(encoding="utf-8")]

    def __init__(self, session: Session, theme: Theme = LIGHT, **params):
        """Colours are the page's own custom properties, so that no theme needs to be known here."""
        self._at = 0
        self._seen = None  # the text and the samples that were sent last
        super().__init__(session, **params)
        session.write(length=LONG)

    def close(self) -> None:
        """Let texts be as short as the bench has them."""
        self._session.write(length=LENGTH)

    def refresh(self) -> None:
        """Show what the session's run has written up to now."""
        super().refresh()
        session = self._session
        text = shown(session)
        samples = session.run.samples if session.run is not None else []
        past = text is not None and not isinstance(text, Text)
        seen = (text, samples, past)
        if self._seen is not None and all(new is old for new, old in zip(seen, self._seen, strict=True)):
            return
        self._seen = seen
        at_step = newest(samples, session.selection.step) if past else None
        self.param.update(
            story=self._story(text, past), place=self._place(text),
            kept=[
                {"when": f"step {sample.step:,}", "prompt": one_line(sample.prompt), "text": one_line(sample.text),
                 "shown": sample is at_step}
                for sample in samples
            ],
        )

    def on_character(self, at: int) -> None:
        """Show what could have stood in place of a character, counted from 0."""
        self._at = max(0, int(at))
        self.place = self._place(shown(self._session))

    def on_sample(self, number: int) -> None:
        """Look back, in every view, at the step of a kept text, counted from 0."""
        samples = self._session.run.samples if self._session.run is not None else []
        if 0 <= int(number) < len(samples):
            self._session.selection.step = samples[int(number)].step
        self.refresh()

    def on_now(self, _) -> None:
        """Follow the newest step again."""
        self._session.selection.step = None
        self.refresh()

    def _story(self, text, past: bool) -> dict:
        if text is None:
            return {}
        found = {"when": f"step {text.step:,}", "prompt": readable(text.prompt), "text": readable(text.text),
                 "past": past}
        if not past:
            found |= {"shades": surprise.shades(text.choices), "tips": [surprise.words(one) for one in text.choices]}
        return found

    def _place(self, text) -> dict:
        if text is None:
            return {}
        if not isinstance(text, Text):
            return {"at": None, "said": NOT_KEPT, "bars": []}
        if not text.choices:
            return {}
        at = min(self._at, len(text.choices) - 1)
        choice = text.choices[at]
        written, share = surprise.named(choice.token), surprise.percent(choice.probability)
        said = f"Character {at + 1}: the model wrote {written}, which it gave {share}."
        return {"at": at, "said": said, "bars": surprise.bars(choice)}
