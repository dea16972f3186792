"""`tlab export`: a run's settings, weights or history as a file of another kind."""

import csv
import io
import os
from collections.abc import Callable
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import click
import numpy as np

from tlab_core.cli.options import Refused, folder_option, opened
from tlab_core.registry import did_you_mean
from tlab_core.runs import RunStore, SavedRun
from tlab_core.runs.files import write_whole
from tlab_core.schema import GROUPS
from tlab_core.share import as_python, as_safetensors, as_yaml

NETCDF = {"netCDF4": "netcdf4", "h5netcdf": "h5netcdf"}  # module: what xarray calls it
CURVES = "the curves of train and validation"


def settings(saved: SavedRun, path: Path, group: str | None) -> None:
    """Write the settings, for `tlab train --config`."""
    write_whole(path, as_yaml(saved.experiment).encode())


def script(saved: SavedRun, path: Path, group: str | None) -> None:
    """Write a Python script that makes the run again, to the step at which it is now."""
    write_whole(path, as_python(saved.experiment, saved.marks, until=saved.step).encode())


def weights(saved: SavedRun, path: Path, group: str | None) -> None:
    """Write the weights, with settings and characters in the file's metadata."""
    write_whole(path, as_safetensors(saved.model, saved.experiment, saved.tokenizer))


def table(saved: SavedRun, path: Path, group: str | None) -> None:
    """Write the loss curves as CSV, or all that one group of the history holds, a row for each number's place."""
    if group is None:
        write_whole(path, curves_as_csv(saved).encode())
    else:
        write_whole(path, saved.recorder.group(group).load().to_dataframe().to_csv().encode())


def curves_as_csv(saved: SavedRun) -> str:
    """Return a row for each step at which something was measured; a field is empty where nothing was."""
    columns: dict[str, dict[int, float]] = {}
    for name, prefix in (("train", ""), ("validation", "validation_")):
        measured = saved.recorder.group(name)
        for variable in measured.data_vars:
            values = measured[variable].values
            if not (values.dtype.kind == "f" and np.isnan(values).all()):
                columns[f"{prefix}{variable}"] = dict(zip(measured["step"].values.tolist(), values.tolist(), strict=True))
    steps = sorted(set().union(*columns.values()))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["step", *columns])
    writer.writerows([step, *(column.get(step, "") for column in columns.values())] for step in steps)
    return text.getvalue()


def netcdf(saved: SavedRun, path: Path, group: str | None) -> None:
    """Write the whole history as netCDF, a group for each of its own."""
    engine = next((engine for module, engine in NETCDF.items() if find_spec(module)), None)
    if engine is None:
        raise Refused("writing netCDF needs one more package: python -m pip install netCDF4")
    aside = path.with_name(f"{path.name}.new")
    try:
        saved.history.to_netcdf(aside, engine=engine)
        os.replace(aside, path)
    finally:
        with suppress(OSError):
            aside.unlink()


KINDS: dict[str, Callable[[SavedRun, Path, str | None], None]] = {
    ".yaml": settings, ".py": script, ".safetensors": weights, ".csv": table, ".nc": netcdf,
}  # fmt: skip


@click.command()
@click.argument("name")
@click.option("--to", "path", type=click.Path(dir_okay=False, path_type=Path), required=True, metavar="FILE",
              help="The file to write; its ending says what: .yaml settings, .py a script that makes the run again, "
                   ".safetensors weights, .csv curves, .nc the whole history as netCDF, "
                   "which needs one more package: python -m pip install netCDF4.")
@click.option("--group", metavar="GROUP", help=f"What a .csv holds: one of {', '.join(GROUPS)}.  [default: {CURVES}]")
@click.option("--force", is_flag=True, help="Write over a file that is there.")
@folder_option
def export(name: str, path: Path, group: str | None, force: bool, folder: Path) -> None:
    """Write a run's settings, weights or history to a file."""
    kind = path.suffix.lower()
    if kind not in KINDS:
        raise click.UsageError(f"--to {path} ends in {kind or 'nothing'}, and can end in {', '.join(KINDS)}."
                               f"{did_you_mean(kind, KINDS)}")
    if group is not None and (kind != ".csv" or group not in GROUPS):
        raise click.UsageError(f"--group {group} is not there: a .csv takes one of {', '.join(GROUPS)}."
                               f"{did_you_mean(group, GROUPS)}")
    saved = opened(RunStore(folder), name)
    if path.exists() and not force:
        raise Refused(f"{path} is there already. Take another name, or --force to write over it.")
    KINDS[kind](saved, path, group)
    click.echo(f"Wrote {path} ({path.stat().st_size:,} bytes).")
