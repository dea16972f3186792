"""The gallery's figures: each view's example, run as it stands, and its picture as HTML.

`python -m docs.generator.figures FOLDER VIEW=KEY ...` is what the site's build calls (made.py).
"""

import ast
import json
import sys
from pathlib import Path
from typing import Any

from bokeh.embed import components
from bokeh.models import Model, Plot

from docs.generator.thumbnails import svg
from tlab_core.runs.files import write_whole
from tlab_dash import views
from tlab_dash.live import plotted
from tlab_dash.views.asked import selected

# What every example begins with. It is run once, as it is the same on all pages.
BEGINNING = """\
from tlab_core import LiveRun, default_experiment
from tlab_dash import views

run = LiveRun(default_experiment())
run.advance(steps=100)
"""
# What defines something of one's own begins with that, as only a run that begins later records it.
OWN_BEGINNINGS = {
    "own_statistic": """\
from tlab_core.extend import statistic


@statistic
def attention_sink(weights):
    \"\"\"Share of attention on the first character.\"\"\"
    return weights[:, :, 1:, 0].mean(axis=-1)  # (layer, head, query, key): one number a layer and head


""",
}
# The line that draws, where the plain `views.NAME(run)` would show less.
EXAMPLES = {
    "attention": "views.attention(run, layer=2, head=1)",
    "heads": "views.heads(run, layer=2)",
    "gradient_sites": 'views.gradient_sites(run, site="q")',
    "head_history": "views.head_history(run, layer=1, head=0)",
    "head_scores": 'views.head_scores(run, head_measure="first_token")',
    "layer_statistics": "views.layer_statistics(run, layer=3)",
    "loss": 'views.loss(run, scale="log")',
    "qk": "views.qk(run, layer=2, head=1)",
    "qk_history": 'views.qk_history(run, qk_measure="qk_std")',
    "weight_history": 'views.weight_history(run, matrix="mlp.down.weight", weight_measure="distance")',
    "weight_map": 'views.weight_map(run, weight_measure="update_ratio")',
    "weight_spread": 'views.weight_spread(run, layer=1, matrix="mlp.up.weight")',
}


def called(name: str) -> str:
    """Return what a view, given by its registered name, is called in `tlab_dash.views`."""
    view = views.VIEWS.get(name)
    return next(public for public in views.__all__ if getattr(views, public) is view)


def example(name: str) -> str:
    """Return a view's whole example."""
    public = called(name)
    return f"{OWN_BEGINNINGS.get(name, '')}{BEGINNING}{EXAMPLES.get(public, f'views.{public}(run)')}\n"


def value_of(code: str, names: dict[str, Any]) -> Any:
    """Run the code and return the value of its last line, as a notebook does."""
    tree = ast.parse(code)
    *before, last = tree.body
    exec(compile(ast.Module(before, []), "<example>", "exec"), names)
    return eval(compile(ast.Expression(last.value), "<example>", "eval"), names)


def embedded(figure: Model) -> str:
    """Return a picture as HTML for a page that has Bokeh's script; it becomes as narrow as the page."""
    width = figure.width if isinstance(figure, Plot) else None
    figure.update(sizing_mode="scale_width", max_width=width)
    script, div = components(figure)
    return div + script


def main(folder: Path, wanted: dict[str, str]) -> None:
    """Draw some views, each into a JSON file."""
    begun: dict[str, Any] = {}
    exec(compile(BEGINNING, "<example>", "exec"), begun)
    for name, made_of in wanted.items():
        code = example(name)
        names = dict(begun) if code.startswith(BEGINNING) else {"__name__": "__main__"}
        made = drawn(name, code.removeprefix(BEGINNING), names)
        write_whole(folder / f"{name}-{made_of}.json", json.dumps(made).encode())


def drawn(name: str, code: str, names: dict[str, Any]) -> dict[str, str]:
    """Return a view's picture and its small one, light and dark, and the sentence below it; `names` is what is there."""
    figure = plotted(value_of(code, names)).state
    last = code.rstrip().splitlines()[-1]
    dark = plotted(value_of(f'{last.removesuffix(")")}, theme="dark")', names)).state
    # In small first: what is embedded takes the width of its page.
    return {"thumbnail": svg(figure), "dark_thumbnail": svg(dark), "html": embedded(figure), "dark": embedded(dark),
            "note": note(name, last, names["run"])}


def note(name: str, call: str, run: Any) -> str:
    """Return the sentence that the view has for what the call shows, empty where there is none."""
    view = views.VIEWS.get(name)
    if not view.note:
        return ""
    chosen = {given.arg: ast.literal_eval(given.value) for given in ast.parse(call, mode="eval").body.keywords}
    return view.note(view.columns(run, selected(run, None, chosen)))


if __name__ == "__main__":
    main(Path(sys.argv[1]), dict(argument.split("=", 1) for argument in sys.argv[2:]))
