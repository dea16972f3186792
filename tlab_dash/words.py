"""What words and signs mean that stand on axes, in captions and on the map: the lab's "?" tells it, and a snapshot."""

WORDS = [
    ["embedding", "the row of numbers that a character is turned into, for the layers to work on"],
    ["gradient", "how much the loss would change with a number; training moves against it"],
    ["loss in nats", "how surprised the model is by what comes next: 0 is sure, 0.69 is a coin toss"],
    ["match score", "how well what one character asks for (its query) fits what an earlier one offers (its key): Q·K/√d"],
    ["residual stream", "the row of numbers a character that each layer reads and adds to"],
    ["RMS", "the usual size of many numbers, whatever their sign: the root of their mean square"],
    ["softmax", "turns scores into shares that add up to 1; the highest gets most"],
    ["std", "how far numbers usually lie from their mean"],
]
SIGNS = [
    ["squares in an attention box", "its heads; beside them, how it tells where a character stands: a dial (RoPE) turns "
                                    "queries and keys, a ramp (ALiBi) favours what is near"],
    ["the curve in a feed-forward box", "its activation: what comes out of a unit, over what goes in"],
    ["beads on the lines", "norms, which bring the numbers that pass to a usual size"],
    ["+ in a circle", "where what a part worked out is added to the residual stream"],
]  # fmt: skip
