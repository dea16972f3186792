"""A comparison in the page's address: what was chosen comes back, and what can't be used is said."""

from types import SimpleNamespace

import pytest

from tlab_core import share
from tlab_dash import compare_address, runs_page
from tlab_dash.compare_address import LONGEST, absent, read, written
from tlab_dash.compare_page import ComparePage
from tlab_dash.runs_page import RunsPage

ALL = ["slow 0", "slow 1", "fast 0", "fast 1"]
CHOICE = {"measure": "validation", "against": "tokens", "seeds": False, "view": "signal", "left": "slow 1",
          "right": "fast 1", "layer": 0, "head": 1, "at": 2}  # fmt: skip


def test_what_is_written_is_read_back():
    odd = ["a, b (2)", "über=1", "x.y+z#1"]
    text = written(odd, CHOICE, CHOICE)
    assert read(text) == (odd, CHOICE, [])
    assert read(written(odd, CHOICE, {"head", "seeds"})) == (odd, {"seeds": False, "head": 1}, [])
    assert read(written([], CHOICE, ())) == ([], {}, [])


def test_what_is_too_long_is_not_written():
    runs = [f"run {number:04}" for number in range(1000)]
    assert written(runs, CHOICE, CHOICE) is None
    assert written(runs[:100], CHOICE, CHOICE) is not None


@pytest.mark.parametrize(("text", "said"), [
    ("measure:los", "measure 'los'; it can be loss, validation, gradient, rate. Did you mean 'loss'?"),
    ("against:time", "against 'time'; it can be step, tokens, seconds."),
    ("view:atention", "Did you mean 'attention'?"),
    ("seeds:True", "seeds 'True'; it can be apart, joined."),
    ("layer:-1", "layer '-1', which is no whole number from 0 on."),
    ("head:x", "head 'x'"),
    ("at:99999999999999999999", "stop of the slider '99999999999999999999'"),
    ("head:²", "which is no whole number"),
    ("laier:1", "speaks of 'laier', which is no part of a comparison. Did you mean 'layer'?"),
    ("<script>", "speaks of '<script>'"),
    ("layer:1;layer:2", "says twice what “layer” is"),
    ("x" * (LONGEST + 1), "more of a comparison than is read: at most 4,000 characters."),
])  # fmt: skip
def test_what_can_not_be_used_is_said_and_left_out(text, said):
    _, choice, wrong = read(f"runs:slow 0/fast 0;{text}")
    assert len(wrong) == 1
    assert said in wrong[0]
    assert set(choice) <= {"layer"}


def test_what_two_runs_do_not_have_is_said():
    shown = CHOICE | {"layer": 3}
    assert absent(CHOICE, CHOICE) == []
    assert absent({"layer": 9}, shown) == ["The address asks for layer 9, which is not there."]
    assert absent({"left": "gone"}, None) == ["The address asks for run on the left 'gone', which is not there."]


def test_a_link_to_settings_passes_over_a_comparison():
    query = f"a.num_layers=6&{compare_address.FIELD}=runs:slow 0"
    assert share.from_query(query).architecture.num_layers == 6


@pytest.fixture
def session():
    return SimpleNamespace(run=None, ghost=None)


def test_the_page_shows_what_is_asked_for_and_asks_for_what_it_shows(kept_runs, session):
    page = ComparePage(kept_runs, session, lambda: ALL)
    page.ask(CHOICE, [])
    page.refresh()
    assert page.state["message"] == ""
    assert {name: page.state[name] for name in ("measure", "against", "seeds")} == {
        "measure": "validation", "against": "tokens", "seeds": False,
    }
    assert {name: page.state["pair"][name] for name in CHOICE if name in page.state["pair"]} == {
        name: CHOICE[name] for name in ("view", "left", "right", "layer", "head", "at")
    }
    assert read(page.address) == (ALL, CHOICE, [])


def test_only_what_was_chosen_is_in_the_address(kept_runs, session):
    page = ComparePage(kept_runs, session, lambda: ALL)
    page.refresh()
    assert read(page.address) == (ALL, {}, [])
    page.on_choose({"name": "against", "value": "seconds"})
    page.on_choose({"name": "view", "value": "heads"})
    page._pair._plots[0].tap(1.5, 0.5)
    assert read(page.address) == (ALL, {"against": "seconds", "view": "heads", "head": 1}, [])


def test_what_the_address_asked_for_in_vain_is_said_until_something_is_chosen(kept_runs, session):
    page = ComparePage(kept_runs, session, lambda: [*ALL, "nobody"])
    page.ask({"left": "nobody", "layer": 7}, ["The address asks for nonsense."])
    page.refresh()
    message = page.state["message"]
    assert message.startswith("The address asks for nonsense. The address asks for run on the left 'nobody', which is not")
    assert "layer 7, which is not there. there is no run 'nobody'" in message
    assert page.state["pair"]["left"] == "slow 0"
    page.on_choose({"name": "view", "value": "signal"})
    assert not page.state["message"].startswith("The address")


def test_a_crowd_of_runs_that_are_not_there_is_counted(kept_runs, session):
    page = ComparePage(kept_runs, session, lambda: ["slow 0", *(f"no {number}" for number in range(40))])
    page.refresh()
    assert page.state["message"].count("there is no run") == 5
    assert page.state["message"].endswith("35 more can't be read.")


@pytest.fixture
def open_page(kept_runs, session, monkeypatch):
    """Return a function that opens the runs page of a server at an address."""

    def open_one(query):
        monkeypatch.setattr(runs_page, "is_served", lambda: True)
        monkeypatch.setattr(runs_page, "address_of_page", lambda: query)
        page = RunsPage(session, lambda: None, kept_runs)
        page.open()
        return page

    return open_one


def test_a_link_opens_the_comparison_and_the_address_follows(open_page):
    page = open_page("theme=dark&compare=runs%3Aslow+0%2Ffast+0%3Bagainst%3Atokens")
    assert (page.tab, page.runs.ticked, page.ticked) == ("compare", ["slow 0", "fast 0"], 2)
    assert page.comparison.state["against"] == "tokens"
    assert page.comparison.state["settings"]["head"] == ["slow 0", "fast 0"]
    assert page.comparing == "runs:slow 0/fast 0;against:tokens"
    page.comparison.on_choose({"name": "measure", "value": "gradient"})
    assert page.comparing == "runs:slow 0/fast 0;measure:gradient;against:tokens"
    page.on_tab("list")
    assert page.comparing == ""
    page.runs.on_tick("fast 0")
    page.on_tab("compare")
    assert page.comparing == "runs:slow 0;measure:gradient;against:tokens"
    page.close()
    assert page.comparing == ""
    page.open()
    assert page.comparing == "runs:slow 0;measure:gradient;against:tokens"


def test_a_link_to_runs_that_are_not_there_says_so(open_page):
    page = open_page("compare=runs:slow 0/..%2F..%2Fetc/gone")
    assert "a run can't be named '..'" in page.comparison.state["message"]
    assert "there is no run 'gone'" in page.comparison.state["message"]
    assert page.runs.ticked == ["slow 0"]
    assert page.comparing == "runs:slow 0"


def test_an_address_without_a_comparison_opens_the_list(open_page):
    page = open_page("a.num_layers=6")
    assert (page.tab, page.runs.ticked, page.comparing) == ("list", [], "")
