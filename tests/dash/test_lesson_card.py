"""What the lesson's card and the list of lessons say, and what the rest of the page does meanwhile."""

from dataclasses import replace

import pytest

from tests.dash.test_lab import TINY, settle
from tlab_core.knob_text import with_values
from tlab_core.lessons import LESSONS
from tlab_core.registry import Registry
from tlab_dash import Lab
from tlab_dash.figures import nats, untrained_loss
from tlab_dash.fleet import Fleet
from tlab_dash.lessons.listing import LessonList, about
from tlab_dash.lessons.taking import MENDED
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


def test_the_button_says_that_an_answer_comes_first(lab):
    taking = begun(lab)
    lab.lesson_card.on_go("fresh")
    assert block(lab, "button-run")["disabled"]
    assert block(lab, "button-run")["hint"] == "Choose an answer first: step 2."
    losses = [nats(untrained_loss(taking.runs[key])) for key in ("pre", "post")]
    assert [value for _, value in block(lab, "loss")["rows"]] == losses
    lab.lesson_card.on_go("predict")
    assert list(LESSON.prediction.options) == [option["key"] for option in block(lab, "question")["options"]]
    lab.lesson_card.on_predict("same")
    assert block(lab, "question")["chosen"] == "same"
    lab.lesson_card.on_go("fresh")
    assert not block(lab, "button-run")["disabled"]


def test_the_whole_lesson_speaks_with_the_numbers_that_were_measured(lab):
    taking = taken(lab)
    verdict, measured = taking.verdict, taking.measured[0]
    assert lab.lesson_card.leaf["step"] == "reveal"
    assert block(lab, "answers")["rows"] == [
        ["You said", "Post-LN: the norm comes last"], ["The runs say", LESSON.prediction.options[verdict.outcome]]]
    assert block(lab, "verdict")["text"] == verdict.sentence
    assert verdict.sentence in lab.lesson_card.leaf["announce"]
    assert block(lab, "numbers")["rows"][0] == ["loss, Pre-LN without warm-up", f"{measured['pre']:.2f}"]
    assert set(lab.shell.bright) == {"map", "text", "loss"}
    assert block(lab, "stage")["chosen"] == "pre"
    lab.lesson_card.on_stage("post_warm")
    settle(lab, lambda: lab.session.run is taking.runs["post_warm"])
    assert block(lab, "stage")["chosen"] == "post_warm"

    lab.lesson_card.on_go("repair")
    assert block(lab, "mend")["text"] == "Turn up warm-up for Post-LN."
    assert block(lab, "slider")["stops"] == ["0", "100"]
    assert block(lab, "button-repair")["disabled"]
    lab.lesson_card.on_turn_up(True)
    assert block(lab, "button-repair")["label"] == "Run it with warm-up 100"
    lab.lesson_card.on_action("repair")
    settle(lab, lambda: taking.mended is not None and lab.session.run is taking.runs[MENDED], seconds=60)
    assert block(lab, "how")["text"].startswith("Step 6: loss ")
    assert [row["line"] for row in block(lab, "standing")["rows"]] == ["solid", "dashed"]
    changed = dict(block(lab, "changed")["rows"])
    assert changed["loss, Post-LN without warm-up"] == f"{measured['post']:.2f} → {taking.mended['post']:.2f}"
    assert "loss, Pre-LN without warm-up" not in changed

    lab.lesson_card.on_go("check")
    assert block(lab, "count")["text"] == f"{verdict.agree} of 1 seed: {'seen' if verdict.seen else 'not seen'}"
    assert "Seeds 1 and 2 were chosen in advance" in block(lab, "what")["text"]
    lab.lesson_card.on_action("check")
    settle(lab, lambda: not taking.checking, seconds=120)
    verdict = taking.verdict
    assert block(lab, "count")["text"] == f"{verdict.agree} of 3 seeds: {'seen' if verdict.seen else 'not seen'}"
    assert block(lab, "numbers")["rows"][0][1].split() == [f"{numbers['pre']:.2f}" for numbers in taking.measured]
    assert "button-check" not in ids(lab)

    lab.lesson_card.on_go("keep")
    assert block(lab, "keep")["text"] == LESSON.take_away
    assert block(lab, "paper")["url"] == LESSON.paper.url
    assert set(lab.shell.bright) > {"heads"}


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
    page.on_take("norm-first")
    page.refresh()
    assert [lesson["name"] for lesson in page.lessons if lesson["taken"]] == ["norm-first"]
    page.on_take("no such lesson")
    assert lab.session.lesson.lesson is LESSON


@pytest.mark.parametrize("lesson", [lesson for _, lesson in LESSONS.items()], ids=lambda lesson: lesson.name)
def test_each_lesson_watches_views_that_the_page_has(lesson):
    bench = {"loss", "signal", "layer_statistics", "heads", "attention", "qk"}
    assert bench <= set(VIEWS.names())
    assert set(lesson.views) <= bench | {"text"}
    assert about(lesson)["source"].endswith(str(lesson.paper.year))
