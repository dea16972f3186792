"""One feed-forward unit: what excites it, and what it writes."""

from tlab_dash.neuron_cards import Excites, Writes
from tlab_dash.pages.page import Card, Page

neuron = Page(
    name="neuron",
    title="Neuron",
    lead="What one unit looks for, and what it then writes.",
    selects=("layer", "order", "unit", "position"),
    cards=(
        Card("units", columns=5),
        Card(Excites, columns=7, tall=470),
        Card("unit_histogram", columns=5),
        Card(Writes, columns=7),
    ),
)
