"""Each optimizer against its paper written out array by array, against PyTorch, and on real text."""

import math
from types import SimpleNamespace

import numpy as np
import pytest

from tests.core.tiny_runs import trainer_of
from tlab_core.baselines import entropies
from tlab_core.config import Training
from tlab_core.corpora import load_corpus
from tlab_core.optimizers import BLOCK, OPTIMIZERS, AdamW, Muon
from tlab_core.optimizers.muon import orthogonal
from tlab_core.parallel import serial, threads
from tlab_core.trainer import Trainer
from tlab_core.transformer import Transformer

SHAPES = {
    "token_embedding.weight": (300, 257),
    "blocks.0.attention.qkv.weight": (24, 72),
    "blocks.0.attention.out.weight": (24, 24),
    "blocks.0.mlp.up.weight": (24, 64),
    "blocks.0.mlp.down.weight": (64, 24),
    "bias": (257,),
    "gain": (1000,),
}  # matrices first
MATRICES = sum(math.prod(shape) for shape in SHAPES.values() if len(shape) == 2)
SIZE = MATRICES + 257 + 1000
TOLERANCE = {"float32": 5e-6, "float64": 1e-12}
RATES = {name: kind.usual_learning_rate for name, kind in OPTIMIZERS.items()}
every = pytest.mark.parametrize("name", OPTIMIZERS.names())


def settings(**changes):
    return SimpleNamespace(**{"beta1": 0.9, "beta2": 0.99, "weight_decay": 0.1, **changes})


def numbers(seed, dtype, spread=1.0):
    return (spread * np.random.default_rng(seed).standard_normal(SIZE)).astype(dtype)


def arrays(flat):
    """Split a flat buffer into the named arrays of SHAPES."""
    edges = np.cumsum([np.prod(shape) for shape in SHAPES.values()])[:-1]
    parts = np.split(flat, edges)
    return {name: part.reshape(shape) for (name, shape), part in zip(SHAPES.items(), parts, strict=True)}


# ---- the papers, one array at a time, in float64; each yields the parameters after every update


def sgd(p, gradients, rates, s):
    for g, r in zip(gradients, rates, strict=True):
        p = p - r * g
        yield p


def momentum(p, gradients, rates, s):
    m = np.zeros_like(p)
    for g, r in zip(gradients, rates, strict=True):
        m = s.beta1 * m + g
        p = p - r * m
        yield p


def adam(p, gradients, rates, s, decay=0.0):
    """Adam as Kingma & Ba write it (algorithm 1); with decay AdamW as Loshchilov & Hutter do (algorithm 2)."""
    m, v = np.zeros_like(p), np.zeros_like(p)
    for t, (g, r) in enumerate(zip(gradients, rates, strict=True), start=1):
        m = s.beta1 * m + (1 - s.beta1) * g
        v = s.beta2 * v + (1 - s.beta2) * g**2
        m_hat, v_hat = m / (1 - s.beta1**t), v / (1 - s.beta2**t)
        p = p - r * (m_hat / (np.sqrt(v_hat) + 1e-8) + decay * p)
        yield p


def adamw(p, gradients, rates, s):
    return adam(p, gradients, rates, s, s.weight_decay if p.ndim == 2 else 0.0)


def lion(p, gradients, rates, s):
    """Lion as Chen et al. write it (program 1)."""
    m = np.zeros_like(p)
    for g, r in zip(gradients, rates, strict=True):
        update = np.sign(m * s.beta1 + g * (1 - s.beta1))
        m = m * s.beta2 + g * (1 - s.beta2)
        p = p - r * (update + (s.weight_decay if p.ndim == 2 else 0.0) * p)
        yield p


def newton_schulz(G):
    """Muon's five rounds, as Jordan writes them."""
    a, b, c = 3.4445, -4.7750, 2.0315
    X = G / np.sqrt((G**2).sum())
    if G.shape[0] > G.shape[1]:
        X = X.T
    for _ in range(5):
        A = X @ X.T
        B = b * A + c * A @ A
        X = a * X + B @ X
    return X.T if G.shape[0] > G.shape[1] else X


