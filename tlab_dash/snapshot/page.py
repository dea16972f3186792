"""A run, or several side by side, as one HTML file that works without a server and without a network."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from html import escape
from importlib.metadata import version
from typing import Any

import numpy as np

from tlab_core.corpora import corpus_title
from tlab_core.run import Run
from tlab_dash.architecture_map import Scale, map_values, widen
from tlab_dash.architecture_map.values import GRADIENT
from tlab_dash.component import STATIC
from tlab_dash.selection import Selection, liveliest_head, sizes
from tlab_dash.snapshot import markup
from tlab_dash.snapshot.frames import SHOWN, Frame, frame, steps_of
from tlab_dash.snapshot.notes import LONGEST
from tlab_dash.snapshot.packing import packed
from tlab_dash.snapshot.quantise import WORST
from tlab_dash.snapshot.scene import Palette, SnapshotError, scene
from tlab_dash.snapshot.still import Still
from tlab_dash.theme import DARK, LIGHT, Theme, css_variable
from tlab_dash.views.tokens import visible

STEPS = 21  # the 20 of a short run and its start
MEGABYTES = 12.0
MOST_RUNS = 8
SCRIPTS = ("snapshot_data.js", "snapshot_plot.js", "snapshot.js")


@dataclass(frozen=True)
class Snapshot:
    """A finished snapshot: the file's content, and in sentences what of the runs it leaves out."""

    html: bytes = field(repr=False)  # a cell shows what stands at its end
    left_out: tuple[str, ...]


def snapshot_bytes(
    runs: Mapping[str, Run], *, title: str = "", notes: str = "", steps: int = STEPS, megabytes: float = MEGABYTES
) -> Snapshot:
    """Return runs, given by name, as one HTML file that shows them side by side.

    title, notes  the author's words; notes in Markdown
    steps         of the recorded steps, how many the slider goes through
    megabytes     how large the file may become; to stay below, it goes through fewer steps

    Attention is stored as one byte a weight, within 0.004 of what was recorded; all other numbers as float32. Raises
    SnapshotError for no run or too many, a run with nothing on record, and one that does not fit even at a single step. The
    runs may go on training meanwhile.
    """
    _check(runs, title, notes, steps, megabytes)
    runs = {name: Still(run) for name, run in runs.items()}
    recorded = np.unique(np.concatenate([steps_of(run) for run in runs.values()]))
    stops = _spread(recorded, steps)
    frames, look = _frames(runs, stops), _look(runs)
    while True:
        blocks = [packed(_of_stops(frames[name], stops)) for name in runs]
        left_out = _left_out(runs, recorded, stops, steps)
        html = _html(runs, stops, blocks, look, left_out, title, notes)
        over = len(html) / (1e6 * megabytes)
        if over <= 1:
            return Snapshot(html, left_out)
        if len(stops) == 1:
            raise SnapshotError(f"one step of {'this run' if len(runs) == 1 else f'these {len(runs)} runs'} takes "
                                f"{len(html) / 1e6:.1f} MB, and the file may have {megabytes:g} MB. Allow it more"
                                f"{', or take fewer runs' if len(runs) > 1 else ''}.")  # fmt: skip
        stops = _spread(stops, max(1, min(len(stops) - 1, int(len(stops) / over))))


def _check(runs: Mapping[str, Run], title: str, notes: str, steps: int, megabytes: float) -> None:
    for what, text in (("title", title), ("notes", notes)):
        if not isinstance(text, str):
            raise SnapshotError(f"{what} = {text!r} is not allowed: it must be a text.")
    if not 1 <= len(runs) <= MOST_RUNS:
        raise SnapshotError(f"a snapshot shows 1 to {MOST_RUNS} runs, and {len(runs)} came."
                            + (" Train one first." if not runs else ""))  # fmt: skip
    if not (isinstance(steps, int) and not isinstance(steps, bool) and steps >= 1):
        raise SnapshotError(f"steps is {steps!r}: it must be a whole number from 1 on.")
    if not megabytes > 0:
        raise SnapshotError(f"megabytes is {megabytes!r}: it must be above 0.")
    if len(notes) > LONGEST:
        raise SnapshotError(f"the notes have {len(notes):,} characters, and at most {LONGEST:,} are taken.")
    for name, run in runs.items():
        if not len(steps_of(run)):
            raise SnapshotError(f"nothing of {name!r} is on record yet: train it first.")


