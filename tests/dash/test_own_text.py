"""A text of one's own on the page: what the dialog says of it, learning it, looking into the model with it."""

import numpy as np
import pytest

from tests.dash.driven import settle
from tests.dash.test_lab import TINY
from tlab_core.corpora import corpus_title
from tlab_core.corpora.own import address, read
from tlab_core.limits import LARGEST_UPLOAD, Limits
from tlab_core.runs import RunStore
from tlab_dash.controls import Knobs, problem_in_words, value_label
from tlab_dash.figures import knob_words
from tlab_dash.fleet import Fleet
from tlab_dash.knob_names import with_knobs
from tlab_dash.runs_list import unusual
from tlab_dash.seat import GHOST_STEPS
from tlab_dash.session import Session
from tlab_dash.sharing import experiment_of, file_name, settings

WIND = "Der Wind weht über die Grüße. <script>alert(1)</script>\r\n" * 60
BEN = "One day Ben went to the wood. He had a red ball.\n" * 60  # only characters that the stories have


@pytest.fixture
def open_session():
    """Return a function that opens a session with a tiny run, and its knobs."""
    fleet = Fleet(workers=1)
    sessions = []

    def open_one(limits=None, **knobs):
        session = Session(with_knobs(TINY, knobs), fleet=fleet, limits=limits or Limits())
        sessions.append(session)
        settle(session, lambda: session.run is not None)
        return session, Knobs(session)

    yield open_one
    for session in sessions:
        session.close()
    fleet.close()


def bring(knobs, text, serial=1, **message):
    """Paste a text, and press what `message` says; return what the dialog says then."""
    knobs.own_text._handle_msg({"look": {"serial": serial, "data": text if isinstance(text, bytes) else text.encode()}})
    for press, values in message.items():
        knobs.own_text._handle_msg({press: {"serial": serial, **values}})
    return knobs.own_text.said


def learns(session, text):
    return session.run.experiment.corpus == address(read(text.encode()))


def test_the_dialog_says_what_came(open_session):
    _, knobs = open_session()
    assert bring(knobs, BEN, serial=7) == {
        "serial": 7, "problem": "", "characters": "2,940", "different": "18",
        "first": "One day Ben went to the wood. He had a red ball.", "title": "One day Ben went to the", "learn": "",
        "probe": "", "cut": "As probe text, only the first 64 characters are shown.",
    }  # fmt: skip


def test_a_text_is_learned_at_once_and_offered_by_its_name(open_session):
    session, knobs = open_session()
    assert bring(knobs, WIND, learn={"title": " <b>Wind</b>\n"}) == {}
    settle(session, lambda: learns(session, WIND) and session.run.step > 0)
    assert session.run.tokenizer.characters == "".join(sorted(set(WIND) - {"\r"}))
    name = session.draft.corpus
    assert knobs.texts == [{"value": name, "label": "<b>Wind</b>", "title": "<b>Wind</b>"}]
    assert knobs.values["corpus"] == name
    knobs._handle_msg({"turn": {"knob": "corpus", "value": "stories"}})
    settle(session, lambda: session.run.experiment.corpus == "stories")
    knobs._handle_msg({"turn": {"knob": "corpus", "value": name}})
    settle(session, lambda: learns(session, WIND))


def test_a_text_that_nobody_brought_here_cannot_be_turned_to(open_session):
    session, knobs = open_session()
    knobs._handle_msg({"turn": {"knob": "corpus", "value": "own:0123456789abcdef"}})
    assert (session.draft.corpus, session.problems) == ("stories", [])


def test_the_title_stands_wherever_the_text_is_named(open_session):
    session, knobs = open_session()
    bring(knobs, WIND, learn={"title": "My wind"})
    settle(session, lambda: learns(session, WIND))
    corpus = session.draft.corpus
    assert value_label("corpus", corpus) == knob_words(session, "corpus", corpus) == "My wind"
    assert "Text My wind" in unusual(session.experiment.to_dict())
    assert file_name(session.experiment) == "My wind"
    session.write(prompt="Quiz")
    assert session.prompt_message.startswith("“Q”, “u”")
    assert "never occur in My wind" in session.prompt_message


