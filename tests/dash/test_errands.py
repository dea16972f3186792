"""What is fetched in a thread comes home in the page's own, and only the newest of it."""

import threading
from types import SimpleNamespace

import pytest

from tlab_dash import errands
from tlab_dash.errands import Errands


class Document:
    """The part of a served page's document that errands need."""

    def __init__(self):
        self.session_context = SimpleNamespace(destroyed=False)
        self.callbacks = []
        self.came = threading.Event()

    def add_next_tick_callback(self, callback):
        self.callbacks.append(callback)
        self.came.set()

    def tick(self):
        assert self.came.wait(10)
        self.came.clear()
        self.callbacks.pop(0)()


@pytest.fixture
def document(monkeypatch):
    document = Document()
    monkeypatch.setattr(errands, "pn", SimpleNamespace(state=SimpleNamespace(curdoc=document)))
    return document


def test_without_a_server_it_is_done_at_once():
    found, failed = [], []
    Errands().run(lambda: 7, found.append, failed.append)
    Errands().run(lambda: 1 / 0, found.append, failed.append)
    assert found == [7]
    assert isinstance(failed[0], ZeroDivisionError)


def test_with_a_server_work_is_done_elsewhere_and_its_result_comes_home(document):
    found, failed = [], []
    Errands().run(lambda: threading.current_thread().name, found.append, failed.append)
    assert found == []
    document.tick()
    assert found[0].startswith("errand")
    Errands().run(lambda: 1 / 0, found.append, failed.append)
    document.tick()
    assert isinstance(failed[0], ZeroDivisionError)


def test_what_is_asked_for_last_wins(document):
    gate, found, place = threading.Event(), [], Errands()
    place.run(lambda: gate.wait(10) and "old", found.append, pytest.fail)
    place.run(lambda: "new", found.append, pytest.fail)
    document.tick()
    gate.set()
    document.tick()
    assert found == ["new"]


def test_a_page_that_is_gone_is_left_alone(document):
    gate, place = threading.Event(), Errands()
    place.run(lambda: gate.wait(10), pytest.fail, pytest.fail)
    document.session_context.destroyed = True
    gate.set()
    assert not document.came.wait(0.2)
