"""The runs page in a real browser: found, described, compared, deleted and back, opened, trained on."""

import time

import pytest

from tests.browser.conftest import served_here
from tests.browser.test_tabs import live_runs
from tests.dash.kept_runs import keep_runs
from tlab_core.runs import RunStore

HOSTILE = '<img src=x onerror="document.title=1">'


@pytest.fixture(scope="module")
def store(runs_folder):
    """The folder of the served lab, with four runs in it; other tests may have kept some too."""
    keep_runs(runs_folder.parent)
    return RunStore(runs_folder)


@pytest.fixture
def runs(store, open_tab):
    """Return a function that opens the runs page in a tab."""

    def open_one(**options):
        tab = open_tab(**options)
        if options.get("width", 1440) < 761:
            tab.press("Knobs")
        tab.press("Runs")
        row(tab, "slow 0").wait_for()
        return tab

    return open_one


def row(tab, name):
    return tab.page.locator(f'tr[data-run="{name}"]')


def names(tab):
    return tab.page.locator("tr[data-run]").evaluate_all("rows => rows.map((row) => row.dataset.run)")


def info(store, name):
    return next((found for found in store.list() if found.name == name), None)


def tab_named(tab, name):
    return tab.page.get_by_role("tab", name=name)


def test_a_search_narrows_the_list(runs):
    tab = runs()
    tab.page.get_by_label("Search").fill("fast learning_rate=0.01")
    tab.wait(lambda: sorted(names(tab)) == ["fast 0", "fast 1"], "two runs")
    tab.page.get_by_label("Search").fill("no such run anywhere")
    tab.page.get_by_text("No run fits these words.").wait_for()


def test_columns_sort(runs):
    tab = runs()
    tab.page.locator("th").get_by_role("button", name="Name").click()
    tab.wait(lambda: names(tab) == sorted(names(tab), key=str.casefold), "by name")
    assert tab.page.locator('th[aria-sort="ascending"]').inner_text().startswith("Name")


def test_tags_and_notes_are_kept_and_stay_text(runs, store):
    tab = runs()
    tags, note = tab.page.get_by_label("Tags of slow 0"), tab.page.get_by_label("Note of slow 0")
    tags.fill(f"warm-up, {HOSTILE}")
    tags.press("Tab")
    tab.page.keyboard.type("seen in class")  # the cursor has moved on to the note and stays there while the tags are kept
    tab.wait(lambda: info(store, "slow 0").tags == ("warm-up", HOSTILE), "the tags in the folder")
    assert note.input_value() == "seen in class"
    note.press("Enter")
    tab.wait(lambda: info(store, "slow 0").note == "seen in class", "the note in the folder")
    note.fill("something else")
    note.press("Escape")
    assert note.input_value() == "seen in class"
    tab.page.get_by_label("Search").fill("onerror")
    tab.wait(lambda: names(tab) == ["slow 0"], "the run with the tag")
    assert tab.page.locator(".runs-sheet img").count() == 0
    assert tab.page.title() != "1"
    store.annotate("slow 0", tags=[], note="")


def test_delete_and_undo(runs, store):
    tab = runs()
    tab.page.get_by_label("Delete fast 1").click()
    row(tab, "fast 1").wait_for(state="detached")
    assert info(store, "fast 1") is None
    tab.press("Undo")
    row(tab, "fast 1").wait_for()
    assert info(store, "fast 1").step == 30


def test_one_run_is_looked_at(runs, store):
    tab = runs()
    row(tab, "fast 0").get_by_role("button", name="fast 0", exact=True).click()
    details = tab.page.locator(".one-run")
    details.locator("canvas").first.wait_for()
    assert details.locator("h2").inner_text() == "fast 0"
    assert store.open("fast 0").samples[0].text[:5] in details.locator(".texts").inner_text().replace("⏎", "\n")
    box = details.locator("canvas").first.bounding_box()
    assert box["width"] > 300
    assert box["height"] > 150
    tab.page.get_by_label("Close this run").click()
    details.wait_for(state="hidden")


