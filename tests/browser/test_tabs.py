"""What becomes of a run when its tab is closed, seen from inside the server."""

import gc
import time

import panel as pn

from tests.browser.conftest import APP, free_port
from tlab_core.run import LiveRun


def live_runs():
    gc.collect()
    return sum(type(thing) is LiveRun for thing in gc.get_objects())  # isinstance would wake lazy modules, which may warn


def test_closing_a_tab_frees_its_run(chromium):
    before, port = live_runs(), free_port()
    server = pn.serve(
        {"lab": str(APP)}, port=port, address="127.0.0.1", show=False, threaded=True, verbose=False,
        unused_session_lifetime_milliseconds=300, check_unused_sessions_milliseconds=300,
    )
    try:
        pages = []
        for _ in range(2):
            page = chromium.new_page()
            page.goto(f"http://127.0.0.1:{port}/lab")
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
    finally:
        server.stop()
