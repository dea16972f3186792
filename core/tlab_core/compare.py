"""Runs beside each other: their curves, where their settings differ, how low their losses came, and what seeds can tell.

Runs are given as a mapping from names to runs, or as a list; a run without a name of its own is then "run 1", "run 2" ...
Live runs and saved ones can stand side by side.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from tlab_core.knob_text import flat
from tlab_core.registry import did_you_mean
from tlab_core.run import WINDOW, Run
from tlab_core.schema import GROUPS

AGAINST = ("step", "tokens", "seconds")
SEEDS = ("architecture.seed", "training.seed")
NO_CHOICES = ("architecture.vocab_size",)  # the corpus decides it
NO_EFFECT = ("training.executor", "training.statistics_every", "probe_text", "prompt")
CHANGES = "changed on the way"  # beside the knobs: settings that were turned while the run trained
RESAMPLES = 9999
ENOUGH = 5  # runs on each side before anything is said to be more than luck

Runs = Mapping[str, Run] | Iterable[Run]


class CompareError(ValueError):
    """Runs that can't be compared like this; the message says why and what to do."""


def named(runs: Runs) -> dict[str, Run]:
    """Return the runs by name, in the order given; CompareError when two have the same."""
    if isinstance(runs, Mapping):
        return dict(runs)
    found: dict[str, Run] = {}
    for place, run in enumerate(runs, 1):
        name = getattr(run, "name", None) or f"run {place}"
        if name in found:
            raise CompareError(f"two runs have the name {name!r}: give each a name of its own, as a dict of runs.")
        found[name] = run
    return found


# ---- curves


