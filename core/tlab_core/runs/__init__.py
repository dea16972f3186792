"""Runs that last: each a folder with settings, history, weights and texts, which any later day or machine can open."""

from tlab_core.runs.files import RunError
from tlab_core.runs.probing import with_probe
from tlab_core.runs.saved import SavedRun
from tlab_core.runs.store import Resumed, ResumedWarning, RunInfo, RunStore, default_folder
from tlab_core.runs.writer import RunWriter

__all__ = ["Resumed", "ResumedWarning", "RunError", "RunInfo", "RunStore", "RunWriter", "SavedRun", "default_folder",
           "with_probe"]
