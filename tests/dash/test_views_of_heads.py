"""The page of all heads: its pictures, words and light against the records that they show."""

from base64 import b64decode
from types import SimpleNamespace

import numpy as np
import pytest

from tests.dash.fakes import fake_run
from tlab_core.divergence import Divergence
from tlab_dash import views
from tlab_dash.pages import PAGES
from tlab_dash.reading import Reading
from tlab_dash.selection import HEAD_MEASURES, Selection
from tlab_dash.theme import DARK, LIGHT
from tlab_dash.trail import PARTS, Breadcrumb, Probe
from tlab_dash.views.names import apart, with_room
from tlab_dash.views.roles import even_entropy, kind, role_words
from tlab_dash.views.wording import HEAD_MEASURE_WORDS


@pytest.fixture
def run():
    return fake_run(layers=3, heads=4, positions=16, records=4)


def pinned(run, **chosen):
    selection = Selection()
    selection.choose(run, **chosen)
    return selection


def record(run, group, variable, at=-1):
    return run.recorder.group(group)[variable].values[at]


def broken(run, step=20):
    """Append a record of a run whose numbers have all gone."""
    run.recorder.append("heads", step, {
        name: np.full(variable.shape[1:], np.nan, np.float32)
        for name, variable in run.recorder.group("heads").data_vars.items()
    })
    return run


# All maps ------------------------------------------------------------------------------------------------------------


def test_each_head_lies_in_its_layers_row_and_its_own_column(run):
    columns = views.all_heads.columns(run, pinned(run, layer=2, head=1))
    maps, picture = record(run, "attention", "weight"), columns["map"]
    side = columns["tiles"]["side"][0]
    for layer, head, query, key in [(0, 0, 5, 4), (2, 3, 15, 14), (1, 2, 7, 0)]:
        down = np.argmin(np.abs(picture["down"] - (layer + side * (query + 0.5) / 16)))
        across = np.argmin(np.abs(picture["across"] - (head + side * (key + 0.5) / 16)))
        assert picture["weight"][down, across] == np.rint(255 * maps[layer, head, query, key])
    assert (columns["chosen"]["left"][0], columns["chosen"]["bottom"][0]) == (1, 2)
    assert views.all_heads.pick(columns, 3.2, 1.4) == {"layer": 1, "head": 3}
    assert views.all_heads.pick(columns, 4.2, 1.4) is None
    assert views.all_heads.pick(columns, 1.2, 3.4) is None


def test_every_tile_says_what_its_head_does(run):
    columns = views.all_heads.columns(run, Selection())
    previous = record(run, "heads", "previous_token")
    roles = dict(zip(zip(columns["frames"]["layer"], columns["frames"]["head"], strict=True), columns["frames"]["role"],
                     strict=True))
    assert roles[(2, 3)] == f"reads the previous character: {previous[2, 3]:.2f}"
    assert columns["names"]["name"][4 * 2 + 3] == f"3 prev\n{previous[2, 3]:.2f}"
    assert views.all_heads.note(columns) == "12 heads: 9 read the previous character, 3 read about evenly."


def test_many_heads_have_no_words_in_their_tiles_and_stay_small():
    run = fake_run(layers=12, heads=16, positions=64, records=2)
    columns = views.all_heads.columns(run, Selection())
    assert not len(columns["names"]["name"])
    assert len(columns["frames"]["role"]) == 192
    assert max(columns["map"]["weight"].shape) <= 500


# Roles ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("scores", "words"), [
    ({"previous_token": 0.1, "first_token": 0.61, "induction": 0.1, "entropy": 1.0}, "reads the first character: 0.61"),
    ({"previous_token": 0.1, "first_token": 0.1, "induction": 0.45, "entropy": 1.0},
     "reads what followed the same character before: 0.45"),
    ({"previous_token": 0.12, "first_token": 0.07, "induction": np.nan, "entropy": 1.5},
     "is mixed: its highest score is 0.12, on the previous character"),
    ({"previous_token": np.nan, "first_token": np.nan, "induction": np.nan, "entropy": np.nan},
     "has no role: the model's numbers are no longer finite"),
])
def test_what_a_head_does_comes_with_its_score(scores, words):
    assert role_words(scores, positions=64) == words


