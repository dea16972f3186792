"""The machinery of lessons, with a fake one of a millisecond a step, and what holds for every lesson there is."""

import dataclasses
import json
import math
import re

import pytest

from tests.benchmarks import lessons as benchmark
from tests.core.cli_runs import call, call_json
from tests.core.saved_runs import tiny_experiment
from tlab_core.lessons import LESSONS, SEEDS, run_lesson, run_seed
from tlab_core.lessons.base import Lesson, LessonRun, Number, Paper, Prediction, Repair, add, judged, lower, mean
from tlab_core.lessons.reading import first, last, validation_loss
from tlab_core.registry import UnknownNameError

SENTENCE = re.compile(r"(?<=[.?!])\s+(?=[A-Z0-9])")
MOST_WORDS = 20


def fake(folder, **changes) -> Lesson:
    """Return a lesson that compares a model that learns with one that can't, on a text in `folder`."""
    given = {
        "name": "fake",
        "title": "Does learning help?",
        "look": "Which of the two moves?",
        "prediction": Prediction("Who has the lower loss?", {"fast": "Fast", "slow": "The slow one", "same": "Same"}),
        "expected": "fast",
        "base": tiny_experiment(folder, schedule="constant", warmup_steps=0),
        "runs": {"fast": LessonRun("Fast", {"training.learning_rate": 0.03, "training.min_learning_rate": 0}),
                 "slow": LessonRun("Slow", {"training.learning_rate": 1e-6, "training.min_learning_rate": 0})},
        "steps": 60,
        "views": ("loss",),
        "numbers": {"fast": Number("loss, fast"), "slow": Number("loss, slow")},
        "headline": "fast",
        "measure": lambda runs: {key: validation_loss(run) for key, run in runs.items()},
        "judge": lambda measured: judged(
            measured, lambda numbers: lower(numbers["fast"], numbers["slow"], ("fast", "slow"), 0.3), "fast",
            f"Fast reaches {mean(measured, 'fast'):.2f} and slow {mean(measured, 'slow'):.2f}."),
        "take_away": "It does.",
        "effect": "learning helps",
        "paper": Paper("Nobody", 2020, "Learning", "https://example.org", "section 1", "It helped by 1 nat."),
        "seconds": 1,
        "repair": Repair("Let it move.", "slow", "fast", (("slow", "fast"),), ("fast",)),
    }  # fmt: skip
    return Lesson(**{**given, **changes})


@pytest.fixture
def registered(tmp_path, monkeypatch):
    """The fake lesson, alone in the registry."""
    monkeypatch.setattr(LESSONS, "_components", {})
    return add(fake(tmp_path))


# ---- machinery


def test_runs_of_a_seed_share_dice_and_batches(tmp_path):
    lesson = fake(tmp_path)
    one, other = lesson.experiment("fast", 3), lesson.experiment("slow", 3)
    assert (one.architecture.seed, one.training.seed) == (3, 3)
    assert one.architecture == other.architecture
    assert (one.training.learning_rate, other.training.learning_rate) == (0.03, 1e-6)
    assert one.training.replace(learning_rate=1, min_learning_rate=None) == other.training.replace(
        learning_rate=1, min_learning_rate=None)
    assert lesson.mending == ("training.learning_rate", 0.03)
    assert lesson.base == tiny_experiment(tmp_path, schedule="constant", warmup_steps=0)  # nothing was turned on the base


def test_a_lesson_trains_measures_and_judges(tmp_path):
    seen = []
    outcome = run_lesson(fake(tmp_path), progress=lambda seed, key, run: seen.append((seed, key, run.step)))
    assert outcome.seeds == SEEDS == (0, 1, 2)
    verdict = outcome.verdict
    assert (verdict.outcome, verdict.seen, verdict.agree, verdict.of) == ("fast", True, 3, 3)
    assert len({numbers["slow"] for numbers in outcome.measured}) == 3  # each seed has dice of its own
    ends = [moment for moment in seen if moment[2] == 60]
    assert ends == [(seed, key, 60) for seed in SEEDS for key in ("fast", "slow")]
    assert len(outcome.seconds) == 3
    again = run_lesson(fake(tmp_path), seeds=(1,))
    assert again.measured == outcome.measured[1:2]  # the same settings make the same numbers


