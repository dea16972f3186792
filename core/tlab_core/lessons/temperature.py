"""What does temperature do to a text? One trained model writes at several temperatures, and the words are counted."""

import re
from collections.abc import Mapping, Sequence

from tlab_core.corpora import corpus
from tlab_core.experiment import default_experiment
from tlab_core.knob_text import with_values
from tlab_core.lessons.base import Lesson, LessonRun, Number, Numbers, Paper, Prediction, Verdict, add, judged, mean
from tlab_core.run import LiveRun

TEMPERATURES = (0.2, 0.5, 1.0, 1.5, 2.0)
LENGTH = 800  # characters, some 170 words
SHOWN = 160  # of them
WORDS_IN_A_ROW = 4  # shorter rows come up again in any text of so few words, such as "said to the"
# Both are shares of about 170 words or rows, which by dice alone vary by 0.04 at most (at a share of one half): 0.1 is more
# than twice that.
MARGIN = 0.1
WORD = re.compile(r"[A-Za-z']+")


def words(text: str) -> list[str]:
    """Return the words of a text in their order."""
    return WORD.findall(text)


def known_share(text: str, known: set[str]) -> float:
    """Return the share of a text's words that are in the set `known`; 0 where it has no word."""
    written = words(text)
    return sum(word in known for word in written) / max(1, len(written))


def repeated_share(text: str) -> float:
    """Return the share of its rows of four words that the text had before; 0 where it has no such row."""
    written = words(text)
    rows = list(zip(*(written[start:] for start in range(WORDS_IN_A_ROW)), strict=False))
    return 1 - len(set(rows)) / len(rows) if rows else 0.0


def measure(runs: Mapping[str, LiveRun]) -> dict[str, float]:
    """Let the model write at each temperature, and count known words and repeated rows of words."""
    run = runs["model"]
    known = set(words(corpus(run.experiment.corpus).text))
    found = {}
    for temperature in TEMPERATURES:
        text = "".join(run.write(run.experiment.prompt, LENGTH, temperature, run.experiment.training.seed))
        found[f"known_{temperature:g}"] = known_share(text, known)
        found[f"repeated_{temperature:g}"] = repeated_share(text)
    return found


def examples(runs: Mapping[str, LiveRun]) -> dict[str, str]:
    """Let the model write the beginning of those texts at the lowest temperature, at 1, and at the highest."""
    run = runs["model"]
    seed, prompt = run.experiment.training.seed, run.experiment.prompt
    return {f"At temperature {temperature:g}": prompt + "".join(run.write(prompt, SHOWN, temperature, seed))
            for temperature in (TEMPERATURES[0], 1.0, TEMPERATURES[-1])}


def outcome(numbers: Numbers) -> str:
    """Say whether the cold text repeats more, and the hot one makes fewer words, than that at temperature 1."""
    repeats = numbers["repeated_0.2"] > numbers["repeated_1"] + MARGIN
    breaks = numbers["known_2"] < numbers["known_1"] - MARGIN
    return {(True, True): "both", (True, False): "cold", (False, True): "hot", (False, False): "same"}[repeats, breaks]


def judge(measured: Sequence[Numbers]) -> Verdict:
    """Say what the seeds show."""
    text = {key: NUMBERS[key].text(mean(measured, key)) for key in NUMBERS}
    return judged(measured, outcome, "both", (
        f"At temperature 0.2, {text['repeated_0.2']} of all rows of four words came before in the text; "
        f"at 1, {text['repeated_1']}. "
        f"At 1, {text['known_1']} of the words exist; at 2, {text['known_2']}."))


NUMBERS = {
    **{f"known_{t:g}": Number(f"words that exist, temperature {t:g}", ".0%") for t in TEMPERATURES},
    **{f"repeated_{t:g}": Number(f"rows of {WORDS_IN_A_ROW} words said before, temperature {t:g}", ".0%")
       for t in TEMPERATURES},
}  # fmt: skip

LESSON = add(Lesson(
    name="temperature",
    title="What does temperature do to a text?",
    look="The map ends in a score for each character: what if the likeliest one were always taken?",
    prediction=Prediction("One model writes at temperatures from 0.2 to 2. Compared with 1, what happens?", {
        "both": "Cold text repeats itself, and hot text falls apart into letters",
        "cold": "Cold text repeats itself, hot text is as good",
        "hot": "Hot text falls apart into letters, cold text is as varied",
        "same": "About the same at all temperatures",
    }),
    expected="both",
    base=with_values(default_experiment(), {"training.steps": 300, "training.eval_every": 100, "training.shards": 1}),
    runs={"model": LessonRun("The model that writes", {})},
    steps=300,
    views=("text",),
    numbers=NUMBERS,
    headline="known_2",
    measure=measure,
    judge=judge,
    examples=examples,
    take_away="Temperature changes no weight: it only says how often a less likely character gets its turn.",
    effect="cold text repeats itself, hot text falls apart",
    paper=Paper(
        "Holtzman, Buys, Du et al.", 2020, "The Curious Case of Neural Text Degeneration", "https://arxiv.org/abs/1904.09751",
        "table 1",
        "When GPT-2 always took the likeliest word, 73.66% of texts got stuck in a loop; of human texts, 0.28%.",
    ),
    seconds=26,
))  # fmt: skip
