"""The tables that the site is made from, held against the registries; and docstrings, which must come out as they are."""

import ast
import base64
import doctest
import inspect
import io
import re
from importlib import import_module
from pathlib import Path

import click
import numpy as np
import pytest
from PIL import Image

from docs.generator import (
    api_pages,
    command_page,
    figures,
    gallery_pages,
    glossary_page,
    knob_pages,
    lesson_pages,
    numbers,
    pairs,
    papers,
    prose,
    thumbnails,
)
from docs.generator.shown import BASE, SHOWN, Pair
from tlab_core.cli import tlab
from tlab_core.knob_text import flat, knobs
from tlab_core.knobs import ChoiceKnob
from tlab_core.lessons import LESSONS
from tlab_core.own_statistics import STATISTICS
from tlab_core.registry import Registry
from tlab_core.run import LiveRun
from tlab_dash.views import VIEWS
from tlab_dash.words import LETTERS, LETTERS_OF, WORDS

PAIRS = {knob: pair for knob, pair in SHOWN.items() if isinstance(pair, Pair)}


def test_every_knob_has_two_values_to_show_or_a_reason_why_not():
    assert list(SHOWN) == [knob for knob, _ in knobs()]
    reasons = {knob: reason for knob, reason in SHOWN.items() if knob not in PAIRS}
    assert list(reasons) == ["architecture.vocab_size"]  # of all others there is something to see
    assert all(len(reason) > 40 and reason.endswith((".", "`.")) for reason in reasons.values())


@pytest.mark.parametrize("knob", PAIRS)
def test_the_two_runs_of_a_knob_differ_in_it_alone_and_can_be_made(knob):
    first, second = pairs.experiments(knob).values()
    first.check()
    second.check()
    values = flat(first), flat(second)
    assert [name for name in values[0] if values[0][name] != values[1][name]] == [knob]
    others = set(PAIRS[knob].also)
    assert knob not in others
    assert {name for name in values[0] if values[0][name] != flat(BASE)[name]} - {knob} <= others


@pytest.mark.parametrize("knob", PAIRS)
def test_a_knob_shows_its_components_or_the_code_that_it_acts_in(knob):
    about, pair = dict(knobs())[knob], PAIRS[knob]
    chooses = isinstance(about, ChoiceKnob) and isinstance(about.options, Registry)
    assert bool(pair.acts) != (chooses or knob == "corpus")
    for place in pair.acts:
        assert inspect.getsource(knob_pages.named(place)).strip()


def test_what_a_knob_is_for_is_told_in_a_number_and_where_the_runs_would_mislead_in_a_sentence():
    assert {knob: pair.number for knob, pair in PAIRS.items() if pair.number} == {
        "training.weight_decay": "weight_size", "training.label_smoothing": "certainty", "training.z_loss": "drift"}
    assert all(not pair.look or pair.look.endswith(".") for pair in PAIRS.values())
    assert flat(pairs.experiments("training.warmup_steps")["warm-up 0"])["architecture.residual_type"] == "Post-LN"
    made = {}
    for knob in ("training.z_loss", "training.label_smoothing"):
        runs = {name: LiveRun(one.replace(corpus="brackets")) for name, one in pairs.experiments(knob).items()}
        for run in runs.values():
            run.advance(steps=30)
            run.sample(run.experiment.prompt, 5)
        made[knob] = pairs.made(knob, runs)
    (drifted, held), (sure, unsure) = ([float(value) for value in one["rows"][0][1:]] for one in made.values())
    assert held < drifted / 2  # ln Z, of which z-loss is the price
    assert unsure < sure
    told = made["training.z_loss"]
    assert told["sentences"][0]["text"].startswith("Step 80: the distance of ln Z from zero is ")
    page = dict(knob_pages.pages({"training.z_loss": told}, {"training.z_loss": "snapshot.html"}))["z_loss"]
    assert prose.paragraph(PAIRS["training.z_loss"].look) in page


