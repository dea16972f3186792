"""`tlab train` and `tlab resume`: training in a terminal, into a run's folder, until the end or Ctrl-C."""

import signal
import sys
import threading
from dataclasses import asdict
from pathlib import Path
from types import FrameType

import click

from tlab_core.cli.knobs import knob_lines
from tlab_core.cli.options import Refused, again, chosen, folder_option, json_option, settings_options
from tlab_core.cli.progress import Progress
from tlab_core.cli.words import AVERAGED, duration, echo_json, loss_of, printable, validation_of
from tlab_core.compare import summary
from tlab_core.run import LiveRun
from tlab_core.runs import RunError, RunStore, RunWriter
from tlab_core.runs.files import READ_ONLY, reason
from tlab_core.runs.saved import read_commit

SLICE = 0.25  # seconds between two looks at the progress, and until Ctrl-C is heard
SAMPLE = 200  # characters that the model writes at the end
ENDINGS = {"done": 0, "diverged": 1}
ADVICE = "A new run with a smaller learning rate or a longer warm-up may get further."
STEPS = click.IntRange(min=1)


class WithKnobs(click.Command):
    """A command whose help ends with every knob, as the knobs say it of themselves."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the knobs."""
        with formatter.section("Knobs for --set (`tlab knobs NAME` says what one does)"):
            formatter.write_dl(knob_lines())


class Stop:
    """Hears Ctrl-C and SIGTERM between two slices of training; a second Ctrl-C doesn't wait."""

    def __init__(self) -> None:
        self.signal = 0
        self._usual: dict[int, object] = {}

    def __enter__(self) -> "Stop":
        if threading.current_thread() is threading.main_thread():  # only it can be interrupted
            self._usual = {number: signal.signal(number, self._hear) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *error) -> None:
        for number, usual in self._usual.items():
            signal.signal(number, usual)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        if self.signal:
            raise KeyboardInterrupt
        self.signal = number


@click.command(cls=WithKnobs)
@settings_options
@click.option("--name", metavar="NAME", help="What to call the run.  [default: its text and a number]")
@click.option("--steps", type=STEPS, metavar="N",
              help="Stop after N steps. The schedule keeps its end, which is --set steps=N.  [default: to that end]")
@folder_option
@json_option
def train(link: str | None, config: Path | None, assignments: tuple[str, ...], name: str | None, steps: int | None,
          folder: Path, as_json: bool) -> None:
    """Train a transformer, and keep the run in a folder.

    Without settings it trains what the lab opens with. LINK is the address of a lab's page, or the part behind its
    question mark: the same settings as there; nothing is fetched. Ctrl-C saves, and `tlab resume` goes on from there to the
    same bit.
    """
    experiment, store = chosen(link, config, assignments), RunStore(folder)
    if name is not None:
        store.check_free(name)
    run = LiveRun(experiment)
    try:
        writer = begin(store, run, name)
        click.echo(f"Training {writer.name} (in {printable(str(store.folder))}). Ctrl-C stops and saves.", err=True)
        drive(run, writer, steps, folder, as_json)
    finally:
        run.trainer.close()


@click.command()
@click.argument("name")
@click.option("--steps", type=STEPS, metavar="N", help="Make N more steps.  [default: to the end of the schedule]")
@folder_option
@json_option
def resume(name: str, steps: int | None, folder: Path, as_json: bool) -> None:
    """Go on with a run where it stopped.

    On the machine and the versions that saved it, it makes the same numbers as if it had never stopped; where something
    differs, that is said. Settings edited in the run's settings.yaml are taken over.
    """
    run, writer, differences = RunStore(folder).resume(name)
    try:
        for difference in differences:
            click.echo(f"Note: {printable(difference)}", err=True)
        end = run.experiment.training.steps
        if run.divergence is not None:
            writer.close(save=False)
            raise click.ClickException(f"the run {name!r} can't go on. {run.divergence.message} {ADVICE}")
        if steps is None and run.step >= end:
            writer.close(save=False)
            raise Refused(f"the run {name!r} is at the end of its schedule, step {end:,}. Go on at the final learning rate "
                          f"with: {again('resume', name, folder, '--steps', '500')}")
        click.echo(f"Going on with {name} at step {run.step:,}. Ctrl-C stops and saves.", err=True)
        drive(run, writer, steps, folder, as_json)
    finally:
        run.trainer.close()


def begin(store: RunStore, run: LiveRun, name: str | None) -> RunWriter:
    """Return the writer of a new run's folder; where the disk refuses it, say so before anything is trained."""
    try:
        return store.create(run, name)
    except RunError as error:
        if not isinstance(error.__cause__, OSError):
            raise
        mend = "Make it writable" if error.__cause__.errno in READ_ONLY else "Make room or mend it"
        where = printable(str(store.folder))
        raise click.ClickException(f"no run can be kept in {where}: {why(error)}. Nothing was trained. {mend}, or take "
                                   "another folder: --folder FOLDER.") from error


