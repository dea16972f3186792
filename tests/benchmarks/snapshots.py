"""How large a snapshot is, and how soon it stands on the screen when it is opened from the disk without a network.

    python -m tests.benchmarks.snapshots
    python -m tests.benchmarks.snapshots 6,8,64,20 --rounds 9

A size is layers,heads,positions,steps. The attention is noise, which hardly gets smaller when it is packed: no real run
takes more room. The time is taken in the page, from the start of the navigation until every picture is drawn; a headless
Chromium without a GPU, 1440x900, each round in a context of its own. It means nothing on a busy machine.
"""

import argparse
import shutil
import statistics
import tempfile
from pathlib import Path

from tests.benchmarks.contest import positive
from tests.benchmarks.dashboard import FLAGS
from tests.dash.snapshots import index, noisy
from tlab_core.parallel import cores
from tlab_dash.snapshot import snapshot_bytes

SIZES = ["6,8,64,20", "12,16,128,20"]
DRAWN = "() => document.documentElement.dataset.drawn && performance.now()"


def size(text: str) -> tuple[int, ...]:
    """Read layers,heads,positions,steps."""
    try:
        numbers = tuple(int(number) for number in text.split(","))
    except ValueError:
        numbers = ()
    if len(numbers) != 4 or min(numbers) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size: write 4 whole numbers with commas, as in {SIZES[0]}.")
    return numbers


def opened(browser, address: str) -> tuple[float, int]:
    """Return the seconds until a file is drawn, and how many requests it made beside the one for itself."""
    context = browser.new_context(viewport={"width": 1440, "height": 900}, offline=True)
    page = context.new_page()
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(address)
    took = page.wait_for_function(DRAWN, polling="raf").json_value()
    context.close()
    return took / 1000, len(asked) - 1


def main() -> None:
    """Measure each size and print a line."""
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sizes", nargs="*", type=size, default=[size(text) for text in SIZES],
                        metavar="LAYERS,HEADS,POSITIONS,STEPS")
    parser.add_argument("--rounds", type=positive(int), default=5)
    arguments = parser.parse_args()
    executable = shutil.which("chromium")
    if executable is None:
        parser.error("there is no chromium on the PATH, and this measures one.")
    print(f"{cores()} cores; seconds are medians of {arguments.rounds}")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=FLAGS)
        for layers, heads, positions, steps in arguments.sizes:
            made = snapshot_bytes({"noise": noisy(layers, heads, positions, steps)})
            path = Path(folder) / "snapshot.html"
            path.write_bytes(made.html)
            rounds = [opened(browser, path.as_uri()) for _ in range(arguments.rounds)]
            seconds = [took for took, _ in rounds]
            print(f"{layers},{heads},{positions},{steps}  {len(made.html) / 1e6:.2f} MB  "
                  f"{len(index(made)['stops'])} steps shown  "
                  f"{statistics.median(seconds):.2f} s ({min(seconds):.2f} to {max(seconds):.2f})  "
                  f"{max(requests for _, requests in rounds)} requests", flush=True)
        browser.close()


if __name__ == "__main__":
    main()