def _spread(steps: np.ndarray, most: int) -> np.ndarray:
    """At most so many of the steps, the last and the first among them, evenly spread; of one, the last."""
    if len(steps) <= most:
        return steps
    return steps[np.rint(np.linspace(len(steps) - 1, 0, most)).astype(int)[::-1]]


def _frames(runs: Mapping[str, Run], stops: np.ndarray) -> dict[str, dict[int, Frame]]:
    """What each run shows at each stop, or at its last record before it; colours of the map on one scale for all."""
    at = {name: {int(stop): _recorded(run, stop) for stop in stops} for name, run in runs.items()}
    scale: Scale | None = None
    for name, run in runs.items():
        for step in set(at[name].values()):
            scale = widen(scale, map_values(run, step), GRADIENT)
    found: dict[str, dict[int, Frame]] = {}
    for name, run in runs.items():
        read = {step: frame(run, step, scale) for step in sorted(set(at[name].values()))}
        found[name] = {stop: read[step] for stop, step in at[name].items()}
    return found


def _recorded(run: Run, stop: int) -> int:
    steps = steps_of(run)
    return int(steps[np.searchsorted(steps, stop, side="right") - 1])


def _of_stops(frames: Mapping[int, Frame], stops: np.ndarray) -> list[Frame]:
    return list({frames[int(stop)].step: frames[int(stop)] for stop in stops}.values())


def _left_out(runs: Mapping[str, Run], recorded: np.ndarray, stops: np.ndarray, asked: int) -> tuple[str, ...]:
    said = []
    if len(stops) < len(recorded):
        shown = f"It shows {len(stops):,} of the {len(recorded):,} recorded steps"
        said.append(f"{shown}; all with tlab snapshot --steps {len(recorded)}." if len(stops) == asked else
                    f"{shown}, to keep the file small.")  # fmt: skip
    for name, run in runs.items():
        kept, written = len(markup.told.samples(run)), len(run.samples)
        if kept < written:
            said.append(f"Of the {written:,} texts that {name} wrote, it shows {kept}.")
    return tuple(said)


# ---- the file


@dataclass(frozen=True)
class Look:
    """How every picture of every run looks, whatever the step: scenes by run and view, and the colours they share."""

    scenes: dict[str, dict[str, Any]]
    palette: Palette


def _look(runs: Mapping[str, Run]) -> Look:
    palette, drawn, scenes = Palette(), {}, {}
    for name, run in runs.items():
        scenes[name] = {}
        for view in (shown.view for shown in SHOWN):
            columns = view.columns(run, Selection(pinned=True))
            # Runs of one shape share their scenes: drawing a figure takes longer than all else.
            shape = (view.name, *sizes(run), *(_key(column) for part in view.fixed for column in columns[part].values()))
            if shape not in drawn:
                drawn[shape] = scene(view, columns, palette)
            scenes[name][view.name] = drawn[shape]
    return Look(scenes, palette)


def _key(column: np.ndarray) -> tuple:
    return tuple(column.tolist())


def _html(
    runs: Mapping[str, Run], stops: np.ndarray, blocks: list[tuple[str, dict[int, str]]], look: Look,
    left_out: Sequence[str], title: str, notes: str,
) -> bytes:  # fmt: skip
    index = _index(runs, stops, look)
    script = "\n".join((STATIC / name).read_text(encoding="utf-8") for name in SCRIPTS)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = (f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; base-uri 'none'; "
              "form-action 'none'")  # fmt: skip
    title = title.strip() or " and ".join(runs)
    longest = max(runs.values(), key=lambda run: sizes(run)[2])
    first, later = _stored(blocks)
    page = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(title)}</title>",
        f"<style>{_colours(look.palette)}\n{(STATIC / 'snapshot.css').read_text(encoding='utf-8')}</style></head><body>",
        f'<header><h1>{escape(title)}</h1><p class="muted">{escape(_byline(runs))} '
        '<a href="#words">What the words mean</a></p>',
        markup.broken(runs),
        "".join(f'<p class="left-out">{escape(sentence)}</p>' for sentence in left_out),
        '<noscript><p class="left-out">The pictures need JavaScript; all else can be read without it.</p></noscript>',
        '<p id="trouble" role="alert"></p></header><main>',
        markup.notes(notes),
        markup.controls(runs, stops, longest.probe_tokens[: sizes(longest)[2]]),
        markup.cards(runs),
        '<div class="cards">', markup.probes(runs), markup.samples(runs), markup.settings(runs), markup.again(runs),
        markup.code(runs), markup.words(), "</div></main>",
        f"<footer><p>{escape(_precision())}</p></footer>",
        f'<script type="application/json" id="index">{_json(index)}</script>',
        first, f"<script>{script}</script>", later, "</body></html>",
    ]  # fmt: skip
    return "\n".join(page).encode()


