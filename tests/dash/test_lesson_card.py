"""What the lesson's card and the list of lessons say, and what the rest of the page does meanwhile."""

from dataclasses import replace

import pytest

from tests.dash.test_lab import TINY, settle
from tlab_core import LiveRun
from tlab_core.knob_text import with_values
from tlab_core.lessons import LESSONS
from tlab_core.lessons.reading import first
from tlab_core.registry import Registry
from tlab_dash import Lab
from tlab_dash.figures import nats
from tlab_dash.fleet import Fleet
from tlab_dash.lessons.listing import LessonList, about
from tlab_dash.views import VIEWS

NORM_FIRST = LESSONS.get("norm-first")
SMALL = {"architecture.num_layers": 2, "architecture.hidden_dim": 16, "architecture.num_heads": 2, "training.batch_size": 2,
         "training.seq_len": 16, "training.steps": 6, "training.eval_every": 3}  # fmt: skip
LESSON = replace(NORM_FIRST, base=with_values(NORM_FIRST.base, SMALL), steps=6)


@pytest.fixture
def lab(monkeypatch):
    lessons = Registry("lesson")
    lessons.register(LESSON.name)(LESSON)
    monkeypatch.setattr("tlab_dash.session.LESSONS", lessons)
    fleet = Fleet(workers=1)
    lab = Lab(TINY, fleet=fleet)
    settle(lab, lambda: lab.session.run is not None)
    yield lab
    lab.close()
    fleet.close()


def begun(lab):
    lab.shell.on_lesson("norm-first")
    settle(lab, lambda: lab.session.lesson.doing == "ready" and lab.session.run is lab.session.lesson.runs["pre"])
    return lab.session.lesson


def taken(lab):
    taking = begun(lab)
    lab.lesson_card.on_predict("post")
    lab.lesson_card.on_action("run")
    settle(lab, lambda: taking.doing == "done" and lab.session.run is taking.runs["pre"], seconds=120)
    return taking


def block(lab, name):
    return next(block for block in lab.lesson_card.leaf["blocks"] if block["id"] == name)


def ids(lab):
    return [block["id"] for block in lab.lesson_card.leaf["blocks"]]


def everything(value):
    """Yield every string in a leaf."""
    if isinstance(value, dict):
        value = [part for name, part in value.items() if name not in ("id", "kind", "style", "url", "key", "action")]
    if isinstance(value, list | tuple):
        for part in value:
            yield from everything(part)
    elif isinstance(value, str):
        yield value


def test_a_lesson_takes_the_bench_and_says_what_to_look_at(lab):
    begun(lab)
    leaf = lab.lesson_card.leaf
    assert (leaf["title"], leaf["heading"]) == (LESSON.title, "1. Look")
    assert block(lab, "look")["text"] == LESSON.look
    assert [option["label"] for option in block(lab, "flip")["options"]] == ["Pre-LN", "Post-LN"]
    assert (lab.shell.lesson, lab.shell.bright) == ("norm-first", ["map"])
    assert (leaf["back"], leaf["next"]) == ("", "predict")


def test_the_map_flips_between_the_two_drawings_and_only_in_the_first_step(lab, monkeypatch):
    begun(lab)
    drawn = []
    update = lab.map.update
    monkeypatch.setattr(lab.map, "update", lambda architecture, *rest: drawn.append(architecture.residual_type)
                        or update(architecture, *rest))
    for key in ("pre", "post", "pre", "post"):
        lab.lesson_card.on_flip(key)
    assert drawn == ["Pre-LN", "Post-LN", "Pre-LN", "Post-LN"]
    lab.lesson_card.on_go("predict")
    lab.lesson_card.on_flip("no such run")
    assert drawn[4:] == ["Pre-LN", "Pre-LN"]


def test_a_guess_comes_first(lab):
    taking = begun(lab)
    lab.lesson_card.on_go("predict")
    leaf = lab.lesson_card.leaf
    assert (leaf["step"], leaf["next"]) == ("predict", "")
    assert [step["name"] for step in leaf["steps"] if step["open"]] == ["look", "predict"]
    assert block(lab, "button-skip")["label"] == "Skip the guess"
    lab.lesson_card.on_go("fresh")
    assert lab.lesson_card.leaf["step"] == "predict"
    lab.lesson_card.on_predict("pre")
    assert "button-skip" not in ids(lab)
    assert lab.lesson_card.leaf["next"] == "fresh"
    lab.lesson_card.on_go("fresh")
    runs = [taking.runs[key] for key in ("pre", "post")]
    losses = [nats(first(run, "validation", "loss")) for run in runs]
    assert [value for _, value in block(lab, "loss")["rows"]] == losses
    assert "Guessing blindly among 53 gives 3.97." in block(lab, "guessing")["text"]
    ratios = [f"{LESSON.fresh.measure(run):.2f}×" for run in runs]
    assert [value for _, value in block(lab, "before")["rows"]] == ratios
    assert block(lab, "meaning")["text"] == LESSON.fresh.meaning
    lab.lesson_card.on_go("predict")
    assert list(LESSON.prediction.options) == [option["key"] for option in block(lab, "question")["options"]]
    lab.lesson_card.on_predict("same")
    assert block(lab, "question")["chosen"] == "same"
    lab.lesson_card.on_go("fresh")
    assert not block(lab, "button-run")["disabled"]


