"""The stylesheet that travels inside the SVG, so that it stands alone; the page's theme shows through its variables."""

from __future__ import annotations

from tlab_dash.theme import Theme, reference

SHEET = """
.tlab-map { display: block; max-width: 100%; color: $text;
  font-family: Inter, "Segoe UI", system-ui, -apple-system, "Helvetica Neue", sans-serif; }
.tlab-map text { fill: currentColor; font-size: 11px; user-select: none; }
.tlab-map .middle { text-anchor: middle; }
.tlab-map .title { font-size: 11px; font-weight: 600; }
.tlab-map .detail { font-size: 10px; }
.tlab-map .note { font-size: 10.5px; fill: $muted; }
.tlab-map .strong { font-weight: 600; fill: $text; }
.tlab-map .name { font-size: 11px; font-weight: 600; fill: $muted; }
.tlab-map .number { font-size: 11px; font-variant-numeric: tabular-nums; }
.tlab-map .value { font-size: 14px; font-weight: 650; }
.tlab-map .right, .tlab-map .beside, .tlab-map .end-low { text-anchor: end; }
.tlab-map .beside { font-size: 10.5px; fill: $muted; }
.tlab-map .legend .number { font-size: 10.5px; fill: $text; }
.tlab-map .initial { text-anchor: middle; font-weight: 700; fill: $surface; }
.tlab-map .letter { font-weight: 700; }
.tlab-map .residual { fill: $residual; }
.tlab-map .norm { fill: $norm; stroke: $surface; stroke-width: 1.5; }
.tlab-map .tick { stroke: $surface; stroke-width: 1.8; stroke-linecap: round; }
.tlab-map .on-box .norm { stroke: currentColor; stroke-width: 1; }
.tlab-map .disc { fill: $surface; stroke: $residual; stroke-width: 1.8; }
.tlab-map .sign { stroke: $residual; stroke-width: 1.8; stroke-linecap: round; }
.tlab-map .wire { fill: none; stroke: $ghost; stroke-width: 3; }
.tlab-map .arrow { fill: none; stroke: currentColor; stroke-width: 2; stroke-linecap: round; stroke-linejoin: round; }
.tlab-map .attention .wire, .tlab-map .attention .shape { stroke: $attention; }
.tlab-map .feed-forward .wire, .tlab-map .feed-forward .shape { stroke: $feed-forward; }
.tlab-map .attention > .arrow { stroke: $attention; }
.tlab-map .feed-forward > .arrow { stroke: $feed-forward; }
.tlab-map .fill.shape { stroke-width: 2.5; }
.tlab-map .tile { fill: currentColor; fill-opacity: .28; stroke: currentColor; stroke-width: 1.2; }
.tlab-map :is(.stroke, .pipe, .thin, .faint, .axis, .frame) { fill: none; stroke: currentColor; }
.tlab-map .stroke { stroke-width: 2; stroke-linecap: round; stroke-linejoin: round; }
.tlab-map .pipe { stroke-width: 1.5; }
.tlab-map .thin { stroke-width: 1.2; }
.tlab-map .faint { stroke-width: 1.2; stroke-opacity: .55; }
.tlab-map .axis { stroke-width: 1; stroke-opacity: .35; }
.tlab-map .frame { stroke-width: 1; stroke-opacity: .45; }
.tlab-map .wedge { fill: currentColor; fill-opacity: .25; }
.tlab-map .line { stroke: $line; }
.tlab-map .end { fill: $surface; stroke: $residual; stroke-width: 2; }
.tlab-map .socket { fill: none; stroke: $ghost; stroke-width: 1.5; stroke-dasharray: 4 4; }
.tlab-map .tie { fill: none; stroke: $ghost; stroke-width: 1.3; stroke-dasharray: 1.5 3.5; stroke-linecap: round; }
.tlab-map .layer { cursor: pointer; outline: none; }
.tlab-map .band { fill: $muted; fill-opacity: 0; stroke: none; transition: fill-opacity .12s; }
.tlab-map .layer:hover .band { fill-opacity: .09; }
.tlab-map .selected .band { fill: $accent; fill-opacity: .1; stroke: $accent; stroke-width: 1.5; }
.tlab-map .selected .name { fill: $accent; }
.tlab-map .layer:focus-visible .band { stroke: $accent; stroke-width: 3; }
.tlab-map .part.broken .shape { stroke: $warning; stroke-width: 4; }
.tlab-map .part.changed .shape { animation: tlab-changed 2s ease-out var(--tlab-outlined, 0s); }
@keyframes tlab-changed { 0%, 70% { stroke: $accent; stroke-width: 4.5px; } }
.tlab-map.sweep .fill { animation: tlab-signal .4s var(--tlab-down, 0s), tlab-gradient .4s var(--tlab-up, 0s); }
@keyframes tlab-signal { 0%, 50% { stroke: $accent; stroke-width: 4.5px; } }
@keyframes tlab-gradient { 0%, 50% { stroke: $warning; stroke-width: 4.5px; } }
@media (prefers-reduced-motion: reduce) { .tlab-map.sweep .fill { animation: none; } }
@media (forced-colors: active) { .tlab-map .layer:focus-visible .band { stroke: Highlight; } }
"""

COLOURS = (
    "surface", "text", "muted", "line", "accent", "residual", "attention", "feed_forward", "norm", "ghost", "warning",
)


def style(theme: Theme) -> str:
    """The sheet; where a page defines no `--tlab-...` variables, with the colours of `theme`."""
    sheet = SHEET
    for colour in sorted(COLOURS, key=len, reverse=True):
        sheet = sheet.replace(f"${colour.replace('_', '-')}", reference(colour, theme))
    return sheet
