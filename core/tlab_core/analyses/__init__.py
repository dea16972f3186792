"""Measures taken on demand, one a file: `run.analyse("weights", parameter="head.weight")`."""

from tlab_core.analyses import flow, logit_distance, long_context, neuron, weights  # noqa: F401  each files its own
from tlab_core.analyses.base import ANALYSES, AnalysisError

__all__ = ["ANALYSES", "AnalysisError"]