def test_an_even_head_is_one_of_nearly_the_largest_entropy():
    # As attention_patterns measures it: over the queries from position 1 on, each reading all it can see alike.
    largest = np.mean([np.log(query + 1) for query in range(1, 64)])
    assert even_entropy(64) == pytest.approx(largest)
    scores = {"previous_token": 0.07, "first_token": 0.07, "induction": 0.02}
    assert role_words(scores | {"entropy": 0.95 * largest}, 64) == (
        "reads all it can see about evenly: 0.95 of the even entropy")
    assert kind(scores | {"entropy": 0.85 * largest}, 64) == "mixed"
    assert even_entropy(1) == 0


# Scores --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("measure", HEAD_MEASURES)
def test_the_grid_shows_the_chosen_measure(run, measure):
    selection = pinned(run, layer=1, head=2)
    selection.choose(run, head_measure=measure)
    columns = views.head_scores.columns(run, selection)
    expected = record(run, "heads", measure)
    np.testing.assert_allclose(columns["map"]["level"], expected)
    written = {(layer, head): words for part in ("on_dark", "on_bright", "on_card")
               for layer, head, words in zip(*(columns[part][name] for name in ("layer", "head", "words")), strict=True)}
    assert written == {(layer, head): f"{expected[layer, head]:.2f}" for layer in range(3) for head in range(4)}
    assert (columns["chosen"]["left"][0], columns["chosen"]["top"][0]) == (1.5, 1.5)
    assert columns["scale"]["low"][0] == 0
    assert columns["scale"]["high"][0] == (pytest.approx(even_entropy(16)) if measure == "entropy" else 1)


def test_the_grid_says_what_the_chosen_head_does_and_a_tap_chooses_another(run):
    columns = views.head_scores.columns(run, pinned(run, layer=1, head=3))
    previous = record(run, "heads", "previous_token")[1, 3]
    assert views.head_scores.note(columns) == f"Layer 1, head 3 reads the previous character: {previous:.2f}."
    assert views.head_scores.pick(columns, 0.4, 1.6) == {"layer": 2, "head": 0}
    assert views.head_scores.pick(columns, 0.4, 2.6) is None


def test_an_earlier_step_shows_its_own_scores(run):
    selection = pinned(run, layer=1, head=3)
    selection.step = 5
    np.testing.assert_allclose(
        views.head_scores.columns(run, selection)["map"]["level"], record(run, "heads", "previous_token", at=1))


def test_heads_of_a_model_that_broke_have_no_role_and_it_is_said_why(run):
    """Also where a head's own numbers are still finite: layer 0 of a model that broke in layer 2."""
    before = views.heads.columns(run, pinned(run, layer=0, head=0))
    assert views.heads.remark(before) == views.all_heads.remark(views.all_heads.columns(run, pinned(run))) == ""
    run.divergence = Divergence(16, 2, "blocks.2.scores", "infinite number")
    for view in (views.heads, views.all_heads):
        columns = view.columns(run, pinned(run, layer=0, head=0))
        assert view.remark(columns) == "No roles: the model broke at step 16."
        assert {name.split()[1] for name in columns["names"]["name"]} == {"broken"}
    assert views.all_heads.note(views.all_heads.columns(run, pinned(run))) == (
        "12 heads: 12 without a role, as numbers are no longer finite.")
    said = views.head_scores.note(views.head_scores.columns(run, pinned(run, layer=0, head=1)))
    assert said == "Layer 0, head 1 has no role: the model's numbers are no longer finite."
    looking_back = views.heads.columns(run, Selection(step=10, layer=0, pinned=True))
    assert views.heads.remark(looking_back) == ""
    assert "broken" not in " ".join(looking_back["names"]["name"])


def test_a_broken_head_is_drawn_as_nothing_and_called_so(run):
    columns = views.head_scores.columns(broken(run), pinned(run, layer=1, head=3))
    assert np.isnan(columns["map"]["level"]).all()
    assert set(columns["on_card"]["words"]) == {"none"}
    assert views.head_scores.note(columns) == (
        "Layer 1, head 3 has no role: the model's numbers are no longer finite.")


def test_every_measure_can_be_chosen_in_words(run):
    assert set(HEAD_MEASURE_WORDS) == set(HEAD_MEASURES) == {value for value, _ in PARTS["head_measure"].options(run)}
    session = SimpleNamespace(run=run, selection=pinned(run, layer=2, head=0))
    Breadcrumb(session, ("head_measure",)).on_choose({"part": "head_measure", "value": "entropy"})
    assert session.selection.head_measure == "entropy"


# Through time --------------------------------------------------------------------------------------------------------


