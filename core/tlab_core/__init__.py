"""The engine of the Transformer Intuition Lab: a transformer in pure NumPy whose inside can be looked at."""

from tlab_core.config import Architecture, Training
from tlab_core.corpora import load_corpus
from tlab_core.experiment import Experiment, default_experiment
from tlab_core.history import History
from tlab_core.run import LiveRun, Run
from tlab_core.settings import Problem, SettingsError
from tlab_core.tokenizers import CharacterTokenizer
from tlab_core.trace import Capture, Edit
from tlab_core.trainer import Trainer
from tlab_core.transformer import Transformer

__all__ = [
    "Architecture",
    "Capture",
    "CharacterTokenizer",
    "Edit",
    "Experiment",
    "History",
    "LiveRun",
    "Problem",
    "Run",
    "SettingsError",
    "Trainer",
    "Training",
    "Transformer",
    "default_experiment",
    "load_corpus",
]
