"""A text of one's own, pasted or from a file: the model learns it, or its inside is shown on it.

Whatever comes is taken for text and nothing else: it is read by `tlab_core.corpora.own`, and the page shows it as text.
"""

from __future__ import annotations

from collections.abc import Callable

import param

from tlab_core.corpora import Corpus, CorpusError
from tlab_core.corpora.own import OWN_TEXTS, is_own, read, too_large, why_not_learn
from tlab_core.experiment import PROBE_LENGTH, SHORTEST_PROBE, Experiment
from tlab_core.limits import LARGEST_UPLOAD
from tlab_core.settings import Problem
from tlab_dash import surprise
from tlab_dash.component import STATIC, STYLE, Component
from tlab_dash.readable import readable
from tlab_dash.session import Session
from tlab_dash.text_names import text_name

OWN_STYLE = (STATIC / "own_text.css").read_text(encoding="utf-8")
OFFERED = 5  # texts of one's own in the menu, the newest
FIRST_LINE = 80  # characters of the first line that are shown
MOST_NAMED = 5  # unknown characters that are named
Explain = Callable[[Experiment, Problem], str]


class OwnText(Component):
    """The button “Use my own text…” and its dialog, for one session.

    changed  called after a press, as it may have turned knobs
    explain  (experiment, problem) -> what the page says of a problem
    """

    said = param.Dict(default={}, doc="What is said of the text in hand, the one with this serial number; see `told`.")
    largest = param.Integer(default=0, doc="Bytes that a text may have.")
    probing = param.Boolean(default=False, doc="Whether the inside is shown on a text of one's own.")

    _esm = STATIC / "own_text.js"
    _stylesheets = [STYLE, OWN_STYLE]

    def __init__(self, session: Session, changed: Callable[[], None], explain: Explain, **params):
        super().__init__(largest=min(session.limits.upload, LARGEST_UPLOAD), **params)
        self._session, self._changed, self._explain = session, changed, explain
        self._text: Corpus | None = None  # what is in hand
        self._brought: list[str] = []  # names of what was learned here, the newest first

    @property
    def offered(self) -> list[str]:
        """Return the names of the texts of one's own that can be learned: what was brought, what is being learned."""
        session = self._session
        shown = [session.draft, *(run.experiment for run in (session.run, session.ghost) if run is not None)]
        names = dict.fromkeys([*self._brought, *(experiment.corpus for experiment in shown)])
        return [name for name in names if is_own(name) and (OWN_TEXTS.find(name) or name == session.draft.corpus)]

    def refresh(self) -> None:
        """Show whether the inside is shown on a text of one's own."""
        self.probing = self._session.draft.probe_text != ""

    def on_look(self, brought: dict) -> None:
        """Read the bytes `brought["data"]`, which the page calls number `brought["serial"]`, and say what they are."""
        data = brought.get("data") if isinstance(brought, dict) else None
        if not isinstance(data, bytes | memoryview):
            return
        self._text, problem = None, ""
        try:
            self._text = read(bytes(data), largest=self.largest)
        except CorpusError as error:
            problem = str(error)
        self._tell(brought.get("serial"), problem)

    def on_large(self, brought: dict) -> None:
        """Say that a text of `brought["size"]` bytes, which the page has kept to itself, is too large."""
        if isinstance(brought, dict) and isinstance(size := brought.get("size"), int):
            self._text = None
            self._tell(brought.get("serial"), too_large(size, self.largest))

    def on_learn(self, chosen: dict) -> None:
        """Train on the text in hand, called `chosen["title"]`."""
        session, text = self._session, self._text
        if not self._in_hand(chosen) or why_not_train(session, text, self._explain):
            return
        title = chosen.get("title")
        if isinstance(title, str) and title.strip():
            text = read(text.text.encode(), title[:200])
        name = OWN_TEXTS.keep(text)
        self._brought = [name, *(other for other in self._brought if other != name)][:OFFERED]
        probe = {} if not text.tokenizer.unknown(session.draft.probe_text) else {"probe_text": ""}
        session.learn(corpus=name, **probe)
        self._done(chosen)

    def on_probe(self, chosen: dict) -> None:
        """Show the inside on the beginning of the text in hand."""
        if not self._in_hand(chosen):
            return
        probe = probe_part(self._session, self._text)
        if not why_not_probe(self._session, probe):
            self._session.look_into(probe)
            self._done(chosen)

    def on_usual(self, _) -> None:
        """Show the inside on a passage of the text that is learned, as it was."""
        self._session.look_into("")
        self._changed()

    def on_forget(self, _) -> None:
        """Let go of the text in hand."""
        self._text, self.said = None, {}

    def _in_hand(self, chosen: dict) -> bool:
        return self._text is not None and isinstance(chosen, dict) and chosen.get("serial") == self.said.get("serial")

    def _done(self, chosen: dict) -> None:
        if self._session.problems:  # which the page shows beside the knobs as well
            self._tell(chosen["serial"], self._explain(self._session.draft, self._session.problems[0]))
        else:
            self.on_forget(True)
            self._send_msg({"done": True})
        self._changed()

    def _tell(self, serial: object, problem: str) -> None:
        figures = {} if problem or self._text is None else told(self._session, self._text, self._explain)
        self.said = {"serial": serial if isinstance(serial, int) else 0, "problem": problem, **figures}


