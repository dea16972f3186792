"""An experiment as something to hand to others: a link, a Python script, a YAML file, weights that explain themselves.

A link's query holds what differs from the lab's first experiment, `a.` standing for the architecture and `t.` for the
training, and the version of this spelling:

    a.num_layers=8&t.learning_rate=0.002&corpus=tiny-shakespeare&v=1
"""

import json
from collections.abc import Iterable
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

from safetensors.numpy import save

from tlab_core.corpora import CORPORA, CorpusError, corpus
from tlab_core.corpora.own import is_own, missing
from tlab_core.cost import memory_bytes, step_flops
from tlab_core.experiment import Experiment, default_experiment
from tlab_core.knob_text import SHORT, flat, full_name, knob_named, text_of, value_of, with_values
from tlab_core.knobs import KnobError
from tlab_core.registry import UnknownNameError, did_you_mean
from tlab_core.run import Mark
from tlab_core.runs.components import own_modules
from tlab_core.runs.files import shortened
from tlab_core.runs.settings_file import settings_text
from tlab_core.settings import Problem, SettingsError
from tlab_core.tokenizers import CharacterTokenizer

VERSION = 1  # goes up when an old link would mean something else: when a default or a name changes
ADDRESSES = ("http", "https")  # where a lab's page may be; nothing is fetched from there
DECIDED_BY_TEXT = "architecture.vocab_size"
NOT_SETTINGS = ("theme", "page", "compare")  # what else a page's address may say: how it looks, and what it shows
WRITES = "print(run.sample(run.experiment.prompt, length=200).text)"
LONGEST = 20_000  # characters of a query
MOST_TOLD = 5  # things that are wrong with it; whoever typed a poem is helped by no more
OWN_ON_PAGE = "give it to “Use my own text…” on this page and open the link again."
OWN_TYPED = "name its file: --set corpus=FILE."
MOST_FIELDS = 200
LARGEST = 8e9  # bytes, and operations a step: a stranger's link can't ask a server for more. The largest model that the
MOST_OPERATIONS = 1e14  # page's own knobs can make needs half of each


class ShareError(ValueError):
    """A link that can't be used; the message says what is wrong with it in words for whoever opened it.

    `.faults` holds a sentence for each thing that is wrong, and `.problems` what doesn't go together, where that is wrong.
    """

    def __init__(self, message: str, problems: list[Problem] | None = None, faults: list[str] | None = None):
        self.problems = problems or []
        self.faults = faults or [message]
        super().__init__(message)

    @classmethod
    def of(cls, faults: list["ShareError"]) -> "ShareError":
        """Return one error that says all that is wrong, each thing in a line of its own where there are several."""
        told = [sentence for fault in faults for sentence in fault.faults]
        if len(told) == 1:
            return faults[0]
        shown = [f"- {sentence}" for sentence in told[:MOST_TOLD]]
        if len(told) > MOST_TOLD:
            shown.append(f"- and {len(told) - MOST_TOLD} more.")
        return cls("\n".join([f"{len(told)} things are wrong with the link:", *shown]),
                   [problem for fault in faults for problem in fault.problems], told)


# ---- links


def to_query(experiment: Experiment) -> str:
    """Return an experiment as a link's query, without the question mark; always the same for the same settings."""
    default, values = flat(default_experiment()), flat(shared(experiment))
    given = {_short(full): text_of(value) for full, value in values.items() if value != default[full]}
    return urlencode({**given, "v": VERSION}, quote_via=quote, safe="/", errors="replace")