def test_an_effect_that_is_not_there_is_not_seen(tmp_path):
    same = {"fast": LessonRun("Fast", {}), "slow": LessonRun("Slow", {})}
    outcome = run_lesson(fake(tmp_path, runs=same, repair=None))
    assert (outcome.verdict.outcome, outcome.verdict.seen, outcome.verdict.agree) == ("same", False, 0)
    assert outcome.verdict.sentence.endswith(
        "0 of 3 seeds agree with the paper: not seen. With 3 of 3 seeds the runs say: Same.")


def test_a_run_that_breaks_is_read_as_it_is(tmp_path):
    knobs = {"training.learning_rate": 500.0, "training.optimizer": "SGD", "training.grad_clip": None}
    runs = {"fast": LessonRun("Fast", {"training.learning_rate": 0.03}), "slow": LessonRun("Broken", knobs)}
    measured = run_seed(fake(tmp_path, runs=runs, repair=None), 0)
    assert measured["slow"] == math.inf
    verdict = fake(tmp_path, runs=runs, repair=None).verdict([measured])
    assert verdict.outcome == "fast"


def test_reading(tmp_path):
    found = {}
    lesson = fake(tmp_path, measure=lambda runs: found.update(runs) or {"fast": 0.0, "slow": 0.0})
    run_seed(lesson, 0)
    history = found["fast"].history
    assert last(found["fast"], "validation", "loss") == history["validation"]["loss"][-1].item()
    assert first(found["fast"], "residual", "rms").tolist() == history["residual"]["rms"][0].values.tolist()
    assert validation_loss(found["fast"]) == history["validation"]["loss"].sel(step=60).item()


@pytest.mark.parametrize("seeds", [(), (1, 1)])
def test_seeds_that_prove_nothing_are_refused(tmp_path, seeds):
    with pytest.raises(ValueError, match="give at least one, each once, such as"):
        run_lesson(fake(tmp_path), seeds=seeds)


def test_numbers_that_are_missing_are_named(tmp_path):
    lesson = fake(tmp_path)
    with pytest.raises(ValueError, match="can't be judged without numbers"):
        lesson.verdict([])
    with pytest.raises(ValueError, match="missing or unknown: slow"):
        lesson.verdict([{"fast": 1.0}])


@pytest.mark.parametrize(("changes", "said"), [
    ({"expected": "fats"}, "expected = 'fats' is not among fast, slow, same. Did you mean 'fast'"),
    ({"headline": "fest"}, "headline = 'fest' is not among fast, slow. Did you mean 'fast'"),
    ({"repair": Repair("x", "slaw", "fast", ())}, "repair.run = 'slaw' is not among fast, slow. Did you mean 'slow'"),
    ({"repair": Repair("x", "slow", "fist", ())}, "repair.by = 'fist' is not among fast, slow. Did you mean 'fast'"),
    ({"repair": Repair("x", "slow", "fast", (("slow", "fst"),))}, "repair = 'fst' is not among fast, slow."),
    ({"repair": Repair("x", "slow", "fast", (), ("slo",))}, "repair = 'slo' is not among fast, slow."),
])
def test_a_lesson_whose_parts_do_not_fit_is_refused(tmp_path, changes, said):
    with pytest.raises(UnknownNameError, match=re.escape(said)):
        fake(tmp_path, **changes)


@pytest.mark.parametrize(("knobs", "said"), [
    ({}, "differ in no knob; a repair turns exactly one"),
    ({"training.learning_rate": 1e-6, "training.warmup_steps": 3, "training.min_learning_rate": 0},
     "differ in training.learning_rate, training.warmup_steps; a repair turns exactly one"),
])
def test_a_repair_that_does_not_turn_one_knob_is_refused(tmp_path, knobs, said):
    runs = fake(tmp_path).runs
    with pytest.raises(ValueError, match=re.escape(said)):
        fake(tmp_path, runs={"fast": runs["fast"], "slow": LessonRun("Slow", knobs or runs["fast"].knobs)})


