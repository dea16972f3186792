"""A snapshot in a real browser: opened from the disk, without a network, looked through, and its numbers read back."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.dash.snapshots import small
from tlab_core.run import Sample
from tlab_dash.selection import Selection
from tlab_dash.snapshot import snapshot
from tlab_dash.snapshot.quantise import WORST
from tlab_dash.theme import DARK, LIGHT, rgb
from tlab_dash.views import qk
from tlab_dash.views.view import row

PATIENCE = 30_000  # milliseconds that anything may take, on a busy machine
# A column of a picture as the page has it, after it has been unpacked there.
COLUMN = """async ([run, stop, view, layer, head, part, column]) =>
  Array.from((await frameAt(run, stop)).picture(view, layer, head).parts[part][column])"""
WEIGHTS = """async ([run, stop, layer, head]) => {
  const frame = await frameAt(run, stop), places = Array.from({length: frame.positions}, (_, i) => i)
  return places.map((query) => places.map((key) => key > query ? 0 : frame.weight(layer, head, query, key)))
}"""
ALPHA = """(view) => {
  const canvas = document.querySelector(`figure[data-view="${view}"] canvas.light`)
  const {width, height} = canvas, pixels = canvas.getContext("2d").getImageData(0, 0, width, height).data
  return Array.from({length: height}, (_, j) => Array.from({length: width}, (_, i) => pixels[4 * (j * width + i) + 3]))
}"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    first = small(folder)
    first.samples += [Sample(0, "the ", "xqz"), Sample(30, "the ", "cat sat")]
    return {"first": first, "second <b>": small(folder, layers=1, heads=2, steps=12)}


@pytest.fixture(scope="module")
def file(runs, tmp_path_factory):
    path = tmp_path_factory.mktemp("snapshot") / "two runs.html"
    snapshot(runs, path, title="Two runs", notes="It *works*.")
    return path.as_uri()


@pytest.fixture
def open_page(chromium, file):
    """Return a function that opens the snapshot with the network closed; it must ask for itself only, and not complain."""
    contexts, asked, errors = [], [], []

    def open_one(width=1440, height=900, address=file, **options):
        context = chromium.new_context(viewport={"width": width, "height": height}, offline=True, **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: message.type in ("error", "warning") and errors.append(message.text))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(address)
        page.locator("html[data-drawn]").wait_for()
        return page

    yield open_one
    for context in contexts:
        context.close()
    assert errors == []
    assert len(asked) == len(contexts)


@pytest.fixture
def page(open_page):
    return open_page()


def heading(page, words):
    page.get_by_role("heading", name=words, exact=True).wait_for()


def chosen(page):
    return tuple(int(page.get_by_label(label, exact=True).input_value()) for label in ("Layer", "Head", "Character"))


def test_every_number_comes_back_out_of_the_page(page, runs):
    for place, run in enumerate(runs.values()):
        layers, heads = row(run, "attention", None)["weight"].shape[:2]
        for stop, step in enumerate([0, 5, 10, 15, 20, 25, 30]):
            kept = row(run, "attention", step)["weight"]
            for layer in range(layers):
                for head in range(heads):
                    read = np.array(page.evaluate(WEIGHTS, [place, stop, layer, head]))
                    assert np.abs(read - kept[layer, head]).max() <= WORST
    run = runs["first"]
    selection = Selection(layer=1, head=2, step=20, pinned=True)
    for name, column in qk.columns(run, selection)["bars"].items():
        read = page.evaluate(COLUMN, [0, 4, "qk", 1, 2, "bars", name])
        np.testing.assert_array_equal(read, column.astype(np.float32))
    read = page.evaluate(COLUMN, [0, 6, "loss", 0, 0, "train", "loss"])
    np.testing.assert_array_equal(read, run.recorder.group("train")["loss"].values.astype(np.float32))


