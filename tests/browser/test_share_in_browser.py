"""Sharing in a real browser: the address, the menu, what is copied and downloaded, and runs saved on the server."""

from urllib.parse import parse_qs, urlsplit

import pytest
from safetensors.numpy import load

from tlab_core.experiment import default_experiment
from tlab_core.runs import RunStore
from tlab_core.runs.settings_file import read_settings
from tlab_core.share import as_python, from_query, shared


def query(tab):
    return urlsplit(tab.page.url).query


def open_menu(tab):
    tab.page.get_by_role("button", name="Share", exact=True).click()
    return tab.page.get_by_role("dialog", name="Save and share")


def test_the_address_follows_the_knobs_and_brings_them_back(open_tab):
    tab = open_tab(query="?theme=dark")
    entries = tab.page.evaluate("history.length")
    assert query(tab) == "theme=dark"
    tab.page.get_by_label("Norm", exact=True).select_option("LayerNorm")
    tab.wait(lambda: "a.norm_type=LayerNorm" in query(tab), "the norm in the address")
    tab.page.get_by_label("Residual layout", exact=True).select_option("Post-LN")
    tab.wait(lambda: "a.residual_type=Post-LN" in query(tab), "the layout in the address")
    assert parse_qs(query(tab)) == {
        "theme": ["dark"], "a.norm_type": ["LayerNorm"], "a.residual_type": ["Post-LN"], "v": ["1"]}
    assert tab.page.evaluate("history.length") == entries
    again = open_tab(query=f"?{query(tab)}")
    assert again.page.get_by_label("Norm", exact=True).input_value() == "LayerNorm"
    assert again.page.get_by_label("Residual layout", exact=True).input_value() == "Post-LN"
    assert again.page.evaluate("document.documentElement.dataset.theme") == "dark"
    again.page.get_by_label("Norm", exact=True).select_option("RMSNorm")
    again.page.get_by_label("Residual layout", exact=True).select_option("Pre-LN")
    again.wait(lambda: query(again) == "theme=dark", "the first page's short address")


def test_a_links_settings_outlast_a_refresh_and_each_back_and_forward_is_one_page(open_tab):
    tab = open_tab(query="?a.residual_type=Post-LN&v=1")
    page, places = tab.page, []

    def note():
        page.wait_for_timeout(500)  # whatever might still write into the address
        address = urlsplit(page.url)
        places.append((address.query, address.fragment))

    note()
    page.reload()
    page.locator(".texts .now").wait_for()
    assert page.get_by_label("Residual layout", exact=True).input_value() == "Post-LN"
    for name in ("Training", "Weights", "Code"):
        tab.press(name)
        note()
    page.get_by_label("Norm", exact=True).select_option("LayerNorm")
    tab.wait(lambda: "a.norm_type=LayerNorm" in query(tab), "the norm in the address")
    page.go_back()
    note()
    page.go_back()
    note()
    page.go_forward()
    note()
    link = "a.residual_type=Post-LN&v=1"
    assert places[:4] == [(link, ""), (link, "training"), (link, "weights"), (link, "code")]
    now = query(tab)
    assert places[4:] == [(now, "weights"), (now, "training"), (now, "weights")]
    assert page.locator('[data-page="weights"]').get_attribute("aria-current") == "page"


@pytest.mark.parametrize("bad", ["a.num_layers=many", "corpus=%3Cimg%20src%3Dx%20onerror%3Ddocument.title%3D1%3E"])
def test_a_bad_address_is_explained_and_nothing_of_it_is_carried_out(open_tab, bad):
    tab = open_tab(query=f"?{bad}")
    tab.wait(lambda: len(tab.sentences()) == 2, "what is wrong")
    assert tab.sentences()[0].startswith("The link")
    assert tab.page.title() == "Transformer Intuition Lab"
    assert tab.page.locator(".sentences img").count() == 0
    assert query(tab) == bad
    tab.press("Step")
    tab.wait(lambda: tab.step == 1, "one step of the default run")
    tab.wait(lambda: query(tab) == "", "the address of the run on show")


def test_a_run_is_saved_under_a_name_and_goes_on_being_recorded(open_tab, runs_folder):
    tab = open_tab()
    menu = open_menu(tab)
    name = menu.get_by_label("Save this run")
    tab.wait(lambda: name.input_value().startswith("stories"), "a proposal")
    name.fill("from the browser")
    menu.get_by_role("button", name="Save", exact=True).click()
    menu.get_by_text("Saved as “from the browser” at step 0.").wait_for()
    tab.page.keyboard.press("Escape")
    assert not menu.is_visible()
    tab.press("Step")
    tab.wait(lambda: tab.step == 1, "one step")
    tab.wait(lambda: RunStore(runs_folder).open("from the browser").step == 1, "the step in the folder")

    other = open_tab()
    menu = open_menu(other)
    name = menu.get_by_label("Save this run")
    other.wait(lambda: name.input_value() != "", "a proposal")
    name.fill("from the browser")
    name.press("Enter")
    menu.get_by_text("there is a run 'from the browser' in").wait_for()
    assert name.input_value() == "from the browser"
    other.page.keyboard.press("Escape")
    other.press("Step")
    other.wait(lambda: other.step == 1, "the run that was not saved goes on")


