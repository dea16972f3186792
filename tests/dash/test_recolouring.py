"""A figure in the colours of the other theme is the one that would have been drawn in it."""

import json
import re

import pytest
from bokeh.core.serialization import Serializer

from tests.dash.fakes import fake_run
from tlab_dash.live import drawn
from tlab_dash.recolouring import recolour
from tlab_dash.selection import Selection
from tlab_dash.theme import DARK, LIGHT
from tlab_dash.views import VIEWS


@pytest.fixture(scope="module")
def runs():
    return fake_run(), fake_run(seed=1)


def written(figure):
    """A figure with all that belongs to it as text, its models numbered as they are met."""
    text = json.dumps(Serializer(deferred=False).encode(figure), default=repr)
    met = {}
    return re.sub(r'"p\d+"', lambda found: met.setdefault(found[0], f"model {len(met)}"), text)


@pytest.mark.parametrize(("before", "after"), [(LIGHT, DARK), (DARK, LIGHT)], ids=lambda theme: theme.name)
@pytest.mark.parametrize("name", VIEWS.names())
def test_every_view_gets_all_colours_of_the_other_theme_and_no_other(name, before, after, runs):
    run, ghost = runs
    view, selection = VIEWS.get(name), Selection()
    for analysis, options in (view.needs(run, selection) if view.needs else {}).items():
        run.analyse(analysis, **options)
        ghost.analyse(analysis, **options)
    columns = view.columns(run, selection, ghost)
    figure = drawn(view, columns, before)[0]
    assert written(figure) != written(drawn(view, columns, after)[0])
    recolour(figure, before, after)
    assert written(figure) == written(drawn(view, columns, after)[0])
