"""The lab's colours, light and dark, in one place: the css of the page, the plots and the map all read them from here.

The five colours of the parts (residual, attention, feed-forward, norm, ghost) keep a contrast of at least 3.9:1 against
the card they are drawn on and stay apart under simulated colour blindness (closest pair: ΔE 10.7). That is close enough
that whatever is drawn in them is labelled too.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from bokeh.palettes import Cividis256

Rgb = tuple[int, int, int]


@dataclass(frozen=True)
class Theme:
    """One set of colours, each `#RRGGBB`, for one of the two themes.

    `surface` is the card that everything is drawn on, `background` the page between the cards, `line` a hairline or a
    card's edge, `muted` the ink of secondary text. `accent` belongs to what is pressed next (Train) and to what is
    selected, never to data.
    """

    name: str
    background: str
    surface: str
    text: str
    muted: str
    line: str
    accent: str
    on_accent: str
    residual: str
    attention: str
    feed_forward: str
    norm: str
    ghost: str
    warning: str
    diverging_low: str = "#2166AC"
    diverging_high: str = "#B35806"

    @property
    def dark(self) -> bool:
        """Whether the ink is lighter than the card."""
        return luminance(self.surface) < luminance(self.text)


LIGHT = Theme(
    name="light",
    background="#F2F4F7",
    surface="#FFFFFF",
    text="#1F2430",
    muted="#5A6270",
    line="#D8DDE5",
    accent="#5146C6",
    on_accent="#FFFFFF",
    residual="#1F2430",
    attention="#0067A8",
    feed_forward="#B34700",
    norm="#00856A",
    ghost="#7A828E",
    warning="#B3261E",
)

DARK = Theme(
    name="dark",
    background="#0D0F13",
    surface="#15181D",
    text="#E6E9EE",
    muted="#A2AAB6",
    line="#2D333D",
    accent="#A79DFF",
    on_accent="#15181D",
    residual="#E6E9EE",
    attention="#56B4E9",
    feed_forward="#F0934E",
    norm="#2CC9A0",
    ghost="#858D99",
    warning="#F2877F",
)

THEMES = {theme.name: theme for theme in (LIGHT, DARK)}

# A page is dark when panel-material-ui says so on the root element, when JupyterLab does on its body, or when a
# surrounding element asks for it by class (a snapshot, a figure in a page of the other theme).
DARK_SELECTORS = (':root[data-theme="dark"]', 'body[data-jp-theme-light="false"]', ".tlab-dark")


def css_variable(attribute: str) -> str:
    """The name of the custom property that carries a theme's attribute.

    >>> css_variable("feed_forward")
    '--tlab-feed-forward'
    """
    return f"--tlab-{attribute.replace('_', '-')}"


def reference(attribute: str, theme: Theme = LIGHT) -> str:
    """A css colour that follows the page's theme, and is `theme`'s own where the page defines no custom properties.

    >>> reference("norm")
    'var(--tlab-norm, #00856A)'
    """
    return f"var({css_variable(attribute)}, {getattr(theme, attribute)})"


def css_variables() -> str:
    """Custom properties `--tlab-...` as two css rules: light is the default, dark where `DARK_SELECTORS` match."""
    return f":root, .tlab-light {{ {_declarations(LIGHT)} }}\n{', '.join(DARK_SELECTORS)} {{ {_declarations(DARK)} }}\n"


def _declarations(theme: Theme) -> str:
    colours = [field.name for field in fields(theme) if field.name != "name"]
    return " ".join(f"{css_variable(colour)}: {getattr(theme, colour)};" for colour in colours)


# Palettes ------------------------------------------------------------------------------------------------------------


def sequential(theme: Theme = LIGHT) -> list[str]:
    """256 colours for a statistic that is never negative: full cividis, dark for small, the same in both themes."""
    return list(Cividis256)


def layer_colours(n: int, theme: Theme = LIGHT) -> list[str]:
    """One colour a layer, first to last, from the part of cividis that shows on the theme's card."""
    low, high = (0.4, 1.0) if theme.dark else (0.0, 0.58)
    steps = [low + (high - low) * (i / (n - 1) if n > 1 else 0.5) for i in range(n)]
    return [Cividis256[round(255 * step)] for step in steps]


def diverging(theme: Theme = LIGHT) -> list[str]:
    """255 colours for signed values and ratios: blue, the card's own colour exactly in the middle, orange."""
    return [diverging_colour(i / 127 - 1, theme) for i in range(255)]


def diverging_colour(x: float, theme: Theme = LIGHT) -> str:
    """The colour of one signed value in -1..1 (beyond is clipped): blue below, the card's colour at zero, orange above."""
    end = theme.diverging_low if x < 0 else theme.diverging_high
    return mix(theme.surface, end, min(abs(x), 1.0))


def attention_palette(theme: Theme = LIGHT) -> list[str]:
    """256 colours `#RRGGBBAA` for an attention weight 0..1: one blue whose opacity is √weight, so that faint reads show."""
    return [f"{theme.attention}{round(255 * (i / 255) ** 0.5):02X}" for i in range(256)]


# Colour arithmetic ---------------------------------------------------------------------------------------------------


def rgb(colour: str) -> Rgb:
    """The three bytes of a `#RRGGBB`.

    >>> rgb("#0067A8")
    (0, 103, 168)
    """
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def mix(first: str, second: str, amount: float) -> str:
    """`first` at amount 0, `second` at 1, evenly between.

    >>> mix("#000000", "#FFFFFF", 0.5)
    '#808080'
    """
    return "#" + "".join(f"{round(a + (b - a) * amount):02X}" for a, b in zip(rgb(first), rgb(second), strict=True))


def luminance(colour: str) -> float:
    """Relative luminance, 0 (black) to 1 (white), as WCAG 2.2 defines it."""
    channels = [channel / 255 for channel in rgb(colour)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(first: str, second: str) -> float:
    """Contrast ratio of two colours, 1 to 21, as WCAG 2.2 defines it.

    >>> round(contrast("#000000", "#FFFFFF"))
    21
    """
    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)


def ink(fill: str) -> str:
    """Black or white, whichever reads better as text on `fill`; one of them always reaches 4.5:1."""
    return max(("#FFFFFF", "#000000"), key=lambda colour: contrast(colour, fill))
