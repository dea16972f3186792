"""How strongly each depth is told to change, through time and now."""

from tlab_dash.pages.page import Card, Page

gradients = Page(
    name="gradients",
    title="Gradient flow",
    lead="How strongly each place is told to change.",
    cards=(
        Card("gradient_flow"),
        Card("gradient_places"),
        Card("gradient_sites"),
        Card("gradient_ratio"),
    ),
    selects=("layer", "site"),
)
