"""What a snapshot says under a picture of a run that broke: why there is less to see than one expects."""

import numpy as np
import pytest

from tests.dash.snapshots import small
from tlab_core import LiveRun
from tlab_dash.selection import Selection
from tlab_dash.snapshot import told
from tlab_dash.snapshot.frames import SHOWN, frame
from tlab_dash.snapshot.remarks import remark
from tlab_dash.views.view import VIEWS


@pytest.fixture(scope="module")
def broken(tmp_path_factory):
    """Return a run whose first model is too large for any number: it breaks at step 1."""
    run = small(tmp_path_factory.mktemp("broken"), 4, 4, steps=1, architecture={"norm_type": "None", "init_std": 10.0})
    assert run.divergence is not None
    return run


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return small(tmp_path_factory.mktemp("one"), steps=10)


def remarks(run, step):
    tables = frame(run, step, None).tables
    return {name: {picture.note for picture in pictures.values()} for name, pictures in tables.items()}


def test_nothing_is_said_of_a_run_that_learns(run):
    assert remarks(run, 10) == {shown.view.name: {""} for shown in SHOWN}
    assert frame(run, 10, None).paint["note"] == ""


def test_of_a_run_that_broke_each_empty_picture_says_why(broken):
    said = remarks(broken, 0)
    assert said["loss"] == {"No curve: no loss was a finite number."}
    assert said["layer_statistics"] <= {
        "No triangles: no gradient was measured here.",
        "Where there is no dot, the signal is no finite number. No triangles: no gradient was measured here."}  # fmt: skip
    assert said["signal"] == {"Where the line ends, the signal is no finite number."}
    assert {""} < said["qk"] <= {"", "No numbers: the run broke.",
                          "No bars: the scores lie so far apart that each would be thinner than a hair."}  # fmt: skip
    assert frame(broken, 0, None).paint["note"] == "No colours: no gradient was measured here."
    assert dict(told.facts({"broken": broken}))["Loss on unseen text"] == ("no finite number",)


def test_a_loss_that_leaves_at_the_top_is_said(run):
    wild = LiveRun(run.experiment)
    wild.advance(steps=2)
    columns = VIEWS.get("loss").columns(wild, Selection())
    columns["train"] = columns["train"] | {"loss": np.array([3.0, 1.4114e21])}
    assert remark("loss", columns, ((0, 1), (0, 5))) == "It goes up to 1.4e21 nats, far beyond the top."


def test_gradients_that_are_all_zero_are_said(run):
    columns = VIEWS.get("layer_statistics").columns(run, Selection())
    columns["gradient"] = columns["gradient"] | {"rms": np.zeros_like(columns["gradient"]["rms"])}
    assert remark("layer_statistics", columns, ((0, 1), (0, 1))) == "No triangles: every gradient is 0."
