"""What a view is: a function that shapes a run's history into columns, and one that draws those columns.

The two are apart because they are needed apart: a live page draws once and from then on only writes columns, a
snapshot stores the columns of every layer and head beside one drawing, a comparison takes columns once a run.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

import holoviews as hv
import numpy as np

from tlab_core.expected import Made
from tlab_core.extensions import LAB
from tlab_core.registry import Registry
from tlab_dash.selection import Selection
from tlab_dash.theme import LIGHT, Theme
from tlab_dash.views import reach
from tlab_dash.views.asked import run_of, selected, theme_of
from tlab_dash.views.guarded import functions_of
from tlab_dash.views.look import card
from tlab_dash.views.reach import Range
from tlab_dash.views.saving import SCALE, save

Table = dict[str, np.ndarray]
Columns = dict[str, Table]

# What of an overlay's options its first element has too.
KEPT = ("xlim", "ylim", "xlabel", "ylabel", "width", "height", "xaxis", "yaxis", "xticks", "yticks", "xformatter",
        "yformatter", "xrotation", "logx", "logy", "invert_yaxis", "show_grid", "gridstyle", "title")


@dataclass(frozen=True)
class View:
    """One plot.

    columns(run, selection, ghost)  {part: {column: array}}; the parts that are drawn come in the order of the overlay
    draw(columns, theme)            the overlay, one element a drawn part
    limits(columns)                 ((left, right), (bottom, top)) of the axes that the run itself needs; a pair may run
                                    downwards
    ghosts                          {part: {axis, "x" or "y": column}}: where the ghost's values lie. It gets of those axes
                                    what `reach.widened` leaves it, and `remark` says where it goes beyond
    log(columns)                    which axes are logarithmic: "", "x" or "y"
    warning(columns)                what has to be said above the picture before anything else; mostly nothing
    fixed                           parts that are not drawn but shape the figure (names on an axis): when one of them
                                    changes the figure has to be drawn anew
    told                            parts that are not drawn and do not shape the figure: what only `note` reads
    pick(columns, x, y)             what a tap there chooses, e.g. {"head": 3}; None where there is nothing
    heading                         the title on the bench, where it may name {layer} and {head}, those that are selected
    note(columns)                   a sentence with what the picture shows now in numbers; empty where there is none to say
    needs(run, selection)           {analysis: options} that have to be taken of the run first (`run.analyses`); until they
                                    are, `columns` returns empty parts
    size                            width and height in pixels where it stands alone

    A view that is not the lab's own is watched: what its functions raise, or return wrongly, is a ViewError with its name.
    """

    name: str
    title: str
    caption: str
    columns: Callable[..., Columns]
    draw: Callable[[Columns, Theme], hv.Overlay]
    limits: Callable[[Columns], tuple[Range, Range]]
    ghosts: dict[str, dict[str, str]] = field(default_factory=dict)
    log: Callable[[Columns], str] = lambda columns: ""
    warning: Callable[[Columns], str] = lambda columns: ""
    fixed: tuple[str, ...] = ()
    told: tuple[str, ...] = ()
    pick: Callable[[Columns, float, float], dict[str, int] | None] | None = None
    heading: str = ""
    note: Callable[[Columns], str] | None = None
    needs: Callable[..., dict[str, dict]] | None = None
    size: tuple[int, int] = (560, 320)
    module: str = field(init=False, repr=False, compare=False)

    def __post_init__(self):
        object.__setattr__(self, "module", _maker())
        if self.module.partition(".")[0] not in LAB:
            for name, function in functions_of(self).items():
                object.__setattr__(self, name, function)
        VIEWS.register(self.name)(self)

    def __repr__(self) -> str:
        return f"<the view {self.name!r}: {self.title}. {self.caption} Of a run: views.{self.name}(run)>"

    @property
    def home(self) -> tuple[str, str]:
        """The module that it is made in, and its name there: run again, it takes its own place, and no other's."""
        return self.module, self.name

    def element(self, columns: Columns, theme: Theme = LIGHT) -> hv.Overlay:
        """Return `columns` as one HoloViews overlay on its axes, with its remark above."""
        ensure_backend()
        (left, right), (bottom, top) = self.axes(columns)
        limits = {"xlim": (min(left, right), max(left, right)), "ylim": (min(bottom, top), max(bottom, top))}
        return self.draw(columns, theme).opts(**limits, title=self.remark(columns), show_title=True, backend="bokeh")

    def axes(self, columns: Columns) -> tuple[Range, Range]:
        """Return the axes: what the run needs, and room for the ghost within reason."""
        log = self.log(columns)
        x, y = (
            reach.widened(own, values, axis in log)
            for own, (axis, values) in zip(self.limits(columns), self._ghost_values(columns).items(), strict=True)
        )
        return x, y

    def remark(self, columns: Columns) -> str:
        """Return the view's warning, or else where the ghost goes beyond the axes; empty where neither is to be said."""
        log = self.log(columns)
        cut = (
            reach.cut(shown, values, axis in log)
            for shown, (axis, values) in zip(self.axes(columns), self._ghost_values(columns).items(), strict=True)
        )
        return self.warning(columns) or next(filter(None, cut), "")

    def _ghost_values(self, columns: Columns) -> dict[str, np.ndarray]:
        return {
            axis: np.concatenate([np.empty(0), *(columns[part][names[axis]] for part, names in self.ghosts.items()
                                                 if axis in names)])
            for axis in ("x", "y")
        }

    def headed(self, layer: int, head: int) -> str:
        """Return the title while this layer and head are selected."""
        return (self.heading or self.title).format(layer=layer, head=head)

    def drawn(self, columns: Columns) -> list[str]:
        """Return the parts that have an element of their own, in the order of the overlay."""
        return [part for part in columns if part not in self.fixed and part not in self.told]

    def __call__(self, run, selection: Selection | None = None, ghost=None, theme: Theme | str = LIGHT,
                 **chosen) -> hv.Overlay:
        """Return a picture of a run, or of a Trainer's history: the newest step and liveliest head, or what is chosen.

        selection  a Selection; or in keywords what is looked at: `layer=1, head=3, step=100`
        ghost      another run or Trainer to compare with
        theme      "light" or "dark", or a Theme

        What the view needs beside the history is measured first. Raises TypeError for what is no run and for an unknown
        keyword, ValueError for a value that can't be, and RunError for a saved run whose model can't be had any more.
        """
        run, ghost, theme = run_of(run), None if ghost is None else run_of(ghost), theme_of(theme)
        selection = selected(run, selection, chosen)
        self.measure(run, selection)
        overlay = self.element(self.columns(run, selection, ghost), theme)
        width, height = self.size
        overlay = overlay.opts(responsive=False, width=width, height=height, backend="bokeh")
        # HoloViews forgets an overlay's options when something is laid over it, but not those of its elements.
        options = hv.Store.lookup_options("bokeh", overlay, "plot").kwargs
        first = next(iter(overlay))
        for element, more in ((first, {name: options[name] for name in KEPT if name in options}), (overlay, {})):
            hooks = hv.Store.lookup_options("bokeh", element, "plot").kwargs.get("hooks", ())
            element.opts(**more, hooks=[*hooks, card(theme)], backend="bokeh")
        return overlay

    def save(self, run, path, selection: Selection | None = None, ghost=None, theme: Theme | str = LIGHT, *,
             width: int | None = None, height: int | None = None, scale: float = SCALE, title: str | None = None,
             **chosen) -> Path:
        """Write a picture of a run to `path`, which ends in .png, .svg or .html, and return the path.

        selection, ghost, theme  and keywords such as `layer=1, head=3, step=100`: as for a view that is called
        width, height, scale     see `views.save`; without them the size that the view has where it stands alone
        title                    what stands above it; None is the view's own title, "" is none
        """
        run = run_of(run)
        selection = selected(run, selection, chosen)
        if title is None:
            at = "" if selection.step is None else f", {self.step_shown(run, selection) or f'step {selection.step:,}'}"
            title = self.headed(*selection.resolve(run)[:2]) + at
        return save(self(run, selection, ghost, theme), path, width=width or self.size[0], height=height or self.size[1],
                    theme=theme, scale=scale, title=title)  # fmt: skip

    def step_shown(self, run, selection: Selection | None = None, **chosen) -> str:
        """Return which step a picture is of, the last recorded one at or before that chosen: "step 5"; "" for a curve."""
        run, read = run_of(run), set()
        token = _read.set(read)
        try:
            self.columns(run, selected(run, selection, chosen), None)
        finally:
            _read.reset(token)
        named = " and ".join(f"{step:,}" for step in sorted(read))  # maps are thinned more than numbers are
        return f"step{'s' if len(read) > 1 else ''} {named}" if read else ""

    def measure(self, run, selection: Selection, anew: bool = False) -> None:
        """Take what the view needs of a run beside its history, unless that is there.

        anew  take it once more, as the model has learned since
        """
        for name, options in (self.needs(run, selection) if self.needs else {}).items():
            if anew or analysis(run, name, options) is None:
                run.analyse(name, **options)


