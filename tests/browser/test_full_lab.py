"""A lab with a single place: who has it, who waits, and that asking whether the server answers takes none."""

from urllib.request import urlopen

import pytest

from tests.browser.conftest import PATIENCE, served
from tests.browser.test_race_in_browser import SMALL


@pytest.fixture
def narrow_lab(tmp_path):
    # A server notices half a minute late that a tab was closed, unless it is told to look more often.
    often = ("--check-unused-sessions", "500", "--unused-session-lifetime", "500")
    with served(tmp_path / "log.txt", *often, TLAB_MAX_SESSIONS="1", TLAB_RUNS=str(tmp_path / "runs")) as address:
        yield address


def test_one_is_told_where_one_stands_and_the_lab_opens_by_itself(narrow_lab, chromium):
    for _ in range(3):
        assert b"Transformer Intuition Lab" in urlopen(narrow_lab, timeout=60).read()  # and no browser behind it
    first, second, third = tabs = [chromium.new_page() for _ in range(3)]
    for tab in tabs:
        tab.set_default_timeout(PATIENCE)
    first.goto(narrow_lab + SMALL)
    first.locator(".texts .now").wait_for()
    second.goto(narrow_lab + SMALL)
    second.locator(".waiting .before", has_text="You are next.").wait_for()
    assert "1 page is open" in second.locator(".waiting .full").inner_text()
    third.goto(narrow_lab + SMALL)
    third.locator(".waiting .before", has_text="1 person is before you.").wait_for()
    first.close()
    second.locator(".texts .now").wait_for()
    second.wait_for_url(narrow_lab + SMALL)  # the token that it came with is gone from its address
    third.locator(".waiting .before", has_text="You are next.").wait_for()
    assert third.locator(".texts .now").count() == 0
    for tab in (second, third):
        tab.close()


@pytest.fixture
def slow_to_forget(tmp_path):
    """A lab with a single place, that keeps a page for as long as servers do when its browser has left."""
    with served(tmp_path / "log.txt", TLAB_MAX_SESSIONS="1", TLAB_RUNS=str(tmp_path / "runs")) as address:
        yield address


def test_who_loads_the_page_again_in_a_full_lab_keeps_the_place_and_the_run(slow_to_forget, chromium):
    tab = chromium.new_page()
    tab.set_default_timeout(PATIENCE)
    tab.goto(slow_to_forget + SMALL)
    tab.locator(".texts .now").wait_for()
    tab.get_by_role("button", name="Train", exact=True).click()
    figure = tab.locator('[data-figure="step"]')

    def reaches(step):
        for _ in range(300):
            if int(figure.inner_text().replace(",", "").replace("–", "-1")) > step:
                return
            tab.wait_for_timeout(100)
        raise AssertionError(f"never past step {step}")

    reaches(60)
    tab.reload()
    tab.locator(".texts .now").wait_for()
    reaches(60)
    tab.close()