def test_what_a_lesson_does_not_have(tmp_path):
    with pytest.raises(ValueError, match="the lesson 'fake' has no repair"):
        _ = fake(tmp_path, repair=None).mending
    with pytest.raises(UnknownNameError, match="run = 'fastt' is not among fast, slow. Did you mean 'fast'"):
        fake(tmp_path).experiment("fastt")


# ---- verdicts


def outcomes(*found, expected="a"):
    return judged([{"is": name} for name in found], lambda numbers: numbers["is"], expected, "Said.")


@pytest.mark.parametrize(("found", "outcome", "seen", "agree"), [
    (("a",), "a", True, 1),
    (("b",), "b", False, 0),
    (("a", "a", "b"), "a", True, 2),
    (("a", "b", "b"), "b", False, 1),
    (("a", "b", "c"), None, False, 1),
    (("a", "a", "a", "b", "b"), "a", False, 3),  # more than any other, but 3 of 5 are less than two thirds
    (("a", "a", "a", "a", "b", "b"), "a", True, 4),
])
def test_how_seeds_make_a_verdict(found, outcome, seen, agree):
    verdict = outcomes(*found)
    assert (verdict.outcome, verdict.seen, verdict.agree, verdict.of) == (outcome, seen, agree, len(found))
    assert verdict.outcomes == found


def test_seen_and_not_seen_are_said_in_the_same_words():
    means = "Said. Each number is the mean of 3 seeds."
    assert outcomes("a", "a", "b").sentence == f"{means} 2 of 3 seeds agree with the paper: seen."
    assert outcomes("a", "b", "b").sentence == f"{means} 1 of 3 seeds agrees with the paper: not seen."
    assert outcomes("a").sentence == "Said. One seed was run, and it agrees with the paper."


def test_what_seeds_that_do_not_agree_found_is_said_too(tmp_path):
    lesson = fake(tmp_path)
    agrees, same, slow = ({"fast": 1.0, "slow": loss} for loss in (2.0, 1.1, 0.2))
    assert lesson.verdict([agrees, agrees, same]).sentence.endswith(
        "2 of 3 seeds agree with the paper: seen. With 1 of 3 seeds the runs say: Same.")
    assert lesson.verdict([slow, same, slow]).sentence.endswith(
        "not seen. With 2 of 3 seeds the runs say: The slow one. With 1 of 3 seeds the runs say: Same.")
    assert lesson.verdict([agrees] * 3).sentence.endswith("3 of 3 seeds agree with the paper: seen.")
    assert lesson.verdict([same]).sentence.endswith("One seed was run, and it does not agree with the paper.")


@pytest.mark.parametrize(("names", "cited"), [
    ("Shazeer", "Shazeer 2020"), ("Zhang & Sennrich", "Zhang & Sennrich 2020"),
    ("Voita, Ferrando & Nalmpantis", "Voita et al. 2020"),
    ("Xiong et al.", "Xiong et al. 2020"), ("Wortsman, Liu, Xiao et al.", "Wortsman et al. 2020"),
])
def test_how_a_paper_is_cited(names, cited):
    assert Paper(names, 2020, "T", "https://example.org", "section 1", "It was found.").cited == cited


@pytest.mark.parametrize(("first_loss", "second_loss", "found"), [
    (1.0, 1.5, "one"), (1.5, 1.0, "two"), (1.0, 1.25, "same"), (1.0, math.inf, "one"), (math.inf, 1.0, "two"),
    (math.inf, math.inf, "same"),
])
def test_who_is_lower(first_loss, second_loss, found):
    assert lower(first_loss, second_loss, ("one", "two"), 0.25) == found


# ---- every lesson there is

