"""Runs to make snapshots of, and a reader of what a snapshot holds."""

import base64
import gzip
import json
from html.parser import HTMLParser
from types import SimpleNamespace

import numpy as np

from tests.core.saved_runs import tiny_experiment
from tests.dash.fakes import fake_run
from tlab_core import LiveRun
from tlab_core.experiment import default_experiment


def small(folder, layers=2, heads=3, steps=30, architecture=(), **training):
    """Return a live run of a model that is made and trained in a fraction of a second."""
    experiment = tiny_experiment(folder, **training)
    made = experiment.architecture.replace(num_layers=layers, num_heads=heads, hidden_dim=4 * heads, **dict(architecture))
    run = LiveRun(experiment.replace(architecture=made))
    run.advance(steps=steps)
    return run


def noisy(layers, heads, positions, records):
    """Return a run whose attention is noise, which hardly gets smaller when it is packed: no real run takes more room."""
    run = fake_run(layers, heads, positions, records=0)
    rng = np.random.default_rng(0)
    template = fake_run(layers, heads, positions, records=1)
    for record in range(records):
        for group in ("residual", "layers", "heads", "qk_histograms"):
            values = template.recorder.group(group).isel(step=0)
            run.recorder.append(group, 5 * record, {
                name: (values[name].values * (rng.random(values[name].shape) if group != "qk_histograms" else 1)).astype(
                    values[name].dtype) for name in values.data_vars
            })
        weights = np.tril(rng.random((layers, heads, positions, positions), dtype=np.float32) ** 2)
        run.recorder.append("attention", 5 * record, {"weight": weights / weights.sum(-1, keepdims=True)})
    experiment = default_experiment().replace(architecture=run.experiment.architecture)
    return SimpleNamespace(**vars(run) | {"experiment": experiment, "samples": [], "divergence": None, "tokenizer": None})


class Blocks(HTMLParser):
    """The script elements of a page, by their id; the one that runs is ""."""

    def __init__(self, html):
        super().__init__()
        self.found, self._at = {}, None
        self.feed(html.decode())

    def handle_starttag(self, tag, attributes):
        self._at = dict(attributes).get("id", "") if tag == "script" else None

    def handle_endtag(self, tag):
        self._at = None

    def handle_data(self, data):
        if self._at is not None:
            self.found[self._at] = self.found.get(self._at, "") + data


def blocks(made):
    return Blocks(made.html).found


def unpacked(text):
    """Read a block as packing.py describes it."""
    raw = gzip.decompress(base64.b64decode(text))
    length = int.from_bytes(raw[:4], "little")
    header, rest = json.loads(raw[4 : 4 + length]), raw[4 + length :]
    columns = []
    for count in header["numbers"]:
        columns.append(np.frombuffer(rest[: 4 * count], "<f4"))
        rest = rest[4 * count :]
    return header, columns, np.frombuffer(rest, np.uint8)


def index(made):
    return json.loads(blocks(made)["index"])
