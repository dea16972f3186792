"""A description: a title, a few lines and a few tables. It is built once, and drawn as text or as HTML."""

from dataclasses import dataclass, replace
from html import escape

from rich.cells import cell_len  # knows which characters take two places in a terminal

LONGEST = 60  # characters of a text that someone wrote
MARK = "*"
FAINT, STRONG = "opacity:0.7", "font-weight:600"
# What a notebook would otherwise decide: some stripe tables, some align them to the right, some fill the page with them.
TABLE = "border-collapse:collapse;width:auto;margin:0.2em 0 0.8em 0;background:transparent;border:none"
CELL = "padding:0.1em 1em 0.1em 0;border:none;vertical-align:top;background:transparent"
NUMBERS = "font-variant-numeric:tabular-nums"


@dataclass(frozen=True)
class Row:
    """Cells from left to right.

    marked   it stands out
    hint     what a pointer that rests on it is told
    heading  its one cell stands above the rows that follow
    """

    cells: tuple[str, ...]
    marked: bool = False
    hint: str = ""
    heading: bool = False


@dataclass(frozen=True)
class Table:
    """Rows under a heading.

    columns  what stands at the top of each column; empty where that needs no word
    right    which columns hold numbers, and are aligned on the right
    legend   what a marked row means
    folded   only HTML has it, closed until someone opens it
    """

    heading: str
    rows: tuple[Row, ...]
    columns: tuple[str, ...] = ()
    right: tuple[int, ...] = ()
    legend: str = ""
    folded: bool = False


@dataclass(frozen=True)
class Description:
    """What there is to say of an object: its title, lines below it, and tables."""

    title: str
    lines: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()

    def text(self) -> str:
        """Return it as lines whose columns are aligned; what HTML folds away is left out.

        >>> sizes = Table("Sizes", (Row(("width", "64")), Row(("heads", "4"), marked=True)), right=(1,), legend="new")
        >>> print(Description("A model", tables=(sizes,)).text())
        A model
        <BLANKLINE>
        Sizes    (* new)
          width  64
        * heads   4
        """
        shown = _safe(self)
        parts = ["\n".join((shown.title, *shown.lines)), *(_text(table) for table in shown.tables if not table.folded)]
        return "\n\n".join(parts)

    def html(self) -> str:
        """Return it as HTML that needs no script and no style sheet, in the colours of the page around it."""
        shown = _safe(self)
        head = _tag("div", escaped(shown.title), STRONG)
        lines = "".join(_tag("div", escaped(line)) for line in shown.lines)
        return f'<div style="line-height:1.4">{head}{lines}{"".join(map(_html, shown.tables))}</div>'


def printable(text: str) -> str:
    """Return a text that can't steer a terminal: control characters are spelled out, all but newline and tab.

    >>> printable("safe\\x1b[2J")
    'safe\\\\x1b[2J'
    """
    return "".join(c if c.isprintable() or c in "\n\t" else repr(c)[1:-1] for c in text)


def shortened(text: str, most: int = LONGEST) -> str:
    """Return a text that someone wrote as Python spells it, cut where it is long.

    >>> shortened("One day\\nRed went out", 8)
    "'One day\\\\n' ..."
    """
    return repr(text) if len(text) <= most else f"{text[:most]!r} ..."


def escaped(text: str) -> str:
    """Return a text as HTML shows it, whatever it is."""
    return escape(text, quote=True)


# ---- drawing


def _safe(description: Description) -> Description:
    """Return a description whose words all stay on their line."""

    def line(text: str) -> str:
        return printable(text).replace("\n", "\\n").replace("\t", " ")

    def table(found: Table) -> Table:
        rows = tuple(replace(row, cells=tuple(map(line, row.cells)), hint=line(row.hint)) for row in found.rows)
        return replace(found, rows=rows, heading=line(found.heading), columns=tuple(map(line, found.columns)))

    return Description(line(description.title), tuple(map(line, description.lines)), tuple(map(table, description.tables)))


def _legend(table: Table) -> str:
    return table.legend if any(row.marked for row in table.rows) else ""


def _text(table: Table) -> str:
    lines = ([Row(table.columns)] if table.columns else []) + list(table.rows)
    measured = [row.cells for row in lines if not row.heading]
    count = max(map(len, measured), default=0)
    widths = [max(cell_len(cells[i]) for cells in measured if i < len(cells)) for i in range(count)]
    legend = f"{MARK} {_legend(table)}" if _legend(table) else ""
    heading = f"{table.heading}    ({legend})" if table.heading and legend else table.heading or legend
    drawn = [heading] if heading else []
    for row in lines:
        if row.heading:
            drawn += ["", row.cells[0]] if drawn else [row.cells[0]]
            continue
        padded = []
        for i, cell in enumerate(row.cells):
            room = " " * (widths[i] - cell_len(cell))
            padded.append(room + cell if i in table.right else cell + room)
        drawn.append(f"{MARK if row.marked else '':<2}{'  '.join(padded)}".rstrip())
    return "\n".join(drawn)


def _html(table: Table) -> str:
    head = "".join(_cell("th", column, i in table.right, f";font-weight:normal;{FAINT}")
                   for i, column in enumerate(table.columns))  # fmt: skip
    rows = "".join(_row(row, table) for row in table.rows)
    body = f'<table style="{TABLE}">{f"<thead><tr>{head}</tr></thead>" if head else ""}<tbody>{rows}</tbody></table>'
    told = f"{MARK} {escaped(_legend(table))}" if _legend(table) else ""
    legend = f' <span style="font-weight:normal;{FAINT}">{told}</span>' if told else ""
    if table.folded:
        return f'<details><summary style="cursor:pointer">{escaped(table.heading)}</summary>{legend}{body}</details>'
    above = escaped(table.heading) + legend
    return (_tag("div", above, f"{STRONG};margin-top:0.6em") if above else "") + body


def _row(row: Row, table: Table) -> str:
    hint = f' title="{escaped(row.hint)}"' if row.hint else ""
    if row.heading:
        width = max((len(other.cells) for other in table.rows), default=1)
        style = f"{CELL};text-align:left;{STRONG};padding-top:0.6em"
        drawn = f'<td colspan="{width}" style="{style}">{escaped(row.cells[0])}</td>'
    else:
        cells = [f"{cell} {MARK}" if row.marked and i == 0 else cell for i, cell in enumerate(row.cells)]
        # Only the last column may take several lines; the others are names and numbers.
        styles = [(f";{STRONG}" if row.marked else "") + (";white-space:nowrap" if i < len(cells) - 1 else "")
                  for i in range(len(cells))]  # fmt: skip
        drawn = "".join(_cell("td", cell, i in table.right, styles[i]) for i, cell in enumerate(cells))
    return f'<tr{hint} style="background:transparent">{drawn}</tr>'


def _cell(tag: str, text: str, right: bool, style: str = "") -> str:
    place = f"text-align:right;{NUMBERS}" if right else "text-align:left"
    return _tag(tag, escaped(text), f"{CELL};{place}{style}")


def _tag(tag: str, inside: str, style: str = "") -> str:
    return f'<{tag}{f" style={chr(34)}{style}{chr(34)}" if style else ""}>{inside}</{tag}>'