def muon(p, gradients, rates, s):
    """Muon with Nesterov momentum and the factor of Liu et al.; p is one hidden matrix."""
    m = np.zeros_like(p)
    for g, r in zip(gradients, rates, strict=True):
        m = s.beta1 * m + (1 - s.beta1) * g
        update = newton_schulz(s.beta1 * m + (1 - s.beta1) * g) * 0.2 * max(p.shape) ** 0.5
        p = p - r * (update + s.weight_decay * p)
        yield p


PAPERS = {"SGD": sgd, "Momentum": momentum, "Adam": adam, "AdamW": adamw, "Lion": lion}


def textbook(name, start, gradients, rates, s, scales):
    result = []
    for array, p in arrays(start.astype(np.float64)).items():
        its = [arrays(g.astype(np.float64))[array] * scale for g, scale in zip(gradients, scales, strict=True)]
        if name != "Muon":
            p = list(PAPERS[name](p, its, rates, s))[-1]
        elif not array.startswith("blocks."):
            p = list(adamw(p, its, rates, s))[-1]
        else:
            thirds = 3 if "qkv" in array else 1
            pieces = zip(np.split(p, thirds, axis=1), *(np.split(g, thirds, axis=1) for g in its), strict=True)
            p = np.concatenate([list(muon(piece, own, rates, s))[-1] for piece, *own in pieces], axis=1)
        result.append(p.ravel())
    return np.concatenate(result)


def optimize(name, start, gradients, rates, training, scales, parts=1, executor=serial):
    parameters = start.copy()
    optimizer = OPTIMIZERS.get(name)(parameters, SHAPES)
    for update, (gradient, rate, scale) in enumerate(zip(gradients, rates, scales, strict=True), start=1):

        def one(span, g=gradient, n=update, r=rate, s=scale):
            optimizer.update(g, span, n, r, training, s)

        executor(one, optimizer.spans(parts))
    return parameters


@pytest.fixture(params=["float32", "float64"])
def case(request):
    gradients = [numbers(seed, request.param, 10.0 ** -(seed % 4)) for seed in range(1, 9)]
    rates = np.linspace(3e-2, 1e-3, 8)
    scales = [1.0, 0.25, 1.0, 3e-3, 1.0, 0.9, 1.0, 1.0]
    return numbers(0, request.param), gradients, rates, settings(), scales


def assert_same(name, got, expected):
    """Compare parameters. A few of Lion's signs stand on the edge, and may fall to the other side in float32."""
    off = np.abs(got - expected) > TOLERANCE[got.dtype.name]
    allowed = 1e-4 if (name, got.dtype.name) == ("Lion", "float32") else 0
    assert off.mean() <= allowed, np.abs(got - expected).max()


@every
def test_it_is_the_papers(name, case):
    start, *_ = case
    got, expected = optimize(name, *case), textbook(name, *case)
    assert got.dtype == start.dtype
    assert_same(name, got, expected)
    moved = np.abs(expected - start)
    assert all((part > 0).mean() > 0.99 for part in arrays(moved).values())
    assert moved.mean() > 0.002  # it went somewhere


@every
@pytest.mark.parametrize("changes", [{"beta1": 0.0}, {"weight_decay": 0.0}, {"beta2": 0.999}])
def test_what_it_heeds_changes_it_and_nothing_else_does(name, case, changes):
    start, gradients, rates, _, scales = case
    got = optimize(name, start, gradients, rates, settings(**changes), scales)
    assert_same(name, got, textbook(name, start, gradients, rates, settings(**changes), scales))
    (knob,) = changes
    assert np.array_equal(got, optimize(name, *case)) == (knob not in OPTIMIZERS.get(name).uses)


@every
def test_only_matrices_decay(name):
    start = numbers(0, "float64")
    after = optimize(name, start, [np.zeros(SIZE)], [0.1], settings(weight_decay=0.5), [1.0])
    kept = 1 - 0.1 * 0.5 if "weight_decay" in OPTIMIZERS.get(name).uses else 1
    assert np.array_equal(after[MATRICES:], start[MATRICES:])
    assert np.allclose(after[:MATRICES], start[:MATRICES] * kept, rtol=1e-15)


