"""Snapshots as files: what is in them. Limits are tested beside this, behaviour in a browser."""

import base64
import hashlib
import re
from html import unescape

import holoviews as hv
import numpy as np
import pytest

from tests.dash.snapshots import blocks, index, small, unpacked
from tlab_core import LiveRun
from tlab_core.experiment import default_experiment
from tlab_core.norms import NORMS
from tlab_core.run import Sample
from tlab_dash.selection import Selection
from tlab_dash.shell import Shell
from tlab_dash.snapshot import markup, snapshot_bytes, told
from tlab_dash.snapshot.frames import SHOWN, WORKED_OUT
from tlab_dash.snapshot.notes import as_html
from tlab_dash.snapshot.quantise import WORST, quantised
from tlab_dash.snapshot.scene import Palette, SnapshotError, scene
from tlab_dash.snapshot.still import Still
from tlab_dash.theme import LIGHT
from tlab_dash.views.roles import KEY
from tlab_dash.views.view import VIEWS, View, row
from tlab_dash.words import SIGNS, on_the_page


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    run = small(tmp_path_factory.mktemp("one"))
    run.sample("the ", 20)
    return run


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    return small(tmp_path_factory.mktemp("other"), layers=1, heads=2, steps=12, architecture={"norm_type": "LayerNorm"})


@pytest.fixture(scope="module")
def made(run):
    return snapshot_bytes({"the run": run})


# What is stored ----------------------------------------------------------------------------------------------------


