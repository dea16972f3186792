"""The pages beside the bench, one a file, in the order of their tabs."""

from tlab_dash.pages.page import PAGES, Board, Card, Page
from tlab_dash.pages.training import training

from tlab_dash.pages.signal import signal  # isort: skip
from tlab_dash.pages.gradients import gradients  # isort: skip
from tlab_dash.pages.weights import weights  # isort: skip

from tlab_dash.pages.attention import attention  # isort: skip
from tlab_dash.pages.qk import qk  # isort: skip
from tlab_dash.pages.neuron import neuron  # isort: skip
from tlab_dash.pages.long import long  # isort: skip

from tlab_dash.pages.text import text  # isort: skip
from tlab_dash.pages.code import code  # isort: skip
from tlab_dash.pages.own import own  # isort: skip
from tlab_dash.pages.lessons import lessons  # isort: skip

__all__ = [
    "PAGES", "Board", "Card", "Page", "attention", "code", "gradients", "lessons", "long", "neuron", "own", "qk", "signal",
    "text", "training", "weights",
]
