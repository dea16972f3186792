"""One parameter's spread and stretches, against plain transcriptions."""

import math

import numpy as np
import pytest

from tests.core.analysed_runs import run_of
from tlab_core.registry import UnknownNameError
from tlab_core.transformer import Transformer

QKV = "blocks.1.attention.qkv.weight"


@pytest.fixture
def run(tmp_path):
    return run_of(tmp_path, tie_embeddings=False)


def counted(numbers, left, right) -> list[int]:
    """Count by hand; the last bin holds its upper edge too."""
    ends = list(zip(left, right, strict=True))
    return [sum(low <= x < high or (x == high and place == len(ends) - 1) for x in numbers.ravel())
            for place, (low, high) in enumerate(ends)]  # fmt: skip


def test_histograms_of_now_and_of_the_start(run):
    found = run.analyse("weights", parameter=QKV)
    now, start = run.model.parameters[QKV], Transformer(run.model.architecture).parameters[QKV]
    assert not np.array_equal(now, start)
    left, right = found["left"].values, found["right"].values
    np.testing.assert_array_equal(left[1:], right[:-1])
    np.testing.assert_allclose(right - left, (right[-1] - left[0]) / 40)
    assert left[0] == min(now.min(), start.min())
    assert right[-1] == max(now.max(), start.max())
    assert found["count"].values.tolist() == counted(now, left, right)
    assert found["start_count"].values.tolist() == counted(start, left, right)
    assert found["count"].sum() == found["start_count"].sum() == now.size
    assert found.attrs["shape"] == "8 × 24"


def test_sizes(run):
    found = run.analyse("weights", parameter=QKV)
    now, start = run.model.parameters[QKV].ravel(), Transformer(run.model.architecture).parameters[QKV].ravel()
    for name, numbers in (("rms", now), ("start_rms", start), ("distance", now - start)):
        assert float(found[name]) == pytest.approx(math.sqrt(math.fsum(x * x for x in numbers) / len(numbers)))


@pytest.mark.parametrize("name", [QKV, "blocks.0.mlp.down.weight", "head.weight"])
def test_singular_values_are_roots_of_the_eigenvalues_of_the_square(run, name):
    found = run.analyse("weights", parameter=name)
    for prefix, parameters in (("", run.model.parameters), ("start_", Transformer(run.model.architecture).parameters)):
        matrix = parameters[name]
        small = matrix @ matrix.T if matrix.shape[0] < matrix.shape[1] else matrix.T @ matrix
        expected = np.sqrt(np.linalg.eigvalsh(small))[::-1]
        np.testing.assert_allclose(found[f"{prefix}singular_value"], expected, rtol=1e-6)
        p = [s / math.fsum(expected) for s in expected]
        entropy = -math.fsum(x * math.log(x) for x in p)
        assert float(found[f"{prefix}effective_rank"]) == pytest.approx(math.exp(entropy))
    assert found["component"].values.tolist() == list(range(1, min(matrix.shape) + 1))


def test_one_direction_and_all_alike(run):
    matrix = run.model.parameters["blocks.0.attention.out.weight"]
    matrix[...] = np.outer(np.arange(1, 9), np.arange(8, 0, -1))
    assert float(run.analyse("weights", parameter="blocks.0.attention.out.weight")["effective_rank"]) == pytest.approx(1)
    matrix[...] = -3 * np.eye(8)
    found = run.analyse("weights", parameter="blocks.0.attention.out.weight")
    assert float(found["effective_rank"]) == pytest.approx(8)
    np.testing.assert_allclose(found["singular_value"], 3)


def test_a_vector_has_no_directions(run):
    found = run.analyse("weights", parameter="final_norm.weight")
    assert found["singular_value"].size == found["start_singular_value"].size == found["component"].size == 0
    assert math.isnan(found["effective_rank"])
    assert math.isnan(found["start_effective_rank"])
    assert found["start_count"].sum() == 8  # all of them one


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_numbers_that_are_all_alike(run, value):
    name = "blocks.0.attention.qkv.bias"
    run.model.parameters[name][...] = run.trainer.start[name][...] = value
    found = run.analyse("weights", parameter=name)
    assert found["left"][0] < value < found["right"][-1]
    assert found["count"].sum() == found["start_count"].sum() == 24


def test_a_matrix_of_zeros_has_no_rank(run):
    run.model.parameters[QKV][...] = 0
    found = run.analyse("weights", parameter=QKV)
    assert (found["singular_value"] == 0).all()
    assert math.isnan(found["effective_rank"])


def test_numbers_that_are_not_finite_are_in_no_bin(run):
    run.model.parameters[QKV][0, :3] = np.nan, np.inf, -np.inf
    found = run.analyse("weights", parameter=QKV)
    assert found["count"].sum() == 8 * 24 - 3
    assert found["start_count"].sum() == 8 * 24
    assert np.isnan(found["singular_value"]).all()
    assert not np.isnan(found["start_singular_value"]).any()
    assert math.isnan(found["effective_rank"])


def test_unknown_parameters(run):
    with pytest.raises(UnknownNameError, match=f"no parameter 'blocks.1.atention.qkv.weight'. Did you mean '{QKV}'"):
        run.analyse("weights", parameter="blocks.1.atention.qkv.weight")
    with pytest.raises(UnknownNameError, match="no parameter '!'. One that it has is 'token_embedding.weight'"):
        run.analyse("weights", parameter="!")
