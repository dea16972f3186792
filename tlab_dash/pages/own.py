"""What someone has defined and no other page shows: statistics, and pictures. Without any there is no such page."""

from tlab_core.own_statistics import STATISTICS
from tlab_dash.own_picture import OwnPicture, own_views
from tlab_dash.pages.page import Card, Page


def anything() -> bool:
    """Tell whether there is a statistic or a picture that is not the lab's own."""
    return bool(STATISTICS.names() or own_views())


own = Page(
    name="own",
    title="Your own",
    lead="What you, or a package, have added.",
    cards=(
        Card("own_statistic", columns=6, rows=1),
        Card(OwnPicture, columns=6, rows=1),
    ),
    selects=("layer", "head", "own_statistic", "own_view"),
    rows=1,
    when=anything,
)