def test_link_python_and_yaml_are_copied(open_tab, address):
    tab = open_tab(query="?a.num_layers=2", permissions=["clipboard-read", "clipboard-write"])
    experiment = from_query("a.num_layers=2")
    menu = open_menu(tab)
    for words, expected in {
        "Copy link": f"{address}?a.num_layers=2&v=1", "Copy as Python": as_python(experiment),
    }.items():
        menu.get_by_role("button", name=words, exact=True).click()
        menu.get_by_role("button", name="Copied", exact=True).wait_for()
        assert tab.page.evaluate("navigator.clipboard.readText()") == expected
        menu.get_by_role("button", name=words, exact=True).wait_for()


def test_without_a_clipboard_the_text_is_there_to_be_copied_by_hand(tab):
    tab.page.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    menu = open_menu(tab)
    menu.get_by_role("button", name="Copy as Python", exact=True).click()
    text = menu.get_by_label("To be copied")
    text.wait_for()
    assert text.input_value() == as_python(default_experiment())
    assert text.evaluate("area => area.selectionEnd - area.selectionStart") == len(text.input_value())


def test_settings_and_model_are_downloaded(tab, tmp_path):
    menu = open_menu(tab)
    with tab.page.expect_download() as download:
        menu.get_by_role("button", name="Download config (YAML)").click()
    download.value.save_as(tmp_path / "config")
    assert download.value.suggested_filename == "stories.yaml"
    assert shared(read_settings(tmp_path / "config")) == default_experiment()
    with tab.page.expect_download() as download:
        menu.get_by_role("button", name="Download model (safetensors)").click()
    download.value.save_as(tmp_path / "model")
    assert download.value.suggested_filename == "stories step 0.safetensors"
    weights = load((tmp_path / "model").read_bytes())
    assert weights["blocks.3.attention.qkv.weight"].shape == (128, 384)


def test_a_snapshot_is_saved_and_opens_without_a_network(tab, chromium, tmp_path):
    tab.press("Step")
    tab.wait(lambda: tab.step == 1, "one step")
    menu = open_menu(tab)
    entry = menu.get_by_role("button", name="Save a snapshot (HTML)")
    entry.focus()
    tab.page.keyboard.press("Enter")
    title = menu.get_by_label("Title")
    assert title.evaluate("(field) => field.getRootNode().activeElement === field")
    tab.wait(lambda: title.input_value() == "stories", "a proposal")
    title.fill("First <step>")
    tab.page.keyboard.press("Tab")
    tab.page.keyboard.type("It is *gibberish*.")
    assert menu.get_by_label("Put the ghost beside the run").is_hidden()
    tab.page.keyboard.press("Tab")
    with tab.page.expect_download() as download:
        tab.page.keyboard.press("Enter")
    download.value.save_as(tmp_path / "snapshot.html")
    assert download.value.suggested_filename == "First -step.html"
    menu.get_by_text("“First -step.html” is made: ").wait_for()
    notes = menu.get_by_label("Notes in Markdown")
    assert (title.input_value(), notes.input_value()) == ("First <step>", "It is *gibberish*.")
    notes.fill("x" * 200_001)
    menu.get_by_role("button", name="Save snapshot").click()
    menu.get_by_text("The snapshot could not be made: the notes have 200,001 characters").wait_for()
    assert len(notes.input_value()) == 200_001

    context = chromium.new_context(offline=True)
    page = context.new_page()
    page.goto((tmp_path / "snapshot.html").as_uri())
    page.locator("html[data-drawn]").wait_for()
    assert page.title() == "First <step>"
    assert page.locator("h1").inner_text() == "First <step>"
    assert page.locator(".notes em").inner_text() == "gibberish"
    context.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(("width", "height"), [(1440, 900), (390, 844)])
def test_the_menu_fits_the_window(open_tab, width, height, theme):
    tab = open_tab(width, height, query=f"?theme={theme}")
    if width < 760:
        tab.press("Knobs")
    menu = open_menu(tab)
    fits(menu, width, height)
    menu.get_by_role("button", name="Save a snapshot (HTML)").click()
    fits(menu, width, height)
    assert menu.evaluate("(box) => box.scrollWidth <= box.clientWidth")


def fits(menu, width, height):
    box = menu.bounding_box()
    assert 0 <= box["x"] < box["x"] + box["width"] <= width
    assert 0 <= box["y"] < box["y"] + box["height"] <= height
