"""Texts longer than those the model was trained on."""

from tlab_dash.pages.page import Card, Page

long = Page(
    name="long",
    title="Long text",
    lead="The model reads on, up to eight times as far as it was trained to.",
    selects=("layer",),
    cards=(
        Card("long_loss", columns=12),
        Card("long_qk_mean", columns=4),
        Card("long_qk_std", columns=4),
        Card("long_qk_max", columns=4),
    ),
)
