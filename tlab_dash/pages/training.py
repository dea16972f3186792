"""How the training goes: loss, and what drives it."""

from tlab_dash.pages.page import Card, Page

training = Page(
    name="training",
    title="Training",
    lead="How surprised the model is, and what drives it.",
    cards=(
        Card("loss", columns=6, rows=2),
        Card("learning_rate", columns=3),
        Card("gradient_norm", columns=3),
        Card("update_ratio", columns=3),
        Card("speed", columns=3),
    ),
    selects=("scale",),
)