def test_who_skips_the_guess_says_so_and_is_told_so(lab):
    taking = begun(lab)
    lab.lesson_card.on_go("predict")
    lab.lesson_card.on_action("skip")
    assert (taking.answer, lab.lesson_card.leaf["step"]) == (None, "fresh")
    lab.lesson_card.on_action("run")
    settle(lab, lambda: taking.doing == "done" and lab.session.run is taking.runs["pre"], seconds=120)
    assert block(lab, "answers")["rows"][0] == ["You said", "Nothing: you skipped the guess"]
    assert lab.lesson_card.leaf["announce"].startswith("You said: Nothing: you skipped the guess. ")
    lab.lesson_card.on_go("predict")
    assert block(lab, "hint")["text"] == "There was no guess, and the runs have begun."
    assert "button-skip" not in ids(lab)


def test_the_whole_lesson_speaks_with_the_numbers_that_were_measured(lab):
    taking = taken(lab)
    verdict, measured = taking.verdict, taking.measured[0]
    assert lab.lesson_card.leaf["step"] == "reveal"
    assert block(lab, "answers")["rows"] == [
        ["You said", "Post-LN: the norm comes last"], ["The runs say", LESSON.prediction.options[verdict.outcome]]]
    assert block(lab, "verdict")["text"] == verdict.sentence
    assert verdict.sentence in lab.lesson_card.leaf["announce"]
    assert block(lab, "numbers")["rows"][0] == ["loss, Pre-LN without warm-up", f"{measured['pre']:.2f}"]
    assert block(lab, "unseen")["text"] == "Every loss is that on unseen text, at step 6."
    assert set(lab.shell.bright) == {"map", "text", "loss"}
    assert block(lab, "stage")["chosen"] == "pre"
    lab.lesson_card.on_stage("post")
    settle(lab, lambda: lab.session.run is taking.runs["post"])
    assert block(lab, "stage")["chosen"] == "post"
    for step in ("race", "reveal", "check"):  # what the knob of the next step would do is not told yet
        lab.lesson_card.on_go(step)
        words = " ".join(everything(lab.lesson_card.leaf["blocks"]))
        assert "with warm-up" not in words.lower(), step
        assert "With warm-up" not in lab.lesson_card.leaf["announce"]

    lab.lesson_card.on_go("repair")
    assert block(lab, "mend")["text"] == LESSON.repair.sentence
    assert [option["label"] for option in block(lab, "knob")["options"]] == ["0 steps", "100 steps"]
    assert block(lab, "knob")["chosen"] == "0"
    assert block(lab, "button-repair")["disabled"]
    assert block(lab, "button-repair")["hint"] == "Turn the knob first."
    lab.lesson_card.on_turn_up(True)
    assert block(lab, "knob")["chosen"] == "1"
    assert block(lab, "button-repair")["label"] == "Run it with warm-up 100 steps"
    lab.lesson_card.on_action("repair")
    settle(lab, lambda: taking.mended and lab.session.run is taking.runs["post_warm"], seconds=60)
    losses = {key: f"{measured[key]:.2f}" for key in LESSON.runs}  # one number for each run, wherever it stands
    assert block(lab, "how")["text"] == (
        f"With warm-up, Pre-LN reaches loss {losses['pre_warm']} and Post-LN {losses['post_warm']}.")
    assert [(row["label"], row["line"], row["words"]) for row in block(lab, "standing")["rows"]] == [
        ("Post-LN with warm-up", "solid", f"loss {losses['post_warm']}"), ("Post-LN", "dashed", f"loss {losses['post']}")]
    assert block(lab, "numbers")["rows"] == [
        ["loss, Pre-LN without warm-up", losses["pre"]], ["loss, Post-LN without warm-up", losses["post"]],
        ["loss, Pre-LN with warm-up", losses["pre_warm"]], ["loss, Post-LN with warm-up", losses["post_warm"]]]
    assert block(lab, "knob")["locked"]
    lab.lesson_card.on_go("reveal")
    assert [option["key"] for option in block(lab, "stage")["options"]] == list(LESSON.runs)

    lab.lesson_card.on_go("check")
    assert block(lab, "count")["text"] == f"{verdict.agree} of 1 seed: {'seen' if verdict.seen else 'not seen'}"
    assert "Seeds 1 and 2 were chosen in advance" in block(lab, "what")["text"]
    lab.lesson_card.on_action("check")
    settle(lab, lambda: not taking.checking, seconds=120)
    verdict = taking.verdict
    assert block(lab, "count")["text"] == f"{verdict.agree} of 3 seeds: {'seen' if verdict.seen else 'not seen'}"
    assert block(lab, "mended")["text"] == verdict.mended
    assert block(lab, "numbers")["rows"][0][1].split() == [f"{numbers['pre']:.2f}" for numbers in taking.measured]
    assert "button-check" not in ids(lab)

    lab.lesson_card.on_go("keep")
    assert block(lab, "keep")["text"] == LESSON.take_away
    assert block(lab, "paper")["url"] == LESSON.paper.url
    assert set(lab.shell.bright) > {"heads"}


