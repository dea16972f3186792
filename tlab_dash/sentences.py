"""What there is to say of a run and its ghost at equal steps: plain sentences, each made of two measured numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tlab_dash.controls import value_label
from tlab_dash.figures import equal_step, knob_words, nats, recent_loss, short, untrained_loss
from tlab_dash.knob_names import differences
from tlab_dash.measures import Measure, most_changed
from tlab_dash.seat import GHOST_STEPS

CLOSE_LOSS = 0.05  # nats; one seed each can't tell less apart
MOST = 3
MANY = 1000  # times; how much more than that says nothing more


@dataclass(frozen=True)
class Sentence:
    """What to say, and how: "plain", "aside" (grey) or "warning". `page` is where it can be seen.

    seeds  whether it compares one seed with one, so that more of them would tell more
    """

    text: str
    kind: str = "plain"
    page: str = ""
    seeds: bool = False


def past_horizon(session) -> bool:
    """Return whether the run has come to the end of its learning-rate schedule."""
    return session.run is not None and session.run.step >= session.run.experiment.training.steps


def sentences(session) -> list[Sentence]:
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
                     f"Letter pairs alone give {run.baselines['bigram']:.2f}.", page="training")]
    if run.divergence is not None or run.step >= GHOST_STEPS:
        said.append(Sentence("Turn a knob: this run stays as a grey ghost to compare with.", "aside"))
    return said


def compared(session) -> list[Sentence]:
    """Return what differs between the run and its ghost at the last step that both have reached, or at the one shown.

    The loss comes first, and then what differs most of `measures.MEASURES`.
    """
    run, ghost = session.run, session.ghost
    turned = differences(ghost.experiment, run.experiment)
    step = equal_step(run, ghost, session.selection.step)
    # A setting that was changed on the way differs too, even where both runs ended up with the same value.
    turned_on_the_way = {mark.knob for one in (run, ghost) for mark in one.marks if step is None or mark.step < step}
    count = len(turned.keys() | turned_on_the_way)
    said = []
    if count > 1:
        said.append(Sentence(f"{count} knobs differ: their effects cannot be told apart.", "aside"))
    elif count == 0:
        said.append(Sentence("Nothing differs: the same settings and the same dice.", "aside"))
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
    changed, close = most_changed(run, ghost, step)
    said += [ratio_sentence(measure, step, new, old, now) for measure, new, old in changed]
    if close:
        others = "other measures" if changed or step > 0 else "measures"
        said.append(Sentence(f"Step {step:,}: {close} {others} differ by less than 1.5×. Too close to call.", "aside"))
    return said


def loss_sentence(step: int, new: float, old: float, now: str) -> Sentence:
    """Return the sentence about the loss.

    >>> loss_sentence(300, 0.694, 0.71, " with Post-LN").text
    'Step 300: loss 0.69 against 0.71, one seed each. Too close to call.'
    >>> loss_sentence(300, 0.694, 1.2, " with Post-LN").text
    'Step 300: loss is 0.51 lower with Post-LN (0.69 against 1.20).'
    """
    pair = f"{nats(new)} against {nats(old)}"
    if not (np.isfinite(new) and np.isfinite(old)):
        said, seeds = f"loss {pair}. There is nothing to compare.", False
    elif abs(new - old) < CLOSE_LOSS:
        said, seeds = f"loss {pair}, one seed each. Too close to call.", True
    else:
        said, seeds = f"loss is {nats(abs(new - old))} {'lower' if new < old else 'higher'}{now} ({pair}).", True
    return Sentence(f"Step {step:,}: {said}", page="training", seeds=seeds)


def ratio_sentence(measure: Measure, step: int, new: float, old: float, now: str) -> Sentence:
    """Return the sentence about something that is compared by how many times larger it is.

    >>> gradient = Measure("gradient reaching layer 0", "gradients", of=None)
    >>> ratio_sentence(gradient, 300, 0.018, 0.002, " with Post-LN").text
    'Step 300: the gradient reaching layer 0 is 9× larger with Post-LN (0.018 against 0.002).'
    """
    pair = f"{measure.write(new)} against {measure.write(old)}{measure.unit}"
    if not (np.isfinite(new) and np.isfinite(old) and new > 0 and old > 0):
        said = f"{measure.write(new)}{measure.unit}{now}, and {measure.write(old)}{measure.unit} in the ghost"
        return Sentence(f"Step {step:,}: the {measure.words} is {said}.", page=measure.page)
    way = measure.more if new > old else measure.less
    ratio = max(new / old, old / new)
    times = f"over {MANY:,}× {way}" if ratio > MANY else f"{short(ratio)}× {way}"
    if measure.caution:
        return Sentence(f"Step {step:,}: the {measure.words} is {times} ({pair}). {measure.caution}", page=measure.page)
    return Sentence(f"Step {step:,}: the {measure.words} is {times}{now} ({pair}).", page=measure.page)
