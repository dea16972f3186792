"""An experiment as YAML that a person reads and edits; what is wrong with it is said with the line it stands in.

Of YAML it reads mappings of plain values, which is all that settings need: no tags, anchors or lists, so that a file can
neither make objects nor grow when it is read. Numbers are those of YAML 1.2: `1e-3` is one, and `0123` and `1:30` are not
in disguise. A switch may also be `yes`, `no`, `on` or `off`, as in YAML 1.1; everywhere else these are words.
"""

import re
from pathlib import Path
from typing import Any

import yaml

from tlab_core.absent import Absent
from tlab_core.experiment import PARTS, Experiment, default_experiment
from tlab_core.knobs import BooleanKnob, KnobError
from tlab_core.registry import did_you_mean
from tlab_core.runs.components import components_of
from tlab_core.runs.files import RunError, read_bytes
from tlab_core.settings import Missing, Settings, SettingsError

LARGEST = 1_000_000  # bytes
DEEPEST = 8  # levels of nesting; reading takes time with their square
INTEGER = re.compile(r"[-+]?[0-9]+")
NUMBER = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
LONGEST_NUMBER = 100  # characters; what is longer stays text, which no number's knob takes
WORDS = {"": None, "~": None, "null": None, "none": None, "true": True, "false": False}
SWITCHES = {"true": True, "on": True, "yes": True, "false": False, "off": False, "no": False}
PLAIN = re.compile(r"[A-Za-z][\w/-]*")  # text that needs no quotes
HEADER = (
    "# An experiment of the Transformer Intuition Lab. In a file for `tlab train --config`, a knob that is left out takes\n"
    "# what the lab opens with.\n"
)


def settings_text(experiment: Experiment) -> str:
    """Return an experiment as YAML, which `read_settings` reads back to the same values."""
    lines, foreign = [HEADER], components_of(experiment)
    for knob, value in experiment.to_dict().items():
        if isinstance(value, dict):
            lines.append(f"{knob}:\n")
            lines += [f"  {name}: {_written(inner)}{_whence(foreign.get(f'{knob}.{name}'))}\n"
                      for name, inner in value.items()]  # fmt: skip
        else:
            lines.append(f"{knob}: {_written(value)}{_whence(foreign.get(knob))}\n")
    return "".join(lines)


def _whence(component: dict[str, Any] | None) -> str:
    """Return a remark on where a component that is not the lab's own comes from: an error quotes it with the line."""
    if component is None:
        return ""
    if not component["module"]:
        return ""
    package = f"{component['package']} {component['version']}, " if component["package"] else ""
    return f"  # from {package}module {component['module']}"


def read_settings(path: Path) -> Experiment:
    """Return the experiment in a YAML file; a knob that it leaves out takes what the lab opens with.

    Raises RunError, with the line, for YAML that can't be read, a knob that doesn't exist or comes twice, a value that a
    knob can't take, and settings that don't go together.
    """
    return read_knobs(path, default_experiment())[0]


def read_knobs(path: Path, base: Experiment) -> tuple[Experiment, list[str]]:
    """Return `base` with the knobs of a YAML file set, and their full names; errors as in `read_settings`."""
    raw = read_bytes(path, LARGEST)
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RunError(f"{path} is not UTF-8 text: byte {error.start}.") from None
    return _File(path, text).experiment(base)


def number_of(text: str) -> int | float | str:
    """Return the number that is written there, or the text itself; a whole number keeps all of its digits.

    >>> number_of("0123"), number_of("1e-3"), number_of("1:30"), number_of("100000000000000000000")
    (123, 0.001, '1:30', 100000000000000000000)
    """
    if len(text) > LONGEST_NUMBER:
        return text
    return int(text) if INTEGER.fullmatch(text) else float(text) if NUMBER.fullmatch(text) else text


