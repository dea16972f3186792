"""A run read from its folder. To a view it looks like a live one, but what isn't looked at stays on the disk."""

from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from xarray.backends import BackendArray
from xarray.core import indexing

from tlab_core.absent import Absent, in_a_row, messages
from tlab_core.corpora import CORPORA, Corpus
from tlab_core.display import Described
from tlab_core.experiment import Experiment
from tlab_core.history import HistoryError
from tlab_core.own_statistics import Statistic, StatisticError, recorded, variables_of
from tlab_core.registry import did_you_mean
from tlab_core.run import LiveRun, Mark, Run, Sample
from tlab_core.runs.checkpoint import FOLDER, MODEL, Checkpoint, divergence_of, fill, tensors
from tlab_core.runs.components import of_other_code, with_absent
from tlab_core.runs.damage import LOST, edited_settings, lost_checkpoint, settings_lost
from tlab_core.runs.files import RunError, count, field, read_json, read_lines
from tlab_core.runs.history_file import STEP, StoredArray, guarded, opened
from tlab_core.runs.own_text import get_text
from tlab_core.runs.writer import COMMIT, HISTORY, MARKS, META, SAMPLES, SCHEMA, TOKENIZER
from tlab_core.schema import COORDINATES, EDGES, GROUPS, VERSION, Group, groups_with
from tlab_core.settings import Missing, SettingsError
from tlab_core.tokenizers import CharacterTokenizer, TokenizerFileError
from tlab_core.transformer import Transformer


class OnlyLive:
    """What a live run can do and a saved one can't: whoever asks a saved run for it is told how to have the live one."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, run: "SavedRun | None", owner: type) -> "OnlyLive":
        if run is None:
            return self
        raise AttributeError(
            f"the saved run {run.name!r} can only be read, and has no {self.name!r}. Have it go on, to be saved at the "
            f"end: `with RunStore({str(run.folder.parent)!r}).resume({run.name!r}) as run: ...`.")


class SavedRun(Run):
    """What the last commit in a run's folder says; opening it once more shows what was committed since.

    Raises RunError for a folder that is no run, or damaged so that weights or curves can't be had; damage in a part of the
    history that has not been read yet is raised when it is. `remarks` say, a few sentences each, what else is lost.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.commit = read_commit(folder)
        self.remarks = lost_checkpoint(folder, self.commit)
        recorder = SavedHistory(folder / HISTORY, self.commit["records"], groups_of(self.commit, folder / COMMIT))
        self.meta = self._or_lost(META, lambda: read_meta(folder), lambda: lost_meta(recorder))
        super().__init__(experiment_of(self.commit, folder / COMMIT), read_tokenizer(folder), recorder,
                         self.meta["probe_tokens"], self.meta["baselines"])
        self._text = self._own_text()
        self.samples = self._or_lost(SAMPLES, lambda: read_samples(folder, self.commit[SAMPLES]), list)
        self.marks = self._or_lost(MARKS, lambda: read_marks(folder, self.commit[MARKS]), list)
        self.divergence = divergence_of(self.commit, folder / COMMIT)
        try:
            edited_settings(folder, self.experiment)
        except RunError as error:
            self.remarks.append(settings_lost(error))

    advance, adjust, sample, write, write_choices, watch, unwatch, trainer = (OnlyLive() for _ in range(8))

    @property
    def name(self) -> str:
        """Return the run's name, which is its folder's."""
        return self.folder.name

    @property
    def step(self) -> int:
        """Return how many updates the saved model has had."""
        return self.commit["step"]

    def describe(self):
        """Return what any run says of itself, where it is kept, and what is lost of it."""
        from tlab_core.display.runs import of_saved

        return of_saved(self)

    def one_line(self) -> str:
        """Return the name, the text, the step, the loss as it was saved, and how the model is wired."""
        from tlab_core.display.runs import run_line

        return run_line(self, self.commit["loss"])

    def checkpoint(self) -> Checkpoint:
        """Return the weights, the optimizer's memory and the counters that the last commit saved."""
        return Checkpoint.load(self.folder / self.commit["checkpoint"])

    @cached_property
    def model(self) -> Transformer:
        """The saved model, to write with or to look into; RunError where a component of it is not here."""
        if self.missing:
            raise RunError(f"the model of the run {self.name!r} can't be built: {in_a_row(self.missing)}")
        model, path = Transformer(self.experiment.architecture), self.folder / self.commit["checkpoint"] / MODEL
        fill(model, tensors(path), path, brought_back(self.other_code))
        return model

    def analyse(self, name: str, **options: Any) -> xr.Dataset:
        """Take a measure of the saved model that is not part of the history and keep it, see `LiveRun.analyse`.

        Nothing in the folder changes. Raises RunError where the model, or the text that it learned, can't be had.
        """
        found = self._live.analyse(name, **options)
        self.analyses = {**self.analyses, name: found}
        return found

    @cached_property
    def _live(self) -> LiveRun:
        from tlab_core.runs.resume import going_on  # which reads saved runs

        return going_on(self)[0]

    @property
    def other_code(self) -> str:
        """Say which of one's own components have other code here than when the run was saved, or nothing."""
        named = of_other_code(self.experiment, self.commit.get("codes"))
        said = f"{' and '.join(named)} {'have' if len(named) > 1 else 'has'} other code here than when the run was saved"
        return f"{said[:1].upper()}{said[1:]}" if named else ""

    @property
    def missing(self) -> list[str]:
        """Say of the components that the run was made with and that are not here where they came from and how to get them.

        Without it the run can be looked at, but neither go on nor write.
        """
        parts = (self.experiment.architecture, self.experiment.training)
        found = [problem.value for part in parts for problem in part.missing()]
        corpus = self.experiment.corpus
        return messages([*found, corpus] if isinstance(corpus, Absent) and corpus not in CORPORA else found)

    def _own_text(self) -> Corpus | None:
        """Bring a text of one's own out of the folder, so that the run can go on here and its settings be trained anew."""
        try:
            return get_text(self.folder, self.experiment.corpus, self.meta)
        except RunError as error:
            self.remarks.append(str(error))
            return None

    def _or_lost(self, name: str, read: Callable[[], Any], instead: Callable[[], Any]) -> Any:
        """Return what is read of a side file, or what stands for it when it is lost."""
        try:
            return read()
        except RunError as error:
            self.remarks.append(f"{error} {LOST[name]}")
            return instead()


