"""What the lesson's card says at each step, as plain values for the page: blocks from top to bottom, and where one can go.

A block is {"id", "kind", ...}; lesson.js draws the kinds. One that keeps its id is changed in place, so that whoever is in
the middle of it stays there.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from tlab_core.lessons import SEEDS, Number
from tlab_core.lessons.reading import first, validation_loss
from tlab_dash.architecture_map.wiring import Wiring
from tlab_dash.controls import parameter, value_label
from tlab_dash.figures import knob_words, nats
from tlab_dash.lessons.taking import STEPS, Taking
from tlab_dash.session import Session

Block = dict


def leaf(taking: Taking, session: Session) -> dict:
    """Return the leaf that is open: its blocks, the steps and which of them can be gone to, and what is read aloud."""
    steps = taking.steps
    at = steps.index(taking.step)
    return {
        "name": taking.lesson.name,
        "title": taking.lesson.title,
        "step": taking.step,
        "heading": f"{at + 1}. {name_of(taking, taking.step)}",
        "steps": [{"name": step, "label": name_of(taking, step), "open": taking.may(step)} for step in steps],
        "blocks": [*_trouble(taking, session), *LEAVES[taking.step](taking, session)],
        "back": next((step for step in reversed(steps[:at]) if taking.may(step)), ""),
        "next": next((step for step in steps[at + 1:] if taking.may(step)), ""),
        "announce": announcement(taking),
    }


def name_of(taking: Taking, step: str) -> str:
    """Return what a step is called; a model that is alone can't race."""
    return "Train" if step == "race" and len(taking.racers) < 2 else STEPS[step]


def bright(taking: Taking) -> list[str]:
    """Return which of the page's views the step is about, by name; the others are dimmed. The map is one of them."""
    if taking.step in ("look", "predict", "fresh"):
        return ["map"]
    if taking.step == "keep":
        return ["map", "text", "loss", "signal", "layer_statistics", "heads", "attention", "qk"]
    return ["map", "text", *taking.lesson.views]


def announcement(taking: Taking) -> str:
    """Return what a screen reader says aloud: that the race began or ended, and the verdict."""
    if taking.trouble:
        return taking.trouble
    if taking.doing == "done" and taking.verdict is not None:
        return f"{said(taking)} {taking.verdict.sentence}"
    return {"racing": f"{name_of(taking, 'race')}: it has begun.", "others": "The race is over; the other runs train.",
            "reading": "The numbers are being read."}.get(taking.doing, "")


# One function a step --------------------------------------------------------------------------------------------------


def look(taking: Taking, session: Session) -> list[Block]:
    """What to look at on the map, with a switch between the two drawings where they differ."""
    if taking.refused:
        return []
    blocks = [text("look", taking.lesson.look, "lead")]
    if differ(taking):
        options = [{"key": key, "label": taking.label_of(key)} for key in taking.racers]
        blocks.append({"id": "flip", "kind": "flip", "label": "On the map", "options": options})
    elif taking.doing == "opening" and not taking.trouble:
        blocks.append(text("building", "The models are being built …", "aside"))
    return blocks


def predict(taking: Taking, session: Session) -> list[Block]:
    """The question and its answers."""
    locked = not taking.is_before_race
    options = [{"key": key, "label": label} for key, label in taking.lesson.prediction.options.items()]
    hint = "Guess before anything runs. A wrong guess teaches most."
    if locked:
        hint = "There was no guess, and the runs have begun." if taking.answer is None else \
            "The guess stands: the runs have begun."
    skip = [] if locked or taking.guessed else [button("skip", "Skip the guess")]
    return [
        {"id": "question", "kind": "choice", "question": taking.lesson.prediction.question, "options": options,
         "chosen": taking.answer or "", "locked": locked},
        text("hint", hint, "aside"),
        *skip,
    ]


