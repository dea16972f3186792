"""The transformer: embed, a stack of blocks, scores for the next token; its loss and gradients, all by hand."""

import math
from collections.abc import Iterator

import numpy as np

from tlab_core.activations import ACTIVATIONS
from tlab_core.attention import CausalSelfAttention
from tlab_core.blame import blaming
from tlab_core.config import Architecture
from tlab_core.display import Described
from tlab_core.dropout import Dropout
from tlab_core.embedding import CrossEntropy, Head, TokenEmbedding
from tlab_core.extensions import origin
from tlab_core.feedforward import FeedForward
from tlab_core.norms import NORMS
from tlab_core.objective import Objective
from tlab_core.parameters import fill, flat_views, named_views
from tlab_core.positions import POSITIONS
from tlab_core.residuals import RESIDUALS
from tlab_core.workspace import Trace, Workspace, pieces


class Transformer(Described):
    """A decoder-only transformer that reads tokens and scores, at each position, which token comes next.

    x = embed(tokens) + position; 2 · num_layers branches (attention, feed-forward, ...) each join x as the residual
    layout says; logits = head(final_norm(x)). Vaswani et al. 2017; decoder-only as Radford et al. 2018.

    Takes an Architecture, or its knobs: `Transformer(vocab_size=65, hidden_dim=64, norm_type="RMSNorm")`.
    Raises KnobError for a value that one knob can't take and SettingsError for knobs that don't go together.

    >>> model = Transformer(vocab_size=10, hidden_dim=8, num_layers=1, num_heads=2)
    >>> model
    <Transformer: 1 layer × 8, 2 heads, feed-forward 24, Pre-LN, RMSNorm, SwiGLU, RoPE, 1,024 parameters in float32>
    >>> model.forward([[1, 2, 3]]).shape
    (1, 3, 10)
    """

    def __init__(self, architecture: Architecture | None = None, *, flat: np.ndarray | None = None, **knobs):
        """Build the model and throw the dice for its parameters, or take those in the 1-D array `flat` as they are."""
        self.architecture = (architecture or Architecture()).replace(**knobs)
        self.architecture.check()
        self._build()
        declared = self._declared()
        self.shapes = {name: parameter.shape for name, parameter in declared.items()}
        if flat is None:
            self.flat, self.parameters = flat_views(self.shapes, self.architecture.dtype)
            fill(self.parameters, declared, self.architecture.seed)
        else:
            self.flat, self.parameters = flat, named_views(flat, self.shapes)
        self.updates = 0  # how often a trainer has changed the parameters: what was computed from them before is void then

    @blaming
    def _build(self) -> None:
        a = self.architecture
        std, out_std = a.init_std, a.init_std / math.sqrt(2 * a.num_layers)
        make, layout, activation, position = self._kinds()

        def norm(name):
            return make(name, a.hidden_dim, a.use_bias)

        self.embedding = TokenEmbedding(a.vocab_size, a.hidden_dim, std)
        self.positions = position(a)
        self.branches = []  # attention and feed-forward in turn, each wired to the residual stream
        for block in (f"blocks.{i}" for i in range(a.num_layers)):
            attention = CausalSelfAttention(f"{block}.attention", a.hidden_dim, a.num_heads, self.positions,
                                            qk_norm=a.qk_norm, use_bias=a.use_bias, std=std, out_std=out_std)
            feed_forward = FeedForward(f"{block}.mlp", a.hidden_dim, a.resolved_ff_dim, activation, use_bias=a.use_bias,
                                       std=std, out_std=out_std)
            self.branches += [layout(block, 1, attention, norm), layout(block, 2, feed_forward, norm)]
        self.final_norm = norm("final_norm") if layout.final_norm else None
        self.head = Head(a.vocab_size, a.hidden_dim, std, a.tie_embeddings)

    def _kinds(self) -> tuple:
        """Return the classes that the settings name: norm, residual layout, activation, position encoding."""
        a = self.architecture
        return (NORMS.get(a.norm_type), RESIDUALS.get(a.residual_type), ACTIVATIONS.get(a.activation_type),
                POSITIONS.get(a.pos_encoding_type))

    @classmethod
    def shapes_of(cls, architecture: Architecture) -> dict[str, tuple[int, ...]]:
        """Return the shape of every parameter that a model of `architecture` has, without making the model.

        >>> Transformer.shapes_of(Architecture(vocab_size=10, hidden_dim=8, num_layers=1, num_heads=2))["final_norm.weight"]
        (8,)
        """
        plan = cls.__new__(cls)
        plan.architecture = architecture
        plan._build()
        return {name: parameter.shape for name, parameter in plan._declared().items()}

    def own_kinds(self) -> list[tuple[str, str]]:
        """Return what of the model is not the lab's own: the kind and the name of each."""
        found = zip((NORMS, RESIDUALS, ACTIVATIONS, POSITIONS), self._kinds(), strict=True)
        return [(registry.kind, registry.name_of(kind) or kind.__name__) for registry, kind in found
                if origin(kind) is not None]  # fmt: skip

    @blaming
    def _declared(self) -> dict:
        parts = [self.embedding, self.positions, *self.branches, *filter(None, [self.final_norm]), self.head]
        named = {}
        for part in parts:
            named |= part.parameters()
        return named

    # ---- what a user calls

    def forward(self, tokens, trace: Trace | None = None, work: Workspace | None = None) -> np.ndarray:
        """Return the logits (B, T, V) for tokens (B, T); each position has seen itself and those before it.

        `trace(name, array) -> array` is shown every named site on the way (see `sites` and trace.py). `work` is a workspace
        of the model to use again; the logits are then one of its buffers, which its next pass writes to again.
        Raises ValueError for tokens that the model doesn't know or that aren't (B, T).
        """
        tokens = self.checked(tokens)
        with np.errstate(all="ignore"):
            logits = self._forward(tokens, self.workspace() if work is None else work, trace)
        return logits.reshape(*tokens.shape, -1)

    def loss_and_grads(self, tokens, targets, trace: Trace | None = None, *, objective: Objective | None = None,
                       dropout: Dropout | None = None) -> tuple[float, dict[str, np.ndarray]]:
        """Return the mean cross-entropy in nats and its gradient for every parameter, keyed as `parameters`.

        tokens and targets (B, T). On the way back `trace` is shown each site's gradient as "<site>.gradient".
        With an `objective` the gradient is of that; the loss stays the cross-entropy. `dropout` silences some numbers.
        """
        tokens, targets = self.checked(tokens), self.checked(targets)
        if tokens.shape != targets.shape:
            raise ValueError(f"tokens {tokens.shape} and targets {targets.shape} must have the same shape")
        work = self.workspace()
        loss = self.shard_loss_and_grads(tokens, targets, work, 1 / tokens.size, trace, objective=objective,
                                         dropout=dropout)
        return loss, work.gradients

    def read_on(self, tokens: np.ndarray, work: Workspace, trace: Trace | None = None) -> np.ndarray:
        """Return the logits (B, T, V) for tokens (B, T) that follow those in `work.cache`, which keeps these too.

        Of what happens inside attention and feed-forward `trace` is shown the scores, (B, H, T, all so far), and the
        activation. The logits are a buffer that the next call writes to again. NumPy's warnings are the caller's to
        silence.
        """
        logits = self._forward(tokens, work, trace)
        work.cache.length += tokens.shape[1]
        return logits.reshape(*tokens.shape, -1)

    def generate(self, prompt, max_length: int, temperature: float = 1.0, top_k: int | None = None,
                 top_p: float | None = None, seed: int = 0) -> list[np.ndarray]:
        """Continue each prompt to `max_length` tokens (the prompt counts) and return them as a list of arrays.

        See tlab_core.generation.generate.
        """
        from tlab_core.generation import generate  # generation stands on the model, so it can't be imported above

        return generate(self, prompt, max_length, temperature=temperature, top_k=top_k, top_p=top_p, seed=seed)

    def describe(self):
        """Return the wiring in words, and the parameters by part with their shapes and shares."""
        from tlab_core.display.model import of_model  # of use only to whoever looks

        return of_model(self)

    def one_line(self) -> str:
        """Return how the model is wired, and its size."""
        from tlab_core.display.settings import in_words

        a = self.architecture
        return f"<Transformer: {in_words(a)}, {self.parameter_count:,} parameters in {a.dtype}>"

    @property
    def parameter_count(self) -> int:
        """Return how many numbers the model learns."""
        return self.flat.size

    @property
    def sites(self) -> list[str]:
        """Return the names of all sites that a trace is shown, in the order in which a pass meets them."""
        seen = []

        def note(name, x):
            seen.append(name)
            return x

        tokens = np.zeros((1, 1), int)
        self.loss_and_grads(tokens, tokens, trace=note)
        return seen

    def checked(self, tokens) -> np.ndarray:
        """Return `tokens` as an integer array (B, T), or raise ValueError that says what is wrong with them."""
        tokens = np.asarray(tokens)
        if tokens.ndim != 2 or tokens.size == 0:
            raise ValueError(f"tokens must be (batch, length) with at least one token each, not shape {tokens.shape}: "
                             "wrap a single sequence as tokens[None, :]")
        if not np.issubdtype(tokens.dtype, np.integer):
            raise ValueError(f"tokens must be whole numbers, not {tokens.dtype}: encode text with a tokenizer")
        low, high = int(tokens.min()), int(tokens.max())
        if low < 0 or high >= self.architecture.vocab_size:
            raise ValueError(f"token {low if low < 0 else high} is outside the vocabulary 0 ... "
                             f"{self.architecture.vocab_size - 1}: was the model built for another tokenizer?")
        return tokens

    # ---- one shard of a batch, which knows nothing of parallelism

    def workspace(self, *, gradients: bool = True) -> Workspace:
        """Return the arrays that one shard's passes need, with gradients of its own.

        Without them a pass back stops at the signals' gradients, for whoever looks at those alone.
        """
        if not gradients:
            return Workspace(self.parameters, {}, self.flat[:0])
        flat, views = flat_views(self.shapes, self.architecture.dtype)
        return Workspace(self.parameters, views, flat)

    def shard_losses(self, tokens: np.ndarray, targets: np.ndarray, work: Workspace) -> np.ndarray:
        """Return each position's loss (B, T) in float64, forward only."""
        losses = np.empty(tokens.shape)
        with np.errstate(all="ignore"):
            for part in self._pieces(tokens):
                logits = self._forward(tokens[part], work, None)
                losses[part] = CrossEntropy.forward(logits, targets[part].ravel(), work).reshape(losses[part].shape)
        return losses

    def shard_loss_and_grads(self, tokens: np.ndarray, targets: np.ndarray, work: Workspace, scale: float,
                             trace: Trace | None = None, *, objective: Objective | None = None,
                             dropout: Dropout | None = None, adding: bool = False) -> float:
        """Return scale · Σ loss and write its gradients into `work`; scale is 1 / (positions of the whole batch).

        A few sequences go through at a time (see workspace.pieces); under a trace all at once, so that it sees them whole.
        `adding` adds to the gradients that `work` holds already.
        """
        total, aim = 0.0, objective or CrossEntropy
        with np.errstate(all="ignore"):
            for part in self._pieces(tokens) if trace is None else [slice(None)]:
                work.adding = adding or bool(part.start)
                logits = self._forward(tokens[part], work, trace, dropout and dropout.part(part))
                total += float(CrossEntropy.forward(logits, targets[part].ravel(), work).sum())
                d_logits = aim.backward(logits, targets[part].ravel(), scale, work)
                self._backward(d_logits, tokens[part], work)
        return total * scale

    def _pieces(self, tokens: np.ndarray) -> Iterator[slice]:
        return pieces(*tokens.shape, self.architecture.hidden_dim)

    @blaming
    def _forward(self, tokens: np.ndarray, work: Workspace, trace: Trace | None,
                 dropout: Dropout | None = None) -> np.ndarray:
        work.begin(*tokens.shape, trace, dropout)
        x = self.embedding.forward(tokens, work)  # (N, D), N = B·T
        self.positions.embed(x.reshape(*tokens.shape, -1), work)
        if dropout is not None:
            x = dropout.forward("embedding", x, work)
        x = work.site("residual.0", x)
        for depth, branch in enumerate(self.branches, start=1):
            x = work.site(f"residual.{depth}", branch.forward(x, work))
        if self.final_norm is not None:
            x = self.final_norm.forward(x, work)
            if self.final_norm.measured:
                x = work.site("final_norm", x)
        return work.site("logits", self.head.forward(x, work))

    @blaming
    def _backward(self, d_logits: np.ndarray, tokens: np.ndarray, work: Workspace) -> None:
        dx = self.head.backward(work.site("logits.gradient", d_logits), work)
        if self.final_norm is not None:
            if self.final_norm.measured:
                dx = work.site("final_norm.gradient", dx)
            out = work.buffer("residual.dx", *dx.shape)
            np.copyto(out, self.final_norm.backward(dx, work))  # a buffer of its own: branches add to it
            dx = out
        for depth in range(len(self.branches), 0, -1):
            dx = self.branches[depth - 1].backward(work.site(f"residual.{depth}.gradient", dx), work)
        dx = work.site("residual.0.gradient", dx)
        if not work.gradients:
            return
        if work.dropout is not None:
            dx = work.dropout.backward("embedding", dx, work)
        self.positions.embed_backward(dx.reshape(*tokens.shape, -1), work)
        self.embedding.backward(dx, tokens, work)
