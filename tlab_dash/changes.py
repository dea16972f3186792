"""What changed: a few sentences that compare the run with its ghost at equal steps, each made of two measured numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import param

from tlab_dash.component import STATIC, Component
from tlab_dash.controls import parameter, value_label
from tlab_dash.seat import GHOST_STEPS
from tlab_dash.session import Session, differences

RECENT = 20  # steps that a loss is averaged over
CLOSE_LOSS = 0.05  # nats; one seed each can't tell less apart
CLOSE_RATIO = 1.5
MOST = 3


@dataclass(frozen=True)
class Sentence:
    """What to say, and how: "plain", "aside" (grey) or "warning"."""

    text: str
    kind: str = "plain"


class Changes(Component):
    """The panel that says what a turned knob did, with Undo."""

    sentences = param.List(default=[], doc="text and kind of each sentence.")
    actions = param.List(default=[], doc="name and label of each button.")

    _esm = STATIC / "changes.js"

    def __init__(self, session: Session, **params):
        super().__init__(sizing_mode="stretch_both", **params)
        self._session = session
        self.refresh()

    def refresh(self) -> None:
        """Say what can be said now."""
        session = self._session
        told = [{"text": sentence.text, "kind": sentence.kind} for sentence in sentences(session)]
        self.param.update(sentences=told, actions=actions(session))

    def on_action(self, action: str) -> None:
        """Carry out a press: undo or extend."""
        if action == "undo":
            self._session.undo()
        elif action == "extend":
            self._session.extend(2 * self._session.experiment.training.steps)


def actions(session: Session) -> list[dict]:
    """Return the buttons that make sense now."""
    offered = []
    if past_horizon(session):
        offered.append({"name": "extend", "label": f"Extend to {2 * session.experiment.training.steps:,} steps"})
    if session.ghost is not None:
        offered.append({"name": "undo", "label": "Undo"})
    return offered


def past_horizon(session: Session) -> bool:
    """Return whether the run has come to the end of its learning-rate schedule."""
    return session.run is not None and session.run.step >= session.run.experiment.training.steps


def sentences(session: Session) -> list[Sentence]:
    """Return at most three sentences, the most pressing first."""
    run, ghost, shown = session.run, session.ghost, session.selection.step
    if session.trouble:
        return [Sentence(session.trouble, "warning"), Sentence("So this is the run that the lab opens with.", "aside")]
    said = [Sentence(session.message, "warning")] if session.message else []
    if run is None:
        return said
    marks = [mark for mark in run.marks if shown is None or mark.step <= shown]
    if run.divergence is not None and shown is None:
        said.append(Sentence(run.divergence.message, "warning"))
    elif past_horizon(session) and shown is None:
        rate = value_label("", run.experiment.training.resolved_min_learning_rate)
        said.append(Sentence(f"Step {run.step:,}: the schedule has ended. Train goes on at learning rate {rate}.", "aside"))
    elif marks:
        mark = marks[-1]
        said.append(Sentence(f"Step {mark.step:,}: {knob_words(session, mark.knob, mark.before)} became "
                             f"{value_label(mark.knob, mark.after)}.", "aside"))
    said += alone(run, shown) if ghost is None else compared(session)
    return said[:MOST]


def alone(run, shown: int | None = None) -> list[Sentence]:
    """Return what there is to say of a run that has no ghost, at the step that is shown (None: the newest)."""
    if run.step == 0:
        return [Sentence("Press Train. Watch the text.")]
    step, untrained = run.step if shown is None else shown, untrained_loss(run)
    if step == 0:
        return [Sentence(f"Step 0: loss {nats(untrained)}. Nothing has been learned yet; "
                         f"letter pairs alone give {run.baselines['bigram']:.2f}.")]
    said = [Sentence(f"Step {step:,}: loss {nats(recent_loss(run, step))}, untrained {nats(untrained)}. "
                     f"Letter pairs alone give {run.baselines['bigram']:.2f}.")]
    if run.divergence is not None or run.step >= GHOST_STEPS:
        said.append(Sentence("Turn a knob: this run stays as a grey ghost to compare with.", "aside"))
    return said


def compared(session: Session) -> list[Sentence]:
    """Return what differs between the run and its ghost at the last step that both have reached, or at the one shown."""
    run, ghost = session.run, session.ghost
    turned = differences(ghost.experiment, run.experiment)
    step = equal_step(run, ghost, session.selection.step)
    # A setting that was changed on the way differs too, even where both runs ended up with the same value.
    turned_on_the_way = {mark.knob for one in (run, ghost) for mark in one.marks if step is None or mark.step < step}
    count = len(turned.keys() | turned_on_the_way)
    said = []
    if count > 1:
        said.append(Sentence(f"{count} knobs differ: their effects cannot be told apart.", "aside"))
    now = " now"
    if len(turned) == count == 1:
        knob, (_, after) = next(iter(turned.items()))
        now = f" with {knob_words(session, knob, after)}"
    if step is None:
        return said
    if "corpus" in turned:
        said.append(Sentence("The two learn different texts, so their losses can't be compared.", "aside"))
    elif step > 0:
        said.append(loss_sentence(step, recent_loss(run, step), recent_loss(ghost, step), now))
    measures = (("gradient reaching layer 0", "gradient_rms", 0), ("signal after the last layer", "rms", -1))
    for what, variable, depth in measures:
        new, old = stream_at(run, variable, step, depth), stream_at(ghost, variable, step, depth)
        said.append(ratio_sentence(what, step, new, old, now))
    if not turned:
        said.append(Sentence("Nothing differs: the same settings and the same dice.", "aside"))
    return said


def loss_sentence(step: int, new: float, old: float, now: str) -> Sentence:
    """Return the sentence about the loss.

    >>> loss_sentence(300, 0.694, 0.71, " with Post-LN").text
    'Step 300: loss 0.69 against 0.71, one seed each. Too close to call.'
    >>> loss_sentence(300, 0.694, 1.2, " with Post-LN").text
    'Step 300: loss is 0.51 lower with Post-LN (0.69 against 1.20).'
    """
    if not (np.isfinite(new) and np.isfinite(old)):
        return Sentence(f"Step {step:,}: loss {nats(new)} against {nats(old)}. There is nothing to compare.")
    if abs(new - old) < CLOSE_LOSS:
        return Sentence(f"Step {step:,}: loss {nats(new)} against {nats(old)}, one seed each. Too close to call.")
    way = "lower" if new < old else "higher"
    return Sentence(f"Step {step:,}: loss is {nats(abs(new - old))} {way}{now} ({nats(new)} against {nats(old)}).")


def ratio_sentence(what: str, step: int, new: float, old: float, now: str) -> Sentence:
    """Return the sentence about something that is compared by how many times larger it is.

    >>> ratio_sentence("gradient reaching layer 0", 300, 0.018, 0.002, " with Post-LN").text
    'Step 300: the gradient reaching layer 0 is 9× larger with Post-LN (0.018 against 0.002).'
    >>> ratio_sentence("signal after the last layer", 300, 1.0, 1.2, " with Post-LN").text
    'Step 300: the signal after the last layer is 1 against 1.2. Too close to call.'
    """
    pair = f"{short(new)} against {short(old)}"
    if not (np.isfinite(new) and np.isfinite(old) and new > 0 and old > 0):
        return Sentence(f"Step {step:,}: the {what} is {pair}.")
    ratio = max(new / old, old / new)
    if ratio < CLOSE_RATIO:
        return Sentence(f"Step {step:,}: the {what} is {pair}. Too close to call.")
    way = "larger" if new > old else "smaller"
    return Sentence(f"Step {step:,}: the {what} is {short(ratio)}× {way}{now} ({pair}).")


def knob_words(session: Session, knob: str, value) -> str:
    """Return a knob and its value as one says them: "Post-LN" for a choice, "learning rate 0.01", "QK-norm on"."""
    label = parameter(session.draft, knob).label
    if isinstance(value, bool):
        return f"{label} {'on' if value else 'off'}"
    if isinstance(value, str) and value != "None":
        return value
    name = label[:1].lower() + label[1:] if label[1:2].islower() else label
    return f"{name} {value_label(knob, value)}"


def nats(loss: float) -> str:
    """Return a loss as one reads it.

    >>> nats(0.694), nats(1.57e14)
    ('0.69', '1.6e+14')
    """
    return f"{loss:.2f}" if not abs(loss) >= 1000 else f"{loss:.1e}"


def recent_loss(run, step: int) -> float:
    """Return the mean loss of the last batches up to `step`; the same batches in two runs that share their data."""
    train = run.recorder.group("train")
    return float(train["loss"].values[train["step"].values <= step][-RECENT:].mean())


def untrained_loss(run) -> float:
    """Return the probe text's mean loss at step 0."""
    return float(run.recorder.group("probe")["loss"].values[0].mean())


def equal_step(run, ghost, shown: int | None = None) -> int | None:
    """Return the last step, up to the one shown, at which both runs were looked into, None if there is none."""
    steps = [r.recorder.group("residual")["step"].values for r in (run, ghost)]
    common = np.intersect1d(*steps)
    common = common if shown is None else common[common <= shown]
    return int(common[-1]) if len(common) else None


def stream_at(run, variable: str, step: int, depth: int) -> float:
    """Return a statistic of the residual stream that was recorded at `step`."""
    residual = run.recorder.group("residual")
    return float(residual[variable].values[np.searchsorted(residual["step"].values, step), depth])


def short(x: float) -> str:
    """Return a number to two figures, without an exponent.

    >>> short(0.0182), short(3825), short(9.04)
    ('0.018', '3,825', '9')
    """
    if not np.isfinite(x):
        return str(x)
    if abs(x) >= 100:
        return f"{x:,.0f}"
    return np.format_float_positional(float(f"{x:.2g}"), trim="-")