VIEWS = Registry("view", Made(View, "Make one, View(name=..., title=..., ...), and it is registered by that."))


def _maker() -> str:
    """Return the module whose code makes a view, as by `View(...)` or `dataclasses.replace(view, ...)`."""
    at: FrameType | None = sys._getframe(1)
    while at is not None and at.f_globals.get("__name__") in (__name__, "dataclasses", "copy"):
        at = at.f_back
    return at.f_globals.get("__name__", "__main__") if at is not None else "__main__"


def ensure_backend() -> None:
    """Make HoloViews' Bokeh plots available, without a word to the notebook and without choosing a default."""
    import holoviews.plotting.bokeh  # noqa: F401 (imported for what it registers)


# Reading a history ---------------------------------------------------------------------------------------------------


def values(run, group: str, variable: str) -> np.ndarray:
    """Return one recorded variable, all steps."""
    # Variables rather than DataArrays, of which xarray makes a new one at each access: 5 against 35 µs, 60 times a refresh.
    return run.recorder.group(group).variables[variable].values


def analysis(run, name: str, options: dict):
    """Return the newest Dataset of an analysis if it was taken with these options, else None."""
    found = run.analyses.get(name)
    return found if found is not None and json.loads(found.attrs["options"]) == options else None


class Row:
    """One record of a group: `row["rms"]` is a variable at its step."""

    def __init__(self, dataset, index: int):
        self._variables, self._index = dataset.variables, index

    def __getitem__(self, variable: str) -> np.ndarray:
        return self._variables[variable][self._index].values  # in this order: a saved run reads one record alone


# The steps of the records that were read for what is being drawn, while someone asks.
_read: ContextVar[set[int] | None] = ContextVar("read", default=None)


def row(run, group: str, step: int | None) -> Row | None:
    """Return the newest record of `group` at or before `step` (None: the newest of all), or None if there is none."""
    dataset = run.recorder.group(group)
    recorded = dataset.variables["step"].values
    count = len(recorded) if step is None else int(np.searchsorted(recorded, step, side="right"))
    if not count:
        return None
    if (read := _read.get()) is not None:
        read.add(int(recorded[count - 1]))
    return Row(dataset, count - 1)


def ghost_step(run, selection: Selection) -> int:
    """Return the step at which a ghost is comparable to what is shown of `run`."""
    return run.recorder.last_step("residual") if selection.step is None else selection.step


def empty(*columns: str) -> Table:
    """Return a table without rows, for a part that has nothing to show yet."""
    return {column: np.empty(0) for column in columns}