EVERY = pytest.mark.parametrize("lesson", [lesson for _, lesson in LESSONS.items()], ids=LESSONS.names())


def sentences(lesson):
    """Return every sentence of a lesson that the page shows, but for what takes its measured numbers."""
    texts = [lesson.title, lesson.look, lesson.prediction.question, *lesson.prediction.options.values(), lesson.take_away,
             lesson.paper.found, *(run.label for run in lesson.runs.values()),
             *(number.label for number in lesson.numbers.values())]
    return [found for text in texts + ([lesson.repair.sentence] if lesson.repair else []) for found in SENTENCE.split(text)]


def plain_numbers(lesson, value=0.25):
    return dict.fromkeys(lesson.numbers, value)


@EVERY
def test_its_settings_can_be_used(lesson):
    for key in lesson.runs:
        experiment = lesson.experiment(key, 2)
        experiment.check()
        assert (experiment.architecture.seed, experiment.training.seed) == (2, 2)
        assert lesson.steps <= experiment.training.steps


@EVERY
def test_its_runs_differ(lesson):
    dictionaries = [lesson.experiment(key).to_dict() for key in lesson.runs]
    assert all(one != other for place, one in enumerate(dictionaries) for other in dictionaries[:place])


@EVERY
def test_its_words_are_plain_and_short(lesson):
    for sentence in sentences(lesson):
        assert sentence.strip()
        assert len(sentence.split()) <= MOST_WORDS, sentence
        assert "_" not in sentence, "a knob's code name is not for the page"
    assert lesson.look.endswith("?")
    assert lesson.title.endswith("?")
    assert lesson.prediction.question.endswith("?")
    assert len(lesson.prediction.options) >= 2


@EVERY
def test_its_verdict_is_said_in_short_sentences(lesson):
    """Whatever the numbers are: the same words, the counts of seeds, and an answer that can be predicted."""
    for measured in ([plain_numbers(lesson)], [plain_numbers(lesson, value) for value in (0.0, 0.5, 3.0)]):
        verdict = lesson.verdict(measured)
        assert set(verdict.outcomes) <= set(lesson.prediction.options)
        assert verdict.of == len(measured)
        said = r"with the paper: (not )?seen\." if verdict.of > 1 else r"One seed .* with the paper\."
        assert re.search(said, verdict.sentence)
        assert any(character.isdigit() for character in verdict.sentence)
        assert bool(verdict.mended) == (lesson.repair is not None)
        for sentence in SENTENCE.split(f"{verdict.sentence} {verdict.mended}".strip()):
            assert len(sentence.split()) <= MOST_WORDS, sentence


@EVERY
def test_its_verdict_gives_no_repair_away(lesson):
    """What was measured with the knob turned is said apart, so that the page can wait until someone has turned it."""
    hidden = lesson.repair.hides if lesson.repair else ()
    values = {name: 100.0 if name in hidden else 0.5 for name in lesson.numbers}
    verdict = lesson.verdict([values])
    for name in hidden:
        assert lesson.numbers[name].text(100.0) not in verdict.sentence
    if hidden:
        assert lesson.numbers[hidden[0]].text(100.0) in verdict.mended


@EVERY
def test_its_paper_is_complete(lesson):
    assert all(dataclasses.asdict(lesson.paper).values())
    assert lesson.paper.url.startswith("https://")
    assert 1950 < lesson.paper.year < 2100
    assert lesson.paper.found.endswith(".")


@EVERY
def test_it_is_short_and_has_views(lesson):
    from tlab_dash.views import VIEWS

    assert 0 < lesson.seconds < 60
    assert set(lesson.views) <= {*VIEWS.names(), "text"}, lesson.views
    assert lesson.views


# ---- in a terminal


def test_the_list(registered):
    shown = call("lesson").stdout
    assert [line.split()[0] for line in shown.splitlines()[:2]] == ["lesson", "fake"]
    assert "Does learning help?" in shown
    assert "Nobody 2020" in shown
    assert [entry["lesson"] for entry in call_json("lesson")] == ["fake"]