def fresh(taking: Taking, session: Session) -> list[Block]:
    """What both models are like before the first step, and the button that runs them."""
    if taking.doing == "opening":
        return [text("building", "The models are being built …", "aside")]
    racers = [(taking.label_of(key), taking.runs[key]) for key in taking.racers if key in taking.runs]
    characters = racers[0][1].tokenizer.vocab_size
    blocks = [
        text("fresh", "Step 0. The model has learned nothing yet." if len(racers) < 2 else
             "Step 0. Neither model has learned anything yet.", "lead"),
        table("loss", "Loss on unseen text", [(label, nats(first(run, "validation", "loss"))) for label, run in racers]),
        text("guessing", "How surprised a model is by each next character. "
             f"Guessing blindly among {characters} gives {nats(math.log(characters))}.", "aside"),
    ]
    if (others := len(taking.lesson.runs) - len(racers)) > 0:
        more = "One more trains" if others == 1 else f"{others} more train"
        blocks.append(text("others", f"These two race. {more} after them.", "aside"))
    if (more := taking.lesson.fresh) is not None:
        number = Number(more.label, more.style)
        blocks += [table("before", more.label, [(label, f"{number.text(more.measure(run))}×") for label, run in racers]),
                   text("meaning", more.meaning, "aside")]
    if taking.doing == "ready":
        blocks.append(run_button(taking))
    return blocks


def race(taking: Taking, session: Session) -> list[Block]:
    """How far the runs are."""
    if taking.doing == "reading":
        return [*standing(taking, session), text("what", "All runs are there. Their numbers are being read …", "lead")]
    if taking.doing == "ready":  # something went wrong on the way
        return [run_button(taking)]
    if taking.behind is not None:
        return [text("what", "The race is over. Another run trains out of sight: it would give a later step away.", "lead"),
                hidden(taking), *standing(taking, session)]
    several = len(taking.racers) > 1
    what = {
        "racing": "Both train in turns, on the same batches." if several else "The model trains.",
        "others": "The race is over. One more run trains; the dashed one is there to compare.",
        "done": "The race is over." if several else "The model has been trained.",
    }[taking.doing]
    return [text("what", what, "lead"), *standing(taking, session), *going(taking, session)]


def reveal(taking: Taking, session: Session) -> list[Block]:
    """The guess beside what was measured, in the same words whichever it was."""
    lesson, verdict = taking.lesson, taking.lesson.verdict(taking.measured[:1])
    data = lesson.prediction.options[verdict.outcome]
    return [
        table("answers", "", [("You said", guess(taking)), ("The runs say", data)], "said"),
        text("verdict", verdict.sentence, "lead"),
        *examples(taking),
        *stage(taking, session),
        *numbers(taking, 1),
    ]


def repair(taking: Taking, session: Session) -> list[Block]:
    """The one knob that mends a run, and how the mended one fares against the other."""
    mend = taking.lesson.repair
    knob, after = taking.lesson.mending
    about = parameter(session.draft, knob)
    unit = " steps" if getattr(about, "unit", "") == "steps" else ""
    blocks = [
        text("mend", mend.sentence, "lead"),
        {"id": "knob", "kind": "mend", "label": about.label, "chosen": str(int(taking.turned_up)),
         "options": [{"key": str(i), "label": f"{value_label(knob, value)}{unit}"}
                     for i, value in enumerate((value_of(taking, knob), after))],
         "locked": taking.repairing or taking.mended},
    ]
    if taking.behind is not None and taking.repairing:
        return [*blocks, hidden(taking)]
    if taking.repairing:
        return [*blocks, *standing(taking, session), *going(taking, session)]
    if not taking.mended:
        words = knob_words(session, knob, after)
        hint = "" if taking.turned_up else "Turn the knob first."
        return [*blocks, button("repair", f"Run it with {words}{unit}", True, not taking.turned_up, hint)]
    found = taking.lesson.verdict(taking.measured[:1])
    return [*blocks, text("how", found.mended, "lead"), *standing(taking, session),
            *numbers(taking, 1, [name for pair in mend.compares for name in pair])]