def from_query(link: str, files: bool = False, limits: bool = True, text: str | None = None) -> Experiment:
    """Return the experiment of a link, whole or its query alone; what it doesn't name is as in the lab's first experiment.

    Raises ShareError, which tells all that is wrong at once, for a link that is malformed, too long or of a newer version,
    that names something unknown, a value that a knob can't take, settings that don't go together, or, unless `limits` is
    off, far more memory or work than any page's knobs ask for. A link may name a text file only where `files` says so, as a
    link can come from anyone. `text` is taken in place of the text that it names. Nothing is fetched: only what stands
    behind its question mark is read.
    """
    fields = _fields(link)
    if text is not None:
        fields["corpus"] = text
    _check_version(fields.pop("v", str(VERSION)))
    values: dict[str, Any] = {}
    faults: list[ShareError] = []
    named = set()
    for name, given in fields.items():
        try:
            full = _named(name)
            if full in named:
                raise ShareError(f"The link names {_words(full)} twice.")
            named.add(full)
            values[full] = _value(full, given, files or text is not None, typed=not limits)
        except ShareError as error:
            faults.append(error)
    unread = {full.rpartition(".")[0] for full in named - values.keys()}  # what is left of a part may not go together
    experiment = with_values(default_experiment(), values)
    try:
        experiment.check()
    except SettingsError as error:
        faults += [ShareError(f"The link's settings don't go together: {problem.message}", [problem])
                   for problem in error.problems if problem.knob.rpartition(".")[0] not in unread]
    if limits and not faults:
        _check_size(experiment)
    if faults:
        raise ShareError.of(faults) from None
    return experiment


def _named(name: str) -> str:
    try:
        return full_name(name)
    except KnobError as error:
        raise ShareError(f"The link can't be used: {error}") from None


def _fields(text: str) -> dict[str, str]:
    """Return a query's fields, each there once, without what is no setting."""
    address, mark, query = text.partition("?")
    scheme, is_address, _ = (address if mark else text.partition("=")[0]).partition("://")
    if is_address and scheme.strip().casefold() not in ADDRESSES:
        raise ShareError(f"The link begins with {shortened(scheme + '://')}, and the address of a lab's page begins with "
                         "http:// or https://.")
    if is_address and not mark:
        raise ShareError(f"The link {shortened(text)} has no settings: they would stand behind a question mark. Nothing is "
                         "fetched from an address; copy it from the Share menu of the page.")
    query = (query if mark else text).partition("#")[0].strip()
    if len(query) > LONGEST:
        raise ShareError(f"The link is too long: it has {len(query):,} characters, and at most {LONGEST:,} are read.")
    if not query:
        return {}
    try:
        query.encode()  # half a surrogate pair is no text
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=True, errors="strict", max_num_fields=MOST_FIELDS)
    except ValueError:
        raise ShareError(f"The link can't be read: {shortened(query)} is not a row of name=value, joined by &. It may have "
                         "been cut off: copy it once more.") from None
    fields: dict[str, str] = {}
    for name, value in pairs:
        if name in fields:
            raise ShareError(f"The link names {shortened(name)} twice.")
        if name not in NOT_SETTINGS:
            fields[name] = value
    return fields


def _check_version(text: str) -> None:
    if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text) >= 1):
        raise ShareError(f"The link's version, v={shortened(text)}, is none: it should be a number such as {VERSION}.")
    if int(text) > VERSION:
        raise ShareError(f"The link was made by a newer version of the lab: it is of kind {int(text)}, and this one reads "
                         f"up to {VERSION}. Update the lab to open it.")


def _value(full: str, text: str, files: bool, typed: bool) -> Any:
    if full == "corpus" and is_own(text):
        if missing(text):
            raise ShareError(f"The link's run learned somebody's own text, which a link leaves out. Ask for the text, then "
                             f"{OWN_TYPED if typed else OWN_ON_PAGE}")
    elif full == "corpus" and text not in CORPORA and not files:
        names = ", ".join(CORPORA.names())
        raise ShareError(f"The link asks for the text {shortened(text)}, which a link can't open."
                         f"{did_you_mean(text[:60], CORPORA.names())} It can name {names}."
                         f"{' A file is opened where you name it yourself: --set corpus=PATH.' if typed else ''}")
    if full == DECIDED_BY_TEXT:
        raise ShareError(f"The link names {_words(full)}, which the text decides: leave it out.")
    try:
        return value_of(full, text)
    except KnobError as error:
        shown = str(error) if len(text) <= 60 else str(error).replace(repr(text), shortened(text))
        raise ShareError(f"The link's value for {_words(full)} can't be used: {shown}") from None


def _check_size(experiment: Experiment) -> None:
    """Refuse what would take a server's memory, or keep it busy for minutes with each step."""
    a, t = experiment.architecture, experiment.training
    if sum(memory_bytes(experiment).values()) > LARGEST:
        raise ShareError("The link asks for a model larger than a link may: it needs many gigabytes of memory. "
                         "Set its knobs by hand, or train it from the command line.")
    if t.gradient_accumulation_steps * step_flops(a, t.batch_size, t.seq_len) > MOST_OPERATIONS:
        raise ShareError("The link asks for steps that take minutes each. Set its knobs by hand, or train it from the "
                         "command line.")


