"""Match scores before softmax: how they are spread, where and when they grow, and what distance does to them."""

from tlab_dash.pages.page import Card, Page

qk = Page(
    name="qk",
    title="Q·K",
    lead="Each character's query is matched with the keys before it. Softmax turns these scores into shares.",
    cards=(
        Card("qk", columns=4),
        Card("qk_scores", columns=4),
        Card("qk_history", columns=4),
        Card("qk_distance"),
        Card("qk_lengths"),
    ),
    selects=("layer", "head", "qk_measure"),
)