def test_while_it_races_the_card_gives_no_loss_that_would_differ_from_the_last(lab, monkeypatch):
    taking = begun(lab)
    lab.lesson_card.on_predict("post")
    lab.lesson_card.on_action("run")
    settle(lab, lambda: taking.doing == "done" and lab.session.run is taking.runs["pre"], seconds=120)
    lab.lesson_card.on_go("race")
    assert [row["words"] for row in block(lab, "standing")["rows"]] == [
        f"loss {taking.measured[0][key]:.2f}" for key in ("pre", "post")]
    monkeypatch.setattr(LiveRun, "step", 5)  # on the way there is none
    lab.lesson_card.refresh()
    assert [row["words"] for row in block(lab, "standing")["rows"]] == ["", ""]


def test_what_the_runs_write_stands_beside_the_verdict_where_the_lesson_has_examples(lab):
    taking = taken(lab)
    assert "examples" not in ids(lab)
    taking.examples = {"At temperature 0.2": "One day Ben went home."}
    lab.lesson_card.refresh()
    assert block(lab, "examples")["rows"] == [["At temperature 0.2", "One day Ben went home."]]


def test_one_reads_no_name_of_the_code(lab):
    taking = taken(lab)
    for step in taking.steps:
        lab.lesson_card.on_go(step)
        words = " ".join(everything({**lab.lesson_card.leaf, "name": "", "step": "", "steps": [], "back": "", "next": ""}))
        assert "_" not in words, step
        assert "nan" not in words.split(), step


def test_leaving_takes_the_card_away(lab):
    mine = lab.session.run
    begun(lab)
    lab.lesson_card.on_action("leave")
    settle(lab, lambda: lab.session.run is mine)
    assert lab.lesson_card.leaf == {}
    assert (lab.shell.lesson, lab.shell.bright) == ("", [])


def test_an_address_with_an_unknown_lesson_says_which_is_near(lab):
    lab.shell.on_lesson("norm-frist")
    assert lab.session.lesson is None
    assert "norm-first" in lab.changes.sentences[0]["text"]
    begun(lab)
    lab.shell.on_lesson("")
    assert lab.session.lesson is None


def test_other_messages_change_nothing(lab):
    begun(lab)
    strange = [{"action": "_leave"}, {"action": []}, {"go": "no such step"}, {"predict": ["x"]}, {"stage": {}},
               {"flip": []}, {"turn_up": "yes"}]  # fmt: skip
    for message in strange:
        lab.lesson_card._handle_msg(message)
    assert lab.session.lesson.step == "look"
    assert lab.session.lesson.answer is None


def test_the_list_has_every_lesson_with_its_source_and_time(lab):
    page = LessonList(lab.session)
    assert [lesson["name"] for lesson in page.lessons] == LESSONS.names()
    assert all(lesson["title"].endswith("?") and lesson["seconds"] < 60 for lesson in page.lessons)
    sources = {lesson["name"]: lesson["source"] for lesson in page.lessons}
    assert sources["norm-first"] == "Xiong et al. 2020"
    assert sources["which-norm"] == "Zhang & Sennrich 2019"
    assert sources["gated-units"] == "Shazeer 2020"
    assert sources["rank-collapse"] == "Dong et al. 2021"
    assert not any(lesson["taken"] for lesson in page.lessons)
    lab.shell.on_lesson("norm-first")
    page.refresh()
    assert [lesson["name"] for lesson in page.lessons if lesson["taken"]] == ["norm-first"]
    assert lab.session.lesson.lesson is LESSON


@pytest.mark.parametrize("lesson", [lesson for _, lesson in LESSONS.items()], ids=lambda lesson: lesson.name)
def test_each_lesson_watches_views_that_the_page_has(lesson):
    bench = {"loss", "signal", "layer_statistics", "heads", "attention", "qk"}
    assert bench <= set(VIEWS.names())
    assert set(lesson.views) <= bench | {"text"}
    assert about(lesson)["source"].endswith(str(lesson.paper.year))


def test_what_changed_gives_no_answer_away_before_the_runs_have_run(lab):
    begun(lab)
    lab.changes.refresh()
    assert [sentence["text"] for sentence in lab.changes.sentences] == [
        "What the lesson's runs differ in shows here once they have run."]
    lab.session.trouble = "What is wrong with the address."
    lab.changes.refresh()
    assert lab.changes.sentences[0]["text"] == lab.session.trouble
    taken(lab)
    lab.changes.refresh()
    assert all("once they have run" not in sentence["text"] for sentence in lab.changes.sentences)
