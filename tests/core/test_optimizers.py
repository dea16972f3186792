"""AdamW against the textbook, array by array, and against PyTorch where it is installed."""

from types import SimpleNamespace

import numpy as np
import pytest

from tlab_core.optimizers import BLOCK, OPTIMIZERS, AdamW
from tlab_core.parallel import cut, serial, threads

SHAPES = {"weight": (300, 257), "other": (64, 3), "bias": (257,), "gain": (1000,)}  # matrices first
MATRICES = 300 * 257 + 64 * 3
SIZE = MATRICES + 257 + 1000
TOLERANCE = {"float32": 2e-6, "float64": 1e-13}


def settings(**changes):
    return SimpleNamespace(**{"beta1": 0.9, "beta2": 0.99, "weight_decay": 0.1, **changes})


def numbers(seed, dtype, spread=1.0):
    return (spread * np.random.default_rng(seed).standard_normal(SIZE)).astype(dtype)


def arrays(flat):
    """Split a flat buffer into the named arrays of SHAPES."""
    edges = np.cumsum([np.prod(shape) for shape in SHAPES.values()])[:-1]
    parts = np.split(flat, edges)
    return {name: part.reshape(shape) for (name, shape), part in zip(SHAPES.items(), parts, strict=True)}


def textbook(start, gradients, rates, training, scales):
    """AdamW as Loshchilov & Hutter write it (algorithm 2), one array at a time, in float64."""
    result = {}
    for name, p in arrays(start.astype(np.float64)).items():
        m, v = np.zeros_like(p), np.zeros_like(p)
        for t, (gradient, rate, scale) in enumerate(zip(gradients, rates, scales, strict=True), start=1):
            g = arrays(gradient.astype(np.float64))[name] * scale
            m = training.beta1 * m + (1 - training.beta1) * g
            v = training.beta2 * v + (1 - training.beta2) * g**2
            m_hat = m / (1 - training.beta1**t)
            v_hat = v / (1 - training.beta2**t)
            decay = training.weight_decay if p.ndim == 2 else 0.0
            p = p - rate * (m_hat / (np.sqrt(v_hat) + 1e-8) + decay * p)
        result[name] = p
    return np.concatenate([p.ravel() for p in result.values()])


def optimize(start, gradients, rates, training, scales, parts=1, executor=serial):
    parameters = start.copy()
    optimizer = AdamW(parameters, MATRICES)
    for update, (gradient, rate, scale) in enumerate(zip(gradients, rates, scales, strict=True), start=1):

        def one(span, g=gradient, n=update, r=rate, s=scale):
            optimizer.update(g, span, n, r, training, s)

        executor(one, cut(SIZE, parts))
    return parameters


@pytest.fixture(params=["float32", "float64"])
def case(request):
    gradients = [numbers(seed, request.param, 10.0 ** -(seed % 4)) for seed in range(1, 9)]
    rates = np.linspace(3e-2, 1e-3, 8)
    scales = [1.0, 0.25, 1.0, 3e-3, 1.0, 0.9, 1.0, 1.0]
    return numbers(0, request.param), gradients, rates, settings(), scales


def test_it_is_the_textbooks_adamw(case):
    start, *_ = case
    got, expected = optimize(*case), textbook(*case)
    assert got.dtype == start.dtype
    assert np.abs(got - expected).max() < TOLERANCE[start.dtype.name]
    assert np.abs(expected - start).mean() > 0.05  # it went somewhere


@pytest.mark.parametrize("changes", [{"beta1": 0.0}, {"weight_decay": 0.0}, {"beta2": 0.999}])
def test_other_betas_and_decays(case, changes):
    start, gradients, rates, _, scales = case
    training = settings(**changes)
    got = optimize(start, gradients, rates, training, scales)
    expected = textbook(start, gradients, rates, training, scales)
    assert np.abs(got - expected).max() < TOLERANCE[start.dtype.name]


def test_only_matrices_decay():
    start = numbers(0, "float64")
    still = [np.zeros(SIZE)]
    after = optimize(start, still, [0.1], settings(weight_decay=0.5), [1.0])
    assert np.array_equal(after[MATRICES:], start[MATRICES:])
    assert np.allclose(after[:MATRICES], start[:MATRICES] * (1 - 0.1 * 0.5), rtol=1e-15)


def test_the_first_step_has_the_size_of_the_rate_whatever_the_gradients_size():
    for spread in (1e-4, 1.0, 1e4):
        start = np.zeros(SIZE)
        after = optimize(start, [numbers(3, "float64", spread)], [1e-3], settings(), [1.0])
        assert np.abs(after).max() <= 1e-3 * (1 + 1e-9)
        assert np.median(np.abs(after)) > 0.99e-3


@pytest.mark.parametrize("parts", [1, 2, 3, 5])
def test_spans_and_threads_change_no_bit(case, parts):
    whole = optimize(*case)
    assert np.array_equal(optimize(*case, parts=parts), whole)
    assert np.array_equal(optimize(*case, parts=parts, executor=threads), whole)


def test_blocks_cover_a_span_that_crosses_from_matrices_to_vectors():
    assert SIZE > MATRICES > 2 * BLOCK  # so that blocks, not only spans, are cut here
    start, gradient = numbers(0, "float64"), numbers(1, "float64")
    optimizer = AdamW(start.copy(), MATRICES)
    optimizer.update(gradient, slice(MATRICES - 7, MATRICES + 5), 1, 0.1, settings())
    touched = np.flatnonzero(optimizer.parameters != start)
    assert touched.tolist() == list(range(MATRICES - 7, MATRICES + 5))


def test_the_gradient_is_only_read():
    gradient = numbers(1, "float32")
    gradient.flags.writeable = False
    optimize(numbers(0, "float32"), [gradient], [0.1], settings(), [0.5])


def test_the_registry_knows_it():
    assert OPTIMIZERS.get("adamw") is AdamW


def test_it_is_pytorchs_adamw(case):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed (pip install -e .[reference])")
    start, gradients, rates, training, scales = case
    tensors = {name: torch.tensor(p.copy(), requires_grad=True) for name, p in arrays(start).items()}
    groups = [
        {"params": [t for t in tensors.values() if t.ndim == 2], "weight_decay": training.weight_decay},
        {"params": [t for t in tensors.values() if t.ndim == 1], "weight_decay": 0.0},
    ]
    reference = torch.optim.AdamW(groups, betas=(training.beta1, training.beta2), eps=1e-8)
    for gradient, rate, scale in zip(gradients, rates, scales, strict=True):
        for group in reference.param_groups:
            group["lr"] = rate
        for name, g in arrays(gradient).items():
            tensors[name].grad = torch.tensor(g * g.dtype.type(scale))
        reference.step()
    expected = np.concatenate([t.detach().numpy().ravel() for t in tensors.values()])
    assert np.abs(optimize(*case) - expected).max() < TOLERANCE[start.dtype.name]
