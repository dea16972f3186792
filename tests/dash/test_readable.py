"""Text that somebody brought: what can't be seen is shown by a sign, and what runs from right to left stays by itself."""

import pytest

from tests.dash.driven import settle
from tests.dash.test_lab import TINY
from tlab_core.corpora.own import OWN_TEXTS, read
from tlab_core.generation import Choice
from tlab_dash import surprise
from tlab_dash.own_text import told
from tlab_dash.readable import END, ISOLATE, UNSEEN, isolated, readable
from tlab_dash.session import Session
from tlab_dash.text_names import text_name
from tlab_dash.views.tokens import axis_ticks, visible
from tlab_dash.writing import one_line

TURNS = [chr(code) for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0x061C)]
SHALOM = "\u05e9\u05dc\u05d5\u05dd"


@pytest.mark.parametrize("turn", TURNS, ids=ascii)
def test_no_character_that_turns_writing_around_reaches_the_page(turn):
    text = f"a{turn}b\nc"
    assert readable(text) == f"a{UNSEEN}b\nc"
    assert one_line(text) == f"a{UNSEEN}b⏎c"
    assert visible(turn) == UNSEEN
    assert surprise.named(turn) == f"U+{ord(turn):04X}"
    assert surprise.words(Choice(turn, 0.5, ((turn, 0.5), ("e", 0.25)))).startswith(f"U+{ord(turn):04X} 50")


@pytest.mark.parametrize("text", ["", "a b\tc\n", SHALOM, "é🙂", "नि\u200dन", "no\u00a0break"])
def test_what_can_be_seen_or_does_no_harm_stays(text):
    assert readable(text) == text


def test_the_words_on_an_axis_are_not_turned_around():
    ticks, are_words = axis_ticks("\u202eone day he was here today ")
    assert are_words
    assert ticks[0] == (1.5, f"{UNSEEN}one")


def test_a_text_keeps_its_length_so_that_shades_stay_with_their_characters():
    text = "".join(map(chr, [*range(0x00, 0x20), *range(0x7F, 0xA0), *range(0x2000, 0x2070), 0xFEFF]))
    assert len(readable(text)) == len(text)


def test_a_name_from_right_to_left_is_kept_apart_from_the_sentence():
    assert isolated("stories") == "stories"
    assert isolated(SHALOM) == f"{ISOLATE}{SHALOM}{END}"
    name = OWN_TEXTS.keep(kept := read(f"{SHALOM} ".encode() * 400, SHALOM))
    assert text_name(name) == f"{ISOLATE}{SHALOM}{END}"
    del kept


def test_the_dialog_shows_what_is_hidden_in_the_first_line():
    session = Session(TINY)
    try:
        settle(session, lambda: session.run is not None, seconds=60)
        text = read("\u202eabc\nd".encode() * 400)
        found = told(session, text, lambda experiment, problem: problem.allowed)
        assert found["first"].startswith(f"{UNSEEN}abc")
        assert "U+202E" in found["probe"]
        assert "\u202e" not in "".join(found.values())
    finally:
        session.close()
