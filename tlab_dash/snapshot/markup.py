"""The page of a snapshot as HTML: everything but the pictures, which its script draws, can be read without one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from tlab_core.run import Run
from tlab_dash.architecture_map import drawing
from tlab_dash.readable import readable
from tlab_dash.selection import sizes
from tlab_dash.snapshot import again as remake
from tlab_dash.snapshot import told
from tlab_dash.snapshot.frames import SHOWN, Shown
from tlab_dash.snapshot.notes import as_html
from tlab_dash.views.roles import KEY
from tlab_dash.views.tokens import visible
from tlab_dash.words import SIGNS, on_the_page

ARROWS = {"layer": "left and right", "head": "arrow", "position": "up and down"}


def controls(runs: Mapping[str, Run], stops: Sequence[int], tokens: Sequence[str]) -> str:
    """Return the slider through the steps, and the selects for layer, head and character."""
    most = [max(counts) for counts in zip(*(sizes(run) for run in runs.values()), strict=True)]
    characters = [f"“{visible(token)}” at {i}" for i, token in enumerate(tokens)]
    options = {"layer": ("Layer", [str(i) for i in range(most[0])]), "head": ("Head", [str(i) for i in range(most[1])]),
               "position": ("Character", characters)}  # fmt: skip
    selects = "".join(
        f'<label>{label} <select id="{name}" aria-label="{label}">'
        + "".join(f'<option value="{i}">{escape(text)}</option>' for i, text in enumerate(texts))
        + "</select></label>"
        for name, (label, texts) in options.items()
    )
    return (f'<nav class="controls" aria-label="What is shown"><label class="slider"><output id="step">step</output>'
            f'<input type="range" id="stop" min="0" max="{len(stops) - 1}" value="{len(stops) - 1}" aria-label="Step">'
            f"</label>{selects}</nav>")  # fmt: skip


def broken(runs: Mapping[str, Run]) -> str:
    """Return of each run that broke where and why it did."""
    return "".join(f'<p class="broke">{escape(f"{name}: " if len(runs) > 1 else "")}{escape(run.divergence.message)}</p>'
                   for name, run in runs.items() if run.divergence)  # fmt: skip


def cards(runs: Mapping[str, Run]) -> str:
    """Return an empty place for each picture of each run, the map first."""
    several = len(runs) > 1
    maps = "".join(
        f'<figure data-view="map" data-run="{place}">{_caption(name, place) if several else ""}<div class="picture">'
        f'{drawing(run.experiment.architecture, height=None)}</div><p class="note"></p></figure>'
        for place, (name, run) in enumerate(runs.items())
    )
    say = "Each part's colour and number say how strongly it is told to change. Press a layer."
    found = [_card("The model", say, maps, kind="card tall")]
    found += [_view_card(shown, runs) for shown in SHOWN]
    kind = "cards" + (" several" if several else "") + (" many" if len(runs) > 2 else "")
    return f'<div class="{kind}">{"".join(found)}</div>'


def _view_card(shown: Shown, runs: Mapping[str, Run]) -> str:
    view = shown.view
    keys = f' tabindex="0" aria-label="{escape(view.title)}: the {ARROWS[shown.picks]} keys choose."' if shown.picks else ""
    figures = "".join(
        f'<figure data-view="{view.name}" data-run="{place}">{_caption(name, place) if len(runs) > 1 else ""}'
        f'<div class="picture" role="group"{keys}></div><p class="absent"></p><p class="note"></p></figure>'
        for place, name in enumerate(runs)
    )
    return _card(view.title, view.caption, figures, heading=view.heading or view.title)


def _card(title: str, caption: str, figures: str, heading: str = "", kind: str = "card") -> str:
    return (f'<section class="{kind}"><h2 data-heading="{escape(heading or title)}">{escape(title)}</h2>'
            f'<p class="caption">{escape(caption)}</p><div class="runs">{figures}</div></section>')  # fmt: skip


def _caption(name: str, place: int) -> str:
    return f'<figcaption>{escape(name)} <span class="at-step" data-run="{place}"></span></figcaption>'


def probes(runs: Mapping[str, Run]) -> str:
    """Return the text on which each run was looked into, a span a character."""
    found = []
    for place, (name, run) in enumerate(runs.items()):
        spans = "".join(f"<span>{escape(_shown(token))}</span>" for token in run.probe_tokens[: sizes(run)[2]])
        found.append(f'<figure>{_caption(name, place) if len(runs) > 1 else ""}'
                     f'<p class="absent"></p><div class="probe" data-run="{place}">{spans}</div></figure>')  # fmt: skip
    return (f'<section class="card wide"><h2>What the character reads</h2><p class="caption">The darker a character, the '
            "more the outlined one reads it in this head. Click another.</p>"
            f'<div class="runs">{"".join(found)}</div></section>')  # fmt: skip


def samples(runs: Mapping[str, Run]) -> str:
    """Return what each run wrote through its training; nothing where no run wrote."""
    if not any(run.samples for run in runs.values()):
        return ""
    found = []
    for place, (name, run) in enumerate(runs.items()):
        lines = "".join(
            f'<li data-step="{sample.step}"><span class="when">step {sample.step:,}</span>'
            f'<q><span class="prompt">{escape(_line(sample.prompt))}</span>{escape(_line(sample.text))}</q></li>'
            for sample in told.samples(run)
        )
        found.append(f'<figure>{_caption(name, place) if len(runs) > 1 else ""}<ol class="samples">{lines}</ol></figure>')
    return (f'<section class="card wide long"><h2>What it wrote</h2><p class="caption">The grey beginning was given. Texts '
            f'from after the chosen step are faint.</p><div class="runs">{"".join(found)}</div></section>')


def settings(runs: Mapping[str, Run]) -> str:
    """Return how the runs went and their settings: those that differ first, the others folded."""
    rows = told.settings(runs)
    marked, rest = ([row for row in rows if row.marked is kind] for kind in (True, False))
    several = len(runs) > 1
    went = _table(list(runs), [(what, texts, False) for what, texts in told.facts(runs)])
    if marked:
        what = "≠ marks what differs between the runs." if several else "≠ marks what is not as the lab opens."
        differing = _table(list(runs), [(f"≠ {row.label}", row.values, True) for row in marked])
        said, others = f'<p class="caption">{what}</p>{differing}', f"The other {len(rest)} settings"
    else:
        said = "<p>The runs have the same settings.</p>" if several else "<p>All settings are as the lab opens.</p>"
        others = f"All {len(rest)} settings"
    same = _table(list(runs), [(row.label, row.values, False) for row in rest])
    return (f'<section class="card wide long"><h2>Settings</h2>{went}{said}'
            f'<details class="print"><summary>{others}</summary>{same}</details></section>')


def _table(names: list[str], rows: Sequence[tuple[str, Sequence[str], bool]]) -> str:
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in names)
    body = "".join(
        f'<tr{" class=marked" if marked else ""}><th scope="row">{escape(label)}</th>'
        + "".join(f"<td>{escape(text)}</td>" for text in texts) + "</tr>"
        for label, texts, marked in rows
    )  # fmt: skip
    top = f"<thead><tr><td></td>{head}</tr></thead>" if len(names) > 1 else ""
    return f'<div class="scroll"><table>{top}<tbody>{body}</tbody></table></div>'


def again(runs: Mapping[str, Run]) -> str:
    """Return, for each run, the command and the script that make it once more."""
    found = []
    for name, run in runs.items():
        changed = "".join(f"<li>{escape(mark)}</li>" for mark in remake.marks(run))
        found.append(
            (f"<h3>{escape(name)}</h3>" if len(runs) > 1 else "")
            + f'<pre class="command"><code>{escape(remake.command(run))}</code></pre>'
            + "".join(f"<p>{escape(sentence)}</p>" for sentence in remake.needs(run))
            + (f"<p>Settings were changed by hand while it trained. The command does not do that:</p><ul>{changed}</ul>"
               if changed else "")
            + f"<details><summary>The same as a Python script</summary><pre><code>{escape(remake.script(run))}</code></pre>"
              "</details>"
        )  # fmt: skip
    return f'<section class="card wide long"><h2>Make it again</h2>{"".join(found)}</section>'


def code(runs: Mapping[str, Run]) -> str:
    """Return the code of the components that the runs use, folded."""
    found = []
    for part in told.components(runs):
        whose = f" · {', '.join(part.used_by)}" if len(part.used_by) < len(runs) else ""
        found.append(f"<details><summary>{escape(f'{part.kind}: {part.name}{whose}')}</summary>"
                     f"<pre><code>{escape(part.source)}</code></pre></details>")  # fmt: skip
    return (f'<section class="card wide long code"><h2>The code of its parts</h2><div>{"".join(found)}</div>'
            '<p class="printed">Left out in print. The file itself has it.</p></section>')


def notes(markdown: str) -> str:
    """Return the author's notes; nothing where there are none."""
    return f'<section class="card wide notes">{as_html(markdown)}</section>' if markdown.strip() else ""


def words() -> str:
    """Return what the words mean that stand in the pictures without more words, folded."""
    groups = (("On the model", SIGNS), ("On a head", KEY), ("On axes and in captions", on_the_page()))
    told = "".join(
        f"<h3>{escape(title)}</h3><dl>" + "".join(f"<dt>{escape(word)}</dt><dd>{escape(meaning)}</dd>"
                                                  for word, meaning in rows) + "</dl>"
        for title, rows in groups
    )  # fmt: skip
    return ('<section class="card wide long words"><details class="print"><summary><h2>What the words mean</h2></summary>'
            f'<div id="words">{told}</div></details></section>')  # fmt: skip


def _shown(token: str) -> str:
    return "⏎\n" if token == "\n" else readable(token)


def _line(text: str) -> str:
    return readable(text).replace("\n", " ⏎ ")
