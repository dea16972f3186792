"""Every head of every layer, what each seems to do, and one of them at large."""

from tlab_dash.pages.page import Card, Page
from tlab_dash.reading import Reading

attention = Page(
    name="attention",
    title="All heads",
    lead="Each head chooses which earlier characters to read.",
    cards=(
        Card("all_heads", columns=4, rows=3, tall=440),
        Card("attention", columns=4, rows=3, tall=440),
        Card("head_scores", columns=4, rows=3),
        Card("head_history", columns=6, rows=2),
        Card(Reading, columns=6, rows=2, tall=250),
    ),
    selects=("layer", "head", "position", "head_measure"),
    rows=5,
)
