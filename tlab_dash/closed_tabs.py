"""Tabs that were closed a moment ago: nothing more is written to them, and what can't be held back stays out of the log.

A server learns of a closed tab only after it has heard all that the tab had still sent, which beside a training run takes
seconds. Bokeh counts the tab's connection as open until then, and complains of each message that it can't deliver.
"""

from __future__ import annotations

import logging
import traceback

import panel as pn
from bokeh.document import Document
from tornado.websocket import WebSocketClosedError, WebSocketHandler

LOGS = ("asyncio", "bokeh.server.protocol_handler", "bokeh.server.views.ws", "panel.io.document")
UNSENT = "Failed sending message as connection was closed"


def forget_closed_tabs() -> None:
    """Write no more to those browsers of the present page whose connection is closing."""
    document = pn.state.curdoc
    context = document.session_context if document is not None else None
    session = context.session if context is not None else None
    for connection in list(session._subscribed_connections) if session is not None else []:
        if is_closing(connection._socket):
            session.unsubscribe(connection)


def is_shown(document: Document) -> bool:
    """Return whether a browser has a page open."""
    context = document.session_context
    session = context.session if context is not None else None
    return session is not None and any(not is_closing(connection._socket) for connection in session._subscribed_connections)


def is_closing(socket: object) -> bool:
    """Return whether nothing can be sent by a socket any more."""
    return isinstance(socket, WebSocketHandler) and (socket.ws_connection is None or socket.ws_connection.is_closing())


class Late(logging.Filter):
    """Lets pass what a log says of anything but tabs that were closed.

    Dropped are messages that were on their way when a tab was closed, Bokeh's answers to what a tab sent just before, and
    its complaint that such a message came from a connection that it has given up meanwhile.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether a record is worth telling."""
        error = record.exc_info[1] if record.exc_info else None
        return not (isinstance(error, WebSocketClosedError) or _is_given_up(error) or record.getMessage() == UNSENT)


def _is_given_up(error: BaseException | None) -> bool:
    """Return whether it is the assertion of a Bokeh connection that it has a session."""
    if not isinstance(error, AssertionError):
        return False
    last = traceback.extract_tb(error.__traceback__)[-1]
    return last.name == "session" and last.filename.replace("\\", "/").endswith("bokeh/server/connection.py")


def keep_out_of_the_log() -> None:
    """Keep it out of the server's log that a tab was closed while something was on its way there, or back."""
    for name in LOGS:
        logger = logging.getLogger(name)
        if not any(isinstance(kept, Late) for kept in logger.filters):
            logger.addFilter(Late())