def test_what_is_drawn_is_what_is_stored(page, runs):
    page.get_by_label("Layer", exact=True).select_option("1")
    page.get_by_label("Head", exact=True).select_option("2")
    heading(page, "Heads of layer 1")
    page.evaluate("draw()")  # ends when all is drawn
    kept = row(runs["first"], "attention", 30)["weight"][1]
    ink = np.array(page.evaluate(ALPHA, "attention")) / 255
    assert np.abs(ink - np.sqrt(kept[2])).max() <= 1 / 254
    mosaic = np.array(page.evaluate(ALPHA, "heads")) / 255
    for head, (left, top) in enumerate([(0, 0), (1, 0), (0, 1)]):
        side, pitch = 8, mosaic.shape[1] // 2
        tile = mosaic[top * pitch : top * pitch + side, left * pitch : left * pitch + side]
        assert np.abs(tile - np.sqrt(kept[head])).max() <= 1 / 254
    bars = qk.columns(runs["first"], Selection(layer=1, head=2, step=30, pinned=True))["bars"]["left"]
    assert page.locator('figure[data-view="qk"][data-run="0"] rect[fill-opacity="0.75"]').count() == len(bars)


def test_one_looks_closer_from_layer_to_head_to_character(page):
    page.locator('figure[data-view="map"][data-run="0"] [data-layer="1"]').click()
    heading(page, "Heads of layer 1")
    heading(page, "Inside layer 1")
    assert page.locator('[data-view="map"][data-run="0"] [data-layer="1"]').get_attribute("aria-pressed") == "true"
    heads = page.locator('figure[data-view="heads"][data-run="0"] .picture')
    box = heads.bounding_box()
    heads.click(position={"x": box["width"] * 0.25, "y": box["height"] * 0.75})
    page.wait_for_function("document.querySelector('#head').value === '2'")
    attention = page.locator('figure[data-view="attention"][data-run="0"]')
    picture = attention.locator(".picture")
    box = picture.bounding_box()
    picture.click(position={"x": box["width"] * 0.5, "y": box["height"] * 0.3})
    layer, head, position = chosen(page)
    assert (layer, head) == (1, 2)
    assert 1 <= position <= 4
    assert page.locator('.probe[data-run="0"] .reader').count() == 1
    page.mouse.move(5, 5)
    attention.locator(".note").filter(has_text=f"({position}) reads most").wait_for()


def test_pointing_at_a_weight_says_it(page, runs):
    picture = page.locator('figure[data-view="attention"][data-run="0"] .picture')
    picture.scroll_into_view_if_needed()
    canvas = picture.locator("canvas.light").bounding_box()
    page.mouse.move(canvas["x"] + canvas["width"] * 1.5 / 8, canvas["y"] + canvas["height"] * 5.5 / 8)
    layer, head, _ = chosen(page)
    weight = row(runs["first"], "attention", 30)["weight"][layer, head, 5, 1]
    said = page.locator('figure[data-view="attention"][data-run="0"] .note')
    said.filter(has_text="(5) reads").wait_for()
    assert abs(float(said.inner_text().rstrip(".").rpartition(" ")[2]) - weight) <= WORST + 0.005
    page.mouse.move(canvas["x"] + canvas["width"] * 6.5 / 8, canvas["y"] + canvas["height"] * 1.5 / 8)
    said.filter(has_text="it comes later").wait_for()


def test_the_same_weight_is_said_of_every_run(page, runs):
    page.get_by_label("Layer", exact=True).select_option("0")
    page.get_by_label("Head", exact=True).select_option("1")
    picture = page.locator('figure[data-view="attention"][data-run="0"] .picture')
    picture.scroll_into_view_if_needed()
    canvas = picture.locator("canvas.light").bounding_box()
    page.mouse.move(canvas["x"] + canvas["width"] * 1.5 / 8, canvas["y"] + canvas["height"] * 5.5 / 8)
    for place, run in enumerate(runs.values()):
        said = page.locator(f'figure[data-view="attention"][data-run="{place}"] .note')
        said.filter(has_text="(5) reads").wait_for()
        weight = row(run, "attention", 30)["weight"][0, 1, 5, 1]
        assert abs(float(said.inner_text().rstrip(".").rpartition(" ")[2]) - weight) <= WORST + 0.005