def _short(full: str) -> str:
    part, _, inner = full.rpartition(".")
    return f"{SHORT[part]}.{inner}" if part else inner


def _words(full: str) -> str:
    return f"“{knob_named(full).label}” ({_short(full)})"


# ---- Python, YAML, weights


def as_python(experiment: Experiment, marks: Iterable[Mark] = (), until: int | None = None, last: str = WRITES) -> str:
    """Return a script that makes the run again by the API, to step `until` or else to the horizon of its settings.

    `marks` are the run's, of settings that were changed while it trained: the script begins with what they were before, and
    changes them at the same steps. `last` is its last line, by default one that lets the model write.
    """
    changed = [mark for mark in marks if mark.knob.startswith("training.")]
    for mark in reversed(changed):
        training = experiment.training.replace(**{mark.knob.removeprefix("training."): mark.before})
        experiment = experiment.replace(training=training)
    lines = [
        "# A run of the Transformer Intuition Lab. The same settings make the same run.",
        *(f"import {module}  # {named}" if module != "__main__" else
          f"# Put here what defines {named}: it was in a notebook or a script."
          for module, named in own_modules(experiment).items()),
        "from tlab_core import Architecture, Experiment, LiveRun, Training",
        "",
        "experiment = Experiment(",
    ]
    for knob, value in _unlike(Experiment(), shared(experiment)).items():
        if isinstance(value, dict):
            lines.append(f"    {knob}={knob.capitalize()}(")
            lines += [f"        {inner}={set_to!r}," for inner, set_to in value.items()]
            lines.append("    ),")
        else:
            lines.append(f"    {knob}={value!r},")
    lines += [
        ")",
        "run = LiveRun(experiment)",
    ]
    for mark in changed:
        lines += [f"run.advance(until={mark.step})", f"run.adjust({mark.knob.removeprefix('training.')}={mark.after!r})"]
    lines += [
        f"run.advance(until={'run.experiment.training.steps' if until is None else until})",
        last,
    ]
    return "\n".join(lines) + "\n"


def as_yaml(experiment: Experiment) -> str:
    """Return an experiment as a settings file, every knob written out; `tlab train --config` reads it."""
    return settings_text(experiment)


def as_safetensors(model: Any, experiment: Experiment, tokenizer: CharacterTokenizer) -> bytes:
    """Return a model's weights by name, with the settings as JSON and the tokenizer's characters in the file's metadata."""
    about = {"settings": json.dumps(experiment.to_dict()), "characters": json.dumps(tokenizer.characters)}
    return save({name: values.copy() for name, values in model.parameters.items()}, metadata=about)


def shared(experiment: Experiment) -> Experiment:
    """Return a copy without what the corpus decides by itself: the vocabulary's size, and its own prompt."""
    vocab_size = default_experiment().architecture.vocab_size
    architecture = experiment.architecture.replace(vocab_size=vocab_size)
    own = experiment.prompt and experiment.prompt == own_prompt(experiment.corpus)
    return experiment.replace(architecture=architecture, prompt="" if own else experiment.prompt)


def own_prompt(name: str) -> str | None:
    """Return the prompt that suits a corpus; None where the text can't be had here."""
    # Whether a text of one's own is here changes from one moment to the next.
    return _prompt(name) if is_own(name) else _known_prompt(name)


@lru_cache
def _known_prompt(name: str) -> str | None:
    return _prompt(name)


def _prompt(name: str) -> str | None:
    try:
        return corpus(name).prompt
    except (CorpusError, UnknownNameError):
        return None


def _unlike(default: Experiment, experiment: Experiment) -> dict[str, Any]:
    """Return the values that differ from the classes' own, nested as in `to_dict`, and the corpus."""
    plain = default.to_dict()
    found = {}
    for knob, value in experiment.to_dict().items():
        if isinstance(value, dict):
            found[knob] = {inner: set_to for inner, set_to in value.items() if set_to != plain[knob][inner]}
        elif value != plain[knob] or knob == "corpus":
            found[knob] = value
    return found
