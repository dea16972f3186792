"""How large the weights are, how far they have moved, and what one matrix is made of."""

from tlab_dash.pages.page import Card, Page

weights = Page(
    name="weights",
    title="Weights",
    lead="All that the model has learned is in these numbers.",
    cards=(
        Card("weight_map"),
        Card("weight_history"),
        Card("weight_spread"),
        Card("singular_values"),
    ),
    selects=("layer", "matrix", "weight_measure"),
)