def test_adams_first_step_has_the_size_of_the_rate_whatever_the_gradients_size():
    for spread in (1e-4, 1.0, 1e4):
        start = np.zeros(SIZE)
        after = optimize("AdamW", start, [numbers(3, "float64", spread)], [1e-3], settings(), [1.0])
        assert np.abs(after).max() <= 1e-3 * (1 + 1e-9)
        assert np.median(np.abs(after)) > 0.99e-3


@every
@pytest.mark.parametrize("parts", [1, 2, 3, 5, 40])
def test_spans_and_threads_change_no_bit(name, case, parts):
    whole = optimize(name, *case)
    assert np.array_equal(optimize(name, *case, parts=parts), whole)
    assert np.array_equal(optimize(name, *case, parts=parts, executor=threads), whole)


@every
@pytest.mark.parametrize("parts", [1, 2, 4, 9, 1000])
def test_spans_leave_nothing_out_and_nothing_twice(name, parts):
    spans = OPTIMIZERS.get(name)(np.zeros(SIZE), SHAPES).spans(parts)
    assert [place for span in spans for place in range(span.start, span.stop)] == list(range(SIZE))
    assert len(spans) <= parts


def test_blocks_cover_a_span_that_crosses_from_matrices_to_vectors():
    assert SIZE > MATRICES > 2 * BLOCK  # so that blocks, not only spans, are cut here
    start, gradient = numbers(0, "float64"), numbers(1, "float64")
    optimizer = AdamW(start.copy(), SHAPES)
    optimizer.update(gradient, slice(MATRICES - 7, MATRICES + 5), 1, 0.1, settings())
    touched = np.flatnonzero(optimizer.parameters != start)
    assert touched.tolist() == list(range(MATRICES - 7, MATRICES + 5))


@every
def test_the_gradient_is_only_read(name):
    gradient = numbers(1, "float32")
    gradient.flags.writeable = False
    optimize(name, numbers(0, "float32"), [gradient], [0.1], settings(), [0.5])


# ---- Muon alone


@pytest.mark.parametrize("shape", [(24, 24), (24, 64), (64, 24), (1, 7)])
def test_muon_makes_all_singular_values_about_one_and_keeps_the_directions(shape):
    matrix = np.random.default_rng(1).standard_normal(shape) * 1e-3
    U, S, Vt = np.linalg.svd(matrix, full_matrices=False)
    turned = U.T @ orthogonal(matrix) @ Vt.T
    inside = np.diag(turned)[S / S[0] > 0.05]
    assert np.abs(turned - np.diag(np.diag(turned))).max() < 1e-12
    assert inside.min() > 0.6
    assert inside.max() < 1.25


def test_a_gradient_of_zero_moves_nothing_by_muon():
    assert not orthogonal(np.zeros((4, 6))).any()


def test_muon_splits_the_work_evenly():
    model = Transformer(vocab_size=65, hidden_dim=64, num_layers=6, num_heads=4)
    optimizer = Muon(model.flat, model.shapes)
    costs = [sum(optimizer._cost(*part) for part in optimizer.parts if span.start <= part[0].start < span.stop)
             for span in optimizer.spans(2)]  # fmt: skip
    assert max(costs) < 1.2 * min(costs)


def test_muon_refuses_a_span_through_a_matrix():
    optimizer = Muon(np.zeros(SIZE), SHAPES)
    first = 300 * 257
    with pytest.raises(ValueError, match="cuts through the matrix 'blocks.0.attention.qkv.weight', which lies at 77100"):
        optimizer.update(np.zeros(SIZE), slice(0, first + 5), 1, 0.1, settings())


# ---- PyTorch


