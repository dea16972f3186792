"""Where a run stands between two steps: weights and optimizer as safetensors, the counters as JSON."""

import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from tlab_core.divergence import Divergence
from tlab_core.parameters import named_views
from tlab_core.processes import state_of
from tlab_core.runs.files import RunError, count, field, read_bytes, read_json, sync_folder, write_json, write_whole

LARGEST = 64_000_000_000  # bytes of a file of tensors
FOLDER = re.compile(r"checkpoint-[0-9]{1,12}-[0-9]{1,9}")
MODEL, OPTIMIZER, STATE = "model.safetensors", "optimizer.safetensors", "state.json"


@dataclass(frozen=True)
class Checkpoint:
    """A copy of what a trainer needs to go on: parameters by name, what the optimizer remembers, and the counters."""

    parameters: dict[str, np.ndarray]
    optimizer: dict[str, np.ndarray]
    step: int
    tokens: int
    seconds: float
    divergence: Divergence | None

    @classmethod
    def of(cls, trainer: Any) -> "Checkpoint":
        """Copy a trainer's state; to be called between two steps."""
        parameters = named_views(trainer.model.flat.copy(), trainer.model.shapes)
        remembered = {name: array.copy() for name, array in state_of(trainer.optimizer).items()}
        return cls(parameters, remembered, trainer.step, trainer.tokens, trainer.seconds, trainer.divergence)

    def save(self, folder: Path, metadata: dict[str, str]) -> None:
        """Write the three files into a new folder, each on the disk when this returns."""
        folder.mkdir()
        write_whole(folder / MODEL, save(self.parameters, metadata))
        write_whole(folder / OPTIMIZER, save(self.optimizer, {"step": str(self.step)}))
        divergence = None if self.divergence is None else asdict(self.divergence)
        state = {"step": self.step, "tokens": self.tokens, "seconds": self.seconds, "divergence": divergence}
        write_json(folder / STATE, state)
        sync_folder(folder)

    @classmethod
    def load(cls, folder: Path) -> "Checkpoint":
        """Read what `save` wrote; RunError for files that are missing, cut off or of something else."""
        path = folder / STATE
        state = read_json(path)
        seconds = field(state, "seconds", int | float, path)
        return cls(tensors(folder / MODEL), tensors(folder / OPTIMIZER), count(state, "step", path),
                   count(state, "tokens", path), float(seconds), divergence_of(state, path))

    def put_into(self, trainer: Any, folder: Path, cause: str = "") -> None:
        """Let a trainer stand where this checkpoint was taken; RunError, before anything is changed, if it doesn't fit.

        cause  why it may not, and what to do, where that is known to be another thing than a knob
        """
        remembered = state_of(trainer.optimizer)
        _check_fit(self.parameters, trainer.model.parameters, folder / MODEL, "architecture", cause)
        _check_fit(self.optimizer, remembered, folder / OPTIMIZER, "training.optimizer", cause)
        fill(trainer.model, self.parameters, folder / MODEL, cause)
        for name, values in self.optimizer.items():
            remembered[name][...] = values
        trainer.restore(self.step, self.tokens, self.seconds, self.divergence)


def fill(model: Any, parameters: dict[str, np.ndarray], path: Path, cause: str = "") -> None:
    """Give a model the parameters out of a file; RunError, before anything is changed, if they don't fit (`put_into`)."""
    _check_fit(parameters, model.parameters, path, "architecture", cause)
    for name, values in parameters.items():
        model.parameters[name][...] = values


def divergence_of(content: dict[str, Any], path: Path) -> Divergence | None:
    """Return the `divergence` that a file's object holds, None where it holds none."""
    found = field(content, "divergence", dict | None, path)
    try:
        return None if found is None else Divergence(**found)
    except TypeError as error:
        raise RunError(f"in {path}, 'divergence' can't be read ({error}).") from None


def tensors(path: Path) -> dict[str, np.ndarray]:
    """Return the arrays of a safetensors file, or raise RunError."""
    try:
        return load(read_bytes(path, LARGEST))
    except (SafetensorError, ValueError, KeyError, json.JSONDecodeError) as error:
        raise RunError(f"{path} is no safetensors file, or only the beginning of one ({error}).") from error


def _check_fit(found: dict[str, np.ndarray], wanted: dict[str, np.ndarray], path: Path, knob: str,
               cause: str) -> None:
    for name in sorted(set(found) | set(wanted)):
        shapes = [f"{a[name].dtype} {a[name].shape}" if name in a else "nothing" for a in (found, wanted)]
        if shapes[0] != shapes[1]:
            raise RunError(
                f"{path} does not fit the settings: under {name!r} it has {shapes[0]}, and they need {shapes[1]}. "
                + (cause or f"Set {knob} in settings.yaml back to what it was when the run was saved.")
            )
