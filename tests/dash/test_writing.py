"""What the page shows of a text: shades and words for what the model thought of it, and the controls of how it is drawn."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from tests.dash.test_lab import TINY, settle
from tlab_core.generation import Choice, GenerationError, probabilities
from tlab_core.run import LiveRun, Sample
from tlab_dash import Lab, surprise
from tlab_dash.fleet import Fleet
from tlab_dash.sampling import DICE_ARE_NUMBERED
from tlab_dash.scribe import LENGTH, Request, Text
from tlab_dash.selection import Selection
from tlab_dash.text_page import LONG, NOT_KEPT, TextPage
from tlab_dash.theme import THEMES, contrast, mix
from tlab_dash.writing import Writing

CHOICE = Choice("e", 0.62, (("e", 0.62), (" ", 0.2), ("\n", 0.1), ("a", 0.04), ("<", 0.004)))
ODD = Choice("z", 0.0004, (("e", 0.62), ("a", 0.3)))


class Stage:
    """What a session is to the writing: a run, a text, a request that `write` changes, a selection."""

    def __init__(self, run, choices=(CHOICE, ODD), step=0, samples=()):
        text = "".join(choice.token for choice in choices)
        self.run, self.ghost, self.selection, self.request = run, None, Selection(), Request()
        self.text = Text(step, "One ", text, True, tuple(choices))
        self.prompt_message = ""
        run.samples = list(samples)

    def touch(self):
        """Someone is there."""

    def write(self, again=False, **changes):
        self.request = replace(self.request, **changes, **({"seed": self.request.seed + 1} if again else {}))


@pytest.fixture(scope="module")
def live():
    return LiveRun(TINY)


@pytest.fixture
def stage(live):
    return Stage(live)


# What the model thought of it ------------------------------------------------------------------------------------------


def test_a_live_run_tells_of_each_character_what_its_model_computes_for_it(live):
    found = list(live.write_choices("One day", 12, temperature=1.5, seed=3, top_k=9))
    assert "".join(choice.token for choice in found) == "".join(live.write("One day", 12, 1.5, 3, 9))
    text = "One day"
    for choice in found:
        chances = probabilities(live.model.forward(live.tokenizer.encode(text)[None])[0, -1])
        by_character = dict(zip(live.tokenizer.characters, chances, strict=True))
        assert choice.probability == pytest.approx(by_character[choice.token], rel=1e-4)
        assert [p for _, p in choice.alternatives] == pytest.approx(np.sort(chances)[::-1][:5], rel=1e-4)
        assert [by_character[other] for other, _ in choice.alternatives] == pytest.approx(
            [p for _, p in choice.alternatives], rel=1e-4)
        text += choice.token


def test_words_name_the_character_its_share_and_the_others_likeliest_first():
    said = "“e” 62 %: also a space 20 %, a new line 10 %, “a” 4 %, “<” 0.4 %"
    assert surprise.words(CHOICE).replace(surprise.NO_BREAK, " ") == said
    assert surprise.words(ODD).replace(surprise.NO_BREAK, " ") == "“z” under 0.1 %: also “e” 62 %, “a” 30 %"
    assert surprise.words(Choice("e", 1.0, (("e", 1.0),))).replace(surprise.NO_BREAK, " ") == "“e” 100 %"


def test_the_less_likely_a_character_the_darker_its_shade():
    held = np.geomspace(1, 1e-4, 200)
    found = [surprise.shade(p) for p in held]
    assert found == sorted(found)
    assert set(found) == {0, 1, 2, 3}
    assert surprise.shade(0.5) == 0  # no other can be likelier


@pytest.mark.parametrize("theme", THEMES.values(), ids=THEMES)
def test_text_is_legible_on_the_darkest_shade(theme):
    css = Writing._stylesheets[0]
    rule = css[css.index(".shade-3 "):].split("}")[0]
    amount = float(rule.split("var(--tlab-text) ")[1].split("%")[0]) / 100
    assert 0.1 < amount < 0.3
    assert contrast(theme.text, mix(theme.surface, theme.text, amount)) >= 7


def test_bars_are_the_likeliest_and_the_written_one_wherever_it_stands():
    assert [bar["written"] for bar in surprise.bars(CHOICE)] == [True, False, False, False, False]
    odd = surprise.bars(ODD)
    assert [(bar["name"], bar["share"], bar["written"]) for bar in odd] == [
        ("“e”", 0.62, False), ("“a”", 0.3, False), ("“z”", 0.0004, True),
    ]


# The card on the bench -------------------------------------------------------------------------------------------------


def test_the_newest_text_is_shaded_and_earlier_ones_are_not(stage):
    stage.run.samples = [Sample(0, "One ", "xy")]
    stage.text = replace(stage.text, step=30)
    then, now = Writing(stage).texts
    assert (now["text"], now["shades"]) == ("ez", "03")
    assert now["tips"] == [surprise.words(CHOICE), surprise.words(ODD)]
    assert "shades" not in then


def test_looking_back_nothing_is_shaded_as_likelihoods_are_not_kept(stage):
    stage.run.samples = [Sample(0, "One ", "xy"), Sample(20, "One ", "no")]
    stage.text = replace(stage.text, step=30)
    stage.selection.step = 25
    assert [(row["text"], "shades" in row) for row in Writing(stage).texts] == [("xy", False), ("no", False)]


def test_of_a_long_text_the_bench_shows_what_it_has_room_for(live):
    [now] = Writing(Stage(live, [CHOICE] * LONG)).texts
    assert len(now["text"]) == len(now["shades"]) == len(now["tips"]) == LENGTH


def test_shades_and_text_stay_in_step_over_line_ends(live):
    [now] = Writing(Stage(live, [Choice("\n", 0.9, ()), ODD])).texts
    assert (now["text"], now["shades"]) == ("⏎z", "03")


def test_the_ghosts_text_is_that_of_the_same_step_or_the_last_before(stage):
    stage.ghost = SimpleNamespace(samples=[Sample(step, "One ", f"at {step}") for step in (0, 50, 168)])
    for step, shown in ((0, 0), (49, 0), (50, 50), (167, 50), (400, 168)):
        stage.text = replace(stage.text, step=step)
        ghost, now = Writing(stage).texts
        assert (ghost["when"], ghost["text"], now["when"]) == (f"ghost {shown}", f"at {shown}", f"{step}")


def test_where_nothing_was_written_it_is_said(stage):
    stage.ghost = SimpleNamespace(samples=[Sample(18, "One ", "late")])
    ghost, _ = Writing(stage).texts
    assert (ghost["kind"], ghost["when"], ghost["text"]) == ("none", "ghost", "Nothing written by step 0.")
    stage.text = None
    assert [row["text"] for row in Writing(stage).texts] == ["Nothing written yet."]


# The controls ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("message", "change"), [
    ({"temperature": 1.25}, {"temperature": 1.25}),
    ({"temperature": 99}, {"temperature": 2.0}),
    ({"temperature": float("nan")}, {"temperature": 0.0}),
    ({"top_k": 5}, {"top_k": 5}),
    ({"top_k": -3}, {"top_k": 1}),
    ({"top_k": 10**9}, {"top_k": None}),
    ({"top_p": 0.35}, {"top_p": 0.35}),
    ({"top_p": 1}, {"top_p": None}),
    ({"top_p": -1}, {"top_p": 0.05}),
    ({"seed": 12}, {"seed": 12}),
    ({"seed": 12.0}, {"seed": 12}),
    ({"again": True}, {"seed": 1}),
    ({"prompt": "Once"}, {"prompt": "Once"}),
    ({"length": 10**9}, {}),
])  # fmt: skip
def test_what_the_page_asks_for_is_drawn_within_bounds(stage, message, change):
    writing = Writing(stage)
    writing._handle_msg(message)
    assert stage.request == replace(Request(), **change)
    assert {name: writing.drawing[name] for name in change if name != "prompt"} == {
        name: value for name, value in change.items() if name != "prompt"}


@pytest.mark.parametrize("seed", [-1, 0.5, None, "7", 2**31, float("inf"), [1]])
def test_dice_that_have_no_number_are_refused_in_words_until_others_are_chosen(stage, seed):
    writing = Writing(stage)
    writing._handle_msg({"seed": seed})
    assert (stage.request, writing.message) == (Request(), DICE_ARE_NUMBERED)
    writing._handle_msg({"again": True})
    assert (stage.request.seed, writing.message) == (1, "")


@pytest.mark.parametrize("wrong", [{"temperature": -1}, {"top_k": 0}, {"top_p": 1.5}, {"seed": -1}])
def test_a_request_that_nothing_can_be_drawn_with_can_not_be_made(wrong):
    with pytest.raises(GenerationError, match=f"{next(iter(wrong))} = .* is not allowed"):
        Request(**wrong)


# The page --------------------------------------------------------------------------------------------------------------


def test_the_page_asks_for_a_long_text_while_it_is_there(stage):
    page = TextPage(stage)
    assert stage.request.length == LONG
    page.close()
    assert stage.request == Request()


def test_the_page_shows_what_could_have_stood_in_place_of_the_chosen_character(stage):
    page = TextPage(stage)
    assert (page.story["text"], page.story["shades"], page.story["past"]) == ("ez", "03", False)
    assert (page.place["at"], page.place["bars"]) == (0, surprise.bars(CHOICE))
    page._handle_msg({"character": 1})
    assert page.place["bars"] == surprise.bars(ODD)
    assert page.place["said"].replace(surprise.NO_BREAK, " ") == (
        "Character 2: the model wrote “z”, which it gave under 0.1 %.")
    page._handle_msg({"character": 999})
    assert page.place["at"] == 1
    page._handle_msg({"character": -999})
    assert page.place["at"] == 0


def test_the_choice_of_a_character_stays_while_the_text_changes(stage):
    page = TextPage(stage)
    page._handle_msg({"character": 1})
    stage.text = replace(stage.text, step=9, text="ze", choices=(ODD, CHOICE))
    page.refresh()
    assert (page.place["at"], page.place["bars"], page.story["shades"]) == (1, surprise.bars(CHOICE), "30")


def test_every_kept_text_is_listed_and_leads_back_to_its_step(stage):
    stage.run.samples = [Sample(step, "One ", f"at\n{step}") for step in (0, 100, 500)]
    stage.text = replace(stage.text, step=600)
    page = TextPage(stage)
    assert [(row["when"], row["text"], row["shown"]) for row in page.kept] == [
        ("step 0", "at⏎0", False), ("step 100", "at⏎100", False), ("step 500", "at⏎500", False)]
    page._handle_msg({"sample": 1})
    assert stage.selection.step == 100
    assert (page.story["text"], page.story["past"], "shades" in page.story) == ("at\n100", True, False)
    assert [row["shown"] for row in page.kept] == [False, True, False]
    assert (page.place["said"], page.place["bars"]) == (NOT_KEPT, [])
    page._handle_msg({"sample": 77})
    assert stage.selection.step == 100
    page._handle_msg({"now": True})
    assert stage.selection.step is None
    assert page.story["text"] == "ez"


def test_nothing_is_sent_to_the_page_when_nothing_is_new(stage, monkeypatch):
    page = TextPage(stage)
    before = page.story, page.kept, page.place
    page.refresh()
    assert all(new is old for new, old in zip((page.story, page.kept, page.place), before, strict=True))


def test_the_lab_writes_long_texts_while_the_page_is_open_and_short_ones_after():
    fleet = Fleet(workers=1)
    lab = Lab(TINY, fleet=fleet)
    settle(lab, lambda: lab.session.text is not None and lab.session.text.done)
    assert len(lab.session.text.text) == LENGTH
    lab.shell._handle_msg({"page": "text"})
    settle(lab, lambda: lab.session.text.done and len(lab.session.text.text) == LONG)
    [card] = lab._page._cards
    assert card.content.story["text"] == lab.session.text.text
    assert len(lab.writing.texts[-1]["shades"]) == LENGTH
    lab.shell._handle_msg({"page": ""})
    settle(lab, lambda: lab.session.text.done and len(lab.session.text.text) == LENGTH)
    lab.close()
    fleet.close()


def test_before_there_is_a_text_the_page_is_empty_and_whole(stage):
    stage.text = None
    page = TextPage(stage)
    assert (page.story, page.place, page.kept) == ({}, {}, [])
    page._handle_msg({"character": 3})
    assert page.place == {}


def test_before_there_is_a_run_the_controls_stand_at_what_will_be_drawn():
    class Empty:
        run = ghost = text = None
        prompt_message, selection, request = "", Selection(), Request()

    writing = Writing(Empty())
    assert (writing.texts, writing.prompt, writing.drawing["temperature"]) == ([], "", 0.8)
