"""The probe text itself, each character shaded by how strongly the chosen one reads it."""

from __future__ import annotations

from base64 import b64encode
from html import escape

import numpy as np

from tlab_dash.readable import readable
from tlab_dash.theme import LIGHT, Theme, rgb
from tlab_dash.views.tokens import visible
from tlab_dash.views.view import row

_LINE_END = "⏎<br>"
INK_FLIPS_AT = 0.5  # shading this strong needs the card's colour as ink


def probe_text(run, selection, theme: Theme = LIGHT) -> str:
    """Return the probe text as HTML: shading is √weight, as in the map; the reading character is outlined; what comes
    later, which it cannot see, is faint. Each character is a `<span data-position="...">`."""
    layer, head, position = selection.resolve(run)
    weights = row(run, "attention", selection.step)["weight"][layer, head, position]
    opacities = np.sqrt(np.clip(np.nan_to_num(weights), 0, 1))  # of all at once, as every click waits for it
    spans = [
        _span(i, run.probe_tokens[i], float(weights[i]), float(opacities[i]), position, theme) for i in range(len(weights))
    ]
    return (
        f'<div class="tlab-probe" style="font-family:ui-monospace,Menlo,Consolas,monospace;line-height:1.5;'
        f'white-space:pre-wrap;overflow-wrap:anywhere;color:{theme.text}">{"".join(spans)}</div>'
    )


def reading(run, selection) -> str:
    """Return all weights of the chosen head, row by row without the future (query q has q + 1), for the page to shade the
    text by any of them: base64 of unsigned 16-bit numbers, little-endian, 65535 for a weight of 1."""
    layer, head, _ = selection.resolve(run)
    weights = row(run, "attention", selection.step)["weight"][layer, head]
    seen = np.clip(np.nan_to_num(weights[np.tri(len(weights), dtype=bool)]), 0, 1)
    return b64encode(np.rint(65535 * seen).astype("<u2").tobytes()).decode("ascii")


def breadcrumb(run, selection) -> tuple[str, str, str]:
    """Return what is being looked at in words, e.g. ("Layer 2", "Head 3", "“e”")."""
    layer, head, position = selection.resolve(run)
    return f"Layer {layer}", f"Head {head}", f"“{visible(run.probe_tokens[position])}”"


def _span(i: int, token: str, weight: float, opacity: float, position: int, theme: Theme) -> str:
    shown = _LINE_END if token == "\n" else escape(readable(token))
    style = [f"background:rgba({','.join(map(str, rgb(theme.attention)))},{opacity:.2f})"]
    if i > position:
        style = ["opacity:0.45"]
    elif opacity > INK_FLIPS_AT:
        style.append(f"color:{theme.surface}")
    if i == position:
        style.append(f"outline:2px solid {theme.accent};border-radius:2px")
    title = f"{escape(visible(token))} ({i}): " + ("comes later" if i > position else f"weight {weight:.2g}")
    return f'<span data-position="{i}" title="{title}" style="{";".join(style)}">{shown}</span>'
