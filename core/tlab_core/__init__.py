"""The engine of the Transformer Intuition Lab: a transformer in pure NumPy whose inside can be looked at."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tlab_core.checks import GradientError, GradientReport, check_gradients
    from tlab_core.config import Architecture, Training
    from tlab_core.corpora import load_corpus
    from tlab_core.experiment import Experiment, default_experiment
    from tlab_core.history import History
    from tlab_core.own_statistics import statistic
    from tlab_core.run import LiveRun, Run
    from tlab_core.settings import Problem, SettingsError
    from tlab_core.tokenizers import CharacterTokenizer
    from tlab_core.trace import Capture, Edit
    from tlab_core.trainer import Trainer
    from tlab_core.trainer_run import TrainerRun
    from tlab_core.transformer import Transformer

__all__ = [
    "Architecture",
    "Capture",
    "CharacterTokenizer",
    "Edit",
    "Experiment",
    "GradientError",
    "GradientReport",
    "History",
    "LiveRun",
    "Problem",
    "Run",
    "SettingsError",
    "Trainer",
    "TrainerRun",
    "Training",
    "Transformer",
    "check_gradients",
    "default_experiment",
    "load_corpus",
    "statistic",
]

# Each is imported when it is first asked for. A worker process needs no xarray: without it, it is there in a third of the
# time, and with 60 MB less.
_HOMES = {
    "checks": ["GradientError", "GradientReport", "check_gradients"],
    "config": ["Architecture", "Training"],
    "corpora": ["load_corpus"],
    "experiment": ["Experiment", "default_experiment"],
    "history": ["History"],
    "own_statistics": ["statistic"],
    "run": ["LiveRun", "Run"],
    "settings": ["Problem", "SettingsError"],
    "tokenizers": ["CharacterTokenizer"],
    "trace": ["Capture", "Edit"],
    "trainer": ["Trainer"],
    "trainer_run": ["TrainerRun"],
    "transformer": ["Transformer"],
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