def test_a_story_of_one_seed(registered):
    shown = " ".join(call("lesson", "fake").stdout.split())
    told = ["Does learning help?", "The slow one", "seed 0", "loss, fast",
            "One seed was run, and it agrees with the paper.", "It does.", "Nobody 2020",
            "It helped by 1 nat.", "https://example.org", "tlab lesson fake --check"]
    assert [shown.index(words) for words in told] == sorted(shown.index(words) for words in told)
    values = call_json("lesson", "fake")
    assert values["verdict"]["seen"] is True
    assert values["seeds"] == [0]
    assert set(values["measured"][0]) == {"fast", "slow"}


@pytest.mark.slow
def test_a_check_ends_with_what_it_found(registered, tmp_path, monkeypatch):
    checked = call("lesson", "fake", "--check")
    assert "seed 2" in checked.stdout
    assert "3 of 3 seeds agree with the paper: seen." in " ".join(checked.stdout.split())
    assert "Slow, seed 1" in checked.stderr
    assert len(call_json("lesson", "fake", "--check", "--seeds", 4)["measured"]) == 4
    monkeypatch.setattr(LESSONS, "_components", {})
    add(fake(tmp_path, expected="slow", judge=lambda measured: judged(measured, lambda numbers: "fast", "slow", "Said.")))
    assert "0 of 3 seeds agree with the paper: not seen. With 3 of 3 seeds the runs say: Fast." in " ".join(
        call("lesson", "fake", "--check", code=1).stdout.split())
    add(dataclasses.replace(registered, name="other"))
    everything = json.loads(call("lesson", "--check", "--all", "--json", code=1).stdout)
    assert [(entry["lesson"], entry["verdict"]["seen"]) for entry in everything] == [("fake", False), ("other", True)]


@pytest.mark.parametrize(("arguments", "said"), [
    (["norm-frist"], "unknown lesson 'norm-frist'"),
    (["fakke"], "Did you mean 'fake'?"),
    (["--check"], "say which lesson to check, or --all"),
    (["--all"], "tlab lesson --check --all"),
    (["fake", "--all", "--check"], "tlab lesson --check --all"),
    (["fake", "--seeds", "4"], "--seeds goes with --check"),
    (["fake", "--check", "--seeds", "2"], "2 is not in the range"),
])
def test_wrong_use_is_answered(registered, arguments, said):
    assert said in call("lesson", *arguments, code=2).stderr


# ---- the benchmark


def test_the_benchmark_writes_what_it_found(registered, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(benchmark, "PAGE", tmp_path / "lessons.md")
    monkeypatch.setattr("sys.argv", ["lessons", "--write"])
    benchmark.main()
    page = (tmp_path / "lessons.md").read_text(encoding="utf-8")
    paper = "It helped by 1 nat. ([Nobody 2020](https://example.org))"
    assert f"| [fake](#fake) | learning helps | {paper} | loss, fast: " in page
    assert "| yes, 3 of 3 |" in page
    assert "Written by `python -m tests.benchmarks.lessons --write`: seeds 0, 1, 2" in page
    printed = capsys.readouterr().out
    assert "3 of 3 seeds agree with the paper: seen." in printed


@pytest.mark.parametrize(("arguments", "said"), [
    (["fkae"], "unknown lessons fkae: choose from fake"),
    (["fake", "--write"], "--write takes all lessons: name none"),
    (["--seeds", "0"], "--seeds must be at least 1"),
])
def test_the_benchmark_answers_wrong_use(registered, monkeypatch, capsys, arguments, said):
    monkeypatch.setattr("sys.argv", ["lessons", *arguments])
    with pytest.raises(SystemExit):
        benchmark.main()
    assert said in capsys.readouterr().err


@pytest.mark.slow
def test_a_real_lesson_is_seen():
    checked = call_json("lesson", "which-norm", "--check")
    assert checked["verdict"]["seen"] is True
    assert len(checked["measured"]) == 3
