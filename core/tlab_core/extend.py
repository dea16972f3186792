"""What one needs to add a component of one's own: the registries, what components derive from, and the checks.

    from tlab_core.extend import NORMS, Norm, Parameter, check_gradients

    @NORMS.register("MyNorm")
    class MyNorm(Norm):
        ...

    check_gradients(MyNorm)

Views are registered by being made: `from tlab_dash.views import View`.
"""

from tlab_core.activations import ACTIVATIONS, Activation, Gated
from tlab_core.checks import GradientError, GradientReport, check_gradients
from tlab_core.corpora import CORPORA, Corpus
from tlab_core.norms import NORMS, Norm
from tlab_core.optimizers import OPTIMIZERS, Optimizer
from tlab_core.own_statistics import STATISTICS, Statistic, StatisticError, statistic
from tlab_core.parameters import Parameter
from tlab_core.positions import POSITIONS, PositionEncoding
from tlab_core.residuals import RESIDUALS, ResidualLayout
from tlab_core.workspace import Workspace

__all__ = [
    "ACTIVATIONS", "CORPORA", "NORMS", "OPTIMIZERS", "POSITIONS", "RESIDUALS", "STATISTICS", "Activation", "Corpus",
    "Gated", "GradientError", "GradientReport", "Norm", "Optimizer", "Parameter", "PositionEncoding", "ResidualLayout",
    "Statistic", "StatisticError", "Workspace", "check_gradients", "statistic",
]
