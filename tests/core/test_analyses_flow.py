"""What passed through one block, against everything that a pass shows."""

import math

import numpy as np
import pytest

from tests.core.analysed_runs import run_of
from tlab_core.residuals import RESIDUALS
from tlab_core.trace import Capture

PAIRS = ("scores", "weights")


@pytest.fixture(scope="module", params=RESIDUALS.names())
def measured(request, tmp_path_factory):
    run = run_of(tmp_path_factory.mktemp("run"), residual_type=request.param)
    capture = Capture()
    probe = run.trainer.probe
    run.model.loss_and_grads([probe[:-1]], [probe[1:]], trace=capture)
    return run, run.analyse("flow", layer=1, position=3, head=1), capture


def numbers_of(name, x) -> list[float]:
    """Return all numbers of a site, of pairs those up to the query."""
    if name.endswith(PAIRS):
        return [x[0, h, q, k] for h in range(x.shape[1]) for q in range(x.shape[2]) for k in range(q + 1)]
    return x.ravel().tolist()


def test_the_sites_of_the_block_and_both_ends_in_the_order_of_the_pass(measured):
    run, found, _ = measured
    ends = ["residual.0", "residual.2", "residual.3", "residual.4", "final_norm", "logits"]
    expected = [site for site in run.model.sites
                if not site.endswith(".gradient") and (site in ends or site.startswith("blocks.1."))]  # fmt: skip
    assert found["site"].values.tolist() == expected
    assert ("final_norm" in expected) == (run.model.architecture.residual_type != "Post-LN")


def test_shapes(measured):
    _, found, capture = measured
    for site in found["site"].values:
        here = found.sel(site=site)
        assert str(here["shape"].values) == " × ".join(map(str, capture[site].shape))
        assert str(here["axes"].values).count("×") + 1 == capture[site].ndim
    assert found["axes"].sel(site="blocks.1.k") == "text × head × position × channel"
    assert found["axes"].sel(site="blocks.1.scores") == "text × head × query × key"
    assert found["axes"].sel(site="logits") == "text × position × token"


@pytest.mark.parametrize(("prefix", "suffix"), [("", ""), ("gradient_", ".gradient")])
def test_sizes(measured, prefix, suffix):
    _, found, capture = measured
    seen = 0
    for site in found["site"].values:
        here = found.sel(site=site)
        if site + suffix not in capture:
            assert all(math.isnan(here[prefix + name]) for name in ("rms", "mean", "max"))
            continue
        seen += 1
        numbers = numbers_of(site, capture[site + suffix])
        assert float(here[f"{prefix}rms"]) == pytest.approx(math.sqrt(math.fsum(x * x for x in numbers) / len(numbers)))
        assert float(here[f"{prefix}mean"]) == pytest.approx(math.fsum(numbers) / len(numbers), abs=1e-12)
        assert float(here[f"{prefix}max"]) == pytest.approx(max(map(abs, numbers)))
    # Scores, weights and what the heads gather have no site on the way back.
    assert seen == found.sizes["site"] - (3 if suffix else 0)


@pytest.mark.parametrize(("variable", "suffix"), [("first", ""), ("gradient_first", ".gradient")])
def test_first_numbers(measured, variable, suffix):
    _, found, capture = measured
    for site in found["site"].values:
        values = found[variable].sel(site=site).values.tolist()
        if site + suffix not in capture:
            assert all(map(math.isnan, values))
            continue
        x = capture[site + suffix]
        row = (x[0, 3] if x.ndim == 3 else x[0, 1, 3]).tolist()[:6]
        assert values[: len(row)] == row
        assert all(map(math.isnan, values[len(row) :]))


def test_what_is_masked_shows_as_such_and_short_rows_end(measured):
    _, found, _ = measured
    scores = found["first"].sel(site="blocks.1.scores").values
    assert np.isfinite(scores[:4]).all()
    assert (scores[4:] == -np.inf).all()
    assert np.isnan(found["first"].sel(site="blocks.1.q").values[4:]).all()  # heads are four wide


def test_the_first_block_begins_with_the_embedding_and_the_last_position_is_the_usual_one(measured):
    run, _, capture = measured
    found = run.analyse("flow", layer=0)
    sites = found["site"].values.tolist()
    assert sites[0] == "residual.0"
    assert sites.count("residual.0") == 1
    assert "residual.3" not in sites
    assert found.attrs["position"] == 7
    assert found["first"].sel(site="residual.0").values.tolist() == capture["residual.0"][0, 7, :6].tolist()
