"""What words, signs and letters mean, for whoever avoids maths: on the page, in snapshots and on the documentation site."""

WORDS = {
    "gradient": "how much the loss would change with a number; training moves against it",
    "loss in nats": "how surprised the model is by what comes next: 0 is sure, 0.69 is a coin toss",
    "match score": "how well what one character asks for (its query) fits what an earlier one offers (its key): Q·K/√d",
    "residual stream": "the row of numbers a character that each layer reads and adds to",
    "RMS": "the usual size of many numbers, whatever their sign: the root of their mean square",
    "softmax": "turns scores into shares that add up to 1; the highest gets most",
    "std": "how far numbers usually lie from their mean",
    "activation": "the bend after which a feed-forward unit is on or off",
    "attention": "how a character takes over from earlier ones: from those whose key fits its query, the more the better",
    "channel": "one of the numbers that describe a character; the width is how many there are",
    "dead unit": "a feed-forward unit that is off for every character looked at, and so learns nothing",
    "embedding": "the row of numbers that a character begins with; looked up in a table that is learned",
    "head": "one of the places that a layer looks at independently, with queries, keys and values of its own",
    "ln Z": "the logarithm of the total that the last softmax divides by; it grows when all scores grow together",
    "logits": "the scores before the last softmax, one for each character that could come next",
    "norm": "a step that brings each character's numbers to a steady size",
    "seed": "which dice are thrown: the same seed gives the same numbers again",
    "step": "one update of all weights, after a look at one batch of text",
    "unseen text": "the end of the text, which is only measured on and never trained on",
    "update beside the weights": "how far the last step moved a weight matrix, as a share of its size; of all "
                                 "matrices the one in the middle",
    "warm-up": "the first steps, in which the learning rate climbs from near zero",
    "weights": "the numbers that training changes; most of them lie in matrices",
}  # fmt: skip

# Those that stand on axes, in captions and on the map: the lab's "?" explains them, and a snapshot.
ON_THE_PAGE = ("embedding", "gradient", "loss in nats", "match score", "residual stream", "RMS", "softmax", "std")

SIGNS = [
    ["squares in an attention box", "its heads; beside them, how it tells where a character stands: a dial (RoPE) turns "
                                    "queries and keys, a ramp (ALiBi) favours what is near"],
    ["the curve in a feed-forward box", "its activation: what comes out of a unit, over what goes in"],
    ["beads on the lines", "norms, which bring the numbers that pass to a usual size"],
    ["+ in a circle", "where what a part worked out is added to the residual stream"],
]  # fmt: skip

# What letters mean in every formula, unless the formula's own text says otherwise.
LETTERS = {
    "x": "the numbers that come in",
    "y": "the numbers that come out",
    "B": "sequences in the batch",
    "T": "characters of a sequence",
    "N": "characters in all, B · T",
    "D": "channels: how many numbers describe a character (the width)",
    "H": "heads of a layer",
    "d": "channels of one head, D / H",
    "V": "different characters that there are",
    "W": "a matrix of weights, which are learned",
    "w": "a gain for each channel, which is learned",
    "b": "a constant that is added to each channel, which is learned",
    "ε": "a tiny number, so that nothing is divided by zero",
    "mean": "the average over the channels",
    "var": "the average squared distance from the mean",
}
# What they mean on the pages of some knobs.
LETTERS_OF = {
    "architecture.residual_type": {
        "x": "the residual stream", "f": "what the branch works out: attention, or feed-forward", "N": "the norm",
        "N₁": "the norm before the branch", "N₂": "the norm after it",
    },
    "architecture.activation_type": {
        "f": "what the unit makes of a number", "u": "the number that reaches a unit", "e": "Euler's number, 2.718…",
        "G": "the gate's matrix of weights", "U": "the straight path's matrix of weights", "a": "what comes out",
        "tanh": "a smooth switch from −1 to 1", "σ": "a smooth switch from 0 to 1",
    },
    "architecture.pos_encoding_type": {
        "t": "where the character stands, counted from 0", "i": "which channel, or which pair of channels",
        "q": "where the character stands that looks back", "k": "where the character stands that is looked at",
        "h": "which head", "m_h": "that head's slope", "a": "a number of a pair", "b": "the other number of the pair",
        "d": "channels of one head, D / H",
    },
    "training.optimizer": {
        "p": "a weight, or any other number that is learned", "t": "which update, counted from 1",
        "beta1": "the knob Beta 1", "beta2": "the knob Beta 2", "m": "the gradient as it is remembered", "v": "its square",
        "max(a, b)": "the longer side of the matrix",
        "r": "the learning rate", "g": "the gradient", "d": "the weight decay",
        "N": "the gradient's average, one look ahead", "U": "the directions of N that come out",
        "Vᵀ": "those that go in", "S": "how far N stretches each", "X": "a matrix on its way to O",
        "A": "X times itself, turned over",
    },
    "training.schedule": {"r": "the learning rate at its highest", "m": "the learning rate at the end",
                          "progress": "how far it is from the end of warm-up (0) to the horizon (1)"},
    "training.dropout": {"p": "the dropout", "dx": "the gradient that goes on", "dy": "the gradient that comes in",
                         "mean": "the average over the dice", "∘": "number by number"},
    "architecture.ff_dim": {"f": "the activation", "U": "the matrix up", "G": "the gate's matrix", "F": "units",
                            "∘": "number by number"},
    "architecture.num_heads": {"q": "the queries", "k": "the keys", "v": "the values", "P": "the attention",
                               "W_qkv": "the matrix that makes all three", "W_out": "the matrix that mixes the heads",
                               "kᵀ": "the keys, turned over"},
    "architecture.use_bias": {"E": "channels that come out"},
    "training.label_smoothing": {"ε": "the label smoothing", "L": "the loss", "onehot": "1 for the right character, else 0",
                                 "q": "the target", "p": "the shares that the model gives", "z": "the Z-loss"},
}  # fmt: skip
LETTERS_OF["training.z_loss"] = LETTERS_OF["training.label_smoothing"]
LETTERS_OF["training.beta1"] = LETTERS_OF["training.beta2"] = LETTERS_OF["training.weight_decay"] = LETTERS_OF[
    "training.optimizer"]  # fmt: skip


def on_the_page() -> list[list[str]]:
    """Return the words that stand about the page, each with what it means."""
    return [[word, WORDS[word]] for word in ON_THE_PAGE]
