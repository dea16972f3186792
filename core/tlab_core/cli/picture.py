"""`tlab picture`: one plot of a run as a file, for a slide or a paper."""

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import click

from tlab_core.cli.options import Refused, folder_option, opened
from tlab_core.runs import RunStore


@click.command()
@click.argument("name", metavar="RUN")
@click.argument("view", metavar="VIEW")
@click.option("-o", "--to", "path", type=click.Path(dir_okay=False, path_type=Path), required=True, metavar="FILE",
              help="The file to write, such as loss.png, loss.svg or loss.html.")
@click.option("--ghost", metavar="RUN", help="Another run, drawn behind it in grey where the plot can.")
@click.option("--layer", type=click.IntRange(min=0), help="Counted from 0.  [default: that of the liveliest head]")
@click.option("--head", type=click.IntRange(min=0), help="Counted from 0.  [default: the liveliest]")
@click.option("--step", type=click.IntRange(min=0), help="As it was then.  [default: the newest]")
@click.option("--dark", is_flag=True, help="On a dark card.")
@click.option("--size", type=click.IntRange(100), nargs=2, metavar="WIDTH HEIGHT",
              help="In pixels of a page; a PNG has twice as many.")
@click.option("--force", is_flag=True, help="Write over a file that is there.")
@folder_option
def picture(name: str, view: str, path: Path, ghost: str | None, layer: int | None, head: int | None, step: int | None,
            dark: bool, size: tuple[int, int] | None, force: bool, folder: Path) -> None:
    """Write a plot of a run as a picture.

    VIEW is one of the lab's plots, such as loss, attention, heads, qk or signal. PNG and SVG are drawn in a browser, by
    Selenium, chromedriver and Chromium or Chrome; where one of them is missing, it is said how to get it.
    """
    if find_spec("tlab_dash") is None or find_spec("panel") is None:
        raise click.ClickException("the dashboard is not installed: python -m pip install transformer-intuition-lab")
    store = RunStore(folder)
    run, behind = opened(store, name), opened(store, ghost) if ghost is not None else None
    if path.exists() and not force:
        raise Refused(f"{path} is there already. Take another name, or --force to write over it.")
    views = import_module("tlab_dash.views")  # found when it is asked for: the engine knows nothing of the screen
    chosen = {name: value for name, value in {"layer": layer, "head": head, "step": step}.items() if value is not None}
    width, height = size or (None, None)
    if view not in views.VIEWS:
        raise Refused(f"unknown view {view!r}: {views.VIEWS.allowed(view)} One of your own is imported first: "
                      "tlab --import MODULE picture ...")  # fmt: skip
    drawn = views.VIEWS.get(view)
    try:
        drawn.save(run, path, ghost=behind, theme="dark" if dark else "light", width=width, height=height, **chosen)
        at = drawn.step_shown(run, **chosen) if step is not None else ""
    except views.PictureError as error:
        raise click.ClickException(str(error)) from error
    except ValueError as error:
        raise Refused(str(error)) from error
    other = f", the last recorded at or before step {step:,}" if at and at != f"step {step:,}" else ""
    click.echo(f"Wrote {path} ({path.stat().st_size:,} bytes){at and f': {at}{other}'}.")
