"""What there is to say of a run and its ghost at equal steps: plain sentences, each made of two measured numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tlab_dash.controls import value_label
from tlab_dash.figures import equal_step, knob_words, nats, recent_loss, short, untrained_loss
from tlab_dash.knob_names import differences, knob_value
from tlab_dash.measures import Measure, most_changed
from tlab_dash.reasons import Pointer, Reason, Turn, lesson_of, reason_of
from tlab_dash.seat import GHOST_STEPS
from tlab_dash.session import TOO_HIGH

CLOSE_LOSS = 0.05  # nats; one seed each can't tell less apart
MOST = 3
MANY = 1000  # times; how much more than that says nothing more


@dataclass(frozen=True)
class Sentence:
    """What to say, and how: "plain", "aside" (grey) or "warning". `page` is where it can be seen.

    seeds   whether it compares one seed with one, so that more of them would tell more
    lesson  the lesson that asks about it, by name
    close   whether it says that what it compares can't be told apart
    """

    text: str
    kind: str = "plain"
    page: str = ""
    seeds: bool = False
    lesson: str = ""
    close: bool = False


def is_broken_on_purpose(run, ghost) -> bool:
    """Return whether one of the two is the other with a far too high learning rate."""
    if ghost is None:
        return False
    rates = sorted(one.experiment.training.learning_rate for one in (run, ghost))
    return rates[1] == TOO_HIGH * rates[0]


def past_horizon(session) -> bool:
    """Return whether the run has come to the end of its learning-rate schedule."""
    return session.run is not None and session.run.step >= session.run.experiment.training.steps


def sentences(session) -> list[Sentence]:
    """Return at most three sentences, the most pressing first; where they end in why, that has the last place."""
    run, ghost, shown = session.run, session.ghost, session.selection.step
    if session.trouble:
        return [Sentence(session.trouble, "warning"), Sentence("So this is the run that the lab opens with.", "aside")]
    said = [Sentence(session.message, "warning")] if session.message else []
    if run is None:
        return said
    marks = [mark for mark in run.marks if shown is None or mark.step <= shown]
    if run.divergence is not None and shown is None:
        said.append(Sentence(run.divergence.message, "warning"))
    elif shown is None and run.step == session.limits.steps:
        said.append(Sentence(f"Step {run.step:,}: this server lets no run go further. Turn a knob, or Reset.", "aside"))
    elif past_horizon(session) and shown is None:
        rate = value_label("", run.experiment.training.resolved_min_learning_rate)
        said.append(Sentence(f"Step {run.step:,}: the schedule has ended. Train goes on at learning rate {rate}.", "aside"))
    elif marks:
        mark = marks[-1]
        said.append(Sentence(f"Step {mark.step:,}: {knob_words(session, mark.knob, mark.before)} became "
                             f"{value_label(mark.knob, mark.after)}.", "aside"))
    if ghost is None:
        return [*said, *alone(run, shown)][:MOST]
    turn = turned_knob(session)
    found, pointer = (reason_of(turn), lesson_of(turn)) if turn is not None else (None, None)
    shows = reason_sentence(session, turn, *found) if found is not None else None
    everything = [*said, *compared(session, shows)]
    if said and said[0].kind == "warning" and shows is not None:
        everything = [said[0], shows]  # where a run broke, its loss says the least
    body = everything[:MOST - 1]
    differ = any(sentence.page and not sentence.close for sentence in everything) or run.divergence != ghost.divergence
    last = why(found[0].because if found is not None and shows in body else "", pointer, differ)
    return everything[:MOST] if last is None else [*body, last]


def alone(run, shown: int | None = None) -> list[Sentence]:
    """Return what there is to say of a run that has no ghost, at the step that is shown (None: the newest)."""
    if run.step == 0:
        return [Sentence("Press Train. Watch the text.")]
    step, untrained = run.step if shown is None else shown, untrained_loss(run)
    if step == 0:
        return [Sentence(f"Step 0: loss {nats(untrained)}. Nothing has been learned yet; "
                         f"letter pairs alone give {run.baselines['bigram']:.2f}.")]
    said = [Sentence(f"Step {step:,}: loss {nats(recent_loss(run, step))}, {nats(untrained)} before training. "
                     f"Letter pairs alone give {run.baselines['bigram']:.2f}.", page="training")]
    if run.divergence is not None or run.step >= GHOST_STEPS:
        said.append(Sentence("Turn a knob: this run stays as a grey ghost to compare with.", "aside"))
    return said


def knobs_apart(session, step: int | None) -> tuple[dict, set[str]]:
    """Return the knobs that differ between run and ghost, with both values, and the names of all that may be behind a
    difference: a setting that was changed on the way is one, even where both runs ended up with the same value."""
    run, ghost = session.run, session.ghost
    turned = differences(ghost.experiment, run.experiment)
    turned.pop("probe_text", None)  # nothing that a run does comes of it
    marks = [mark for one in (run, ghost) for mark in one.marks]
    on_the_way = {mark.knob for mark in marks if step is None or mark.step < step}
    if step is not None:  # what was changed later in one of them may have been so in the other from the start
        on_the_way |= {mark.knob for mark in marks if _value_at(run, mark.knob, step) != _value_at(ghost, mark.knob, step)}
    return turned, turned.keys() | on_the_way


def _value_at(run, knob: str, step: int) -> object:
    """Return what a knob was at a step: before the first change that came later, or what it is."""
    later = [mark.before for mark in run.marks if mark.knob == knob and mark.step >= step]
    return later[0] if later else knob_value(run.experiment, knob)


def read_the_same(run, ghost) -> bool:
    """Return whether both are looked into on the same text, as they are unless one can't read the other's."""
    return run.experiment.probe_text == ghost.experiment.probe_text


def turned_knob(session) -> Turn | None:
    """Return the one knob that sets run and ghost apart, None where there are several or nothing can be compared.

    While a lesson is on, why is the lesson's to say.
    """
    run, ghost = session.run, session.ghost
    step = equal_step(run, ghost, session.selection.step)
    turned, behind = knobs_apart(session, step)
    comparable = step is not None and read_the_same(run, ghost)
    if not comparable or session.lesson is not None or not len(turned) == len(behind) == 1:
        return None
    knob, (before, after) = next(iter(turned.items()))
    return Turn(knob, before, after, run, ghost, step)


def compared(session, shows: Sentence | None = None) -> list[Sentence]:
    """Return what differs between the run and its ghost at the last step that both have reached, or at the one shown.

    The loss comes first, then what `shows` an effect that is understood, and then what differs most of
    `measures.MEASURES`.
    """
    run, ghost = session.run, session.ghost
    step = equal_step(run, ghost, session.selection.step)
    turned, behind = knobs_apart(session, step)
    said = []
    if len(behind) > 1:
        said.append(Sentence(f"{len(behind)} knobs differ: their effects cannot be told apart.", "aside"))
    elif is_broken_on_purpose(run, ghost):
        said.append(purpose_sentence(run, ghost, step))
    elif not behind and read_the_same(run, ghost):
        return [Sentence("Nothing differs: the same settings and the same dice.", "aside")]
    now = with_knob(session, *next(iter(turned.items()))) if len(turned) == len(behind) == 1 else " now"
    if step is None:
        return said
    if "corpus" in turned:
        said.append(Sentence("The two learn different texts, so their losses can't be compared.", "aside"))
    elif step > 0:
        said.append(loss_sentence(step, recent_loss(run, step), recent_loss(ghost, step), now))
    if "corpus" not in turned and not read_the_same(run, ghost):
        texts = "They are looked into on different texts, so nothing but their losses can be compared."
        return [*said, Sentence(texts, "aside")]
    changed, close = most_changed(run, ghost, step)
    others = [ratio_sentence(measure, step, new, old, now) for measure, new, old in changed]
    said += [*([shows] if shows is not None else []), *(sentence for sentence in others if sentence != shows)]
    if close:
        measures = "other measures" if changed or step > 0 else "measures"
        said.append(Sentence(f"Step {step:,}: {close} {measures} differ by less than 1.5×. Too close to call.", "aside",
                             close=True))
    return said


def with_knob(session, knob: str, pair: tuple) -> str:
    """Return what stands behind "larger" and "lower": the knob's value in the run."""
    return f" with {knob_words(session, knob, pair[1])}"


