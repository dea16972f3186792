"""Attention as one byte a weight.

A weight w, 0 ... 1, is the byte round(254 · √w): small weights keep their digits, and the picture's ink is √w anyway. Read
back as (byte / 254)² it is wrong by at most (√w + 1/1016) / 254, and so never by more than 0.004. 255 stands for what is no
number, in a run that broke. Only what a character may read is kept: a key is never later than its query.
"""

import numpy as np

FULL = 254
BROKEN = 255
WORST = (1 + 1 / (4 * FULL)) / FULL


def quantised(weights: np.ndarray) -> np.ndarray:
    """Return attention (layer, head, query, key) as bytes (layer · head, pairs), one query's keys after the other's."""
    count = weights.shape[-1]
    query, key = np.tril_indices(count)
    seen = weights.reshape(-1, count, count)[:, query, key]
    codes = np.rint(FULL * np.sqrt(np.clip(np.nan_to_num(seen), 0, 1))).astype(np.uint8)
    codes[~np.isfinite(seen)] = BROKEN
    return codes
