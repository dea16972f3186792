"""What of a run's folder is lost or broken while the rest can still be read, in words."""

from pathlib import Path
from typing import Any

from tlab_core.experiment import Experiment
from tlab_core.runs.checkpoint import OPTIMIZER, STATE
from tlab_core.runs.components import with_absent
from tlab_core.runs.files import RunError, read_bytes, read_json
from tlab_core.runs.settings_file import LARGEST, read_knobs
from tlab_core.runs.writer import COMMIT, MARKS, META, SAMPLES, SETTINGS

MEND = "`tlab runs mend` writes it anew"
COPY = f"To look at the run, the copy in {COMMIT} is used, and {MEND} from that."
LOST = {
    META: f"Its tags, its note and the letters of its probe text are lost; {MEND} without them.",
    SAMPLES: f"What the model wrote is lost; {MEND} without it.",
    MARKS: f"Which settings were changed on the way is lost; {MEND} without it.",
}  # fmt: skip
LOOKED_AT = "The run can be looked at, but it can't go on; begin anew with its settings: `tlab export` to a .yaml file."


def lost_lines(folder: Path, commit: dict[str, Any]) -> list[str]:
    """Return what the sizes of files alone show to be lost of a run, a sentence or two for each."""
    found = [f"{folder / name} is cut off or missing. {LOST[name]}" for name in (SAMPLES, MARKS)
             if _size(folder / name) < commit[name]]  # fmt: skip
    return found + lost_checkpoint(folder, commit)


def lost_checkpoint(folder: Path, commit: dict[str, Any]) -> list[str]:
    """Return what a run lacks to go on, as far as the sizes of files show it."""
    place = folder / commit["checkpoint"]
    missing = [name for name in (OPTIMIZER, STATE) if not _size(place / name)]
    if missing and read_json(folder / COMMIT).get("checkpoint") != commit["checkpoint"]:
        return []  # another process has saved it anew meanwhile
    return [f"{place / name} is missing or empty. {LOOKED_AT}" for name in missing]


def edited_settings(folder: Path, saved: Experiment) -> Experiment:
    """Return the experiment that the settings file makes of the saved one.

    Raises RunError for a file that can't be read, and for one that lacks a knob: its end may have been cut off.
    """
    path = folder / SETTINGS
    found, given = read_knobs(path, saved)
    missing = [knob for knob in _names(saved.to_dict()) if knob not in given]
    if missing:
        named = ", ".join(missing[:3]) + (f" and {len(missing) - 3} more" if len(missing) > 3 else "")
        raise RunError(f"{path} lacks {named}: it was emptied, cut off, or edited.")
    return found


def lost_settings(folder: Path, commit: dict[str, Any]) -> str:
    """Return why the settings file of a run can't be used, or nothing.

    Reading YAML takes milliseconds, which a list of a thousand runs doesn't have: a file in which each knob has its line,
    as it was written, is not read.
    """
    try:
        text = read_bytes(folder / SETTINGS, LARGEST).decode("utf-8", "replace")
    except RunError as error:
        return settings_lost(error)
    begun = {line.partition(":")[0].strip() for line in text.splitlines()}
    if text.endswith("\n") and all(knob.rpartition(".")[2] in begun for knob in _names(commit["settings"])):
        return ""
    try:
        edited_settings(folder, Experiment.from_dict(with_absent(commit["settings"], commit.get("components"))))
    except (RunError, TypeError, ValueError) as error:
        return settings_lost(error)
    return ""


def settings_lost(error: Exception) -> str:
    """Return what is said of a settings file that can't be used."""
    return f"{str(error).rstrip('.')}. {COPY}"


def _names(settings: dict[str, Any]) -> list[str]:
    """Return the full names of the knobs in settings as `to_dict` gives them."""
    return [full for knob, value in settings.items()
            for full in ([f"{knob}.{inner}" for inner in value] if isinstance(value, dict) else [knob])]


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