def check(taking: Taking, session: Session) -> list[Block]:
    """The further seeds, and what all of them say."""
    done, left = len(taking.measured), SEEDS[len(taking.measured):]
    seconds = round(taking.lesson.seconds * len(left))
    blocks = []
    if taking.checking:
        words = "The check waits while the bench trains."
        if session.state != "training":
            words = "All runs train once more with other dice, out of sight."
        blocks += [text("what", words, "lead"), hidden(taking), button("stop_check", "Stop")]
    elif left:
        listed = " and ".join(str(seed) for seed in left)
        blocks += [
            text("what", f"One seed is one roll of the dice. Seed{'s' if len(left) > 1 else ''} {listed} were chosen in "
                 f"advance, and take about {seconds} s." if done == 1 else
                 f"{done} of {len(SEEDS)} seeds are done. The rest takes about {seconds} s.", "lead"),
            button("check", f"Run seed{'s' if len(left) > 1 else ''} {listed}", True),
        ]
    verdict = taking.verdict
    seen = "seen" if verdict.seen else "not seen"
    blocks += [
        text("count", f"{verdict.agree} of {verdict.of} seed{'s' if verdict.of > 1 else ''}: {seen}", "count"),
        text("verdict", verdict.sentence, "lead"),
        *([text("mended", verdict.mended, "lead")] if taking.mended else []),
        *numbers(taking, done),
    ]
    return blocks


def keep(taking: Taking, session: Session) -> list[Block]:
    """The sentence to keep, and who found it first."""
    paper, verdict = taking.lesson.paper, taking.verdict
    seen = "seen" if verdict.seen else "not seen"
    return [
        text("keep", taking.lesson.take_away, "lead"),
        text("here", f"Here, {verdict.agree} of {verdict.of} seeds agreed: {seen}." if verdict.of > 1 else
             f"Here, the one seed that ran {'agreed' if verdict.agree else 'did not agree'}."),
        text("found", f"The paper: {paper.found}"),
        {"id": "paper", "kind": "link", "text": paper.title, "url": paper.url,
         "about": f"{paper.authors} {paper.year}, {paper.section}"},
        button("leave", "Back to my own run", True),
        button("list", "All lessons"),
    ]


LEAVES: dict[str, Callable[[Taking, Session], list[Block]]] = {
    "look": look, "predict": predict, "fresh": fresh, "race": race, "reveal": reveal, "repair": repair, "check": check,
    "keep": keep,
}  # fmt: skip


# Blocks ---------------------------------------------------------------------------------------------------------------


def text(name: str, words: str, style: str = "") -> Block:
    """Return a paragraph; style is "", "lead", "aside", "count" or "warning"."""
    return {"id": name, "kind": "text", "text": words, "style": style}


def button(action: str, label: str, primary: bool = False, disabled: bool = False, hint: str = "") -> Block:
    """Return a button that sends its action; `hint` says beside it why it can't be pressed."""
    return {"id": f"button-{action}", "kind": "button", "action": action, "label": label, "primary": primary,
            "disabled": disabled, "hint": hint}


def table(name: str, heading: str, rows: list[tuple[str, str]], style: str = "") -> Block:
    """Return rows of a label and what goes with it; style is "", "said" or "said written"."""
    return {"id": name, "kind": "table", "heading": heading, "rows": [list(row) for row in rows], "style": style}


def numbers(taking: Taking, seeds: int, names: list[str] | None = None) -> list[Block]:
    """Return what was measured of the first seeds, side by side: those numbers that are named, or all that may be said."""
    shown = {name: number for name, number in taking.numbers.items() if names is None or name in names}
    rows = [(number.label, "   ".join(number.text(measured[key]) for measured in taking.measured[:seeds]))
            for key, number in shown.items()]  # fmt: skip
    of = ", ".join(str(seed) for seed in SEEDS[:seeds])
    blocks = [table("numbers", f"Measured, seed{'s' if seeds > 1 else ''} {of}", rows)]
    if any("loss" in number.label for number in shown.values()):
        blocks.append(text("unseen", f"Every loss is that on unseen text, at step {taking.lesson.steps}.", "aside"))
    return blocks