def made_up(knob):
    """What `pairs` would have made for a knob, had it trained."""
    return {
        "names": list(pairs.experiments(knob)), "steps": 80, "commands": ["tlab train x", "tlab train y"],
        "sentences": [{"text": "Step 80: the *loss* is lower_", "lesson": "norm-first"}],
        "look": PAIRS[knob].look,
        "rows": [["loss", "1 nats", "2 nats"], ["parameters", "5", "5"], ["what it writes", "- a|b", ">>> x"]],
    }  # fmt: skip


def warnings_of(text):
    """What docutils has to say of reStructuredText, without Sphinx's roles and directives."""
    core = import_module("docutils.core")
    stream = io.StringIO()
    core.publish_doctree(text, settings_overrides={"warning_stream": stream, "report_level": 1})
    return stream.getvalue()


def test_each_knob_has_a_page_with_every_value_its_paper_and_both_passes():
    pages = dict(knob_pages.pages({knob: made_up(knob) for knob in PAIRS}, dict.fromkeys(PAIRS, "snapshot.html")))
    assert len(pages) == len(SHOWN) + 1
    for knob, about in knobs():
        page = pages[knob_pages.slug(knob)]
        assert page.startswith(prose.title(about.label))
        assert prose.paragraph(about.doc) in page
        assert ('src="snapshot.html"' in page) == (knob in PAIRS)
        if isinstance(about, ChoiceKnob):
            assert all(name in page for name in about.names())
    norm = pages["norm_type"]
    assert "y = w · x / √(mean(x²) + ε)" in norm
    assert "Zhang & Sennrich 2019" in norm
    assert norm.count("def forward(self, x, work)") == norm.count("def backward(self, dy, work)") >= 3
    assert ":doc:`LayerNorm, RMSNorm, or none at all? </lessons/which-norm>`" in norm
    assert "def _adapt" in pages["optimizer"]  # AdamW's work is done by Adam's code


def test_each_view_has_a_page_with_an_example_that_ends_in_it():
    names = [figures.called(name) for name in VIEWS.names()]
    assert set(figures.EXAMPLES) <= set(names)
    made = {"html": "<b></b>", "dark": "<b></b>", "note": "", "thumbnail": "<svg>a</svg>", "dark_thumbnail": "<svg>b</svg>"}
    pages = dict(gallery_pages.pages(dict.fromkeys(VIEWS.names(), made)))
    assert set(pages) == {"index", *names}
    assert pages["index"].count("<svg>a</svg>") == pages["index"].count("<svg>b</svg>") == len(names)
    assert all(f'href="{name}.html"' in pages["index"] and f"<code>{name}</code>" in pages["index"] for name in names)
    assert not [view.caption for _, view in VIEWS.items() if re.search(r"\babove\.", view.caption)]  # is not there
    told = {name for name in names if "is a click in the lab" in pages[name]}
    assert told == {"heads", "all_heads", "units", "weight_map"}
    for name in VIEWS.names():
        code = figures.example(name)
        shared = code.removeprefix(figures.OWN_BEGINNINGS.get(name, ""))
        assert shared.startswith(figures.BEGINNING)
        assert 3 <= len([line for line in shared.splitlines() if line]) <= 6
        last = ast.parse(code).body[-1]
        assert isinstance(last, ast.Expr)
        assert ast.unparse(last).startswith(f"views.{figures.called(name)}(run")


def test_an_example_draws_what_it_says():
    from tlab_core import LiveRun, default_experiment
    from tlab_dash import views

    before = STATISTICS.so_far()
    try:
        for beginning in figures.OWN_BEGINNINGS.values():
            exec(beginning, {"__name__": "__main__"})
        run = LiveRun(default_experiment().replace(corpus="brackets"))
        run.advance(steps=5)
    finally:
        STATISTICS.restore(before)
    for name in VIEWS.names():
        call = figures.example(name).splitlines()[-1]
        made = figures.drawn(name, call, {"run": run, "views": views})
        assert made["thumbnail"].startswith("<svg"), name
        assert any(mark in made["thumbnail"] for mark in ("<path", "<rect", "<circle", "<image")), name
        if name == "own_statistic":  # a line of its own, and the number that it ends at
            assert made["thumbnail"].count("<path") > 1
            assert "at step 0, now" in made["note"]
        if name == "qk_history":
            assert "spread of scores" in made["note"]
            assert "spread of scores" in made["html"]