def reason_sentence(session, turn: Turn, reason: Reason, new: float, old: float) -> Sentence:
    """Return the numbers that show a known effect of a knob."""
    return ratio_sentence(reason.measure, turn.step, new, old, with_knob(session, turn.knob, (turn.before, turn.after)))


def why(because: str, pointer: Pointer | None, differ: bool) -> Sentence | None:
    """Return the sentence that says why, and leads to the lesson that asks; None where there is neither.

    differ  whether there is anything to ask of
    """
    if not because and pointer is None:
        return None
    if pointer is None:
        return Sentence(f"Because {because}")
    asks = "Why?" if pointer.answers and differ else "To do with this knob:"
    return Sentence(f"Because {because}" if because else asks, lesson=pointer.lesson)


def purpose_sentence(run, ghost, step: int | None) -> Sentence:
    """Return what was done to the run that was broken on purpose, and how it fares at `step`.

    A run that holds, or seems to at first, must not look like a success of the higher rate.
    """
    broken, whole = sorted((run, ghost), key=lambda one: one.experiment.training.learning_rate, reverse=True)
    who = "This run" if broken is run else "The ghost"
    said = f"{who} was broken on purpose: {TOO_HIGH} times the learning rate."
    if broken.divergence is not None:
        return Sentence(said, "aside")
    if not step:
        return Sentence(f"{said} Watch its loss stay high, or jump.", "aside")
    worse = recent_loss(broken, step) - recent_loss(whole, step)
    fares = "So far its loss is higher." if worse >= CLOSE_LOSS else "No harm shows yet; give it more steps."
    return Sentence(f"{said} {fares}", "aside")


def loss_sentence(step: int, new: float, old: float, now: str) -> Sentence:
    """Return the sentence about the loss.

    >>> loss_sentence(300, 0.694, 0.71, " with Post-LN").text
    'Step 300: loss 0.69 against 0.71, one seed each. Too close to call.'
    >>> loss_sentence(300, 0.694, 1.2, " with Post-LN").text
    'Step 300: loss is 0.51 lower with Post-LN (0.69 against 1.20).'
    """
    pair, close = f"{nats(new)} against {nats(old)}", abs(new - old) < CLOSE_LOSS
    if not (np.isfinite(new) and np.isfinite(old)):
        said, seeds = f"loss {pair}. There is nothing to compare.", False
    elif close:
        said, seeds = f"loss {pair}, one seed each. Too close to call.", True
    else:
        said, seeds = f"loss is {nats(abs(new - old))} {'lower' if new < old else 'higher'}{now} ({pair}).", True
    return Sentence(f"Step {step:,}: {said}", page="training", seeds=seeds, close=close)


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