def examples(taking: Taking) -> list[Block]:
    """Return what the runs write, where the lesson is about that."""
    return [table("examples", "", list(taking.examples.items()), "said written")] if taking.examples else []


def run_button(taking: Taking) -> Block:
    """Return the button that starts the race."""
    return button("run", f"Run to step {taking.lesson.steps}", True)


def standing(taking: Taking, session: Session) -> list[Block]:
    """Return how far each run on the bench is, with the line that is its own in the plots, and at its end its loss."""
    rows = []
    for run, line in ((session.run, "solid"), (session.ghost, "dashed")):
        key = taking.key_of(run) if run is not None else None
        if key is not None:
            words = ""  # on the way there is no loss that would be the same as the one that is measured at the end
            if run.divergence is not None:
                words = f"broke at step {run.divergence.step:,}"
            elif run.step == run.recorder.last_step("validation") == taking.lesson.steps:
                words = f"loss {nats(validation_loss(run))}"
            rows.append({"label": taking.label_of(key), "line": line, "step": run.step, "of": taking.lesson.steps,
                         "words": words})
    return [{"id": "standing", "kind": "progress", "rows": rows}] if rows else []


def hidden(taking: Taking) -> Block:
    """Return how far what trains out of sight is."""
    rows = []
    if taking.behind is not None:
        seed, key, step = taking.behind
        rows = [{"label": f"Seed {seed}: {taking.label_of(key)}", "line": "", "step": step, "of": taking.lesson.steps,
                 "words": ""}]
    return {"id": "hidden", "kind": "progress", "rows": rows}


def going(taking: Taking, session: Session) -> list[Block]:
    """Return the button that interrupts a race, or goes on with it."""
    if taking.doing == "done" and not taking.repairing:
        return []
    training = session.state == "training"
    return [button("pause" if training else "train", "Pause" if training else "Go on", not training)]


def stage(taking: Taking, session: Session) -> list[Block]:
    """Return a switch of which run the bench shows, where there are several."""
    options = [{"key": key, "label": taking.label_of(key)} for key in taking.open_to_all]
    return [{"id": "stage", "kind": "stage", "label": "On the bench", "options": options,
             "chosen": taking.key_of(session.run) or ""}] if len(options) > 1 else []


def _trouble(taking: Taking, session: Session) -> list[Block]:
    blocks = [text("trouble", taking.trouble, "warning")] if taking.trouble else []
    if taking.doing != "opening" and not session.building and not taking.is_on_stage(session.run):
        blocks += [text("elsewhere", "The bench shows another run now.", "warning"),
                   button("back_on_stage", "Show the lesson's runs")]
    return blocks


def guess(taking: Taking) -> str:
    """Return the guess in its own words, or that there was none."""
    return "Nothing: you skipped the guess" if taking.answer is None else taking.lesson.prediction.options[taking.answer]


def said(taking: Taking) -> str:
    """Return the guess as a sentence.

    >>> from types import SimpleNamespace as S
    >>> said(S(answer="same", lesson=S(prediction=S(options={"same": "About the same"}))))
    'You said: About the same.'
    """
    return f"You said: {guess(taking).rstrip('.')}."


def differ(taking: Taking) -> bool:
    """Return whether the two that race are drawn differently on the map."""
    if len(taking.racers) < 2 or not all(key in taking.runs for key in taking.racers):
        return False
    first, second = (Wiring.of(taking.runs[key].experiment.architecture) for key in taking.racers)
    return first != second


def value_of(taking: Taking, knob: str):
    """Return a knob's value in the run that the repair mends."""
    value = taking.lesson.experiment(taking.lesson.repair.run)
    for part in knob.split("."):
        value = getattr(value, part)
    return value