def test_a_small_picture_has_every_mark_where_its_figure_has_it():
    from bokeh.models import ColumnDataSource, Ellipse, Range1d
    from bokeh.plotting import figure

    plot = figure(x_range=Range1d(0, 10), y_range=Range1d(100, 1), y_axis_type="log")
    plot.line([0, 5, float("nan"), 10], [1, 10, 10, 100], line_color="#123456")
    plot.image([np.array([[0.0, 1.0]])], x=[0], y=[1], dw=[10], dh=[99], palette=["#000000", "#ffffff"])
    drawn = thumbnails.svg(plot)
    assert 'd="M0 0L120 75M240 150"' in drawn  # upside down and logarithmic, as its axis; nothing where nothing is
    assert 'stroke="#123456"' in drawn
    image = re.search(r"base64,([^\"]+)", drawn)[1]
    assert np.asarray(Image.open(io.BytesIO(base64.b64decode(image))))[..., 0].tolist() == [[0, 255]]
    plot.add_glyph(ColumnDataSource({"x": [1]}), Ellipse(x="x"))
    with pytest.raises(thumbnails.UndrawnError, match="Ellipse is not drawn in small"):
        thumbnails.svg(plot)


def test_each_lesson_has_a_page_with_its_part_of_the_results():
    measured = "".join(f"## {name}\n\nIt was seen.\n\n" for name in LESSONS.names())
    pages = dict(lesson_pages.pages(measured))
    assert list(pages) == ["index", *LESSONS.names()]
    for name, lesson in LESSONS.items():
        assert lesson.paper.url in pages[name]
        assert f':start-after: "## {name}"' in pages[name]
        assert f"[{lesson_pages.plain(lesson.title)}]({name}.md)" in pages["index"]
        for page, words in ((pages["index"], lesson.effect[1:]), (pages[name], lesson.paper.found),
                            (pages[name], ":start-after:")):  # fmt: skip
            assert lesson_pages.plain(words) in page
            # One guesses first: answers are folded up.
            assert lesson_pages.plain(words) not in re.sub(r"<details>.*?</details>", "", page, flags=re.DOTALL)


def test_the_classes_of_settings_list_their_knobs_with_a_link_and_the_usual_value():
    page = dict(api_pages.pages())["tlab_core"]
    for knob, about in knobs():
        part, _, own = knob.rpartition(".")
        kind = {"architecture": "Architecture", "training": "Training", "": "Experiment"}[part]
        body = page.split(f".. autoclass:: tlab_core.{kind}\n")[1].split("\n.. ")[0]
        row = body.split(f":doc:`{own} </knobs/{knob_pages.slug(knob)}>`")[1].split("* -")[0]
        assert f"``{about.default!r}``" in row, knob


def test_the_glossary_has_all_words_and_letters():
    page = glossary_page.page()
    assert all(f"**{word}**" in page for word in WORDS)
    assert all(f"``{letter}``" in page for letter in LETTERS)
    assert not [line for line in warnings_of(page).splitlines() if line.startswith("<string>")]


def test_a_formula_is_followed_by_what_its_letters_mean():
    norm = dict(knob_pages.pages({}, {}))["norm_type"]
    assert "In the formula: ``x`` the numbers that come in; ``y`` the numbers that come out;" in norm
    assert set(LETTERS_OF) <= {knob for knob, _ in knobs()}
    for knob, own in LETTERS_OF.items():
        if knob in ("training.beta1", "training.beta2", "training.weight_decay"):  # which show some of the optimizers
            assert own is LETTERS_OF["training.optimizer"]
            continue
        said = "\n".join(knob_pages.docstrings(knob))
        for letter in own:
            assert letter in knob_pages.letters(knob, said), (knob, letter)


