"""Read long texts in pieces, so that memory stays bounded, and look at what happens inside on the way.

Each text is read a few characters at a time, with the keys and values of those before. That yields what one whole pass
would (to rounding), and no layer ever holds its T · T scores.
"""

from collections.abc import Callable
from contextlib import suppress

import numpy as np

from tlab_core.cache import KeyValueCache
from tlab_core.embedding import CrossEntropy
from tlab_core.transformer import Transformer
from tlab_core.workspace import pieces

QUERIES = 64  # characters read at once, of each text
KEPT = 2**22  # numbers of kept keys and values at a time: 16 MB in float32

# (layer, past, scores): scores (B, H, T, past + T) of T queries, the first of which stands at `past`; -inf on the future
Look = Callable[[int, int, np.ndarray], None]


def read(model: Transformer, tokens: np.ndarray, targets: np.ndarray, look: Look) -> np.ndarray:
    """Return each position's loss (B, T) in nats, float64, for texts (B, T), and show `look` all Q·K logits on the way.

    The texts go through a few at a time.
    """
    a = model.architecture
    # A model of its own on the same parameters: its tables for so long a text go when it goes.
    twin = Transformer(a, flat=model.flat)
    length = tokens.shape[1]
    twin.positions.mask(length, a.dtype)  # made once, rather than grown with every piece
    together = max(1, KEPT // (2 * a.num_layers * a.hidden_dim * length))
    losses = np.empty(tokens.shape)
    for first in range(0, len(tokens), together):
        texts = slice(first, first + together)
        losses[texts] = _read_together(twin, tokens[texts], targets[texts], look)
    return losses


def _read_together(model: Transformer, tokens: np.ndarray, targets: np.ndarray, look: Look) -> np.ndarray:
    work = model.workspace(gradients=False)
    work.cache = KeyValueCache(tokens.shape[1])
    layers = {f"blocks.{layer}.scores": layer for layer in range(model.architecture.num_layers)}

    def trace(site: str, x: np.ndarray) -> np.ndarray:
        if site in layers:
            look(layers[site], work.past, x)
        return x

    losses = np.empty(tokens.shape)
    for past in range(0, tokens.shape[1], QUERIES):
        piece = np.s_[:, past : past + QUERIES]
        logits = model.read_on(tokens[piece], work, trace)
        loss = CrossEntropy.forward(logits.reshape(-1, logits.shape[-1]), targets[piece].ravel(), work)
        losses[piece] = loss.reshape(targets[piece].shape)
    return losses


class _SeenError(Exception):
    """Ends a pass where all that is wanted of it has been seen."""


def activations(model: Transformer, layer: int, tokens: np.ndarray) -> np.ndarray:
    """Return the activations of one layer's feed-forward units (B, T, F) on texts (B, T)."""
    work, site, length = model.workspace(gradients=False), f"blocks.{layer}.activation", tokens.shape[1]
    found = np.empty((*tokens.shape, model.architecture.resolved_ff_dim), work.dtype)
    for texts in pieces(*tokens.shape, model.architecture.hidden_dim):
        work.cache = KeyValueCache(length)
        for past in range(0, length, QUERIES):
            piece = texts, slice(past, past + QUERIES)

            def trace(name: str, x: np.ndarray, piece=piece) -> np.ndarray:
                if name == site:
                    found[piece] = x
                    raise _SeenError  # the layers above would only take time
                return x

            with suppress(_SeenError):
                model.read_on(tokens[piece], work, trace)
            work.cache.length = min(past + QUERIES, length)  # the pass ended before it could say so
    return found
