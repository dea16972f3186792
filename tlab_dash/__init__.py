"""The dashboard of the Transformer Intuition Lab: panels that show what happens inside a transformer while it trains."""

from tlab_dash.lab import Lab
from tlab_dash.notebooks import notebook
from tlab_dash.serving import serve

__all__ = ["Lab", "notebook", "serve"]
