"""What becomes of a run when its tab is closed, seen from inside the server; and of pages that are passed in a hurry."""

import gc
import time

from tests.browser.conftest import served_here
from tlab_core.run import LiveRun
from tlab_dash.pages import PAGES
from tlab_dash.views import VIEWS

# Each tab as soon as the one before was pressed: what a row of fast clicks sends.
PRESS = """(names) => {
  const found = (root, selector) => {
    for (const node of root.querySelectorAll("*")) {
      const hit = node.matches(selector) ? node : node.shadowRoot && found(node.shadowRoot, selector);
      if (hit) return hit;
    }
    return null;
  };
  for (const name of names) found(document, `[data-page="${name}"]`).click();
}"""


def live_runs():
    gc.collect()
    return sum(type(thing) is LiveRun for thing in gc.get_objects())  # isinstance would wake lazy modules, which may warn


def test_closing_a_tab_frees_its_run(chromium):
    before, pages = live_runs(), []
    with served_here() as address:
        for _ in range(2):
            page = chromium.new_page()
            page.goto(address)
            page.get_by_role("button", name="Train", exact=True).click()
            page.locator(".texts .now").wait_for()
            pages.append(page)
        assert live_runs() == before + 2
        for remaining, page in ((1, pages[0]), (0, pages[1])):
            page.close()
            deadline = time.monotonic() + 30
            while live_runs() != before + remaining and time.monotonic() < deadline:
                time.sleep(0.2)
            assert live_runs() == before + remaining


def test_of_tabs_that_are_clicked_in_a_row_the_last_is_shown(tab):
    tab.press("Train")
    names = ("training", "signal", "weights", "qk", "gradients")
    tab.page.evaluate(PRESS, names)
    board = tab.page.locator("main > .page .board")
    board.get_by_text(PAGES.get("gradients").lead, exact=True).wait_for()
    tab.wait(lambda: board.locator("canvas").count() >= len(PAGES.get("gradients").cards), "its pictures")
    assert board.locator("h2").all_inner_texts() == [VIEWS.get(card.content).title for card in PAGES.get("gradients").cards]
    assert tab.page.locator("main > .page.turning").count() == 0