def test_a_long_title_is_cut_where_it_stands_in_a_sentence_and_whole_where_one_points(open_session):
    title = "Ein Lied vom Wind " * 6
    session, knobs = open_session()
    bring(knobs, WIND, learn={"title": title})
    settle(session, lambda: learns(session, WIND))
    short = "Ein Lied vom Wind Ein L…"
    assert value_label("corpus", session.draft.corpus) == short
    (offered,) = knobs.texts
    assert (offered["label"], offered["title"]) == (short, corpus_title(session.draft.corpus))
    session.write(prompt="Ω")
    assert session.prompt_message == f"“Ω” never occurs in {short}, so the model can't read it."


def test_a_shared_link_opens_it_here_and_explains_itself_elsewhere(open_session):
    session, knobs = open_session()
    bring(knobs, WIND, learn={"title": "My wind"})
    settle(session, lambda: learns(session, WIND))
    query = settings(session.experiment, [])["query"]
    assert "wind" not in query.casefold()
    assert experiment_of(query)[0].corpus == session.draft.corpus
    elsewhere = query.replace(session.draft.corpus.removeprefix("own:"), "0123456789abcdef")
    assert experiment_of(elsewhere) == (None, (
        "The link's run learned somebody's own text, which a link leaves out. Ask for the text, then give it to “Use my "
        "own text…” on this page and open the link again."))


def test_a_text_serves_as_probe_text_and_the_usual_one_comes_back(open_session):
    session, knobs = open_session()
    assert bring(knobs, BEN, probe={}) == {}
    settle(session, lambda: "".join(session.run.probe_tokens) == BEN[:64])
    assert knobs.own_text.probing
    knobs.own_text._handle_msg({"usual": True})
    settle(session, lambda: "".join(session.run.probe_tokens) not in BEN)
    assert not knobs.own_text.probing


def test_what_was_learned_stays_when_the_inside_is_shown_on_another_text(open_session):
    session, knobs = open_session()
    session.step_once()
    settle(session, lambda: session.run.step == 1)
    before = session.run.model.flat.copy()
    bring(knobs, BEN[:33], probe={})
    settle(session, lambda: "".join(session.run.probe_tokens) == BEN[:33])  # all of it
    assert (session.run.step, session.ghost) == (1, None)
    np.testing.assert_array_equal(session.run.model.flat, before)


def test_run_and_ghost_are_looked_into_on_the_same_text_and_training_goes_on(open_session):
    session, knobs = open_session()
    for _ in range(GHOST_STEPS):
        session.step_once()
    settle(session, lambda: session.run.step == GHOST_STEPS)
    session.change(qk_norm=True)
    settle(session, lambda: session.ghost is not None)
    session.train()
    settle(session, lambda: session.run.step > 0)
    bring(knobs, BEN, probe={})
    settle(session, lambda: "".join(session.run.probe_tokens) == "".join(session.ghost.probe_tokens) == BEN[:64])
    step = session.run.step
    settle(session, lambda: session.run.step > step)
    assert session.ghost.step == GHOST_STEPS
    session.pause()


def test_a_kept_run_stays_as_it_was_kept_and_it_is_said(open_session, tmp_path):
    session, knobs = open_session()
    session.save("mine", RunStore(tmp_path))
    settle(session, lambda: session.kept["name"] == "mine" and not session.kept["busy"])
    bring(knobs, BEN, probe={})
    settle(session, lambda: "".join(session.run.probe_tokens) == BEN[:64])
    assert session.message.startswith("“mine” is kept as it was.")
    assert session.kept["name"] == ""
    assert "".join(RunStore(tmp_path).open("mine").probe_tokens) != BEN[:64]


def test_a_probe_text_ends_where_a_learned_position_table_does(open_session):
    session, knobs = open_session(**{"architecture.pos_encoding_type": "Learned", "architecture.max_seq_len": 20})
    assert bring(knobs, BEN)["cut"] == "As probe text, only the first 20 characters are shown."
    bring(knobs, BEN, probe={})
    settle(session, lambda: "".join(session.run.probe_tokens) == BEN[:20])


@pytest.mark.parametrize(("text", "said"), [
    (WIND, "“ü”, “ß”, “<”, “>”, “(” and more never occur in stories, so its model can't read this as probe text."),
    ("to~", "“~” never occurs in stories, so its model can't read this as probe text."),
    ("ab", "A probe text needs at least 3 characters."),
])  # fmt: skip
def test_what_the_model_cannot_read_is_no_probe_text(open_session, text, said):
    session, knobs = open_session()
    before = session.draft
    assert bring(knobs, text, probe={})["probe"] == said
    assert before is session.draft