def test_a_run_on_a_shorter_text_says_which_characters_it_has(open_page, runs, tmp_path):
    short = small(tmp_path, layers=1, heads=2, steps=1, architecture={"max_seq_len": 6}, seq_len=6)
    snapshot({**runs, "short": short}, tmp_path / "three.html")
    page = open_page(address=(tmp_path / "three.html").as_uri())
    positions = row(short, "attention", None)["weight"].shape[-1]
    said = page.locator('figure[data-view="attention"][data-run="2"] .note').inner_text()
    assert positions < 8
    assert said.startswith(f"This run's characters are 0 to {positions - 1}. ")
    page.get_by_label("Character", exact=True).select_option("1")
    page.evaluate("draw()")
    assert "This run's characters" not in page.locator('figure[data-view="attention"][data-run="2"] .note').inner_text()


def test_the_keyboard_is_enough(page):
    page.get_by_label("Step", exact=True).focus()
    page.keyboard.press("Home")
    page.locator("#step", has_text="step 0").wait_for()
    page.keyboard.press("ArrowRight")
    page.locator("#step", has_text="step 5").wait_for()
    assert page.get_by_label("Step", exact=True).get_attribute("aria-valuetext") == "step 5"
    page.locator('figure[data-view="map"][data-run="0"] [data-layer="0"]').focus()
    page.keyboard.press("Enter")
    heading(page, "Heads of layer 0")
    page.locator('figure[data-view="signal"][data-run="0"] .picture').focus()
    page.keyboard.press("ArrowRight")
    heading(page, "Heads of layer 1")
    page.get_by_label("Head", exact=True).select_option("0")
    page.locator('figure[data-view="heads"][data-run="0"] .picture').focus()
    page.keyboard.press("ArrowDown")
    page.wait_for_function("document.querySelector('#head').value === '2'")
    page.locator('figure[data-view="attention"][data-run="0"] .picture').focus()
    before = chosen(page)[2]
    page.keyboard.press("ArrowUp")
    page.wait_for_function(f"document.querySelector('#position').value === '{before - 1}'")
    reached = page.evaluate("""() => [...document.querySelectorAll("a, button, input, select, summary, [tabindex='0']")]
      .every((one) => one.tabIndex >= 0)""")
    assert reached


def test_going_back_shows_what_was_recorded_then(page, runs):
    now = page.evaluate(ALPHA, "attention")
    page.get_by_label("Step", exact=True).fill("0")
    page.locator("#step", has_text="step 0").wait_for()
    page.evaluate("draw()")
    layer, head, _ = chosen(page)
    then = np.array(page.evaluate(ALPHA, "attention"))
    assert not np.array_equal(then, now)
    kept = row(runs["first"], "attention", 0)["weight"][layer, head]
    assert np.abs(then / 255 - np.sqrt(kept)).max() <= 1 / 254
    assert page.locator(".samples .later").all_inner_texts() == ["step 30\nthe cat sat"]


