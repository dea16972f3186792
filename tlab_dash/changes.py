"""What changed: the panel that says what a turned knob did, leads to where it can be seen, and offers what to do next."""

from __future__ import annotations

from math import comb

import param

from tlab_core.lessons import LESSONS
from tlab_dash.component import STATIC, STYLE, Component
from tlab_dash.figures import knob_words
from tlab_dash.knob_names import differences
from tlab_dash.pages import PAGES
from tlab_dash.seed_trial import COUNT, SeedTrial
from tlab_dash.sentences import Sentence, is_broken_on_purpose, past_horizon, sentences
from tlab_dash.session import TOO_HIGH, Session
from tlab_dash.text_names import whole_names

OWN_STYLE = (STATIC / "changes.css").read_text(encoding="utf-8")
SEEDS = {"label": f"Try {COUNT} seeds ›", "action": "seeds"}


class Changes(Component):
    """The panel that says what a turned knob did, with Undo."""

    sentences = param.List(default=[], doc="text and kind of each sentence, and a link: its label, and where it leads.")
    actions = param.List(default=[], doc="name and label of each button.")

    _esm = STATIC / "changes.js"
    _stylesheets = [STYLE, OWN_STYLE]

    def __init__(self, session: Session, **params):
        super().__init__(sizing_mode="stretch_both", **params)
        self._session = session
        self.refresh()

    def refresh(self) -> None:
        """Say what can be said now."""
        self.param.update(sentences=told(self._session), actions=actions(self._session))

    def on_action(self, action: str) -> None:
        """Carry out a press of a button or of a link that is no page."""
        session = self._session
        if action == "seeds":
            session.try_seeds(names(session))
        elif action in {offered["name"] for offered in actions(session)}:
            PRESSES[action](session)
        self.refresh()


PRESSES = {
    "both": Session.continue_both,
    "new": Session.train,
    "rerun": Session.rerun,
    "extend": lambda session: session.extend(extended(session)),
    "undo": Session.undo,
    "break": Session.break_it,
    "one": Session.stop_seeds,
}


# What differs before anything has learned would give an answer away, and often the wrong one.
BEFORE_RACE = Sentence("What the lesson's runs differ in shows here once they have run.", "aside")


def told(session: Session) -> list[dict]:
    """Return each sentence as the page takes it."""
    trial = session.trial
    if session.lesson is not None and session.lesson.is_before_race and not session.trouble:
        said = [BEFORE_RACE]
    else:
        said = sentences(session) if trial is None else trial_sentences(trial, session.state == "training")
    more = trial is None and session.selection.step is None and session.can_try_seeds()
    corpora = [one.experiment.corpus for one in (session.run, session.ghost) if one is not None]
    return [{"text": sentence.text, "kind": sentence.kind} | _link(sentence, more)
            | ({"title": whole} if (whole := whole_names(sentence.text, corpora)) else {}) for sentence in said]


def _link(sentence: Sentence, more: bool) -> dict:
    if sentence.seeds and more:
        return {"link": SEEDS}
    if sentence.lesson:
        return {"link": {"label": f"Lesson: {LESSONS.get(sentence.lesson).title} ›", "lesson": sentence.lesson}}
    if sentence.page:
        return {"link": {"label": f"See {PAGES.get(sentence.page).title} ›", "page": sentence.page}}
    return {}


def actions(session: Session) -> list[dict]:
    """Return the buttons that make sense now."""
    run, ghost, trial = session.run, session.ghost, session.trial
    if trial is not None:
        return [_button("one", "Cancel" if trial.at is not None else "Back")]
    if run is None or session.lesson is not None:
        return []
    offered = []
    whole = run.divergence is None
    further = session.limits.steps is None or run.step < session.limits.steps
    if ghost is not None and session.state == "paused" and session.race is None and further and whole:
        if ghost.divergence is None:
            offered.append(_button("both", "Continue both"))
        offered.append(_button("new", "Continue new"))
    if run.marks and whole:
        offered.append(_button("rerun", "Rerun from step 0"))
    if past_horizon(session) and whole and further:
        offered.append(_button("extend", f"Extend to {extended(session):,} steps"))
    if ghost is not None or session.problems:
        offered.append(_button("undo", "Undo"))
    if whole and not is_broken_on_purpose(run, ghost):
        title = (f"Starts again with {TOO_HIGH} times the learning rate: steps so large that the model stops learning, or "
                 "its numbers overflow. This run stays as the ghost, and Undo brings it back.")
        offered.append(_button("break", f"Break it: {TOO_HIGH}× learning rate", title))
    return offered


def extended(session: Session) -> int:
    """Return the steps of a schedule twice as long, or as long as the server lets runs go."""
    twice = 2 * session.experiment.training.steps
    return twice if session.limits.steps is None else min(twice, session.limits.steps)


def _button(name: str, label: str, title: str = "") -> dict:
    return {"name": name, "label": label, "title": title}


def names(session: Session) -> tuple[str, str]:
    """Return what to call the settings of the run and of its ghost, where they differ in one knob by its values."""
    turned = differences(session.ghost.experiment, session.run.experiment)
    if len(turned) != 1:
        return "the new settings", "the ghost's settings"
    knob, (before, after) = next(iter(turned.items()))
    return knob_words(session, knob, after), knob_words(session, knob, before)


def trial_sentences(trial: SeedTrial, waits: bool) -> list[Sentence]:
    """Return how far the trial of seeds has come, or what it found. `waits`: a run on show is training."""
    if trial.trouble:
        return [Sentence(trial.trouble, "warning")]
    if trial.at is not None:
        seed, side, step = trial.at
        said = Sentence(f"Seed {seed} of {COUNT}, {trial.names[side]}: step {step:,} of {trial.step:,}.")
        return [said, Sentence("It waits while this run trains.", "aside")] if waits else [said]
    if any(trial.broken):
        return [Sentence(f"{broken} of {COUNT} seeds of {name} broke before step {trial.step:,}. "
                         "Their losses can't be compared.", "warning")
                for name, broken in zip(trial.names, trial.broken, strict=True) if broken]
    said = " ".join(f"With {name}: {min(losses):.3f} to {max(losses):.3f}."
                    for name, losses in zip(trial.names, trial.losses, strict=True))
    return [Sentence(f"Step {trial.step:,}, {COUNT} seeds each. All losses are on unseen text."), Sentence(said),
            Sentence(verdict(trial.names, trial.losses), "aside")]


def verdict(names: tuple[str, str], losses: tuple[list[float], list[float]]) -> str:
    """Return what a few losses of two settings tell: which is lower at every seed of both, and how often luck does that.

    Were the settings equally good, each way to divide the losses between them would be as likely as any other.

    >>> verdict(("Post-LN", "Pre-LN"), ([0.7, 0.8, 0.75], [0.6, 0.5, 0.65]))
    'All 3 with Pre-LN are lower. Luck alone does that 1 time in 10: a hint, no proof.'
    >>> verdict(("Post-LN", "Pre-LN"), ([0.7, 0.8, 0.75], [0.6, 0.5, 0.72]))
    "They overlap: 3 seeds can't tell the two apart."
    """
    (new, old), count = losses, len(losses[0])
    if min(new) <= max(old) and min(old) <= max(new):
        return f"They overlap: {count} seeds can't tell the two apart."
    lower = names[0] if max(new) < min(old) else names[1]
    seldom = comb(2 * count, count) // 2  # two of the ways have all of one setting below all of the other
    return f"All {count} with {lower} are lower. Luck alone does that 1 time in {seldom}: a hint, no proof."
