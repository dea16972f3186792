"""A tab that is loaded again has its run still; a tab that opens an address begins with what that says."""


def test_a_run_goes_on_when_its_page_is_loaded_again_and_not_in_another_tab(open_tab, address):
    tab = open_tab()
    tab.press("Train")
    tab.wait(lambda: tab.step > 60, "training")
    step = tab.step
    tab.page.reload()
    tab.page.locator(".texts .now").wait_for()
    tab.wait(lambda: tab.step > step, "the run from before")
    tab.press("Pause")
    tab.page.get_by_label("Norm", exact=True).select_option("None")
    tab.wait(lambda: tab.step == 0, "a new run")
    tab.wait(lambda: "a.norm_type=None" in tab.page.url, "the address")
    tab.page.reload()
    tab.page.locator(".texts .ghost").wait_for()  # the one before it is still its ghost
    assert tab.page.get_by_label("Norm", exact=True).input_value() == "None"

    copy = open_tab()
    name = tab.page.evaluate("sessionStorage.getItem('tlab-tab')")
    copy.page.evaluate("(name) => sessionStorage.setItem('tlab-tab', name)", name)
    copy.page.reload()
    copy.page.locator(".texts .now").wait_for()
    copy.page.wait_for_timeout(6000)  # longer than the server waits for a page to be left
    assert copy.page.get_by_label("Norm", exact=True).input_value() != "None"
    assert tab.page.locator(".texts .ghost").is_visible()

    tab.page.goto(address)
    tab.page.locator(".texts .now").wait_for()
    tab.page.wait_for_timeout(1000)
    assert tab.page.locator(".texts .ghost").count() == 0