class SavedHistory(Described):
    """The history in a run's folder, with what views ask of a live `History`: `group`, `tree`, `last_step`, `coordinates`.

    Opening a group reads its steps; a variable is read when its values are asked for, and only the records asked for.
    """

    def __init__(self, path: Path, records: Mapping[str, int], groups: Mapping[str, Group] = GROUPS):
        self.path, self.groups = path, groups
        self.records = dict(records)
        self._groups: dict[str, xr.Dataset] = {}

    @cached_property
    def attributes(self) -> dict[str, Any]:
        """The root's attributes: settings, seed, the corpus's hash, versions."""
        attributes = read_json(self.path / "zarr.json").get("attributes")
        if not isinstance(attributes, dict) or attributes.get("schema") != VERSION:
            raise RunError(f"{self.path} is not a history that this version reads: its schema should be {VERSION}.")
        return attributes

    @cached_property
    def coordinates(self) -> dict[str, np.ndarray]:
        """The values of every dimension but `step`."""
        owners = {dim: name for name, group in GROUPS.items() for dim in group.dims}
        return {dim: self._coordinate(self.path / owner / dim) for dim, owner in owners.items()}

    def group(self, name: str) -> xr.Dataset:
        """Return a group's records as a Dataset whose variables are read when they are looked at."""
        if name not in GROUPS:
            raise HistoryError(f"unknown group {name!r}: allowed are {', '.join(GROUPS)}.{did_you_mean(name, GROUPS)}")
        if name not in self._groups:
            self._groups[name] = self._open(name)
        return self._groups[name]

    @property
    def tree(self) -> xr.DataTree:
        """All groups as one DataTree with the run's attributes at its root."""
        groups = {f"/{name}": self.group(name) for name in GROUPS}
        return xr.DataTree.from_dict({"/": xr.Dataset(attrs=self.attributes), **groups})

    def last_step(self, group: str) -> int | None:
        """Return the step of a group's newest record, or None while it has none."""
        steps = self.group(group).variables["step"].values
        return int(steps[-1]) if len(steps) else None

    def describe(self):
        """Return the groups, how many records each has, and its variables."""
        from tlab_core.display.runs import of_history

        return of_history(self)

    def one_line(self) -> str:
        """Return where it is kept."""
        return f"<SavedHistory: {len(self.records)} groups in {str(self.path)!r}>"

    def stored(self, group: str, variable: str) -> StoredArray:
        """Return one variable's records on the disk; `step` is a variable too."""
        spec = STEP if variable == "step" else self.groups[group].variables[variable]
        shape = tuple(len(self.coordinates[dim]) for dim in spec.dims)
        return StoredArray(self.path / group / variable, spec, shape, self.records[group])

    def _open(self, name: str) -> xr.Dataset:
        steps = self.stored(name, "step").read((slice(None),))
        if len(steps) and (steps[0] < 0 or (np.diff(steps) <= 0).any()):
            raise RunError(f"{self.path / name / 'step'} does not hold growing steps: the history is damaged.")
        data = {}
        for variable, spec in self.groups[name].variables.items():
            lazy = indexing.LazilyIndexedArray(_Lazy(self.stored(name, variable)))
            data[variable] = xr.Variable(("step", *spec.dims), lazy, _words(spec.long_name, spec.units))
        coords = {"step": xr.Variable("step", steps, _words(*COORDINATES["step"]))}
        coords |= {dim: xr.Variable(dim, self.coordinates[dim], _words(*COORDINATES[dim])) for dim in GROUPS[name].dims}
        for edge, (values, long_name, units) in EDGES.get(name, {}).items():
            coords[edge] = xr.Variable("bin", values, _words(long_name, units))
        return xr.Dataset(data, coords=coords)

    def _coordinate(self, path: Path) -> np.ndarray:
        values = guarded(path, lambda: opened(path)[:])
        if values.ndim != 1:
            raise RunError(f"{path} has the shape {values.shape}; expected a single row of values.")
        return np.array(values.tolist()) if values.dtype.kind in "TO" else values


