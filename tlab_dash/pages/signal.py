"""How large the signal is on its way down, how its numbers are spread, and how many units are off."""

from tlab_dash.pages.page import Card, Page

signal = Page(
    name="signal",
    title="Signal by depth",
    lead="What becomes of the signal on its way through the layers.",
    cards=(
        Card("signal_places"),
        Card("layer_statistics"),
        Card("spread"),
        Card("unit_shares"),
    ),
    selects=("layer", "measure", "site"),
)
