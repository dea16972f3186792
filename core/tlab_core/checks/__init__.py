"""Checks of a component that someone wrote: whether its backward pass is the derivative of its forward pass.

    from tlab_core import check_gradients

    check_gradients(MyNorm)
"""

from tlab_core.checks.gradients import check_gradients
from tlab_core.checks.report import Finding, GradientError, GradientReport

__all__ = ["Finding", "GradientError", "GradientReport", "check_gradients"]
