"""The form in the Share menu that makes a snapshot: what the page shows as one HTML file, with the author's words."""

from __future__ import annotations

from collections.abc import Callable

import param

from tlab_core.run import Run
from tlab_core.runs.files import cleaned_name, reason
from tlab_dash.changes import names
from tlab_dash.component import STATIC, STYLE, Component
from tlab_dash.errands import Errands
from tlab_dash.knob_names import differences
from tlab_dash.session import Session
from tlab_dash.snapshot import Snapshot, runs_of, snapshot_bytes

OWN_STYLE = (STATIC / "snapshot_form.css").read_text(encoding="utf-8")
LONGEST_TITLE = 200  # characters
FAILED = "The snapshot could not be made: "


class SnapshotForm(Component):
    """The form of one session. `hand_out(name, data)` sends the finished file to the page."""

    ready = param.Boolean(default=False, doc="Whether there is a run to make a snapshot of.")
    ghost = param.Boolean(default=False, doc="Whether there is a ghost that may stand beside it.")
    proposal = param.String(default="", doc="The title, as long as none is typed.")
    longest = param.Integer(default=LONGEST_TITLE, doc="Characters that a title may have.")
    making = param.Boolean(default=False, doc="Whether a file is being made.")
    made = param.List(default=[], item_type=str, doc="What is said of the file made last: name, size, what it leaves out.")
    problem = param.String(default="", doc="Why there is no file.")

    _esm = STATIC / "snapshot_form.js"
    _stylesheets = [STYLE, OWN_STYLE]

    def __init__(self, session: Session, hand_out: Callable[[str, bytes], None], **params):
        super().__init__(**params)
        self._session, self._hand_out = session, hand_out
        self._errands = Errands()

    def refresh(self) -> None:
        """Show which runs there are."""
        session = self._session
        self.param.update(ready=session.run is not None and not session.building, ghost=session.ghost is not None)

    def on_make(self, asked: dict) -> None:
        """Make a file with `asked["title"]`, `asked["notes"]` and, where `asked["ghost"]` is true, the ghost."""
        if self.making or self._session.run is None or not isinstance(asked, dict):
            return
        title = str(asked.get("title", "")).strip()[:LONGEST_TITLE] or self.proposal
        notes = str(asked.get("notes", ""))
        runs = shown_runs(self._session, bool(asked.get("ghost")))
        self.param.update(making=True, made=[], problem="")

        def hand_out(finished: Snapshot) -> None:
            name = f"{cleaned_name(title)}.html"
            self._hand_out(name, finished.html)
            size = f"“{name}” is made: {len(finished.html) / 1e6:.1f} MB."
            self.param.update(making=False, made=[size, *finished.left_out])

        def complain(error: Exception) -> None:
            self.param.update(making=False, problem=f"{FAILED}{reason(error)}")

        self._errands.run(lambda: snapshot_bytes(runs, title=title, notes=notes), hand_out, complain)


def shown_runs(session: Session, with_ghost: bool) -> dict[str, Run]:
    """Return the session's run, with its ghost if wanted, under names that say how they differ where one knob does."""
    run, ghost = session.run, session.ghost
    if ghost is None or not with_ghost:
        return runs_of(run)
    called = names(session) if len(differences(ghost.experiment, run.experiment)) == 1 else ()
    now, then = called if len(set(called)) == 2 else ("now", "ghost")
    return {now: run, then: ghost}