def test_runs_stand_side_by_side_and_a_missing_layer_is_said(page):
    one, two = (page.locator(f'figure[data-view="signal"][data-run="{run}"] .picture').bounding_box() for run in (0, 1))
    assert one["y"] == two["y"]
    assert one["x"] + one["width"] <= two["x"]
    assert page.locator('figure[data-view="signal"][data-run="1"] .at-step').inner_text() == "at step 10"
    page.get_by_label("Layer", exact=True).select_option("1")
    page.locator('figure[data-view="qk"][data-run="1"]').get_by_text("This run's layers are 0 to 0.").wait_for()
    reads = page.locator("figure", has=page.locator('.probe[data-run="1"]'))
    assert reads.locator(".absent").inner_text() == "This run's layers are 0 to 0."
    assert reads.locator(".probe").is_visible()
    assert page.locator('figure[data-view="qk"][data-run="1"] .picture').is_hidden()
    for run, marked in ((0, 1), (1, 0)):  # a picture of all layers stays, and marks the chosen one where there is one
        signal = page.locator(f'figure[data-view="signal"][data-run="{run}"] .picture')
        assert signal.is_visible()
        assert signal.locator('g rect').count() == marked
    page.get_by_label("Layer", exact=True).select_option("0")
    page.get_by_label("Head", exact=True).select_option("2")
    page.locator('figure[data-view="qk"][data-run="1"]').get_by_text("This run's heads are 0 to 1.").wait_for()


def test_axes_of_both_runs_are_the_same(page):
    ticks = [page.locator(f'figure[data-view="loss"][data-run="{run}"] .tick').all_inner_texts() for run in (0, 1)]
    assert ticks[0] == ticks[1]


def test_no_name_is_cut_at_the_edge_of_its_plot(open_page, runs, tmp_path):
    path = tmp_path / "long.html"
    snapshot(runs["first"], path, steps=1)
    page = open_page(address=path.as_uri())
    reach = page.evaluate("""() => {
      const picture = document.querySelector('figure[data-view="layer_statistics"] .picture')
      const table = {x: [1, 50, 99, 120], y: [10, 20, 30, 40], text: Array(4).fill("0% dead units")}
      const mark = {glyph: "Text", places: {x: "x", y: "y", text: "text"}, text_font_size: "11px", text_baseline: "middle",
                    text_align: "center", text_color: "--tlab-text"}
      const along = scaleOf([0, 100], false, 100, 300), up = scaleOf([0, 100], false, 200, 0)
      const svg = element("svg", {viewBox: "0 0 400 200"}, ...GLYPHS.Text(mark, table, along, up))
      picture.replaceChildren(svg)
      return [...svg.querySelectorAll("text")].map((text) => [text.getBBox().x, text.getBBox().x + text.getBBox().width])
    }""")
    for left, right in reach[:3]:
        assert left > 99
        assert right < 301
    assert reach[3][1] > 340  # what belongs beyond the edge is not pulled in


def test_a_run_far_off_has_axes_of_its_own_and_says_so(open_page, runs, tmp_path):
    wild = small(tmp_path, layers=4, heads=4, steps=1, architecture={"norm_type": "None", "init_std": 10.0})
    path = tmp_path / "three.html"
    snapshot({"wild": wild, **runs}, path)
    page = open_page(address=path.as_uri())
    for view in ("signal", "qk"):
        figures = [page.locator(f'figure[data-view="{view}"][data-run="{run}"]') for run in range(3)]
        ticks = [figure.locator(".tick").all_inner_texts() for figure in figures]
        said = ["Its axes are its own" in figure.locator(".note").inner_text() for figure in figures]
        assert said == [True, False, False]
        if view == "qk":
            assert ticks[0] != ticks[1] == ticks[2]
    assert page.locator('figure[data-view="map"][data-run="0"] p.note').inner_text().startswith("No colours")


