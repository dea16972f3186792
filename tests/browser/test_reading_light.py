"""Reading light: pointing at a character of the probe text lights up what it reads; and the pages of heads and scores."""

import pytest

SLOW = 120_000  # milliseconds that the last of a page's five pictures may take, on a busy machine

# Of each character of the first probe text: position, opacity of its shade, whether it is faint. Playwright's own
# selectors go through shadow roots, so the strip is found by one of them.
SHADES = """(strip) => [...strip.querySelectorAll('[data-position]')].map((span) => {
  const style = getComputedStyle(span), shade = style.backgroundColor.match(/[\\d.]+/g).map(Number);
  const opacity = shade.length > 3 ? shade[3] : 1;  // css leaves out that of a colour that covers
  return [Number(span.dataset.position), opacity, style.opacity < 1];
})"""


def shades(strip):
    return strip.evaluate(SHADES)


def test_pointing_at_a_character_lights_up_what_it_reads(tab):
    strip = tab.page.locator('[data-slot="probe"] .tlab-probe')
    strip.wait_for()
    rest = shades(strip)
    assert not any(faint for _, _, faint in rest)  # the last character is chosen, and it can see all others
    strip.locator('[data-position="5"]').hover()
    tab.wait(lambda: shades(strip) != rest, "the light")
    lit = shades(strip)
    assert [faint for _, _, faint in lit] == [position > 5 for position, _, _ in lit]
    # Shades are the roots of weights, and the weights of what can be read are 1 in all.
    assert sum(shade**2 for _, shade, _ in lit) == pytest.approx(1, abs=0.03)
    assert "“" in strip.locator('[data-position="5"]').get_attribute("title")
    tab.page.mouse.move(5, 5)
    tab.wait(lambda: shades(strip) == rest, "the chosen character's own shades")


def test_the_page_of_heads_says_what_a_head_reads(tab):
    tab.page.locator('[data-page="attention"]').click()
    said = tab.page.locator(".board .reads")
    said.wait_for(timeout=SLOW)
    before = said.inner_text()
    assert before.count(" at ") == 4  # itself, and the three that it reads most
    tab.page.locator('.board [data-position="3"]').hover()
    tab.wait(lambda: " at 3 reads " in said.inner_text(), "what character 3 reads")
    tab.page.locator('.board [data-position="3"]').click()
    tab.wait(lambda: int(tab.page.locator('.board select[data-part="position"]').input_value()) == 3, "the choice")
    tab.page.get_by_role("heading", name="What each head does").wait_for()


def test_the_page_of_scores_is_measured_and_a_tap_chooses_a_head(tab):
    tab.page.locator('[data-page="qk"]').click()
    card = tab.page.get_by_role("region", name="Match scores by distance")
    tab.wait(lambda: "on average" in card.locator(".note").inner_text(), "the measure of distance",
             seconds=SLOW / 1000)
    head = tab.page.locator('.board select[data-part="head"]')
    wanted = "3" if head.input_value() != "3" else "0"
    canvas = tab.page.get_by_role("region", name="Query and key vectors").locator("canvas").first
    across = {"0": 0.07, "3": 0.24}[wanted]  # within layer 0's stretch, a quarter of the plot beside its axis
    tab.tap(canvas, 0.06 + 0.92 * across, 0.5, lambda: head.input_value() == wanted, "the head in the select")
