"""Where the papers lie that docstrings name by their titles."""

import re

ARXIV = {
    "Layer Normalization": "1607.06450",
    "Root Mean Square Layer Normalization": "1910.07467",
    "On Layer Normalization in the Transformer Architecture": "2002.04745",
    "Attention Is All You Need": "1706.03762",
    "CogView": "2105.13290",
    "Gaussian Error Linear Units": "1606.08415",
    "Searching for Activation Functions": "1710.05941",
    "GLU Variants Improve Transformer": "2002.05202",
    "RoFormer": "2104.09864",
    "Train Short, Test Long": "2108.12409",
    "Transformer Language Models without Positional Encodings Still Learn Positional Information": "2203.16634",
    "Adam: A Method for Stochastic Optimization": "1412.6980",
    "Decoupled Weight Decay Regularization": "1711.05101",
    "Symbolic Discovery of Optimization Algorithms": "2302.06675",
    "Muon is Scalable for LLM Training": "2502.16982",
    "Using the Output Embedding to Improve Language Models": "1608.05859",
    "Query-Key Normalization for Transformers": "2010.04245",
    "Small-scale proxies for large-scale Transformer training instabilities": "2309.14322",
    "Rethinking the Inception Architecture": "1512.00567",
    "PaLM": "2204.02311",
}
ELSEWHERE = {
    "A Stochastic Approximation Method": "https://doi.org/10.1214/aoms/1177729586",
    "Muon: An optimizer for hidden layers in neural networks": "https://kellerjordan.github.io/posts/muon/",
    "Dropout": "https://jmlr.org/papers/v15/srivastava14a.html",
    "Some methods of speeding up the convergence of iteration methods": "https://doi.org/10.1016/0041-5553(64)90137-5",
}
UNLINKED = (  # no address that lasts
    "Rectified Linear Units Improve Restricted Boltzmann Machines",
    "Improving Language Understanding by Generative Pre-Training",
)
ADDRESSES = {title: f"https://arxiv.org/abs/{number}" for title, number in ARXIV.items()} | ELSEWHERE
TITLE = re.compile('"(' + "|".join(map(re.escape, sorted(ADDRESSES, key=len, reverse=True))) + ')"')


def linked(text: str) -> str:
    """Return reStructuredText in which the titles of papers, in quotes, are links.

    >>> linked('Press 2022, "Train Short, Test Long", section 3')
    'Press 2022, `"Train Short, Test Long" <https://arxiv.org/abs/2108.12409>`__, section 3'
    """
    return TITLE.sub(lambda found: f"`{found[0]} <{ADDRESSES[found[1]]}>`__", text)
