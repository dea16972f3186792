"""What the parts of the page that are plain HTML share: one style sheet, and messages that go to methods."""

from __future__ import annotations

from pathlib import Path

import panel as pn
import param

from tlab_dash.closed_tabs import forget_closed_tabs
from tlab_dash.notebooks import gathered

STATIC = Path(__file__).parent / "static"
STYLE = (STATIC / "lab.css").read_text(encoding="utf-8")


class Component(pn.custom.JSComponent):
    """A piece of the page drawn by one small JavaScript file in static/.

    Python describes what to show in its parameters. What the user does comes back as a message {name: value}, and
    `on_<name>(value)` is called for each; other names are ignored, since anyone can send anything.
    """

    __abstract = True
    _stylesheets = [STYLE]

    def tell(self, **state) -> None:
        """Change parameters on the page by a message, which comes as `model.on("msg:custom")`.

        As parameters they would go the way of the plots that are this component's children: Panel walks through all of
        their models each time, 60 ms beside a training run.
        """
        new = {name: value for name, value in state.items() if value != getattr(self, name)}
        if new:
            with param.parameterized.discard_events(self):
                self.param.update(**new)  # for a page that is yet to be drawn
            self._send_msg(new)

    def _handle_msg(self, message) -> None:
        forget_closed_tabs()
        session = getattr(self, "_session", None)
        if session is not None:
            session.touch()
        if isinstance(message, dict):
            # In one piece. Of changes that are sent one by one, Panel writes some at once and Bokeh others a moment later:
            # a figure's columns could come before the figure, and the browser would not know what they belong to.
            with gathered(self), pn.io.hold():
                for name, value in message.items():
                    handler = getattr(self, f"on_{name}", None)
                    if handler is not None:
                        handler(value)


def waiting_box() -> pn.Column:
    """Return a box that says that something is coming, for `box[:] = [it]` when it is there."""
    words = pn.pane.HTML(
        '<p role="status" style="margin: 0; color: var(--tlab-muted); text-align: center">Drawing …</p>',
        align="center", sizing_mode="stretch_width", margin=0,
    )
    return pn.Column(words, sizing_mode="stretch_both", margin=0)
