"""Every plot of the lab, one a file. `views.loss(run)` draws one in a notebook; `VIEWS` holds them all by name."""

from tlab_dash.views.attention import attention
from tlab_dash.views.heads import heads
from tlab_dash.views.layer_statistics import layer_statistics
from tlab_dash.views.loss import loss
from tlab_dash.views.probe_text import breadcrumb, probe_text
from tlab_dash.views.qk import qk
from tlab_dash.views.signal import signal
from tlab_dash.views.view import VIEWS, View, ensure_backend

__all__ = [
    "VIEWS", "View", "attention", "breadcrumb", "ensure_backend", "heads", "layer_statistics", "loss", "probe_text", "qk",
    "signal",
]
