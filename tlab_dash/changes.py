"""What changed: the panel that says what a turned knob did, leads to where it can be seen, and offers what to do next."""

from __future__ import annotations

import param

from tlab_dash.component import STATIC, STYLE, Component
from tlab_dash.figures import knob_words, nats
from tlab_dash.knob_names import differences
from tlab_dash.pages import PAGES
from tlab_dash.seed_trial import COUNT, SeedTrial
from tlab_dash.sentences import Sentence, past_horizon, sentences
from tlab_dash.session import TOO_HIGH, Session

OWN_STYLE = (STATIC / "changes.css").read_text(encoding="utf-8")
SEEDS = {"label": f"Try {COUNT} seeds ›", "action": "seeds"}


class Changes(Component):
    """The panel that says what a turned knob did, with Undo."""

    sentences = param.List(default=[], doc="text and kind of each sentence, and a link: its label, and its page or action.")
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
    "extend": lambda session: session.extend(2 * session.experiment.training.steps),
    "undo": Session.undo,
    "break": Session.break_it,
    "one": Session.stop_seeds,
}


def told(session: Session) -> list[dict]:
    """Return each sentence as the page takes it."""
    trial = session.trial
    said = sentences(session) if trial is None else trial_sentences(trial, session.state == "training")
    more = trial is None and session.selection.step is None and session.can_try_seeds()
    return [{"text": sentence.text, "kind": sentence.kind} | _link(sentence, more) for sentence in said]


def _link(sentence: Sentence, more: bool) -> dict:
    if sentence.seeds and more:
        return {"link": SEEDS}
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
    if past_horizon(session) and whole:
        offered.append(_button("extend", f"Extend to {2 * session.experiment.training.steps:,} steps"))
    if ghost is not None:
        offered.append(_button("undo", "Undo"))
    if whole and not is_broken_on_purpose(run, ghost):
        title = f"Start again with {TOO_HIGH} times the learning rate, beside this run."
        offered.append(_button("break", "Break it", title))
    return offered


def _button(name: str, label: str, title: str = "") -> dict:
    return {"name": name, "label": label, "title": title}


def is_broken_on_purpose(run, ghost) -> bool:
    """Return whether one of the two is the other with a far too high learning rate."""
    if ghost is None:
        return False
    rates = sorted(one.experiment.training.learning_rate for one in (run, ghost))
    return rates[1] == TOO_HIGH * rates[0]


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
    if trial.comparison is None:
        return [Sentence(f"{broken} of {COUNT} seeds of {name} broke before step {trial.step:,}. "
                         "Their losses can't be compared.", "warning")
                for name, broken in zip(trial.names, trial.broken, strict=True) if broken]
    (new, mean, spread), (old, other, other_spread) = trial.means()
    pair = f"{nats(mean)} ± {nats(spread)} with {new}, {nats(other)} ± {nats(other_spread)} with {old}"
    return [Sentence(f"Step {trial.step:,}, {COUNT} seeds each: loss {pair}."),
            Sentence(trial.comparison.sentence, "fine")]
