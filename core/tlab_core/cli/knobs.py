"""`tlab knobs`: every knob with what it takes and what it does, in the words of the knob itself."""

from typing import Any

import click
import param

from tlab_core.cli.options import DECIDED_BY_TEXT, json_option
from tlab_core.cli.words import echo_json
from tlab_core.experiment import default_experiment
from tlab_core.knob_text import flat, full_name, text_of
from tlab_core.knob_text import knobs as all_knobs
from tlab_core.knobs import BooleanKnob, ChoiceKnob, TextKnob


def allowed(knob: param.Parameter) -> str:
    """Return what a knob takes, in words."""
    if isinstance(knob, ChoiceKnob):
        return ", ".join(knob.names())
    if isinstance(knob, BooleanKnob):
        return "on, off"
    return "text" if isinstance(knob, TextKnob) else knob.allowed()


def shown(value: Any) -> str:
    """Return a value as one would type it."""
    return ("off", "on")[value] if isinstance(value, bool) else text_of(value) or "empty"


def knob_lines() -> list[tuple[str, str]]:
    """Return a name, and a line about it, for each knob that can be set; a name that two parts have is given in full."""
    names = [full.rpartition(".")[2] for full, _ in all_knobs()]
    defaults = flat(default_experiment())
    return [(full if names.count(full.rpartition(".")[2]) > 1 else full.rpartition(".")[2],
             f"{knob.label}: {allowed(knob)} [{shown(defaults[full])}]")
            for full, knob in all_knobs() if full != DECIDED_BY_TEXT]  # fmt: skip


@click.command()
@click.argument("names", metavar="[NAME]...", nargs=-1)
@json_option
def knobs(names: tuple[str, ...], as_json: bool) -> None:
    """Say what each knob does, what it takes, and what the lab opens with."""
    wanted = {full_name(name) for name in names}
    defaults = flat(default_experiment())
    found = [entry(full, knob, defaults[full]) for full, knob in all_knobs() if not wanted or full in wanted]
    if as_json:
        echo_json(found)
        return
    part = None
    for knob in found:
        if knob["part"] != part:
            part = knob["part"]
            click.secho(part.capitalize() or "Text", bold=True)
        unit = f" {knob['unit']}" if knob["unit"] else ""
        click.secho(f"  {knob['name']} = {shown(knob['default'])}{unit}", bold=True, nl=False)
        click.echo(f"   {knob['allowed']}")
        click.echo(click.wrap_text(knob["doc"], width=100, initial_indent="      ", subsequent_indent="      "))


def entry(full: str, knob: param.Parameter, default: Any) -> dict[str, Any]:
    """Return all that a knob says of itself."""
    part, _, name = full.rpartition(".")
    return {"knob": full, "part": part, "name": name, "label": knob.label, "default": default, "unit": knob.unit,
            "allowed": allowed(knob), "doc": knob.doc}
