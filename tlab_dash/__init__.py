"""The dashboard of the Transformer Intuition Lab: panels that show what happens inside a transformer while it trains."""

from tlab_dash.lab import Lab

__all__ = ["Lab"]