def drive(run: LiveRun, writer: RunWriter, steps: int | None, folder: Path, as_json: bool) -> None:
    """Train a run to its end, save it, say what came of it, and end the command with its exit code."""
    until = run.experiment.training.steps if steps is None else run.step + steps
    with Stop() as stop:
        with Progress(run, until) as progress:
            told = False
            while run.step < until and run.divergence is None and not stop.signal:
                run.advance(seconds=SLICE, until=until)
                progress.show()
                if (writer.problem is not None) != told:
                    told = not told
                    progress.say(trouble(writer) if told else f"{writer.name} can be saved again.")
        if stop.signal:
            click.echo("Saving. Ctrl-C once more gives up what is not saved yet.", err=True)
        sample = ""
        if run.step >= until and run.divergence is None:
            run.trainer.validate()
            sample = run.sample(run.experiment.prompt, SAMPLE).text
        writer, folder = save(run, writer, folder)
    ending = "diverged" if run.divergence else "interrupted" if stop.signal else "done"
    say_ending(run, writer, ending, sample, folder, as_json)
    click.get_current_context().exit(128 + stop.signal if ending == "interrupted" else ENDINGS[ending])


def trouble(writer: RunWriter) -> str:
    """Return what is said when a run can't be saved while it trains."""
    return (f"Warning: {writer.name} can't be saved: {why(writer.problem)}. It goes on in memory, and saving is tried "
            f"again every {writer.every:.0f} seconds or so. Saved is step {saved_step(writer):,}.")


def save(run: LiveRun, writer: RunWriter, folder: Path) -> tuple[RunWriter, Path]:
    """Commit for the last time, and return what did and into which folder of runs.

    Where the disk refuses and someone is there, they can make room, or name another folder for the run as it is in memory.
    """
    while True:
        try:
            writer.close()
            return writer, folder
        except RunError as error:
            failed = f"step {run.step:,} of {writer.name} could not be saved: {why(error)}."
            try:
                answer = asked(failed) if someone_is_there() else None
            except click.Abort:
                answer = None
            if answer is None:
                give_up(run, writer, folder, failed)
        if answer:
            writer, folder = save_elsewhere(run, writer, folder, Path(answer).expanduser())


def asked(failed: str) -> str:
    """Return the folder that someone wants the run to be saved to; nothing for the same one again."""
    question = f"{failed}\nPress Enter to try again, or type another folder to save to"
    return click.prompt(question, default="", show_default=False, err=True).strip()


def save_elsewhere(run: LiveRun, writer: RunWriter, folder: Path, other: Path) -> tuple[RunWriter, Path]:
    """Begin to write a run into another folder of runs, with all that memory holds; if that can't be, say why and stay."""
    try:
        new = RunStore(other).create(run, writer.name)
    except RunError as error:
        click.echo(f"That can't be: {why(error)}", err=True)
        return writer, folder
    click.echo(f"{writer.folder} keeps what was saved until step {saved_step(writer):,}.", err=True)
    writer.close(save=False)
    return new, other


def give_up(run: LiveRun, writer: RunWriter, folder: Path, failed: str) -> None:
    """Let go of what could not be saved, and end the command with what is lost and from where the run can go on."""
    saved = saved_step(writer)
    writer.close(save=False)
    lost = f" What it learned since step {saved:,} is lost." if run.step > saved else ""
    raise click.ClickException(f"{failed}{lost} Saved is step {saved:,}; go on from there with: "
                               f"{again('resume', writer.name, folder)}")


def saved_step(writer: RunWriter) -> int:
    """Return the step that the last commit in a run's folder is of."""
    return read_commit(writer.folder)["step"]


def why(error: RunError) -> str:
    """Return in words why a run could not be written."""
    return printable(reason(error.__cause__ or error)).rstrip(".")


def someone_is_there() -> bool:
    """Return whether a question can be answered."""
    return sys.stdin.isatty()


def say_ending(run: LiveRun, writer: RunWriter, ending: str, sample: str, folder: Path, as_json: bool) -> None:
    """Print what came of the training."""
    found = summary({writer.name: run})[0]
    if as_json:
        echo_json(asdict(found) | {"folder": str(writer.folder), "ending": ending, "sample": sample})
        return
    losses = f"loss {loss_of(found.train_final)} ({AVERAGED}), validation {validation_of(found)}"
    click.echo(f"{writer.name}: step {run.step:,}, {losses}, {duration(found.seconds)} of training.")
    if sample:
        click.echo(f"\n{printable(run.experiment.prompt)}{printable(sample)}\n")
    if run.divergence:
        click.echo(f"{run.divergence.message} {ADVICE}", err=True)
        return
    click.echo(f"Saved in {printable(str(writer.folder))}")
    more = ["--steps", "500"] if run.step >= run.experiment.training.steps else []
    click.echo(f"Go on with:    {again('resume', writer.name, folder, *more)}")
    click.echo(f"Let it write:  {again('generate', writer.name, folder)}")
