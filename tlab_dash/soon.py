"""What can wait for a moment, so that what is pressed meanwhile is heard before it is begun."""

from __future__ import annotations

import functools
from collections.abc import Callable

import panel as pn

from tlab_dash.closed_tabs import forget_closed_tabs

PAUSE_MS = 30


def soon(step: Callable[[], None]) -> None:
    """Call `step` after what the browser has sent up to now was heard; without a server, at once.

    A server hears one message after the other, each in several turns of its event loop. A next-tick callback would come
    before most of them: pictures of a page would still be drawn that has been left by a press on the next tab.
    """
    document = pn.state.curdoc
    if document is None or document.session_context is None:
        step()
    else:
        document.add_timeout_callback(functools.partial(_begin, step), PAUSE_MS)


def _begin(step: Callable[[], None]) -> None:
    forget_closed_tabs()
    step()
