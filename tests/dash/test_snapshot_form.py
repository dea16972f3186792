"""The form in the Share menu that makes a snapshot: what it hands out, what it says, and what goes on meanwhile."""

import threading
from contextlib import suppress
from types import SimpleNamespace

import pytest

from tests.dash.snapshots import index, small
from tests.dash.test_errands import Document
from tlab_core.run import Sample
from tlab_dash import errands, live, views
from tlab_dash.selection import Selection
from tlab_dash.sharing import Sharing
from tlab_dash.snapshot import Snapshot
from tlab_dash.snapshot_form import FAILED, SnapshotForm, shown_runs
from tlab_dash.theme import LIGHT


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("texts")


@pytest.fixture(scope="module")
def run(folder):
    return small(folder)


@pytest.fixture(scope="module")
def other(folder):
    return small(folder, steps=12)


def session_of(run, ghost=None):
    """Return what the Share menu needs of a session."""
    draft = run.experiment if run is not None else None
    kept = {"name": "", "step": 0, "busy": False, "problem": ""}
    return SimpleNamespace(run=run, ghost=ghost, building=False, draft=draft, experiment=draft, trouble="", kept=kept,
                           forget_refusal=lambda: None, touch=lambda: None)  # fmt: skip


@pytest.fixture
def menu(run, other, monkeypatch, tmp_path):
    monkeypatch.setenv("TLAB_RUNS", str(tmp_path / "runs"))
    return menu_of(session_of(run, other), monkeypatch)


def menu_of(session, monkeypatch):
    """Return a Share menu, and as its `sent` what it sends to the page."""
    menu = Sharing(session, session.experiment)
    menu.sent = []
    monkeypatch.setattr(menu, "_send_msg", menu.sent.append)
    return menu


def make(menu, **asked):
    menu.snapshot._handle_msg({"make": asked})


def test_the_page_gets_a_file_with_title_and_notes(menu):
    make(menu, title="Do <heads> agree?", notes="## Result\n\nThey *do*.", ghost=False)
    (file,) = (message["file"] for message in menu.sent)
    assert file["name"] == "Do -heads- agree.html"
    html = file["data"].decode()
    assert "<title>Do &lt;heads&gt; agree?</title>" in html
    assert "<h2>Result</h2>\n<p>They <em>do</em>.</p>" in html
    form = menu.snapshot
    assert form.made == [f"“Do -heads- agree.html” is made: {len(file['data']) / 1e6:.1f} MB."]
    assert (form.making, form.problem) == (False, "")
    assert len(index(Snapshot(file["data"], ()))["runs"]) == 1


@pytest.mark.slow
def test_the_ghost_goes_in_beside_the_run(menu):
    make(menu, title="Both", notes="", ghost=True)
    assert len(index(Snapshot(menu.sent[0]["file"]["data"], ()))["runs"]) == 2


def test_runs_are_named_after_the_one_knob_in_which_they_differ(run, other, folder):
    normed = small(folder, architecture={"norm_type": "LayerNorm"}, steps=1)
    assert shown_runs(session_of(normed, run), True) == {"LayerNorm": normed, "RMSNorm": run}
    assert shown_runs(session_of(run, other), True) == {"now": run, "ghost": other}
    assert shown_runs(session_of(run, other), False) == {"the run": run}
    assert shown_runs(session_of(run), True) == {"the run": run}


def test_without_a_title_it_describes_the_run(menu):
    menu._handle_msg({"open": True})
    assert menu.snapshot.proposal.startswith("story.txt, ")
    make(menu, title="  ", notes="", ghost=False)
    assert menu.sent[0]["file"]["name"] == f"{menu.snapshot.proposal}.html"
    assert f"<h1>{menu.snapshot.proposal}</h1>" in menu.sent[0]["file"]["data"].decode()


@pytest.mark.slow
def test_what_is_left_out_is_said(run, monkeypatch):
    monkeypatch.setattr(run, "samples", [Sample(step, "the ", "cat") for step in range(30)])
    menu = menu_of(session_of(run), monkeypatch)
    make(menu, title="Long", notes="")
    assert menu.snapshot.made[1:] == ["Of the 30 texts that the run wrote, it shows 12."]


@pytest.mark.slow
def test_what_cannot_be_made_is_said_and_may_be_tried_again(menu):
    make(menu, title="Mine", notes="x" * 200_001)
    assert menu.sent == []
    assert menu.snapshot.problem == f"{FAILED}the notes have 200,001 characters, and at most 200,000 are taken."
    assert (menu.snapshot.making, menu.snapshot.made) == (False, [])
    make(menu, title="Mine", notes="x")
    assert menu.snapshot.problem == ""
    assert menu.sent[0]["file"]["name"] == "Mine.html"


def test_what_nobody_foresaw_is_said_too(menu, monkeypatch):
    monkeypatch.setattr("tlab_dash.snapshot_form.snapshot_bytes", lambda *_, **__: 1 / 0)
    make(menu, title="Mine", notes="")
    assert menu.snapshot.problem == f"{FAILED}division by zero"


@pytest.mark.parametrize("asked", [None, [], "x", 7])
def test_what_no_form_sends_is_passed_over(menu, asked):
    menu.snapshot._handle_msg({"make": asked})
    assert menu.sent == []
    assert not menu.snapshot.making


def test_without_a_run_nothing_is_made():
    form = SnapshotForm(session_of(None), pytest.fail)
    form.refresh()
    form._handle_msg({"make": {"title": "None", "notes": ""}})
    assert (form.ready, form.making) == (False, False)


def test_it_is_made_in_a_thread_and_once_at_a_time(menu, monkeypatch):
    document, gate, made = Document(), threading.Event(), []
    monkeypatch.setattr(errands, "pn", SimpleNamespace(state=SimpleNamespace(curdoc=document)))

    def slow(runs, **words):
        made.append((threading.current_thread().name, words["title"]))
        assert gate.wait(10)
        return Snapshot(b"<html>", ())

    monkeypatch.setattr("tlab_dash.snapshot_form.snapshot_bytes", slow)
    make(menu, title="first", notes="")
    assert menu.snapshot.making
    make(menu, title="second", notes="")
    gate.set()
    document.tick()
    assert [title for _, title in made] == ["first"]
    assert made[0][0].startswith("errand")
    assert not menu.snapshot.making
    assert menu.sent == [{"file": {"name": "first.html", "data": b"<html>"}}]


def test_two_threads_never_draw_at_the_same_time(run, monkeypatch):
    """HoloViews is not made for it."""
    inside, most, usual = [], [], live.plotted
    meet = threading.Barrier(2)

    def watched(element):
        inside.append(element)
        with suppress(threading.BrokenBarrierError):
            meet.wait(1)  # broken unless the other thread comes in as well
        most.append(len(inside))
        inside.remove(element)
        return usual(element)

    monkeypatch.setattr(live, "plotted", watched)
    columns = views.loss.columns(run, Selection())
    threads = [threading.Thread(target=live.drawn, args=(views.loss, columns, LIGHT)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1, 1]