def _written(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if PLAIN.fullmatch(value) and value.casefold() not in WORDS:
        return value
    quoted = yaml.safe_dump(value, default_style='"', width=10 * len(value) + 100, allow_unicode=True)
    return quoted.rstrip("\n")


class _File:
    """One YAML file being read."""

    def __init__(self, path: Path, text: str):
        self.path, self.lines = path, text.splitlines()
        try:
            depth = 0
            for event in yaml.parse(text, Loader=yaml.SafeLoader):
                self._check_event(event)
                depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
                if depth > DEEPEST:
                    self.refuse(event.start_mark.line, f"it is nested more than {DEEPEST} levels deep")
            self.root = yaml.compose(text, Loader=yaml.SafeLoader)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            self.refuse(mark.line if mark else 0, f"this is not YAML: {error.problem or error.context}")
        except yaml.YAMLError as error:  # a character that YAML doesn't allow
            self.refuse(None, f"this is not YAML: {str(error).splitlines()[0]}")

    def _check_event(self, event: yaml.Event) -> None:
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            self.refuse(event.start_mark.line, "anchors and aliases (& and *) are not read; write the value out")
        if getattr(event, "tag", None):
            self.refuse(event.start_mark.line, f"tags such as {event.tag} are not read; write the plain value")

    def refuse(self, line: int | None, what: str):
        """Raise the RunError for a line, counted from 0."""
        if line is None or line >= len(self.lines):
            raise RunError(f"{self.path}: {what}.") from None
        shown = self.lines[line].strip()
        shown = shown if len(shown) <= 120 else shown[:120] + "..."
        raise RunError(f"{self.path}, line {line + 1}: {what.rstrip('.')}.\n    {shown}") from None

    def experiment(self, base: Experiment) -> tuple[Experiment, list[str]]:
        experiment, lines = base.replace(), {}
        for knob, node in self.items(self.root, Experiment, ""):
            if knob in PARTS:
                part = getattr(experiment, knob)
                for name, inner in self.items(node, PARTS[knob], f"{knob}."):
                    self.assign(part, name, inner, lines, f"{knob}.")
            else:
                self.assign(experiment, knob, node, lines, "")
        self.check_together(experiment, lines)
        return experiment, list(lines)

    def items(self, node: yaml.Node | None, kind: type[Settings], prefix: str):
        """Yield (knob, node) of a mapping whose keys must be this kind's knobs, each once."""
        if node is None:
            return
        if isinstance(node, yaml.ScalarNode) and prefix and self.value(node) is None:
            return  # `training:` with nothing under it
        if not isinstance(node, yaml.MappingNode):
            place = f"under {prefix[:-1]}" if prefix else "here"
            self.refuse(node.start_mark.line, f"expected lines of `knob: value` {place}")
        seen = set()
        for key, value in node.value:
            line, knob = key.start_mark.line, key.value if isinstance(key, yaml.ScalarNode) else None
            if knob not in kind.knobs():
                named = repr(knob) if knob is not None else "a key that is no word"
                owner = next((part for part, settings in PARTS.items() if knob in settings.knobs()), None)
                hint = f" It belongs under {owner}." if owner else did_you_mean(knob, kind.knobs())
                place = f"in {prefix[:-1]}" if prefix else "here"
                self.refuse(line, f"there is no knob {named} {place}.{hint} The knobs are {', '.join(kind.knobs())}")
            if knob in seen:
                self.refuse(line, f"{prefix}{knob} comes twice; leave one of them out")
            seen.add(knob)
            yield knob, value

    def assign(self, settings: Settings, knob: str, node: yaml.Node, lines: dict[str, int], prefix: str) -> None:
        lines[f"{prefix}{knob}"] = line = node.start_mark.line
        if not isinstance(node, yaml.ScalarNode):
            self.refuse(line, f"{prefix}{knob} takes one plain value, not a list or a mapping")
        value, present = self.value(node, settings.param[knob]), getattr(settings, knob)
        if isinstance(present, Absent) and value == present:
            return  # what the run was made with, which isn't here
        try:
            setattr(settings, knob, value)
        except KnobError as error:
            self.refuse(line, str(error))

    def value(self, node: yaml.ScalarNode, knob: Any = None) -> Any:
        """Return a scalar as YAML 1.2 reads it, or as a switch for the knob of one."""
        text, folded = node.value, node.value.casefold()
        if node.style is not None:
            return text
        if isinstance(knob, BooleanKnob) and folded in SWITCHES:
            return SWITCHES[folded]
        return WORDS[folded] if folded in WORDS else number_of(text)

    def check_together(self, experiment: Experiment, lines: dict[str, int]) -> None:
        try:
            for part in (experiment.architecture, experiment.training):
                if problems := [problem for problem in part.problems() if not isinstance(problem, Missing)]:
                    raise SettingsError(problems)
        except SettingsError as error:
            problem = error.problems[0]
            line = next((line for knob, line in lines.items() if knob.split(".")[-1] == problem.knob), None)
            self.refuse(line, str(error))
