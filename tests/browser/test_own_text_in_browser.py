"""A text of one's own, pasted, chosen or dropped in a real browser: learned, looked into, or refused in words."""

import pytest

MARKUP = "Der Wind weht. <img src=x onerror=\"document.title='broken'\"> שלום 😀\r\n" * 60
BEN = "One day Ben went to the wood. He had a red ball.\n" * 60


def open_dialog(tab):
    tab.press("Use my own text…")
    return tab.page.get_by_role("dialog", name="Use my own text")


def says(dialog, what):
    return dialog.locator(f'[data-own="{what}"]').inner_text()


def choose(dialog, raw, name="mine.txt"):
    dialog.locator('input[type="file"]').set_input_files({"name": name, "mimeType": "text/plain", "buffer": raw})


@pytest.fixture
def dialog(tab):
    return open_dialog(tab)


def test_by_keyboard_alone_a_text_is_pasted_and_learned(tab):
    button = tab.page.get_by_role("button", name="Use my own text…")
    button.focus()
    button.press("Enter")
    dialog = tab.page.get_by_role("dialog", name="Use my own text")
    assert dialog.get_by_role("button", name="Train on it").is_disabled()
    field = dialog.get_by_label("Paste a text, or drop a file here")
    assert field.evaluate("field => field.getRootNode().activeElement === field")
    tab.page.keyboard.insert_text(BEN)
    tab.page.keyboard.press("Space")  # a letter here, and not the page's Train
    train = dialog.get_by_role("button", name="Train on it")
    tab.wait(train.is_enabled, "what came")
    assert (says(dialog, "characters"), says(dialog, "different")) == ("2,941", "18")
    assert tab.step == 0
    train.press("Enter")
    tab.wait(lambda: not dialog.is_visible() and tab.step > 0, "training on the text")
    text = tab.page.get_by_label("Text", exact=True)
    assert text.evaluate("select => select.selectedOptions[0].text") == "One day Ben went to the"
    assert button.evaluate("button => button.getRootNode().activeElement === button")
    tab.press("Pause")


def test_hostile_markup_is_learned_and_shown_as_text(tab, dialog):
    choose(dialog, MARKUP.encode(), "<img src=x onerror=alert(1)>.txt")
    tab.wait(dialog.get_by_role("button", name="Train on it").is_enabled, "what came")
    assert says(dialog, "first") == MARKUP.split("\r")[0]
    dialog.get_by_role("button", name="Train on it").click()
    tab.wait(lambda: tab.step > 2, "training on the text")
    tab.press("Pause")
    text = tab.page.get_by_label("Text", exact=True)
    assert text.evaluate("select => select.selectedOptions[0].text") == "<img src=x onerror=aler…"
    assert text.get_attribute("title") == "<img src=x onerror=alert(1)>"
    assert tab.page.locator("img").count() == 0
    assert tab.page.title() != "broken"
    tab.wait(lambda: "corpus=own%3A" in tab.page.url, "the address")
    link = tab.page.url
    tab.page.goto("about:blank")
    tab.page.goto(link)  # as from a link: the text is still here
    tab.page.locator(".texts .now").wait_for()
    assert text.evaluate("select => select.selectedOptions[0].text") == "<img src=x onerror=aler…"
    assert text.get_attribute("title") == "<img src=x onerror=alert(1)>"


def test_a_probe_text_is_looked_into_and_the_usual_one_comes_back(tab, dialog):
    dialog.get_by_label("Paste a text, or drop a file here").fill(BEN)
    probe = dialog.get_by_role("button", name="Use as probe text")
    tab.wait(probe.is_enabled, "what came")
    assert says(dialog, "cut") == "As probe text, only the first 64 characters are shown."
    probe.click()
    strip = tab.page.locator(".strip")
    tab.wait(lambda: "Benwenttothewood" in "".join(strip.inner_text().split()), "the probe text")
    dialog = open_dialog(tab)
    dialog.get_by_role("button", name="Show the usual one").click()
    tab.wait(lambda: "Benwenttothewood" not in "".join(strip.inner_text().split()), "the usual probe text")
    assert not dialog.is_visible()


@pytest.mark.parametrize(("raw", "said"), [
    (MARKUP.encode("utf-8")[:200] + b"na\xefve", "The text is not UTF-8: byte"),
    (b"x" * 10_000_000, "The text is too large: it has 10,000,000 bytes, and 5,000,000 are the most here."),
    (b"", "The text is empty. Paste one, or choose a file."),
    (b"GIF89a\0\0", "Character 7 of line 1 is a control character (U+0000)"),
], ids=["latin-1", "10 MB", "empty", "binary"])  # fmt: skip
def test_a_file_that_is_no_text_is_refused_in_words(tab, dialog, raw, said):
    choose(dialog, raw)
    tab.wait(lambda: says(dialog, "problem").startswith(said), said)
    assert dialog.get_by_role("button", name="Train on it").is_disabled()
    assert dialog.get_by_role("button", name="Use as probe text").is_disabled()
    dialog.get_by_role("button", name="Remove").click()
    tab.wait(lambda: says(dialog, "problem") == "", "no more objection")
    tab.page.keyboard.press("Escape")
    assert not dialog.is_visible()


def test_a_paste_that_is_far_too_large_is_refused_before_it_is_laid_out(tab, dialog):
    field = dialog.get_by_label("Paste a text, or drop a file here")
    field.evaluate("""field => {
      const clipboardData = new DataTransfer();
      clipboardData.setData("text/plain", "xyz ".repeat(1500000));
      field.dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles: true, cancelable: true }));
    }""")
    said = "The text is too large: it has 6,000,000 bytes, and 5,000,000 are the most here."
    tab.wait(lambda: said in dialog.inner_text(), "the refusal")
    assert field.input_value() == ""
    field.fill(BEN)
    tab.wait(lambda: dialog.get_by_role("button", name="Train on it").is_enabled(), "a text that is not too large")


def test_one_file_is_dropped_and_several_are_not(tab, dialog):
    drop = """(dialog, names) => {
      const transfer = new DataTransfer();
      for (const name of names) transfer.items.add(new File(["One day Ben went. ".repeat(80)], name));
      const dropped = new DragEvent("drop", { bubbles: true, cancelable: true, dataTransfer: transfer });
      return dialog.dispatchEvent(dropped);
    }"""
    assert not dialog.evaluate(drop, ["a.txt", "b.txt"])  # or the browser would open them
    assert says(dialog, "problem") == "Bring one file at a time."
    dialog.evaluate(drop, ["letters.txt"])
    tab.wait(dialog.get_by_role("button", name="Train on it").is_enabled, "what came")
    assert dialog.get_by_label("Name").input_value() == "letters"
    assert says(dialog, "characters") == "1,440"
    assert says(dialog, "problem") == ""
    dialog.get_by_role("button", name="Cancel").click()
    assert says(open_dialog(tab), "characters") == ""


def test_on_a_phone_the_dialog_is_a_sheet_with_room_for_fingers(open_tab):
    tab = open_tab(width=390, height=844, has_touch=True, is_mobile=True)
    tab.press("Knobs")
    dialog = open_dialog(tab)
    box = dialog.bounding_box()
    assert (box["x"], box["width"], box["y"] + box["height"]) == (0, 390, 844)
    for name in ("Train on it", "Use as probe text", "Cancel"):
        assert dialog.get_by_role("button", name=name).bounding_box()["height"] >= 44