def test_learning_a_text_lets_go_of_a_probe_text_that_it_cannot_read(open_session):
    session, knobs = open_session()
    bring(knobs, BEN, probe={})
    settle(session, lambda: session.run.experiment.probe_text != "")
    assert bring(knobs, WIND, serial=2)["learn"] == ""
    bring(knobs, WIND, serial=2, learn={"title": ""})
    settle(session, lambda: learns(session, WIND))
    assert session.draft.probe_text == ""


@pytest.mark.parametrize(("raw", "said"), [
    (b"", "The text is empty. Paste one, or choose a file."),
    (WIND.encode("latin-1"), "The text is not UTF-8: byte 14, in line 1, is 0xFC."),
    (b"\x89PNG\r\n\x1a\n\0", "The text is not UTF-8: byte 0"),
    (b"a" * 10_000_000, "The text is too large: it has 10,000,000 bytes, and 5,000,000 are the most here."),
])  # fmt: skip
def test_what_is_no_text_is_refused_and_cannot_be_used(open_session, raw, said):
    session, knobs = open_session()
    before = session.draft
    told = bring(knobs, raw, learn={"title": "x"}, probe={})
    assert told["problem"].startswith(said)
    assert "characters" not in told
    assert session.draft is before


@pytest.mark.parametrize(("text", "said"), [
    ("x" * 3000, "The text holds nothing but “x”: there is nothing to learn."),
    (BEN[:998], "The text is too short to learn from: it has 998 characters, and 1,000 are the least."),
])  # fmt: skip
def test_what_cannot_be_learned_says_why(open_session, text, said):
    session, knobs = open_session()
    before = session.draft
    assert bring(knobs, text, learn={"title": ""})["learn"] == said
    assert session.draft is before


def test_a_text_too_short_for_the_context_says_what_to_turn(open_session):
    _, knobs = open_session(**{"training.seq_len": 128, "architecture.max_seq_len": 128})
    said = bring(knobs, BEN[:1200])["learn"]
    assert said.startswith("Of the 1,200 characters of 'One day Ben went to the', one part")
    assert said.endswith("Set Context to 119 first.")


def test_a_text_with_more_characters_than_the_limits_allow_is_refused_by_its_cost(open_session):
    session, knobs = open_session(Limits(parameters=30_000))
    many = "".join(map(chr, range(0x4E00, 0x4E00 + 1_000))) * 2
    before = session.draft
    said = bring(knobs, many, learn={"title": ""})
    assert said["learn"].startswith("Models have at most 30,000 parameters here, and this one would have 5")
    assert session.draft is before


def test_the_servers_limit_holds_however_the_text_comes(open_session):
    _, knobs = open_session(Limits(upload=3_000))
    assert knobs.own_text.largest == 3_000
    assert bring(knobs, BEN * 2)["problem"] == (
        "The text is too large: it has 5,880 bytes, and 3,000 are the most here. Bring a part of it.")
    assert bring(knobs, BEN)["problem"] == ""
    knobs.own_text._handle_msg({"large": {"serial": 3, "size": 10_000_000}})
    assert (knobs.own_text.said["serial"], "10,000,000 bytes" in knobs.own_text.said["problem"]) == (3, True)
    _, knobs = open_session(Limits(upload=10**9))
    assert knobs.own_text.largest == LARGEST_UPLOAD


def test_only_the_text_on_show_is_used(open_session):
    session, knobs = open_session()
    before = session.draft
    bring(knobs, BEN, serial=4)
    knobs.own_text._handle_msg({"learn": {"serial": 3, "title": ""}})
    knobs.own_text._handle_msg({"forget": True})
    knobs.own_text._handle_msg({"learn": {"serial": 4, "title": ""}})
    knobs.own_text._handle_msg({"learn": {"title": ""}})
    assert session.draft is before


@pytest.mark.parametrize("message", [
    {"look": {"serial": 1, "data": "text"}}, {"look": {}}, {"look": None}, {"large": {}}, {"learn": {}}, {"learn": 3},
    {"large": {"size": "x", "serial": []}}, {"probe": {"serial": None}}, {"probe": []},
])  # fmt: skip
def test_a_message_that_makes_no_sense_changes_nothing(open_session, message):
    session, knobs = open_session()
    before = session.draft
    knobs.own_text._handle_msg(message)
    assert session.draft is before


def test_the_fix_of_a_probe_text_has_words(open_session):
    session, _ = open_session()
    draft = session.draft.replace(probe_text="ab")
    assert problem_in_words(draft, draft.problems()[0]).endswith("Set Probe text to the usual one first.")
