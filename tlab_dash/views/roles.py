"""What a head seems to do, in words, from its scores. The score is always shown with the words."""

from __future__ import annotations

from collections import Counter

import numpy as np

from tlab_dash.views.view import row

# What a head is called when that share of its attention is large: in itself, and against reading everything alike.
ROLES = {"previous_token": "previous", "first_token": "first", "induction": "induction"}
SAYS = {
    "previous_token": "the previous character",
    "first_token": "the first character",
    "induction": "what followed the same character before",
}
# Each name that a head's tile can bear, and what it means.
KEY = [
    ["previous 0.28", "It reads the character before: 28 % of its attention goes there (short: prev)."],
    ["first 0.28", "It reads the text's first character, where a head often rests."],
    ["induction 0.28", "It finds the same character earlier on, and reads what followed it there (short: induct)."],
    ["even", "It reads all it can see about alike, as an untrained head does."],
    ["mixed", "It reads some places more than others, but none of the above stands out."],
]
ROLE_FROM, ROLE_TIMES = 0.2, 2.0
EVEN_FROM = 0.9  # share of the entropy of reading everything alike
SCORES = (*ROLES, "entropy")  # what a role is told from


def even_entropy(positions: int) -> float:
    """Return the entropy in nats of a head that reads everything it can see alike, the mean over all queries but the first.

    >>> round(even_entropy(3), 4)  # half of ln 2 + ln 3
    0.8959
    """
    return float(np.log(np.arange(1, positions + 1)).sum() / max(1, positions - 1))


def kind(scores: dict[str, float], positions: int) -> str:
    """Return which of ROLES a head has; else "even", "mixed" or, where its numbers are not finite, "broken"."""
    if not np.isfinite(scores["entropy"]):
        return "broken"
    best = strongest(scores)
    count = np.arange(1, positions + 1)  # a query reads itself and what came before; an even head gives each 1/count
    if scores[best] >= max(ROLE_FROM, ROLE_TIMES * (1 / count).mean()):
        return best
    return "even" if scores["entropy"] >= EVEN_FROM * even_entropy(positions) else "mixed"


def strongest(scores: dict[str, float]) -> str:
    """Return which of ROLES has the highest score."""
    return max(ROLES, key=lambda name: np.nan_to_num(scores[name]))


def role(scores: dict[str, float], positions: int) -> str:
    """Return a head's role in a word with its score, from the head statistics.

    >>> role({"previous_token": 0.39, "first_token": 0.1, "induction": 0.05, "entropy": 1.0}, positions=64)
    'previous 0.39'
    """
    name = kind(scores, positions)
    return f"{ROLES[name]} {scores[name]:.2f}" if name in ROLES else name


def role_words(scores: dict[str, float], positions: int) -> str:
    """Return what a head seems to do, with the score that says so.

    >>> role_words({"previous_token": 0.39, "first_token": 0.1, "induction": 0.05, "entropy": 1.0}, positions=64)
    'reads the previous character: 0.39'
    """
    name = kind(scores, positions)
    if name in ROLES:
        return f"reads {SAYS[name]}: {scores[name]:.2f}"
    if name == "even":
        return f"reads all it can see about evenly: {scores['entropy'] / even_entropy(positions):.2f} of the even entropy"
    if name == "mixed":
        best = strongest(scores)
        return f"is mixed: its highest score is {scores[best]:.2f}, on {SAYS[best]}"
    return "has no role: the model's numbers are no longer finite"


def broke_at(run, step: int | None) -> int | None:
    """Return the step at which the run broke, None if it had not at `step` (None: now)."""
    end = run.divergence
    return end.step if end is not None and (step is None or step >= end.step) else None


def broken_words(run, step: int | None) -> str:
    """Return why no head has a role at `step`; empty where they may have one."""
    end = broke_at(run, step)
    return "" if end is None else f"No roles: the model broke at step {end:,}."


def scores_by_head(run, step: int | None) -> list[list[dict[str, float]]]:
    """Return what a role is told from at a step (None: the newest), for each layer a list with its heads.

    Of a run that broke they are NaN: what its heads read last tells nothing, also where it was still finite.
    """
    record = row(run, "heads", step)
    scores = np.stack([record[name] for name in SCORES], axis=-1).astype(float)
    if broke_at(run, step) is not None:
        scores[:] = np.nan
    return [[dict(zip(SCORES, head, strict=True)) for head in layer] for layer in scores.tolist()]


def count_words(kinds: list[str]) -> str:
    """Return how many heads have which role as a sentence; of roles that none has, nothing.

    >>> count_words(["previous_token", "even", "even"])
    '3 heads: 1 reads the previous character, 2 read about evenly.'
    """
    says = {name: f"{{}} {words}" for name, words in SAYS.items()} | {"even": "{} about evenly"}
    counts, parts = Counter(kinds), []
    for name, words in says.items():
        if counts[name]:
            parts.append(f"{counts[name]} " + words.format("reads" if counts[name] == 1 else "read"))
    for name, words in (("mixed", "mixed"), ("broken", "without a role, as numbers are no longer finite")):
        if counts[name]:
            parts.append(f"{counts[name]} {words}")
    return f"{len(kinds)} head{'s' if len(kinds) > 1 else ''}: {', '.join(parts)}."
