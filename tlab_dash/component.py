"""What the parts of the page that are plain HTML share: one style sheet, and messages that go to methods."""

from __future__ import annotations

from pathlib import Path

import panel as pn

STATIC = Path(__file__).parent / "static"
STYLE = (STATIC / "lab.css").read_text(encoding="utf-8")


class Component(pn.custom.JSComponent):
    """A piece of the page drawn by one small JavaScript file in static/.

    Python describes what to show in its parameters. What the user does comes back as a message {name: value}, and
    `on_<name>(value)` is called for each; other names are ignored, since anyone can send anything.
    """

    __abstract = True
    _stylesheets = [STYLE]

    def _handle_msg(self, message) -> None:
        if isinstance(message, dict):
            for name, value in message.items():
                handler = getattr(self, f"on_{name}", None)
                if handler is not None:
                    handler(value)
