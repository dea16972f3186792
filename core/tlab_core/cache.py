"""What a model keeps of the tokens it has read, so that the next one can be read alone."""

import numpy as np


class KeyValueCache:
    """Keep each layer's keys and values, all that later tokens ask of earlier ones; nothing else reaches forward in time.

    One array (2, B, H, size, d) a layer, keys and values, of which the first `length` positions are filled. A key carries
    its position's turn (RoPE), so what is kept is never touched again. Shazeer 2019, "Fast Transformer Decoding", section
    2.4, where it is called incremental inference.
    """

    def __init__(self, size: int):
        self.size, self.length = size, 0
        self.kept: dict[str, np.ndarray] = {}

    def extend(self, layer: str, new: np.ndarray) -> np.ndarray:
        """Keep a layer's new keys and values (2, B, H, T, d) behind the earlier ones, and return all (2, B, H, S, d).

        `length` stays as it is until every layer of the model has done so.
        """
        if layer not in self.kept:
            self.kept[layer] = np.empty((*new.shape[:-2], self.size, new.shape[-1]), new.dtype)
        kept, stop = self.kept[layer], self.length + new.shape[-2]
        kept[..., self.length : stop, :] = new
        return kept[..., :stop, :]