def test_every_paper_that_a_page_names_by_its_title_has_a_link():
    named = {" ".join(title.split()) for knob, _ in knobs() for said in knob_pages.docstrings(knob)
             for title in re.findall(r'\d{4},\s"([^"]+)"', said)}  # fmt: skip
    assert len(named) > 20
    assert named <= {*papers.ADDRESSES, *papers.UNLINKED}
    for knob, _ in knobs():
        for said in knob_pages.docstrings(knob):
            text = "\n".join(prose.docstring(said))
            for title in papers.ADDRESSES:
                assert f'"{title}" ' not in text.replace(f'`"{title}" <', "")


def test_the_command_line_has_a_page_with_every_command_and_option():
    page = command_page.page()
    found = [context for _, context in command_page.commands(click.Context(tlab, info_name="tlab"))]
    paths = [context.command_path for context in found]
    assert {"tlab train", "tlab runs mend", "tlab snapshot", "tlab export", "tlab compare"} <= set(paths)
    for path, context in zip(paths, found, strict=True):
        part = page.split(f"\n{prose.title(path, path.count(' '))}\n")[1].split("\ntlab ")[0]
        options = [one for one in context.command.params if isinstance(one, click.Option) and "--help" not in one.opts]
        assert all(f"{one.opts[-1]}" in part and one.help.split()[-1] in part for one in options), path
        assert "--help" not in part
    assert not re.search(r"(?<![\w-])--[a-z]", re.sub(r"``.*?``", "", page))  # two dashes outside of code would become one
    pytest.importorskip("docutils")
    assert [line for line in warnings_of(page).splitlines() if line.startswith("<string>") and '"doc"' not in line] == []


def test_the_generators_own_examples_hold():
    for module in (prose, knob_pages, lesson_pages, numbers, papers, command_page):
        assert doctest.testmod(module) > (0, 0)
        assert doctest.testmod(module).failed == 0


@pytest.mark.parametrize("name", ["tlab_core", "tlab_core.runs", "tlab_core.lessons", "tlab_core.extend", "tlab_dash",
                                  "tlab_dash.views", "tlab_dash.snapshot"])
def test_docstrings_come_out_without_a_warning(name):
    pytest.importorskip("docutils")
    module = import_module(name)
    for public in module.__all__:
        found = getattr(module, public)
        for piece in (found, *(vars(found).values() if inspect.isclass(found) else ())):
            text = inspect.getdoc(getattr(piece, "__func__", piece))
            if text and (inspect.isclass(piece) or inspect.isroutine(piece) or isinstance(piece, property)):
                assert not warnings_of("\n".join(prose.docstring(text))), f"{public}: {piece}"


def test_nothing_in_a_text_is_taken_for_markup():
    text = "Take *this*, `x`s and |that| from name_ or [1]_; 2 ** 3.\n\n- a `b`\n  and c\n\nname  what\n      it is"
    lines = prose.docstring(text)
    assert lines == [
        r"Take \*this\*, ``x``\ s and \|that\| from name\_ or [1]\_; 2 \*\* 3.", "", "- a ``b`` and c", "", "``name``",
        "   what it is", "",
    ]  # fmt: skip
    pytest.importorskip("docutils")
    assert not warnings_of("\n".join(lines))


def test_the_readme_says_how_the_site_is_built_and_opened():
    root = Path(__file__).parents[1]
    said = " ".join((root / "README.md").read_text(encoding="utf-8").split())
    assert '`python -m pip install -e ".[docs]" && python -m sphinx docs docs/_build/html`' in said
    assert "open `docs/_build/html/index.html`" in said
