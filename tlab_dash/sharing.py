"""Sharing: the page's address holds the settings, and a menu saves the run, copies its settings and hands out its files."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode

import panel as pn
import param

from tlab_core import share
from tlab_core.corpora import corpus_title
from tlab_core.experiment import Experiment, default_experiment
from tlab_core.run import Mark
from tlab_core.runs import RunStore
from tlab_core.runs.files import cleaned_name
from tlab_core.runs.store import default_folder
from tlab_dash.component import STATIC, Component
from tlab_dash.errands import Errands
from tlab_dash.figures import knob_words
from tlab_dash.knob_names import differences
from tlab_dash.limits import TOKEN, server_limits
from tlab_dash.session import Session
from tlab_dash.snapshot_form import SnapshotForm

MOST_WORDS = 3  # knobs that a proposed name tells of
LONGEST_TROUBLE = 900  # characters of what is said of a bad address
TOO_LONG = "The model could not be packed: "


class Sharing(Component):
    """The Share button of one session, its menu, and the page's address.

    first  what the page opens with where its address says nothing
    """

    settings = param.Dict(default={}, doc="The run's settings as query of a link, python and yaml; its name; the address.")
    kept = param.Dict(default={}, doc="The name the run is kept under, when it was saved, whether that goes on, a problem.")
    proposal = param.String(default="", doc="A name that the run could be saved under.")
    served = param.Boolean(default=False, doc="Whether the page's address is the lab's own, to write settings into.")
    beside = param.List(default=list(share.NOT_SETTINGS), doc="What else the address may say, to be left as it is.")
    snapshot = pn.custom.Child(doc="The form that makes a snapshot.")

    _esm = STATIC / "sharing.js"

    def __init__(self, session: Session, first: Experiment, **params):
        super().__init__(snapshot=SnapshotForm(session, self._hand_out), **params)
        self._session = session
        self._first = share.to_query(first)
        self._shown = None  # what `settings` tells of: the experiment, how often it was changed on the way, a bad address
        self._errands = Errands()
        self.refresh()

    def refresh(self) -> None:
        """Show what the session's run is now, and how it stands with its folder."""
        session = self._session
        self.kept = session.kept
        self.snapshot.refresh()
        experiment = session.experiment
        if session.run is None or session.building:
            return
        marks = session.run.marks
        shown = (experiment, len(marks), bool(session.trouble))
        if self._shown != shown:
            self._shown = shown
            told = settings(experiment, marks)
            # The first page's address stays short, and a bad one as it was typed, so that it can be mended.
            address = None if session.trouble else "" if told["query"] == self._first else told["query"]
            self.settings = told | {"address": address}

    def on_open(self, _) -> None:
        """Propose a name and a title, now that the menu is open; what was refused when it was open before is forgotten."""
        self._session.forget_refusal()
        self.kept = self._session.kept
        self.proposal = self._session.kept["name"] or proposed_name(self._session, RunStore(default_folder()))
        self.snapshot.proposal = described(self._session)

    def on_save(self, name: str) -> None:
        """Keep the run in a folder of that name."""
        self._session.save(str(name).strip(), RunStore(default_folder()))
        self.refresh()

    def on_model(self, _) -> None:
        """Send the page the model's weights as a file."""
        run = self._session.run
        if run is None:
            return

        def pack() -> tuple[str, bytes]:
            with run.trainer.standing_still():
                name = f"{file_name(run.experiment)} step {run.step}.safetensors"
                return name, share.as_safetensors(run.model, run.experiment, run.tokenizer)

        self._errands.run(pack, lambda packed: self._hand_out(*packed),
                          lambda error: self._send_msg({"failed": f"{TOO_LONG}{error}"}))

    def _hand_out(self, name: str, data: bytes) -> None:
        self._send_msg({"file": {"name": name, "data": data}})


def settings(experiment: Experiment, marks: list[Mark]) -> dict:
    """Return an experiment, and what was changed on the way, as the menu hands it out."""
    return {
        "query": share.to_query(experiment), "python": share.as_python(experiment, marks),
        "yaml": share.as_yaml(experiment), "name": file_name(experiment),
    }


def file_name(experiment: Experiment) -> str:
    """Return what files of an experiment are called: its text."""
    return cleaned_name(corpus_title(experiment.corpus))


def described(session: Session) -> str:
    """Return what the run is in a few words: "stories, Post-LN, layers 6"."""
    turned = differences(default_experiment(), session.experiment)
    words = [knob_words(session, knob, after) for knob, (_, after) in turned.items() if knob != "corpus"]
    more = [f"{len(words) - MOST_WORDS} more"] if len(words) > MOST_WORDS else []
    return ", ".join([file_name(session.experiment), *words[:MOST_WORDS], *more])


def proposed_name(session: Session, store: RunStore) -> str:
    """Return a name that describes the run, and that no run of the store has: "stories, Post-LN (2)"."""
    base = cleaned_name(described(session))
    name, number = base, 1
    while (store.folder / name).exists():
        number += 1
        name = f"{base} ({number})"
    return name


def is_served() -> bool:
    """Return whether this is the page of a server, and not a part of a notebook, whose address is its own."""
    return pn.state.curdoc is not None and pn.state.curdoc.session_context is not None


def address_of_page() -> str:
    """Return the query of the address that the page was opened with; empty in a notebook."""
    given = [(name, value) for name, values in pn.state.session_args.items() for value in values]
    # A page of another site that shows this one adds a few words for Bokeh.
    return urlencode([(name, value.decode("utf-8", "replace")) for name, value in given
                      if not (name.startswith("bokeh-") or name == TOKEN)])  # fmt: skip


def token_of_page() -> str:
    """Return the token that the page's address brings along, of a place that is kept for it; empty where it brings none."""
    return next((value.decode("utf-8", "replace") for value in pn.state.session_args.get(TOKEN, [])), "")


def experiment_of(query: str) -> tuple[Experiment | None, str]:
    """Return the experiment that an address asks for (None: it asks for none), and what is wrong with it, if anything.

    >>> experiment_of("theme=dark")
    (None, '')
    >>> experiment_of("a.num_layers=6")[0].architecture.num_layers
    6
    """
    if all(name in share.NOT_SETTINGS for name, _ in parse_qsl(query, keep_blank_values=True)):
        return None, ""
    try:
        asked, limits = share.from_query(query), server_limits()
        if asked.training.steps == default_experiment().training.steps:
            asked = limits.opening(asked)  # as what a page opens with that asks for nothing
        if found := limits.problems(asked):
            raise share.ShareError.of([
                share.ShareError(f"The link asks for more than this lab gives: {problem.allowed}.") for problem in found])
        return asked, ""
    except share.ShareError as error:
        said = str(error)
        return None, said if len(said) <= LONGEST_TROUBLE else said[:LONGEST_TROUBLE] + " …"