def pytorch(name, start, gradients, rates, training, scales):
    """Return what PyTorch's optimizer makes of the parameters; matrices decay where ours do."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed (pip install -e .[reference])")
    tensors = {name: torch.tensor(p.copy(), requires_grad=True) for name, p in arrays(start).items()}
    decay = training.weight_decay if "weight_decay" in OPTIMIZERS.get(name).uses else 0.0
    groups = [
        {"params": [t for t in tensors.values() if t.ndim == 2], "weight_decay": decay},
        {"params": [t for t in tensors.values() if t.ndim == 1], "weight_decay": 0.0},
    ]
    betas = training.beta1, training.beta2
    reference = {
        "SGD": lambda: torch.optim.SGD(groups),
        "Momentum": lambda: torch.optim.SGD(groups, momentum=training.beta1),
        "Adam": lambda: torch.optim.Adam(groups, betas=betas, eps=1e-8),
        "AdamW": lambda: torch.optim.AdamW(groups, betas=betas, eps=1e-8),
    }[name]()
    for gradient, rate, scale in zip(gradients, rates, scales, strict=True):
        for group in reference.param_groups:
            group["lr"] = rate
        for array, g in arrays(gradient).items():
            tensors[array].grad = torch.tensor(g * g.dtype.type(scale))
        reference.step()
    return np.concatenate([t.detach().numpy().ravel() for t in tensors.values()])


@pytest.mark.parametrize("name", ["SGD", "Momentum", "Adam", "AdamW"])
def test_it_is_pytorchs(name, case):
    assert_same(name, optimize(name, *case), pytorch(name, *case))


def test_muon_is_pytorchs_to_the_precision_of_its_bfloat16():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed (pip install -e .[reference])")
    start, gradients = numbers(0, "float32"), [numbers(seed, "float32") for seed in range(1, 5)]
    ours = arrays(optimize("Muon", start, gradients, [1e-2] * 4, settings(), [1.0] * 4))
    for name in ("blocks.0.attention.out.weight", "blocks.0.mlp.up.weight", "blocks.0.mlp.down.weight"):
        before = arrays(start)[name]
        tensor = torch.tensor(before.copy(), requires_grad=True)
        reference = torch.optim.Muon([tensor], lr=1e-2, weight_decay=0.1, momentum=0.9, adjust_lr_fn="match_rms_adamw")
        for gradient in gradients:
            tensor.grad = torch.tensor(arrays(gradient)[name])
            reference.step()
        theirs = tensor.detach().numpy()
        assert np.abs(ours[name] - theirs).max() < 0.02 * np.abs(theirs - before).max()


# ---- in training


def remembered(trainer):
    return {key: value for key, value in vars(trainer.optimizer).items() if isinstance(value, np.ndarray)}


def assert_same_run(one, other):
    assert np.array_equal(one.model.flat, other.model.flat)
    for key, value in remembered(one).items():
        assert np.array_equal(value, remembered(other)[key]), key


@every
def test_serial_and_threads_make_the_same_run(name):
    runs = [trainer_of(optimizer=name, learning_rate=RATES[name], executor=e, shards=3) for e in ("serial", "threads")]
    for trainer in runs:
        list(trainer.run(steps=8))
    assert_same_run(*runs)


@pytest.mark.parametrize("name", ["SGD", "Muon"])  # one that remembers nothing, one with spans of its own
def test_worker_processes_make_the_same_run(name):
    ours = trainer_of(optimizer=name, learning_rate=RATES[name], executor="serial")
    theirs = trainer_of(optimizer=name, learning_rate=RATES[name], executor="processes")
    try:
        for trainer in (ours, theirs):
            list(trainer.run(steps=8))
        assert_same_run(ours, theirs)
        assert theirs.recorder.attributes["executor"] == "processes"
    finally:
        theirs.close()
    assert_same_run(ours, theirs)


@pytest.fixture(scope="module")
def stories():
    text, tokenizer = load_corpus("stories")
    return tokenizer.encode(text), tokenizer.vocab_size


@every
def test_with_its_usual_rate_it_gets_below_letter_pairs(name, stories):
    tokens, vocab_size = stories
    steps = {"SGD": 650, "Momentum": 250}.get(name, 200)
    model = Transformer(vocab_size=vocab_size, hidden_dim=48, num_layers=1, num_heads=4)
    training = Training(optimizer=name, learning_rate=RATES[name], batch_size=16, seq_len=32, warmup_steps=15, steps=steps,
                        eval_every=steps, statistics_every=steps)  # fmt: skip
    trainer = Trainer(model, tokens, training)
    list(trainer.run())
    bigram = entropies(trainer.data.validation, vocab_size)["bigram"]
    assert trainer.evaluate(8) < bigram - 0.03