def _stored(blocks: list[tuple[str, dict[int, str]]]) -> tuple[str, str]:
    """The blocks of numbers: those that the first pictures need, and those that may arrive while they are drawn."""
    def element(name: str, block: str) -> str:
        return f'<script type="text/plain" id="{name}">{block}</script>'

    first = [element(f"run-{place}", common) for place, (common, _) in enumerate(blocks)]
    first += [element(f"run-{place}-step-{max(own)}", own[max(own)]) for place, (_, own) in enumerate(blocks)]
    later = [element(f"run-{place}-step-{step}", block)
             for place, (_, own) in enumerate(blocks) for step, block in own.items() if step != max(own)]  # fmt: skip
    return "".join(first), "".join(later)


def _index(runs: Mapping[str, Run], stops: np.ndarray, look: Look) -> dict[str, Any]:
    """What the script has to know beside the blocks."""
    first = next(iter(runs.values()))
    # Where the first run's attention moved most, as far as all runs have such a layer and head.
    most = [min(counts) - 1 for counts in zip(*(sizes(run) for run in runs.values()), strict=True)]
    layer, head = (min(place, last) for place, last in zip(liveliest_head(first), most, strict=False))
    return {
        "stops": [int(stop) for stop in stops],
        "chosen": {"stop": len(stops) - 1, "layer": layer, "head": head, "position": sizes(first)[2] - 1},
        "ink": {theme.name: theme.attention for theme in (LIGHT, DARK)},
        "views": {shown.view.name: {"varies": shown.varies, "picks": shown.picks, "together": shown.together,
                                    "far": shown.far, "needs": shown.needs} for shown in SHOWN},
        "runs": [_run_index(run, stops, look.scenes[name]) for name, run in runs.items()],
    }  # fmt: skip


def _run_index(run: Run, stops: np.ndarray, scenes: dict[str, Any]) -> dict[str, Any]:
    layers, heads, positions = sizes(run)
    return {
        "layers": layers, "heads": heads, "positions": positions,
        "tokens": [visible(token) for token in run.probe_tokens[:positions]],
        "steps": [_recorded(run, stop) for stop in stops],
        "scenes": scenes,
    }  # fmt: skip


def _byline(runs: Mapping[str, Run]) -> str:
    texts = sorted({corpus_title(run.experiment.corpus) for run in runs.values()})
    steps = [f"{name} {run.step:,} steps" if len(runs) > 1 else f"{run.step:,} steps" for name, run in runs.items()]
    lab = f"Made with the Transformer Intuition Lab {version('transformer-intuition-lab')}."
    return f"{' and '.join(steps)} on {' and '.join(texts)}. {lab}"


def _precision() -> str:
    return (f"Attention weights are within {WORST:.4f} of what was recorded, small ones closer. All other numbers have "
            "seven digits. This file asks no other computer for anything.")


def _colours(palette: Palette) -> str:
    def rule(theme: Theme) -> str:
        own = " ".join(f"{css_variable(field.name)}: {getattr(theme, field.name)};" for field in fields(theme)
                       if field.name != "name")  # fmt: skip
        return f":root {{ {own} {palette.declarations(theme.name)} }}"

    return f"{rule(LIGHT)}\n@media screen and (prefers-color-scheme: dark) {{ {rule(DARK)} }}"


def _json(value: Any) -> str:
    """JSON that can stand inside a script element: nothing in it ends one or begins a comment."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False, ensure_ascii=False).replace("<", "\\u003c")