def test_the_lines_are_the_chosen_heads_scores_at_each_look_inside(run):
    columns = views.head_history.columns(run, pinned(run, layer=2, head=3))
    heads = run.recorder.group("heads")
    for name in ("previous_token", "first_token", "induction"):
        np.testing.assert_array_equal(columns[name]["step"], heads["step"])
        np.testing.assert_allclose(columns[name]["share"], heads[name][:, 2, 3])
    np.testing.assert_allclose(columns["entropy"]["share"], heads["entropy"][:, 2, 3] / even_entropy(16))
    first, last = heads["previous_token"][0, 2, 3], heads["previous_token"][-1, 2, 3]
    assert views.head_history.note(columns) == (
        f"Moved most: the previous character, {first:.2f} at step 0, now {last:.2f}.")
    assert {name.strip() for name in columns["names"]["name"]} == {"previous", "first", "after the same", "even reading"}


def test_a_head_that_only_reads_less_evenly_says_so(run):
    columns = views.head_history.columns(run, pinned(run, layer=2, head=3))
    columns["told"]["now"] = columns["told"]["start"]
    columns["entropy"]["share"] = np.array([1.0, 0.5, 0.37])
    assert views.head_history.note(columns) == (
        "None of its three shares has moved by 0.05 since step 0, but it reads less evenly: 1.00 then, 0.37 now.")


def test_the_ghost_shows_the_chosen_score_if_it_has_that_head(run):
    ghost = fake_run(layers=3, heads=2, positions=16, records=6, seed=1)
    selection = pinned(run, layer=2, head=1)
    selection.choose(run, head_measure="first_token")
    columns = views.head_history.columns(run, selection, ghost)
    np.testing.assert_allclose(columns["ghost"]["share"], ghost.recorder.group("heads")["first_token"][:, 2, 1])
    assert not len(views.head_history.columns(run, pinned(run, layer=2, head=3), ghost)["ghost"]["step"])


def test_a_head_that_has_not_moved_is_not_said_to_have():
    run = fake_run(layers=1, heads=2, positions=16, records=1)
    columns = views.head_history.columns(run, pinned(run, head=1))
    assert views.head_history.note(columns) == "None of its three shares has moved by 0.05 since step 0."
    assert views.head_history.note(views.head_history.columns(broken(run), pinned(run, head=1))) == ""


def test_names_do_not_lie_on_one_another():
    placed = apart(np.array([0.98, 0.97, 0.1, 0.96]), 0.08, 1.0)
    assert placed.max() <= 1.0
    assert (np.diff(np.sort(placed)) >= 0.08 - 1e-12).all()
    assert placed[2] == 0.1
    assert list(np.argsort(placed)) == [2, 3, 1, 0]
    assert apart(np.array([]), 0.1, 1.0).size == 0
    assert with_room(np.array([1.0, 1.02, 2.0, np.nan]), 0, 0.1) == [0, 2]


# The text ------------------------------------------------------------------------------------------------------------


def light_of(run, selection):
    """The weights that the page gets, as it reads them."""
    return np.frombuffer(b64decode(views.reading(run, selection)), "<u2") / 65535


def test_the_page_has_the_whole_of_what_the_head_reads(run):
    weights, sent = record(run, "attention", "weight")[1, 3], light_of(run, pinned(run, layer=1, head=3))
    assert len(sent) == 16 * 17 // 2
    for query in (0, 1, 7, 15):
        start = query * (query + 1) // 2
        np.testing.assert_allclose(sent[start : start + query + 1], weights[query, : query + 1], atol=1e-5)
    run.recorder.append("attention", 20, {"weight": np.full((3, 4, 16, 16), np.nan, np.float32)})
    assert not light_of(run, pinned(run, layer=1, head=3)).any()


def test_the_strip_on_the_bench_and_the_card_light_up_alike(run):
    session = SimpleNamespace(run=run, selection=pinned(run, layer=1, head=3), touch=lambda: None)
    strip, card = Probe(session), Reading(session, LIGHT)
    assert strip.weights == card.weights == views.reading(run, session.selection)
    assert strip.markup == card.markup
    assert (strip.told, card.told) == (False, True)
    card._handle_msg({"position": 4})
    card.refresh()
    assert session.selection.position == 4
    assert card.markup != strip.markup
    card.dress(DARK)
    assert card.ink == DARK.attention
    assert DARK.text in card.markup


# The pages -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["attention", "qk"])
def test_the_cards_fill_the_page(name):
    page = PAGES.get(name)
    assert sum(card.columns * card.rows for card in page.cards) == 12 * page.rows
    assert set(page.selects) <= set(PARTS)
