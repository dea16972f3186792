"""The engine of the Transformer Intuition Lab: a transformer in pure NumPy whose inside can be looked at."""

from tlab_core.config import Architecture, Training
from tlab_core.settings import Problem, SettingsError
from tlab_core.trace import Capture, Edit
from tlab_core.transformer import Transformer

__all__ = ["Architecture", "Capture", "Edit", "Problem", "SettingsError", "Training", "Transformer"]