def curves(
    runs: Runs, group: str = "train", variable: str = "loss", against: str = "step"
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return (x, y) by name: what was measured, against updates made, tokens read, or seconds spent training.

    `variable` is one number a record, such as the `loss` of `train` or `validation`. Raises CompareError for an unknown
    group, variable or axis.
    """
    if group not in GROUPS:
        raise CompareError(f"there is no group {group!r} of measurements.{did_you_mean(group, GROUPS)}")
    scalar = [name for name, spec in GROUPS[group].variables.items() if not spec.dims]
    if variable not in scalar:
        allowed = f"It can be {', '.join(scalar)}." if scalar else f"No variable of {group} is one number a record."
        raise CompareError(f"{group} has no curve {variable!r}.{did_you_mean(variable, scalar)} {allowed}")
    if against not in AGAINST:
        raise CompareError(f"a curve can't be drawn against {against!r}.{did_you_mean(against, AGAINST)} "
                           f"It can be {', '.join(AGAINST)}.")
    return {name: (_axis(run, _column(run, group, "step"), against), _column(run, group, variable))
            for name, run in named(runs).items()}  # fmt: skip


def _column(run: Run, group: str, variable: str) -> np.ndarray:
    return np.asarray(run.recorder.group(group).variables[variable].values)


def _axis(run: Run, steps: np.ndarray, against: str) -> np.ndarray:
    """Return the tokens or seconds at these steps; the fresh model, at step 0, has had none."""
    if against == "step":
        return steps
    made, spent = _column(run, "train", "step"), _column(run, "train", against)
    return np.interp(steps, np.append(0, made), np.append(0, spent))


# ---- settings


class Row(NamedTuple):
    """One knob that is not the same in all runs: its full name, and the value in each run by name.

    The last row may be "changed on the way": what was turned while a run trained.
    """

    knob: str
    values: dict[str, Any]


def settings_table(runs: Runs) -> list[Row]:
    """Return a row for each knob in which the runs differ, in the order in which knobs are written down."""
    chosen = {name: _chosen(run) for name, run in named(runs).items()}
    if not chosen:
        return []
    same_text = len({values["corpus"] for values in chosen.values()}) == 1
    rows = [Row(knob, {name: values[knob] for name, values in chosen.items()}) for knob in next(iter(chosen.values()))
            if same_text or knob != "prompt"]  # of another text the prompt is another, too
    return [row for row in rows if any(value != next(iter(row.values.values())) for value in row.values.values())]


def _chosen(run: Run) -> dict[str, Any]:
    """Return what a person chose, then and later, with the number of shards that "auto" came to."""
    values = {knob: value for knob, value in flat(run.experiment).items() if knob not in NO_CHOICES}
    changes = [f"{mark.knob} from {mark.before} to {mark.after} at step {mark.step}" for mark in run.marks]
    shards = run.recorder.attributes.get("shards", values["training.shards"])
    return values | {"training.shards": shards, CHANGES: "; ".join(changes) or "nothing"}


# ---- losses


@dataclass(frozen=True)
class Summary:
    """Where a run stands. Losses in nats a character; None where there is none yet.

    `train_final` is the mean of the last 20 batches' losses and `train_best` the lowest such mean, since a single batch's
    is mostly luck. `validation_final` was measured at `validation_step`, which may be before the last step, and the lowest
    validation loss at `validation_best_step`.
    """

    name: str
    steps: int
    tokens: int
    seconds: float
    train_final: float | None
    train_best: float | None
    validation_final: float | None
    validation_step: int | None
    validation_best: float | None
    validation_best_step: int | None
    divergence: str | None


def summary(runs: Runs) -> list[Summary]:
    """Return steps, tokens, seconds, and final and best losses of each run."""
    return [_summary(name, run) for name, run in named(runs).items()]


def _summary(name: str, run: Run) -> Summary:
    tokens, seconds = (_column(run, "train", variable) for variable in ("tokens", "seconds"))
    means = _running_means(_column(run, "train", "loss"))
    validation, steps = _column(run, "validation", "loss"), _column(run, "validation", "step")
    known = np.flatnonzero(np.isfinite(validation))
    best = known[validation[known].argmin()] if known.size else None
    return Summary(
        name=name,
        steps=run.step,
        tokens=int(tokens[-1]) if tokens.size else 0,
        seconds=float(seconds[-1]) if seconds.size else 0.0,
        train_final=run.recent_loss,
        train_best=float(means.min()) if means.size else None,
        validation_final=float(validation[-1]) if validation.size else None,
        validation_step=int(steps[-1]) if steps.size else None,
        validation_best=None if best is None else float(validation[best]),
        validation_best_step=None if best is None else int(steps[best]),
        divergence=run.divergence.message if run.divergence else None,
    )


def _running_means(losses: np.ndarray) -> np.ndarray:
    """Return the means of each WINDOW losses in a row; of all of them where there are fewer."""
    if not losses.size:
        return losses
    return np.lib.stride_tricks.sliding_window_view(losses, min(WINDOW, losses.size)).mean(axis=-1)


# ---- seeds


@dataclass(frozen=True)
class SeedGroup:
    """Runs of one setting that differ in nothing but their dice, and their validation losses at a step that all reached.

    Of runs with the same dice too, which are one run saved several times, only the one that went furthest counts.
    `label` says what sets the group apart from the others. `spread` is the standard deviation between seeds (n - 1), None
    for a single run; `step` and the losses are None and empty where the runs have no measurement in common.
    """

    label: str
    runs: dict[str, Run]
    step: int | None
    losses: dict[str, float] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """Return how many seeds there are."""
        return len(self.seeds)

    @property
    def seeds(self) -> dict[str, Run]:
        """Return a run for each seed."""
        return one_a_seed(self.runs)

    @property
    def mean(self) -> float | None:
        """Return the mean of the losses."""
        return float(np.mean(list(self.losses.values()))) if self.losses else None

    @property
    def spread(self) -> float | None:
        """Return the standard deviation of the losses."""
        return float(np.std(list(self.losses.values()), ddof=1)) if len(self.losses) > 1 else None


def by_seed(runs: Runs) -> list[SeedGroup]:
    """Group runs that differ only in seeds, and in what changes no loss, such as who computes."""
    groups: list[tuple[dict[str, Any], dict[str, Run]]] = []
    for name, run in named(runs).items():
        setting = setting_of(run)
        members = next((members for known, members in groups if known == setting), None)
        if members is None:
            groups.append((setting, {name: run}))
        else:
            members[name] = run
    settings = [setting for setting, _ in groups]
    return [SeedGroup(_label(setting, settings), members, *losses_in_common(one_a_seed(members)))
            for setting, members in groups]


def one_a_seed(runs: Runs) -> dict[str, Run]:
    """Return of runs with the same dice the one that went furthest; all are of one setting."""
    furthest: dict[tuple, str] = {}
    runs = named(runs)
    reached = {name: (run.step, run.recorder.last_step("validation") or 0) for name, run in runs.items()}
    for name, run in runs.items():
        dice = tuple(_chosen(run)[seed] for seed in SEEDS)
        if dice not in furthest or reached[name] > reached[furthest[dice]]:
            furthest[dice] = name
    return {name: run for name, run in runs.items() if name in furthest.values()}


def setting_of(run: Run) -> dict[str, Any]:
    """Return the knobs that decide how a run goes, but for the dice."""
    return {knob: value for knob, value in _chosen(run).items() if knob not in (*SEEDS, *NO_EFFECT)}


def losses_in_common(runs: Runs) -> tuple[int | None, dict[str, float]]:
    """Return the last step at which all runs have a validation loss, and these losses by name.

    Runs of which one was trained for longer are compared where the others ended: the schedule apart, a loss says little
    without its step.
    """
    measured = {}
    for name, run in named(runs).items():
        steps, losses = _column(run, "validation", "step"), _column(run, "validation", "loss")
        measured[name] = {int(step): float(loss) for step, loss in zip(steps, losses, strict=True) if np.isfinite(loss)}
    common = set.intersection(*map(set, measured.values())) if measured else set()
    if not common:
        return None, {}
    return max(common), {name: losses[max(common)] for name, losses in measured.items()}


def _label(setting: dict[str, Any], others: list[dict[str, Any]]) -> str:
    parts = [f"{knob.rpartition('.')[2]}={value}" for knob, value in setting.items()
             if any(other[knob] != value for other in others)]  # fmt: skip
    return ", ".join(parts) or "all"


# ---- two groups


@dataclass(frozen=True)
class Comparison:
    """What the validation losses of two groups of runs say, at the last step that all of them have measured.

    `difference` is the mean of the second group less that of the first, in nats: below zero the second is better.
    `interval` holds it by bootstrap; `effect` is Hedges' g, the difference in units of the spread between seeds. Both are
    None where a group has a single run, and `effect` where no two losses differ.
    """

    names: tuple[str, str]
    step: int
    losses: tuple[dict[str, float], dict[str, float]]
    difference: float
    interval: tuple[float, float] | None
    effect: float | None
    mixed: tuple[str, ...] = ()  # groups whose runs differ in more than their seeds

    @property
    def counts(self) -> tuple[int, int]:
        """Return how many runs each group has."""
        return len(self.losses[0]), len(self.losses[1])

    @property
    def means(self) -> tuple[float, float]:
        """Return the mean loss of each group."""
        return tuple(float(np.mean(list(losses.values()))) for losses in self.losses)

    @property
    def sentence(self) -> str:
        """Return what can be said, in plain words, and no more than can be said."""
        (first, second), (before, after), (one, other) = self.names, self.means, self.counts
        way = "lower" if self.difference < 0 else "higher"
        said = (f"At step {self.step:,}, the validation loss of {second} is {abs(self.difference):.3f} nats {way} than "
                f"that of {first} ({after:.3f} against {before:.3f}, {one + other} runs: {other} and {one}).")
        return " ".join([said, self._verdict(), *self._warnings()])

    def _verdict(self) -> str:
        if self.interval is None:
            return (f"With a single run on a side, nobody can say whether that is more than luck: train at least {ENOUGH} "
                    "seeds of each.")
        low, high = self.interval
        between = f"The 95 % interval of the difference goes from {low:+.3f} to {high:+.3f}"
        if low <= 0 <= high:
            return f"{between}, zero included: these runs don't show that either is better."
        size = "" if self.effect is None else f" It is {abs(self.effect):.1f} times the spread between seeds."
        if min(self.counts) < ENOUGH:
            return (f"{between}.{size} So few runs don't show how far luck goes: a hint, and no more. Train "
                    f"at least {ENOUGH} seeds of each.")
        return f"{between} and leaves zero out: luck with the seeds would seldom make that.{size}"

    def _warnings(self) -> Iterable[str]:
        if self.mixed:
            yield f"The runs of {' and of '.join(self.mixed)} differ in more than their seeds, which adds to the spread."


def compare_groups(a: Runs, b: Runs, names: tuple[str, str] = ("the first group", "the second")) -> Comparison:
    """Compare the validation losses of two groups of runs, each of one setting with several seeds.

    The interval is the bootstrap's at 95 % (see `interval`; always with the same dice), and the effect Hedges' g with the
    correction for small samples (Hedges 1981). Raises CompareError where a group is empty,
    runs have read different texts, share no step with a validation loss, or are the same run twice.
    """
    groups = (named(a), named(b))
    _check_comparable(groups, names)
    step, losses = losses_in_common({(side, name): run for side, runs in enumerate(groups) for name, run in runs.items()})
    if step is None:
        raise CompareError("the runs have no step at which each has a validation loss: train them to a common step.")
    if step == 0:
        raise CompareError("nothing was learned yet at step 0, the only one at which each run has a validation loss: train "
                           "them to a common step.")
    sides = tuple({name: losses[side, name] for name in runs} for side, runs in enumerate(groups))
    first, second = (np.array(list(side.values())) for side in sides)
    mixed = tuple(name for name, runs in zip(names, groups, strict=True)
                  if any(setting_of(run) != setting_of(next(iter(runs.values()))) for run in runs.values()))
    several = min(first.size, second.size) > 1
    return Comparison(
        names=tuple(names),
        step=step,
        losses=sides,
        difference=float(second.mean() - first.mean()),
        interval=interval(first, second) if several else None,
        effect=hedges_g(first, second) if several else None,
        mixed=mixed,
    )


def interval(first: np.ndarray, second: np.ndarray) -> tuple[float, float]:
    """Return the 95 % bootstrap interval of mean(second) - mean(first), each with at least two values.

    Percentiles of resampled differences alone come out too narrow: of normal losses, 5 on a side, they hold the truth in
    87 % of cases. They are taken further out, as for k values the t distribution is wider than the normal one, with k the
    smaller side (Hesterberg 2015, "What Teachers Should Know About the Bootstrap"): then it is 96 %; of 3 on a side, 89 %.
    """
    from scipy.stats import bootstrap, norm, t  # a second to import, and only this needs it

    def difference(one, other, axis=-1):
        return np.mean(other, axis=axis) - np.mean(one, axis=axis)

    k = min(first.size, second.size)
    level = 1 - 2 * norm.cdf(-np.sqrt(k / (k - 1)) * t.ppf(0.975, k - 1))
    found = bootstrap((first, second), difference, vectorized=True, method="percentile", n_resamples=RESAMPLES,
                      confidence_level=level, rng=np.random.default_rng(0)).confidence_interval  # fmt: skip
    return float(found.low), float(found.high)


def hedges_g(first: np.ndarray, second: np.ndarray) -> float | None:
    """Return the difference of the means over the pooled spread, times 1 - 3 / (4 (m + n) - 9); None without a spread."""
    m, n = first.size, second.size
    pooled = np.sqrt(((m - 1) * first.var(ddof=1) + (n - 1) * second.var(ddof=1)) / (m + n - 2))
    if pooled == 0:
        return None
    return float((second.mean() - first.mean()) / pooled * (1 - 3 / (4 * (m + n) - 9)))


def _check_comparable(groups: tuple[dict[str, Run], dict[str, Run]], names: tuple[str, str]) -> None:
    for name, runs in zip(names, groups, strict=True):
        if not runs:
            raise CompareError(f"{name} has no runs: each group needs at least one, and better {ENOUGH}.")
    every = [(name, run) for runs in groups for name, run in runs.items()]
    texts = {run.recorder.attributes.get("corpus_hash") for _, run in every}
    if len(texts) > 1:
        raise CompareError("the runs have read different texts, and losses of different texts can't be compared.")
    for index, (name, run) in enumerate(every):
        for other_name, other in every[:index]:
            mine, theirs = flat(run.experiment), flat(other.experiment)
            if setting_of(run) == setting_of(other) and all(mine[seed] == theirs[seed] for seed in SEEDS):
                raise CompareError(f"{other_name!r} and {name!r} have the same settings and the same seeds: that is one "
                                   "run twice, and says nothing about luck. Leave one of them out.")