def test_any_step_of_a_run_is_looked_at_with_the_keyboard(runs):
    tab = runs()
    row(tab, "fast 0").get_by_role("button", name="fast 0", exact=True).click()
    details = tab.page.locator(".one-run")
    details.locator("canvas").nth(1).wait_for()
    newest = attention(details)
    slider = details.get_by_label("Step to look at")
    tab.wait(slider.is_enabled, "the steps")
    slider.focus()
    slider.press("Home")
    tab.wait(lambda: details.locator(".words").inner_text() == "Step 0 of 30: the past.", "step 0")
    tab.wait(lambda: attention(details) != newest, "the map of step 0")
    slider.press("ArrowRight")
    tab.wait(lambda: "Step 5 of 30" in details.locator(".words").inner_text(), "the next record")
    details.get_by_label("Head of this run").select_option("1")
    details.get_by_label("Picture").select_option("signal")
    tab.wait(lambda: "residual stream" in details.locator(".shown").inner_text(), "the other picture")
    details.get_by_role("button", name="Last", exact=True).press("Enter")
    tab.wait(lambda: "The last step" in details.locator(".words").inner_text(), "the end")
    assert details.get_by_label("Head of this run").input_value() == "1"


def attention(details):
    """Return the map on show as pixels."""
    return details.locator('[data-slot="picture"]').screenshot()


def test_a_run_is_renamed(runs, store):
    tab = runs()
    row(tab, "slow 1").get_by_role("button", name="slow 1", exact=True).click()
    details = tab.page.locator(".one-run")
    details.get_by_role("button", name="Rename").click()
    field = details.get_by_label("New name")
    assert field.input_value() == "slow 1"
    field.fill("slow 0")
    field.press("Enter")
    tab.wait(lambda: "there is a run 'slow 0'" in details.get_by_role("alert").inner_text(), "why not")
    assert field.input_value() == "slow 0"
    field.fill("slow, once more")
    field.press("Enter")
    row(tab, "slow, once more").wait_for()
    tab.wait(lambda: details.locator("h2").inner_text() == "slow, once more", "the new name")
    assert not field.is_visible()
    details.get_by_role("button", name="Rename").click()
    field.press("Escape")
    details.locator("h2").wait_for()
    assert tab.page.locator(".sheet").is_visible()
    assert info(store, "slow 1") is None
    store.rename("slow, once more", "slow 1")


def test_a_comparison_has_an_address(runs, open_tab):
    tab = runs()
    for name in ("slow 0", "fast 0"):
        tab.page.get_by_label(f"Compare {name}").check()
    tab_named(tab, "Compare (2)").click()
    page = tab.page.locator(".compare")
    page.locator(".pair-of-plots canvas").nth(1).wait_for()
    page.get_by_label("Against").select_option("tokens")
    page.get_by_label("View").select_option("heads")
    slider = page.get_by_label("Step of both")
    slider.focus()
    slider.press("Home")
    tab.wait(lambda: "at%3A0" in tab.page.url and "view%3Aheads" in tab.page.url, "the address")
    address = tab.page.url
    assert "against%3Atokens" in address
    assert address.endswith("#runs")
    tab.page.reload()
    page.locator(".pair-of-plots canvas").nth(1).wait_for()
    assert page.get_by_label("Against").input_value() == "tokens"
    assert page.get_by_label("View").input_value() == "heads"
    assert page.locator("output").inner_text() == "0"
    assert page.locator(".ends tbody tr").count() == 2
    assert tab.page.url == address
    tab.press("Back to the lab")
    tab.wait(lambda: "compare" not in tab.page.url, "the bench's own address")
    wrong = open_tab(query="?compare=runs:slow 0/fast 0;view:signl;layer:9#runs")
    message = wrong.page.locator(".compare > .message")
    wrong.wait(lambda: "Did you mean 'signal'?" in message.inner_text(), "what is wrong with the link")
    assert "layer 9, which is not there" in message.inner_text()


def test_ticked_runs_are_compared(runs):
    tab = runs()
    for name in ("slow 0", "slow 1", "fast 0", "fast 1"):
        tab.page.get_by_label(f"Compare {name}").check()
    tab_named(tab, "Compare (4)").click()
    page = tab.page.locator(".compare")
    page.locator(".pair-of-plots canvas").nth(1).wait_for()
    assert page.locator(".settings tbody th").all_inner_texts() == ["Seed", "Learning rate"]
    assert "nats" in page.locator(".sentence").inner_text()
    assert page.locator(".ends tbody tr").count() == 6
    page.get_by_label("Join seeds").uncheck()
    tab.wait(lambda: page.locator(".ends tbody tr").count() == 4, "a row a run")
    page.get_by_label("Against").select_option("seconds")
    page.get_by_label("View").select_option("signal")
    slider = page.get_by_label("Step of both")
    slider.focus()
    slider.press("Home")
    tab.wait(lambda: page.locator("output").inner_text() == "0", "step 0")
    tab_named(tab, "Runs").click()
    tab.press("Untick all")
    tab.wait(lambda: tab_named(tab, "Compare").inner_text() == "Compare", "no ticks")
    assert not tab.page.get_by_label("Compare slow 0").is_checked()


