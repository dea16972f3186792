"""Lessons: questions about transformers that a few seconds of training answer, each with its paper and its verdict.

    from tlab_core.lessons import LESSONS, run_lesson

    outcome = run_lesson(LESSONS.get("norm-first"))
    outcome.verdict.sentence
"""

from tlab_core.lessons.base import LESSONS, SEEDS, Fresh, Lesson, LessonRun, Number, Paper, Prediction, Repair, Verdict
from tlab_core.lessons.running import Outcome, run_lesson, run_seed

# Importing a file registers its lesson, in this order: the one that shows most first.
from tlab_core.lessons import (  # noqa: F401 # isort: skip
    norm_first, which_norm, dead_units, gated_units, rope_distance, train_short_test_long, logit_growth, rank_collapse,
    induction, temperature,
)  # fmt: skip

__all__ = [
    "LESSONS", "SEEDS", "Fresh", "Lesson", "LessonRun", "Number", "Outcome", "Paper", "Prediction", "Repair", "Verdict",
    "run_lesson", "run_seed",
]