def told(session: Session, text: Corpus, explain: Explain) -> dict[str, str]:
    """Return what the dialog says of a text: `characters`, `different` ones, `first` line, the `title` it has without a
    better one, why not to `learn` it or to `probe` with it (empty: it can be), and what is `cut` off for the probe."""
    lines = readable(text.text.strip()).split("\n")
    probe = probe_part(session, text)
    objection = why_not_probe(session, probe)
    cut = len(probe) <= len(text.text.strip("\n")) and not objection
    return {
        "characters": f"{len(text.text):,}",
        "different": f"{text.tokenizer.vocab_size:,}",
        "first": lines[0] if len(lines[0]) <= FIRST_LINE else f"{lines[0][:FIRST_LINE]}…",
        "title": text.name,
        "learn": why_not_train(session, text, explain),
        "probe": objection,
        "cut": f"As probe text, only the first {len(probe) - 1} characters are shown." if cut else "",
    }


def why_not_train(session: Session, text: Corpus, explain: Explain) -> str:
    """Return why the session's settings can't be trained on a text; nothing when they can."""
    if why := why_not_learn(text):
        return why
    known = not text.tokenizer.unknown(session.draft.probe_text)
    draft = session.draft.replace(prompt="", probe_text=session.draft.probe_text if known else "").resolved(text)
    # Which text the draft learns now doesn't matter.
    found = [problem for problem in draft.problems(text) if problem.knob != "corpus"] or session.limits.problems(draft)
    return explain(draft, found[0]) if found else ""


def why_not_probe(session: Session, probe: str) -> str:
    """Return why the run can't be looked into with a probe text; nothing when it can, or when only a new run will tell."""
    if len(probe) < SHORTEST_PROBE:
        return f"A probe text needs at least {SHORTEST_PROBE} characters."
    run = session.run
    if run is None or run.experiment.corpus != session.draft.corpus:
        return ""
    unknown = run.tokenizer.unknown(probe)
    if not unknown:
        return ""
    named = ", ".join(surprise.named(character) for character in unknown[:MOST_NAMED])
    more = " and more" if len(unknown) > MOST_NAMED else ""
    occur = "occur" if len(unknown) > 1 else "occurs"
    where = text_name(session.draft.corpus)
    return f"{named}{more} never {occur} in {where}, so its model can't read this as probe text."


def probe_part(session: Session, text: Corpus) -> str:
    """Return the beginning of a text that serves as probe text: what is shown, and the one character that follows."""
    draft, most = session.draft, PROBE_LENGTH
    if draft.architecture.pos_encoding_type == "Learned":
        most = min(most, draft.architecture.max_seq_len)
    part = text.text.strip("\n")
    if not SHORTEST_PROBE <= len(part) <= most:
        return part[: most + 1]
    known = text.tokenizer if session.run is None else session.run.tokenizer
    return part + next((mark for mark in "\n " if not known.unknown(mark)), part[-1])