class _Lazy(BackendArray):
    """Lets xarray read a StoredArray piece by piece."""

    def __init__(self, stored: StoredArray):
        self._stored = stored
        self.shape, self.dtype = stored.shape, stored.dtype

    def __getitem__(self, key: indexing.ExplicitIndexer) -> np.ndarray:
        return indexing.explicit_indexing_adapter(key, self.shape, indexing.IndexingSupport.OUTER, self._stored.read)


# ---- the small files


def brought_back(other_code: str) -> str:
    """Return what to do where `other_code` is why a model does not fit, or nothing."""
    return other_code and f"{other_code}: bring back what it was, or begin a new run."


def read_commit(folder: Path) -> dict[str, Any]:
    """Return what counts in a run's folder, every field checked, or raise RunError."""
    path = folder / COMMIT
    if not path.is_file():
        raise RunError(f"{folder} is no run: it has no {COMMIT}.")
    commit = read_json(path)
    _check_schema(commit, path)
    for name in ("step", "tokens", SAMPLES, MARKS):
        count(commit, name, path)
    records = field(commit, "records", dict, path)
    if set(records) != set(GROUPS):
        raise RunError(f"in {path}, 'records' speaks of {', '.join(map(str, records)) or 'nothing'}; it should speak of "
                       f"{', '.join(GROUPS)}.")
    for name in GROUPS:
        count(records, name, path)
    place = field(commit, "checkpoint", str, path)
    if not FOLDER.fullmatch(place):
        raise RunError(f"in {path}, 'checkpoint' is {place!r}, which is no checkpoint's folder.")
    for name, kinds in {"seconds": int | float, "settings": dict, "settings_file": dict | None, "environment": dict,
                        "dropped": dict, "loss": int | float | None, "written": str, "divergence": dict | None}.items():
        field(commit, name, kinds, path)
    return commit


