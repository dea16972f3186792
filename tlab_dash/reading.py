"""The probe text as a card of its own, large enough to read, with what the chosen character reads in words."""

from __future__ import annotations

import param

from tlab_dash.component import STATIC, STYLE
from tlab_dash.session import Session
from tlab_dash.theme import LIGHT, Theme
from tlab_dash.trail import Probe

OWN = (STATIC / "reading.css").read_text(encoding="utf-8")


class Reading(Probe):
    """The probe text shaded by the chosen head's weights, and the characters that the chosen one reads most."""

    title = "Where layer {layer}, head {head} looks"
    caption = "Ink: what the outlined character reads. Point at another, or choose it to keep it."

    told = param.Boolean(default=True, doc="Whether what is read most is said below the text.")

    _stylesheets = [STYLE, OWN]

    def __init__(self, session: Session, theme: Theme = LIGHT, **params):
        super().__init__(session, theme, **params)
        self.sizing_mode = "stretch_both"

    def dress(self, theme: Theme) -> None:
        """Shade the text in the colours of a theme."""
        self.theme = theme
        self.refresh()