@pytest.mark.parametrize("width", [1440, 390])
def test_the_words_are_a_click_away(open_page, width):
    page = open_page(width)
    page.get_by_role("link", name="What the words mean").click()
    word = page.locator("dt", has_text="beads on the lines")
    word.wait_for()
    controls = page.locator(".controls").bounding_box()
    assert word.bounding_box()["y"] > controls["y"] + controls["height"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_follows_the_systems_theme(open_page, scheme):
    page = open_page(color_scheme=scheme)
    theme = {"light": LIGHT, "dark": DARK}[scheme]
    background = page.evaluate("getComputedStyle(document.querySelector('.card')).backgroundColor")
    assert background == f"rgb({', '.join(map(str, rgb(theme.surface)))})"
    assert page.locator(f"canvas.{scheme}").first.is_visible()
    line = page.locator('figure[data-view="loss"] path').last.evaluate("(path) => getComputedStyle(path).stroke")
    assert line == f"rgb({', '.join(map(str, rgb(theme.attention)))})"
    # Paper is light.
    page.emulate_media(media="print", color_scheme=scheme)
    assert page.locator("canvas.light").first.is_visible()
    assert page.locator("canvas.dark").first.is_hidden()


def test_it_prints(page):
    pdf = page.pdf(format="A4")
    assert pdf.startswith(b"%PDF")
    assert 2 <= pdf.count(b"/Type /Page\n") + pdf.count(b"/Type /Page/") <= 16
    assert page.locator("details.print").first.get_attribute("open") is not None


def test_on_paper_pictures_of_one_run_are_as_wide_as_the_page(open_page, runs, tmp_path):
    snapshot(runs["first"], tmp_path / "one.html")
    page = open_page(address=(tmp_path / "one.html").as_uri())
    page.emulate_media(media="print")
    wide = page.locator("main").bounding_box()["width"]
    for view in ("loss", "signal", "qk"):
        assert page.locator(f'figure[data-view="{view}"] svg').bounding_box()["width"] > wide - 40
    breaks = page.evaluate("""() =>
      [...document.querySelectorAll("h2, summary")].map((one) => getComputedStyle(one).breakAfter)""")
    assert set(breaks) == {"avoid"}  # none stands alone at a page's foot


def test_a_phone_has_room(open_page):
    page = open_page(390, 844)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    one, two = (page.locator(f'figure[data-view="loss"][data-run="{run}"] .picture').bounding_box() for run in (0, 1))
    assert one["y"] + one["height"] <= two["y"]
    assert one["width"] > 320
    page.get_by_label("Layer", exact=True).select_option("1")
    heading(page, "Heads of layer 1")


def test_on_a_phone_a_table_of_four_runs_keeps_words_and_numbers_whole(open_page, runs, tmp_path):
    path = tmp_path / "four.html"
    snapshot({f"learning_rate_{i}": runs["first"] for i in range(4)}, path, steps=1)
    page = open_page(390, 844, address=path.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.locator("details.print summary").first.click()
    cells = page.locator("thead th, td", has_text=re.compile("^(learning_rate_0|RMSNorm|0.001)$")).all()
    assert len(cells) >= 3
    assert all(cell.bounding_box()["height"] < 32 for cell in cells)


def test_no_foreign_script_runs(chromium, file):
    context = chromium.new_context(offline=True)
    page = context.new_page()
    blocked = []
    page.on("console", lambda message: blocked.append(message.text))
    page.goto(file)
    page.locator("html[data-drawn]").wait_for()
    page.evaluate("""() => {
      const script = document.createElement("script")
      script.textContent = "window.foreign = true"
      document.body.append(script)
      const picture = document.createElement("img")
      picture.src = "https://example.org/x.png"
      document.body.append(picture)
    }""")
    page.wait_for_timeout(200)
    assert page.evaluate("window.foreign") is None
    assert sum("Content Security Policy" in text for text in blocked) == 2
    context.close()


def test_what_can_be_read_without_a_script(chromium, file):
    context = chromium.new_context(offline=True, java_script_enabled=False)
    page = context.new_page()
    page.goto(file)
    assert "The pictures need JavaScript" in page.locator("noscript").text_content()
    assert page.locator("em", has_text="works").is_visible()
    assert page.locator(".command").first.inner_text().startswith("tlab train")
    context.close()


def test_the_benchmark_opens_a_file(chromium):
    command = [sys.executable, "-m", "tests.benchmarks.snapshots", "2,2,16,3", "--rounds", "1"]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    line = done.stdout.splitlines()[1]
    assert line.startswith("2,2,16,3 ")
    assert "3 steps shown" in line
    assert line.endswith(" 0 requests")
