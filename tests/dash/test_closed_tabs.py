"""Tabs that were closed a moment ago: who is written to, and what is told of them in the log."""

import logging
from types import SimpleNamespace

import pytest
from bokeh.server.connection import ServerConnection
from tornado.websocket import WebSocketClosedError, WebSocketHandler

from tlab_dash import closed_tabs
from tlab_dash.closed_tabs import LOGS, UNSENT, Late, forget_closed_tabs, keep_out_of_the_log


def socket(closing):
    handler = WebSocketHandler.__new__(WebSocketHandler)
    handler.ws_connection = None if closing is None else SimpleNamespace(is_closing=lambda: closing)
    return handler


def test_only_connections_that_are_open_are_written_to(monkeypatch):
    tabs = {name: SimpleNamespace(_socket=socket(closing)) for name, closing in
            {"open": False, "closing": True, "gone": None}.items()}
    tabs["another server's"] = SimpleNamespace(_socket=object())
    left = []
    session = SimpleNamespace(_subscribed_connections=list(tabs.values()), unsubscribe=left.append)
    page = SimpleNamespace(session_context=SimpleNamespace(session=session))
    monkeypatch.setattr(closed_tabs, "pn", SimpleNamespace(state=SimpleNamespace(curdoc=page)))
    forget_closed_tabs()
    assert left == [tabs["closing"], tabs["gone"]]


@pytest.mark.parametrize("page", [None, SimpleNamespace(session_context=None),
                                  SimpleNamespace(session_context=SimpleNamespace(session=None))])
def test_without_a_server_there_is_nothing_to_forget(page, monkeypatch):
    monkeypatch.setattr(closed_tabs, "pn", SimpleNamespace(state=SimpleNamespace(curdoc=page)))
    forget_closed_tabs()


@pytest.fixture
def log(caplog):
    logger = logging.getLogger("tests.closed_tabs")
    logger.addFilter(Late())
    yield logger
    logger.filters.clear()


def handle(log, work):
    """What Bokeh's handler of messages says when its work fails."""
    try:
        work()
    except Exception as error:
        log.error("error handling message\n error: %r", error, exc_info=True)


def test_what_was_on_its_way_when_a_tab_was_closed_is_not_told(log, caplog):
    given_up = ServerConnection.__new__(ServerConnection)
    given_up._session = None
    handle(log, lambda: given_up.session)
    log.warning(UNSENT)
    try:
        raise WebSocketClosedError
    except WebSocketClosedError:
        log.exception("Task exception was never retrieved")
    assert not caplog.records


def test_everything_else_is_told(log, caplog):
    def broken():
        assert caplog is None

    handle(log, broken)
    log.warning("something else")
    assert len(caplog.records) == 2


def test_a_server_of_many_pages_filters_once():
    for _ in range(3):
        keep_out_of_the_log()
    assert [[type(kept) for kept in logging.getLogger(name).filters].count(Late) for name in LOGS] == [1] * len(LOGS)
