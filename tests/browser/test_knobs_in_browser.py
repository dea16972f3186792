"""Knobs that change nothing as the others stand can't be turned on the page, and say why; folded ones can."""


def test_another_optimizer_greys_out_what_it_does_not_heed(tab):
    decay = tab.page.get_by_label("Weight decay", exact=True)
    assert decay.is_enabled()
    for name, idle in (("SGD", True), ("Lion", False), ("Adam", True)):
        tab.page.get_by_label("Optimizer", exact=True).select_option(name)
        tab.wait(lambda idle=idle: decay.is_disabled() == idle, f"weight decay under {name}")
        assert decay.locator("xpath=..").get_attribute("title") == (f"{name} has no use for it." if idle else "")


def test_without_a_norm_its_layout_says_at_the_question_mark_that_it_changes_nothing(tab):
    tab.page.get_by_label("Norm", exact=True).select_option("None")
    layout = tab.page.get_by_label("Residual layout", exact=True)
    tab.wait(layout.is_disabled, "the layout greyed out")
    tab.page.get_by_role("button", name="What is Residual layout?").hover()
    tip = tab.page.get_by_role("tooltip", name="").filter(has_text="Without a norm all layouts are the same.")
    tip.wait_for()
    assert "Where the norm sits." in tip.inner_text()


def test_dropout_is_turned_while_it_trains(tab):
    tab.press("Train")
    tab.wait(lambda: tab.step > 10, "some steps")
    tab.page.get_by_text("Regularisation", exact=True).click()
    step = tab.step
    tab.page.get_by_label("Dropout", exact=True).press("ArrowRight")
    assert tab.page.locator('[data-knob="training.dropout"] output').inner_text() != "0"
    tab.page.wait_for_timeout(1500)
    assert tab.step > step  # the same run goes on
    tab.press("Pause")