def test_a_runs_settings_open_in_the_lab(runs):
    tab = runs()
    row(tab, "slow 0").get_by_role("button", name="slow 0", exact=True).click()
    tab.press("Open in the lab")
    tab.page.locator(".sheet").wait_for(state="hidden")
    tab.wait(lambda: tab.page.locator("[data-layer]").count() == 1, "a model of one layer")
    tab.wait(lambda: tab.step == 0, "a run that is new")
    assert "#runs" not in tab.page.url


def test_a_run_goes_on_and_is_kept(runs, store):
    tab = runs()
    row(tab, "slow 1").get_by_role("button", name="slow 1", exact=True).click()
    tab.press("Go on training")
    tab.page.locator(".sheet").wait_for(state="hidden")
    tab.wait(lambda: tab.step > 40, "steps beyond those it was saved with")
    tab.press("Pause")
    tab.wait(lambda: info(store, "slow 1").step > 40, "the folder has them too")


def test_the_page_has_an_address_and_back_leads_out_of_it(runs, open_tab):
    tab = runs()
    assert tab.page.url.endswith("#runs")
    tab.page.go_back()
    tab.page.locator(".sheet").wait_for(state="hidden")
    tab.press("Runs")
    tab.page.keyboard.press("Escape")
    tab.page.locator(".sheet").wait_for(state="hidden")
    for field in ("Note of slow 0", "Search"):  # with the cursor in a field too, once there is nothing to forget
        tab.press("Runs")
        tab.page.get_by_label(field).fill("something")
        tab.page.keyboard.press("Escape")
        assert tab.page.get_by_label(field).input_value() == ""
        assert tab.page.locator(".sheet").is_visible()
        tab.page.get_by_label(field).focus()
        tab.page.keyboard.press("Escape")
        tab.page.locator(".sheet").wait_for(state="hidden")
    direct = open_tab(query="#runs")
    row(direct, "slow 0").wait_for()
    direct.press("Back to the lab")
    direct.page.locator(".sheet").wait_for(state="hidden")
    direct.page.locator("canvas").nth(5).wait_for(state="attached")  # and the bench is drawn


def test_on_a_phone_nothing_is_wider_than_the_screen(runs):
    tab = runs(width=390, height=844, has_touch=True)
    wide = "() => [...document.querySelectorAll('*')].length && document.documentElement.scrollWidth"
    assert tab.page.evaluate(wide) <= 390
    for name in ("slow 0", "fast 0"):
        tab.page.get_by_label(f"Compare {name}").check()
        box = row(tab, name).bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 390
    row(tab, "fast 0").get_by_role("button", name="fast 0", exact=True).click()
    tab.page.locator(".one-run canvas").first.wait_for()
    assert not row(tab, "slow 0").is_visible()
    tab.page.get_by_label("Close this run").click()
    tab_named(tab, "Compare (2)").click()
    tab.page.locator(".pair-of-plots canvas").nth(1).wait_for()
    assert tab.page.evaluate(wide) <= 390


def test_closing_a_tab_frees_the_runs_that_were_compared(chromium, tmp_path, monkeypatch):
    monkeypatch.setenv("TLAB_RUNS", str(tmp_path))
    before = live_runs()
    with served_here() as address:
        page = chromium.new_page()
        page.goto(address)
        page.get_by_role("button", name="Step", exact=True).click()
        page.get_by_role("button", name="Runs", exact=True).click()
        page.get_by_role("tab", name="Compare").click()
        page.locator(".ends tbody tr").wait_for()
        assert live_runs() == before + 1
        page.close()
        deadline = time.monotonic() + 20
        while live_runs() != before and time.monotonic() < deadline:
            time.sleep(0.2)
        assert live_runs() == before