def read_meta(folder: Path) -> dict[str, Any]:
    """Return what was written down when the run was made, its tags and its note, or raise RunError."""
    path = folder / META
    meta = read_json(path)
    _check_schema(meta, path)
    for name, kinds in {"created": str, "tags": list, "note": str, "probe_tokens": list, "baselines": dict}.items():
        field(meta, name, kinds, path)
    for name in meta["baselines"]:
        field(meta["baselines"], name, int | float, path)
    for name in ("tags", "probe_tokens"):
        if not all(isinstance(text, str) for text in meta[name]):
            raise RunError(f"in {path}, {name!r} holds something that is no text.")
    return meta


def lost_meta(recorder: "SavedHistory") -> dict[str, Any]:
    """Return what stands for the description of a run that is lost: a question mark for each letter of the probe text."""
    return {"schema": SCHEMA, "created": "", "tags": [], "note": "",
            "probe_tokens": ["?"] * len(recorder.coordinates["query"]), "baselines": {}}


def read_samples(folder: Path, size: int) -> list[Sample]:
    """Return the texts in the first `size` bytes of their file, or raise RunError."""
    return _read_all(Sample, {"step": int, "prompt": str, "text": str}, folder / SAMPLES, size)


def read_marks(folder: Path, size: int) -> list[Mark]:
    """Return the changes in the first `size` bytes of their file, or raise RunError."""
    values = dict.fromkeys(("before", "after"), int | float | str | None)
    return _read_all(Mark, {"step": int, "knob": str, **values}, folder / MARKS, size)


def read_tokenizer(folder: Path) -> CharacterTokenizer:
    """Return the run's tokenizer, or raise RunError."""
    try:
        return CharacterTokenizer.load(folder / TOKENIZER)
    except (OSError, TokenizerFileError) as error:
        raise RunError(f"the tokenizer of the run {folder.name!r} can't be read: {error}") from error


def statistics_of(commit: dict[str, Any], path: Path) -> list[Statistic]:
    """Return the statistics of one's own that a commit speaks of, or raise RunError."""
    try:
        return recorded(commit.get("statistics"))
    except StatisticError as error:
        raise RunError(f"in {path}, {error}") from error


def groups_of(commit: dict[str, Any], path: Path) -> dict[str, Group]:
    """Return what each group of a run's history holds, or raise RunError."""
    return groups_with(variables_of(statistics_of(commit, path)))


def experiment_of(commit: dict[str, Any], path: Path, settings: str = "settings") -> Experiment:
    """Return the experiment of the settings in a commit, or raise RunError.

    A component that is not here is no error, since the run can still be looked at: its name becomes an `Absent` one.
    """
    try:
        experiment = Experiment.from_dict(with_absent(commit[settings], commit.get("components")))
        for part in (experiment.architecture, experiment.training):
            if problems := [problem for problem in part.problems() if not isinstance(problem, Missing)]:
                raise SettingsError(problems)
    except (TypeError, ValueError) as error:
        raise RunError(f"in {path}, the settings can't be used: {error}") from error
    return experiment


def _check_schema(content: dict[str, Any], path: Path) -> None:
    if content.get("schema") != SCHEMA or isinstance(content["schema"], bool):
        raise RunError(f"{path} has the schema {content.get('schema')!r}, and this version of the lab reads {SCHEMA}.")


def _read_all(kind: type, fields: dict[str, Any], path: Path, size: int) -> list:
    return [kind(**{name: field(content, name, kinds, path) for name, kinds in fields.items()})
            for content in read_lines(path, size)]


def _words(long_name: str, units: str) -> dict[str, str]:
    return {"long_name": long_name, "units": units}