def test_weights_come_back_within_what_is_promised():
    rng = np.random.default_rng(0)
    logits = np.where(np.tri(40, dtype=bool), rng.normal(0, 4, (2, 3, 40, 40)), -np.inf)
    weights = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    codes = quantised(weights.astype(np.float32))
    assert codes.shape == (6, 40 * 41 // 2)
    lower = np.tril_indices(40)
    given = weights.reshape(6, 40, 40)[:, lower[0], lower[1]]
    wrong = np.abs((codes / 254.0) ** 2 - given)
    assert (wrong <= (np.sqrt(given) + 1 / 1016) / 254 + 1e-7).all()
    assert WORST < 0.004
    assert wrong[given < 0.01].max() < 5e-4  # small ones closer


def test_what_is_no_number_stays_none():
    weights = np.full((1, 1, 2, 2), np.nan, np.float32)
    weights[0, 0, 0] = [1, 0]
    assert quantised(weights).tolist() == [[254, 255, 255]]


def test_every_column_of_every_picture_is_there(run, made):
    found, stops = blocks(made), index(made)["stops"]
    _, shared_columns, _ = unpacked(found["run-0"])
    shared_texts = unpacked(found["run-0"])[0]["texts"]
    assert stops == [0, 5, 10, 15, 20, 25, 30]
    compared = 0
    for step in stops:
        header, own, weights = unpacked(found[f"run-0-step-{step}"])
        numbers, texts = [*shared_columns, *own], [*shared_texts, *header["texts"]]
        np.testing.assert_array_equal(weights, quantised(row(run, "attention", step)["weight"]).ravel())
        for shown in SHOWN:
            for layer in range(2):
                for head in range(3):
                    key = ",".join(str({"layer": layer, "head": head}[name]) for name in shown.varies)
                    stored = header["tables"][shown.view.name][key]
                    columns = shown.view.columns(run, Selection(layer=layer, head=head, step=step, pinned=True))
                    np.testing.assert_allclose(stored["limits"], shown.view.limits(columns))
                    for part in set(shown.view.drawn(columns)) - set(WORKED_OUT.get(shown.view.name, ())):
                        if part == "map":
                            continue
                        for name, column in columns[part].items():
                            place = stored["parts"][part][name]
                            if column.dtype.kind == "O":
                                assert texts[-1 - place] == list(column)
                            else:
                                np.testing.assert_array_equal(numbers[place], column.astype(np.float32))
                            compared += 1
    assert compared > 1000


def test_a_curve_that_never_changes_is_stored_once(made):
    found = blocks(made)
    assert all("train" in unpacked(found[f"run-0-step-{step}"])[0]["tables"]["loss"][""]["parts"] for step in (0, 30))
    assert max(unpacked(found["run-0"])[0]["numbers"]) == 30  # the loss of 30 steps
    assert max(unpacked(found["run-0-step-30"])[0]["numbers"], default=0) < 30


def test_the_same_runs_make_the_same_file(run, made):
    assert snapshot_bytes({"the run": run}) == made


def test_a_saved_run_shows_what_the_live_one_did(kept_runs):
    saved = kept_runs.open("fast 1")
    found = blocks(snapshot_bytes({"saved": saved}))
    header, _, weights = unpacked(found["run-0-step-30"])
    assert header["step"] == 30
    np.testing.assert_array_equal(weights, quantised(row(saved, "attention", None)["weight"]).ravel())


def test_training_on_makes_no_difference(tmp_path):
    run = small(tmp_path, steps=10)
    before = snapshot_bytes({"run": run})
    still = Still(run)
    run.advance(steps=20)
    run.sample("the ", 5)
    assert snapshot_bytes({"run": still}) == before
    assert still.recorder.last_step("attention") == 10
    assert snapshot_bytes({"run": run}) != before


def test_a_run_that_broke_can_be_kept(tmp_path):
    # Without a norm: with one, weights may grow so large that every gradient is zero, and nothing breaks.
    run = small(tmp_path, steps=60, architecture={"norm_type": "None"}, learning_rate=1000.0, grad_clip=None,
                optimizer="SGD", statistics_every=1)  # fmt: skip
    assert run.divergence is not None
    head = unescape(snapshot_bytes({"broken": run, "too": run}).html.decode()).partition("</header>")[0]
    assert f'<p class="broke">broken: {run.divergence.message}</p>' in head
    assert f'<p class="broke">too: {run.divergence.message}</p>' in head
    assert f"<p class=\"broke\">{run.divergence.message}</p>" in unescape(snapshot_bytes({"one": run}).html.decode())


# What is drawn -----------------------------------------------------------------------------------------------------


def test_a_scene_has_the_figures_marks_in_both_themes(run):
    palette = Palette()
    view = next(shown.view for shown in SHOWN if shown.view.name == "qk")
    found = scene(view, view.columns(run, Selection()), palette)
    bars = found["marks"][0]
    assert (bars["part"], bars["glyph"]) == ("bars", "Quad")
    assert bars["places"] == {"left": "left", "bottom": "bottom", "right": "right", "top": "top"}
    assert f"{bars['fill_color']}: {LIGHT.attention};" in palette.declarations("light")
    assert f"{bars['fill_color']}: #56B4E9;" in palette.declarations("dark")
    assert bars["fill_alpha"] == 0.75
    assert found["x"]["label"] == "match score Q·K/√d"
    assert ["ghost", "ghost"] in found["legend"]


def test_an_axis_keeps_its_names_and_its_kind(run):
    named = {shown.view.name: scene(shown.view, shown.view.columns(run, Selection()), Palette()) for shown in SHOWN}
    assert named["signal"]["y"]["log"]
    assert not named["signal"]["x"]["log"]
    assert named["signal"]["x"]["ticks"] == [[0.0, "in"], [1.5, "0"], [3.5, "1"]]
    places = named["layer_statistics"]["y"]["ticks"]  # the lab names every other one on the right, a snapshot all of them
    assert [place for place, _ in places] == list(range(len(places)))
    assert [name for _, name in places][:4] == ["stream in", "norm 1", "queries", "keys"]
    assert not named["heads"]["x"]["visible"]


def test_a_view_that_a_snapshot_cannot_hold_is_refused_by_name(run, monkeypatch):
    monkeypatch.setattr(VIEWS, "_components", dict(VIEWS._components))
    area = View("area", "Area", "", lambda *_: {}, lambda columns, theme: hv.Area(columns["a"], "x", "y") * hv.Area([]),
                lambda columns: ((0, 1), (0, 1)))  # fmt: skip
    columns = {"a": {"x": np.arange(3.0), "y": np.arange(3.0)}, "b": {"x": np.empty(0), "y": np.empty(0)}}
    with pytest.raises(SnapshotError, match=r"view 'area' draws \w+ \(a\), which a snapshot can't hold; it can hold Line"):
        scene(area, columns, Palette())


# The page ----------------------------------------------------------------------------------------------------------


def test_nothing_is_fetched_and_only_its_own_script_runs(made):
    html = made.html.decode()
    asking = r"\b(src|srcset|poster|data|action)=|url\((?!#)|@import|<link|<iframe|<object|import\(|fetch\("
    assert not re.search(asking, html)
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', html)[1]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    digest = base64.b64encode(hashlib.sha256(blocks(made)[""].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}';" in policy
    assert html.index("Content-Security-Policy") < html.index("<title>") < html.index("<style>")


def test_what_people_wrote_is_text(run):
    bad = "</script><script>alert(1)</script>"
    odd = LiveRun(run.experiment)
    odd.samples.append(Sample(0, "<img src=x onerror=alert(2)>", bad))
    html = snapshot_bytes({f"<b>{bad}": odd}, title=f"<i>{bad}", notes=bad).html.decode()
    assert html.count("<script>") == 1
    assert "<img" not in html
    assert "<b>" not in html
    assert "<i>" not in html


@pytest.mark.parametrize(("markdown", "there", "absent"), [
    ("<script>alert(1)</script>", "&lt;script&gt;", "<script"),
    ("![x](https://example.org/x.png)", '<a href="https://example.org/x.png" rel="noopener noreferrer">x</a>', "<img"),
    ('![x" onload="a](https://example.org/x.png"onload=)', 'x&quot; onload', ' onload="'),
    ("[![x](https://example.org/x.png)](https://example.org)", '"noopener noreferrer">x</a></p>', "x.png"),
    ("![x](javascript:alert(1))", "![x]", "href"),
    ("![x](data:image/png;base64,AA)", "![x]", "href"),
    ("javascript://example.org/%0aalert(1)", "javascript:", 'href="javascript'),
    ("ftp://example.org and //example.org and example.org", "example.org", "href"),
    ("[a](javascript:alert(1))", "[a]", "href"),
    ("[a](JaVaScRiPt:alert(1))", "[a]", "href"),
    ("[a](data:text/html,hello)", "[a]", "href"),
    ("<javascript:alert(1)>", "&lt;javascript", "href"),
    ("[a](//example.org)", "[a]", "href"),
    ("x <b onclick=alert(1)>y</b>", "&lt;b onclick", "<b"),
    ('[a](https://example.org/"onclick="alert(1))', "%22onclick", ' onclick='),
])  # fmt: skip
def test_notes_are_harmless(markdown, there, absent):
    html = as_html(markdown)
    assert there in html
    assert absent not in html


def test_notes_are_markdown():
    html = as_html("## Result\n\n*Stripes* by [step 100](https://example.org/a).\n\n| a | b |\n|---|---|\n| 1 | 2 |\n")
    assert "<h2>Result</h2>" in html
    assert "<em>Stripes</em>" in html
    assert '<a href="https://example.org/a" rel="noopener noreferrer">step 100</a>' in html
    assert "<td>2</td>" in html
    html = as_html("> It works.\n\n---\n\n~~It fails.~~ See https://example.org/b.\n")
    assert "<blockquote>\n<p>It works.</p>\n</blockquote>\n<hr />" in html
    assert "<s>It fails.</s>" in html
    assert '<a href="https://example.org/b" rel="noopener noreferrer">https://example.org/b</a>.' in html


def test_the_words_are_explained_as_the_lab_does(made):
    html = unescape(made.html.decode())
    for word, meaning in (*SIGNS, *KEY, *on_the_page()):
        assert f"<dt>{word}</dt><dd>{meaning}</dd>" in html
    assert Shell.param.words.default == on_the_page()


def test_settings_that_differ_are_marked(run, other):
    rows = {(row.part, row.label): row for row in told.settings({"a": run, "b": other})}
    assert rows["Architecture", "Norm"].values == ("RMSNorm", "LayerNorm")
    assert rows["Architecture", "Norm"].marked
    assert not rows["Training", "Optimizer"].marked
    alone = {(row.part, row.label): row for row in told.settings({"a": run})}
    assert alone["Architecture", "Width"].marked  # 12, where the lab opens with 128
    assert not alone["Architecture", "Norm"].marked
    html = snapshot_bytes({"a": run, "b": other}).html.decode()
    assert '<tr class=marked><th scope="row">≠ Norm</th><td>RMSNorm</td><td>LayerNorm</td></tr>' in html


def test_settings_among_which_none_is_marked_are_told_in_words(run):
    usual = Still(run)
    usual.experiment = default_experiment()
    assert "<p>All settings are as the lab opens.</p>" in markup.settings({"a": usual})
    assert "<summary>All 37 settings</summary>" in markup.settings({"a": usual})
    assert "<p>The runs have the same settings.</p>" in markup.settings({"a": run, "b": run})
    assert "≠ marks what is not as the lab opens." in markup.settings({"a": run})
    assert "<summary>The other " in markup.settings({"a": run})


def test_the_code_of_the_parts_is_there(run, other):
    parts = {(part.kind, part.name): part for part in told.components({"a": run, "b": other})}
    assert parts["Norm", "LayerNorm"].source.startswith("@NORMS.register(\"LayerNorm\")\nclass LayerNorm")
    assert parts["Norm", "LayerNorm"].used_by == ("b",)
    assert parts["Position", "RoPE"].used_by == ("a", "b")
    assert "Executor" not in {kind for kind, _ in parts}


def test_a_part_without_a_file_says_so(run, monkeypatch):
    typed = {}
    exec("class Typed: pass", typed)
    monkeypatch.setitem(NORMS._components, "RMSNorm", typed["Typed"])
    parts = {part.kind: part.source for part in told.components({"a": run})}
    assert parts["Norm"] == "# The code of this one is in no file that could be read."
